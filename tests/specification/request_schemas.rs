//! What other systems may ask for on the bus and what they are answered is as its schema says. `UPDATE_CONTRACT=1` writes the schemas.

use std::fs;

use api::{DepositRequestAccepted, DepositRequestRefused, DepositRequestUnreadable, DepositRequested};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};
use tests::{EventSchemas, repository, schema_id};

fn schema_of<T: JsonSchema>(name: &str) -> (&str, Value) {
    let inlined = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true).into_generator();
    let mut schema = inlined.into_root_schema_for::<T>().to_value();
    schema["$id"] = json!(schema_id(name));
    (name, schema)
}

#[test]
fn the_checked_in_schemas_are_what_the_types_say() {
    for (name, schema) in [
        schema_of::<DepositRequested>(DepositRequested::TYPE),
        schema_of::<DepositRequestAccepted>(DepositRequestAccepted::TYPE),
        schema_of::<DepositRequestRefused>(DepositRequestRefused::TYPE),
        schema_of::<DepositRequestUnreadable>(DepositRequestUnreadable::TYPE),
    ] {
        if std::env::var_os("UPDATE_CONTRACT").is_some() {
            let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
            fs::write(EventSchemas::folder_of_requests().join(format!("{name}.json")), text).unwrap();
        }
        let advice = "run `UPDATE_CONTRACT=1 cargo test -p tests -- contract schemas` and look at the difference";
        assert!(EventSchemas::of_requests().get(name) == Some(&schema), "{name}: {advice}");
    }
}

#[test]
fn the_example_fits_and_what_is_refused_as_malformed_does_not() {
    let text = fs::read_to_string(repository().join("infra/events/bus-commands.json")).unwrap();
    let event: Value = serde_json::from_str(&text).unwrap();
    let schemas = EventSchemas::of_requests();
    let is_good = |detail: &Value| schemas.objection_by(DepositRequested::TYPE, detail).is_none();
    assert!(is_good(&event["detail"]) && DepositRequested::parse(&event["detail"]).is_ok());
    for (field, bad) in [
        ("request_id", json!("a b")),
        ("account_id", json!("1")),
        ("owner", json!("")),
        ("amount", json!(12.34)),
        ("amount", json!("12.345")),
        ("amount", json!("0")),
        ("currency", json!("euro")),
        ("description", json!("a\nb")),
    ] {
        let mut detail = event["detail"].clone();
        detail[field] = bad;
        assert!(!is_good(&detail), "{field}");
        assert!(field == "request_id" || DepositRequested::parse(&detail).is_err(), "{field}");
    }
}
