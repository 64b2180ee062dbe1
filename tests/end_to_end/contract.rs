//! The API answers as its contract says, and the examples in the contract are real answers. `UPDATE_CONTRACT=1` writes the
//! contract anew, with the answers of this run as examples.

use std::{cell::RefCell, collections::BTreeMap};

use api::{Example, OPERATIONS};
use serde_json::{Value, json};
use tests::{Cloud, Contract, form};

/// Asks for every operation once, and keeps what was sent and answered.
struct Walk<'a> {
    cloud: &'a Cloud,
    seen: RefCell<BTreeMap<&'static str, (u16, Example)>>,
}

impl Walk<'_> {
    /// Does an operation as `user`, with `id` in its path, again and again until the answer is good.
    fn until(&self, user: &str, id: &str, of: (&str, &str), request: Value, good: impl Fn(&Value) -> bool) -> Value {
        let (operation_id, query) = of;
        let operation = OPERATIONS.iter().find(|operation| operation.id == operation_id).unwrap();
        let path = format!("{}{query}", operation.path.replace("{id}", id));
        let token = self.cloud.token_of(user);
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        let body = (!request.is_null()).then(|| request.to_string());
        for _ in 0..1_000 {
            let answer = self.cloud.send(operation.method, &path, &headers, body.as_ref().map(String::as_bytes));
            assert!(answer.status < 300, "{operation_id}: {answer:?}");
            if good(&answer.body) {
                let example = Example { request, answer: answer.body.clone() };
                self.seen.borrow_mut().insert(operation.id, (answer.status, example));
                return answer.body;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("{operation_id} never answers as it should");
    }

    fn once(&self, user: &str, id: &str, of: (&str, &str), request: Value) -> Value {
        self.until(user, id, of, request, |_| true)
    }
}

fn items(body: &Value, number: usize) -> bool {
    body["items"].as_array().is_some_and(|items| items.len() >= number)
}

#[test]
fn every_operation_answers_as_its_contract_says_and_its_example_shows() {
    let cloud = Cloud::start();
    let walk = Walk { cloud: &cloud, seen: RefCell::default() };
    let id_of = |body: &Value| body["id"].as_str().unwrap().to_owned();
    let bobs = id_of(&walk.once("bob", "", ("CreateAccount", ""), json!({ "currency": "EUR" })));
    let account = id_of(&walk.once("alice", "", ("CreateAccount", ""), json!({ "currency": "EUR" })));
    let salary = json!({ "amount": "1250.00", "currency": "EUR", "description": "Salary" });
    walk.once("alice", &account, ("DepositMoney", ""), salary);
    walk.once("alice", &account, ("WithdrawMoney", ""), json!({ "amount": "50.50", "currency": "EUR" }));
    walk.once("admin", &account, ("SetOverdraftLimit", ""), json!({ "amount": "500", "currency": "EUR" }));
    walk.once("admin", &account, ("FreezeAccount", ""), Value::Null);
    walk.once("admin", &account, ("UnfreezeAccount", ""), Value::Null);
    let rent = json!({ "from": account, "to": bobs, "amount": "800.00", "currency": "EUR", "description": "Rent" });
    let transaction = id_of(&walk.once("alice", "", ("InitiateTransaction", ""), rent));
    walk.until("alice", &transaction, ("GetTransaction", ""), Value::Null, |body| body["status"] == "completed");
    let empty = id_of(&walk.once("alice", "", ("CreateAccount", ""), json!({ "currency": "EUR" })));
    walk.once("alice", &empty, ("CloseAccount", ""), Value::Null);

    walk.once("alice", &account, ("GetAccount", "?min_version=8"), Value::Null);
    walk.until("alice", "", ("ListAccounts", "?limit=1"), Value::Null, |body| items(body, 1));
    walk.once("alice", &account, ("GetStatement", "?min_version=8&limit=2"), Value::Null);
    walk.once("alice", &account, ("GetEvents", "?limit=2"), Value::Null);
    walk.until("alice", &account, ("ListTransactions", ""), Value::Null, |body| items(body, 1));
    walk.until("admin", "", ("GetTotals", ""), Value::Null, |body| items(body, 1));
    walk.until("admin", "", ("ListEvents", "?limit=2"), Value::Null, |body| items(body, 2));

    let seen = walk.seen.into_inner();
    assert_eq!(seen.len(), OPERATIONS.len(), "every operation was asked for");
    if std::env::var_os("UPDATE_CONTRACT").is_some() {
        Contract::write(&seen.iter().map(|(id, (_, example))| (*id, example.clone())).collect());
    }
    let contract = Contract::read();
    let examples = contract.examples();
    for operation in OPERATIONS {
        let (method, path, id) = (operation.method, operation.path, operation.id);
        let (status, fresh) = &seen[id];
        let shown = &examples[id];
        for example in [fresh, shown] {
            assert_eq!(contract.objection(method, path, *status, &example.answer), None, "{id}: {example:?}");
            if !example.request.is_null() {
                assert_eq!(contract.objection_to_request(method, path, &example.request), None, "{id}: {example:?}");
            }
        }
        assert_eq!(form(&shown.answer), form(&fresh.answer), "{id}");
    }
}

#[test]
fn everybody_may_read_the_contract_and_open_the_type_of_every_problem() {
    let cloud = Cloud::start_with(&["--in-memory", "--requests-per-second", "10000"]);
    let nobody = [("authorization", "")];
    let served = cloud.send("GET", "/openapi.json", &nobody, None);
    assert_eq!((served.status, served.body), (200, serde_json::to_value(Contract::read().document()).unwrap()));
    let page = cloud.send("GET", "/", &nobody, None);
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let missing = cloud.get("/accounts/00000000-0000-4000-8000-000000000000");
    let opened = cloud.send("GET", missing.body["type"].as_str().unwrap(), &nobody, None);
    assert_eq!((opened.status, &opened.body["title"]), (200, &missing.body["title"]), "{opened:?}");
    assert_eq!(cloud.send("GET", "/problems/no-such-problem", &nobody, None).problem(), "no-such-route");
    assert_eq!(cloud.send("GET", "/openapi.json?x=1", &nobody, None).problem(), "invalid-request");
    // Only that is open.
    for (method, path) in [("POST", "/"), ("PUT", "/openapi.json"), ("GET", "/openapi.yaml"), ("GET", "/problems")] {
        assert_eq!(cloud.send(method, path, &nobody, None).status, 401, "{method} {path}");
    }
    assert_eq!((cloud.send("PUT", "/openapi.json", &[], None).header("allow")), "GET");
}

#[test]
fn a_route_is_throttled_as_the_template_says() {
    let cloud = Cloud::start_with(&["--in-memory", "--requests-per-second", "3"]);
    let throttled = |path: &str, headers: &[(&str, &str)], requests: usize| {
        let answers: Vec<_> = (0..requests).map(|_| cloud.send("GET", path, headers, None)).collect();
        let throttled: Vec<_> = answers.into_iter().filter(|answer| answer.status == 429).collect();
        assert!(throttled.iter().all(|answer| answer.body == serde_json::json!({ "message": "Too Many Requests" })));
        throttled.len()
    };
    assert!(throttled("/accounts", &[], 40) > 0, "the option's limit");
    assert_eq!(throttled("/totals", &[("authorization", "")], 3), 0, "another route has a bucket of its own");
    let contract = Contract::read();
    for (method, path, described) in contract.operations() {
        assert!(described["responses"]["429"].is_object(), "{method} {path}");
    }
    // The documentation has a limit of its own in the template, which the option leaves alone.
    assert_eq!(throttled("/problems/not-found", &[("authorization", "")], 15), 0);
    assert!(throttled("/problems/not-found", &[("authorization", "")], 400) > 0);
}
