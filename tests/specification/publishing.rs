//! Events on their way to the bus, entry by entry.

use std::sync::Mutex;

use aggregate::{AggregateId, Envelope, Timestamp};
use eventing::{Bus, BusError, Commit, Entry, PublishLimits, Published, RecordedEvent, Rejected, publish};
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
async fn the_first_record_with_an_entry_refused_every_time_is_reported_and_the_others_go_on() {
    let bus = ScriptedBus { refusals: Mutex::new(vec![("c".to_owned(), u32::MAX)]), ..ScriptedBus::default() };
    let published = publish(&bus, &StillHost::default(), &records(&[&["a"], &["b", "c"], &["d"], &["e"]])).await;
    assert_eq!(published, Published { records: 1, refusal: Some("InternalFailure".to_owned()), rejected: vec![] });
    // Nobody waits for it.
    assert_eq!(*bus.taken.lock().unwrap(), ["a", "b", "d", "e"]);
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

/// A bus that answers by what is in an entry.
#[derive(Default)]
struct PickyBus {
    /// Texts of a detail, each with the code that it is refused with, while it is here.
    refuses: Mutex<Vec<(String, &'static str)>>,
    taken: Mutex<Vec<(String, String)>>,
}

impl Bus for PickyBus {
    const LIMITS: PublishLimits = PublishLimits { entries_max: 10, bytes_max: 1_000_000 };

    async fn put(&self, entries: &[&Entry]) -> Result<Vec<Option<String>>, BusError> {
        let refuses = self.refuses.lock().unwrap();
        let answer = |entry: &&Entry| {
            // What the publisher itself says quotes ids, and is no event.
            let is_event = entry.source == domain::EVENT_SOURCE;
            let code = refuses.iter().find(|(text, _)| is_event && entry.detail.contains(text)).map(|(_, code)| *code);
            if code.is_none() {
                self.taken.lock().unwrap().push((entry.detail_type.clone(), entry.detail.clone()));
            }
            code.map(str::to_owned)
        };
        Ok(entries.iter().map(answer).collect())
    }

    fn is_final(code: &str) -> bool {
        aws::EventBridge::is_final(code)
    }
}

impl PickyBus {
    fn refuse(&self, id: AggregateId, code: &'static str) {
        self.refuses.lock().unwrap().push((id.to_string(), code));
    }

    /// How often the publisher has said this of the aggregate.
    fn count(&self, detail_type: &str, id: &str) -> usize {
        let taken = self.taken.lock().unwrap();
        taken.iter().filter(|(of_type, detail)| of_type == detail_type && detail.contains(id)).count()
    }
}

/// A batch of the stream: a commit an account, and one record that is none.
fn batch(accounts: &[AggregateId]) -> aws_lambda_events::dynamodb::Event {
    let mut event = aws_lambda_events::dynamodb::Event::default();
    for (place, id) in accounts.iter().enumerate() {
        let body = domain::AccountCommand::DepositMoney { by: owner(), amount: tests::eur(1), description: None };
        let commit = Commit {
            aggregate_id: *id,
            aggregate_type: "Account".to_owned(),
            version: 2,
            created_at: Timestamp::from_micros(0),
            metadata: command(*id, body, None).metadata,
            command_digest: None,
            events: vec![RecordedEvent::new(&tests::deposited(1), &StillHost::default()).unwrap()],
            state: None,
        };
        event.records.push(aws::record_of(&commit, place.to_string()).unwrap());
    }
    let mut unreadable = aws_lambda_events::dynamodb::EventRecord::default();
    "INSERT".clone_into(&mut unreadable.event_name);
    unreadable.change.sequence_number = Some("unreadable".to_owned());
    event.records.insert(1, unreadable);
    event
}

async fn first_failure(bus: &PickyBus, accounts: &[AggregateId]) -> Option<String> {
    let answer = event_publisher::handle(bus, &StillHost::default(), batch(accounts)).await.unwrap();
    answer.batch_item_failures.into_iter().next().and_then(|failure| failure.item_identifier)
}

#[tokio::test]
async fn an_event_that_the_bus_refuses_for_good_is_parked_with_the_reason_and_the_others_go_on() {
    for code in ["InvalidArgument", "MalformedDetail"] {
        let bus = PickyBus::default();
        let accounts: Vec<AggregateId> = (0..25).map(|_| AggregateId(Uuid::now_v7())).collect();
        bus.refuse(accounts[3], code);
        assert_eq!(first_failure(&bus, &accounts).await, None, "{code}");
        for (place, id) in accounts.iter().enumerate() {
            assert_eq!(bus.count("MoneyDeposited", &id.to_string()), usize::from(place != 3));
        }
        assert_eq!(bus.count("StreamRecordUnreadable", "unreadable"), 1);
        let taken = bus.taken.lock().unwrap();
        let letter = taken.iter().find(|(of_type, _)| of_type == "EventRefused").unwrap();
        let letter: serde_json::Value = serde_json::from_str(&letter.1).unwrap();
        // By these an operator finds the event, and publishes it once more.
        assert_eq!((&letter["aggregate_id"], &letter["version"]), (&serde_json::json!(accounts[3]), &2.into()));
        assert_eq!(letter["reason"], format!("the event bus refuses the event: {code}"));
    }
}

#[tokio::test]
async fn a_quota_an_outage_or_a_missing_permission_is_never_a_reason_to_give_an_event_up() {
    for code in ["ThrottlingException", "InternalFailure", "AccessDeniedException", "NotAuthorizedForSourceException"] {
        let bus = PickyBus::default();
        let accounts: Vec<AggregateId> = (0..25).map(|_| AggregateId(Uuid::now_v7())).collect();
        bus.refuse(accounts[3], code);
        // A record after it is refused for good: it is parked once, and not with each attempt.
        bus.refuse(accounts[20], "InvalidArgument");
        for _ in 0..5 {
            // The unreadable one stands before it.
            assert_eq!(first_failure(&bus, &accounts).await.as_deref(), Some("3"), "{code}");
        }
        assert_eq!(bus.count("EventRefused", ""), 0, "{code}");
        assert_eq!(bus.count("MoneyDeposited", &accounts[24].to_string()), 5, "others are not held up");
        bus.refuses.lock().unwrap().retain(|(_, of)| *of != code);
        assert_eq!(first_failure(&bus, &accounts).await, None);
        assert_eq!(bus.count("EventRefused", &accounts[20].to_string()), 1);
        assert_eq!(bus.count("MoneyDeposited", &accounts[3].to_string()), 1);
    }
}

#[tokio::test]
async fn a_caller_who_parks_nothing_hears_of_what_was_rejected() {
    let bus = PickyBus { refuses: Mutex::new(vec![("b".to_owned(), "InvalidArgument")]), ..PickyBus::default() };
    let mut all = records(&[&["a"], &["b"]]);
    all.iter_mut().flatten().for_each(|entry| entry.source = domain::EVENT_SOURCE.into());
    let published = publish(&bus, &StillHost::default(), &all).await;
    assert_eq!(published.rejected, [Rejected { record: 1, entry: 0, code: "InvalidArgument".to_owned() }]);
    assert_eq!(published.failure().as_deref(), Some("InvalidArgument"));
}
