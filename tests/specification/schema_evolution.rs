//! An event type whose form has changed: `OverdraftLimitSet`. Version 1 left the limit out where there was none, which could
//! not be told from a lost field; version 2 says 0. Histories hold both, and nobody but the upcaster sees a difference.

use aggregate::{AggregateId, Timestamp, Version};
use domain::{Account, AccountCommand, AccountEvent, AccountRow, StatementEntry};
use eventing::{Commit, EventStore, MemoryStore, RecordedEvent, catch_up, execute, load};
use serde_json::{Value, json};
use tests::{StillHost, command, eur, opened, owner, withdrawn};
use uuid::Uuid;

/// The event as version 1 was written.
fn of_version_1(data: Value) -> RecordedEvent {
    let event_id = Uuid::now_v7();
    RecordedEvent { event_id, event_type: "OverdraftLimitSet".to_owned(), schema_version: 1, data }
}

fn of_today(event: &AccountEvent) -> RecordedEvent {
    RecordedEvent::new(event, &StillHost::default()).unwrap()
}

async fn history(events: impl IntoIterator<Item = RecordedEvent>) -> (MemoryStore, AggregateId) {
    let (store, id) = (MemoryStore::default(), AggregateId(Uuid::now_v7()));
    for (event, version) in events.into_iter().zip(1..) {
        let commit = Commit {
            aggregate_id: id,
            aggregate_type: "Account".to_owned(),
            version,
            created_at: Timestamp::from_micros(1_763_891_400_000_000),
            metadata: command(id, (), None).metadata,
            command_digest: None,
            events: vec![event],
            state: None,
        };
        store.append(&commit).await.unwrap();
    }
    (store, id)
}

#[tokio::test]
async fn a_history_of_both_versions_is_loaded_projected_and_decided_on() {
    let first = of_version_1(json!({ "limit": { "minor": 500, "currency": "EUR" } }));
    let second = AccountEvent::OverdraftLimitSet { limit_minor: 300 };
    let (store, id) = history([of_today(&opened()), first, of_today(&withdrawn(200)), of_today(&second)]).await;
    let limit_at = async |version: Version| {
        let Account::Opened(account) = load::<Account>(&store, id, version).await.unwrap().aggregate else { panic!() };
        account.overdraft_limit
    };
    assert_eq!((limit_at(1).await, limit_at(2).await, limit_at(4).await), (0, 500, 300));
    let rows: Vec<AccountRow> = catch_up(&store, id, None, 4).await.unwrap();
    let limits: Vec<i64> = rows.iter().map(|row| row.account.overdraft_limit).collect();
    assert_eq!(limits, [0, 500, 500, 300]);
    let entries: Vec<StatementEntry> = catch_up(&store, id, None, 4).await.unwrap();
    assert_eq!(entries.last().unwrap().balance.minor(), -200);

    let withdraw = |minor| AccountCommand::WithdrawMoney { by: owner(), amount: eur(minor), description: None };
    execute::<Account>(&store, &StillHost::default(), &command(id, withdraw(101), None)).await.unwrap_err();
    execute::<Account>(&store, &StillHost::default(), &command(id, withdraw(100), None)).await.unwrap();
    // What is written is today's form; what was written stays as it was.
    let set = AccountCommand::SetOverdraftLimit { limit: Some(eur(900)) };
    execute::<Account>(&store, &StillHost::default(), &command(id, set, None)).await.unwrap();
    let events: Vec<_> = store.read(id, 1, 100).await.unwrap().into_iter().flat_map(|commit| commit.events).collect();
    let forms = events.iter().filter(|event| event.event_type == "OverdraftLimitSet");
    let forms: Vec<_> = forms.map(|event| (event.schema_version, event.data.clone())).collect();
    let first = json!({ "limit": { "minor": 500, "currency": "EUR" } });
    assert_eq!(forms, [(1, first), (2, json!({ "limit_minor": 300 })), (2, json!({ "limit_minor": 900 }))]);
}

#[tokio::test]
async fn version_1_without_a_limit_is_no_limit_and_a_damaged_one_is_unreadable() {
    for none in [json!({}), json!({ "limit": null })] {
        let (store, id) = history([of_today(&opened()), of_version_1(none)]).await;
        let Account::Opened(account) = load::<Account>(&store, id, 2).await.unwrap().aggregate else { panic!() };
        assert_eq!(account.overdraft_limit, 0);
    }
    for damaged in [
        json!({ "limit": 500 }),
        json!({ "limit": { "minor": "500", "currency": "EUR" } }),
        json!({ "limit": { "minor": -1, "currency": "EUR" } }),
        json!({ "limit": { "minor": 1_000_000_000_001_u64, "currency": "EUR" } }),
        json!({ "limit": { "minor": 500, "currency": "XXX" } }),
    ] {
        let (store, id) = history([of_today(&opened()), of_version_1(damaged)]).await;
        load::<Account>(&store, id, 2).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_limit_that_no_command_could_set_is_unreadable() {
    for limit in [1_000_000_000_001, u64::MAX] {
        let event = RecordedEvent { schema_version: 2, ..of_version_1(json!({ "limit_minor": limit })) };
        let (store, id) = history([of_today(&opened()), event]).await;
        load::<Account>(&store, id, 2).await.unwrap_err();
    }
}
