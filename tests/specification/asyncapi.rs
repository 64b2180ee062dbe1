//! The `AsyncAPI` 3 document of the bus is what the code says: every event, the request that other systems send, and its answers.
//! `UPDATE_CONTRACT=1` writes it anew.

use std::fs;

use aggregate::AggregateId;
use api::{
    Asked, DepositRequestAccepted, DepositRequestRefused, DepositRequestUnreadable, DepositRequested, Problem,
    RequestId,
};
use domain::Refusal;
use serde_json::{Map, Value, json};
use tests::{EventSchemas, repository};

/// A message, in the order in which a person reads them.
struct Message {
    /// The name of its schema's file, without the ending.
    name: String,
    /// The file, seen from the document.
    schema: String,
    /// The EventBridge source; null where it is the sender's own.
    source: Value,
    /// The `detail-type`.
    detail_type: String,
    /// The place of what joins the message with others.
    correlation: &'static str,
    /// A `detail`.
    example: Value,
}

fn json_file(path: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(repository().join(path)).unwrap()).unwrap()
}

fn events() -> Vec<Message> {
    let event = |name: &String| Message {
        name: name.clone(),
        schema: format!("./schemas/{name}.json"),
        source: json!(domain::EVENT_SOURCE),
        detail_type: name.split('.').next().unwrap().to_owned(),
        correlation: "/detail/metadata/correlation_id",
        example: json_file(&format!("infra/events/golden/{name}.json")),
    };
    EventSchemas::read().names().map(event).collect()
}

fn of_requests(detail_type: &str, source: Value, correlation: &'static str, example: Value) -> Message {
    Message {
        name: detail_type.to_owned(),
        schema: format!("./schemas/requests/{detail_type}.json"),
        source,
        detail_type: detail_type.to_owned(),
        correlation,
        example,
    }
}

fn request() -> Message {
    let example = json_file("infra/events/bus-commands.json")["detail"].clone();
    of_requests(DepositRequested::TYPE, Value::Null, "/detail/request_id", example)
}

fn answers() -> Vec<Message> {
    let request = json_file("infra/events/bus-commands.json");
    let request_id = RequestId::of(&request["detail"]).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let asked = Asked { source: text(&request["source"]), request_id, event_id: text(&request["id"]) };
    let account_id = AggregateId(request["detail"]["account_id"].as_str().unwrap().parse().unwrap());
    let accepted = DepositRequestAccepted { asked: asked.clone(), account_id, version: 2 };
    let problem = Problem::from(Refusal::Frozen).to_value().unwrap();
    let refused = DepositRequestRefused { asked: asked.clone(), is_final: true, problem };
    let unreadable = DepositRequestUnreadable {
        source: asked.source,
        detail_type: DepositRequested::TYPE.to_owned(),
        event_id: Some(asked.event_id),
        reason: RequestId::of(&json!({})).unwrap_err().to_string(),
    };
    let answer = |detail_type, correlation, example: Result<Value, serde_json::Error>| {
        of_requests(detail_type, json!(bus_commands::SOURCE), correlation, example.unwrap())
    };
    vec![
        answer(DepositRequestAccepted::TYPE, "/detail/request_id", serde_json::to_value(accepted)),
        answer(DepositRequestRefused::TYPE, "/detail/request_id", serde_json::to_value(refused)),
        answer(DepositRequestUnreadable::TYPE, "/detail/event_id", serde_json::to_value(unreadable)),
    ]
}

/// The form in which EventBridge delivers every event.
fn envelope() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "description": "The form in which EventBridge delivers every event.",
        "required": ["version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"],
        "properties": {
            "version": text("The version of this form."),
            "id": text("EventBridge's own id of the event. A repetition may have another: recognise an event by its `detail`."),
            "detail-type": text("The type of the event."),
            "source": text("The service that put the event."),
            "account": text("The AWS account of the bus that the event was put on first."),
            "time": { "type": "string", "format": "date-time", "description": "The time to the second." },
            "region": text("The AWS region of that bus."),
            "resources": { "type": "array", "items": { "type": "string" }, "description": "Empty." },
            "detail": { "type": "object", "description": "The event itself." },
        },
    })
}

fn message(message: &Message) -> Value {
    let schema = EventSchemas::read().get(&message.name).or(EventSchemas::of_requests().get(&message.name)).cloned();
    let description = schema.unwrap()["description"].clone();
    let mut particular = json!({
        "detail-type": { "type": "string", "const": message.detail_type },
        "detail": { "$ref": message.schema },
    });
    let mut source = json!("payments");
    if !message.source.is_null() {
        particular["source"] = json!({ "type": "string", "const": message.source });
        source = message.source.clone();
    }
    let example = json!({
        "version": "0", "id": "5d1f7a86-0a0e-4c7e-9f3e-5a3f6f1d2c11", "detail-type": message.detail_type, "source": source,
        "account": "123456789012", "time": "2026-11-24T09:30:00Z", "region": "us-east-1", "resources": [],
        "detail": message.example,
    });
    json!({
        "name": message.detail_type,
        "title": message.name,
        "summary": description,
        "contentType": "application/json",
        "correlationId": { "location": format!("$message.payload#{}", message.correlation) },
        "payload": {
            "allOf": [
                { "$ref": "#/components/schemas/EventBridgeEvent" },
                { "type": "object", "properties": particular },
            ],
        },
        "examples": [{ "name": "example", "payload": example }],
    })
}

fn document() -> Value {
    let (events, request, answers) = (events(), request(), answers());
    let all: Vec<&Message> = events.iter().chain([&request]).chain(&answers).collect();
    let in_components = |message: &&Message| {
        (message.name.clone(), json!({ "$ref": format!("#/components/messages/{}", message.name) }))
    };
    let in_channel = |messages: &[&Message]| -> Value {
        messages.iter().map(|it| json!({ "$ref": format!("#/channels/bus/messages/{}", it.name) })).collect()
    };
    let channel = json!({ "$ref": "#/channels/bus" });
    let operation = |action: &str, title: &str, description: &str, messages: &[&Message]| json!({ "action": action, "channel": channel, "title": title, "description": description, "messages": in_channel(messages) });
    let answers: Vec<&Message> = answers.iter().collect();
    let mut requests = operation(
        "receive",
        "Deposit requests",
        "Daybook takes requests of the source that its parameter `ProducerSource` names. A repeated request has no second effect \
         and gets the same answer.",
        &[&request],
    );
    requests["reply"] = json!({ "channel": channel, "messages": in_channel(&answers) });
    json!({
        "asyncapi": "3.1.0",
        "id": "urn:daybook:bus",
        "info": {
            "title": "Daybook's bus",
            "version": "1",
            "description": "Every event comes at least once and in any order: recognise it by `detail.event_id`, and order the events \
                of an aggregate by `detail.version`. Fields may be added; anything else that changes is a new schema version.",
            "contact": { "name": "The bank that runs this service" },
            "license": { "name": "MIT OR Apache-2.0", "url": "https://spdx.org/licenses/MIT.html" },
            "tags": [{ "name": "Events" }],
        },
        "defaultContentType": "application/json",
        "servers": {
            "eventbridge": {
                "host": "events.{region}.amazonaws.com",
                "protocol": "https",
                "description": "EventBridge of the account and region that Daybook is deployed in.",
                "variables": { "region": { "default": "us-east-1", "description": "The AWS region." } },
            },
        },
        "channels": {
            "bus": {
                "address": "daybook",
                "title": "The event bus",
                "description": "The EventBridge bus of Daybook's stack. Its name is the stack's output `EventBusName`.",
                "messages": all.iter().map(in_components).collect::<Map<_, _>>(),
            },
        },
        "operations": {
            "publishEvents": operation(
                "send", "Events", "Daybook publishes everything that happens to accounts and transactions.",
                &events.iter().collect::<Vec<_>>(),
            ),
            "receiveDepositRequests": requests,
            "answerDepositRequests": operation(
                "send", "Answers to deposit requests", "Daybook answers every request, whatever comes of it.", &answers,
            ),
        },
        "components": {
            "messages": all.iter().map(|it| (it.name.clone(), message(it))).collect::<Map<_, _>>(),
            "schemas": { "EventBridgeEvent": envelope() },
        },
    })
}

#[test]
fn the_checked_in_asyncapi_document_is_what_the_code_makes() {
    let file = repository().join("infra/asyncapi.yaml");
    let made = document();
    if std::env::var_os("UPDATE_CONTRACT").is_some() {
        fs::write(&file, serde_saphyr::to_string(&made).unwrap()).unwrap();
    }
    let checked_in: Value = serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert!(made == checked_in, "run `UPDATE_CONTRACT=1 cargo test -p tests asyncapi` and look at the difference");
}

#[test]
fn every_example_in_the_asyncapi_document_fits_its_schema() {
    let [events, requests] = [EventSchemas::read(), EventSchemas::of_requests()];
    let messages: Vec<Message> = events_and_requests();
    assert_eq!(messages.len(), events.names().count() + requests.names().count(), "every schema has its message");
    for message in messages {
        let schemas = if events.get(&message.name).is_some() { &events } else { &requests };
        assert_eq!(schemas.objection_by(&message.name, &message.example), None, "{}", message.name);
    }
}

fn events_and_requests() -> Vec<Message> {
    events().into_iter().chain([request()]).chain(answers()).collect()
}
