//! Asynchronous invocation: events on their way to functions, tried until they are taken or given up.
//!
//! Promises: a delivery that is durable is tried after every start until it comes to an end; a function that fails on one event
//! delays no other, for waits are spent outside the function's places; what is given up lies in the function's failure
//! destination, where it has one. Order is not promised.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    console::Console,
    durable::{Delivery, Durable, Message},
    lambda::{Event, Failure, FunctionError, Pools, timestamp},
    names,
    template::AsyncInvoke,
};

/// How long Lambda waits before each retry, a minute being a second here: nobody wants to watch for minutes.
const RETRY_WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// The deliveries of all functions.
pub struct Deliveries {
    pools: Pools,
    durable: Arc<Durable>,
    console: Arc<Console>,
}

/// What to do about a function that failed on an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Retry(Duration),
    /// With Lambda's word for the reason.
    GiveUp(&'static str),
}

impl Deliveries {
    /// The deliveries to these functions; none is tried yet.
    pub fn new(pools: Pools, durable: Arc<Durable>, console: Arc<Console>) -> Arc<Self> {
        Arc::new(Self { pools, durable, console })
    }

    /// Tries a delivery from now on. Once for each in a run: two tries at once would count each other's failures.
    pub fn begin(self: &Arc<Self>, id: i64) {
        let deliveries = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(problem) = deliveries.deliver(id).await {
                // The file is broken or the disk full. The next start tries again.
                deliveries.console.notice(&format!("delivery {id} is left for the next start: {problem}"));
            }
        });
    }

    async fn deliver(&self, id: i64) -> rusqlite::Result<()> {
        // Retries of one event have one request id. Time in which the local cloud did not run does not make an event older.
        let (identity, accepted) = (Event::new(""), Instant::now());
        while let Some(delivery) = self.durable.delivery(id)? {
            let Delivery { function, detail_type, event, failures } = &delivery;
            let Some(pool) = self.pools.get(function) else {
                let reason = format!("the template no longer has the function {function}");
                return self.give_up(id, &delivery, None, &json!({}), &reason);
            };
            let failures = failures + 1;
            let invocation = Event { payload: event.clone().into(), ..identity.clone() };
            let error = match pool.invoke(invocation, None).await {
                Ok(_) => {
                    self.durable.finish(id, None)?;
                    self.console.delivered(id, function, detail_type, failures);
                    return Ok(());
                }
                Err(Failure::Function(error)) => error,
                Err(Failure::Stopping | Failure::Throttled) => return Ok(()),
            };
            let policy = &pool.function().async_invoke;
            match after_failure(policy, failures, accepted.elapsed()) {
                Next::Retry(wait) => {
                    self.durable.count_failure(id)?;
                    self.console.delivery_failed(id, function, detail_type, &error, wait);
                    tokio::time::sleep(wait).await;
                }
                Next::GiveUp(condition) => {
                    let record = failure_record(&delivery, &identity.request_id, condition, failures, &error);
                    let reason = format!("{function} failed {failures} times: {error}");
                    self.console.delivery_given_up(id);
                    return self.give_up(id, &delivery, policy.on_failure.as_ref(), &record, &reason);
                }
            }
        }
        Ok(())
    }

    fn give_up(
        &self,
        id: i64,
        delivery: &Delivery,
        queue: Option<&String>,
        body: &Value,
        reason: &str,
    ) -> rusqlite::Result<()> {
        let message =
            queue.map(|queue| Message { queue: queue.clone(), body: body.to_string(), reason: reason.to_owned() });
        self.durable.finish(id, message.as_ref())?;
        self.console.dead_letter(queue.map(String::as_str), &delivery.detail_type, reason);
        Ok(())
    }
}

/// What follows the `failures`th failure of an event that was taken in `age` ago.
fn after_failure(policy: &AsyncInvoke, failures: u32, age: Duration) -> Next {
    let retry = failures.saturating_sub(1);
    let wait = usize::try_from(retry).ok().and_then(|retry| RETRY_WAITS.get(retry).copied());
    match wait {
        Some(wait) if retry < policy.retries => {
            if age + wait > policy.event_age {
                Next::GiveUp("EventAgeExceeded")
            } else {
                Next::Retry(wait)
            }
        }
        _ => Next::GiveUp("RetriesExhausted"),
    }
}

/// The record that Lambda sends to a failure destination.
fn failure_record(
    delivery: &Delivery,
    request_id: &str,
    condition: &str,
    invocations: u32,
    error: &FunctionError,
) -> Value {
    let request: Value = serde_json::from_str(&delivery.event).unwrap_or_else(|_| json!(delivery.event));
    json!({
        "version": "1.0",
        "timestamp": timestamp(Timestamp::now()),
        "requestContext": {
            "requestId": request_id,
            "functionArn": format!("{}:$LATEST", names::function_arn(&delivery.function)),
            "condition": condition,
            "approximateInvokeCount": invocations,
        },
        "requestPayload": request,
        "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
        "responsePayload": error.payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_retried_as_often_as_the_template_says_and_then_given_up() {
        for retries in 0..=2 {
            let policy = AsyncInvoke { retries, event_age: Duration::from_mins(1), on_failure: None };
            let steps: Vec<_> =
                (1..=retries + 1).map(|failures| after_failure(&policy, failures, Duration::ZERO)).collect();
            let waits = RETRY_WAITS.into_iter().take(retries as usize).map(Next::Retry);
            let expected: Vec<_> = waits.chain([Next::GiveUp("RetriesExhausted")]).collect();
            assert_eq!(steps, expected, "{retries} retries");
        }
    }

    #[test]
    fn an_event_that_would_be_too_old_is_not_tried_again() {
        let policy = AsyncInvoke { retries: 2, event_age: Duration::from_mins(1), on_failure: None };
        assert_eq!(after_failure(&policy, 1, Duration::from_secs(59)), Next::Retry(RETRY_WAITS[0]));
        assert_eq!(after_failure(&policy, 1, Duration::from_mins(1)), Next::GiveUp("EventAgeExceeded"));
    }

    #[test]
    fn the_failure_record_is_lambdas() {
        let delivery = Delivery {
            function: "f".to_owned(),
            detail_type: "Sold".to_owned(),
            event: r#"{"id":"e"}"#.to_owned(),
            failures: 2,
        };
        let mut record = failure_record(&delivery, "r", "RetriesExhausted", 3, &FunctionError::new("Oops", "no"));
        assert!(record["timestamp"].take().is_string());
        let expected = json!({
            "version": "1.0", "timestamp": null,
            "requestContext": {
                "requestId": "r", "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST",
                "condition": "RetriesExhausted", "approximateInvokeCount": 3,
            },
            "requestPayload": { "id": "e" },
            "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
            "responsePayload": { "errorType": "Oops", "errorMessage": "no" },
        });
        assert_eq!(record, expected);
    }
}
