//! The account: every rule about it is on this page.

use aggregate::{Aggregate, Event, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Amount, Currency, Description};

/// An account: nothing at all before its first event, then money of one owner in one currency.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum Account {
    /// No event yet.
    #[default]
    NotOpened,
    /// In use.
    Open(Open),
}

/// What is known of an account in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Open {
    /// Whose money it is.
    pub owner: UserId,
    /// The only currency it holds.
    pub currency: Currency,
    /// The money in it, in minor units.
    pub balance: i64,
    /// How far below zero the balance may go, in minor units.
    pub overdraft_limit: i64,
}

/// What may be asked of an account. `by` is who asks.
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
    /// Takes money out.
    WithdrawMoney {
        /// Who asks.
        by: UserId,
        /// How much.
        amount: Amount,
        /// What the owner reads beside it.
        description: Option<Description>,
    },
}

/// What happened to an account. Events say what happened, never what the balance became.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event_type", content = "data")]
pub enum AccountEvent {
    /// The account was opened.
    AccountCreated {
        /// Whose account it is.
        owner: UserId,
        /// The currency it holds.
        currency: Currency,
    },
    /// Money was put in.
    MoneyDeposited {
        /// How much.
        amount: Amount,
        /// What the owner reads beside it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<Description>,
    },
    /// Money was taken out.
    MoneyWithdrawn {
        /// How much.
        amount: Amount,
        /// What the owner reads beside it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<Description>,
    },
}

/// The bank's "no".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no such account, or it is another's: the two must look the same.
    #[error("there is no such account")]
    NoSuchAccount,
    /// An account is opened once.
    #[error("the account is open already")]
    AlreadyOpen,
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
        /// What could be taken out, in minor units.
        available: i64,
    },
    /// The account would hold more than [`Account::BALANCE_MINOR_UNITS_MAX`].
    #[error("the account would hold more than the bank keeps in one account")]
    BalanceTooLarge,
}

impl Account {
    /// The most that one account holds, in minor units: a JSON number of any language still holds it exactly (2^53 is more).
    pub const BALANCE_MINOR_UNITS_MAX: i64 = 1_000_000_000_000_000;

    /// The account if it is open and `user` owns it.
    fn owned_by(&self, user: &UserId) -> Result<&Open, Rejection> {
        match self {
            Self::Open(open) if open.owner == *user => Ok(open),
            Self::Open(_) | Self::NotOpened => Err(Rejection::NoSuchAccount),
        }
    }
}

impl Open {
    /// What may be taken out, in minor units: the balance and what the overdraft limit adds to it.
    #[must_use]
    pub fn available(&self) -> i64 {
        self.balance.saturating_add(self.overdraft_limit)
    }

    fn accepts(&self, amount: Amount) -> Result<(), Rejection> {
        if amount.currency() == self.currency {
            Ok(())
        } else {
            Err(Rejection::CurrencyMismatch { account: self.currency, given: amount.currency() })
        }
    }
}

impl Aggregate for Account {
    const TYPE: &'static str = "Account";
    const STATE_SCHEMA: u32 = 1;

    type Command = AccountCommand;
    type Event = AccountEvent;
    type Rejection = Rejection;

    fn handle(&self, command: &AccountCommand) -> Result<Vec<AccountEvent>, Rejection> {
        match command {
            AccountCommand::CreateAccount { owner, currency } => match self {
                Self::NotOpened => Ok(vec![AccountEvent::AccountCreated { owner: owner.clone(), currency: *currency }]),
                Self::Open(_) => Err(Rejection::AlreadyOpen),
            },
            AccountCommand::DepositMoney { by, amount, description } => {
                let account = self.owned_by(by)?;
                account.accepts(*amount)?;
                match account.balance.checked_add(amount.minor()) {
                    Some(balance) if balance <= Self::BALANCE_MINOR_UNITS_MAX => {
                        Ok(vec![AccountEvent::MoneyDeposited { amount: *amount, description: description.clone() }])
                    }
                    Some(_) | None => Err(Rejection::BalanceTooLarge),
                }
            }
            AccountCommand::WithdrawMoney { by, amount, description } => {
                let account = self.owned_by(by)?;
                account.accepts(*amount)?;
                let available = account.available();
                if amount.minor() > available {
                    return Err(Rejection::InsufficientFunds { currency: account.currency, available });
                }
                Ok(vec![AccountEvent::MoneyWithdrawn { amount: *amount, description: description.clone() }])
            }
        }
    }

    fn apply(&mut self, event: &AccountEvent) {
        match (&mut *self, event) {
            (Self::NotOpened, AccountEvent::AccountCreated { owner, currency }) => {
                *self = Self::Open(Open { owner: owner.clone(), currency: *currency, balance: 0, overdraft_limit: 0 });
            }
            (Self::Open(open), event) => {
                // `handle` has checked the sum against the limit; saturating keeps even a damaged history from wrapping.
                open.balance = open.balance.saturating_add(event.movement().map_or(0, |(_, minor)| minor));
            }
            // No history begins so. Replaying one must not panic, and the account stays unusable.
            (Self::NotOpened, AccountEvent::MoneyDeposited { .. } | AccountEvent::MoneyWithdrawn { .. }) => {}
        }
    }
}

impl AccountEvent {
    /// The money that the event moved, and its signed minor units: positive into the account, negative out of it.
    #[must_use]
    pub fn movement(&self) -> Option<(Amount, i64)> {
        match self {
            Self::AccountCreated { .. } => None,
            Self::MoneyDeposited { amount, .. } => Some((*amount, amount.minor())),
            Self::MoneyWithdrawn { amount, .. } => Some((*amount, -amount.minor())),
        }
    }

    /// What a person wrote beside it.
    #[must_use]
    pub fn description(&self) -> Option<&Description> {
        match self {
            Self::AccountCreated { .. } => None,
            Self::MoneyDeposited { description, .. } | Self::MoneyWithdrawn { description, .. } => description.as_ref(),
        }
    }
}

impl Event for AccountEvent {
    fn event_type(&self) -> &'static str {
        match self {
            Self::AccountCreated { .. } => "AccountCreated",
            Self::MoneyDeposited { .. } => "MoneyDeposited",
            Self::MoneyWithdrawn { .. } => "MoneyWithdrawn",
        }
    }

    fn schema_version(_event_type: &str) -> u32 {
        1
    }

    fn upcast(_event_type: &str, _schema_version: u32, data: Value) -> Result<Value, String> {
        Ok(data)
    }
}
