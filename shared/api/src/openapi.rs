//! The contract as an OpenAPI 3.1 document, made from the table of operations and from the types that the code reads and
//! writes. OpenAPI 3.1 takes JSON Schema 2020-12 as it is.

use std::collections::BTreeMap;

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    OPERATIONS,
    id::UUID,
    operations::{Operation, Place},
    problem::KINDS,
};

const PROBLEM: &str = "#/components/schemas/Problem";
const MESSAGE: &str = "#/components/schemas/Message";

/// The document. Its parts are in the order in which a person reads them.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs, reason = "the OpenAPI specification says what they are")]
pub struct OpenApi {
    pub openapi: String,
    pub info: Value,
    pub servers: Value,
    pub paths: Value,
    pub components: Value,
}

/// What was sent to an operation and what came back.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The request's body; null where there is none.
    pub request: Value,
    /// The answer's body.
    pub answer: Value,
}

/// The contract, with examples by the operations' ids.
#[must_use]
pub fn openapi(examples: &BTreeMap<&str, Example>) -> OpenApi {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| path_item(operation.path));
        path[operation.method.to_lowercase()] = describe(operation, &mut generator, examples.get(operation.id));
    }
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Problem".to_owned(), problem_schema());
    schemas.insert("Message".to_owned(), message_schema());
    OpenApi {
        openapi: "3.1.0".to_owned(),
        info: json!({
            "title": "Daybook",
            "version": "1",
            "summary": "Event-sourced bank accounts.",
            "description": "A command answers with the version that it wrote. Read models follow within moments: ask a \
                query for a `min_version` to see at least that one. Another's account and none are the same answer.",
        }),
        servers: json!([{ "url": "/", "description": "Where this document is." }]),
        paths: Value::Object(paths),
        components: json!({
            "securitySchemes": { "jwt": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } },
            "schemas": schemas,
        }),
    }
}

fn path_item(path: &str) -> Value {
    if !path.contains("{id}") {
        return json!({});
    }
    let id = json!({ "type": "string", "format": "uuid", "pattern": UUID });
    let id = json!({ "name": "id", "in": "path", "required": true, "schema": id });
    json!({ "parameters": [id] })
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator, example: Option<&Example>) -> Value {
    let parameters = operation.parameters.iter().map(|parameter| {
        json!({
            "name": parameter.name, "in": if parameter.place == Place::Query { "query" } else { "header" }, "description": parameter.description,
            "schema": (parameter.schema)(),
        })
    });
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "security": [{ "jwt": [operation.scope] }],
        "parameters": parameters.collect::<Value>(),
        "responses": responses(operation, generator, example),
    });
    if let Some(body) = operation.body {
        let mut content = json!({ "schema": body(generator) });
        if let Some(example) = example {
            content["example"] = example.request.clone();
        }
        described["requestBody"] = json!({ "required": true, "content": { "application/json": content } });
    }
    described
}

fn responses(operation: &Operation, generator: &mut SchemaGenerator, example: Option<&Example>) -> Value {
    let (status, schema) = operation.success;
    let mut content = json!({ "schema": schema(generator) });
    if let Some(example) = example {
        content["example"] = example.answer.clone();
    }
    let mut headers = json!({ "X-Correlation-Id": { "schema": { "type": "string" } } });
    let tagged = operation.is_command() || operation.takes("If-None-Match");
    if tagged {
        headers["ETag"] = json!({ "description": "The version.", "schema": { "type": "string" } });
    }
    if matches!(status, 201 | 202) {
        headers["Location"] = json!({ "description": "Where it is found.", "schema": { "type": "string" } });
    }
    if operation.takes("Idempotency-Key") {
        headers["Idempotent-Replayed"] = json!({
            "description": "There where the answer repeats that of an earlier request with the same key.",
            "schema": { "type": "string", "const": "true" },
        });
    }
    let mut responses: Map<String, Value> = Map::new();
    let mut success = json!({ "description": "Done.", "headers": headers, "content": { "application/json": content } });
    let links = links(operation);
    if !links.is_empty() {
        success["links"] = Value::Object(links);
    }
    responses.insert(status.to_string(), success);
    if operation.takes("If-None-Match") {
        responses.insert("304".to_owned(), json!({ "description": "You have it.", "headers": headers }));
    }
    for (status, kinds) in problems(operation) {
        responses.insert(status.to_string(), problem_response(status, &kinds));
    }
    responses.insert("401".to_owned(), gateway("No token, or one that is not good here."));
    responses.insert("403".to_owned(), gateway(&format!("The token does not have the scope `{}`.", operation.scope)));
    Value::Object(responses)
}

/// Where one goes from here with the id that was answered.
fn links(operation: &Operation) -> Map<String, Value> {
    let collection = match operation.id {
        "CreateAccount" => "/accounts/{id}",
        "InitiateTransaction" => "/transactions/{id}",
        _ => return Map::new(),
    };
    let from_here = OPERATIONS.iter().filter(|next| next.path.starts_with(collection));
    let mut links: Map<String, Value> = from_here
        .map(|next| {
            let mut link = json!({ "operationId": next.id, "parameters": { "id": "$response.body#/id" } });
            if next.body.is_some() {
                link["requestBody"] = json!({ "currency": "$request.body#/currency" });
            }
            (next.id.to_owned(), link)
        })
        .collect();
    if operation.id == "CreateAccount" {
        let order = json!({ "from": "$response.body#/id", "currency": "$request.body#/currency" });
        let link = json!({ "operationId": "InitiateTransaction", "requestBody": order });
        links.insert("InitiateTransaction".to_owned(), link);
    }
    links
}

/// The problems that an operation may answer, by status.
fn problems(operation: &Operation) -> BTreeMap<u16, Vec<&'static str>> {
    let mut names = vec!["invalid-request", "unavailable", "internal"];
    if operation.path.contains("{id}") {
        names.extend(["malformed-id", "not-found"]);
    }
    if operation.body.is_some() {
        names.extend(["malformed-json", "body-too-large", "wrong-content-type"]);
    }
    if operation.is_command() {
        names.extend(["invalid-header", "version-mismatch", "idempotency-key-reused", "too-busy", "outcome-unknown"]);
    }
    if operation.takes("min_version") {
        names.push("not-yet");
    }
    names.extend(operation.refusals);
    let mut by_status: BTreeMap<u16, Vec<&'static str>> = BTreeMap::new();
    for kind in KINDS.iter().filter(|kind| names.contains(&kind.name)) {
        by_status.entry(kind.status.as_u16()).or_default().push(kind.name);
    }
    by_status
}

fn problem_response(status: u16, kinds: &[&str]) -> Value {
    let types: Vec<String> = kinds.iter().map(|kind| format!("/problems/{kind}")).collect();
    let titles = KINDS.iter().filter(|kind| kinds.contains(&kind.name));
    let lines: Vec<String> = titles.map(|kind| format!("- `{}`: {}.", kind.name, kind.title)).collect();
    let schema = json!({
        "allOf": [{ "$ref": PROBLEM }, { "properties": { "type": { "enum": types } } }],
    });
    let mut content = json!({ "application/problem+json": { "schema": schema } });
    // The gateway has answers of its own where a function cannot answer or a body is over the gateway's own limit.
    if matches!(status, 413 | 500 | 503) {
        content["application/json"] = json!({ "schema": { "$ref": MESSAGE } });
    }
    json!({ "description": lines.join("\n"), "content": content })
}

fn gateway(description: &str) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": { "$ref": MESSAGE } } } })
}

/// What the gateway itself answers with.
fn message_schema() -> Value {
    json!({ "type": "object", "required": ["message"], "properties": { "message": { "type": "string" } } })
}

/// RFC 9457, with the members that some problems add.
fn problem_schema() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "description": "What went wrong, by RFC 9457.",
        "required": ["type", "title", "status", "detail", "instance"],
        "properties": {
            "type": text("What to branch on."),
            "title": text("The type, for people."),
            "status": { "type": "integer" },
            "detail": text("What to do."),
            "instance": text("The path of the request."),
            "errors": {
                "type": "array",
                "description": "Every mistake in the request.",
                "items": {
                    "type": "object",
                    "required": ["detail"],
                    "properties": {
                        "pointer": text("Where in the body, by RFC 6901."),
                        "parameter": text("Which parameter of the query."),
                        "detail": text("What it must be."),
                    },
                },
            },
            "current_version": { "type": "integer", "description": "The version that there is." },
        },
    })
}
