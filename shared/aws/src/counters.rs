//! Counters that many aggregates share, on DynamoDB: partition key `part`, sort key `of`. Each event is one transaction: its
//! aggregate's own row, which must be of the version before, and additions to the counters. Counters are cut into shards by
//! aggregate, so that projectors do not meet on one item; a reader adds the shards up.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use aggregate::{Addition, AggregateId, Row, Tally, Version};
use aws_sdk_dynamodb::{
    Client,
    operation::transact_write_items::builders::TransactWriteItemsFluentBuilder,
    types::{AttributeValue, Put, TransactWriteItem, Update},
};
use eventing::{CounterTable, Counts, ReadTable, Saved, TableError, shard};

use crate::{
    Difference, Generations, Segment,
    difference::differences,
    fault::cancellation_reasons,
    generations::{self, Known},
    item::{Item, cancelled, decode, encode, failed, text, unwritable, version_of},
};

/// Rows that are saved in one transaction, at most.
const ROWS_TOGETHER_MAX: usize = 25;
/// Items of counters that they add to, at most: with the row itself, as many items as a transaction has (DynamoDB quota).
const COUNTERS_TOGETHER_MAX: usize = 99;

/// A table of counters and of the rows behind them.
#[derive(Debug, Clone)]
pub struct Counters {
    client: Client,
    table: String,
    generation: Known,
}

/// Everything in one generation, read page by page and so not at one moment.
#[derive(Debug, Default)]
pub struct Contents {
    /// The rows of aggregates.
    rows: BTreeMap<AggregateId, Item>,
    /// The counters: by their group with its shard, and by what is counted.
    pub counters: BTreeMap<(String, String), Counts>,
}

impl Contents {
    /// The version up to which an aggregate is in the counters.
    #[must_use]
    pub fn version(&self, aggregate_id: AggregateId) -> Version {
        self.rows.get(&aggregate_id).and_then(version_of).unwrap_or_default()
    }

    /// The aggregates that have rows.
    pub fn aggregates(&self) -> impl Iterator<Item = AggregateId> {
        self.rows.keys().copied()
    }

    /// The attributes in which the row of `row`'s aggregate is not `row`.
    ///
    /// # Errors
    /// When `row` cannot be written in the table's form.
    pub fn differences<R: Tally>(&self, row: &R) -> Result<Vec<Difference>, TableError> {
        let mut found = self.rows.get(&row.aggregate_id()).cloned().unwrap_or_default();
        found.retain(|name, _| name != "part" && name != "of");
        Ok(differences(&found, &encode(row)?))
    }

    /// Where the counters of `addition` are.
    #[must_use]
    pub fn place(aggregate_id: AggregateId, addition: &Addition) -> (String, String) {
        (format!("{}#{}", addition.group, shard(aggregate_id)), addition.of.clone())
    }

    fn take(&mut self, generation: u32, mut item: Item) {
        let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
        let (part, of) = (text("part"), text("of"));
        let (number, name) = generations::parse(&part);
        if number != generation || name == "generations" {
            return;
        }
        if let Ok(id) = name.parse() {
            self.rows.insert(AggregateId(id), item);
        } else {
            item.retain(|name, _| name != "part" && name != "of");
            let count = |(name, value): (String, AttributeValue)| Some((name, value.as_n().ok()?.parse().ok()?));
            self.counters.insert((name.to_owned(), of), item.into_iter().filter_map(count).collect());
        }
    }
}

impl Counters {
    /// The counters in the table `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into(), generation: Known::Current(Arc::default()) }
    }

    /// The counters of one generation, whichever is current.
    #[must_use]
    pub fn of_generation(&self, number: u32) -> Self {
        Self { generation: Known::Only(number), ..self.clone() }
    }

    /// Reads which generation is current, so that the first caller does not wait for it. A failure is the first caller's to meet.
    pub async fn warm_up(&self) {
        if let Err(error) = self.generation.number(&self.client, &self.table).await {
            tracing::warn!(error = %eventing::causes(&error), "could not read the generation at init");
        }
    }

    /// Which generations there are.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn generations(&self) -> Result<Generations, TableError> {
        generations::read(&self.client, &self.table).await
    }

    /// Makes `now` of the generations, if they still are as they were `seen`. False: somebody else has changed them.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn change_generations(&self, seen: Generations, now: Generations) -> Result<bool, TableError> {
        generations::change(&self.client, &self.table, seen, now).await
    }

    /// Deletes all of a generation that is not in use.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn forget(&self, generation: u32) -> Result<(), TableError> {
        for item in self.items().await? {
            let part = item.get("part").and_then(|part| part.as_s().ok()).cloned().unwrap_or_default();
            let (number, name) = generations::parse(&part);
            if number == generation && name != "generations" {
                let key = item.into_iter().filter(|(name, _)| name == "part" || name == "of").collect();
                let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key));
                delete.send().await.map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Everything in the current generation.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn contents(&self) -> Result<Contents, TableError> {
        let generation = self.generation.number(&self.client, &self.table).await?;
        let mut contents = Contents::default();
        self.items().await?.into_iter().for_each(|item| contents.take(generation, item));
        Ok(contents)
    }

    async fn items(&self) -> Result<Vec<Item>, TableError> {
        let scan = Segment { number: 0, total: 1 }.of(self.client.scan().table_name(&self.table)).consistent_read(true);
        scan.into_paginator().items().send().collect::<Result<_, _>>().await.map_err(failed)
    }

    /// Saves `rows` in one transaction: the last of them, and what all of them add.
    async fn save_together<R: Tally>(&self, previous: Version, rows: &[R]) -> Result<Saved, TableError> {
        let Some(last) = rows.last() else { return Ok(Saved::Written) };
        let aggregate_id = last.aggregate_id();
        let generation = self.generation.number(&self.client, &self.table).await?;
        let mut row: Item = encode(last)?;
        row.extend(key_of(generation, aggregate_id));
        let put = Put::builder().table_name(&self.table).set_item(Some(row));
        let put = match previous {
            0 => put.condition_expression("attribute_not_exists(part)"),
            previous => put
                .condition_expression("version = :previous")
                .expression_attribute_values(":previous", AttributeValue::N(previous.to_string())),
        };
        let put = TransactWriteItem::builder().put(put.build().map_err(unwritable)?).build();
        let write = self.client.transact_write_items().transact_items(put);
        let updates = self.updates((generation, shard(aggregate_id)), rows.iter().flat_map(Tally::additions))?;
        let write = updates.into_iter().fold(write, TransactWriteItemsFluentBuilder::transact_items);
        match write.send().await {
            Ok(_) => Ok(Saved::Written),
            // Also where another projector is at work on a counter: the next look at the row tells.
            Err(error) if cancellation_reasons(&error).into_iter().any(is_other) => Ok(Saved::Stale),
            Err(error) => Err(cancelled(error)),
        }
    }

    /// One update for each item of counters.
    fn updates(
        &self,
        (generation, shard): (u32, u8),
        additions: impl Iterator<Item = Addition>,
    ) -> Result<Vec<TransactWriteItem>, TableError> {
        let mut items: BTreeMap<(String, String), BTreeMap<&str, i64>> = BTreeMap::new();
        for Addition { group, of, counter, amount } in additions {
            *items.entry((group, of)).or_default().entry(counter).or_default() += amount;
        }
        let update = |((group, of), counters): ((String, String), BTreeMap<&str, i64>)| {
            let places = 0..counters.len();
            let terms: Vec<String> = places.map(|place| format!("#counter{place} :amount{place}")).collect();
            let update = Update::builder()
                .table_name(&self.table)
                .key("part", text(&generations::part(generation, &format!("{group}#{shard}"))))
                .key("of", AttributeValue::S(of))
                .update_expression(format!("ADD {}", terms.join(", ")));
            let update = counters.into_iter().enumerate().fold(update, |update, (place, (counter, amount))| {
                update
                    .expression_attribute_names(format!("#counter{place}"), counter)
                    .expression_attribute_values(format!(":amount{place}"), AttributeValue::N(amount.to_string()))
            });
            Ok(TransactWriteItem::builder().update(update.build().map_err(unwritable)?).build())
        };
        items.into_iter().map(update).collect()
    }
}

impl CounterTable for Counters {
    async fn generation(&self) -> Result<u32, TableError> {
        self.generation.number(&self.client, &self.table).await
    }

    async fn shard(&self, generation: u32, group: &str, shard: u8) -> Result<BTreeMap<String, Counts>, TableError> {
        let part = generations::part(generation, &format!("{group}#{shard}"));
        let pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("part = :part")
            .expression_attribute_values(":part", AttributeValue::S(part))
            .into_paginator()
            .items()
            .send();
        let items: Vec<Item> = pages.collect::<Result<_, _>>().await.map_err(failed)?;
        items.into_iter().map(counts_of).collect()
    }
}

/// What an item counts, and its counters.
fn counts_of(mut item: Item) -> Result<(String, Counts), TableError> {
    let unreadable = || TableError::Unreadable("an item of counters does not have their form".into());
    let Some(AttributeValue::S(of)) = item.remove("of") else { return Err(unreadable()) };
    item.remove("part");
    let count = |(name, value): (String, AttributeValue)| Some((name, value.as_n().ok()?.parse().ok()?));
    let counts = item.into_iter().map(|item| count(item).ok_or_else(unreadable)).collect::<Result<_, _>>()?;
    Ok((of, counts))
}

impl<R: Tally> ReadTable<R> for Counters {
    async fn latest(&self, aggregate_id: AggregateId) -> Result<Option<R>, TableError> {
        let generation = self.generation.number(&self.client, &self.table).await?;
        let key = HashMap::from(key_of(generation, aggregate_id));
        let get = self.client.get_item().table_name(&self.table).consistent_read(true).set_key(Some(key));
        get.send().await.map_err(failed)?.item.map(decode).transpose()
    }

    async fn save(&self, previous: Version, rows: &[R]) -> Result<Saved, TableError> {
        let (mut previous, mut rest) = (previous, rows);
        while !rest.is_empty() {
            let (rows, later) = rest.split_at(fitting(rest));
            if self.save_together(previous, rows).await? == Saved::Stale {
                return Ok(Saved::Stale);
            }
            previous = rows.last().map_or(previous, Row::version);
            rest = later;
        }
        Ok(Saved::Written)
    }
}

/// How many leading rows fit one transaction; at least one, so that one which adds to too much is refused by the table, not by silence.
fn fitting<R: Tally>(rows: &[R]) -> usize {
    let mut counters = BTreeSet::new();
    let fits = |row: &&R| {
        counters.extend(row.additions().into_iter().map(|Addition { group, of, .. }| (group, of)));
        counters.len() <= COUNTERS_TOGETHER_MAX
    };
    rows.iter().take(ROWS_TOGETHER_MAX).take_while(fits).count().max(1)
}

/// Whether an item of the transaction was another's at the moment, or is of another version.
fn is_other(reason: &str) -> bool {
    matches!(reason, "ConditionalCheckFailed" | "TransactionConflict")
}

/// Where the row of an aggregate is.
fn key_of(generation: u32, aggregate_id: AggregateId) -> [(String, AttributeValue); 2] {
    [
        ("part".to_owned(), text(&generations::part(generation, &aggregate_id.to_string()))),
        ("of".to_owned(), text("row")),
    ]
}
