//! Which transactions are driven: the one that has just begun, and on schedule all that are under way for too long.

mod process;

use std::{future::Future, time::Duration};

use aggregate::{Timestamp, Unreadable};
use aws::{CurrentRows, Index, Page, Place};
use aws_lambda_events::eventbridge::EventBridgeEvent;
use eventing::{EventStore, Host, TableError};
use serde_json::Value;

pub use process::{ProcessError, drive};

/// The index of transactions under way. It loses a transaction at its end, so it is never long.
const UNDER_WAY: Index = Index { name: "under_way", by: "under_way", order: "created_at", newest_first: false };

/// Where transactions under way are found, each with the time when it began.
pub trait UnderWay: Send + Sync {
    /// One page of them, after the place `after`.
    fn page(&self, after: Option<&Place>) -> impl Future<Output = Result<Page<Place, Place>, TableError>> + Send;
}

impl UnderWay for CurrentRows {
    async fn page(&self, after: Option<&Place>) -> Result<Page<Place, Place>, TableError> {
        self.scan(&UNDER_WAY, after).await
    }
}

/// A transaction that is older than this and still under way has lost its event, or the function that drove it.
const RESUMED_AFTER: Duration = Duration::from_mins(1);
/// Enough for one transaction, nearly always: with less time than this left, none is begun.
const LAST_ONE: Duration = Duration::from_secs(5);

/// Counter: a transaction that had been under way for too long was brought to its end.
const TRANSACTIONS_RESUMED: &str = "TransactionsResumed";
/// Counter: one that could not be.
const TRANSACTIONS_STUCK: &str = "TransactionsStuck";

/// Why an invocation fails. Lambda does: try again, and park what stays.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// What the bus has delivered is no event.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A transaction is not at its end.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Which transactions are under way cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// So many of those that are under way for too long still are.
    #[error("{0} transactions could not be resumed")]
    NotResumed(usize),
}

/// A transaction has just begun.
///
/// # Errors
/// When it is not at its end.
pub async fn begun(
    store: &impl EventStore,
    host: &impl Host,
    event: &EventBridgeEvent<Value>,
    deadline: Timestamp,
) -> Result<(), HandleError> {
    let event = aws::envelope_of(event)?;
    let outcome = drive(store, host, event.aggregate_id, deadline).await?;
    let correlation_id = event.metadata.correlation_id.as_str();
    tracing::info!(transaction_id = %event.aggregate_id, correlation_id, ?outcome, "driven");
    Ok(())
}

/// Drives all that are under way for too long. One that fails does not keep the others from their end.
///
/// # Errors
/// When one of them is not at its end, and where the table does not answer.
pub async fn sweep(
    store: &impl EventStore,
    host: &impl Host,
    transactions: &impl UnderWay,
    deadline: Timestamp,
) -> Result<(), HandleError> {
    let before = host.now().earlier_by(RESUMED_AFTER).to_string();
    let enough = deadline.earlier_by(LAST_ONE);
    let mut failed = 0;
    let mut after = None;
    'all: loop {
        let page = transactions.page(after.as_ref()).await?;
        for (_, id) in page.rows.iter().filter(|(created_at, _)| *created_at < before) {
            // The next sweep is a minute away, and what this one has measured is written when it ends.
            if host.now() >= enough {
                tracing::warn!("more is under way than one sweep resumes");
                break 'all;
            }
            match drive(store, host, *id, deadline).await {
                Ok(outcome) => {
                    metrics::counter!(TRANSACTIONS_RESUMED).increment(1);
                    tracing::warn!(transaction_id = %id, ?outcome, "resumed");
                }
                Err(error) => {
                    metrics::counter!(TRANSACTIONS_STUCK).increment(1);
                    tracing::error!(transaction_id = %id, error = %eventing::causes(&error), "not resumed");
                    failed += 1;
                }
            }
        }
        after = page.next;
        if after.is_none() || host.now() >= enough {
            break;
        }
    }
    if failed == 0 { Ok(()) } else { Err(HandleError::NotResumed(failed)) }
}
