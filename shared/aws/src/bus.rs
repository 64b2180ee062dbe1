//! EventBridge: entries out, events in.

use aggregate::{Envelope, Row, Unreadable};
use aws_lambda_events::eventbridge::EventBridgeEvent;
use aws_sdk_eventbridge::{Client, primitives::DateTime, types::PutEventsRequestEntry};
use eventing::{
    Bus, BusError, Entry, EventStore, Host, ProjectError, Projected, PublishLimits, ReadTable, measures, project,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{fault::fault, measure_lag};

/// One event bus.
#[derive(Debug, Clone)]
pub struct EventBridge {
    client: Client,
    bus: String,
}

impl EventBridge {
    /// The bus named `bus`.
    #[must_use]
    pub fn new(client: Client, bus: impl Into<String>) -> Self {
        Self { client, bus: bus.into() }
    }
}

impl Bus for EventBridge {
    /// `PutEvents` takes 10 entries and less than 1 MB (EventBridge API reference); the 24 KB left are the request around them.
    const LIMITS: PublishLimits = PublishLimits { entries_max: 10, bytes_max: 1_000_000 };

    async fn put(&self, entries: &[&Entry]) -> Result<Vec<Option<String>>, BusError> {
        let entries = entries.iter().map(|entry| {
            PutEventsRequestEntry::builder()
                .event_bus_name(&self.bus)
                .source(&*entry.source)
                .detail_type(&entry.detail_type)
                .detail(&entry.detail)
                .time(DateTime::from_millis(entry.time.as_micros() / 1_000))
                .build()
        });
        let answer = self.client.put_events().set_entries(Some(entries.collect())).send().await;
        let answers = answer.map_err(|error| BusError(fault(error).into_source()))?.entries.unwrap_or_default();
        // An accepted entry has an id; one that has neither id nor code was not accepted either.
        let refusal = |entry: aws_sdk_eventbridge::types::PutEventsResultEntry| match entry.event_id {
            Some(_) => None,
            None => Some(entry.error_code.unwrap_or_else(|| "no event id".to_owned())),
        };
        Ok(answers.into_iter().map(refusal).collect())
    }

    /// What is wrong with the entry (EventBridge API reference, `PutEventsResultEntry`). The other codes that it calls not retryable
    /// are about accounts, permissions and keys, which somebody mends.
    fn is_final(code: &str) -> bool {
        matches!(code, "InvalidArgument" | "MalformedDetail")
    }
}

/// The recorded event that a bus event carries.
///
/// # Errors
/// When its detail is no envelope.
pub fn envelope_of(event: &EventBridgeEvent<Value>) -> Result<Envelope, Unreadable> {
    Envelope::deserialize(&event.detail).map_err(|_| Unreadable {
        event_type: event.detail_type.clone(),
        schema_version: 0,
        reason: "the detail does not have the form of an event envelope".to_owned(),
    })
}

/// Brings a read model's rows up to the event that the bus has delivered, at least. An error fails the invocation: the event
/// comes again, and is parked in the end.
///
/// # Errors
/// When the event is not in the read model.
pub async fn project_delivered<R: Row>(
    store: &impl EventStore,
    table: &impl ReadTable<R>,
    host: &impl Host,
    event: &EventBridgeEvent<Value>,
) -> Result<(), ProjectError> {
    let event = envelope_of(event)?;
    let outcome = project(store, table, host, &event).await?;
    match outcome {
        Projected::Skipped => metrics::counter!(measures::EVENTS_SKIPPED).increment(1),
        Projected::Applied { from, to } => {
            measure_lag(measures::PROJECTION_LAG, host, event.created_at);
            metrics::counter!(measures::GAPS_HEALED).increment(u64::from(to - from > 1));
        }
    }
    let correlation_id = event.metadata.correlation_id.as_str();
    tracing::info!(aggregate_id = %event.aggregate_id, version = event.version, correlation_id, ?outcome, "projected");
    Ok(())
}
