//! Every alarm of the template is explained, is on the dashboard, and looks at something that is measured.

use std::{collections::BTreeSet, fs, path::PathBuf};

use tests::repository;

fn read(file: &str) -> String {
    fs::read_to_string(repository().join(file)).unwrap()
}

#[test]
fn every_alarm_has_its_section_in_the_runbook_and_its_place_on_the_dashboard() {
    let (template, runbook) = (read("template.yaml"), read("infra/runbook.md"));
    let lines: Vec<&str> = template.lines().collect();
    let is_alarm = |pair: &&[&str]| pair[1].trim() == "Type: AWS::CloudWatch::Alarm";
    let alarms: BTreeSet<&str> =
        lines.windows(2).filter(is_alarm).map(|pair| pair[0].trim().trim_end_matches(':')).collect();
    let explained: BTreeSet<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert!(alarms.len() > 10);
    assert_eq!(explained, alarms);
    let shown = template.split_once("\"alarms\": [").unwrap().1.split_once(']').unwrap().0;
    let shown: BTreeSet<&str> =
        shown.split('"').filter_map(|arn| arn.strip_prefix("${")?.strip_suffix(".Arn}")).collect();
    assert_eq!(shown, alarms);
    for alarm in alarms {
        assert!(
            template.contains(&format!("See {alarm} in infra/runbook.md.")),
            "{alarm} does not say where it is explained"
        );
    }
}

/// All of our code that runs in a function.
fn code() -> String {
    let list = |path: PathBuf| fs::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path());
    let crates = ["shared", "functions"].into_iter().flat_map(|folder| list(repository().join(folder)));
    let files =
        crates.flat_map(|of_crate| list(of_crate.join("src"))).chain(list(repository().join("shared/api/src/call")));
    files.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn every_measure_that_an_alarm_or_the_dashboard_looks_at_is_taken_by_somebody() {
    let (template, code) = (read("template.yaml"), code());
    let of_alarms = template.split("Namespace: Daybook").skip(1).map(|rest| rest.split_once("MetricName: ").unwrap().1);
    let of_dashboard = template.split("[ \"Daybook\", \"").skip(1);
    let name = |rest: &str| rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap().to_owned();
    let measures: BTreeSet<String> = of_alarms.chain(of_dashboard).map(name).collect();
    assert!(measures.len() > 5);
    for measure in measures {
        assert!(code.contains(&format!("&str = \"{measure}\"")), "nobody measures {measure}");
    }
}
