//! Why an account does not do what it is asked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Balance, Currency};

/// The bank's "no".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no such account, or it is another's: the two must look the same.
    #[error("there is no such account")]
    NoSuchAccount,
    /// An account is opened once.
    #[error("the account is open already")]
    AlreadyOpen,
    /// No account is opened in a currency that is withdrawn or that nobody pays with.
    #[error("{0:?} is not a currency that accounts are opened in")]
    NotCurrent(Currency),
    /// The money is of another currency than the account.
    #[error("the account holds {account:?}, not {given:?}")]
    CurrencyMismatch {
        /// What the account holds.
        account: Currency,
        /// What the command named.
        given: Currency,
    },
    /// The account does not hold that much.
    #[error("the account has too little money")]
    InsufficientFunds {
        /// The account's currency.
        currency: Currency,
        /// What could be taken out.
        available: Balance,
    },
    /// A closed account stays as it is.
    #[error("the account is closed")]
    Closed,
    /// A frozen account stays as it is.
    #[error("the account is frozen")]
    Frozen,
    /// Only an empty account can be closed.
    #[error("the account is not empty")]
    NotEmpty {
        /// The account's currency.
        currency: Currency,
        /// The money in it.
        balance: Balance,
    },
    /// Money of the account is on its way.
    #[error("{transactions} transactions of the account are under way")]
    InFlight {
        /// How many transactions.
        transactions: usize,
    },
    /// The account owes more than the new limit.
    #[error("the account is further below zero than the new limit")]
    OverdraftInUse {
        /// The account's currency.
        currency: Currency,
        /// The money in it, below zero.
        balance: Balance,
    },
}

/// Why an account does not do what a transaction or another system asks, as recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// There is no such account.
    NoSuchAccount,
    /// It holds another currency.
    CurrencyMismatch,
    /// It has too little money.
    InsufficientFunds,
    /// It would hold too much. Nothing is refused for this any more, but what was recorded stays readable.
    BalanceTooLarge,
    /// It is closed.
    Closed,
    /// It is frozen.
    Frozen,
    /// Too many of its transactions are under way.
    TooManyInFlight,
}

/// Why an account does not move money. It is a type of its own so that [`Refusal`], which is recorded for ever, is made from these
/// reasons and from no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MovementRefused {
    /// The money is of another currency than the account.
    CurrencyMismatch {
        /// The account's currency.
        account: Currency,
        /// The currency of the money.
        given: Currency,
    },
    /// The account does not hold that much.
    InsufficientFunds {
        /// The account's currency.
        currency: Currency,
        /// What can be taken out.
        available: Balance,
    },
    /// The account is closed.
    Closed,
    /// The account is frozen.
    Frozen,
}

impl From<MovementRefused> for Rejection {
    fn from(refused: MovementRefused) -> Self {
        match refused {
            MovementRefused::CurrencyMismatch { account, given } => Self::CurrencyMismatch { account, given },
            MovementRefused::InsufficientFunds { currency, available } => {
                Self::InsufficientFunds { currency, available }
            }
            MovementRefused::Closed => Self::Closed,
            MovementRefused::Frozen => Self::Frozen,
        }
    }
}

impl From<MovementRefused> for Refusal {
    fn from(refused: MovementRefused) -> Self {
        match refused {
            MovementRefused::CurrencyMismatch { .. } => Self::CurrencyMismatch,
            MovementRefused::InsufficientFunds { .. } => Self::InsufficientFunds,
            MovementRefused::Closed => Self::Closed,
            MovementRefused::Frozen => Self::Frozen,
        }
    }
}
