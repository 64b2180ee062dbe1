//! What functions write to their standard output and standard error, line by line.
//!
//! Promises: every line is in the function's log file, where there is a data folder, and every line reaches whoever watches,
//! with the level that the function gave it.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use crate::data::open_private;

/// A log file longer than this begins anew at the next start.
const LOG_FILE_BYTES_MAX: u64 = 10 * 1024 * 1024;

/// How many lines a process's last words may have: a panic has two or three.
const LAST_LINES: usize = 3;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Info,
    Warn,
    Error,
}

/// A line of a function, readable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub level: Level,
    pub text: String,
}

/// Who is told of every line: the function's name and the line.
pub type Watcher = Arc<dyn Fn(&str, LogLine) + Send + Sync>;

/// Where the lines of one function go. Clones lead to the same place.
#[derive(Clone)]
pub struct LogSink {
    function: String,
    file: Option<Arc<Mutex<File>>>,
    watcher: Watcher,
}

impl LogSink {
    /// A sink that writes to `path`, where there is one, and tells `watcher`.
    pub fn open(function: &str, path: Option<&Path>, watcher: Watcher) -> io::Result<Self> {
        let file = path.map(open).transpose()?.map(|file| Arc::new(Mutex::new(file)));
        Ok(Self { function: function.to_owned(), file, watcher })
    }

    /// Takes in the lines of `stream` until it ends, and then tells the last ones. A line that is not JSON counts as `plain`.
    pub async fn drain(self, stream: impl AsyncRead + Unpin, plain: Level) -> Vec<String> {
        let mut lines = BufReader::new(stream).split(b'\n');
        let mut last_words = VecDeque::new();
        // A stream that cannot be read has ended for us as well.
        while let Ok(Some(line)) = lines.next_segment().await {
            if let Some(file) = &self.file {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                // A full disk must not stop the function; the line still reaches the watcher.
                let _ = file.write_all(&[line.as_slice(), b"\n"].concat());
            }
            let line = String::from_utf8_lossy(&line);
            if !line.trim().is_empty() {
                let line = readable(line.trim_end(), plain);
                last_words.truncate(LAST_LINES - 1);
                last_words.push_front(line.text.clone());
                (self.watcher)(&self.function, line);
            }
        }
        last_words.into_iter().rev().collect()
    }
}

fn open(path: &Path) -> io::Result<File> {
    let too_long = path.metadata().is_ok_and(|metadata| metadata.len() > LOG_FILE_BYTES_MAX);
    let file = open_private(path)?;
    if too_long {
        file.set_len(0)?;
    }
    Ok(file)
}

/// A JSON line as `message  key=value ...`; what a reader of one terminal knows anyway is left out.
fn readable(line: &str, plain: Level) -> LogLine {
    const LEFT_OUT: [&str; 6] = ["timestamp", "level", "target", "requestId", "xrayTraceId", "message"];
    let Ok(Value::Object(object)) = serde_json::from_str::<Value>(line) else {
        return LogLine { level: plain, text: line.to_owned() };
    };
    let text_of = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let level = match object.get("level").map(text_of).unwrap_or_default().to_uppercase().as_str() {
        "ERROR" | "FATAL" => Level::Error,
        "WARN" | "WARNING" => Level::Warn,
        _ => Level::Info,
    };
    let mut text = object.get("message").map(text_of).unwrap_or_default();
    for (key, value) in object.iter().filter(|(key, value)| !LEFT_OUT.contains(&key.as_str()) && !value.is_object()) {
        text.extend([format!("  {key}={}", text_of(value))]);
    }
    LogLine { level, text: text.trim_start().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_line_becomes_readable() {
        let line =
            r#"{"timestamp":"2026-01-01T00:00:00Z","level":"WARN","message":"slow","ms":12,"span":{"name":"x"}}"#;
        assert_eq!(readable(line, Level::Info), LogLine { level: Level::Warn, text: "slow  ms=12".to_owned() });
    }

    #[test]
    fn any_other_line_stays_as_it_is() {
        let expected = LogLine { level: Level::Error, text: "thread panicked".to_owned() };
        assert_eq!(readable("thread panicked", Level::Error), expected);
    }

    #[tokio::test]
    async fn every_line_is_in_the_file_and_reaches_the_watcher() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.log");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let watcher = {
            let seen = Arc::clone(&seen);
            Arc::new(move |function: &str, line: LogLine| {
                seen.lock().unwrap().push(format!("{function}: {}", line.text));
            })
        };
        let sink = LogSink::open("f", Some(&path), watcher).unwrap();
        sink.drain(&b"one\n{\"message\":\"two\"}\nlast"[..], Level::Info).await;
        assert_eq!(*seen.lock().unwrap(), ["f: one", "f: two", "f: last"]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n{\"message\":\"two\"}\nlast\n");
    }
}
