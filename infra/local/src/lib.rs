//! The local cloud: runs a SAM template on one machine, as it would run on AWS.
//!
//! What it plays: API Gateway (`gateway`), Lambda (`lambda`), DynamoDB (`engine`) and its streams (`streams`), EventBridge
//! (`bus`), asynchronous invocation (`deliveries`), Secrets Manager (`secrets`), and SQS for what failed (`queues`). Everything that it knows of the
//! application comes from the template. It listens on loopback only and needs no account, no container and no network.
//!
//! A program; it is a library only so that tests may read the template and have secrets as it does.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "text from outside is escaped: see `console`")]

mod aws_json;
mod binaries;
mod bus;
mod cloud;
mod console;
mod data;
mod deliveries;
mod durable;
mod engine;
mod gateway;
mod identity;
mod lambda;
mod listener;
mod names;
mod options;
mod patterns;
mod policies;
mod queues;
mod schedules;
mod secrets;
mod stream_table;
mod streams;
pub mod template;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use options::Options;
pub use secrets::Secrets;
use tokio::signal::unix::{SignalKind, signal};

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|command| command == lambda::LAUNCH_COMMAND) {
        tell(&format!("cannot start the function: {}", lambda::launch(arguments)));
        return ExitCode::FAILURE;
    }
    match start(&Options::parse().in_repository()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            tell(&format!("error: {problem}"));
            ExitCode::FAILURE
        }
    }
}

/// Tells on the standard error why the program ends.
fn tell(problem: &str) {
    // Nobody may be there to read it.
    let _ = writeln!(io::stderr(), "{}", terminal::lines(problem));
}

#[tokio::main]
async fn start(options: &Options) -> Result<(), String> {
    let stop = stop_signal().map_err(|error| format!("cannot listen for signals: {error}"))?;
    cloud::run(options, stop).await
}

/// Resolves when somebody wants the local cloud to end: Ctrl-C, a polite kill, or a terminal that closes.
fn stop_signal() -> io::Result<impl Future<Output = ()> + Unpin> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(Box::pin(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    }))
}
