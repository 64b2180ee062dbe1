use serde_json::{Value, json};
use tests::Cloud;

fn money(amount: &str) -> Value {
    json!({ "amount": amount, "currency": "EUR" })
}

/// An account with deposits of 1, 2, ... 5, and the instant of each of its events.
fn account_with_a_past(cloud: &Cloud) -> (String, Vec<String>) {
    let account = cloud.open_account("EUR");
    for amount in 1..=5 {
        assert_eq!(cloud.post(&format!("{account}/deposits"), &money(&amount.to_string())).status, 200);
    }
    let events = cloud.get(&format!("{account}/events")).body["items"].as_array().unwrap().clone();
    let times = events.iter().map(|event| event["created_at"].as_str().unwrap().to_owned()).collect();
    cloud.eventually(&format!("{account}/statement"), |answer| answer.body["items"].as_array().unwrap().len() == 5);
    (account, times)
}

#[test]
fn an_account_is_seen_as_of_any_version_and_any_time() {
    let cloud = Cloud::start();
    let (account, times) = account_with_a_past(&cloud);
    for (version, balance) in [(1, "0.00"), (2, "1.00"), (4, "6.00"), (6, "15.00")] {
        let seen = cloud.get(&format!("{account}?version={version}"));
        assert_eq!(
            (seen.status, &seen.body["balance"], &seen.body["version"]),
            (200, &json!(balance), &json!(version))
        );
        assert_eq!(seen.header("etag"), format!("\"{version}\""));
        let at = &times[version - 1];
        assert_eq!(seen.body["updated_at"], json!(at));
        assert_eq!(cloud.get(&format!("{account}?at={at}")).body, seen.body);
    }
    assert_eq!(cloud.get(&format!("{account}?at=2020-01-01T00:00:00Z")).problem(), "not-found");
    assert_eq!(cloud.get(&format!("{account}?at=2100-01-01T00:00:00Z")).body["version"], 6);
    let early = cloud.get(&format!("{account}?version=7"));
    assert_eq!((early.status, early.problem(), &early.body["current_version"]), (409, "not-yet", &json!(6)));
    for (both, version) in
        [("version=2&at=2100-01-01T00:00:00Z".to_owned(), 2), (format!("version=5&at={}", times[2]), 3)]
    {
        assert_eq!(cloud.get(&format!("{account}?{both}")).body["version"], version, "{both}");
    }
    for bad in ["version=0", "version=x", "version=-1", "at=yesterday"] {
        assert_eq!(cloud.get(&format!("{account}?{bad}")).problem(), "invalid-request", "{bad}");
    }
}

#[test]
fn the_audit_trail_has_every_event_in_order_with_who_and_why() {
    let cloud = Cloud::start();
    let (account, _) = account_with_a_past(&cloud);
    assert_eq!(cloud.administrate("POST", &format!("{account}/freeze"), None).status, 200);
    let whole = cloud.get(&format!("{account}/events")).body["items"].clone();
    let types: Vec<&str> =
        whole.as_array().unwrap().iter().map(|event| event["event_type"].as_str().unwrap()).collect();
    assert_eq!((types.len(), types[0], types[6]), (7, "AccountCreated", "AccountFrozen"));
    for (event, version) in whole.as_array().unwrap().iter().zip(1..) {
        assert_eq!(event["version"], version);
        assert_eq!(event["metadata"]["user_id"], if version == 7 { "admin" } else { "alice" });
        assert!(event["metadata"]["correlation_id"].is_string() && event["metadata"]["causation_id"].is_string());
    }
    let mut pages: Vec<Value> = Vec::new();
    let mut page = format!("{account}/events?limit=3");
    loop {
        let answer = cloud.get(&page);
        pages.extend(answer.body["items"].as_array().unwrap().clone());
        match answer.body["next_cursor"].as_str() {
            Some(cursor) => page = format!("{account}/events?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(json!(pages), whole);
}

#[test]
fn a_statement_is_cut_by_time() {
    let cloud = Cloud::start();
    let (account, times) = account_with_a_past(&cloud);
    let amounts = |query: &str| {
        let answer = cloud.get(&format!("{account}/statement?{query}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        let amount = |entry: &Value| entry["amount"].as_str().unwrap().to_owned();
        answer.body["items"].as_array().unwrap().iter().map(amount).collect::<Vec<_>>()
    };
    // The second deposit's time is included, the fourth's is not.
    assert_eq!(amounts(&format!("from={}&to={}", times[2], times[4])), ["3.00", "2.00"]);
    assert_eq!(amounts(&format!("from={}", times[4])), ["5.00", "4.00"]);
    assert_eq!(amounts(&format!("to={}", times[2])), ["1.00"]);
    assert_eq!(amounts(&format!("from={}&to={}", times[4], times[2])), [""; 0]);
    assert_eq!(amounts("from=2100-01-01T00:00:00Z"), [""; 0]);
    assert_eq!(amounts(&format!("from={}&limit=1", times[4])), ["5.00"]);
    assert_eq!(cloud.get(&format!("{account}/statement?from=x")).problem(), "invalid-request");
}

#[test]
fn a_statement_read_right_after_each_deposit_has_every_entry_once() {
    let cloud = Cloud::start();
    let account = cloud.open_account("EUR");
    for deposits in 1..=60 {
        let paid = cloud.post(&format!("{account}/deposits"), &money("1"));
        let (version, newest) = (paid.body["version"].as_u64().unwrap(), deposits + 1);
        assert_eq!(version, newest, "{paid:?}");
        // The projector writes while this is read: the answer joins what it has written with what it has not.
        let page = cloud.get(&format!("{account}/statement?min_version={version}&limit=5"));
        let versions: Vec<u64> =
            page.body["items"].as_array().unwrap().iter().map(|entry| entry["version"].as_u64().unwrap()).collect();
        let expected: Vec<u64> = (2..=newest).rev().take(5).collect();
        assert_eq!(versions, expected, "after {deposits} deposits");
    }
}
