//! What answers look like: read-model rows with money as decimal text.

use aggregate::{AggregateId, CommandId, CorrelationId, Envelope, Metadata, Timestamp, UserId, Version};
use domain::{
    AccountEvent, AccountRow, Balance, Currency, Description, Outcome, Refusal, Side, StatementEntry, Status,
    TransactionRow,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::Reader;

/// Decimal text with the currency's decimals.
const MONEY: &str = r"^-?[0-9]+(\.[0-9]+)?$";

/// The answer to a command.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Changed {
    /// The aggregate.
    pub id: AggregateId,
    /// Its version after the command.
    pub version: Version,
}

/// An account.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AccountView {
    id: AggregateId,
    owner: UserId,
    currency: Currency,
    #[schemars(regex(pattern = MONEY))]
    balance: String,
    /// What can be taken out.
    #[schemars(regex(pattern = MONEY))]
    available: String,
    #[schemars(regex(pattern = MONEY))]
    overdraft_limit: String,
    status: Status,
    version: Version,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<AccountRow> for AccountView {
    fn from(row: AccountRow) -> Self {
        let account = row.account;
        let money = |balance: Balance| account.currency.format(balance);
        Self {
            id: row.account_id,
            currency: account.currency,
            balance: money(account.balance),
            available: money(account.available()),
            overdraft_limit: account.currency.format(account.overdraft_limit),
            status: account.status,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            owner: account.owner,
        }
    }
}

/// A line of a statement.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StatementEntryView {
    version: Version,
    #[serde(rename = "type")]
    event_type: String,
    /// Negative where it went out.
    #[schemars(regex(pattern = MONEY))]
    amount: String,
    /// After it.
    #[schemars(regex(pattern = MONEY))]
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
            transaction_id: entry.transaction_id,
        }
    }
}

/// A transaction.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TransactionView {
    id: AggregateId,
    from: AggregateId,
    to: AggregateId,
    #[schemars(regex(pattern = MONEY))]
    amount: String,
    currency: Currency,
    description: Option<Description>,
    #[schemars(extend("enum" = ["initiated", "completed", "failed"]))]
    status: &'static str,
    /// Only for those whose account is the reason: a failure of the source is not shown to the owner of the destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureView>,
    version: Version,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// The accounts of a transaction that its reader may see.
#[derive(Debug, Clone, Copy)]
pub struct VisibleSides {
    /// The account that the money leaves.
    pub source: bool,
    /// The account that it goes to.
    pub destination: bool,
}

/// Why a transaction failed: for programs, and for people.
#[derive(Debug, Serialize, JsonSchema)]
struct FailureView {
    side: Side,
    code: FailureCode,
    reason: String,
}

/// Why a transaction failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum FailureCode {
    /// All that a payer learns about an account of another customer.
    DestinationUnavailable,
    /// The account does not exist.
    NoSuchAccount,
    /// The account holds another currency.
    CurrencyMismatch,
    /// The account has insufficient funds.
    InsufficientFunds,
    /// The account would hold too much. No transaction fails with this any more.
    BalanceTooLarge,
    /// The account is closed.
    Closed,
    /// The account is frozen.
    Frozen,
    /// Too many transactions of the account are open.
    TooManyInFlight,
}

impl From<Refusal> for FailureCode {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoSuchAccount => Self::NoSuchAccount,
            Refusal::CurrencyMismatch => Self::CurrencyMismatch,
            Refusal::InsufficientFunds => Self::InsufficientFunds,
            Refusal::BalanceTooLarge => Self::BalanceTooLarge,
            Refusal::Closed => Self::Closed,
            Refusal::Frozen => Self::Frozen,
            Refusal::TooManyInFlight => Self::TooManyInFlight,
        }
    }
}

impl FailureView {
    /// The failure for a reader who may see these accounts. What concerns an account that the reader may not see is one reason for
    /// the payer, and none for the payee.
    fn of(side: Side, refusal: Refusal, visible: VisibleSides) -> Option<Self> {
        let code = match side {
            Side::Source if visible.source => refusal.into(),
            Side::Source => return None,
            Side::Destination if visible.destination => refusal.into(),
            Side::Destination => FailureCode::DestinationUnavailable,
        };
        Some(Self { side, code, reason: reason(side, code) })
    }
}

impl TransactionView {
    /// The transaction as a reader may see it who may see these of its accounts.
    #[must_use]
    pub fn of(row: TransactionRow, visible: VisibleSides) -> Self {
        let order = row.transaction.order;
        let (status, failure) = match row.transaction.outcome {
            Outcome::Initiated => ("initiated", None),
            Outcome::Completed => ("completed", None),
            Outcome::Failed { side, reason } => ("failed", FailureView::of(side, reason, visible)),
        };
        Self {
            id: row.transaction_id,
            from: order.source,
            to: order.destination,
            amount: order.amount.currency().format(order.amount.minor()),
            currency: order.amount.currency(),
            description: order.description,
            status,
            failure,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

fn reason(side: Side, code: FailureCode) -> String {
    let side = match side {
        Side::Source => "source",
        Side::Destination => "destination",
    };
    let what = match code {
        FailureCode::DestinationUnavailable => "cannot receive this money",
        FailureCode::NoSuchAccount => "does not exist",
        FailureCode::CurrencyMismatch => "holds another currency",
        FailureCode::InsufficientFunds => "has too little money",
        FailureCode::BalanceTooLarge => "would hold too much",
        FailureCode::Closed => "is closed",
        FailureCode::Frozen => "is frozen",
        FailureCode::TooManyInFlight => "has too many transactions under way",
    };
    format!("The {side} account {what}.")
}

/// A page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PageOf{V}")]
pub(crate) struct PageView<V> {
    pub(crate) items: Vec<V>,
    /// Continues the list; `null` at its end. A page before that may have fewer items than asked for, or none.
    pub(crate) next_cursor: Option<String>,
}

/// A page of the journal.
#[derive(Debug, Serialize, JsonSchema)]
pub struct JournalView {
    /// Events, oldest first.
    #[schemars(with = "Vec<EventView>")]
    pub items: Vec<Envelope>,
    /// The page and those before it have every event up to here. Some seconds behind the clock at the end of the journal.
    pub complete_until: Option<Timestamp>,
    /// Goes on after this page, now or when there is more.
    pub next_cursor: String,
}

/// What the bank holds and moves.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TotalsView {
    /// Today, in UTC.
    pub day: String,
    /// One for each currency.
    pub items: Vec<TotalView>,
}

/// What the bank holds and moves in one currency.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TotalView {
    currency: Currency,
    accounts_open: i128,
    /// On all accounts; what a transaction under way has taken out is on none.
    #[schemars(regex(pattern = MONEY))]
    money_held: String,
    /// Paid in, paid out and arrived from other accounts.
    #[schemars(regex(pattern = MONEY))]
    money_moved_today: String,
}

impl TotalView {
    /// The totals of `currency`, with money in minor units.
    #[must_use]
    pub fn new(currency: Currency, accounts_open: i128, money_held: i128, money_moved_today: i128) -> Self {
        let (money_held, money_moved_today) = (currency.format(money_held), currency.format(money_moved_today));
        Self { currency, accounts_open, money_held, money_moved_today }
    }
}

/// An event of an account's audit trail, as its reader may see it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AccountEvent")]
pub struct AccountEventView {
    event_id: Uuid,
    aggregate_id: AggregateId,
    aggregate_type: String,
    /// The event's place in the account's history, from 1, without gaps.
    version: Version,
    event_type: String,
    /// The version of the data's form, from 1.
    schema_version: u32,
    created_at: Timestamp,
    metadata: MetadataView,
    /// What happened; `infra/schemas` describes the data of each type. `null` while this service does not know the type yet.
    data: Value,
}

/// Who caused an event, and in the course of what. Empty where another customer caused it: that is not the owner's to read.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "AccountEventMetadata")]
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
struct MetadataView {
    /// The user on whose behalf it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    /// Joins everything that one request led to.
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<CorrelationId>,
    /// The direct cause: the id of the request, or of the event that was reacted to.
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<String>,
    /// The command that decided it, where that carried an idempotency key.
    #[serde(skip_serializing_if = "Option::is_none")]
    command_id: Option<CommandId>,
}

impl From<Metadata> for MetadataView {
    fn from(metadata: Metadata) -> Self {
        let Metadata { user_id, correlation_id, causation_id, command_id } = metadata;
        let (user_id, correlation_id) = (Some(user_id), Some(correlation_id));
        Self { user_id, correlation_id, causation_id: Some(causation_id), command_id }
    }
}

impl AccountEventView {
    /// The event as `reader`, who may see the account, may see it.
    #[must_use]
    pub fn of(event: Envelope, reader: &Reader) -> Self {
        let decoded = event.clone().decode::<AccountEvent>();
        let is_own = reader.may_see(&event.metadata.user_id);
        let (metadata, data) = match decoded {
            _ if is_own => (event.metadata.into(), event.data),
            Ok(known) if known.data.is_caused_by_counterparty() => (MetadataView::default(), event.data),
            Ok(_) => (event.metadata.into(), event.data),
            // Newer code wrote it. This code cannot tell what in it is another customer's.
            Err(_) => (MetadataView::default(), Value::Null),
        };
        Self {
            event_id: event.event_id,
            aggregate_id: event.aggregate_id,
            aggregate_type: event.aggregate_type,
            version: event.version,
            event_type: event.event_type,
            schema_version: event.schema_version,
            created_at: event.created_at,
            metadata,
            data,
        }
    }
}

/// An event, as on the bus; `infra/schemas` describes the data of each type.
#[derive(JsonSchema)]
#[schemars(transparent, rename = "Event")]
pub(crate) struct EventView(#[expect(dead_code, reason = "a schema only")] Envelope);
