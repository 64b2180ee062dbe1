//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Runs everything in template.yaml on this machine: the tables, the event bus, the API and every function as its own
/// process. Nothing leaves the machine, and nothing but Rust is needed.
#[derive(Debug, Parser)]
#[command(
    name = "local",
    after_help = "Ctrl-C stops everything. Data stays in the data folder for the next run.\n\n\
        Everything listens on loopback and answers only requests to 127.0.0.1, localhost or [::1]. Web pages reach nothing but the\n\
        API, from the origins of the template's CorsConfiguration. Other users of this machine can reach the ports, not the files.\n\n\
        Retries are quicker than on AWS, so that one can watch them: a function that fails on an event is tried again after\n\
        1 s and 2 s (AWS: 1 min and 2 min), one that fails on a batch of a stream after 0.1 s and then ever longer, up to 5 s."
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Options {
    /// Where the API listens (0: any free port).
    #[arg(long, value_name = "PORT", default_value_t = 3000)]
    pub port: u16,

    /// Where the `DynamoDB` engine listens (0: any free port).
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    pub engine_port: u16,

    /// Where data is kept between runs.
    #[arg(long, value_name = "DIR", default_value = ".daybook")]
    pub data_dir: PathBuf,

    /// Keep all data in memory: nothing is read from the data folder, and nothing written to it.
    #[arg(long)]
    pub in_memory: bool,

    /// Throw away what earlier runs left in the data folder, and begin anew.
    #[arg(long)]
    pub reset: bool,

    /// The template to run.
    #[arg(long, value_name = "FILE", default_value = "template.yaml")]
    pub template: PathBuf,

    /// Run the functions as they were built last.
    #[arg(long)]
    pub no_build: bool,

    /// How many processes one function may have, which is how many invocations of it run at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: u16,

    /// Show everything that functions log.
    #[arg(long, short)]
    pub verbose: bool,
}
