//! Event patterns: which events a rule matches, and which records reach a function.
//!
//! `quamina` does the matching. It knows fewer operators than EventBridge and a few more; a pattern with either kind is
//! refused at the start, never matched in another way than on AWS.

use quamina::Quamina;
use serde_json::Value;

/// The operators of EventBridge's patterns that are played.
const OPERATORS: [&str; 8] =
    ["anything-but", "cidr", "equals-ignore-case", "exists", "numeric", "prefix", "suffix", "wildcard"];

/// Several patterns, of which each stands for a place in a list.
#[derive(Default)]
pub struct Patterns {
    matcher: Quamina<usize>,
}

impl Patterns {
    /// Adds the pattern for `place`.
    pub fn add(&mut self, place: usize, pattern: &Value) -> Result<(), String> {
        check(pattern)?;
        self.matcher.add_pattern(place, &pattern.to_string()).map_err(|error| error.to_string())
    }

    /// The places of all patterns that match `event`, a JSON text, in order.
    pub fn matching(&self, event: &str) -> Result<Vec<usize>, String> {
        let mut places = self.matcher.matches_for_event(event.as_bytes()).map_err(|error| error.to_string())?;
        places.sort_unstable();
        Ok(places)
    }
}

/// Every leaf of a pattern is a list, and what is an object in it is a known operator.
fn check(pattern: &Value) -> Result<(), String> {
    let fields = pattern.as_object().ok_or_else(|| format!("a pattern is an object of fields, not {pattern}"))?;
    for (field, value) in fields {
        match value {
            Value::Array(alternatives) => {
                for operator in alternatives.iter().filter_map(Value::as_object).flat_map(|object| object.keys()) {
                    if !OPERATORS.contains(&operator.as_str()) {
                        return Err(format!("field {field}: the local cloud does not know the operator {operator}"));
                    }
                }
            }
            nested => check(nested).map_err(|problem| format!("field {field}: {problem}"))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matching(pattern: &Value, event: &Value) -> bool {
        let mut patterns = Patterns::default();
        patterns.add(0, pattern).unwrap();
        !patterns.matching(&event.to_string()).unwrap().is_empty()
    }

    #[test]
    fn a_pattern_matches_as_on_aws() {
        let event = json!({ "source": "shop", "detail-type": "Sold", "detail": { "kind": "Book", "price": 12, "tags": ["a", "b"] } });
        let yes = [
            json!({ "source": ["shop"] }),
            json!({ "source": ["other", "shop"], "detail": { "kind": ["Book"] } }),
            json!({ "detail": { "price": [{ "numeric": [">", 10, "<=", 12] }] } }),
            json!({ "detail": { "tags": ["b"] } }),
            json!({ "detail-type": [{ "prefix": "So" }], "detail": { "gone": [{ "exists": false }] } }),
            json!({ "source": [{ "anything-but": ["bank"] }] }),
        ];
        for pattern in yes {
            assert!(matching(&pattern, &event), "{pattern}");
        }
        let no = [
            json!({ "source": ["Shop"] }),
            json!({ "source": ["shop"], "detail": { "kind": ["Pen"] } }),
            json!({ "detail": { "price": ["12"] } }),
            json!({ "detail": { "kind": [{ "exists": false }] } }),
        ];
        for pattern in no {
            assert!(!matching(&pattern, &event), "{pattern}");
        }
    }

    #[test]
    fn what_would_match_differently_is_refused() {
        let add = |pattern: Value| Patterns::default().add(0, &pattern).unwrap_err();
        assert_eq!(
            add(json!({ "a": [{ "regexp": "x" }] })),
            "field a: the local cloud does not know the operator regexp"
        );
        assert!(add(json!({ "$or": [{ "a": [1] }, { "b": [2] }] })).contains("does not know the operator a"));
        assert!(add(json!({ "a": "not a list" })).contains("a pattern is an object of fields"));
    }
}
