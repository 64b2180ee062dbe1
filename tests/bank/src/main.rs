//! The bank test: a whole local cloud on a disk, clients over HTTP who ask again until they know the outcome, and somebody who
//! kills functions and the local cloud itself. In the end everything is checked from outside: what clients were told,
//! what the API shows, and what the tables hold. Exits with 1 where anything does not hold.

mod checks;
mod clients;
mod cloud;

use std::{
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use clap::Parser;
use clients::Told;
use cloud::Cloud;

/// Runs the bank while its processes are killed, and checks that no money is lost or invented.
#[derive(Debug, Parser)]
struct Options {
    /// How long clients go on.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Clients at once.
    #[arg(long, default_value_t = 8)]
    clients: u64,
    /// Accounts; the first is hot.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(2..))]
    accounts: u64,
    /// How often something is killed.
    #[arg(long, default_value_t = 1_500)]
    kill_every_ms: u64,
    /// Of so many kills, one is of the local cloud itself.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    cloud_every: u64,
}

/// Opens accounts, lets clients and the killer loose, and gives what clients were told.
fn run(options: &Options, cloud: &Cloud) -> Result<Told, String> {
    let accounts = clients::open_accounts(cloud, options.accounts)?;
    let (goes_on, began) = (AtomicBool::new(true), Instant::now());
    let told = std::thread::scope(|scope| {
        let client = |number| {
            let (accounts, goes_on) = (&accounts, &goes_on);
            scope.spawn(move || clients::client(cloud, number, accounts, goes_on))
        };
        let clients: Vec<_> = (0..options.clients).map(client).collect();
        let administrator = scope.spawn(|| clients::administrator(cloud, &accounts, &goes_on));
        let killer = scope.spawn(|| {
            for number in 1.. {
                std::thread::sleep(Duration::from_millis(options.kill_every_ms));
                if !goes_on.load(Ordering::Relaxed) {
                    return Ok(());
                }
                if number % options.cloud_every == 0 { cloud.kill_itself()? } else { cloud.kill_a_function()? }
            }
            Ok::<(), String>(())
        });
        std::thread::sleep(Duration::from_secs(options.seconds));
        goes_on.store(false, Ordering::Relaxed);
        let join = |told: std::thread::ScopedJoinHandle<'_, Result<Told, String>>| {
            told.join().map_err(|_| "a client panicked")
        };
        let told = clients.into_iter().map(join).collect::<Vec<_>>();
        killer.join().map_err(|_| "the killer panicked")??;
        administrator.join().map_err(|_| "the administrator panicked")??;
        told.into_iter().try_fold(Told::new(accounts.clone()), |all, told| Ok::<_, String>(all.with(told??)))
    })?;
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{} transactions, {} deposits, {} withdrawals, {} refusals, {} requests in {seconds:.0} s; {} functions and {} clouds killed",
        told.transactions.len(),
        told.deposits,
        told.withdrawals,
        told.refusals,
        told.requests,
        cloud.functions_killed(),
        cloud.clouds_killed(),
    );
    Ok(told)
}

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = Cloud::start().and_then(|cloud| {
        let told = run(&options, &cloud)?;
        checks::check(&cloud, &told)
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            println!("does not hold: {problem}");
            ExitCode::FAILURE
        }
    }
}
