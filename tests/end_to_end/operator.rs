//! What an operator does: verify, rebuild, republish, redrive. With the program that operators have, against a whole cloud.

use std::{
    collections::{BTreeMap, HashMap},
    process::{Command, Output},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use serde_json::{Value, json};
use tests::{Cloud, dynamodb, function_binary};

/// An operator in a folder of their own.
pub struct Operator<'a> {
    cloud: &'a Cloud,
    folder: tempfile::TempDir,
}

impl<'a> Operator<'a> {
    pub fn of(cloud: &'a Cloud) -> Self {
        Self { cloud, folder: tempfile::tempdir().unwrap() }
    }

    fn variables(&self) -> String {
        let mut answer = ureq::get(format!("{}/_local/environment", self.cloud.url)).call().unwrap();
        answer.body_mut().read_to_string().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let variables = self.variables();
        let mut command = Command::new(function_binary("daybook"));
        command.args(arguments).current_dir(self.folder.path());
        command.envs(variables.lines().filter_map(|line| line.split_once('=')));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The lines of JSON that it answers, and its exit code.
    pub fn ask(&self, arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
        let output = self.run(&[arguments, &["--json"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let answers = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (output.status.code(), answers)
    }

    /// Waits until all events are in all read models, and nothing differs.
    pub fn settled(&self) {
        for _ in 0..20 {
            if self.run(&["verify"]).status.success() {
                return;
            }
        }
        panic!("{}", String::from_utf8_lossy(&self.run(&["verify"]).stdout));
    }

    /// The findings of one model, as `kind` with how often.
    fn kinds(&self, arguments: &[&str]) -> (Option<i32>, BTreeMap<String, usize>) {
        let (code, answers) = self.ask(arguments);
        let mut kinds = BTreeMap::new();
        for finding in answers.iter().flat_map(|answer| answer["findings"].as_array().unwrap()) {
            *kinds.entry(finding["kind"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        (code, kinds)
    }
}

const MODELS: [(&str, &[&str]); 5] = [
    ("accounts", &["account_id"]),
    ("statement", &["account_id", "version"]),
    ("transactions", &["transaction_id"]),
    ("journal", &["part", "position"]),
    ("totals", &["part", "of"]),
];

type Item = HashMap<String, AttributeValue>;

/// Everything in a table, without the generation of totals, in an order of its own.
async fn dump(client: &Client, table: &str) -> Vec<String> {
    let items = client.scan().table_name(table).into_paginator().items().send().collect::<Result<Vec<Item>, _>>();
    let mut texts = Vec::new();
    for mut item in items.await.unwrap() {
        if let Some(AttributeValue::S(part)) = item.get_mut("part") {
            if part == "generations" {
                continue;
            }
            if let Some((_, name)) = part.clone().split_once('/') {
                name.clone_into(part);
            }
        }
        let json: Value = serde_dynamo::aws_sdk_dynamodb_1::from_item(item).unwrap();
        texts.push(json.to_string());
    }
    texts.sort();
    texts
}

async fn empty(client: &Client, table: &str, keys: &[&str]) {
    let items = client.scan().table_name(table).into_paginator().items().send().collect::<Result<Vec<Item>, _>>();
    for item in items.await.unwrap() {
        let key = item.into_iter().filter(|(name, _)| keys.contains(&name.as_str())).collect();
        client.delete_item().table_name(table).set_key(Some(key)).send().await.unwrap();
    }
}

/// Two accounts with deposits, and transactions between them.
fn traffic(cloud: &Cloud, deposits: u32, transactions: u32) -> [String; 2] {
    let [one, other] = [cloud.open_account("EUR"), cloud.open_account("EUR")];
    let id = |path: &str| path.trim_start_matches("/accounts/").to_owned();
    for _ in 0..deposits {
        let paid = cloud.post(&format!("{one}/deposits"), &json!({ "amount": "100.00", "currency": "EUR" }));
        assert_eq!(paid.status, 200);
    }
    for _ in 0..transactions {
        let order = json!({ "from": id(&one), "to": id(&other), "amount": "0.50", "currency": "EUR" });
        assert_eq!(cloud.post("/transactions", &order).status, 202);
    }
    [id(&one), id(&other)]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_model_rebuilt_from_nothing_equals_the_live_one_twice() {
    let cloud = Cloud::start();
    let (operator, client) = (Operator::of(&cloud), dynamodb(&cloud.url_of("DynamoDB")));
    traffic(&cloud, 12, 6);
    operator.settled();
    for (model, keys) in MODELS {
        let live = dump(&client, model).await;
        assert!(live.len() >= 2, "{model}");
        for segments in ["1", "5"] {
            empty(&client, model, keys).await;
            let rebuilt = operator.run(&["rebuild", model, "--segments", segments]);
            assert!(rebuilt.status.success(), "{model}: {}", String::from_utf8_lossy(&rebuilt.stdout));
            assert_eq!(dump(&client, model).await, live, "{model} in {segments} parts");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rebuilt_under_traffic_and_killed_again_and_again_is_right_in_the_end() {
    let cloud = Cloud::start();
    let operator = Operator::of(&cloud);
    let client = dynamodb(&cloud.url_of("DynamoDB"));
    let [one, _] = traffic(&cloud, 20, 2);
    let goes_on = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while goes_on.load(Ordering::Relaxed) {
                traffic(&cloud, 1, 1);
                // Old rows are served all the time.
                assert_eq!(cloud.get(&format!("/accounts/{one}")).status, 200);
            }
        });
        for (model, keys) in MODELS {
            // From nothing; but sums are built beside the old ones, which are there until then.
            if model != "totals" {
                let runtime = tokio::runtime::Handle::current();
                tokio::task::block_in_place(|| runtime.block_on(empty(&client, model, keys)));
            }
            for wait_ms in [5, 20, 40] {
                let mut rebuild = operator.command(&["rebuild", model]).spawn().unwrap();
                std::thread::sleep(Duration::from_millis(wait_ms));
                rebuild.kill().unwrap();
                rebuild.wait().unwrap();
            }
            let (code, answers) = operator.ask(&["rebuild", model]);
            assert_eq!(code, Some(0), "{model}: {answers:?}");
        }
        goes_on.store(false, Ordering::Relaxed);
    });
    operator.settled();
    let left: Vec<_> =
        std::fs::read_dir(operator.folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(left.is_empty(), "a bookmark is left: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_finds_what_differs_and_repairs_nothing_else() {
    let cloud = Cloud::start();
    let (operator, client) = (Operator::of(&cloud), dynamodb(&cloud.url_of("DynamoDB")));
    let [one, other] = traffic(&cloud, 4, 2);
    operator.settled();
    let mut live = BTreeMap::new();
    for (model, _) in MODELS {
        live.insert(model, dump(&client, model).await);
    }
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let number = |number: &str| AttributeValue::N(number.to_owned());
    // A balance that no event led to, a row of nobody's, and one that is behind.
    let change = |table: &str| client.update_item().table_name(table);
    let balance = change("accounts").key("account_id", text(&one)).update_expression("SET balance = :b");
    balance.expression_attribute_values(":b", number("1")).send().await.unwrap();
    let nobody = "00000000-0000-0000-0000-000000000000";
    let extra = client.put_item().table_name("accounts").item("account_id", text(nobody)).item("version", number("3"));
    extra.send().await.unwrap();
    client.delete_item().table_name("accounts").key("account_id", text(&other)).send().await.unwrap();
    // A hole, a changed and an additional entry.
    let entry = |version: &str| [("account_id".to_owned(), text(&one)), ("version".to_owned(), number(version))];
    client.delete_item().table_name("statement").set_key(Some(entry("2").into())).send().await.unwrap();
    let amount = change("statement").set_key(Some(entry("3").into())).update_expression("SET amount = :a");
    amount.expression_attribute_values(":a", number("7")).send().await.unwrap();
    let beyond = client.put_item().table_name("statement").set_item(Some(entry("99").into()));
    beyond.send().await.unwrap();
    // A sum.
    let sums = client.scan().table_name("totals").filter_expression("#of = :eur");
    let sums = sums
        .expression_attribute_names("#of", "of")
        .expression_attribute_values(":eur", text("EUR"))
        .send()
        .await
        .unwrap()
        .items
        .unwrap();
    let key: Item = sums[0].clone().into_iter().filter(|(name, _)| name == "part" || name == "of").collect();
    let added = change("totals").set_key(Some(key)).update_expression("ADD money_held :one");
    added.expression_attribute_values(":one", number("1")).send().await.unwrap();

    let findings = |pairs: &[(&str, usize)]| pairs.iter().map(|(kind, times)| ((*kind).to_owned(), *times)).collect();
    let expected: BTreeMap<_, _> = findings(&[("different", 1), ("extra", 1), ("missing", 1)]);
    assert_eq!(operator.kinds(&["verify", "accounts"]), (Some(1), expected.clone()));
    assert_eq!(operator.kinds(&["verify", "statement"]), (Some(1), expected.clone()));
    let named = |arguments: &[&str]| {
        let (_, answers) = operator.ask(arguments);
        let findings = answers[0]["findings"].as_array().unwrap().clone();
        findings.into_iter().find(|finding| finding["kind"] == "different").unwrap()["differences"].clone()
    };
    let balance = json!({ "attribute": "balance", "is": 1, "should_be": "39900" });
    assert_eq!(named(&["verify", "accounts"]), json!([balance]));
    let amount = json!({ "attribute": "amount", "is": 7, "should_be": 10_000 });
    assert_eq!(named(&["verify", "statement"]), json!([amount]));
    let said = String::from_utf8(operator.run(&["verify", "accounts"]).stdout).unwrap();
    assert!(said.lines().any(|line| line == "    balance: 1 instead of 39900"), "{said}");
    let (code, answers) = operator.ask(&["verify", "totals"]);
    let counters = answers[0]["counters"].as_array().unwrap();
    assert_eq!((code, counters.len()), (Some(1), 1), "{answers:?}");
    for model in ["transactions", "journal"] {
        assert_eq!(operator.kinds(&["verify", model]), (Some(0), BTreeMap::new()));
    }

    assert_eq!(operator.kinds(&["verify", "accounts", "statement", "--repair"]).0, Some(0));
    assert_eq!(operator.run(&["verify", "totals", "--repair"]).status.code(), Some(0));
    for (model, _) in MODELS {
        assert_eq!(dump(&client, model).await, live[model], "{model}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_the_journal_lacks_enters_where_readers_find_it() {
    let cloud = Cloud::start();
    let (operator, client) = (Operator::of(&cloud), dynamodb(&cloud.url_of("DynamoDB")));
    traffic(&cloud, 3, 0);
    operator.settled();
    let entries = client.scan().table_name("journal").send().await.unwrap().items.unwrap();
    let key: Item = entries[0].clone().into_iter().filter(|(name, _)| name == "part" || name == "position").collect();
    client.delete_item().table_name("journal").set_key(Some(key)).send().await.unwrap();
    assert_eq!(operator.kinds(&["verify", "journal"]), (Some(1), BTreeMap::from([("missing".to_owned(), 1)])));
    assert_eq!(operator.kinds(&["verify", "journal", "--repair"]).0, Some(0));
    assert_eq!(operator.kinds(&["verify", "journal"]), (Some(0), BTreeMap::new()));
    // The event stands at the end now, and a note at its own place.
    assert_eq!(client.scan().table_name("journal").send().await.unwrap().items().len(), entries.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_the_journal_has_besides_those_of_its_events_are_found_and_taken_out() {
    let cloud = Cloud::start();
    let (operator, client) = (Operator::of(&cloud), dynamodb(&cloud.url_of("DynamoDB")));
    traffic(&cloud, 3, 0);
    operator.settled();
    let live = dump(&client, "journal").await;
    let entries = client.scan().table_name("journal").send().await.unwrap().items.unwrap();
    // The same event a second time; and one that is recorded nowhere, at a place of its own.
    let twice = entries[0].clone();
    let mut unknown = entries[1].clone();
    if let Some(AttributeValue::M(event)) = unknown.get_mut("event") {
        let id = uuid::Uuid::now_v7().to_string();
        event.insert("event_id".to_owned(), AttributeValue::S(id));
    }
    for (second, mut entry) in [("2100-01-01T00:00:00Z", twice), ("2100-01-01T00:00:01Z", unknown)] {
        entry.insert("position".to_owned(), AttributeValue::S(second.to_owned()));
        client.put_item().table_name("journal").set_item(Some(entry)).send().await.unwrap();
    }
    let extra = BTreeMap::from([("extra".to_owned(), 2)]);
    assert_eq!(operator.kinds(&["verify", "journal"]), (Some(1), extra.clone()));
    assert_eq!(operator.kinds(&["verify", "journal", "--repair"]), (Some(0), extra));
    assert_eq!(dump(&client, "journal").await, live);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_can_be_published_again() {
    let cloud = Cloud::start();
    let (operator, client) = (Operator::of(&cloud), dynamodb(&cloud.url_of("DynamoDB")));
    let [one, _] = traffic(&cloud, 3, 0);
    operator.settled();
    let live = dump(&client, "accounts").await;
    empty(&client, "accounts", &["account_id"]).await;
    assert_eq!(operator.ask(&["republish", "--aggregate", &one]), (Some(0), vec![json!({ "events": 4 })]));
    let _ = cloud.eventually(&format!("/accounts/{one}"), |answer| answer.body["version"] == 4);
    assert_eq!(operator.ask(&["republish", "--from", "2020-01-01T00:00:00Z"]), (Some(0), vec![json!({ "events": 5 })]));
    assert_eq!(operator.ask(&["republish", "--from", "2100-01-01T00:00:00Z"]), (Some(0), vec![json!({ "events": 0 })]));
    operator.settled();
    assert_eq!(dump(&client, "accounts").await, live);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_shown_and_redriven() {
    let cloud = Cloud::start();
    let (operator, client) = (Operator::of(&cloud), dynamodb(&cloud.url_of("DynamoDB")));
    assert_eq!(operator.ask(&["dead-letters", "list"]), (Some(0), vec![]));
    // An item that no code can read, for the moment.
    let [one, _] = traffic(&cloud, 1, 0);
    let commit = client.scan().table_name("events").filter_expression("aggregate_id = :one AND version = :two");
    let commit = commit.expression_attribute_values(":one", AttributeValue::S(one));
    let commit = commit.expression_attribute_values(":two", AttributeValue::N("2".to_owned()));
    let good = commit.send().await.unwrap().items.unwrap().remove(0);
    let mut good: Item = good.into_iter().collect();
    good.insert("version".to_owned(), AttributeValue::N("3".to_owned()));
    let id = uuid::Uuid::now_v7().to_string();
    if let Some(AttributeValue::L(events)) = good.get_mut("events")
        && let AttributeValue::M(event) = &mut events[0]
    {
        event.insert("event_id".to_owned(), AttributeValue::S(id));
    }
    let mut bad = good.clone();
    bad.insert("events".to_owned(), AttributeValue::S("nonsense".to_owned()));
    client.put_item().table_name("events").set_item(Some(bad)).send().await.unwrap();
    let _ = cloud.wait_for_line("in dead-letters");

    let (code, letters) = operator.ask(&["dead-letters", "list"]);
    assert_eq!((code, letters.len()), (Some(1), 1), "{letters:?}");
    // Nothing is hidden, so nothing is said to be.
    let listed = operator.run(&["dead-letters", "list"]);
    assert_eq!(String::from_utf8(listed.stderr).unwrap(), "");
    assert_eq!(letters[0]["about"], "event");
    assert_eq!((&letters[0]["event_type"], &letters[0]["version"]), (&json!("StreamRecordUnreadable"), &json!(3)));
    let letter = letters[0]["id"].as_str().unwrap();
    let (_, shown) = operator.ask(&["dead-letters", "show", letter]);
    // While somebody is at work on it, nobody sees it; that is not nothing.
    let variables = operator.variables();
    let endpoint = variables.lines().find_map(|line| line.strip_prefix("AWS_ENDPOINT_URL_SQS=")).unwrap();
    let sqs = |action: &str, request: &Value| {
        let request =
            ureq::post(endpoint).header("x-amz-target", format!("AmazonSQS.{action}")).send(request.to_string());
        serde_json::from_str::<Value>(&request.unwrap().body_mut().read_to_string().unwrap()).unwrap()
    };
    let url = sqs("GetQueueUrl", &json!({ "QueueName": "dead-letters" }))["QueueUrl"].clone();
    let hidden = sqs("ReceiveMessage", &json!({ "QueueUrl": url, "VisibilityTimeout": 600 }))["Messages"][0].clone();
    assert_eq!(operator.ask(&["dead-letters", "list"]), (Some(1), vec![]));
    let listed = operator.run(&["dead-letters", "list"]);
    assert!(String::from_utf8(listed.stderr).unwrap().starts_with("about 1 more are hidden"));
    let counts = |names: &Value| {
        sqs("GetQueueAttributes", &json!({ "QueueUrl": url, "AttributeNames": names }))["Attributes"].clone()
    };
    assert_eq!(counts(&json!([])), json!({}));
    assert_eq!(counts(&json!(["ApproximateNumberOfMessages"])), json!({ "ApproximateNumberOfMessages": "0" }));
    let receipt = &hidden["ReceiptHandle"];
    sqs("ChangeMessageVisibility", &json!({ "QueueUrl": url, "ReceiptHandle": receipt, "VisibilityTimeout": 0 }));
    assert_eq!(shown[0]["source"], "daybook.event-publisher");
    // What cannot be read stays.
    let (code, answers) = operator.ask(&["dead-letters", "redrive", letter]);
    assert_eq!((code, answers[0]["id"].as_str()), (Some(1), Some(letter)), "{answers:?}");
    assert!(answers[0]["error"].as_str().unwrap().contains("does not have the form of a commit"), "{answers:?}");
    assert_eq!(operator.ask(&["dead-letters", "redrive", "nobody"]).0, Some(2));
    assert_eq!(operator.run(&["verify", "accounts"]).status.code(), Some(1), "an item cannot be read");

    // Code that can read it has come: here, an item that this code can read. An update is no insert, so nobody is told.
    client.put_item().table_name("events").set_item(Some(good)).send().await.unwrap();
    assert_eq!(
        operator.ask(&["dead-letters", "redrive", "--all"]),
        (Some(0), vec![json!({ "id": letter, "events": 1 })])
    );
    assert_eq!(operator.ask(&["dead-letters", "list"]), (Some(0), vec![]));
    operator.settled();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_cannot_be_read_is_said_and_the_others_are_put_right() {
    let cloud = Cloud::start();
    let (operator, client) = (Operator::of(&cloud), dynamodb(&cloud.url_of("DynamoDB")));
    let [one, other] = traffic(&cloud, 3, 0);
    operator.settled();
    // In the middle of one history, an event of a type that only later code knows; the other account's row is gone.
    let events = client.scan().table_name("events").filter_expression("aggregate_id = :one AND version = :two");
    let events = events.expression_attribute_values(":one", AttributeValue::S(one));
    let events = events.expression_attribute_values(":two", AttributeValue::N("2".to_owned()));
    let mut commit: Item = events.send().await.unwrap().items.unwrap().remove(0);
    if let Some(AttributeValue::L(events)) = commit.get_mut("events")
        && let AttributeValue::M(event) = &mut events[0]
    {
        event.insert("event_type".to_owned(), AttributeValue::S("AccountPainted".to_owned()));
    }
    client.put_item().table_name("events").set_item(Some(commit)).send().await.unwrap();
    let gone = client.delete_item().table_name("accounts").key("account_id", AttributeValue::S(other));
    gone.send().await.unwrap();

    let kinds = |all: &[&str]| all.iter().map(|kind| ((*kind).to_owned(), 1)).collect::<BTreeMap<_, _>>();
    assert_eq!(operator.kinds(&["verify", "accounts", "--repair"]), (Some(1), kinds(&["missing", "unreadable"])));
    assert_eq!(operator.kinds(&["verify", "accounts"]), (Some(1), kinds(&["unreadable"])));
    assert_eq!(operator.kinds(&["verify", "totals"]), (Some(1), kinds(&["unreadable"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_functions_fail_on_is_a_dead_letter_each_and_can_be_redriven_once_it_is_right() {
    use aws_sdk_eventbridge::{
        Client,
        config::{BehaviorVersion, Credentials, Region},
        types::PutEventsRequestEntry,
    };
    let cloud = Cloud::start();
    let operator = Operator::of(&cloud);
    let [one, _] = traffic(&cloud, 1, 0);
    operator.settled();
    // The bus says that there is a third event; there is none yet.
    let config = aws_sdk_eventbridge::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(cloud.url_of("EventBridge"));
    let metadata = json!({ "user_id": "alice", "correlation_id": "c", "causation_id": "r" });
    let detail = json!({
        "event_id": uuid::Uuid::nil(), "aggregate_id": one, "aggregate_type": "Account", "version": 3,
        "event_type": "AccountFrozen", "schema_version": 1, "created_at": "2026-11-23T09:30:00.000000Z",
        "metadata": metadata, "data": null,
    });
    let entry = PutEventsRequestEntry::builder().event_bus_name("daybook").source("daybook");
    let entry = entry.detail_type("AccountFrozen").detail(detail.to_string()).build();
    Client::from_conf(config.build()).put_events().entries(entry).send().await.unwrap();
    // Accounts, statement, totals and journal.
    let mut letters = Vec::new();
    for _ in 0..100 {
        letters = operator.ask(&["dead-letters", "list"]).1;
        if letters.len() == 4 {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(letters.len(), 4, "{letters:?}");
    assert!(letters.iter().all(|letter| letter["about"] == "event" && letter["version"] == 3), "{letters:?}");
    assert!(letters.iter().all(|letter| letter["source"] == "daybook"), "{letters:?}");
    assert!(letters[0]["reason"].as_str().unwrap().contains("RetriesExhausted"), "{letters:?}");
    let (code, answers) = operator.ask(&["dead-letters", "redrive", "--all"]);
    assert_eq!((code, answers.len()), (Some(1), 4));
    assert!(answers[0]["error"].as_str().unwrap().contains("has no event of version 3"), "{answers:?}");

    let path = format!("/accounts/{one}/freeze");
    assert_eq!(cloud.administrate("POST", &path, None).status, 200);
    let (code, answers) = operator.ask(&["dead-letters", "redrive", "--all"]);
    assert!(code == Some(0) && answers.iter().all(|answer| answer["events"] == 1), "{answers:?}");
    assert_eq!(operator.ask(&["dead-letters", "list"]), (Some(0), vec![]));
    operator.settled();
}

#[test]
fn a_request_of_another_system_is_not_redriven_but_taken_out() {
    let cloud = Cloud::start();
    let operator = Operator::of(&cloud);
    cloud.put_event("payments", "DepositRequested", &json!({ "amount": "1" }));
    let parked = cloud.wait_for_line("in dead-letters");
    assert!(parked.contains("DepositRequestUnreadable"), "{parked}");
    let list = || operator.ask(&["dead-letters", "list"]).1;
    // A report that was slow to be taken is there twice.
    let letters = list();
    assert!(letters.iter().all(|letter| letter["about"] == "request" && letter["source"] == "payments"), "{letters:?}");
    let id = letters[0]["id"].as_str().unwrap();
    let (code, answers) = operator.ask(&["dead-letters", "redrive", id]);
    assert!(code == Some(1) && answers[0]["error"].as_str().unwrap().contains("payments repeats it"), "{answers:?}");
    assert_eq!(operator.ask(&["dead-letters", "delete", id]), (Some(0), vec![json!({ "id": id })]));
    assert!(list().iter().all(|letter| letter["id"] != id));
}

#[test]
fn what_cannot_be_done_is_said_in_one_line() {
    let cloud = Cloud::start();
    let operator = Operator::of(&cloud);
    let nowhere =
        operator.command(&["verify", "accounts"]).env("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9").output();
    let nowhere = nowhere.unwrap();
    assert_eq!(nowhere.status.code(), Some(2));
    let said = String::from_utf8(nowhere.stderr).unwrap();
    assert!(said.starts_with("error: the table `events` does not answer") && said.lines().count() == 1, "{said}");
}

#[test]
fn a_missing_table_queue_bus_or_aggregate_is_named_with_what_to_do() {
    let cloud = Cloud::start();
    let operator = Operator::of(&cloud);
    let nobody = "00000000-0000-0000-0000-000000000000";
    let advice =
        "the prefix of tables and queues is `other-`; set TABLE_PREFIX or --table-prefix to the stack's TablePrefix";
    let cases: [(&[&str], &str, &str); 5] = [
        (&["verify", "accounts", "--table-prefix", "other-"], "the table `other-events` does not exist", advice),
        (&["rebuild", "totals", "--table-prefix", "other-"], "the table `other-events` does not exist", advice),
        (
            &["dead-letters", "list", "--table-prefix", "other-"],
            "the queue `other-dead-letters` does not exist",
            advice,
        ),
        (
            &["dead-letters", "redrive", "--all", "--event-bus", "other"],
            "the event bus `other` does not exist",
            "The region is us-east-1; set EVENT_BUS or --event-bus to the stack's EventBusName",
        ),
        (&["republish", "--aggregate", nobody], "there is no aggregate", "check the id"),
    ];
    for (arguments, problem, advice) in cases {
        let output = operator.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{arguments:?}: {said}");
        assert!(said.starts_with(&format!("error: {problem}")) && said.contains(advice), "{arguments:?}: {said}");
    }
}

/// `daybook` without anything in its environment that says where to go, and with a home folder of its own.
fn bare(home: &std::path::Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(function_binary("daybook"));
    command.args(arguments).env_clear().current_dir(home).env("HOME", home).env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

#[test]
fn without_an_environment_it_says_which_two_lines_to_run() {
    let home = tempfile::tempdir().unwrap();
    let nothing = bare(home.path(), &["verify", "accounts"]).output().unwrap();
    let said = String::from_utf8(nothing.stderr).unwrap();
    assert_eq!((nothing.status.code(), said.lines().count()), (Some(2), 3), "{said}");
    assert!(said.starts_with("error: no AWS region is set. Run one of these lines:\n"), "{said}");
    assert!(
        said.contains("  daybook --local verify accounts ")
            && said.contains("  daybook --profile NAME verify accounts ")
    );
    let region = bare(home.path(), &["verify", "--region", "eu-central-1"]).output().unwrap();
    let said = String::from_utf8(region.stderr).unwrap();
    assert_eq!(region.status.code(), Some(2));
    assert!(said.starts_with("error: no AWS credentials can be had: "), "{said}");
}

#[test]
fn local_leads_to_the_local_cloud_whatever_the_environment_says() {
    let cloud = Cloud::start();
    let [one, _] = traffic(&cloud, 1, 0);
    let (home, local) = (tempfile::tempdir().unwrap(), format!("--local={}", cloud.url));
    let run = |arguments: &[&str]| {
        let mut command = bare(home.path(), arguments);
        let aws =
            [("TABLE_PREFIX", "prod-"), ("EVENT_BUS", "prod"), ("AWS_REGION", "eu-central-1"), ("AWS_PROFILE", "prod")];
        command.arg(&local).envs(aws).output().unwrap()
    };
    Operator::of(&cloud).settled();
    for arguments in [&["verify"][..], &["republish", "--aggregate", &one], &["dead-letters", "list"]] {
        let output = run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let nobody = bare(home.path(), &["verify", "--local=http://127.0.0.1:9"]).output().unwrap();
    let said = String::from_utf8(nobody.stderr).unwrap();
    assert_eq!((nobody.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    assert!(
        said.starts_with("error: no local cloud answers at http://127.0.0.1:9") && said.contains("cargo run"),
        "{said}"
    );
}

#[test]
fn a_profile_of_the_users_own_files_leads_to_a_deployment() {
    let cloud = Cloud::start();
    let operator = Operator::of(&cloud);
    operator.settled();
    let variables = operator.variables();
    let value = |name: &str| variables.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).unwrap();
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    let config = format!(
        "[profile operator]\nregion = us-east-1\nservices = here\n\n[services here]\n\
         dynamodb =\n  endpoint_url = {}\nsqs =\n  endpoint_url = {}\neventbridge =\n  endpoint_url = {}\n",
        value("AWS_ENDPOINT_URL_DYNAMODB"),
        value("AWS_ENDPOINT_URL_SQS"),
        value("AWS_ENDPOINT_URL_EVENTBRIDGE"),
    );
    std::fs::write(home.path().join(".aws/config"), config).unwrap();
    let keys = "[operator]\naws_access_key_id = local-operator\naws_secret_access_key = local\n";
    std::fs::write(home.path().join(".aws/credentials"), keys).unwrap();
    let by_flag = bare(home.path(), &["verify", "--profile", "operator"]).output().unwrap();
    assert!(by_flag.status.success(), "{}", String::from_utf8_lossy(&by_flag.stderr));
    let by_variable = bare(home.path(), &["dead-letters", "list"]).env("AWS_PROFILE", "operator").output().unwrap();
    assert!(by_variable.status.success(), "{}", String::from_utf8_lossy(&by_variable.stderr));
    let republish = ["republish", "--from", "2100-01-01T00:00:00Z", "--event-bus", "daybook", "--profile", "operator"];
    let republished = bare(home.path(), &republish).output().unwrap();
    assert!(republished.status.success(), "{}", String::from_utf8_lossy(&republished.stderr));
    let missing = bare(home.path(), &["verify", "--profile", "nobody", "--region", "us-east-1"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2), "{}", String::from_utf8_lossy(&missing.stderr));
}

#[test]
fn a_reader_that_goes_away_is_no_panic_and_a_full_disk_is_an_error() {
    let cloud = Cloud::start();
    let operator = Operator::of(&cloud);
    let mut closed = operator.command(&["verify"]);
    closed.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut closed = closed.spawn().unwrap();
    // Nobody reads, from the beginning.
    drop(closed.stdout.take());
    let closed = closed.wait_with_output().unwrap();
    assert_eq!((closed.status.code(), String::from_utf8(closed.stderr).unwrap().as_str()), (Some(2), ""));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for arguments in [&["verify"][..], &["verify", "--json"], &["dead-letters", "list"]] {
        let output = operator.command(arguments).stdout(full.try_clone().unwrap()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.starts_with("error: the answer cannot be written: ") && said.lines().count() == 1, "{said}");
    }
    // And where nobody reads the errors either.
    let mut nobody = operator.command(&["verify", "--table-prefix", "other-"]);
    let mut nobody = nobody.stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop(nobody.stderr.take());
    assert_eq!(nobody.wait().unwrap().code(), Some(2));
}
