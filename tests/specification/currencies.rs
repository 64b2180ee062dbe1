//! Money is for ever: a code that was ever accepted stays readable, with the decimals it had then, whatever a standard or a
//! library does. `golden_currencies.txt` is append-only: add the line of a new currency, never change or remove one.

use std::collections::BTreeMap;

use domain::{Amount, Currency};
use iso_currency::IntoEnumIterator as _;
use serde_json::json;

const GOLDEN: &str = include_str!("golden_currencies.txt");

fn golden() -> BTreeMap<&'static str, u32> {
    let lines = GOLDEN.lines().map(|line| line.split_once(' ').unwrap());
    lines.map(|(code, decimals)| (code, decimals.parse().unwrap())).collect()
}

#[test]
fn every_currency_ever_accepted_is_read_with_its_decimals() {
    assert!(golden().len() >= 171, "a line is missing from the golden file");
    for (code, decimals) in golden() {
        let currency = Currency::from_code(code).unwrap_or_else(|_| panic!("{code} can no longer be read"));
        assert_eq!(currency.minor_digits(), decimals, "{code}: what is recorded would be worth something else");
        let amount: Amount = serde_json::from_value(json!({ "minor": 1234, "currency": code })).unwrap();
        assert_eq!((amount.minor(), amount.currency()), (1234, currency));
    }
}

#[test]
fn every_currency_that_can_be_recorded_has_its_line_in_the_golden_file() {
    let listed: BTreeMap<&str, u32> =
        Currency::all().map(|currency| (currency.code(), currency.minor_digits())).collect();
    assert_eq!(listed, golden());
}

/// Fails after an update of `iso_currency` that changes something: see what ISO 4217 says, then change the list or this test.
#[test]
fn the_list_differs_from_iso_4217_only_where_that_is_known() {
    // Withdrawn, and already gone from the crate's list.
    let mut ours_alone = vec!["ANG"];
    for iso in iso_currency::Currency::iter() {
        let Some(decimals) = iso.exponent() else { continue };
        let ours = Currency::from_code(iso.code()).unwrap_or_else(|_| panic!("{} is new", iso.code()));
        assert_eq!(ours.minor_digits(), u32::from(decimals), "{}", iso.code());
        // The crate takes VES for superseded by VED. They are one currency with two codes, and VES is the one in use.
        let is_current = !iso.is_fund() && !iso.is_special() && iso.is_superseded().is_none() || iso.code() == "VES";
        assert_eq!(ours.is_current(), is_current, "{}", iso.code());
    }
    ours_alone.retain(|code| iso_currency::Currency::from_code(code).is_none());
    let known = iso_currency::Currency::iter().filter(|iso| iso.exponent().is_some()).count();
    assert_eq!(Currency::all().count(), known + ours_alone.len());
}
