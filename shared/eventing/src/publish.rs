//! Recorded events on their way to a bus. A bus takes a few entries a request and may refuse some of them in an answer that is
//! otherwise a success; nothing counts as published before its own entry is accepted.

use std::{borrow::Cow, future::Future, time::Duration};

use aggregate::{Envelope, Timestamp};
use serde::Serialize;

use crate::{Host, causes, host::pause, measures};

/// One message for the bus.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Who says it: what rules match first.
    pub source: Cow<'static, str>,
    /// What it is: the event's type.
    pub detail_type: String,
    /// The message, as JSON text.
    pub detail: String,
    /// When it happened.
    pub time: Timestamp,
}

/// Where entries go.
pub trait Bus: Send + Sync {
    /// What the bus takes in one request.
    const LIMITS: PublishLimits;

    /// Sends `entries` in one request. The answer has one item an entry, in order: `None` where it was accepted, else the code
    /// of its refusal.
    fn put(&self, entries: &[&Entry]) -> impl Future<Output = Result<Vec<Option<String>>, BusError>> + Send;

    /// Whether a refusal with `code` is about the entry itself, so that no later attempt can end otherwise. An outage, a quota or a
    /// missing permission is none.
    #[must_use]
    fn is_final(_code: &str) -> bool {
        false
    }
}

/// What a bus takes in one request.
#[derive(Debug, Clone, Copy)]
pub struct PublishLimits {
    /// Entries.
    pub entries_max: usize,
    /// Bytes of all entries together, as [`Entry::bytes`] counts them.
    pub bytes_max: usize,
}

/// The bus did not answer, or refused; some of the entries may have been accepted. Caller does: send them again.
#[derive(Debug, thiserror::Error)]
#[error("the event bus did not take the entries")]
pub struct BusError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

impl Entry {
    /// The entry that announces `envelope`. Where that is over `bytes_max`, it goes without its data: its id, aggregate and version
    /// are a claim to the event in the store.
    ///
    /// # Errors
    /// When the envelope does not serialise.
    pub fn announcing(
        source: impl Into<Cow<'static, str>>,
        envelope: &Envelope,
        bytes_max: usize,
    ) -> Result<Self, serde_json::Error> {
        let source = source.into();
        let whole = Self::new(source.clone(), &envelope.event_type, envelope.created_at, envelope)?;
        if whole.bytes() <= bytes_max {
            return Ok(whole);
        }
        let claim = Envelope { data: serde_json::Value::Null, ..envelope.clone() };
        Self::new(source, &envelope.event_type, envelope.created_at, &claim)
    }

    /// An entry with `detail` as JSON.
    ///
    /// # Errors
    /// When it does not serialise.
    pub fn new(
        source: impl Into<Cow<'static, str>>,
        detail_type: &str,
        time: Timestamp,
        detail: &impl Serialize,
    ) -> Result<Self, serde_json::Error> {
        let (source, detail_type) = (source.into(), detail_type.to_owned());
        Ok(Self { source, detail_type, detail: serde_json::to_string(detail)?, time })
    }

    /// Its size as EventBridge counts it: 14 bytes for the time, and the bytes of the texts (EventBridge user guide,
    /// "Calculating PutEvents entry size").
    #[must_use]
    pub fn bytes(&self) -> usize {
        14 + self.source.len() + self.detail_type.len() + self.detail.len()
    }
}

/// How often an entry that the bus refused is sent again before its record is given back.
const ATTEMPTS_MAX: u32 = 3;
/// What waits between attempts are multiples of.
const PAUSE: Duration = Duration::from_millis(50);

/// The outcome of publishing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Leading records whose entries are all published, or rejected.
    pub records: usize,
    /// The reason why the next is not, as far as the bus says; `None` where all are.
    pub refusal: Option<String>,
    /// Entries that the bus will never take. Caller does: say so to somebody.
    pub rejected: Vec<Rejected>,
}

/// An entry that the bus will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The place of its record.
    pub record: usize,
    /// Its place in the record.
    pub entry: usize,
    /// The code of the refusal.
    pub code: String,
}

impl Published {
    /// The reason why not all is published, for a caller who parks nothing.
    #[must_use]
    pub fn failure(self) -> Option<String> {
        self.refusal.or_else(|| self.rejected.into_iter().next().map(|rejected| rejected.code))
    }
}

/// An entry with its record's place and its own place there.
type Outgoing<'a> = (usize, usize, &'a Entry);

/// Publishes the entries of records, in order, and answers how far it has come. An entry that is refused holds up no other one, as
/// long as the bus takes others. When it has not come to the end, entries of later records may be out all the same: whoever retries
/// publishes those twice, and consumers know an event by its id.
pub async fn publish<B: Bus>(bus: &B, host: &impl Host, records: &[Vec<Entry>]) -> Published {
    let places = |(record, entries): (usize, &'_ Vec<Entry>)| (record, entries.len());
    let places =
        records.iter().enumerate().map(places).flat_map(|(record, all)| (0..all).map(move |one| (record, one)));
    let entries: Vec<Outgoing<'_>> = places.map(|(record, entry)| (record, entry, &records[record][entry])).collect();
    let mut published = Published { records: records.len(), refusal: None, rejected: Vec::new() };
    let mut rest = entries.as_slice();
    while !rest.is_empty() {
        let (request, after) = rest.split_at(fitting(rest, B::LIMITS));
        if let Err(refused) = put_all(bus, host, request, &mut published.rejected).await {
            if published.refusal.is_none() {
                published.records = refused.first_record;
                published.refusal = Some(refused.reason);
            }
            if !refused.others_were_taken {
                break;
            }
        }
        rest = after;
    }
    published
}

/// How many leading entries fit one request; at least one, so that an oversized entry is refused by the bus, not by silence.
fn fitting(entries: &[Outgoing<'_>], limits: PublishLimits) -> usize {
    let mut bytes = 0;
    let within = |(_, _, entry): &&Outgoing<'_>| {
        bytes += entry.bytes();
        bytes <= limits.bytes_max
    };
    entries.iter().take(limits.entries_max).take_while(within).count().max(1)
}

/// A request of which not all was taken.
struct Refused {
    first_record: usize,
    reason: String,
    others_were_taken: bool,
}

/// Sends one request's entries until each is accepted or rejected; gives up after some attempts.
async fn put_all<B: Bus>(
    bus: &B,
    host: &impl Host,
    request: &[Outgoing<'_>],
    rejected: &mut Vec<Rejected>,
) -> Result<(), Refused> {
    let (mut pending, mut reason, mut others_were_taken) = (request.to_vec(), String::new(), false);
    for attempt in 1..=ATTEMPTS_MAX {
        let entries: Vec<&Entry> = pending.iter().map(|(_, _, entry)| *entry).collect();
        match bus.put(&entries).await {
            Ok(answers) => {
                // An answer that is missing is no acceptance.
                let mut answers = answers.into_iter();
                pending.retain(|(record, place, entry)| match answers.next() {
                    Some(None) => {
                        others_were_taken = true;
                        false
                    }
                    refused => {
                        metrics::counter!(measures::ENTRIES_REFUSED).increment(1);
                        let code = refused.flatten().unwrap_or_else(|| "no answer for the entry".to_owned());
                        tracing::warn!(detail_type = entry.detail_type, code, attempt, "the bus refused an entry");
                        if B::is_final(&code) {
                            rejected.push(Rejected { record: *record, entry: *place, code });
                            return false;
                        }
                        reason = code;
                        true
                    }
                });
            }
            Err(error) => {
                reason = causes(&error);
                tracing::warn!(error = reason, attempt, "publishing failed");
            }
        }
        if pending.is_empty() {
            return Ok(());
        }
        if attempt < ATTEMPTS_MAX {
            pause(host, attempt, PAUSE).await;
        }
    }
    let first_record = pending.first().map_or(usize::MAX, |(record, _, _)| *record);
    Err(Refused { first_record, reason, others_were_taken })
}
