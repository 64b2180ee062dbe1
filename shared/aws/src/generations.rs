//! Counters cannot be rebuilt in their place: they are sums, and the events that make them up go on. So a table of counters has
//! generations. One is read and written; the next is built beside it from the events, takes its place at once, and then
//! the old one goes. Which is which stands in an item of the table itself.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use eventing::{Saved, TableError};
use serde::{Deserialize, Serialize};

use crate::item::{Item, decode, encode, failed, saved, text};

/// The generations of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generations {
    /// The one that is read and written.
    pub current: u32,
    /// The one that is being built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub building: Option<u32>,
    /// The one that was current before, while some still read and write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<u32>,
}

impl Default for Generations {
    fn default() -> Self {
        Self { current: 1, building: None, leaving: None }
    }
}

/// How long a process goes on with the generation that it knows. Who switches waits longer before the old one goes.
pub const GENERATION_KEPT: Duration = Duration::from_secs(2);

/// What a process knows of the generations; clones know the same.
#[derive(Debug, Clone)]
pub(crate) enum Known {
    /// The current one, as it was at that moment.
    Current(Arc<Mutex<Option<(u32, Instant)>>>),
    /// A certain one.
    Only(u32),
}

fn key() -> Item {
    ["part", "of"].map(|name| (name.to_owned(), text("generations"))).into()
}

/// Which generations there are.
pub(crate) async fn read(client: &Client, table: &str) -> Result<Generations, TableError> {
    let get = client.get_item().table_name(table).consistent_read(true).set_key(Some(key()));
    Ok(get.send().await.map_err(failed)?.item.map(decode).transpose()?.unwrap_or_default())
}

/// Makes `now` of the generations, if they still are as they were `seen`. False: somebody else has changed them.
pub(crate) async fn change(
    client: &Client,
    table: &str,
    seen: Generations,
    now: Generations,
) -> Result<bool, TableError> {
    let mut item: Item = encode(&now)?;
    item.extend(key());
    let put = client.put_item().table_name(table).set_item(Some(item));
    let put = if seen == Generations::default() {
        put.condition_expression("attribute_not_exists(part)")
    } else {
        let all = [("current", Some(seen.current)), ("building", seen.building), ("leaving", seen.leaving)];
        let put = all.iter().fold(put, |put, (name, _)| put.expression_attribute_names(format!("#{name}"), *name));
        let terms = all.map(|(name, value)| match value {
            Some(_) => format!("#{name} = :{name}"),
            None => format!("attribute_not_exists(#{name})"),
        });
        let values = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
        values.fold(put.condition_expression(terms.join(" AND ")), |put, (name, value)| {
            put.expression_attribute_values(format!(":{name}"), AttributeValue::N(value.to_string()))
        })
    };
    Ok(saved(put.send().await)? == Saved::Written)
}

impl Known {
    /// The generation to read and write.
    pub(crate) async fn number(&self, client: &Client, table: &str) -> Result<u32, TableError> {
        let known = match self {
            Self::Only(number) => return Ok(*number),
            Self::Current(known) => known,
        };
        let lately = *known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((number, at)) = lately
            && at.elapsed() < GENERATION_KEPT
        {
            return Ok(number);
        }
        // The moment before the answer: what was read may be older than the moment after it.
        let at = Instant::now();
        let number = read(client, table).await?.current;
        *known.lock().unwrap_or_else(PoisonError::into_inner) = Some((number, at));
        Ok(number)
    }
}

/// The name of a part in a generation. The first has none of its own, so that tables from before there were generations are of it.
pub(crate) fn part(generation: u32, name: &str) -> String {
    if generation == 1 { name.to_owned() } else { format!("{generation}/{name}") }
}

/// The generation and the name of a part.
pub(crate) fn parse(part: &str) -> (u32, &str) {
    let (generation, name) = part.split_once('/').unwrap_or(("1", part));
    (generation.parse().unwrap_or_default(), name)
}
