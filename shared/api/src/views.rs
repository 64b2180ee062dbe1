//! What answers look like: read-model rows with money as decimal text.

use aggregate::{AggregateId, Timestamp, UserId, Version};
use domain::{AccountRow, Currency, Description, StatementEntry};
use serde::Serialize;

use crate::{Problem, cursor};

/// The answer to a command.
#[derive(Debug, Serialize)]
pub struct Changed {
    /// The aggregate.
    pub id: AggregateId,
    /// Its version after the command.
    pub version: Version,
}

/// An account.
#[derive(Debug, Serialize)]
pub struct AccountView {
    id: AggregateId,
    owner: UserId,
    currency: Currency,
    balance: String,
    available: String,
    overdraft_limit: String,
    status: &'static str,
    version: Version,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<AccountRow> for AccountView {
    fn from(row: AccountRow) -> Self {
        let account = row.account;
        let money = |minor| account.currency.format(minor);
        Self {
            id: row.account_id,
            currency: account.currency,
            balance: money(account.balance),
            available: money(account.available()),
            overdraft_limit: money(account.overdraft_limit),
            status: "open",
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            owner: account.owner,
        }
    }
}

/// A line of a statement.
#[derive(Debug, Serialize)]
pub struct StatementEntryView {
    version: Version,
    #[serde(rename = "type")]
    event_type: String,
    amount: String,
    balance: String,
    currency: Currency,
    occurred_at: Timestamp,
    description: Option<Description>,
    transaction_id: Option<AggregateId>,
}

impl From<StatementEntry> for StatementEntryView {
    fn from(entry: StatementEntry) -> Self {
        Self {
            version: entry.version,
            event_type: entry.event_type,
            amount: entry.currency.format(entry.amount.unwrap_or(0)),
            balance: entry.currency.format(entry.balance),
            currency: entry.currency,
            occurred_at: entry.occurred_at,
            description: entry.description,
            transaction_id: None,
        }
    }
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub struct PageView<V> {
    items: Vec<V>,
    next_cursor: Option<String>,
}

impl<V> PageView<V> {
    /// The page of `rows` of `list`, which continues after `next`.
    ///
    /// # Errors
    /// When the place does not serialise.
    pub fn new<R: Into<V>>(list: &str, rows: Vec<R>, next: Option<impl Serialize>) -> Result<Self, Problem> {
        let next_cursor = next.map(|place| cursor::write(list, &place)).transpose();
        let next_cursor = next_cursor.map_err(|error| Problem::internal(&error))?;
        Ok(Self { items: rows.into_iter().map(Into::into).collect(), next_cursor })
    }
}
