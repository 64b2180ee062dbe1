//! The checked-in contract.

use std::{collections::BTreeMap, fs, path::PathBuf};

use api::{Example, OPERATIONS, OpenApi, openapi};
use serde_json::{Value, json};

/// The checked-in document.
pub struct Contract(Value);

fn file() -> PathBuf {
    crate::repository().join("infra/openapi.yaml")
}

impl Contract {
    /// Reads it.
    #[must_use]
    pub fn read() -> Self {
        Self(serde_saphyr::from_str(&fs::read_to_string(file()).unwrap()).unwrap())
    }

    /// Writes it anew, with these examples.
    pub fn write(examples: &BTreeMap<&str, Example>) {
        // At once, for other tests read it meanwhile.
        let new = file().with_extension("new");
        fs::write(&new, serde_saphyr::to_string(&openapi(examples)).unwrap()).unwrap();
        fs::rename(new, file()).unwrap();
    }

    /// The whole of it.
    #[must_use]
    pub fn document(&self) -> OpenApi {
        serde_json::from_value(self.0.clone()).unwrap()
    }

    /// Its examples, by the operations' ids.
    #[must_use]
    pub fn examples(&self) -> BTreeMap<&'static str, Example> {
        let example = |operation: &api::Operation| {
            let described = self.operation(operation.method, operation.path);
            let of = |content: Option<&Value>| content.map_or(Value::Null, |content| content["example"].clone());
            let success = described["responses"].as_object()?.values().next()?.pointer("/content/application~1json");
            let request = described.pointer("/requestBody/content/application~1json");
            Some((operation.id, Example { request: of(request), answer: of(success) }))
        };
        OPERATIONS.iter().filter_map(example).collect()
    }

    /// All operations: method, path and description.
    #[must_use]
    pub fn operations(&self) -> Vec<(String, String, Value)> {
        let paths = self.0["paths"].as_object().unwrap();
        let of_path = |(path, item): (&String, &Value)| {
            let operations = item.as_object().unwrap().iter().filter(|(method, _)| *method != "parameters");
            operations.map(|(method, it)| (method.to_uppercase(), path.clone(), it.clone())).collect::<Vec<_>>()
        };
        paths.iter().flat_map(of_path).collect()
    }

    fn operation(&self, method: &str, path: &str) -> &Value {
        &self.0["paths"][path][method.to_lowercase()]
    }

    /// What is wrong with an answer by the contract, if anything.
    #[must_use]
    pub fn objection(&self, method: &str, path: &str, status: u16, body: &Value) -> Option<String> {
        let response = &self.operation(method, path)["responses"][status.to_string()];
        if response.is_null() {
            return Some(format!("{status} is no answer of {method} {path}"));
        }
        let contents = response.get("content").and_then(Value::as_object)?;
        let wrong = |content: &Value| self.mistake(&content["schema"], body);
        contents.values().map(wrong).reduce(Option::and).flatten()
    }

    /// What is wrong with a request body by the contract, if anything.
    #[must_use]
    pub fn objection_to_request(&self, method: &str, path: &str, body: &Value) -> Option<String> {
        let schema = self.operation(method, path).pointer("/requestBody/content/application~1json/schema")?;
        self.mistake(schema, body)
    }

    fn mistake(&self, schema: &Value, body: &Value) -> Option<String> {
        let mut schema = schema.clone();
        schema["components"] = self.0["components"].clone();
        jsonschema::validator_for(&schema).unwrap().validate(body).err().map(|error| error.to_string())
    }
}

/// The form of a value: its keys, and what they hold.
#[must_use]
pub fn form(value: &Value) -> Value {
    match value {
        Value::Object(object) => object.iter().map(|(key, value)| (key.clone(), form(value))).collect(),
        Value::Array(items) => json!([items.first().map(form)]),
        Value::String(_) => json!("text"),
        Value::Number(_) => json!("number"),
        Value::Bool(_) => json!("truth"),
        Value::Null => Value::Null,
    }
}
