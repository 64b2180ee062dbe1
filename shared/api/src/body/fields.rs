//! The fields of a JSON object, taken one by one, by name. Every mistake is collected, not only the first. What a client is told is
//! decided here and not by the messages of a library, which may change with an update.

use std::{collections::BTreeMap, convert::Infallible, fmt};

use domain::{Amount, Currency, Description, InvalidAmount};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Value, error::Category};

use crate::{FieldError, Problem, id};

/// A request that is read from the fields of a JSON object.
pub trait FromFields: Sized {
    /// Takes the fields of the request. `None` where one that is needed is missing or wrong.
    fn from_fields(fields: &mut Fields) -> Option<Self>;
}

/// The fields of an object that have not been taken yet, and the mistakes so far.
#[derive(Debug, Default)]
pub struct Fields {
    values: BTreeMap<String, Value>,
    mistakes: Vec<FieldError>,
}

impl Fields {
    /// Reads one JSON object.
    ///
    /// # Errors
    /// When the text is not JSON, not an object, or more than one.
    pub(crate) fn read(json: &[u8]) -> Result<Self, Problem> {
        let stops = |error: &serde_json::Error| {
            Problem::malformed_json(&format!("It stops being JSON at column {}.", error.column()))
        };
        let mut reader = serde_json::Deserializer::from_slice(json);
        let fields = Self::deserialize(&mut reader).map_err(|error| match error.classify() {
            // The reader stops at the first byte of what is not an object: the rest may not be JSON.
            Category::Data => match serde_json::from_slice::<IgnoredAny>(json) {
                Ok(_) => Self::no_object(),
                Err(error) => stops(&error),
            },
            Category::Io | Category::Syntax | Category::Eof => stops(&error),
        })?;
        reader
            .end()
            .map_err(|_| Problem::malformed_json("Something follows the JSON object: send the object alone."))?;
        Ok(fields)
    }

    /// The fields of a JSON value.
    ///
    /// # Errors
    /// When it is not an object.
    pub(crate) fn of(value: &Value) -> Result<Self, Problem> {
        let values = value.as_object().ok_or_else(Self::no_object)?;
        Ok(Self { values: values.clone().into_iter().collect(), mistakes: Vec::new() })
    }

    fn no_object() -> Problem {
        let (pointer, detail) = (Some(String::new()), "must be a JSON object".to_owned());
        Problem::invalid_request(&[FieldError { pointer, parameter: None, detail }])
    }

    /// Takes a field that must be there.
    pub(crate) fn take<T, E: ToString>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        match self.values.remove(name) {
            Some(value) => self.text(name, &value, parse),
            None => self.mistake(name, &"is missing"),
        }
    }

    /// Takes a field that may be missing, or null.
    pub(crate) fn take_optional<T, E: ToString>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match self.values.remove(name) {
            None | Some(Value::Null) => None,
            Some(value) => self.text(name, &value, parse),
        }
    }

    /// Takes the fields `amount` and `currency`; zero is no amount.
    pub(crate) fn take_amount(&mut self) -> Option<Amount> {
        self.take_amount_by(Amount::parse)
    }

    /// Takes the same fields, with another reading of them.
    pub(crate) fn take_amount_by<T>(
        &mut self,
        parse: impl FnOnce(&str, Currency) -> Result<T, InvalidAmount>,
    ) -> Option<T> {
        let text = self.take("amount", |text| Ok::<_, Infallible>(text.to_owned()));
        let currency = self.take("currency", Currency::from_code);
        // Without a currency nobody knows how many decimals there may be.
        parse(&text?, currency?).map_or_else(|error| self.mistake("amount", &error), Some)
    }

    /// Takes the field `description`.
    pub(crate) fn take_description(&mut self) -> Option<Description> {
        self.take_optional("description", |text| Description::try_from(text.to_owned()))
    }

    /// Takes the id of an account.
    pub(crate) fn take_account(&mut self, name: &str) -> Option<aggregate::AggregateId> {
        self.take(name, |text| id::parse(text).ok_or("must be the id of an account: a UUID of 36 characters"))
    }

    /// The request, if every field is good and none is left over.
    ///
    /// # Errors
    /// All mistakes.
    pub(crate) fn into_request<T: FromFields>(mut self) -> Result<T, Problem> {
        let request = T::from_fields(&mut self);
        for name in std::mem::take(&mut self.values).into_keys() {
            let _ = self.mistake::<()>(&name, &"is not a field of this request: leave it out");
        }
        self.end(request)
    }

    /// The request, if every field is good; others are for somebody else.
    ///
    /// # Errors
    /// All mistakes.
    pub(crate) fn into_open_request<T: FromFields>(mut self) -> Result<T, Problem> {
        let request = T::from_fields(&mut self);
        self.end(request)
    }

    fn end<T>(self, request: Option<T>) -> Result<T, Problem> {
        request.filter(|_| self.mistakes.is_empty()).ok_or_else(|| Problem::invalid_request(&self.mistakes))
    }

    fn text<T, E: ToString>(
        &mut self,
        name: &str,
        value: &Value,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let Value::String(text) = value else { return self.mistake(name, &"must be a string") };
        parse(text).map_or_else(|error| self.mistake(name, &error), Some)
    }

    fn mistake<T>(&mut self, name: &str, detail: &impl ToString) -> Option<T> {
        self.mistakes.push(FieldError::field(name, detail));
        None
    }
}

/// A map would take the last of two fields with one name and say nothing.
impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some((name, value)) = object.next_entry::<String, Value>()? {
                    if fields.values.contains_key(&name) {
                        let _ = fields.mistake::<()>(&name, &"must be there only once");
                    }
                    fields.values.insert(name, value);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug)]
    struct Both;

    impl FromFields for Both {
        fn from_fields(fields: &mut Fields) -> Option<Self> {
            let amount = fields.take_amount();
            fields.take_description();
            amount.map(|_| Self)
        }
    }

    fn answer(body: &str) -> Value {
        let problem = Fields::read(body.as_bytes()).and_then(Fields::into_request::<Both>);
        problem.map_or_else(|problem| problem.to_value().unwrap(), |Both| json!("good"))
    }

    fn mistakes(body: &str) -> Vec<(String, String)> {
        let text = |error: &Value, name: &str| error[name].as_str().unwrap().to_owned();
        let errors = answer(body)["errors"].as_array().unwrap().clone();
        errors.iter().map(|error| (text(error, "pointer"), text(error, "detail"))).collect()
    }

    #[test]
    fn every_mistake_of_every_kind_is_in_one_answer() {
        let body = r#"{"amount":1,"description":"a\nb","extra":1,"a/b":[],"description":"c\nd"}"#;
        let expected = [
            ("/description", "must be there only once"),
            ("/amount", "must be a string"),
            ("/currency", "is missing"),
            ("/description", "must not have the invisible or control character U+000A (character 2): leave it out"),
            ("/a~1b", "is not a field of this request: leave it out"),
            ("/extra", "is not a field of this request: leave it out"),
        ];
        assert_eq!(mistakes(body), expected.map(|(pointer, detail)| (pointer.to_owned(), detail.to_owned())));
        assert_eq!(answer(r#"{"amount":"1","currency":"EUR","description":null}"#), "good");
    }

    #[test]
    fn what_is_json_but_no_object_is_told_so() {
        for body in ["[]", "null", "1", r#""text""#, "true"] {
            assert_eq!(mistakes(body), [(String::new(), "must be a JSON object".to_owned())], "{body}");
        }
    }

    #[test]
    fn what_is_not_json_is_told_where_it_stops_being_so() {
        for (body, detail) in [
            ("", "It stops being JSON at column 0."),
            ("{", "It stops being JSON at column 1."),
            (r#"{"amount":"1",}"#, "It stops being JSON at column 15."),
            (r#"{"amount":1e999}"#, "It stops being JSON at column 15."),
            ("{} {}", "Something follows the JSON object: send the object alone."),
        ] {
            let said = answer(body);
            assert_eq!(said["type"], "/problems/malformed-json");
            assert!(said["detail"].as_str().unwrap().starts_with(detail), "{said}");
        }
    }
}
