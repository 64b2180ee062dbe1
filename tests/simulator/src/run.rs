//! One seed: clients send commands, functions run and die, the stream and the bus deliver what they like when they like;
//! then the faults stop, and everything must come to its end.

use std::sync::{Arc, Mutex, PoisonError};

use aggregate::{AggregateId, CommandId, CorrelationId, Envelope, Metadata, Row, Timestamp, UserId, Version};
use domain::{Account, AccountCommand, Amount, Currency, Order, Transaction, TransactionCommand};
use eventing::{Command, Entry, ExecuteError, Host, ReadTable, execute, load, project, publish};
use transaction_process::drive;

use crate::{
    machine::{Machine, Rates, Task},
    mutants::Mutant,
    ports::{Services, Table},
};

/// Scheduler steps under faults.
const STEPS: u32 = 400;
/// Steps in which everything must come to its end once the faults have stopped (I12, I22).
const STEPS_TO_REST: u32 = 20_000;
/// Records that the publisher takes at once.
const BATCH: usize = 5;
/// How often a delivery is tried before it is parked.
const TRIES: u32 = 3;

/// What a run has come to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Report {
    /// Faults that happened.
    pub faults: u64,
    /// Events that were recorded.
    pub events: u64,
    /// The fingerprint of everything that happened.
    pub hash: u64,
}

/// A client's command, which is sent until its outcome is known.
#[derive(Debug, Clone)]
struct Request {
    id: AggregateId,
    what: What,
    metadata: Metadata,
    state: Progress,
}

#[derive(Debug, Clone)]
enum What {
    Account(AccountCommand),
    Pay(Order),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Waiting,
    Sent,
    Done,
}

/// The functions that the bus leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Accounts,
    Statement,
    Totals,
    Transactions,
    Process,
}

#[derive(Debug, Clone)]
struct Delivery {
    target: Target,
    event: Envelope,
    failures: u32,
}

/// What an invocation is for, and so what its end or its death means.
enum Work {
    Request(usize),
    Publish { batch: usize },
    Deliver(Box<Delivery>),
    Sweep,
}

/// How an invocation ended; nothing while it runs, or where it was killed.
type Ended = Arc<Mutex<Option<Answer>>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// Recorded, and whether there was anything to record.
    Acknowledged { version: Version, recorded: bool },
    /// A definite no.
    Refused,
    /// Not known, or not done: to be done again.
    Again,
    /// So many records are published.
    Published(usize),
    /// Done.
    Done,
}

struct Run {
    machine: Machine,
    services: Services,
    requests: Vec<Request>,
    at_work: Vec<(Work, Task, Ended)>,
    checkpoint: usize,
    deliveries: Vec<Delivery>,
    parked: Vec<Delivery>,
    acknowledged: Vec<(AggregateId, CorrelationId)>,
}

/// Runs one seed. Panics where an invariant does not hold.
pub fn run(machine: &Machine, mutant: Option<Mutant>) -> Report {
    let mut run = Run {
        machine: machine.clone(),
        services: Services::new(machine, mutant),
        requests: requests(machine),
        at_work: Vec::new(),
        checkpoint: 0,
        deliveries: Vec::new(),
        parked: Vec::new(),
        acknowledged: Vec::new(),
    };
    for _ in 0..STEPS {
        run.step();
    }
    machine.state().rates = Rates::NONE;
    let mut steps = 0;
    while !run.is_at_rest() {
        run.step();
        run.redrive();
        steps += 1;
        assert!(steps < STEPS_TO_REST, "I12: no end: {}", run.what_is_left());
    }
    run.check_at_rest();
    let events = run.services.shared().ledger.events.len() as u64;
    let faults = machine.state().faults;
    Report { faults, events, hash: machine.hash() }
}

fn requests(machine: &Machine) -> Vec<Request> {
    let euro = Currency::from_code("EUR").expect("a currency");
    let owner = UserId::new("owner").expect("a user");
    let (accounts, commands) = {
        let rng = &mut machine.state().rng;
        (rng.usize(2..5), rng.usize(4..24))
    };
    let ids: Vec<AggregateId> = (0..accounts).map(|_| AggregateId(machine.new_id())).collect();
    let metadata = |keyed: bool| Metadata {
        user_id: owner.clone(),
        correlation_id: CorrelationId::from(machine.new_id()),
        causation_id: String::new(),
        command_id: keyed.then(|| CommandId(machine.new_id())),
    };
    let open = |id: &AggregateId| {
        let what = What::Account(AccountCommand::CreateAccount { owner: owner.clone(), currency: euro });
        Request { id: *id, what, metadata: metadata(true), state: Progress::Waiting }
    };
    let mut requests: Vec<Request> = ids.iter().map(open).collect();
    for _ in 0..commands {
        let (kind, keyed, one, other, minor) = {
            let rng = &mut machine.state().rng;
            (rng.u32(0..100), rng.u32(0..4) > 0, rng.usize(0..accounts), rng.usize(0..accounts), rng.u64(1..200))
        };
        let amount = Amount::from_minor(minor, euro).expect("an amount");
        let (by, description) = (owner.clone(), None);
        let (id, what) = match kind {
            0..30 => (ids[one], What::Account(AccountCommand::DepositMoney { by, amount, description })),
            30..45 => (ids[one], What::Account(AccountCommand::WithdrawMoney { by, amount, description })),
            45..85 => {
                let order = Order { by, source: ids[one], destination: ids[other], amount, description };
                (AggregateId(machine.new_id()), What::Pay(order))
            }
            85..88 => (ids[one], What::Account(AccountCommand::FreezeAccount)),
            88..92 => (ids[one], What::Account(AccountCommand::UnfreezeAccount)),
            92..96 => (ids[one], What::Account(AccountCommand::SetOverdraftLimit { limit: Some(amount) })),
            _ => (ids[one], What::Account(AccountCommand::CloseAccount { by })),
        };
        requests.push(Request { id, what, metadata: metadata(keyed), state: Progress::Waiting });
    }
    requests
}

const NO_DEADLINE: i64 = i64::MAX;

async fn send(services: Services, request: Request) -> Answer {
    let Request { id: aggregate_id, what, metadata, .. } = request;
    let deadline = Timestamp::from_micros(NO_DEADLINE);
    match what {
        What::Account(body) => {
            let command = Command { aggregate_id, body, metadata, expected_version: None, deadline };
            answer(execute::<Account>(&services, &services.machine, &command).await)
        }
        What::Pay(order) => {
            let source = load::<Account>(&services, order.source, Version::MAX).await;
            let destination = load::<Account>(&services, order.destination, Version::MAX).await;
            let (Ok(source), Ok(destination)) = (source, destination) else { return Answer::Again };
            let (source, destination) = (source.aggregate, destination.aggregate);
            let body = TransactionCommand::InitiateTransaction { order, source, destination };
            let command = Command { aggregate_id, body, metadata, expected_version: None, deadline };
            answer(execute::<Transaction>(&services, &services.machine, &command).await)
        }
    }
}

fn answer<E, R>(outcome: Result<eventing::Executed<E>, ExecuteError<R>>) -> Answer {
    match outcome {
        Ok(executed) => Answer::Acknowledged { version: executed.version, recorded: !executed.events.is_empty() },
        Err(ExecuteError::Rejected(_)) => Answer::Refused,
        Err(ExecuteError::Unknown(_) | ExecuteError::Busy | ExecuteError::Read(_)) => Answer::Again,
        Err(ExecuteError::CommandIdReused) => panic!("I7: a command is not recognised as itself"),
        Err(ExecuteError::VersionMismatch { .. } | ExecuteError::TooLarge(_) | ExecuteError::Unwritable(_)) => {
            panic!("nobody asked for this")
        }
    }
}

async fn into<R: Row + PartialEq + std::fmt::Debug>(services: &Services, table: &Table<R>, event: &Envelope) -> Answer {
    if services.mutant == Some(Mutant::GapsAreApplied) {
        let Ok(row) = table.latest(event.aggregate_id).await else { return Answer::Again };
        let at = row.as_ref().map_or(0, Row::version);
        let next = event.decode().ok().and_then(|event| R::next(row.as_ref(), &event));
        let Some(next) = next.filter(|_| event.version > at) else { return Answer::Done };
        return if table.save(at, &[next]).await.is_ok() { Answer::Done } else { Answer::Again };
    }
    if project(services, table, event).await.is_ok() { Answer::Done } else { Answer::Again }
}

async fn deliver(services: Services, delivery: Delivery) -> Answer {
    let event = &delivery.event;
    match delivery.target {
        Target::Accounts => into(&services, &services.accounts, event).await,
        Target::Statement => into(&services, &services.statement, event).await,
        Target::Totals => into(&services, &services.totals, event).await,
        Target::Transactions => into(&services, &services.transactions, event).await,
        Target::Process => {
            let deadline = Timestamp::from_micros(NO_DEADLINE);
            let driven = drive(&services, &services.machine, event.aggregate_id, deadline).await;
            if driven.is_ok() { Answer::Done } else { Answer::Again }
        }
    }
}

/// Drives what is under way by the read model, as the scheduled function does.
async fn sweep(services: Services) -> Answer {
    let under_way: Vec<AggregateId> = services.transactions.rows().values().filter_map(|row| row.under_way).collect();
    for id in under_way {
        let deadline = Timestamp::from_micros(NO_DEADLINE);
        if drive(&services, &services.machine, id, deadline).await.is_err() {
            services.machine.note(|| format!("{id} is not resumed"), 0);
        }
    }
    Answer::Done
}

async fn publish_batch(services: Services, batch: Vec<eventing::Commit>) -> Answer {
    let entries = |commit: &eventing::Commit| {
        let entry = |event: Envelope| Entry::announcing("daybook", &event, usize::MAX).expect("an entry");
        commit.envelopes().map(entry).collect::<Vec<_>>()
    };
    let records: Vec<Vec<Entry>> = batch.iter().map(entries).collect();
    Answer::Published(publish(&services, &services.machine, &records).await)
}

impl Run {
    /// One thing happens.
    fn step(&mut self) {
        let (choice, micros) = {
            let rng = &mut self.machine.state().rng;
            (rng.u32(0..100), rng.i64(0..50_000))
        };
        self.machine.pass(micros);
        match choice {
            0..60 => self.go_on(),
            60..72 => self.begin_request(),
            72..80 => self.begin_publishing(),
            80..94 => self.begin_delivery(),
            94..96 => self.begin_sweep(),
            96..98 => self.late_effect(),
            _ => self.hand_on(),
        }
    }

    fn pick(&self, number: usize) -> Option<usize> {
        (number > 0).then(|| self.machine.state().rng.usize(0..number))
    }

    fn begin(&mut self, work: Work, future: impl Future<Output = Answer> + Send + 'static) {
        let ended = Ended::default();
        let tell = Arc::clone(&ended);
        let task = Task::new(async move {
            let answer = future.await;
            *tell.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        });
        self.at_work.push((work, task, ended));
    }

    /// A task goes on to its next point, or is killed there.
    fn go_on(&mut self) {
        let Some(place) = self.pick(self.at_work.len()) else { return };
        let is_killed = self.machine.fault(|rates| rates.killed);
        if !is_killed && !self.at_work[place].1.step() {
            return;
        }
        let (work, task, ended) = self.at_work.swap_remove(place);
        drop(task);
        let answer = ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.end(work, answer);
    }

    /// What follows from the end of an invocation; none is the answer of one that was killed.
    fn end(&mut self, work: Work, answer: Option<Answer>) {
        match (work, answer) {
            (Work::Request(place), Some(Answer::Acknowledged { version, recorded })) => {
                let request = &mut self.requests[place];
                request.state = Progress::Done;
                let known = self.services.shared().ledger.version(request.id);
                assert!(version <= known, "I6: version {version} of {} is acknowledged, not recorded", request.id);
                if recorded {
                    self.acknowledged.push((request.id, request.metadata.correlation_id.clone()));
                }
            }
            (Work::Request(place), Some(Answer::Refused)) => self.requests[place].state = Progress::Done,
            (Work::Request(place), _) => {
                // Who has no key cannot ask again without risk, and looks for the truth elsewhere.
                let request = &mut self.requests[place];
                let keyed = request.metadata.command_id.is_some();
                request.state = if keyed { Progress::Waiting } else { Progress::Done };
            }
            (Work::Publish { batch }, answer) => {
                let published = if let Some(Answer::Published(records)) = answer { records.min(batch) } else { 0 };
                self.checkpoint += published;
                if self.machine.fault(|rates| rates.doubled) {
                    self.checkpoint -= self.pick(self.checkpoint + 1).unwrap_or(0).min(BATCH);
                }
            }
            (Work::Deliver(delivery), Some(Answer::Done)) => {
                if self.machine.fault(|rates| rates.doubled) {
                    self.deliveries.push(Delivery { failures: 0, ..*delivery });
                }
            }
            (Work::Deliver(_), _) if self.services.mutant == Some(Mutant::FailuresAreDropped) => {}
            (Work::Deliver(mut delivery), _) => {
                delivery.failures += 1;
                let parked = delivery.failures >= TRIES;
                if parked { self.parked.push(*delivery) } else { self.deliveries.push(*delivery) }
            }
            (Work::Sweep, _) => {}
        }
    }

    fn begin_request(&mut self) {
        let waiting: Vec<usize> =
            (0..self.requests.len()).filter(|place| self.requests[*place].state == Progress::Waiting).collect();
        // Accounts are opened first, more or less.
        let Some(choice) = self.pick(waiting.len().min(4)) else { return };
        let place = waiting[choice];
        self.requests[place].state = Progress::Sent;
        let request = self.requests[place].clone();
        if self.services.mutant == Some(Mutant::AnswerFirst) {
            self.acknowledged.push((request.id, request.metadata.correlation_id.clone()));
        }
        self.begin(Work::Request(place), send(self.services.clone(), request));
    }

    fn begin_publishing(&mut self) {
        if self.at_work.iter().any(|(work, ..)| matches!(work, Work::Publish { .. })) {
            return;
        }
        let batch: Vec<_> = self.services.shared().stream[self.checkpoint..].iter().take(BATCH).cloned().collect();
        if !batch.is_empty() {
            let records = batch.len();
            self.begin(Work::Publish { batch: records }, publish_batch(self.services.clone(), batch));
        }
    }

    /// The bus hands an event on to whom its rules say, once or twice. The process manager's may be lost for good.
    fn hand_on(&mut self) {
        let taken = std::mem::take(&mut self.services.shared().taken);
        for event in taken {
            let targets: &[Target] = match event.event_type.as_str() {
                "TransactionInitiated" => &[Target::Transactions, Target::Process],
                _ if event.aggregate_type == "Transaction" => &[Target::Transactions],
                _ => &[Target::Accounts, Target::Statement, Target::Totals],
            };
            for target in targets {
                if *target == Target::Process && self.machine.fault(|rates| rates.lost_before) {
                    continue;
                }
                let times = 1 + usize::from(self.machine.fault(|rates| rates.doubled));
                let delivery = Delivery { target: *target, event: event.clone(), failures: 0 };
                self.deliveries.extend(std::iter::repeat_n(delivery, times));
            }
        }
    }

    fn begin_delivery(&mut self) {
        if self.deliveries.is_empty() {
            return self.hand_on();
        }
        let Some(place) = self.pick(self.deliveries.len()) else { return };
        let delivery = self.deliveries.swap_remove(place);
        self.begin(Work::Deliver(Box::new(delivery.clone())), deliver(self.services.clone(), delivery));
    }

    fn begin_sweep(&mut self) {
        if self.services.mutant != Some(Mutant::NoSweep) {
            self.begin(Work::Sweep, sweep(self.services.clone()));
        }
    }

    /// A request that was given up long ago arrives.
    fn late_effect(&mut self) {
        let number = self.services.shared().late.len();
        let Some(place) = self.pick(number) else { return };
        let commit = self.services.shared().late.swap_remove(place);
        let services = self.services.clone();
        let mut effect = Task::new(async move { drop(services.take_effect(&commit).await) });
        assert!(effect.step(), "an effect takes no time");
    }

    /// What is parked is handed over again: the operator's part.
    fn redrive(&mut self) {
        let parked = std::mem::take(&mut self.parked);
        self.deliveries.extend(parked.into_iter().map(|delivery| Delivery { failures: 0, ..delivery }));
    }

    fn is_at_rest(&self) -> bool {
        let shared = self.services.shared();
        self.at_work.is_empty()
            && self.deliveries.is_empty()
            && self.parked.is_empty()
            && shared.late.is_empty()
            && shared.taken.is_empty()
            && self.checkpoint == shared.stream.len()
            && self.requests.iter().all(|request| request.state == Progress::Done)
            && shared.ledger.open().is_empty()
    }

    fn what_is_left(&self) -> String {
        let shared = self.services.shared();
        let waiting = self.requests.iter().filter(|request| request.state != Progress::Done).count();
        format!(
            "{} at work, {} deliveries, {} of {} records, {waiting} requests, {} transactions",
            self.at_work.len(),
            self.deliveries.len(),
            self.checkpoint,
            shared.stream.len(),
            shared.ledger.open().len()
        )
    }

    fn check_at_rest(&self) {
        {
            let shared = self.services.shared();
            for event in &shared.ledger.events {
                let (id, version) = (event.aggregate_id, event.version);
                assert!(
                    shared.published.contains(&event.event_id),
                    "I14: version {version} of {id} was never published"
                );
            }
        }
        self.services.accounts.check_complete();
        self.services.statement.check_complete();
        self.services.totals.check_complete();
        self.services.transactions.check_complete();
        let shared = self.services.shared();
        for (id, correlation_id) in &self.acknowledged {
            let is_theirs =
                |event: &&Envelope| event.aggregate_id == *id && event.metadata.correlation_id == *correlation_id;
            assert!(
                shared.ledger.events.iter().any(|event| is_theirs(&event)),
                "I6: an acknowledged command of {id} is gone"
            );
        }
    }
}
