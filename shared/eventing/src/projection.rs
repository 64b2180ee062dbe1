//! How a read model follows events that a bus delivers at least once and in any order.
//!
//! A delivered event is only a *hint* that the aggregate moved on. Against the row's own version it is one of three things:
//! the next one ([`Gate::Apply`]), known already ([`Gate::Skip`]), or proof that others are missing ([`Gate::Gap`]), which are
//! then read from the event store. A row is saved only on the version that it was folded from, so two projectors at work on
//! one aggregate cannot undo each other.

use std::{future::Future, time::Duration};

use aggregate::{AggregateId, Envelope, Event, Row, Unreadable, Version};

use crate::{Commit, EventStore, Host, ReadError, host::pause};

/// What an event is to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// The next one: fold it in.
    Apply,
    /// Folded in already: nothing to do.
    Skip,
    /// At least one before it is missing: read them from the store.
    Gap,
}

/// Classifies an event of version `event` for a row of version `row` (0: no row yet).
#[must_use]
pub fn classify(row: Version, event: Version) -> Gate {
    if event <= row {
        Gate::Skip
    } else if event == row + 1 {
        Gate::Apply
    } else {
        Gate::Gap
    }
}

/// Where a read model's rows are kept.
pub trait ReadTable<R: Row>: Send + Sync {
    /// The aggregate's newest row. Sees every save that was acknowledged before the call.
    fn latest(&self, aggregate_id: AggregateId) -> impl Future<Output = Result<Option<R>, TableError>> + Send;

    /// Saves `rows`, which follow one another and the row of version `previous` (0: none), if that is still the newest one.
    /// A table of current states may keep only the last. Where it fails midway, what is saved is a gap-free beginning.
    fn save(&self, previous: Version, rows: &[R]) -> impl Future<Output = Result<Saved, TableError>> + Send;
}

/// The outcome of a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// The rows are saved.
    Written,
    /// Another projector moved the aggregate's rows on.
    Stale,
}

/// Why a read table gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It did not answer, or is asked for too much at the moment. Caller does: try again later.
    #[error("the read table did not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It does not exist, or refuses the request for good. Caller does: report a mistake in the program or its deployment.
    #[error("the read table refused the request")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The row or the request has no form in which it could be sent. Nothing was sent. Caller does: report a mistake in the program.
    #[error("the row cannot be written down")]
    Unwritable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What it holds does not have the form that this code reads. Caller does: rebuild the read model, with code that can read it.
    #[error("the read table holds what this code cannot read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What became of a delivered event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Projected {
    /// It was in the read model before.
    Skipped,
    /// It is in the read model now.
    Applied {
        /// The version that the aggregate's rows had before.
        from: Version,
        /// The version that they have now.
        to: Version,
    },
}

/// Why an event is not in the read model. Caller does: fail the invocation, so that the event comes again or is parked.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// This code cannot read the event, or one before it.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The history cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The read table did not answer.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The event announces a version that the store does not have, or its history cannot begin as it does.
    #[error("{aggregate_id} has no history that leads to version {version}")]
    NoHistory {
        /// The aggregate.
        aggregate_id: AggregateId,
        /// The version.
        version: Version,
    },
    /// Other projectors were faster, every time.
    #[error("the rows of {0} are too busy")]
    Busy(AggregateId),
}

/// How often an event is tried anew because another projector was faster. Each time, that other made progress.
const ROUNDS_MAX: u32 = 16;
/// What waits between them are multiples of. Sums are rows that many aggregates share, and another's at many moments.
const PAUSE: Duration = Duration::from_millis(5);

/// Brings the aggregate's rows up to the version of `hint` at least. The first event of an aggregate, and one with data `null` (too
/// large for the bus), is read from the store.
///
/// # Errors
/// [`ProjectError`]; rows saved until then are right and stay.
pub async fn project<R: Row>(
    store: &impl EventStore,
    table: &impl ReadTable<R>,
    host: &impl Host,
    hint: &Envelope,
) -> Result<Projected, ProjectError> {
    let (aggregate_id, version) = (hint.aggregate_id, hint.version);
    // Aggregates of different types may have events of one name.
    if hint.aggregate_type != R::Event::AGGREGATE_TYPE {
        return Err(ReadError::AnotherType.into());
    }
    let mut began_at = None;
    let mut rounds = 0;
    loop {
        let row = table.latest(aggregate_id).await?;
        let at = row.as_ref().map_or(0, Row::version);
        let from = *began_at.get_or_insert(at);
        let rows = match classify(at, version) {
            Gate::Skip if at == from => return Ok(Projected::Skipped),
            Gate::Skip => return Ok(Projected::Applied { from, to: at }),
            // The first event of an aggregate is believed to nobody: it would make a row of what never happened.
            Gate::Apply if !hint.data.is_null() && row.is_some() => {
                let next = R::next(row.as_ref(), &hint.clone().decode()?);
                vec![next.ok_or(ProjectError::NoHistory { aggregate_id, version })?]
            }
            Gate::Apply => next_rows(store, aggregate_id, row.as_ref(), 1).await?,
            Gate::Gap => next_rows(store, aggregate_id, row.as_ref(), usize::MAX).await?,
        };
        let Some(last) = rows.last() else { return Err(ProjectError::NoHistory { aggregate_id, version }) };
        match table.save(at, &rows).await? {
            Saved::Written if last.version() >= version => {
                return Ok(Projected::Applied { from, to: last.version() });
            }
            // One page of a long gap is saved; every page makes progress.
            Saved::Written => {}
            Saved::Stale => {
                rounds += 1;
                if rounds == ROUNDS_MAX {
                    return Err(ProjectError::Busy(aggregate_id));
                }
                pause(host, rounds, PAUSE).await;
            }
        }
    }
}

/// The rows that follow `row` by the event store, in order: at least up to version `at_least`, or all there are where the
/// aggregate has no more. For a reader who cannot wait for the projector; saves nothing.
///
/// # Errors
/// [`ProjectError`].
pub async fn catch_up<R: Row>(
    store: &impl EventStore,
    aggregate_id: AggregateId,
    row: Option<&R>,
    at_least: Version,
) -> Result<Vec<R>, ProjectError> {
    let mut rows: Vec<R> = Vec::new();
    loop {
        let newest = rows.last().or(row);
        if newest.map_or(0, Row::version) >= at_least {
            return Ok(rows);
        }
        let page = next_rows(store, aggregate_id, newest, usize::MAX).await?;
        if page.is_empty() {
            return Ok(rows);
        }
        rows.extend(page);
    }
}

/// The aggregate's row for a reader who asks for `min_version` at least. `known` is what a read table had, which may be behind:
/// then the events make the row, and also where the table has none, so that "there is none" is never a matter of timing. It is
/// older than `min_version` only where the aggregate is.
///
/// # Errors
/// [`ProjectError`].
pub async fn fresh<R: Row>(
    store: &impl EventStore,
    aggregate_id: AggregateId,
    known: Option<R>,
    min_version: Version,
) -> Result<Option<R>, ProjectError> {
    let at_least = if known.is_some() { min_version } else { Version::MAX };
    let newer = catch_up(store, aggregate_id, known.as_ref(), at_least).await?;
    Ok(newer.into_iter().last().or(known))
}

/// The rows that the next commits of the aggregate's history add to `row`: one page at most.
async fn next_rows<R: Row>(
    store: &impl EventStore,
    aggregate_id: AggregateId,
    row: Option<&R>,
    commits_max: usize,
) -> Result<Vec<R>, ProjectError> {
    let from = row.map_or(0, Row::version) + 1;
    fold(row, &store.read(aggregate_id, from, commits_max).await?)
}

/// The rows that follow `row` by these commits of one aggregate, in order.
///
/// # Errors
/// [`ProjectError`]; [`ProjectError::NoHistory`] where the commits do not begin with the version after `row` at the latest,
/// or leave one out.
pub fn fold<R: Row>(row: Option<&R>, commits: &[Commit]) -> Result<Vec<R>, ProjectError> {
    let mut rows: Vec<R> = Vec::new();
    for commit in commits {
        if commit.aggregate_type != R::Event::AGGREGATE_TYPE {
            return Err(ReadError::AnotherType.into());
        }
        for event in commit.decode()? {
            let newest = rows.last().or(row);
            let (at, version, aggregate_id) = (newest.map_or(0, Row::version), event.version, event.aggregate_id);
            match classify(at, version) {
                Gate::Skip => {}
                Gate::Apply => {
                    let next = R::next(newest, &event);
                    rows.push(next.ok_or(ProjectError::NoHistory { aggregate_id, version })?);
                }
                Gate::Gap => return Err(ProjectError::NoHistory { aggregate_id, version: at + 1 }),
            }
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_next_or_known_or_proof_of_a_gap() {
        assert_eq!(classify(0, 1), Gate::Apply);
        assert_eq!(classify(4, 5), Gate::Apply);
        assert_eq!(classify(4, 4), Gate::Skip);
        assert_eq!(classify(4, 1), Gate::Skip);
        assert_eq!(classify(4, 6), Gate::Gap);
        assert_eq!(classify(0, 2), Gate::Gap);
    }
}
