//! The form of the items in the events table, and what DynamoDB counts them as. One item is one commit.

use std::collections::HashMap;

use aggregate::{AggregateId, CommandId, CorrelationId, Metadata, Timestamp, UserId, Version};
use aws_sdk_dynamodb::{
    error::{ProvideErrorMetadata, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
    types::AttributeValue,
};
use eventing::{Commit, RecordedEvent, Saved, Snapshot, TableError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::fault::{Fault, cancellation_reasons, fault};

/// Names of attributes that are spoken of outside the item.
pub(crate) const AGGREGATE_ID: &str = "aggregate_id";
pub(crate) const VERSION: &str = "version";
pub(crate) const STATE: &str = "state";

pub(crate) type Item = HashMap<String, AttributeValue>;

/// An item as an operator sees it: the names are the table's, the data are plain DynamoDB maps.
#[derive(Serialize, Deserialize)]
pub(crate) struct CommitItem {
    aggregate_id: AggregateId,
    version: Version,
    aggregate_type: String,
    created_at: Timestamp,
    metadata: MetadataItem,
    /// Top level, because it is the key of the index `by_command_id`; absent (not null) keeps the item out of the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command_id: Option<CommandId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command_digest: Option<Uuid>,
    events: Vec<RecordedEvent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<Snapshot>,
}

#[derive(Serialize, Deserialize)]
#[allow(clippy::struct_field_names, reason = "the names are the table's")]
struct MetadataItem {
    user_id: UserId,
    correlation_id: CorrelationId,
    causation_id: String,
}

impl From<Commit> for CommitItem {
    fn from(commit: Commit) -> Self {
        let Metadata { user_id, correlation_id, causation_id, command_id } = commit.metadata;
        Self {
            aggregate_id: commit.aggregate_id,
            version: commit.version,
            aggregate_type: commit.aggregate_type,
            created_at: commit.created_at,
            metadata: MetadataItem { user_id, correlation_id, causation_id },
            command_id,
            command_digest: commit.command_digest,
            events: commit.events,
            state: commit.state,
        }
    }
}

impl From<CommitItem> for Commit {
    fn from(item: CommitItem) -> Self {
        let MetadataItem { user_id, correlation_id, causation_id } = item.metadata;
        Self {
            aggregate_id: item.aggregate_id,
            aggregate_type: item.aggregate_type,
            version: item.version,
            created_at: item.created_at,
            metadata: Metadata { user_id, correlation_id, causation_id, command_id: item.command_id },
            command_digest: item.command_digest,
            events: item.events,
            state: item.state,
        }
    }
}

pub(crate) fn text(value: &(impl ToString + ?Sized)) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

pub(crate) fn encode(row: &impl Serialize) -> Result<Item, TableError> {
    serde_dynamo::aws_sdk_dynamodb_1::to_item(row).map_err(unwritable)
}

pub(crate) fn decode<R: DeserializeOwned>(item: Item) -> Result<R, TableError> {
    // What serde says could quote the item.
    let read = serde_dynamo::aws_sdk_dynamodb_1::from_item(item);
    read.map_err(|_| TableError::Unreadable("an item does not have the form of a row".into()))
}

/// The error of a request to a read table.
pub(crate) fn failed<E, R>(error: SdkError<E, R>) -> TableError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match fault(error) {
        Fault::Passing(source) => TableError::Unavailable(source),
        Fault::Permanent(source) => TableError::Refused(source),
    }
}

/// The error of a `TransactWriteItems` request, of which one item may be what no later request could write.
pub(crate) fn cancelled<R>(error: SdkError<TransactWriteItemsError, R>) -> TableError
where
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let is_permanent = |reason: &&str| matches!(*reason, "ValidationError" | "ItemCollectionSizeLimitExceeded");
    if cancellation_reasons(&error).iter().any(is_permanent) {
        return TableError::Refused(fault(error).into_source());
    }
    failed(error)
}

/// The error of a row or a request that has no form in which it could be sent.
pub(crate) fn unwritable(error: impl std::error::Error + Send + Sync + 'static) -> TableError {
    TableError::Unwritable(Box::new(error))
}

/// The key of an item, for an error's text.
pub(crate) fn key_in_words(key: &Item) -> String {
    let value = |value: &AttributeValue| match value {
        AttributeValue::S(text) => format!("{text:?}"),
        AttributeValue::N(number) => number.clone(),
        _ => "neither a text nor a number".to_owned(),
    };
    let mut attributes: Vec<_> = key.iter().map(|(name, found)| format!("{name} {}", value(found))).collect();
    attributes.sort();
    attributes.join(", ")
}

/// The version that an item or its key is of.
pub(crate) fn version_of(item: &Item) -> Option<Version> {
    item.get(VERSION)?.as_n().ok()?.parse().ok()
}

/// The outcome of a conditional write. A refused condition may also be our own write, seen twice: stale all the same, and the next
/// look shows the row.
pub(crate) fn saved<T, E, R>(outcome: Result<T, SdkError<E, R>>) -> Result<Saved, TableError>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match outcome {
        Ok(_) => Ok(Saved::Written),
        Err(refused) if refused.code() == Some("ConditionalCheckFailedException") => Ok(Saved::Stale),
        Err(error) => Err(failed(error)),
    }
}

/// The bytes that DynamoDB counts an item as (developer guide, "DynamoDB item sizes and formats").
#[must_use]
#[allow(clippy::implicit_hasher, reason = "the SDK's own type of an item")]
pub fn size(item: &HashMap<String, AttributeValue>) -> usize {
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &AttributeValue) -> usize {
    /// A list or a map, whatever is in it, and each of its elements.
    const CONTAINER_BYTES: usize = 3;
    const ELEMENT_BYTES: usize = 1;
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => number_size(number),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::L(list) => {
            CONTAINER_BYTES + list.iter().map(|element| ELEMENT_BYTES + value_size(element)).sum::<usize>()
        }
        AttributeValue::M(map) => CONTAINER_BYTES + map.len() * ELEMENT_BYTES + size(map),
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::Ns(numbers) => numbers.iter().map(|number| number_size(number)).sum(),
        AttributeValue::Bs(blobs) => blobs.iter().map(|blob| blob.as_ref().len()).sum(),
        // Bool, null, and what a later version of the service may add.
        _ => 1,
    }
}

/// A byte for every two significant digits, one more, and one for a minus sign.
fn number_size(number: &str) -> usize {
    let mantissa = number.split(['e', 'E']).next().unwrap_or(number);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let significant = digits.trim_matches('0').len().max(1);
    significant.div_ceil(2) + 1 + usize::from(number.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_that_cannot_be_read_is_not_quoted() {
        let item = Item::from([(VERSION.to_owned(), text("canary"))]);
        let told = eventing::causes(&decode::<std::collections::BTreeMap<String, u64>>(item).unwrap_err());
        assert_eq!(told, "the read table holds what this code cannot read: an item does not have the form of a row");
    }
}
