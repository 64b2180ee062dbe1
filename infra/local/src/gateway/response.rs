//! From a function's answer to the HTTP response: API Gateway's payload format 2.0.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What a function may say of its response. `multiValueHeaders` belongs to format 1.0, but is understood.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Structured {
    status_code: u16,
    #[serde(default)]
    headers: Option<Map<String, Value>>,
    #[serde(default)]
    multi_value_headers: Option<Map<String, Value>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// A response of API Gateway's own.
pub fn message(status: StatusCode, text: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], json!({ "message": text }).to_string()).into_response()
}

/// The response that a function's answer means. One that makes no sense is an internal error to the client.
pub fn from_function(answer: &[u8], request_id: &str) -> Response {
    let mut response = match serde_json::from_slice::<Value>(answer) {
        Ok(value) if value.get("statusCode").is_some() => structured(value),
        Ok(value) => Some(inferred(&value)),
        Err(_) => None,
    }
    .unwrap_or_else(|| message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"));
    if let Ok(request_id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert("apigw-requestid", request_id);
    }
    response
}

/// An answer without a status code is a body.
fn inferred(value: &Value) -> Response {
    let body = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn structured(value: Value) -> Option<Response> {
    let answer: Structured = serde_json::from_value(value).ok()?;
    let body = answer.body.unwrap_or_default();
    let body = if answer.is_base64_encoded { STANDARD.decode(body).ok()? } else { body.into_bytes() };
    let mut response = Response::builder().status(answer.status_code).body(Body::from(body)).ok()?;

    let single = answer.headers.unwrap_or_default().into_iter().map(|(name, value)| (name, vec![value]));
    let multiple = answer.multi_value_headers.unwrap_or_default().into_iter().map(|(name, values)| match values {
        Value::Array(values) => (name, values),
        value => (name, vec![value]),
    });
    let cookies = answer.cookies.unwrap_or_default().into_iter().map(Value::String).collect();
    for (name, values) in single.chain(multiple).chain([(header::SET_COOKIE.to_string(), cookies)]) {
        let name = HeaderName::try_from(name).ok()?;
        // The connection's own headers are the server's business.
        if [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION].contains(&name) {
            continue;
        }
        // Given in both ways, a header comes once, as the later way says.
        if name != header::SET_COOKIE && !values.is_empty() {
            response.headers_mut().remove(&name);
        }
        for value in values {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            response.headers_mut().append(&name, HeaderValue::try_from(text).ok()?);
        }
    }
    if !response.headers().contains_key(header::CONTENT_TYPE) {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=UTF-8"));
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer(value: Value) -> (u16, Vec<(String, String)>, String) {
        let response = from_function(value.to_string().as_bytes(), "id");
        let (head, body) = response.into_parts();
        let headers = head
            .headers
            .iter()
            .filter(|(name, _)| *name != "apigw-requestid")
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (head.status.as_u16(), headers, String::from_utf8(body.to_vec()).unwrap())
    }

    fn header(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[tokio::test]
    async fn a_structured_answer_is_taken_at_its_word() {
        let value = json!({
            "statusCode": 201, "headers": { "Location": "/things/1", "content-type": "application/json" },
            "multiValueHeaders": { "x-many": ["a", "b"], "location": ["/things/1"] },
            "cookies": ["a=1", "b=2"], "body": "{}", "isBase64Encoded": false,
        });
        let (status, mut headers, body) = answer(value).await;
        headers.sort();
        let expected = [
            header("content-type", "application/json"),
            header("location", "/things/1"),
            header("set-cookie", "a=1"),
            header("set-cookie", "b=2"),
            header("x-many", "a"),
            header("x-many", "b"),
        ];
        assert_eq!((status, headers.as_slice(), body.as_str()), (201, expected.as_slice(), "{}"));
    }

    #[tokio::test]
    async fn an_encoded_body_is_decoded_and_text_is_the_default() {
        let (_, headers, body) = answer(json!({ "statusCode": 200, "body": "aGk=", "isBase64Encoded": true })).await;
        assert_eq!((headers, body.as_str()), (vec![header("content-type", "text/plain;charset=UTF-8")], "hi"));
    }

    #[tokio::test]
    async fn an_answer_without_a_status_code_is_the_body() {
        let json = [header("content-type", "application/json")];
        assert_eq!(answer(json!({ "a": 1 })).await, (200, json.to_vec(), r#"{"a":1}"#.to_owned()));
        assert_eq!(answer(json!("hello")).await, (200, json.to_vec(), "hello".to_owned()));
    }

    #[tokio::test]
    async fn an_answer_that_makes_no_sense_is_an_internal_error() {
        for nonsense in [json!({ "statusCode": "much" }), json!({ "statusCode": 200, "body": { "not": "text" } })] {
            let (status, _, body) = answer(nonsense).await;
            assert_eq!((status, body.as_str()), (500, r#"{"message":"Internal Server Error"}"#));
        }
    }
}
