//! Who may do what, on every route of the template.

use local::template::{Route, load};
use serde_json::{Value, json};
use tests::{Answer, Cloud, repository};

const NOBODYS: &str = "00000000-0000-4000-8000-000000000000";

/// A body that each route would take.
fn body_of(route: &Route, account: &str) -> Option<Value> {
    match route.key().as_str() {
        "POST /accounts" => Some(json!({ "currency": "EUR" })),
        "POST /accounts/{id}/deposits" | "POST /accounts/{id}/withdrawals" | "PUT /accounts/{id}/overdraft-limit" => {
            Some(json!({ "amount": "1", "currency": "EUR" }))
        }
        "POST /transactions" => Some(json!({ "from": account, "to": NOBODYS, "amount": "1", "currency": "EUR" })),
        _ => None,
    }
}

fn ask(cloud: &Cloud, route: &Route, ids: (&str, &str), authorization: &str) -> Answer {
    let (account, transaction) = ids;
    let path = match route.path.as_str() {
        "$default" => "/nothing".to_owned(),
        path if path.starts_with("/transactions") => path.replace("{id}", transaction),
        path => path.replace("{id}", account),
    };
    let method = if route.method == "ANY" { "GET" } else { &route.method };
    let headers = [("authorization", authorization), ("content-type", "application/json")];
    let body = body_of(route, account).map(|body| body.to_string());
    cloud.send(method, &path, &headers, body.as_ref().map(String::as_bytes))
}

/// What may differ between two problems: where they happened.
fn without_instance(answer: &Answer) -> Value {
    let mut body = answer.body.clone();
    body.as_object_mut().map(|body| body.remove("instance"));
    body
}

#[test]
fn every_route_asks_for_a_good_token_and_a_scope_and_shows_nobody_anothers() {
    let cloud = Cloud::start();
    let account = cloud.open_account("EUR");
    let account = account.trim_start_matches("/accounts/");
    let pay = json!({ "from": account, "to": NOBODYS, "amount": "1", "currency": "EUR" });
    let begun = cloud.post("/transactions", &pay).body["id"].clone();
    let alices = (account, begun.as_str().unwrap());
    let version = |cloud: &Cloud| cloud.get(&format!("/accounts/{account}")).body["version"].clone();
    let before =
        cloud.eventually(&format!("/accounts/{account}"), |answer| answer.status == 200).body["version"].clone();

    let routes = load(&repository().join("template.yaml")).unwrap().routes;
    assert!(routes.len() >= 14);
    for route in &routes {
        let key = route.key();
        assert!(route.authorized && !route.scopes.is_empty(), "{key} is open");
        let bad = [
            String::new(),
            "Bearer x".to_owned(),
            cloud.token("alice", "expires_in=-1"),
            cloud.token("alice", "audience=another"),
            cloud.token("alice", "issuer=https://another"),
        ];
        for token in &bad {
            let answer = ask(&cloud, route, alices, token);
            assert_eq!((answer.status, &answer.body), (401, &json!({ "message": "Unauthorized" })), "{key} {token}");
        }
        let unscoped = ask(&cloud, route, alices, &cloud.token("alice", "scope=daybook/nothing"));
        assert_eq!((unscoped.status, &unscoped.body), (403, &json!({ "message": "Forbidden" })), "{key}");

        let is_admins = route.scopes.iter().all(|scope| scope == "daybook/admin");
        let bob = ask(&cloud, route, alices, &cloud.token_of("bob"));
        let names_something = route.path.contains("{id}") || key == "POST /transactions";
        if is_admins {
            assert_eq!(bob.status, 403, "{key}");
        } else if names_something {
            let nobodys = ask(&cloud, route, (NOBODYS, NOBODYS), &cloud.token_of("bob"));
            assert_eq!((bob.status, bob.problem()), (404, "not-found"), "{key}: {bob:?}");
            assert_eq!(without_instance(&bob), without_instance(&nobodys), "{key}");
        }
    }
    assert_eq!(version(&cloud), before, "nobody changed anything");
    let bobs = cloud.send("GET", "/accounts", &[("authorization", &cloud.token_of("bob"))], None);
    assert!(bobs.body["items"].as_array().unwrap().iter().all(|item| item["owner"] == "bob"));
}

#[test]
fn an_administrator_sees_all_and_moves_nothing() {
    let cloud = Cloud::start();
    let account = cloud.open_account("EUR");
    cloud.eventually(&account, |answer| answer.status == 200);
    for path in [account.clone(), format!("{account}/statement"), format!("{account}/transactions")] {
        assert_eq!(cloud.administrate("GET", &path, None).status, 200, "{path}");
    }
    let money = json!({ "amount": "1", "currency": "EUR" });
    assert_eq!(cloud.administrate("POST", &format!("{account}/withdrawals"), Some(&money)).status, 404);
}

#[test]
fn who_one_is_comes_from_the_token_alone() {
    let cloud = Cloud::start();
    let bob = cloud.token_of("bob");
    let body = json!({ "currency": "EUR", "owner": "alice" }).to_string();
    let headers = [("authorization", bob.as_str()), ("content-type", "application/json"), ("x-user", "alice")];
    assert_eq!(cloud.send("POST", "/accounts?sub=alice", &headers, Some(body.as_bytes())).problem(), "invalid-request");
    let body = json!({ "currency": "EUR" }).to_string();
    let opened = cloud.send("POST", "/accounts?sub=alice", &headers, Some(body.as_bytes()));
    assert_eq!(cloud.get(opened.header("location")).status, 404);
    let seen = cloud.send("GET", opened.header("location"), &[("authorization", &bob)], None);
    assert_eq!(seen.body["owner"], "bob");
}

#[test]
fn one_key_of_two_customers_is_two_commands() {
    let cloud = Cloud::start();
    let body = json!({ "currency": "EUR" }).to_string();
    let open = |name: &str| {
        let token = cloud.token_of(name);
        let headers =
            [("authorization", token.as_str()), ("content-type", "application/json"), ("idempotency-key", "k")];
        cloud.send("POST", "/accounts", &headers, Some(body.as_bytes())).body["id"].clone()
    };
    assert_ne!(open("alice"), open("bob"));
    assert_eq!(open("bob"), open("bob"));
}
