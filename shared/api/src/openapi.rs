//! The contract as an OpenAPI 3.1 document, made from the table of operations and from the types that the code reads and
//! writes. OpenAPI 3.1 takes JSON Schema 2020-12 as it is.
//!
//! One document serves tests and client generators. It is exact, in keywords that generators either understand or ignore:
//! they make wrong or no code of `oneOf` with `const`, of `anyOf` beside `properties`, and of a request body in a link.

mod problems;

use std::collections::BTreeMap;

use schemars::{Schema, SchemaGenerator, generate::SchemaSettings, transform::RecursiveTransform};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    OPERATIONS,
    id::UUID,
    operations::{Operation, Place},
};

/// The groups of operations, in the order in which a person reads them.
const TAGS: [(&str, &str); 3] = [
    ("Accounts", "The caller's accounts: money in and out, statements and the audit trail."),
    ("Transactions", "Money from one account to another."),
    ("Bank", "All accounts of all owners, for administrators."),
];

/// The document. Its parts are in the order in which a person reads them.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs, reason = "the OpenAPI specification says what they are")]
pub struct OpenApi {
    pub openapi: String,
    pub info: Value,
    pub servers: Value,
    pub tags: Value,
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
        settings.transforms.push(Box::new(RecursiveTransform(one_enum)));
    });
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| path_item(operation.path));
        path[operation.method.to_lowercase()] = describe(operation, &mut generator, examples.get(operation.id));
    }
    let mut schemas = generator.take_definitions(true);
    schemas.extend(problems::schemas(OPERATIONS));
    OpenApi {
        openapi: "3.1.0".to_owned(),
        info: json!({
            "title": "Daybook",
            "version": "1",
            "summary": "Event-sourced bank accounts.",
            "description": "A command answers with the version that it wrote. Read models follow within moments: ask a \
                query for a `min_version` to see at least that one. Another's account and none are the same answer.",
            "contact": { "name": "The bank that runs this service" },
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        }),
        servers: json!([{ "url": "/", "description": "The host that serves this document." }]),
        tags: TAGS.iter().map(|(name, description)| json!({ "name": name, "description": description })).collect(),
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
        "description": format!("{} Needs the scope `{}`.", operation.description, operation.scope),
        "tags": [tag(operation)],
        "security": [{ "jwt": [] }],
        // Linters know scopes of OAuth 2 flows only, and whose flows they are is the deployment's choice.
        "x-scope": operation.scope,
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
    responses.extend(problems::responses(operation));
    Value::Object(responses)
}

/// Operations on the resource that was made, with its id.
fn links(operation: &Operation) -> Map<String, Value> {
    let collection = match operation.id {
        "CreateAccount" => "/accounts/{id}",
        "InitiateTransaction" => "/transactions/{id}",
        _ => return Map::new(),
    };
    let from_here = OPERATIONS.iter().filter(|next| next.path.starts_with(collection));
    let link = |next: &Operation| json!({ "operationId": next.id, "parameters": { "id": "$response.body#/id" } });
    from_here.map(|next| (next.id.to_owned(), link(next))).collect()
}

fn tag(operation: &Operation) -> &'static str {
    let [(accounts, _), (transactions, _), (bank, _)] = TAGS;
    match operation.path.split('/').nth(1) {
        Some("accounts") => accounts,
        Some("transactions") => transactions,
        _ => bank,
    }
}

/// Turns a choice between described constants into one `enum`, with the descriptions as a list.
fn one_enum(schema: &mut Schema) {
    let Some(choices) = schema.get("oneOf").and_then(Value::as_array) else { return };
    let text = |choice: &Value, name: &str| choice[name].as_str().map(str::to_owned);
    let Some(values) = choices.iter().map(|choice| text(choice, "const")).collect::<Option<Vec<String>>>() else {
        return;
    };
    let lines = choices.iter().zip(&values).map(|(choice, value)| match text(choice, "description") {
        Some(description) => format!("\n- `{value}`: {description}"),
        None => format!("\n- `{value}`"),
    });
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let description = format!("{description}\n{}", lines.collect::<String>());
    schema.remove("oneOf");
    schema.insert("type".to_owned(), json!("string"));
    schema.insert("enum".to_owned(), json!(values));
    schema.insert("description".to_owned(), json!(description.trim()));
}
