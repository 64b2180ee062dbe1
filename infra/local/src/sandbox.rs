//! One function instance: a process, and the Lambda runtime API that it talks to (Lambda developer guide, "Using the Lambda
//! runtime API"). The API listens for as long as the process lives, on a port of its own.
//!
//! The process ends with the local cloud, however that ends: a dropped sandbox kills it, and after a `kill -9` of the cloud its
//! request for the next invocation breaks off, which ends the runtime client.

use crate::console::Console;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use std::io::Write;
use std::path::{Path as FilePath, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

/// A function has so long to ask for its first invocation (Lambda: init phase).
const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// How to start a process.
#[derive(Debug, Clone)]
pub struct Launch {
    pub function: String,
    pub program: PathBuf,
    pub environment: Vec<(String, String)>,
    pub arn: String,
    pub timeout: Duration,
    pub log_file: Option<PathBuf>,
}

/// Why an invocation has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The process was gone before it took the invocation up: another may.
    NotTaken,
    /// The function says so, or its process ended, or took too long.
    Error { kind: String, message: String },
}

/// One process, idle or at work.
pub struct Sandbox {
    jobs: mpsc::Sender<Job>,
    state: watch::Receiver<Life>,
    /// Dropping it kills the process.
    _kill: oneshot::Sender<()>,
    timeout: Duration,
}

struct Job {
    id: String,
    payload: Bytes,
    taken: oneshot::Sender<()>,
    reply: Reply,
}

type Reply = oneshot::Sender<Result<Bytes, Failure>>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Life {
    Starting,
    Ready,
    Ended(String),
}

/// The server's side of one process.
struct Api {
    jobs: tokio::sync::Mutex<mpsc::Receiver<Job>>,
    current: Mutex<Option<(String, Reply)>>,
    life: watch::Sender<Life>,
    arn: String,
    timeout: Duration,
}

impl Sandbox {
    /// Starts a process and waits until it asks for its first invocation.
    pub async fn start(launch: &Launch, console: &Arc<Console>) -> Result<Self, String> {
        let (jobs, receiver) = mpsc::channel(1);
        let (life, state) = watch::channel(Life::Starting);
        let (kill, killed) = oneshot::channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?.to_string();
        let api = Arc::new(Api {
            jobs: tokio::sync::Mutex::new(receiver),
            current: Mutex::default(),
            life,
            arn: launch.arn.clone(),
            timeout: launch.timeout,
        });
        let mut process = Command::new(&launch.program)
            .env_clear()
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", launch.program.display()))?;
        let last_words = Arc::new(Mutex::new(String::new()));
        let mut readers = Vec::new();
        if let Some(stdout) = process.stdout.take() {
            readers.push(tokio::spawn(follow(stdout, launch.clone(), console.clone(), last_words.clone())));
        }
        if let Some(stderr) = process.stderr.take() {
            readers.push(tokio::spawn(follow(stderr, launch.clone(), console.clone(), last_words.clone())));
        }
        let server = tokio::spawn(serve(listener, api.clone()));
        tokio::spawn(async move {
            let ended = tokio::select! {
                status = process.wait() => status.map_or_else(|error| error.to_string(), |status| status.to_string()),
                _ = killed => { let _ = process.kill().await; "killed".to_owned() }
            };
            server.abort();
            for reader in readers {
                let _ = reader.await;
            }
            let words = last_words.lock().unwrap_or_else(PoisonError::into_inner).clone();
            api.life.send_modify(|life| {
                if !matches!(life, Life::Ended(_)) {
                    *life = Life::Ended(if words.is_empty() { ended } else { format!("{words} ({ended})") });
                }
            });
        });
        let mut sandbox = Self { jobs, state, _kill: kill, timeout: launch.timeout };
        let begun = tokio::time::timeout(INIT_TIMEOUT, sandbox.state.wait_for(|life| *life != Life::Starting)).await;
        match begun.map(|life| life.map(|life| life.clone())) {
            Ok(Ok(Life::Ready)) => Ok(sandbox),
            Ok(Ok(Life::Ended(why))) => Err(format!("function {} stopped at init: {why}", launch.function)),
            Ok(_) => Err(format!("function {} stopped at init", launch.function)),
            Err(_) => Err(format!("function {} did not finish its init within {INIT_TIMEOUT:?}", launch.function)),
        }
    }

    /// Whether it can take an invocation, as far as is known.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        *self.state.borrow() == Life::Ready
    }

    /// Runs one invocation. After an error that is not the function's own the process is gone or must go.
    pub async fn invoke(&mut self, payload: Bytes) -> Result<Bytes, Failure> {
        let ((taken, was_taken), (reply, replied)) = (oneshot::channel(), oneshot::channel());
        let job = Job { id: Uuid::new_v4().to_string(), payload, taken, reply };
        if self.jobs.send(job).await.is_err() {
            return Err(Failure::NotTaken);
        }
        tokio::select! {
            biased;
            Ok(()) = was_taken => {}
            _ = self.state.wait_for(|life| matches!(life, Life::Ended(_))) => return Err(Failure::NotTaken),
        }
        tokio::select! {
            biased;
            Ok(result) = replied => result,
            () = tokio::time::sleep(self.timeout) => {
                Err(Failure::error("Sandbox.Timedout", &format!("Task timed out after {:.2} seconds", self.timeout.as_secs_f64())))
            }
            life = self.state.wait_for(|life| matches!(life, Life::Ended(_))) => {
                let why = life.map(|life| format!("{:?}", *life)).unwrap_or_default();
                Err(Failure::error("Runtime.ExitError", &format!("the process ended: {why}")))
            }
        }
    }
}

impl Failure {
    #[must_use]
    pub fn error(kind: &str, message: &str) -> Self {
        Self::Error { kind: kind.to_owned(), message: message.to_owned() }
    }

    /// Whether the process is of no more use.
    #[must_use]
    pub fn ends_process(&self) -> bool {
        match self {
            Self::NotTaken => true,
            Self::Error { kind, .. } => kind == "Sandbox.Timedout" || kind == "Runtime.ExitError",
        }
    }
}

async fn serve(listener: TcpListener, api: Arc<Api>) {
    let routes = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .layer(axum::extract::DefaultBodyLimit::max(RESPONSE_BYTES_MAX))
        .with_state(api);
    let _ = axum::serve(listener, routes).await;
}

/// Payloads of synchronous invocations (Lambda quota).
const RESPONSE_BYTES_MAX: usize = 6 * 1024 * 1024;

async fn next(State(api): State<Arc<Api>>) -> Response {
    let mut jobs = api.jobs.lock().await;
    api.life.send_if_modified(|life| {
        *life == Life::Starting && {
            *life = Life::Ready;
            true
        }
    });
    let Some(job) = jobs.recv().await else { return StatusCode::GONE.into_response() };
    let deadline = jiff::Timestamp::now().as_millisecond() + i64::try_from(api.timeout.as_millis()).unwrap_or(i64::MAX);
    *api.current.lock().unwrap_or_else(PoisonError::into_inner) = Some((job.id.clone(), job.reply));
    let _ = job.taken.send(());
    let headers = [
        ("lambda-runtime-aws-request-id", job.id.clone()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", api.arn.clone()),
        ("lambda-runtime-trace-id", format!("Root=1-{:08x}-{}", deadline / 1000, &job.id.replace('-', "")[..24])),
        ("content-type", "application/json".to_owned()),
    ];
    (
        headers.map(|(name, value)| (axum::http::HeaderName::from_static(name), value)).into_iter().fold(
            HeaderMap::new(),
            |mut all, (name, value)| {
                if let Ok(value) = value.parse() {
                    all.insert(name, value);
                }
                all
            },
        ),
        job.payload,
    )
        .into_response()
}

fn finish(api: &Api, id: &str, result: Result<Bytes, Failure>) -> StatusCode {
    let mut current = api.current.lock().unwrap_or_else(PoisonError::into_inner);
    match current.take_if(|(of, _)| of == id) {
        Some((_, reply)) => {
            let _ = reply.send(result);
            StatusCode::ACCEPTED
        }
        None => StatusCode::BAD_REQUEST,
    }
}

async fn response(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    finish(&api, &id, Ok(body))
}

async fn error(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    finish(&api, &id, Err(failure(&body)))
}

async fn init_error(State(api): State<Arc<Api>>, body: Bytes) -> StatusCode {
    if let Failure::Error { kind, message } = failure(&body) {
        api.life.send_replace(Life::Ended(format!("{kind}: {message}")));
    }
    StatusCode::ACCEPTED
}

fn failure(body: &[u8]) -> Failure {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    let field = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
    Failure::Error { kind: field("errorType"), message: field("errorMessage") }
}

/// Takes a process's output: all to its log file, what matters to the console.
async fn follow(stream: impl AsyncRead + Unpin, launch: Launch, console: Arc<Console>, last_words: Arc<Mutex<String>>) {
    let mut log = launch.log_file.as_deref().and_then(open_log);
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(log) = &mut log {
            // A full disk must not stop a function.
            let _ = writeln!(log, "{line}");
        }
        let json: Value = serde_json::from_str(&line).unwrap_or_default();
        console.logged(&launch.function, &line, &json);
        if json.is_null() {
            *last_words.lock().unwrap_or_else(PoisonError::into_inner) = line;
        }
    }
}

fn open_log(file: &FilePath) -> Option<std::fs::File> {
    std::fs::OpenOptions::new().create(true).append(true).open(file).ok()
}
