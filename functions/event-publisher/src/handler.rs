//! From stream records to bus entries. Reports the first record that is not wholly published, so that the stream hands on from
//! there; a record that cannot be read, and an event that the bus refuses for good, is announced as such, for a rule to park, and
//! holds up nothing. Everything else is tried again until it succeeds.

use aws::UnreadableRecord;
use aws_lambda_events::{
    dynamodb::{Event, EventRecord},
    streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse},
};
use eventing::{Bus, Entry, Host, Published, Rejected, measures, publish};
use serde_json::{Value, json};

/// The source of what the publisher itself has to say; rules for the bank's events do not match it.
const OWN_SOURCE: &str = "daybook.event-publisher";
const UNREADABLE: &str = "StreamRecordUnreadable";
const REFUSED: &str = "EventRefused";
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
    let Published { records: published, rejected, .. } = publish(bus, host, &records).await;
    let published = park(bus, host, &records, published, rejected).await?;
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

/// Announces the entries that the bus rejected, of records before `published`: later ones come again. Returns how many leading records
/// are done then.
async fn park(
    bus: &impl Bus,
    host: &impl Host,
    records: &[Vec<Entry>],
    published: usize,
    mut rejected: Vec<Rejected>,
) -> Result<usize, serde_json::Error> {
    rejected.retain(|one| one.record < published);
    rejected.sort_by_key(|one| one.record);
    let report = |one: &Rejected| {
        let entry = &records[one.record][one.entry];
        let envelope: Value = serde_json::from_str(&entry.detail)?;
        let [event_id, aggregate_id, version] = ["event_id", "aggregate_id", "version"].map(|name| &envelope[name]);
        tracing::error!(%event_id, %aggregate_id, %version, code = one.code, "parking an event that the bus refuses");
        let detail = json!({
            "event_id": event_id, "aggregate_id": aggregate_id, "version": version, "event_type": entry.detail_type,
            "reason": format!("the event bus refuses the event: {}", one.code),
        });
        Ok(vec![Entry::new(OWN_SOURCE, REFUSED, host.now(), &detail)?])
    };
    let reports = rejected.iter().map(report).collect::<Result<Vec<_>, serde_json::Error>>()?;
    let reported = publish(bus, host, &reports).await;
    let unreported = reported.rejected.iter().map(|one| one.record).chain([reported.records]).min();
    Ok(unreported.and_then(|place| rejected.get(place)).map_or(published, |one| one.record))
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
