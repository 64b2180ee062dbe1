//! The rules of the bank. Start reading here; `account.rs` is the heart.
//!
//! | word | meaning |
//! |---|---|
//! | [`Account`] | money of one owner in one currency; an aggregate, so every change of it is an event |
//! | [`AccountCommand`] → [`AccountEvent`] | what may be asked (imperative) and what happened (past tense) |
//! | [`Rejection`] | the bank's "no", with what the caller needs to understand it |
//! | [`Amount`] | a positive sum of money: whole minor units of a [`Currency`], never a float |
//! | [`Balance`] | the money on an account: a sum of amounts that cannot overflow |
//! | [`Transaction`] | money from one account to another, until it has arrived or is back |
//! | [`AccountRow`], [`StatementEntry`], [`TransactionRow`], [`TotalsRow`] | rows of the read models, each a fold of one aggregate's events |
//!
//! Everything here is pure: no async, no clock, no randomness, no I/O, no AWS. What a decision needs from outside arrives
//! inside the command.

/// The `source` of the bank's events on a bus, by which rules tell them from others'.
pub const EVENT_SOURCE: &str = "daybook";

mod account;
mod balance;
mod description;
mod money;
mod read_models;
mod transaction;

pub use account::{Account, AccountCommand, AccountEvent, Leg, Movement, Opened, Refusal, Rejection, Status};
pub use balance::{Balance, InvalidBalance};
pub use description::Description;
pub use money::{Amount, Currency, InvalidAmount, UnknownCurrency};
pub use read_models::{AccountRow, StatementEntry, TotalsRow, TransactionRow};
pub use transaction::{
    Initiated, Order, Outcome, Side, Transaction, TransactionCommand, TransactionEvent, TransactionRejection,
};
