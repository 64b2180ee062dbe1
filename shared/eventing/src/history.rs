//! Pages of a history (one row an event), for queries. The table is read eventually consistently, in one request or several,
//! while projectors write. What an answer of the table lacks is folded from the events, beginning at that answer's newest row:
//! so a page has every row once and leaves none out, however far the table is behind.

use std::{future::Future, ops::Range};

use aggregate::{AggregateId, Row, Version};

use crate::{BinarySearch, EventStore, ProjectError, TableError, catch_up};

/// Requests for one page of a history, at most.
const REQUESTS_MAX: u32 = 10;
/// Rows that one request asks for, at most.
const ROWS_MAX: usize = 250;

/// A table of rows that are never changed, one for each event of an aggregate, as queries read it.
pub trait HistoryTable<R: Row>: Send + Sync {
    /// Up to `limit` rows of `versions`, newest first, by an eventually consistent read: the newest of them may be missing, but none
    /// between two others. Fewer rows than `limit` do not mean that there are no more.
    fn newest_first(
        &self,
        aggregate_id: AggregateId,
        versions: Range<Version>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<R>, TableError>> + Send;

    /// The row of one version. A `consistent` read has every row that was saved before the call.
    fn row(
        &self,
        aggregate_id: AggregateId,
        version: Version,
        consistent: bool,
    ) -> impl Future<Output = Result<Option<R>, TableError>> + Send;
}

/// One page of a history.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryPage<R> {
    /// The rows that are shown, newest first.
    pub rows: Vec<R>,
    /// The version that the next page ends before; `None` at the end.
    pub next: Option<Version>,
    /// The newest version that was looked at, shown or not.
    pub newest: Version,
}

/// Up to `limit` rows of `versions` that are `shown`, newest first and without a gap: from the table, and from the events
/// where the table lacks some. An open range (its end is [`Version::MAX`]) reaches up to version `at_least` at least, if there is
/// one; every version of a bounded range is taken to exist.
///
/// A page is shorter than `limit` where very many rows that are not shown lie between; only [`HistoryPage::next`] says whether
/// it is the last.
///
/// # Errors
/// [`ProjectError`].
pub async fn history_page<R: Row>(
    store: &impl EventStore,
    table: &impl HistoryTable<R>,
    aggregate_id: AggregateId,
    versions: Range<Version>,
    at_least: Version,
    limit: usize,
    shown: impl Fn(&R) -> bool + Send,
) -> Result<HistoryPage<R>, ProjectError> {
    let Range { start, end: mut before } = versions;
    let mut page = HistoryPage { rows: Vec::new(), next: None, newest: start.saturating_sub(1) };
    for request in 0..REQUESTS_MAX {
        if before <= start {
            return Ok(page);
        }
        // Hidden rows are rare: first exactly what is missing, then twice that, and so on.
        let rows_max = ((limit - page.rows.len()) << request).min(ROWS_MAX);
        let at_least = if before == Version::MAX { at_least } else { before - 1 };
        let rows = newest_first(store, table, aggregate_id, start..before, at_least, rows_max).await?;
        let Some(newest) = rows.first() else { return Ok(page) };
        page.newest = page.newest.max(newest.version());
        for row in rows {
            before = row.version();
            if shown(&row) {
                page.rows.push(row);
            }
            if page.rows.len() == limit {
                page.next = (before > start).then_some(before);
                return Ok(page);
            }
        }
    }
    page.next = (before > start).then_some(before);
    Ok(page)
}

/// The newest rows of `versions`: `limit` of the table, and all up to `at_least` that the table's answer lacks.
async fn newest_first<R: Row>(
    store: &impl EventStore,
    table: &impl HistoryTable<R>,
    aggregate_id: AggregateId,
    versions: Range<Version>,
    at_least: Version,
    limit: usize,
) -> Result<Vec<R>, ProjectError> {
    let rows = table.newest_first(aggregate_id, versions.clone(), limit).await?;
    let at = rows.first().map_or(versions.start - 1, Row::version);
    if at >= at_least {
        return Ok(rows);
    }
    let newest = match rows.first() {
        Some(row) => Some(row.clone()),
        None if at == 0 => None,
        None => table.row(aggregate_id, at, true).await?,
    };
    let newer = catch_up(store, aggregate_id, newest.as_ref(), at_least).await?;
    let of_range = newer.into_iter().rev().filter(|row| versions.contains(&row.version()));
    Ok(of_range.chain(rows).collect())
}

/// The newest version that the table has, by an eventually consistent read; 0 where there is none.
///
/// # Errors
/// When the table does not answer.
pub async fn newest_version<R: Row>(
    table: &impl HistoryTable<R>,
    aggregate_id: AggregateId,
) -> Result<Version, TableError> {
    let newest = table.newest_first(aggregate_id, 1..Version::MAX, 1).await?;
    Ok(newest.first().map_or(0, Row::version))
}

/// The first version up to `newest`, which the table has, that is not early; `None` where all are. Every row before an early one is
/// early too.
///
/// # Errors
/// When the table does not answer.
pub async fn first_not_early<R: Row>(
    table: &impl HistoryTable<R>,
    aggregate_id: AggregateId,
    newest: Version,
    is_early: impl Fn(&R) -> bool + Send,
) -> Result<Option<Version>, TableError> {
    let mut search = BinarySearch::up_to(newest);
    while let Some(version) = search.version() {
        let row = match table.row(aggregate_id, version, false).await? {
            // Another replica has it already.
            None => table.row(aggregate_id, version, true).await?,
            row => row,
        };
        search.was_early(row.is_some_and(|row| is_early(&row)));
    }
    let first = search.last_early() + 1;
    Ok((first <= newest).then_some(first))
}
