//! The local cloud with a function that fails in every way that a function can.

use std::{collections::BTreeSet, fs, path::Path, process::Command, time::Duration};

use serde_json::{Value, json};
use tests::{Answer, Cloud, function_binary, repository};

const TEMPLATE: &str = "tests/misbehaving/template.yaml";

fn start() -> Cloud {
    Cloud::start_with(&["--in-memory", "--template", TEMPLATE, "--concurrency", "2"])
}

fn pid(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["pid"].as_u64().unwrap()
}

/// Whether a process runs; one that is dead but not yet collected by its parent does not.
fn runs(pid: u64) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn wait_until_gone(pid: u64) {
    while runs(pid) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn an_idle_process_is_used_again_and_each_invocation_has_its_own_id_and_deadline() {
    let cloud = start();
    let (first, second) = (cloud.get("/pid"), cloud.get("/pid"));
    assert_eq!(pid(&first), pid(&second));
    assert_ne!(first.body["request_id"], second.body["request_id"]);
    assert!(first.body["deadline_ms"].as_u64() <= second.body["deadline_ms"].as_u64());
}

#[test]
fn a_reported_error_is_an_error_and_the_process_goes_on() {
    let cloud = start();
    let before = pid(&cloud.get("/pid"));
    for wish in ["/error", "/panic"] {
        let answer = cloud.get(wish);
        assert_eq!((answer.status, &answer.body), (500, &json!({ "message": "Internal Server Error" })));
    }
    assert_eq!(pid(&cloud.get("/pid")), before);
    let _ = cloud.wait_for_line("it was asked to fail");
    let _ = cloud.wait_for_line("it was asked to panic");
}

#[test]
fn a_process_that_exits_or_runs_out_of_time_is_replaced() {
    let cloud = start();
    let mut seen = BTreeSet::from([pid(&cloud.get("/pid"))]);
    for (wish, told) in [("/exit", "exit status: 7"), ("/hang", "Task timed out after 1.00 seconds")] {
        assert_eq!(cloud.get(wish).status, 500);
        let _ = cloud.wait_for_line(told);
        let replaced = pid(&cloud.get("/pid"));
        assert!(seen.iter().all(|&old| !runs(old)), "the process of before {wish} is left");
        assert!(seen.insert(replaced));
    }
}

#[test]
fn invocations_at_once_have_processes_of_their_own_up_to_the_limit() {
    let cloud = start();
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..8).map(|_| scope.spawn(|| cloud.get("/slow"))).collect();
        askers.into_iter().map(|asker| asker.join().unwrap()).collect()
    });
    // Who waited for longer than the function may run was throttled.
    let pids: BTreeSet<u64> = answers.iter().filter(|answer| answer.status == 200).map(pid).collect();
    assert_eq!(pids.len(), 2);
    assert!(answers.iter().all(|answer| [200, 503].contains(&answer.status)), "{answers:?}");
}

#[test]
fn an_event_that_always_fails_is_parked_in_sight_and_delays_no_other() {
    let cloud = start();
    let bus = cloud.url_of("EventBridge");
    let entries: Vec<Value> = ["error", "fine"]
        .map(|wish| json!({ "EventBusName": "tests", "Source": "tests", "DetailType": wish, "Detail": "{}" }))
        .into();
    let mut answer = ureq::post(&bus)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", "AWSEvents.PutEvents")
        .send(json!({ "Entries": entries }).to_string())
        .unwrap();
    let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    assert_eq!(answer["FailedEntryCount"], 0);
    let parked = cloud.wait_for_line("dead letter in Failed");
    assert!(parked.contains("error: misbehaving failed 2 times: it was asked to fail"), "{parked}");
    let printed = cloud.printed();
    let line_of = |text: &str| printed.iter().position(|line| line.contains(text));
    assert!(line_of("fine").unwrap() < line_of("dead letter").unwrap(), "{printed:#?}");
}

#[test]
fn a_function_that_fails_at_the_start_stops_the_local_cloud_which_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("template.yaml");
    let text = fs::read_to_string(repository().join(TEMPLATE)).unwrap();
    fs::write(&template, text.replace("AT_START: run", "AT_START: fail")).unwrap();
    let run = run_to_the_end(&template);
    assert!(run.contains("function misbehaving does not start"), "{run}");
    assert!(run.contains("it was asked to fail at the start"), "{run}");
}

#[test]
fn a_template_that_cannot_be_played_is_refused_at_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("template.yaml");
    let text = fs::read_to_string(repository().join(TEMPLATE)).unwrap();
    fs::write(&template, text.replace("      Timeout: 1", "      Timeout: 1\n      Layers: [a]")).unwrap();
    let run = run_to_the_end(&template);
    assert!(run.contains("Resources.Misbehaving.Properties.Layers"), "{run}");
}

/// What a local cloud that must not come up has to say.
fn run_to_the_end(template: &Path) -> String {
    let run = Command::new(function_binary("local"))
        .args(["--in-memory", "--no-build", "--port", "0", "--engine-port", "0", "--template"])
        .arg(template)
        .output()
        .unwrap();
    assert!(!run.status.success());
    String::from_utf8_lossy(&run.stderr).into_owned()
}

#[cfg(target_os = "linux")]
#[test]
fn no_process_outlives_the_local_cloud_however_it_dies() {
    let cloud = start();
    let (victim, pid_after_kill) = (cloud.pid(), pid(&cloud.get("/pid")));
    cloud.kill();
    assert!(!runs(victim.into()));
    wait_until_gone(pid_after_kill);

    // Stopped while a function is busy, and will not answer.
    let cloud = start();
    let busy = pid(&cloud.get("/pid"));
    let url = cloud.url.clone();
    let asker = std::thread::spawn(move || ureq::get(format!("{url}/hang")).call().is_ok());
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(cloud.stop(), Some(0));
    wait_until_gone(busy);
    assert!(!asker.join().unwrap());
}
