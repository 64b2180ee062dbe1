//! Transactions that a lost event left open are resumed by the sweep.

use std::time::Duration;

use aggregate::{AggregateId, Timestamp};
use aws::{CurrentRows, DynamoEventStore};
use eventing::{Host, System};
use serde_json::{Value, json};
use tests::Edge;
use transaction_process::{Swept, sweep};
use uuid::Uuid;

/// A machine whose clock is ahead.
struct Ahead(Duration);

impl Host for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(System.now().as_micros() + i64::try_from(self.0.as_micros()).unwrap())
    }

    async fn sleep(&self, duration: Duration) {
        System.sleep(duration).await;
    }

    fn new_id(&self) -> Uuid {
        System.new_id()
    }

    fn jitter(&self, ceiling: Duration) -> Duration {
        System.jitter(ceiling)
    }
}

async fn id_of(edge: &Edge, user: &str, route: &str, target: &str, body: Value) -> AggregateId {
    let answer = edge.ask(user, route, target, &[], body).await;
    AggregateId(answer.body["id"].as_str().unwrap().parse().unwrap())
}

/// How it ended, or 409 for `not-yet`. The read model is behind, so the answer is folded from the events.
async fn ended(edge: &Edge, id: AggregateId) -> Value {
    let path = format!("/transactions/{id}?min_version=2");
    edge.ask("alice", "GET /transactions/{id}", &path, &[], Value::Null).await.body["status"].take()
}

#[tokio::test]
async fn what_is_under_way_for_too_long_is_driven_to_its_end() {
    let edge = Edge::start().await;
    let euros = json!({ "currency": "EUR" });
    let source = id_of(&edge, "alice", "POST /accounts", "/accounts", euros.clone()).await;
    let destination = id_of(&edge, "bob", "POST /accounts", "/accounts", euros).await;
    let deposits = format!("/accounts/{source}/deposits");
    let ten = json!({ "amount": "10", "currency": "EUR" });
    edge.ask("alice", "POST /accounts/{id}/deposits", &deposits, &[], ten).await;
    let order = |amount: &str| json!({ "from": source.to_string(), "to": destination.to_string(), "amount": amount, "currency": "EUR" });
    let mut begun = Vec::new();
    for amount in ["4", "5", "100"] {
        let id = id_of(&edge, "alice", "POST /transactions", "/transactions", order(amount)).await;
        edge.project(id).await;
        begun.push(id);
    }
    // A row whose transaction is nowhere, and items that are no rows: they are stuck, and keep nobody from their end.
    let created_at = "2020-01-01T00:00:00.000000Z";
    let mut bad = vec![json!({ "transaction_id": Uuid::nil(), "under_way": Uuid::nil(), "created_at": created_at })];
    for number in 0..8 {
        let junk = format!("junk {number}");
        bad.push(json!({ "transaction_id": junk, "under_way": junk, "created_at": created_at }));
    }
    for row in bad {
        let item = serde_dynamo::aws_sdk_dynamodb_1::to_item(row).unwrap();
        edge.engine.client.put_item().table_name("transactions").set_item(Some(item)).send().await.unwrap();
    }

    let transactions = CurrentRows::new(edge.engine.client.clone(), "transactions", "transaction_id");
    let store = DynamoEventStore::new(edge.engine.client.clone(), "events");
    let run = async |ahead: u64| {
        let host = Ahead(Duration::from_secs(ahead));
        let deadline = Timestamp::from_micros(host.now().as_micros() + 60_000_000);
        sweep(&store, &host, &transactions, deadline).await
    };
    assert_eq!(run(0).await.unwrap(), Swept { resumed: 0, stuck: 9, left: 0 });
    for id in &begun {
        assert_eq!(ended(&edge, *id).await, 409, "young: another may be driving it");
    }
    assert_eq!(run(61).await.unwrap(), Swept { resumed: 3, stuck: 9, left: 0 });
    assert_eq!(ended(&edge, begun[0]).await, "completed");
    assert_eq!(ended(&edge, begun[1]).await, "completed");
    assert_eq!(ended(&edge, begun[2]).await, "failed");

    // Once the read model has followed, nothing is left for the next sweep but what failed.
    for id in begun {
        edge.project(id).await;
    }
    let left = edge.engine.client.scan().table_name("transactions").index_name("under_way").send().await.unwrap();
    assert_eq!(left.count, 9);
}
