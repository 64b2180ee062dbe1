//! The program's printing. `println!` panics where the reader of a pipe has gone or a disk is full; here that is an error. Text from
//! outside is escaped, so that it does not command the terminal.

use std::io::{self, Write};

/// The answer cannot be written where it goes.
#[derive(Debug, thiserror::Error)]
#[error("the answer cannot be written")]
pub struct Unwritten(#[from] io::Error);

impl Unwritten {
    /// Whether whoever read the answer has had enough, as `head` does.
    pub fn is_closed_pipe(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

/// Writes one line of the answer to the standard output.
pub fn line(text: &str) -> Result<(), Unwritten> {
    let mut output = io::stdout().lock();
    writeln!(output, "{}", terminal::lines(text))?;
    Ok(output.flush()?)
}

/// Tells something beside the answer on the standard error, where nobody may be left to read it.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{}", terminal::lines(text));
}
