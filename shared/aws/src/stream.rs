//! Records of the events table's stream.

use aggregate::AggregateId;
use aws_lambda_events::dynamodb::{EventRecord, StreamRecord};
use eventing::Commit;
use serde::Serialize;

use crate::item::{AGGREGATE_ID, CommitItem, VERSION};

/// A stream record that is no commit, as it is parked: enough to find the item in the table, and nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("stream record {sequence_number:?} cannot be read: {reason}")]
pub struct UnreadableRecord {
    /// The stream's number of the record.
    pub sequence_number: Option<String>,
    /// The aggregate that the key names, if it does.
    pub aggregate_id: Option<String>,
    /// The version that the key names, if it does.
    pub version: Option<String>,
    /// What is wrong.
    pub reason: String,
}

/// The commit that a stream record says was appended; `None` for a record of anything but an insert.
///
/// # Errors
/// When the new image is not of the form of a commit.
pub fn commit_of(record: EventRecord) -> Result<Option<Commit>, Box<UnreadableRecord>> {
    if record.event_name != "INSERT" {
        return Ok(None);
    }
    let StreamRecord { keys, new_image, sequence_number, .. } = record.change;
    let item = serde_dynamo::from_item::<_, CommitItem>(new_image);
    item.map(|item| Some(Commit::from(item))).map_err(|_| Box::new(unreadable(keys, sequence_number)))
}

/// The record with which the events table's stream says that `commit` was appended: what tests of a publisher hand to it.
///
/// # Errors
/// When the commit does not serialise.
pub fn record_of(commit: &Commit, sequence_number: String) -> Result<EventRecord, serde_dynamo::Error> {
    let mut record = EventRecord::default();
    "INSERT".clone_into(&mut record.event_name);
    record.change.sequence_number = Some(sequence_number);
    record.change.new_image = serde_dynamo::to_item(CommitItem::from(commit.clone()))?;
    Ok(record)
}

fn unreadable(keys: serde_dynamo::Item, sequence_number: Option<String>) -> UnreadableRecord {
    #[derive(serde::Deserialize)]
    struct Keys {
        aggregate_id: AggregateId,
        version: u64,
    }
    let keys: Option<Keys> = serde_dynamo::from_item(keys).ok();
    UnreadableRecord {
        sequence_number,
        aggregate_id: keys.as_ref().map(|keys| keys.aggregate_id.to_string()),
        version: keys.as_ref().map(|keys| keys.version.to_string()),
        // What serde says could quote the item.
        reason: format!("the item does not have the form of a commit (keys {AGGREGATE_ID}, {VERSION})"),
    }
}
