//! Text from outside, made harmless for a terminal.
//!
//! A terminal takes commands from the text that it shows: they change its title, clear it, hide or reorder what stands in it.
//! Everything that the local cloud and `daybook` print goes through here.

use std::{borrow::Cow, fmt::Write as _};

/// The text in one line, with an escape (`\u001b`) for each character that a terminal obeys or that changes how others look.
/// The escapes are JSON's, so a line of JSON keeps its meaning.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, &[])
}

/// The same for a text of several lines.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, &['\n'])
}

fn escaped<'a>(text: &'a str, kept: &[char]) -> Cow<'a, str> {
    let is_harmful = |character: char| is_harmful(character) && !kept.contains(&character);
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if is_harmful(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string never fails.
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// Controls of both sets (ISO 6429), and what reorders, hides or separates text: bidirectional marks, overrides and isolates,
/// separators, fillers without a width, and tags. Joiners stay, for scripts and emoji need them.
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_a_terminal_only_shows_stays_as_it_is() {
        for text in ["", "GET /accounts 200", "\"a\\b\" 'c'", "Grüße, 世界, سلام, می\u{200c}خواهم", "👩\u{200d}👧 €"]
        {
            assert!(matches!(line(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn no_control_and_no_override_reaches_a_terminal() {
        assert_eq!(line("\x1b]0;title\x07\x1b[2J"), "\\u001b]0;title\\u0007\\u001b[2J");
        assert_eq!(line("a\u{9b}31mb\u{202e}c\u{2066}"), "a\\u009b31mb\\u202ec\\u2066");
        assert_eq!(line("one\r\ntwo\tthree\x7f"), "one\\u000d\\u000atwo\\u0009three\\u007f");
        assert_eq!(lines("one\ntwo\r"), "one\ntwo\\u000d");
        let all: String = (0..=0x10_ffff_u32).filter_map(char::from_u32).collect();
        let safe = line(&all);
        assert!(!safe.contains(is_harmful));
        assert_eq!(line(&safe), safe);
    }

    #[test]
    fn an_escape_means_the_same_in_json() {
        let text = "\"\u{9b}\u{202e}\u{e0041}\"";
        assert_eq!(line(text), r#""\u009b\u202e\udb40\udc41""#);
    }
}
