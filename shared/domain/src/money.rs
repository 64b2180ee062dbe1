//! Money: whole minor units (cents, yen, fils) of an ISO 4217 currency. Checked arithmetic only, decimal text at the edge,
//! never a float.

mod list;

use std::{fmt, num::NonZeroU64};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A currency that has minor units. ISO 4217 also lists codes without any (gold, testing); they are not money here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[A-Z]{3}$"))]
pub struct Currency(Listed);

/// An entry of the list of currencies.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Listed {
    code: &'static str,
    minor_digits: u32,
    used_as: list::Use,
}

/// The error for a text that is not the code of a currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be an ISO 4217 code of three capital letters, such as EUR, USD or JPY")]
pub struct UnknownCurrency;

impl Currency {
    /// The currency with the ISO 4217 code `code`, for example `EUR`. Finds every currency that was ever recorded, withdrawn
    /// ones too.
    ///
    /// # Errors
    /// When the list does not have the code.
    pub fn from_code(code: &str) -> Result<Self, UnknownCurrency> {
        let place = list::LIST.binary_search_by(|listed| listed.code.cmp(code)).map_err(|_| UnknownCurrency)?;
        list::LIST.get(place).copied().map(Self).ok_or(UnknownCurrency)
    }

    /// All currencies that were ever recorded, in the order of their codes.
    pub fn all() -> impl Iterator<Item = Self> {
        list::LIST.iter().copied().map(Self)
    }

    /// True for money of today, in which new accounts can be opened; false for withdrawn currencies and for funds (units of
    /// account that nobody pays with).
    #[must_use]
    pub fn is_current(self) -> bool {
        self.0.used_as == list::Use::Current
    }

    /// The ISO 4217 code.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code
    }

    /// The number of decimals of the currency: 0 for JPY, 2 for EUR, 3 for KWD.
    #[must_use]
    pub fn minor_digits(self) -> u32 {
        self.0.minor_digits
    }

    /// Minor units as decimal text with exactly the currency's decimals: 1234 is `12.34` in EUR and `1234` in JPY.
    #[must_use]
    pub fn format(self, minor: impl Into<i128>) -> String {
        let minor = minor.into();
        let sign = if minor < 0 { "-" } else { "" };
        let unit = 10_u128.pow(self.minor_digits());
        let (whole, rest) = (minor.unsigned_abs() / unit, minor.unsigned_abs() % unit);
        match self.minor_digits() {
            0 => format!("{sign}{whole}"),
            digits => format!("{sign}{whole}.{rest:0width$}", width = digits as usize),
        }
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl TryFrom<String> for Currency {
    type Error = UnknownCurrency;

    fn try_from(code: String) -> Result<Self, Self::Error> {
        Self::from_code(&code)
    }
}

/// A positive sum of money, at most [`Amount::MINOR_UNITS_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Units", into = "Units")]
pub struct Amount {
    minor: NonZeroU64,
    currency: Currency,
}

/// An amount as recorded in events: `{"minor": 1234, "currency": "EUR"}`.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Units {
    #[schemars(range(min = 1, max = Amount::MINOR_UNITS_MAX))]
    minor: u64,
    currency: Currency,
}

/// Why a text or a number is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmount {
    /// Not digits with at most one decimal point between them.
    #[error("must be a decimal number in digits, such as \"12.34\": no sign, exponent, space or separator")]
    NotDecimal,
    /// More decimals than the currency has.
    #[error("must have at most {minor_digits} decimals for {currency:?}")]
    TooPrecise {
        /// The currency of the amount.
        currency: Currency,
        /// The decimals that it has.
        minor_digits: u32,
    },
    /// Nothing.
    #[error("must be more than zero")]
    Zero,
    /// Over the bank's limit for one movement of money.
    #[error("must be at most {max}")]
    TooLarge {
        /// The limit as decimal text.
        max: String,
    },
}

impl Amount {
    /// The most that one event may move: 10^12 minor units. Far from the edges of both i64 and a JavaScript number.
    pub const MINOR_UNITS_MAX: u64 = 1_000_000_000_000;

    /// An amount of `minor` minor units.
    ///
    /// # Errors
    /// [`InvalidAmount::Zero`] and [`InvalidAmount::TooLarge`].
    pub fn from_minor(minor: u64, currency: Currency) -> Result<Self, InvalidAmount> {
        let too_large = || InvalidAmount::TooLarge { max: currency.format(Self::MINOR_UNITS_MAX.cast_signed()) };
        match NonZeroU64::new(minor) {
            None => Err(InvalidAmount::Zero),
            Some(minor) if minor.get() > Self::MINOR_UNITS_MAX => Err(too_large()),
            Some(minor) => Ok(Self { minor, currency }),
        }
    }

    /// Reads decimal text: `12.34`, `12` and `0.5` in EUR; `12` in JPY.
    ///
    /// # Errors
    /// All of [`InvalidAmount`].
    pub fn parse(text: &str, currency: Currency) -> Result<Self, InvalidAmount> {
        let digits_only = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let (whole, decimals) = match text.split_once('.') {
            Some((whole, decimals)) if digits_only(decimals) => (whole, decimals),
            Some(_) => return Err(InvalidAmount::NotDecimal),
            None => (text, ""),
        };
        let padded = whole.len() > 1 && whole.starts_with('0');
        if !digits_only(whole) || padded {
            return Err(InvalidAmount::NotDecimal);
        }
        let minor_digits = currency.minor_digits();
        let missing = (minor_digits as usize)
            .checked_sub(decimals.len())
            .ok_or(InvalidAmount::TooPrecise { currency, minor_digits })?;
        let digits = format!("{whole}{decimals}{}", "0".repeat(missing));
        // Digits that do not fit a u64 are certainly over the limit.
        Self::from_minor(digits.parse().unwrap_or(u64::MAX), currency)
    }

    /// The amount in minor units; fits an i64 with room to spare.
    #[must_use]
    pub fn minor(self) -> i64 {
        self.minor.get().cast_signed()
    }

    /// The amount's currency.
    #[must_use]
    pub fn currency(self) -> Currency {
        self.currency
    }
}

/// Shows the currency only: how much someone moves is nobody's business in a log.
impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "*** {}", self.currency.code())
    }
}

impl From<Amount> for Units {
    fn from(amount: Amount) -> Self {
        Self { minor: amount.minor.get(), currency: amount.currency }
    }
}

impl TryFrom<Units> for Amount {
    type Error = InvalidAmount;

    fn try_from(units: Units) -> Result<Self, Self::Error> {
        Self::from_minor(units.minor, units.currency)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::from_code(code).unwrap()
    }

    #[test]
    fn each_currency_has_its_own_decimals() {
        for (text, code, minor) in [
            ("12.34", "EUR", 1234),
            ("12", "EUR", 1200),
            ("0.5", "EUR", 50),
            ("1234", "JPY", 1234),
            ("1.234", "KWD", 1234),
            ("10000000000.00", "EUR", 1_000_000_000_000),
        ] {
            let amount = Amount::parse(text, currency(code)).unwrap();
            assert_eq!((amount.minor(), amount.currency().code()), (minor, code));
        }
        assert_eq!(currency("EUR").format(-5), "-0.05");
        assert_eq!(currency("JPY").format(-5), "-5");
        assert_eq!(currency("KWD").format(i64::MIN), "-9223372036854775.808");
    }

    #[test]
    fn what_is_not_plain_decimal_digits_is_refused() {
        for text in
            ["", "-1", "+1", "1e3", "NaN", "inf", " 1", "1 ", "1,5", ".5", "1.", "1.2.3", "0x1", "007", "١", "1_0"]
        {
            assert_eq!(Amount::parse(text, currency("EUR")), Err(InvalidAmount::NotDecimal), "{text:?}");
        }
    }

    #[test]
    fn zero_too_precise_and_too_large_are_refused_each_by_its_own_name() {
        assert_eq!(Amount::parse("0.00", currency("EUR")), Err(InvalidAmount::Zero));
        assert!(matches!(Amount::parse("0.001", currency("EUR")), Err(InvalidAmount::TooPrecise { .. })));
        assert!(matches!(Amount::parse("1.0", currency("JPY")), Err(InvalidAmount::TooPrecise { .. })));
        for text in ["10000000000.01", &"9".repeat(400)] {
            assert!(matches!(Amount::parse(text, currency("EUR")), Err(InvalidAmount::TooLarge { .. })), "{text}");
        }
    }

    #[test]
    fn what_has_no_minor_units_is_no_currency() {
        for code in ["XAU", "XXX", "XTS", "eur", "EURO", "", "ZZZ"] {
            assert_eq!(Currency::from_code(code), Err(UnknownCurrency), "{code}");
        }
    }

    #[test]
    fn every_listed_currency_is_found_by_its_code() {
        assert!(list::LIST.is_sorted_by(|one, other| one.code < other.code));
        for listed in list::LIST {
            assert_eq!(Currency::from_code(listed.code), Ok(Currency(*listed)));
            assert!(listed.minor_digits < Amount::MINOR_UNITS_MAX.ilog10(), "{}", listed.code);
        }
    }

    #[test]
    fn a_log_never_shows_how_much() {
        assert_eq!(format!("{:?}", Amount::parse("12.34", currency("EUR")).unwrap()), "*** EUR");
    }

    proptest! {
        #[test]
        fn text_and_minor_units_are_the_same_amount(
            minor in 1..=Amount::MINOR_UNITS_MAX,
            code in prop::sample::select(vec!["EUR", "USD", "JPY", "KWD", "CLF"]),
        ) {
            let amount = Amount::from_minor(minor, currency(code)).unwrap();
            prop_assert_eq!(Amount::parse(&currency(code).format(amount.minor()), currency(code)), Ok(amount));
            let json = serde_json::to_string(&amount).unwrap();
            prop_assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), amount);
        }

        #[test]
        fn no_text_makes_parsing_panic(text in "\\PC*") {
            let _ = Amount::parse(&text, currency("EUR"));
        }
    }
}
