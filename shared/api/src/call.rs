//! One request: who calls, and what they sent along.

mod answer;
mod scopes;

use aggregate::{
    Aggregate, AggregateId, Alphabet, CommandId, CorrelationId, Metadata, TextRule, Timestamp, UserId, Version,
};
use eventing::Host;
use lambda_http::{Request, RequestExt, http::header, request::RequestContext};
use serde::de::DeserializeOwned;

use crate::{CursorKeys, FieldError, Problem, body, id};

pub use answer::{Response, answered, no_content};

/// Rows of a page where the caller does not say how many.
pub const PAGE_ROWS_DEFAULT: usize = 20;
/// Rows of a page at most: what DynamoDB reads as one batch (service quota of `BatchGetItem`).
pub const PAGE_ROWS_MAX: usize = 100;
/// The rule for a client's idempotency key.
pub(crate) const IDEMPOTENCY_KEY: TextRule = TextRule::new(Alphabet::VisibleAscii, 255);
/// The rule for an event's type: twice as many letters as the longest one has today.
pub(crate) const EVENT_TYPE: TextRule = TextRule::new(Alphabet::Letters, 40);

const CORRELATION_ID: &str = "x-correlation-id";

/// The scope of administrators' tokens.
pub const ADMIN_SCOPE: &str = "daybook/admin";

/// A request as API Gateway handed it on (HTTP API, payload format 2.0).
#[derive(Debug)]
pub struct Call {
    request: Request,
    route: String,
    request_id: String,
    correlation_id: Result<CorrelationId, CorrelationId>,
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
        let new_id = || CorrelationId::from(host.new_id());
        // An unusable id is refused later, in an answer that needs an id nevertheless.
        let correlation_id = match request.headers().get(CORRELATION_ID) {
            None => Ok(new_id()),
            Some(text) => text.to_str().ok().and_then(|text| CorrelationId::new(text).ok()).ok_or_else(new_id),
        };
        Self { request, route, request_id, correlation_id }
    }

    /// The route of the template that the request matched, for example `POST /accounts`.
    #[must_use]
    pub fn route(&self) -> &str {
        &self.route
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

    /// The id in the path.
    ///
    /// # Errors
    /// When it is not a UUID in its usual form.
    pub fn id(&self) -> Result<AggregateId, Problem> {
        let parameters = self.request.path_parameters_ref();
        let text = parameters.and_then(|parameters| parameters.first("id")).unwrap_or_default();
        id::parse(text).ok_or_else(Problem::malformed_id)
    }

    /// The body as a `T`.
    ///
    /// # Errors
    /// When it is too large, not declared as JSON, not JSON, or not a `T`.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        body::parse(self.request.headers().get(header::CONTENT_TYPE), self.request.body())
    }

    /// Who and why, for the events that the call leads to.
    ///
    /// # Errors
    /// When the caller is not known, or a header is not of its form.
    pub fn metadata(&self) -> Result<Metadata, Problem> {
        let user_id = self.caller()?;
        let Ok(correlation_id) = self.correlation_id.clone() else {
            let must = CorrelationId::RULE.not_of_form().to_string();
            return Err(Problem::invalid_header("X-Correlation-Id", &must));
        };
        let command_id = self.idempotency_key()?.map(|key| CommandId::from_key(&user_id, key));
        Ok(Metadata { user_id, correlation_id, causation_id: self.request_id.clone(), command_id })
    }

    fn idempotency_key(&self) -> Result<Option<&str>, Problem> {
        let Some(key) = self.request.headers().get("idempotency-key") else { return Ok(None) };
        let key = key.to_str().ok().filter(|key| IDEMPOTENCY_KEY.check(key).is_ok());
        let must = format!("{}, a new UUID for example", IDEMPOTENCY_KEY.not_of_form());
        key.map(Some).ok_or_else(|| Problem::invalid_header("Idempotency-Key", &must))
    }

    /// The version that the caller decided on, from `If-Match`. `*` asks for no version in particular.
    ///
    /// # Errors
    /// When it is not an entity tag of ours.
    fn if_match(&self) -> Result<Option<Version>, Problem> {
        let Some(tag) = self.request.headers().get(header::IF_MATCH) else { return Ok(None) };
        if tag == "*" {
            return Ok(None);
        }
        let version = tag.to_str().ok().and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok());
        version
            .map(Some)
            .ok_or_else(|| Problem::invalid_header("If-Match", "must be an ETag as answered, such as \"3\""))
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
    /// When `If-Match` is not an entity tag of ours.
    pub fn command<C>(
        &self,
        aggregate_id: AggregateId,
        body: C,
        metadata: Metadata,
    ) -> Result<eventing::Command<C>, Problem> {
        let (expected_version, deadline) = (self.if_match()?, self.deadline());
        Ok(eventing::Command { aggregate_id, body, metadata, expected_version, deadline })
    }

    /// How many rows the page may have.
    ///
    /// # Errors
    /// When `limit` is not a number within its bounds.
    pub fn limit(&self) -> Result<usize, Problem> {
        let limit: Option<usize> = self.number("limit")?;
        match limit.unwrap_or(PAGE_ROWS_DEFAULT) {
            limit @ 1..=PAGE_ROWS_MAX => Ok(limit),
            _ => Err(invalid_parameter("limit", &format!("must be a whole number from 1 to {PAGE_ROWS_MAX}"))),
        }
    }

    /// The version that the answer must show at least, from `min_version`.
    ///
    /// # Errors
    /// When it is not a whole number.
    pub fn min_version(&self) -> Result<Option<Version>, Problem> {
        self.number("min_version")
    }

    /// The version to look back to, from `version`.
    ///
    /// # Errors
    /// When it is not a whole number from 1 on.
    pub fn as_of_version(&self) -> Result<Option<Version>, Problem> {
        match self.number("version")? {
            Some(0) => Err(invalid_parameter("version", "must be a whole number from 1 on")),
            version => Ok(version),
        }
    }

    /// An instant, from the parameter `name`.
    ///
    /// # Errors
    /// When it is not of the form of RFC 3339.
    pub fn instant(&self, name: &'static str) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.query(name) else { return Ok(None) };
        let must = "must be an instant by RFC 3339, such as 2026-11-23T09:30:00Z";
        text.parse().map(Some).map_err(|_| invalid_parameter(name, must))
    }

    /// The type of events wanted, from `type`.
    ///
    /// # Errors
    /// When it is not of the form of one.
    pub fn event_type(&self) -> Result<Option<&str>, Problem> {
        let Some(text) = self.query("type") else { return Ok(None) };
        let must = "must be the type of an event, such as MoneyDeposited";
        EVENT_TYPE.check(text).map_err(|_| invalid_parameter("type", must))?;
        Ok(Some(text))
    }

    /// The place in a list to continue after.
    ///
    /// # Errors
    /// When it is not a cursor that this query has answered to this caller.
    pub fn cursor<P: DeserializeOwned>(&self, keys: &CursorKeys) -> Result<Option<P>, Problem> {
        let Some(text) = self.query("cursor") else { return Ok(None) };
        let must = "must be the next_cursor of the same query, unchanged";
        keys.read(&self.whose_query()?, text).map(Some).ok_or_else(|| invalid_parameter("cursor", must))
    }

    /// What a cursor is bound to: who asks, and for which rows. How many of them a page has, and how
    /// fresh it is, may change on the way.
    fn whose_query(&self) -> Result<String, Problem> {
        let parameters = self.request.query_string_parameters_ref();
        let mut parameters: Vec<(&str, &str)> =
            parameters.into_iter().flat_map(|parameters| parameters.iter()).collect();
        parameters.retain(|(name, _)| !["cursor", "limit", "min_version"].contains(name));
        parameters.sort_unstable();
        Ok(format!("{:?}", (self.caller()?.as_str(), self.method_and_path(), parameters)))
    }

    fn number<T: std::str::FromStr>(&self, name: &'static str) -> Result<Option<T>, Problem> {
        let Some(text) = self.query(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| invalid_parameter(name, "must be a whole number"))
    }

    fn query(&self, name: &str) -> Option<&str> {
        self.request.query_string_parameters_ref().and_then(|parameters| parameters.first(name))
    }
}

fn invalid_parameter(name: &'static str, must: &str) -> Problem {
    Problem::invalid_request(&[FieldError::parameter(name, must)])
}

#[cfg(test)]
mod tests {
    use eventing::System;
    use serde_json::{Value, json};

    use super::*;

    fn call(claims: &Value) -> Call {
        let event = json!({
            "version": "2.0", "routeKey": "GET /totals", "rawPath": "/totals", "rawQueryString": "", "headers": {},
            "requestContext": {
                "http": { "method": "GET", "path": "/totals", "protocol": "HTTP/1.1", "sourceIp": "::1", "userAgent": "" },
                "authorizer": { "jwt": { "claims": claims, "scopes": null } }, "timeEpoch": 0,
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
            assert_eq!(call(&claims).admin_only().is_ok(), is_admin, "{claims}");
        }
    }
}
