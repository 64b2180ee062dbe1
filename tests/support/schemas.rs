//! The checked-in JSON Schemas of the events.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The address of the schema in the file `name` without its ending. It is a URN, for it names the schema wherever the file lies,
/// and no web address would be ours for ever.
#[must_use]
pub fn schema_id(name: &str) -> String {
    format!("urn:daybook:schema:{}", name.replace('.', ":"))
}

/// By `EventType.vN`.
pub struct EventSchemas(BTreeMap<String, Value>);

impl EventSchemas {
    /// The folder that they are in.
    #[must_use]
    pub fn folder() -> PathBuf {
        crate::repository().join("infra/schemas")
    }

    /// The folder with what other systems ask for, and are answered.
    #[must_use]
    pub fn folder_of_requests() -> PathBuf {
        Self::folder().join("requests")
    }

    /// Reads them.
    #[must_use]
    pub fn read() -> Self {
        Self::of(&Self::folder())
    }

    /// Reads those of requests and their answers, which are called by their types.
    #[must_use]
    pub fn of_requests() -> Self {
        Self::of(&Self::folder_of_requests())
    }

    fn of(folder: &Path) -> Self {
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let schemas = files.filter_map(|path| {
            let name = path.file_name()?.to_str()?.strip_suffix(".json")?.to_owned();
            Some((name, serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()))
        });
        Self(schemas.collect())
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// The schema called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// What is wrong with an event on the bus by the schema of its type and version, if anything.
    #[must_use]
    pub fn objection(&self, detail: &Value) -> Option<String> {
        let name = format!("{}.v{}", detail["event_type"].as_str().unwrap_or_default(), detail["schema_version"]);
        self.objection_by(&name, detail)
    }

    /// What is wrong with it by the schema called `name`, if anything.
    #[must_use]
    pub fn objection_by(&self, name: &str, detail: &Value) -> Option<String> {
        let Some(schema) = self.0.get(name) else { return Some(format!("there is no schema {name}")) };
        let options = jsonschema::options().should_validate_formats(true);
        options.build(schema).unwrap().validate(detail).err().map(|error| error.to_string())
    }
}
