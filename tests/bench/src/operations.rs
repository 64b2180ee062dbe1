//! What each command, query and projection costs: requests and capacity units, counted by the engine as DynamoDB bills them.

use aggregate::AggregateId;
use serde_json::{Value, json};
use tests::{Edge, Spent};

/// Deposits on the account that is read.
const DEPOSITS: u32 = 200;

/// One row for each operation.
pub async fn count() -> Value {
    let edge = Edge::start().await;
    let mut rows = Vec::new();
    let mut count = |name: &str, spent: Spent| {
        let Spent { requests, read_units, write_units } = spent;
        rows.push(
            json!({ "operation": name, "requests": requests, "read_units": read_units, "write_units": write_units }),
        );
    };
    let (open, euro) = (json!({ "currency": "EUR" }), json!({ "amount": "1.00", "currency": "EUR" }));
    let opened = edge.ask("alice", "POST /accounts", "/accounts", &[], open.clone()).await;
    count("POST /accounts", opened.spent);
    let one = id(&opened.body);
    let keyed = edge.ask("alice", "POST /accounts", "/accounts", &[("idempotency-key", "k")], open.clone()).await;
    count("POST /accounts, with a key", keyed.spent);
    let other = id(&edge.ask("bob", "POST /accounts", "/accounts", &[], open).await.body);
    for _ in 1..DEPOSITS {
        let path = format!("/accounts/{one}/deposits");
        edge.ask("alice", "POST /accounts/{id}/deposits", &path, &[], euro.clone()).await;
    }
    let account = |rest: &str| format!("/accounts/{one}{rest}");
    let key = [("idempotency-key", "again")];
    for (name, user, route, rest, headers, body) in [
        ("a deposit", "alice", "POST /accounts/{id}/deposits", "/deposits", &[][..], &euro),
        ("a deposit, with a key", "alice", "POST /accounts/{id}/deposits", "/deposits", &key, &euro),
        ("the same again", "alice", "POST /accounts/{id}/deposits", "/deposits", &key, &euro),
        ("a withdrawal", "alice", "POST /accounts/{id}/withdrawals", "/withdrawals", &[], &euro),
        ("a freeze", "admin", "POST /accounts/{id}/freeze", "/freeze", &[], &Value::Null),
        ("a refused withdrawal", "alice", "POST /accounts/{id}/withdrawals", "/withdrawals", &[], &euro),
        ("an unfreeze", "admin", "POST /accounts/{id}/unfreeze", "/unfreeze", &[], &Value::Null),
        ("an overdraft limit", "admin", "PUT /accounts/{id}/overdraft-limit", "/overdraft-limit", &[], &euro),
    ] {
        count(name, edge.ask(user, route, &account(rest), headers, body.clone()).await.spent);
    }
    let order = json!({ "from": one.to_string(), "to": other.to_string(), "amount": "1.00", "currency": "EUR" });
    let begun = edge.ask("alice", "POST /transactions", "/transactions", &[], order).await;
    count("POST /transactions", begun.spent);
    let transaction = id(&begun.body);
    count("the process manager, to completion", edge.drive(transaction).await.1);

    let mut models: Vec<(&str, Spent)> = Vec::new();
    for id in [one, other, transaction] {
        for (model, spent) in edge.project(id).await {
            match models.iter_mut().find(|(name, _)| *name == model) {
                Some((_, most)) if most.write_units >= spent.write_units => {}
                Some((_, most)) => *most = spent,
                None => models.push((model, spent)),
            }
        }
    }
    for (model, spent) in models {
        count(&format!("an event into {model}, at most"), spent);
    }

    let (long_ago, in_future) = ("2026-01-01T00:00:00Z", "2100-01-01T00:00:00Z");
    for (name, route, rest) in [
        ("an account", "GET /accounts/{id}", String::new()),
        ("an account, as of a version", "GET /accounts/{id}", "?version=100".to_owned()),
        ("an account, as of a time", "GET /accounts/{id}", format!("?at={in_future}")),
        ("a statement page of 20", "GET /accounts/{id}/statement", "/statement?limit=20".to_owned()),
        ("the same, by time", "GET /accounts/{id}/statement", format!("/statement?limit=20&from={long_ago}")),
        ("20 events of an account", "GET /accounts/{id}/events", "/events?limit=20".to_owned()),
        ("an account's transactions", "GET /accounts/{id}/transactions", "/transactions".to_owned()),
    ] {
        count(name, edge.ask("alice", route, &account(&rest), &[], Value::Null).await.spent);
    }
    let path = format!("/transactions/{transaction}");
    count("a transaction", edge.ask("alice", "GET /transactions/{id}", &path, &[], Value::Null).await.spent);
    count("an owner's accounts", edge.ask("alice", "GET /accounts", "/accounts", &[], Value::Null).await.spent);
    count(
        "20 events of the journal",
        edge.ask("admin", "GET /events", "/events?limit=20", &[], Value::Null).await.spent,
    );
    count("the totals", edge.ask("admin", "GET /totals", "/totals", &[], Value::Null).await.spent);
    Value::Array(rows)
}

/// Prints them.
pub fn print(rows: &Value) {
    println!("\nEach operation, on an account of 200 events\n");
    println!("{:<40} {:>9} {:>11} {:>12}", "operation", "requests", "read units", "write units");
    for row in rows.as_array().unwrap() {
        let [requests, read, write] = ["requests", "read_units", "write_units"].map(|name| row[name].to_string());
        println!("{:<40} {requests:>9} {read:>11} {write:>12}", row["operation"].as_str().unwrap());
    }
}

fn id(body: &Value) -> AggregateId {
    AggregateId(body["id"].as_str().unwrap().parse().unwrap())
}
