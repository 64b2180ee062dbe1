//! The Lambda runtime API of one process: where it fetches its invocations and leaves its answers.
//!
//! Promises: at most one invocation is with the process at a time; an answer counts only for the invocation that is with it;
//! no other process can take an invocation or answer one.
//! See "Using the Lambda runtime API for custom runtimes" in AWS's guide.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::{
    sync::{Notify, oneshot, watch},
    task::JoinHandle,
};

use super::{Event, FunctionError, PAYLOAD_BYTES_MAX};
use crate::listener::Listener;

/// What a process answered.
pub type Answer = Result<Bytes, FunctionError>;

/// How far a process has come with its initialisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Init {
    Running,
    /// The process has asked for its first invocation.
    Done,
    Failed(FunctionError),
}

/// The API of one process. It stops listening when this is dropped.
#[derive(Debug)]
pub struct RuntimeApi {
    /// The value of `AWS_LAMBDA_RUNTIME_API`. AWS's is a host and a port; runtimes take a URL with a path as well.
    pub address: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    function_arn: String,
    desk: Mutex<Desk>,
    offered: Notify,
    init: watch::Sender<Init>,
}

/// What lies between the two sides.
#[derive(Debug, Default)]
struct Desk {
    /// Not yet fetched.
    offered: Option<Job>,
    /// Fetched, and not yet answered.
    fetched: Option<(String, oneshot::Sender<Answer>)>,
}

#[derive(Debug)]
struct Job {
    event: Event,
    deadline: SystemTime,
    answer: oneshot::Sender<Answer>,
}

impl RuntimeApi {
    /// Listens for one process of the function with this ARN.
    pub async fn listen(function_arn: String) -> std::io::Result<Self> {
        let listener = Listener::bind(0).await?;
        // Whoever does not know the path, which only the process is told, can take no invocation from it.
        let path = format!("/{}", uuid::Uuid::new_v4().simple());
        let address = format!("{}{path}", listener.url());
        let shared = Arc::new(Shared {
            function_arn,
            desk: Mutex::default(),
            offered: Notify::new(),
            init: watch::Sender::new(Init::Running),
        });
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(respond))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(fail))
            .route("/2018-06-01/runtime/init/error", post(fail_init))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(listener.serve(Router::new().nest(&path, routes), Vec::new()));
        Ok(Self { address, shared, server })
    }

    /// How the initialisation ended, once it has.
    pub async fn initialised(&self) -> Init {
        let mut init = self.shared.init.subscribe();
        // The sender lives as long as we do.
        init.wait_for(|init| *init != Init::Running).await.map_or(Init::Done, |init| init.clone())
    }

    /// Lays an event down for the process, which has until `timeout` from now. The answer comes, or the sender goes.
    pub fn offer(&self, event: Event, timeout: Duration) -> oneshot::Receiver<Answer> {
        let (answer, receiver) = oneshot::channel();
        self.shared.desk().offered = Some(Job { event, deadline: SystemTime::now() + timeout, answer });
        self.shared.offered.notify_one();
        receiver
    }

    /// Takes back an event that the process has not fetched.
    pub fn take_back(&self) -> Option<Event> {
        self.shared.desk().offered.take().map(|job| job.event)
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, id: &str, answer: Answer) -> Response {
        let mut desk = self.desk();
        match desk.fetched.take_if(|(fetched, _)| fetched == id) {
            Some((_, sender)) => {
                // Nobody waits any more when the time was up; then the process is on its way out.
                let _ = sender.send(answer);
                accepted()
            }
            None => (StatusCode::BAD_REQUEST, r#"{"errorType":"InvalidRequestID","errorMessage":"not in flight"}"#)
                .into_response(),
        }
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    shared.init.send_if_modified(|init| std::mem::replace(init, Init::Done) == Init::Running);
    loop {
        if let Some(response) = fetch(&shared) {
            return response;
        }
        // A process that goes away drops its connection, and with it this wait.
        shared.offered.notified().await;
    }
}

fn fetch(shared: &Shared) -> Option<Response> {
    let mut desk = shared.desk();
    let Job { event, deadline, answer } = desk.offered.take()?;
    let deadline_ms = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", event.request_id.clone()),
        ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", shared.function_arn.clone()),
        ("lambda-runtime-trace-id", event.trace_id),
    ];
    desk.fetched = Some((event.request_id, answer));
    Some((headers, event.payload).into_response())
}

async fn respond(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Body) -> Response {
    if let Ok(payload) = to_bytes(body, PAYLOAD_BYTES_MAX).await {
        return shared.settle(&id, Ok(payload));
    }
    let problem = format!("Response payload size exceeded maximum allowed payload size ({PAYLOAD_BYTES_MAX} bytes).");
    shared.settle(&id, Err(FunctionError::new("Function.ResponseSizeTooLarge", problem)));
    StatusCode::PAYLOAD_TOO_LARGE.into_response()
}

async fn fail(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> Response {
    shared.settle(&id, Err(FunctionError::reported(&body)))
}

async fn fail_init(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    shared.init.send_replace(Init::Failed(FunctionError::reported(&body)));
    accepted()
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, r#"{"status":"OK"}"#).into_response()
}
