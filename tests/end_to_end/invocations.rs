//! `infra/events` has an event for every function, and every function takes it.

use std::{collections::BTreeSet, fs};

use serde_json::Value;
use tests::{Cloud, repository};

#[test]
fn every_function_takes_its_example_event() {
    let cloud = Cloud::start();
    let report: Value = cloud.get("/_local/permissions").body;
    let granted = report["granted"].as_array().unwrap().iter();
    let mut without: BTreeSet<&str> = granted.filter_map(|of| of["function"].as_str()).collect();
    assert!(without.len() >= 10, "{without:?}");
    let files = fs::read_dir(repository().join("infra/events")).unwrap().map(|file| file.unwrap().path());
    for file in files.filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
        let function = file.file_stem().unwrap().to_str().unwrap();
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let answer = cloud.send("POST", &path, &[], Some(&fs::read(&file).unwrap()));
        assert_eq!(answer.status, 200, "{function}: {answer:?}");
        assert!(!answer.headers.contains_key("x-amz-function-error"), "{function}: {answer:?}");
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
