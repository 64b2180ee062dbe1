//! Request headers: idempotency keys, entity tags, correlation ids.

use aggregate::{CorrelationId, Version};
use eventing::{ExpectedVersion, Host};
use lambda_http::http::{HeaderMap, header};
use sfv::{BareItem, Item, Parser};

use crate::Problem;

pub(super) const CORRELATION_ID: &str = "x-correlation-id";
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The longest idempotency key that a client may choose.
pub(crate) const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;

/// The id that joins everything that a request leads to.
#[derive(Debug)]
pub(super) struct Correlation {
    /// The caller's id, or a new one.
    pub id: CorrelationId,
    /// The caller's own id cannot be used. `id` is a new one, for the answer that says so.
    pub is_malformed: bool,
}

impl Correlation {
    pub fn of(headers: &HeaderMap, host: &impl Host) -> Self {
        let given = headers.get(CORRELATION_ID);
        match given.and_then(|text| CorrelationId::new(text.to_str().ok()?).ok()) {
            Some(id) => Self { id, is_malformed: false },
            None => Self { id: host.new_id().into(), is_malformed: given.is_some() },
        }
    }
}

/// The key that makes a command idempotent: bare, or as the quoted string of a structured field (RFC 9651), which is how the IETF's
/// draft of the header has it.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(field) = combined(headers, IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = if field.starts_with(b"\"") { quoted(&field) } else { bare(&field) };
    let key = key.filter(|key| (1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&key.len()));
    let must = format!(
        "must be one key of 1 to {IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII characters, a new UUID for example: in quotes, \
         with a backslash before a quote or a backslash; or bare, then without spaces, quotes, commas and semicolons"
    );
    key.map(Some).ok_or_else(|| Problem::invalid_header("Idempotency-Key", &must))
}

/// A structured string without parameters: nobody has said yet what parameters of a key would mean.
fn quoted(field: &[u8]) -> Option<String> {
    match Parser::new(field).parse::<Item>().ok()? {
        Item { bare_item: BareItem::String(key), params } if params.is_empty() => Some(key.into()),
        _ => None,
    }
}

/// Visible ASCII. What separates the parts of a structured field is left out, so that two header lines are not one key.
fn bare(field: &[u8]) -> Option<String> {
    let is_good = field.iter().all(|byte| byte.is_ascii_graphic() && !b"\",;".contains(byte));
    is_good.then(|| field.iter().copied().map(char::from).collect())
}

/// The versions that the caller decided on, from `If-Match`. A weak entity tag never matches (RFC 9110, 13.1.1).
pub(super) fn expected_version(headers: &HeaderMap) -> Result<ExpectedVersion, Problem> {
    let Some(field) = combined(headers, header::IF_MATCH.as_str()) else { return Ok(ExpectedVersion::Any) };
    if field == b"*" {
        return Ok(ExpectedVersion::Exists);
    }
    let tags = str::from_utf8(&field).ok().and_then(entity_tags).filter(|tags| !tags.is_empty());
    let strong = |tags: Vec<EntityTag>| {
        tags.into_iter().filter(|tag| !tag.is_weak).map(|tag| version(tag.opaque)).collect::<Option<_>>()
    };
    let must = "must be *, or the ETag of an answer as it was sent, such as \"3\", or several with commas between them";
    let versions = tags.and_then(strong).ok_or_else(|| Problem::invalid_header("If-Match", must))?;
    Ok(ExpectedVersion::OneOf(versions))
}

/// The caller has `current` already, by `If-None-Match`. A header that is not of its form matches nothing.
pub(super) fn has_already(headers: &HeaderMap, current: Version) -> bool {
    let Some(field) = combined(headers, header::IF_NONE_MATCH.as_str()) else { return false };
    // Weak comparison (RFC 9110, 13.1.2).
    let is_current = |tags: Vec<EntityTag>| tags.iter().any(|tag| version(tag.opaque) == Some(current));
    field == b"*" || str::from_utf8(&field).ok().and_then(entity_tags).is_some_and(is_current)
}

/// All lines of a header as one, as RFC 9110 (5.3) joins them. API Gateway hands them on like that.
fn combined(headers: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(|line| line.as_bytes().trim_ascii()).collect();
    (!lines.is_empty()).then(|| lines.join(b", ".as_slice()))
}

struct EntityTag<'a> {
    is_weak: bool,
    opaque: &'a str,
}

/// The entity tags of a list (RFC 9110, 8.8.3 and 5.6.1); nothing where it is not such a list.
fn entity_tags(mut list: &str) -> Option<Vec<EntityTag<'_>>> {
    const SPACE: [char; 2] = [' ', '\t'];
    let mut tags = Vec::new();
    loop {
        list = list.trim_start_matches([' ', '\t', ',']);
        if list.is_empty() {
            return Some(tags);
        }
        let strong = list.strip_prefix("W/");
        let (opaque, rest) = strong.unwrap_or(list).strip_prefix('"')?.split_once('"')?;
        if !opaque.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        tags.push(EntityTag { is_weak: strong.is_some(), opaque });
        list = rest.trim_start_matches(SPACE);
        if !list.is_empty() && !list.starts_with(',') {
            return None;
        }
    }
}

/// The version that an entity tag of ours stands for.
fn version(opaque: &str) -> Option<Version> {
    // A number has many forms that parse, of which one was answered.
    opaque.parse().ok().filter(|version: &Version| *version > 0 && version.to_string() == opaque)
}

#[cfg(test)]
mod tests {
    use ExpectedVersion::{Any, Exists, OneOf};

    use super::*;

    fn headers(name: &'static str, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (name.parse().unwrap(), line.parse().unwrap())).collect()
    }

    #[test]
    fn a_key_is_the_same_bare_and_quoted() {
        let key = |line: &str| idempotency_key(&headers(IDEMPOTENCY_KEY, &[line])).unwrap().unwrap();
        for (line, expected) in [
            ("k1", "k1"),
            (r#""k1""#, "k1"),
            (r#""a b""#, "a b"),
            (r#""a,b;c""#, "a,b;c"),
            (r#""\"q\\""#, r#""q\"#),
            (r"a\b", r"a\b"),
            (r#""a\\b""#, r"a\b"),
            ("8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
            (r#""8e03978e-40d5-43e8-bc93-6894a57f9324""#, "8e03978e-40d5-43e8-bc93-6894a57f9324"),
            ("aGVsbG8=/+", "aGVsbG8=/+"),
            ("5", "5"),
            ("?1", "?1"),
        ] {
            assert_eq!(key(line), expected, "{line}");
        }
        assert_eq!(key(&"k".repeat(255)), key(&format!("\"{}\"", "k".repeat(255))));
        assert_eq!(idempotency_key(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn a_malformed_key_is_refused() {
        let long = "k".repeat(256);
        for line in [
            "",
            "\"\"",
            "\"k1",
            "k1\"",
            "k\"1",
            "\"k1\" x",
            "\"k1\"\"k2\"",
            "\"k1\", \"k2\"",
            "k1, k2",
            "k1,k2",
            "\"k1\", k2",
            "\"k1\";v=1",
            "k1;v=1",
            "a b",
            "\"a\\b\"",
            "\"k\t1\"",
            "k\t1",
            &long,
            &format!("\"{long}\""),
        ] {
            assert!(idempotency_key(&headers(IDEMPOTENCY_KEY, &[line])).is_err(), "{line}");
        }
        for lines in [["k1", "k2"], ["\"k1\"", "\"k2\""], ["k1", "k1"], ["\"k1\"", "k1"]] {
            assert!(idempotency_key(&headers(IDEMPOTENCY_KEY, &lines)).is_err(), "{lines:?}");
        }
        let not_ascii = [(IDEMPOTENCY_KEY.parse().unwrap(), "\"kä\"".as_bytes().try_into().unwrap())];
        assert!(idempotency_key(&not_ascii.into_iter().collect()).is_err());
    }

    #[test]
    fn entity_tags_are_compared_strongly() {
        let expected = |lines: &[&str]| expected_version(&headers("if-match", lines)).unwrap();
        assert_eq!(expected_version(&HeaderMap::new()).unwrap(), Any);
        for (line, versions) in [
            (r#""3""#, vec![3]),
            (r#""1", "3""#, vec![1, 3]),
            (r#" ,"1",,"3" , "#, vec![1, 3]),
            (r#"W/"3""#, vec![]),
            (r#"W/"3", "4", W/"5-gzip""#, vec![4]),
        ] {
            assert_eq!(expected(&[line]), OneOf(versions), "{line}");
        }
        assert_eq!(expected(&["\"1\"", "\"2\""]), OneOf(vec![1, 2]));
        assert_eq!(expected(&["*"]), Exists);
    }

    #[test]
    fn what_was_never_answered_as_an_entity_tag_is_malformed() {
        for line in [
            "",
            ",",
            "3",
            "+9",
            "\"+9\"",
            "\"09\"",
            "\"0\"",
            "\" 9\"",
            "\"9 \"",
            "\"9",
            "9\"",
            "\"9\" \"8\"",
            "\"9\";",
            "w/\"9\"",
            "W/9",
            "W/ \"9\"",
            "*, \"9\"",
            "\"9\", *",
            "**",
            "\"x\"",
            "\"18446744073709551616\"",
        ] {
            assert!(expected_version(&headers("if-match", &[line])).is_err(), "{line}");
        }
    }

    #[test]
    fn who_has_the_current_version_is_known_by_any_form_of_its_tag() {
        let has = |line: &str| has_already(&headers("if-none-match", &[line]), 3);
        for line in ["\"3\"", "W/\"3\"", "\"1\", \"3\"", "\"x\", W/\"3\"", "*"] {
            assert!(has(line), "{line}");
        }
        for line in ["\"2\"", "3", "\"+3\"", "\"03\"", "", "\"3", "*, \"3\""] {
            assert!(!has(line), "{line}");
        }
    }
}
