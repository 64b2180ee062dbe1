//! Every event version ever written, as it was written, still decodes to the same event.

use std::{collections::BTreeSet, fs};

use aggregate::{AggregateId, Envelope, Event};
use domain::{AccountEvent, Amount, Currency, Description, Leg, Order, Refusal, Side, TransactionEvent};
use eventing::RecordedEvent;
use serde_json::json;
use tests::{StillHost, owner, repository};
use uuid::Uuid;

fn envelope(file: &str) -> Envelope {
    let text = fs::read_to_string(repository().join("infra/events/golden").join(file)).unwrap();
    let envelope: Envelope = serde_json::from_str(&text).unwrap();
    assert_eq!(file, format!("{}.v{}.json", envelope.event_type, envelope.schema_version));
    // What is written today has the same form.
    assert_eq!(serde_json::to_value(&envelope).unwrap(), serde_json::from_str::<serde_json::Value>(&text).unwrap());
    envelope
}

fn golden<E: Event>(file: &str) -> E {
    envelope(file).decode().unwrap().data
}

/// Checks the files of `events`, which are written today, and gives their names.
fn check<E: Event + PartialEq + std::fmt::Debug>(events: Vec<E>) -> Vec<String> {
    let check = |event: E| {
        let written = RecordedEvent::new(&event, &StillHost::default()).unwrap();
        let file = format!("{}.v{}.json", written.event_type, written.schema_version);
        assert_eq!(envelope(&file).data, written.data);
        assert_eq!(golden::<E>(&file), event);
        file
    };
    events.into_iter().map(check).collect()
}

fn id(last: u128) -> AggregateId {
    AggregateId(Uuid::from_u128(0x0198_c1a7_5a00_7000_8000_0000_0000_0000 + last))
}

#[test]
fn each_golden_file_means_what_it_meant() {
    let currency = Currency::from_code("EUR").unwrap();
    let amount = Amount::from_minor(1234, currency).unwrap();
    let description = Some(Description::try_from("Rent for März".to_owned()).unwrap());
    let (account, transaction_id, counterparty) = (id(0xaa), id(0xbb), id(0xcc));
    let leg = Leg { transaction_id, counterparty, amount, description: description.clone() };
    let accounts = check(vec![
        AccountEvent::AccountCreated { owner: owner(), currency },
        AccountEvent::MoneyDeposited { amount, description: description.clone() },
        AccountEvent::DepositRefused { amount, reason: Refusal::Frozen },
        AccountEvent::MoneyWithdrawn { amount, description: None },
        AccountEvent::AccountClosed {},
        AccountEvent::AccountFrozen {},
        AccountEvent::AccountUnfrozen {},
        AccountEvent::OverdraftLimitSet { limit_minor: 1234 },
        AccountEvent::AccountDebited(leg.clone()),
        AccountEvent::AccountCredited(leg),
        AccountEvent::DebitRefused { transaction_id, reason: Refusal::InsufficientFunds },
        AccountEvent::CreditRefused { transaction_id, reason: Refusal::Frozen },
        AccountEvent::AccountRefunded { transaction_id, amount },
        AccountEvent::DebitSettled { transaction_id },
    ]);
    let of_before = ["OverdraftLimitSet.v1.json".to_owned()];
    assert_eq!(golden::<AccountEvent>(&of_before[0]), AccountEvent::OverdraftLimitSet { limit_minor: 1234 });
    let order = Order { by: owner(), source: account, destination: counterparty, amount, description };
    let transactions = check(vec![
        TransactionEvent::TransactionInitiated(order),
        TransactionEvent::TransactionCompleted {},
        TransactionEvent::TransactionFailed { side: Side::Destination, reason: Refusal::Closed },
    ]);
    let files = fs::read_dir(repository().join("infra/events/golden")).unwrap();
    let files: BTreeSet<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, accounts.into_iter().chain(of_before).chain(transactions).collect());
}

#[test]
fn a_refusal_because_of_a_large_balance_stays_readable_though_nothing_is_refused_for_it_any_more() {
    for file in ["DebitRefused.v1.json", "CreditRefused.v1.json", "DepositRefused.v1.json", "TransactionFailed.v1.json"]
    {
        let mut recorded = envelope(file);
        recorded.data["reason"] = serde_json::json!("balance-too-large");
        let schemas = tests::EventSchemas::read();
        assert_eq!(schemas.objection(&serde_json::to_value(&recorded).unwrap()), None, "{file}");
        let reason = if recorded.aggregate_type == "Account" {
            recorded.decode::<AccountEvent>().unwrap().data.refusal()
        } else {
            let TransactionEvent::TransactionFailed { reason, .. } = recorded.decode().unwrap().data else { panic!() };
            Some(reason)
        };
        assert_eq!(reason, Some(Refusal::BalanceTooLarge), "{file}");
    }
}

#[test]
fn a_newer_version_and_an_unknown_type_are_unreadable_not_misread() {
    let envelope = envelope("MoneyDeposited.v1.json");
    let newer = Envelope { schema_version: 2, ..envelope.clone() };
    assert!(newer.decode::<AccountEvent>().unwrap_err().to_string().contains("schema versions 1 to 1"));
    let unknown = Envelope { event_type: "MoneyBurnt".to_owned(), ..envelope.clone() };
    assert!(unknown.decode::<AccountEvent>().is_err());
    let refused = self::envelope("DebitRefused.v1.json");
    let transaction = &refused.data["transaction_id"];
    for (envelope, data, place) in [
        (&envelope, json!({ "amount": "secret-canary" }), "`data.amount`"),
        (&envelope, json!({ "amount": { "minor": 1, "currency": "secret-canary" } }), "`data.amount.currency`"),
        (&envelope, json!({ "amount": { "currency": "EUR" } }), "`data.amount`"),
        (&envelope, json!("secret-canary"), "`data`"),
        (&refused, json!({ "transaction_id": "secret-canary", "reason": "closed" }), "`data.transaction_id`"),
        (&refused, json!({ "transaction_id": transaction, "reason": "secret-canary" }), "`data.reason`"),
    ] {
        let said = Envelope { data, ..envelope.clone() }.decode::<AccountEvent>().unwrap_err().reason;
        assert_eq!(said, format!("{place} has another form, or lacks a field"));
    }
}
