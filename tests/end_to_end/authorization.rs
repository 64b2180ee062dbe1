//! Who may do what, for every operation of the contract.

use local::template::load;
use serde_json::{Value, json};
use tests::{Answer, Cloud, Contract, repository};

const NOBODYS: &str = "00000000-0000-4000-8000-000000000000";

/// What another customer gets to see of what is Alice's.
#[derive(Debug, PartialEq)]
enum Other {
    /// As if there were nothing.
    NotFound,
    /// Their own things, of which none is Alice's.
    Own,
    /// Nothing: administrators only.
    Forbidden,
}

/// The row of each operation; one without a row fails the test.
fn other_customer(operation: &str) -> Other {
    match operation {
        "GetAccount"
        | "DepositMoney"
        | "WithdrawMoney"
        | "CloseAccount"
        | "GetStatement"
        | "GetEvents"
        | "ListTransactions"
        | "GetTransaction"
        | "InitiateTransaction" => Other::NotFound,
        "CreateAccount" | "ListAccounts" => Other::Own,
        "FreezeAccount" | "UnfreezeAccount" | "SetOverdraftLimit" | "ListEvents" | "GetTotals" => Other::Forbidden,
        other => panic!("who may do {other}?"),
    }
}

/// An operation of the contract, on something of Alice's.
struct Operation<'a> {
    cloud: &'a Cloud,
    id: &'a str,
    method: &'a str,
    path: &'a str,
    example: &'a Value,
}

impl Operation<'_> {
    /// Asks with the contract's own example, for this account and this transaction.
    fn ask(&self, (account, transaction): (&str, &str), authorization: &str) -> Answer {
        let id = if self.path.starts_with("/transactions") { transaction } else { account };
        let mut body = self.example.clone();
        if body.get("from").is_some() {
            body["from"] = json!(account);
        }
        let text = (!body.is_null()).then(|| body.to_string());
        let headers = [("authorization", authorization), ("content-type", "application/json")];
        let path = self.path.replace("{id}", id);
        self.cloud.send(self.method, &path, &headers, text.as_ref().map(String::as_bytes))
    }
}

/// What may differ between two problems: where they happened.
fn without_instance(answer: &Answer) -> Value {
    let mut body = answer.body.clone();
    body.as_object_mut().map(|body| body.remove("instance"));
    body
}

/// Tokens that are not good, by what is wrong with them.
fn bad_tokens(cloud: &Cloud) -> Vec<(&'static str, String)> {
    let good = cloud.token_of("alice");
    let mut parts = good.trim_start_matches("Bearer ").split('.');
    let (header, claims, signature) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let bobs = cloud.token_of("bob");
    let bobs = bobs.split('.').nth(1).unwrap();
    // {"typ":"JWT","alg":"none"} and {"typ":"JWT","alg":"HS256"}
    let (none, symmetric) = ("eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0", "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9");
    vec![
        ("no token", String::new()),
        ("no JWT", "Bearer x".to_owned()),
        ("an empty one", "Bearer ".to_owned()),
        ("expired", cloud.token("alice", "expires_in=-61")),
        ("for another audience", cloud.token("alice", "audience=another")),
        ("by another issuer", cloud.token("alice", "issuer=https://another")),
        ("another's claims", format!("Bearer {header}.{bobs}.{signature}")),
        ("unsigned", format!("Bearer {none}.{claims}.")),
        ("another algorithm", format!("Bearer {symmetric}.{claims}.{signature}")),
        ("a signature too many", format!("Bearer {header}.{claims}.{signature}.{signature}")),
        ("another scheme", good.replace("Bearer", "Basic")),
    ]
}

#[test]
fn every_operation_asks_for_a_good_token_and_a_scope_and_shows_nobody_anothers() {
    let cloud = Cloud::start();
    let account = cloud.open_account("EUR");
    let account = account.trim_start_matches("/accounts/");
    let pay = json!({ "from": account, "to": NOBODYS, "amount": "1", "currency": "EUR" });
    let begun = cloud.post("/transactions", &pay).body["id"].clone();
    let alices = (account, begun.as_str().unwrap());
    let version = |cloud: &Cloud| cloud.get(&format!("/accounts/{account}")).body["version"].clone();
    let before =
        cloud.eventually(&format!("/accounts/{account}"), |answer| answer.status == 200).body["version"].clone();
    let (bad_tokens, bob) = (bad_tokens(&cloud), cloud.token_of("bob"));

    let operations = Contract::read().operations();
    assert_eq!(operations.len(), api::OPERATIONS.len());
    for (method, path, described) in &operations {
        let id = described["operationId"].as_str().unwrap();
        let example = described.pointer("/requestBody/content/application~1json/example").unwrap_or(&Value::Null);
        let operation = Operation { cloud: &cloud, id, method, path, example };
        for (what, token) in &bad_tokens {
            let answer = operation.ask(alices, token);
            assert_eq!((answer.status, &answer.body), (401, &json!({ "message": "Unauthorized" })), "{id}: {what}");
        }
        let scope = described["x-scope"].as_str().unwrap();
        let all = ["daybook/read", "daybook/write", "daybook/admin"];
        assert!(all.contains(&scope), "{id}");
        // Every scope but the one that is needed.
        let others: Vec<&str> = all.into_iter().filter(|other| *other != scope).collect();
        let unscoped = operation.ask(alices, &cloud.token("alice", &format!("scope={}", others.join("%20"))));
        assert_eq!((unscoped.status, &unscoped.body), (403, &json!({ "message": "Forbidden" })), "{id}");

        let answer = operation.ask(alices, &bob);
        match other_customer(operation.id) {
            Other::Forbidden => assert_eq!((answer.status, scope), (403, "daybook/admin"), "{id}"),
            Other::NotFound => {
                let nobodys = operation.ask((NOBODYS, NOBODYS), &bob);
                assert_eq!((answer.status, answer.problem()), (404, "not-found"), "{id}: {answer:?}");
                assert_eq!(without_instance(&answer), without_instance(&nobodys), "{id}");
            }
            Other::Own => {
                assert!(answer.status < 300 && !answer.body.to_string().contains("alice"), "{id}: {answer:?}");
                assert!(!answer.body.to_string().contains(account), "{id}: {answer:?}");
            }
        }
    }
    assert_eq!(version(&cloud), before, "nobody changed anything");
    let routes = load(&repository().join("template.yaml")).unwrap().routes;
    let open = routes.iter().filter(|route| !route.authorized || route.scopes.is_empty());
    assert_eq!(
        open.map(local::template::Route::key).collect::<Vec<_>>(),
        ["GET /openapi.json", "GET /problems/{name}", "OPTIONS /{proxy+}"]
    );
    let asked =
        cloud.send("OPTIONS", &format!("/accounts/{account}/deposits"), &[("origin", "http://localhost:5173")], None);
    assert_eq!((asked.status, &asked.body), (200, &serde_json::Value::Null));
    assert_eq!(cloud.send("GET", "/nothing", &[("authorization", "Bearer x")], None).status, 401);
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
    assert_eq!(cloud.send("POST", "/accounts", &headers, Some(body.as_bytes())).problem(), "invalid-request");
    let body = json!({ "currency": "EUR" }).to_string();
    assert_eq!(cloud.send("POST", "/accounts?sub=alice", &headers, Some(body.as_bytes())).problem(), "invalid-request");
    let opened = cloud.send("POST", "/accounts", &headers, Some(body.as_bytes()));
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

#[test]
fn the_gateway_and_the_functions_take_the_same_callers_for_administrators() {
    let cloud = Cloud::start();
    let alices = cloud.open_account("EUR");
    cloud.eventually(&alices, |answer| answer.status == 200);
    for (scope, is_admin) in [
        ("daybook/read", false),
        ("daybook/read daybook/admin", true),
        ("[daybook/read daybook/admin]", true),
        ("daybook/read x,daybook/admin", false),
        ("daybook/read daybook/admin]", false),
        ("daybook/read ,daybook/admin,", false),
    ] {
        let encoded = scope.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
        let token = cloud.token("bob", &format!("scope={encoded}"));
        let status = |path: &str| cloud.send("GET", path, &[("authorization", &token)], None).status;
        // The gateway decides on the totals, the function on another customer's account.
        let (gateway, function) = if is_admin { (200, 200) } else { (403, 404) };
        assert_eq!((status("/totals"), status(&alices)), (gateway, function), "{scope}");
    }
}
