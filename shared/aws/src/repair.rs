//! Whether read tables hold what the events say, and how what they do not is put right while everything goes on: the row of
//! an aggregate is replaced whole, on the condition that it is still the one that was looked at.

use std::future::Future;

use aggregate::{AggregateId, Envelope, Row, Timestamp, Version};
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use eventing::{EventStore, Position, ProjectError, ReadTable, Saved, TableError, catch_up, enter};
use serde::Serialize;

use crate::{
    CurrentRows, Difference, Journal, RowHistory, Segment,
    difference::differences,
    item::{Item, VERSION, encode, failed, key_in_words, saved, text, version_of},
    journal::{entry, key},
};

/// A row that is not what the events say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Whose row it is.
    pub aggregate_id: AggregateId,
    /// The version that it is of, or should be of.
    pub version: Version,
    /// What is the matter.
    pub kind: Kind,
    /// The version of the aggregate's newest row that was there; 0 where there was none.
    pub at: Version,
    /// Whether it is put right.
    pub repaired: bool,
    /// The attributes that differ, of a row that is [`Kind::Different`]. Not serialised: their values may be a person's.
    #[serde(skip)]
    pub differences: Vec<Difference>,
}

/// What is the matter with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It is right, and of an earlier version than the events. While events are on their way that is as it should be.
    Behind,
    /// There is none. Likewise.
    Missing,
    /// It says something else than the events.
    Different,
    /// No event led to it.
    Extra,
    /// This code cannot read the events that lead to it.
    Unreadable,
}

/// What is done about what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Verify,
    /// It is put right.
    Repair,
}

/// The rows that an aggregate should have, folded from as many of its events as are needed.
#[derive(Debug)]
pub struct Expected<'a, R, S> {
    /// Where the rest of its events are, if it may have any.
    store: Option<&'a S>,
    aggregate_id: AggregateId,
    rows: Vec<R>,
}

impl<'a, R: Row, S: EventStore> Expected<'a, R, S> {
    /// Begins with `rows`: those of the aggregate's first events, in order.
    #[must_use]
    pub fn new(store: &'a S, aggregate_id: AggregateId, rows: Vec<R>) -> Self {
        Self { store: Some(store), aggregate_id, rows }
    }

    /// No rows: what has this id is an aggregate of another type.
    #[must_use]
    pub fn nothing(aggregate_id: AggregateId) -> Self {
        Self { store: None, aggregate_id, rows: Vec::new() }
    }

    /// The rows of all events up to `version` and perhaps more; fewer where the aggregate has fewer events.
    async fn up_to(&mut self, version: Version) -> Result<&[R], ProjectError> {
        if let Some(store) = self.store {
            self.rows.extend(catch_up(store, self.aggregate_id, self.rows.last(), version).await?);
        }
        Ok(&self.rows)
    }
}

/// A read table that can be compared with the events.
pub trait Comparable<R: Row>: ReadTable<R> {
    /// Compares the rows of an aggregate, byte for byte, with those expected. What is in the table is read first and the events
    /// after that, so a row without an event is one indeed.
    ///
    /// # Errors
    /// When the events cannot be read, or the table does not answer.
    fn compare<S: EventStore>(
        &self,
        expected: Expected<'_, R, S>,
        mode: Mode,
    ) -> impl Future<Output = Result<Vec<Finding>, ProjectError>> + Send;

    /// The aggregates that have rows.
    fn keys(&self) -> Keys<'_>;
}

/// The aggregates that have rows in a read table.
#[derive(Debug)]
pub struct Keys<'a> {
    client: &'a Client,
    table: &'a str,
    attribute: &'a str,
}

/// A place in a segment of a read table.
#[derive(Debug, Clone)]
pub struct RowPlace(pub(crate) Item);

/// The row of `version`, where there is one.
fn row_of<R>(rows: &[R], version: Version) -> Option<&R> {
    rows.get(usize::try_from(version.checked_sub(1)?).ok()?)
}

impl Keys<'_> {
    /// One page of those in one segment of the table, and the place to go on after. An aggregate may come more than once. A key that
    /// is no aggregate's id is an error in its place and hides no other.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn page(
        &self,
        segment: Segment,
        after: Option<RowPlace>,
    ) -> Result<(Vec<Result<AggregateId, TableError>>, Option<RowPlace>), TableError> {
        let scan = segment.of(self.client.scan().table_name(self.table));
        let scan = scan.projection_expression("#key").expression_attribute_names("#key", self.attribute);
        let page = scan.set_exclusive_start_key(after.map(|place| place.0)).send().await.map_err(failed)?;
        let id = |item: &Item| Some(AggregateId(item.get(self.attribute)?.as_s().ok()?.parse().ok()?));
        let id = |item: &Item| {
            id(item).ok_or_else(|| {
                TableError::Unreadable(format!("no aggregate has the key {}", key_in_words(item)).into())
            })
        };
        let mut ids: Vec<_> = page.items.unwrap_or_default().iter().map(id).collect();
        ids.dedup_by(|next, one| matches!((next, one), (Ok(next), Ok(one)) if next == one));
        Ok((ids, page.last_evaluated_key.map(RowPlace)))
    }
}

impl<R: Row> Comparable<R> for CurrentRows {
    async fn compare<S: EventStore>(
        &self,
        mut expected: Expected<'_, R, S>,
        mode: Mode,
    ) -> Result<Vec<Finding>, ProjectError> {
        let aggregate_id = expected.aggregate_id;
        loop {
            let found = self.item(aggregate_id, true).await?;
            let at = found.as_ref().and_then(version_of);
            let rows = expected.up_to(at.unwrap_or_default()).await?;
            let right = at.and_then(|at| row_of(rows, at)).map(encode).transpose()?;
            let newest = rows.last();
            let kind = match (&found, newest) {
                (None, None) => return Ok(Vec::new()),
                (None, Some(_)) => Kind::Missing,
                (Some(_), None) => Kind::Extra,
                (Some(_), Some(newest)) if found == right && at == Some(newest.version()) => return Ok(Vec::new()),
                (Some(_), Some(_)) if found == right => Kind::Behind,
                (Some(_), Some(_)) => Kind::Different,
            };
            let repaired = mode == Mode::Repair;
            if repaired && self.replace(aggregate_id, found.as_ref(), newest).await? == Saved::Stale {
                continue;
            }
            // A projector may have passed over the first event because of a row that should not have been there.
            if repaired && kind == Kind::Extra && !expected.up_to(1).await?.is_empty() {
                continue;
            }
            let newest = expected.rows.last();
            let version = newest.map(Row::version).or(at).unwrap_or_default();
            // A row of a version that the events do not reach is compared with the newest.
            let right = right.map_or_else(|| newest.map(encode).transpose(), |right| Ok(Some(right)))?;
            let differences = match (kind, found, right) {
                (Kind::Different, Some(found), Some(right)) => differences(&found, &right),
                _ => Vec::new(),
            };
            let at = at.unwrap_or_default();
            return Ok(vec![Finding { aggregate_id, version, kind, at, repaired, differences }]);
        }
    }

    fn keys(&self) -> Keys<'_> {
        Keys { client: &self.client, table: &self.table, attribute: self.key }
    }
}

impl CurrentRows {
    /// Puts `row` in the place of the item `seen`, or nothing, if it is still there as it was.
    async fn replace<R: Row>(
        &self,
        id: AggregateId,
        seen: Option<&Item>,
        row: Option<&R>,
    ) -> Result<Saved, TableError> {
        // A row changes with every version, and only with it, whoever writes it.
        let version = seen.and_then(|item| item.get(VERSION)).cloned();
        let (condition, name) = match (seen, &version) {
            (None, _) => ("attribute_not_exists(#name)", self.key),
            (Some(_), None) => ("attribute_not_exists(#name)", VERSION),
            (Some(_), Some(_)) => ("#name = :seen", VERSION),
        };
        let Some(row) = row else {
            let delete = self.client.delete_item().table_name(&self.table).key(self.key, text(&id));
            let delete = delete.condition_expression(condition).expression_attribute_names("#name", name);
            let outcome =
                version.into_iter().fold(delete, |delete, seen| delete.expression_attribute_values(":seen", seen));
            return saved(outcome.send().await);
        };
        let put = self.client.put_item().table_name(&self.table).set_item(Some(encode(row)?));
        let put = put.condition_expression(condition).expression_attribute_names("#name", name);
        saved(version.into_iter().fold(put, |put, seen| put.expression_attribute_values(":seen", seen)).send().await)
    }
}

impl<R: Row> Comparable<R> for RowHistory {
    async fn compare<S: EventStore>(
        &self,
        mut expected: Expected<'_, R, S>,
        mode: Mode,
    ) -> Result<Vec<Finding>, ProjectError> {
        let aggregate_id = expected.aggregate_id;
        let repaired = mode == Mode::Repair;
        let mut found = self.items(aggregate_id).await?;
        let newest = found.keys().next_back().copied().unwrap_or_default();
        let mut findings = Vec::new();
        for row in expected.up_to(newest).await? {
            let (version, right) = (row.version(), encode(row)?);
            let (kind, differences) = match found.remove(&version) {
                Some(item) if item == right => continue,
                Some(item) => (Kind::Different, differences(&item, &right)),
                None if version > newest => (Kind::Behind, Vec::new()),
                None => (Kind::Missing, Vec::new()),
            };
            if repaired {
                // Whoever writes the row of a version writes this one; in order, so that no gap comes about.
                self.client.put_item().table_name(&self.table).set_item(Some(right)).send().await.map_err(failed)?;
            }
            findings.push(Finding { aggregate_id, version, kind, at: newest, repaired, differences });
        }
        for version in found.keys().copied() {
            if repaired {
                let delete = self.client.delete_item().table_name(&self.table).key(self.key, text(&aggregate_id));
                delete.key(VERSION, AttributeValue::N(version.to_string())).send().await.map_err(failed)?;
            }
            let (kind, differences) = (Kind::Extra, Vec::new());
            findings.push(Finding { aggregate_id, version, kind, at: newest, repaired, differences });
        }
        if repaired && let Some(last) = found.keys().next_back() {
            // A projector may have passed over an event because of a row that should not have been there.
            for row in expected.up_to(*last).await?.iter().filter(|row| found.contains_key(&row.version())) {
                let put = self.client.put_item().table_name(&self.table).set_item(Some(encode(row)?));
                put.send().await.map_err(failed)?;
            }
        }
        Ok(findings)
    }

    fn keys(&self) -> Keys<'_> {
        Keys { client: &self.client, table: &self.table, attribute: self.key }
    }
}

impl Journal {
    /// Compares the entry of `event` with the event; one that is missing enters at the time that `now` tells then, as any event that
    /// comes late.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn compare(
        &self,
        event: &Envelope,
        now: impl Fn() -> Timestamp,
        mode: Mode,
    ) -> Result<Option<Finding>, TableError> {
        let (noted, item) = self.found(event).await?;
        let place = noted.clone().unwrap_or_else(|| Position::of(event, event.created_at));
        let right = entry(event, &place)?;
        let (kind, differences) = match item {
            None => (Kind::Missing, Vec::new()),
            Some(item) if item == right => return Ok(None),
            Some(item) => (Kind::Different, differences(&item, &right)),
        };
        match (mode, noted, kind) {
            (Mode::Verify, ..) => {}
            (Mode::Repair, None, Kind::Missing) => drop(enter(self, event, now()).await?),
            (Mode::Repair, ..) => self.overwrite(event, &place).await?,
        }
        let (aggregate_id, version) = (event.aggregate_id, event.version);
        let at = if kind == Kind::Missing { 0 } else { version };
        Ok(Some(Finding { aggregate_id, version, kind, at, repaired: mode == Mode::Repair, differences }))
    }

    /// The place of the entry that `event` has, or would have: its own, or the one that the note there tells.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn place(&self, event: &Envelope) -> Result<Position, TableError> {
        let (noted, _) = self.found(event).await?;
        Ok(noted.unwrap_or_else(|| Position::of(event, event.created_at)))
    }

    /// Takes out the entry at `position`, which no recorded event led to.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn remove(&self, event: &Envelope, position: &Position) -> Result<(), TableError> {
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key(event, position)));
        delete.send().await.map(drop).map_err(failed)
    }
}
