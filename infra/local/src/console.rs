//! What a person sees.
//!
//! Promises: one line for a request and one for what came of it, in columns, with durations; failures as they happen and in
//! red; colours only where a terminal shows them. Never shows a body, a payload or a key; never lets text from outside command
//! the terminal. Writing that fails, for the terminal has gone, is no reason to stop.

mod flows;
mod line;
mod start;

use std::{
    fmt::Display,
    io::{Stdout, Write, stdout},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
pub use flows::{Appended, Published};
use flows::{Flow, Flows, Step};
use jiff::ZonedDateTime;
use line::Line;
pub use start::{Progress, Screen};

use crate::lambda::{FunctionError, Level, LogLine};

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default();

/// As wide as most paths with one id in them.
const PATH_COLUMNS: usize = 60;

/// The terminal.
pub struct Console {
    verbose: bool,
    /// Knows whether it is a terminal, and whether colours are wanted.
    output: Mutex<AutoStream<Stdout>>,
    flows: Mutex<Flows>,
}

/// A request that was answered.
pub struct Served {
    pub method: String,
    pub path: String,
    pub status: u16,
    pub took: Duration,
    pub function: Option<String>,
}

impl Console {
    /// A console that shows everything that functions log, or only their warnings and errors.
    pub fn new(verbose: bool) -> Self {
        Self { verbose, output: Mutex::new(AutoStream::auto(stdout())), flows: Mutex::default() }
    }

    /// A request was answered.
    pub fn served(&self, served: &Served) {
        let Served { method, path, status, took, function } = served;
        let colour = match status {
            500.. => RED,
            400.. => YELLOW,
            _ => GREEN,
        };
        let function = function.as_deref().unwrap_or("no route");
        let took = milliseconds(took.as_millis());
        let line = event().text(format!("{method:<6} {path:<PATH_COLUMNS$} ")).styled(colour, status);
        self.line(&line.text(format!(" {took:>8}  ")).styled(DIM, function));
    }

    /// A stream has something new, which is about to go to a function.
    pub fn appended(&self, appended: Appended) {
        self.flows().appended(appended);
    }

    /// An event is on a bus, with its deliveries.
    pub fn published(&self, published: Published) {
        let complete = self.flows().published(published);
        self.show(complete.as_slice());
    }

    /// A function took an event.
    pub fn delivered(&self, delivery: i64, function: &str, what: &str, attempts: u32) {
        let complete = self.flows().step(delivery, Step::Delivered, now_ms());
        self.show(complete.as_slice());
        // What an earlier run left was told of as a whole.
        if self.flows().was_late(delivery) || attempts > 1 {
            let line = event().text("  ").styled(GREEN, format!("{function} took {what}"));
            self.line(&line.text(" ").styled(DIM, format!("at attempt {attempts}")));
        }
    }

    /// A function failed on an event and gets it again.
    pub fn delivery_failed(&self, delivery: i64, function: &str, what: &str, error: &FunctionError, wait: Duration) {
        self.end_step(delivery);
        self.failed_for_now(&format!("{function} failed on {what}"), wait, error);
    }

    /// A function failed on an event for the last time.
    pub fn delivery_given_up(&self, delivery: i64) {
        self.end_step(delivery);
    }

    /// An invocation failed, and nobody will repeat it.
    pub fn function_failed(&self, function: &str, error: &FunctionError) {
        self.line(&event().styled(RED, format!("{function} failed:")).text(format!(" {error}")));
    }

    /// A batch of stream records failed and is tried again.
    pub fn batch_failed(&self, function: &str, records: usize, reason: &str, wait: Duration) {
        let records = counted(records, "record");
        self.failed_for_now(&format!("{function} failed on {records}"), wait, reason);
    }

    /// Something was given up. Without a queue it is gone.
    pub fn dead_letter(&self, queue: Option<&str>, what: &str, reason: &str) {
        let place =
            queue.map_or("dropped, for there is no queue for it".to_owned(), |queue| format!("dead letter in {queue}"));
        self.line(&event().text("  ").styled(RED, format!("{place}: {what}:")).text(format!(" {reason}")));
    }

    /// A rule sent a message to a queue.
    pub fn queued(&self, queue: &str, rule: &str, what: &str) {
        self.line(&event().text("  ").styled(RED, format!("in {queue}: {what}")).text(format!(" by {rule}")));
    }

    /// Something about the local cloud itself.
    pub fn notice(&self, text: &str) {
        self.line(&event().styled(YELLOW, text));
    }

    /// A function wrote a line.
    pub fn logged(&self, function: &str, line: &LogLine) {
        let style = match line.level {
            Level::Error => RED,
            Level::Warn => YELLOW,
            Level::Info if self.verbose => DIM,
            Level::Info => return,
        };
        self.line(&event().text("  ").styled(style, format!("{function} says:")).text(format!(" {}", line.text)));
    }

    /// Shows what has waited too long for its last step.
    pub fn sweep(&self) {
        let overdue = self.flows().overdue(now_ms());
        self.show(&overdue);
    }

    fn end_step(&self, delivery: i64) {
        let complete = self.flows().step(delivery, Step::Failed, now_ms());
        self.show(complete.as_slice());
    }

    fn show(&self, flows: &[Flow]) {
        for flow in flows {
            self.show_one(flow);
        }
    }

    fn show_one(&self, flow: &Flow) {
        let mut line = event().text("  ").styled(BOLD, flow.what());
        if !flow.keys().is_empty() {
            line = line.text("  ").styled(DIM, flow.keys());
        }
        for (step, state) in flow.steps() {
            line = line.text("  ");
            line = match state {
                Ok(took_ms) => line.text(format!("{step} {}", milliseconds(took_ms))),
                Err(state) => line.styled(YELLOW, format!("{step} {state}")),
            };
        }
        self.line(&line);
    }

    fn failed_for_now(&self, what: &str, wait: Duration, reason: impl Display) {
        let what = format!("{what}, again in {}:", seconds(wait));
        self.line(&event().text("  ").styled(YELLOW, what).text(format!(" {reason}")));
    }

    /// One line. Nobody may be there to read it.
    fn line(&self, line: &Line) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(output, "{}", line.as_str()).and_then(|()| output.flush());
    }

    fn flows(&self) -> MutexGuard<'_, Flows> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The beginning of a line that tells of something now: the time of day.
fn event() -> Line {
    let time = ZonedDateTime::now().strftime("%H:%M:%S.%3f").to_string();
    Line::default().styled(DIM, time).text("  ")
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A number of things in words.
pub fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn milliseconds(value: impl Display) -> String {
    format!("{value} ms")
}

fn seconds(value: Duration) -> String {
    format!("{} s", value.as_secs_f64())
}
