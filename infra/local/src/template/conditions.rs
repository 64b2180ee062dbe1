//! What the template's conditions choose, with the parameters' defaults: resources that there are, and the branch of every
//! `Fn::If`. What comes out has no condition in it any more.

use serde_json::{Map, Value};

use super::{
    Place, Refused,
    intrinsics::{Scope, only_entry},
};

/// Conditions that lead to each other may be so many deep, so that a circle of them ends.
const DEPTH_MAX: usize = 32;

/// The conditions of a template.
pub struct Conditions<'a> {
    /// `Conditions` of the template.
    pub conditions: &'a Map<String, Value>,
    /// `Parameters` of the template, all that a condition may refer to.
    pub parameters: &'a Map<String, Value>,
}

impl Conditions<'_> {
    /// Whether the condition `name` holds.
    pub fn holds(&self, name: &str, place: &Place) -> Result<bool, Refused> {
        self.named(name, place, DEPTH_MAX)
    }

    fn named(&self, name: &str, place: &Place, depth: usize) -> Result<bool, Refused> {
        let condition =
            self.conditions.get(name).ok_or_else(|| place.refuse(format!("there is no condition {name}")))?;
        self.evaluate(condition, &Place::section("Conditions").child(name), depth)
    }

    fn evaluate(&self, condition: &Value, place: &Place, depth: usize) -> Result<bool, Refused> {
        let Some(depth) = depth.checked_sub(1) else { return Err(place.refuse("leads to itself")) };
        match condition.as_object().and_then(only_entry) {
            Some(("Condition", Value::String(name))) => self.named(name, place, depth),
            Some(("Fn::Equals", Value::Array(operands))) if operands.len() == 2 => {
                let scope = Scope { parameters: self.parameters, resources: None };
                // CloudFormation compares texts: what a parameter holds is one, whatever its type.
                let text = |operand| {
                    let resolved = scope.resolve(operand, place)?;
                    Ok(resolved.as_str().map_or_else(|| resolved.to_string(), str::to_owned))
                };
                Ok(text(&operands[0])? == text(&operands[1])?)
            }
            Some(("Fn::Not", Value::Array(operands))) if operands.len() == 1 => {
                Ok(!self.evaluate(&operands[0], place, depth)?)
            }
            Some(("Fn::And", Value::Array(operands))) => self.count(operands, place, depth).map(|(no, _)| no == 0),
            Some(("Fn::Or", Value::Array(operands))) => self.count(operands, place, depth).map(|(_, yes)| yes > 0),
            _ => Err(place.refuse("is no condition that the local cloud knows")),
        }
    }

    /// How many of them do not hold, and how many do.
    fn count(&self, operands: &[Value], place: &Place, depth: usize) -> Result<(usize, usize), Refused> {
        operands.iter().try_fold((0, 0), |(no, yes), operand| {
            Ok(if self.evaluate(operand, place, depth)? { (no, yes + 1) } else { (no + 1, yes) })
        })
    }

    /// `value` with the branch of each `Fn::If` that is chosen, and without what is `AWS::NoValue`. Nothing where it is all that.
    pub fn choose(&self, value: &Value, place: &Place) -> Result<Option<Value>, Refused> {
        match value {
            Value::Array(items) => {
                let chosen = items.iter().enumerate().map(|(index, item)| self.choose(item, &place.child(index)));
                Ok(Some(Value::Array(chosen.filter_map(Result::transpose).collect::<Result<_, _>>()?)))
            }
            Value::Object(object) => match only_entry(object) {
                Some(("Ref", Value::String(name))) if name == "AWS::NoValue" => Ok(None),
                Some(("Fn::If", Value::Array(parts))) => match parts.as_slice() {
                    [Value::String(name), yes, no] => {
                        self.choose(if self.holds(name, place)? { yes } else { no }, place)
                    }
                    _ => Err(place.refuse("Fn::If wants a condition and two values")),
                },
                _ => {
                    let chosen = object.iter().map(|(key, value)| {
                        let value = self.choose(value, &place.child(key))?;
                        Ok(value.map(|value| (key.clone(), value)))
                    });
                    Ok(Some(Value::Object(chosen.filter_map(Result::transpose).collect::<Result<_, _>>()?)))
                }
            },
            scalar => Ok(Some(scalar.clone())),
        }
    }
}
