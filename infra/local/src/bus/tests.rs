use axum::body::to_bytes;

use super::*;
use crate::{data::Data, lambda::Pools};

fn bus() -> (Bus, Arc<Durable>) {
    let durable = Arc::new(Durable::open(&Data::in_memory().cloud_file()).unwrap());
    let console = Arc::new(Console::new(false));
    let deliveries = Deliveries::new(Pools::new(), Arc::clone(&durable), Arc::clone(&console));
    let rule = |name: &str, pattern: Value, targets: &[Target]| Rule {
        name: name.to_owned(),
        bus: "main".to_owned(),
        pattern,
        targets: targets.to_vec(),
    };
    let rules = vec![
        rule(
            "sales",
            json!({ "source": ["shop"] }),
            &[Target::Function("f".to_owned()), Target::Function("g".to_owned())],
        ),
        rule("odd", json!({ "detail-type": ["Odd"] }), &[Target::Queue("q".to_owned())]),
    ];
    (Bus::new(vec!["main".to_owned()], rules, Arc::clone(&durable), deliveries, console).unwrap(), durable)
}

async fn put(bus: &Bus, entries: Value) -> (StatusCode, Value) {
    let response = bus.put_events(serde_json::from_value(json!({ "Entries": entries })).unwrap());
    let (head, body) = response.into_parts();
    (head.status, serde_json::from_slice(&to_bytes(body, usize::MAX).await.unwrap()).unwrap())
}

fn entry(source: &str, detail_type: &str) -> Value {
    json!({ "EventBusName": "main", "Source": source, "DetailType": detail_type, "Detail": "{}" })
}

#[tokio::test]
async fn an_event_is_durable_for_every_target_of_every_rule_that_matches() {
    let (bus, durable) = bus();
    let (status, answer) =
        put(&bus, json!([entry("shop", "Sold"), entry("other", "Odd"), entry("other", "Even")])).await;
    assert_eq!((status, &answer["FailedEntryCount"]), (StatusCode::OK, &json!(0)));
    assert!(answer["Entries"].as_array().unwrap().iter().all(|entry| entry["EventId"].is_string()));
    let pending = durable.pending().unwrap();
    let functions: Vec<_> = pending.iter().map(|id| durable.delivery(*id).unwrap().unwrap().function).collect();
    assert_eq!(functions, ["f", "g"]);
    assert_eq!(durable.queues().unwrap(), [("q".to_owned(), 1)]);
}

#[tokio::test]
async fn a_bad_entry_fails_alone() {
    let (bus, durable) = bus();
    let elsewhere = json!({ "EventBusName": "nowhere", "Source": "shop", "DetailType": "Sold", "Detail": "{}" });
    let (status, answer) = put(&bus, json!([entry("", "Sold"), entry("shop", "Sold"), elsewhere])).await;
    assert_eq!((status, &answer["FailedEntryCount"]), (StatusCode::OK, &json!(2)));
    assert_eq!(answer["Entries"][0]["ErrorCode"], "InvalidArgument");
    assert!(answer["Entries"][1]["EventId"].is_string());
    assert_eq!(answer["Entries"][2]["ErrorMessage"], "Event bus nowhere does not exist.");
    assert_eq!(durable.pending().unwrap().len(), 2);
}

#[tokio::test]
async fn a_request_over_a_limit_is_refused_whole() {
    let (bus, durable) = bus();
    let large = json!({ "Source": "shop", "DetailType": "Sold", "Detail": format!("{{\"x\":\"{}\"}}", "x".repeat(REQUEST_BYTES_MAX)) });
    for entries in [json!([]), json!(vec![entry("shop", "Sold"); 11]), json!([large])] {
        let (status, answer) = put(&bus, entries).await;
        assert_eq!((status, &answer["__type"]), (StatusCode::BAD_REQUEST, &json!("ValidationException")));
    }
    assert!(durable.pending().unwrap().is_empty());
}

#[test]
fn a_rule_that_cannot_be_played_is_named() {
    let (bus, durable) = bus();
    let (name, pattern) = ("strange".to_owned(), json!({ "a": [{ "guess": 1 }] }));
    let rule = Rule { name, bus: "main".to_owned(), pattern, targets: Vec::new() };
    let refused = Bus::new(Vec::new(), vec![rule], durable, bus.deliveries, bus.console).err().unwrap();
    assert!(refused.starts_with("rule strange: its pattern cannot be played: field a"), "{refused}");
}
