//! What goes back: answers with their headers, problems, and the line in the log.

use std::{
    convert::Infallible,
    future::{Future, ready},
    pin::Pin,
};

use aggregate::{AggregateId, Version};
use eventing::{Executed, Host};
use lambda_http::{
    Body, IntoResponse,
    http::{HeaderValue, StatusCode, header},
};
use serde::Serialize;
use tokio::time::error::Elapsed;

use super::{
    Call,
    headers::{CORRELATION_ID, has_already},
};
use crate::{
    CursorKeys, Problem,
    views::{Changed, PageView},
};

/// Counter: a request could not be answered, through no fault of its caller.
const REQUESTS_FAILED: &str = "RequestsFailed";

/// Says that an answer repeats an earlier one, as Stripe's API does.
const IDEMPOTENT_REPLAYED: &str = "idempotent-replayed";

/// An HTTP answer.
pub type Response = lambda_http::Response<Body>;

/// What a function gives to `lambda_http`: the answer, which is handed on as it is.
///
/// # Errors
/// None: a function of ours answers whatever happens.
#[must_use = "it is for `lambda_http`"]
pub fn answered(response: Response) -> Result<impl IntoResponse, Infallible> {
    Ok(AsItIs(response))
}

/// A bare response would be decoded from any character set there is, whose tables would then be part of every function. Ours
/// is UTF-8.
struct AsItIs(Response);

impl IntoResponse for AsItIs {
    fn into_response(self) -> Pin<Box<dyn Future<Output = Response> + Send>> {
        Box::pin(ready(self.0))
    }
}

/// An empty 204. API Gateway adds the headers of CORS.
#[must_use]
pub fn no_content() -> Response {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

impl Call {
    /// The cursor for the place `next` of this query.
    ///
    /// # Errors
    /// When it does not serialise.
    pub fn next_cursor(&self, keys: &CursorKeys, next: &impl Serialize) -> Result<String, Problem> {
        keys.write(&self.whose_query()?, next).map_err(|error| Problem::internal(&error))
    }

    /// A page of a list, which continues after the place `next`.
    ///
    /// # Errors
    /// When it does not serialise.
    pub fn page<V: Serialize>(
        &self,
        keys: &CursorKeys,
        items: Vec<V>,
        next: Option<impl Serialize>,
    ) -> Result<Response, Problem> {
        let next_cursor = next.map(|place| self.next_cursor(keys, &place)).transpose()?;
        self.json(StatusCode::OK, &PageView { items, next_cursor })
    }

    /// `view` of version `version` with its entity tag, or 304 where the caller has that version already.
    ///
    /// # Errors
    /// When `view` does not serialise.
    pub fn tagged(&self, version: Version, view: &impl Serialize) -> Result<Response, Problem> {
        let tag = format!("\"{version}\"");
        let mut response = if has_already(self.request.headers(), version) {
            let mut response = Response::new(Body::Empty);
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else {
            self.json(StatusCode::OK, view)?
        };
        response.headers_mut().insert(header::ETAG, header_value(&tag));
        Ok(response)
    }

    /// `view` as JSON.
    ///
    /// # Errors
    /// When it does not serialise.
    pub fn json(&self, status: StatusCode, view: &impl Serialize) -> Result<Response, Problem> {
        let body = serde_json::to_string(view).map_err(|error| Problem::internal(&error))?;
        let mut response = Response::new(Body::Text(body));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    }

    /// The answer to a command: the aggregate and its version, which is also its entity tag, and whether it is a repeated answer.
    ///
    /// # Errors
    /// When it does not serialise.
    pub fn changed<E>(&self, id: AggregateId, executed: &Executed<E>) -> Result<Response, Problem> {
        let version = executed.version;
        let mut response = self.json(StatusCode::OK, &Changed { id, version })?;
        response.headers_mut().insert(header::ETAG, header_value(&format!("\"{version}\"")));
        if executed.repeated {
            response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(response)
    }

    /// The answer to a command that makes something, which is then found below `collection`: 201 where it is done, 202 where it
    /// has only begun.
    ///
    /// # Errors
    /// When it does not serialise.
    pub fn created<E>(
        &self,
        status: StatusCode,
        collection: &str,
        id: AggregateId,
        executed: &Executed<E>,
    ) -> Result<Response, Problem> {
        let mut response = self.changed(id, executed)?;
        *response.status_mut() = status;
        let location = format!("{}{collection}/{id}", self.base_path());
        response.headers_mut().insert(header::LOCATION, header_value(&location));
        Ok(response)
    }

    /// The last word: what `work` comes to, as an answer or as a problem, with the correlation id, and a line in the log. What takes
    /// until the function is about to be ended from outside is cut off: the caller is told what to do, which nobody else would.
    pub async fn answer(&self, host: &impl Host, work: impl Future<Output = Result<Response, Problem>>) -> Response {
        let left = host.now().until(self.deadline());
        let outcome = match self.known_parameters() {
            Ok(()) => tokio::time::timeout(left, work).await.unwrap_or_else(|late| Err(self.too_late(&late))),
            Err(problem) => Err(problem),
        };
        let correlation_id = self.correlation.id.as_str();
        if let Err(Some(cause)) = outcome.as_ref().map_err(Problem::cause) {
            metrics::counter!(REQUESTS_FAILED).increment(1);
            tracing::error!(route = self.route, correlation_id, cause, "a request failed");
        }
        let mut response = outcome.unwrap_or_else(|problem| self.problem(&problem));
        response.headers_mut().insert(CORRELATION_ID, header_value(correlation_id));
        // Answers are one person's, and of one moment, where they do not say otherwise.
        let of_one_person = HeaderValue::from_static("private, no-cache");
        response.headers_mut().entry(header::CACHE_CONTROL).or_insert(of_one_person);
        tracing::info!(route = self.route, status = response.status().as_u16(), correlation_id, "answered");
        response
    }

    fn too_late(&self, late: &Elapsed) -> Problem {
        if self.request.method().is_safe() { Problem::unavailable(late) } else { Problem::outcome_unknown(late) }
    }

    fn problem(&self, problem: &Problem) -> Response {
        let body = problem.to_json(self.method_and_path().1).unwrap_or_default();
        let mut response = Response::new(Body::from(String::from_utf8(body).unwrap_or_default()));
        *response.status_mut() = problem.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(allow) = problem.allow() {
            headers.insert(header::ALLOW, header_value(allow));
        }
        if problem.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Every text that comes here is made of visible ASCII.
fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
