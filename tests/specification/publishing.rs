//! Events on their way to the bus, entry by entry.

use std::sync::Mutex;

use aggregate::{AggregateId, Envelope, Timestamp};
use eventing::{Bus, BusError, Entry, PublishLimits, Published, publish};
use tests::{StillHost, command, owner};
use uuid::Uuid;

/// A bus that refuses what it is told to, so many times, and remembers what it took.
#[derive(Default)]
struct ScriptedBus {
    refusals: Mutex<Vec<(String, u32)>>,
    taken: Mutex<Vec<String>>,
    requests: Mutex<Vec<usize>>,
    down: bool,
}

impl Bus for ScriptedBus {
    const LIMITS: PublishLimits = PublishLimits { entries_max: 3, bytes_max: 100 };

    async fn put(&self, entries: &[&Entry]) -> Result<Vec<Option<String>>, BusError> {
        self.requests.lock().unwrap().push(entries.len());
        if self.down {
            return Err(BusError("down".into()));
        }
        let mut refusals = self.refusals.lock().unwrap();
        let mut answers = Vec::new();
        for entry in entries {
            let refusal = refusals.iter_mut().find(|(detail, left)| *detail == entry.detail && *left > 0);
            answers.push(refusal.map(|(_, left)| {
                *left -= 1;
                "InternalFailure".to_owned()
            }));
            if answers.last() == Some(&None) {
                self.taken.lock().unwrap().push(entry.detail.clone());
            }
        }
        Ok(answers)
    }
}

fn entry(detail: &str) -> Entry {
    Entry {
        source: "s".into(),
        detail_type: "t".to_owned(),
        detail: detail.to_owned(),
        time: Timestamp::from_micros(0),
    }
}

fn records(details: &[&[&str]]) -> Vec<Vec<Entry>> {
    details.iter().map(|record| record.iter().map(|detail| entry(detail)).collect()).collect()
}

#[tokio::test]
async fn requests_are_filled_up_to_the_limits_of_the_bus() {
    let bus = ScriptedBus::default();
    let large = "x".repeat(60);
    let all = records(&[&["a", "b"], &["c", "d"], &[], &[&large], &[&large]]);
    assert_eq!(publish(&bus, &StillHost::default(), &all).await.records, 5);
    assert_eq!(*bus.requests.lock().unwrap(), [3, 2, 1]);
    assert_eq!(*bus.taken.lock().unwrap(), ["a", "b", "c", "d", &large, &large]);
}

#[tokio::test]
async fn only_what_was_refused_is_sent_again() {
    let bus = ScriptedBus { refusals: Mutex::new(vec![("b".to_owned(), 2)]), ..ScriptedBus::default() };
    assert_eq!(publish(&bus, &StillHost::default(), &records(&[&["a"], &["b"], &["c"]])).await.records, 3);
    assert_eq!(*bus.taken.lock().unwrap(), ["a", "c", "b"]);
}

#[tokio::test]
async fn the_first_record_with_an_entry_refused_for_good_is_reported() {
    let bus = ScriptedBus { refusals: Mutex::new(vec![("c".to_owned(), u32::MAX)]), ..ScriptedBus::default() };
    let published = publish(&bus, &StillHost::default(), &records(&[&["a"], &["b", "c"], &["d"], &["e"]])).await;
    assert_eq!(published, Published { records: 1, refusal: Some("InternalFailure".to_owned()) });
    assert!(!bus.taken.lock().unwrap().contains(&"c".to_owned()));
}

#[tokio::test]
async fn a_bus_that_does_not_answer_has_taken_nothing() {
    let bus = ScriptedBus { down: true, ..ScriptedBus::default() };
    assert_eq!(publish(&bus, &StillHost::default(), &records(&[&["a"], &["b"]])).await.records, 0);
    assert_eq!(bus.requests.lock().unwrap().len(), 3, "attempts have a limit");
}

#[test]
fn an_event_too_large_for_the_bus_goes_as_a_claim() {
    let body =
        domain::AccountCommand::CreateAccount { owner: owner(), currency: domain::Currency::from_code("EUR").unwrap() };
    let aggregate_id = AggregateId(Uuid::now_v7());
    let envelope = Envelope {
        event_id: Uuid::now_v7(),
        aggregate_id,
        aggregate_type: "Account".to_owned(),
        version: 3,
        event_type: "SomethingHuge".to_owned(),
        schema_version: 1,
        created_at: Timestamp::from_micros(0),
        metadata: command(aggregate_id, body, None).metadata,
        data: serde_json::json!({ "huge": "\u{1}".repeat(1_000) }),
    };
    let claim = Entry::announcing("daybook", &envelope, 2_000).unwrap();
    assert!(claim.bytes() <= 2_000);
    let claim: Envelope = serde_json::from_str(&claim.detail).unwrap();
    assert_eq!(claim, Envelope { data: serde_json::Value::Null, ..envelope.clone() });
    let whole = Entry::announcing("daybook", &envelope, 20_000).unwrap();
    assert_eq!(serde_json::from_str::<Envelope>(&whole.detail).unwrap(), envelope);
}
