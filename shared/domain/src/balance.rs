//! The money on an account.

use serde::{Deserialize, Serialize};

/// The money on an account in minor units of its currency; negative where the account owes it.
///
/// No history makes the sum overflow. An event moves at most [`crate::Amount::MINOR_UNITS_MAX`], 10^12 and so less than 2^40, and an
/// account has less than 2^64 events: a balance stays within 2^104. So no rule needs a limit for balances, and whether an account
/// takes money never depends on how much it holds.
///
/// It is stored as decimal text, because a JSON number loses digits beyond 2^53 in many readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Balance(i128);

/// The error for a text that is not a balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number of minor units within 2^104")]
pub struct InvalidBalance;

impl Balance {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// More than any history comes to, either way.
    const BOUND: i128 = 1 << 104;

    /// The balance in minor units.
    #[must_use]
    pub fn minor(self) -> i128 {
        self.0
    }

    /// The balance after `minor` more minor units. It does not overflow: a balance that is read is within 2^104, and so is all that
    /// one history adds to it.
    #[must_use]
    pub(crate) fn plus(self, minor: i64) -> Self {
        Self(self.0 + i128::from(minor))
    }
}

impl From<i64> for Balance {
    fn from(minor: i64) -> Self {
        Self(minor.into())
    }
}

impl From<Balance> for i128 {
    fn from(balance: Balance) -> Self {
        balance.0
    }
}

impl From<Balance> for String {
    fn from(balance: Balance) -> Self {
        balance.0.to_string()
    }
}

impl TryFrom<String> for Balance {
    type Error = InvalidBalance;

    fn try_from(text: String) -> Result<Self, InvalidBalance> {
        let minor: i128 = text.parse().map_err(|_| InvalidBalance)?;
        let is_sum_of_history = minor.abs_diff(0) < Self::BOUND.unsigned_abs();
        // One balance has one text.
        if is_sum_of_history && minor.to_string() == text { Ok(Self(minor)) } else { Err(InvalidBalance) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn a_balance_survives_json_whatever_it_is(minor in 1 - Balance::BOUND..Balance::BOUND) {
            let json = serde_json::to_value(Balance(minor)).unwrap();
            prop_assert_eq!(&json, &json!(minor.to_string()));
            prop_assert_eq!(serde_json::from_value::<Balance>(json).unwrap(), Balance(minor));
        }
    }

    #[test]
    fn what_no_history_comes_to_is_not_a_balance() {
        for good in ["0", "-5", "20282409603651670423947251286015", "-20282409603651670423947251286015"] {
            assert!(Balance::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in
            ["", "+5", "-0", "007", "1.0", "1e3", "x", "20282409603651670423947251286016", &i128::MIN.to_string()]
        {
            assert_eq!(Balance::try_from(bad.to_owned()), Err(InvalidBalance), "{bad}");
        }
        assert!(serde_json::from_value::<Balance>(json!(5)).is_err(), "a number may have lost digits");
    }
}
