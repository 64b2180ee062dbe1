//! The scopes of a token, as an HTTP API reads them, and the claims as it hands them on.
//!
//! A function has the text of the claims only, so this goes by the text too: then the two never differ. One table of tokens tests
//! both: `scopes.json`. In the text, a list and a string in brackets look alike, so both are lists here.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The claims as an HTTP API hands them on: as text, with lists in brackets, and without those that are null.
pub fn handed_on(claims: &Map<String, Value>) -> BTreeMap<&str, String> {
    let known = claims.iter().filter(|(_, claim)| !claim.is_null());
    known.map(|(name, claim)| (name.as_str(), text(claim))).collect()
}

/// The scopes of `route` that a token with these claims has. Spaces separate the scopes in a claim (RFC 6749, section 3.3). A token
/// with both claims must have the scope in both: AWS does not document which of the two API Gateway goes by.
pub fn granted<'a>(route: &'a [String], handed_on: &BTreeMap<&str, String>) -> Vec<&'a String> {
    let claims: Vec<&String> = ["scope", "scp"].into_iter().filter_map(|name| handed_on.get(name)).collect();
    let has = |text: &str, wanted: &str| {
        let list = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        list.unwrap_or(text).split(' ').any(|scope| scope == wanted)
    };
    route.iter().filter(|scope| !claims.is_empty() && claims.iter().all(|text| has(text, scope))).collect()
}

fn text(claim: &Value) -> String {
    match claim {
        Value::String(text) => text.clone(),
        Value::Array(all) => format!("[{}]", all.iter().map(text).collect::<Vec<_>>().join(" ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// A token: its claims as the issuer signs them, as a function sees them, and the scopes that it has.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Token {
        signed: Map<String, Value>,
        handed_on: BTreeMap<String, String>,
        scopes: Vec<String>,
    }

    #[test]
    fn a_token_has_the_scopes_of_the_table_that_the_functions_are_tested_with_too() {
        let tokens: Vec<Token> = serde_json::from_str(include_str!("scopes.json")).unwrap();
        let all = ["daybook/read", "daybook/write", "daybook/admin"].map(str::to_owned);
        for Token { signed, handed_on: expected, scopes } in tokens {
            let claims = handed_on(&signed);
            let expected = expected.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
            assert_eq!(claims, expected, "{signed:?}");
            assert_eq!(granted(&all, &claims), scopes.iter().collect::<Vec<_>>(), "{signed:?}");
        }
    }
}
