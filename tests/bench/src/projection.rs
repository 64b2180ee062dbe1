//! How fast events come into read models, one by one as the bus delivers them. Requests and units are counted; times are
//! multiples of the floor's, a bare `GetItem` and a conditional `PutItem` of a row.

use std::time::{Duration, Instant};

use aggregate::{AggregateId, Envelope};
use aws::{Counters, CurrentRows, DynamoEventStore, Journal, RowHistory, project_delivered};
use aws_lambda_events::eventbridge::EventBridgeEvent;
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use domain::{Account, AccountCommand, AccountRow, Currency, StatementEntry, TotalsRow};
use eventing::{Commit, EventStore, System, enter, execute};
use serde_json::{Value, json};
use tests::{Engine, command, eur, owner, tables_without_streams};
use uuid::Uuid;

/// Accounts and the events of each of them.
pub const ACCOUNTS: usize = 100;
pub const EVENTS: u32 = 20;
/// Accounts whose events are counted; those of all others are timed.
const COUNTED_ACCOUNTS: usize = 10;

/// The read models that follow accounts.
pub const MODELS: [&str; 4] = ["accounts", "statement", "journal", "totals"];

/// Their tables.
struct Models {
    store: DynamoEventStore,
    accounts: CurrentRows,
    statement: RowHistory,
    journal: Journal,
    totals: Counters,
}

impl Models {
    fn of(client: &Client) -> Self {
        let client = || client.clone();
        Self {
            store: DynamoEventStore::new(client(), "events"),
            accounts: CurrentRows::new(client(), "accounts", "account_id"),
            statement: RowHistory::new(client(), "statement", "account_id"),
            journal: Journal::new(client(), "journal"),
            totals: Counters::new(client(), "totals").of_generation(1),
        }
    }

    /// As the function does it with what the bus delivers.
    async fn project(&self, model: &str, event: &EventBridgeEvent<Value>) {
        let store = &self.store;
        match model {
            "accounts" => project_delivered::<AccountRow>(store, &self.accounts, &System, event).await.unwrap(),
            "statement" => project_delivered::<StatementEntry>(store, &self.statement, &System, event).await.unwrap(),
            "totals" => project_delivered::<TotalsRow>(store, &self.totals, &System, event).await.unwrap(),
            _ => {
                let event = aws::envelope_of(event).unwrap();
                // In time, as events are, however slow this machine is.
                enter(&self.journal, &event, event.created_at).await.unwrap();
            }
        }
    }
}

/// One row for each of them.
pub async fn measure() -> Value {
    let engine = Engine::start_with(tables_without_streams()).await;
    let histories = fill(&engine.client, ACCOUNTS).await;
    let (counted, timed) = histories.split_at(COUNTED_ACCOUNTS);
    let client = tests::dynamodb(&engine.url);
    let (metered, plain) = (Models::of(&engine.client), Models::of(&client));
    let mut rows = Vec::new();
    for model in MODELS {
        let _ = engine.meter.take();
        for event in counted.iter().flatten() {
            metered.project(model, &delivered(event)).await;
        }
        let spent = engine.meter.take();
        let (mut took, mut floor) = (Duration::ZERO, Duration::ZERO);
        for event in timed.iter().flatten() {
            let event_of_the_bus = delivered(event);
            let began = Instant::now();
            plain.project(model, &event_of_the_bus).await;
            took += began.elapsed();
            floor += bare(&client, event.aggregate_id).await;
        }
        let events = f64::from(EVENTS) * as_f64(COUNTED_ACCOUNTS);
        let timed_events = f64::from(EVENTS) * as_f64(timed.len());
        rows.push(json!({
            "model": model,
            "requests": f64::from(spent.requests) / events,
            "read_units": spent.read_units / events,
            "write_units": spent.write_units / events,
            "events_a_second": (timed_events / took.as_secs_f64()).round(),
            "of_floor": floor.as_secs_f64() / took.as_secs_f64(),
        }));
    }
    Value::Array(rows)
}

/// The floor: an account's row, read and written again on the condition that nobody else did.
pub async fn bare(client: &Client, account: AggregateId) -> Duration {
    let began = Instant::now();
    let key = AttributeValue::S(account.to_string());
    let get = client.get_item().table_name("accounts").key("account_id", key).consistent_read(true);
    let row = get.send().await.unwrap().item.unwrap();
    let seen = row["version"].clone();
    let put = client.put_item().table_name("accounts").set_item(Some(row));
    let put = put.condition_expression("version = :seen").expression_attribute_values(":seen", seen);
    put.send().await.unwrap();
    began.elapsed()
}

/// New accounts with events, as they are published.
pub async fn fill(client: &Client, accounts: usize) -> Vec<Vec<Envelope>> {
    let store = DynamoEventStore::new(client.clone(), "events");
    let currency = Currency::from_code("EUR").unwrap();
    let mut histories = Vec::new();
    for _ in 0..accounts {
        let id = AggregateId(Uuid::now_v7());
        for number in 0..EVENTS {
            let body = match number {
                0 => AccountCommand::CreateAccount { owner: owner(), currency },
                _ => AccountCommand::DepositMoney { by: owner(), amount: eur(12_34), description: None },
            };
            execute::<Account>(&store, &System, &command(id, body, None)).await.unwrap();
        }
        let commits = store.read(id, 1, usize::MAX).await.unwrap();
        histories.push(commits.iter().flat_map(Commit::envelopes).collect());
    }
    histories
}

/// What EventBridge hands to a function.
fn delivered(event: &Envelope) -> EventBridgeEvent<Value> {
    let mut delivered = EventBridgeEvent::<Value>::default();
    delivered.detail_type.clone_from(&event.event_type);
    delivered.detail = serde_json::to_value(event).unwrap();
    delivered
}

/// A count to calculate with.
#[allow(clippy::cast_precision_loss, reason = "counts are far below what a float holds exactly")]
pub fn as_f64(count: usize) -> f64 {
    count as f64
}

/// Prints them.
pub fn print(rows: &Value) {
    println!("\nAn event into a read model, as the bus delivers it: {EVENTS} events on each of {ACCOUNTS} accounts\n");
    println!(
        "{:<12} {:>9} {:>11} {:>12} {:>9} {:>14}",
        "model", "requests", "read units", "write units", "events/s", "of the floor's"
    );
    for row in rows.as_array().unwrap() {
        let number = |name: &str| row[name].as_f64().unwrap();
        println!(
            "{:<12} {:>9.2} {:>11.2} {:>12.2} {:>9} {:>13.2}x",
            row["model"].as_str().unwrap(),
            number("requests"),
            number("read_units"),
            number("write_units"),
            number("events_a_second"),
            number("of_floor"),
        );
    }
    println!("\nThe floor: a bare GetItem and a conditional PutItem of an account's row, in turn with each event.");
}
