//! The HTTP edge: headers, parameters and links, as clients know them from the RFCs.

use aggregate::AggregateId;
use api::PROBLEM_PAGES;
use eventing::{MemoryStore, System};
use lambda_http::http::HeaderMap;
use serde_json::{Value, json};
use tests::{Contract, request};
use uuid::Uuid;

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn problem(&self) -> (u16, &str) {
        (self.status, self.body["type"].as_str().unwrap_or_default().trim_start_matches("/problems/"))
    }
}

/// The bank over HTTP, as Alice calls it.
#[derive(Default)]
struct Bank(MemoryStore);

impl Bank {
    async fn send(&self, route: &str, target: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let request = request("alice", route, target, headers, &body);
        let answer = match route {
            "GET /openapi.json" | "GET /problems/{name}" => api_docs::handle(&System, request).await,
            "POST /transactions" => transaction_commands::handle(&self.0, &System, request).await,
            _ => account_commands::handle(&self.0, &System, request).await,
        };
        let (head, body) = answer.into_parts();
        let body = serde_json::from_slice(body.as_ref()).unwrap_or_default();
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }

    async fn open(&self, headers: &[(&str, &str)]) -> Answer {
        self.send("POST /accounts", "/accounts", headers, json!({ "currency": "EUR" })).await
    }

    async fn account(&self) -> String {
        self.open(&[]).await.body["id"].as_str().unwrap().to_owned()
    }

    async fn deposit(&self, account: &str, headers: &[(&str, &str)]) -> Answer {
        let target = format!("/accounts/{account}/deposits");
        let body = json!({ "amount": "1", "currency": "EUR" });
        self.send("POST /accounts/{id}/deposits", &target, headers, body).await
    }
}

const REPLAYED: &str = "idempotent-replayed";

#[tokio::test]
async fn a_key_has_one_effect_whether_it_is_bare_or_quoted() {
    let bank = Bank::default();
    let account = bank.account().await;
    for (key, version, replayed) in [
        ("k1", 2, ""),
        ("\"k1\"", 2, "true"),
        ("k1", 2, "true"),
        ("\"a b\"", 3, ""),
        ("\"a b\"", 3, "true"),
        ("\"k\\\"1\"", 4, ""),
        ("\"k2\"", 5, ""),
        ("k2", 5, "true"),
    ] {
        let answer = bank.deposit(&account, &[("idempotency-key", key)]).await;
        assert_eq!((answer.status, &answer.body["version"]), (200, &json!(version)), "{key}: {answer:?}");
        assert_eq!(answer.header(REPLAYED), replayed, "{key}");
        assert_eq!(answer.header("etag"), format!("\"{version}\""));
    }
    for key in ["a b", "\"k1", "k1, k2", "\"k1\", \"k2\"", "\"\"", "\"k1\";x"] {
        let answer = bank.deposit(&account, &[("idempotency-key", key)]).await;
        assert_eq!(answer.problem(), (400, "invalid-header"), "{key}");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains("Idempotency-Key") && detail.contains("in quotes"), "{detail}");
    }
    assert_eq!(bank.deposit(&account, &[]).await.body["version"], 6, "a malformed key had no effect");
}

#[tokio::test]
async fn a_repeated_creation_says_that_it_is_one_and_leads_to_the_same_place() {
    let bank = Bank::default();
    let (account, key) = (bank.account().await, [("idempotency-key", "k")]);
    let order = json!({ "from": account, "to": account, "amount": "1", "currency": "EUR" });
    let other = json!({ "from": account, "to": bank.account().await, "amount": "1", "currency": "EUR" });
    for (route, target, body, status) in [
        ("POST /accounts", "/accounts", json!({ "currency": "EUR" }), 201),
        ("POST /transactions", "/transactions", other, 202),
    ] {
        let first = bank.send(route, target, &key, body.clone()).await;
        let again = bank.send(route, target, &key, body).await;
        assert_eq!((first.status, again.status, &first.body), (status, status, &again.body));
        assert_eq!((first.header(REPLAYED), again.header(REPLAYED)), ("", "true"));
        assert_eq!(first.header("location"), again.header("location"));
    }
    let refused = bank.send("POST /transactions", "/transactions", &[("idempotency-key", "same")], order).await;
    assert_eq!((refused.problem(), refused.header(REPLAYED)), ((422, "same-account"), ""));
}

#[tokio::test]
async fn if_match_is_a_list_that_is_compared_strongly() {
    let bank = Bank::default();
    let account = bank.account().await;
    let mut version = 1;
    for tag in ["\"1\"", "\"1\", \"2\"", "W/\"9\", \"3\"", "*"] {
        version += 1;
        let answer = bank.deposit(&account, &[("if-match", tag)]).await;
        assert_eq!((answer.status, &answer.body["version"]), (200, &json!(version)), "{tag}: {answer:?}");
    }
    for tag in ["\"1\"", "\"9\", \"1\"", "W/\"5\"", "W/\"5\", W/\"4\""] {
        let answer = bank.deposit(&account, &[("if-match", tag)]).await;
        assert_eq!(answer.problem(), (412, "version-mismatch"), "{tag}: {answer:?}");
        assert_eq!(answer.body["current_version"], 5);
    }
    for tag in ["5", "+5", "\"+5\"", "\"05\"", "\"5", "*, \"5\"", ""] {
        let answer = bank.deposit(&account, &[("if-match", tag)]).await;
        assert_eq!(answer.problem(), (400, "invalid-header"), "{tag}: {answer:?}");
    }
    assert_eq!(bank.open(&[("if-match", "*")]).await.problem(), (412, "version-mismatch"), "nothing exists yet");
    let nobodys = AggregateId(Uuid::now_v7()).to_string();
    assert_eq!(bank.deposit(&nobodys, &[("if-match", "*")]).await.problem(), (404, "not-found"));
}

#[tokio::test]
async fn a_location_keeps_the_key_of_an_api_mapping_and_the_stage() {
    let bank = Bank::default();
    let (one, other) = (bank.account().await, bank.account().await);
    for base in ["", "/bank", "/bank/v1", "/dev"] {
        let order = json!({ "from": one, "to": other, "amount": "1", "currency": "EUR" });
        for (collection, body) in [("/accounts", json!({ "currency": "EUR" })), ("/transactions", order)] {
            let route = format!("POST {collection}");
            let made = bank.send(&route, &format!("{base}{collection}"), &[], body).await;
            let id = made.body["id"].as_str().unwrap();
            assert_eq!(made.header("location"), format!("{base}{collection}/{id}"));
        }
    }
    let elsewhere = bank.send("POST /accounts", "//evil.example/accounts", &[], json!({ "currency": "EUR" })).await;
    assert!(elsewhere.header("location").starts_with("/accounts/"), "{elsewhere:?}");
}

#[tokio::test]
async fn a_command_takes_no_query_and_names_what_it_does_not_know() {
    let bank = Bank::default();
    let refused = bank.send("POST /accounts", "/accounts?dry_run=1&owner=bob", &[], json!({ "currency": "EUR" })).await;
    assert_eq!(refused.problem(), (400, "invalid-request"));
    let named: Vec<_> = refused.body["errors"].as_array().unwrap().iter().map(|error| &error["parameter"]).collect();
    assert_eq!(named, ["dry_run", "owner"]);
    assert!(!refused.header("x-correlation-id").is_empty());
}

#[tokio::test]
async fn the_contract_is_served_as_compact_json_that_may_be_cached() {
    let bank = Bank::default();
    let answer = bank.send("GET /openapi.json", "/openapi.json", &[], Value::Null).await;
    assert_eq!(answer.body, serde_json::to_value(Contract::read().document()).unwrap());
    assert_eq!(
        (answer.header("content-type"), answer.header("cache-control")),
        ("application/json", "public, max-age=300")
    );
    let refused = bank.send("GET /openapi.json", "/openapi.json?format=yaml", &[], Value::Null).await;
    assert_eq!((refused.problem(), refused.header("cache-control")), ((400, "invalid-request"), "private, no-cache"));
}

#[tokio::test]
async fn the_type_of_every_problem_can_be_opened_by_people_and_programs() {
    let bank = Bank::default();
    for page in PROBLEM_PAGES {
        let path = format!("/problems/{}", page.name);
        let json = bank.send("GET /problems/{name}", &path, &[("accept", "*/*")], Value::Null).await;
        assert_eq!((json.status, json.header("content-type")), (200, "application/json"));
        let expected = json!({
            "type": path, "title": page.title, "status": page.status.as_u16(),
            "meaning": page.meaning, "remedy": page.remedy,
        });
        assert_eq!(json.body, expected);
        let accept = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
        let request = request("alice", "GET /problems/{name}", &path, &accept, &Value::Null);
        let html = api_docs::handle(&System, request).await;
        assert_eq!(
            (html.headers()["content-type"].as_bytes(), html.headers()["vary"].as_bytes()),
            (&b"text/html; charset=utf-8"[..], &b"accept"[..])
        );
        let text = std::str::from_utf8(html.body().as_ref()).unwrap().to_owned();
        for part in [page.title, page.name, page.meaning, page.remedy, page.status.as_str()] {
            assert!(text.contains(part) && !part.contains(['<', '>', '&', '"']), "{part}");
        }
    }
    let unknown = bank.send("GET /problems/{name}", "/problems/nothing", &[("accept", "text/html")], Value::Null).await;
    assert_eq!(unknown.problem(), (404, "no-such-route"));
}
