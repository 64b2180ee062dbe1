mod any_history;
mod create;
mod deposit;
mod withdraw;
