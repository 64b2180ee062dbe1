//! Counters that many aggregates share, for queries: cut into shards by aggregate, and added up by the reader.

use std::{collections::BTreeMap, future::Future};

use futures_util::future::{try_join, try_join_all};

use crate::{SHARDS, TableError};

/// The values of counters, by their names.
pub type Counts = BTreeMap<String, i128>;

/// A table of counters, as queries read it.
pub trait CounterTable: Send + Sync {
    /// The generation of counters to read.
    fn generation(&self) -> impl Future<Output = Result<u32, TableError>> + Send;

    /// The counters of one shard of a group, by what they count; eventually consistent. All counters of one group and one thing
    /// counted are read as they were at one moment.
    fn shard(
        &self,
        generation: u32,
        group: &str,
        shard: u8,
    ) -> impl Future<Output = Result<BTreeMap<String, Counts>, TableError>> + Send;
}

/// The counters of two groups, by what they count, from one generation. Each aggregate is in each sum with its events up to one
/// version.
///
/// # Errors
/// When the table does not answer.
pub async fn sums(
    table: &impl CounterTable,
    groups: (&str, &str),
) -> Result<(BTreeMap<String, Counts>, BTreeMap<String, Counts>), TableError> {
    let generation = table.generation().await?;
    try_join(sum(table, generation, groups.0), sum(table, generation, groups.1)).await
}

async fn sum(table: &impl CounterTable, generation: u32, group: &str) -> Result<BTreeMap<String, Counts>, TableError> {
    let shards = try_join_all((0..SHARDS).map(|shard| table.shard(generation, group, shard))).await?;
    let mut sums: BTreeMap<String, Counts> = BTreeMap::new();
    for (of, counts) in shards.into_iter().flatten() {
        let sum = sums.entry(of).or_default();
        for (counter, number) in counts {
            *sum.entry(counter).or_default() += number;
        }
    }
    Ok(sums)
}
