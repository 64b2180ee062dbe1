//! The account: every rule about it is on this page. Its commands, events and refusals are beside it in `account/`.

mod command;
mod event;
mod rejection;

use std::collections::BTreeMap;

use aggregate::{Aggregate, AggregateId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use command::AccountCommand;
pub use event::{AccountEvent, Leg, Movement};
pub(crate) use rejection::MovementRefused;
pub use rejection::{Refusal, Rejection};

use crate::{Amount, Balance, Currency, Description};

/// An account: nothing at all before its first event, then money of one owner in one currency.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum Account {
    /// No event yet.
    #[default]
    NotOpened,
    /// Opened once; perhaps frozen or closed since.
    Opened(Opened),
    /// A history that no code of ours has recorded: its balance would be plausible, and wrong.
    Damaged,
}

/// What is known of an account that was opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// Whose money it is.
    pub owner: UserId,
    /// The only currency it holds.
    pub currency: Currency,
    /// The money in it.
    pub balance: Balance,
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

impl Account {
    /// Transactions of one account that may be under way at once: they are part of its state, which must stay small.
    pub const IN_FLIGHT_MAX: usize = 50;

    fn opened(&self) -> Result<&Opened, Rejection> {
        match self {
            Self::Opened(opened) => Ok(opened),
            Self::NotOpened | Self::Damaged => Err(Rejection::NoSuchAccount),
        }
    }

    /// The account if it was opened and `user` owns it.
    ///
    /// # Errors
    /// [`Rejection::NoSuchAccount`].
    pub fn owned_by(&self, user: &UserId) -> Result<&Opened, Rejection> {
        self.opened().and_then(|opened| if opened.owner == *user { Ok(opened) } else { Err(Rejection::NoSuchAccount) })
    }

    /// Refuses money that the account cannot receive.
    pub(crate) fn ensure_can_receive(&self, amount: Amount) -> Result<(), Refusal> {
        match self {
            Self::Opened(opened) => opened.ensure_can_receive(amount).map_err(Refusal::from),
            Self::NotOpened | Self::Damaged => Err(Refusal::NoSuchAccount),
        }
    }
}

impl Opened {
    /// What may be taken out: the balance and what the overdraft limit adds to it.
    #[must_use]
    pub fn available(&self) -> Balance {
        self.balance.plus(self.overdraft_limit)
    }

    /// Refuses money of another currency than the account's.
    pub(crate) fn ensure_currency(&self, amount: Amount) -> Result<(), MovementRefused> {
        if amount.currency() == self.currency {
            Ok(())
        } else {
            Err(MovementRefused::CurrencyMismatch { account: self.currency, given: amount.currency() })
        }
    }

    fn ensure_open(&self) -> Result<(), MovementRefused> {
        match self.status {
            Status::Open => Ok(()),
            Status::Frozen => Err(MovementRefused::Frozen),
            Status::Closed => Err(MovementRefused::Closed),
        }
    }

    fn ensure_can_receive(&self, amount: Amount) -> Result<(), MovementRefused> {
        // Not a word about the balance: whoever pays could learn it from the answer.
        self.ensure_open()?;
        self.ensure_currency(amount)
    }

    fn receive(&self, amount: Amount, description: Option<&Description>) -> Vec<AccountEvent> {
        vec![match self.ensure_can_receive(amount) {
            Ok(()) => AccountEvent::MoneyDeposited { amount, description: description.cloned() },
            Err(refused) => AccountEvent::DepositRefused { amount, reason: refused.into() },
        }]
    }

    fn ensure_can_pay(&self, amount: Amount) -> Result<(), MovementRefused> {
        self.ensure_open()?;
        self.ensure_currency(amount)?;
        let available = self.available();
        if Balance::from(amount.minor()) > available {
            return Err(MovementRefused::InsufficientFunds { currency: self.currency, available });
        }
        Ok(())
    }

    fn close(&self) -> Result<Vec<AccountEvent>, Rejection> {
        self.ensure_open()?;
        if self.balance != Balance::ZERO {
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
        limit.map_or(Ok(()), |limit| self.ensure_currency(limit))?;
        let minor = limit.map_or(0, Amount::minor);
        if minor == self.overdraft_limit {
            return Ok(vec![]);
        }
        if self.balance.plus(minor) < Balance::ZERO {
            return Err(Rejection::OverdraftInUse { currency: self.currency, balance: self.balance });
        }
        Ok(vec![AccountEvent::OverdraftLimitSet { limit_minor: minor.cast_unsigned() }])
    }

    fn debit(&self, leg: &Leg) -> Vec<AccountEvent> {
        if self.in_flight.contains_key(&leg.transaction_id) {
            return vec![];
        }
        let refusal = match self.ensure_can_pay(leg.amount) {
            Ok(()) if self.in_flight.len() >= Account::IN_FLIGHT_MAX => Refusal::TooManyInFlight,
            Ok(()) => return vec![AccountEvent::AccountDebited(leg.clone())],
            Err(refused) => refused.into(),
        };
        vec![AccountEvent::DebitRefused { transaction_id: leg.transaction_id, reason: refusal }]
    }

    fn credit(&self, leg: &Leg) -> Vec<AccountEvent> {
        vec![match self.ensure_can_receive(leg.amount) {
            Ok(()) => AccountEvent::AccountCredited(leg.clone()),
            Err(refused) => AccountEvent::CreditRefused { transaction_id: leg.transaction_id, reason: refused.into() },
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
    const STATE_SCHEMA: u32 = 3;

    type Command = AccountCommand;
    type Event = AccountEvent;
    type Rejection = Rejection;

    fn handle(&self, command: &AccountCommand) -> Result<Vec<AccountEvent>, Rejection> {
        match command {
            AccountCommand::CreateAccount { owner, currency } => match self {
                Self::NotOpened if !currency.is_current() => Err(Rejection::NotCurrent(*currency)),
                Self::NotOpened => Ok(vec![AccountEvent::AccountCreated { owner: owner.clone(), currency: *currency }]),
                Self::Opened(_) | Self::Damaged => Err(Rejection::AlreadyOpen),
            },
            AccountCommand::DepositMoney { by, amount, description } => {
                self.owned_by(by)?.ensure_can_receive(*amount)?;
                Ok(vec![AccountEvent::MoneyDeposited { amount: *amount, description: description.clone() }])
            }
            AccountCommand::ReceiveDeposit { owner, amount, description } => {
                Ok(self.owned_by(owner)?.receive(*amount, description.as_ref()))
            }
            AccountCommand::WithdrawMoney { by, amount, description } => {
                self.owned_by(by)?.ensure_can_pay(*amount)?;
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
        match (&mut *self, event) {
            (Self::NotOpened, AccountEvent::AccountCreated { owner, currency }) => {
                *self = Self::Opened(Opened::new(owner.clone(), *currency));
            }
            (Self::Opened(account), event) if event.can_happen_in(account.currency) => account.apply(event),
            // Replaying such a history must neither panic nor come to a balance.
            (Self::NotOpened | Self::Opened(_) | Self::Damaged, _) => *self = Self::Damaged,
        }
    }

    fn damage(&self) -> Option<&'static str> {
        matches!(self, Self::Damaged).then_some("an account is opened once, first, and holds one currency")
    }
}

impl Opened {
    fn new(owner: UserId, currency: Currency) -> Self {
        let (balance, overdraft_limit, status) = (Balance::ZERO, 0, Status::Open);
        Self { owner, currency, balance, overdraft_limit, status, in_flight: BTreeMap::new() }
    }

    fn apply(&mut self, event: &AccountEvent) {
        self.balance = self.balance.plus(event.movement().map_or(0, Movement::minor));
        match event {
            AccountEvent::AccountClosed {} => self.status = Status::Closed,
            AccountEvent::AccountFrozen {} => self.status = Status::Frozen,
            AccountEvent::AccountUnfrozen {} => self.status = Status::Open,
            AccountEvent::OverdraftLimitSet { limit_minor } => self.overdraft_limit = limit_minor.cast_signed(),
            AccountEvent::AccountDebited(leg) => {
                self.in_flight.insert(leg.transaction_id, leg.amount.minor());
            }
            AccountEvent::AccountRefunded { transaction_id, .. } | AccountEvent::DebitSettled { transaction_id } => {
                self.in_flight.remove(transaction_id);
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
