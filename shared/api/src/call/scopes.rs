//! The scopes of a token, read from the claims that the gateway hands on as text.
//!
//! The gateway and the functions must never differ about who is an administrator. The local gateway has the same rule
//! (`infra/local/src/gateway/scopes.rs`), and one table of tokens tests both: `infra/local/src/gateway/scopes.json`.

/// Whether a verified token has the scope `wanted`. `claim` is the text of a claim; some issuers use `scp` instead of `scope`.
///
/// A token with both claims must have the scope in both: AWS does not document which of the two API Gateway goes by.
pub fn has_scope<'a>(claim: impl Fn(&str) -> Option<&'a str>, wanted: &str) -> bool {
    let claims: Vec<&str> = ["scope", "scp"].into_iter().filter_map(claim).collect();
    !claims.is_empty() && claims.into_iter().all(|text| scopes(text).any(|scope| scope == wanted))
}

/// The scopes in a claim's text. Spaces separate them (RFC 6749, section 3.3), and nothing else does: a scope may have commas and
/// brackets in it. API Gateway hands a list on as `[one two]`.
fn scopes(text: &str) -> impl Iterator<Item = &str> {
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text).split(' ')
}
