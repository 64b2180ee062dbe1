//! What follows a batch of stream records that failed, wholly or from some record on. No I/O, no time.
//!
//! As Lambda's guide has it: a function's error halves the batch, where the mapping bisects, without counting as a retry; a
//! reported record is where the batch is cut; what cannot be cut any more is retried up to the limit and then given up.
//! Promises: records are handed over in order; the parts get smaller or their failures more, so with a limit it ends.

use serde_json::Value;

use crate::template::BatchRetry;

/// Records of a batch, by their places, that go to the function together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub from: usize,
    /// The place after the last one.
    pub to: usize,
    /// How often just these have failed.
    pub failures: u64,
}

/// How an invocation with a part ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    /// The records before this place are done.
    FailedFrom(usize),
    Failed,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Records before this place are done, and the stream is never read before it again.
    pub done_to: usize,
    /// To be tried, in this order.
    pub retry: Vec<Part>,
    /// To be given up.
    pub give_up: Option<Part>,
}

/// What follows `outcome` of `part`.
pub fn plan(part: Part, outcome: Outcome, retry: &BatchRetry) -> Plan {
    let Part { from, to, failures } = part;
    match outcome {
        Outcome::Succeeded => Plan { done_to: to, retry: Vec::new(), give_up: None },
        Outcome::FailedFrom(place) if place > from && retry.bisects => {
            Plan { done_to: place, retry: vec![Part { from: place, to, failures }], give_up: None }
        }
        Outcome::FailedFrom(_) | Outcome::Failed if retry.bisects && to - from > 1 => {
            let middle = from + (to - from) / 2;
            let halves = vec![Part { from, to: middle, failures }, Part { from: middle, to, failures }];
            Plan { done_to: from, retry: halves, give_up: None }
        }
        Outcome::FailedFrom(_) | Outcome::Failed => {
            let done_to = if let Outcome::FailedFrom(place) = outcome { place.max(from) } else { from };
            let rest = Part { from: done_to, to, failures: failures + 1 };
            if retry.retries.is_exceeded_by(rest.failures) {
                Plan { done_to, retry: Vec::new(), give_up: Some(rest) }
            } else {
                Plan { done_to, retry: vec![rest], give_up: None }
            }
        }
    }
}

/// What a function's answer says of the records with these sequence numbers, of which the first has the place `from`.
pub fn outcome(answer: &[u8], sequence_numbers: &[&str], from: usize, retry: &BatchRetry) -> Outcome {
    if !retry.reports_item_failures {
        return Outcome::Succeeded;
    }
    let Ok(answer) = serde_json::from_slice::<Value>(answer) else { return Outcome::Failed };
    let failures = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return Outcome::Succeeded,
        Some(Value::Array(failures)) => failures,
        Some(_) => return Outcome::Failed,
    };
    let mut first = None;
    for failure in failures {
        let reported = failure.get("itemIdentifier").and_then(Value::as_str);
        // An identifier that is missing, empty or unknown stands for the whole batch.
        let Some(place) = sequence_numbers.iter().position(|number| Some(*number) == reported) else {
            return Outcome::Failed;
        };
        first = Some(first.map_or(place, |first: usize| first.min(place)));
    }
    first.map_or(Outcome::Succeeded, |place| Outcome::FailedFrom(from + place))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use serde_json::json;

    use super::*;
    use crate::template::Limit;

    fn policy(reports_item_failures: bool, bisects: bool, retries: u64) -> BatchRetry {
        BatchRetry { reports_item_failures, bisects, retries: Limit::AtMost(retries), record_age_s: Limit::Unlimited }
    }

    /// Runs a batch of `records` of which those in `poison` (a bit each) always fail. Returns which records were handled in
    /// an invocation that got through them, in order, which were given up, and how many invocations it took.
    fn run(records: usize, poison: u32, policy: &BatchRetry) -> (Vec<usize>, Vec<usize>, u64) {
        let (mut handled, mut given_up, mut invocations, mut done_to) = (Vec::new(), Vec::new(), 0, 0);
        let mut parts = VecDeque::from([Part { from: 0, to: records, failures: 0 }]);
        while let Some(part) = parts.pop_front() {
            invocations += 1;
            assert_eq!(part.from, done_to, "parts follow each other without a gap");
            let bad = (part.from..part.to).find(|place| poison & (1 << place) != 0);
            let outcome = match bad {
                None => Outcome::Succeeded,
                Some(place) if policy.reports_item_failures => Outcome::FailedFrom(place),
                Some(_) => Outcome::Failed,
            };
            let Plan { done_to: done, retry, give_up } = plan(part, outcome, policy);
            assert!((part.from..=part.to).contains(&done));
            handled.extend(part.from..done);
            done_to = done;
            if let Some(part) = give_up {
                given_up.extend(part.from..part.to);
                done_to = part.to;
            }
            retry.into_iter().rev().for_each(|part| parts.push_front(part));
        }
        assert_eq!(done_to, records, "every record comes to an end");
        (handled, given_up, invocations)
    }

    #[test]
    fn every_batch_ends_and_poison_costs_nobody_else_where_the_batch_can_be_cut() {
        for records in 1..=7_usize {
            for poison in 0..1_u32 << records {
                for retries in 0..=3 {
                    for (reports, bisects) in [(false, false), (false, true), (true, false), (true, true)] {
                        let (handled, given_up, invocations) = run(records, poison, &policy(reports, bisects, retries));
                        let is_poison = |place: &usize| poison & (1 << place) != 0;
                        let case =
                            format!("{records} records, poison {poison:b}, {retries} retries, {reports}, {bisects}");

                        assert!(handled.is_sorted() && given_up.is_sorted(), "{case}");
                        assert!(handled.iter().all(|place| !is_poison(place)), "{case}");
                        if bisects {
                            let (bad, good): (Vec<_>, Vec<_>) = (0..records).partition(is_poison);
                            assert_eq!((handled, given_up), (good, bad), "{case}");
                        }
                        let limit = (2 * records as u64) + u64::from(poison.count_ones()) * (retries + 1);
                        assert!(invocations <= limit, "{case}: {invocations} invocations");
                    }
                }
            }
        }
    }

    #[test]
    fn without_bisecting_all_that_is_left_is_given_up_together() {
        assert_eq!(run(4, 0b0100, &policy(true, false, 2)), (vec![0, 1], vec![2, 3], 3));
        assert_eq!(run(4, 0b0100, &policy(false, false, 2)), (vec![], vec![0, 1, 2, 3], 3));
    }

    #[test]
    fn a_single_record_is_tried_once_more_than_it_is_retried() {
        assert_eq!(run(1, 1, &policy(true, true, 10)), (vec![], vec![0], 11));
    }

    #[test]
    fn cutting_a_batch_is_no_retry() {
        let part = Part { from: 0, to: 8, failures: 0 };
        let plan_of = |outcome| plan(part, outcome, &policy(true, true, 0));
        let halves = vec![Part { from: 0, to: 4, failures: 0 }, Part { from: 4, to: 8, failures: 0 }];
        assert_eq!(plan_of(Outcome::Failed), Plan { done_to: 0, retry: halves, give_up: None });
        let rest = vec![Part { from: 3, to: 8, failures: 0 }];
        assert_eq!(plan_of(Outcome::FailedFrom(3)), Plan { done_to: 3, retry: rest, give_up: None });
    }

    #[test]
    fn a_batch_without_a_limit_is_never_given_up() {
        let policy = BatchRetry { retries: Limit::Unlimited, ..policy(false, false, 0) };
        let part = Part { from: 0, to: 1, failures: 1_000_000 };
        assert_eq!(plan(part, Outcome::Failed, &policy).retry, [Part { failures: 1_000_001, ..part }]);
    }

    #[test]
    fn an_answer_tells_from_which_record_on_to_retry() {
        let policy = policy(true, true, 0);
        let of = |answer: Value| outcome(answer.to_string().as_bytes(), &["10", "11", "12"], 5, &policy);
        let reporting = |ids: &[Value]| {
            let failures: Vec<_> = ids.iter().map(|id| json!({ "itemIdentifier": id })).collect();
            of(json!({ "batchItemFailures": failures }))
        };
        for success in [json!({}), json!(null), json!("text"), json!({ "batchItemFailures": null })] {
            assert_eq!(of(success.clone()), Outcome::Succeeded, "{success}");
        }
        assert_eq!(reporting(&[]), Outcome::Succeeded);
        assert_eq!(reporting(&[json!("12"), json!("11")]), Outcome::FailedFrom(6));
        assert_eq!(reporting(&[json!("10")]), Outcome::FailedFrom(5));
        for whole in [json!(null), json!(""), json!("99"), json!(11)] {
            assert_eq!(reporting(&[json!("12"), whole.clone()]), Outcome::Failed, "{whole}");
        }
        assert_eq!(of(json!({ "batchItemFailures": {} })), Outcome::Failed);
        assert_eq!(outcome(b"not JSON", &["10"], 5, &policy), Outcome::Failed);
    }

    #[test]
    fn what_a_function_answers_counts_only_where_it_was_announced() {
        let answer = br#"{"batchItemFailures":[{"itemIdentifier":"10"}]}"#;
        assert_eq!(outcome(answer, &["10"], 0, &policy(false, true, 0)), Outcome::Succeeded);
    }
}
