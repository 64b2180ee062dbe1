//! Versions by time. Time never runs backwards within an aggregate, so a version is found by halving, in as many steps as
//! the number of versions has binary digits.

use aggregate::{Aggregate, AggregateId, Timestamp, Version};

use crate::{EventStore, Loaded, ReadError, load};

/// The search for the last version that is early, where every version before an early one is early too. It asks about a
/// version ([`BinarySearch::version`]) and is told ([`BinarySearch::was_early`]) until it has found it ([`BinarySearch::last_early`]).
#[derive(Debug, Clone)]
pub struct BinarySearch {
    /// Known to be early; 0 is before all.
    early: Version,
    /// Known not to be early, or beyond the newest.
    late: Version,
}

impl BinarySearch {
    /// A search from version 1 to `newest`.
    #[must_use]
    pub fn up_to(newest: Version) -> Self {
        Self { early: 0, late: newest.saturating_add(1) }
    }

    /// The version to look at next; `None` at the end.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        (self.late - self.early > 1).then(|| self.early + (self.late - self.early) / 2)
    }

    /// Takes in what was seen at [`BinarySearch::version`].
    pub fn was_early(&mut self, is_early: bool) {
        match (self.version(), is_early) {
            (Some(version), true) => self.early = version,
            (Some(version), false) => self.late = version,
            (None, _) => {}
        }
    }

    /// What was found: 0 where no version is early.
    #[must_use]
    pub fn last_early(&self) -> Version {
        self.early
    }
}

/// The aggregate as it stood at `at`: with every event that was decided then or earlier, and no other.
///
/// # Errors
/// [`ReadError`].
pub async fn load_at<A: Aggregate>(
    store: &impl EventStore,
    aggregate_id: AggregateId,
    at: Timestamp,
) -> Result<Loaded<A>, ReadError> {
    let now = load::<A>(store, aggregate_id, Version::MAX).await?;
    let is_early = |changed_at: Option<Timestamp>| changed_at.is_none_or(|changed_at| changed_at <= at);
    if is_early(now.changed_at) {
        return Ok(now);
    }
    let mut search = BinarySearch::up_to(now.version);
    while let Some(version) = search.version() {
        search.was_early(is_early(load::<A>(store, aggregate_id, version).await?.changed_at));
    }
    load(store, aggregate_id, search.last_early()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_early_one_is_found_in_few_steps() {
        for newest in 0..40 {
            for last in 0..=newest {
                let (mut search, mut steps) = (BinarySearch::up_to(newest), 0);
                while let Some(version) = search.version() {
                    search.was_early(version <= last);
                    steps += 1;
                }
                assert_eq!(search.last_early(), last);
                assert!(steps <= 6);
            }
        }
    }
}
