//! What a command costs, counted by the engine as DynamoDB bills it, and that the cost does not grow with the history.

use aggregate::AggregateId;
use aws::DynamoEventStore;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use domain::{Account, AccountCommand, Amount, Currency, Outcome};
use eventing::{EventStore, execute};
use serde_json::{Value, json};
use tests::{Edge, Engine, Spent, StillHost, command, owner};
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

/// Accounts of Alice's and Bob's, the first with so many entries.
async fn accounts(edge: &Edge, deposits: u32) -> [AggregateId; 2] {
    let mut ids = Vec::new();
    for user in ["alice", "bob"] {
        let opened = edge.ask(user, "POST /accounts", "/accounts", &[], json!({ "currency": "EUR" })).await;
        ids.push(opened.body["id"].as_str().unwrap().parse().map(AggregateId).unwrap());
    }
    let body = json!({ "amount": "12.34", "currency": "EUR", "description": "Half of 140 characters, which is more than people write on average." });
    for _ in 0..deposits {
        let path = format!("/accounts/{}/deposits", ids[0]);
        let paid = edge.ask("alice", "POST /accounts/{id}/deposits", &path, &[], body.clone()).await;
        assert_eq!(paid.status, 200, "{paid:?}");
    }
    [ids[0], ids[1]]
}

#[tokio::test]
async fn a_query_by_id_costs_half_a_read_unit() {
    let edge = Edge::start().await;
    let [one, _] = accounts(&edge, 50).await;
    edge.project(one).await;
    let half = Spent { requests: 1, read_units: 0.5, write_units: 0.0 };
    for query in ["", "?min_version=51"] {
        let path = format!("/accounts/{one}{query}");
        let answer = edge.ask("alice", "GET /accounts/{id}", &path, &[], Value::Null).await;
        assert_eq!((answer.status.as_u16(), answer.spent), (200, half), "{query}");
    }
    let tag = [("if-none-match", "\"51\"")];
    let same = edge.ask("alice", "GET /accounts/{id}", &format!("/accounts/{one}"), &tag, Value::Null).await;
    assert_eq!((same.status.as_u16(), same.spent), (304, half));
}

/// Half a read unit for each 4 KB of the statement's rows from version `first` on, for reads that may be a moment old.
async fn units_of_rows(edge: &Edge, account: AggregateId, first: u64) -> f64 {
    let table = edge.engine.client.scan().table_name("statement").send().await.unwrap().items.unwrap();
    let is_read = |item: &&std::collections::HashMap<String, AttributeValue>| {
        item["account_id"].as_s().unwrap() == &account.to_string()
            && item["version"].as_n().unwrap().parse::<u64>().unwrap() >= first
    };
    let bytes: usize = table.iter().filter(is_read).map(aws::item_bytes).sum();
    f64::from(u32::try_from(bytes.div_ceil(4096)).unwrap()) / 2.0
}

/// Pays so many times from the first account to the other, and projects it. Each payment leaves a row that is not shown.
async fn pay(edge: &Edge, [one, other]: [AggregateId; 2], times: u32) {
    let order = json!({ "from": one.to_string(), "to": other.to_string(), "amount": "1", "currency": "EUR" });
    for _ in 0..times {
        let begun = edge.ask("alice", "POST /transactions", "/transactions", &[], order.clone()).await;
        let id = AggregateId(begun.body["id"].as_str().unwrap().parse().unwrap());
        assert_eq!(edge.drive(id).await.0, Outcome::Completed);
    }
    edge.project(one).await;
}

#[tokio::test]
async fn a_statement_page_costs_one_read_unit_more_than_its_bytes_at_most() {
    let edge = Edge::start().await;
    let both @ [one, _] = accounts(&edge, 100).await;
    let mut newest = 101;
    for payments in [0, 1, 1] {
        pay(&edge, both, payments).await;
        newest += 2 * u64::from(payments);
        let path = format!("/accounts/{one}/statement?limit=20");
        let page = edge.ask("alice", "GET /accounts/{id}/statement", &path, &[], Value::Null).await;
        let items = page.body["items"].as_array().unwrap();
        assert_eq!(items.len(), 20);
        let of_bytes = units_of_rows(&edge, one, items[19]["version"].as_u64().unwrap()).await;
        assert!(page.spent.read_units <= of_bytes + 1.0, "{:?} of {of_bytes} after {payments} payments", page.spent);
        // Who knows of a version pays the same, where the table has it.
        let path = format!("{path}&min_version={newest}");
        let fresh = edge.ask("alice", "GET /accounts/{id}/statement", &path, &[], Value::Null).await;
        assert_eq!((fresh.body, fresh.spent), (page.body, page.spent));
    }
}

#[tokio::test]
async fn a_statement_page_of_payments_costs_what_its_rows_do_shown_or_not() {
    let edge = Edge::start().await;
    let both @ [one, _] = accounts(&edge, 3).await;
    pay(&edge, both, 30).await;
    let path = format!("/accounts/{one}/statement?limit=20");
    let page = edge.ask("alice", "GET /accounts/{id}/statement", &path, &[], Value::Null).await;
    let items = page.body["items"].as_array().unwrap();
    assert_eq!(items.len(), 20);
    let of_bytes = units_of_rows(&edge, one, items[19]["version"].as_u64().unwrap()).await;
    assert!(page.spent.read_units <= of_bytes + 1.0 && page.spent.requests <= 4, "{:?} of {of_bytes}", page.spent);
}

#[tokio::test]
async fn a_statement_page_that_the_table_lacks_costs_a_read_of_the_events() {
    let edge = Edge::start().await;
    let [one, _] = accounts(&edge, 30).await;
    edge.project(one).await;
    let path = format!("/accounts/{one}/statement?limit=20");
    let known = edge.ask("alice", "GET /accounts/{id}/statement", &path, &[], Value::Null).await;
    let body = json!({ "amount": "1", "currency": "EUR" });
    let deposits = format!("/accounts/{one}/deposits");
    let paid = edge.ask("alice", "POST /accounts/{id}/deposits", &deposits, &[], body).await;
    let path = format!("{path}&min_version={}", paid.body["version"]);
    let fresh = edge.ask("alice", "GET /accounts/{id}/statement", &path, &[], Value::Null).await;
    assert_eq!(fresh.body["items"][0]["version"], paid.body["version"]);
    let Spent { requests, read_units, .. } = known.spent;
    assert_eq!((fresh.spent.requests, fresh.spent.read_units), (requests + 1, read_units + 1.0));
}

#[tokio::test]
async fn a_transaction_is_five_appends_from_beginning_to_end() {
    let edge = Edge::start().await;
    let [one, other] = accounts(&edge, 1).await;
    let items = async || edge.engine.client.scan().table_name("events").send().await.unwrap().count;
    let before = items().await;
    let order = json!({ "from": one.to_string(), "to": other.to_string(), "amount": "1", "currency": "EUR" });
    let begun = edge.ask("alice", "POST /transactions", "/transactions", &[], order).await;
    let id = AggregateId(begun.body["id"].as_str().unwrap().parse().unwrap());
    let (outcome, spent) = edge.drive(id).await;
    assert_eq!((outcome, items().await - before), (Outcome::Completed, 5));
    // An append with a command id is two write units; the first one here had none.
    assert_eq!((begun.spent.write_units, spent.write_units), (1.0, 8.0));
}

#[tokio::test]
async fn a_read_model_of_one_aggregate_costs_one_write_an_event() {
    let edge = Edge::start().await;
    let [one, other] = accounts(&edge, 3).await;
    let order = json!({ "from": one.to_string(), "to": other.to_string(), "amount": "1", "currency": "EUR" });
    let begun = edge.ask("alice", "POST /transactions", "/transactions", &[], order).await;
    let transaction = AggregateId(begun.body["id"].as_str().unwrap().parse().unwrap());
    edge.drive(transaction).await;
    for id in [one, other, transaction] {
        let mut known = std::collections::BTreeSet::new();
        for (model, spent) in edge.project(id).await {
            // A look and a write, and for the first event a look at the store. The journal needs no look; a row of the totals comes
            // with its counters.
            let requests = if model == "journal" { 1 } else { 2 + u32::from(known.insert(model)) };
            assert_eq!(spent.requests, requests, "{model}");
        }
    }
}
