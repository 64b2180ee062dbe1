//! The functions as Lambda invokes them: the handlers that are deployed, each with an event in the form that AWS gives it.

use std::sync::Arc;

use aggregate::{AggregateId, Envelope, Event as _, Row};
use aws_lambda_events::{
    dynamodb::{Event, EventRecord},
    eventbridge::EventBridgeEvent,
};
use domain::{AccountCommand, AccountEvent, Leg};
use eventing::{EventStore, ReadTable};
use serde_json::{Value, json};

use crate::{
    mutants::Mutant,
    ports::{CHANGED, Record, Services},
    tables::Table,
    workload::{NO_DEADLINE, mad_step},
};

/// The functions that rules lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Accounts,
    Statement,
    Totals,
    Transactions,
    Journal,
    Process,
}

impl Target {
    /// Who gets this event, by the rules of the template.
    pub fn of(event: &EventBridgeEvent<Value>) -> &'static [Self] {
        match (event.detail_type.as_str(), event.detail["aggregate_type"].as_str()) {
            ("TransactionInitiated", _) => &[Self::Transactions, Self::Journal, Self::Process],
            (_, Some("Transaction")) => &[Self::Transactions, Self::Journal],
            _ => &[Self::Accounts, Self::Statement, Self::Totals, Self::Journal],
        }
    }
}

/// Publishes a batch of the stream; how many records of it are done, or nothing where the function failed.
pub async fn publish(services: Services, batch: Vec<Record>) -> Option<usize> {
    let record = |(place, record): (usize, &Record)| match record {
        Record::Commit(commit) => aws::record_of(commit, place.to_string()).expect("a record"),
        Record::Poison(number) => {
            let mut record = EventRecord::default();
            "INSERT".clone_into(&mut record.event_name);
            record.change.sequence_number = Some(number.to_string());
            record
        }
    };
    let has_poison = batch.iter().any(|record| matches!(record, Record::Poison(_)));
    if has_poison && services.lacks(Mutant::PoisonStopsTheStream) {
        return None;
    }
    let mut event = Event::default();
    event.records = batch.iter().enumerate().map(record).collect();
    if services.lacks(Mutant::PoisonIsPassedOver) {
        event.records.retain(|record| !record.change.new_image.is_empty());
    }
    let numbers: Vec<_> = event.records.iter().map(|record| record.change.sequence_number.clone()).collect();
    let answer = event_publisher::handle(&services, &services.machine, event).await.ok()?;
    let Some(failed) = answer.batch_item_failures.first() else { return Some(batch.len()) };
    numbers.iter().position(|number| *number == failed.item_identifier)
}

/// Hands an event to a function; whether it took it.
pub async fn deliver(services: Services, target: Target, mut event: Arc<EventBridgeEvent<Value>>) -> bool {
    // To old code, an event in the new form is one of the future.
    if services.old_code && event.detail_type == CHANGED {
        let today = AccountEvent::schema_version(CHANGED);
        if event.detail["schema_version"] == json!(today) {
            Arc::make_mut(&mut event).detail["schema_version"] = json!(today + 1);
        }
    }
    let (event, cloud) = (&*event, services.cloud());
    match target {
        Target::Accounts => into(&services, &cloud.accounts, event).await,
        Target::Statement => into(&services, &cloud.statement, event).await,
        Target::Totals => into(&services, &cloud.totals, event).await,
        Target::Transactions => into(&services, &cloud.transactions, event).await,
        Target::Journal => journal_projector::handle(&services, &cloud.journal, &services.machine, event).await.is_ok(),
        Target::Process => {
            let mutant = [Mutant::CreditsTwice, Mutant::RefundsAndCredits].into_iter().find(|one| services.lacks(*one));
            let begun = mutant.and_then(|_| aws::envelope_of(event).ok());
            let done = transaction_process::begun(&services, &services.machine, event, NO_DEADLINE).await.is_ok();
            if let (Some(mutant), Some(begun)) = (mutant, begun) {
                lose_its_mind(&services, mutant, &begun).await;
            }
            done
        }
    }
}

async fn into<R: Row + PartialEq + std::fmt::Debug>(
    services: &Services,
    table: &Table<R>,
    event: &EventBridgeEvent<Value>,
) -> bool {
    if services.lacks(Mutant::GapsAreApplied) {
        return apply_whatever_comes(table, &event.detail).await.is_some();
    }
    aws::project_delivered(services, table, &services.machine, event).await.is_ok()
}

async fn apply_whatever_comes<R: Row + PartialEq + std::fmt::Debug>(table: &Table<R>, event: &Value) -> Option<()> {
    let event: Envelope = serde_json::from_value(event.clone()).ok()?;
    let row = table.latest(event.aggregate_id).await.ok()?;
    let at = row.as_ref().map_or(0, Row::version);
    if event.version > at {
        let next = R::next(row.as_ref(), &event.decode().ok()?)?;
        table.save(at, &[next]).await.ok()?;
    }
    Some(())
}

/// Does once more what was done for the transaction, under a new id, or undoes it.
async fn lose_its_mind(services: &Services, mutant: Mutant, begun: &Envelope) {
    let text = |name: &str| begun.data.get(name).and_then(|id| id.as_str()?.parse().ok()).map(AggregateId);
    let (Some(source), Some(destination)) = (text("source"), text("destination")) else { return };
    let (id, transaction_id) =
        if mutant == Mutant::CreditsTwice { (destination, begun.aggregate_id) } else { (source, begun.aggregate_id) };
    let Ok(history) = services.read(destination, 1, usize::MAX).await else { return };
    let events = history.iter().filter_map(|commit| commit.decode::<AccountEvent>().ok()).flatten();
    let is_ours = |leg: &Leg| leg.transaction_id == transaction_id;
    let credit = events.into_iter().find_map(|event| match event.data {
        AccountEvent::AccountCredited(leg) if is_ours(&leg) => Some(leg),
        _ => None,
    });
    let Some(leg) = credit else { return };
    let body = match mutant {
        Mutant::CreditsTwice => AccountCommand::CreditAccount(leg),
        _ => AccountCommand::RefundAccount { transaction_id },
    };
    mad_step(services, id, body, &begun.metadata).await;
}

/// Drives what is under way for too long, as the scheduled function does.
pub async fn sweep(services: Services) -> bool {
    let transactions = &services.cloud().transactions;
    transaction_process::sweep(&services, &services.machine, transactions, NO_DEADLINE).await.is_ok()
}
