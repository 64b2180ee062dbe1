//! `daybook`: what an operator does about a running bank, on AWS and on the local cloud alike.
//!
//! | file | what it does |
//! |---|---|
//! | `connection.rs` | the clients of AWS's services, and errors for tables, queues and buses that are missing |
//! | `models.rs` | one answer for each read model to what verify and rebuild ask |
//! | `report.rs` | what is said of one, in words and as JSON |
//! | `differences.rs` | the attributes that differ, as far as they are nobody's private text |
//! | `rows.rs` | rows of one aggregate each, compared with its events |
//! | `journal.rs` | the journal's entries, compared with all events |
//! | `histories.rs` | every aggregate's history, read in parts side by side, with progress and a place to resume at |
//! | `totals.rs` | the totals, which are sums and so are rebuilt beside the old ones |
//! | `republish.rs` | recorded events, once more on the bus |
//! | `dead_letters.rs` | what could not be handled: listed, shown, redriven |
//!
//! Every command can be stopped anywhere and run again: each single write leaves everything right.

mod connection;
mod dead_letters;
mod differences;
mod histories;
mod journal;
mod models;
mod report;
mod republish;
mod rows;
mod totals;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use connection::Names;
use report::{Model, Report};
use serde::Serialize;

/// Looks after a Daybook: verifies and rebuilds read models, publishes events again, sees to dead letters.
///
/// Takes region and credentials from the environment (`AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
/// `AWS_SESSION_TOKEN`). For a profile: `eval "$(aws configure export-credentials --format env)"`. For the local cloud:
/// `export $(curl -s http://127.0.0.1:3000/_local/environment)`.
#[derive(Debug, Parser)]
#[command(
    name = "daybook",
    version,
    after_help = "Exit status: 0 all is well or put right; 1 something is not; 2 it could not be found out."
)]
struct Options {
    /// What stands before the names of tables and queues: the template's parameter `TablePrefix`.
    #[arg(long, env = "TABLE_PREFIX", default_value = "", global = true)]
    table_prefix: String,
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
        /// The bus.
        #[arg(long, env = "EVENT_BUS")]
        event_bus: String,
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

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Whether what was looked at is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Well,
    NotWell,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = tokio::select! {
        outcome = run(&options) => outcome,
        // Every write is complete in itself, so the work may be dropped anywhere.
        _ = tokio::signal::ctrl_c() => Err("stopped; run the same command again to go on".into()),
    };
    match outcome {
        Ok(Verdict::Well) => ExitCode::SUCCESS,
        Ok(Verdict::NotWell) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {}", eventing::causes(&*error));
            ExitCode::from(2)
        }
    }
}

async fn run(options: &Options) -> Result<Verdict, Error> {
    let names = Names::new(&options.table_prefix);
    let tables = models::Tables::connect(&names)?;
    match &options.command {
        Command::Verify { models, repair, scan } => {
            let models = if models.is_empty() { Model::all() } else { models.clone() };
            tables.check(&models).await?;
            let mut verdict = Verdict::Well;
            if *repair {
                for model in models {
                    verdict = verdict.max(options.report(&tables.repair(model, *scan).await?));
                }
            } else {
                let tell = |report: &Report| verdict = verdict.max(options.report(report));
                tables.verify(&models, *scan, tell).await?;
            }
            Ok(verdict)
        }
        Command::Rebuild { model, scan } => {
            tables.check(&[*model]).await?;
            Ok(options.report(&tables.rebuild(*model, *scan).await?))
        }
        Command::Republish { which, event_bus, scan } => {
            tables.check(&[]).await?;
            let published = republish::run(&tables.store, event_bus, which, *scan).await?;
            options.tell(&published, &format!("{} events published", published.events));
            Ok(Verdict::Well)
        }
        Command::DeadLetters(command) => dead_letters::run(options, &names, &tables, command).await,
    }
}

impl Options {
    /// Tells what a read model has come to.
    fn report(&self, report: &Report) -> Verdict {
        self.tell(report, &report.in_words());
        Verdict::of(report.is_well())
    }

    /// Tells an answer, in words or as one line of JSON.
    fn tell(&self, json: &impl Serialize, words: &str) {
        match serde_json::to_string(json) {
            Ok(json) if self.json => println!("{json}"),
            _ => println!("{words}"),
        }
    }
}
