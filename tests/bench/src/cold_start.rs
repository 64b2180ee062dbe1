//! What a cold start costs: every function's release binary against the floor, a function that does nothing. The size of what
//! is uploaded, the start until the first `next`, the first answer, and the most memory.
//!
//! The two run in turn, so that whatever else the machine does hits both, and medians are compared. Time of the processor is the
//! figure to trust on a machine with other work. DynamoDB is an engine in this process, over plain HTTP.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use local::template::Function;
use serde_json::{Value, json};
use tests::{Engine, repository};
use tokio::{net::TcpListener, sync::mpsc};

/// The package of `tests/floor`.
const FLOOR: &str = "floor";
const PATIENCE: Duration = Duration::from_secs(30);

/// What there is to measure, and how often.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Functions; all of the template if none is named
    functions: Vec<String>,
    /// How often each is started
    #[arg(long, default_value_t = 21)]
    runs: usize,
    /// Where the binaries are; builds them with --release where this is not given
    #[arg(long)]
    binaries: Option<PathBuf>,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// One start.
#[derive(Debug, Clone, Copy)]
struct Sample {
    init_ms: f64,
    init_cpu_ms: f64,
    answer_ms: f64,
    all_cpu_ms: f64,
    peak_kib: f64,
}

/// Measures, and prints a table.
pub async fn measure(options: &Options) {
    let template = local::template::load(&repository().join("template.yaml")).unwrap();
    let chosen = |function: &&Function| options.functions.is_empty() || options.functions.contains(&function.binary);
    let functions: Vec<&Function> = template.functions.iter().filter(chosen).collect();
    let binaries = options.binaries.clone().unwrap_or_else(|| build(&functions));
    let engine = Engine::start().await;
    let mut rows = Vec::new();
    for function in functions {
        let event = fs::read(repository().join(format!("infra/events/{}.json", function.binary))).unwrap();
        let mut samples = [Vec::new(), Vec::new()];
        // The first of each is not counted: it reads the binary from the disk.
        for run in 0..=options.runs {
            for (samples, binary) in samples.iter_mut().zip([FLOOR, &function.binary]) {
                let sample = start(&binaries.join(binary), function, &event, &engine.url).await;
                samples.extend((run > 0).then_some(sample));
            }
        }
        let sizes = [FLOOR, &function.binary].map(|name| zipped_kib(&binaries.join(name)));
        rows.push(row(&function.binary, sizes, &samples));
    }
    if options.json {
        println!("{}", Value::Array(rows));
        return;
    }
    println!("Each column: the function, and how many times the floor that is\n");
    let columns = ["zipped KiB", "init ms", "init CPU ms", "first answer ms", "CPU ms until then", "peak KiB"];
    println!("{:<23}{}", "", columns.map(|name| format!("{name:>19}")).concat());
    for row in rows {
        let cell =
            |name: &&str| format!("{:>12.1} x{:>4.2} ", number(&row[name]["value"]), number(&row[name]["ratio"]));
        println!("{:<23}{}", row["function"].as_str().unwrap(), columns.iter().map(cell).collect::<String>());
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn row(function: &str, sizes: [f64; 2], samples: &[Vec<Sample>; 2]) -> Value {
    let compared = |[floor, value]: [f64; 2]| json!({ "value": value, "floor": floor, "ratio": value / floor });
    let medians = |figure: fn(&Sample) -> f64| compared([&samples[0], &samples[1]].map(|of| median(of, figure)));
    json!({
        "function": function,
        "zipped KiB": compared(sizes),
        "init ms": medians(|sample| sample.init_ms),
        "init CPU ms": medians(|sample| sample.init_cpu_ms),
        "first answer ms": medians(|sample| sample.answer_ms),
        "CPU ms until then": medians(|sample| sample.all_cpu_ms),
        "peak KiB": medians(|sample| sample.peak_kib),
    })
}

fn median(samples: &[Sample], figure: fn(&Sample) -> f64) -> f64 {
    let mut figures: Vec<f64> = samples.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The release binaries, as one build makes them.
fn build(functions: &[&Function]) -> PathBuf {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "--package", FLOOR]).current_dir(repository());
    build.args(functions.iter().flat_map(|function| ["--package", &function.binary]));
    assert!(build.status().unwrap().success(), "the functions do not build");
    repository().join("target/release")
}

/// A zip file is the deflated binary and some 130 bytes.
fn zipped_kib(binary: &Path) -> f64 {
    let zipped = Command::new("gzip").args(["-9", "--stdout"]).arg(binary).output().unwrap().stdout;
    f64::from(u32::try_from(zipped.len()).unwrap()) / 1024.0
}

/// The runtime API of one process, and the services beside DynamoDB that a first invocation may need.
struct Runtime {
    event: Vec<u8>,
    handed_out: AtomicBool,
    pid: OnceLock<u32>,
    /// When the process asked for work or answered, and what it had used by then.
    reached: mpsc::UnboundedSender<(Instant, f64, f64)>,
}

async fn start(binary: &Path, function: &Function, event: &[u8], engine: &str) -> Sample {
    let (reached, mut steps) = mpsc::unbounded_channel();
    let runtime =
        Arc::new(Runtime { event: event.to_vec(), handed_out: AtomicBool::new(false), pid: OnceLock::new(), reached });
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/1/response", post(answered))
        .route("/", post(service))
        .fallback(failed)
        .with_state(runtime.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
    let began = Instant::now();
    let mut process = Command::new(binary)
        .env_clear()
        .envs(&function.environment)
        // The floor needs it, whatever the function reads.
        .env("EVENTS_TABLE", "events")
        .envs([("AWS_LAMBDA_FUNCTION_NAME", function.name.as_str()), ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")])
        .envs([("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"), ("AWS_LAMBDA_RUNTIME_API", here.as_str())])
        .envs([("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")])
        .env("AWS_ENDPOINT_URL_DYNAMODB", engine)
        .env("AWS_ENDPOINT_URL_EVENTBRIDGE", format!("http://{here}"))
        .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", format!("http://{here}"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    runtime.pid.set(process.id()).unwrap();
    let mut step = async || {
        let step = tokio::time::timeout(PATIENCE, steps.recv()).await;
        step.unwrap_or_else(|_| panic!("{} does not go on", binary.display())).unwrap()
    };
    let (ready, init_cpu_ms, _) = step().await;
    let (done, all_cpu_ms, peak_kib) = step().await;
    process.kill().unwrap();
    process.wait().unwrap();
    server.abort();
    let ms = |from: Instant, to: Instant| to.duration_since(from).as_secs_f64() * 1_000.0;
    Sample { init_ms: ms(began, ready), init_cpu_ms, answer_ms: ms(ready, done), all_cpu_ms, peak_kib }
}

async fn next(State(runtime): State<Arc<Runtime>>) -> Response {
    let now = Instant::now();
    if runtime.handed_out.swap(true, Ordering::Relaxed) {
        // There is nothing more to do.
        std::future::pending::<()>().await;
    }
    let _ = runtime.reached.send(used(&runtime, now));
    let deadline = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap() + PATIENCE;
    let headers = [
        ("lambda-runtime-aws-request-id", "1".to_owned()),
        ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:f".to_owned()),
        ("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000".to_owned()),
    ];
    (headers, runtime.event.clone()).into_response()
}

async fn answered(State(runtime): State<Arc<Runtime>>) {
    let _ = runtime.reached.send(used(&runtime, Instant::now()));
}

/// An error of the function's, at init or at the event. Nobody waits for its answer.
async fn failed(body: String) {
    eprintln!("the function says {body}");
}

/// EventBridge and Secrets Manager, as far as a first invocation goes.
async fn service(headers: HeaderMap, body: Bytes) -> String {
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let entries = asked["Entries"].as_array().map_or(0, Vec::len);
    let answer = match headers["x-amz-target"].to_str().unwrap() {
        "AWSEvents.PutEvents" => json!({ "FailedEntryCount": 0, "Entries": vec![json!({ "EventId": "1" }); entries] }),
        "secretsmanager.GetSecretValue" => {
            json!({ "SecretString": "a key that signs cursors, and nothing else does", "VersionId": "1" })
        }
        other => panic!("nobody answers {other}"),
    };
    answer.to_string()
}

/// The moment, the milliseconds on a processor so far, all threads together, and the most KiB resident so far.
fn used(runtime: &Runtime, now: Instant) -> (Instant, f64, f64) {
    let process = PathBuf::from(format!("/proc/{}", runtime.pid.wait()));
    let threads = fs::read_dir(process.join("task")).unwrap().map(|thread| thread.unwrap().path());
    let on_cpu = |thread: PathBuf| first_number(&fs::read_to_string(thread.join("schedstat")).unwrap());
    let nanoseconds: f64 = threads.map(on_cpu).sum();
    let status = fs::read_to_string(process.join("status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map_or(0.0, first_number);
    (now, nanoseconds / 1e6, peak)
}

fn first_number(text: &str) -> f64 {
    text.split_whitespace().next().unwrap().parse().unwrap()
}
