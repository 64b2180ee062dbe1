//! A deposit on accounts of several lengths, with and without an idempotency key, counted.

use aggregate::AggregateId;
use aws::DynamoEventStore;
use domain::{Account, AccountCommand, Amount, Currency};
use eventing::{System, execute};
use serde_json::{Value, json};
use tests::{Engine, command, owner};
use uuid::Uuid;

const HISTORIES: [u64; 3] = [1, 100, 10_000];

/// One row for each length, with and without a key.
pub async fn count() -> Value {
    let engine = Engine::start().await;
    let store = DynamoEventStore::new(engine.client.clone(), "events");
    let id = AggregateId(Uuid::now_v7());
    let currency = Currency::from_code("EUR").unwrap();
    let open = AccountCommand::CreateAccount { owner: owner(), currency };
    let mut version = execute::<Account>(&store, &System, &command(id, open, None)).await.unwrap().version;
    let amount = Amount::from_minor(12_34, currency).unwrap();
    let deposit = || AccountCommand::DepositMoney { by: owner(), amount, description: None };
    let mut rows = Vec::new();
    for past_events in HISTORIES {
        while version < past_events {
            version = execute::<Account>(&store, &System, &command(id, deposit(), None)).await.unwrap().version;
        }
        for key in [None, Some(format!("key-{past_events}"))] {
            let _ = engine.meter.take();
            let command = command(id, deposit(), key.as_deref());
            version = execute::<Account>(&store, &System, &command).await.unwrap().version;
            let spent = engine.meter.take();
            rows.push(json!({
                "past_events": past_events, "key": key.is_some(),
                "requests": spent.requests, "read_units": spent.read_units, "write_units": spent.write_units,
            }));
        }
    }
    Value::Array(rows)
}

/// Prints them.
pub fn print(rows: &Value) {
    println!("A deposit, counted by the engine as DynamoDB bills it\n");
    println!("{:>12}  {:<8} {:>9} {:>11} {:>12}", "past events", "key", "requests", "read units", "write units");
    for row in rows.as_array().unwrap() {
        let text = |name: &str| row[name].to_string();
        let (events, key) = (text("past_events"), if row["key"] == true { "yes" } else { "no" });
        println!(
            "{events:>12}  {key:<8} {:>9} {:>11} {:>12}",
            text("requests"),
            text("read_units"),
            text("write_units")
        );
    }
}
