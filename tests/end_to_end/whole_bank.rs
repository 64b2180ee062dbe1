//! What administrators see of the whole bank: the journal and the totals.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tests::{Cloud, EventSchemas};

/// What the following leads to.
const EVENTS: usize = 21;

/// Alice has 70 EUR, Bob 30; a yen account and one in euros were opened and closed; and two payments failed.
fn some_business(cloud: &Cloud) -> (String, String) {
    let (alice, yen) = (cloud.open_account("EUR"), cloud.open_account("JPY"));
    let token = cloud.token_of("bob");
    let headers = [("content-type", "application/json"), ("authorization", token.as_str())];
    let bob = cloud.send("POST", "/accounts", &headers, Some(br#"{"currency":"EUR"}"#));
    let bob = bob.header("location").to_owned();
    let deposit = json!({ "amount": "110.00", "currency": "EUR", "description": "from canary" });
    assert_eq!(cloud.post(&format!("{alice}/deposits"), &deposit).status, 200);
    let withdrawal = json!({ "amount": "10.00", "currency": "EUR" });
    assert_eq!(cloud.post(&format!("{alice}/withdrawals"), &withdrawal).status, 200);
    assert_eq!(cloud.post(&format!("{yen}/close"), &json!({})).status, 200);
    let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let order = json!({ "from": id(&alice), "to": id(&bob), "amount": "30", "currency": "EUR" });
    let begun = cloud.post("/transactions", &order);
    cloud.eventually(begun.header("location"), |answer| answer.body["status"] == "completed");
    let closed = cloud.open_account("EUR");
    assert_eq!(cloud.post(&format!("{closed}/close"), &json!({})).status, 200);
    for (to, amount) in [(&closed, "1"), (&bob, "1000")] {
        let order = json!({ "from": id(&alice), "to": id(to), "amount": amount, "currency": "EUR" });
        let begun = cloud.post("/transactions", &order);
        cloud.eventually(begun.header("location"), |answer| answer.body["status"] == "failed");
    }
    let limit = json!({ "amount": "5", "currency": "EUR" });
    for (method, what, body) in
        [("POST", "freeze", None), ("POST", "unfreeze", None), ("PUT", "overdraft-limit", Some(&limit))]
    {
        assert_eq!(cloud.administrate(method, &format!("{alice}/{what}"), body).status, 200);
    }
    (alice, bob)
}

/// Asks as the administrator until the answer is good.
fn administrate_until(cloud: &Cloud, path: &str, good: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let answer = cloud.administrate("GET", path, None);
        if good(&answer.body) {
            return answer.body;
        }
        assert!(Instant::now() < deadline, "{path} stays at {answer:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_totals_are_the_sum_of_what_happened() {
    let cloud = Cloud::start();
    some_business(&cloud);
    // 110 in, 10 out, 30 from one to the other.
    let all_in = |body: &Value| body["items"][0]["money_moved_today"] == "150.00" && body["items"][1].is_object();
    let totals = administrate_until(&cloud, "/totals", |body| all_in(body) && body["items"][1]["accounts_open"] == 0);
    let eur = json!({ "currency": "EUR", "accounts_open": 2, "money_held": "100.00", "money_moved_today": "150.00" });
    let jpy = json!({ "currency": "JPY", "accounts_open": 0, "money_held": "0", "money_moved_today": "0" });
    assert_eq!(totals["items"], json!([eur, jpy]));
}

#[test]
fn the_journal_has_every_event_of_everybody_and_is_read_page_by_page() {
    let cloud = Cloud::start();
    let (alice, _) = some_business(&cloud);
    let all = administrate_until(&cloud, "/events?limit=100", |body| {
        body["items"].as_array().is_some_and(|items| items.len() == EVENTS)
    });
    let items = all["items"].as_array().unwrap();
    let times: Vec<&str> = items.iter().map(|item| item["created_at"].as_str().unwrap()).collect();
    for event in items {
        assert_eq!(EventSchemas::read().objection(event), None, "{event}");
    }
    let of = |name: &str| items.iter().filter(|item| item["metadata"]["user_id"] == name).count();
    assert_eq!((of("bob"), of("admin"), of("alice")), (1, 3, EVENTS - 4), "{all}");
    let types: BTreeSet<&str> = items.iter().map(|item| item["event_type"].as_str().unwrap()).collect();
    // All but those of a destination that closes while the money is on its way, and of other systems.
    assert_eq!(types.len(), 14, "{types:?}");
    // The same events as the audit trail has, whole.
    let trail = cloud.get(&format!("{alice}/events")).body["items"].clone();
    for event in trail.as_array().unwrap() {
        assert!(items.contains(event), "{event}");
    }

    // Page by page, and on from where it ended.
    let (mut pages, mut path) = (Vec::new(), "/events?limit=3".to_owned());
    while pages.len() < items.len() {
        let page = cloud.administrate("GET", &path, None).body;
        pages.extend(page["items"].as_array().unwrap().clone());
        path = format!("/events?limit=3&cursor={}", page["next_cursor"].as_str().unwrap());
    }
    assert_eq!(&pages, items);
    let end = cloud.administrate("GET", &path, None).body;
    assert_eq!(end["items"], json!([]));
    assert!(end["complete_until"].as_str() >= times.into_iter().max());

    // One that came late stands at the time when it came, so there may be more than are younger.
    let since = items[4]["created_at"].as_str().unwrap();
    let page = cloud.administrate("GET", &format!("/events?since={since}&limit=100"), None).body;
    for event in items.iter().filter(|event| event["created_at"].as_str() >= Some(since)) {
        assert!(page["items"].as_array().unwrap().contains(event), "{event}");
    }
    let of_type = cloud.administrate("GET", "/events?type=AccountCreated&limit=100", None).body;
    assert_eq!(of_type["items"].as_array().unwrap().len(), 4);
    for query in ["since=yesterday", "type=a%20b", "type=", "limit=0", "cursor=x"] {
        let answer = cloud.administrate("GET", &format!("/events?{query}"), None);
        assert_eq!((answer.status, answer.problem()), (400, "invalid-request"), "{query}");
    }
}
