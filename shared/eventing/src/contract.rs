//! What every event store promises. A store's tests call [`event_store_contract!`](crate::event_store_contract) with an
//! expression that makes one; every promise becomes a test of its own.
#![allow(clippy::missing_panics_doc, reason = "this is a test suite: it panics where a store breaks a promise")]
#![allow(clippy::unwrap_used, reason = "likewise")]

use aggregate::{AggregateId, CommandId, CorrelationId, Metadata, Timestamp, UserId, Version};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{AppendError, Commit, EventStore, RecordedEvent, Snapshot, Tail};

/// Makes a test of every promise: `event_store_contract!(MemoryStore::default())`.
#[macro_export]
macro_rules! event_store_contract {
    ($store:expr) => {
        $crate::event_store_contract!($store;
            a_commit_is_read_back_whole
            a_version_is_recorded_once
            appending_the_same_commit_again_is_the_same_success
            of_many_writers_at_once_exactly_one_wins
            aggregates_do_not_see_each_other
            a_load_begins_at_the_newest_usable_state
            a_state_may_be_missing
            a_load_as_of_a_version_sees_nothing_later
            a_long_history_without_states_is_loaded_whole
            a_read_begins_inside_a_commit_and_ends_with_the_history
            a_history_of_many_megabytes_is_read_and_loaded_whole
            a_command_is_found_by_its_id_on_its_aggregate_only
            an_oversized_commit_is_refused_and_leaves_nothing
            any_json_comes_back_as_it_went_in
        );
    };
    ($store:expr; $($promise:ident)*) => {
        $(#[tokio::test]
        async fn $promise() {
            $crate::contract::$promise(&$store).await;
        })*
    };
}

const SCHEMA: u32 = 7;

fn some_aggregate() -> AggregateId {
    AggregateId(Uuid::now_v7())
}

fn commit(aggregate_id: AggregateId, version: Version, data: impl IntoIterator<Item = Value>) -> Commit {
    let event = |data| RecordedEvent {
        event_id: Uuid::now_v7(),
        event_type: "SomethingHappened".to_owned(),
        schema_version: 3,
        data,
    };
    Commit {
        aggregate_id,
        aggregate_type: "Thing".to_owned(),
        version,
        created_at: Timestamp::from_micros(1_763_891_400_000_000 + version.cast_signed()),
        metadata: Metadata {
            user_id: UserId::new("someone").unwrap(),
            correlation_id: CorrelationId::from(Uuid::now_v7()),
            causation_id: "request".to_owned(),
            command_id: None,
        },
        command_digest: None,
        events: data.into_iter().map(event).collect(),
        state: None,
    }
}

fn with_state(mut commit: Commit, schema: u32) -> Commit {
    commit.state = Some(Snapshot { schema, data: json!({ "as_of": commit.last_version() }) });
    commit
}

/// Appends `n` commits of one event each, from version 1, as `shape` makes them.
async fn history(store: &impl EventStore, n: Version, shape: impl Fn(Commit) -> Commit) -> (AggregateId, Vec<Commit>) {
    let aggregate_id = some_aggregate();
    let commits: Vec<Commit> =
        (1..=n).map(|version| shape(commit(aggregate_id, version, [json!({ "n": version })]))).collect();
    for commit in &commits {
        store.append(commit).await.unwrap();
    }
    (aggregate_id, commits)
}

async fn read_all(store: &impl EventStore, aggregate_id: AggregateId, from: Version) -> Vec<Commit> {
    let mut all: Vec<Commit> = Vec::new();
    loop {
        let from = all.last().map_or(from, |commit| commit.last_version() + 1);
        let page = store.read(aggregate_id, from, usize::MAX).await.unwrap();
        assert_eq!(store.read(aggregate_id, from, 1).await.unwrap(), page[..page.len().min(1)]);
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// The versions that a load gives the state of, and the events of.
fn versions(tail: &Tail) -> (Option<Version>, Vec<Version>) {
    let events = tail.commits.iter().flat_map(|commit| commit.version..=commit.last_version());
    (tail.state.as_ref().map(|(version, _)| *version), events.collect())
}

fn without_state(commits: &[Commit]) -> Vec<Commit> {
    commits.iter().map(|commit| Commit { state: None, ..commit.clone() }).collect()
}

/// All fields of all events come back, in the order of their versions.
pub async fn a_commit_is_read_back_whole(store: &impl EventStore) {
    let aggregate_id = some_aggregate();
    assert_eq!(store.read(aggregate_id, 1, usize::MAX).await.unwrap(), []);
    assert_eq!(store.load(aggregate_id, Version::MAX, SCHEMA).await.unwrap(), Tail::default());

    let mut first = commit(aggregate_id, 1, [json!({ "a": 1 }), json!({ "b": 2 }), json!({ "c": 3 })]);
    first.metadata.command_id = Some(CommandId(Uuid::now_v7()));
    first.command_digest = Some(Uuid::now_v7());
    let second = commit(aggregate_id, 4, [json!({ "d": 4 })]);
    store.append(&first).await.unwrap();
    store.append(&second).await.unwrap();

    assert_eq!(read_all(store, aggregate_id, 1).await, [first.clone(), second.clone()]);
    let tail = store.load(aggregate_id, Version::MAX, SCHEMA).await.unwrap();
    assert_eq!(tail.changed_at, Some(second.created_at));
    assert_eq!(tail.aggregate_type, Some(second.aggregate_type.clone()));
    assert_eq!(tail.commits, [first, second]);
}

/// A second commit at a version is a conflict, and the first stays as it is.
pub async fn a_version_is_recorded_once(store: &impl EventStore) {
    let (aggregate_id, commits) = history(store, 2, |commit| commit).await;
    for version in [1, 2] {
        let other = commit(aggregate_id, version, [json!("other")]);
        assert!(matches!(store.append(&other).await, Err(AppendError::Conflict)));
    }
    assert_eq!(read_all(store, aggregate_id, 1).await, commits);
}

/// What makes an unknown outcome harmless, also after others have gone on.
pub async fn appending_the_same_commit_again_is_the_same_success(store: &impl EventStore) {
    let (aggregate_id, commits) = history(store, 2, |commit| commit).await;
    store.append(&commits[0]).await.unwrap();
    store.append(&commits[1]).await.unwrap();
    assert_eq!(read_all(store, aggregate_id, 1).await, commits);
}

/// Two decisions on one version never both stand.
pub async fn of_many_writers_at_once_exactly_one_wins(store: &impl EventStore) {
    let (aggregate_id, _) = history(store, 1, |commit| commit).await;
    for version in 2..10 {
        let rivals = [0, 1, 2, 3].map(|rival| commit(aggregate_id, version, [json!({ "rival": rival })]));
        let [a, b, c, d] = rivals.each_ref().map(|rival| store.append(rival));
        let (a, b, c, d) = tokio::join!(a, b, c, d);
        let outcomes = [a, b, c, d];
        let winners: Vec<&Commit> =
            rivals.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok()).map(|(rival, _)| rival).collect();
        assert_eq!(winners.len(), 1, "{outcomes:?}");
        assert_eq!(store.read(aggregate_id, version, usize::MAX).await.unwrap(), [winners[0].clone()]);
    }
}

/// Keys are whole aggregates.
pub async fn aggregates_do_not_see_each_other(store: &impl EventStore) {
    let (one, ones) = history(store, 3, |commit| commit).await;
    let (two, twos) = history(store, 2, |commit| commit).await;
    assert_eq!(read_all(store, one, 1).await, ones);
    assert_eq!(read_all(store, two, 1).await, twos);
}

/// States of other schemas are passed over; whatever the store kept, state and events together are the whole history.
pub async fn a_load_begins_at_the_newest_usable_state(store: &impl EventStore) {
    let mark = |commit: Commit| match commit.version {
        3 => with_state(commit, SCHEMA),
        4 => with_state(commit, SCHEMA + 1),
        _ => commit,
    };
    let (aggregate_id, commits) = history(store, 5, mark).await;
    let tail = store.load(aggregate_id, Version::MAX, SCHEMA).await.unwrap();
    let (state, events) = versions(&tail);
    assert!(matches!(state, Some(3) | None), "{state:?}");
    assert_eq!(events, (state.unwrap_or(0) + 1..=5).collect::<Vec<_>>());
    if let Some((version, snapshot)) = tail.state {
        assert_eq!(snapshot, Snapshot { schema: SCHEMA, data: json!({ "as_of": version }) });
    }
    let unknown = store.load(aggregate_id, Version::MAX, SCHEMA + 2).await.unwrap();
    assert_eq!(without_state(&unknown.commits), without_state(&commits));
    assert_eq!(unknown.state, None);
}

/// With a state on every commit there is nothing left to fold; without any, everything.
pub async fn a_state_may_be_missing(store: &impl EventStore) {
    let (aggregate_id, _) = history(store, 12, |commit| with_state(commit, SCHEMA)).await;
    let (state, events) = versions(&store.load(aggregate_id, Version::MAX, SCHEMA).await.unwrap());
    assert_eq!(events, (state.unwrap_or(0) + 1..=12).collect::<Vec<_>>());
    let (aggregate_id, _) = history(store, 12, |commit| commit).await;
    let (state, events) = versions(&store.load(aggregate_id, Version::MAX, SCHEMA).await.unwrap());
    assert_eq!((state, events), (None, (1..=12).collect()));
}

/// Also where the version lies in the middle of a commit.
pub async fn a_load_as_of_a_version_sees_nothing_later(store: &impl EventStore) {
    let aggregate_id = some_aggregate();
    for first in [1, 4, 7] {
        let three = commit(aggregate_id, first, [json!(1), json!(2), json!(3)]);
        store.append(&with_state(three, SCHEMA)).await.unwrap();
    }
    for up_to in 0..=10 {
        let (state, events) = versions(&store.load(aggregate_id, up_to, SCHEMA).await.unwrap());
        let state = state.unwrap_or(0);
        assert!(state <= up_to, "a state of {state} for {up_to}");
        let wanted: Vec<Version> = (state + 1..=up_to.min(9)).collect();
        let given: Vec<Version> = events.into_iter().filter(|version| *version <= up_to).collect();
        assert_eq!(given, wanted, "as of {up_to}");
    }
}

/// More commits than any page.
pub async fn a_long_history_without_states_is_loaded_whole(store: &impl EventStore) {
    let (aggregate_id, commits) = history(store, 150, |commit| commit).await;
    let tail = store.load(aggregate_id, Version::MAX, SCHEMA).await.unwrap();
    assert_eq!(tail.commits, commits);
    assert_eq!(read_all(store, aggregate_id, 1).await, commits);
}

/// The commit that holds the version comes whole.
pub async fn a_read_begins_inside_a_commit_and_ends_with_the_history(store: &impl EventStore) {
    let aggregate_id = some_aggregate();
    let commits = [1, 3, 5].map(|first| commit(aggregate_id, first, [json!(1), json!(2)]));
    for commit in &commits {
        store.append(commit).await.unwrap();
    }
    assert_eq!(read_all(store, aggregate_id, 3).await, commits[1..]);
    assert_eq!(read_all(store, aggregate_id, 4).await, commits[1..]);
    assert_eq!(read_all(store, aggregate_id, 6).await, commits[2..]);
    assert_eq!(read_all(store, aggregate_id, 7).await, []);
}

/// A page of DynamoDB ends at 1 MB.
pub async fn a_history_of_many_megabytes_is_read_and_loaded_whole(store: &impl EventStore) {
    let large = "x".repeat(300_000);
    let (aggregate_id, commits) = history(store, 12, |mut commit| {
        commit.events[0].data = json!({ "large": large });
        commit
    })
    .await;
    assert!(read_all(store, aggregate_id, 1).await == commits);
    assert!(store.load(aggregate_id, Version::MAX, SCHEMA).await.unwrap().commits == commits);
}

/// The same id on another aggregate is another command.
pub async fn a_command_is_found_by_its_id_on_its_aggregate_only(store: &impl EventStore) {
    let command_id = CommandId(Uuid::now_v7());
    let (aggregate_id, commits) = history(store, 4, |mut commit| {
        if commit.version == 2 {
            commit.metadata.command_id = Some(command_id);
            commit.command_digest = Some(Uuid::now_v7());
        }
        commit
    })
    .await;
    let (elsewhere, _) = history(store, 1, |commit| commit).await;
    assert_eq!(store.find_command(aggregate_id, command_id).await.unwrap().as_ref(), Some(&commits[1]));
    assert_eq!(store.find_command(elsewhere, command_id).await.unwrap(), None);
    assert_eq!(store.find_command(aggregate_id, CommandId(Uuid::now_v7())).await.unwrap(), None);
}

/// An item of DynamoDB holds 400 KB. A state never makes a commit too large: it is left out.
pub async fn an_oversized_commit_is_refused_and_leaves_nothing(store: &impl EventStore) {
    let aggregate_id = some_aggregate();
    let oversized = commit(aggregate_id, 1, [json!("x".repeat(200_000)), json!("x".repeat(210_000))]);
    assert!(matches!(store.append(&oversized).await, Err(AppendError::TooLarge { .. })));
    assert_eq!(store.read(aggregate_id, 1, usize::MAX).await.unwrap(), []);

    let mut heavy = commit(aggregate_id, 1, [json!("x".repeat(300_000))]);
    heavy.state = Some(Snapshot { schema: SCHEMA, data: json!("x".repeat(300_000)) });
    store.append(&heavy).await.unwrap();
    assert_eq!(read_all(store, aggregate_id, 1).await.len(), 1);
}

/// Data is the domain's; the store must not touch it.
pub async fn any_json_comes_back_as_it_went_in(store: &impl EventStore) {
    let aggregate_id = some_aggregate();
    let data = json!({
        "empty": ["", {}, []], "null": null, "yes": true,
        "numbers": [0, -1, i64::MAX, i64::MIN, u64::MAX, 0.1, -2.5],
        "text": "ünïcödé 🏦 \u{0} \"quoted\"\n", "deep": [[[[[{ "down": [1] }]]]]],
    });
    store.append(&commit(aggregate_id, 1, [data.clone()])).await.unwrap();
    assert_eq!(store.read(aggregate_id, 1, usize::MAX).await.unwrap()[0].events[0].data, data);
}

#[cfg(test)]
mod memory {
    use crate::MemoryStore;

    crate::event_store_contract!(MemoryStore::default());
}
