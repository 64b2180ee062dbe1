//! The rules of the bank. Start reading here; `account.rs` is the heart.
//!
//! | word | meaning |
//! |---|---|
//! | [`Account`] | money of one owner in one currency; an aggregate, so every change of it is an event |
//! | [`AccountCommand`] → [`AccountEvent`] | what may be asked (imperative) and what happened (past tense) |
//! | [`Rejection`] | the bank's "no", with what the caller needs to understand it |
//! | [`Amount`] | a positive sum of money: whole minor units of a [`Currency`], never a float |
//! | [`AccountRow`], [`StatementEntry`] | rows of the read models, each a fold of the account's events |
//!
//! Everything here is pure: no async, no clock, no randomness, no I/O, no AWS. What a decision needs from outside arrives
//! inside the command.

mod account;
mod description;
mod money;
mod read_models;

pub use account::{Account, AccountCommand, AccountEvent, Open, Rejection};
pub use description::{Description, InvalidDescription};
pub use money::{Amount, Currency, InvalidAmount, UnknownCurrency};
pub use read_models::{AccountRow, StatementEntry};
