//! All processes of one function.
//!
//! Promises: an idle process is used before a new one is started; there are never more processes than the limit; a process
//! that is gone is replaced when the next invocation needs one, and a function that cannot start is tried once for each
//! invocation and never by itself.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::body::Bytes;
use tokio::sync::{Semaphore, watch};

use super::{
    Event, Failure, FunctionError, LogSink,
    sandbox::{Ended, Endpoints, Sandbox},
};
use crate::{stream_table::Lookout, template::Function};

/// How many processes in a row may be found dead with an event in hand before the invocation fails.
const DELIVERY_ATTEMPTS_MAX: u32 = 5;

/// The processes of every function, by the function's name.
pub type Pools = BTreeMap<String, Arc<Pool>>;

/// The processes of a function.
pub struct Pool {
    function: Function,
    binary: PathBuf,
    endpoints: Endpoints,
    logs: LogSink,
    lookout: Lookout,
    processes_max: u32,
    /// One for each process that may run an invocation.
    places: Semaphore,
    /// Last used, first used: the others may stay asleep.
    idle: Mutex<Vec<Sandbox>>,
    stopping: watch::Sender<bool>,
}

impl Pool {
    /// No process yet, and room for `processes_max`, or less if the function reserves less.
    pub fn new(
        function: Function,
        binary: PathBuf,
        endpoints: Endpoints,
        logs: LogSink,
        lookout: Lookout,
        processes_max: u16,
    ) -> Self {
        let processes_max = function.concurrency.map_or(processes_max, |reserved| reserved.min(processes_max));
        let (places, idle) = (Semaphore::new(usize::from(processes_max)), Mutex::default());
        let stopping = watch::Sender::new(false);
        Self { function, binary, endpoints, logs, lookout, processes_max: processes_max.into(), places, idle, stopping }
    }

    /// The function.
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// Starts a process, so that the first invocation need not wait for one.
    pub async fn warm(&self) -> Result<(), FunctionError> {
        let sandbox = self.start().await?;
        self.idle().push(sandbox);
        Ok(())
    }

    /// Runs the function and waits for its answer. Who is not patient for ever is told after `patience` that every process is
    /// busy, as Lambda tells a caller over the limit.
    pub async fn invoke(&self, event: Event, patience: Option<Duration>) -> Result<Bytes, Failure> {
        let place = self.places.acquire();
        let place = match patience {
            Some(patience) => tokio::time::timeout(patience, place).await.map_err(|_| Failure::Throttled)?,
            None => place.await,
        };
        // The semaphore is never closed.
        let _place = place.map_err(|_| Failure::Stopping)?;
        self.lookout.expect_writes();
        let mut stopping = self.stopping.subscribe();
        tokio::select! {
            biased;
            // What runs is dropped, which kills it.
            _ = stopping.wait_for(|stopping| *stopping) => Err(Failure::Stopping),
            result = self.run(event) => result.map_err(Failure::Function),
        }
    }

    /// Ends every process. Returns when none is left that may still be used.
    pub async fn stop(&self) {
        self.stopping.send_replace(true);
        // All places are free when nothing runs any more.
        let _places = self.places.acquire_many(self.processes_max).await;
        let idle = std::mem::take(&mut *self.idle());
        for sandbox in idle {
            sandbox.end().await;
        }
    }

    async fn run(&self, mut event: Event) -> Result<Bytes, FunctionError> {
        for _ in 0..DELIVERY_ATTEMPTS_MAX {
            let mut sandbox = match self.take_idle() {
                Some(sandbox) => sandbox,
                None => self.start().await?,
            };
            match sandbox.invoke(event, self.function.timeout).await {
                Ended::Answered(answer) => {
                    self.idle().push(sandbox);
                    return answer;
                }
                Ended::Lost(error) => return Err(error),
                Ended::NotDelivered(undelivered) => event = undelivered,
            }
        }
        Err(FunctionError::new("Runtime.ExitError", "every process ended before it took the event"))
    }

    fn take_idle(&self) -> Option<Sandbox> {
        let mut idle = self.idle();
        while let Some(mut sandbox) = idle.pop() {
            if sandbox.is_alive() {
                return Some(sandbox);
            }
        }
        None
    }

    async fn start(&self) -> Result<Sandbox, FunctionError> {
        Sandbox::start(&self.function, &self.binary, &self.endpoints, &self.logs).await
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Sandbox>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
