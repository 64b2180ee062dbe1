//! From an HTTP request to the event that a function gets: API Gateway's payload format 2.0.

use std::net::SocketAddr;

use axum::http::{HeaderMap, Version, header, request::Parts};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::routes::Found;
use crate::names;

/// The id of the API. AWS makes up ten characters.
const API_ID: &str = "local";

/// The event for a request that `found` takes, with what the authorizer says of the caller.
pub fn payload(head: &Parts, body: &[u8], found: &Found, peer: SocketAddr, caller: Option<Value>) -> Value {
    let now = Timestamp::now();
    let path = percent_decode_str(head.uri.path()).decode_utf8_lossy();
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let host = header(header::HOST);
    let mut payload = json!({
        "version": "2.0",
        "routeKey": found.route.key(),
        // An HTTP API hands the path on decoded, unlike the query string.
        "rawPath": path,
        "rawQueryString": head.uri.query().unwrap_or_default(),
        "headers": headers(head, host, peer),
        "requestContext": {
            "accountId": names::ACCOUNT_ID,
            "apiId": API_ID,
            "domainName": host,
            "domainPrefix": host.split('.').next(),
            "http": {
                "method": head.method.as_str(),
                "path": path,
                "protocol": if head.version == Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" },
                "sourceIp": peer.ip(),
                "userAgent": header(header::USER_AGENT),
            },
            "requestId": uuid::Uuid::new_v4(),
            "routeKey": found.route.key(),
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "timeEpoch": now.as_millisecond(),
        },
        "isBase64Encoded": false,
    });
    if let Some(caller) = caller {
        payload["requestContext"]["authorizer"] = caller;
    }
    let cookies: Vec<&str> = text_values(&head.headers, header::COOKIE.as_str())
        .flat_map(|value| value.split(';').map(str::trim).filter(|cookie| !cookie.is_empty()))
        .collect();
    if !cookies.is_empty() {
        payload["cookies"] = json!(cookies);
    }
    if let Some(query) = head.uri.query().filter(|query| !query.is_empty()) {
        payload["queryStringParameters"] = query_parameters(query);
    }
    if !found.parameters.is_empty() {
        payload["pathParameters"] =
            found.parameters.iter().cloned().map(|(name, value)| (name, json!(value))).collect();
    }
    if !body.is_empty() {
        if let Some(text) = std::str::from_utf8(body).ok().filter(|_| is_text(header(header::CONTENT_TYPE))) {
            payload["body"] = json!(text);
        } else {
            payload["body"] = json!(STANDARD.encode(body));
            payload["isBase64Encoded"] = json!(true);
        }
    }
    payload
}

/// Headers by their lower-case name, several of one name joined by commas, without cookies and with what API Gateway adds.
fn headers(head: &Parts, host: &str, peer: SocketAddr) -> Value {
    let mut headers = Map::new();
    for name in head.headers.keys().filter(|name| *name != header::COOKIE) {
        headers
            .insert(name.to_string(), json!(text_values(&head.headers, name.as_str()).collect::<Vec<_>>().join(",")));
    }
    let port = host.rsplit_once(':').map_or("80", |(_, port)| port);
    headers.insert("x-forwarded-for".to_owned(), json!(peer.ip()));
    headers.insert("x-forwarded-port".to_owned(), json!(port));
    headers.insert("x-forwarded-proto".to_owned(), json!("http"));
    Value::Object(headers)
}

fn text_values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
}

/// Parameters decoded, several of one name joined by commas.
fn query_parameters(query: &str) -> Value {
    let mut parameters: Map<String, Value> = Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let joined = match parameters.get(&*name).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value.into_owned(),
        };
        parameters.insert(name.into_owned(), json!(joined));
    }
    Value::Object(parameters)
}

/// Whether API Gateway hands a body of this type on as text; everything else is encoded.
fn is_text(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || ["application/json", "application/javascript", "application/xml"].contains(&essence.as_str())
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::{super::routes::Routes, *};
    use crate::template::Route;

    fn event(request: Request<&str>) -> Value {
        let (method, path, function) = ("ANY".to_owned(), "/things/{id}".to_owned(), String::new());
        let routes = Routes::new(vec![Route {
            name: String::new(),
            method,
            path,
            function,
            authorized: true,
            scopes: vec![],
            example: None,
        }])
        .unwrap();
        let (head, body) = request.into_parts();
        let found = routes.find("GET", head.uri.path()).unwrap();
        payload(&head, body.as_bytes(), &found, "127.0.0.1:5000".parse().unwrap(), Some(json!("the caller")))
    }

    #[test]
    fn a_request_becomes_a_payload_of_format_2() {
        let request = Request::builder()
            .method("PUT")
            .uri("/things/a%20b?x=1&y=%C3%A9&x=2&z")
            .header("Host", "127.0.0.1:3000")
            .header("X-Twice", "one")
            .header("x-twice", "two")
            .header("Cookie", "a=1; b=2")
            .header("User-Agent", "test")
            .header("Content-Type", "application/json; charset=utf-8")
            .body(r#"{"n":1}"#)
            .unwrap();
        let mut event = event(request);
        let context = event["requestContext"].as_object_mut().unwrap();
        assert!(context.remove("time").unwrap().as_str().unwrap().ends_with(" +0000"));
        assert!(context.remove("timeEpoch").unwrap().is_i64());
        assert!(context.remove("requestId").unwrap().is_string());
        let expected = json!({
            "version": "2.0",
            "routeKey": "ANY /things/{id}",
            "rawPath": "/things/a b",
            "rawQueryString": "x=1&y=%C3%A9&x=2&z",
            "cookies": ["a=1", "b=2"],
            "headers": {
                "content-type": "application/json; charset=utf-8", "host": "127.0.0.1:3000", "user-agent": "test",
                "x-forwarded-for": "127.0.0.1", "x-forwarded-port": "3000", "x-forwarded-proto": "http", "x-twice": "one,two",
            },
            "queryStringParameters": { "x": "1,2", "y": "é", "z": "" },
            "pathParameters": { "id": "a b" },
            "requestContext": {
                "accountId": "000000000000", "apiId": "local", "domainName": "127.0.0.1:3000", "domainPrefix": "127",
                "http": {
                    "method": "PUT", "path": "/things/a b", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test",
                },
                "routeKey": "ANY /things/{id}", "stage": "$default",
                "authorizer": "the caller",
            },
            "body": "{\"n\":1}",
            "isBase64Encoded": false,
        });
        assert_eq!(event, expected);
    }

    #[test]
    fn what_a_request_does_not_have_is_left_out() {
        let event = event(Request::builder().uri("/things/1").body("").unwrap());
        for absent in ["body", "cookies", "queryStringParameters"] {
            assert!(event.get(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn a_body_that_is_not_text_is_encoded() {
        let request = |content_type: &str| {
            event(Request::builder().uri("/things/1").header("content-type", content_type).body("a=1").unwrap())
        };
        for text in ["text/csv", "application/json", "application/problem+json"] {
            assert_eq!(request(text)["isBase64Encoded"], false, "{text}");
        }
        for binary in ["application/octet-stream", "application/x-www-form-urlencoded"] {
            assert_eq!((&request(binary)["isBase64Encoded"], &request(binary)["body"]), (&json!(true), &json!("YT0x")));
        }
    }
}
