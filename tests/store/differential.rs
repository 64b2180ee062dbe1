//! One random list of operations on the store in memory and on an engine: the same answers. The engine is the embedded one, or
//! another where the environment names one.

use std::collections::BTreeMap;

use aggregate::{AggregateId, CommandId, CorrelationId, Metadata, Timestamp, UserId, Version};
use eventing::{AppendError, Commit, EventStore, MemoryStore, RecordedEvent, Snapshot, Tail};
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::contract::store;

/// Aggregates and commands, few enough to meet.
const AGGREGATES: u8 = 3;
const COMMANDS: u128 = 5;
const SCHEMA: u32 = 7;

#[derive(Debug, Clone)]
enum Operation {
    /// At so many versions after the newest (negative: on or before it), with so many events, a state, a key; perhaps twice.
    Append {
        aggregate: u8,
        offset: i64,
        events: u8,
        has_state: bool,
        command: Option<u128>,
        twice: bool,
    },
    Load {
        aggregate: u8,
        up_to: Version,
        schema: u32,
    },
    Read {
        aggregate: u8,
        from: Version,
        commits_max: usize,
    },
    Find {
        aggregate: u8,
        command: u128,
    },
}

fn operation() -> impl Strategy<Value = Operation> {
    let aggregate = 0..AGGREGATES;
    let append = (aggregate.clone(), -2..2_i64, 1..4_u8, any::<bool>(), prop::option::of(0..COMMANDS), any::<bool>());
    let version = prop_oneof![0..40_u64, Just(Version::MAX)];
    prop_oneof![
        4 => append.prop_map(|(aggregate, offset, events, has_state, command, twice)| {
            Operation::Append { aggregate, offset, events, has_state, command, twice }
        }),
        2 => (aggregate.clone(), version, SCHEMA - 1..=SCHEMA)
            .prop_map(|(aggregate, up_to, schema)| Operation::Load { aggregate, up_to, schema }),
        2 => (aggregate.clone(), 1..40_u64, 1..30_usize)
            .prop_map(|(aggregate, from, commits_max)| Operation::Read { aggregate, from, commits_max }),
        1 => (aggregate, 0..COMMANDS).prop_map(|(aggregate, command)| Operation::Find { aggregate, command }),
    ]
}

fn commit(id: AggregateId, version: Version, events: u8, has_state: bool, command: Option<u128>) -> Commit {
    let event = |place: u8| RecordedEvent {
        event_id: Uuid::now_v7(),
        event_type: "Happened".to_owned(),
        schema_version: 1,
        data: json!({ "place": place, "text": "ü".repeat(usize::from(place) * 50) }),
    };
    Commit {
        aggregate_id: id,
        aggregate_type: "Thing".to_owned(),
        version,
        created_at: Timestamp::from_micros(1_763_891_400_000_000 + version.cast_signed()),
        metadata: Metadata {
            user_id: UserId::new("someone").unwrap(),
            correlation_id: CorrelationId::from(Uuid::nil()),
            causation_id: String::new(),
            command_id: command.map(|command| CommandId(Uuid::from_u128(command))),
        },
        command_digest: command.map(Uuid::from_u128),
        events: (0..events).map(event).collect(),
        state: has_state.then(|| Snapshot { schema: SCHEMA, data: json!({ "version": version }) }),
    }
}

fn outcome(outcome: &Result<(), AppendError>) -> &'static str {
    match outcome {
        Ok(()) => "recorded",
        Err(AppendError::Conflict) => "conflict",
        Err(AppendError::Unknown(_)) => "unknown",
        Err(AppendError::TooLarge { .. }) => "too large",
        Err(AppendError::Unwritable(_)) => "unwritable",
    }
}

/// Commits as any store must give them back: whether a state is kept is the store's business.
fn bare(commits: Vec<Commit>) -> Vec<Commit> {
    commits.into_iter().map(|commit| Commit { state: None, ..commit }).collect()
}

/// A tail is right if it is what a history becomes from its state on.
fn check_tail(tail: Tail, history: &BTreeMap<Version, Commit>, up_to: Version, schema: u32) {
    let in_range: Vec<&Commit> = history.values().filter(|commit| commit.version <= up_to).collect();
    assert_eq!(tail.changed_at, in_range.last().map(|commit| commit.created_at));
    assert_eq!(tail.aggregate_type, in_range.last().map(|commit| commit.aggregate_type.clone()));
    let from = tail.state.as_ref().map_or(0, |(version, _)| *version);
    if let Some((version, state)) = &tail.state {
        assert!(*version <= up_to && state.schema == schema);
        let of = in_range.iter().find(|commit| commit.last_version() == *version).unwrap();
        assert_eq!(Some(state), of.state.as_ref());
    }
    let later = in_range.into_iter().filter(|commit| commit.last_version() > from).cloned().collect();
    assert_eq!(bare(tail.commits), bare(later));
}

async fn same_answers(operations: &[Operation]) {
    let (memory, engine) = (MemoryStore::default(), store().await);
    let ids: Vec<AggregateId> = (0..AGGREGATES).map(|_| AggregateId(Uuid::now_v7())).collect();
    let mut histories: BTreeMap<u8, BTreeMap<Version, Commit>> = BTreeMap::new();
    for operation in operations {
        match operation.clone() {
            Operation::Append { aggregate, offset, events, has_state, command, twice } => {
                let history = histories.entry(aggregate).or_default();
                let newest = history.values().next_back().map_or(0, Commit::last_version);
                // Nobody appends after a gap: a version follows from a load. On a taken one, at a commit's own place.
                let next = newest.cast_signed() + 1 + offset.min(0);
                let Ok(version @ 1..) = u64::try_from(next) else { continue };
                if version <= newest && !history.contains_key(&version) {
                    continue;
                }
                let commit = commit(ids[usize::from(aggregate)], version, events, has_state, command);
                for _ in 0..=usize::from(twice) {
                    let answers = [memory.append(&commit).await, engine.append(&commit).await];
                    assert_eq!(outcome(&answers[0]), outcome(&answers[1]), "{operation:?}");
                    if answers[0].is_ok() {
                        history.insert(version, commit.clone());
                    }
                }
            }
            Operation::Load { aggregate, up_to, schema } => {
                let (id, none) = (ids[usize::from(aggregate)], BTreeMap::new());
                let history = histories.get(&aggregate).unwrap_or(&none);
                check_tail(memory.load(id, up_to, schema).await.unwrap(), history, up_to, schema);
                check_tail(engine.load(id, up_to, schema).await.unwrap(), history, up_to, schema);
            }
            Operation::Read { aggregate, from, commits_max } => {
                let id = ids[usize::from(aggregate)];
                let [one, other] = [
                    memory.read(id, from, commits_max).await.unwrap(),
                    engine.read(id, from, commits_max).await.unwrap(),
                ];
                // A page is as long as its store likes, and never empty before the end.
                assert_eq!(one.is_empty(), other.is_empty(), "{operation:?}");
                let shorter = one.len().min(other.len());
                assert_eq!(bare(one[..shorter].to_vec()), bare(other[..shorter].to_vec()), "{operation:?}");
            }
            Operation::Find { aggregate, command } => {
                let (id, command) = (ids[usize::from(aggregate)], CommandId(Uuid::from_u128(command)));
                // Which of several is found, no store says; a command is only ever looked for before it is recorded.
                let [one, other] =
                    [memory.find_command(id, command).await.unwrap(), engine.find_command(id, command).await.unwrap()];
                assert_eq!(one.is_some(), other.is_some(), "{operation:?}");
                let of_command = |commit: Commit| commit.metadata.command_id == Some(command);
                assert!(other.is_none_or(of_command));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 25, max_shrink_iters: 200, ..ProptestConfig::default() })]
    /// 25 lists of up to 400 operations: five thousand on average.
    #[test]
    fn all_stores_answer_the_same(operations in prop::collection::vec(operation(), 1..400)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(same_answers(&operations));
    }
}
