//! The event store port.

use std::future::Future;

use aggregate::{AggregateId, CommandId, Timestamp, Version};

use crate::{Commit, Snapshot};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Append-only commits by aggregate. Every store passes [`crate::contract`], which says in tests what is said here in words.
///
/// There is no way to append at "any version", to change an event or to delete one.
pub trait EventStore: Send + Sync {
    /// Records `commit` if nothing is recorded at its version yet. Appending the same commit again is the same success, so
    /// after [`AppendError::Unknown`] the way to the truth is to append it again.
    ///
    /// The caller has read that its version is the one after the last: the store sees whether a commit begins at this version, and
    /// not whether one before it reaches so far, or whether one is left out. [`crate::load`] finds such a history corrupt.
    ///
    /// The store may leave `commit.state` out where storing it is not worth its price.
    fn append(&self, commit: &Commit) -> impl Future<Output = Result<(), AppendError>> + Send;

    /// What is needed to rebuild the aggregate as of version `up_to`: the newest state with the tag `state_schema` at or
    /// before it, and all later commits up to it. Sees every append that was acknowledged before the call.
    fn load(
        &self,
        aggregate_id: AggregateId,
        up_to: Version,
        state_schema: u32,
    ) -> impl Future<Output = Result<Tail, ReadError>> + Send;

    /// Commits that hold a version of at least `from`, in order, at most `commits_max` and at most one page of the store's
    /// choice. Empty when there is none. Sees every append that was acknowledged before the call.
    fn read(
        &self,
        aggregate_id: AggregateId,
        from: Version,
        commits_max: usize,
    ) -> impl Future<Output = Result<Vec<Commit>, ReadError>> + Send;

    /// The commit that the command wrote, if it wrote one. Sees every append that was acknowledged before the call.
    fn find_command(
        &self,
        aggregate_id: AggregateId,
        command_id: CommandId,
    ) -> impl Future<Output = Result<Option<Commit>, ReadError>> + Send;
}

/// The newest part of a history: a state and what happened after it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tail {
    /// A stored state and the version that it is of. `None`: rebuild from nothing.
    pub state: Option<(Version, Snapshot)>,
    /// All commits that reach beyond that version, in order. The first and the last may hold events outside the range asked for.
    pub commits: Vec<Commit>,
    /// When the newest commit in the range was decided; `None` where there is none.
    pub changed_at: Option<Timestamp>,
    /// The type of the aggregate whose history it is; `None` where there is none.
    pub aggregate_type: Option<String>,
}

/// Why an append did not acknowledge.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Another commit is recorded at this version, so ours is not and never will be. Caller does: load and decide again.
    #[error("another commit is recorded at this version")]
    Conflict,
    /// The commit may be recorded, or may yet be. Caller does: append the same commit again, and never call it a failure.
    #[error("whether the commit is recorded is not known")]
    Unknown(#[source] Source),
    /// The commit cannot be written in the store's form. Nothing was sent. Caller does: report a mistake in the program.
    #[error("the commit cannot be written down")]
    Unwritable(#[source] Source),
    /// The events can never be recorded together. Nothing was sent. Caller does: refuse the command.
    #[error("the commit has {bytes} bytes, more than the {bytes_max} that the store takes")]
    TooLarge {
        /// What the commit needs without a state.
        bytes: usize,
        /// What the store takes.
        bytes_max: usize,
    },
}

/// Why a read gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store did not answer, or is asked for too much at the moment. Caller does: try again later.
    #[error("the event store did not answer")]
    Unavailable(#[source] Source),
    /// The store does not exist, or refuses the request for good. Caller does: report a mistake in the program or its deployment.
    #[error("the event store refused the request")]
    Refused(#[source] Source),
    /// The id is that of an aggregate of another type. Caller does: as if there were none with this id, but never append.
    #[error("the aggregate is of another type")]
    AnotherType,
    /// What is stored cannot be understood, or breaks a promise of the store. Caller does: stop, and call a person.
    #[error("the history cannot be read: {0}")]
    Corrupt(String),
}

impl From<aggregate::Unreadable> for ReadError {
    fn from(unreadable: aggregate::Unreadable) -> Self {
        Self::Corrupt(unreadable.to_string())
    }
}
