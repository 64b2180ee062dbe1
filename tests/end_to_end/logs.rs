//! No log and nothing on the console shows a person's text, a name, an amount or a token.

use std::{fs, path::Path};

use serde_json::json;
use tests::Cloud;

/// Everything that functions have logged.
fn logs(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            text += &logs(&entry);
        } else if entry.extension().is_some_and(|extension| extension == "log") {
            text += &fs::read_to_string(entry).unwrap();
        }
    }
    text
}

#[test]
fn what_is_a_persons_own_stays_out_of_every_log() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::start_with(&["--data-dir", folder.path().to_str().unwrap(), "--verbose"]);
    let token = cloud.token_of("canary-name");
    let send = |path: &str, key: &str, body: &serde_json::Value| {
        let headers =
            [("authorization", token.as_str()), ("content-type", "application/json"), ("idempotency-key", key)];
        cloud.send("POST", path, &headers, Some(body.to_string().as_bytes()))
    };
    let euros = json!({ "currency": "EUR" });
    let opened = ["canary-key-1", "canary-key-2"].map(|key| send("/accounts", key, &euros));
    let [from, to] = opened.map(|answer| answer.header("location").to_owned());
    let money = json!({ "amount": "73519.42", "currency": "EUR", "description": "canary text" });
    assert_eq!(send(&format!("{from}/deposits"), "canary-key-3", &money).status, 200);
    // What is refused or not understood must not be told either.
    let bad = json!({ "amount": "canary-amount", "currency": "EUR", "description": "canary\ntext" });
    assert_eq!(send(&format!("{from}/deposits"), "canary-key-4", &bad).status, 400);
    let too_much = json!({ "amount": "93519.42", "currency": "EUR", "description": "canary text" });
    assert_eq!(send(&format!("{from}/withdrawals"), "canary-key-5", &too_much).status, 422);
    let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let order = json!({ "from": id(&from), "to": id(&to), "amount": "73519.42", "currency": "EUR", "description": "canary text" });
    let begun = send("/transactions", "canary-key-6", &order);
    let done = cloud.wait_for_line("TransactionCompleted");
    assert!(!done.is_empty() && begun.status == 202);

    let (logged, printed) = (logs(folder.path()), cloud.printed().join("\n"));
    assert!(logged.contains("projected") && logged.contains("answered"), "the logs were found");
    for measure in ["PublishLag", "ProjectionLag"] {
        assert!(
            logged.contains(&format!("\"Name\":\"{measure}\",\"Unit\":\"Milliseconds\"")),
            "{measure} is not measured"
        );
    }
    let secret = token.rsplit('.').next().unwrap();
    for canary in ["canary", "73519", "7351942", "93519", secret] {
        assert!(!logged.contains(canary), "a log shows {canary}");
        assert!(!printed.contains(canary), "the console shows {canary}");
    }
}
