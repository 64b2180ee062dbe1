//! The journal on a DynamoDB engine: every event once, in order, and none missed by a reader who keeps reading.

use aggregate::{AggregateId, Envelope, Timestamp};
use aws::Journal;
use eventing::{Commit, Entered, HOLD_BACK, Position, RecordedEvent, enter, read_journal};
use tests::{Engine, Spent, StillHost, command, deposited, opened};
use uuid::Uuid;

const SECOND: i64 = 1_000_000;
const BEGIN: i64 = 1_763_891_400 * SECOND;

/// Events of five accounts in turn, one every 10 ms.
fn events(number: i64) -> Vec<Envelope> {
    let accounts: Vec<AggregateId> = (0..5).map(|_| AggregateId(Uuid::now_v7())).collect();
    let metadata = command(accounts[0], (), None).metadata;
    let event = |(place, id): (i64, &AggregateId)| {
        let body = if place < 5 { opened() } else { deposited(100) };
        let commit = Commit {
            aggregate_id: *id,
            aggregate_type: "Account".to_owned(),
            version: place.cast_unsigned() / 5 + 1,
            created_at: Timestamp::from_micros(BEGIN + place * 10_000),
            metadata: metadata.clone(),
            command_digest: None,
            events: vec![RecordedEvent::new(&body, &StillHost::default()).unwrap()],
            state: None,
        };
        commit.envelopes().next().unwrap()
    };
    (0..number).zip(accounts.iter().cycle()).map(event).collect()
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_micros(BEGIN + seconds * SECOND)
}

/// Reads on until nothing more may be seen at `now`.
async fn read_on(journal: &Journal, after: &mut Position, now: Timestamp, limit: usize) -> Vec<Envelope> {
    let mut seen = Vec::new();
    loop {
        let page = read_journal(journal, after, now, None, limit).await.unwrap();
        assert!(page.events.len() <= limit);
        let done = page.up_to == *after || page.up_to == Position::horizon(now);
        seen.extend(page.events);
        *after = page.up_to;
        if done {
            return seen;
        }
    }
}

#[tokio::test]
async fn every_event_is_there_once_in_the_order_of_time_whatever_comes_twice() {
    let engine = Engine::start().await;
    let journal = Journal::new(engine.client.clone(), "journal");
    let events = events(60);
    for event in events.iter().rev() {
        assert_eq!(enter(&journal, event, later(1)).await.unwrap(), Entered::OnTime);
    }
    for event in &events[..10] {
        assert_eq!(enter(&journal, event, later(1)).await.unwrap(), Entered::Before);
        assert_eq!(enter(&journal, event, later(3600)).await.unwrap(), Entered::Before);
    }
    for limit in [1, 7, 100] {
        assert_eq!(read_on(&journal, &mut Position::start(), later(60), limit).await, events, "{limit}");
    }
    let since = Position::before(events[20].created_at);
    assert_eq!(read_on(&journal, &mut since.clone(), later(60), 100).await, events[20..]);
    let of_type = read_journal(&journal, &Position::start(), later(60), Some("AccountCreated"), 100).await.unwrap();
    assert_eq!(of_type.events.len(), 5);
}

#[tokio::test]
async fn who_keeps_reading_misses_no_event_however_late_it_comes() {
    let engine = Engine::start().await;
    let journal = Journal::new(engine.client.clone(), "journal");
    let events = events(30);
    let (in_time, late) = events.split_at(20);
    for event in in_time {
        assert_eq!(enter(&journal, event, later(1)).await.unwrap(), Entered::OnTime);
    }
    let mut after = Position::start();
    // Too fresh to be shown: others may still come before them.
    assert_eq!(read_on(&journal, &mut after, later(1), 100).await, []);
    let now = Timestamp::from_micros(BEGIN + 100 * SECOND);
    assert_eq!(read_on(&journal, &mut after, now, 7).await, in_time);
    // A day later the rest is redriven, each twice.
    for event in late.iter().chain(late) {
        enter(&journal, event, later(86_400)).await.unwrap();
    }
    let now = later(86_400 + i64::try_from(HOLD_BACK.as_secs()).unwrap() + 1);
    let mut seen: Vec<_> = read_on(&journal, &mut after, now, 7).await.iter().map(|event| event.event_id).collect();
    let mut expected: Vec<_> = late.iter().map(|event| event.event_id).collect();
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
    assert_eq!(read_on(&journal, &mut Position::start(), now, 100).await.len(), events.len());
}

#[tokio::test]
async fn an_event_costs_one_write_and_a_page_little_more_than_its_bytes() {
    let engine = Engine::start().await;
    let journal = Journal::new(engine.client.clone(), "journal");
    let events = events(100);
    let _ = engine.meter.take();
    enter(&journal, &events[0], later(1)).await.unwrap();
    assert_eq!(engine.meter.take(), Spent { requests: 1, read_units: 0.0, write_units: 1.0 });
    for event in &events[1..] {
        enter(&journal, event, later(1)).await.unwrap();
    }
    let _ = engine.meter.take();
    read_journal(&journal, &Position::start(), later(60), None, 20).await.unwrap();
    let spent = engine.meter.take();
    assert!(spent.requests == 8 && spent.read_units <= 16.0, "{spent:?}");
}
