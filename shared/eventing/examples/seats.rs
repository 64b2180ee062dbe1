//! A service of your own, whole: the seats of a show. `cargo run -p eventing --example seats`
//!
//! The domain is the types and the three `impl`s. What `main` does, a Lambda function does: on AWS, `MemoryStore` becomes
//! `aws::DynamoEventStore`, the deadline is the function's own, and a row that is kept in a table names its show
//! (`aggregate::Row`).

use std::{collections::BTreeMap, error::Error};

use aggregate::{
    Aggregate, AggregateId, CommandId, CorrelationId, Envelope, Event, Metadata, Row, Timestamp, UserId, Version,
};
use eventing::{Command, EventStore, ExecuteError, Executed, ExpectedVersion, MemoryStore, System, execute, fresh};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Who has which seat.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Show {
    taken: BTreeMap<u16, UserId>,
}

#[derive(Serialize)]
enum ShowCommand {
    TakeSeat { seat: u16, by: UserId },
    GiveSeatBack { seat: u16, by: UserId },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event_type", content = "data")]
enum ShowEvent {
    SeatTaken { seat: u16, by: UserId },
    SeatGivenBack { seat: u16 },
}

#[derive(Debug, thiserror::Error)]
enum Rejection {
    #[error("the show has seats 1 to {SEATS}")]
    NoSuchSeat,
    #[error("the seat is taken")]
    Taken,
    #[error("the seat is not yours")]
    NotYours,
}

const SEATS: u16 = 100;

impl Aggregate for Show {
    const STATE_SCHEMA: u32 = 1;

    type Command = ShowCommand;
    type Event = ShowEvent;
    type Rejection = Rejection;

    fn handle(&self, command: &ShowCommand) -> Result<Vec<ShowEvent>, Rejection> {
        match command {
            ShowCommand::TakeSeat { seat, .. } if !(1..=SEATS).contains(seat) => Err(Rejection::NoSuchSeat),
            ShowCommand::TakeSeat { seat, .. } if self.taken.contains_key(seat) => Err(Rejection::Taken),
            ShowCommand::TakeSeat { seat, by } => Ok(vec![ShowEvent::SeatTaken { seat: *seat, by: by.clone() }]),
            ShowCommand::GiveSeatBack { seat, by } if self.taken.get(seat) != Some(by) => Err(Rejection::NotYours),
            ShowCommand::GiveSeatBack { seat, .. } => Ok(vec![ShowEvent::SeatGivenBack { seat: *seat }]),
        }
    }

    fn apply(&mut self, event: &ShowEvent) {
        match event {
            ShowEvent::SeatTaken { seat, by } => drop(self.taken.insert(*seat, by.clone())),
            ShowEvent::SeatGivenBack { seat } => drop(self.taken.remove(seat)),
        }
    }
}

impl Event for ShowEvent {
    const AGGREGATE_TYPE: &'static str = "Show";
}

/// A read model: how many seats are left.
#[derive(Clone, Serialize, Deserialize)]
struct Availability {
    version: Version,
    seats_left: u16,
}

impl Row for Availability {
    type Event = ShowEvent;

    fn version(&self) -> Version {
        self.version
    }

    fn next(previous: Option<&Self>, event: &Envelope<ShowEvent>) -> Option<Self> {
        let before = previous.map_or(SEATS, |row| row.seats_left);
        let seats_left = match event.data {
            ShowEvent::SeatTaken { .. } => before.checked_sub(1)?,
            ShowEvent::SeatGivenBack { .. } => before + 1,
        };
        Some(Self { version: event.version, seats_left })
    }
}

/// What a command function does with a request: `key` is the caller's idempotency key.
async fn ask(
    store: &impl EventStore,
    show: AggregateId,
    body: ShowCommand,
    key: &str,
) -> Result<Executed<ShowEvent>, ExecuteError<Rejection>> {
    let (ShowCommand::TakeSeat { by, .. } | ShowCommand::GiveSeatBack { by, .. }) = &body;
    let metadata = Metadata {
        user_id: by.clone(),
        correlation_id: CorrelationId::from(Uuid::now_v7()),
        causation_id: String::new(),
        command_id: Some(CommandId::from_key(by, key)),
    };
    let command = Command {
        aggregate_id: show,
        body,
        metadata,
        expected_version: ExpectedVersion::Any,
        deadline: Timestamp::MAX,
    };
    execute::<Show>(store, &System, &command).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (store, show, seat) = (MemoryStore::default(), AggregateId(Uuid::now_v7()), 7);
    let [ann, bob] = [UserId::new("ann")?, UserId::new("bob")?];
    let take = |by: &UserId| ShowCommand::TakeSeat { seat, by: by.clone() };

    let taken = ask(&store, show, take(&ann), "a").await?;
    println!("ann has the seat since version {}", taken.version);
    // Her answer is lost on the way, and she asks again under the same key: once is enough.
    let again = ask(&store, show, take(&ann), "a").await?;
    println!("ann, again: since version {}, {}", again.version, if again.repeated { "a repetition" } else { "anew" });
    match ask(&store, show, take(&bob), "a").await {
        Err(ExecuteError::Rejected(rejection)) => println!("bob does not get it: {rejection}"),
        other => return Err(format!("a seat was taken twice: {other:?}").into()),
    }
    let given_back = ask(&store, show, ShowCommand::GiveSeatBack { seat, by: ann }, "b").await?;

    // Readers get a row of the version that they know of, whether or not a projector has come so far.
    let row = fresh::<Availability>(&store, show, None, given_back.version).await?;
    println!("{} seats are left at version {}", row.ok_or("there is no show")?.seats_left, given_back.version);
    Ok(())
}
