//! How fast an operator makes a read model anew: `daybook rebuild`, the whole process from its start to its end.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tests::{Engine, tables_without_streams};

use crate::projection::{ACCOUNTS, MODELS, as_f64, bare, fill};

/// With empty read tables, and once more with full ones.
pub async fn measure() -> Value {
    let engine = Engine::start_with(tables_without_streams()).await;
    let client = tests::dynamodb(&engine.url);
    let histories = fill(&client, ACCOUNTS).await;
    let events: usize = histories.iter().map(Vec::len).sum();
    let account = histories[0][0].aggregate_id;
    let mut rows = Vec::new();
    for model in MODELS {
        let url = engine.url.clone();
        let first = tokio::task::spawn_blocking(move || rebuild_in_a_process(&url, model)).await.unwrap();
        let url = engine.url.clone();
        let again = tokio::task::spawn_blocking(move || rebuild_in_a_process(&url, model)).await.unwrap();
        let mut floor = Duration::ZERO;
        for _ in 0..events {
            floor += bare(&client, account).await;
        }
        let a_second = |took: Duration| (as_f64(events) / took.as_secs_f64()).round();
        let of_floor = |took: Duration| floor.as_secs_f64() / took.as_secs_f64();
        rows.push(json!({
            "model": model, "events": events,
            "events_a_second": a_second(first), "of_floor": of_floor(first),
            "nothing_to_do_events_a_second": a_second(again), "nothing_to_do_of_floor": of_floor(again),
        }));
    }
    Value::Array(rows)
}

/// The operator's command, from its start to its end.
fn rebuild_in_a_process(url: &str, model: &str) -> Duration {
    let daybook = tests::function_binary("daybook");
    let began = Instant::now();
    let status = Command::new(daybook)
        .args(["--json", "rebuild", model])
        .current_dir(std::env::temp_dir())
        .env("AWS_ENDPOINT_URL_DYNAMODB", url)
        .envs([("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success(), "daybook rebuild {model} fails");
    began.elapsed()
}

/// Prints it.
pub fn print(rows: &Value) {
    println!("\n`daybook rebuild`, the whole process, into empty tables and where nothing is to be put right\n");
    println!(
        "{:<12} {:>9} {:>9} {:>14} {:>19} {:>14}",
        "model", "events", "events/s", "of the floor's", "nothing to do, ev/s", "of the floor's"
    );
    for row in rows.as_array().unwrap() {
        let number = |name: &str| row[name].as_f64().unwrap();
        println!(
            "{:<12} {:>9} {:>9} {:>13.2}x {:>19} {:>13.2}x",
            row["model"].as_str().unwrap(),
            row["events"],
            number("events_a_second"),
            number("of_floor"),
            number("nothing_to_do_events_a_second"),
            number("nothing_to_do_of_floor"),
        );
    }
    println!(
        "\nThe totals are made anew beside the old ones; most of their time is waiting until every projector has seen the new ones."
    );
}
