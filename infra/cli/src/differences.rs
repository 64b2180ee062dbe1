//! Attributes that differ, as an operator is told of them.
//!
//! Numbers, booleans, ids and instants are shown, and so are the texts of attributes that have few possible values. Any other
//! text may be what a person wrote or who a person is: of that, only the length is told.

use std::fmt;

use aggregate::Timestamp;
use aws::{Difference, Finding};
use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Serialize, Serializer, ser::SerializeMap};
use uuid::Uuid;

/// The attributes whose texts are names that the code gives, or numbers. What is not in this list is not shown.
const TEXTS_SHOWN: [&str; 6] = ["aggregate_type", "balance", "currency", "event_type", "reason", "status"];
/// The longest of those texts.
const TEXT_SHOWN_MAX: usize = 64;

/// One of the two values of a difference.
struct Told<'a> {
    attribute: &'a str,
    value: Option<&'a AttributeValue>,
}

impl Told<'_> {
    /// The text itself, where it is nobody's.
    fn text_shown<'a>(&self, text: &'a str) -> Option<&'a str> {
        let name = self.attribute.rsplit('.').next().unwrap_or_default();
        let is_name = TEXTS_SHOWN.contains(&name)
            && text.len() <= TEXT_SHOWN_MAX
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        let is_generated = text.parse::<Uuid>().is_ok() || text.parse::<Timestamp>().is_ok();
        (is_name || is_generated).then_some(text)
    }

    /// The value's form, which is told in the place of the value.
    fn form(&self) -> String {
        match self.value {
            None => "nothing".to_owned(),
            Some(AttributeValue::S(text)) => format!("a text of {} characters", text.chars().count()),
            Some(AttributeValue::M(map)) => format!("a map of {}", map.len()),
            Some(AttributeValue::L(list)) => format!("a list of {}", list.len()),
            Some(AttributeValue::Null(_)) => "null".to_owned(),
            Some(_) => "a value of another type".to_owned(),
        }
    }
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value {
            Some(AttributeValue::N(number)) => f.write_str(number),
            Some(AttributeValue::Bool(value)) => write!(f, "{value}"),
            Some(AttributeValue::S(text)) if self.text_shown(text).is_some() => f.write_str(text),
            _ => f.write_str(&self.form()),
        }
    }
}

impl Serialize for Told<'_> {
    /// The value as JSON, or the object `{"withheld": FORM}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            None | Some(AttributeValue::Null(_)) => serializer.serialize_none(),
            Some(AttributeValue::Bool(value)) => serializer.serialize_bool(*value),
            // As a number where JSON's readers take it for the same.
            Some(AttributeValue::N(number)) => match number.parse::<i64>() {
                Ok(number) => serializer.serialize_i64(number),
                Err(_) => serializer.serialize_str(number),
            },
            Some(AttributeValue::S(text)) if self.text_shown(text).is_some() => serializer.serialize_str(text),
            Some(_) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("withheld", &self.form())?;
                map.end()
            }
        }
    }
}

/// Both values of an attribute.
fn told(difference: &Difference) -> (Told<'_>, Told<'_>) {
    let Difference { attribute, is, should_be } = difference;
    (Told { attribute, value: is.as_ref() }, Told { attribute, value: should_be.as_ref() })
}

/// One line for people.
pub fn in_words(difference: &Difference) -> String {
    let (is, should_be) = told(difference);
    format!("{}: {is} instead of {should_be}", difference.attribute)
}

/// Findings with their differences.
pub fn serialize<S: Serializer>(findings: &[Finding], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct OfAttribute<'a> {
        attribute: &'a str,
        is: Told<'a>,
        should_be: Told<'a>,
    }
    #[derive(Serialize)]
    struct OfFinding<'a> {
        #[serde(flatten)]
        finding: &'a Finding,
        differences: Vec<OfAttribute<'a>>,
    }
    let of_attribute = |difference| {
        let (is, should_be) = told(difference);
        OfAttribute { attribute: is.attribute, is, should_be }
    };
    serializer.collect_seq(
        findings
            .iter()
            .map(|finding| OfFinding { finding, differences: finding.differences.iter().map(of_attribute).collect() }),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn difference(attribute: &str, is: AttributeValue, should_be: impl Into<Option<AttributeValue>>) -> Difference {
        Difference { attribute: attribute.to_owned(), is: Some(is), should_be: should_be.into() }
    }

    fn text(text: &str) -> AttributeValue {
        AttributeValue::S(text.to_owned())
    }

    fn number(number: &str) -> AttributeValue {
        AttributeValue::N(number.to_owned())
    }

    #[test]
    fn numbers_and_names_are_shown_and_private_texts_are_not() {
        let id = "0198c1a7-0000-7000-8000-000000000001";
        let cases = [
            (difference("version", number("1"), number("40000")), "version: 1 instead of 40000", json!([1, 40000])),
            (difference("balance", text("-1"), text("400")), "balance: -1 instead of 400", json!(["-1", "400"])),
            (
                difference("status", text("open"), text("frozen")),
                "status: open instead of frozen",
                json!(["open", "frozen"]),
            ),
            (
                difference("event.data.account", text(id), None),
                &format!("event.data.account: {id} instead of nothing"),
                json!([id, null]),
            ),
            (
                difference("description", text("rent for may"), text("rent")),
                "description: a text of 12 characters instead of a text of 4 characters",
                json!([{ "withheld": "a text of 12 characters" }, { "withheld": "a text of 4 characters" }]),
            ),
            (
                difference("owner", text("alice"), text("bob")),
                "owner: a text of 5 characters instead of a text of 3 characters",
                json!([{ "withheld": "a text of 5 characters" }, { "withheld": "a text of 3 characters" }]),
            ),
            // A name is a name only if it looks like one: nothing is printed that could act on a terminal.
            (
                difference("status", text("\u{1b}[2J"), text("open")),
                "status: a text of 4 characters instead of open",
                json!([{ "withheld": "a text of 4 characters" }, "open"]),
            ),
        ];
        for (difference, words, json) in cases {
            assert_eq!(in_words(&difference), words);
            let (is, should_be) = told(&difference);
            let both: Value = serde_json::to_value([is, should_be]).unwrap();
            assert_eq!(both, json, "{words}");
        }
    }
}
