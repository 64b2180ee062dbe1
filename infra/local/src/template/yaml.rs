//! YAML as CloudFormation writes it, turned into JSON.
//!
//! The short forms of intrinsic functions (`!Ref X`, `!GetAtt X.Arn`, `!Sub "..."`) become their long forms
//! (`{"Ref": "X"}` ...), so that whoever reads the JSON knows one form only. A tag that is no intrinsic function is an error.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

/// The template's text as JSON.
pub fn parse(text: &str) -> Result<Value, String> {
    let documents = Yaml::load_from_str(text).map_err(|error| format!("is not YAML: {error}"))?;
    match documents.as_slice() {
        [document] => to_json(document),
        _ => Err(format!("has {} YAML documents; a template is one", documents.len())),
    }
}

fn to_json(node: &Yaml) -> Result<Value, String> {
    match node {
        Yaml::Value(scalar) => Ok(scalar_to_json(scalar)),
        Yaml::Sequence(items) => items.iter().map(to_json).collect(),
        Yaml::Mapping(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                object.insert(key_of(key)?, to_json(value)?);
            }
            Ok(Value::Object(object))
        }
        Yaml::Tagged(tag, value) => long_form(&tag.to_string(), to_json(value)?),
        Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue => {
            Err(format!("has a value that YAML does not explain: {node:?}"))
        }
    }
}

fn scalar_to_json(scalar: &Scalar) -> Value {
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(value) => json!(value),
        Scalar::Integer(value) => json!(value),
        Scalar::FloatingPoint(value) => json!(value.into_inner()),
        Scalar::String(value) => json!(value),
    }
}

fn key_of(key: &Yaml) -> Result<String, String> {
    match to_json(key)? {
        Value::String(text) => Ok(text),
        other => Err(format!("has the key {other}, which is not text")),
    }
}

fn long_form(tag: &str, value: Value) -> Result<Value, String> {
    match (tag, value) {
        ("!Ref", name) => Ok(json!({ "Ref": name })),
        ("!GetAtt", Value::String(text)) => match text.split_once('.') {
            Some((resource, attribute)) => Ok(json!({ "Fn::GetAtt": [resource, attribute] })),
            None => Err(format!("has !GetAtt {text}, which names no attribute")),
        },
        ("!GetAtt", parts) => Ok(json!({ "Fn::GetAtt": parts })),
        ("!Sub", text) => Ok(json!({ "Fn::Sub": text })),
        ("!Condition", name) => Ok(json!({ "Condition": name })),
        ("!If" | "!Not" | "!Equals" | "!And" | "!Or" | "!Split" | "!Select", parts) => {
            Ok(json!({ format!("Fn::{}", &tag[1..]): parts }))
        }
        (other, _) => Err(format!("uses {other}, which the local cloud does not know")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_become_long_forms() {
        let template = "{ a: !Ref X, b: !GetAtt X.Arn, c: !Sub 'p-${X}', d: !GetAtt [X, Y.Z], e: '1', f: 1, g: true }";
        let expected = json!({
            "a": { "Ref": "X" }, "b": { "Fn::GetAtt": ["X", "Arn"] }, "c": { "Fn::Sub": "p-${X}" },
            "d": { "Fn::GetAtt": ["X", "Y.Z"] }, "e": "1", "f": 1, "g": true,
        });
        assert_eq!(parse(template), Ok(expected));
    }

    #[test]
    fn an_intrinsic_function_that_is_not_played_is_named() {
        assert_eq!(parse("a: !Join ['', [b]]").unwrap_err(), "uses !Join, which the local cloud does not know");
    }
}
