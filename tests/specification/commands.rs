//! A command on its way to the store: repetition, conflict, unknown outcomes.

use aggregate::{Aggregate, AggregateId, CommandId, UserId, Version};
use domain::{Account, AccountCommand, AccountEvent, Amount, Currency, Rejection};
use eventing::{
    AppendError, Command, Commit, EventStore, ExecuteError, Executed, ExpectedVersion, MemoryStore, ReadError,
    RecordedEvent, System, Tail, execute, load,
};
use futures_util::future::join_all;
use lambda_http::Body;
use serde_json::json;
use tests::{Fault, FaultyStore, StillHost, command, deposited, envelopes, owner, request};
use uuid::Uuid;

fn create() -> AccountCommand {
    AccountCommand::CreateAccount { owner: owner(), currency: Currency::from_code("EUR").unwrap() }
}

fn deposit(minor: u64) -> AccountCommand {
    let amount = Amount::from_minor(minor, Currency::from_code("EUR").unwrap()).unwrap();
    AccountCommand::DepositMoney { by: owner(), amount, description: None }
}

async fn run(
    store: &impl EventStore,
    id: AggregateId,
    body: AccountCommand,
    key: Option<&str>,
) -> Result<Executed<AccountEvent>, ExecuteError<Rejection>> {
    execute::<Account>(store, &StillHost::default(), &command(id, body, key)).await
}

async fn an_account(store: &impl EventStore) -> AggregateId {
    let id = AggregateId(Uuid::now_v7());
    run(store, id, create(), None).await.unwrap();
    id
}

async fn balance(store: &impl EventStore, id: AggregateId) -> i128 {
    match load::<Account>(store, id, Version::MAX).await.unwrap().aggregate {
        Account::Opened(open) => open.balance.minor(),
        Account::NotOpened | Account::Damaged => panic!("no account"),
    }
}

/// A commit of somebody else's deposit, for version `version`.
fn rival(id: AggregateId, version: Version) -> Box<Commit> {
    Box::new(Commit {
        aggregate_id: id,
        aggregate_type: Account::TYPE.to_owned(),
        version,
        created_at: "2026-11-23T09:30:00Z".parse().unwrap(),
        metadata: command(id, create(), None).metadata,
        command_digest: None,
        events: vec![RecordedEvent::new(&deposited(1_000_000), &StillHost::default()).unwrap()],
        state: None,
    })
}

#[tokio::test]
async fn each_command_answers_with_the_version_that_it_wrote() {
    let store = MemoryStore::default();
    let id = an_account(&store).await;
    for version in 2..10 {
        let executed = run(&store, id, deposit(1), None).await.unwrap();
        assert_eq!(executed, Executed { version, events: vec![deposited(1)], repeated: false });
    }
    assert_eq!(balance(&store, id).await, 8);
}

#[tokio::test]
async fn one_key_has_one_effect_and_one_answer_for_ever() {
    let store = MemoryStore::default();
    let id = an_account(&store).await;
    let first = run(&store, id, deposit(5), Some("k")).await.unwrap();
    run(&store, id, deposit(7), None).await.unwrap();
    for _ in 0..3 {
        let again = run(&store, id, deposit(5), Some("k")).await.unwrap();
        assert_eq!(again, Executed { repeated: true, ..first.clone() });
    }
    assert_eq!(balance(&store, id).await, 12);
}

#[tokio::test]
async fn a_key_with_another_body_is_refused() {
    let store = MemoryStore::default();
    let id = an_account(&store).await;
    run(&store, id, deposit(5), Some("k")).await.unwrap();
    let other = run(&store, id, deposit(6), Some("k")).await;
    assert!(matches!(other, Err(ExecuteError::CommandIdReused)), "{other:?}");
    assert_eq!(balance(&store, id).await, 5);
}

#[tokio::test]
async fn a_refused_command_leaves_no_trace_and_its_key_may_be_used_again() {
    let store = MemoryStore::default();
    let id = AggregateId(Uuid::now_v7());
    let refused = run(&store, id, deposit(5), Some("k")).await;
    assert!(matches!(refused, Err(ExecuteError::Rejected(Rejection::NoSuchAccount))));
    run(&store, id, create(), None).await.unwrap();
    assert_eq!(run(&store, id, deposit(5), Some("k")).await.unwrap().version, 2);
}

#[tokio::test]
async fn who_was_overtaken_decides_again_on_what_is_there_now() {
    let store = FaultyStore::default();
    let id = an_account(&store).await;
    store.plan(Fault::Overtaken(rival(id, 2)));
    let executed = run(&store, id, deposit(5), None).await.unwrap();
    assert_eq!(executed.version, 3);
    assert_eq!(balance(&store, id).await, 1_000_005);
}

#[tokio::test]
async fn who_named_a_version_is_told_instead() {
    let store = FaultyStore::default();
    let id = an_account(&store).await;
    let mut command = command(id, deposit(5), None);
    command.expected_version = ExpectedVersion::OneOf(vec![1]);
    store.plan(Fault::Overtaken(rival(id, 2)));
    let outcome = execute::<Account>(&store, &StillHost::default(), &command).await;
    assert!(matches!(outcome, Err(ExecuteError::VersionMismatch { actual: 2 })), "{outcome:?}");
    assert_eq!(balance(&store, id).await, 1_000_000);
}

#[tokio::test]
async fn a_lost_answer_is_a_success_and_happens_once() {
    for fault in [Fault::AnswerLost, Fault::RequestLost] {
        let store = FaultyStore::default();
        let id = an_account(&store).await;
        store.plan(fault);
        assert_eq!(run(&store, id, deposit(5), None).await.unwrap().version, 2);
        assert_eq!(balance(&store, id).await, 5);
    }
}

#[tokio::test]
async fn who_was_overtaken_while_the_outcome_was_unknown_still_has_one_effect() {
    let store = FaultyStore::default();
    let id = an_account(&store).await;
    store.plan(Fault::RequestLost);
    store.plan(Fault::Overtaken(rival(id, 2)));
    assert_eq!(run(&store, id, deposit(5), None).await.unwrap().version, 3);
    assert_eq!(balance(&store, id).await, 1_000_005);
}

#[tokio::test]
async fn a_keyed_command_whose_own_append_lost_its_answer_is_the_first_and_no_repetition() {
    for faults in [vec![Fault::AnswerLost], vec![Fault::RequestLost], vec![Fault::AnswerLost, Fault::AnswerLost]] {
        let store = FaultyStore::default();
        let id = an_account(&store).await;
        faults.iter().cloned().for_each(|fault| store.plan(fault));
        let first = run(&store, id, deposit(5), Some("k")).await.unwrap();
        assert_eq!(first, Executed { version: 2, events: vec![deposited(5)], repeated: false }, "{faults:?}");
        assert_eq!(run(&store, id, deposit(5), Some("k")).await.unwrap(), Executed { repeated: true, ..first });
    }
}

#[tokio::test]
async fn one_of_twenty_concurrent_calls_with_one_key_is_the_first_and_the_others_are_repetitions() {
    let store = FaultyStore::default();
    let id = an_account(&store).await;
    let executed = join_all((0..20).map(|_| run(&store, id, deposit(1), Some("k")))).await;
    let executed: Vec<_> = executed.into_iter().map(Result::unwrap).collect();
    assert!(executed.iter().all(|one| (one.version, &one.events) == (2, &vec![deposited(1)])), "{executed:?}");
    assert_eq!(executed.iter().filter(|one| !one.repeated).count(), 1);
    assert_eq!(balance(&store, id).await, 1);
}

#[tokio::test]
async fn a_command_that_finds_nothing_to_do_is_no_repetition() {
    let store = MemoryStore::default();
    let id = an_account(&store).await;
    run(&store, id, AccountCommand::FreezeAccount, Some("k")).await.unwrap();
    for _ in 0..2 {
        let idle = run(&store, id, AccountCommand::FreezeAccount, Some("another")).await.unwrap();
        assert_eq!(idle, Executed { version: 2, events: vec![], repeated: false });
    }
}

/// The outcome of a deposit that is asked for with these expected versions.
async fn expecting(
    store: &impl EventStore,
    id: AggregateId,
    by: &str,
    expected_version: ExpectedVersion,
) -> Result<Version, ExecuteError<Rejection>> {
    let amount = Amount::from_minor(5, Currency::from_code("EUR").unwrap()).unwrap();
    let body = AccountCommand::DepositMoney { by: UserId::new(by).unwrap(), amount, description: None };
    let command = Command { expected_version, ..command(id, body, None) };
    execute::<Account>(store, &StillHost::default(), &command).await.map(|executed| executed.version)
}

#[tokio::test]
async fn a_command_is_decided_on_an_expected_version_only() {
    use ExpectedVersion::{Any, Exists, OneOf};
    let store = MemoryStore::default();
    let id = an_account(&store).await;
    for (expected, version) in [(OneOf(vec![1]), 2), (Any, 3), (Exists, 4), (OneOf(vec![9, 4, 1]), 5)] {
        assert_eq!(expecting(&store, id, "alice", expected.clone()).await.unwrap(), version, "{expected:?}");
    }
    for expected in [OneOf(vec![]), OneOf(vec![4]), OneOf(vec![6, 1])] {
        let outcome = expecting(&store, id, "alice", expected.clone()).await;
        assert!(matches!(outcome, Err(ExecuteError::VersionMismatch { actual: 5 })), "{expected:?}: {outcome:?}");
    }
    // What does not exist has no version, so only a creation without an expectation makes it.
    for expected in [Exists, OneOf(vec![1]), OneOf(vec![])] {
        let new =
            Command { expected_version: expected.clone(), ..command(AggregateId(Uuid::now_v7()), create(), None) };
        let outcome = execute::<Account>(&store, &StillHost::default(), &new).await;
        assert!(matches!(outcome, Err(ExecuteError::VersionMismatch { actual: 0 })), "{expected:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_stranger_learns_no_version_by_expecting_one() {
    let store = MemoryStore::default();
    let (id, nobodys) = (an_account(&store).await, AggregateId(Uuid::now_v7()));
    for id in [id, nobodys] {
        for expected in [ExpectedVersion::Any, ExpectedVersion::Exists, ExpectedVersion::OneOf(vec![9])] {
            let outcome = expecting(&store, id, "bob", expected).await;
            assert!(matches!(outcome, Err(ExecuteError::Rejected(Rejection::NoSuchAccount))), "{outcome:?}");
        }
    }
}

#[tokio::test]
async fn an_outcome_that_stays_unknown_is_never_called_a_failure_and_the_same_key_settles_it() {
    let store = FaultyStore::default();
    let id = an_account(&store).await;
    for fault in [Fault::AnswerLost, Fault::RequestLost, Fault::RequestLost] {
        store.plan(fault);
    }
    let outcome = run(&store, id, deposit(5), Some("k")).await;
    assert!(matches!(outcome, Err(ExecuteError::Unknown(_))), "{outcome:?}");
    let settled = run(&store, id, deposit(5), Some("k")).await.unwrap();
    assert_eq!(settled, Executed { version: 2, events: vec![deposited(5)], repeated: true });
    assert_eq!(balance(&store, id).await, 5);
}

#[tokio::test]
async fn twenty_writers_at_once_all_succeed() {
    let store = FaultyStore::default();
    let id = an_account(&store).await;
    let writers = join_all((0..20).map(|_| run(&store, id, deposit(1), None))).await;
    let mut versions: Vec<Version> = writers.into_iter().map(|executed| executed.unwrap().version).collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=21).collect::<Vec<_>>());
    assert_eq!(balance(&store, id).await, 20);
}

/// A store that takes whatever it is sent and never answers.
struct Silent;

impl EventStore for Silent {
    async fn append(&self, _commit: &Commit) -> Result<(), AppendError> {
        std::future::pending().await
    }

    async fn load(&self, _id: AggregateId, _up_to: Version, _state_schema: u32) -> Result<Tail, ReadError> {
        Ok(Tail::default())
    }

    async fn read(&self, _id: AggregateId, _from: Version, _commits_max: usize) -> Result<Vec<Commit>, ReadError> {
        Ok(Vec::new())
    }

    async fn find_command(&self, _id: AggregateId, _command_id: CommandId) -> Result<Option<Commit>, ReadError> {
        Ok(None)
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_that_hangs_is_answered_before_its_function_is_ended() {
    let body = json!({ "currency": "EUR" });
    let request = request("alice", "POST /accounts", "/accounts", &[("idempotency-key", "k")], &body);
    let answer = account_commands::handle(&Silent, &System, request).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    let Body::Text(problem) = answer.body() else { panic!("no text") };
    assert!(problem.contains("/problems/outcome-unknown"), "{problem}");
}

#[tokio::test]
async fn every_event_carries_every_field_and_time_never_runs_backwards() {
    let store = MemoryStore::default();
    let id = an_account(&store).await;
    // A new host's clock begins at zero again, before the account was opened.
    run(&store, id, deposit(5), Some("k")).await.unwrap();
    let events = envelopes(&store, id).await;
    assert_eq!(events.iter().map(|event| event.version).collect::<Vec<_>>(), [1, 2]);
    assert!(events[0].created_at <= events[1].created_at);
    assert_ne!(events[0].event_id, events[1].event_id);
    let second = serde_json::to_value(&events[1]).unwrap();
    assert_eq!(second["aggregate_id"], id.to_string());
    assert_eq!(second["aggregate_type"], "Account");
    assert_eq!(second["event_type"], "MoneyDeposited");
    assert_eq!(second["schema_version"], 1);
    assert_eq!(second["data"], serde_json::json!({ "amount": { "minor": 5, "currency": "EUR" } }));
    let metadata = second["metadata"].as_object().unwrap();
    for field in ["user_id", "correlation_id", "causation_id", "command_id"] {
        assert!(metadata[field].as_str().is_some_and(|text| !text.is_empty()), "{field}");
    }
}

#[tokio::test]
async fn an_account_can_be_seen_as_of_any_version() {
    let store = MemoryStore::default();
    let id = an_account(&store).await;
    for _ in 0..5 {
        run(&store, id, deposit(10), None).await.unwrap();
    }
    for version in 1..=6 {
        let loaded = load::<Account>(&store, id, version).await.unwrap();
        let Account::Opened(open) = loaded.aggregate else { panic!("no account at {version}") };
        assert_eq!((loaded.version, open.balance.minor()), (version, i128::from(version - 1) * 10));
    }
}
