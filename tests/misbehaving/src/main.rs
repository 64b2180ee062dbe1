//! A function that fails in every way that a function can, when asked to: over HTTP by the path, on the bus by the detail type.

use std::{future::pending, time::Duration};

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    if std::env::var("AT_START").is_ok_and(|wish| wish == "fail") {
        return Err("it was asked to fail at the start".into());
    }
    run(service_fn(answer)).await
}

async fn answer(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let LambdaEvent { payload, context } = event;
    let wish = payload["pathParameters"]["wish"].as_str().or_else(|| payload["detail-type"].as_str());
    match wish.unwrap_or_default() {
        "error" => return Err("it was asked to fail".into()),
        "panic" => panic!("it was asked to panic"),
        "exit" => std::process::exit(7),
        "hang" => pending().await,
        "slow" => tokio::time::sleep(Duration::from_millis(300)).await,
        _ => {}
    }
    Ok(json!({ "pid": std::process::id(), "request_id": context.request_id, "deadline_ms": context.deadline }))
}
