//! The journal on DynamoDB: partition key `part`, sort key `position`. An event is one item; one that came late is two,
//! its entry and the note at its own place, written together.

use std::collections::HashMap;

use aggregate::Envelope;
use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, Put, TransactWriteItem},
};
use eventing::{ENTRY_WRITE_MAX, JournalReader, JournalTable, Placing, Position, Saved, ShardPage, TableError, shard};

use crate::{
    RowPlace, Segment,
    fault::cancellation_reasons,
    item::{Item, cancelled, decode, encode, failed, saved, text, unwritable},
};

/// The journal's table.
#[derive(Debug, Clone)]
pub struct Journal {
    pub(crate) client: Client,
    pub(crate) table: String,
}

impl Journal {
    /// The journal in the table `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// The place where `event` entered, by the note at its own place, if there is one; and what is there.
    pub(crate) async fn found(&self, event: &Envelope) -> Result<(Option<Position>, Option<Item>), TableError> {
        let own = self.item(event, &Position::of(event, event.created_at)).await?;
        match own.as_ref().and_then(|item| item.get("entered_at")?.as_s().ok()) {
            Some(enters) => {
                let enters = Position::from_text(enters.clone());
                let item = self.item(event, &enters).await?;
                Ok((Some(enters), item))
            }
            None => Ok((None, own)),
        }
    }

    async fn item(&self, event: &Envelope, position: &Position) -> Result<Option<Item>, TableError> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        Ok(get.set_key(Some(key(event, position))).send().await.map_err(failed)?.item)
    }

    /// Whether there is nothing in it.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn is_empty(&self) -> Result<bool, TableError> {
        let first = self.client.scan().table_name(&self.table).consistent_read(true).limit(1).send().await;
        Ok(first.map_err(failed)?.items().is_empty())
    }

    /// One page of the events that have entries in one segment of the table, and the place to go on after. An entry that cannot be
    /// read is an error in its place and hides no other.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn events(
        &self,
        segment: Segment,
        after: Option<RowPlace>,
    ) -> Result<(Vec<Result<(Position, Envelope), TableError>>, Option<RowPlace>), TableError> {
        let scan = segment.of(self.client.scan().table_name(&self.table));
        let scan = scan.filter_expression("attribute_exists(event)");
        let page = scan.set_exclusive_start_key(after.map(|place| place.0)).send().await.map_err(failed)?;
        let entries = page.items.unwrap_or_default().into_iter().map(entry_of).collect();
        Ok((entries, page.last_evaluated_key.map(RowPlace)))
    }

    /// Puts the entry of `event` at `position`, whatever is there.
    pub(crate) async fn overwrite(&self, event: &Envelope, position: &Position) -> Result<(), TableError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(entry(event, position)?));
        put.send().await.map(drop).map_err(failed)
    }
}

impl JournalReader for Journal {
    async fn read_shard(
        &self,
        shard: u8,
        after: &Position,
        end: &Position,
        event_type: Option<&str>,
        limit: usize,
    ) -> Result<ShardPage, TableError> {
        let of_type = event_type.map_or("", |_| " AND event_type = :type");
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true) // a replica may be behind by more than the hold-back
            .key_condition_expression("part = :part AND #position BETWEEN :after AND :end")
            .filter_expression(format!("attribute_exists(event){of_type}"))
            .expression_attribute_names("#position", "position")
            .expression_attribute_values(":part", AttributeValue::N(shard.to_string()))
            // BETWEEN includes both ends: a blank makes it the next text after the place.
            .expression_attribute_values(":after", AttributeValue::S(format!("{after} ")))
            .expression_attribute_values(":end", text(end))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let query = match event_type {
            Some(event_type) => query.expression_attribute_values(":type", text(event_type)),
            None => query,
        };
        let found = query.send().await.map_err(failed)?;
        let read_up_to = found.last_evaluated_key.as_ref().and_then(position_of);
        let entries = found.items.unwrap_or_default().into_iter().map(entry_of).collect::<Result<_, _>>()?;
        Ok(ShardPage { entries, read_up_to })
    }
}

impl JournalTable for Journal {
    async fn put(&self, event: &Envelope, placing: &Placing) -> Result<bool, TableError> {
        // Whatever the client's own time-outs are: readers rely on it.
        let put = tokio::time::timeout(ENTRY_WRITE_MAX, self.put_new(event, placing)).await;
        put.unwrap_or_else(|late| Err(TableError::Unavailable(late.into())))
    }
}

impl Journal {
    async fn put_new(&self, event: &Envelope, placing: &Placing) -> Result<bool, TableError> {
        let is_new = "attribute_not_exists(part)";
        match placing {
            Placing::OnTime(position) => {
                let put = self.client.put_item().table_name(&self.table).set_item(Some(entry(event, position)?));
                Ok(saved(put.condition_expression(is_new).send().await)? == Saved::Written)
            }
            Placing::Late { own, enters } => {
                let mut note = key(event, own);
                note.insert("entered_at".to_owned(), text(enters));
                let put = |item: Item| Put::builder().table_name(&self.table).set_item(Some(item));
                let note = put(note).condition_expression(is_new).build().map_err(unwritable)?;
                let entry = put(entry(event, enters)?).build().map_err(unwritable)?;
                let write = self
                    .client
                    .transact_write_items()
                    .transact_items(TransactWriteItem::builder().put(note).build())
                    .transact_items(TransactWriteItem::builder().put(entry).build());
                match write.send().await {
                    Ok(_) => Ok(true),
                    Err(error) if cancellation_reasons(&error).first() == Some(&"ConditionalCheckFailed") => Ok(false),
                    Err(error) => Err(cancelled(error)),
                }
            }
        }
    }
}

fn position_of(item: &Item) -> Option<Position> {
    Some(Position::from_text(item.get("position")?.as_s().ok()?.clone()))
}

/// The event of an entry, and the entry's place.
fn entry_of(mut item: Item) -> Result<(Position, Envelope), TableError> {
    let position = position_of(&item).ok_or_else(|| TableError::Unreadable("an entry has no position".into()))?;
    match item.remove("event") {
        Some(AttributeValue::M(event)) => Ok((position, decode(event)?)),
        _ => Err(TableError::Unreadable("an entry has no event".into())),
    }
}

/// The key of a place of `event`.
pub(crate) fn key(event: &Envelope, position: &Position) -> Item {
    let shard = AttributeValue::N(shard(event.aggregate_id).to_string());
    HashMap::from([("part".to_owned(), shard), ("position".to_owned(), text(position))])
}

/// The item of `event` at `position`.
pub(crate) fn entry(event: &Envelope, position: &Position) -> Result<Item, TableError> {
    let mut item = key(event, position);
    item.insert("event_type".to_owned(), text(&event.event_type));
    item.insert("event".to_owned(), AttributeValue::M(encode(event)?));
    Ok(item)
}
