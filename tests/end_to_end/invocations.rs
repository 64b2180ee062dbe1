//! `infra/events` has an event for every function, and every function takes it.

use std::{collections::BTreeSet, fs};

use serde_json::Value;
use tests::{Cloud, repository};

use crate::operator::Operator;

#[test]
fn every_function_takes_its_example_event_and_none_does_harm() {
    let cloud = Cloud::start();
    let report: Value = cloud.get("/_local/permissions").body;
    let granted = report["granted"].as_array().unwrap().iter();
    let mut without: BTreeSet<&str> = granted.filter_map(|of| of["function"].as_str()).collect();
    assert!(without.len() >= 10, "{without:?}");
    let files = fs::read_dir(repository().join("infra/events")).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    // The sweep last: it finds what the others have left.
    files.sort_by_key(|file| file.ends_with("transaction-process.json"));
    for file in files {
        let function = file.file_stem().unwrap().to_str().unwrap();
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let answer = cloud.send("POST", &path, &[], Some(&fs::read(&file).unwrap()));
        assert_eq!(answer.status, 200, "{function}: {answer:?}");
        let error = answer.body["errorMessage"].as_str().unwrap_or_default();
        // What the bus announces and the store does not have is in no read model.
        let expected = if function.ends_with("-projector") { "has no history that leads to version 1" } else { "" };
        assert!(error.ends_with(expected) && error.is_empty() == expected.is_empty(), "{function}: {answer:?}");
        let expected = match function {
            "account-commands" => Some(201),
            // Nobody has opened the account that is to pay.
            "transaction-commands" => Some(404),
            "account-queries" | "admin-queries" | "api-docs" => Some(200),
            _ => None,
        };
        assert_eq!(answer.body["statusCode"].as_u64(), expected, "{function}: {answer:?}");
        if function == "event-publisher" {
            assert_eq!(answer.body["batchItemFailures"], serde_json::json!([]), "{answer:?}");
        }
        without.remove(function);
    }
    assert!(without.is_empty(), "there is no event for {without:?}");

    // Nothing is left but the account that was opened: no row of what never happened, no dead letter, nothing for the sweep.
    let operator = Operator::of(&cloud);
    operator.settled();
    assert_eq!(operator.ask(&["dead-letters", "list"]), (Some(0), vec![]));
    let sweep = fs::read(repository().join("infra/events/transaction-process.json")).unwrap();
    let answer = cloud.send("POST", "/2015-03-31/functions/transaction-process/invocations", &[], Some(&sweep));
    assert_eq!((answer.status, &answer.body), (200, &Value::Null), "{answer:?}");
    let printed = cloud.printed().join("\n");
    assert!(!printed.contains("dead letter"), "{printed}");
}

#[test]
fn what_is_no_function_and_no_event_is_said() {
    let cloud = Cloud::start();
    let unknown = cloud.send("POST", "/2015-03-31/functions/nobody/invocations", &[], Some(b"{}"));
    assert_eq!((unknown.status, unknown.header("x-amzn-errortype")), (404, "ResourceNotFoundException"));
    let failed = cloud.send("POST", "/2015-03-31/functions/event-publisher/invocations", &[], Some(b"[]"));
    assert_eq!((failed.status, failed.header("x-amz-function-error")), (200, "Unhandled"));
    assert!(failed.body["errorType"].is_string(), "{failed:?}");
}
