use std::{collections::HashMap, process::Command};

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use tests::{Cloud, dynamodb};

/// Kills every process of a function; whether there was one.
fn kill_processes_of(cloud: &Cloud, function: &str) -> bool {
    let parent = cloud.pid().to_string();
    Command::new("pkill").args(["-KILL", "-P", &parent, "-f", function]).status().unwrap().success()
}

#[test]
fn data_outlives_a_kill_and_the_read_models_catch_up() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--data-dir", folder.path().to_str().unwrap()];
    let mut account = String::new();
    let mut version = 1;
    for round in 0..3 {
        let cloud = Cloud::start_with(&options);
        if round == 0 {
            account = cloud.open_account("EUR");
        }
        for _ in 0..10 {
            let answer = cloud.post(&format!("{account}/deposits"), &json!({ "amount": "1", "currency": "EUR" }));
            assert_eq!(answer.status, 200, "{answer:?}");
            version += 1;
            assert_eq!(answer.body["version"], version);
        }
        cloud.kill();
    }
    let cloud = Cloud::start_with(&options);
    let seen = cloud.eventually(&account, |answer| answer.body["version"] == version);
    assert_eq!(seen.body["balance"], "30.00");
    let statement = format!("{account}/statement?limit=100");
    let shown =
        cloud.eventually(&statement, |answer| answer.body["items"].as_array().is_some_and(|items| items.len() == 30));
    assert_eq!(shown.body["items"][0]["balance"], "30.00");
    assert_eq!(cloud.stop(), Some(0));
}

#[test]
fn a_killed_function_is_replaced_and_nothing_acknowledged_is_lost() {
    let cloud = Cloud::start();
    let account = cloud.open_account("EUR");
    let mut acknowledged = 1;
    for function in
        ["account-commands", "event-publisher", "account-projector", "statement-projector", "account-queries"]
    {
        let mut kills = 0;
        for key in 0..4 {
            kills += u32::from(kill_processes_of(&cloud, function));
            let body = json!({ "amount": "1", "currency": "EUR" });
            // An error is an error only while the process dies; the same key settles it.
            let answer = loop {
                let answer = cloud.post_once(&format!("{account}/deposits"), &format!("{function}-{key}"), &body);
                if answer.status < 500 {
                    break answer;
                }
            };
            acknowledged += 1;
            assert_eq!(answer.body["version"], acknowledged);
        }
        assert!(kills > 0, "{function} was never there to be killed");
    }
    let statement = format!("{account}/statement?limit=100");
    cloud.eventually(&account, |answer| answer.body["version"] == acknowledged);
    cloud.eventually(&statement, |answer| answer.body["items"].as_array().is_some_and(|items| items.len() == 20));
}

#[test]
fn a_record_that_cannot_be_read_is_parked_and_holds_up_nobody() {
    let cloud = Cloud::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let poison = HashMap::from([
            ("aggregate_id".to_owned(), AttributeValue::S("00000000-0000-4000-8000-000000000001".to_owned())),
            ("version".to_owned(), AttributeValue::N("1".to_owned())),
        ]);
        dynamodb(&cloud.url_of("DynamoDB"))
            .put_item()
            .table_name("events")
            .set_item(Some(poison))
            .send()
            .await
            .unwrap();
    });
    let account = cloud.open_account("EUR");
    let path = format!("{account}/statement");
    assert_eq!(cloud.post(&format!("{account}/deposits"), &json!({ "amount": "1", "currency": "EUR" })).status, 200);
    cloud.eventually(&path, |answer| answer.body["items"].as_array().is_some_and(|items| items.len() == 1));
    let why = cloud.wait_for_line("parking a stream record");
    assert!(why.contains("does not have the form of a commit"), "{why}");
    let parked = cloud.wait_for_line("in dead-letters");
    assert!(parked.contains("StreamRecordUnreadable"), "{parked}");
}
