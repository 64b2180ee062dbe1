//! Small scenarios with every single thing that can go wrong at every single point, and then with every pair of them: first
//! try and retry. All of it, not a sample.

use crate::{
    machine::{Fault, Machine},
    mutants::Mutant,
    run::{Report, run_in_order},
    workload::Scenario,
};

/// What goes wrong at a point. The others need another seed's chance, or a second task.
const FAULTS: [Fault; 6] =
    [Fault::Killed, Fault::LostBefore, Fault::LostAfter, Fault::Refused, Fault::Contended, Fault::Doubled];

/// What was tried.
#[derive(Debug, Default)]
pub struct Tried {
    /// Points that the scenario has when nothing goes wrong.
    pub points: u64,
    /// Runs with one fault that can happen where it was planned: a read has no answer to lose, say.
    pub single: u64,
    /// Runs with two.
    pub pairs: u64,
    /// What did not hold, each with its plan.
    pub failures: Vec<String>,
}

/// Tries everything; with a guard taken away, until that is noticed.
pub fn try_everything(
    scenario: Scenario,
    mutant: Option<Mutant>,
    attempt: impl Fn(&Machine, &dyn Fn(&Machine) -> Report) -> Result<Report, String>,
) -> Tried {
    let mut tried = Tried::default();
    let run = |machine: &Machine| run_in_order(machine, scenario, mutant);
    let mut with = |plan: Vec<(u64, Fault)>| {
        let machine = Machine::planned(plan.clone(), false);
        let outcome = attempt(&machine, &run);
        let all_happened = outcome.as_ref().is_ok_and(|report| report.faults == plan.len() as u64);
        match &outcome {
            Err(problem) => tried.failures.push(format!("{plan:?}: {problem}")),
            // Whatever stops can be killed there: so every point is reached.
            Ok(_) if !all_happened && plan.iter().all(|(_, fault)| *fault == Fault::Killed) => {
                tried.failures.push(format!("{plan:?}: not reached"));
            }
            Ok(_) => {}
        }
        let points = outcome.map_or(0, |report| report.points);
        (points, all_happened, mutant.is_some() && !tried.failures.is_empty())
    };
    let (points, ..) = with(Vec::new());
    let (mut single, mut pairs) = (0, 0);
    'all: for point in 1..=points {
        for fault in FAULTS {
            let (after, happened, noticed) = with(vec![(point, fault)]);
            single += u64::from(happened);
            // Killed twice: at each point of the retry and of all that follows from it.
            let last = if fault == Fault::Killed { after } else { point };
            for second in point + 1..=last {
                with(vec![(point, fault), (second, Fault::Killed)]);
                pairs += 1;
            }
            if noticed {
                break 'all;
            }
        }
    }
    Tried { points, single, pairs, ..tried }
}
