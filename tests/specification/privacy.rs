//! Nobody learns from an answer what is another customer's.

use std::fs;

use aggregate::{AggregateId, CommandId, CorrelationId, Envelope, Metadata, UserId};
use api::{AccountEventView, Call, Reader};
use eventing::System;
use serde_json::{Value, json};
use tests::{repository, request};
use uuid::Uuid;

/// One event of every type and version that an account ever had.
fn account_events() -> Vec<Envelope> {
    let files = fs::read_dir(repository().join("infra/events/golden")).unwrap().map(|file| file.unwrap().path());
    let events = files.map(|file| serde_json::from_str::<Envelope>(&fs::read_to_string(file).unwrap()).unwrap());
    events.filter(|event| event.aggregate_type == "Account").collect()
}

/// Metadata of which each part can be found in an answer.
fn of_payer() -> (Metadata, [String; 4]) {
    let (user_id, correlation_id) =
        (UserId::new("payer-user").unwrap(), CorrelationId::new("payer-correlation").unwrap());
    let command_id = CommandId::of_step(AggregateId(Uuid::from_u128(7)), "credit");
    let causation_id = "payer-causation".to_owned();
    let parts = ["payer-user", "payer-correlation", &causation_id, &command_id.0.to_string()].map(str::to_owned);
    (Metadata { user_id, correlation_id, causation_id, command_id: Some(command_id) }, parts)
}

fn reader(user: &str) -> Reader {
    let request = request(user, "GET /accounts/{id}/events", "/accounts/x/events", &[], &Value::Null);
    Call::new(request, &System).reader().unwrap()
}

/// The parts of the payer's metadata that `user` finds in the audit trail.
fn found_by(user: &str, event: Envelope) -> usize {
    let (metadata, parts) = of_payer();
    let shown = AccountEventView::of(Envelope { metadata, ..event }, &reader(user));
    let shown = serde_json::to_string(&shown).unwrap();
    parts.iter().filter(|part| shown.contains(part.as_str())).count()
}

#[test]
fn an_owner_reads_who_caused_an_event_unless_it_was_another_customer() {
    for event in account_events() {
        let parts_for_owner = match event.event_type.as_str() {
            "AccountCredited" | "CreditRefused" => 0,
            "AccountCreated" | "MoneyDeposited" | "DepositRefused" | "MoneyWithdrawn" | "AccountClosed"
            | "AccountFrozen" | "AccountUnfrozen" | "OverdraftLimitSet" | "AccountDebited" | "DebitRefused"
            | "AccountRefunded" | "DebitSettled" => 4,
            other => panic!("who causes {other}, and may the account's owner know?"),
        };
        assert_eq!(found_by("owner", event.clone()), parts_for_owner, "{}", event.event_type);
        for everything in ["payer-user", "admin"] {
            assert_eq!(found_by(everything, event.clone()), 4, "{} for {everything}", event.event_type);
        }
    }
}

#[test]
fn an_event_that_this_code_cannot_read_shows_neither_who_caused_it_nor_its_data() {
    let good = account_events().into_iter().find(|event| event.event_type == "MoneyDeposited").unwrap();
    let unreadable = [
        Envelope { event_type: "MoneyReserved".to_owned(), data: json!({ "payer": "payer-user" }), ..good.clone() },
        Envelope { schema_version: 99, data: json!({ "payer": "payer-user" }), ..good.clone() },
        Envelope { data: json!({ "payer": "payer-user" }), ..good },
    ];
    for event in unreadable {
        assert_eq!(found_by("owner", event.clone()), 0, "{event:?}");
        assert_eq!(found_by("admin", event), 4);
    }
}
