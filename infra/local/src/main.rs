//! Starts the local cloud, and stops it.

use clap::Parser;
use local::bus::Bus;
use local::console::Console;
use local::data::Data;
use local::durable::Durable;
use local::engine::Engine;
use local::gateway::Gateway;
use local::options::Options;
use local::pool::{Environment, Pool, Pools};
use local::{programs, stream_table, streams, template};
use std::collections::BTreeMap;
use std::future::pending;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), String> {
    let mut stop = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let console = Arc::new(Console::new(options.verbose));
    let template = template::load(&options.template)?;
    let programs = programs::ready(&template.functions, !options.no_build).await?;
    let began = Instant::now();

    let listener = listen(options.port, "--port").await?;
    let engine_listener = listen(options.engine_port, "--engine-port").await?;
    let bus_listener = listen(0, "--port").await?;
    let url = |listener: &TcpListener| {
        listener.local_addr().map(|at| format!("http://{at}")).map_err(|error| error.to_string())
    };
    let (api_url, engine_url, bus_url) = (url(&listener)?, url(&engine_listener)?, url(&bus_listener)?);

    let data = if options.in_memory { Data::in_memory() } else { Data::in_folder(&options.data_dir, options.reset)? };
    let engine = Engine::open(&data, &template.tables)?;
    let durable = Arc::new(
        Durable::open(&data.cloud_file()).map_err(|error| format!("cannot open {}: {error}", data.cloud_file()))?,
    );
    let writes = stream_table::watch_writes(&data.engine_file()).map_err(|error| error.to_string())?;
    tokio::spawn(engine.clone().serve(engine_listener, pending()));

    let environment = Environment { dynamodb_url: engine_url.clone(), eventbridge_url: bus_url };
    let mut pools = BTreeMap::new();
    for function in &template.functions {
        let limit =
            function.concurrency.map_or(usize::from(options.concurrency), usize::from).min(options.concurrency.into());
        let program = programs[&function.binary].clone();
        let log_file = data.log_file(&function.name);
        let pool = Pool::new(function.clone(), program, &environment, limit, log_file, console.clone())?;
        pools.insert(function.name.clone(), Arc::new(pool));
    }
    let pools: Arc<Pools> = Arc::new(pools);
    let bus = Arc::new(Bus::new(&template, pools.clone(), durable.clone(), console.clone())?);
    tokio::spawn(bus.clone().serve(bus_listener));

    console.say(&format!("starting {} functions", pools.len()));
    let starts: Vec<_> = pools.values().cloned().map(|pool| tokio::spawn(async move { pool.warm().await })).collect();
    for start in starts {
        start.await.map_err(|error| error.to_string())??;
    }
    bus.resume()?;
    for mapping in template.mappings.clone() {
        let pool = pools.get(&mapping.function).cloned().ok_or("a mapping without its function")?;
        let feed = streams::Feed::new(mapping, pool, engine.clone(), durable.clone(), bus.clone(), console.clone())?;
        tokio::spawn(feed.run(writes.clone()));
    }
    let gateway = Gateway::new(&template, &pools, console.clone())?;
    tokio::spawn(gateway.serve(listener));
    console.start_screen(&template, &api_url, &engine_url, &data.describe(), began.elapsed());

    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = stop.recv() => {}
    }
    console.say("stopping");
    // Processes go with their pools, which go with this runtime; everything accepted is in the data folder.
    Ok(())
}

async fn listen(port: u16, option: &str) -> Result<TcpListener, String> {
    TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|error| format!("cannot listen on 127.0.0.1:{port} ({error}); choose another with {option}"))
}
