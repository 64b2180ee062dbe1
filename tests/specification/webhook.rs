//! The example of webhooks makes a valid `CloudEvent` of every event. The local cloud has no input transformers, so the test plays
//! the template's: it puts the values of the paths into the text, texts with quotes where they stand alone.

use std::fs;

use serde_json::{Value, json};
use tests::{EventSchemas, repository, schema_id};

/// The lines below `key` that are indented more, as they are.
fn block<'a>(template: &'a str, key: &str) -> Vec<&'a str> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = template.lines().skip_while(|line| line.trim_start() != key);
    let own = indent(lines.next().unwrap());
    lines.take_while(|line| indent(line) > own).collect()
}

/// The input of the target, as EventBridge makes it of an event.
fn transformed(template: &str, event: &Value) -> Value {
    let mut text = block(template, "InputTemplate: |").join("\n");
    for line in block(template, "InputPathsMap:") {
        let (name, path) = line.trim().split_once(": ").unwrap();
        let value = event.pointer(&path.strip_prefix('$').unwrap().replace('.', "/"));
        let value = value.unwrap_or_else(|| panic!("{path} is not in the event"));
        let placeholder = format!("<{name}>");
        text = text.replace(&format!(": {placeholder}"), &format!(": {value}"));
        text = text.replace(&placeholder, value.as_str().unwrap_or(&value.to_string()));
    }
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The objections by `CloudEvents` 1.0 (sections 3.1 and 3.2 of the specification, and its JSON format).
fn objections(event: &Value) -> Vec<String> {
    let is_text = |name: &str| event[name].as_str().is_some_and(|text| !text.is_empty());
    let required = ["id", "source", "specversion", "type"].into_iter().filter(|name| !is_text(name));
    let missing = required.map(|name| format!("{name} is missing or empty"));
    let attributes = event.as_object().unwrap().iter().filter(|(name, _)| *name != "data");
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let wrong = attributes.filter(|(name, value)| {
        !is_name(name) || name.len() > 20 || !(value.is_string() || value.is_i64() || value.is_boolean())
    });
    let wrong = wrong.map(|(name, value)| format!("{name} is no attribute: {value}"));
    let format = |name: &str, format: &str| {
        let schema = json!({ "type": "string", "format": format });
        let options = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
        (!options.is_valid(&event[name])).then(|| format!("{name} is no {format}: {}", event[name]))
    };
    let formats = [("source", "uri-reference"), ("dataschema", "uri"), ("time", "date-time")];
    let formats = formats.into_iter().filter_map(|(name, of)| format(name, of));
    let version = (event["specversion"] != "1.0").then(|| "specversion is not 1.0".to_owned());
    missing.chain(wrong).chain(formats).chain(version).collect()
}

#[test]
fn the_webhook_example_makes_a_cloud_event_of_every_event() {
    let template = fs::read_to_string(repository().join("infra/examples/webhook-cloudevents.yaml")).unwrap();
    for name in EventSchemas::read().names() {
        let file = repository().join(format!("infra/events/golden/{name}.json"));
        let detail: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        for data in [detail["data"].clone(), Value::Null] {
            let mut detail = detail.clone();
            detail["data"] = data;
            let event = transformed(&template, &json!({ "source": domain::EVENT_SOURCE, "detail": detail }));
            assert_eq!(objections(&event), Vec::<String>::new(), "{event}");
            assert_eq!((&event["id"], &event["data"]), (&detail["event_id"], &detail), "{name}");
            assert_eq!(event["dataschema"], schema_id(name));
            assert_eq!(event["sequence"], detail["version"].to_string());
        }
    }
}

#[test]
fn an_invalid_cloud_event_is_objected_to() {
    let good = json!({
        "specversion": "1.0", "id": "1", "source": "daybook", "type": "T", "time": "2026-11-24T09:30:00Z", "dataschema": "urn:a:b",
    });
    assert_eq!(objections(&good), Vec::<String>::new());
    for (name, bad) in [
        ("id", json!("")),
        ("source", json!("a b")),
        ("specversion", json!("0.3")),
        ("type", Value::Null),
        ("time", json!("yesterday")),
        ("dataschema", json!("MoneyDeposited")),
        ("correlation_id", json!("1")),
        ("sequence", json!({})),
    ] {
        let mut event = good.clone();
        event[name] = bad;
        assert!(!objections(&event).is_empty(), "{name}");
    }
}
