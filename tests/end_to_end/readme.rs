//! The README's walk, executed: each `sh` block, and what it answers against the `json` block after it. A block without an
//! answer sets variables for all that follow.

use std::process::Command;

use serde_json::Value;
use tests::{Cloud, repository};

/// Times, the ids of events and requests, and cursors are new every time.
const NEW_EVERY_TIME: [&str; 6] =
    ["event_id", "correlation_id", "causation_id", "complete_until", "next_cursor", "day"];

fn without_times(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            fields.retain(|name, value| {
                let is_new = name.ends_with("_at") || NEW_EVERY_TIME.contains(&name.as_str());
                value.is_null() || !is_new
            });
            fields.values_mut().for_each(|field| *field = without_times(field.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = without_times(item.take())),
        _ => {}
    }
    value
}

#[test]
fn the_walk_works_as_pasted() {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let walk = readme.split("\n## ").find(|section| section.starts_with("A walk")).unwrap();
    let blocks: Vec<(&str, &str)> =
        walk.split("```").skip(1).step_by(2).map(|block| block.split_once('\n').unwrap()).collect();
    let cloud = Cloud::start();
    let mut answered = 0;
    let mut variables = String::new();
    for pair in blocks.windows(2).filter(|pair| pair[0].0 == "sh") {
        let commands = pair[0].1.replace("http://127.0.0.1:3000", &cloud.url);
        if pair[1].0 != "json" {
            variables += &commands;
            continue;
        }
        let commands = format!("{variables}{commands}");
        let expected: Value = serde_json::from_str(pair[1].1).unwrap();
        // A list may be a moment behind; everything else answers at once.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(40);
        loop {
            let run = Command::new("sh").args(["-euc", &commands]).output().unwrap();
            let answer: Value = serde_json::from_slice(&run.stdout).unwrap_or_default();
            if without_times(answer.clone()) == without_times(expected.clone()) {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "{commands}\nanswers {answer:#}\nnot {expected:#}");
        }
        answered += 1;
    }
    assert!(answered >= 25, "the walk has shrunk to {answered} steps");
}
