//! What a person writes beside a movement of money. It may be personal, so it is stored and shown to the owner, never logged.

use std::fmt;

use aggregate::{Alphabet, InvalidText, TextRule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A description: one line, in any script. `Debug` does not show it.
///
/// It is read from events and states as it is, for what is recorded has happened; the rule is for what is new
/// ([`TryFrom<String>`]). So the schema of recorded descriptions promises no more than that there are no control characters.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Description(
    #[schemars(extend("minLength" = 1, "maxLength" = Description::RULE.chars_max(), "pattern" = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
     String,
);

impl Description {
    /// The rule for a new description. 140 characters is as much as a SEPA credit transfer carries (EPC rulebook, AT-T009).
    pub const RULE: TextRule = TextRule::new(Alphabet::Line, 140);

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Description {
    type Error = InvalidText;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::RULE.check(&text)?;
        Ok(Self(text))
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

    fn objection(text: &str) -> Option<InvalidText> {
        Description::try_from(text.to_owned()).err()
    }

    #[test]
    fn a_person_writes_what_can_be_typed_and_seen_in_any_script() {
        for good in [
            "Rent",
            "Miete für März 🏠",
            " \u{a0}rent ",
            &"ü".repeat(140),
            "اجاره\u{200c}ی خانه",            // Persian
            "می\u{200c}روم",                  // Persian, a verb
            "\u{d28}\u{d4d}\u{200d}",         // Malayalam, an old chillu at the end
            "ශ\u{dca}\u{200d}රී ලංකා",          // Sinhala: Sri Lanka
            "র\u{200d}\u{9cd}য",              // Bengali
            "ខ្ញុំ\u{200b}ទៅ",                    // Khmer, words apart by a space without width
            "ᠠᠮᠠᠷᠬᠠ\u{180e}\u{1820}\u{180b}", // Mongolian
            "葛\u{e0100}城",                  // a Japanese place, by an ideographic variation
            "שָׁלוֹם",
            "👨\u{200d}👩\u{200d}👧",
            "👩\u{200d}🍳 lunch",
            "🏳\u{fe0f}\u{200d}🌈",
            "\u{2764}\u{fe0f}",
            "1\u{fe0f}\u{20e3}",
            "👍🏽🇩🇪",
            "⠗⠑⠝⠞\u{2800}",
        ] {
            assert_eq!(objection(good), None, "{good:?}");
        }
    }

    #[test]
    fn nothing_is_hidden_in_a_description_and_something_is_seen() {
        for bad in ["", " ", "\u{a0}\u{3000}", "\u{2800}", &"x".repeat(141)] {
            assert!(objection(bad).is_some(), "{bad:?}");
        }
        let (bidirectional, deprecated) =
            ("\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}", "\u{206a}\u{206f}");
        let invisible =
            "\u{ad}\u{34f}\u{115f}\u{1160}\u{17b4}\u{2060}\u{2064}\u{2065}\u{3164}\u{feff}\u{ffa0}\u{fff9}\u{fffc}";
        // With tags, the flags of England, Scotland and Wales could be written, and any text could be hidden.
        let tags = "\u{e0001}\u{e0041}\u{e007f}";
        let others = "\0\n\r\t\u{7f}\u{85}\u{2028}\u{2029}\u{e000}\u{ffff}\u{f0000}\u{10ffff}";
        for hidden in [bidirectional, deprecated, invisible, tags, others].concat().chars() {
            for bad in [hidden.to_string(), format!("abc{hidden}def")] {
                assert!(matches!(objection(&bad), Some(InvalidText::Hidden { .. })), "{bad:?}");
            }
        }
    }

    #[test]
    fn a_joiner_or_selector_stands_directly_after_a_visible_character_once() {
        for bad in [
            "\u{200c}",
            "\u{200d}a",
            "a \u{200d}b",
            "a\u{200c}\u{200c}b",
            "a\u{200d}\u{fe0f}",
            "\u{fe0f}",
            "a\u{fe0f}\u{fe0e}",
            " \u{e0100}a",
        ] {
            assert!(matches!(objection(bad), Some(InvalidText::NothingToJoin { .. })), "{bad:?}");
        }
    }

    #[test]
    fn what_is_recorded_is_read_whatever_the_rule_is_today() {
        for recorded in ["   ", "\u{feff}", "a\u{2060}b", "\u{e0041}\u{e0042}", &"x".repeat(141)] {
            let json = serde_json::to_string(recorded).unwrap();
            assert_eq!(serde_json::from_str::<Description>(&json).unwrap().as_str(), recorded);
        }
    }
}
