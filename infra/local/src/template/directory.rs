//! Who is who: what an ARN or a bus's name in the template leads to.
//!
//! Made of every resource's type and name before any property is read, so a reference that leads nowhere is refused where
//! it stands.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Place, Refused, intrinsics::physical_name, model::Target};
use crate::names;

/// The bus that every AWS account has without asking.
const DEFAULT_BUS: &str = "default";

/// The resources of a template, by ARN or by name.
#[derive(Debug, Default)]
pub struct Directory {
    functions: BTreeMap<String, String>,
    queues: BTreeMap<String, String>,
    roles: BTreeMap<String, String>,
    streams: BTreeMap<String, String>,
    buses: BTreeSet<String>,
}

impl Directory {
    /// The directory of `resources`.
    pub fn of(resources: &Map<String, Value>, parameters: &Map<String, Value>) -> Result<Self, Refused> {
        let mut directory = Self::default();
        for (logical_id, resource) in resources {
            let name = physical_name(logical_id, resource, parameters)?;
            let twice = match resource.get("Type").and_then(Value::as_str).unwrap_or_default() {
                "AWS::Serverless::Function" => {
                    directory.functions.insert(names::function_arn(&name), name.clone()).is_some()
                }
                "AWS::SQS::Queue" => directory.queues.insert(names::queue_arn(&name), name.clone()).is_some(),
                "AWS::IAM::Role" => directory.roles.insert(names::role_arn(&name), name.clone()).is_some(),
                "AWS::Events::EventBus" => !directory.buses.insert(name.clone()),
                "AWS::DynamoDB::Table" if resource.pointer("/Properties/StreamSpecification").is_some() => {
                    directory.streams.insert(names::stream_arn(&name), name.clone()).is_some()
                }
                _ => false,
            };
            if twice {
                return Err(Place::resource(logical_id).refuse(format!("there are two resources called {name}")));
            }
        }
        Ok(directory)
    }

    /// The function or the queue behind a target's ARN.
    pub fn target(&self, arn: &str, place: &Place) -> Result<Target, Refused> {
        match self.functions.get(arn) {
            Some(function) => Ok(Target::Function(function.clone())),
            None => Ok(Target::Queue(self.queue(arn, place)?)),
        }
    }

    /// The queue behind an ARN.
    pub fn queue(&self, arn: &str, place: &Place) -> Result<String, Refused> {
        find(&self.queues, arn, "queue", place)
    }

    /// The ARN of a role, which there is.
    pub fn role(&self, arn: &str, place: &Place) -> Result<String, Refused> {
        find(&self.roles, arn, "role", place).map(|_| arn.to_owned())
    }

    /// The table behind a stream's ARN.
    pub fn table_of_stream(&self, arn: &str, place: &Place) -> Result<String, Refused> {
        find(&self.streams, arn, "stream", place)
    }

    /// A bus by its name, or by its ARN, which EventBridge takes as well.
    pub fn bus(&self, name_or_arn: &str, place: &Place) -> Result<String, Refused> {
        let is_it = |bus: &&str| *bus == name_or_arn || names::bus_arn(bus) == name_or_arn;
        let bus = self.buses.iter().map(String::as_str).chain([DEFAULT_BUS]).find(is_it);
        bus.map(str::to_owned).ok_or_else(|| place.refuse(format!("{name_or_arn} is no event bus of this template")))
    }
}

fn find(of: &BTreeMap<String, String>, arn: &str, what: &str, place: &Place) -> Result<String, Refused> {
    of.get(arn).cloned().ok_or_else(|| place.refuse(format!("{arn} is no {what} of this template")))
}
