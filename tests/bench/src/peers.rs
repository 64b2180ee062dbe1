//! Daybook beside other event stores. They are a workspace of their own (`tests/peers`), because what they ask of AWS's SDK
//! must not come into anything that is deployed; so they are built and run by a second cargo.

use std::process::Command;

use serde_json::Value;

fn cargo(arguments: &[&str]) -> Command {
    eprintln!("\nbuilding the peers, a workspace of their own (tests/peers): minutes, the first time ...");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--locked", "--profile", "fast", "--manifest-path", "tests/peers/Cargo.toml"]);
    // What both workspaces need alike is built once.
    command.args(["--target-dir", "target", "--"]).args(arguments).current_dir(tests::repository());
    command
}

/// Prints their tables.
pub fn print() {
    println!();
    assert!(cargo(&[]).status().unwrap().success(), "the peers cannot be measured");
}

/// The same for machines.
pub fn measure() -> Value {
    let output = cargo(&["--json"]).stderr(std::process::Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "the peers cannot be measured");
    serde_json::from_slice(&output.stdout).unwrap()
}
