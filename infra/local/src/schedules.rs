//! Schedules: functions that are invoked again and again.
//!
//! Promises: each invocation is a delivery like any other, tried again and parked as the function's template says; one that
//! is due while the local cloud does not run is left out.

use std::sync::Arc;

use tokio::time::{Instant, interval_at};

use crate::{
    bus::Entry,
    console::Console,
    deliveries::Deliveries,
    durable::{Delivery, Durable},
    template::Schedule,
};

/// Invokes the function of `schedule` for ever.
pub async fn run(schedule: Schedule, durable: Arc<Durable>, deliveries: Arc<Deliveries>, console: Arc<Console>) {
    let mut due = interval_at(Instant::now() + schedule.every, schedule.every);
    loop {
        due.tick().await;
        let Ok(event) = tick().into_event() else { continue };
        let Schedule { name, function, .. } = &schedule;
        let delivery = Delivery {
            function: function.clone(),
            detail_type: event.detail_type,
            event: event.json.to_string(),
            failures: 0,
        };
        match durable.accept(&[delivery], &[]) {
            Ok(ids) => ids.into_iter().for_each(|id| deliveries.begin(id)),
            Err(problem) => console.notice(&format!("the schedule {name} is left out once: {problem}")),
        }
    }
}

/// What a scheduled rule sends (EventBridge user guide, "Creating a rule that runs on a schedule").
fn tick() -> Entry {
    let text = |text: &str| Some(text.to_owned());
    Entry { source: text("aws.events"), detail_type: text("Scheduled Event"), detail: text("{}"), ..Entry::default() }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_tick_is_an_event_as_a_scheduled_rule_sends_it() {
        let event = super::tick().into_event().unwrap().json;
        assert_eq!((&event["source"], &event["detail-type"]), (&"aws.events".into(), &"Scheduled Event".into()));
    }
}
