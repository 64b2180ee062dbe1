//! The end of a run: when nothing moves any more, what must hold then, and what it has come to.

use std::task::Poll;

use aggregate::{AggregateId, CorrelationId};

use super::{Report, Run};
use crate::{
    machine::Task,
    ports::Record,
    queries::{self, Query},
    workload::Progress,
};

impl Run {
    /// Whether nothing is left to do.
    pub fn is_at_rest(&self) -> bool {
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

    /// What is, in words.
    pub fn what_is_left(&self) -> String {
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

    /// Lets a task run to its end, with nobody else at work.
    fn alone<T>(future: impl Future<Output = T> + Send + 'static) -> T {
        let mut task = Task::new(future);
        loop {
            if let Poll::Ready(output) = task.step() {
                return output;
            }
        }
    }

    /// At rest, every list is the whole.
    pub fn read_everything(&self) {
        let services = self.services.clone().for_query();
        for query in Query::everything(&services) {
            assert!(Self::alone(queries::ask(services.clone(), query, true)), "I20: no answer at rest");
        }
    }

    /// What must hold at rest, and what the run has come to.
    pub fn report(&self, clocks_are_close: bool) -> Report {
        self.services.check_unchanged();
        let cloud = self.services.cloud();
        cloud.accounts.check_complete();
        cloud.statement.check_complete();
        cloud.totals.check_complete();
        cloud.transactions.check_complete();
        let points = self.machine.state().points;
        // Who follows the journal reads to the end once everything is as old as it must be.
        self.machine.pass(60_000_000 + 2 * 86_400_000_000);
        let services = self.services.clone().for_query();
        while Self::alone(queries::follow_journal(services.clone())) {}
        let shared = self.services.shared();
        shared.outside.check_complete();
        cloud.journal.check_complete(&shared.ledger);
        if clocks_are_close {
            shared.readers.check(&shared.ledger, &cloud.journal.entries());
        }
        for event in &shared.ledger.events {
            let (id, version) = (event.aggregate_id, event.version);
            assert!(shared.published.contains(&event.event_id), "I14: version {version} of {id} was never published");
        }
        let poison = shared.stream.iter().filter(|record| matches!(record, Record::Poison(_))).count();
        assert_eq!(shared.reported.len(), poison, "I15: a record that cannot be read was never reported");
        let is_there = |(id, correlation_id): &(AggregateId, CorrelationId)| {
            let mut events = shared.ledger.events.iter();
            events.any(|event| event.aggregate_id == *id && event.metadata.correlation_id == *correlation_id)
        };
        let gone = self.acknowledged.iter().find(|asked| !is_there(asked));
        assert_eq!(gone, None, "I6: an acknowledged command is gone");
        let there = self.refused.iter().find(|asked| is_there(asked));
        assert_eq!(there, None, "I8: a command that was refused is recorded");
        let faults = self.machine.state().faults;
        Report { faults, events: shared.ledger.events.len() as u64, points, hash: self.machine.hash() }
    }
}
