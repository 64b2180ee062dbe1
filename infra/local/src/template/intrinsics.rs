//! What `Ref`, `Fn::GetAtt` and `Fn::Sub` stand for in the local cloud.
//!
//! Promises: what is returned holds no intrinsic function any more, and what cannot be resolved is refused by name. Names of
//! resources may refer to parameters only, so that resolving always ends.

use serde_json::{Map, Value};

use super::{Place, Refused};
use crate::names;

/// What a reference can lead to: the template's parameters and resources.
pub struct Scope<'a> {
    /// `Parameters` of the template.
    pub parameters: &'a Map<String, Value>,
    /// `Resources` of the template; none while a resource's own name is being resolved.
    pub resources: Option<&'a Map<String, Value>>,
}

impl Scope<'_> {
    /// `value` with every intrinsic function in it resolved.
    pub fn resolve(&self, value: &Value, place: &Place) -> Result<Value, Refused> {
        match value {
            Value::Array(items) => {
                let resolved = items.iter().enumerate().map(|(index, item)| self.resolve(item, &place.child(index)));
                resolved.collect()
            }
            Value::Object(object) => match only_entry(object) {
                Some(("Ref", Value::String(name))) => self.reference(name, place).map(Value::String),
                Some(("Fn::Split", Value::Array(parts))) => match parts.as_slice() {
                    [Value::String(by), text] => match self.resolve(text, place)? {
                        Value::String(text) => Ok(text.split(by.as_str()).map(Value::from).collect()),
                        _ => Err(place.refuse("Fn::Split wants a text")),
                    },
                    _ => Err(place.refuse("Fn::Split wants a delimiter and a text")),
                },
                Some(("Fn::Sub", Value::String(text))) => self.substitute(text, place).map(Value::String),
                Some(("Fn::GetAtt", Value::Array(parts))) => match parts.as_slice() {
                    [Value::String(resource), Value::String(attribute)] => {
                        self.attribute(resource, attribute, place).map(Value::String)
                    }
                    _ => Err(place.refuse("Fn::GetAtt wants a resource and an attribute")),
                },
                Some((name, _)) if name.starts_with("Fn::") => {
                    Err(place.refuse(format!("{name} in this form is not known to the local cloud")))
                }
                _ => {
                    let mut resolved = Map::new();
                    for (key, value) in object {
                        resolved.insert(key.clone(), self.resolve(value, &place.child(key))?);
                    }
                    Ok(Value::Object(resolved))
                }
            },
            scalar => Ok(scalar.clone()),
        }
    }

    fn substitute(&self, text: &str, place: &Place) -> Result<String, Refused> {
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').ok_or_else(|| place.refuse("a ${ is never closed"))?;
            result.push_str(before);
            match (name.strip_prefix('!'), name.split_once('.')) {
                (Some(literal), _) => result.extend(["${", literal, "}"]),
                (None, Some((resource, attribute))) => result.push_str(&self.attribute(resource, attribute, place)?),
                (None, None) => result.push_str(&self.reference(name, place)?),
            }
            rest = after;
        }
        result.push_str(rest);
        Ok(result)
    }

    fn reference(&self, name: &str, place: &Place) -> Result<String, Refused> {
        let pseudo = match name {
            "AWS::AccountId" => Some(names::ACCOUNT_ID),
            "AWS::Region" => Some(names::REGION),
            "AWS::Partition" => Some("aws"),
            "AWS::URLSuffix" => Some("amazonaws.com"),
            "AWS::StackName" => Some("local"),
            _ => None,
        };
        if let Some(value) = pseudo {
            return Ok(value.to_owned());
        }
        if let Some(parameter) = self.parameters.get(name) {
            return match parameter.get("Default") {
                Some(Value::String(text)) => Ok(text.clone()),
                Some(other) => Ok(other.to_string()),
                None => {
                    Err(place.refuse(format!("parameter {name} has no Default, and nobody is asked for a value here")))
                }
            };
        }
        let (kind, physical) = self.resource(name, place)?;
        Ok(match kind {
            "AWS::SQS::Queue" => names::queue_url(&physical),
            "AWS::SecretsManager::Secret" => names::secret_arn(&physical),
            _ => physical,
        })
    }

    fn attribute(&self, resource: &str, attribute: &str, place: &Place) -> Result<String, Refused> {
        let (kind, name) = self.resource(resource, place)?;
        match (kind, attribute) {
            ("AWS::Serverless::Function", "Arn") => Ok(names::function_arn(&name)),
            ("AWS::DynamoDB::Table", "Arn") => Ok(names::table_arn(&name)),
            ("AWS::DynamoDB::Table", "StreamArn") => Ok(names::stream_arn(&name)),
            ("AWS::IAM::Role", "Arn") => Ok(names::role_arn(&name)),
            ("AWS::Logs::LogGroup", "Arn") => Ok(names::log_group_arn(&name)),
            ("AWS::CloudWatch::Alarm", "Arn") => Ok(names::alarm_arn(&name)),
            ("AWS::Events::EventBus", "Arn") => Ok(names::bus_arn(&name)),
            ("AWS::Events::EventBus", "Name") | ("AWS::SQS::Queue", "QueueName") => Ok(name),
            ("AWS::SQS::Queue", "Arn") => Ok(names::queue_arn(&name)),
            ("AWS::SQS::Queue", "QueueUrl") => Ok(names::queue_url(&name)),
            _ => {
                Err(place
                    .refuse(format!("the local cloud does not know the attribute {attribute} of {resource} ({kind})")))
            }
        }
    }

    /// The type and the name of a resource.
    fn resource(&self, logical_id: &str, place: &Place) -> Result<(&str, String), Refused> {
        let resources = self.resources.ok_or_else(|| {
            place.refuse(format!("{logical_id} is no parameter, and only parameters may stand in a name"))
        })?;
        let resource = resources
            .get(logical_id)
            .ok_or_else(|| place.refuse(format!("nothing in the template is called {logical_id}")))?;
        let kind = resource.get("Type").and_then(Value::as_str).unwrap_or_default();
        Ok((kind, physical_name(logical_id, resource, self.parameters)?))
    }
}

/// The name that a resource goes by: its own, where the template gives one. AWS would make up the others; here a function is
/// called like its binary, and anything else like its logical id.
pub fn physical_name(logical_id: &str, resource: &Value, parameters: &Map<String, Value>) -> Result<String, Refused> {
    const NAME_PROPERTIES: [&str; 6] = ["FunctionName", "TableName", "QueueName", "RoleName", "LogGroupName", "Name"];
    let place = Place::resource(logical_id).child("Properties");
    for property in NAME_PROPERTIES {
        if let Some(name) = resource.pointer(&format!("/Properties/{property}")) {
            let place = place.child(property);
            return match (Scope { parameters, resources: None }).resolve(name, &place)? {
                Value::String(name) => Ok(name),
                _ => Err(place.refuse("a name is text")),
            };
        }
    }
    let binary = resource.pointer("/Metadata/BuildProperties/Binary").and_then(Value::as_str);
    Ok(binary.unwrap_or(logical_id).to_owned())
}

/// The one entry of an object that has one: the form of an intrinsic function.
pub fn only_entry(object: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut entries = object.iter();
    match (entries.next(), entries.next()) {
        (Some((key, value)), None) => Some((key, value)),
        _ => None,
    }
}
