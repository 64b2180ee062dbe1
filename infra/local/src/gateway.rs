//! API Gateway: an HTTP API with the template's routes, payload format 2.0 (API Gateway developer guide, "Working with AWS Lambda
//! proxy integrations for HTTP APIs").

use crate::console::Console;
use crate::names;
use crate::pool::{Pool, Pools};
use crate::sandbox::Failure;
use crate::template::{Route, Template};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use uuid::Uuid;

/// A request's payload (quota of HTTP APIs).
const PAYLOAD_BYTES_MAX: usize = 10 * 1024 * 1024;
/// The integration's time (quota of HTTP APIs).
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);
/// The one user here until tokens are verified.
pub const LOCAL_USER: &str = "local";

/// The API.
pub struct Gateway {
    paths: matchit::Router<Vec<Served>>,
    default: Option<Served>,
    authorizer: bool,
    console: Arc<Console>,
}

#[derive(Clone)]
struct Served {
    route: Route,
    pool: Arc<Pool>,
}

impl Gateway {
    pub fn new(template: &Template, pools: &Pools, console: Arc<Console>) -> Result<Self, String> {
        let (mut paths, mut default) = (matchit::Router::new(), None);
        for routes in template.routes.chunk_by(|a, b| a.path == b.path) {
            let served: Vec<Served> = routes
                .iter()
                .filter_map(|route| Some(Served { route: route.clone(), pool: pools.get(&route.function)?.clone() }))
                .collect();
            let path = &routes[0].path;
            if path == Route::DEFAULT {
                default = served.into_iter().next();
            } else {
                paths.insert(path, served).map_err(|error| format!("the path {path} is not played here: {error}"))?;
            }
        }
        Ok(Self { paths, default, authorizer: template.authorizer.is_some(), console })
    }

    /// Serves the API.
    pub async fn serve(self, listener: TcpListener) {
        let routes = Router::new().fallback(answer).with_state(Arc::new(self));
        let _ = axum::serve(listener, routes).await;
    }

    /// The route of a request, and its path parameters.
    fn route(&self, method: &Method, path: &str) -> Option<(&Served, Map<String, Value>)> {
        if let Ok(found) = self.paths.at(path) {
            let of_method = |wanted: &str| found.value.iter().find(|served| served.route.method == wanted);
            if let Some(served) = of_method(method.as_str()).or_else(|| of_method("ANY")) {
                let decoded = |value: &str| percent_decode_str(value).decode_utf8_lossy().into_owned();
                let parameters = found.params.iter().map(|(name, value)| (name.to_owned(), json!(decoded(value))));
                return Some((served, parameters.collect()));
            }
        }
        self.default.as_ref().map(|served| (served, Map::new()))
    }
}

async fn answer(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let began = Instant::now();
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let Some((served, parameters)) = gateway.route(&parts.method, &path) else {
        return message(StatusCode::NOT_FOUND, "Not Found");
    };
    let Ok(body) = axum::body::to_bytes(body, PAYLOAD_BYTES_MAX).await else {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    let claims = (gateway.authorizer && served.route.authorized).then(|| json!({ "sub": LOCAL_USER, "scope": "" }));
    let event = event(&served.route, &parts.method, &parts.uri, &parts.headers, &parameters, &body, claims.as_ref());
    let payload = Bytes::from(event.to_string());
    let invoked =
        tokio::time::timeout(INTEGRATION_TIMEOUT, served.pool.invoke(payload, served.pool.function.timeout)).await;
    let response = match invoked {
        Ok(Ok(payload)) => respond(&payload),
        Ok(Err(Failure::Error { kind, message: why })) => {
            gateway.console.trouble(&format!("{}: {kind}: {why}", served.route.function));
            let busy = kind == "TooManyRequestsException";
            let status = if busy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
            message(status, if busy { "Service Unavailable" } else { "Internal Server Error" })
        }
        Ok(Err(Failure::NotTaken)) => message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
        Err(_) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
    };
    let correlation_id = response.headers().get("x-correlation-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    gateway.console.answered(parts.method.as_str(), &path, response.status().as_u16(), began.elapsed(), correlation_id);
    response
}

fn message(status: StatusCode, text: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], json!({ "message": text }).to_string()).into_response()
}

/// The payload of a request.
fn event(
    route: &Route,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    parameters: &Map<String, Value>,
    body: &[u8],
    claims: Option<&Value>,
) -> Value {
    let mut lower = Map::new();
    let mut cookies = Vec::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        if name == header::COOKIE {
            cookies.extend(values.flat_map(|value| value.split("; ").map(str::to_owned).collect::<Vec<_>>()));
        } else {
            lower.insert(name.to_string(), json!(values.collect::<Vec<_>>().join(",")));
        }
    }
    let mut query: Map<String, Value> = Map::new();
    for (name, value) in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).map(pair) {
        let joined = match query.get(&name).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value,
        };
        query.insert(name, json!(joined));
    }
    let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let now = jiff::Timestamp::now();
    let mut event = json!({
        "version": "2.0", "routeKey": route.key(), "rawPath": uri.path(), "rawQueryString": uri.query().unwrap_or_default(),
        "headers": lower, "isBase64Encoded": false,
        "requestContext": {
            "accountId": names::ACCOUNT_ID, "apiId": "local", "domainName": header(header::HOST), "domainPrefix": "local",
            "http": {
                "method": method.as_str(), "path": uri.path(), "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
                "userAgent": header(header::USER_AGENT),
            },
            "requestId": Uuid::new_v4(), "routeKey": route.key(), "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(), "timeEpoch": now.as_millisecond(),
        },
    });
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if !query.is_empty() {
        event["queryStringParameters"] = Value::Object(query);
    }
    if !parameters.is_empty() {
        event["pathParameters"] = Value::Object(parameters.clone());
    }
    if let Some(claims) = claims {
        event["requestContext"]["authorizer"] = json!({ "jwt": { "claims": claims, "scopes": null } });
    }
    if !body.is_empty() {
        let text = is_text(header(header::CONTENT_TYPE)).then(|| std::str::from_utf8(body).ok()).flatten();
        event["isBase64Encoded"] = json!(text.is_none());
        event["body"] = text.map_or_else(|| json!(BASE64_STANDARD.encode(body)), |text| json!(text));
    }
    event
}

/// API Gateway hands on text as it is, and everything else encoded.
fn is_text(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || ["application/json", "application/javascript", "application/xml"].contains(&essence.as_str())
}

fn pair(pair: &str) -> (String, String) {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    (decode(name), decode(value))
}

/// The response of a function's payload; one without a status code is the body itself.
fn respond(payload: &[u8]) -> Response {
    let Ok(said) = serde_json::from_slice::<Value>(payload) else {
        return message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");
    };
    let Some(status) = said["statusCode"].as_u64() else {
        return (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], said.to_string()).into_response();
    };
    let text = said["body"].as_str().unwrap_or_default();
    let encoded = said["isBase64Encoded"].as_bool() == Some(true);
    let body = if encoded { BASE64_STANDARD.decode(text).unwrap_or_default() } else { text.as_bytes().to_vec() };
    let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let mut add = |name: &str, value: &Value| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    };
    for (name, value) in said["headers"].as_object().into_iter().flatten() {
        add(name, value);
    }
    for cookie in said["cookies"].as_array().into_iter().flatten() {
        add("set-cookie", cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route() -> Route {
        let (method, path) = ("GET".to_owned(), "/things/{id}".to_owned());
        Route { method, path, function: "f".to_owned(), authorized: true, example: None }
    }

    #[test]
    fn a_request_becomes_a_payload_of_format_2() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("X-One", "a"), ("X-One", "b"), ("cookie", "c=1; d=2"), ("content-type", "application/json")]
        {
            headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_static(value));
        }
        let uri: Uri = "/things/7?a=1&a=2&b=x%20y".parse().unwrap();
        let parameters = json!({ "id": "7" }).as_object().unwrap().clone();
        let claims = json!({ "sub": "s" });
        let event = event(&route(), &Method::GET, &uri, &headers, &parameters, b"{}", Some(&claims));
        assert_eq!(event["routeKey"], "GET /things/{id}");
        assert_eq!(event["headers"]["x-one"], "a,b");
        assert_eq!(event["cookies"], json!(["c=1", "d=2"]));
        assert_eq!(event["queryStringParameters"], json!({ "a": "1,2", "b": "x y" }));
        assert_eq!(event["pathParameters"], json!({ "id": "7" }));
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("{}"), &json!(false)));
        assert_eq!(event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"], "s");
    }

    #[test]
    fn what_is_not_text_is_encoded() {
        let event =
            event(&route(), &Method::GET, &Uri::from_static("/"), &HeaderMap::new(), &Map::new(), &[0xff], None);
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("/w=="), &json!(true)));
    }

    #[test]
    fn a_payload_becomes_a_response() {
        let said =
            json!({ "statusCode": 201, "headers": { "location": "/x" }, "cookies": ["a=1", "b=2"], "body": "hi" });
        let response = respond(said.to_string().as_bytes());
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()["location"], "/x");
        assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
        assert_eq!(respond(b"{\"a\":1}").status(), 200);
        assert_eq!(respond(b"no json").status(), 500);
    }
}
