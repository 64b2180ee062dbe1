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
use eventing::{CurrentTable, HistoryTable, Host, Index, ListFrom, Page, Place, ReadTable, Saved, System, TableError};

use crate::event_store::Segment;
use crate::item::{Item, VERSION, decode, encode, failed, saved, text, unwritable, version_of};

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
impl CurrentRows {
    /// The table `table` whose rows are found by their attribute `key`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>, key: &'static str) -> Self {
        Self { client, table: table.into(), key }
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

    /// The places of an index whose attribute `by` is the row's own id, in one segment of it. An item that is no place
    /// is an error among them, and hides none of the others.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn segment(&self, index: &Index, segment: Segment) -> Result<Vec<Result<Place, TableError>>, TableError> {
        let scan = segment.of(self.client.scan().table_name(&self.table).index_name(index.name));
        let pages = scan.into_paginator().items().send();
        let items: Vec<Item> = pages.collect::<Result<_, _>>().await.map_err(failed)?;
        Ok(items.iter().map(|key| self.place(index, key)).collect())
    }

    fn places(
        &self,
        index: &Index,
        items: Option<&[Item]>,
        last: Option<&Item>,
    ) -> Result<Page<Place, Place>, TableError> {
        let rows = items.unwrap_or_default().iter().map(|key| self.place(index, key)).collect::<Result<_, _>>()?;
        Ok(Page { rows, next: last.map(|key| self.place(index, key)).transpose()? })
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
}

impl<R: Row> CurrentTable<R> for CurrentRows {
    async fn get(&self, aggregate_id: AggregateId) -> Result<Option<R>, TableError> {
        self.row(aggregate_id, false).await
    }

    async fn keys(
        &self,
        index: &Index,
        value: &str,
        from: ListFrom<'_>,
        limit: usize,
    ) -> Result<Page<Place, Place>, TableError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(index.name)
            .expression_attribute_names("#by", index.by)
            .expression_attribute_values(":by", text(value))
            .scan_index_forward(!index.newest_first)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let of_value = "#by = :by";
        let query = match from {
            ListFrom::Start => query.key_condition_expression(of_value),
            ListFrom::After(last) => query
                .key_condition_expression(of_value)
                .set_exclusive_start_key(Some(self.index_key(index, value, last))),
            ListFrom::Newest(order) => query
                .key_condition_expression(format!("{of_value} AND #order <= :order"))
                .expression_attribute_names("#order", index.order)
                .expression_attribute_values(":order", text(order)),
        };
        let found = query.send().await.map_err(failed)?;
        self.places(index, found.items.as_deref(), found.last_evaluated_key.as_ref())
    }

    async fn rows(
        &self,
        aggregate_ids: &[AggregateId],
        consistent: bool,
    ) -> Result<BTreeMap<AggregateId, R>, TableError> {
        let mut rows = BTreeMap::new();
        let mut wanted: Vec<Item> =
            aggregate_ids.iter().map(|id| HashMap::from([(self.key.to_owned(), text(id))])).collect();
        // An answer over 16 MB comes in parts; so does one of a table that is asked for too much at the moment.
        for round in 0.. {
            if wanted.is_empty() {
                break;
            }
            if round > 0 {
                System.sleep(PAUSE * round).await;
            }
            let request = KeysAndAttributes::builder().set_keys(Some(wanted)).consistent_read(consistent);
            let request = request.build().map_err(unwritable)?;
            let answer =
                self.client.batch_get_item().request_items(&self.table, request).send().await.map_err(failed)?;
            for item in answer.responses.unwrap_or_default().remove(&self.table).unwrap_or_default() {
                let id = item.get(self.key).and_then(|id| id.as_s().ok()?.parse().ok()).map(AggregateId);
                let id = id.ok_or_else(|| TableError::Unreadable("a row has no id".into()))?;
                rows.insert(id, decode(item)?);
            }
            let mut left = answer.unprocessed_keys.unwrap_or_default();
            wanted = left.remove(&self.table).map(|rest| rest.keys).unwrap_or_default();
        }
        Ok(rows)
    }
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
}

impl<R: Row> HistoryTable<R> for RowHistory {
    async fn newest_first(
        &self,
        aggregate_id: AggregateId,
        versions: Range<Version>,
        limit: usize,
    ) -> Result<Vec<R>, TableError> {
        // DynamoDB refuses a range that is the wrong way round.
        let Some(last) = versions.end.checked_sub(1).filter(|last| *last >= versions.start) else {
            return Ok(Vec::new());
        };
        let found = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#key = :key AND version BETWEEN :start AND :last")
            .expression_attribute_names("#key", self.key)
            .expression_attribute_values(":key", text(&aggregate_id))
            .expression_attribute_values(":start", AttributeValue::N(versions.start.to_string()))
            .expression_attribute_values(":last", AttributeValue::N(last.to_string()))
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(failed)?;
        found.items.unwrap_or_default().into_iter().map(decode).collect()
    }

    async fn row(
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
