//! Every event version ever written, as it was written, still decodes to the same event.

use aggregate::Envelope;
use domain::{AccountEvent, Amount, Currency, Description};
use tests::{owner, repository};

fn golden(file: &str) -> AccountEvent {
    let text = std::fs::read_to_string(repository().join("infra/events/golden").join(file)).unwrap();
    let envelope: Envelope = serde_json::from_str(&text).unwrap();
    assert_eq!(file, format!("{}.v{}.json", envelope.event_type, envelope.schema_version));
    // What is written today has the same form.
    assert_eq!(serde_json::to_value(&envelope).unwrap(), serde_json::from_str::<serde_json::Value>(&text).unwrap());
    envelope.decode().unwrap().data
}

#[test]
fn each_golden_file_means_what_it_meant() {
    let currency = Currency::from_code("EUR").unwrap();
    let amount = Amount::from_minor(1234, currency).unwrap();
    let description = Some(Description::try_from("Rent for März".to_owned()).unwrap());
    assert_eq!(golden("AccountCreated.v1.json"), AccountEvent::AccountCreated { owner: owner(), currency });
    assert_eq!(golden("MoneyDeposited.v1.json"), AccountEvent::MoneyDeposited { amount, description });
    assert_eq!(golden("MoneyWithdrawn.v1.json"), AccountEvent::MoneyWithdrawn { amount, description: None });
}

#[test]
fn a_newer_version_and_an_unknown_type_are_unreadable_not_misread() {
    let text = std::fs::read_to_string(repository().join("infra/events/golden/MoneyDeposited.v1.json")).unwrap();
    let envelope: Envelope = serde_json::from_str(&text).unwrap();
    let newer = Envelope { schema_version: 2, ..envelope.clone() };
    assert!(newer.decode::<AccountEvent>().unwrap_err().to_string().contains("schema versions 1 to 1"));
    let unknown = Envelope { event_type: "MoneyBurnt".to_owned(), ..envelope.clone() };
    assert!(unknown.decode::<AccountEvent>().is_err());
    let damaged = Envelope { data: serde_json::json!({ "amount": "secret-canary" }), ..envelope };
    let said = damaged.decode::<AccountEvent>().unwrap_err().to_string();
    assert!(!said.contains("secret-canary"), "{said}");
}
