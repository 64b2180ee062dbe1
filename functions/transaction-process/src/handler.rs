//! The transactions that are driven: the one that has just begun, and on schedule all that are open for too long.

mod process;
mod sweep;

use aggregate::{Timestamp, Unreadable};
use aws_lambda_events::eventbridge::EventBridgeEvent;
use eventing::{EventStore, Host, TableError};
use serde_json::Value;

pub use process::{ProcessError, drive};
pub use sweep::{OpenTransactions, PARTS, Swept, sweep};

/// The reason why an invocation fails. Lambda does: try again, and park what stays.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// What the bus has delivered is no event.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A transaction is not at its end.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The open transactions cannot be read.
    #[error("the sweep cannot read which transactions are open")]
    Table(#[from] TableError),
}

/// Drives a transaction that has just begun.
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
