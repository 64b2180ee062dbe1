//! How AWS's JSON services are asked and answer: the action in a header, JSON in both directions, errors by their type.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The request to do `action`, the only one that is played here; or the answer that says what is wrong with it.
pub async fn request<T: DeserializeOwned>(
    action: &str,
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<T, Response> {
    let asked = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    if asked != action {
        let problem = format!("the local cloud plays {action}, not {asked}");
        return Err(error(StatusCode::BAD_REQUEST, "UnknownOperationException", &problem));
    }
    let Ok(body) = to_bytes(body, bytes_max).await else {
        let problem = "The request is too large.";
        return Err(error(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLargeException", problem));
    };
    serde_json::from_slice(&body)
        .map_err(|problem| error(StatusCode::BAD_REQUEST, "SerializationException", &problem.to_string()))
}

/// An error of type `kind`.
pub fn error(status: StatusCode, kind: &str, message: &str) -> Response {
    respond(status, &json!({ "__type": kind, "message": message }))
}

/// An answer.
pub fn respond(status: StatusCode, body: &Value) -> Response {
    (status, [("content-type", "application/x-amz-json-1.1")], body.to_string()).into_response()
}
