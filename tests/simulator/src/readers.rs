//! Who reads the journal, and what must hold about what they have seen.

use std::collections::BTreeSet;

use aggregate::Timestamp;
use ledger::Ledger;
use uuid::Uuid;

use crate::tables::Entries;

/// Readers of the journal.
#[derive(Debug, Default)]
pub struct Readers {
    /// The cursor of the administrator who keeps reading.
    pub cursor: Option<String>,
    /// What they have seen.
    pub seen: Vec<Uuid>,
    /// Others, who have read for a while.
    pub others: Vec<Reading>,
}

/// What somebody has seen of the journal.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The first time that they wanted.
    pub since: Option<Timestamp>,
    /// The type that they wanted.
    pub event_type: Option<String>,
    /// What they have seen.
    pub seen: Vec<Uuid>,
    /// Up to when that was everything, they were told.
    pub complete_until: Option<Timestamp>,
}

impl Readers {
    /// At rest, who follows has seen every event once, and the others everything below the watermark that they were told (I16).
    pub fn check(&self, ledger: &Ledger, entries: &Entries) {
        let mut all: Vec<Uuid> = ledger.events.iter().map(|event| event.event_id).collect();
        let mut seen = self.seen.clone();
        all.sort_unstable();
        seen.sort_unstable();
        assert_eq!(seen, all, "I16: a reader of the journal has missed an event, or seen one twice");
        for reading in &self.others {
            let seen: BTreeSet<Uuid> = reading.seen.iter().copied().collect();
            assert_eq!(seen.len(), reading.seen.len(), "I16: a reader of the journal has seen an event twice");
            let is_wanted = |time: Timestamp, event_type: &str| {
                reading.since.is_none_or(|since| time >= since)
                    && reading.event_type.as_ref().is_none_or(|wanted| wanted == event_type)
            };
            for (position, (_, event)) in entries {
                let (Some(event), Some(time)) = (event, position.time()) else { continue };
                let is_wanted = is_wanted(time, &event.event_type);
                let is_below = reading.complete_until.is_some_and(|until| time < until);
                let is_seen = seen.contains(&event.event_id);
                assert!(is_wanted || !is_seen, "I16: a reader of the journal is shown what they did not want");
                assert!(is_seen || !is_wanted || !is_below, "I16: an event is missing below the watermark");
            }
        }
    }
}
