mod any_history;
mod close;
mod create;
mod deposit;
mod freeze;
mod overdraft_limit;
mod transaction_legs;
mod withdraw;
