//! From stream records to bus entries. Reports the first record that is not wholly published, so that the stream hands on from
//! there; a record that cannot be read is announced as such, for a rule to park, and holds up nothing.

use aws::UnreadableRecord;
use aws_lambda_events::{
    dynamodb::{Event, EventRecord},
    streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse},
};
use eventing::{Bus, Entry, Host, Published, measures, publish};

/// The source of what the publisher itself has to say; rules for the bank's events do not match it.
const OWN_SOURCE: &str = "daybook.event-publisher";
const UNREADABLE: &str = "StreamRecordUnreadable";
/// Counter: a stream record could not be read, and was parked.
const RECORDS_UNREADABLE: &str = "RecordsUnreadable";

/// Publishes a batch.
///
/// # Errors
/// When what is to be said cannot be written as JSON.
pub async fn handle<B: Bus>(
    bus: &B,
    host: &impl Host,
    event: Event,
) -> Result<DynamoDbEventResponse, serde_json::Error> {
    let numbers: Vec<_> = event.records.iter().map(|record| record.change.sequence_number.clone()).collect();
    let entries_of = |record| entries_of::<B>(host, record);
    let records = event.records.into_iter().map(entries_of).collect::<Result<Vec<_>, _>>()?;
    let Published { records: published, .. } = publish(bus, host, &records).await;
    let mut response = DynamoDbEventResponse::default();
    if let Some(unpublished) = numbers.get(published) {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier.clone_from(unpublished);
        response.batch_item_failures.push(failure);
    }
    let done = records.iter().take(published).flatten();
    if let Some(oldest) = done.clone().map(|entry| entry.time).min() {
        aws::measure_lag(measures::PUBLISH_LAG, host, oldest);
    }
    let entries = done.count();
    tracing::info!(records = records.len(), published, entries, "published");
    Ok(response)
}

/// What one record has to say on the bus: an entry an event, the report that it cannot be read, or nothing.
fn entries_of<B: Bus>(host: &impl Host, record: EventRecord) -> Result<Vec<Entry>, serde_json::Error> {
    match aws::commit_of(record) {
        Ok(commit) => commit
            .iter()
            .flat_map(eventing::Commit::envelopes)
            .map(|envelope| Entry::announcing(domain::EVENT_SOURCE, &envelope, B::LIMITS.bytes_max))
            .collect(),
        Err(unreadable) => {
            let unreadable: &UnreadableRecord = &unreadable;
            metrics::counter!(RECORDS_UNREADABLE).increment(1);
            tracing::error!(error = %unreadable, "parking a stream record");
            Ok(vec![Entry::new(OWN_SOURCE, UNREADABLE, host.now(), unreadable)?])
        }
    }
}
