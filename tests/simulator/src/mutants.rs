//! Guards that can be taken away, one at a time, to see whether the simulator notices.

use clap::ValueEnum;

/// One guard less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mutant {
    /// I1: an append takes a version that is taken.
    AppendWithoutCondition,
    /// I2: an append leaves a version out.
    AppendLeavesAVersionOut,
    /// I3: the events of a command are written one by one.
    EventsOneByOne,
    /// I4: a recorded event is changed.
    EventIsChanged,
    /// I5: a decision is recorded on whatever state there is by then.
    AppendAtAnyVersion,
    /// I6: the answer is given before the events are recorded.
    AnswerFirst,
    /// I7: a command id is not recognised.
    KeysAreForgotten,
    /// I7: a request of another system is another one each time that it comes.
    RepeatedRequestsAreNew,
    /// I8: an unknown outcome is taken for a conflict, and decided anew.
    UnknownIsConflict,
    /// I9, I11: the process manager credits once more, under another id.
    CreditsTwice,
    /// I9, I11: the process manager refunds what has arrived.
    RefundsAndCredits,
    /// I10: a decision is made on more money than there is.
    LimitIsForgotten,
    /// I12: nobody resumes what a lost event left open.
    NoSweep,
    /// I13: a row is saved whatever is there.
    RowsWithoutCondition,
    /// I13: an event that a projector fails on is dropped.
    FailuresAreDropped,
    /// I13: a projector takes what comes as the next event.
    GapsAreApplied,
    /// I14: what the bus refuses is taken for published.
    RefusedEntriesAreIgnored,
    /// I15: the publisher fails on a record that it cannot read.
    PoisonStopsTheStream,
    /// I15: the publisher passes over a record that it cannot read.
    PoisonIsPassedOver,
    /// I16: a row has the time at which it was written.
    RowsReadTheClock,
    /// I16: who enters the journal late leaves no note.
    LateWithoutNote,
    /// I16: readers of the journal do not hold back.
    NoHoldBack,
    /// I16: a shard of the journal says that it was read to its end.
    ShardsSayTheyEnd,
    /// I17: old events are taken for new ones.
    OldEventsAreNotUpcast,
    /// I18: a state is stored under another version.
    StaleState,
    /// I20: a read that asks for a version gets whatever the table has.
    MinVersionIsIgnored,
    /// I20: a statement joins the events with a table that has moved on meanwhile.
    JointWithoutBoundary,
    /// I20: what a replica of the statement lacks is left out.
    GapsAreNotFilled,
    /// I20: what the index has and a replica of the table lacks is left out.
    MissingRowsAreLeftOut,
    /// I20: of two lists that are merged, one begins again.
    ListsGoOnAlone,
    /// I21: who asks is not compared with whose account it is.
    OwnersAreForgotten,
    /// I21: who reads is not compared with whose account it is.
    StrangersAreAnswered,
    /// I22: who finds the store unavailable tries for ever.
    EndlessRetry,
}
