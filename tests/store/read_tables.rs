//! What a projector relies on, of every read table: in memory, on the embedded engine, and on another where the environment
//! names one.
#![allow(clippy::large_futures, reason = "a test has its stack to itself")]

use std::{fmt::Debug, ops::Range};

use aggregate::{AggregateId, Event, Row, Timestamp};
use aws::{Counters, CurrentRows, RowHistory};
use domain::{AccountEvent, AccountRow, Order, StatementEntry, TotalsRow, TransactionEvent, TransactionRow};
use eventing::{Commit, CurrentTable, HistoryTable, Index, ListFrom, ReadTable, RecordedEvent, Saved, fold};
use tests::{MemoryTable, StillHost, command, deposited, engine_with, eur, opened, owner, withdrawn};
use uuid::Uuid;

/// The rows that the events of a new aggregate make.
fn rows<R: Row>(events: &[R::Event]) -> (AggregateId, Vec<R>) {
    let aggregate_id = AggregateId(Uuid::now_v7());
    let commit = |(version, event): (u64, &R::Event)| Commit {
        aggregate_id,
        aggregate_type: R::Event::AGGREGATE_TYPE.to_owned(),
        version,
        created_at: Timestamp::from_micros(1_763_891_400_000_000 + version.cast_signed()),
        metadata: command(aggregate_id, (), None).metadata,
        command_digest: None,
        events: vec![RecordedEvent::new(event, &StillHost::default()).unwrap()],
        state: None,
    };
    let commits: Vec<Commit> = (1..).zip(events).map(commit).collect();
    (aggregate_id, fold(None, &commits).unwrap())
}

fn of_an_account<R: Row<Event = AccountEvent>>() -> (AggregateId, Vec<R>) {
    rows(&[opened(), deposited(500), withdrawn(100), deposited(1), deposited(2)])
}

fn of_a_transaction() -> (AggregateId, Vec<TransactionRow>) {
    let [source, destination] = [1, 2].map(|number| AggregateId(Uuid::from_u128(number)));
    let order = Order { by: owner(), source, destination, amount: eur(5), description: None };
    rows(&[TransactionEvent::TransactionInitiated(order), TransactionEvent::TransactionCompleted {}])
}

async fn keeps_its_promises<R: Row + PartialEq + Debug>(
    table: &impl ReadTable<R>,
    history: impl Fn() -> (AggregateId, Vec<R>),
) {
    // What was saved is there, and a row is saved on the one before it only.
    let (id, rows) = history();
    let last = rows.len() - 1;
    assert_eq!(table.latest(id).await.unwrap(), None);
    assert_eq!(table.save(0, &rows[..1]).await.unwrap(), Saved::Written);
    assert_eq!(table.latest(id).await.unwrap().as_ref(), Some(&rows[0]));
    assert_eq!(table.save(0, &rows[..1]).await.unwrap(), Saved::Stale);
    assert_eq!(table.latest(id).await.unwrap().as_ref(), Some(&rows[0]));
    assert_eq!(table.save(1, &rows[1..]).await.unwrap(), Saved::Written);
    assert_eq!(table.latest(id).await.unwrap().as_ref(), Some(&rows[last]));
    assert_eq!(table.save(1, &rows[1..2]).await.unwrap(), Saved::Stale);
    assert_eq!(table.latest(id).await.unwrap().as_ref(), Some(&rows[last]));

    // Aggregates do not see each other, and a whole history can come at once.
    let (other, others) = history();
    assert_eq!(table.latest(other).await.unwrap(), None);
    assert_eq!(table.save(0, &others).await.unwrap(), Saved::Written);
    assert_eq!(table.latest(other).await.unwrap().as_ref(), Some(&others[last]));
    assert_eq!(table.latest(id).await.unwrap().as_ref(), Some(&rows[last]));

    // Of projectors at work on one row at once, one is first; an engine may refuse all of them, as contended.
    let (id, rows) = history();
    for (row, previous) in rows.iter().zip(0..) {
        let row = std::slice::from_ref(row);
        let (a, b, c) = tokio::join!(table.save(previous, row), table.save(previous, row), table.save(previous, row));
        let written = [a, b, c].into_iter().filter(|saved| *saved.as_ref().unwrap() == Saved::Written).count();
        assert!(written <= 1, "{written} projectors have saved one row");
        if written == 0 {
            assert_eq!(table.save(previous, row).await.unwrap(), Saved::Written);
        }
        assert_eq!(table.latest(id).await.unwrap().as_ref(), row.first());
    }
}

#[tokio::test]
async fn in_memory() {
    keeps_its_promises(&MemoryTable::<AccountRow>::default(), of_an_account).await;
    keeps_its_promises(&MemoryTable::<StatementEntry>::default(), of_an_account).await;
    keeps_its_promises(&MemoryTable::<TotalsRow>::default(), of_an_account).await;
    keeps_its_promises(&MemoryTable::default(), of_a_transaction).await;
}

#[tokio::test]
async fn accounts() {
    let (client, table) = engine_with("accounts").await;
    keeps_its_promises(&CurrentRows::new(client, table, "account_id"), of_an_account::<AccountRow>).await;
}

#[tokio::test]
async fn transactions() {
    let (client, table) = engine_with("transactions").await;
    keeps_its_promises(&CurrentRows::new(client, table, "transaction_id"), of_a_transaction).await;
}

#[tokio::test]
async fn statement() {
    let (client, table) = engine_with("statement").await;
    keeps_its_promises(&RowHistory::new(client, table, "account_id"), of_an_account::<StatementEntry>).await;
}

#[tokio::test]
async fn totals() {
    let (client, table) = engine_with("totals").await;
    keeps_its_promises(&Counters::new(client, table), of_an_account::<TotalsRow>).await;
}

#[tokio::test]
async fn a_history_is_read_newest_first_by_version() {
    let (client, table) = engine_with("statement").await;
    let table = RowHistory::new(client, table, "account_id");
    let (id, rows) = of_an_account::<StatementEntry>();
    table.save(0, &rows).await.unwrap();
    let (other, _) = of_an_account::<StatementEntry>();
    let read =
        async |id, versions, limit| -> Vec<StatementEntry> { table.newest_first(id, versions, limit).await.unwrap() };
    let newest_first = |versions: &[usize]| -> Vec<StatementEntry> {
        versions.iter().map(|version| rows[version - 1].clone()).collect()
    };
    assert_eq!(read(id, 1..u64::MAX, 100).await, newest_first(&[5, 4, 3, 2, 1]));
    assert_eq!(read(id, 1..u64::MAX, 2).await, newest_first(&[5, 4]));
    assert_eq!(read(id, 2..4, 100).await, newest_first(&[3, 2]));
    for (id, versions) in [(id, 6..9), (id, 3..3), (id, Range { start: 4, end: 2 }), (other, 1..9)] {
        assert_eq!(read(id, versions, 100).await, newest_first(&[]));
    }
    for consistent in [false, true] {
        assert_eq!(table.row(id, 3, consistent).await.unwrap().as_ref(), Some(&rows[2]));
        assert_eq!(HistoryTable::<StatementEntry>::row(&table, id, 6, consistent).await.unwrap(), None);
    }
}

#[tokio::test]
async fn current_rows_are_read_by_an_index_and_by_their_ids() {
    let (client, table) = engine_with("accounts").await;
    let table = CurrentRows::new(client, table, "account_id");
    let mut all = Vec::new();
    for _ in 0..5 {
        let (id, rows) = of_an_account::<AccountRow>();
        table.save(0, &rows).await.unwrap();
        all.push((id, rows.last().unwrap().clone()));
    }
    // All were opened at one moment by one owner, who is another than of any other test.
    let index = Index { name: "by_owner", by: "owner", order: "created_at", newest_first: false };
    let owner = all[0].1.account.owner.as_str();
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page =
            CurrentTable::<AccountRow>::keys(&table, &index, owner, ListFrom::after(after.as_ref()), 2).await.unwrap();
        pages.extend(page.rows.into_iter().map(|(_, id)| id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    for (id, _) in &all {
        assert_eq!(pages.iter().filter(|listed| *listed == id).count(), 1);
    }
    // The rows of one time and of earlier ones.
    let newest = Index { newest_first: true, ..index };
    let created_at = all[0].1.created_at.to_string();
    let from = async |order: &str| {
        CurrentTable::<AccountRow>::keys(&table, &newest, owner, ListFrom::Newest(order), 100).await.unwrap().rows
    };
    assert!(from(&created_at).await.len() >= all.len());
    assert!(from("2020").await.is_empty());
    let nobody = AggregateId(Uuid::now_v7());
    let ids: Vec<AggregateId> = all.iter().map(|(id, _)| *id).chain([nobody]).collect();
    for consistent in [false, true] {
        assert_eq!(table.rows(&ids, consistent).await.unwrap(), all.iter().cloned().collect());
    }
}
