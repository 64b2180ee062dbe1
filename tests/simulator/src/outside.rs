//! Another system, which asks for deposits on the bus until it is answered, and now and then once more; and what must hold
//! about its requests: each has one effect and one answer.

use std::collections::{BTreeMap, BTreeSet};

use aggregate::CorrelationId;
use api::{DepositRequestAccepted, DepositRequestRefused, DepositRequested};
use aws_lambda_events::eventbridge::EventBridgeEvent;
use eventing::Host;
use serde_json::{Value, json};

use crate::{
    mutants::Mutant,
    ports::Services,
    workload::{Answer, NO_DEADLINE, Request},
};

/// What was asked and answered.
#[derive(Debug, Default)]
pub struct Outside {
    /// Whose request each event is.
    requests: BTreeMap<String, String>,
    /// Requests that an account has decided on.
    decided: BTreeSet<String>,
    /// The different answers that each request has got.
    answers: BTreeMap<String, BTreeSet<String>>,
}

impl Outside {
    /// What follows from one of its events is recorded: a request is decided once (I7).
    pub fn check_decision(&mut self, correlation_id: &CorrelationId) {
        let Some(request) = self.requests.get(correlation_id.as_str()) else { return };
        assert!(self.decided.insert(request.clone()), "I7: request {request} of another system is decided twice");
    }

    /// It has one final answer. One that is not final may come before or beside it, and says so (I7).
    pub fn check_answer(&mut self, answer: &EventBridgeEvent<Value>) {
        let said = match answer.detail_type.as_str() {
            DepositRequestAccepted::TYPE => format!("version {}", answer.detail["version"]),
            DepositRequestRefused::TYPE if answer.detail["final"] == false => UNDECIDED.to_owned(),
            DepositRequestRefused::TYPE => answer.detail["problem"]["type"].to_string(),
            other => panic!("I7: {other} is no answer"),
        };
        let request = answer.detail["event_id"].as_str().and_then(|event| self.requests.get(event));
        let request = request.expect("I7: an answer to what nobody has asked");
        let answers = self.answers.entry(request.clone()).or_default();
        answers.insert(said);
        let decisions = answers.iter().filter(|said| *said != UNDECIDED).count();
        assert!(decisions <= 1, "I7: request {request} of another system is answered so and otherwise: {answers:?}");
    }

    /// At rest, every request is answered, and what an account has decided is told.
    pub fn check_complete(&self) {
        for request in self.requests.values() {
            let answers = self.answers.get(request).expect("I7: a request of another system is never answered");
            let is_decided = self.decided.contains(request);
            let is_told = answers.iter().any(|said| said != UNDECIDED);
            assert!(
                is_told || !is_decided,
                "I7: what was decided on request {request} of another system is never told"
            );
            assert!(
                is_decided || !is_told,
                "I7: a final answer to request {request} of another system is not recorded"
            );
        }
    }
}

/// An answer that is not final.
const UNDECIDED: &str = "undecided";

/// Puts the request's event on the bus, whose rule leads to the function.
pub async fn send(services: &Services, request: &Request, mut detail: Value) -> Answer {
    let machine = &services.machine;
    let request_id = detail["request_id"].as_str().unwrap_or_default().to_owned();
    // The bus delivers the event again, or the sender puts it once more.
    let is_new = machine.state().rng.bool();
    let event_id =
        if is_new { machine.new_id().to_string() } else { request.metadata.correlation_id.as_str().to_owned() };
    if let Ok(deposit) = DepositRequested::parse(&detail) {
        let DepositRequested { owner, amount, description, .. } = deposit;
        let mut shared = services.shared();
        let command = domain::AccountCommand::ReceiveDeposit { owner, amount, description };
        shared.asked.insert((request.id, event_id.clone()), command);
        shared.outside.requests.insert(event_id.clone(), request_id);
    }
    if services.lacks(Mutant::RepeatedRequestsAreNew) {
        detail["request_id"] = json!(event_id);
    }
    let mut event = EventBridgeEvent::<Value>::default();
    "payments".clone_into(&mut event.source);
    DepositRequested::TYPE.clone_into(&mut event.detail_type);
    (event.id, event.detail) = (Some(event_id), detail);
    match bus_commands::handle(services, services, machine, &event, NO_DEADLINE).await {
        Ok(()) => Answer::Told,
        Err(_) => Answer::Again,
    }
}
