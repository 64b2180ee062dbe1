//! Recorded events once more on the bus: for what was lost on the way, and for subscribers who want to begin earlier.

use std::cell::RefCell;

use aggregate::{AggregateId, Timestamp, Version};
use aws::{DynamoEventStore, EventBridge};
use eventing::{Bus, Commit, Entry, EventStore, System, publish};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    Error, Scan, Verdict,
    connection::explained,
    histories::{self, History},
};

/// Which events: those of one aggregate, or those of a time.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = true)]
pub struct Which {
    /// All events of the aggregate with this id.
    #[arg(long, value_name = "ID", conflicts_with_all = ["from", "to"])]
    aggregate: Option<Uuid>,
    /// All events that were decided at this time or later.
    #[arg(long, value_name = "INSTANT")]
    from: Option<Timestamp>,
    /// And before this time.
    #[arg(long, value_name = "INSTANT", requires = "from")]
    to: Option<Timestamp>,
}

/// What was published.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub struct Published {
    pub events: u64,
    /// The commits that they are of.
    #[serde(skip)]
    pub commits: u64,
}

impl Published {
    fn add(&mut self, more: Self) {
        self.events += more.events;
        self.commits += more.commits;
    }
}

/// Publishes what is asked for.
pub async fn run(store: &DynamoEventStore, bus: &str, which: &Which, scan: Scan) -> Result<Published, Error> {
    match which.aggregate {
        Some(id) => {
            let published = of_aggregate(store, &connect(bus).await?, AggregateId(id), 1, Version::MAX).await?;
            if published.events == 0 {
                return Err(format!("there is no aggregate {id}, so nothing was published; check the id").into());
            }
            Ok(published)
        }
        None => of_time(store, &connect(bus).await?, which.from, which.to, scan).await,
    }
}

/// The bus with the name or ARN `bus`, which exists: events for one that does not would be accepted, and dropped.
pub async fn connect(bus: &str) -> Result<EventBridge, Error> {
    const ADVICE: &str = "Set EVENT_BUS or --event-bus to the stack's EventBusName";
    let client = aws::eventbridge()?;
    let described = client.describe_event_bus().name(bus).send().await;
    described.map_err(|error| explained(&error, &format!("the event bus `{bus}`"), ADVICE))?;
    Ok(EventBridge::new(client, bus))
}

/// Publishes the events of an aggregate with versions between `from` and `to`, both included.
pub async fn of_aggregate(
    store: &impl EventStore,
    bus: &impl Bus,
    id: AggregateId,
    from: Version,
    to: Version,
) -> Result<Published, Error> {
    let (mut published, mut next) = (Published::default(), from);
    while next <= to {
        let commits = store.read(id, next, usize::MAX).await?;
        let Some(last) = commits.last() else { break };
        published.add(announce(bus, &commits, |_, version| (next..=to).contains(&version)).await?);
        next = last.last_version() + 1;
    }
    Ok(published)
}

/// Publishes the events that were decided at `from` or later and before `to`.
pub async fn of_time(
    store: &DynamoEventStore,
    bus: &EventBridge,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    scan: Scan,
) -> Result<Published, Error> {
    let published = RefCell::new(Published::default());
    let is_wanted = |at: Timestamp| from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to);
    let work = async |history: History| {
        let more = announce(bus, &history.commits, |at, _| is_wanted(at)).await?;
        published.borrow_mut().add(more);
        Ok::<_, Error>(Verdict::Well)
    };
    // Without a bookmark: one that another time or bus had left would leave events out.
    let seen = histories::each(store, None, "republish", scan, work).await?;
    if seen.unreadable > 0 {
        return Err(format!("{} items cannot be read and were not published", seen.unreadable).into());
    }
    Ok(published.into_inner())
}

/// Publishes the events of `commits` that are wanted, as the publisher does.
async fn announce<B: Bus>(
    bus: &B,
    commits: &[Commit],
    is_wanted: impl Fn(Timestamp, Version) -> bool,
) -> Result<Published, Error> {
    let (mut entries, mut wanted) = (Vec::new(), Published::default());
    for commit in commits {
        let before = entries.len();
        for event in commit.envelopes().filter(|event| is_wanted(event.created_at, event.version)) {
            entries.push(vec![Entry::announcing(domain::EVENT_SOURCE, &event, B::LIMITS.bytes_max)?]);
        }
        wanted.commits += u64::from(entries.len() > before);
    }
    wanted.events = entries.len() as u64;
    let published = publish(bus, &System, &entries).await;
    match published.refusal {
        Some(refusal) => {
            Err(format!("the bus took {} of {} events: {refusal}", published.records, entries.len()).into())
        }
        None => Ok(wanted),
    }
}
