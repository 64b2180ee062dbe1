//! IAM: what a function may ask of the services, as the template's roles say.
//!
//! Promises: a request of a function reaches a service only if its role allows everything in it and no policy of a resource denies
//! any of it, as IAM decides that; what is refused is refused as AWS refuses it, and said on the console. A key id names
//! the caller and nothing proves it: that keeps code honest, not the user, and `listener` keeps web pages out. Whoever is no
//! function of the template, the operator for one, may do all that is not denied to everybody.

mod partiql;
mod requests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use iam_rs::{Arn, Context, ContextValue, Decision, IAMPolicy, IAMRequest, PolicyEvaluator, Principal, PrincipalId};
use requests::Asked;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    aws_json,
    console::Console,
    names,
    template::{Function, Template},
};

/// The largest request that any service takes: `BatchWriteItem` of DynamoDB (service quota).
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What Lambda asks of a function's role to read a stream ("Create an event source mapping", Lambda developer guide).
const STREAM_ACTIONS: [&str; 4] = ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"];

/// That somebody may do something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Permission {
    /// The function.
    pub function: String,
    /// For example `dynamodb:GetItem`.
    pub action: String,
    /// An ARN.
    pub resource: String,
}

/// All policies of a template.
pub struct Policies {
    /// By function: those of its role and of all resources.
    of_functions: BTreeMap<String, PolicyEvaluator>,
    of_others: PolicyEvaluator,
    granted: BTreeSet<Permission>,
    used: Mutex<BTreeSet<Permission>>,
}

impl Policies {
    /// The policies of `template`. What Lambda itself needs of a role is asked for at once, as Lambda does when such a function is
    /// deployed; a role that lacks it is the error.
    pub fn new(template: &Template) -> Result<Self, String> {
        let evaluator =
            |own: &[IAMPolicy]| PolicyEvaluator::with_policies([own, template.resource_policies.as_slice()].concat());
        let role = |function: &Function| -> &[IAMPolicy] {
            function.role.as_ref().and_then(|role| template.roles.get(role)).map_or(&[], Vec::as_slice)
        };
        let everything = json!({ "Effect": "Allow", "Action": "*", "Resource": "*" });
        let everything = serde_json::from_value(json!({ "Version": "2012-10-17", "Statement": [everything] }));
        let functions = template.functions.iter();
        let policies = Self {
            of_functions: functions.clone().map(|of| (of.name.clone(), evaluator(role(of)))).collect(),
            of_others: evaluator(&[everything.map_err(|error| error.to_string())?]),
            granted: functions.flat_map(|function| granted(&function.name, role(function))).collect(),
            used: Mutex::default(),
        };
        for mapping in &template.mappings {
            for action in STREAM_ACTIONS {
                let asked = Asked::new(format!("dynamodb:{action}"), names::stream_arn(&mapping.table));
                policies.decide(&mapping.function, &asked)?;
            }
        }
        let of_streams = template.mappings.iter().map(|mapping| (&mapping.function, &mapping.on_failure));
        let of_events = template.functions.iter().map(|function| (&function.name, &function.async_invoke.on_failure));
        for (function, queue) in of_streams.chain(of_events) {
            if let Some(queue) = queue {
                policies.decide(function, &Asked::new("sqs:SendMessage", names::queue_arn(queue)))?;
            }
        }
        Ok(policies)
    }

    /// Whether `caller` may do that; what AWS says where it may not.
    pub fn decide(&self, caller: &str, asked: &Asked) -> Result<(), String> {
        let Asked { action, resource, source } = asked;
        let function = self.of_functions.get(caller);
        let user = format!("arn:aws:sts::{}:assumed-role/{caller}/{caller}", names::ACCOUNT_ID);
        let refused = |reason: &str| {
            Err(format!("User: {user} is not authorized to perform: {action} on resource: {resource} {reason}"))
        };
        let Ok(arn) = Arn::parse(resource) else { return refused("because that is no resource") };
        let mut context = Context::new();
        if let Some(source) = source {
            context.insert("events:source".to_owned(), ContextValue::StringList(vec![source.clone()]));
        }
        let principal = Principal::Aws(PrincipalId::String(user.clone()));
        let request = IAMRequest::new_with_context(principal, action, arn, context);
        match function.unwrap_or(&self.of_others).evaluate(&request).map(|result| result.decision) {
            Ok(Decision::Allow) => {
                if function.is_some() {
                    let (function, action, resource) = (caller.to_owned(), action.clone(), resource.clone());
                    self.used().insert(Permission { function, action, resource });
                }
                Ok(())
            }
            Ok(Decision::Deny) => refused("with an explicit deny in a policy"),
            Ok(Decision::NotApplicable) => {
                refused(&format!("because no identity-based policy allows the {action} action"))
            }
            Err(problem) => refused(&format!("because its policies cannot be evaluated: {problem:?}")),
        }
    }

    /// What functions may do, and what of that they have done so far.
    pub fn report(&self) -> Value {
        json!({ "granted": self.granted, "used": *self.used() })
    }

    fn used(&self) -> std::sync::MutexGuard<'_, BTreeSet<Permission>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every action on every resource that the policies name as allowed.
fn granted(function: &str, policies: &[IAMPolicy]) -> Vec<Permission> {
    let document = |policy: &IAMPolicy| serde_json::to_value(policy).unwrap_or_default();
    let all = |value: &Value| match value {
        Value::Array(values) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        value => value.as_str().map(str::to_owned).into_iter().collect::<Vec<_>>(),
    };
    let mut permissions = Vec::new();
    for statement in policies.iter().map(document).flat_map(|mut policy| match policy["Statement"].take() {
        Value::Array(statements) => statements,
        one => vec![one],
    }) {
        for action in all(&statement["Action"]).into_iter().filter(|_| statement["Effect"] == "Allow") {
            for resource in all(&statement["Resource"]) {
                permissions.push(Permission { function: function.to_owned(), action: action.clone(), resource });
            }
        }
    }
    permissions
}

/// Lets through `router` only what is allowed.
pub fn guard(router: Router, policies: &Arc<Policies>, console: &Arc<Console>) -> Router {
    router.layer(from_fn_with_state((Arc::clone(policies), Arc::clone(console)), check))
}

async fn check(
    State((policies, console)): State<(Arc<Policies>, Arc<Console>)>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, BODY_BYTES_MAX).await else {
        let problem = "The request is too large.";
        return aws_json::error(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLargeException", problem);
    };
    let caller = caller(&parts.headers);
    let target = aws_json::action(&parts.headers);
    // A body that is read here and in the service by different rules would be checked as something that it is not.
    let body = match serde_json::from_slice(&bytes) {
        Ok(body) => body,
        Err(_) if target.is_empty() => Value::Null,
        Err(problem) => {
            return aws_json::error(StatusCode::BAD_REQUEST, "SerializationException", &problem.to_string());
        }
    };
    let asked = match requests::asked(target, &body) {
        Ok(asked) => asked,
        Err(problem) => return aws_json::error(StatusCode::BAD_REQUEST, "ValidationException", &problem),
    };
    for asked in asked {
        if let Err(refused) = policies.decide(caller, &asked) {
            console.notice(&format!("{caller} may not {} on {}", asked.action, asked.resource));
            let kind = "com.amazon.coral.service#AccessDeniedException";
            return aws_json::error(StatusCode::BAD_REQUEST, kind, &refused);
        }
    }
    next.run(Request::from_parts(parts, Body::from(bytes))).await
}

/// Who signed a request: the id of the key without what is the same for all.
fn caller(headers: &HeaderMap) -> &str {
    let signed = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let key = signed.split_once("Credential=").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(key, _)| key);
    key.strip_prefix("local-").unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::template;

    fn of_the_bank() -> Template {
        template::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml")).unwrap()
    }

    /// The policies without one permission.
    fn without(policies: &mut Vec<IAMPolicy>, missing: &Permission) {
        let mut document = serde_json::to_value(&*policies).unwrap();
        for statement in document.as_array_mut().unwrap().iter_mut().flat_map(|policy| {
            let statements = policy["Statement"].take();
            let statements = if statements.is_array() { statements } else { json!([statements]) };
            policy["Statement"] = statements;
            policy["Statement"].as_array_mut().unwrap()
        }) {
            // One statement may allow several actions on several resources: what remains is written out.
            let text = |value: &Value| match value {
                Value::Array(values) => values.clone(),
                value => vec![value.clone()],
            };
            let (actions, resources) = (text(&statement["Action"]), text(&statement["Resource"]));
            if actions.contains(&json!(missing.action)) && resources.contains(&json!(missing.resource)) {
                let is_other = |value: &Value, other: &str| value != other;
                if actions.len() > 1 {
                    let left = actions.into_iter().filter(|action| is_other(action, &missing.action));
                    statement["Action"] = left.collect();
                } else {
                    let left: Vec<_> = resources.into_iter().filter(|of| is_other(of, &missing.resource)).collect();
                    statement["Resource"] = if left.is_empty() { json!("arn:aws:none:::none") } else { json!(left) };
                }
            }
        }
        *policies = serde_json::from_value(document).unwrap();
    }

    #[test]
    fn each_permission_is_allowed_and_each_one_missing_is_refused() {
        let template = of_the_bank();
        let all = Policies::new(&template).unwrap();
        assert!(all.granted.len() > 50, "{}", all.granted.len());
        for permission in &all.granted {
            let Permission { function, action, resource } = permission;
            if resource == "*" {
                assert!(action.starts_with("xray:"), "{function} may {action} on everything");
                continue;
            }
            let asked = Asked::new(action, resource);
            assert_eq!(all.decide(function, &asked), Ok(()));
            let mut less = of_the_bank();
            let role = template.functions.iter().find(|of| of.name == *function).unwrap().role.clone().unwrap();
            without(less.roles.get_mut(&role).unwrap(), permission);
            match Policies::new(&less) {
                // Lambda itself would miss it.
                Err(refused) => assert!(refused.contains(action), "{refused}"),
                Ok(less) => assert!(less.decide(function, &asked).is_err(), "{permission:?}"),
            }
        }
    }

    #[test]
    fn recorded_events_are_changed_by_nobody() {
        let policies = Policies::new(&of_the_bank()).unwrap();
        let events = names::table_arn("events");
        for action in ["UpdateItem", "DeleteItem", "BatchWriteItem", "PartiQLInsert", "PartiQLUpdate", "PartiQLDelete"]
        {
            for caller in ["account-commands", "operator"] {
                let asked = Asked::new(format!("dynamodb:{action}"), &events);
                let refused = policies.decide(caller, &asked).unwrap_err();
                assert!(refused.contains("explicit deny"), "{refused}");
            }
        }
        let asked = Asked::new("dynamodb:DeleteItem", names::table_arn("accounts"));
        assert_eq!(policies.decide("operator", &asked), Ok(()));
    }

    #[test]
    fn a_function_speaks_for_itself_alone() {
        let policies = Policies::new(&of_the_bank()).unwrap();
        let says = |caller: &str, source: &str| {
            let put = Asked::new("events:PutEvents", names::bus_arn("daybook"));
            policies.decide(caller, &Asked { source: Some(source.to_owned()), ..put }).is_ok()
        };
        assert!(says("event-publisher", "daybook") && says("event-publisher", "daybook.event-publisher"));
        assert!(says("bus-commands", "daybook.bus-commands"));
        assert!(!says("bus-commands", "daybook") && !says("bus-commands", "payments"));
        assert!(!says("event-publisher", "payments") && !says("account-commands", "daybook"));
    }

    #[test]
    fn a_function_without_a_role_may_nothing() {
        let mut template = of_the_bank();
        template.functions[0].role = None;
        let function = template.functions[0].name.clone();
        let policies = Policies::new(&template).unwrap();
        assert!(policies.decide(&function, &Asked::new("dynamodb:Query", names::table_arn("events"))).is_err());
    }

    #[test]
    fn the_caller_is_whose_key_signed() {
        let signed = "AWS4-HMAC-SHA256 Credential=local-account-commands/20261124/us-east-1/dynamodb/aws4_request, a=b";
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, signed.parse().unwrap())]);
        assert_eq!(caller(&headers), "account-commands");
        assert_eq!(caller(&HeaderMap::new()), "");
    }
}
