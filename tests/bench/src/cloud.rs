//! The local cloud on this machine: its start, its memory, and how soon a read model shows what a command recorded.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tests::Cloud;

const VISIBLE_SAMPLES: usize = 200;

/// Starts it with every function a process of its own, and tries it.
pub fn measure() -> Value {
    tests::build_everything();
    let began = Instant::now();
    let cloud = Cloud::start_with(&["--in-memory", "--requests-per-second", "10000"]);
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

/// Prints it.
pub fn print(measured: &Value) {
    println!("\nThe local cloud on this machine\n");
    for (name, value) in measured.as_object().unwrap() {
        println!("{name:>36}  {value}");
    }
}
