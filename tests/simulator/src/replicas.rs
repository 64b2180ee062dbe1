//! The read tables as queries read them: by replicas that are behind, in requests that take their time and may be lost.

use std::{collections::BTreeMap, fmt::Debug, ops::Range};

use aggregate::{Addition, AggregateId, Envelope, Row, Tally as _, Version};
use domain::{AccountRow, StatementEntry, TotalsRow, TransactionRow};
use eventing::{
    CounterTable, Counts, CurrentTable, HistoryTable, Index, JournalReader, ListFrom, Page, Place, Position, Secret,
    SecretError, SecretValues, ShardPage, TableError, shard,
};

use crate::{
    machine::Fault,
    mutants::Mutant,
    tables::{Journal, Table},
};

/// Points after which an index has a row for certain.
pub const INDEX_LAG_POINTS: u64 = 60;

/// A row with attributes that an index has.
pub trait Indexed: Row + PartialEq + Debug {
    /// The attribute that a list is of.
    fn of(&self, by: &str) -> String;
    /// The attribute that it is ordered by.
    fn order(&self) -> String;
}

impl Indexed for AccountRow {
    fn of(&self, _by: &str) -> String {
        self.account.owner.as_str().to_owned()
    }

    fn order(&self) -> String {
        self.created_at.to_string()
    }
}

impl Indexed for TransactionRow {
    fn of(&self, by: &str) -> String {
        let order = &self.transaction.order;
        if by == "source" { order.source.to_string() } else { order.destination.to_string() }
    }

    fn order(&self) -> String {
        self.created_at.to_string()
    }
}

impl<R: Indexed> CurrentTable<R> for Table<R> {
    async fn get(&self, aggregate_id: AggregateId) -> Result<Option<R>, TableError> {
        self.read().await?;
        let row = self.rows().get(&aggregate_id).cloned();
        Ok(row.and_then(|row| self.perhaps_stale(aggregate_id, row)))
    }

    async fn keys(
        &self,
        index: &Index,
        value: &str,
        from: ListFrom<'_>,
        limit: usize,
    ) -> Result<Page<Place, Place>, TableError> {
        self.read().await?;
        let all = self.rows();
        let of_value = all.iter().filter(|(_, row)| row.of(index.by) == value);
        let mut keys: Vec<Place> = of_value.map(|(id, row)| (row.order(), *id)).collect();
        drop(all);
        keys.retain(|(_, id)| self.has_had(*id, INDEX_LAG_POINTS) || !self.machine().fault(Fault::Stale));
        keys.sort_unstable();
        if index.newest_first {
            keys.reverse();
        }
        keys.retain(|key| match from {
            ListFrom::Start => true,
            ListFrom::After(last) if index.newest_first => key < last,
            ListFrom::After(last) => key > last,
            ListFrom::Newest(order) => key.0.as_str() <= order || self.lacks(Mutant::ListsGoOnAlone),
        });
        keys.truncate(limit);
        // As DynamoDB does, also where there is nothing more.
        Ok(Page { next: keys.get(limit - 1).cloned(), rows: keys })
    }

    async fn rows(
        &self,
        aggregate_ids: &[AggregateId],
        consistent: bool,
    ) -> Result<BTreeMap<AggregateId, R>, TableError> {
        self.read().await?;
        if consistent && self.lacks(Mutant::MissingRowsAreLeftOut) {
            return Ok(BTreeMap::new());
        }
        let row = |id: &AggregateId| {
            let row = Table::rows(self).get(id).cloned()?;
            let row = if consistent { row } else { self.perhaps_stale(*id, row)? };
            Some((*id, row))
        };
        Ok(aggregate_ids.iter().filter_map(row).collect())
    }
}

impl HistoryTable<StatementEntry> for Table<StatementEntry> {
    async fn newest_first(
        &self,
        aggregate_id: AggregateId,
        versions: Range<Version>,
        limit: usize,
    ) -> Result<Vec<StatementEntry>, TableError> {
        self.read().await?;
        let version = self.version(aggregate_id, false);
        Ok(self.rows_up_to(aggregate_id, version, |rows| {
            let of_range = rows.iter().rev().filter(|row| versions.contains(&row.version));
            of_range.take(limit).cloned().collect()
        }))
    }

    async fn row(
        &self,
        aggregate_id: AggregateId,
        version: Version,
        consistent: bool,
    ) -> Result<Option<StatementEntry>, TableError> {
        self.read().await?;
        let newest = self.version(aggregate_id, consistent);
        Ok(self.rows_up_to(aggregate_id, newest, |rows| rows.iter().find(|row| row.version == version).cloned()))
    }
}

impl CounterTable for Table<TotalsRow> {
    async fn generation(&self) -> Result<u32, TableError> {
        Ok(1)
    }

    async fn shard(&self, _generation: u32, group: &str, number: u8) -> Result<BTreeMap<String, Counts>, TableError> {
        self.read().await?;
        let ids: Vec<AggregateId> = self.rows().keys().filter(|id| shard(**id) == number).copied().collect();
        let mut counters: BTreeMap<String, Counts> = BTreeMap::new();
        for id in ids {
            let version = self.version(id, false);
            let additions = self.rows_up_to(id, version, |rows| rows.iter().flat_map(TotalsRow::additions).collect());
            let additions: Vec<Addition> = additions;
            for Addition { of, counter, amount, .. } in additions.into_iter().filter(|added| added.group == group) {
                *counters.entry(of).or_default().entry(counter.to_owned()).or_default() += i128::from(amount);
            }
        }
        Ok(counters)
    }
}

impl JournalReader for Journal {
    async fn read_shard(
        &self,
        number: u8,
        after: &Position,
        end: &Position,
        event_type: Option<&str>,
        limit: usize,
    ) -> Result<ShardPage, TableError> {
        self.read().await?;
        let entries = self.entries();
        let of_range = entries.iter().filter(|(position, _)| *position > after && *position <= end);
        let items: Vec<(&Position, &Option<Envelope>)> = of_range
            .filter(|(_, (of, _))| *of == number)
            .map(|(position, (_, event))| (position, event))
            .take(limit)
            .collect();
        let is_cut = items.len() == limit && !self.lacks(Mutant::ShardsSayTheyEnd);
        let read_up_to = items.last().filter(|_| is_cut).map(|(position, _)| (*position).clone());
        let is_wanted = |event: &&Envelope| event_type.is_none_or(|wanted| event.event_type == wanted);
        let found = items.into_iter().filter_map(|(position, event)| Some((position, event.as_ref()?)));
        let found = found.filter(|(_, event)| is_wanted(event));
        Ok(ShardPage {
            entries: found.map(|(position, event)| (position.clone(), event.clone())).collect(),
            read_up_to,
        })
    }
}

/// The secret that cursors are signed with.
pub struct CursorSecret;

impl Secret for CursorSecret {
    async fn values(&self) -> Result<SecretValues, SecretError> {
        Ok(SecretValues { using: "secret".to_owned(), other: None })
    }
}
