//! What a projector relies on, of every read table: in memory, on the embedded engine, and on another where the environment
//! names one.
#![allow(clippy::large_futures, reason = "a test has its stack to itself")]

use std::fmt::Debug;

use aggregate::{AggregateId, Event, Row, Timestamp};
use aws::{Counters, CurrentRows, RowHistory};
use domain::{AccountEvent, AccountRow, Order, StatementEntry, TotalsRow, TransactionEvent, TransactionRow};
use eventing::{Commit, ReadTable, RecordedEvent, Saved, fold};
use tests::{Engine, MemoryTable, StillHost, command, deposited, engine_with, eur, opened, owner, withdrawn};
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
async fn a_page_of_a_history_ends_after_some_requests_however_much_is_not_shown() {
    let engine = Engine::start().await;
    let table = RowHistory::new(engine.client.clone(), "statement", "account_id");
    let frozen = (0..1_100).map(|_| AccountEvent::AccountFrozen {});
    let events: Vec<AccountEvent> = [opened(), deposited(7)].into_iter().chain(frozen).collect();
    let (id, rows) = rows::<StatementEntry>(&events);
    table.save(0, &rows).await.unwrap();
    let page = async |before| table.newest_first::<StatementEntry>(id, 1..before, "amount", 5, true).await.unwrap();
    let first = page(u64::MAX).await;
    assert!(first.rows.is_empty());
    let second = page(first.next.unwrap()).await;
    assert_eq!((second.rows.len(), second.rows[0].version, second.next), (1, 2, None));
}
