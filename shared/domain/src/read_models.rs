//! The rows of the read models: what each becomes with one more event. Rules about money stay in `account.rs`; these only fold.

use aggregate::{Aggregate, AggregateId, Envelope, Row, Timestamp, Version};
use serde::{Deserialize, Serialize};

use crate::{Account, AccountEvent, Currency, Description, Initiated, Opened, Outcome, Transaction, TransactionEvent};

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
    /// Minor units in the account after the event.
    pub balance: i64,
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
            (Some(entry), _) => (entry.currency, entry.balance),
            (None, AccountEvent::AccountCreated { currency, .. }) => (*currency, 0),
            (None, _) => return None,
        };
        let amount = event.data.movement();
        Some(Self {
            account_id: event.aggregate_id,
            version: event.version,
            event_type: event.event_type.clone(),
            currency,
            amount,
            balance: balance.saturating_add(amount.unwrap_or(0)),
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
