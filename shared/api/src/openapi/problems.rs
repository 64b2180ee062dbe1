//! Answers that say what went wrong: problems (RFC 9457), and the gateway's own messages.
//!
//! Every set of problems that an operation answers with one status is a named schema, so that a generated client has a type
//! for it and can branch on all values of `type`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{operations::Operation, problem::KINDS};

const FIELD_ERROR: &str = "FieldError";
const MESSAGE: &str = "Message";
const PROBLEM: &str = "Problem";
const PROBLEM_OR_MESSAGE: &str = "ProblemOrMessage";

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// The schemas that [`responses`] refers to.
pub(super) fn schemas(operations: &[Operation]) -> Map<String, Value> {
    let of_operation = |operation| {
        let sets = problems(operation).into_iter();
        sets.map(move |(status, kinds)| (name(operation, status, &kinds), of_kinds(status, &kinds)))
    };
    let mut schemas: Map<String, Value> = operations.iter().flat_map(of_operation).collect();
    schemas.insert(FIELD_ERROR.to_owned(), field_error_schema());
    schemas.insert(PROBLEM.to_owned(), problem_schema());
    schemas.insert(MESSAGE.to_owned(), message_schema());
    schemas.insert(PROBLEM_OR_MESSAGE.to_owned(), problem_or_message_schema());
    schemas
}

/// The answers of an operation that are no success, by status.
pub(super) fn responses(operation: &Operation) -> impl Iterator<Item = (String, Value)> {
    let problems = problems(operation).into_iter();
    let scope = format!("The token does not have the scope `{}`.", operation.scope);
    let gateway = [
        ("401", gateway("No token, or one that is not good here.")),
        ("403", gateway(&scope)),
        ("429", gateway("Too many requests of this operation at once. Send it again in a moment.")),
    ];
    problems
        .map(|(status, kinds)| (status.to_string(), problem_response(operation, status, &kinds)))
        .chain(gateway.map(|(status, response)| (status.to_owned(), response)))
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

/// `NotFoundProblem` where there is one kind, which is the same for all operations, otherwise `DepositMoneyProblem422`.
fn name(operation: &Operation, status: u16, kinds: &[&str]) -> String {
    let [kind] = kinds else { return format!("{}Problem{status}", operation.id) };
    format!("{}Problem", as_type_name(kind))
}

/// `NotFound` for `not-found`.
fn as_type_name(kind: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    kind.split('-').map(word).collect()
}

/// The gateway has answers of its own where a function cannot answer, and where a body is over its own limit.
fn gateway_answers_too(status: u16) -> bool {
    matches!(status, 413 | 500 | 503)
}

fn of_kinds(status: u16, kinds: &[&str]) -> Value {
    let types: Vec<String> = kinds.iter().map(|kind| format!("/problems/{kind}")).collect();
    let base = if gateway_answers_too(status) { PROBLEM_OR_MESSAGE } else { PROBLEM };
    let lines = kinds_as_list(kinds);
    // Without names, generators call the values `VALUE_0` or `SlashProblemsSlashNotFound`.
    let names: Vec<String> = kinds.iter().map(|kind| as_type_name(kind)).collect();
    let values = json!({ "type": "string", "enum": types, "x-enum-varnames": names });
    let narrowed = json!({ "type": "object", "properties": { "type": values } });
    json!({ "description": lines, "allOf": [reference(base), narrowed] })
}

fn kinds_as_list(kinds: &[&str]) -> String {
    let kinds = KINDS.iter().filter(|kind| kinds.contains(&kind.name));
    kinds.map(|kind| format!("- `{}`: {}.", kind.name, kind.title)).collect::<Vec<_>>().join("\n")
}

fn problem_response(operation: &Operation, status: u16, kinds: &[&str]) -> Value {
    let content = json!({ "schema": reference(&name(operation, status, kinds)) });
    let mut contents = json!({ "application/problem+json": content });
    if gateway_answers_too(status) {
        contents["application/json"] = content;
    }
    let mut response = json!({ "description": kinds_as_list(kinds), "content": contents });
    if status == 503 {
        let description =
            "Seconds to wait before the request is sent again. An answer of the gateway itself does not have it.";
        let schema = json!({ "type": "integer", "minimum": 0 });
        response["headers"] = json!({ "Retry-After": { "description": description, "schema": schema } });
    }
    response
}

fn gateway(description: &str) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": reference(MESSAGE) } } })
}

/// An answer of the gateway itself.
fn message_schema() -> Value {
    json!({
        "type": "object",
        "description": "An answer of the gateway itself.",
        "required": ["message"],
        "properties": { "message": { "type": "string" } },
    })
}

const REQUIRED: [&str; 5] = ["type", "title", "status", "detail", "instance"];

/// RFC 9457, with the members that some problems add.
fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "What went wrong, by RFC 9457.",
        "required": REQUIRED,
        "properties": members(),
    })
}

/// One form for both, so that a generated client reads either without a look at the content type. `if` and `else` keep it
/// exact; generators ignore them.
fn problem_or_message_schema() -> Value {
    let mut members = members();
    members["message"] = text("All that the gateway itself says.");
    json!({
        "type": "object",
        "description": "What went wrong, by RFC 9457; or only a `message`, where the gateway itself answers.",
        "properties": members,
        "if": required(&["message"]),
        "else": required(&REQUIRED),
    })
}

/// Linters want to see what is required among the properties.
fn required(names: &[&str]) -> Value {
    let properties: Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
    json!({ "properties": properties, "required": names })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn field_error_schema() -> Value {
    json!({
        "type": "object",
        "description": "One mistake in the request.",
        "required": ["detail"],
        "properties": {
            "pointer": text("The place in the body, by RFC 6901."),
            "parameter": text("The name of the query parameter."),
            "detail": text("What it must be."),
        },
    })
}

fn members() -> Value {
    json!({
        "type": text("What to branch on."),
        "title": text("The type, for people."),
        "status": { "type": "integer", "description": "The status of the answer." },
        "detail": text("What is wrong, then what to do."),
        "instance": text("The path of the request."),
        "errors": {
            "type": "array",
            "description": "Every mistake in the request.",
            "items": reference(FIELD_ERROR),
        },
        "current_version": { "type": "integer", "format": "int64", "description": "The version that there is." },
        "available": text("How much can be taken out."),
        "balance": text("The account's balance."),
        "currency": text("The currency that was sent."),
        "account_currency": text("The account's currency."),
        "transactions": { "type": "integer", "description": "How many transactions are under way." },
    })
}
