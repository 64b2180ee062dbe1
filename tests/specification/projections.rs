//! Events on their way into read models, delivered at least once and in any order.

use aggregate::{Aggregate, AggregateId, Envelope, Row, Timestamp};
use domain::{Account, AccountEvent, AccountRow, StatementEntry};
use eventing::{
    Commit, EventStore, MemoryStore, ProjectError, Projected, ReadTable, RecordedEvent, catch_up, fresh, project,
};
use proptest::prelude::*;
use tests::{MemoryTable, SickStore, Sickness, StillHost, command, deposited, envelopes, opened, owner, withdrawn};
use uuid::Uuid;

/// Records `events` of one account, `size` events a commit.
async fn history(store: &MemoryStore, events: &[AccountEvent], size: usize) -> AggregateId {
    let id = AggregateId(Uuid::now_v7());
    let create = domain::AccountCommand::CreateAccount { owner: owner(), currency: currency() };
    let mut version = 1;
    for events in events.chunks(size) {
        let commit = Commit {
            aggregate_id: id,
            aggregate_type: Account::TYPE.to_owned(),
            version,
            created_at: Timestamp::from_micros(1_763_891_400_000_000 + version.cast_signed()),
            metadata: command(id, create.clone(), None).metadata,
            command_digest: None,
            events: events.iter().map(|event| RecordedEvent::new(event, &StillHost::default()).unwrap()).collect(),
            state: None,
        };
        store.append(&commit).await.unwrap();
        version = commit.last_version() + 1;
    }
    id
}

fn currency() -> domain::Currency {
    domain::Currency::from_code("EUR").unwrap()
}

/// What the rows must be: the plain fold of the history.
fn fold<R: Row<Event = AccountEvent>>(events: &[Envelope]) -> Vec<R> {
    events.iter().fold(Vec::new(), |mut rows: Vec<R>, event| {
        let next = R::next(rows.last(), &event.clone().decode().unwrap()).unwrap();
        rows.push(next);
        rows
    })
}

#[tokio::test]
async fn the_next_event_is_applied_and_a_known_one_skipped() {
    let store = MemoryStore::default();
    let id = history(&store, &[opened(), deposited(5)], 1).await;
    let events = envelopes(&store, id).await;
    let table = MemoryTable::<AccountRow>::default();
    table.save(0, &fold(&events[..1])).await.unwrap();
    assert_eq!(
        project(&store, &table, &StillHost::default(), &events[1]).await.unwrap(),
        Projected::Applied { from: 1, to: 2 }
    );
    assert_eq!(project(&store, &table, &StillHost::default(), &events[0]).await.unwrap(), Projected::Skipped);
    assert_eq!(project(&store, &table, &StillHost::default(), &events[1]).await.unwrap(), Projected::Skipped);
    assert_eq!(table.rows(id).last().unwrap().account.balance.minor(), 5);
}

#[tokio::test]
async fn a_gap_is_healed_from_the_store() {
    let store = MemoryStore::default();
    let many: Vec<AccountEvent> = std::iter::once(opened()).chain((1..=40).map(deposited)).collect();
    let id = history(&store, &many, 1).await;
    let last = envelopes(&store, id).await.pop().unwrap();
    let table = MemoryTable::<StatementEntry>::default();
    assert_eq!(
        project(&store, &table, &StillHost::default(), &last).await.unwrap(),
        Projected::Applied { from: 0, to: 41 }
    );
    assert_eq!(table.rows(id), fold(&envelopes(&store, id).await));
}

#[tokio::test]
async fn an_event_too_large_for_the_bus_is_read_from_the_store() {
    let store = MemoryStore::default();
    let id = history(&store, &[opened()], 1).await;
    let mut claim = envelopes(&store, id).await.pop().unwrap();
    claim.data = serde_json::Value::Null;
    let table = MemoryTable::<AccountRow>::default();
    assert_eq!(
        project(&store, &table, &StillHost::default(), &claim).await.unwrap(),
        Projected::Applied { from: 0, to: 1 }
    );
}

#[tokio::test]
async fn an_event_that_the_store_does_not_have_is_an_error_and_changes_nothing() {
    let store = MemoryStore::default();
    let id = history(&store, &[opened()], 1).await;
    let mut invented = envelopes(&store, id).await.pop().unwrap();
    invented.version = 7;
    let table = MemoryTable::<AccountRow>::default();
    project(&store, &table, &StillHost::default(), &envelopes(&store, id).await[0]).await.unwrap();
    let outcome = project(&store, &table, &StillHost::default(), &invented).await;
    assert!(matches!(outcome, Err(ProjectError::NoHistory { .. })), "{outcome:?}");
    assert_eq!(table.rows(id).len(), 1);
}

#[tokio::test]
async fn a_reader_who_knows_of_a_version_gets_it_from_the_events_where_the_table_lacks_it() {
    let store = MemoryStore::default();
    let id = history(&store, &[opened(), deposited(100)], 1).await;
    let rows: Vec<AccountRow> = fold(&envelopes(&store, id).await);
    for known in [None, Some(rows[0].clone())] {
        assert_eq!(fresh(&store, id, known, 2).await.unwrap().as_ref(), rows.last());
    }
    // What is known is enough, and nothing is read.
    assert_eq!(fresh(&store, id, Some(rows[0].clone()), 1).await.unwrap(), Some(rows[0].clone()));
    assert_eq!(fresh::<AccountRow>(&store, AggregateId(Uuid::nil()), None, 0).await.unwrap(), None);
}

#[tokio::test]
async fn an_unreadable_event_fails_alone() {
    let store = MemoryStore::default();
    let (bad, good) = (history(&store, &[opened(), deposited(5)], 1).await, history(&store, &[opened()], 1).await);
    let [first, mut poison] = <[Envelope; 2]>::try_from(envelopes(&store, bad).await).unwrap();
    poison.schema_version = 99;
    let table = MemoryTable::<AccountRow>::default();
    table.save(0, &fold(&[first])).await.unwrap();
    assert!(matches!(project(&store, &table, &StillHost::default(), &poison).await, Err(ProjectError::Unreadable(_))));
    project(&store, &table, &StillHost::default(), &envelopes(&store, good).await[0]).await.unwrap();
    assert_eq!((table.rows(bad).len(), table.rows(good).len()), (1, 1));
}

#[tokio::test]
async fn the_first_event_of_an_aggregate_is_believed_only_if_the_store_has_it() {
    let store = MemoryStore::default();
    let id = history(&store, &[opened()], 1).await;
    let mut forged = envelopes(&store, id).await.pop().unwrap();
    forged.aggregate_id = AggregateId(Uuid::now_v7());
    let table = MemoryTable::<AccountRow>::default();
    let outcome = project(&store, &table, &StillHost::default(), &forged).await;
    assert!(matches!(outcome, Err(ProjectError::NoHistory { version: 1, .. })), "{outcome:?}");
    assert!(table.rows(forged.aggregate_id).is_empty());
    // What it says is taken from the store as well.
    forged.aggregate_id = id;
    forged.data = serde_json::json!({ "owner": "mallory", "currency": "EUR" });
    project(&store, &table, &StillHost::default(), &forged).await.unwrap();
    assert_eq!(table.rows(id), fold(&envelopes(&store, id).await));
}

/// Every event is an invocation of its own, so one that waits for ever is that one alone.
#[tokio::test(start_paused = true)]
async fn of_many_deliveries_those_that_hang_fail_or_cannot_be_read_keep_no_other_from_its_row() {
    let mut store = SickStore::default();
    let mut events = Vec::new();
    for _ in 0..12 {
        let id = history(&store.inner, &[opened()], 1).await;
        events.push(envelopes(&store.inner, id).await.remove(0));
    }
    let kinds = [Sickness::Hangs, Sickness::Fails, Sickness::Unreadable];
    store.sick = events.iter().map(|event| event.aggregate_id).zip(kinds).collect();
    let table = MemoryTable::<AccountRow>::default();
    let (store, table) = (&store, &table);
    let deliver = |event: Envelope| async move {
        let timeout = std::time::Duration::from_secs(10);
        let done = tokio::time::timeout(timeout, project(store, table, &StillHost::default(), &event)).await;
        done.is_ok_and(|done| done.is_ok())
    };
    let done = futures_util::future::join_all(events.iter().cloned().map(deliver)).await;
    assert_eq!(done, [[false; 3].as_slice(), &[true; 9]].concat());
    let rows: Vec<usize> = events.iter().map(|event| table.rows(event.aggregate_id).len()).collect();
    assert_eq!(rows, [[0; 3].as_slice(), &[1; 9]].concat());
}

#[tokio::test]
async fn a_reader_catches_up_without_saving() {
    let store = MemoryStore::default();
    let id = history(&store, &[opened(), deposited(5), withdrawn(2)], 1).await;
    let whole: Vec<AccountRow> = fold(&envelopes(&store, id).await);
    let rows = catch_up(&store, id, Some(&whole[0]), 3).await.unwrap();
    assert_eq!(rows, whole[1..]);
    assert_eq!(catch_up(&store, id, Some(&whole[2]), 2).await.unwrap(), []);
    assert_eq!(catch_up(&store, id, Some(&whole[2]), 9).await.unwrap(), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_order_and_however_often_the_rows_are_the_fold_of_the_history(
        deposits in prop::collection::vec(1_u64..100, 1..12),
        size in 1_usize..4,
        order in prop::collection::vec(any::<prop::sample::Index>(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = MemoryStore::default();
            let events: Vec<AccountEvent> =
                std::iter::once(opened()).chain(deposits.into_iter().map(deposited)).collect();
            let id = history(&store, &events, size).await;
            let events = envelopes(&store, id).await;
            let accounts = MemoryTable::<AccountRow>::default();
            let statement = MemoryTable::<StatementEntry>::default();
            for pair in order.chunks(2) {
                // Two projectors at once, as the bus invokes them.
                let [one, two] = [&pair[0], pair.last().unwrap()].map(|index| index.get(&events));
                let host = StillHost::default();
                let (one, two) = tokio::join!(project(&store, &statement, &host, one), project(&store, &statement, &host, two));
                one.unwrap();
                two.unwrap();
                project(&store, &accounts, &StillHost::default(), pair[0].get(&events)).await.unwrap();
                let rows = statement.rows(id);
                assert_eq!(rows, fold::<StatementEntry>(&events[..rows.len()]));
                let row = accounts.rows(id).pop().unwrap();
                assert_eq!(Some(&row), fold::<AccountRow>(&events[..usize::try_from(row.version).unwrap()]).last());
            }
        });
    }
}
