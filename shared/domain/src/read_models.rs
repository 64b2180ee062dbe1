//! The rows of the read models: what each becomes with one more event. Rules about money stay in `account.rs`; these only fold.

use aggregate::{Addition, Aggregate, AggregateId, Envelope, Row, Tally, Timestamp, Version};
use serde::{Deserialize, Serialize};

use crate::{
    Account, AccountEvent, Balance, Currency, Description, Initiated, Leg, Movement, Opened, Outcome, Transaction,
    TransactionEvent,
};

/// An account as it stands: one row an account, replaced with every event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountRow {
    /// The account.
    pub account_id: AggregateId,
    /// Everything that the account itself knows.
    #[serde(flatten)]
    pub account: Opened,
    /// The version that the row shows.
    pub version: Version,
    /// When the account was opened.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Row for AccountRow {
    type Event = AccountEvent;

    fn version(&self) -> Version {
        self.version
    }

    fn next(previous: Option<&Self>, event: &Envelope<AccountEvent>) -> Option<Self> {
        let mut account = previous.map_or(Account::NotOpened, |row| Account::Opened(row.account.clone()));
        account.apply(&event.data);
        let Account::Opened(account) = account else { return None };
        Some(Self {
            account_id: event.aggregate_id,
            account,
            version: event.version,
            created_at: previous.map_or(event.created_at, |row| row.created_at),
            updated_at: event.created_at,
        })
    }
}

/// One event of an account with the balance after it: one row an event, never changed. Rows of events that moved no money
/// carry the balance along and are not shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatementEntry {
    /// The account.
    pub account_id: AggregateId,
    /// The event's version.
    pub version: Version,
    /// The event's type.
    pub event_type: String,
    /// The account's currency.
    pub currency: Currency,
    /// Signed minor units that the event moved: negative out of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// The money in the account after the event.
    pub balance: Balance,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// What a person wrote beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// The transaction that it is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<AggregateId>,
}

impl Row for StatementEntry {
    type Event = AccountEvent;

    fn version(&self) -> Version {
        self.version
    }

    fn next(previous: Option<&Self>, event: &Envelope<AccountEvent>) -> Option<Self> {
        let (currency, balance) = match (previous, &event.data) {
            (Some(entry), event) if event.can_happen_in(entry.currency) => (entry.currency, entry.balance),
            (None, AccountEvent::AccountCreated { currency, .. }) => (*currency, Balance::ZERO),
            (Some(_) | None, _) => return None,
        };
        let amount = event.data.movement().map(Movement::minor);
        Some(Self {
            account_id: event.aggregate_id,
            version: event.version,
            event_type: event.event_type.clone(),
            currency,
            amount,
            balance: balance.plus(amount.unwrap_or(0)),
            occurred_at: event.created_at,
            description: event.data.description().cloned(),
            transaction_id: event.data.transaction_id(),
        })
    }
}

/// A transaction as it stands: one row a transaction, replaced with every event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransactionRow {
    /// The transaction.
    pub transaction_id: AggregateId,
    /// Everything that the transaction itself knows.
    #[serde(flatten)]
    pub transaction: Initiated,
    /// The same id while the transaction is under way, and nothing afterwards: the key of the index that the sweep looks at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under_way: Option<AggregateId>,
    /// The version that the row shows.
    pub version: Version,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Row for TransactionRow {
    type Event = TransactionEvent;

    fn version(&self) -> Version {
        self.version
    }

    fn next(previous: Option<&Self>, event: &Envelope<TransactionEvent>) -> Option<Self> {
        let mut transaction =
            previous.map_or(Transaction::NotInitiated, |row| Transaction::Initiated(row.transaction.clone()));
        transaction.apply(&event.data);
        let Transaction::Initiated(transaction) = transaction else { return None };
        Some(Self {
            transaction_id: event.aggregate_id,
            under_way: (transaction.outcome == Outcome::Initiated).then_some(event.aggregate_id),
            transaction,
            version: event.version,
            created_at: previous.map_or(event.created_at, |row| row.created_at),
            updated_at: event.created_at,
        })
    }
}

/// What one event of an account adds to the bank's totals: one row an account, replaced with every event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TotalsRow {
    /// The account.
    pub account_id: AggregateId,
    /// The version up to which the account is in the totals.
    pub version: Version,
    /// The account's currency.
    pub currency: Currency,
    /// 1 where the event opened the account, -1 where it closed it.
    pub opened: i64,
    /// Minor units that the event brought into the bank's keeping on this account; negative: took out.
    pub held: i64,
    /// Minor units that the event moved: a transaction counts when its money arrives, and not at all when it fails.
    pub moved: i64,
    /// When it did.
    pub occurred_at: Timestamp,
}

impl TotalsRow {
    /// The group of the counters of what is now: [`Self::ACCOUNTS_OPEN`] and [`Self::MONEY_HELD`] by currency.
    pub const NOW: &str = "now";
    /// Accounts that were opened and not closed.
    pub const ACCOUNTS_OPEN: &str = "accounts_open";
    /// Minor units on all accounts. What a transaction under way has taken out is on none.
    pub const MONEY_HELD: &str = "money_held";
    /// Minor units that were moved on one day in UTC, whose group has the day's name.
    pub const MONEY_MOVED: &str = "money_moved";
}

impl Row for TotalsRow {
    type Event = AccountEvent;

    fn version(&self) -> Version {
        self.version
    }

    fn next(previous: Option<&Self>, event: &Envelope<AccountEvent>) -> Option<Self> {
        let currency = match (&event.data, previous) {
            (AccountEvent::AccountCreated { currency, .. }, None) => *currency,
            (event, Some(row)) if event.can_happen_in(row.currency) => row.currency,
            (_, Some(_) | None) => return None,
        };
        let opened = match &event.data {
            AccountEvent::AccountCreated { .. } => 1,
            AccountEvent::AccountClosed {} => -1,
            AccountEvent::MoneyDeposited { .. }
            | AccountEvent::DepositRefused { .. }
            | AccountEvent::MoneyWithdrawn { .. }
            | AccountEvent::AccountFrozen {}
            | AccountEvent::AccountUnfrozen {}
            | AccountEvent::OverdraftLimitSet { .. }
            | AccountEvent::AccountDebited(_)
            | AccountEvent::DebitRefused { .. }
            | AccountEvent::AccountCredited(_)
            | AccountEvent::CreditRefused { .. }
            | AccountEvent::AccountRefunded { .. }
            | AccountEvent::DebitSettled { .. } => 0,
        };
        let moved = match &event.data {
            AccountEvent::MoneyDeposited { amount, .. }
            | AccountEvent::MoneyWithdrawn { amount, .. }
            | AccountEvent::AccountCredited(Leg { amount, .. }) => amount.minor(),
            AccountEvent::AccountCreated { .. }
            | AccountEvent::DepositRefused { .. }
            | AccountEvent::AccountClosed {}
            | AccountEvent::AccountFrozen {}
            | AccountEvent::AccountUnfrozen {}
            | AccountEvent::OverdraftLimitSet { .. }
            | AccountEvent::AccountDebited(_)
            | AccountEvent::DebitRefused { .. }
            | AccountEvent::CreditRefused { .. }
            | AccountEvent::AccountRefunded { .. }
            | AccountEvent::DebitSettled { .. } => 0,
        };
        Some(Self {
            account_id: event.aggregate_id,
            version: event.version,
            currency,
            opened,
            held: event.data.movement().map_or(0, Movement::minor),
            moved,
            occurred_at: event.created_at,
        })
    }
}

impl Tally for TotalsRow {
    fn aggregate_id(&self) -> AggregateId {
        self.account_id
    }

    fn additions(&self) -> Vec<Addition> {
        let of = self.currency.code().to_owned();
        let day = self.occurred_at.day();
        let all = [
            (Self::NOW, Self::ACCOUNTS_OPEN, self.opened),
            (Self::NOW, Self::MONEY_HELD, self.held),
            (day.as_str(), Self::MONEY_MOVED, self.moved),
        ];
        let counted = all.into_iter().filter(|(_, _, amount)| *amount != 0);
        counted
            .map(|(group, counter, amount)| Addition { group: group.to_owned(), of: of.clone(), counter, amount })
            .collect()
    }
}
