//! How queries join two sources: nothing stands twice and nothing is left out, however far the table that is read is behind.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::Mutex,
};

use aggregate::{AggregateId, Version};
use domain::{Account, AccountCommand, AccountRow, StatementEntry};
use eventing::{
    CurrentTable, EventStore as _, HistoryTable, Index, ListFrom, MemoryStore, Page, Place, TableError, catch_up,
    execute, first_not_early, fold, history_page, list,
};
use tests::{StillHost, command, eur, owner};
use uuid::Uuid;

/// A table whose requests are answered by replicas that are behind.
struct Replicas<R> {
    rows: Vec<R>,
    /// How many rows the replica has that answers each request; then all.
    behind: Mutex<VecDeque<usize>>,
    /// How many rows each request has asked for.
    asked: Mutex<Vec<usize>>,
}

impl<R: Clone> Replicas<R> {
    fn new(rows: &[R], behind: &[usize]) -> Self {
        let behind = Mutex::new(behind.iter().copied().collect());
        Self { rows: rows.to_vec(), behind, asked: Mutex::default() }
    }

    fn answering(&self) -> &[R] {
        let rows = self.behind.lock().unwrap().pop_front().unwrap_or(self.rows.len());
        &self.rows[..rows]
    }
}

impl HistoryTable<StatementEntry> for Replicas<StatementEntry> {
    async fn newest_first(
        &self,
        _aggregate_id: AggregateId,
        versions: Range<Version>,
        limit: usize,
    ) -> Result<Vec<StatementEntry>, TableError> {
        self.asked.lock().unwrap().push(limit);
        let rows = self.answering().iter().rev().filter(|row| versions.contains(&row.version));
        Ok(rows.take(limit).cloned().collect())
    }

    async fn row(
        &self,
        _aggregate_id: AggregateId,
        version: Version,
        consistent: bool,
    ) -> Result<Option<StatementEntry>, TableError> {
        let rows = if consistent { &self.rows } else { self.answering() };
        Ok(rows.iter().find(|row| row.version == version).cloned())
    }
}

/// An account with `events` events, of which every third moves no money.
async fn history(events: u64) -> (MemoryStore, AggregateId, Vec<StatementEntry>) {
    let (store, id, host) = (MemoryStore::default(), AggregateId(Uuid::now_v7()), StillHost::default());
    for version in 1..=events {
        let body = match version {
            1 => AccountCommand::CreateAccount { owner: owner(), currency: eur(1).currency() },
            version if version % 3 == 0 => AccountCommand::SetOverdraftLimit { limit: Some(eur(version)) },
            _ => AccountCommand::DepositMoney { by: owner(), amount: eur(version), description: None },
        };
        execute::<Account>(&store, &host, &command(id, body, None)).await.unwrap();
    }
    let rows = catch_up(&store, id, None, events).await.unwrap();
    (store, id, rows)
}

fn is_shown(entry: &StatementEntry) -> bool {
    entry.amount.is_some()
}

#[tokio::test]
async fn pages_of_a_history_have_every_row_once_however_far_the_table_is_behind() {
    const EVENTS: u64 = 8;
    let (store, id, rows) = history(EVENTS).await;
    for (in_table, first, second) in (0..=8).flat_map(|a| (0..=a).flat_map(move |b| (0..=a).map(move |c| (a, b, c)))) {
        for min_version in 0..=EVENTS {
            for (range, limit) in
                [(1..Version::MAX, 1), (1..Version::MAX, 3), (1..6, 2), (4..Version::MAX, 2), (3..7, 9)]
            {
                // A bounded range is one whose end is known from the table.
                let is_open = range.end == Version::MAX;
                let (mut versions, mut before, mut newest) = (Vec::new(), range.end, None);
                loop {
                    let table = Replicas::new(&rows[..in_table], &[first, second]);
                    // Only the first page is asked for with a version.
                    let at_least = if newest.is_none() { min_version } else { 0 };
                    let range = range.start..before;
                    let page = history_page(&store, &table, id, range, at_least, limit, is_shown).await.unwrap();
                    assert!(page.rows.len() <= limit);
                    versions.extend(page.rows.iter().map(|row| row.version));
                    newest.get_or_insert(page.newest);
                    match page.next {
                        Some(next) => before = next,
                        None => break,
                    }
                }
                let newest = if is_open { newest.unwrap() } else { range.end - 1 };
                assert!(!is_open || newest >= min_version.max(Version::try_from(first).unwrap().min(newest)));
                let shown = rows.iter().rev().filter(|row| range.contains(&row.version) && row.version <= newest);
                let expected: Vec<_> = shown.filter(|row| is_shown(row)).map(|row| row.version).collect();
                let case = format!("{in_table} {first} {second} {min_version} {range:?} {limit}");
                assert_eq!(versions, expected, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_page_asks_for_what_is_missing_and_then_for_twice_that_and_so_on() {
    let (store, id, rows) = history(31).await;
    let asked = async |limit| {
        let table = Replicas::new(&rows, &[]);
        let page = history_page(&store, &table, id, 1..Version::MAX, 0, limit, is_shown).await.unwrap();
        (page.rows.len(), table.asked.into_inner().unwrap())
    };
    assert_eq!(asked(1).await, (1, vec![1]));
    assert_eq!(asked(2).await, (2, vec![2, 2]));
    assert_eq!(asked(6).await, (6, vec![6, 4]));
    assert_eq!(asked(10).await, (10, vec![10, 6]));
    assert_eq!(asked(100).await, (20, vec![100]));
}

#[tokio::test]
async fn a_page_ends_after_some_requests_however_much_is_not_shown() {
    let (store, id, rows) = history(4).await;
    let hidden = (5..5_000).map(|version| StatementEntry { version, amount: None, ..rows[3].clone() });
    let table = Replicas::new(&rows.iter().cloned().chain(hidden).collect::<Vec<_>>(), &[]);
    let page = async |before| history_page(&store, &table, id, 1..before, 0, 5, is_shown).await.unwrap();
    let first = page(5_000).await;
    assert!(first.rows.is_empty());
    assert!(table.asked.lock().unwrap().len() <= 10);
    let (mut next, mut shown) = (first.next, Vec::new());
    while let Some(before) = next {
        let page = page(before).await;
        shown.extend(page.rows.iter().map(|row| row.version));
        next = page.next;
    }
    assert_eq!(shown, [4, 2]);
}

#[tokio::test]
async fn the_first_row_of_a_time_is_found_where_replicas_are_behind() {
    let (_, id, rows) = history(9).await;
    for (first, behind) in (1..=10).flat_map(|first| (0..=9).map(move |behind| (first, behind))) {
        let table = Replicas::new(&rows, &[behind; 20]);
        let found = first_not_early(&table, id, 9, |row| row.version < first).await.unwrap();
        assert_eq!(found, (first <= 9).then_some(first));
    }
}

/// A table of current rows whose replica lacks some of them.
struct Lacking {
    rows: BTreeMap<AggregateId, AccountRow>,
    lacks: AggregateId,
}

impl CurrentTable<AccountRow> for Lacking {
    async fn get(&self, aggregate_id: AggregateId) -> Result<Option<AccountRow>, TableError> {
        Ok(self.rows.get(&aggregate_id).cloned())
    }

    async fn keys(
        &self,
        _index: &Index,
        _value: &str,
        from: ListFrom<'_>,
        limit: usize,
    ) -> Result<Page<Place, Place>, TableError> {
        let after = if let ListFrom::After((_, id)) = from { Some(*id) } else { None };
        let mut keys: Vec<Place> = self.rows.keys().map(|id| (String::new(), *id)).collect();
        keys.retain(|(_, id)| after.is_none_or(|after| *id > after));
        let more = keys.len() > limit;
        keys.truncate(limit);
        Ok(Page { next: keys.last().filter(|_| more).cloned(), rows: keys })
    }

    async fn rows(
        &self,
        aggregate_ids: &[AggregateId],
        consistent: bool,
    ) -> Result<BTreeMap<AggregateId, AccountRow>, TableError> {
        let has = |id: &&AggregateId| consistent || **id != self.lacks;
        let found = aggregate_ids.iter().filter(has).filter_map(|id| Some((*id, self.rows.get(id)?.clone())));
        Ok(found.collect())
    }
}

#[tokio::test]
async fn a_list_leaves_out_no_row_that_the_index_has() {
    let mut rows = BTreeMap::new();
    for _ in 0..5 {
        let (store, id, _) = history(1).await;
        let account: Vec<AccountRow> = fold(None, &store.read(id, 1, 9).await.unwrap()).unwrap();
        rows.insert(id, account[0].clone());
    }
    let index = Index { name: "by_owner", by: "owner", order: "created_at", newest_first: false };
    for lacks in rows.keys().copied() {
        let table = Lacking { rows: rows.clone(), lacks };
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = list(&table, &index, "owner", ListFrom::after(after.as_ref()), 2).await.unwrap();
            seen.extend(page.rows);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, rows.values().cloned().collect::<Vec<_>>());
    }
}

#[test]
fn two_merged_lists_both_go_on_at_the_last_row_that_was_seen() {
    let place = |time: &str, id| (time.to_owned(), AggregateId(Uuid::from_u128(id)));
    let (newer, older, tie) = (place("10:05", 1), place("10:03", 2), place("10:03", 3));
    let merged = |last| format!("{:?}", ListFrom::merged(last));
    let expect = |from: [ListFrom<'_>; 2]| format!("{from:?}");
    assert_eq!(merged([None, None]), expect([ListFrom::Start; 2]));
    assert_eq!(merged([Some(&older), None]), expect([ListFrom::After(&older), ListFrom::Newest("10:03")]));
    assert_eq!(merged([Some(&newer), Some(&older)]), expect([ListFrom::Newest("10:03"), ListFrom::After(&older)]));
    assert_eq!(merged([Some(&tie), Some(&older)]), expect([ListFrom::After(&tie), ListFrom::After(&older)]));
}
