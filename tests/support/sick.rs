//! A store and an index of which some parts are sick.

use std::{collections::BTreeMap, future::pending};

use aggregate::{AggregateId, CommandId, Version};
use eventing::{AppendError, Commit, EventStore, MemoryStore, Place, ReadError, TableError, Tail};
use transaction_process::{OpenTransactions, PARTS};

/// The way in which an account does not take part.
#[derive(Debug, Clone, Copy)]
pub enum Sickness {
    /// No request is answered.
    Hangs,
    /// Every request is refused at once.
    Fails,
    /// Its history is not one.
    Unreadable,
}

/// A store in which some accounts are sick.
#[derive(Debug, Default)]
pub struct SickStore {
    /// The store behind it.
    pub inner: MemoryStore,
    /// The aggregates that cannot be read, each in its way.
    pub sick: BTreeMap<AggregateId, Sickness>,
}

impl SickStore {
    async fn examine(&self, id: AggregateId) -> Result<(), ReadError> {
        match self.sick.get(&id) {
            None => Ok(()),
            Some(Sickness::Hangs) => pending().await,
            Some(Sickness::Fails) => Err(ReadError::Unavailable("throttled".into())),
            Some(Sickness::Unreadable) => Err(ReadError::Corrupt(format!("{id} has no version 1"))),
        }
    }
}

impl EventStore for SickStore {
    async fn append(&self, commit: &Commit) -> Result<(), AppendError> {
        self.inner.append(commit).await
    }

    async fn load(&self, id: AggregateId, up_to: Version, state_schema: u32) -> Result<Tail, ReadError> {
        self.examine(id).await?;
        self.inner.load(id, up_to, state_schema).await
    }

    async fn read(&self, id: AggregateId, from: Version, commits_max: usize) -> Result<Vec<Commit>, ReadError> {
        self.examine(id).await?;
        self.inner.read(id, from, commits_max).await
    }

    async fn find_command(&self, id: AggregateId, command_id: CommandId) -> Result<Option<Commit>, ReadError> {
        self.inner.find_command(id, command_id).await
    }
}

/// The index of open transactions, as a read model that is behind has it: nothing leaves it.
#[derive(Debug, Default)]
pub struct OpenList {
    /// The transactions.
    pub ids: Vec<AggregateId>,
    /// Items that are no transactions.
    pub unreadable: usize,
    /// A part that does not answer.
    pub part_down: Option<u8>,
}

impl OpenTransactions for OpenList {
    async fn part(&self, part: u8) -> Result<Vec<Result<Place, TableError>>, TableError> {
        if self.part_down == Some(part) {
            return pending().await;
        }
        let ids = self.ids.iter().filter(|id| id.0.as_bytes()[15] % PARTS == part);
        let places = ids.map(|id| Ok(("2020-01-01T00:00:00.000000Z".to_owned(), *id)));
        let unreadable = (0..if part == 0 { self.unreadable } else { 0 })
            .map(|_| Err(TableError::Unreadable("a key of the index is no place".into())));
        Ok(unreadable.chain(places).collect())
    }
}
