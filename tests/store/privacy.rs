//! A payer cannot tell why another customer's account takes no money, by anything that an answer says or costs.

use aggregate::AggregateId;
use serde_json::{Value, json};
use tests::{Edge, Paid, Spent};
use uuid::Uuid;

/// An answer without what differs between any two transactions.
type Seen = (u16, Value, Spent);

const PAYER: &str = "alice";

async fn open(edge: &Edge, user: &str, currency: &str) -> AggregateId {
    let opened = edge.ask(user, "POST /accounts", "/accounts", &[], json!({ "currency": currency })).await;
    AggregateId(opened.body["id"].as_str().unwrap().parse().unwrap())
}

/// Bob's accounts that cannot receive euros, each with the reason, and the id of none.
async fn unavailable(edge: &Edge) -> [(AggregateId, &'static str); 4] {
    let [frozen, closed] = [open(edge, "bob", "EUR").await, open(edge, "bob", "EUR").await];
    for (user, what, id) in [("admin", "freeze", frozen), ("bob", "close", closed)] {
        let (route, path) = (format!("POST /accounts/{{id}}/{what}"), format!("/accounts/{id}/{what}"));
        assert_eq!(edge.ask(user, &route, &path, &[], Value::Null).await.status, 200);
    }
    let dollars = open(edge, "bob", "USD").await;
    for id in [frozen, closed, dollars] {
        edge.project(id).await;
    }
    let missing = AggregateId(Uuid::from_u128(1));
    [(missing, "no-such-account"), (frozen, "frozen"), (closed, "closed"), (dollars, "currency-mismatch")]
}

fn seen(Paid { status, body, spent }: Paid, ids: &[String]) -> Seen {
    let mut text = body.to_string();
    for (place, id) in ids.iter().enumerate() {
        text = text.replace(id, &format!("id {place}"));
    }
    let mut body: Value = serde_json::from_str(&text).unwrap();
    let (created, updated) = (body["created_at"].take(), body["updated_at"].take());
    assert_eq!(created, updated, "it ends when it begins: {body}");
    (status.as_u16(), body, spent)
}

#[tokio::test]
async fn every_answer_about_a_destination_that_takes_no_money_is_the_same_for_its_payer_and_costs_the_same() {
    let edge = Edge::start().await;
    let source = open(&edge, PAYER, "EUR").await;
    edge.project(source).await;
    let mut all: Vec<Vec<Seen>> = Vec::new();
    for (destination, reason) in unavailable(&edge).await {
        let order = json!({ "from": source, "to": destination, "amount": "1", "currency": "EUR" });
        let key = format!("key of {reason}").replace(' ', "-");
        let headers = [("idempotency-key", key.as_str())];
        let ask = async |user: &str, route: &str, path: &str| edge.ask(user, route, path, &[], Value::Null).await;
        let begun = edge.ask(PAYER, "POST /transactions", "/transactions", &headers, order.clone()).await;
        let again = edge.ask(PAYER, "POST /transactions", "/transactions", &headers, order.clone()).await;
        let id = begun.body["id"].as_str().unwrap().to_owned();
        let path = format!("/transactions/{id}");
        let before = ask(PAYER, "GET /transactions/{id}", &format!("{path}?min_version=2")).await;
        edge.project(AggregateId(id.parse().unwrap())).await;
        let after = ask(PAYER, "GET /transactions/{id}", &path).await;
        let early = ask(PAYER, "GET /transactions/{id}", &format!("{path}?min_version=3")).await;
        let account = ask(PAYER, "GET /accounts/{id}", &format!("/accounts/{destination}")).await;
        assert_eq!(after.body["failure"]["code"], "destination-unavailable");

        let admins = ask("admin", "GET /transactions/{id}", &path).await;
        assert_eq!(admins.body["failure"]["code"], reason);
        if reason != "no-such-account" {
            let owners = ask("bob", "GET /transactions/{id}", &path).await;
            assert_eq!(owners.body["failure"]["code"], reason);
            let route = "GET /accounts/{id}/transactions";
            let list = ask("bob", route, &format!("/accounts/{destination}/transactions")).await;
            assert_eq!(list.body["items"][0]["failure"]["code"], reason);
        }
        let ids = [id, destination.to_string()];
        all.push([begun, again, before, after, early, account].map(|paid| seen(paid, &ids)).into());
    }
    for others in &all[1..] {
        assert_eq!(others, &all[0]);
    }
    let list = format!("/accounts/{source}/transactions");
    let list = edge.ask(PAYER, "GET /accounts/{id}/transactions", &list, &[], Value::Null).await;
    let items = list.body["items"].as_array().unwrap();
    assert_eq!(items.len(), all.len());
    for item in items {
        assert_eq!(item["failure"], items[0]["failure"], "a list tells no more");
    }
    let events = format!("/accounts/{source}/events");
    let events = edge.ask(PAYER, "GET /accounts/{id}/events", &events, &[], Value::Null).await;
    assert_eq!(events.body["items"].as_array().unwrap().len(), 1, "nothing is debited");
}

#[tokio::test]
async fn the_owner_of_both_accounts_reads_the_true_reason_and_a_payee_none_that_is_the_payers() {
    let edge = Edge::start().await;
    let [source, own, bobs] =
        [open(&edge, PAYER, "EUR").await, open(&edge, PAYER, "USD").await, open(&edge, "bob", "EUR").await];
    for id in [source, own, bobs] {
        edge.project(id).await;
    }
    let shown = async |user: &str, destination: AggregateId| {
        let order = json!({ "from": source, "to": destination, "amount": "1", "currency": "EUR" });
        let begun = edge.ask(PAYER, "POST /transactions", "/transactions", &[], order).await;
        let id = AggregateId(begun.body["id"].as_str().unwrap().parse().unwrap());
        edge.drive(id).await;
        edge.project(id).await;
        edge.ask(user, "GET /transactions/{id}", &format!("/transactions/{id}"), &[], Value::Null).await.body
    };
    assert_eq!(shown(PAYER, own).await["failure"]["code"], "currency-mismatch");
    assert_eq!(shown(PAYER, bobs).await["failure"]["code"], "insufficient-funds");
    let to_payee = shown("bob", bobs).await;
    assert_eq!((&to_payee["status"], &to_payee["failure"]), (&json!("failed"), &Value::Null));
}
