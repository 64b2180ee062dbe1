//! What Daybook costs. Requests and capacity units are counted by the engine as DynamoDB bills them, so they are the same on
//! every machine; times and memory are this machine's. `--json` prints the same for machines.
#![allow(clippy::unwrap_used, reason = "a benchmark stops where something is wrong")]

mod operations;

use std::time::{Duration, Instant};

use aggregate::AggregateId;
use aws::DynamoEventStore;
use domain::{Account, AccountCommand, Amount, Currency};
use eventing::{System, execute};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tests::{Cloud, Engine, command, owner};
use uuid::Uuid;

const HISTORIES: [u64; 3] = [1, 100, 10_000];
const VISIBLE_SAMPLES: usize = 200;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let commands = runtime.block_on(commands());
    let operations = runtime.block_on(operations::count());
    let pipeline = pipeline();
    if std::env::args().any(|argument| argument == "--json") {
        println!("{}", json!({ "commands": commands, "operations": operations, "pipeline": pipeline }));
        return;
    }
    println!("A deposit, counted by the engine as DynamoDB bills it\n");
    println!("{:>12}  {:<8} {:>9} {:>11} {:>12}", "past events", "key", "requests", "read units", "write units");
    for row in &commands {
        let text = |name: &str| row[name].to_string();
        let (events, key) = (text("past_events"), if row["key"] == true { "yes" } else { "no" });
        println!(
            "{events:>12}  {key:<8} {:>9} {:>11} {:>12}",
            text("requests"),
            text("read_units"),
            text("write_units")
        );
    }
    println!("\nEach operation, on an account of 200 events\n");
    println!("{:<40} {:>9} {:>11} {:>12}", "operation", "requests", "read units", "write units");
    for row in &operations {
        let [requests, read, write] = ["requests", "read_units", "write_units"].map(|name| row[name].to_string());
        println!("{:<40} {requests:>9} {read:>11} {write:>12}", row["operation"].as_str().unwrap());
    }
    println!("\nThe local cloud on this machine\n");
    for (name, value) in pipeline.as_object().unwrap() {
        println!("{name:>36}  {value}");
    }
}

async fn commands() -> Vec<Value> {
    let engine = Engine::start().await;
    let store = DynamoEventStore::new(engine.client.clone(), "events");
    let id = AggregateId(Uuid::now_v7());
    let currency = Currency::from_code("EUR").unwrap();
    let open = AccountCommand::CreateAccount { owner: owner(), currency };
    let mut version = execute::<Account>(&store, &System, &command(id, open, None)).await.unwrap().version;
    let amount = Amount::from_minor(12_34, currency).unwrap();
    let deposit = || AccountCommand::DepositMoney { by: owner(), amount, description: None };
    let mut rows = Vec::new();
    for past_events in HISTORIES {
        while version < past_events {
            version = execute::<Account>(&store, &System, &command(id, deposit(), None)).await.unwrap().version;
        }
        for key in [None, Some(format!("key-{past_events}"))] {
            let _ = engine.meter.take();
            let command = command(id, deposit(), key.as_deref());
            version = execute::<Account>(&store, &System, &command).await.unwrap().version;
            let spent = engine.meter.take();
            rows.push(json!({
                "past_events": past_events, "key": key.is_some(),
                "requests": spent.requests, "read_units": spent.read_units, "write_units": spent.write_units,
            }));
        }
    }
    rows
}

fn pipeline() -> Value {
    tests::build_everything();
    let began = Instant::now();
    let cloud = Cloud::start();
    let ready = began.elapsed();
    let account = cloud.open_account("EUR");
    let mut visible = Histogram::<u64>::new(3).unwrap();
    for sample in 0..VISIBLE_SAMPLES {
        let body = json!({ "amount": "1", "currency": "EUR" });
        let version = cloud.post(&format!("{account}/deposits"), &body).body["version"].clone();
        let committed = Instant::now();
        // Asks without `min_version`, so only the read table can answer.
        while cloud.get(&account).body["version"] != version {
            assert!(committed.elapsed() < Duration::from_secs(30), "sample {sample} never became visible");
        }
        visible.record(u64::try_from(committed.elapsed().as_micros()).unwrap()).unwrap();
    }
    let ms = |micros: u64| (Duration::from_micros(micros).as_secs_f64() * 10_000.0).round() / 10.0;
    json!({
        "start to ready, ms": ready.as_millis(),
        "answer to visible, median, ms": ms(visible.value_at_quantile(0.5)),
        "answer to visible, p99, ms": ms(visible.value_at_quantile(0.99)),
        "memory of the local cloud, KiB": resident_kib(&cloud.pid().to_string()),
        "memory of one function process, KiB": child_of(cloud.pid()).map(|child| resident_kib(&child)),
    })
}

/// Resident memory by the kernel's account; 0 where there is no /proc.
fn resident_kib(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

fn child_of(pid: u32) -> Option<String> {
    let listed = std::process::Command::new("pgrep").args(["-P", &pid.to_string()]).output().ok()?;
    String::from_utf8(listed.stdout).ok()?.lines().next().map(str::to_owned)
}
