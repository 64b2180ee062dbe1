//! The command line.

use std::path::{Path, PathBuf};

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

    /// How many requests each route takes a second, and as many at once, instead of what the template says
    /// (its parameter `RequestsPerSecond`). More are answered with 429, as by API Gateway.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub requests_per_second: Option<u32>,

    /// Show everything that functions log.
    #[arg(long, short)]
    pub verbose: bool,
}

impl Options {
    /// Started in a folder below the one with the template, as Cargo can be: that folder's template and data.
    #[must_use]
    pub fn in_repository(mut self) -> Self {
        let here = std::env::current_dir().unwrap_or_default();
        let defaults = Self::parse_from(["local"]);
        if self.template == defaults.template
            && let Some(folder) = folder_with(&here, &self.template)
        {
            self.template = folder.join(&self.template);
            if self.data_dir == defaults.data_dir {
                self.data_dir = folder.join(&self.data_dir);
            }
        }
        self
    }
}

/// The folder above `here` that has `file`; nothing where `here` has it itself.
fn folder_with<'a>(here: &'a Path, file: &Path) -> Option<&'a Path> {
    if here.join(file).exists() {
        return None;
    }
    here.ancestors().skip(1).find(|folder| folder.join(file).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_in_a_folder_above_is_found_and_one_here_comes_first() {
        let above = tempfile::tempdir().unwrap();
        let (here, file) = (above.path().join("a/b"), Path::new("template.yaml"));
        std::fs::create_dir_all(&here).unwrap();
        assert_eq!(folder_with(&here, file), None);
        std::fs::write(above.path().join(file), "").unwrap();
        assert_eq!(folder_with(&here, file), Some(above.path()));
        std::fs::write(here.join(file), "").unwrap();
        assert_eq!(folder_with(&here, file), None);
    }
}
