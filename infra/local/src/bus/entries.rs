//! What EventBridge takes and what it refuses, entry by entry.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::names;

/// Entries in one request (EventBridge quota).
pub const ENTRIES_MAX: usize = 10;
/// All entries of a request together (EventBridge quota: 1 MB).
pub const REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// A detail type's length (EventBridge).
const DETAIL_TYPE_CHARACTERS_MAX: usize = 128;
/// What an entry's time counts for (EventBridge: "Calculating event entry size").
const TIME_BYTES: usize = 14;

/// The request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutEvents {
    #[serde(default)]
    pub entries: Vec<Entry>,
}

/// An event as it comes in.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Entry {
    pub source: Option<String>,
    pub detail_type: Option<String>,
    pub detail: Option<String>,
    pub event_bus_name: Option<String>,
    pub resources: Vec<String>,
    /// Seconds since 1970.
    pub time: Option<f64>,
}

/// Why an entry is not taken: a code and a message.
#[derive(Debug, PartialEq, Eq)]
pub struct EntryError(pub &'static str, pub String);

/// An event as rules match it and functions get it.
#[derive(Debug, Clone)]
pub struct Event {
    pub id: String,
    pub detail_type: String,
    pub json: Value,
}

impl Entry {
    /// What the entry counts for in the request's size.
    pub fn bytes(&self) -> usize {
        let texts = [&self.source, &self.detail_type, &self.detail].into_iter().flatten();
        let time = self.time.map_or(0, |_| TIME_BYTES);
        texts.chain(&self.resources).map(String::len).sum::<usize>() + time
    }

    /// The event that the entry becomes.
    pub fn into_event(self) -> Result<Event, EntryError> {
        let required = |name: &str, value: Option<String>| {
            let given = value.filter(|value| !value.is_empty());
            let problem = format!("Parameter {name} is not valid. Reason: {name} is a required argument.");
            given.ok_or(EntryError("InvalidArgument", problem))
        };
        let source = required("Source", self.source)?;
        let detail_type = required("DetailType", self.detail_type)?;
        let detail = required("Detail", self.detail)?;
        if detail_type.chars().count() > DETAIL_TYPE_CHARACTERS_MAX {
            let problem =
                format!("Parameter DetailType is not valid. Reason: it is longer than {DETAIL_TYPE_CHARACTERS_MAX}.");
            return Err(EntryError("InvalidArgument", problem));
        }
        let detail: Value = serde_json::from_str(&detail)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| EntryError("MalformedDetail", "Detail is malformed.".to_owned()))?;
        #[expect(clippy::cast_possible_truncation, reason = "a float becomes the nearest second there is")]
        let time =
            self.time.and_then(|seconds| Timestamp::from_second(seconds as i64).ok()).unwrap_or_else(Timestamp::now);
        let id = uuid::Uuid::new_v4().to_string();
        let json = json!({
            "version": "0",
            "id": id,
            "detail-type": detail_type,
            "source": source,
            "account": names::ACCOUNT_ID,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "region": names::REGION,
            "resources": self.resources,
            "detail": detail,
        });
        Ok(Event { id, detail_type, json })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let text = |text: &str| Some(text.to_owned());
        Entry { source: text("shop"), detail_type: text("Sold"), detail: text(r#"{"n":1}"#), ..Entry::default() }
    }

    #[test]
    fn an_entry_becomes_an_event() {
        let event =
            Entry { time: Some(1_700_000_000.9), resources: vec!["arn".to_owned()], ..entry() }.into_event().unwrap();
        let expected = json!({
            "version": "0", "id": event.id, "detail-type": "Sold", "source": "shop", "account": "000000000000",
            "time": "2023-11-14T22:13:20Z", "region": "us-east-1", "resources": ["arn"], "detail": { "n": 1 },
        });
        assert_eq!(event.json, expected);
    }

    #[test]
    fn an_entry_that_lacks_something_is_refused_by_name() {
        let code = |entry: Entry| entry.into_event().unwrap_err();
        let missing = |name: &str| {
            EntryError(
                "InvalidArgument",
                format!("Parameter {name} is not valid. Reason: {name} is a required argument."),
            )
        };
        assert_eq!(code(Entry { source: None, ..entry() }), missing("Source"));
        assert_eq!(code(Entry { detail_type: Some(String::new()), ..entry() }), missing("DetailType"));
        assert_eq!(code(Entry { detail: None, ..entry() }), missing("Detail"));
        assert_eq!(code(Entry { detail: Some("[1]".to_owned()), ..entry() }).0, "MalformedDetail");
        assert_eq!(code(Entry { detail_type: Some("x".repeat(129)), ..entry() }).0, "InvalidArgument");
    }

    #[test]
    fn an_entry_counts_with_all_its_text() {
        assert_eq!(Entry { time: Some(0.0), resources: vec!["arn".to_owned()], ..entry() }.bytes(), 4 + 4 + 7 + 14 + 3);
    }
}
