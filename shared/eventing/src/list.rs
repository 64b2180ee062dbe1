//! Lists of rows by an index, for queries. The index has the keys in order, the table has the rows, and both are read
//! eventually consistently: [`list`] joins them, and leaves nothing out that the index has.

use std::{collections::BTreeMap, future::Future};

use aggregate::{AggregateId, Row};

use crate::TableError;

/// A table of current rows, as queries read it.
pub trait CurrentTable<R: Row>: Send + Sync {
    /// The aggregate's row, by an eventually consistent read: the newest one or an older one, or none where there is one since
    /// a moment.
    fn get(&self, aggregate_id: AggregateId) -> impl Future<Output = Result<Option<R>, TableError>> + Send;

    /// Up to `limit` keys of an index, whose attribute [`Index::by`] is `value`; eventually consistent.
    fn keys(
        &self,
        index: &Index,
        value: &str,
        from: ListFrom<'_>,
        limit: usize,
    ) -> impl Future<Output = Result<Page<Place, Place>, TableError>> + Send;

    /// The rows of these aggregates, at most 100. A `consistent` read has every row that was saved before the call. Another one may
    /// have an older row, or none.
    fn rows(
        &self,
        aggregate_ids: &[AggregateId],
        consistent: bool,
    ) -> impl Future<Output = Result<BTreeMap<AggregateId, R>, TableError>> + Send;
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

/// A row's key in an index: the value that the index is ordered by, and the row's id.
pub type Place = (String, AggregateId);

/// Where a page of a list begins.
#[derive(Debug, Clone, Copy)]
pub enum ListFrom<'a> {
    /// At its first row.
    Start,
    /// After a row that has been seen.
    After(&'a Place),
    /// At the rows that are ordered by this value, of a list that begins at its newest rows.
    Newest(&'a str),
}

impl<'a> ListFrom<'a> {
    /// After the key `last`, where there is one.
    #[must_use]
    pub fn after(last: Option<&'a Place>) -> Self {
        last.map_or(Self::Start, Self::After)
    }

    /// Where each of two lists goes on that are merged, newest first, after the last rows that were seen of either: both at the last
    /// row of all. A row that has come into one of them since, and belongs before that, would be out of order.
    #[must_use]
    pub fn merged(last: [Option<&'a Place>; 2]) -> [Self; 2] {
        let Some(oldest) = last.into_iter().flatten().map(|(order, _)| order).min() else { return [Self::Start; 2] };
        last.map(|last| match last {
            Some(last) if last.0 == *oldest => Self::After(last),
            _ => Self::Newest(oldest),
        })
    }
}

/// One page of a list, and where the next begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<R, P> {
    /// The rows, in the list's order.
    pub rows: Vec<R>,
    /// What to continue after; `None` at the end.
    pub next: Option<P>,
}

/// Up to `limit` (1 to 100) rows whose attribute [`Index::by`] is `value`, in the order of the index.
///
/// # Errors
/// When the table does not answer.
pub async fn list<R: Row>(
    table: &impl CurrentTable<R>,
    index: &Index,
    value: &str,
    from: ListFrom<'_>,
    limit: usize,
) -> Result<Page<R, Place>, TableError> {
    let Page { rows: keys, next } = table.keys(index, value, from, limit).await?;
    let ids: Vec<AggregateId> = keys.into_iter().map(|(_, id)| id).collect();
    let mut rows = if ids.is_empty() { BTreeMap::new() } else { table.rows(&ids, false).await? };
    // A replica of the table may be behind the index. The list goes on after the key, so a row left out here would never be seen.
    let missing: Vec<AggregateId> = ids.iter().filter(|id| !rows.contains_key(id)).copied().collect();
    if !missing.is_empty() {
        rows.extend(table.rows(&missing, true).await?);
    }
    Ok(Page { rows: ids.iter().filter_map(|id| rows.remove(id)).collect(), next })
}
