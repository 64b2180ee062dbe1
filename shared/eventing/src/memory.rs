//! An event store in memory: for tests of a domain, and the model that real stores are compared with.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use aggregate::{AggregateId, CommandId, Version};

use crate::{AppendError, Commit, EventStore, ReadError, Tail};

/// Keeps commits for as long as it lives.
#[derive(Debug, Default)]
pub struct MemoryStore {
    histories: Mutex<BTreeMap<AggregateId, Vec<Commit>>>,
}

/// Like a DynamoDB item, so that a domain which outgrows the real store outgrows this one too.
const COMMIT_BYTES_MAX: usize = 400 * 1024;
/// Small, so that tests meet the second page.
const PAGE_COMMITS: usize = 8;

impl MemoryStore {
    /// Every aggregate's whole history.
    #[must_use]
    pub fn histories(&self) -> BTreeMap<AggregateId, Vec<Commit>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AggregateId, Vec<Commit>>> {
        // Every change is a single push, so a panic elsewhere cannot have left one half done.
        self.histories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commits(&self, aggregate_id: AggregateId, wanted: impl Fn(&Commit) -> bool) -> Vec<Commit> {
        let histories = self.lock();
        histories.get(&aggregate_id).into_iter().flatten().filter(|commit| wanted(commit)).cloned().collect()
    }
}

impl EventStore for MemoryStore {
    async fn append(&self, commit: &Commit) -> Result<(), AppendError> {
        let bytes = commit.events.iter().map(|event| event.data.to_string().len()).sum();
        if bytes > COMMIT_BYTES_MAX {
            return Err(AppendError::TooLarge { bytes, bytes_max: COMMIT_BYTES_MAX });
        }
        let mut histories = self.lock();
        let history = histories.entry(commit.aggregate_id).or_default();
        match history.iter().find(|recorded| recorded.version == commit.version) {
            Some(recorded) if recorded.id() == commit.id() => Ok(()),
            Some(_) => Err(AppendError::Conflict),
            None => {
                history.push(commit.clone());
                Ok(())
            }
        }
    }

    async fn load(&self, aggregate_id: AggregateId, up_to: Version, state_schema: u32) -> Result<Tail, ReadError> {
        let mut commits = self.commits(aggregate_id, |commit| commit.version <= up_to);
        let changed_at = commits.last().map(|commit| commit.created_at);
        let aggregate_type = commits.last().map(|commit| commit.aggregate_type.clone());
        let usable = |commit: &Commit| {
            commit.last_version() <= up_to && commit.state.as_ref().is_some_and(|state| state.schema == state_schema)
        };
        let Some(newest) = commits.iter().rposition(usable) else {
            return Ok(Tail { state: None, commits, changed_at, aggregate_type });
        };
        let later = commits.split_off(newest + 1);
        let state = commits.pop().and_then(|commit| Some((commit.last_version(), commit.state?)));
        Ok(Tail { state, commits: later, changed_at, aggregate_type })
    }

    async fn read(
        &self,
        aggregate_id: AggregateId,
        from: Version,
        commits_max: usize,
    ) -> Result<Vec<Commit>, ReadError> {
        let mut commits = self.commits(aggregate_id, |commit| commit.last_version() >= from);
        commits.truncate(commits_max.min(PAGE_COMMITS));
        Ok(commits)
    }

    async fn find_command(
        &self,
        aggregate_id: AggregateId,
        command_id: CommandId,
    ) -> Result<Option<Commit>, ReadError> {
        Ok(self.commits(aggregate_id, |commit| commit.metadata.command_id == Some(command_id)).pop())
    }
}
