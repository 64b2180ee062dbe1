//! What is measured, by the names under which it is. Recorded with the facade crate `metrics`, so a service decides where the figures
//! go; without a recorder they go nowhere and cost nothing.

/// Counter: a decision was lost to a faster writer and made anew.
pub const CONFLICTS: &str = "Conflicts";
/// Counter: a caller was told that the outcome is not known.
pub const OUTCOMES_UNKNOWN: &str = "OutcomesUnknown";
/// Counter: an entry was refused by the bus, and sent again.
pub const ENTRIES_REFUSED: &str = "EntriesRefused";
/// Milliseconds from the decision of the oldest event of a batch until it is on the bus.
pub const PUBLISH_LAG: &str = "PublishLag";
/// Milliseconds from the decision of an event until it is in a read model.
pub const PROJECTION_LAG: &str = "ProjectionLag";
/// Counter: an event was in the read model before.
pub const EVENTS_SKIPPED: &str = "EventsSkipped";
/// Counter: an event came before others, which were read from the store.
pub const GAPS_HEALED: &str = "GapsHealed";
