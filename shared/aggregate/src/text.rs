//! The rules for texts that come from outside: identifiers, keys and what people write. A rule checks a text and gives the
//! regular expression that says the same in a JSON Schema, so the contract cannot promise something else.
//!
//! A rule is for what is new. What is recorded is read as it is: a rule may become stricter, history may not become unreadable.

use std::ops::RangeInclusive;

/// The characters of a text, and their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextRule {
    alphabet: Alphabet,
    chars_max: usize,
}

/// The characters that a text may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// ASCII letters.
    Letters,
    /// ASCII letters, digits and `- _ . :`, which cannot break a log line, a header or a path.
    Token,
    /// Visible ASCII.
    VisibleAscii,
    /// One line in any script, with at least one visible character. `VISIBLE` and the tables after it have them.
    Line,
}

/// The error for a text that its rule refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Too short, too long, or with other characters than an ASCII alphabet has.
    #[error("must be 1 to {chars_max} {characters}")]
    NotOfForm {
        /// The most characters that the text may have.
        chars_max: usize,
        /// The characters that it may have.
        characters: &'static str,
    },
    /// A line of blanks only.
    #[error("must have at least one visible character")]
    NothingVisible,
    /// A control character, or one that is not seen and may change how others are seen.
    #[error("must not have the invisible or control character U+{code:04X} (character {place}): leave it out")]
    Hidden {
        /// The character.
        code: u32,
        /// Its place in the text, from 1.
        place: usize,
    },
    /// A joiner or variation selector without a visible character before it.
    #[error("must have a visible character directly before U+{code:04X} (character {place})")]
    NothingToJoin {
        /// The character.
        code: u32,
        /// Its place in the text, from 1.
        place: usize,
    },
}

impl TextRule {
    /// A rule for texts of 1 to `chars_max` characters.
    #[must_use]
    pub const fn new(alphabet: Alphabet, chars_max: usize) -> Self {
        Self { alphabet, chars_max }
    }

    /// The most characters that a text may have.
    #[must_use]
    pub const fn chars_max(&self) -> usize {
        self.chars_max
    }

    /// Checks a text.
    ///
    /// # Errors
    /// [`InvalidText`].
    pub fn check(&self, text: &str) -> Result<(), InvalidText> {
        let is_of_length = (1..=self.chars_max).contains(&text.chars().count());
        let is_of_alphabet = match self.alphabet {
            Alphabet::Letters => text.bytes().all(|byte| byte.is_ascii_alphabetic()),
            Alphabet::Token => text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte)),
            Alphabet::VisibleAscii => text.bytes().all(|byte| byte.is_ascii_graphic()),
            Alphabet::Line => true,
        };
        if !is_of_length || !is_of_alphabet {
            return Err(self.not_of_form());
        }
        if self.alphabet == Alphabet::Line { check_line(text) } else { Ok(()) }
    }

    /// The error that names the rule.
    #[must_use]
    pub fn not_of_form(&self) -> InvalidText {
        let characters = match self.alphabet {
            Alphabet::Letters => "letters",
            Alphabet::Token => "letters, digits and - _ . :",
            Alphabet::VisibleAscii => "visible ASCII characters",
            Alphabet::Line => "characters in one line",
        };
        InvalidText::NotOfForm { chars_max: self.chars_max, characters }
    }

    /// The rule as a regular expression that RE2 and ECMAScript read alike: no lookaround, and characters beyond U+00FF stand for
    /// themselves, because the two have no escape for them in common.
    ///
    /// Linters and generated clients compile it without ECMAScript's flag `u`. So it has no range beyond U+FFFF, and for lines it
    /// takes a little more than the rule: any character beyond U+FFFF, and joiners and selectors anywhere.
    #[must_use]
    pub fn pattern(&self) -> String {
        let Self { alphabet, chars_max } = self;
        match alphabet {
            Alphabet::Letters => format!("^[A-Za-z]{{1,{chars_max}}}$"),
            Alphabet::Token => format!("^[A-Za-z0-9._:-]{{1,{chars_max}}}$"),
            Alphabet::VisibleAscii => format!("^[!-~]{{1,{chars_max}}}$"),
            // The length is a keyword of its own: nothing else counts characters behind a repetition.
            Alphabet::Line => {
                let refused = without(&[VISIBLE, SELECTORS, JOINERS, BLANKS]);
                let unseen = without(&[VISIBLE]);
                format!("^[^{refused}]*[^{unseen}][^{refused}]*$")
            }
        }
    }
}

type Characters = &'static [RangeInclusive<char>];

/// The characters that are seen, unassigned ones too: a new emoji is good on the day that telephones have it.
///
/// The gaps are control characters, blanks, private use, non-characters, and what the Unicode Character Database calls
/// `Default_Ignorable_Code_Point` (bidirectional controls, fillers, tags, and the codes kept free for more of the kind), with
/// U+FFF9 to U+FFFC. `tests/specification/patterns.rs` compares the tables with that database.
const VISIBLE: Characters = &[
    '!'..='~',
    '\u{a1}'..='\u{ac}',
    '\u{ae}'..='\u{34e}',
    '\u{350}'..='\u{61b}',
    '\u{61d}'..='\u{115e}',
    '\u{1161}'..='\u{167f}',
    '\u{1681}'..='\u{17b3}',
    '\u{17b6}'..='\u{180a}',
    '\u{1810}'..='\u{1ffe}',
    '\u{2010}'..='\u{2027}',
    '\u{2030}'..='\u{205e}',
    '\u{2070}'..='\u{27ff}',
    '\u{2801}'..='\u{2fff}',
    '\u{3001}'..='\u{3163}',
    '\u{3165}'..='\u{d7fb}',
    '\u{f900}'..='\u{fdcf}',
    '\u{fdf0}'..='\u{fdff}',
    '\u{fe10}'..='\u{fefc}',
    '\u{ff01}'..='\u{ff9f}',
    '\u{ffa1}'..='\u{ffee}',
    '\u{fffd}'..='\u{fffd}',
    '\u{10000}'..='\u{1342f}',
    '\u{13443}'..='\u{16fe3}',
    '\u{16fe5}'..='\u{1bc9f}',
    '\u{1bca4}'..='\u{1d158}',
    '\u{1d15a}'..='\u{1d172}',
    '\u{1d17b}'..='\u{1fffd}',
    '\u{20000}'..='\u{2fffd}',
    '\u{30000}'..='\u{3fffd}',
];

/// The characters that are typed and leave a space or nothing: spaces, the empty Braille cell, layout controls of Egyptian
/// hieroglyphs, the filler of the Khitan small script and the null note head.
const BLANKS: Characters = &[
    ' '..=' ',
    '\u{a0}'..='\u{a0}',
    '\u{1680}'..='\u{1680}',
    '\u{2000}'..='\u{200a}',
    '\u{202f}'..='\u{202f}',
    '\u{205f}'..='\u{205f}',
    '\u{2800}'..='\u{2800}',
    '\u{3000}'..='\u{3000}',
    '\u{13430}'..='\u{13442}',
    '\u{16fe4}'..='\u{16fe4}',
    '\u{1d159}'..='\u{1d159}',
];

/// The characters that choose a form of the character before: one each, or whole texts could be hidden in a row of them.
const SELECTORS: Characters =
    &['\u{180b}'..='\u{180d}', '\u{180f}'..='\u{180f}', '\u{fe00}'..='\u{fe0f}', '\u{e0100}'..='\u{e01ef}'];

/// The unseen characters that spelling needs: the Mongolian vowel separator, the zero-width space between words (Khmer, Thai),
/// and the joiners (Persian, Indic scripts, emoji). One each, for the same reason.
const JOINERS: Characters = &['\u{180e}'..='\u{180e}', '\u{200b}'..='\u{200d}'];

/// A line is blanks, then visible characters, each with at most one selector, then at most one joiner, then blanks.
fn check_line(text: &str) -> Result<(), InvalidText> {
    /// The part of a line that has just been read.
    #[derive(PartialEq, PartialOrd)]
    enum Last {
        Visible,
        Selector,
        Joiner,
        Blank,
    }
    let (mut last, mut something_visible) = (Last::Blank, false);
    for (index, character) in text.chars().enumerate() {
        let has = |characters: Characters| characters.iter().any(|range| range.contains(&character));
        let (code, place) = (u32::from(character), index + 1);
        last = if has(VISIBLE) {
            something_visible = true;
            Last::Visible
        } else if has(BLANKS) {
            Last::Blank
        } else if has(SELECTORS) && last < Last::Selector {
            Last::Selector
        } else if has(JOINERS) && last < Last::Joiner {
            Last::Joiner
        } else if has(SELECTORS) || has(JOINERS) {
            return Err(InvalidText::NothingToJoin { code, place });
        } else {
            return Err(InvalidText::Hidden { code, place });
        };
    }
    if something_visible { Ok(()) } else { Err(InvalidText::NothingVisible) }
}

/// The ranges, for a class of a regular expression, of the characters up to U+FFFD that are in none of `tables`.
fn without(tables: &[Characters]) -> String {
    let is_listed = |character: &char| tables.iter().copied().flatten().any(|range| range.contains(character));
    let mut ranges: Vec<RangeInclusive<char>> = Vec::new();
    // Without U+D7FF, which is unassigned: Rust's `regex` takes U+E000 where a negated class has ranges on both sides of the surrogates.
    let is_refused = |character: &char| *character != '\u{d7ff}' && !is_listed(character);
    for character in ('\0'..='\u{fffd}').filter(is_refused) {
        match ranges.last_mut() {
            // Surrogates are no characters, so a range ends before them.
            Some(last) if u32::from(*last.end()) + 1 == u32::from(character) => *last = *last.start()..=character,
            _ => ranges.push(character..=character),
        }
    }
    let end = |character: char| match character {
        '\0'..=' ' | '\u{7f}'..='\u{ff}' => format!(r"\x{:02x}", u32::from(character)),
        character => character.to_string(),
    };
    let range = |range: RangeInclusive<char>| match (end(*range.start()), end(*range.end())) {
        (start, end) if start == end => start,
        (start, end) => format!("{start}-{end}"),
    };
    ranges.into_iter().map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_has_no_other_characters_than_its_alphabet() {
        for (alphabet, good, bad) in [
            (Alphabet::Letters, "MoneyDeposited", "Money1"),
            (Alphabet::Token, "2026-11:a_b.c", "a/b"),
            (Alphabet::VisibleAscii, "a/b~!", "a b"),
        ] {
            let rule = TextRule::new(alphabet, 14);
            assert_eq!(rule.check(good), Ok(()));
            for bad in [bad, "", "ü", "a\n", "a\u{7f}", &"a".repeat(15)] {
                assert!(matches!(rule.check(bad), Err(InvalidText::NotOfForm { chars_max: 14, .. })), "{bad:?}");
            }
        }
    }

    #[test]
    fn a_line_says_which_character_is_wrong() {
        let said = |text: &str| TextRule::new(Alphabet::Line, 8).check(text).unwrap_err().to_string();
        assert_eq!(said("too long!"), "must be 1 to 8 characters in one line");
        assert_eq!(said(" \u{2800}"), "must have at least one visible character");
        assert_eq!(
            said("abc\u{61c}d"),
            "must not have the invisible or control character U+061C (character 4): leave it out"
        );
        assert_eq!(said("a \u{200d}b"), "must have a visible character directly before U+200D (character 3)");
    }
}
