use serde_json::{Value, json};
use tests::{Answer, Cloud};

fn id(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

fn money(amount: &str) -> Value {
    json!({ "amount": amount, "currency": "EUR" })
}

fn pay(cloud: &Cloud, from: &str, to: &str, amount: &str) -> Answer {
    let body = json!({ "from": id(from), "to": id(to), "amount": amount, "currency": "EUR", "description": "Rent" });
    cloud.post("/transactions", &body)
}

/// Begins a transaction and waits for its end.
fn paid(cloud: &Cloud, from: &str, to: &str, amount: &str) -> Answer {
    let begun = pay(cloud, from, to, amount);
    assert_eq!(begun.status, 202, "{begun:?}");
    cloud.eventually(begun.header("location"), |answer| answer.body["status"] != "initiated")
}

#[test]
fn money_goes_from_one_account_to_another_and_every_read_model_shows_it() {
    let cloud = Cloud::start();
    let [from, to] = [(); 2].map(|()| cloud.open_account("EUR"));
    assert_eq!(cloud.post(&format!("{from}/deposits"), &money("10")).status, 200);
    let transaction = paid(&cloud, &from, &to, "4.50");
    assert_eq!(transaction.body["status"], "completed");
    assert_eq!((&transaction.body["from"], &transaction.body["to"]), (&json!(id(&from)), &json!(id(&to))));
    cloud.eventually(&from, |answer| answer.body["balance"] == "5.50");
    cloud.eventually(&to, |answer| answer.body["balance"] == "4.50");
    for (account, amount) in [(&from, "-4.50"), (&to, "4.50")] {
        let statement = cloud.eventually(&format!("{account}/statement"), |answer| {
            answer.body["items"][0]["transaction_id"] == transaction.body["id"]
        });
        assert_eq!(statement.body["items"][0]["amount"], amount);
        assert_eq!(statement.body["items"][0]["description"], "Rent");
        let of_account = cloud.get(&format!("{account}/transactions"));
        assert_eq!(of_account.body["items"], json!([transaction.body]));
    }
}

#[test]
fn an_account_lists_what_left_and_what_came_newest_first_page_by_page() {
    let cloud = Cloud::start();
    let [one, two] = [(); 2].map(|()| cloud.open_account("EUR"));
    assert_eq!(cloud.post(&format!("{one}/deposits"), &money("10")).status, 200);
    let mut begun: Vec<Value> = Vec::new();
    for (from, to) in [(&one, &two), (&one, &two), (&two, &one), (&one, &two), (&two, &one)] {
        begun.push(paid(&cloud, from, to, "1").body["id"].clone());
    }
    begun.reverse();
    let mut seen: Vec<Value> = Vec::new();
    let mut page = format!("{one}/transactions?limit=2");
    loop {
        let answer = cloud.get(&page);
        seen.extend(answer.body["items"].as_array().unwrap().iter().map(|item| item["id"].clone()));
        match answer.body["next_cursor"].as_str() {
            Some(cursor) => page = format!("{one}/transactions?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, begun);
}

#[test]
fn who_is_paid_does_not_learn_who_the_payer_is_or_how_the_payer_asked() {
    let cloud = Cloud::start();
    let from = cloud.open_account("EUR");
    assert_eq!(cloud.post(&format!("{from}/deposits"), &money("10")).status, 200);
    let [alice, bob, admin] = ["alice", "bob", "admin"].map(|name| cloud.token_of(name));
    let headers = [("content-type", "application/json"), ("authorization", bob.as_str())];
    let opened = cloud.send("POST", "/accounts", &headers, Some(br#"{"currency":"EUR"}"#));
    let to = opened.header("location");
    let order = json!({ "from": id(&from), "to": id(to), "amount": "1", "currency": "EUR" }).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("authorization", alice.as_str()),
        ("x-correlation-id", "alice-private-123"),
        ("idempotency-key", "alice-private-key"),
    ];
    let begun = cloud.send("POST", "/transactions", &headers, Some(order.as_bytes()));
    assert_eq!(begun.status, 202, "{begun:?}");
    cloud.eventually(begun.header("location"), |answer| answer.body["status"] == "completed");
    let events = |token: &str| {
        let events = cloud.send("GET", &format!("{to}/events"), &[("authorization", token)], None);
        assert_eq!(events.body["items"][1]["event_type"], "AccountCredited", "{events:?}");
        events.body["items"].clone()
    };
    let (seen_by_bob, seen_by_admin) = (events(&bob), events(&admin));
    assert_eq!(seen_by_bob[0]["metadata"]["user_id"], "bob");
    assert_eq!(seen_by_bob[1]["metadata"], json!({}));
    let all = &seen_by_admin[1]["metadata"];
    assert_eq!((&all["user_id"], &all["correlation_id"]), (&json!("alice"), &json!("alice-private-123")));
    assert!(all["causation_id"].is_string() && all["command_id"].is_string(), "{all}");
}

#[test]
fn what_cannot_be_paid_fails_with_a_reason_and_the_money_is_back() {
    let cloud = Cloud::start();
    let [from, to] = [(); 2].map(|()| cloud.open_account("EUR"));
    assert_eq!(cloud.post(&format!("{from}/deposits"), &money("10")).status, 200);
    let refused = paid(&cloud, &from, &to, "10.01");
    assert_eq!(refused.body["failure"]["reason"], "The source account has too little money.");
    assert_eq!(cloud.administrate("POST", &format!("{to}/freeze"), None).status, 200);
    cloud.eventually(&to, |answer| answer.body["status"] == "frozen");
    let frozen = paid(&cloud, &from, &to, "1");
    assert_eq!(frozen.body["failure"]["reason"], "The destination account is frozen.");
    cloud.eventually(&from, |answer| answer.body["balance"] == "10.00");
    assert_eq!(cloud.administrate("POST", &format!("{to}/unfreeze"), None).status, 200);
    assert_eq!(paid(&cloud, &from, &to, "10").body["status"], "completed");
    assert_eq!(cloud.send("POST", &format!("{from}/close"), &[], None).status, 200);
    assert_eq!(paid(&cloud, &to, &from, "1").body["failure"]["reason"], "The destination account is closed.");
    let dollars = cloud.open_account("USD");
    cloud.eventually(&dollars, |answer| answer.status == 200);
    assert_eq!(paid(&cloud, &to, &dollars, "1").body["failure"]["code"], "currency-mismatch");

    let nobody = "/accounts/00000000-0000-4000-8000-000000000000";
    assert_eq!(pay(&cloud, &to, &to, "1").problem(), "same-account");
    assert_eq!(pay(&cloud, nobody, &to, "1").problem(), "not-found");
    assert_eq!(pay(&cloud, &dollars, &to, "1").problem(), "currency-mismatch");
    assert_eq!(pay(&cloud, &to, "not-an-id", "1").body["errors"][0]["pointer"], "/to");
}

#[test]
fn a_payer_cannot_tell_why_a_strangers_account_takes_no_money() {
    let cloud = Cloud::start();
    let from = cloud.open_account("EUR");
    assert_eq!(cloud.post(&format!("{from}/deposits"), &money("10")).status, 200);
    let bob = cloud.token_of("bob");
    let headers = [("content-type", "application/json"), ("authorization", bob.as_str())];
    let open = |currency: &str| {
        let opened =
            cloud.send("POST", "/accounts", &headers, Some(json!({ "currency": currency }).to_string().as_bytes()));
        opened.header("location").to_owned()
    };
    let [frozen, closed, dollars] = ["EUR", "EUR", "USD"].map(open);
    assert_eq!(cloud.administrate("POST", &format!("{frozen}/freeze"), None).status, 200);
    assert_eq!(cloud.send("POST", &format!("{closed}/close"), &headers, None).status, 200);
    let missing = "/accounts/00000000-0000-4000-8000-000000000000".to_owned();
    let expected = json!({
        "side": "destination",
        "code": "destination-unavailable",
        "reason": "The destination account cannot receive this money.",
    });
    for (to, code) in
        [(missing, None), (frozen, Some("frozen")), (closed, Some("closed")), (dollars, Some("currency-mismatch"))]
    {
        let begun = pay(&cloud, &from, &to, "1");
        assert_eq!((begun.status, &begun.body["version"]), (202, &json!(2)), "{to}");
        let path = format!("{}?min_version=2", begun.header("location"));
        let shown = cloud.get(&path);
        assert_eq!((&shown.body["status"], &shown.body["failure"]), (&json!("failed"), &expected), "{to}");
        assert_eq!(shown.body["created_at"], shown.body["updated_at"], "{to}");
        if let Some(code) = code {
            let own = cloud.send("GET", &path, &headers[1..], None);
            assert_eq!(own.body["failure"]["code"], code, "the owner of the destination reads the true reason");
        }
    }
    assert_eq!(cloud.get(&format!("{from}/events")).body["items"].as_array().unwrap().len(), 2, "nothing was debited");
}

#[test]
fn an_id_of_one_thing_names_no_other() {
    let cloud = Cloud::start();
    let (from, to) = (cloud.open_account("EUR"), cloud.open_account("EUR"));
    let path = pay(&cloud, &from, &to, "1").header("location").to_owned();
    cloud.eventually(&path, |answer| answer.body["status"] == "failed");
    let (transaction, account) =
        (path.replace("/transactions/", "/accounts/"), from.replace("/accounts/", "/transactions/"));
    for wrong in [transaction.clone(), format!("{transaction}?version=1"), format!("{transaction}/events"), account] {
        let answer = cloud.get(&wrong);
        assert_eq!((answer.status, answer.problem()), (404, "not-found"), "{wrong}: {answer:?}");
    }
    assert_eq!(cloud.post(&format!("{transaction}/deposits"), &money("1")).problem(), "not-found");
    assert_eq!(pay(&cloud, &transaction, &to, "1").problem(), "not-found");
    assert_eq!(cloud.get(&path).body["version"], 2, "nothing was appended");
}

#[test]
fn an_account_is_closed_frozen_and_overdrawn_by_its_rules() {
    let cloud = Cloud::start();
    let account = cloud.open_account("EUR");
    let close = || cloud.send("POST", &format!("{account}/close"), &[], None);
    let act = |what: &str| cloud.administrate("POST", &format!("{account}/{what}"), None);
    let limit = |amount: &str| cloud.administrate("PUT", &format!("{account}/overdraft-limit"), Some(&money(amount)));
    assert_eq!(limit("5").body["version"], 2);
    assert_eq!(cloud.post(&format!("{account}/withdrawals"), &money("5")).status, 200);
    assert_eq!((limit("4").problem(), close().problem()), ("overdraft-in-use", "account-not-empty"));
    assert_eq!(act("freeze").body["version"], 4);
    assert_eq!(cloud.post(&format!("{account}/deposits"), &money("5")).problem(), "account-frozen");
    let seen = cloud.eventually(&account, |answer| answer.body["version"] == 4);
    assert_eq!((&seen.body["status"], &seen.body["available"]), (&json!("frozen"), &json!("0.00")));
    assert_eq!(act("unfreeze").body["version"], 5);
    assert_eq!(cloud.post(&format!("{account}/deposits"), &money("5")).status, 200);
    assert_eq!(close().status, 200);
    assert_eq!(cloud.post(&format!("{account}/deposits"), &money("5")).problem(), "account-closed");
    cloud.eventually(&account, |answer| answer.body["status"] == "closed");
}
