use super::*;

/// A template with one function, to which `rest` adds properties and other resources.
fn function(properties: &str, rest: &str) -> String {
    format!(
        "Parameters:
  Prefix: {{ Type: String, Default: p- }}
Globals:
  Function: {{ Timeout: 10, Environment: {{ Variables: {{ SHARED: everywhere }} }} }}
Resources:
  Worker:
    Type: AWS::Serverless::Function
    Metadata: {{ BuildProperties: {{ Binary: worker }} }}
    Properties:
      CodeUri: functions/worker
{properties}
  Things:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub '${{Prefix}}things'
      AttributeDefinitions: [{{ AttributeName: id, AttributeType: S }}]
      KeySchema: [{{ AttributeName: id, KeyType: HASH }}]
      StreamSpecification: {{ StreamViewType: NEW_IMAGE }}
  Failed: {{ Type: AWS::SQS::Queue }}
{rest}
"
    )
}

fn refused(properties: &str, rest: &str) -> String {
    match parse(&function(properties, rest)) {
        Ok(_) => "was not refused".to_owned(),
        Err(refused) => refused.to_string(),
    }
}

#[test]
fn the_projects_own_template_is_played_whole() {
    let template = load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml"))).unwrap();
    assert!(!template.functions.is_empty() && !template.routes.is_empty());
    assert!(!template.rules.is_empty() && !template.mappings.is_empty());
    let limit = |rate, burst| Throttle { rate, burst };
    assert_eq!(template.throttling.default, Some(limit(500.0, 500.0)));
    assert_eq!(template.throttling.routes.get("GET /openapi.json"), Some(&limit(10.0, 20.0)));
}

#[test]
fn variables_refer_to_what_the_resources_are_called_here() {
    let template = parse(&function(
        "      Environment: { Variables: { TABLE: !Ref Things, ARN: !GetAtt Things.Arn, REGION: '${x}', N: 7 } }",
        "  Api: { Type: AWS::Serverless::HttpApi, Properties: { CorsConfiguration: { AllowOrigins: !Split [p, !Ref Prefix] } } }",
    ))
    .unwrap();
    assert_eq!(template.cors.unwrap().origins, ["", "-"]);
    let environment = &template.functions[0].environment;
    let expected = [
        ("ARN", "arn:aws:dynamodb:us-east-1:000000000000:table/p-things"),
        ("N", "7"),
        ("REGION", "${x}"),
        ("SHARED", "everywhere"),
        ("TABLE", "p-things"),
    ];
    assert_eq!(environment.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>(), expected);
    assert_eq!(template.functions[0].timeout.as_secs(), 10);
}

#[test]
fn a_stream_mapping_leads_from_a_table_to_a_function_and_to_a_queue() {
    let template = parse(&function(
        "      Events:
        Changes:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Things.StreamArn
            StartingPosition: TRIM_HORIZON
            MaximumRetryAttempts: 3
            FunctionResponseTypes: [ReportBatchItemFailures]
            DestinationConfig: { OnFailure: { Type: SQS, Destination: !GetAtt Failed.Arn } }",
        "",
    ))
    .unwrap();
    let mapping = &template.mappings[0];
    assert_eq!((mapping.table.as_str(), mapping.function.as_str()), ("p-things", "worker"));
    assert_eq!(mapping.on_failure.as_deref(), Some("Failed"));
    assert_eq!((mapping.retry.retries, mapping.retry.record_age_s), (Limit::AtMost(3), Limit::Unlimited));
    assert!(mapping.retry.reports_item_failures && !mapping.retry.bisects);
}

#[test]
fn a_schedule_is_a_rate() {
    let schedule =
        |rate: &str| format!("      Events: {{ Again: {{ Type: Schedule, Properties: {{ Schedule: {rate} }} }} }}");
    for (rate, seconds) in [("rate(1 minute)", 60), ("rate(2 hours)", 7_200), ("rate(1 day)", 86_400)] {
        let template = parse(&function(&schedule(rate), "")).unwrap();
        assert_eq!(
            (template.schedules[0].function.as_str(), template.schedules[0].every.as_secs()),
            ("worker", seconds)
        );
    }
    for rate in ["cron(0 12 * * ? *)", "rate(0 minutes)", "rate(1 week)"] {
        assert!(refused(&schedule(rate), "").contains("Schedule: only rate(...) is played"), "{rate}");
    }
}

#[test]
fn what_is_not_played_is_refused_by_name_and_place() {
    let cases = [
        ("      Layers: [a]", "", "Resources.Worker.Properties.Layers: unknown field `Layers`"),
        (
            "      Environment: { Variables: { X: !Ref Thinks } }",
            "",
            "Resources.Worker.Properties.Environment.Variables.X: nothing in the template is called Thinks",
        ),
        (
            "      Environment: { Variables: { X: !GetAtt Things.Colour } }",
            "",
            "Resources.Worker.Properties.Environment.Variables.X: the local cloud does not know the attribute Colour of Things",
        ),
        (
            "      Events: { Nightly: { Type: SQS } }",
            "",
            "Resources.Worker.Properties.Events.Nightly: the local cloud does not play events of type SQS",
        ),
        (
            "      Events: { New: { Type: DynamoDB, Properties: { Stream: !GetAtt Failed.Arn, StartingPosition: LATEST } } }",
            "",
            "Resources.Worker.Properties.Events.New.Properties.Stream: arn:aws:sqs:us-east-1:000000000000:Failed is no stream",
        ),
        (
            "      Events: { New: { Type: EventBridgeRule, Properties: { EventBusName: nowhere, Pattern: {} } } }",
            "",
            "Resources.Worker.Properties.Events.New.Properties.EventBusName: nowhere is no event bus of this template",
        ),
        ("", "  Machine: { Type: AWS::EC2::Instance }", "does not play resources of type AWS::EC2::Instance"),
        ("      Timeout: !If [A, 10, 1]", "Conditions: { A: !Condition B, B: !Not [!Condition A] }", "leads to itself"),
        (
            "",
            "  Odd: { Type: AWS::SQS::Queue, Condition: C }\nConditions: { C: !Ref Prefix }",
            "Conditions.C: is no condition",
        ),
        ("", "Mappings: {}", "the template: Mappings is not known to the local cloud"),
        ("      Timeout: !If [Slow, 10, 1]", "", "Resources.Worker.Properties.Timeout: there is no condition Slow"),
    ];
    for (properties, rest, expected) in cases {
        let refused = refused(properties, rest);
        assert!(refused.contains(expected), "{refused}\nwas expected to say\n{expected}");
    }
}

#[test]
fn a_function_without_a_binary_is_refused() {
    let text = "Resources: { F: { Type: AWS::Serverless::Function } }";
    assert!(
        parse(text).unwrap_err().to_string().starts_with("Resources.F.Metadata.BuildProperties.Binary: is missing")
    );
}

#[test]
fn conditions_choose_by_the_parameters_defaults() {
    let conditions = "Conditions:
  Has: !Not [!Equals [!Ref Prefix, '']]
  Lacks: !Not [!Condition Has]
  Both: !And [!Condition Has, !Not [!Condition Lacks]]
  Either: !Or [!Condition Lacks, !Condition Both]";
    let resources = "  There: { Type: AWS::SQS::Queue, Condition: Either }
  NotThere: { Type: AWS::EC2::Instance, Condition: Lacks }";
    let template = parse(&function(
        "      Timeout: !If [Has, 7, 8]
      MemorySize: !If [Lacks, 512, !Ref AWS::NoValue]
      Environment: { Variables: { ONE: !If [Both, !Ref Things, x], OTHER: !If [Lacks, x, !Ref AWS::NoValue] } }",
        &format!("{resources}\n{conditions}"),
    ))
    .unwrap();
    let worker = &template.functions[0];
    assert_eq!((worker.timeout.as_secs(), worker.memory_mb), (7, 128));
    assert_eq!(worker.environment.keys().collect::<Vec<_>>(), ["ONE", "SHARED"]);
    assert_eq!(worker.environment["ONE"], "p-things");
    assert_eq!(template.queues, ["Failed", "There"]);
}
