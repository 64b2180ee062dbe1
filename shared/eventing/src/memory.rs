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

/// Like a DynamoDB item, so that a domain whose events outgrow the real store outgrows this one too. Only their data is counted, which
/// is nearly all of it.
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
                let place = history.partition_point(|recorded| recorded.version < commit.version);
                history.insert(place, commit.clone());
                Ok(())
            }
        }
    }

    async fn load(&self, aggregate_id: AggregateId, up_to: Version, state_schema: u32) -> Result<Tail, ReadError> {
        let histories = self.lock();
        let history = histories.get(&aggregate_id).map_or(&[][..], Vec::as_slice);
        let commits = &history[..history.partition_point(|commit| commit.version <= up_to)];
        let usable = |commit: &Commit| {
            commit.last_version() <= up_to && commit.state.as_ref().is_some_and(|state| state.schema == state_schema)
        };
        let newest = commits.iter().rposition(usable);
        Ok(Tail {
            state: newest.and_then(|place| Some((commits[place].last_version(), commits[place].state.clone()?))),
            commits: commits[newest.map_or(0, |place| place + 1)..].to_vec(),
            changed_at: commits.last().map(|commit| commit.created_at),
            aggregate_type: commits.last().map(|commit| commit.aggregate_type.clone()),
        })
    }

    async fn read(
        &self,
        aggregate_id: AggregateId,
        from: Version,
        commits_max: usize,
    ) -> Result<Vec<Commit>, ReadError> {
        let histories = self.lock();
        let later = histories.get(&aggregate_id).into_iter().flatten().filter(|commit| commit.last_version() >= from);
        Ok(later.take(commits_max.min(PAGE_COMMITS)).cloned().collect())
    }

    async fn find_command(
        &self,
        aggregate_id: AggregateId,
        command_id: CommandId,
    ) -> Result<Option<Commit>, ReadError> {
        let histories = self.lock();
        let mut history = histories.get(&aggregate_id).into_iter().flatten();
        Ok(history.find(|commit| commit.metadata.command_id == Some(command_id)).cloned())
    }
}
