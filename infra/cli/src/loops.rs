//! The operator's loops, each with an aggregate that does not answer, one that fails and one that cannot be read: the others are
//! done all the same.

use std::time::Duration;

use ::tests::{Engine, Reply, Wire, WireFault, commit};
use aggregate::AggregateId;
use aws::{Counters, CurrentRows, DynamoEventStore, EventBridge, Kind, Mode};
use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region, timeout::TimeoutConfig},
    types::AttributeValue,
};
use domain::AccountRow;
use eventing::{EventStore, ReadTable};
use serde_json::json;
use uuid::Uuid;

use crate::{
    Scan, Verdict,
    histories::{self, History},
    report::Model,
    republish::{self, Destination},
    rows, totals,
};

pub const HANGS: u128 = 1;
pub const FAILS: u128 = 2;
pub const UNREADABLE: u128 = 3;
pub const FINE: [u128; 2] = [4, 5];
const SCAN: Scan = Scan { segments: 1 };

pub fn id(number: u128) -> AggregateId {
    // A text that nothing else contains.
    AggregateId(Uuid::from_u128(0x0198_c1a7_0000_7000_8000_0000_0000_0000 + number))
}

/// Time-outs that end a test soon.
fn impatient() -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(1)).build()
}

/// What happens to requests about the aggregates that are ill.
pub fn ill(wire: &Wire) {
    wire.answer_all_with(&id(HANGS).to_string(), Reply::Silence);
    wire.answer_all_with(&id(FAILS).to_string(), Reply::Status(500, String::new()));
}

/// Five accounts with one event each, and a client of the engine.
pub async fn accounts() -> (Engine, Client, Wire) {
    let (engine, wire) = (Engine::start().await, Wire::default());
    let store = DynamoEventStore::new(engine.client.clone(), "events");
    for number in [HANGS, FAILS, UNREADABLE, FINE[0], FINE[1]] {
        store.append(&commit(id(number), 1)).await.unwrap();
    }
    let client = engine.client_over(&wire);
    let client = Client::from_conf(client.config().to_builder().timeout_config(impatient()).build());
    (engine, client, wire)
}

/// Makes the commit of [`UNREADABLE`] an item that is none.
pub async fn spoil(engine: &Engine) {
    let spoiled = engine.client.put_item().table_name("events").item("version", AttributeValue::N("1".to_owned()));
    let spoiled = spoiled.item("aggregate_id", AttributeValue::S(id(UNREADABLE).to_string()));
    spoiled.item("events", AttributeValue::S("nonsense".to_owned())).send().await.unwrap();
}

/// A bus that takes everything of which it hears.
pub fn bus() -> (Destination, Wire) {
    let wire = Wire::default();
    let config = aws_sdk_eventbridge::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url("http://127.0.0.1:9")
        .http_client(wire.http_client())
        .timeout_config(impatient())
        .retry_config(Wire::retries());
    let taken = json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "e" }] }).to_string();
    wire.script(std::iter::repeat_n(WireFault::Before(Reply::Status(200, taken)), 50));
    let bus = EventBridge::new(aws_sdk_eventbridge::Client::from_conf(config.build()), "b");
    (Destination { bus, source: None }, wire)
}

#[tokio::test]
async fn verify_and_rebuild_do_all_others() {
    let (engine, client, wire) = accounts().await;
    // An event of a type that only later code knows.
    let mut painted = commit(id(UNREADABLE), 2);
    "AccountPainted".clone_into(&mut painted.events[0].event_type);
    DynamoEventStore::new(engine.client.clone(), "events").append(&painted).await.unwrap();
    ill(&wire);
    let store = DynamoEventStore::new(client.clone(), "events");
    let table = CurrentRows::new(client, "accounts", "account_id");
    for (mode, repaired) in [(Mode::Verify, false), (Mode::Repair, true)] {
        let comparison = rows::Comparison::<AccountRow, _>::new(&store, &table, mode);
        let work = async |history: History| comparison.history(&history).await;
        let seen = histories::each(&store, None, "accounts", SCAN, work).await.unwrap();
        let report = comparison.report(Model::Accounts, seen, SCAN).await.unwrap();
        assert_eq!((report.seen.failed, report.verdict()), (2, Verdict::NotFoundOut));
        let found: Vec<_> =
            report.findings.iter().map(|found| (found.aggregate_id, found.kind, found.repaired)).collect();
        let fine = FINE.map(|number| (id(number), Kind::Missing, repaired));
        assert_eq!(found, [(id(UNREADABLE), Kind::Unreadable, false), fine[0], fine[1]]);
    }
    let truth = CurrentRows::new(engine.client.clone(), "accounts", "account_id");
    for number in FINE {
        let row: Option<AccountRow> = truth.latest(id(number)).await.unwrap();
        assert!(row.is_some());
    }
}

#[tokio::test]
async fn a_rebuild_of_the_totals_adds_all_others_and_does_not_put_them_in_use() {
    let (engine, client, wire) = accounts().await;
    spoil(&engine).await;
    ill(&wire);
    let table = Counters::new(client.clone(), "totals");
    let store = DynamoEventStore::new(client, "events");
    let rebuilt = totals::rebuild(&store, &table, SCAN).await.unwrap_err().to_string();
    let _ = std::fs::remove_file(".daybook-rebuild-totals-2.json");
    assert!(rebuilt.starts_with("1 items cannot be read and 2 accounts could not be added"), "{rebuilt}");
    assert_eq!(table.generations().await.unwrap().current, 1);
    let added: Vec<_> = table.of_generation(2).contents().await.unwrap().aggregates().collect();
    assert_eq!(added, FINE.map(id));
}

#[tokio::test]
async fn republish_publishes_all_others() {
    let (engine, client, _) = accounts().await;
    spoil(&engine).await;
    let (to, wire) = bus();
    ill(&wire);
    let store = DynamoEventStore::new(client, "events");
    let published = republish::of_time(&store, &to, None, None, None, SCAN).await.unwrap_err().to_string();
    assert_eq!(published, "1 items cannot be read, and of 2 aggregates not all events were published; 2 events were");
    let sent = wire.sent();
    for number in FINE {
        assert_eq!(sent.iter().filter(|body| body.contains(&id(number).to_string())).count(), 1);
    }
}
