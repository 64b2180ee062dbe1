//! API Gateway: an HTTP API in front of the functions.
//!
//! Promises: routes, payloads (format 2.0), limits and its own answers are those of an HTTP API. No web page but
//! those of the template's origins gets an answer, and those only from the API itself. Beside the API it answers `/_local/tokens/{name}` with a token for whoever asks (see `identity`),
//! `/_local/environment` with the variables that lead AWS's tools here, `/_local/permissions` with what functions may do and have done,
//! and, where a route shows the contract, `/` with a page for people.

mod authorizer;
mod cors;
mod request;
mod response;
mod routes;
mod scopes;
mod throttle;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    console::{Console, Served},
    identity::{Identity, Wish},
    lambda::{Event, Failure, PAYLOAD_BYTES_MAX, Pools},
    listener::{Listener, refuse_other_origins},
    names,
    policies::Policies,
    template::Cors,
};
pub use authorizer::Authorizer;
use axum::{
    Json, Router,
    body::to_bytes,
    extract::{ConnectInfo, Path, Query, Request, State},
    http::StatusCode,
    middleware,
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use response::message;
pub use routes::Routes;
use serde_json::{Value, json};
pub use throttle::Buckets;

/// The largest request (API Gateway quota: 10 MB).
const REQUEST_BYTES_MAX: usize = 10 * 1024 * 1024;

/// How long an HTTP API waits for a function (API Gateway quota, not adjustable).
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);

/// The API.
pub struct Gateway {
    pub routes: Routes,
    /// How many requests each route takes.
    pub buckets: Buckets,
    /// Which pages of other origins may call; without it, none.
    pub cors: Option<Cors>,
    /// Who lets requests pass, and who makes the tokens for that; where there is none, all pass.
    pub authorizer: Option<(Authorizer, Identity)>,
    /// The variables with which an operator's tools reach the services.
    pub environment: Vec<(&'static str, String)>,
    pub pools: Pools,
    /// Who may do what.
    pub policies: Arc<Policies>,
    pub console: Arc<Console>,
}

impl Gateway {
    /// Answers requests on `listener` for ever. Pages of the origins that the template names may use the API, and nothing else.
    pub fn serve(self, listener: Listener) -> Result<impl Future<Output = ()> + Send, String> {
        let lines: Vec<_> = self.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let variables = lines.join("\n");
        let own = Router::new()
            .route("/_local/tokens/{name}", get(token))
            .route("/_local/environment", get(|| async { variables }))
            .route("/_local/permissions", get(permissions))
            // Lambda's own API, of which this is all that is played: `aws lambda invoke --endpoint-url`.
            .route("/2015-03-31/functions/{name}/invocations", post(invoke))
            .route_layer(middleware::from_fn(refuse_other_origins));
        let mut router = Router::new();
        if self.routes.have_contract() {
            let page = || async { Html(include_str!("gateway/page.html")) };
            router = router.route("/", get(page).fallback(handle));
        }
        router = router.fallback(handle);
        if let Some(cors) = self.cors.as_ref().map(cors::layer).transpose()? {
            router = router.layer(cors);
        }
        let origins = self.cors.as_ref().map(|cors| cors.origins.clone()).unwrap_or_default();
        Ok(listener.serve(router.merge(own).with_state(Arc::new(self)), origins))
    }
}

/// A synchronous invocation, with an event of the caller's.
async fn invoke(State(gateway): State<Arc<Gateway>>, Path(name): Path<String>, request: Request) -> Response {
    let refused = |status: StatusCode, kind: &str, problem: &str| {
        (status, [("x-amzn-errortype", kind)], Json(json!({ "Message": problem }))).into_response()
    };
    let Some(pool) = gateway.pools.get(&name) else {
        let problem = format!("Function not found: {}", names::function_arn(&name));
        return refused(StatusCode::NOT_FOUND, "ResourceNotFoundException", &problem);
    };
    let Ok(payload) = to_bytes(request.into_body(), PAYLOAD_BYTES_MAX).await else {
        let problem = "The event is over six megabytes.";
        return refused(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", problem);
    };
    match pool.invoke(Event::new(payload), Some(pool.function().timeout)).await {
        Ok(answer) => answer.into_response(),
        Err(Failure::Function(error)) => ([("x-amz-function-error", "Unhandled")], Json(error.payload)).into_response(),
        Err(Failure::Throttled | Failure::Stopping) => {
            refused(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", "Rate Exceeded.")
        }
    }
}

async fn permissions(State(gateway): State<Arc<Gateway>>) -> Json<Value> {
    Json(gateway.policies.report())
}

async fn handle(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let started = Instant::now();
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let route = gateway.routes.find(&method, &path);
    let function = route.as_ref().map(|found| found.route.function.clone());
    let response = match route {
        Some(found) if !gateway.buckets.take(&found.route.key(), started) => {
            message(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests")
        }
        Some(found) => integrate(&gateway, found, request, peer).await,
        None => message(StatusCode::NOT_FOUND, "Not Found"),
    };
    gateway.console.served(&Served {
        method,
        path,
        status: response.status().as_u16(),
        took: started.elapsed(),
        function,
    });
    response
}

/// A token as text, so that a shell can take it up as it is.
async fn token(State(gateway): State<Arc<Gateway>>, Path(name): Path<String>, Query(wish): Query<Wish>) -> Response {
    match &gateway.authorizer {
        Some((_, identity)) => match identity.token(&name, &wish) {
            Ok(token) => token.into_response(),
            Err(problem) => message(StatusCode::INTERNAL_SERVER_ERROR, &problem),
        },
        None => message(StatusCode::NOT_FOUND, "Not Found"),
    }
}

async fn integrate(gateway: &Gateway, found: routes::Found<'_>, request: Request, peer: SocketAddr) -> Response {
    let (head, body) = request.into_parts();
    let caller = match &gateway.authorizer {
        Some((authorizer, _)) => match authorizer.authorize(found.route, &head.headers) {
            Ok(caller) => caller,
            Err(denied) => return denied.response(),
        },
        None => None,
    };
    let Ok(body) = to_bytes(body, REQUEST_BYTES_MAX).await else {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    let Some(pool) = gateway.pools.get(&found.route.function).map(Arc::clone) else {
        return message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");
    };
    let event = Event::new(request::payload(&head, &body, &found, peer, caller).to_string());
    if event.payload.len() > PAYLOAD_BYTES_MAX {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    }
    let request_id = event.request_id.clone();
    let patience = pool.function().timeout;
    // Lambda finishes what it has begun, whether or not the client or API Gateway still waits.
    let invocation = tokio::spawn(async move { pool.invoke(event, Some(patience)).await });
    match tokio::time::timeout(INTEGRATION_TIMEOUT, invocation).await {
        Ok(Ok(Ok(answer))) => response::from_function(&answer, &request_id),
        Ok(Ok(Err(Failure::Function(error)))) => {
            gateway.console.function_failed(&found.route.function, &error);
            message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
        // An HTTP API says the same for a function that is over its concurrency and for one that takes too long.
        Ok(Ok(Err(Failure::Throttled | Failure::Stopping)) | Err(_)) | Err(_) => {
            message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
        }
    }
}
