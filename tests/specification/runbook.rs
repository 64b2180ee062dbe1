//! Every alarm of the template is explained, and is on the dashboard.

use std::{collections::BTreeSet, fs};

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
