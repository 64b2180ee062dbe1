//! Small scenarios with every single thing that can go wrong at every single point, and then with every pair of them: first
//! try and retry. All of it, not a sample.

use crate::{
    machine::{Fault, Machine},
    run::{Report, run_in_order},
    workload::Scenario,
};

/// What goes wrong at a point. The others need another seed's chance, or a second task.
const FAULTS: [Fault; 5] = [Fault::Killed, Fault::LostBefore, Fault::LostAfter, Fault::Refused, Fault::Contended];

/// What was tried.
#[derive(Debug, Default)]
pub struct Tried {
    /// Points that the scenario has when nothing goes wrong.
    pub points: u64,
    /// Runs with one fault.
    pub single: u64,
    /// Runs with two.
    pub pairs: u64,
    /// What did not hold, each with its plan.
    pub failures: Vec<String>,
}

/// Tries everything.
pub fn try_everything(
    scenario: Scenario,
    attempt: impl Fn(&Machine, &dyn Fn(&Machine) -> Report) -> Result<Report, String>,
) -> Tried {
    let mut tried = Tried::default();
    let run = |machine: &Machine| run_in_order(machine, scenario);
    let mut with = |plan: Vec<(u64, Fault)>| {
        let machine = Machine::planned(plan.clone(), false);
        let outcome = attempt(&machine, &run);
        if let Err(problem) = &outcome {
            tried.failures.push(format!("{plan:?}: {problem}"));
        }
        outcome.map_or(0, |report| report.points)
    };
    let points = with(Vec::new());
    let (mut single, mut pairs) = (0, 0);
    for point in 1..=points {
        for fault in FAULTS {
            let after = with(vec![(point, fault)]);
            single += 1;
            // Killed twice: at each point of the retry and of all that follows from it.
            if fault == Fault::Killed {
                for second in point + 1..=after {
                    with(vec![(point, fault), (second, Fault::Killed)]);
                    pairs += 1;
                }
            }
        }
    }
    Tried { points, single, pairs, ..tried }
}
