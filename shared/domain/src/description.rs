//! What a person writes beside a movement of money. It may be personal, so it is stored and shown to the owner, never logged.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One line of text, 1 to [`Description::CHARS_MAX`] characters, without control characters. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend(
    "minLength" = 1,
    "maxLength" = 140,
    "pattern" = r"^[^\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]*$"
))]
pub struct Description(String);

/// A text that is no description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one line of 1 to {} characters", Description::CHARS_MAX)]
pub struct InvalidDescription;

impl Description {
    /// As much as a SEPA credit transfer carries (EPC rulebook, AT-T009: 140 characters of remittance information).
    pub const CHARS_MAX: usize = 140;

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Characters that change how the text around them is shown, without being seen: they could make one description look like
/// another (Unicode UAX #9).
const INVISIBLE: [std::ops::RangeInclusive<char>; 3] =
    ['\u{200b}'..='\u{200f}', '\u{2028}'..='\u{202e}', '\u{2066}'..='\u{2069}'];

impl TryFrom<String> for Description {
    type Error = InvalidDescription;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let hidden = |c: char| c.is_control() || INVISIBLE.iter().any(|range| range.contains(&c));
        let good = (1..=Self::CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(hidden);
        if good { Ok(Self(text)) } else { Err(InvalidDescription) }
    }
}

impl From<Description> for String {
    fn from(description: Description) -> Self {
        description.0
    }
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Description(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_of_up_to_140_characters_in_any_script() {
        for good in ["Rent", "Miete für März 🏠", &"ü".repeat(140)] {
            assert!(Description::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", &"x".repeat(141), "a\nb", "a\0b", "a\u{202e}b", "\u{200b}"] {
            assert_eq!(Description::try_from(bad.to_owned()), Err(InvalidDescription), "{bad:?}");
        }
    }
}
