//! What clients want, and how they ask for it.

use aggregate::{Aggregate, AggregateId, CommandId, CorrelationId, Metadata, Timestamp, UserId, Version};
use domain::{Account, AccountCommand, Amount, Currency, Order, Transaction, TransactionCommand};
use eventing::{Command, ExecuteError, Executed, ExpectedVersion, Host, execute, load};
use serde_json::{Value, json};

use crate::{machine::Machine, mutants::Mutant, outside, ports::Services};

/// A client's command, which is sent until its outcome is known.
#[derive(Debug, Clone)]
pub struct Request {
    pub id: AggregateId,
    pub what: What,
    pub metadata: Metadata,
    pub state: Progress,
    /// How often it was sent.
    pub sent: u32,
    /// The version that it was acknowledged with.
    pub answered: Option<Version>,
}

#[derive(Debug, Clone)]
pub enum What {
    Account(AccountCommand),
    Pay(Order),
    /// What another system asks for: the detail of its event.
    Outside(Value),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Waiting,
    Sent,
    Done,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Recorded, if there was anything to record: the version, and whether this repeats an earlier answer.
    Acknowledged { version: Version, recorded: bool, repeated: bool },
    /// A definite no.
    Refused,
    /// Yes or no, on the bus.
    Told,
    /// Not known, or not done: to be done again.
    Again,
}

fn user(name: &str) -> UserId {
    UserId::new(name).expect("a user")
}

fn euros(minor: u64) -> Amount {
    Amount::from_minor(minor, Currency::from_code("EUR").expect("a currency")).expect("an amount")
}

impl Request {
    fn new(machine: &Machine, id: AggregateId, by: &UserId, what: What, is_keyed: bool) -> Self {
        let metadata = Metadata {
            user_id: by.clone(),
            correlation_id: CorrelationId::from(machine.new_id()),
            causation_id: String::new(),
            command_id: is_keyed.then(|| CommandId(machine.new_id())),
        };
        Self { id, what, metadata, state: Progress::Waiting, sent: 0, answered: None }
    }

    /// A deposit that another system asks for.
    fn outside(machine: &Machine, id: AggregateId, owner: &UserId, amount: Amount) -> Self {
        let (currency, amount) = (amount.currency(), amount.minor());
        let detail = json!({
            "request_id": machine.new_id(), "account_id": id, "owner": owner,
            "amount": currency.format(amount), "currency": currency.code(),
        });
        Self::new(machine, id, owner, What::Outside(detail), true)
    }

    fn open(machine: &Machine, owner: &UserId) -> Self {
        let currency = Currency::from_code("EUR").expect("a currency");
        let command = AccountCommand::CreateAccount { owner: owner.clone(), currency };
        Self::new(machine, AggregateId(machine.new_id()), owner, What::Account(command), true)
    }
}

/// One seed's requests: a few accounts, of which the first is hot, and what is asked of them by their owner, by the bank, and
/// now and then by a stranger.
pub fn drawn(machine: &Machine) -> Vec<Request> {
    let (accounts, commands) = {
        let rng = &mut machine.state().rng;
        (rng.usize(2..5), rng.usize(10..36))
    };
    let owner = user("owner");
    let mut requests: Vec<Request> = (0..accounts).map(|_| Request::open(machine, &owner)).collect();
    let mut ids: Vec<AggregateId> = requests.iter().map(|request| request.id).collect();
    // One that nobody ever opens.
    ids.push(AggregateId(machine.new_id()));
    for _ in 0..commands {
        let (kind, is_keyed, is_stranger, one, other, minor) = {
            let rng = &mut machine.state().rng;
            let one = if rng.bool() { 0 } else { rng.usize(0..accounts) };
            let other = if rng.u32(0..20) == 0 { accounts } else { rng.usize(0..accounts) };
            (rng.u32(0..100), rng.u32(0..4) > 0, rng.u32(0..10) == 0, one, other, rng.u64(1..200))
        };
        let by = if is_stranger { user("stranger") } else { owner.clone() };
        let (amount, description) = (euros(minor), None);
        let account = |command| (ids[one], What::Account(command));
        let (id, what) = match kind {
            0..8 => {
                requests.push(Request::outside(machine, ids[other], &by, amount));
                continue;
            }
            8..30 => account(AccountCommand::DepositMoney { by: by.clone(), amount, description }),
            30..45 => account(AccountCommand::WithdrawMoney { by: by.clone(), amount, description }),
            45..80 => {
                let order = Order { by: by.clone(), source: ids[one], destination: ids[other], amount, description };
                (AggregateId(machine.new_id()), What::Pay(order))
            }
            80..84 => account(AccountCommand::FreezeAccount),
            84..88 => account(AccountCommand::UnfreezeAccount),
            88..96 => account(AccountCommand::SetOverdraftLimit { limit: (minor > 50).then_some(amount) }),
            _ => account(AccountCommand::CloseAccount { by: by.clone() }),
        };
        requests.push(Request::new(machine, id, &by, what, is_keyed));
    }
    requests
}

/// A small scenario, of which the exhaustive mode walks every point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Two accounts, a deposit, and a payment from one to the other.
    Payment,
    /// The same, but the payment's event is lost: the sweep drives it.
    ResumedPayment,
    /// The account that the money should come to is frozen after the payment has begun: the money goes back.
    ReturnedPayment,
    /// There is no money to pay with.
    RefusedPayment,
    /// An account, and a deposit of another system.
    OutsideDeposit,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Payment, Self::ResumedPayment, Self::ReturnedPayment, Self::RefusedPayment, Self::OutsideDeposit];
}

/// What is asked in a small scenario.
pub fn small(machine: &Machine, scenario: Scenario) -> Vec<Request> {
    let by = user("owner");
    if scenario == Scenario::OutsideDeposit {
        let account = Request::open(machine, &by);
        let deposit = Request::outside(machine, account.id, &by, euros(500));
        return vec![account, deposit];
    }
    let [source, destination] = [Request::open(machine, &by), Request::open(machine, &by)];
    let freeze = What::Account(AccountCommand::FreezeAccount);
    let freeze = Request::new(machine, destination.id, &by, freeze, true);
    let deposit = AccountCommand::DepositMoney { by: by.clone(), amount: euros(500), description: None };
    let deposit = Request::new(machine, source.id, &by, What::Account(deposit), true);
    let (amount, description) = (euros(200), None);
    let order = Order { by: by.clone(), source: source.id, destination: destination.id, amount, description };
    let payment = Request::new(machine, AggregateId(machine.new_id()), &by, What::Pay(order), true);
    match scenario {
        Scenario::ReturnedPayment => vec![source, destination, deposit, payment, freeze],
        Scenario::RefusedPayment => vec![source, destination, payment],
        _ => vec![source, destination, deposit, payment],
    }
}

/// Time does not run out in the simulator: who is out of time is killed.
pub const NO_DEADLINE: Timestamp = Timestamp::MAX;

/// Sends a request, as the command functions do.
pub async fn send(services: Services, request: Request) -> Answer {
    loop {
        let answer = send_once(&services, &request).await;
        if answer != Answer::Again || !services.lacks(Mutant::EndlessRetry) {
            return answer;
        }
    }
}

async fn send_once(services: &Services, request: &Request) -> Answer {
    let Request { id: aggregate_id, what, metadata, .. } = request.clone();
    let deadline = NO_DEADLINE;
    match what {
        What::Account(mut body) => {
            if services.lacks(Mutant::OwnersAreForgotten)
                && let AccountCommand::WithdrawMoney { by, .. } | AccountCommand::CloseAccount { by } = &mut body
            {
                *by = user("owner");
            }
            let command = Command { aggregate_id, body, metadata, expected_version: ExpectedVersion::Any, deadline };
            answer(execute::<Account>(services, &services.machine, &command).await)
        }
        What::Pay(order) => {
            let source = load::<Account>(services, order.source, Version::MAX).await;
            let destination = load::<Account>(services, order.destination, Version::MAX).await;
            let (Ok(source), Ok(destination)) = (source, destination) else { return Answer::Again };
            let (source, destination) = (source.aggregate, destination.aggregate);
            let body = TransactionCommand::InitiateTransaction { order, source, destination };
            let command = Command { aggregate_id, body, metadata, expected_version: ExpectedVersion::Any, deadline };
            answer(execute::<Transaction>(services, &services.machine, &command).await)
        }
        What::Outside(detail) => outside::send(services, request, detail).await,
    }
}

fn answer<E, R>(outcome: Result<Executed<E>, ExecuteError<R>>) -> Answer {
    match outcome {
        Ok(Executed { version, events, repeated }) => {
            Answer::Acknowledged { version, recorded: !events.is_empty(), repeated }
        }
        Err(ExecuteError::Rejected(_)) => Answer::Refused,
        Err(ExecuteError::Unknown(_) | ExecuteError::Busy | ExecuteError::Read(_)) => Answer::Again,
        Err(ExecuteError::CommandIdReused) => panic!("I7: a command is not recognised as itself"),
        Err(ExecuteError::VersionMismatch { .. } | ExecuteError::NotRecordable(_) | ExecuteError::Unwritable(_)) => {
            panic!("nobody asked for this")
        }
    }
}

/// What is asked of an account, for the checker to decide anew; nothing for what is asked of others.
pub fn asked(request: &Request) -> Option<((AggregateId, String), AccountCommand)> {
    let What::Account(command) = &request.what else { return None };
    Some(((request.id, request.metadata.correlation_id.as_str().to_owned()), command.clone()))
}

/// A step of a process manager that has lost its mind: a command on an account that follows from nothing.
pub async fn mad_step(services: &Services, id: AggregateId, body: <Account as Aggregate>::Command, because: &Metadata) {
    let metadata = Metadata { command_id: Some(CommandId(services.machine.new_id())), ..because.clone() };
    let command =
        Command { aggregate_id: id, body, metadata, expected_version: ExpectedVersion::Any, deadline: NO_DEADLINE };
    drop(execute::<Account>(services, &services.machine, &command).await);
}
