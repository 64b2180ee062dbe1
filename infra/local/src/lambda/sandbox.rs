//! One process of a function, from its start to its end.
//!
//! Promises: the process sees the environment that Lambda would give it and nothing of ours but `PATH`; it is killed when its
//! time is up, when it is dropped, and, on Linux, by the kernel when the local cloud dies in whatever way. Elsewhere it ends
//! when its next request to the runtime API finds nobody.

use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use axum::body::Bytes;
use tokio::{
    process::{Child, Command},
    task::JoinHandle,
};

use super::{
    Event, FunctionError,
    logs::{Level, LogSink},
    runtime_api::{Init, RuntimeApi},
};
use crate::{names, template::Function};

/// How long a process may take to ask for its first invocation (Lambda's limit for initialisation).
const INIT_MAX: Duration = Duration::from_secs(10);

/// How long a process that reported a failed initialisation is given to end by itself.
const EXIT_GRACE: Duration = Duration::from_millis(200);

/// The hidden first argument with which the local cloud starts itself in place of a function. See [`launch`].
pub const LAUNCH_COMMAND: &str = "__launch";

/// Where a process finds the services.
#[derive(Debug, Clone)]
pub struct Endpoints {
    pub dynamodb: String,
    pub eventbridge: String,
    pub secrets_manager: String,
    pub sqs: String,
}

impl Endpoints {
    /// The variables with which AWS's SDKs reach the services, as `caller`.
    pub fn environment(&self, caller: &str) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_REGION", names::REGION.to_owned()),
            ("AWS_DEFAULT_REGION", names::REGION.to_owned()),
            // The key id names the caller, so that the services know who calls.
            ("AWS_ACCESS_KEY_ID", format!("local-{caller}")),
            ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
            ("AWS_SESSION_TOKEN", "local".to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb.clone()),
            ("AWS_ENDPOINT_URL_EVENTBRIDGE", self.eventbridge.clone()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.secrets_manager.clone()),
            ("AWS_ENDPOINT_URL_SQS", self.sqs.clone()),
        ]
    }
}

/// A process.
#[derive(Debug)]
pub struct Sandbox {
    child: Child,
    api: RuntimeApi,
    /// Its standard error, with its last words at the end.
    stderr: Option<JoinHandle<Vec<String>>>,
}

/// How an invocation ended.
#[derive(Debug)]
pub enum Ended {
    /// The process answered and takes the next one.
    Answered(Result<Bytes, FunctionError>),
    /// The process is gone, and with it the invocation.
    Lost(FunctionError),
    /// The process was gone before it had seen the event, which another one may have.
    NotDelivered(Event),
}

impl Sandbox {
    /// Starts a process of `function` and waits for it to ask for an invocation.
    pub async fn start(
        function: &Function,
        binary: &Path,
        endpoints: &Endpoints,
        logs: &LogSink,
    ) -> Result<Self, FunctionError> {
        let failed = |error: io::Error| {
            FunctionError::new("Runtime.InvalidEntrypoint", format!("{}: {error}", binary.display()))
        };
        let api = RuntimeApi::listen(names::function_arn(&function.name)).await.map_err(failed)?;
        let mut command = command(binary).map_err(failed)?;
        command
            .env_clear()
            .envs(environment(function, binary, endpoints))
            .env("AWS_LAMBDA_RUNTIME_API", &api.address)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C on the terminal is for the local cloud, which then ends its functions itself.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(logs.clone().drain(stdout, Level::Info));
        }
        // Where panics go, and the error that `main` returns.
        let stderr = child.stderr.take().map(|stderr| tokio::spawn(logs.clone().drain(stderr, Level::Error)));
        let mut sandbox = Self { child, api, stderr };
        sandbox.initialised().await?;
        Ok(sandbox)
    }

    /// Whether the process still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Has the process handle an event. After anything but [`Ended::Answered`] the process is gone.
    pub async fn invoke(&mut self, event: Event, timeout: Duration) -> Ended {
        let request_id = event.request_id.clone();
        let mut answer = self.api.offer(event, timeout);
        tokio::select! {
            // An answer counts even if the process ends right after it.
            biased;
            Ok(answer) = &mut answer => Ended::Answered(answer),
            status = self.child.wait() => match self.api.take_back() {
                Some(event) => Ended::NotDelivered(event),
                None => Ended::Lost(FunctionError::new(
                    "Runtime.ExitError",
                    format!("RequestId: {request_id} Error: Runtime exited with error: {}", describe(status)),
                )),
            },
            () = tokio::time::sleep(timeout) => {
                self.kill().await;
                let seconds = timeout.as_secs_f64();
                Ended::Lost(FunctionError::new("Sandbox.Timedout", format!("RequestId: {request_id} Error: Task timed out after {seconds:.2} seconds")))
            }
        }
    }

    /// Ends the process, and waits until it is gone.
    pub async fn end(mut self) {
        self.kill().await;
    }

    async fn initialised(&mut self) -> Result<(), FunctionError> {
        let problem = tokio::select! {
            biased;
            init = self.api.initialised() => match init {
                Init::Failed(error) => error,
                Init::Running | Init::Done => return Ok(()),
            },
            status = self.child.wait() => {
                let last_words = self.last_words().await;
                let message = last_words.unwrap_or_else(|| format!("ended before its first invocation: {}", describe(status)));
                FunctionError::new("Runtime.ExitError", message)
            }
            () = tokio::time::sleep(INIT_MAX) => {
                FunctionError::new("Sandbox.Timedout", format!("asked for no invocation within {} seconds", INIT_MAX.as_secs()))
            }
        };
        // What it still has to say reaches its logs.
        let _ = tokio::time::timeout(EXIT_GRACE, self.child.wait()).await;
        self.kill().await;
        Err(problem)
    }

    async fn last_words(&mut self) -> Option<String> {
        // A child of the process may hold the pipe open; then there are none.
        let last_words = tokio::time::timeout(EXIT_GRACE, self.stderr.take()?).await.ok()?.ok()?;
        (!last_words.is_empty()).then(|| last_words.join(" "))
    }

    async fn kill(&mut self) {
        // It can only fail for a process that is gone already.
        let _ = self.child.kill().await;
    }
}

/// The command that runs a function's binary. On Linux it is the local cloud itself, which turns into the binary once it
/// has arranged for its own death; see [`launch`].
fn command(binary: &Path) -> io::Result<Command> {
    if !cfg!(target_os = "linux") {
        return Ok(Command::new(binary));
    }
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(LAUNCH_COMMAND).arg(std::process::id().to_string()).arg(binary);
    Ok(command)
}

/// Turns this process into a function's binary that the kernel kills when the process with the id `parent` dies.
///
/// The kernel's wish for that has to be made by the child, between fork and exec, where Rust allows only unsafe code. So the
/// local cloud starts itself with [`LAUNCH_COMMAND`], makes the wish as an ordinary program, and replaces itself; the wish
/// survives that. It never returns but with the error that kept it from it.
pub fn launch(mut arguments: impl Iterator<Item = OsString>) -> io::Error {
    let (Some(parent), Some(binary)) = (arguments.next(), arguments.next().map(PathBuf::from)) else {
        return io::Error::new(io::ErrorKind::InvalidInput, "takes the id of the local cloud's process and a binary");
    };
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)) {
        return error.into();
    }
    // It may have died before the wish was made.
    if parent.to_str() != Some(std::os::unix::process::parent_id().to_string().as_str()) {
        return io::Error::other("the local cloud is gone");
    }
    std::process::Command::new(binary).exec()
}

/// "Defined runtime environment variables" of AWS's guide, the template's variables, and where the services are. An OS-only
/// runtime such as `provided.al2023` has no `AWS_EXECUTION_ENV`.
fn environment(function: &Function, binary: &Path, endpoints: &Endpoints) -> Vec<(String, OsString)> {
    let name = &function.name;
    let own = [
        ("_HANDLER", "bootstrap".to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME", name.clone()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory_mb.to_string()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}")),
        ("AWS_LAMBDA_LOG_STREAM_NAME", format!("local/[$LATEST]{}", uuid::Uuid::new_v4().simple())),
        ("TZ", ":UTC".to_owned()),
    ];
    let mut environment: Vec<(String, OsString)> =
        own.into_iter().chain(endpoints.environment(name)).map(|(key, value)| (key.to_owned(), value.into())).collect();
    for (key, value) in [("AWS_LAMBDA_LOG_FORMAT", &function.log_format), ("AWS_LAMBDA_LOG_LEVEL", &function.log_level)]
    {
        environment.extend(value.as_ref().map(|value| (key.to_owned(), value.into())));
    }
    environment.extend(binary.parent().map(|folder| ("LAMBDA_TASK_ROOT".to_owned(), folder.into())));
    environment.extend(std::env::var_os("PATH").map(|path| ("PATH".to_owned(), path)));
    environment.extend(function.environment.iter().map(|(key, value)| (key.clone(), value.into())));
    environment
}

fn describe(status: io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}
