//! The whole cloud, put together: started in the order in which one part needs another, and stopped.

use std::{
    collections::BTreeSet,
    io::ErrorKind,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    binaries::Binaries,
    bus::Bus,
    console::{Console, Progress, Screen, counted},
    data::Data,
    deliveries::Deliveries,
    durable::Durable,
    engine::Engine,
    gateway::{Authorizer, Buckets, Gateway, Routes},
    identity::{self, Identity, Wish},
    lambda::{Endpoints, LogSink, Pool, Pools},
    listener::Listener,
    options::Options,
    policies::{self, Policies},
    queues::Queues,
    schedules,
    secrets::Secrets,
    stream_table,
    streams::Mapping,
    template::{self, Function, Route, StreamMapping, Template, Throttle},
};

/// How often the console looks for what has waited too long.
const SWEEP_INTERVAL: Duration = Duration::from_millis(500);

/// Runs the template until `stop` resolves.
pub async fn run(options: &Options, mut stop: impl Future<Output = ()> + Unpin) -> Result<(), String> {
    let console = Arc::new(Console::new(options.verbose));
    let cloud = tokio::select! {
        cloud = Cloud::start(options, &console) => cloud?,
        () = &mut stop => return Ok(()),
    };
    tokio::select! {
        () = cloud.sweep() => {}
        () = stop => {}
    }
    stop_all(cloud.pools).await;
    console.notice(&format!("stopped; data: {}", cloud.data.describe()));
    Ok(())
}

/// What every part of the cloud needs.
struct Cloud {
    data: Data,
    engine: Engine,
    durable: Arc<Durable>,
    pools: Pools,
    policies: Arc<Policies>,
    console: Arc<Console>,
}

impl Cloud {
    async fn start(options: &Options, console: &Arc<Console>) -> Result<Self, String> {
        let template = template::load(&options.template)?;
        let routes = Routes::new(template.routes.clone())?;
        let policies = Arc::new(Policies::new(&template)?);
        let listeners = Listeners::bind(options).await?;
        let data =
            if options.in_memory { Data::in_memory() } else { Data::in_folder(&options.data_dir, options.reset)? };

        let progress = Progress::new();
        let binaries = Binaries::new(options.no_build)?;
        if binaries.are_built_first() {
            let what = format!("building {}", counted(template.functions.len(), "function"));
            progress.aside(&what, binaries.build(&template.functions)).await?;
        }
        progress.step("opening the tables");
        let engine = Engine::open(&data, &template.tables)?;
        let durable =
            Durable::open(&data.cloud_file()).map_err(|error| format!("cannot open {}: {error}", data.cloud_file()))?;
        let durable = Arc::new(durable);
        let serve = |router, listener| serve_guarded(router, listener, &policies, console);
        serve(engine.clone().router(), listeners.engine);
        serve(Secrets { names: template.secrets.clone(), durable: Arc::clone(&durable) }.router(), listeners.secrets);
        serve(Queues::new(template.queues.clone(), Arc::clone(&durable)).router(), listeners.queues);

        let (lookout, writes) = stream_table::watch_writes(&data.engine_file()).map_err(unreadable)?;
        let mut pools = Pools::new();
        for function in template.functions.clone() {
            let (binary, logs) = (binaries.find(&function)?, log_sink(&data, console, &function)?);
            let (name, endpoints, lookout) = (function.name.clone(), listeners.urls.clone(), lookout.clone());
            pools.insert(name, Arc::new(Pool::new(function, binary, endpoints, logs, lookout, options.concurrency)));
        }
        warm_all(&pools, &progress).await?;
        drop(progress);

        // Before anything new is accepted, which would otherwise be taken for something left, and delivered twice.
        let left = durable.pending().map_err(|error| format!("cannot read the deliveries: {error}"))?;
        let cloud = Self { data, engine, durable, pools, policies, console: Arc::clone(console) };
        let identity = identity(&template, &cloud.data)?;
        let cors = template.cors.clone();
        let mut throttling = template.throttling.clone();
        if let Some(rate) = options.requests_per_second.map(f64::from) {
            throttling.default = Some(Throttle { rate, burst: rate });
        }
        let buckets = Buckets::new(&throttling, template.routes.iter().map(Route::key), Instant::now());
        let bus = template.buses.first().cloned();
        let deliveries = cloud.serve_events(template, listeners.bus, &writes)?;
        cloud.show(&routes, (&listeners.api_url, routes.have_contract()), &listeners.urls, identity.as_ref())?;
        let authorizer = identity.map(|(settings, identity)| (Authorizer::new(settings, &identity), identity));
        let (pools, policies, console) = (cloud.pools.clone(), Arc::clone(&cloud.policies), Arc::clone(console));
        let mut environment = listeners.urls.environment("operator");
        environment.extend(bus.map(|bus| ("EVENT_BUS", bus)));
        let gateway = Gateway { routes, buckets, cors, authorizer, environment, pools, policies, console };
        tokio::spawn(gateway.serve(listeners.api)?);
        cloud.resume(&deliveries, &left);
        Ok(cloud)
    }

    /// Everything that is asynchronous: streams, buses and deliveries.
    fn serve_events(
        &self,
        template: Template,
        bus_listener: Listener,
        writes: &watch::Receiver<i64>,
    ) -> Result<Arc<Deliveries>, String> {
        let deliveries = Deliveries::new(self.pools.clone(), Arc::clone(&self.durable), Arc::clone(&self.console));
        let (durable, console) = (Arc::clone(&self.durable), Arc::clone(&self.console));
        let bus = Bus::new(template.buses, template.rules, durable, Arc::clone(&deliveries), console)?;
        serve_guarded(bus.router(), bus_listener, &self.policies, &self.console);

        for schedule in template.schedules {
            let (durable, console) = (Arc::clone(&self.durable), Arc::clone(&self.console));
            tokio::spawn(schedules::run(schedule, durable, Arc::clone(&deliveries), console));
        }
        self.forget_old_records(&template.mappings).map_err(unreadable)?;
        for mapping in template.mappings {
            let pool = self.pools.get(&mapping.function).map(Arc::clone).ok_or("a stream leads to no function")?;
            let (durable, console) = (Arc::clone(&self.durable), Arc::clone(&self.console));
            tokio::spawn(Mapping::new(mapping, pool, self.engine.clone(), durable, console)?.run(writes.clone()));
        }
        Ok(deliveries)
    }

    /// Trims streams up to where everybody has read them.
    fn forget_old_records(&self, mappings: &[StreamMapping]) -> rusqlite::Result<()> {
        let tables: BTreeSet<_> = mappings.iter().map(|mapping| &mapping.table).collect();
        for table in tables {
            let readers = mappings.iter().filter(|mapping| &mapping.table == table);
            let checkpoints = readers.map(|mapping| self.durable.checkpoint(&mapping.key()));
            let checkpoints: Option<Vec<String>> = checkpoints.collect::<rusqlite::Result<_>>()?;
            if let Some(read_by_all) = checkpoints.and_then(|checkpoints| checkpoints.into_iter().min()) {
                stream_table::trim(&self.data.engine_file(), table, &read_by_all)?;
            }
        }
        Ok(())
    }

    fn show(
        &self,
        routes: &Routes,
        (base_url, has_page): (&str, bool),
        urls: &Endpoints,
        identity: Option<&(template::Authorizer, Identity)>,
    ) -> Result<(), String> {
        let names = identity.map_or(&[][..], |_| &identity::NAMES);
        let token = |name: &&'static str| {
            identity
                .map_or(Ok(String::new()), |(_, identity)| identity.token(name, &Wish::default()))
                .map(|token| (*name, token))
        };
        Screen {
            base_url,
            has_page,
            engine_url: &urls.dynamodb,
            bus_url: &urls.eventbridge,
            data: &self.data.describe(),
            tokens: &names.iter().map(token).collect::<Result<Vec<_>, _>>()?,
            routes: routes.all(),
            waiting: &self.durable.queues().map_err(|error| error.to_string())?,
        }
        .show(&self.console);
        Ok(())
    }

    /// Goes on with the deliveries that an earlier run left.
    fn resume(&self, deliveries: &Arc<Deliveries>, left: &[i64]) {
        if !left.is_empty() {
            self.console.notice(&format!("going on with {} of an earlier run", counted_deliveries(left.len())));
        }
        for id in left {
            deliveries.begin(*id);
        }
    }

    async fn sweep(&self) {
        loop {
            tokio::time::sleep(SWEEP_INTERVAL).await;
            self.console.sweep();
        }
    }
}

/// Where everything listens: on loopback, before anything slow is done, so that a port in use is told at once.
struct Listeners {
    api: Listener,
    engine: Listener,
    bus: Listener,
    secrets: Listener,
    queues: Listener,
    api_url: String,
    urls: Endpoints,
}

impl Listeners {
    async fn bind(options: &Options) -> Result<Self, String> {
        let api = listen(options.port, "--port").await?;
        let engine = listen(options.engine_port, "--engine-port").await?;
        let (bus, secrets, queues) =
            (listen(0, "another").await?, listen(0, "another").await?, listen(0, "another").await?);
        let urls = Endpoints {
            dynamodb: engine.url(),
            eventbridge: bus.url(),
            secrets_manager: secrets.url(),
            sqs: queues.url(),
        };
        Ok(Self { api_url: api.url(), api, engine, bus, secrets, queues, urls })
    }
}

/// Answers a service's requests for ever, as far as they are allowed.
fn serve_guarded(router: Router, listener: Listener, policies: &Arc<Policies>, console: &Arc<Console>) {
    tokio::spawn(listener.serve(policies::guard(router, policies, console), Vec::new()));
}

/// Listens on a port that `option` chooses.
async fn listen(port: u16, option: &str) -> Result<Listener, String> {
    let explain = |error: std::io::Error| match error.kind() {
        ErrorKind::AddrInUse => format!("port {port} is in use; choose another with {option} (0: any free one)"),
        _ => format!("cannot listen on port {port}: {error}"),
    };
    Listener::bind(port).await.map_err(explain)
}

/// Who makes tokens for the template's authorizer, where it has one.
fn identity(template: &Template, data: &Data) -> Result<Option<(template::Authorizer, Identity)>, String> {
    let Some(settings) = template.authorizer.clone() else { return Ok(None) };
    let scopes = template.routes.iter().flat_map(|route| route.scopes.clone());
    let identity = Identity::new(settings.clone(), data.signing_key_file().as_deref())?.with_scopes(scopes);
    Ok(Some((settings, identity)))
}

fn log_sink(data: &Data, console: &Arc<Console>, function: &Function) -> Result<LogSink, String> {
    let console = Arc::clone(console);
    let watcher = Arc::new(move |function: &str, line| console.logged(function, &line));
    let path = data.log_file(&function.name);
    let explain = |error| format!("cannot write the log of {} in {}: {error}", function.name, data.describe());
    LogSink::open(&function.name, path.as_deref(), watcher).map_err(explain)
}

/// Brings a process of every function to its first wait for an invocation, all at once. If one fails, none is left.
async fn warm_all(pools: &Pools, progress: &Progress) -> Result<(), String> {
    let mut starting = JoinSet::new();
    for pool in pools.values().map(Arc::clone) {
        starting.spawn(async move {
            let started = pool.warm().await;
            started.map_err(|error| format!("function {} does not start: {error}", pool.function().name))
        });
    }
    let mut problem = None;
    while let Some(started) = starting.join_next().await {
        progress.step(format!("starting functions {}/{}", pools.len() - starting.len(), pools.len()));
        problem = problem.or(started.map_err(|error| error.to_string()).flatten().err());
    }
    match problem {
        None => Ok(()),
        Some(problem) => {
            stop_all(pools.clone()).await;
            Err(problem)
        }
    }
}

async fn stop_all(pools: Pools) {
    let mut stopping: JoinSet<()> = pools.into_values().map(|pool| async move { pool.stop().await }).collect();
    while stopping.join_next().await.is_some() {}
}

#[expect(clippy::needless_pass_by_value, reason = "so that it can be handed to `map_err`")]
fn unreadable(error: rusqlite::Error) -> String {
    format!("cannot read the streams: {error}")
}

fn counted_deliveries(number: usize) -> String {
    if number == 1 { "1 delivery".to_owned() } else { format!("{number} deliveries") }
}
