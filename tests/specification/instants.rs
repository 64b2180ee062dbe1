//! Instants are RFC 3339 and nothing else, and what is written is read back.

use aggregate::Timestamp;
use proptest::{prelude::*, sample::select};
use serde_json::json;

/// True if a text is a `date-time` to JSON Schema, which is RFC 3339.
fn is_date_time(text: &str) -> bool {
    let schema = json!({ "type": "string", "format": "date-time" });
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap().is_valid(&json!(text))
}

proptest! {
    #[test]
    fn every_instant_is_read_back_and_text_order_is_time_order(
        one in Timestamp::MIN.as_micros()..=Timestamp::MAX.as_micros(),
        other in Timestamp::MIN.as_micros()..=Timestamp::MAX.as_micros(),
    ) {
        let [one, other] = [one, other].map(Timestamp::from_micros);
        prop_assert_eq!(one.to_string().parse::<Timestamp>(), Ok(one));
        prop_assert_eq!(one.cmp(&other), one.to_string().cmp(&other.to_string()));
        prop_assert!(is_date_time(&one.to_string()));
    }

    #[test]
    fn a_text_is_an_instant_here_if_it_is_one_to_json_schema(
        text in "[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9]([.,][0-9]{0,7})?([Zz]|[+-][0-2][0-9]:?[0-6][0-9])?",
        place in 0..30_usize,
        character in select("0:-+.TZ ,[".chars().collect::<Vec<_>>()),
        is_damaged in prop::bool::weighted(0.3),
    ) {
        let damaged = text.chars().enumerate().map(|(index, of_text)| if index == place { character } else { of_text });
        let text = if is_damaged { damaged.collect() } else { text };
        prop_assert_eq!(text.parse::<Timestamp>().is_ok(), is_date_time(&text), "{}", text);
    }
}
