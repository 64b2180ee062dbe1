//! From the template's JSON to the model: each resource's properties over the global ones, resolved, typed and checked.

use std::{collections::BTreeMap, time::Duration};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{
    Place, Refused,
    directory::Directory,
    intrinsics::{Scope, physical_name},
    merge,
    model::{
        AsyncInvoke, Authorizer, BatchRetry, Cors, Function, Limit, Route, Rule, Schedule, StreamMapping, Table,
        Target, Template, Throttle, Throttling,
    },
    properties,
};
use crate::names;

/// Where a token is looked for.
const IDENTITY_SOURCE: &str = "$request.header.Authorization";

/// The largest batch of a stream (Lambda quota).
const BATCH_RECORDS_MAX: usize = 10_000;

/// A template's JSON with what is needed to make sense of any part of it.
pub struct Reader<'a> {
    pub parameters: &'a Map<String, Value>,
    pub globals: &'a Map<String, Value>,
    pub resources: &'a Map<String, Value>,
    pub directory: Directory,
}

impl Reader<'_> {
    /// Adds the resource `logical_id` to `template`.
    pub fn add(&self, template: &mut Template, logical_id: &str, resource: &Value) -> Result<(), Refused> {
        let name = physical_name(logical_id, resource, self.parameters)?;
        let place = Place::resource(logical_id).child("Properties");
        match resource.get("Type").and_then(Value::as_str).unwrap_or_default() {
            "AWS::Serverless::Function" => {
                let properties = self.properties(resource, "Function", properties::FUNCTION_IGNORED, &place)?;
                self.add_function(template, name, resource, properties, &Place::resource(logical_id))?;
            }
            "AWS::Serverless::HttpApi" => {
                let api: properties::HttpApi = self.properties(resource, "HttpApi", properties::API_IGNORED, &place)?;
                template.authorizer = read_authorizer(api.auth, &place.child("Auth"))?;
                template.throttling = read_throttling(api.default_route_settings, api.route_settings, &place)?;
                template.cors = api.cors_configuration.map(|cors| Cors {
                    origins: cors.allow_origins,
                    methods: cors.allow_methods,
                    headers: cors.allow_headers,
                    exposed: cors.expose_headers,
                    max_age_s: cors.max_age,
                });
            }
            "AWS::DynamoDB::Table" => {
                let mut table: properties::Table = self.properties(resource, "", properties::TABLE_IGNORED, &place)?;
                let policy = table.resource_policy.take().map(|policy| policy.policy_document);
                template.resource_policies.extend(policy);
                template.tables.push(read_table(name, table));
            }
            "AWS::Events::EventBus" => {
                let _: properties::Named = self.properties(resource, "", properties::BUS_IGNORED, &place)?;
                template.buses.push(name);
            }
            "AWS::SQS::Queue" => {
                let _: properties::Named = self.properties(resource, "", properties::QUEUE_IGNORED, &place)?;
                template.queues.push(name);
            }
            "AWS::SecretsManager::Secret" => {
                let _: properties::Named = self.properties(resource, "", properties::SECRET_IGNORED, &place)?;
                template.secrets.push(name);
            }
            "AWS::IAM::Role" => {
                let role: properties::Role = self.properties(resource, "", &[], &place)?;
                let policies = role.policies.into_iter().map(|policy| policy.policy_document);
                template.roles.insert(names::role_arn(&name), policies.collect());
            }
            "AWS::Events::Rule" => {
                let rule = self.properties(resource, "", properties::RULE_IGNORED, &place)?;
                template.rules.push(self.read_rule(name, rule, &place)?);
            }
            other => return Err(place.refuse(format!("the local cloud does not play resources of type {other}"))),
        }
        Ok(())
    }

    fn add_function(
        &self,
        template: &mut Template,
        name: String,
        resource: &Value,
        function: properties::Function,
        place: &Place,
    ) -> Result<(), Refused> {
        for (event_name, event) in &function.events {
            self.add_event(template, &name, resource, (event_name, event), &place.child("Properties.Events"))?;
        }
        let binary = resource.pointer("/Metadata/BuildProperties/Binary").and_then(Value::as_str).ok_or_else(|| {
            place
                .child("Metadata.BuildProperties.Binary")
                .refuse("is missing; it names what the local cloud builds and runs")
        })?;
        let on_failure = &function.event_invoke_config.destination_config;
        template.functions.push(Function {
            async_invoke: AsyncInvoke {
                retries: function.event_invoke_config.maximum_retry_attempts,
                event_age: Duration::from_secs(function.event_invoke_config.maximum_event_age_in_seconds),
                on_failure: self.failure_queue(on_failure, &place.child("Properties.EventInvokeConfig"))?,
            },
            name,
            binary: binary.to_owned(),
            timeout: Duration::from_secs(function.timeout),
            memory_mb: function.memory_size,
            concurrency: function.reserved_concurrent_executions,
            role: function.role.map(|arn| self.directory.role(&arn, &place.child("Properties.Role"))).transpose()?,
            environment: function.environment.variables.into_iter().map(|(key, value)| (key, value.into())).collect(),
            log_format: function.logging_config.log_format,
            log_level: function.logging_config.application_log_level,
        });
        Ok(())
    }

    fn add_event(
        &self,
        template: &mut Template,
        function: &str,
        resource: &Value,
        (name, event): (&String, &Value),
        place: &Place,
    ) -> Result<(), Refused> {
        let place = place.child(name);
        let properties = event.get("Properties").cloned().unwrap_or_default();
        let at = place.child("Properties");
        match event.get("Type").and_then(Value::as_str).unwrap_or_default() {
            "HttpApi" => {
                let event: properties::HttpApiEvent = self.typed(properties, &[], &at)?;
                if event.payload_format_version.is_some_and(|version| version != "2.0") {
                    return Err(at.child("PayloadFormatVersion").refuse("only 2.0 is played"));
                }
                template.routes.push(Route {
                    name: name.clone(),
                    method: event.method.to_uppercase(),
                    path: event.path,
                    function: function.to_owned(),
                    authorized: event.auth.authorizer.as_deref() != Some("NONE"),
                    scopes: event.auth.authorization_scopes,
                    example: resource.pointer(&format!("/Metadata/Examples/{name}")).cloned(),
                });
            }
            "DynamoDB" => {
                let event = self.typed(properties, &[], &at)?;
                template.mappings.push(self.read_mapping(function.to_owned(), event, &at)?);
            }
            "EventBridgeRule" => {
                let event: properties::RuleEvent = self.typed(properties, properties::RULE_IGNORED, &at)?;
                template.rules.push(Rule {
                    name: format!("{function}-{name}"),
                    bus: self.directory.bus(&event.event_bus_name, &at.child("EventBusName"))?,
                    pattern: event.pattern,
                    targets: vec![Target::Function(function.to_owned())],
                });
            }
            "Schedule" => {
                let event: properties::ScheduleEvent = self.typed(properties, properties::RULE_IGNORED, &at)?;
                let every = event.every().ok_or_else(|| at.child("Schedule").refuse("only rate(...) is played"))?;
                template.schedules.push(Schedule {
                    name: format!("{function}-{name}"),
                    function: function.to_owned(),
                    every,
                });
            }
            other => return Err(place.refuse(format!("the local cloud does not play events of type {other}"))),
        }
        Ok(())
    }

    fn read_mapping(
        &self,
        function: String,
        event: properties::StreamEvent,
        place: &Place,
    ) -> Result<StreamMapping, Refused> {
        if event.parallelization_factor.is_some_and(|factor| factor != 1) {
            return Err(place.child("ParallelizationFactor").refuse("one batch runs at a time here: only 1 is played"));
        }
        if !(1..=BATCH_RECORDS_MAX).contains(&event.batch_size) {
            return Err(place.child("BatchSize").refuse(format!("must be from 1 to {BATCH_RECORDS_MAX}")));
        }
        Ok(StreamMapping {
            table: self.directory.table_of_stream(&event.stream, &place.child("Stream"))?,
            function,
            starting_position: event.starting_position,
            batch_records_max: event.batch_size,
            filters: event.filter_criteria.filters.into_iter().map(|filter| filter.pattern).collect(),
            retry: BatchRetry {
                reports_item_failures: !event.function_response_types.is_empty(),
                bisects: event.bisect_batch_on_function_error,
                retries: limit(event.maximum_retry_attempts),
                record_age_s: limit(event.maximum_record_age_in_seconds),
            },
            on_failure: self.failure_queue(&event.destination_config, place)?,
        })
    }

    fn read_rule(&self, name: String, rule: properties::Rule, place: &Place) -> Result<Rule, Refused> {
        let mut targets = Vec::new();
        for (index, target) in rule.targets.into_iter().enumerate() {
            let place = place.child("Targets").child(index);
            let target: properties::Target = self.typed(target, properties::RULE_IGNORED, &place)?;
            targets.push(self.directory.target(&target.arn, &place.child("Arn"))?);
        }
        let bus = self.directory.bus(&rule.event_bus_name, &place.child("EventBusName"))?;
        Ok(Rule { name, bus, pattern: rule.event_pattern, targets })
    }

    fn failure_queue(&self, config: &properties::DestinationConfig, place: &Place) -> Result<Option<String>, Refused> {
        let place = place.child("DestinationConfig.OnFailure.Destination");
        config.on_failure.as_ref().map(|on_failure| self.directory.queue(&on_failure.destination, &place)).transpose()
    }

    /// A resource's properties over the global ones for `globals`, as the struct that plays them.
    fn properties<T: DeserializeOwned>(
        &self,
        resource: &Value,
        globals: &str,
        ignored: &[&str],
        place: &Place,
    ) -> Result<T, Refused> {
        let own = resource.get("Properties").cloned().unwrap_or_else(|| json!({}));
        let global = self.globals.get(globals).cloned().unwrap_or_else(|| json!({}));
        self.typed(merge(global, own), ignored, place)
    }

    /// `value` without what is ignored, resolved, as a `T`.
    fn typed<T: DeserializeOwned>(&self, mut value: Value, ignored: &[&str], place: &Place) -> Result<T, Refused> {
        if let Some(object) = value.as_object_mut() {
            object.retain(|key, _| !ignored.contains(&key.as_str()));
        }
        let scope = Scope { parameters: self.parameters, resources: Some(self.resources) };
        let resolved = scope.resolve(&value, place)?;
        serde_path_to_error::deserialize(resolved).map_err(|error| match error.path().to_string().as_str() {
            "." => place.refuse(error.inner().to_string()),
            path => place.child(path).refuse(error.inner().to_string()),
        })
    }
}

fn read_throttling(
    default: properties::RouteSettings,
    routes: BTreeMap<String, properties::RouteSettings>,
    place: &Place,
) -> Result<Throttling, Refused> {
    // A parameter is text, whatever its type.
    let number = |limit: properties::Scalar| String::from(limit).parse::<f64>().ok().filter(|limit| *limit >= 0.0);
    let limit = |settings: properties::RouteSettings, place: &Place| match (
        settings.throttling_rate_limit.map(number),
        settings.throttling_burst_limit.map(number),
    ) {
        (Some(Some(rate)), Some(Some(burst))) => Ok(Some(Throttle { rate, burst })),
        (None, None) => Ok(None),
        _ => Err(place.refuse("must have both ThrottlingRateLimit and ThrottlingBurstLimit, as numbers")),
    };
    let default = limit(default, &place.child("DefaultRouteSettings"))?;
    let place = place.child("RouteSettings");
    let of_route = |(key, settings)| {
        let own = limit(settings, &place.child(&key))?;
        Ok(own.map(|own| (key, own)))
    };
    let routes = routes.into_iter().map(of_route).filter_map(Result::transpose).collect::<Result<_, _>>()?;
    Ok(Throttling { default, routes })
}

/// The authorizer of every route that does not open itself to all.
fn read_authorizer(auth: properties::ApiAuth, place: &Place) -> Result<Option<Authorizer>, Refused> {
    let properties::ApiAuth { default_authorizer, mut authorizers } = auth;
    let Some(name) = default_authorizer else {
        return if authorizers.is_empty() {
            Ok(None)
        } else {
            Err(place.child("DefaultAuthorizer").refuse("is missing; an authorizer for some routes only is not played"))
        };
    };
    let missing = || place.child("DefaultAuthorizer").refuse(format!("there is no authorizer {name}"));
    let authorizer = authorizers.remove(&name).ok_or_else(missing)?;
    if authorizer.identity_source.is_some_and(|source| source != IDENTITY_SOURCE) {
        return Err(place.child("Authorizers").child(&name).refuse(format!("only {IDENTITY_SOURCE} is played")));
    }
    let properties::JwtConfiguration { issuer, audience } = authorizer.jwt_configuration;
    Ok(Some(Authorizer { issuer, audience }))
}

fn read_table(name: String, table: properties::Table) -> Table {
    let stream = table.stream.map(|stream| json!({ "StreamEnabled": true, "StreamViewType": stream.stream_view_type }));
    let mut create = json!({
        "TableName": name, "AttributeDefinitions": table.attribute_definitions, "KeySchema": table.key_schema,
    });
    let protected = table.deletion_protection_enabled.map(|is| json!(String::from(is) == "true"));
    let optional = [
        ("LocalSecondaryIndexes", table.local_secondary_indexes),
        ("GlobalSecondaryIndexes", table.global_secondary_indexes),
        ("BillingMode", table.billing_mode),
        ("ProvisionedThroughput", table.provisioned_throughput),
        ("DeletionProtectionEnabled", protected),
        ("StreamSpecification", stream),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            create[key] = value;
        }
    }
    Table { name, create }
}

/// Lambda writes "no limit" as -1.
fn limit(value: i64) -> Limit {
    u64::try_from(value).map_or(Limit::Unlimited, Limit::AtMost)
}
