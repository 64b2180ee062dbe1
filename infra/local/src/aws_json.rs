//! How AWS's JSON services are asked and answer: the action in a header, JSON in both directions, errors by their type.

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// What is asked for.
pub fn action(headers: &HeaderMap) -> &str {
    headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default()
}

/// The request to do `action`, which is what is played here; or the answer that says what is wrong with it.
pub async fn request<T: DeserializeOwned>(
    action: &str,
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<T, Box<Response>> {
    let asked = self::action(headers);
    if asked != action {
        let problem = format!("the local cloud plays {action}, not {asked}");
        return Err(error(StatusCode::BAD_REQUEST, "UnknownOperationException", &problem).into());
    }
    let Ok(body) = to_bytes(body, bytes_max).await else {
        let problem = "The request is too large.";
        return Err(error(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLargeException", problem).into());
    };
    serde_json::from_slice(&body)
        .map_err(|problem| error(StatusCode::BAD_REQUEST, "SerializationException", &problem.to_string()).into())
}

/// An error of type `kind`.
pub fn error(status: StatusCode, kind: &str, message: &str) -> Response {
    respond(status, &json!({ "__type": kind, "message": message }))
}

/// An answer.
pub fn respond(status: StatusCode, body: &Value) -> Response {
    (status, [("content-type", "application/x-amz-json-1.1")], body.to_string()).into_response()
}
