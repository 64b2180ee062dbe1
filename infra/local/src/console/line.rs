//! A line on the terminal.

use std::fmt::Display;

use anstyle::Style;

/// A line in parts. Styles are ours alone: no text that a part shows can be one, or anything else that a terminal obeys.
#[derive(Debug, Default)]
pub struct Line(String);

impl Line {
    /// Adds text.
    pub fn text(mut self, text: impl Display) -> Self {
        self.0.push_str(&terminal::line(&text.to_string()));
        self
    }

    /// Adds text in a style.
    pub fn styled(mut self, style: Style, text: impl Display) -> Self {
        self.0.push_str(&style.render().to_string());
        self = self.text(text);
        self.0.push_str(&style.render_reset().to_string());
        self
    }

    /// The line as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::*;

    #[test]
    fn styles_are_ours_alone() {
        let red = AnsiColor::Red.on_default();
        let line = Line::default().text("\x1b[31mtext").styled(red, "\x1b[2J");
        assert_eq!(line.as_str(), "\\u001b[31mtext\x1b[31m\\u001b[2J\x1b[0m");
    }
}
