//! Counters on a DynamoDB engine: each event counts once, whatever the bus does.

use aggregate::{Addition, AggregateId, Envelope, Row, Tally};
use aws::{Counters, DynamoEventStore};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{Account, AccountCommand, AccountEvent, Amount, Currency, TotalsRow};
use eventing::{Commit, Counts, EventStore, Projected, ReadTable, Saved, System, TableError, execute, project, sums};
use tests::{Engine, StillHost, command, owner};
use uuid::Uuid;

async fn account_with_deposits(store: &DynamoEventStore, deposits: u32) -> AggregateId {
    let id = AggregateId(Uuid::now_v7());
    let currency = Currency::from_code("EUR").unwrap();
    let create = AccountCommand::CreateAccount { owner: owner(), currency };
    execute::<Account>(store, &StillHost::default(), &command(id, create, None)).await.unwrap();
    for _ in 0..deposits {
        let amount = Amount::from_minor(100, currency).unwrap();
        let deposit = AccountCommand::DepositMoney { by: owner(), amount, description: None };
        execute::<Account>(store, &StillHost::default(), &command(id, deposit, None)).await.unwrap();
    }
    id
}

async fn totals(counters: &Counters, day: &str) -> (i128, i128, i128) {
    let (mut now, mut moved) = sums(counters, (TotalsRow::NOW, day)).await.unwrap();
    let now = now.remove("EUR").unwrap_or_default();
    let moved = moved.remove("EUR").unwrap_or_default();
    let get = |counts: &Counts, name: &str| counts.get(name).copied().unwrap_or(0);
    (get(&now, TotalsRow::ACCOUNTS_OPEN), get(&now, TotalsRow::MONEY_HELD), get(&moved, TotalsRow::MONEY_MOVED))
}

#[tokio::test]
async fn each_event_counts_once_whatever_is_lost_repeated_or_out_of_order() {
    let engine = Engine::start().await;
    let store = DynamoEventStore::new(engine.client.clone(), "events");
    let counters = Counters::new(engine.client.clone(), "totals");
    let accounts = [account_with_deposits(&store, 30).await, account_with_deposits(&store, 3).await];
    let mut day = String::new();
    for id in accounts {
        let commits = store.read(id, 1, usize::MAX).await.unwrap();
        let events: Vec<_> = commits.iter().flat_map(Commit::envelopes).collect();
        day = events[0].created_at.day();
        // The third event first: a gap, read from the store. Then everything, backwards and twice.
        let third = project::<TotalsRow>(&store, &counters, &System, &events[2]).await.unwrap();
        assert!(matches!(third, Projected::Applied { from: 0, .. }));
        for event in events.iter().rev().chain(&events) {
            project::<TotalsRow>(&store, &counters, &System, event).await.unwrap();
        }
    }
    assert_eq!(totals(&counters, &day).await, (2, 3_300, 3_300));
}

#[tokio::test]
async fn a_counter_that_holds_no_whole_number_is_unreadable_and_no_reason_to_try_again() {
    let engine = Engine::start().await;
    let counters = Counters::new(engine.client.clone(), "totals");
    let half = engine.client.put_item().table_name("totals").item("part", AttributeValue::S("now#0".to_owned()));
    let half = half.item("of", AttributeValue::S("EUR".to_owned()));
    half.item(TotalsRow::MONEY_HELD, AttributeValue::N("0.5".to_owned())).send().await.unwrap();
    let read = sums(&counters, (TotalsRow::NOW, "2026-11-23")).await;
    assert!(matches!(read, Err(TableError::Unreadable(_))), "{read:?}");
}

#[tokio::test]
async fn projectors_at_work_on_the_same_events_at_once_count_each_once() {
    let engine = Engine::start().await;
    let store = DynamoEventStore::new(engine.client.clone(), "events");
    let counters = Counters::new(engine.client.clone(), "totals");
    let id = account_with_deposits(&store, 10).await;
    let commits = store.read(id, 1, usize::MAX).await.unwrap();
    let day = commits[0].created_at.day();
    let mut at_work = tokio::task::JoinSet::new();
    for event in (0..3).flat_map(|_| commits.iter().flat_map(Commit::envelopes)) {
        let (store, counters) = (store.clone(), counters.clone());
        at_work.spawn(async move { project::<TotalsRow>(&store, &counters, &System, &event).await.map(drop) });
    }
    // One that others were always faster than fails, and would come again: that loses nothing.
    while let Some(done) = at_work.join_next().await {
        done.unwrap().unwrap();
    }
    assert_eq!(totals(&counters, &day).await, (1, 1_000, 1_000));
}

/// A row that adds to many counters.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
struct Wide {
    id: AggregateId,
    version: u64,
}

impl Row for Wide {
    type Event = AccountEvent;

    fn version(&self) -> u64 {
        self.version
    }

    fn next(_previous: Option<&Self>, event: &Envelope<AccountEvent>) -> Option<Self> {
        Some(Self { id: event.aggregate_id, version: event.version })
    }
}

impl Tally for Wide {
    fn aggregate_id(&self) -> AggregateId {
        self.id
    }

    fn additions(&self) -> Vec<Addition> {
        let addition =
            |of: u64| Addition { group: "g".to_owned(), of: format!("{} {of}", self.version), counter: "n", amount: 1 };
        (0..9).map(addition).collect()
    }
}

#[tokio::test]
async fn rows_that_add_to_more_counters_than_a_transaction_has_items_are_saved_in_several() {
    let engine = Engine::start().await;
    let counters = Counters::new(engine.client.clone(), "totals");
    let id = AggregateId(Uuid::now_v7());
    let rows: Vec<Wide> = (1..=30).map(|version| Wide { id, version }).collect();
    assert_eq!(counters.save(0, &rows).await.unwrap(), Saved::Written);
    assert_eq!(sums(&counters, ("g", "h")).await.unwrap().0.len(), 30 * 9);
    assert_eq!(ReadTable::<Wide>::latest(&counters, id).await.unwrap().map(|row| row.version), Some(30));
}
