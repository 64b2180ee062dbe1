//! Recorded events once more on the bus: for what was lost on the way, and for subscribers who want to begin earlier.

use std::{borrow::Cow, cell::RefCell, ops::RangeInclusive};

use aggregate::{Aggregate, AggregateId, Timestamp, Version};
use aws::{DynamoEventStore, EventBridge};
use domain::{Account, EVENT_SOURCE, Transaction};
use eventing::{Bus, Commit, Entry, EventStore, System, publish};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    Error, Scan, Verdict,
    connection::{Connection, explained},
    histories::{self, History, Seen},
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

/// The bus that events go to, and under which name.
#[derive(Debug, Clone, clap::Args)]
pub struct To {
    /// The bus: the stack's parameter `EventBusName` [env: `EVENT_BUS`]
    #[arg(long)]
    event_bus: Option<String>,
    /// The source of events that are not the bank's, and whose dead letter does not say it.
    #[arg(long)]
    source: Option<String>,
}

impl To {
    /// The bus, which exists: events for one that does not would be accepted, and dropped.
    pub async fn connect(&self, connection: &Connection) -> Result<Destination, Error> {
        const ADVICE: &str = "set EVENT_BUS or --event-bus to the stack's EventBusName";
        let bus = self.event_bus.clone().or_else(|| connection.setting("EVENT_BUS"));
        let bus = bus.ok_or_else(|| format!("no event bus is named; {ADVICE}"))?;
        let client = connection.eventbridge();
        let described = client.describe_event_bus().name(&bus).send().await;
        let advice = format!("The region is {}; {ADVICE}", connection.region());
        described.map_err(|error| explained(&error, &format!("the event bus `{bus}`"), &advice))?;
        Ok(Destination { bus: EventBridge::new(client, bus), source: self.source.clone() })
    }
}

/// A bus, with the source that the operator has named.
#[derive(Debug)]
pub struct Destination<B = EventBridge> {
    pub bus: B,
    pub source: Option<String>,
}

impl<B> Destination<B> {
    /// The source of the events of an aggregate. The bank's events have one and no other, whatever a letter says; of events that
    /// are another's, the letter says it, or the operator.
    fn source_of(&self, aggregate_type: &str, letters_own: Option<&str>) -> Result<Cow<'static, str>, Error> {
        let named = letters_own.or(self.source.as_deref());
        let is_the_banks = [Account::TYPE, Transaction::TYPE].contains(&aggregate_type);
        match named {
            None | Some(EVENT_SOURCE) if is_the_banks => Ok(EVENT_SOURCE.into()),
            Some(other) if is_the_banks => Err(format!(
                "it is about an event of {aggregate_type} from `{other}`, but those are from `{EVENT_SOURCE}`"
            )
            .into()),
            Some(source) => Ok(source.to_owned().into()),
            None => Err(format!("{aggregate_type} is no aggregate of the bank; name its source with --source").into()),
        }
    }
}

/// Publishes what is asked for.
pub async fn run(store: &DynamoEventStore, to: &Destination, which: &Which, scan: Scan) -> Result<Published, Error> {
    let Some(id) = which.aggregate else { return of_time(store, to, None, which.from, which.to, scan).await };
    let published = of_aggregate(store, to, None, AggregateId(id), 1..=Version::MAX).await?;
    if published.events == 0 {
        return Err(format!("there is no aggregate {id}, so nothing was published; check the id").into());
    }
    Ok(published)
}

/// Publishes the events of an aggregate that have these versions.
pub async fn of_aggregate<B: Bus>(
    store: &impl EventStore,
    to: &Destination<B>,
    source: Option<&str>,
    id: AggregateId,
    versions: RangeInclusive<Version>,
) -> Result<Published, Error> {
    let (mut published, mut next) = (Published::default(), *versions.start());
    while next <= *versions.end() {
        let commits = store.read(id, next, usize::MAX).await?;
        let Some(last) = commits.last() else { break };
        published.add(announce(to, source, &commits, |_, version| (next..=*versions.end()).contains(&version)).await?);
        next = last.last_version() + 1;
    }
    Ok(published)
}

/// Publishes the events that were decided at `from` or later and before `to`.
pub async fn of_time<B: Bus>(
    store: &DynamoEventStore,
    destination: &Destination<B>,
    source: Option<&str>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    scan: Scan,
) -> Result<Published, Error> {
    let published = RefCell::new(Published::default());
    let is_wanted = |at: Timestamp| from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to);
    let work = async |history: History| {
        let more = announce(destination, source, &history.commits, |at, _| is_wanted(at)).await?;
        published.borrow_mut().add(more);
        Ok::<_, Error>(Verdict::Well)
    };
    // Without a bookmark: one that another time or bus had left would leave events out.
    let seen = histories::each(store, None, "republish", scan, work).await?;
    let (published, Seen { unreadable, failed, .. }) = (published.into_inner(), seen);
    if unreadable + failed > 0 {
        let events = published.events;
        return Err(format!(
            "{unreadable} items cannot be read, and of {failed} aggregates not all events were published; {events} events were"
        )
        .into());
    }
    Ok(published)
}

/// Publishes the events of `commits` that are wanted, as the publisher does.
async fn announce<B: Bus>(
    to: &Destination<B>,
    source: Option<&str>,
    commits: &[Commit],
    is_wanted: impl Fn(Timestamp, Version) -> bool,
) -> Result<Published, Error> {
    let (mut entries, mut wanted) = (Vec::new(), Published::default());
    for commit in commits {
        let before = entries.len();
        for event in commit.envelopes().filter(|event| is_wanted(event.created_at, event.version)) {
            let source = to.source_of(&event.aggregate_type, source)?;
            entries.push(vec![Entry::announcing(source, &event, B::LIMITS.bytes_max)?]);
        }
        wanted.commits += u64::from(entries.len() > before);
    }
    wanted.events = entries.len() as u64;
    let published = publish(&to.bus, &System, &entries).await;
    let taken = published.records - published.rejected.iter().filter(|one| one.record < published.records).count();
    match published.failure() {
        Some(reason) => Err(format!("the bus took {taken} of {} events: {reason}", entries.len()).into()),
        None => Ok(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(named: Option<&str>, aggregate_type: &str, letters_own: Option<&str>) -> Result<String, String> {
        let to = Destination { bus: (), source: named.map(str::to_owned) };
        to.source_of(aggregate_type, letters_own).map(Cow::into_owned).map_err(|error| error.to_string())
    }

    #[test]
    fn the_banks_events_have_one_source_and_others_that_of_their_letter() {
        assert_eq!(source(None, "Account", None).unwrap(), "daybook");
        assert_eq!(source(None, "Transaction", Some("daybook")).unwrap(), "daybook");
        assert!(source(None, "Account", Some("payments")).unwrap_err().contains("from `daybook`"));
        assert!(source(Some("payments"), "Account", None).is_err());
        assert_eq!(source(None, "Book", Some("library")).unwrap(), "library");
        assert_eq!(source(Some("other"), "Book", Some("library")).unwrap(), "library");
        assert_eq!(source(Some("library"), "Book", None).unwrap(), "library");
        assert!(source(None, "Book", None).unwrap_err().contains("--source"));
    }
}
