//! Read tables on DynamoDB. Two shapes serve every read model that follows one aggregate: the row as it stands, replaced
//! with every event, and the row an event, never changed.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    time::Duration,
};

use aggregate::{AggregateId, Row, Version};
use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, KeysAndAttributes},
};
use eventing::{Host, ReadTable, Saved, System, TableError};

use crate::item::{Item, VERSION, decode, encode, failed, saved, text, version_of};

/// A table of rows as they stand: partition key `key`, one row an aggregate.
#[derive(Debug, Clone)]
pub struct CurrentRows {
    pub(crate) client: Client,
    pub(crate) table: String,
    pub(crate) key: &'static str,
}

/// A table of rows for ever: partition key `key`, sort key `version`, one row an event.
#[derive(Debug, Clone)]
pub struct RowHistory {
    pub(crate) client: Client,
    pub(crate) table: String,
    pub(crate) key: &'static str,
}

/// What waits before rows that were not answered are asked for once more, times the round.
const PAUSE: Duration = Duration::from_millis(10);
/// The least that is read of a history once a page of it had less to show than was asked for.
const NEXT_ROWS: usize = 100;
/// Requests for one page of a history.
const REQUESTS_MAX: u32 = 10;

/// One page of a list, and where the next begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<R, P> {
    /// The rows, in the list's order.
    pub rows: Vec<R>,
    /// What to continue after; `None` at the end.
    pub next: Option<P>,
}

/// A row's place in an index: the value that it is ordered by, and its id.
pub type Place = (String, AggregateId);

impl CurrentRows {
    /// The table `table` whose rows are found by their attribute `key`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>, key: &'static str) -> Self {
        Self { client, table: table.into(), key }
    }

    /// The row by an eventually consistent read: half the price, and perhaps a moment old.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn get<R: Row>(&self, aggregate_id: AggregateId) -> Result<Option<R>, TableError> {
        self.row(aggregate_id, false).await
    }

    async fn row<R: Row>(&self, aggregate_id: AggregateId, consistent: bool) -> Result<Option<R>, TableError> {
        self.item(aggregate_id, consistent).await?.map(decode).transpose()
    }

    /// The row as the table has it.
    pub(crate) async fn item(&self, aggregate_id: AggregateId, consistent: bool) -> Result<Option<Item>, TableError> {
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(consistent)
            .key(self.key, text(&aggregate_id))
            .send()
            .await
            .map_err(failed)?;
        Ok(found.item)
    }

    /// Up to `limit` rows whose attribute `by` is `value`, in the order of the index `index` (sort key `order`), after the
    /// place `after`; `limit` is 1 to 100, which is what is read as one batch (quota of `BatchGetItem`). The index only needs the
    /// keys; all reads are eventually consistent.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn list<R: Row>(
        &self,
        index: &Index,
        value: &str,
        after: Option<&Place>,
        limit: i32,
    ) -> Result<Page<R, Place>, TableError> {
        let start = after.map(|place| self.index_key(index, value, place));
        let found = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(index.name)
            .key_condition_expression("#by = :by")
            .expression_attribute_names("#by", index.by)
            .expression_attribute_values(":by", text(value))
            .scan_index_forward(!index.newest_first)
            .set_exclusive_start_key(start)
            .limit(limit)
            .send()
            .await
            .map_err(failed)?;
        let next = found.last_evaluated_key.map(|key| self.place(index, &key)).transpose()?;
        let keys: Vec<AttributeValue> =
            found.items.unwrap_or_default().into_iter().filter_map(|mut keys| keys.remove(self.key)).collect();
        Ok(Page { rows: self.rows(&keys).await?, next })
    }

    /// One page of the places of an index whose attribute `by` is the row's own id: those of all rows that have the attribute.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn scan(&self, index: &Index, after: Option<&Place>) -> Result<Page<Place, Place>, TableError> {
        let found = self
            .client
            .scan()
            .table_name(&self.table)
            .index_name(index.name)
            .set_exclusive_start_key(after.map(|place| self.index_key(index, &place.1, place)))
            .send()
            .await
            .map_err(failed)?;
        let next = found.last_evaluated_key.map(|key| self.place(index, &key)).transpose()?;
        let items = found.items.unwrap_or_default();
        Ok(Page { rows: items.iter().map(|key| self.place(index, key)).collect::<Result<_, _>>()?, next })
    }

    fn index_key(&self, index: &Index, value: &(impl ToString + ?Sized), (order, id): &Place) -> Item {
        HashMap::from([
            (index.by.to_owned(), text(value)),
            (index.order.to_owned(), text(order)),
            (self.key.to_owned(), text(id)),
        ])
    }

    fn place(&self, index: &Index, key: &Item) -> Result<Place, TableError> {
        let text = |name: &str| key.get(name)?.as_s().ok();
        let place = || Some((text(index.order)?.clone(), AggregateId(text(self.key)?.parse().ok()?)));
        place().ok_or_else(|| TableError::Unreadable(format!("a key of the index {} is no place", index.name).into()))
    }

    /// The rows of `keys` that there are, in that order.
    async fn rows<R: Row>(&self, keys: &[AttributeValue]) -> Result<Vec<R>, TableError> {
        let mut items: HashMap<&str, Item> = HashMap::new();
        let mut wanted: Vec<Item> =
            keys.iter().map(|key| HashMap::from([(self.key.to_owned(), key.clone())])).collect();
        // An answer over 16 MB comes in parts; so does one of a table that is asked for too much at the moment.
        for round in 0.. {
            if wanted.is_empty() {
                break;
            }
            if round > 0 {
                System.sleep(PAUSE * round).await;
            }
            let request = KeysAndAttributes::builder().set_keys(Some(wanted)).build().map_err(failed)?;
            let answer =
                self.client.batch_get_item().request_items(&self.table, request).send().await.map_err(failed)?;
            for item in answer.responses.unwrap_or_default().remove(&self.table).unwrap_or_default() {
                let place = keys.iter().find_map(|key| (item.get(self.key) == Some(key)).then(|| key.as_s().ok())?);
                items.extend(place.map(|place| (place.as_str(), item)));
            }
            let mut left = answer.unprocessed_keys.unwrap_or_default();
            wanted = left.remove(&self.table).map(|rest| rest.keys).unwrap_or_default();
        }
        keys.iter().filter_map(|key| items.remove(key.as_s().ok()?.as_str())).map(decode).collect()
    }
}

/// A secondary index: rows by one attribute, ordered by another.
#[derive(Debug, Clone, Copy)]
pub struct Index {
    /// The index's name.
    pub name: &'static str,
    /// The attribute that a list is of.
    pub by: &'static str,
    /// The attribute that it is ordered by: a text.
    pub order: &'static str,
    /// Whether lists begin at its end.
    pub newest_first: bool,
}

impl<R: Row> ReadTable<R> for CurrentRows {
    async fn latest(&self, aggregate_id: AggregateId) -> Result<Option<R>, TableError> {
        self.row(aggregate_id, true).await
    }

    async fn save(&self, previous: Version, rows: &[R]) -> Result<Saved, TableError> {
        let Some(last) = rows.last() else { return Ok(Saved::Written) };
        let put = self.client.put_item().table_name(&self.table).set_item(Some(encode(last)?));
        let put = match previous {
            0 => put.condition_expression("attribute_not_exists(#key)").expression_attribute_names("#key", self.key),
            previous => put
                .condition_expression("version = :previous")
                .expression_attribute_values(":previous", AttributeValue::N(previous.to_string())),
        };
        saved(put.send().await)
    }
}

impl RowHistory {
    /// The table `table` whose rows are found by their attribute `key`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>, key: &'static str) -> Self {
        Self { client, table: table.into(), key }
    }

    /// The row of one version. Where not `consistent`, the read is eventually consistent: half the price, and a row of the last
    /// moment may be missing.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn get<R: Row>(
        &self,
        aggregate_id: AggregateId,
        version: Version,
        consistent: bool,
    ) -> Result<Option<R>, TableError> {
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(consistent)
            .key(self.key, text(&aggregate_id))
            .key(VERSION, AttributeValue::N(version.to_string()))
            .send()
            .await
            .map_err(failed)?;
        found.item.map(decode).transpose()
    }

    /// All rows of an aggregate as the table has them, by version.
    pub(crate) async fn items(&self, aggregate_id: AggregateId) -> Result<BTreeMap<Version, Item>, TableError> {
        let pages = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("#key = :key")
            .expression_attribute_names("#key", self.key)
            .expression_attribute_values(":key", text(&aggregate_id))
            .into_paginator()
            .items()
            .send();
        let items: Vec<Item> = pages.collect::<Result<_, _>>().await.map_err(failed)?;
        let by_version = |item: Item| Some((version_of(&item)?, item));
        Ok(items.into_iter().filter_map(by_version).collect())
    }

    /// Up to `limit` rows of `versions` that have the attribute `shown`, newest first; `consistent` as for [`RowHistory::get`]. A page
    /// is shorter where a thousand rows and more that are not shown lie between; only [`Page::next`] says whether it is the last.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn newest_first<R: Row>(
        &self,
        aggregate_id: AggregateId,
        versions: Range<Version>,
        shown: &str,
        limit: usize,
        consistent: bool,
    ) -> Result<Page<R, Version>, TableError> {
        let mut rows: Vec<R> = Vec::new();
        let Range { start, end: mut before } = versions;
        // A page of the table may hold rows that are not shown; go on until the list's page is full, within reason.
        let mut requests = 0;
        loop {
            // DynamoDB refuses a range that is the wrong way round.
            let Some(last) = before.checked_sub(1).filter(|last| *last >= start) else {
                return Ok(Page { rows, next: None });
            };
            let missing = limit - rows.len();
            let read_max = if requests == 0 { missing } else { missing.max(NEXT_ROWS) };
            requests += 1;
            let found = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(consistent)
                .key_condition_expression("#key = :key AND version BETWEEN :start AND :last")
                .filter_expression("attribute_exists(#shown)")
                .expression_attribute_names("#key", self.key)
                .expression_attribute_names("#shown", shown)
                .expression_attribute_values(":key", text(&aggregate_id))
                .expression_attribute_values(":start", AttributeValue::N(start.to_string()))
                .expression_attribute_values(":last", AttributeValue::N(last.to_string()))
                .scan_index_forward(false)
                .limit(i32::try_from(read_max).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(failed)?;
            let mut next = found.last_evaluated_key.as_ref().and_then(version_of);
            let mut more = found.items.unwrap_or_default();
            if more.len() > missing {
                more.truncate(missing);
                next = more.last().and_then(version_of);
            }
            for item in more {
                rows.push(decode(item)?);
            }
            match next {
                Some(next) if rows.len() < limit && requests < REQUESTS_MAX => before = next,
                next => return Ok(Page { rows, next }),
            }
        }
    }
}

impl<R: Row> ReadTable<R> for RowHistory {
    async fn latest(&self, aggregate_id: AggregateId) -> Result<Option<R>, TableError> {
        let found = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("#key = :key")
            .expression_attribute_names("#key", self.key)
            .expression_attribute_values(":key", text(&aggregate_id))
            .scan_index_forward(false)
            .limit(1)
            .send()
            .await
            .map_err(failed)?;
        found.items.unwrap_or_default().pop().map(decode).transpose()
    }

    async fn save(&self, _previous: Version, rows: &[R]) -> Result<Saved, TableError> {
        // Each follows from the one before it, so writing them in order keeps the history without gaps at every moment.
        for row in rows {
            let put = self.client.put_item().table_name(&self.table).set_item(Some(encode(row)?));
            let put =
                put.condition_expression("attribute_not_exists(#key)").expression_attribute_names("#key", self.key);
            if saved(put.send().await)? == Saved::Stale {
                return Ok(Saved::Stale);
            }
        }
        Ok(Saved::Written)
    }
}
