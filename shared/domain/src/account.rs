//! The account: every rule about it is on this page.

use std::collections::BTreeMap;

use aggregate::{Aggregate, AggregateId, Event, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Value, json};

use crate::{Amount, Currency, Description};

/// An account: nothing at all before its first event, then money of one owner in one currency.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum Account {
    /// No event yet.
    #[default]
    NotOpened,
    /// Opened once; perhaps frozen or closed since.
    Opened(Opened),
}

/// What is known of an account that was opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// Whose money it is.
    pub owner: UserId,
    /// The only currency it holds.
    pub currency: Currency,
    /// The money in it, in minor units.
    pub balance: i64,
    /// How far below zero the balance may go, in minor units.
    pub overdraft_limit: i64,
    /// Whether it may be used.
    pub status: Status,
    /// Money that transactions have taken out and not yet brought to its destination, in minor units by transaction.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub in_flight: BTreeMap<AggregateId, i64>,
}

/// Whether an account may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// In use.
    Open,
    /// No money goes in or out, but what was under way may come back.
    Frozen,
    /// For ever out of use, and empty.
    Closed,
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
    /// Puts money in that another system brings. A refusal is recorded too: a repetition must not be answered otherwise.
    ReceiveDeposit {
        /// Whose account it must be.
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
        /// The money in it, in minor units.
        balance: i64,
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
        /// The money in it, in minor units, below zero.
        balance: i64,
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
    /// It would hold too much.
    BalanceTooLarge,
    /// It is closed.
    Closed,
    /// It is frozen.
    Frozen,
    /// Too many of its transactions are under way.
    TooManyInFlight,
}

impl Account {
    /// The most that one account holds, in minor units: a JSON number of any language still holds it exactly (2^53 is more).
    pub const BALANCE_MINOR_UNITS_MAX: i64 = 1_000_000_000_000_000;

    /// Transactions of one account that may be under way at once: they are part of its state, which must stay small.
    pub const IN_FLIGHT_MAX: usize = 50;

    fn opened(&self) -> Result<&Opened, Rejection> {
        match self {
            Self::Opened(opened) => Ok(opened),
            Self::NotOpened => Err(Rejection::NoSuchAccount),
        }
    }

    /// The account if it was opened and `user` owns it.
    ///
    /// # Errors
    /// [`Rejection::NoSuchAccount`].
    pub fn owned_by(&self, user: &UserId) -> Result<&Opened, Rejection> {
        self.opened().and_then(|opened| if opened.owner == *user { Ok(opened) } else { Err(Rejection::NoSuchAccount) })
    }
}

impl Opened {
    /// What may be taken out, in minor units: the balance and what the overdraft limit adds to it.
    #[must_use]
    pub fn available(&self) -> i64 {
        self.balance.saturating_add(self.overdraft_limit)
    }

    /// Whether `amount` is money of the account's currency.
    ///
    /// # Errors
    /// [`Rejection::CurrencyMismatch`].
    pub fn holds(&self, amount: Amount) -> Result<(), Rejection> {
        if amount.currency() == self.currency {
            Ok(())
        } else {
            Err(Rejection::CurrencyMismatch { account: self.currency, given: amount.currency() })
        }
    }

    fn is_open(&self) -> Result<(), Rejection> {
        match self.status {
            Status::Open => Ok(()),
            Status::Frozen => Err(Rejection::Frozen),
            Status::Closed => Err(Rejection::Closed),
        }
    }

    fn takes_in(&self, amount: Amount) -> Result<(), Rejection> {
        self.is_open()?;
        self.holds(amount)?;
        // What is in flight may come back and must find room.
        let in_flight = self.in_flight.values().fold(0, |sum: i64, minor| sum.saturating_add(*minor));
        match self.balance.saturating_add(in_flight).checked_add(amount.minor()) {
            Some(balance) if balance <= Account::BALANCE_MINOR_UNITS_MAX => Ok(()),
            Some(_) | None => Err(Rejection::BalanceTooLarge),
        }
    }

    fn receive(&self, amount: Amount, description: Option<&Description>) -> Vec<AccountEvent> {
        vec![match self.takes_in(amount) {
            Ok(()) => AccountEvent::MoneyDeposited { amount, description: description.cloned() },
            Err(rejection) => AccountEvent::DepositRefused { amount, reason: rejection.into() },
        }]
    }

    fn gives_out(&self, amount: Amount) -> Result<(), Rejection> {
        self.is_open()?;
        self.holds(amount)?;
        let available = self.available();
        if amount.minor() > available {
            return Err(Rejection::InsufficientFunds { currency: self.currency, available });
        }
        Ok(())
    }

    fn close(&self) -> Result<Vec<AccountEvent>, Rejection> {
        self.is_open()?;
        if self.balance != 0 {
            return Err(Rejection::NotEmpty { currency: self.currency, balance: self.balance });
        }
        if !self.in_flight.is_empty() {
            return Err(Rejection::InFlight { transactions: self.in_flight.len() });
        }
        Ok(vec![AccountEvent::AccountClosed {}])
    }

    fn set_overdraft_limit(&self, limit: Option<Amount>) -> Result<Vec<AccountEvent>, Rejection> {
        if self.status == Status::Closed {
            return Err(Rejection::Closed);
        }
        limit.map_or(Ok(()), |limit| self.holds(limit))?;
        let minor = limit.map_or(0, Amount::minor);
        if minor == self.overdraft_limit {
            return Ok(vec![]);
        }
        if self.balance.saturating_add(minor) < 0 {
            return Err(Rejection::OverdraftInUse { currency: self.currency, balance: self.balance });
        }
        Ok(vec![AccountEvent::OverdraftLimitSet { limit_minor: minor.cast_unsigned() }])
    }

    fn debit(&self, leg: &Leg) -> Vec<AccountEvent> {
        if self.in_flight.contains_key(&leg.transaction_id) {
            return vec![];
        }
        let refusal = match self.gives_out(leg.amount) {
            Ok(()) if self.in_flight.len() >= Account::IN_FLIGHT_MAX => Refusal::TooManyInFlight,
            Ok(()) => return vec![AccountEvent::AccountDebited(leg.clone())],
            Err(rejection) => rejection.into(),
        };
        vec![AccountEvent::DebitRefused { transaction_id: leg.transaction_id, reason: refusal }]
    }

    fn credit(&self, leg: &Leg) -> Vec<AccountEvent> {
        vec![match self.takes_in(leg.amount) {
            Ok(()) => AccountEvent::AccountCredited(leg.clone()),
            Err(rejection) => {
                AccountEvent::CreditRefused { transaction_id: leg.transaction_id, reason: rejection.into() }
            }
        }]
    }

    fn refund(&self, transaction_id: AggregateId) -> Vec<AccountEvent> {
        let in_flight = self.in_flight.get(&transaction_id).and_then(|minor| u64::try_from(*minor).ok());
        let amount = in_flight.and_then(|minor| Amount::from_minor(minor, self.currency).ok());
        amount.map(|amount| AccountEvent::AccountRefunded { transaction_id, amount }).into_iter().collect()
    }

    fn settle(&self, transaction_id: AggregateId) -> Vec<AccountEvent> {
        let in_flight = self.in_flight.contains_key(&transaction_id);
        in_flight.then_some(AccountEvent::DebitSettled { transaction_id }).into_iter().collect()
    }

    /// Turns the status if it is `from`; a repetition changes nothing.
    fn turn(&self, from: Status, event: AccountEvent) -> Result<Vec<AccountEvent>, Rejection> {
        match self.status {
            Status::Closed => Err(Rejection::Closed),
            status if status == from => Ok(vec![event]),
            Status::Open | Status::Frozen => Ok(vec![]),
        }
    }
}

impl Aggregate for Account {
    const STATE_SCHEMA: u32 = 2;

    type Command = AccountCommand;
    type Event = AccountEvent;
    type Rejection = Rejection;

    fn handle(&self, command: &AccountCommand) -> Result<Vec<AccountEvent>, Rejection> {
        match command {
            AccountCommand::CreateAccount { owner, currency } => match self {
                Self::NotOpened => Ok(vec![AccountEvent::AccountCreated { owner: owner.clone(), currency: *currency }]),
                Self::Opened(_) => Err(Rejection::AlreadyOpen),
            },
            AccountCommand::DepositMoney { by, amount, description } => {
                self.owned_by(by)?.takes_in(*amount)?;
                Ok(vec![AccountEvent::MoneyDeposited { amount: *amount, description: description.clone() }])
            }
            AccountCommand::ReceiveDeposit { by, amount, description } => {
                Ok(self.owned_by(by)?.receive(*amount, description.as_ref()))
            }
            AccountCommand::WithdrawMoney { by, amount, description } => {
                self.owned_by(by)?.gives_out(*amount)?;
                Ok(vec![AccountEvent::MoneyWithdrawn { amount: *amount, description: description.clone() }])
            }
            AccountCommand::CloseAccount { by } => self.owned_by(by)?.close(),
            AccountCommand::FreezeAccount => self.opened()?.turn(Status::Open, AccountEvent::AccountFrozen {}),
            AccountCommand::UnfreezeAccount => self.opened()?.turn(Status::Frozen, AccountEvent::AccountUnfrozen {}),
            AccountCommand::SetOverdraftLimit { limit } => self.opened()?.set_overdraft_limit(*limit),
            AccountCommand::DebitAccount(leg) => Ok(self.opened()?.debit(leg)),
            AccountCommand::CreditAccount(leg) => Ok(self.opened()?.credit(leg)),
            AccountCommand::RefundAccount { transaction_id } => Ok(self.opened()?.refund(*transaction_id)),
            AccountCommand::SettleDebit { transaction_id } => Ok(self.opened()?.settle(*transaction_id)),
        }
    }

    fn apply(&mut self, event: &AccountEvent) {
        if let AccountEvent::AccountCreated { owner, currency } = event {
            let (owner, currency, in_flight) = (owner.clone(), *currency, BTreeMap::new());
            let status = Status::Open;
            *self = Self::Opened(Opened { owner, currency, balance: 0, overdraft_limit: 0, status, in_flight });
        }
        // No history begins with another event. Replaying one must not panic, and the account stays unusable.
        let Self::Opened(account) = self else { return };
        // `handle` has checked the sum against the limit; saturating keeps even a damaged history from wrapping.
        account.balance = account.balance.saturating_add(event.movement().unwrap_or(0));
        match event {
            AccountEvent::AccountClosed {} => account.status = Status::Closed,
            AccountEvent::AccountFrozen {} => account.status = Status::Frozen,
            AccountEvent::AccountUnfrozen {} => account.status = Status::Open,
            AccountEvent::OverdraftLimitSet { limit_minor } => account.overdraft_limit = limit_minor.cast_signed(),
            AccountEvent::AccountDebited(leg) => {
                account.in_flight.insert(leg.transaction_id, leg.amount.minor());
            }
            AccountEvent::AccountRefunded { transaction_id, .. } | AccountEvent::DebitSettled { transaction_id } => {
                account.in_flight.remove(transaction_id);
            }
            AccountEvent::AccountCreated { .. }
            | AccountEvent::MoneyDeposited { .. }
            | AccountEvent::DepositRefused { .. }
            | AccountEvent::MoneyWithdrawn { .. }
            | AccountEvent::AccountCredited(_)
            | AccountEvent::DebitRefused { .. }
            | AccountEvent::CreditRefused { .. } => {}
        }
    }
}

impl AccountEvent {
    /// What the event changed the balance by, in minor units: positive into the account, negative out of it; `None` where it
    /// moved no money.
    #[must_use]
    pub fn movement(&self) -> Option<i64> {
        match self {
            Self::MoneyDeposited { amount, .. }
            | Self::AccountCredited(Leg { amount, .. })
            | Self::AccountRefunded { amount, .. } => Some(amount.minor()),
            Self::MoneyWithdrawn { amount, .. } | Self::AccountDebited(Leg { amount, .. }) => Some(-amount.minor()),
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

    /// What a person wrote beside it.
    #[must_use]
    pub fn description(&self) -> Option<&Description> {
        match self {
            Self::MoneyDeposited { description, .. }
            | Self::MoneyWithdrawn { description, .. }
            | Self::AccountDebited(Leg { description, .. })
            | Self::AccountCredited(Leg { description, .. }) => description.as_ref(),
            _ => None,
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
            _ => None,
        }
    }

    /// Why the account did not do what was asked, if this says so.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::DebitRefused { reason, .. }
            | Self::CreditRefused { reason, .. }
            | Self::DepositRefused { reason, .. } => Some(*reason),
            _ => None,
        }
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::CurrencyMismatch { .. } => Self::CurrencyMismatch,
            Rejection::InsufficientFunds { .. } | Rejection::OverdraftInUse { .. } => Self::InsufficientFunds,
            Rejection::BalanceTooLarge => Self::BalanceTooLarge,
            Rejection::Frozen => Self::Frozen,
            Rejection::Closed | Rejection::NotEmpty { .. } => Self::Closed,
            Rejection::InFlight { .. } => Self::TooManyInFlight,
            Rejection::NoSuchAccount | Rejection::AlreadyOpen => Self::NoSuchAccount,
        }
    }
}

impl Event for AccountEvent {
    const AGGREGATE_TYPE: &'static str = "Account";

    fn event_type(&self) -> &'static str {
        match self {
            Self::AccountCreated { .. } => "AccountCreated",
            Self::MoneyDeposited { .. } => "MoneyDeposited",
            Self::DepositRefused { .. } => "DepositRefused",
            Self::MoneyWithdrawn { .. } => "MoneyWithdrawn",
            Self::AccountClosed {} => "AccountClosed",
            Self::AccountFrozen {} => "AccountFrozen",
            Self::AccountUnfrozen {} => "AccountUnfrozen",
            Self::OverdraftLimitSet { .. } => "OverdraftLimitSet",
            Self::AccountDebited(_) => "AccountDebited",
            Self::DebitRefused { .. } => "DebitRefused",
            Self::AccountCredited(_) => "AccountCredited",
            Self::CreditRefused { .. } => "CreditRefused",
            Self::AccountRefunded { .. } => "AccountRefunded",
            Self::DebitSettled { .. } => "DebitSettled",
        }
    }

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
