//! Roles: what functions may do is what they do, and what their roles do not allow is refused.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tests::{Cloud, repository};

/// Function, action and resource.
type Permission = (String, String, String);

fn permissions(report: &Value, which: &str) -> BTreeSet<Permission> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let one = |of: &Value| (text(&of["function"]), text(&of["action"]), text(&of["resource"]));
    report[which].as_array().unwrap().iter().map(one).collect()
}

/// What is needed only after a crash at the right moment: a step of a transaction that is recorded already. The simulator has such moments; here
/// they cannot be waited for.
const RARE: (&str, &str, &str) = ("transaction-process", "dynamodb:GetItem", "events");

/// Asks for everything that the API has, of a bank with some events in each of its lists.
fn use_everything(cloud: &Cloud, round: u64) {
    let account = cloud.open_account("EUR");
    let id = account.rsplit('/').next().unwrap();
    let money = json!({ "amount": "1", "currency": "EUR" });
    // Twice with one key, so that it is looked up; and all at once, so that events come in any order.
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (path, money) = (format!("{account}/deposits"), &money);
            scope.spawn(move || {
                for _ in 0..2 {
                    assert_eq!(cloud.post_once(&path, &format!("{round}-{number}"), money).status, 200);
                }
            });
        }
    });
    let other = cloud.open_account("EUR");
    let order = json!({ "from": id, "to": other.rsplit('/').next().unwrap(), "amount": "1", "currency": "EUR" });
    let key = format!("pay-{round}");
    let begun = [(); 2].map(|()| cloud.post_once("/transactions", &key, &order));
    let transaction = begun[1].header("location").to_owned();
    cloud.eventually(&transaction, |answer| answer.body["status"] == "completed");
    // Another system's request, and once more when it is recorded.
    let request = json!({
        "request_id": format!("r-{round}"), "account_id": id, "owner": "alice", "amount": "1", "currency": "EUR",
    });
    for _ in 0..2 {
        cloud.put_event("payments", "DepositRequested", &request);
        cloud.eventually(&account, |answer| answer.body["version"] == 12);
    }
    let lists =
        ["", "?min_version=9", "/statement", "/statement?from=2026-01-01T00:00:00Z", "/events", "/transactions"];
    for path in lists.map(|list| format!("{account}{list}")).iter().chain([&"/accounts".to_owned()]) {
        assert_eq!(cloud.get(path).status, 200, "{path}");
    }
    for path in ["/events", "/totals"] {
        assert_eq!(cloud.administrate("GET", path, None).status, 200, "{path}");
    }
}

#[test]
fn every_permission_is_needed() {
    let cloud = Cloud::start();
    // The sweep comes once a minute.
    let deadline = Instant::now() + Duration::from_mins(3);
    for round in 0.. {
        use_everything(&cloud, round);
        let report: Value = cloud.get("/_local/permissions").body;
        let used = permissions(&report, "used");
        let mut unused = permissions(&report, "granted");
        // What Lambda does with a function's logs and traces is done by nobody here.
        unused.retain(|of| !used.contains(of) && !of.1.starts_with("logs:") && !of.1.starts_with("xray:"));
        unused.retain(|(function, action, resource)| {
            let table = resource.rsplit('/').next().unwrap_or_default();
            RARE != (function.as_str(), action.as_str(), table)
        });
        if unused.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "nobody needs {unused:#?}");
    }
}

#[test]
fn a_permission_that_the_template_lacks_is_missed_and_named() {
    let text = fs::read_to_string(repository().join("template.yaml")).unwrap();
    let contract = repository().join("infra/openapi.yaml");
    let text = text.replace("infra/openapi.yaml", contract.to_str().unwrap());
    let (before, after) = text.split_once("  AccountProjectorRole:").unwrap();
    let after = after.replacen("Action: [dynamodb:GetItem, dynamodb:PutItem]", "Action: dynamodb:GetItem", 1);
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("template.yaml");
    fs::write(&template, format!("{before}  AccountProjectorRole:{after}")).unwrap();
    let cloud = Cloud::start_with(&["--in-memory", "--template", template.to_str().unwrap()]);
    let _ = cloud.open_account("EUR");
    let _ = cloud.wait_for_line(
        "account-projector may not dynamodb:PutItem on arn:aws:dynamodb:us-east-1:000000000000:table/accounts",
    );
    // The function says so too, to whoever has only its log or the letter.
    let parked = cloud.wait_for_line("dead letter in");
    assert!(parked.contains("the read table refused the request: "), "{parked}");
    assert!(parked.contains("AccessDeniedException"), "{parked}");
}
