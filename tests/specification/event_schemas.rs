//! What is on the bus is as its schema says, for every event type at every version. `UPDATE_CONTRACT=1` writes the schemas of
//! the versions that are written today; those of older versions are never written again.

use std::fs;

use aggregate::{Envelope, Event};
use domain::{AccountEvent, TransactionEvent};
use eventing::{Bus, BusError, Entry, PublishLimits, publish};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use tests::{EventSchemas, StillHost, repository, schema_id};

/// More than any event here has.
const BYTES_MAX: usize = 1_000_000;

/// The schemas of the events of one aggregate, by name: the envelope's, with what is particular to each type.
fn schemas_of<E: Event + JsonSchema>() -> Vec<(String, Value)> {
    let inlined = || SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true).into_generator();
    let types = inlined().into_root_schema_for::<E>().to_value();
    let of_type = |described: &Value| {
        let event_type = described["properties"]["event_type"]["const"].as_str().unwrap();
        let version = E::schema_version(event_type);
        let mut schema = inlined().into_root_schema_for::<Envelope>().to_value();
        schema["title"] = json!(event_type);
        schema["description"] = described["description"].clone();
        let properties = &mut schema["properties"];
        for (name, value) in [
            ("event_type", json!(event_type)),
            ("aggregate_type", json!(E::AGGREGATE_TYPE)),
            ("schema_version", json!(version)),
        ] {
            let mut constant = Map::from_iter([("const".to_owned(), value)]);
            constant.extend([("description".to_owned(), properties[name]["description"].clone())]);
            properties[name] = Value::Object(constant);
        }
        let description = properties["data"]["description"].clone();
        let data = described["properties"]["data"].clone();
        properties["data"] = json!({ "description": description, "anyOf": [data, { "type": "null" }] });
        schema["required"].as_array_mut().unwrap().push(json!("data"));
        let name = format!("{event_type}.v{version}");
        schema["$id"] = json!(schema_id(&name));
        (name, schema)
    };
    types["oneOf"].as_array().unwrap().iter().map(of_type).collect()
}

fn golden() -> Vec<(String, Value)> {
    let files = fs::read_dir(repository().join("infra/events/golden")).unwrap().map(|file| file.unwrap().path());
    files
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
        })
        .collect()
}

#[test]
fn the_checked_in_schemas_are_what_the_types_say() {
    let today = schemas_of::<AccountEvent>().into_iter().chain(schemas_of::<TransactionEvent>());
    for (name, schema) in today {
        if std::env::var_os("UPDATE_CONTRACT").is_some() {
            let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
            fs::write(EventSchemas::folder().join(format!("{name}.json")), text).unwrap();
        }
        let checked_in = EventSchemas::read();
        let advice = "run `UPDATE_CONTRACT=1 cargo test -p tests -- contract schemas` and look at the difference";
        assert!(checked_in.get(&name) == Some(&schema), "{name}: {advice}");
    }
}

#[test]
fn every_schema_has_an_address_of_its_own() {
    for schemas in [EventSchemas::read(), EventSchemas::of_requests()] {
        for name in schemas.names() {
            assert_eq!(schemas.get(name).unwrap()["$id"], schema_id(name));
        }
    }
}

#[test]
fn every_version_ever_written_has_a_schema_and_an_example_that_fits_it() {
    let schemas = EventSchemas::read();
    let golden = golden();
    let mut examples: Vec<&String> = golden.iter().map(|(name, _)| name).collect();
    examples.sort();
    assert_eq!(schemas.names().collect::<Vec<_>>(), examples);
    for (name, event) in &golden {
        assert_eq!(schemas.objection(event), None, "{name}");
    }
}

/// A bus that takes nothing that does not fit its schema.
struct StrictBus(EventSchemas);

impl Bus for StrictBus {
    const LIMITS: PublishLimits = PublishLimits { entries_max: 10, bytes_max: 1_000_000 };

    async fn put(&self, entries: &[&Entry]) -> Result<Vec<Option<String>>, BusError> {
        let objection = |entry: &&Entry| {
            let detail: Value = serde_json::from_str(&entry.detail).unwrap();
            let is_ours = entry.source == "daybook" && detail["event_type"] == json!(entry.detail_type);
            if is_ours { self.0.objection(&detail) } else { Some("not of ours".to_owned()) }
        };
        Ok(entries.iter().map(objection).collect())
    }
}

#[tokio::test]
async fn every_published_entry_fits_its_schema_also_without_its_data() {
    let bus = StrictBus(EventSchemas::read());
    let golden = golden();
    let record = |bytes_max: usize| {
        let entry = move |(_, event): &(String, Value)| {
            let envelope: Envelope = serde_json::from_value(event.clone()).unwrap();
            let entry = Entry::announcing(domain::EVENT_SOURCE, &envelope, bytes_max).unwrap();
            assert_eq!(entry.detail.contains("\"data\":null"), bytes_max == 0);
            entry
        };
        golden.iter().map(entry).collect::<Vec<_>>()
    };
    let records = [record(BYTES_MAX), record(0)];
    assert_eq!(publish(&bus, &StillHost::default(), &records).await.records, records.len());
    let mut wrong = record(BYTES_MAX);
    wrong[0].detail = wrong[0].detail.replace("\"version\"", "\"number\"");
    assert_eq!(publish(&bus, &StillHost::default(), &[wrong]).await.records, 0, "the bus is strict");
}

#[test]
fn what_is_not_an_event_fits_no_schema() {
    const NAME: &str = "MoneyDeposited.v1";
    let schemas = EventSchemas::read();
    let (_, good) = golden().into_iter().find(|(name, _)| name == NAME).unwrap();
    assert_eq!(schemas.objection_by(NAME, &good), None);
    for (place, bad) in [
        ("/event_type", json!("MoneyWithdrawn")),
        ("/aggregate_type", json!("Transaction")),
        ("/schema_version", json!(9)),
        ("/version", json!(0)),
        ("/event_id", json!("x")),
        ("/created_at", json!("yesterday")),
        ("/metadata/user_id", json!("")),
        ("/data/amount/minor", json!(12.5)),
        ("/data/amount/minor", json!(0)),
        ("/data/amount/currency", json!("euro")),
        ("/data/description", json!("a\nb")),
        ("/data", json!({})),
    ] {
        let mut event = good.clone();
        *event.pointer_mut(place).unwrap() = bad;
        assert!(schemas.objection_by(NAME, &event).is_some(), "{place}");
    }
    let mut lacking = good.clone();
    lacking.as_object_mut().unwrap().remove("data");
    assert!(schemas.objection_by(NAME, &lacking).is_some());
    // What may be added later must not trouble who reads today.
    let mut grown = good;
    grown["data"]["purpose"] = json!("rent");
    assert_eq!(schemas.objection_by(NAME, &grown), None);
}
