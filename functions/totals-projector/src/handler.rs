//! From a bus event to the read model's rows. An error fails the invocation: the event comes again, and is parked in the end.

use aws_lambda_events::eventbridge::EventBridgeEvent;
use domain::TotalsRow;
use eventing::{EventStore, ReadTable, project};
use lambda_runtime::Error;
use serde_json::Value;

/// Counts the event's account up to the event at least.
pub async fn handle(
    store: &impl EventStore,
    table: &impl ReadTable<TotalsRow>,
    event: EventBridgeEvent<Value>,
) -> Result<(), Error> {
    let event = aws::envelope_of(event)?;
    let outcome = project(store, table, &event).await?;
    let correlation_id = event.metadata.correlation_id.as_str();
    tracing::info!(aggregate_id = %event.aggregate_id, version = event.version, correlation_id, ?outcome, "projected");
    Ok(())
}
