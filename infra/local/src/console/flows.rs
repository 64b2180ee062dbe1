//! What came of each write: gathered step by step, shown as one line when the last step is done.
//!
//! Steps are put together by the keys of the written item: an event on the bus belongs to the write whose key attributes it
//! repeats. An item that carries several events numbers them from its own sort key on. An event that belongs to no write is
//! a line of its own. Promises: what is never complete is shown after a while; memory is bounded.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

/// How long a line waits for its last step.
const PATIENCE_MS: i64 = 2_000;

/// How many lines may wait. More is a load test, which nobody reads line by line.
const OPEN_FLOWS_MAX: usize = 2_000;

/// How much of a long key is shown: its end, for ids often begin with the time.
const KEY_CHARACTERS: usize = 8;

/// A write that a stream tells of.
pub struct Appended {
    /// The stream record.
    pub keys: Value,
    pub image: Value,
    pub event_name: String,
    pub table: String,
    pub written_at_ms: i64,
}

/// An event on the bus.
pub struct Published {
    pub detail_type: String,
    pub detail: Value,
    pub at_ms: i64,
    /// Ids of deliveries, and the functions they are for.
    pub deliveries: Vec<(i64, String)>,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Waiting,
    Delivered,
    Failed,
}

/// A write and what came of it.
#[derive(Debug, Clone)]
pub struct Flow {
    types: Vec<String>,
    keys: String,
    began_at_ms: i64,
    /// How many events are to be published.
    expected: usize,
    published_at_ms: Vec<i64>,
    steps: Vec<(i64, String, Step, i64)>,
    index: Vec<Vec<String>>,
}

impl Flow {
    /// What was written.
    pub fn what(&self) -> String {
        self.types.join(", ")
    }

    /// The item's keys.
    pub fn keys(&self) -> &str {
        &self.keys
    }

    /// Each step with its time since the write, or with the state that it is in.
    pub fn steps(&self) -> impl Iterator<Item = (&str, Result<i64, &'static str>)> {
        let published = match self.published_at_ms.iter().max() {
            Some(at_ms) if self.published_at_ms.len() >= self.expected => Ok(at_ms - self.began_at_ms),
            _ => Err("not yet"),
        };
        // An event that nobody wrote first begins with its publication.
        let nobody = (self.expected == 0 && self.steps.is_empty()).then_some(("no rule", Err("takes it")));
        let published = (self.expected > 0).then_some(("published", published));
        let deliveries = self.steps.iter().map(|(_, function, step, at_ms)| match step {
            Step::Delivered => (function.as_str(), Ok(at_ms - self.began_at_ms)),
            Step::Failed => (function.as_str(), Err("failed")),
            Step::Waiting => (function.as_str(), Err("not yet")),
        });
        nobody.into_iter().chain(published).chain(deliveries)
    }

    fn is_complete(&self) -> bool {
        self.published_at_ms.len() >= self.expected && self.steps.iter().all(|(_, _, step, _)| *step != Step::Waiting)
    }
}

/// All lines that wait.
#[derive(Default)]
pub struct Flows {
    open: BTreeMap<u64, Flow>,
    next: u64,
    /// The sets of key attributes seen so far; one for each table.
    key_names: BTreeSet<Vec<String>>,
    /// By the values of the key attributes.
    by_keys: HashMap<Vec<String>, u64>,
    by_delivery: HashMap<i64, u64>,
    /// Deliveries whose line was shown without them.
    late: BTreeSet<i64>,
}

impl Flows {
    /// A write begins a line. One that is told again, because its batch is tried again, does not begin another.
    pub fn appended(&mut self, appended: Appended) {
        let Some(keys) = appended.keys.as_object() else { return };
        let values: Vec<String> = keys.values().map(plain).collect();
        if self.open.len() >= OPEN_FLOWS_MAX || self.by_keys.contains_key(&values) {
            return;
        }
        let types = event_types(&appended.image);
        let expected = types.len().max(1);
        let index =
            (0..expected).map(|offset| keys.values().map(|value| plain(&shifted(value, offset))).collect()).collect();
        self.key_names.insert(keys.keys().cloned().collect());
        let (verb, table) = (appended.event_name.to_lowercase(), appended.table);
        self.begin(Flow {
            types: if types.is_empty() { vec![format!("{verb} in {table}")] } else { types },
            keys: values.iter().map(|value| shortened(value)).collect::<Vec<_>>().join(" "),
            began_at_ms: appended.written_at_ms,
            expected,
            published_at_ms: Vec::new(),
            steps: Vec::new(),
            index,
        });
    }

    /// An event adds its deliveries to its line, or begins one.
    pub fn published(&mut self, published: Published) -> Option<Flow> {
        let values = |names: &Vec<String>| names.iter().map(|name| Some(plain(published.detail.get(name)?))).collect();
        let known =
            self.key_names.iter().filter_map(values).find_map(|values: Vec<String>| self.by_keys.get(&values).copied());
        let id = match known {
            Some(id) => id,
            None if self.open.len() >= OPEN_FLOWS_MAX => return None,
            None => self.begin(Flow {
                types: vec![published.detail_type],
                keys: String::new(),
                began_at_ms: published.at_ms,
                expected: 0,
                published_at_ms: Vec::new(),
                steps: Vec::new(),
                index: Vec::new(),
            }),
        };
        let flow = self.open.get_mut(&id)?;
        flow.published_at_ms.push(published.at_ms);
        for (delivery, function) in published.deliveries {
            flow.steps.push((delivery, function, Step::Waiting, 0));
            self.by_delivery.insert(delivery, id);
        }
        self.end_if_complete(id)
    }

    /// A delivery came to an end, for now. Returns the line that is complete with it.
    pub fn step(&mut self, delivery: i64, step: Step, at_ms: i64) -> Option<Flow> {
        let id = self.by_delivery.remove(&delivery)?;
        let flow = self.open.get_mut(&id)?;
        if let Some(found) = flow.steps.iter_mut().find(|(found, ..)| *found == delivery) {
            (found.2, found.3) = (step, at_ms);
        }
        self.end_if_complete(id)
    }

    /// Whether the delivery's line was shown without it; true only once.
    pub fn was_late(&mut self, delivery: i64) -> bool {
        self.late.remove(&delivery)
    }

    /// Ends the lines that have waited too long.
    pub fn overdue(&mut self, now_ms: i64) -> Vec<Flow> {
        let is_overdue = |flow: &Flow| {
            now_ms - flow.began_at_ms.max(flow.published_at_ms.first().copied().unwrap_or(0)) > PATIENCE_MS
        };
        let overdue: Vec<u64> = self.open.iter().filter(|(_, flow)| is_overdue(flow)).map(|(id, _)| *id).collect();
        overdue.into_iter().filter_map(|id| self.end(id)).collect()
    }

    fn begin(&mut self, flow: Flow) -> u64 {
        self.next += 1;
        self.by_keys.extend(flow.index.iter().map(|keys| (keys.clone(), self.next)));
        self.open.insert(self.next, flow);
        self.next
    }

    fn end_if_complete(&mut self, id: u64) -> Option<Flow> {
        if self.open.get(&id)?.is_complete() { self.end(id) } else { None }
    }

    fn end(&mut self, id: u64) -> Option<Flow> {
        let flow = self.open.remove(&id)?;
        for keys in &flow.index {
            self.by_keys.remove(keys);
        }
        for (delivery, ..) in &flow.steps {
            if self.by_delivery.remove(delivery).is_some() {
                self.late.insert(*delivery);
            }
        }
        Some(flow)
    }
}

/// The types of the events that an item carries, where it has a list of `events` with an `event_type` each.
fn event_types(image: &Value) -> Vec<String> {
    let events = image.pointer("/events/L").and_then(Value::as_array);
    let event_type = |event: &Value| Some(event.pointer("/M/event_type/S")?.as_str()?.to_owned());
    events.into_iter().flatten().filter_map(event_type).collect()
}

/// An attribute value as text, whether DynamoDB wrote it (`{"S": "a"}`) or not.
fn plain(value: &Value) -> String {
    match value {
        Value::Object(typed) => typed.values().next().map(plain).unwrap_or_default(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A number moved on; anything else as it is.
fn shifted(value: &Value, offset: usize) -> Value {
    let number = value.get("N").and_then(Value::as_str).and_then(|text| text.parse::<u64>().ok());
    match number {
        Some(number) => Value::from(number + offset as u64),
        None => value.clone(),
    }
}

fn shortened(key: &str) -> String {
    let characters = key.chars().count();
    match characters.checked_sub(KEY_CHARACTERS) {
        None | Some(0) => key.to_owned(),
        Some(skipped) => format!("…{}", key.chars().skip(skipped).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn appended(version: u64, types: &[&str]) -> Appended {
        let events: Vec<Value> = types.iter().map(|name| json!({ "M": { "event_type": { "S": name } } })).collect();
        Appended {
            keys: json!({ "id": { "S": "0199-aaaa-12345678" }, "version": { "N": version.to_string() } }),
            image: json!({ "events": { "L": events } }),
            event_name: "INSERT".to_owned(),
            table: "things".to_owned(),
            written_at_ms: 1_000,
        }
    }

    fn published(version: u64, deliveries: &[i64]) -> Published {
        Published {
            detail_type: "Seen".to_owned(),
            detail: json!({ "id": "0199-aaaa-12345678", "version": version, "more": true }),
            at_ms: 1_009,
            deliveries: deliveries.iter().map(|id| (*id, format!("function-{id}"))).collect(),
        }
    }

    #[test]
    fn a_line_is_complete_with_its_last_delivery() {
        let mut flows = Flows::default();
        flows.appended(appended(1, &["Made", "Painted"]));
        assert!(flows.published(published(1, &[1, 2])).is_none());
        assert!(flows.published(published(2, &[3])).is_none());
        assert!(flows.step(1, Step::Delivered, 1_012).is_none());
        assert!(flows.step(3, Step::Failed, 1_013).is_none());
        let flow = flows.step(2, Step::Delivered, 1_012).unwrap();
        assert_eq!((flow.what().as_str(), flow.keys()), ("Made, Painted", "…12345678 1"));
        let expected =
            [("published", Ok(9)), ("function-1", Ok(12)), ("function-2", Ok(12)), ("function-3", Err("failed"))];
        assert_eq!(flow.steps().collect::<Vec<_>>(), expected);
        assert!(flows.open.is_empty() && flows.by_keys.is_empty() && flows.by_delivery.is_empty());
    }

    #[test]
    fn an_event_without_a_write_is_a_line_of_its_own() {
        let mut flows = Flows::default();
        flows.appended(appended(1, &["Made"]));
        assert!(flows.published(published(7, &[1])).is_none());
        assert_eq!(flows.step(1, Step::Delivered, 1_012).unwrap().what(), "Seen");
        assert_eq!(flows.open.len(), 1);
    }

    #[test]
    fn a_delivery_that_its_line_did_not_wait_for_is_late() {
        let mut flows = Flows::default();
        flows.appended(appended(1, &["Made"]));
        assert!(flows.published(published(1, &[1, 2])).is_none());
        assert!(flows.step(1, Step::Delivered, 1_012).is_none());
        assert_eq!(flows.overdue(9_000).len(), 1);
        assert!(flows.step(2, Step::Delivered, 9_001).is_none());
        assert_eq!((flows.was_late(1), flows.was_late(2), flows.was_late(2)), (false, true, false));
    }

    #[test]
    fn what_is_never_complete_is_shown_after_a_while() {
        let mut flows = Flows::default();
        flows.appended(appended(1, &[]));
        flows.appended(appended(1, &[]));
        assert!(flows.overdue(2_900).is_empty());
        let overdue = flows.overdue(3_100);
        assert_eq!(overdue.len(), 1);
        assert_eq!(overdue[0].what(), "insert in things");
        assert_eq!(overdue[0].steps().collect::<Vec<_>>(), [("published", Err("not yet"))]);
    }
}
