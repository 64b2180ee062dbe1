//! The bank under every fault at once. A seed decides everything: one thread runs the real command execution, publishing,
//! projection, process manager, sweep and queries over faulty services, checks every invariant at every event, stops the faults, and
//! sees that all comes to rest. Exits with 1 where a seed fails, and says how to see it again.

mod answers;
mod exhaustive;
mod functions;
mod machine;
mod mutants;
mod outside;
mod ports;
mod queries;
mod readers;
mod replicas;
mod run;
mod tables;
mod workload;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use machine::Machine;
use mutants::Mutant;
use run::{Report, run};
use workload::Scenario;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tries the bank under faults, seed by seed.
#[derive(Debug, Parser)]
struct Options {
    /// How many seeds.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first seed; alone, the only one, with its trace.
    #[arg(long)]
    seed: Option<u64>,
    /// Takes one guard away, to see that it is missed.
    #[arg(long)]
    mutant: Option<Mutant>,
    /// Tries everything that can go wrong at every point of small scenarios, instead of seeds.
    #[arg(long, conflicts_with_all = ["seed", "twice"])]
    exhaustive: bool,
    /// Runs every seed twice, and compares.
    #[arg(long)]
    twice: bool,
}

/// Runs something on a machine; the message of what does not hold.
fn attempt(machine: &Machine, run: &dyn Fn(&Machine) -> Report) -> Result<Report, String> {
    catch_unwind(AssertUnwindSafe(|| run(machine))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}

/// Runs a seed.
fn try_seed(seed: u64, mutant: Option<Mutant>, traced: bool) -> (Machine, Result<Report, String>) {
    let machine = Machine::new(seed, traced);
    let outcome = attempt(&machine, &|machine| run(machine, mutant));
    (machine, outcome)
}

fn exhaustive(mutant: Option<Mutant>) -> ExitCode {
    let mut failures = 0;
    for scenario in Scenario::ALL {
        let tried = exhaustive::try_everything(scenario, mutant, attempt);
        let (points, single, pairs) = (tried.points, tried.single, tried.pairs);
        println!(
            "{scenario:?}: {points} points, {single} single faults, {pairs} pairs of kills, {} failures",
            tried.failures.len()
        );
        tried.failures.iter().take(5).for_each(|failure| println!("  {failure}"));
        failures += tried.failures.len();
    }
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn main() -> ExitCode {
    let options = Options::parse();
    std::panic::set_hook(Box::new(|_| {}));
    if options.exhaustive {
        return exhaustive(options.mutant);
    }
    let alone = options.seed.is_some() && !std::env::args().any(|argument| argument.starts_with("--seeds"));
    let first = options.seed.unwrap_or(0);
    let seeds = if alone { 1 } else { options.seeds };
    let (began, next) = (Instant::now(), AtomicU64::new(first));
    let [failures, faults, events, points] = [const { AtomicU64::new(0) }; 4];
    // Where somebody looks: a soak takes an hour.
    let bar = ProgressBar::new(seeds).with_style(bar_style());
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= first + seeds || (options.mutant.is_some() && failures.load(Ordering::Relaxed) > 0) {
            return;
        }
        let (machine, outcome) = try_seed(seed, options.mutant, alone);
        let outcome = outcome.and_then(|report| {
            if options.twice && try_seed(seed, options.mutant, false).1 != Ok(report) {
                return Err("I19: two runs of one seed differ".to_owned());
            }
            Ok(report)
        });
        bar.suspend(|| machine.trace().iter().for_each(|line| println!("{line}")));
        bar.inc(1);
        match outcome {
            Ok(report) => {
                faults.fetch_add(report.faults, Ordering::Relaxed);
                events.fetch_add(report.events, Ordering::Relaxed);
                points.fetch_add(report.points, Ordering::Relaxed);
            }
            Err(message) => {
                failures.fetch_add(1, Ordering::Relaxed);
                let mutant = options.mutant.map(|mutant| format!(" --mutant {}", name(mutant))).unwrap_or_default();
                let again = format!("cargo run --profile fast -p simulator -- --seed {seed}{mutant}");
                bar.suspend(|| println!("seed {seed} fails: {message}\n  {again}"));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from).min(usize::try_from(seeds).unwrap_or(1))
        {
            scope.spawn(work);
        }
    });
    bar.finish_and_clear();
    let [failures, faults, events, points] = [failures, faults, events, points].map(AtomicU64::into_inner);
    println!(
        "seeds {seeds} failures {failures} faults {faults} events {events} points {points} seconds {:.1}",
        began.elapsed().as_secs_f64()
    );
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn bar_style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} seeds, {eta} left");
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn name(mutant: Mutant) -> String {
    clap::ValueEnum::to_possible_value(&mutant).map(|value| value.get_name().to_owned()).unwrap_or_default()
}
