//! One request: who calls, and what they sent along.

mod answer;
mod headers;
mod parameters;
mod scopes;

use aggregate::{Aggregate, AggregateId, CommandId, CorrelationId, Metadata, Timestamp, UserId};
use eventing::Host;
use lambda_http::{Request, RequestExt, http::header, request::RequestContext};

use crate::{FromFields, Problem, body, id};
use headers::Correlation;

pub use answer::{Response, answered, no_content};
pub(crate) use headers::IDEMPOTENCY_KEY_CHARS_MAX;
pub(crate) use parameters::EVENT_TYPE;
pub use parameters::{PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};

/// The scope of administrators' tokens.
pub const ADMIN_SCOPE: &str = "daybook/admin";

/// A request as API Gateway handed it on (HTTP API, payload format 2.0).
#[derive(Debug)]
pub struct Call {
    request: Request,
    route: String,
    request_id: String,
    correlation: Correlation,
}

/// Who reads, and hence what may be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// The caller.
    pub user: UserId,
    is_admin: bool,
}

impl Reader {
    /// Whether what belongs to `owner` may be seen: by the owner, and by administrators.
    #[must_use]
    pub fn may_see(&self, owner: &UserId) -> bool {
        self.is_admin || self.user == *owner
    }

    /// Whether the reader is an administrator, and may see everything.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.is_admin
    }
}

impl Call {
    /// Takes up a request. Nothing is refused yet: each part is checked when it is asked for.
    pub fn new(request: Request, host: &impl Host) -> Self {
        let (route, request_id) = match request.request_context_ref() {
            Some(RequestContext::ApiGatewayV2(context)) => {
                (context.route_key.clone().unwrap_or_default(), context.request_id.clone().unwrap_or_default())
            }
            _ => (String::new(), String::new()),
        };
        let correlation = Correlation::of(request.headers(), host);
        Self { request, route, request_id, correlation }
    }

    /// The route of the template that the request matched, for example `POST /accounts`.
    #[must_use]
    pub fn route(&self) -> &str {
        &self.route
    }

    /// The part of the path before the route's own: the key of an API mapping, or a stage. API Gateway leaves both in the path.
    fn base_path(&self) -> &str {
        let path = self.request.raw_http_path();
        let segments = self.route.split_once(' ').map_or(0, |(_, route)| route.matches('/').count());
        let end = path.trim_end_matches('/').rmatch_indices('/').map(|(place, _)| place).nth(segments.wrapping_sub(1));
        let base = &path[..end.unwrap_or_default()];
        // Anything else, such as `//elsewhere`, would lead away from here.
        let is_base = |segment: &str| !segment.is_empty() && segment.bytes().all(is_of_mapping_key);
        if base.split('/').skip(1).all(is_base) { base } else { "" }
    }

    /// The request's method and path, for a route that takes all.
    #[must_use]
    pub fn method_and_path(&self) -> (&str, &str) {
        (self.request.method().as_str(), self.request.raw_http_path())
    }

    /// Who calls: the subject of the token that the gateway has verified. Never taken from the path, the body or a header.
    ///
    /// # Errors
    /// When the gateway verified none.
    pub fn caller(&self) -> Result<UserId, Problem> {
        self.claim("sub").and_then(|subject| UserId::new(subject).ok()).ok_or_else(Problem::unauthenticated)
    }

    /// Whether the token that the gateway has verified has the scope [`ADMIN_SCOPE`].
    fn is_admin(&self) -> bool {
        scopes::has_scope(|name| self.claim(name), ADMIN_SCOPE)
    }

    /// Who reads.
    ///
    /// # Errors
    /// When the gateway verified nobody.
    pub fn reader(&self) -> Result<Reader, Problem> {
        Ok(Reader { user: self.caller()?, is_admin: self.is_admin() })
    }

    /// Lets only administrators pass.
    ///
    /// # Errors
    /// For everybody else.
    pub fn admin_only(&self) -> Result<(), Problem> {
        if self.is_admin() { Ok(()) } else { Err(Problem::forbidden(ADMIN_SCOPE)) }
    }

    fn claim(&self, name: &str) -> Option<&str> {
        let Some(RequestContext::ApiGatewayV2(context)) = self.request.request_context_ref() else { return None };
        context.authorizer.as_ref()?.jwt.as_ref()?.claims.get(name).map(String::as_str)
    }

    /// A parameter of the path; empty where the route does not have it.
    #[must_use]
    pub fn path_parameter(&self, name: &str) -> &str {
        self.request.path_parameters_ref().and_then(|parameters| parameters.first(name)).unwrap_or_default()
    }

    /// Whether the caller names this media type, as a browser names `text/html`. A wildcard names none.
    #[must_use]
    pub fn accepts(&self, media_type: &str) -> bool {
        let accepted = self.request.headers().get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
        let mut essences = accepted.flat_map(|line| line.split(',')).filter_map(|range| range.split(';').next());
        essences.any(|essence| essence.trim().eq_ignore_ascii_case(media_type))
    }

    /// The id in the path.
    ///
    /// # Errors
    /// When it is not a UUID in its usual form.
    pub fn id(&self) -> Result<AggregateId, Problem> {
        id::parse(self.path_parameter("id")).ok_or_else(Problem::malformed_id)
    }

    /// The body as a `T`.
    ///
    /// # Errors
    /// When it is too large, not declared as JSON, not JSON, or not a `T`.
    pub fn body<T: FromFields>(&self) -> Result<T, Problem> {
        body::parse(self.request.headers().get(header::CONTENT_TYPE), self.request.body())
    }

    /// Who and why, for the events that the call leads to.
    ///
    /// # Errors
    /// When the caller is not known, or a header is not of its form.
    pub fn metadata(&self) -> Result<Metadata, Problem> {
        let user_id = self.caller()?;
        if self.correlation.is_malformed {
            let must = CorrelationId::RULE.not_of_form().to_string();
            return Err(Problem::invalid_header("X-Correlation-Id", &must));
        }
        let correlation_id = self.correlation.id.clone();
        let key = headers::idempotency_key(self.request.headers())?;
        let command_id = key.map(|key| CommandId::from_key(&user_id, &key));
        Ok(Metadata { user_id, correlation_id, causation_id: self.request_id.clone(), command_id })
    }

    /// When the answer is no longer of use.
    fn deadline(&self) -> Timestamp {
        eventing::deadline(self.request.lambda_context_ref().map_or(u64::MAX, |context| context.deadline))
    }

    /// The id of an aggregate that the call makes. With an idempotency key it follows from the key, so that a repetition meets its
    /// own aggregate.
    #[must_use]
    pub fn new_id<A: Aggregate>(metadata: &Metadata, host: &impl Host) -> AggregateId {
        match metadata.command_id {
            Some(command_id) => command_id.creates(A::TYPE),
            None => AggregateId(host.new_id()),
        }
    }

    /// `body` as a command on an aggregate, with the version that the caller decided on and the time there is.
    ///
    /// # Errors
    /// When `If-Match` is malformed.
    pub fn command<C>(
        &self,
        aggregate_id: AggregateId,
        body: C,
        metadata: Metadata,
    ) -> Result<eventing::Command<C>, Problem> {
        let expected_version = headers::expected_version(self.request.headers())?;
        let deadline = self.deadline();
        Ok(eventing::Command { aggregate_id, body, metadata, expected_version, deadline })
    }
}

/// The characters of an API mapping's key (API Gateway developer guide, "Map API stages to a custom domain name for HTTP APIs").
fn is_of_mapping_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"$-_.+!*'()".contains(&byte)
}

#[cfg(test)]
mod tests {
    use eventing::System;
    use serde_json::{Value, json};

    use super::*;

    fn call(route: &str, path: &str, query: &str, claims: &Value) -> Call {
        let event = json!({
            "version": "2.0", "routeKey": route, "rawPath": path, "rawQueryString": query, "headers": {},
            "requestContext": {
                "http": { "method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "::1", "userAgent": "" },
                "authorizer": { "jwt": { "claims": claims, "scopes": null } }, "timeEpoch": 0, "routeKey": route,
            },
            "isBase64Encoded": false,
        });
        Call::new(lambda_http::request::from_str(&event.to_string()).expect("a request"), &System)
    }

    #[test]
    fn an_administrator_is_whom_the_gateway_takes_for_one() {
        let tokens = include_str!("../../../infra/local/src/gateway/scopes.json");
        let tokens: Vec<Value> = serde_json::from_str(tokens).expect("a table of tokens");
        for token in tokens {
            let mut claims = token["handed_on"].clone();
            claims["sub"] = json!("a");
            let is_admin = token["scopes"].as_array().expect("scopes").contains(&json!(ADMIN_SCOPE));
            assert_eq!(call("GET /totals", "/totals", "", &claims).admin_only().is_ok(), is_admin, "{claims}");
        }
    }

    #[test]
    fn links_keep_what_stands_before_the_route() {
        for (route, path, base) in [
            ("POST /accounts", "/accounts", ""),
            ("POST /accounts", "/accounts/", ""),
            ("POST /accounts", "/bank/accounts", "/bank"),
            ("POST /accounts", "/bank/v1/accounts", "/bank/v1"),
            ("GET /accounts/{id}", "/dev/accounts/7", "/dev"),
            ("POST /accounts/{id}/deposits", "/$a-b_c.d/accounts/7/deposits", "/$a-b_c.d"),
            ("POST /accounts/{id}/deposits", "/accounts/7/deposits", ""),
            ("POST /accounts", "//evil.example/accounts", ""),
            ("POST /accounts", "/\\evil.example/accounts", ""),
            ("POST /accounts", "/a b/accounts", ""),
            ("POST /accounts", "/%0a/accounts", ""),
            ("$default", "/bank/accounts", ""),
            ("", "", ""),
        ] {
            assert_eq!(call(route, path, "", &json!({})).base_path(), base, "{route} {path}");
        }
    }

    #[test]
    fn a_parameter_is_known_and_there_once_or_is_named() {
        let wrong = |route, query| {
            let problem = call(route, "/", query, &json!({})).known_parameters().err()?;
            let problem: Value = problem.to_value().unwrap();
            let errors = problem["errors"].as_array().unwrap().iter();
            Some(errors.map(|error| error["parameter"].as_str().unwrap().to_owned()).collect::<Vec<_>>())
        };
        for good in ["", "limit=3", "limit=3&cursor=x", "cursor=&limit="] {
            assert_eq!(wrong("GET /accounts", good), None, "{good}");
        }
        for (query, named) in [
            ("limt=3", vec!["limt"]),
            ("Limit=3", vec!["Limit"]),
            ("limit=3&b=1&a=2", vec!["a", "b"]),
            ("limit=3&limit=4", vec!["limit"]),
            ("limit=3&limit=3", vec!["limit"]),
            ("limit", vec![]),
            ("=x", vec![""]),
            ("limit=3&%6cimit=4", vec!["limit"]),
            ("%ff=1", vec!["\u{fffd}"]),
        ] {
            assert_eq!(wrong("GET /accounts", query).unwrap_or_default(), named, "{query}");
        }
        assert_eq!(wrong("POST /accounts", "limit=3"), Some(vec!["limit".to_owned()]));
        assert_eq!(wrong("GET /accounts/{id}", "version=1&at=2026-01-01T00:00:00Z&min_version=1"), None);
    }
}
