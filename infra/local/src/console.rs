//! What a person sees: one screen at the start, then one readable line for every command, with everything that it led to.
//!
//! A line is printed when the last function has the last of the command's events, or after a while without. Never shows a
//! body, a header or a token.

use crate::gateway::LOCAL_USER;
use crate::template::Template;
use anstyle::{AnsiColor, Style};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
/// How long a command's line waits for what the command leads to.
const LINE_WAIT: Duration = Duration::from_secs(2);

/// The terminal.
pub struct Console {
    verbose: bool,
    commands: Mutex<BTreeMap<String, Command>>,
}

/// A command that has been answered, and what has become of it so far. Times are since the request came in.
struct Command {
    began: Instant,
    line: String,
    outcome: String,
    /// Events recorded, less the ones that every function has.
    published: usize,
    waiting: BTreeMap<String, usize>,
}

impl Console {
    #[must_use]
    pub fn new(verbose: bool) -> Self {
        Self { verbose, commands: Mutex::default() }
    }

    fn commands(&self) -> MutexGuard<'_, BTreeMap<String, Command>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A step of the start or the end.
    pub fn say(&self, text: &str) {
        anstream::eprintln!("{DIM}{text}{DIM:#}");
    }

    /// Something that should not be.
    pub fn trouble(&self, text: &str) {
        anstream::println!("{} {BAD}trouble{BAD:#}  {text}", clock());
    }

    /// A message that was put into a queue.
    pub fn parked(&self, queue: &str, why: &str) {
        anstream::println!("{} {BAD}dead letter{BAD:#} in {queue}: {why}", clock());
    }

    /// A function failed on an event, and will be tried again.
    pub fn failed(&self, function: &str, event: &Value, why: &str, attempts: u32) {
        self.trouble(&format!(
            "{function} failed on {} (attempt {attempts}, will be tried again): {why}",
            label(event)
        ));
    }

    /// A line of a function's log.
    pub fn logged(&self, function: &str, line: &str, json: &Value) {
        let level = json["level"].as_str().unwrap_or_default();
        if self.verbose {
            anstream::println!("{} {DIM}{function}{DIM:#}  {line}", clock());
        } else if level == "WARN" || level == "ERROR" || json.is_null() {
            let message = json["message"].as_str().unwrap_or(line);
            let error = json["error"].as_str().map(|error| format!(": {error}")).unwrap_or_default();
            anstream::println!("{} {BAD}{function}{BAD:#}  {message}{error}", clock());
        }
    }

    /// A request was answered.
    pub fn answered(&self, method: &str, path: &str, status: u16, took: Duration, correlation_id: &str) {
        let colour = if status < 400 { GOOD } else { BAD };
        let line = format!("{} {BOLD}{method:<4} {path}{BOLD:#} {colour}{status}{colour:#} {}", clock(), ms(took));
        if method == "GET" || status >= 400 || correlation_id.is_empty() {
            anstream::println!("{line}");
            return;
        }
        let mut commands = self.commands();
        let began = Instant::now().checked_sub(took).unwrap_or_else(Instant::now);
        let command = commands.entry(correlation_id.to_owned()).or_insert_with(|| Command::new(began));
        command.line = line;
        command.began = began;
        finish(&mut commands, correlation_id);
    }

    /// A record came out of a stream.
    pub fn appended(&self, record: &Value, written_at_ms: Option<i64>) {
        let image = &record["dynamodb"]["NewImage"];
        let Some(correlation_id) = image.pointer("/metadata/M/correlation_id/S").and_then(Value::as_str) else {
            return;
        };
        let mut commands = self.commands();
        let command = commands.entry(correlation_id.to_owned()).or_insert_with(|| Command::new(Instant::now()));
        let none = Vec::new();
        let events = image.pointer("/events/L").and_then(Value::as_array).unwrap_or(&none);
        let version = image.pointer("/version/N").and_then(Value::as_str).unwrap_or_default();
        let types: Vec<&str> = events.iter().filter_map(|event| event.pointer("/M/event_type/S")?.as_str()).collect();
        let after = written_at_ms.map_or(Duration::ZERO, |written| {
            let since = u64::try_from(jiff::Timestamp::now().as_millisecond() - written).unwrap_or(0);
            command.began.elapsed().saturating_sub(Duration::from_millis(since))
        });
        let _ = write!(command.outcome, " {DIM}->{DIM:#} v{version} {} appended {}", types.join(", "), ms(after));
        drop(commands);
    }

    /// An event was accepted by a bus.
    pub fn published(&self, event: &Value) {
        let mut commands = self.commands();
        if let Some(command) = correlation(event).and_then(|id| commands.get_mut(id)) {
            command.published += 1;
            let took = ms(command.began.elapsed());
            let _ = write!(command.outcome, ", published {took}");
        }
    }

    /// A function took an event.
    pub fn delivered(&self, function: &str, event: &Value) {
        let Some(correlation_id) = correlation(event) else { return };
        let mut commands = self.commands();
        if let Some(command) = commands.get_mut(correlation_id) {
            *command.waiting.entry(function.to_owned()).or_default() += 1;
            let took = ms(command.began.elapsed());
            let _ = write!(command.outcome, ", {function} {took}");
        }
        finish(&mut commands, correlation_id);
    }

    /// The first screen, and the line that says that everything runs.
    pub fn start_screen(&self, template: &Template, url: &str, engine_url: &str, data: &str, took: Duration) {
        let mut screen = format!("\n{BOLD}Everything in the template runs on this machine.{BOLD:#}\n\n");
        let _ = writeln!(screen, "  API        {url}");
        for route in &template.routes {
            let _ =
                writeln!(screen, "             {DIM}{:<6} {:<32} {}{DIM:#}", route.method, route.path, route.function);
        }
        let _ =
            writeln!(screen, "  DynamoDB   {engine_url}   {DIM}aws dynamodb --endpoint-url {engine_url} ...{DIM:#}");
        let _ = writeln!(screen, "  data       {data}");
        if template.authorizer.is_some() {
            let _ = writeln!(
                screen,
                "  user       {LOCAL_USER}   {DIM}every request is taken for this user's; tokens are not verified yet{DIM:#}"
            );
        }
        let example = template.routes.iter().find(|route| route.method == "POST" && !route.path.contains('{'));
        if let Some(route) = example {
            let body = route.example.as_ref().map_or_else(|| "{}".to_owned(), ToString::to_string);
            let _ = writeln!(
                screen,
                "\n  Try:  curl -i {url}{} -H 'content-type: application/json' -d '{body}'",
                route.path
            );
        }
        let _ = writeln!(screen, "\n  {DIM}ready after {}; Ctrl-C stops everything{DIM:#}", ms(took));
        anstream::println!("{screen}");
        anstream::println!("ready {url}");
    }
}

impl Command {
    fn new(began: Instant) -> Self {
        Self { began, line: String::new(), outcome: String::new(), published: 0, waiting: BTreeMap::new() }
    }

    /// Every function that takes such events has as many as were published. Before the first is taken nothing is known.
    fn is_complete(&self) -> bool {
        self.published > 0 && !self.waiting.is_empty() && self.waiting.values().all(|taken| *taken >= self.published)
    }
}

/// Prints the command's line when it is complete, and every line that has waited long enough.
fn finish(commands: &mut BTreeMap<String, Command>, correlation_id: &str) {
    commands.retain(|id, command| {
        let late = command.began.elapsed() > LINE_WAIT;
        let done = late || (id == correlation_id && command.waiting.len() > 1 && command.is_complete());
        if done && !command.line.is_empty() {
            anstream::println!("{}{}", command.line, command.outcome);
        }
        !(done && (late || !command.line.is_empty()))
    });
}

fn correlation(event: &Value) -> Option<&str> {
    event.pointer("/detail/metadata/correlation_id").and_then(Value::as_str)
}

fn label(event: &Value) -> String {
    let detail = &event["detail"];
    let of = |name: &str| detail[name].as_str().unwrap_or("?").to_owned();
    format!("{} v{} of {}", event["detail-type"].as_str().unwrap_or("?"), detail["version"], of("aggregate_id"))
}

fn ms(duration: Duration) -> String {
    format!("{:.0} ms", duration.as_secs_f64() * 1000.0)
}

fn clock() -> String {
    jiff::Timestamp::now().strftime("%H:%M:%S%.3fZ").to_string()
}
