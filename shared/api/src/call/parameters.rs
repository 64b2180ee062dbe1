//! Parameters of the query.

use std::{collections::BTreeMap, str::FromStr};

use aggregate::{Alphabet, InvalidTimestamp, TextRule, Timestamp, Version};
use lambda_http::RequestExt as _;
use serde::de::DeserializeOwned;

use super::Call;
use crate::{CursorKeys, FieldError, Problem, operations};

/// Rows of a page where the caller does not say how many.
pub const PAGE_ROWS_DEFAULT: usize = 20;
/// Rows of a page at most: what DynamoDB reads as one batch (service quota of `BatchGetItem`).
pub const PAGE_ROWS_MAX: usize = 100;
/// The rule for an event's type: twice as many letters as the longest one has today.
pub(crate) const EVENT_TYPE: TextRule = TextRule::new(Alphabet::Letters, 40);

impl Call {
    /// Checks that the query has only parameters that the operation declares, each once.
    ///
    /// # Errors
    /// Names every other one.
    pub(super) fn known_parameters(&self) -> Result<(), Problem> {
        // What matches no route is a problem of its own.
        let Some(declared) = operations::query_parameters(&self.route) else { return Ok(()) };
        let mut given: BTreeMap<&str, u32> = BTreeMap::new();
        for (name, _) in self.query_pairs() {
            *given.entry(name).or_default() += 1;
        }
        let takes = if declared.is_empty() { "no parameter".to_owned() } else { declared.join(", ") };
        let unknown = format!("is not a parameter of this operation, which takes {takes}");
        let errors: Vec<FieldError> = given
            .into_iter()
            .filter_map(|(name, times)| match times {
                _ if !declared.contains(&name) => Some(FieldError::parameter(name, &unknown)),
                1 => None,
                // One of the two would be ignored, and proxies do not agree which.
                _ => Some(FieldError::parameter(name, "must be there only once")),
            })
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(Problem::invalid_request(&errors)) }
    }

    /// How many rows the page may have.
    ///
    /// # Errors
    /// When `limit` is not a number within its bounds.
    pub fn limit(&self) -> Result<usize, Problem> {
        let limit: Option<usize> = self.number("limit")?;
        match limit.unwrap_or(PAGE_ROWS_DEFAULT) {
            limit @ 1..=PAGE_ROWS_MAX => Ok(limit),
            _ => Err(invalid_parameter("limit", &format!("must be a whole number from 1 to {PAGE_ROWS_MAX}"))),
        }
    }

    /// The version that the answer must show at least, from `min_version`.
    ///
    /// # Errors
    /// When it is not a whole number.
    pub fn min_version(&self) -> Result<Option<Version>, Problem> {
        self.number("min_version")
    }

    /// The version to look back to, from `version`.
    ///
    /// # Errors
    /// When it is not a whole number from 1 on.
    pub fn as_of_version(&self) -> Result<Option<Version>, Problem> {
        match self.number("version")? {
            Some(0) => Err(invalid_parameter("version", "must be a whole number from 1 on")),
            version => Ok(version),
        }
    }

    /// An instant, from the parameter `name`.
    ///
    /// # Errors
    /// When it is not of the form of RFC 3339.
    pub fn instant(&self, name: &'static str) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.query(name) else { return Ok(None) };
        let invalid = |error: InvalidTimestamp| invalid_parameter(name, &error.to_string());
        text.parse().map(Some).map_err(invalid)
    }

    /// The type of events wanted, from `type`.
    ///
    /// # Errors
    /// When it is not of the form of one.
    pub fn event_type(&self) -> Result<Option<&str>, Problem> {
        let Some(text) = self.query("type") else { return Ok(None) };
        let must = "must be the type of an event, such as MoneyDeposited";
        EVENT_TYPE.check(text).map_err(|_| invalid_parameter("type", must))?;
        Ok(Some(text))
    }

    /// The place in a list to continue after.
    ///
    /// # Errors
    /// When it is not a cursor that this query has answered to this caller.
    pub fn cursor<P: DeserializeOwned>(&self, keys: &CursorKeys) -> Result<Option<P>, Problem> {
        let Some(text) = self.query("cursor") else { return Ok(None) };
        let must = "must be the next_cursor of the same query, unchanged";
        keys.read(&self.whose_query()?, text).map(Some).ok_or_else(|| invalid_parameter("cursor", must))
    }

    /// What a cursor is bound to: who asks, and for which rows. How many of them a page has, and how
    /// fresh it is, may change on the way.
    pub(super) fn whose_query(&self) -> Result<String, Problem> {
        let mut parameters: Vec<(&str, &str)> = self.query_pairs().collect();
        parameters.retain(|(name, _)| !["cursor", "limit", "min_version"].contains(name));
        parameters.sort_unstable();
        Ok(format!("{:?}", (self.caller()?.as_str(), self.method_and_path(), parameters)))
    }

    fn number<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, Problem> {
        let Some(text) = self.query(name) else { return Ok(None) };
        // Rust would take a sign as well.
        let number = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        number.map(Some).ok_or_else(|| invalid_parameter(name, "must be a whole number"))
    }

    fn query(&self, name: &str) -> Option<&str> {
        self.query_pairs().find(|(given, _)| *given == name).map(|(_, value)| value)
    }

    fn query_pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.request.query_string_parameters_ref().into_iter().flat_map(|parameters| parameters.iter())
    }
}

fn invalid_parameter(name: &'static str, must: &str) -> Problem {
    Problem::invalid_request(&[FieldError::parameter(name, must)])
}
