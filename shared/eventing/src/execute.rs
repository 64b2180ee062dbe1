//! One command on one aggregate, from loading it to the recorded events. This is the heart of the mechanism; the numbered
//! comments in [`execute`] are its five steps.
//!
//! What makes it safe is one rule of the store: a version is recorded once. Whoever else appends between our load and our
//! append takes our version, so a decision is recorded only on the very state that it was made on, and the look-up of the
//! command id between the two cannot miss a command that got in first.

use std::time::Duration;

use aggregate::{Aggregate, AggregateId, Metadata, Timestamp, Version};

use crate::{
    AppendError, Commit, EventStore, Host, ReadError, RecordedEvent, Snapshot, commit::digest, host::pause, measures,
};

/// A command and what comes with it.
#[derive(Debug, Clone)]
pub struct Command<C> {
    /// The aggregate that is asked.
    pub aggregate_id: AggregateId,
    /// What is asked.
    pub body: C,
    /// Who asks and why; its `command_id`, where there is one, makes the command idempotent.
    pub metadata: Metadata,
    /// The versions that the command may be decided on (`If-Match`).
    pub expected_version: ExpectedVersion,
    /// When the answer is no longer of use: nothing is tried once more after it. The first attempt is made whatever the time.
    pub deadline: Timestamp,
}

/// The versions of an aggregate that a command may be decided on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ExpectedVersion {
    /// Every version, and an aggregate that has no event yet.
    #[default]
    Any,
    /// Every version of an aggregate that has one.
    Exists,
    /// One of these. An empty list allows none.
    OneOf(Vec<Version>),
}

impl ExpectedVersion {
    fn allows(&self, actual: Version) -> bool {
        match self {
            Self::Any => true,
            Self::Exists => actual > 0,
            Self::OneOf(versions) => versions.contains(&actual),
        }
    }
}

/// The answer to a command that was not refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Executed<E> {
    /// The version after the command's last event.
    pub version: Version,
    /// The command's events; empty where there was nothing to do.
    pub events: Vec<E>,
    /// This command id had its effect by an earlier or a concurrent call, whose answer this is. False for the call whose own append
    /// had the effect, also where that append's answer was lost on the way.
    pub repeated: bool,
}

/// Why a command has no effect, or not one that we know of.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<R> {
    /// The aggregate says no. Caller does: tell the user.
    #[error(transparent)]
    Rejected(R),
    /// The command id was used for another command. Caller does: tell the user to choose a new one.
    #[error("this command id was used for another command")]
    CommandIdReused,
    /// The aggregate is not at an expected version. Caller does: let the user look again.
    #[error("the aggregate is at version {actual}")]
    VersionMismatch {
        /// The version that it is at.
        actual: Version,
    },
    /// Others were faster, every time. Nothing is recorded. Caller does: try again later.
    #[error("the aggregate is too busy")]
    Busy,
    /// The command may have had its effect, or may yet have it. Caller does: send it again with the same command id.
    #[error("whether the command had its effect is not known")]
    Unknown(#[source] AppendError),
    /// The store can never take the events. Nothing is recorded. Caller does: tell the user.
    #[error(transparent)]
    NotRecordable(AppendError),
    /// The history could not be read. Nothing is recorded.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The domain's types do not serialise: a mistake in the program.
    #[error("the command's events cannot be written down")]
    Unwritable(#[from] serde_json::Error),
}

/// How often a command is decided anew because another was faster. Each time, that other made progress.
const DECISIONS_MAX: u32 = 32;
/// How often one commit is sent while its outcome is unknown (on top of the store's own retries).
const APPENDS_MAX: u32 = 3;
/// What waits between attempts are multiples of.
const PAUSE: Duration = Duration::from_millis(5);

/// Executes `command` and returns when its events are recorded.
///
/// # Errors
/// All of [`ExecuteError`]. Except for [`ExecuteError::Unknown`], every error means that nothing was recorded.
pub async fn execute<A: Aggregate>(
    store: &impl EventStore,
    host: &impl Host,
    command: &Command<A::Command>,
) -> Result<Executed<A::Event>, ExecuteError<A::Rejection>> {
    let repeatable = match command.metadata.command_id {
        Some(command_id) => Some((command_id, digest(&command.body, command_id)?)),
        None => None,
    };
    for attempt in 0..DECISIONS_MAX {
        if attempt > 0 {
            pause(host, attempt, PAUSE).await;
            if host.now() >= command.deadline {
                break;
            }
        }
        // 1. Load.
        let current = load::<A>(store, command.aggregate_id, Version::MAX).await?;
        // 2. Recognise a repetition: it gets the first answer again.
        if let Some((command_id, digest)) = repeatable
            && current.version > 0
            && let Some(first) = store.find_command(command.aggregate_id, command_id).await?
        {
            if first.command_digest != Some(digest) {
                return Err(ExecuteError::CommandIdReused);
            }
            let events = first.decode().map_err(ReadError::from)?.into_iter().map(|event| event.data).collect();
            return Ok(Executed { version: first.last_version(), events, repeated: true });
        }
        // 3. Decide. A rejection goes before the expected version, or that would tell a stranger the version (RFC 9110, 13.2.1).
        let events = current.aggregate.handle(&command.body).map_err(ExecuteError::Rejected)?;
        if !command.expected_version.allows(current.version) {
            return Err(ExecuteError::VersionMismatch { actual: current.version });
        }
        if events.is_empty() {
            return Ok(Executed { version: current.version, events, repeated: false });
        }
        let commit = commit_of(host, command, &current, &events, repeatable.map(|(_, digest)| digest))?;
        // 4. Append.
        match append(store, host, &commit, command.deadline).await {
            // 5. Answer.
            Ok(()) => return Ok(Executed { version: commit.last_version(), events, repeated: false }),
            Err(AppendError::Conflict) => {
                metrics::counter!(measures::CONFLICTS).increment(1);
                tracing::debug!(aggregate_id = %command.aggregate_id, version = commit.version, attempt, "conflict");
            }
            Err(unknown @ AppendError::Unknown(_)) => {
                metrics::counter!(measures::OUTCOMES_UNKNOWN).increment(1);
                return Err(ExecuteError::Unknown(unknown));
            }
            Err(never @ (AppendError::TooLarge { .. } | AppendError::Unwritable(_))) => {
                return Err(ExecuteError::NotRecordable(never));
            }
        }
    }
    Err(ExecuteError::Busy)
}

/// Appends `commit`, and goes on sending the very same one while the outcome is unknown. A read could not settle it: where
/// it finds nothing, the first request may still be under way. The commit itself settles it, because only one takes the version.
async fn append(
    store: &impl EventStore,
    host: &impl Host,
    commit: &Commit,
    deadline: Timestamp,
) -> Result<(), AppendError> {
    let mut sent = 0;
    loop {
        let outcome = store.append(commit).await;
        sent += 1;
        let Err(AppendError::Unknown(_)) = outcome else { return outcome };
        if sent == APPENDS_MAX {
            return outcome;
        }
        pause(host, sent, PAUSE).await;
        if host.now() >= deadline {
            return outcome;
        }
    }
}

fn commit_of<A: Aggregate>(
    host: &impl Host,
    command: &Command<A::Command>,
    current: &Loaded<A>,
    events: &[A::Event],
    command_digest: Option<uuid::Uuid>,
) -> Result<Commit, serde_json::Error> {
    let mut after = current.aggregate.clone();
    for event in events {
        after.apply(event);
    }
    Ok(Commit {
        aggregate_id: command.aggregate_id,
        aggregate_type: A::TYPE.to_owned(),
        version: current.version + 1,
        // Clocks differ and run backwards; within one history time does not.
        created_at: current.changed_at.map_or(host.now(), |changed_at| changed_at.max(host.now())),
        metadata: command.metadata.clone(),
        command_digest,
        events: events.iter().map(|event| RecordedEvent::new(event, host)).collect::<Result<_, _>>()?,
        state: Some(Snapshot::of(&after)?),
    })
}

/// An aggregate as of some version.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded<A> {
    /// Its state; the default where there is no event yet.
    pub aggregate: A,
    /// How many events made it.
    pub version: Version,
    /// When its newest event was decided.
    pub changed_at: Option<Timestamp>,
}

/// The aggregate as of version `up_to`, or as it stands where it has no more than that ([`Version::MAX`]: now).
///
/// # Errors
/// [`ReadError`].
pub async fn load<A: Aggregate>(
    store: &impl EventStore,
    aggregate_id: AggregateId,
    up_to: Version,
) -> Result<Loaded<A>, ReadError> {
    let tail = store.load(aggregate_id, up_to, A::STATE_SCHEMA).await?;
    if tail.aggregate_type.is_some_and(|aggregate_type| aggregate_type != A::TYPE) {
        return Err(ReadError::AnotherType);
    }
    let (mut commits, mut aggregate, mut version) = (tail.commits, A::default(), 0);
    if let Some((at, snapshot)) = tail.state {
        match snapshot.restore() {
            Ok(state) => (aggregate, version) = (state, at),
            // A cache: without it, the events say the same.
            Err(error) => {
                tracing::error!(%aggregate_id, version = at, %error, "a state is left aside: was STATE_SCHEMA not raised?");
                commits = history(store, aggregate_id, up_to).await?;
            }
        }
    }
    let state_at = version;
    for commit in &commits {
        for event in commit.decode::<A::Event>()? {
            if event.version <= state_at || event.version > up_to {
                continue;
            }
            if event.version != version + 1 {
                return Err(ReadError::Corrupt(format!("{aggregate_id} has no version {}", version + 1)));
            }
            aggregate.apply(&event.data);
            version = event.version;
        }
    }
    if let Some(damage) = aggregate.damage() {
        return Err(ReadError::Corrupt(format!("the history of {aggregate_id} is damaged: {damage}")));
    }
    Ok(Loaded { aggregate, version, changed_at: tail.changed_at })
}

/// All commits up to version `up_to`, without a state.
async fn history(store: &impl EventStore, id: AggregateId, up_to: Version) -> Result<Vec<Commit>, ReadError> {
    let mut commits: Vec<Commit> = Vec::new();
    loop {
        let from = commits.last().map_or(1, |commit| commit.last_version() + 1);
        match store.read(id, from, usize::MAX).await? {
            page if page.is_empty() || from > up_to => return Ok(commits),
            page => commits.extend(page),
        }
    }
}
