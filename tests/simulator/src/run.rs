//! One run: clients send commands, functions run and die, the stream and the bus deliver what they like when they like; then
//! the faults stop, and everything must come to its end.

mod rest;

use std::{sync::Arc, task::Poll};

use aggregate::{AggregateId, CorrelationId, Version};
use aws_lambda_events::eventbridge::EventBridgeEvent;
use serde_json::Value;

use crate::{
    functions::{self, Target},
    machine::{Fault, Machine, Rates, Task},
    mutants::Mutant,
    ports::Services,
    queries::{self, Query},
    workload::{self, Answer, Progress, Request, Scenario},
};

/// Scheduler steps under faults.
const STEPS: u32 = 900;
/// Steps in which everything must come to its end once the faults have stopped (I12).
const STEPS_TO_REST: u32 = 20_000;
/// Points at which an invocation may stop before it must have ended (I22): it sends at most so many requests.
const POINTS_MAX: u32 = 500;
/// Records that the publisher takes at once.
const BATCH: usize = 5;
/// How often a delivery is tried before it is parked.
const TRIES: u32 = 3;
/// Clocks that are this close are as close as the journal asks for.
const CLOSE_MICROS: i64 = 1_000_000;

/// What a run has come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Faults that happened.
    pub faults: u64,
    /// Events that were recorded.
    pub events: u64,
    /// Points at which invocations stopped.
    pub points: u64,
    /// The fingerprint of everything that happened.
    pub hash: u64,
}

#[derive(Debug, Clone)]
struct Delivery {
    target: Target,
    event: Arc<EventBridgeEvent<Value>>,
    failures: u32,
}

/// What an invocation is for, and so what its end or its death means.
#[derive(Debug)]
enum Work {
    Request(usize),
    Publish { batch: usize },
    Deliver(Box<Delivery>),
    Sweep,
    Query(Query),
    FollowJournal,
}

impl Work {
    fn in_words(&self) -> String {
        match self {
            Self::Request(place) => format!("request {place}"),
            Self::Publish { batch } => format!("publishing {batch} records"),
            Self::Deliver(delivery) => {
                let Delivery { target, event, .. } = &**delivery;
                let (id, version) = (&event.detail["aggregate_id"], &event.detail["version"]);
                format!("{target:?} for {} {} {version}", event.detail_type, id.as_str().unwrap_or_default())
            }
            Self::Sweep => "a sweep".to_owned(),
            Self::Query(query) => format!("a query: {query:?}"),
            Self::FollowJournal => "reading on in the journal".to_owned(),
        }
    }
}

/// How an invocation ended. One that was killed has not.
#[derive(Debug)]
enum Ended {
    Request(Answer),
    Published(Option<usize>),
    Done(bool),
}

struct Invocation {
    work: Work,
    task: Task<Ended>,
}

struct Run {
    machine: Machine,
    services: Services,
    requests: Vec<Request>,
    at_work: Vec<Invocation>,
    checkpoint: usize,
    deliveries: Vec<Delivery>,
    parked: Vec<Delivery>,
    acknowledged: Vec<(AggregateId, CorrelationId)>,
    /// Requests that were refused for good.
    refused: Vec<(AggregateId, CorrelationId)>,
    /// Somebody asks queries.
    has_readers: bool,
}

/// One seed in so many has readers: an answer with its check costs as much as all that one command leads to.
const SEEDS_A_READER: u32 = 8;

/// Runs one seed. Panics where an invariant does not hold.
pub fn run(machine: &Machine, mutant: Option<Mutant>) -> Report {
    let mut run = Run::new(machine, mutant, workload::drawn(machine));
    run.has_readers = machine.state().rng.u32(0..SEEDS_A_READER) == 0;
    let clocks_are_close = machine.state().rates.skew_micros <= CLOSE_MICROS;
    for _ in 0..STEPS {
        run.step();
    }
    machine.state().rates = Rates::NONE;
    let mut steps = 0;
    while !run.is_at_rest() {
        run.step();
        run.redrive();
        // A clock that was a day ahead keeps the sweep from what it has begun, for a day.
        if run.at_work.is_empty() {
            machine.pass(600_000_000);
        }
        steps += 1;
        assert!(steps < STEPS_TO_REST, "I12: no end: {}", run.what_is_left());
    }
    if run.has_readers {
        run.read_everything();
    }
    run.report(clocks_are_close)
}

/// Runs a small scenario with nothing left to chance: one thing after the other, and only what the machine plans goes wrong.
pub fn run_in_order(machine: &Machine, scenario: Scenario, mutant: Option<Mutant>) -> Report {
    let mut run = Run::new(machine, mutant, workload::small(machine, scenario));
    let mut steps = 0;
    while !run.is_at_rest() {
        run.step_in_order(scenario);
        steps += 1;
        assert!(steps < STEPS_TO_REST, "I12: no end: {}", run.what_is_left());
    }
    run.report(true)
}

impl Run {
    fn new(machine: &Machine, mutant: Option<Mutant>, requests: Vec<Request>) -> Self {
        let services = Services::new(machine, mutant);
        services.shared().asked = requests.iter().filter_map(workload::asked).collect();
        Self {
            machine: machine.clone(),
            services,
            requests,
            at_work: Vec::new(),
            checkpoint: 0,
            deliveries: Vec::new(),
            parked: Vec::new(),
            acknowledged: Vec::new(),
            refused: Vec::new(),
            has_readers: false,
        }
    }

    /// One thing happens, whatever it may be.
    fn step(&mut self) {
        let (choice, micros) = {
            let rng = &mut self.machine.state().rng;
            (rng.u32(0..100), rng.i64(0..50_000))
        };
        self.machine.pass(micros);
        match choice {
            58..60 if self.has_readers => self.begin_query(),
            0..60 => self.go_on(),
            60..72 => self.begin_request(),
            72..80 => self.begin_publishing(),
            80..94 => self.begin_delivery(),
            94..96 => self.begin_sweep(),
            96 => self.late_effect(),
            97 => {
                if self.machine.fault(Fault::Stalled) {
                    let micros = self.machine.state().rng.i64(0..86_400_000_000);
                    self.machine.pass(micros);
                }
                self.follow_journal();
            }
            _ => self.hand_on(),
        }
    }

    /// The next thing happens.
    fn step_in_order(&mut self, scenario: Scenario) {
        self.machine.pass(1_000);
        self.redrive();
        let is_published = self.checkpoint == self.services.shared().stream.len();
        let next = self.requests.iter().position(|request| request.state == Progress::Waiting);
        // The freeze comes between the beginning of the payment and its first step.
        let is_freeze = scenario == Scenario::ReturnedPayment && next == Some(self.requests.len() - 1);
        if !self.at_work.is_empty() {
            self.advance(0);
        } else if let Some(freeze) = next.filter(|_| is_freeze) {
            self.send(freeze);
        } else if !is_published {
            self.begin_publishing();
        } else if !self.services.shared().taken.is_empty() {
            self.hand_on();
            let is_lost =
                |delivery: &Delivery| scenario == Scenario::ResumedPayment && delivery.target == Target::Process;
            self.deliveries.retain(|delivery| !is_lost(delivery));
            self.deliveries.reverse();
        } else if let Some(delivery) = self.deliveries.pop() {
            self.deliver(delivery);
        } else if let Some(place) = next {
            self.send(place);
        } else {
            self.machine.pass(120_000_000);
            self.begin_sweep();
        }
    }

    fn pick(&self, number: usize) -> Option<usize> {
        (number > 0).then(|| self.machine.state().rng.usize(0..number))
    }

    fn begin(&mut self, work: Work, future: impl Future<Output = Ended> + Send + 'static) {
        self.machine.note(|| format!("begins {}", work.in_words()), 1 << 32);
        self.at_work.push(Invocation { work, task: Task::new(future) });
    }

    fn go_on(&mut self) {
        if let Some(place) = self.pick(self.at_work.len()) {
            self.advance(place);
        }
    }

    /// An invocation goes on to its next point, or is killed there.
    fn advance(&mut self, place: usize) {
        let mut how = None;
        if !self.machine.fault(Fault::Killed) {
            let task = &mut self.at_work[place].task;
            let Poll::Ready(ended) = task.step() else {
                assert!(task.points < POINTS_MAX, "I22: an invocation does not end");
                return;
            };
            how = Some(ended);
        }
        let Invocation { work, task } = self.at_work.swap_remove(place);
        drop(task);
        self.end(work, how);
    }

    /// What follows from the end of an invocation; none is the end of one that was killed.
    fn end(&mut self, work: Work, how: Option<Ended>) {
        let ended = how.is_some();
        self.machine.note(|| format!("{} {}", if ended { "ends" } else { "dies in" }, work.in_words()), 2 << 32);
        match (work, how) {
            (Work::Request(place), Some(Ended::Request(Answer::Acknowledged { version, recorded, repeated }))) => {
                self.acknowledge(place, version, recorded, repeated);
            }
            (Work::Request(place), Some(Ended::Request(Answer::Refused))) => {
                let request = &mut self.requests[place];
                request.state = Progress::Done;
                // Who has no key, and asks again, may be refused because the first attempt was recorded.
                if request.metadata.command_id.is_some() || request.sent == 1 {
                    self.refused.push((request.id, request.metadata.correlation_id.clone()));
                }
            }
            (Work::Request(place), Some(Ended::Request(Answer::Told))) => {
                // Who is answered may ask once more all the same.
                let asks_again = self.machine.fault(Fault::Doubled);
                self.requests[place].state = if asks_again { Progress::Waiting } else { Progress::Done };
            }
            (Work::Request(place), _) => {
                // Who has no key cannot ask again without risk, and looks for the truth elsewhere.
                let request = &mut self.requests[place];
                let is_keyed = request.metadata.command_id.is_some();
                request.state = if is_keyed { Progress::Waiting } else { Progress::Done };
            }
            (Work::Publish { batch }, how) => {
                let published = if let Some(Ended::Published(Some(records))) = how { records.min(batch) } else { 0 };
                self.checkpoint += published;
                if self.machine.fault(Fault::Doubled) {
                    self.checkpoint -= self.pick(self.checkpoint + 1).unwrap_or(0).min(BATCH);
                }
            }
            (Work::Deliver(delivery), Some(Ended::Done(true))) => {
                if self.machine.fault(Fault::Doubled) {
                    self.deliveries.push(Delivery { failures: 0, ..*delivery });
                }
            }
            (Work::Deliver(_), _) if self.services.lacks(Mutant::FailuresAreDropped) => {}
            (Work::Deliver(mut delivery), _) => {
                delivery.failures += 1;
                let is_parked = delivery.failures >= TRIES;
                if is_parked { self.parked.push(*delivery) } else { self.deliveries.push(*delivery) }
            }
            (Work::Sweep | Work::Query(_) | Work::FollowJournal, _) => {}
        }
    }

    fn acknowledge(&mut self, place: usize, version: Version, recorded: bool, repeated: bool) {
        // Who is answered may ask once more all the same.
        let asks_again = self.machine.fault(Fault::Doubled);
        let request = &mut self.requests[place];
        let is_keyed = request.metadata.command_id.is_some();
        request.state = if asks_again && is_keyed { Progress::Waiting } else { Progress::Done };
        let (id, correlation_id) = (request.id, &request.metadata.correlation_id);
        let shared = self.services.shared();
        assert!(version <= shared.ledger.version(id), "I6: version {version} of {id} is acknowledged, not recorded");
        if recorded {
            let said = shared.ledger.event(id, version).map(|event| &event.metadata.correlation_id);
            assert_eq!(said, Some(correlation_id), "I6: version {version} of {id} is of another command");
            let is_the_first = request.sent == 1;
            assert!(!(repeated && is_the_first), "I7: the first answer to a command of {id} says that it is repeated");
            let was_answered = request.answered.is_some();
            assert!(repeated || !was_answered, "I7: a repeated answer to a command of {id} does not say so");
            let first = *request.answered.get_or_insert(version);
            assert_eq!(version, first, "I7: a command of {id} is answered otherwise the second time");
            self.acknowledged.push((id, correlation_id.clone()));
        }
    }

    fn begin_request(&mut self) {
        let waiting: Vec<usize> =
            (0..self.requests.len()).filter(|place| self.requests[*place].state == Progress::Waiting).collect();
        // Accounts are opened first, more or less.
        if let Some(choice) = self.pick(waiting.len().min(4)) {
            self.send(waiting[choice]);
        }
    }

    fn send(&mut self, place: usize) {
        self.requests[place].state = Progress::Sent;
        self.requests[place].sent += 1;
        let (request, services) = (self.requests[place].clone(), self.services.deployed());
        if self.services.lacks(Mutant::AnswerFirst) {
            self.acknowledged.push((request.id, request.metadata.correlation_id.clone()));
        }
        self.begin(Work::Request(place), async { Ended::Request(workload::send(services, request).await) });
    }

    fn begin_publishing(&mut self) {
        if self.at_work.iter().any(|invocation| matches!(invocation.work, Work::Publish { .. })) {
            return;
        }
        let batch: Vec<_> = self.services.shared().stream[self.checkpoint..].iter().take(BATCH).cloned().collect();
        if !batch.is_empty() {
            let (records, services) = (batch.len(), self.services.deployed());
            let publish = async { Ended::Published(functions::publish(services, batch).await) };
            self.begin(Work::Publish { batch: records }, publish);
        }
    }

    /// The bus hands an event on to whom its rules say, once or twice. The process manager's may be lost for good.
    fn hand_on(&mut self) {
        let taken = std::mem::take(&mut self.services.shared().taken);
        for event in taken {
            for target in Target::of(&event) {
                if *target == Target::Process && self.machine.fault(Fault::Forgotten) {
                    continue;
                }
                let times = 1 + usize::from(self.machine.fault(Fault::Doubled));
                let delivery = Delivery { target: *target, event: event.clone(), failures: 0 };
                self.deliveries.extend(std::iter::repeat_n(delivery, times));
            }
        }
    }

    fn begin_delivery(&mut self) {
        if self.deliveries.is_empty() {
            return self.hand_on();
        }
        if let Some(place) = self.pick(self.deliveries.len()) {
            let delivery = self.deliveries.swap_remove(place);
            self.deliver(delivery);
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        let (target, event, services) = (delivery.target, delivery.event.clone(), self.services.deployed());
        let deliver = async move { Ended::Done(functions::deliver(services, target, event).await) };
        self.begin(Work::Deliver(Box::new(delivery)), deliver);
    }

    fn begin_sweep(&mut self) {
        if !self.services.lacks(Mutant::NoSweep) {
            let services = self.services.deployed();
            self.begin(Work::Sweep, async { Ended::Done(functions::sweep(services).await) });
        }
    }

    /// Somebody reads: all pages of something, or some of them.
    fn begin_query(&mut self) {
        let Some(query) = Query::drawn(&self.services) else { return };
        let services = self.services.deployed().for_query();
        let ask = queries::ask(services, query.clone(), false);
        self.begin(Work::Query(query), async { Ended::Done(ask.await) });
    }

    /// The administrator who keeps reading the journal reads one page more.
    fn follow_journal(&mut self) {
        if !self.at_work.iter().any(|invocation| matches!(invocation.work, Work::FollowJournal)) {
            let services = self.services.deployed().for_query();
            self.begin(Work::FollowJournal, async { Ended::Done(queries::follow_journal(services).await) });
        }
    }

    /// A request that was given up long ago arrives.
    fn late_effect(&mut self) {
        let number = self.services.shared().late.len();
        let Some(place) = self.pick(number) else { return };
        let commit = self.services.shared().late.swap_remove(place);
        let services = self.services.clone();
        let mut effect = Task::new(async move { drop(services.take_effect(&commit).await) });
        assert!(effect.step().is_ready(), "an effect takes no time");
    }

    /// What is parked is handed over again: the operator's part.
    fn redrive(&mut self) {
        let parked = std::mem::take(&mut self.parked);
        self.deliveries.extend(parked.into_iter().map(|delivery| Delivery { failures: 0, ..delivery }));
    }
}
