//! Counters on a DynamoDB engine: each event counts once, whatever the bus does.

use aggregate::AggregateId;
use aws::{Counters, DynamoEventStore};
use domain::{Account, AccountCommand, Amount, Currency, TotalsRow};
use eventing::{Commit, EventStore, Projected, System, execute, project};
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
    let now = counters.group(TotalsRow::NOW).await.unwrap().remove("EUR").unwrap_or_default();
    let moved = counters.group(day).await.unwrap().remove("EUR").unwrap_or_default();
    let get = |counts: &aws::Counts, name: &str| counts.get(name).copied().unwrap_or(0);
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
