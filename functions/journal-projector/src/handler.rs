//! From a bus event to an entry of the journal. An error fails the invocation: the event comes again, and is parked in the end.

use aws_lambda_events::eventbridge::EventBridgeEvent;
use eventing::{Entered, EventStore, Host, JournalTable, ProjectError, enter, measures};
use serde_json::Value;

/// Enters the event.
///
/// # Errors
/// When it is not in the journal.
pub async fn handle(
    store: &impl EventStore,
    journal: &impl JournalTable,
    host: &impl Host,
    event: &EventBridgeEvent<Value>,
) -> Result<(), ProjectError> {
    let mut event = aws::envelope_of(event)?;
    let (aggregate_id, version) = (event.aggregate_id, event.version);
    // What was too large for the bus is read where it is recorded, and so is what an aggregate begins with: nothing enters of one that
    // there is not.
    if event.data.is_null() || version == 1 {
        let commits = store.read(aggregate_id, version, 1).await?;
        let recorded = commits.iter().flat_map(eventing::Commit::envelopes).find(|event| event.version == version);
        event = recorded.ok_or(ProjectError::NoHistory { aggregate_id, version })?;
    }
    let outcome = enter(journal, &event, host.now()).await?;
    match outcome {
        Entered::Before => metrics::counter!(measures::EVENTS_SKIPPED).increment(1),
        Entered::OnTime | Entered::Late => aws::measure_lag(measures::PROJECTION_LAG, host, event.created_at),
    }
    let correlation_id = event.metadata.correlation_id.as_str();
    tracing::info!(%aggregate_id, version, correlation_id, ?outcome, "entered");
    Ok(())
}
