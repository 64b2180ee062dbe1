//! What happens to an account, and how it is written down.

use aggregate::{AggregateId, Event, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Value, json};

use super::rejection::Refusal;
use crate::{Amount, Currency, Description};

/// What happened to an account. Events say what happened, never what the balance became.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// Another system found that it cannot bring its money in. The request that it made never will.
    DepositRefused {
        /// How much it would have been.
        amount: Amount,
        /// Why.
        reason: Refusal,
    },
    /// Money was taken out.
    MoneyWithdrawn {
        /// How much.
        amount: Amount,
        /// What the owner reads beside it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<Description>,
    },
    /// The account was ended.
    AccountClosed {},
    /// Movements of money were stopped.
    AccountFrozen {},
    /// Money may move again.
    AccountUnfrozen {},
    /// The balance may go so far below zero from now on.
    OverdraftLimitSet {
        /// How far, in minor units of the account's currency; 0: not at all.
        #[schemars(range(max = Amount::MINOR_UNITS_MAX))]
        #[serde(deserialize_with = "minor_units")]
        limit_minor: u64,
    },
    /// A transaction took money out, which is now in flight.
    AccountDebited(Leg),
    /// A transaction found that it cannot take its money out, and never will.
    DebitRefused {
        /// The transaction.
        transaction_id: AggregateId,
        /// Why.
        reason: Refusal,
    },
    /// A transaction brought money in.
    AccountCredited(Leg),
    /// A transaction found that it cannot bring its money in, and never will.
    CreditRefused {
        /// The transaction.
        transaction_id: AggregateId,
        /// Why.
        reason: Refusal,
    },
    /// What a transaction had taken out came back.
    AccountRefunded {
        /// The transaction.
        transaction_id: AggregateId,
        /// How much.
        amount: Amount,
    },
    /// What a transaction had taken out has arrived.
    DebitSettled {
        /// The transaction.
        transaction_id: AggregateId,
    },
}

/// Reads minor units that are within the limit of one amount, or none.
fn minor_units<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let minor = u64::deserialize(deserializer)?;
    if minor <= Amount::MINOR_UNITS_MAX { Ok(minor) } else { Err(D::Error::custom("over the limit of an amount")) }
}

/// One of the two sides of a transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Leg {
    /// The transaction.
    pub transaction_id: AggregateId,
    /// The account on its other side.
    pub counterparty: AggregateId,
    /// How much.
    pub amount: Amount,
    /// What both owners read beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
}

/// The money that an event moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Movement {
    /// Into the account.
    In(Amount),
    /// Out of the account.
    Out(Amount),
}

impl Movement {
    /// How much, whichever way.
    #[must_use]
    pub fn amount(self) -> Amount {
        let (Self::In(amount) | Self::Out(amount)) = self;
        amount
    }

    /// The change of the balance in minor units: negative where the money went out.
    #[must_use]
    pub fn minor(self) -> i64 {
        match self {
            Self::In(amount) => amount.minor(),
            Self::Out(amount) => -amount.minor(),
        }
    }
}

impl AccountEvent {
    /// The money that the event moved; `None` where it moved none.
    #[must_use]
    pub fn movement(&self) -> Option<Movement> {
        match self {
            Self::MoneyDeposited { amount, .. }
            | Self::AccountCredited(Leg { amount, .. })
            | Self::AccountRefunded { amount, .. } => Some(Movement::In(*amount)),
            Self::MoneyWithdrawn { amount, .. } | Self::AccountDebited(Leg { amount, .. }) => {
                Some(Movement::Out(*amount))
            }
            Self::AccountCreated { .. }
            | Self::DepositRefused { .. }
            | Self::AccountClosed {}
            | Self::AccountFrozen {}
            | Self::AccountUnfrozen {}
            | Self::OverdraftLimitSet { .. }
            | Self::DebitRefused { .. }
            | Self::CreditRefused { .. }
            | Self::DebitSettled { .. } => None,
        }
    }

    /// Whether an account that is opened, in this currency, can have the event next. No code has ever recorded another one.
    pub(crate) fn can_happen_in(&self, currency: Currency) -> bool {
        !matches!(self, Self::AccountCreated { .. })
            && self.movement().is_none_or(|movement| movement.amount().currency() == currency)
    }

    /// Whether another customer caused the event. Its metadata is then that customer's, and not for the account's owner to read.
    /// Every other event of an account is caused by its owner, by a system that its owner is a customer of, or by the bank.
    #[must_use]
    pub fn is_caused_by_counterparty(&self) -> bool {
        match self {
            Self::AccountCredited(_) | Self::CreditRefused { .. } => true,
            Self::AccountCreated { .. }
            | Self::MoneyDeposited { .. }
            | Self::DepositRefused { .. }
            | Self::MoneyWithdrawn { .. }
            | Self::AccountClosed {}
            | Self::AccountFrozen {}
            | Self::AccountUnfrozen {}
            | Self::OverdraftLimitSet { .. }
            | Self::AccountDebited(_)
            | Self::DebitRefused { .. }
            | Self::AccountRefunded { .. }
            | Self::DebitSettled { .. } => false,
        }
    }

    /// What a person wrote beside it.
    #[must_use]
    pub fn description(&self) -> Option<&Description> {
        match self {
            Self::MoneyDeposited { description, .. }
            | Self::MoneyWithdrawn { description, .. }
            | Self::AccountDebited(Leg { description, .. })
            | Self::AccountCredited(Leg { description, .. }) => description.as_ref(),
            Self::AccountCreated { .. }
            | Self::DepositRefused { .. }
            | Self::AccountClosed {}
            | Self::AccountFrozen {}
            | Self::AccountUnfrozen {}
            | Self::OverdraftLimitSet { .. }
            | Self::DebitRefused { .. }
            | Self::CreditRefused { .. }
            | Self::AccountRefunded { .. }
            | Self::DebitSettled { .. } => None,
        }
    }

    /// The transaction that it is a part of.
    #[must_use]
    pub fn transaction_id(&self) -> Option<AggregateId> {
        match self {
            Self::AccountDebited(Leg { transaction_id, .. })
            | Self::AccountCredited(Leg { transaction_id, .. })
            | Self::DebitRefused { transaction_id, .. }
            | Self::CreditRefused { transaction_id, .. }
            | Self::AccountRefunded { transaction_id, .. }
            | Self::DebitSettled { transaction_id } => Some(*transaction_id),
            Self::AccountCreated { .. }
            | Self::MoneyDeposited { .. }
            | Self::DepositRefused { .. }
            | Self::MoneyWithdrawn { .. }
            | Self::AccountClosed {}
            | Self::AccountFrozen {}
            | Self::AccountUnfrozen {}
            | Self::OverdraftLimitSet { .. } => None,
        }
    }

    /// Why the account did not do what was asked, if this says so.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::DebitRefused { reason, .. }
            | Self::CreditRefused { reason, .. }
            | Self::DepositRefused { reason, .. } => Some(*reason),
            Self::AccountCreated { .. }
            | Self::MoneyDeposited { .. }
            | Self::MoneyWithdrawn { .. }
            | Self::AccountClosed {}
            | Self::AccountFrozen {}
            | Self::AccountUnfrozen {}
            | Self::OverdraftLimitSet { .. }
            | Self::AccountDebited(_)
            | Self::AccountCredited(_)
            | Self::AccountRefunded { .. }
            | Self::DebitSettled { .. } => None,
        }
    }
}

impl Event for AccountEvent {
    const AGGREGATE_TYPE: &'static str = "Account";

    fn schema_version(event_type: &str) -> u32 {
        match event_type {
            "OverdraftLimitSet" => 2,
            _ => 1,
        }
    }

    fn upcast(event_type: &str, schema_version: u32, data: Value) -> Result<Value, String> {
        match (event_type, schema_version) {
            // Version 1 was `{"limit": {"minor", "currency"}}`, and `{}` for no limit at all.
            ("OverdraftLimitSet", 1) => {
                let limit = data.get("limit").unwrap_or(&Value::Null);
                let limit = Option::<Amount>::deserialize(limit).map_err(|_| "its limit is no amount".to_owned())?;
                Ok(json!({ "limit_minor": limit.map_or(0, Amount::minor) }))
            }
            _ => Ok(data),
        }
    }
}
