//! Ids as text.

use aggregate::AggregateId;
use uuid::Uuid;

/// The usual form of an id, of several that a UUID can be written in.
pub(crate) const UUID: &str = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$";

/// An id in its usual form.
pub(crate) fn parse(text: &str) -> Option<AggregateId> {
    let usual_form = text.len() == uuid::fmt::Hyphenated::LENGTH;
    usual_form.then(|| Uuid::try_parse(text).ok()).flatten().map(AggregateId)
}
