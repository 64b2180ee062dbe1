//! `daybook`: what an operator does about a running bank, on AWS and on the local cloud alike.
//!
//! | file | what it does |
//! |---|---|
//! | `connection.rs` | the local cloud or AWS: credentials, clients, and the names of what is used there |
//! | `models.rs` | one answer for each read model to what verify and rebuild ask |
//! | `report.rs` | what is said of one, in words and as JSON |
//! | `differences.rs` | the attributes that differ, as far as they are nobody's private text |
//! | `rows.rs` | rows of one aggregate each, compared with its events |
//! | `journal.rs` | the journal's entries, compared with all events |
//! | `histories.rs` | every aggregate's history, read in parts side by side, with progress and a place to resume at |
//! | `totals.rs` | the totals, which are sums and so are rebuilt beside the old ones |
//! | `republish.rs` | recorded events, once more on the bus |
//! | `dead_letters.rs` | what could not be handled: listed, shown, redriven |
//! | `output.rs` | all printing |
//!
//! Every command can be stopped anywhere and run again: each single write leaves everything right.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "they panic; see `output.rs`")]

mod connection;
mod dead_letters;
mod differences;
mod histories;
mod journal;
#[cfg(test)]
mod loops;
mod models;
mod output;
mod report;
mod republish;
mod rows;
mod totals;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use connection::{Connection, Target};
use output::{Unwritten, note};
use report::{Model, Report};
use serde::Serialize;
use signal_hook::{consts::SIGINT, iterator::Signals};

/// Looks after a Daybook: verifies and rebuilds read models, publishes events again, sees to dead letters.
///
/// `--local` leads to the local cloud. Otherwise region and credentials come from where AWS's own tools take them: the
/// environment, `--profile` and `~/.aws`, single sign-on (after `aws sso login`), a container or an instance.
#[derive(Debug, Parser)]
#[command(
    name = "daybook",
    version,
    after_help = "Exit status: 0 all is well or put right; 1 something is not; 2 it could not be found out."
)]
struct Options {
    #[command(flatten)]
    target: Target,
    /// Answers as JSON on the standard output; without it, in words.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compares every row of the read models with the events, byte for byte.
    Verify {
        /// Which ones; all where none is named.
        models: Vec<Model>,
        /// Puts right what differs, and nothing else.
        #[arg(long)]
        repair: bool,
        #[command(flatten)]
        scan: Scan,
    },
    /// Makes a read model anew from the events, while everything goes on. Old rows are served until the new ones are there.
    Rebuild {
        /// Which one.
        model: Model,
        #[command(flatten)]
        scan: Scan,
    },
    /// Publishes recorded events once more; whoever has had them knows them by their ids.
    Republish {
        #[command(flatten)]
        which: republish::Which,
        #[command(flatten)]
        to: republish::To,
        #[command(flatten)]
        scan: Scan,
    },
    /// What could not be handled and waits for somebody.
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
}

/// How the events table is read.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Scan {
    /// Parts of the events table that are read side by side.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    segments: u16,
}

impl Verdict {
    fn of(is_well: bool) -> Self {
        if is_well { Self::Well } else { Self::NotWell }
    }
}

/// The exit status where it could not be found out whether all is well.
const NOT_FOUND_OUT: u8 = 2;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Whether what was looked at is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Well,
    NotWell,
    /// Of some of it, it could not be found out.
    NotFoundOut,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match end_at_interrupt() {
        Ok(()) => run(&options).await,
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(Verdict::Well) => ExitCode::SUCCESS,
        Ok(Verdict::NotWell) => ExitCode::FAILURE,
        Ok(Verdict::NotFoundOut) => ExitCode::from(NOT_FOUND_OUT),
        Err(error) => {
            // Whoever closed the pipe does not want to know.
            if !error.downcast_ref::<Unwritten>().is_some_and(Unwritten::is_closed_pipe) {
                note(&format!("error: {}", eventing::causes(&*error)));
            }
            ExitCode::from(NOT_FOUND_OUT)
        }
    }
}

/// Ends the program at Ctrl-C. Every write is complete in itself, so that may be anywhere.
fn end_at_interrupt() -> std::io::Result<()> {
    let mut interrupts = Signals::new([SIGINT])?;
    std::thread::spawn(move || {
        if interrupts.forever().next().is_some() {
            note("error: stopped; run the same command again to go on");
            std::process::exit(NOT_FOUND_OUT.into());
        }
    });
    Ok(())
}

async fn run(options: &Options) -> Result<Verdict, Error> {
    let connection = Connection::open(&options.target).await?;
    let tables = models::Tables::new(&connection);
    match &options.command {
        Command::Verify { models, repair, scan } => {
            let models = if models.is_empty() { Model::all() } else { models.clone() };
            tables.check(&models).await?;
            let mut verdict = Verdict::Well;
            if *repair {
                for model in models {
                    verdict = verdict.max(options.report(&tables.repair(model, *scan).await?)?);
                }
            } else {
                let tell = |report: &Report| {
                    verdict = verdict.max(options.report(report)?);
                    Ok(())
                };
                tables.verify(&models, *scan, tell).await?;
            }
            Ok(verdict)
        }
        Command::Rebuild { model, scan } => {
            tables.check(&[*model]).await?;
            options.report(&tables.rebuild(*model, *scan).await?)
        }
        Command::Republish { which, to, scan } => {
            tables.check(&[]).await?;
            let bus = to.connect(&connection).await?;
            let published = republish::run(&tables.store, &bus, which, *scan).await?;
            options.tell(&published, &format!("{} events published", published.events))?;
            Ok(Verdict::Well)
        }
        Command::DeadLetters(command) => dead_letters::run(options, &connection, &tables, command).await,
    }
}

impl Options {
    /// Tells what a read model has come to.
    fn report(&self, report: &Report) -> Result<Verdict, Error> {
        self.tell(report, &report.in_words())?;
        Ok(report.verdict())
    }

    /// Tells an answer, in words or as one line of JSON.
    fn tell(&self, json: &impl Serialize, words: &str) -> Result<(), Error> {
        if self.json { Ok(output::line(&serde_json::to_string(json)?)?) } else { Ok(output::line(words)?) }
    }
}
