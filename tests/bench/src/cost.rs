//! What a million deposits cost from the request to the last read model, at AWS's list prices. What can be counted is counted
//! here; what cannot (how long a function runs, how long a line of log is) is an assumption that is printed beside it.

use aggregate::AggregateId;
use eventing::{Bus, Commit, Entry, EventStore};
use serde_json::{Value, json};
use tests::{
    Edge, Spent,
    prices::{
        API_REQUEST, ARCHIVED_KB, BUS_EVENT, GB_SECOND, INVOCATION, LOG_KB, READ_UNIT, STREAM_READ, TRACE, WRITE_UNIT,
    },
};

/// Deposits that are counted, on one account.
const DEPOSITS: u32 = 100;

/// The memory of every function, by the template.
const GB: f64 = 0.25;
/// How long functions run for one command, one batch and one event.
const COMMAND_SECONDS: f64 = 0.010;
const PUBLISHER_SECONDS: f64 = 0.020;
const PROJECTION_SECONDS: f64 = 0.008;
/// Records that the publisher finds in a batch: 1 on an idle system, up to 100 on a busy one.
const BATCH_RECORDS: f64 = 10.0;
/// A line of log, with what CloudWatch adds to it: one a call of the API and one an invocation, and another where something is
/// measured. The template asks for no lines of the platform's own.
const LOG_LINE_KB: f64 = 0.35;
/// Invocations that are traced on a busy system (X-Ray developer guide, "default sampling rule"), each a trace of its own.
const TRACED: f64 = 0.05;

/// What one deposit needs, in the mean.
#[derive(Debug, Default)]
struct Needs {
    read_units: f64,
    write_units: f64,
}

/// The bill, with and without idempotency keys.
pub async fn count() -> Value {
    let edge = Edge::start().await;
    let (plain, account) = deposits(&edge, false).await;
    let (keyed, _) = deposits(&edge, true).await;
    let events: Vec<_> = edge.store.read(account, 2, usize::MAX).await.unwrap();
    let envelopes = events.iter().flat_map(Commit::envelopes);
    let bytes =
        envelopes.map(|event| Entry::announcing(domain::EVENT_SOURCE, &event, aws::EventBridge::LIMITS.bytes_max));
    let kb = bytes.map(|entry| f64::from(u32::try_from(entry.unwrap().bytes()).unwrap()) / 1024.0).sum::<f64>();
    let event_kb = kb / f64::from(DEPOSITS);

    let mut models: Vec<(&str, Needs)> = Vec::new();
    // The first event of each model is the account's opening.
    for (model, Spent { read_units, write_units, .. }) in edge.project(account).await.into_iter().skip(4) {
        if !models.iter().any(|(name, _)| *name == model) {
            models.push((model, Needs::default()));
        }
        let (_, needs) = models.iter_mut().find(|(name, _)| *name == model).unwrap();
        needs.read_units += read_units / f64::from(DEPOSITS);
        needs.write_units += write_units / f64::from(DEPOSITS);
    }

    let mut parts = vec![
        part("HTTP API", "1 request", [API_REQUEST; 2]),
        part("command function", "1 invocation", [INVOCATION + COMMAND_SECONDS * GB * GB_SECOND; 2]),
        part(
            "event store",
            &format!("{} (with a key {:.2} and {:.2})", in_words(&plain), keyed.read_units, keyed.write_units),
            [dynamodb(&plain), dynamodb(&keyed)],
        ),
        part("stream", "read by Lambda", [STREAM_READ; 2]),
        part(
            "publisher",
            &format!("1/{BATCH_RECORDS} invocation"),
            [(INVOCATION + PUBLISHER_SECONDS * GB * GB_SECOND) / BATCH_RECORDS; 2],
        ),
        part("bus", &format!("1 event of {event_kb:.2} KB"), [BUS_EVENT; 2]),
        part("archive of the bus", &format!("{event_kb:.2} KB taken in"), [event_kb * ARCHIVED_KB; 2]),
    ];
    let projection = INVOCATION + PROJECTION_SECONDS * GB * GB_SECOND;
    for (model, needs) in &models {
        let name = format!("projection: {model}");
        let what = format!("1 invocation, {}", in_words(needs));
        parts.push(part(&name, &what, [projection + dynamodb(needs); 2]));
    }
    let projections = f64::from(u32::try_from(models.len()).unwrap());
    let lines = 2.0 + 2.0 / BATCH_RECORDS + 2.0 * projections;
    parts.push(part("logs", &format!("{lines} lines of {LOG_LINE_KB} KB"), [lines * LOG_LINE_KB * LOG_KB; 2]));
    let invocations = 1.0 + 1.0 / BATCH_RECORDS + projections;
    parts.push(part("traces", &format!("{TRACED} of {invocations} invocations"), [invocations * TRACED * TRACE; 2]));
    let total = |column: &str| parts.iter().map(|part| part[column].as_f64().unwrap()).sum::<f64>();
    json!({
        "usd_a_million": total("usd"),
        "usd_a_million_with_key": total("usd_with_key"),
        "assumptions": {
            "memory of a function, GB": GB,
            "a command runs, s": COMMAND_SECONDS,
            "a batch of the publisher runs, s": PUBLISHER_SECONDS,
            "a projection runs, s": PROJECTION_SECONDS,
            "records in a batch": BATCH_RECORDS,
            "a line of log, one or two an invocation, KB": LOG_LINE_KB,
            "invocations that are traced, of all": TRACED,
        },
        "prices_a_million": {
            "HTTP API request": API_REQUEST, "invocation": INVOCATION, "GB-second, arm64": GB_SECOND,
            "read unit": READ_UNIT, "write unit": WRITE_UNIT, "stream read by Lambda": STREAM_READ,
            "bus event up to 64 KB": BUS_EVENT, "KB archived": ARCHIVED_KB, "KB of log": LOG_KB, "trace": TRACE,
        },
        "parts": parts,
    })
}

/// The mean of deposits on a new account.
async fn deposits(edge: &Edge, keyed: bool) -> (Needs, AggregateId) {
    let open = json!({ "currency": "EUR" });
    let opened = edge.ask("alice", "POST /accounts", "/accounts", &[], open).await.body;
    let account = AggregateId(opened["id"].as_str().unwrap().parse().unwrap());
    let path = format!("/accounts/{account}/deposits");
    let mut needs = Needs::default();
    for number in 0..DEPOSITS {
        let key = format!("{account}-{number}");
        let headers = [("idempotency-key", key.as_str())];
        let body = json!({ "amount": "12.34", "currency": "EUR", "description": "Salary for November" });
        let headers = if keyed { &headers[..] } else { &[] };
        let paid = edge.ask("alice", "POST /accounts/{id}/deposits", &path, headers, body).await;
        assert!(paid.status.is_success(), "{paid:?}");
        needs.read_units += paid.spent.read_units / f64::from(DEPOSITS);
        needs.write_units += paid.spent.write_units / f64::from(DEPOSITS);
    }
    (needs, account)
}

fn dynamodb(needs: &Needs) -> f64 {
    needs.read_units * READ_UNIT + needs.write_units * WRITE_UNIT
}

fn in_words(needs: &Needs) -> String {
    format!("{:.2} read and {:.2} write units", needs.read_units, needs.write_units)
}

fn part(name: &str, needs: &str, [usd, usd_with_key]: [f64; 2]) -> Value {
    json!({ "part": name, "a_command_needs": needs, "usd": usd, "usd_with_key": usd_with_key })
}

/// Prints it.
pub fn print(bill: &Value) {
    println!("\nWhat a million deposits cost on AWS, from the request to four read models, in US dollars\n");
    println!("{:<24} {:<64} {:>9} {:>10}", "part", "one deposit needs", "no key", "with a key");
    for part in bill["parts"].as_array().unwrap() {
        let text = |name: &str| part[name].as_str().unwrap().to_owned();
        let (usd, with_key) = (part["usd"].as_f64().unwrap(), part["usd_with_key"].as_f64().unwrap());
        println!("{:<24} {:<64} {usd:>9.3} {with_key:>10.3}", text("part"), text("a_command_needs"));
    }
    let (usd, with_key) = (&bill["usd_a_million"], &bill["usd_a_million_with_key"]);
    println!("{:<89} {:>9.2} {:>10.2}", "total", usd.as_f64().unwrap(), with_key.as_f64().unwrap());
    println!("\nUnits and bytes are counted. Assumed:");
    for (name, value) in bill["assumptions"].as_object().unwrap() {
        println!("{name:>44}  {value}");
    }
    println!("\nList prices of us-east-1 on demand, a million, to be looked up again before one relies on them:");
    for (name, value) in bill["prices_a_million"].as_object().unwrap() {
        println!("{name:>44}  {value}");
    }
    println!(
        "\nWithout what is kept or there for a month (tables, their backups, the archive, logs, metrics, alarms), free tiers and transfer out."
    );
}
