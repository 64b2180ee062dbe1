//! What may be asked of an account.

use aggregate::{AggregateId, UserId};
use serde::Serialize;

use super::event::Leg;
use crate::{Amount, Currency, Description};

/// What may be asked of an account. `by` is who asks. The form in which a command is written down is for ever
/// ([`aggregate::Aggregate::Command`]).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum AccountCommand {
    /// Opens the account for `owner`, who is also who asks.
    CreateAccount {
        /// Whose account it will be.
        owner: UserId,
        /// The currency it will hold, for ever.
        currency: Currency,
    },
    /// Puts money in.
    DepositMoney {
        /// Who asks.
        by: UserId,
        /// How much.
        amount: Amount,
        /// What the owner reads beside it.
        description: Option<Description>,
    },
    /// Puts money in that another system brings. A refusal is recorded too: a repetition must not be answered otherwise.
    ReceiveDeposit {
        /// Whose account it must be.
        #[serde(rename = "by")]
        owner: UserId,
        /// How much.
        amount: Amount,
        /// What the owner reads beside it.
        description: Option<Description>,
    },
    /// Takes money out.
    WithdrawMoney {
        /// Who asks.
        by: UserId,
        /// How much.
        amount: Amount,
        /// What the owner reads beside it.
        description: Option<Description>,
    },
    /// Ends the account, which must be empty.
    CloseAccount {
        /// Who asks.
        by: UserId,
    },
    /// Stops all movements of money. For administrators, whom the edge knows.
    FreezeAccount,
    /// Lets money move again. For administrators.
    UnfreezeAccount,
    /// Says how far below zero the balance may go. For administrators.
    SetOverdraftLimit {
        /// How far; `None`: not at all.
        limit: Option<Amount>,
    },
    /// Takes a transaction's money out. A refusal is recorded too: a repetition must not be answered otherwise.
    DebitAccount(Leg),
    /// Brings a transaction's money in. A refusal is recorded too.
    CreditAccount(Leg),
    /// Brings back the money that a transaction took out, whatever the account's status.
    RefundAccount {
        /// The transaction.
        transaction_id: AggregateId,
    },
    /// The money that a transaction took out has arrived.
    SettleDebit {
        /// The transaction.
        transaction_id: AggregateId,
    },
}
