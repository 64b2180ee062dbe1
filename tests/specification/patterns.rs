//! Every `pattern` of the contract and of the bus's schemas means the same to RE2 (Go, Java's re2j, Rust), to ECMAScript, and to
//! the code that reads the text.

use std::{collections::BTreeSet, fs, path::Path, sync::LazyLock};

use aggregate::{CorrelationId, TextRule, UserId};
use api::RequestId;
use domain::{Amount, Currency, Description, InvalidAmount};
use proptest::{prelude::*, sample::select};
use serde_json::Value;
use tests::{Contract, EventSchemas, repository};

/// A pattern in both dialects.
struct Pattern {
    /// Rust's `regex` takes no lookaround and no backreference, as RE2. What it takes beyond RE2 is excluded by [`escapes`].
    re2: regex::Regex,
    /// With the flag `u`, as JSON Schema 2020-12 has it (core, 6.4).
    ecmascript: regress::Regex,
    /// Without it, as many linters and generated clients have it.
    without_u: regress::Regex,
}

impl Pattern {
    fn new(pattern: &str) -> Self {
        assert!(escapes(pattern).all(|escape| escape == 'x' || escape.is_ascii_punctuation()), "{pattern}");
        let [ecmascript, without_u] = [true, false].map(|unicode| {
            let flags = regress::Flags { unicode, ..regress::Flags::default() };
            regress::Regex::with_flags(pattern, flags).unwrap_or_else(|error| panic!("{pattern}: {error}"))
        });
        assert!(
            pattern.chars().all(|character| character <= '\u{ffff}'),
            "{pattern}: a range beyond U+FFFF needs the flag u"
        );
        Self { re2: regex::Regex::new(pattern).unwrap(), ecmascript, without_u }
    }

    fn takes(&self, text: &str) -> bool {
        let takes = self.re2.is_match(text);
        assert_eq!(self.ecmascript.find(text).is_some(), takes, "{text:?}");
        assert_eq!(self.without_u.find(text).is_some(), takes, "{text:?}");
        takes
    }
}

/// The characters after a backslash. Beyond punctuation, `\xHH` is what the dialects have in common: `\u`, `\p` and `\d` are of
/// one side only or mean something else there.
fn escapes(pattern: &str) -> impl Iterator<Item = char> {
    let mut characters = pattern.chars();
    std::iter::from_fn(move || characters.by_ref().find(|character| *character == '\\').and_then(|_| characters.next()))
}

fn patterns(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(pattern) if name == "pattern" => {
                        found.insert(pattern.clone());
                    }
                    value => patterns(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| patterns(item, found)),
        _ => {}
    }
}

fn patterns_below(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.extension().and_then(|extension| extension.to_str()) {
            Some("yaml") => {
                patterns(&serde_saphyr::from_str(&fs::read_to_string(entry).unwrap()).unwrap(), found);
            }
            Some("json") => {
                patterns(&serde_json::from_str(&fs::read_to_string(entry).unwrap()).unwrap(), found);
            }
            _ => {}
        }
    }
}

#[test]
fn every_pattern_compiles_in_re2_and_in_ecmascript() {
    let mut found = BTreeSet::new();
    for folder in ["infra", "infra/schemas", "infra/schemas/requests"] {
        patterns_below(&repository().join(folder), &mut found);
    }
    assert!(found.len() >= 10, "{found:?}");
    for pattern in found {
        Pattern::new(&pattern);
    }
}

/// The patterns of amounts by the number of decimals, from the schema of a request: a chain of `if`, `then` and `else`.
fn amounts(schema: &Value) -> Vec<(Currency, Pattern)> {
    let links = std::iter::successors(Some(schema), |link| link.get("else"));
    let form = |link: &Value| {
        let (condition, form) = (link.get("if").unwrap_or(link), link.get("then").unwrap_or(link));
        let code = condition["properties"]["currency"]["enum"][0].as_str().unwrap();
        let pattern = form["properties"]["amount"]["pattern"].as_str().unwrap();
        (Currency::from_code(code).unwrap(), Pattern::new(pattern))
    };
    links.map(form).collect()
}

static POSITIVE: LazyLock<Vec<(Currency, Pattern)>> =
    LazyLock::new(|| amounts(EventSchemas::of_requests().get("DepositRequested").unwrap()));
static WITH_ZERO: LazyLock<Vec<(Currency, Pattern)>> =
    LazyLock::new(|| amounts(&Contract::read().document().components["schemas"]["OverdraftLimitBody"]));
static LINE: LazyLock<Pattern> = LazyLock::new(|| Pattern::new(&Description::RULE.pattern()));

fn check_amount(text: &str) {
    for (currency, pattern) in &*POSITIVE {
        assert_eq!(pattern.takes(text), Amount::parse(text, *currency).is_ok(), "{text:?} {currency:?}");
    }
    for (currency, pattern) in &*WITH_ZERO {
        let taken = matches!(Amount::parse(text, *currency), Ok(_) | Err(InvalidAmount::Zero));
        assert_eq!(pattern.takes(text), taken, "{text:?} {currency:?}");
    }
}

/// The length is a keyword of its own in the schema. The pattern takes what the code takes, and more only where joiners, selectors
/// or characters beyond U+FFFF are.
fn check_line(text: &str) {
    let (by_pattern, by_code) = (LINE.takes(text), Description::RULE.check(text).is_ok());
    let is_simple = |c: char| {
        c < '\u{fffe}'
            && !matches!(c, '\u{d7ff}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200d}' | '\u{fe00}'..='\u{fe0f}')
    };
    if by_code || text.chars().all(is_simple) {
        assert_eq!(by_pattern, by_code, "{text:?}");
    }
}

#[test]
fn the_pattern_of_an_amount_takes_what_the_code_takes() {
    assert_eq!([POSITIVE.len(), WITH_ZERO.len()], [4, 4]);
    for text in
        ["", "0", "0.", "0.0", "0.00", "00", "01", "-1", "+1", "1e3", ".5", "1.", "1.2.3", " 1", "1\n", "١", "1,5"]
    {
        check_amount(text);
    }
    // Around the limit, and every text of up to six of these characters.
    for whole in 7..=13 {
        for digits in ["9".repeat(whole), format!("1{}", "0".repeat(whole)), format!("1{}1", "0".repeat(whole))] {
            for fraction in ["", ".0", ".1", ".00", ".01", ".000", ".001", ".0000", ".0001", ".00000"] {
                check_amount(&format!("{digits}{fraction}"));
            }
        }
    }
    let mut texts = vec![String::new()];
    for _ in 0..6 {
        texts = texts.iter().flat_map(|text| ["0", "1", "."].map(|character| format!("{text}{character}"))).collect();
        for text in &texts {
            check_amount(text);
        }
    }
}

#[test]
fn the_pattern_of_a_description_takes_each_character_where_the_code_takes_it() {
    // The pattern's own characters are the ends of its ranges.
    let pattern = Description::RULE.pattern();
    let near = |end: char| [-1, 0, 1].map(|step| u32::from(end).checked_add_signed(step).and_then(char::from_u32));
    let ends: BTreeSet<char> = pattern.chars().chain("\0 \u{a0}".chars()).flat_map(near).flatten().collect();
    assert!(ends.len() > 100, "{ends:?}");
    for character in ends {
        for text in ["", "a", " ", "a\u{200d}", "a\u{fe0f}"] {
            check_line(&format!("{text}{character}"));
            check_line(&format!("{text}{character}b"));
        }
    }
}

/// All characters, but of the planes of ideographs and of private use, which are of one kind, one of two hundred.
fn characters() -> impl Iterator<Item = char> {
    let is_looked_at =
        |c: &char| matches!(*c, '\0'..='\u{1ffff}' | '\u{e0000}'..='\u{e0fff}') || u32::from(*c) % 199 == 0;
    ('\0'..=char::MAX).filter(is_looked_at).chain(['\u{2fffd}', '\u{2fffe}', '\u{3fffd}', '\u{3fffe}', char::MAX])
}

/// The characters that have one of these properties in the Unicode Character Database, as `regex` keeps it.
fn with_property(names: &[&str]) -> BTreeSet<char> {
    let found = regex::Regex::new(&format!(r"[\p{{{}}}]", names.join(r"}\p{"))).unwrap();
    found.find_iter(&characters().collect::<String>()).filter_map(|found| found.as_str().chars().next()).collect()
}

#[test]
fn the_rule_for_descriptions_agrees_with_the_unicode_character_database() {
    let with = |names: &[&str], others: &str| -> BTreeSet<char> {
        with_property(names).into_iter().chain(others.chars()).collect()
    };
    let refused = with(&["Cc", "Zl", "Zp", "Co", "Noncharacter_Code_Point", "Bidi_Control"], "\u{fffc}");
    let selectors = with(&["Variation_Selector"], "");
    let joiners = with(&["Join_Control"], "\u{180e}\u{200b}");
    // Spaces, the layout of Egyptian hieroglyphs, and the signs without a shape that are letters or symbols to Unicode.
    let layout: String = ('\u{13430}'..='\u{13442}').collect();
    let blanks = with(&["Zs"], &format!("{layout}\u{2800}\u{16fe4}\u{1d159}"));
    // Some format characters are seen: signs of Arabic, Syriac and Kaithi that go around numbers.
    let seen = with(&["Prepended_Concatenation_Mark"], "");
    let ignorable = with(&["Default_Ignorable_Code_Point", "Cf"], "");
    let assigned = with(&["Assigned"], "");
    let takes = |text: String| Description::RULE.check(&text).is_ok();
    for character in characters() {
        let found = [character.to_string(), format!("a{character}"), format!("a{character}{character}")].map(takes);
        let [alone, after_a_letter, twice] = if refused.contains(&character) {
            [false, false, false]
        } else if selectors.contains(&character) || joiners.contains(&character) {
            [false, true, false]
        } else if blanks.contains(&character) {
            [false, true, true]
        } else if ignorable.contains(&character) && !seen.contains(&character) {
            [false, false, false]
        } else if assigned.contains(&character) {
            [true, true, true]
        } else {
            continue;
        };
        assert_eq!(found, [alone, after_a_letter, twice], "U+{:04X}", u32::from(character));
    }
}

#[test]
fn the_pattern_of_an_identifier_takes_what_the_code_takes() {
    for rule in [UserId::RULE, CorrelationId::RULE, RequestId::RULE] {
        let pattern = Pattern::new(&rule.pattern());
        let check = |rule: TextRule, text: &str| assert_eq!(pattern.takes(text), rule.check(text).is_ok(), "{text:?}");
        for character in '\0'..='\u{2ff}' {
            check(rule, &character.to_string());
            check(rule, &format!("a{character}"));
        }
        for length in [0, 1, rule.chars_max() - 1, rule.chars_max(), rule.chars_max() + 1] {
            check(rule, &"a".repeat(length));
        }
    }
}

const INTERESTING: &str = "aé\u{301}ا🏠👩1 \u{a0}\u{3000}\u{2800}\u{200b}\u{200c}\u{200d}\u{180e}\u{180b}\u{fe0f}\u{e0100}\u{ad}\u{61c}\u{2060}\u{feff}\u{e0041}\n\0\u{e000}";

fn line() -> impl Strategy<Value = String> {
    let character = prop_oneof![4 => select(INTERESTING.chars().collect::<Vec<_>>()), 1 => any::<char>()];
    prop::collection::vec(character, 1..8).prop_map(|characters| characters.into_iter().collect())
}

proptest! {
    #[test]
    fn random_amounts_are_taken_by_pattern_and_code_alike(text in "[0-9]{0,13}(\\.[0-9]{0,5})?|[0-9.eE+ -]{0,8}") {
        check_amount(&text);
    }

    #[test]
    fn random_lines_are_taken_by_pattern_and_code_alike(text in line()) {
        check_line(&text);
    }
}
