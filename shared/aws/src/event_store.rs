//! The event store on DynamoDB.
//!
//! Table: partition key `aggregate_id` (S), sort key `version` (N), one item a commit, the version being that of the commit's
//! first event. An append is one `PutItem` on the condition that the key is free: atomic for any number of events, one
//! write unit a KB, and two writers who decided on the same version meet on the same key. A sparse local secondary
//! index, `by_command_id`, finds the commit of a command.
//!
//! A state rides along where it fits the write unit that the events pay anyway, and on every fourth version whatever it costs.
//! So a load is one request of at most [`LOAD_PAGE_COMMITS`] items, whatever the length of the history: as long as state and events
//! fit one item (400 KB) together. A state that does not is left out, which [`STATES_LEFT_OUT`] counts.

use aggregate::{AggregateId, CommandId, Version};
use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::{put_item::PutItemError, scan::builders::ScanFluentBuilder},
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure},
};
use eventing::{AppendError, Commit, EventStore, ReadError, Tail, causes};

use crate::{
    fault::{Fault, fault},
    item::{AGGREGATE_ID, CommitItem, Item, STATE, VERSION, key_in_words, size, text, version_of},
};

/// The events table of one deployment.
#[derive(Debug, Clone)]
pub struct DynamoEventStore {
    client: Client,
    table: String,
}

/// The most that DynamoDB takes as one item (service quota).
const ITEM_BYTES_MAX: usize = 400 * 1024;
/// What one write unit pays for.
const WRITE_UNIT_BYTES: usize = 1024;
/// A state is stored at least once in so many versions.
const STATE_EVERY_VERSIONS: u8 = 4;
/// So many commits hold so many versions, hence a state. At up to 1 KB each they cost the one read unit (4 KB) that the
/// newest would cost alone.
const LOAD_PAGE_COMMITS: u8 = STATE_EVERY_VERSIONS;
/// Counter: a commit was too large for its state to be stored beside it, so that later loads read more.
pub const STATES_LEFT_OUT: &str = "StatesLeftOut";
/// The index on (`aggregate_id`, `command_id`).
const COMMAND_INDEX: &str = "by_command_id";

impl DynamoEventStore {
    /// The store in `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Opens the connection, so that the first caller does not wait for it. A failure is the first caller's to meet.
    pub async fn warm_up(&self) {
        let nobody = AggregateId(uuid::Uuid::nil());
        if let Err(error) = self.load(nobody, Version::MAX, 0).await {
            tracing::warn!(error = %causes(&error), "could not open the connection at init");
        }
    }

    /// One page of one segment of the whole table, after the place `after`, and the place to go on after. An item that is no commit
    /// is an error in its place and hides no other. Commits of one aggregate mostly come one after the other, but that is
    /// not promised, nor is one page a moment in time.
    ///
    /// # Errors
    /// When the table does not answer, or a page ends with a key that is none of a commit.
    pub async fn scan(&self, segment: Segment, after: Option<ScanPlace>) -> Result<ScanPage, ReadError> {
        let place = |(id, version): ScanPlace| {
            let version = AttributeValue::N(version.to_string());
            Item::from([(AGGREGATE_ID.to_owned(), text(&id)), (VERSION.to_owned(), version)])
        };
        let scan = segment.of(self.client.scan().table_name(&self.table)).consistent_read(true);
        let page = scan.set_exclusive_start_key(after.map(place)).send().await.map_err(failed)?;
        let place = |key: &Item| {
            let id = key.get(AGGREGATE_ID)?.as_s().ok()?.parse().ok()?;
            Some((AggregateId(id), version_of(key)?))
        };
        // The end of a page may be what is no commit; to take that for the end of the segment would hide the rest.
        let no_place = |key: &Item| ReadError::Corrupt(format!("no commit has the key {}", key_in_words(key)));
        let next = page.last_evaluated_key.map(|key| place(&key).ok_or_else(|| no_place(&key))).transpose()?;
        Ok(ScanPage { commits: page.items.unwrap_or_default().into_iter().map(decode).collect(), next })
    }

    /// What tells the table from any other, before and after it: its ARN and when it was made; and about how many commits are in
    /// it: `DynamoDB` counts anew every six hours.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn described(&self) -> Result<(String, u64), ReadError> {
        let described = self.client.describe_table().table_name(&self.table).send().await.map_err(failed)?;
        let table = described.table.ok_or_else(|| ReadError::Unavailable("an answer without a table".into()))?;
        let commits = table.item_count.unwrap_or_default().try_into().unwrap_or_default();
        let made_at = table.creation_date_time.map(|at| at.secs()).unwrap_or_default();
        Ok((format!("{} {made_at}", table.table_arn.unwrap_or_default()), commits))
    }

    /// One page of an aggregate's items, and what to go on after.
    async fn query(&self, query: Range<'_>) -> Result<(Vec<Item>, Option<Item>), ReadError> {
        let page = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression(query.condition)
            .expression_attribute_names("#id", AGGREGATE_ID)
            .expression_attribute_names("#version", VERSION)
            .expression_attribute_values(":id", AttributeValue::S(query.aggregate_id.to_string()))
            .expression_attribute_values(":version", AttributeValue::N(query.version.to_string()))
            .scan_index_forward(query.forward)
            .set_limit(query.limit)
            .set_exclusive_start_key(query.after)
            .send()
            .await
            .map_err(failed)?;
        Ok((page.items.unwrap_or_default(), page.last_evaluated_key))
    }
}

/// One of the segments of a parallel scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Which one, from 0.
    pub number: u16,
    /// How many there are.
    pub total: u16,
}

/// About as many items as a page of 1 MB has; said, because an emulator may otherwise read the whole table for each page.
const SCAN_ITEMS: i32 = 1_000;

impl Segment {
    /// A scan of this segment.
    pub(crate) fn of(self, scan: ScanFluentBuilder) -> ScanFluentBuilder {
        let scan = scan.limit(SCAN_ITEMS);
        if self.total == 1 { scan } else { scan.segment(self.number.into()).total_segments(self.total.into()) }
    }
}

/// A place in a segment.
pub type ScanPlace = (AggregateId, Version);

/// Some commits of a segment.
#[derive(Debug)]
pub struct ScanPage {
    /// The commits, and what is none.
    pub commits: Vec<Result<Commit, ReadError>>,
    /// What to go on after; `None` at the end.
    pub next: Option<ScanPlace>,
}

/// A range of one aggregate's items.
struct Range<'a> {
    aggregate_id: AggregateId,
    condition: &'a str,
    version: Version,
    forward: bool,
    limit: Option<i32>,
    after: Option<Item>,
}

const UP_TO: &str = "#id = :id AND #version <= :version";
const FROM: &str = "#id = :id AND #version >= :version";

impl EventStore for DynamoEventStore {
    async fn append(&self, commit: &Commit) -> Result<(), AppendError> {
        let outcome = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(encode(commit)?))
            .condition_expression("attribute_not_exists(#id)")
            .expression_attribute_names("#id", AGGREGATE_ID)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match outcome {
            Ok(_) => Ok(()),
            // Not yet a conflict: after a lost answer the SDK sends a write again, and the second meets the first.
            Err(SdkError::ServiceError(refusal)) if refusal.err().is_conditional_check_failed_exception() => {
                let PutItemError::ConditionalCheckFailedException(failed) = refusal.into_err() else {
                    return Err(AppendError::Conflict);
                };
                let recorded =
                    failed.item.map(decode).transpose().map_err(|error| AppendError::Unknown(error.into()))?;
                match recorded {
                    Some(recorded) if recorded.id() == commit.id() => Ok(()),
                    Some(_) => Err(AppendError::Conflict),
                    None => Err(AppendError::Unknown("a refused condition without the item that refused it".into())),
                }
            }
            // Whatever else it says, an earlier attempt of the same request may have been recorded.
            Err(error) => Err(AppendError::Unknown(error.into())),
        }
    }

    async fn load(&self, aggregate_id: AggregateId, up_to: Version, state_schema: u32) -> Result<Tail, ReadError> {
        let mut tail = Tail::default();
        let mut limit = Some(LOAD_PAGE_COMMITS.into());
        let mut after = None;
        loop {
            let query = Range { aggregate_id, condition: UP_TO, version: up_to, forward: false, limit, after };
            let (items, next) = self.query(query).await?;
            // Most often the first has a state, and the others are not looked at.
            for item in items {
                let commit = decode(item)?;
                let last_version = commit.last_version();
                tail.changed_at = tail.changed_at.or(Some(commit.created_at));
                tail.aggregate_type.get_or_insert_with(|| commit.aggregate_type.clone());
                let usable = |schema| schema == state_schema && last_version <= up_to;
                if commit.state.as_ref().is_some_and(|state| usable(state.schema)) {
                    tail.state = commit.state.map(|state| (last_version, state));
                    tail.commits.reverse();
                    return Ok(tail);
                }
                tail.commits.push(commit);
            }
            if next.is_none() {
                tail.commits.reverse();
                return Ok(tail);
            }
            // The state is older than any that this code would have left: read on in pages as large as they come.
            (limit, after) = (None, next);
        }
    }

    async fn read(
        &self,
        aggregate_id: AggregateId,
        from: Version,
        commits_max: usize,
    ) -> Result<Vec<Commit>, ReadError> {
        // A number that DynamoDB does not take as a limit is none.
        let (limit, after) = (i32::try_from(commits_max).ok(), None);
        let page = Range { aggregate_id, condition: FROM, version: from, forward: true, limit, after };
        let (items, _) = self.query(page).await?;
        let mut commits = decode_all(items)?;
        if commits.first().is_none_or(|commit| commit.version > from) {
            // The version may lie inside a commit that began before it.
            let (condition, limit) = (UP_TO, Some(1));
            let before = Range { aggregate_id, condition, version: from, forward: false, limit, after: None };
            let (items, _) = self.query(before).await?;
            commits.splice(0..0, decode_all(items)?.into_iter().filter(|commit| commit.last_version() >= from));
            commits.truncate(commits_max);
        }
        Ok(commits)
    }

    async fn find_command(
        &self,
        aggregate_id: AggregateId,
        command_id: CommandId,
    ) -> Result<Option<Commit>, ReadError> {
        let found = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(COMMAND_INDEX)
            .consistent_read(true)
            .key_condition_expression("#id = :id AND command_id = :command_id")
            .expression_attribute_names("#id", AGGREGATE_ID)
            .expression_attribute_values(":id", AttributeValue::S(aggregate_id.to_string()))
            .expression_attribute_values(":command_id", AttributeValue::S(command_id.0.to_string()))
            .limit(1)
            .send()
            .await
            .map_err(failed)?;
        let Some(version) = found.items().first().and_then(|keys| keys.get(VERSION)) else { return Ok(None) };
        let item = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .key(AGGREGATE_ID, AttributeValue::S(aggregate_id.to_string()))
            .key(VERSION, version.clone())
            .send()
            .await
            .map_err(failed)?;
        item.item.map(decode).transpose()
    }
}

/// The item of a commit, with its state where that is worth its price.
fn encode(commit: &Commit) -> Result<Item, AppendError> {
    let mut item: Item = serde_dynamo::aws_sdk_dynamodb_1::to_item(CommitItem::from(commit.clone()))
        .map_err(|error| AppendError::Unwritable(error.into()))?;
    let state: Item = item.remove_entry(STATE).into_iter().collect();
    let bytes = size(&item);
    if bytes > ITEM_BYTES_MAX {
        return Err(AppendError::TooLarge { bytes, bytes_max: ITEM_BYTES_MAX });
    }
    let whole_bytes = bytes + size(&state);
    let free = whole_bytes.div_ceil(WRITE_UNIT_BYTES) == bytes.div_ceil(WRITE_UNIT_BYTES);
    let states_up_to = |version: Version| version / Version::from(STATE_EVERY_VERSIONS);
    let due = states_up_to(commit.last_version()) > states_up_to(commit.version - 1);
    if whole_bytes > ITEM_BYTES_MAX {
        metrics::counter!(STATES_LEFT_OUT).increment(1);
        tracing::warn!(aggregate_id = %commit.aggregate_id, version = commit.version, whole_bytes, "no room for the state");
    } else if free || due {
        item.extend(state);
    }
    Ok(item)
}

fn decode_all(items: Vec<Item>) -> Result<Vec<Commit>, ReadError> {
    items.into_iter().map(decode).collect()
}

fn decode(item: Item) -> Result<Commit, ReadError> {
    let key = |name| item.get(name).and_then(|value| value.as_s().or(value.as_n()).ok()).cloned().unwrap_or_default();
    let place = format!("{} at version {}", key(AGGREGATE_ID), key(VERSION));
    serde_dynamo::aws_sdk_dynamodb_1::from_item::<CommitItem>(item)
        .map(Commit::from)
        .map_err(|_| ReadError::Corrupt(format!("the item of {place} does not have the form of a commit")))
}

fn failed<E, R>(error: SdkError<E, R>) -> ReadError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match fault(error) {
        Fault::Passing(source) => ReadError::Unavailable(source),
        Fault::Permanent(source) => ReadError::Refused(source),
    }
}
