//! What a command costs, counted by the engine as DynamoDB bills it, and that the cost does not grow with the history.

use aggregate::AggregateId;
use aws::DynamoEventStore;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use domain::{Account, AccountCommand, Amount, Currency};
use eventing::{EventStore, execute};
use tests::{Engine, Spent, StillHost, command, owner};
use uuid::Uuid;

/// Deposits so many times, and gives the version.
async fn deposit(store: &impl EventStore, id: AggregateId, times: u32) -> u64 {
    let amount = Amount::from_minor(12_345, Currency::from_code("EUR").unwrap()).unwrap();
    let mut version = 0;
    for _ in 0..times {
        let body = AccountCommand::DepositMoney { by: owner(), amount, description: None };
        version = execute::<Account>(store, &StillHost::default(), &command(id, body, None)).await.unwrap().version;
    }
    version
}

#[tokio::test]
async fn every_commit_of_an_account_carries_its_state_within_one_write_unit() {
    let engine = Engine::start().await;
    let store = DynamoEventStore::new(engine.client.clone(), "events");
    let id = AggregateId(Uuid::now_v7());
    let body = AccountCommand::CreateAccount { owner: owner(), currency: Currency::from_code("EUR").unwrap() };
    execute::<Account>(&store, &StillHost::default(), &command(id, body, None)).await.unwrap();
    deposit(&store, id, 10).await;
    let items = engine.client.scan().table_name("events").send().await.unwrap().items.unwrap();
    assert_eq!(items.len(), 11);
    for item in &items {
        assert!(item.contains_key("state"));
        assert!(aws::item_bytes(item) <= 1024, "{}", aws::item_bytes(item));
    }
}

#[tokio::test]
async fn a_command_costs_the_same_however_long_the_history() {
    let engine = Engine::start().await;
    let store = DynamoEventStore::new(engine.client.clone(), "events");
    let id = AggregateId(Uuid::now_v7());
    let body = AccountCommand::CreateAccount { owner: owner(), currency: Currency::from_code("EUR").unwrap() };
    execute::<Account>(&store, &StillHost::default(), &command(id, body, None)).await.unwrap();
    for more in [0, 30, 300] {
        deposit(&store, id, more).await;
        let amount = Amount::from_minor(1, Currency::from_code("EUR").unwrap()).unwrap();
        let key = format!("key-{more}");
        for (key, requests, read_units, write_units) in [(None, 2, 1.0, 1.0), (Some(key.as_str()), 3, 2.0, 2.0)] {
            let _ = engine.meter.take();
            let body = AccountCommand::DepositMoney { by: owner(), amount, description: None };
            execute::<Account>(&store, &StillHost::default(), &command(id, body, key)).await.unwrap();
            assert_eq!(engine.meter.take(), Spent { requests, read_units, write_units }, "after {more} with {key:?}");
        }
    }
}

#[tokio::test]
async fn an_items_size_is_counted_as_the_engine_bills_it() {
    let engine = Engine::start().await;
    for filler in (900..1_100).step_by(7) {
        let item = [
            ("aggregate_id".to_owned(), AttributeValue::S("a".to_owned())),
            ("version".to_owned(), AttributeValue::N(filler.to_string())),
            (
                "filler".to_owned(),
                AttributeValue::L(vec![AttributeValue::S("x".repeat(filler)), AttributeValue::Null(true)]),
            ),
        ];
        let put = engine.client.put_item().table_name("events").set_item(Some(item.clone().into()));
        let put = put.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await.unwrap();
        let billed = put.consumed_capacity.unwrap().capacity_units.unwrap();
        let counted = aws::item_bytes(&item.into()).div_ceil(1024);
        assert!((billed - f64::from(u32::try_from(counted).unwrap())).abs() < 0.1, "{filler}: {billed} {counted}");
    }
}
