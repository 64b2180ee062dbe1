//! The processes of one function: one invocation each at a time, reused while they live, up to a limit.

use crate::console::Console;
use crate::names;
use crate::sandbox::{Failure, Launch, Sandbox};
use crate::template::Function;
use axum::body::Bytes;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Every function's processes, by the function's name.
pub type Pools = BTreeMap<String, Arc<Pool>>;

/// The processes of one function.
pub struct Pool {
    launch: Launch,
    idle: Mutex<Vec<Sandbox>>,
    places: Semaphore,
    console: Arc<Console>,
    pub function: Function,
}

/// Where functions find the services that are played here.
#[derive(Debug, Clone)]
pub struct Environment {
    pub dynamodb_url: String,
    pub eventbridge_url: String,
}

/// How often an invocation looks for another process because one was found dead.
const PROCESSES_TRIED_MAX: usize = 8;

impl Pool {
    pub fn new(
        function: Function,
        program: PathBuf,
        environment: &Environment,
        limit: usize,
        log_file: Option<PathBuf>,
        console: Arc<Console>,
    ) -> Result<Self, String> {
        if limit == 0 {
            return Err(format!("function {} may have no process: ReservedConcurrentExecutions is 0", function.name));
        }
        let launch = Launch {
            program,
            environment: variables(&function, environment),
            arn: names::function_arn(&function.name),
            timeout: function.timeout,
            log_file,
            function: function.name.clone(),
        };
        Ok(Self { launch, idle: Mutex::default(), places: Semaphore::new(limit), console, function })
    }

    /// Brings up the first process.
    pub async fn warm(&self) -> Result<(), String> {
        let sandbox = Sandbox::start(&self.launch, &self.console).await?;
        self.idle().push(sandbox);
        Ok(())
    }

    /// Runs one invocation, on an idle process or a new one, waiting up to `patience` for a place.
    pub async fn invoke(&self, payload: Bytes, patience: Duration) -> Result<Bytes, Failure> {
        let waited = tokio::time::timeout(patience, self.places.acquire()).await;
        let Ok(Ok(_place)) = waited else {
            return Err(Failure::error("TooManyRequestsException", "every process of the function is busy"));
        };
        for _ in 0..PROCESSES_TRIED_MAX {
            let idle = self.take_idle();
            let mut sandbox = match idle {
                Some(sandbox) => sandbox,
                None => Sandbox::start(&self.launch, &self.console)
                    .await
                    .map_err(|message| Failure::error("Runtime.InitError", &message))?,
            };
            let result = sandbox.invoke(payload.clone()).await;
            match &result {
                Err(Failure::NotTaken) => continue,
                Err(failure) if failure.ends_process() => {}
                _ => self.idle().push(sandbox),
            }
            return result;
        }
        Err(Failure::error("Runtime.ExitError", "every process was gone before it took the invocation up"))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Sandbox>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_idle(&self) -> Option<Sandbox> {
        let mut idle = self.idle();
        while let Some(sandbox) = idle.pop() {
            if sandbox.is_alive() {
                return Some(sandbox);
            }
        }
        None
    }
}

/// What Lambda puts into a function's environment (developer guide, "Defined runtime environment variables"), what the template
/// adds, and where the services are.
fn variables(function: &Function, environment: &Environment) -> Vec<(String, String)> {
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut all = vec![
        own("PATH", "/usr/local/bin:/usr/bin:/bin"),
        own("_HANDLER", "bootstrap"),
        own("TZ", ":UTC"),
        own("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
        own("AWS_REGION", names::REGION),
        own("AWS_DEFAULT_REGION", names::REGION),
        own("AWS_LAMBDA_FUNCTION_NAME", &function.name),
        own("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        own("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &function.memory_mb.to_string()),
        own("AWS_LAMBDA_LOG_GROUP_NAME", &format!("/aws/lambda/{}", function.name)),
        own("AWS_LAMBDA_LOG_STREAM_NAME", "local"),
        own("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        // Keys that open nothing; each function has its own, as each has its own role.
        own("AWS_ACCESS_KEY_ID", &format!("LOCAL{}", function.name.to_uppercase())),
        own("AWS_SECRET_ACCESS_KEY", "local"),
        own("AWS_ENDPOINT_URL_DYNAMODB", &environment.dynamodb_url),
        own("AWS_ENDPOINT_URL_EVENTBRIDGE", &environment.eventbridge_url),
    ];
    all.extend(function.log_format.iter().map(|format| own("AWS_LAMBDA_LOG_FORMAT", format)));
    all.extend(function.log_level.iter().map(|level| own("AWS_LAMBDA_LOG_LEVEL", level)));
    all.extend(function.environment.clone());
    all
}
