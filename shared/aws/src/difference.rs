//! The attributes in which an item differs from the one that the events lead to.

use std::{collections::BTreeSet, fmt};

use aws_sdk_dynamodb::types::AttributeValue;

use crate::item::Item;

/// An attribute that is not what the events say. Its values may be what a person wrote, so `Debug` does not show them.
#[derive(Clone, PartialEq)]
pub struct Difference {
    /// The attribute's name; inside of maps the path to it, with dots.
    pub attribute: String,
    /// The value that it has; `None` where the item has no such attribute.
    pub is: Option<AttributeValue>,
    /// The value that the events lead to; `None` where they lead to none.
    pub should_be: Option<AttributeValue>,
}

impl fmt::Debug for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Difference").field("attribute", &self.attribute).finish_non_exhaustive()
    }
}

/// Compares an item with the one that it should be, attribute by attribute, in the order of their names.
pub(crate) fn differences(is: &Item, should_be: &Item) -> Vec<Difference> {
    let mut found = Vec::new();
    collect("", is, should_be, &mut found);
    found
}

fn collect(path: &str, is: &Item, should_be: &Item, found: &mut Vec<Difference>) {
    let names: BTreeSet<&String> = is.keys().chain(should_be.keys()).collect();
    for name in names {
        let attribute = format!("{path}{name}");
        match (is.get(name), should_be.get(name)) {
            (one, other) if one == other => {}
            (Some(AttributeValue::M(one)), Some(AttributeValue::M(other))) => {
                collect(&format!("{attribute}."), one, other, found);
            }
            (one, other) => found.push(Difference { attribute, is: one.cloned(), should_be: other.cloned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::text;

    fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
        attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn number(value: i32) -> AttributeValue {
        AttributeValue::N(value.to_string())
    }

    #[test]
    fn differences_are_named_by_their_path_and_equal_attributes_are_not() {
        let is = item([
            ("balance", number(1)),
            ("owner", text("alice")),
            ("event", AttributeValue::M(item([("data", AttributeValue::M(item([("amount", number(7))])))]))),
            ("added", number(9)),
        ]);
        let should_be = item([
            ("balance", number(2)),
            ("owner", text("alice")),
            ("event", AttributeValue::M(item([("data", AttributeValue::M(item([("amount", number(8))])))]))),
            ("lost", number(3)),
        ]);
        let found: Vec<_> = differences(&is, &should_be)
            .into_iter()
            .map(|found| (found.attribute, found.is, found.should_be))
            .collect();
        let expected = [
            ("added".to_owned(), Some(number(9)), None),
            ("balance".to_owned(), Some(number(1)), Some(number(2))),
            ("event.data.amount".to_owned(), Some(number(7)), Some(number(8))),
            ("lost".to_owned(), None, Some(number(3))),
        ];
        assert_eq!(found, expected);
        assert_eq!(differences(&is, &is), []);
    }

    #[test]
    fn debug_does_not_show_values() {
        let shown = format!("{:?}", differences(&item([("description", text("canary"))]), &item([])));
        assert!(shown.contains("description") && !shown.contains("canary"), "{shown}");
    }
}
