//! Decides which requests are let in.

use std::time::Duration;

use axum::{
    BoxError,
    body::{Body, Bytes, HttpBody, to_bytes},
    extract::Request,
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Version,
        header::{CONNECTION, CONTENT_TYPE, HOST, ORIGIN},
        request::Parts,
        uri::Authority,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
/// The names under which a machine reaches itself.
const LOOPBACK_HOSTS: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// The largest request line with all header values ("Quotas for configuring and running an HTTP API", API Gateway).
const HEAD_BYTES_MAX: usize = 10_240;

/// The largest body that any service takes: `BatchWriteItem` of DynamoDB (service quota). Most have a smaller limit of their
/// own.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How a browser tells what page a request comes from ("Fetch Metadata Request Headers", W3C).
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// The rules of a listener.
pub struct Admission {
    /// Origins whose pages may send requests, beside the listener's own; `*` is every origin.
    pub other_origins: Vec<String>,
    /// How long a body may take to arrive.
    pub read_timeout: Duration,
}

/// The reason why a request does not come in, with the status code.
pub type Refusal = (StatusCode, &'static str);

impl Admission {
    /// Reads the whole request if it may come in.
    pub async fn admit<B>(&self, request: Request<B>) -> Result<Request, Refusal>
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let (head, body) = request.into_parts();
        check_head(&head)
            .and_then(|()| check_host(&head))
            .and_then(|()| check_origin(&head.headers, &self.other_origins))?;
        match tokio::time::timeout(self.read_timeout, to_bytes(Body::new(body), BODY_BYTES_MAX)).await {
            Ok(Ok(body)) => Ok(Request::from_parts(head, Body::from(body))),
            Ok(Err(_)) => {
                Err((StatusCode::PAYLOAD_TOO_LARGE, "The body of the request is too large, or it was cut off."))
            }
            Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "The body of the request did not arrive in time.")),
        }
    }
}

/// Lets pages of other origins send no request at all, for routes beside an API whose own routes they may use.
pub async fn refuse_other_origins(request: Request, next: Next) -> Response {
    match check_origin(request.headers(), &[]) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refuse(refusal),
    }
}

fn check_head(head: &Parts) -> Result<(), Refusal> {
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let line = head.method.as_str().len() + target + "  HTTP/1.1".len();
    let values: usize = head.headers.values().map(HeaderValue::len).sum();
    if line + values > HEAD_BYTES_MAX {
        let reason = "The request line and the header values have more than 10,240 bytes together.";
        return Err((StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, reason));
    }
    if head.version > Version::HTTP_11 || head.method == Method::CONNECT {
        return Err((StatusCode::BAD_REQUEST, "The local cloud speaks HTTP/1.1 and is no proxy."));
    }
    Ok(())
}

/// Whoever rebinds a name of theirs to loopback has their pages send that name.
fn check_host(head: &Parts) -> Result<(), Refusal> {
    const MALFORMED: Refusal = (StatusCode::BAD_REQUEST, "The request needs one Host header with a host and a port.");
    let mut hosts = head.headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(MALFORMED) };
    let host: Authority = host.to_str().ok().and_then(|host| host.parse().ok()).ok_or(MALFORMED)?;
    for authority in [&host].into_iter().chain(head.uri.authority()) {
        let (name, port) = (authority.host(), authority.as_str().strip_prefix(authority.host()));
        let port = port.ok_or(MALFORMED)?;
        let has_port = port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
        if name.is_empty() || !(port.is_empty() || has_port) {
            return Err(MALFORMED);
        }
        if !LOOPBACK_HOSTS.iter().any(|loopback| loopback.eq_ignore_ascii_case(name)) {
            let reason = "The local cloud answers only requests to 127.0.0.1, localhost or [::1], so that no web site \
                          reaches it under a name of its own. Use one of these.";
            return Err((StatusCode::MISDIRECTED_REQUEST, reason));
        }
    }
    Ok(())
}

/// A page may send requests to where it comes from and, if its origin is one of `others`, here as well. A program that is no
/// browser sends neither header.
fn check_origin(headers: &HeaderMap, others: &[String]) -> Result<(), Refusal> {
    const FOREIGN: Refusal = (
        StatusCode::FORBIDDEN,
        "The local cloud answers no page of another origin, so that no web site reaches it. The API itself answers pages of \
         the origins in the template's CorsConfiguration.",
    );
    let own = headers.get(HOST).map(|host| [b"http://", host.as_bytes()].concat().to_ascii_lowercase());
    let origins: Vec<&[u8]> = headers.get_all(ORIGIN).iter().map(HeaderValue::as_bytes).collect();
    let is_own = |origin: &[u8]| own.as_deref() == Some(origin);
    let is_other = |origin: &[u8]| others.iter().any(|other| other == "*" || other.as_bytes() == origin);
    if !origins.iter().all(|origin| is_own(origin) || is_other(origin)) {
        return Err(FOREIGN);
    }
    // A request without an origin, for an image or a link, may come from anywhere.
    let from_other = !origins.is_empty() && origins.iter().all(|origin| is_other(origin));
    let is_at_home = |site: &[u8]| [b"same-origin".as_slice(), b"none"].contains(&site);
    if headers.get_all(SEC_FETCH_SITE).iter().all(|site| from_other || is_at_home(site.as_bytes())) {
        Ok(())
    } else {
        Err(FOREIGN)
    }
}

/// Says why in plain text, and ends the connection, on which something unread may follow.
pub fn refuse((status, reason): Refusal) -> Response {
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CONNECTION, "close")];
    (status, headers, format!("{reason}\n")).into_response()
}
