//! Other systems: they ask on the bus with AWS's own SDK, the money arrives once, and they are answered there.

use std::{collections::HashMap, fs, time::Duration};

use aws_sdk_eventbridge::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    types::PutEventsRequestEntry,
};
use serde_json::{Value, json};
use tests::{Cloud, repository};

/// What the integrator's stack would add: a queue for the answers.
const QUEUE: &str = "
  Answers: { Type: AWS::SQS::Queue }
  ToAnswers:
    Type: AWS::Events::Rule
    Properties:
      EventBusName: !Ref EventBus
      EventPattern: { source: [daybook.bus-commands], detail: { source: [payments] } }
      Targets: [{ Id: queue, Arn: !GetAtt Answers.Arn }]
";

/// A payment system beside a cloud.
struct Payments {
    cloud: Cloud,
    environment: HashMap<String, String>,
}

impl Payments {
    fn start() -> Self {
        let text = fs::read_to_string(repository().join("template.yaml")).unwrap();
        let contract = repository().join("infra/openapi.yaml");
        let text = text.replace("infra/openapi.yaml", contract.to_str().unwrap());
        let text = text.replacen("\nResources:\n", &format!("\nResources:{QUEUE}"), 1);
        let folder = tempfile::tempdir().unwrap();
        let template = folder.path().join("template.yaml");
        fs::write(&template, text).unwrap();
        let cloud = Cloud::start_with(&["--in-memory", "--template", template.to_str().unwrap()]);
        let mut answer = ureq::get(format!("{}/_local/environment", cloud.url)).call().unwrap();
        let variables = answer.body_mut().read_to_string().unwrap();
        let pairs = variables.lines().filter_map(|line| line.split_once('='));
        let environment = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { cloud, environment }
    }

    fn variable(&self, name: &str) -> &str {
        &self.environment[name]
    }

    async fn ask(&self, detail: &Value) {
        let (id, secret) = (self.variable("AWS_ACCESS_KEY_ID"), self.variable("AWS_SECRET_ACCESS_KEY"));
        let config = aws_sdk_eventbridge::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(self.variable("AWS_REGION").to_owned()))
            .credentials_provider(Credentials::new(id, secret, None, None, "test"))
            .endpoint_url(self.variable("AWS_ENDPOINT_URL_EVENTBRIDGE"));
        let entry = PutEventsRequestEntry::builder().event_bus_name("daybook").source("payments");
        let entry = entry.detail_type("DepositRequested").detail(detail.to_string()).build();
        let answer = Client::from_conf(config.build()).put_events().entries(entry).send().await.unwrap();
        assert_eq!(answer.failed_entry_count, 0, "{answer:?}");
    }

    /// Waits until there are so many answers: by request, each with its type.
    fn answers(&self, number: usize) -> Vec<(String, String, Value)> {
        let mut answers = Vec::new();
        for _ in 0..200 {
            let asked = json!({
                "QueueUrl": self.queue_url("Answers"), "MaxNumberOfMessages": 10, "VisibilityTimeout": 600,
            });
            let mut answer = ureq::post(self.variable("AWS_ENDPOINT_URL_SQS"))
                .header("content-type", "application/x-amz-json-1.0")
                .header("x-amz-target", "AmazonSQS.ReceiveMessage")
                .send(asked.to_string())
                .unwrap();
            let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
            for message in answer["Messages"].as_array().unwrap() {
                let event: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
                let text = |place: &str| event.pointer(place).unwrap().as_str().unwrap().to_owned();
                answers.push((text("/detail/request_id"), text("/detail-type"), event["detail"].clone()));
            }
            if answers.len() >= number {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(answers.len(), number, "{answers:#?}\n{}", self.cloud.printed().join("\n"));
        answers
    }

    fn queue_url(&self, queue: &str) -> String {
        let mut answer = ureq::post(self.variable("AWS_ENDPOINT_URL_SQS"))
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", "AmazonSQS.GetQueueUrl")
            .send(json!({ "QueueName": queue }).to_string())
            .unwrap();
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
        answer["QueueUrl"].as_str().unwrap().to_owned()
    }
}

fn request(request_id: &str, account: &str, amount: &str) -> Value {
    let account = account.rsplit('/').next().unwrap();
    json!({
        "request_id": request_id, "account_id": account, "owner": "alice", "amount": amount, "currency": "EUR",
        "description": "Payout",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_another_system_brings_arrives_once_and_the_answer_is_on_the_bus() {
    let payments = Payments::start();
    let cloud = &payments.cloud;
    let account = cloud.open_account("EUR");
    for _ in 0..3 {
        payments.ask(&request("r", &account, "12.34")).await;
    }
    for (request_id, kind, detail) in payments.answers(3) {
        assert_eq!((request_id.as_str(), kind.as_str()), ("r", "DepositRequestAccepted"));
        assert_eq!((&detail["version"], account.ends_with(detail["account_id"].as_str().unwrap())), (&json!(2), true));
    }
    let seen = cloud.eventually(&account, |answer| answer.body["version"] == 2);
    assert_eq!(seen.body["balance"], "12.34");
    let statement =
        cloud.eventually(&format!("{account}/statement"), |answer| answer.body["items"][0]["description"] == "Payout");
    assert_eq!(statement.body["items"].as_array().unwrap().len(), 1);

    assert_eq!(cloud.administrate("POST", &format!("{account}/freeze"), None).status, 200);
    payments.ask(&request("frozen", &account, "1")).await;
    payments.ask(&request("nobody", "00000000-0000-4000-8000-000000000000", "1")).await;
    payments.ask(&request("malformed", &account, "1,00")).await;
    let mut refused: Vec<(String, String, bool)> = payments
        .answers(3)
        .into_iter()
        .map(|(request_id, kind, detail)| {
            assert_eq!(kind, "DepositRequestRefused");
            let problem = detail["problem"]["type"].as_str().unwrap().to_owned();
            (request_id, problem, detail["final"].as_bool().unwrap())
        })
        .collect();
    refused.sort();
    let expected = [
        ("frozen", "/problems/account-frozen", true),
        ("malformed", "/problems/invalid-request", false),
        ("nobody", "/problems/not-found", false),
    ];
    let expected =
        expected.map(|(request_id, problem, is_final)| (request_id.to_owned(), problem.to_owned(), is_final));
    assert_eq!(refused, expected);

    // What has no name cannot be answered.
    payments.ask(&json!({ "amount": "1" })).await;
    let parked = cloud.wait_for_line("in dead-letters");
    assert!(parked.contains("DepositRequestUnreadable") && parked.contains("request_id must be"), "{parked}");
    let history = cloud.get(&format!("{account}/events"));
    let types: Vec<&str> =
        history.body["items"].as_array().unwrap().iter().map(|event| event["event_type"].as_str().unwrap()).collect();
    assert_eq!(types, ["AccountCreated", "MoneyDeposited", "AccountFrozen", "DepositRefused"]);
}
