//! `template.yaml`, the one list of what exists: read, resolved and checked.
//!
//! Promises: everything in the template that the local cloud plays is in [`Template`]; everything that it does not play is
//! either known to make no difference here (`template/properties.rs` has the lists) or refused, by name and with its place.
//! So a template that starts here has nothing in it that was quietly left out.

mod conditions;
mod directory;
mod intrinsics;
mod model;
mod properties;
mod reader;
#[cfg(test)]
mod tests;
mod yaml;

use std::{
    fmt::{self, Display},
    path::Path,
};

use conditions::Conditions;
use directory::Directory;
pub use model::{
    AsyncInvoke, Authorizer, BatchRetry, Cors, Function, Limit, Route, Rule, Schedule, StartingPosition, StreamMapping,
    Table, Target, Template, Throttle, Throttling,
};
use reader::Reader;
use serde_json::{Map, Value};

/// The sections that a template may have. `Rules` are about the parameters of a deployment, which there is none of here.
const SECTIONS: &[&str] = &[
    "AWSTemplateFormatVersion",
    "Transform",
    "Description",
    "Metadata",
    "Parameters",
    "Rules",
    "Conditions",
    "Globals",
    "Resources",
    "Outputs",
];

/// What a resource may have beside its properties.
const RESOURCE_KEYS: &[&str] =
    &["Type", "Condition", "Properties", "Metadata", "DeletionPolicy", "UpdateReplacePolicy", "DependsOn"];

/// Resources that make no difference to one user on one machine: permissions between services and for other accounts (here is
/// one), logs, alarms and archives.
const IGNORED_TYPES: &[&str] = &[
    "AWS::Events::Archive",
    "AWS::Events::EventBusPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::Lambda::Permission",
    "AWS::Logs::LogGroup",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
];

/// Something in the template that the local cloud cannot play.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    place: Place,
    problem: String,
}

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place.0, self.problem)
    }
}

/// Where in the template something stands: `Resources.X.Properties.Y`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place(String);

impl Place {
    fn section(name: &str) -> Self {
        Self(name.to_owned())
    }

    fn resource(logical_id: &str) -> Self {
        Self::section("Resources").child(logical_id)
    }

    fn child(&self, name: impl Display) -> Self {
        Self(format!("{}.{name}", self.0))
    }

    fn refuse(&self, problem: impl Into<String>) -> Refused {
        Refused { place: self.clone(), problem: problem.into() }
    }
}

/// Reads the template in `path`.
///
/// # Errors
/// When it cannot be read, or has something in it that is not played; the text says what and where.
pub fn load(path: &Path) -> Result<Template, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}; --template says where it is", path.display()))?;
    parse(&text).map_err(|refused| format!("{}: {refused}", path.display()))
}

fn parse(text: &str) -> Result<Template, Refused> {
    let whole = Place::section("the template");
    let document = yaml::parse(text).map_err(|problem| whole.refuse(problem))?;
    let sections = document.as_object().ok_or_else(|| whole.refuse("has no sections"))?;
    only_known(sections, SECTIONS, &whole)?;

    let none = Map::new();
    let section = |name: &str| sections.get(name).and_then(Value::as_object).unwrap_or(&none);
    let (parameters, resources) = (section("Parameters"), section("Resources"));
    let conditions = Conditions { conditions: section("Conditions"), parameters };
    let globals = chosen(&conditions, section("Globals"), &Place::section("Globals"))?;
    only_known(&globals, &["Function", "HttpApi"], &Place::section("Globals"))?;
    let resources = played(&conditions, resources)?;
    let (globals, resources) = (&globals, &resources);
    let reader = Reader { parameters, globals, resources, directory: Directory::of(resources, parameters)? };

    let mut template = Template::default();
    for (logical_id, resource) in resources.iter().filter(|(_, resource)| !is_ignored(resource)) {
        reader.add(&mut template, logical_id, resource)?;
    }
    let is_route = |key: &&String| template.routes.iter().any(|route| route.key() == **key);
    if let Some(key) = template.throttling.routes.keys().find(|key| !is_route(key)) {
        return Err(Place::section("RouteSettings").child(key).refuse("is no route of the API"));
    }
    template.routes.sort_by(|a, b| (&a.path, &a.method).cmp(&(&b.path, &b.method)));
    Ok(template)
}

fn is_ignored(resource: &Value) -> bool {
    IGNORED_TYPES.contains(&resource.get("Type").and_then(Value::as_str).unwrap_or_default())
}

/// The resources that there are, without conditions; what is ignored stays as it is.
fn played(conditions: &Conditions<'_>, resources: &Map<String, Value>) -> Result<Map<String, Value>, Refused> {
    let mut played = Map::new();
    for (logical_id, resource) in resources {
        let place = Place::resource(logical_id);
        let object = resource.as_object().ok_or_else(|| place.refuse("is no resource"))?;
        only_known(object, RESOURCE_KEYS, &place)?;
        if is_ignored(resource) {
            played.insert(logical_id.clone(), resource.clone());
            continue;
        }
        let there_is = match object.get("Condition") {
            Some(Value::String(name)) => conditions.holds(name, &place)?,
            _ => true,
        };
        if there_is {
            played.insert(logical_id.clone(), Value::Object(chosen(conditions, object, &place)?));
        }
    }
    Ok(played)
}

fn chosen(
    conditions: &Conditions<'_>,
    object: &Map<String, Value>,
    place: &Place,
) -> Result<Map<String, Value>, Refused> {
    let choose = |(key, value): (&String, &Value)| {
        let value = conditions.choose(value, &place.child(key))?;
        Ok(value.map(|value| (key.clone(), value)))
    };
    object.iter().map(choose).filter_map(Result::transpose).collect()
}

fn only_known(object: &Map<String, Value>, known: &[&str], place: &Place) -> Result<(), Refused> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(unknown) => Err(place.refuse(format!("{unknown} is not known to the local cloud"))),
        None => Ok(()),
    }
}

/// SAM's way of laying a resource's properties over the global ones: maps are merged, lists joined, anything else replaced.
fn merge(global: Value, own: Value) -> Value {
    match (global, own) {
        (Value::Object(mut global), Value::Object(own)) => {
            for (key, value) in own {
                let merged = match global.remove(&key) {
                    Some(base) => merge(base, value),
                    None => value,
                };
                global.insert(key, merged);
            }
            Value::Object(global)
        }
        (Value::Array(mut global), Value::Array(own)) => {
            global.extend(own);
            Value::Array(global)
        }
        (_, own) => own,
    }
}
