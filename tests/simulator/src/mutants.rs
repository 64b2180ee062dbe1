//! Guards that can be taken away, one at a time, to see whether the simulator notices.

use clap::ValueEnum;

/// One guard less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mutant {
    /// I1: an append takes a version that is taken.
    AppendWithoutCondition,
    /// I7: a command id is not recognised.
    KeysAreForgotten,
    /// I8: an unknown outcome is taken for a conflict, and decided anew.
    UnknownIsConflict,
    /// I18: a state is stored under another version.
    StaleState,
    /// I13: a row is saved whatever is there.
    RowsWithoutCondition,
    /// I13: an event that a projector fails on is dropped.
    FailuresAreDropped,
    /// I14: what the bus refuses is taken for published.
    RefusedEntriesAreIgnored,
    /// I12: nobody resumes what a lost event left open.
    NoSweep,
    /// I6: the answer is given before the events are recorded.
    AnswerFirst,
    /// I13: a projector takes what comes as the next event.
    GapsAreApplied,
}
