//! Identifiers. Text that comes from outside is checked once, here, and is then known to be good.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Alphabet, InvalidText, TextRule};

/// How many events an aggregate has: 1 after its first event, 0 before it. The version of an event is its place in that count.
pub type Version = u64;

/// Names one aggregate. A UUID: version 7 where it was made at random, version 5 where it follows from an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct AggregateId(pub Uuid);

impl fmt::Display for AggregateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one command on one aggregate: the same id has one effect there, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CommandId(pub Uuid);

/// Separates the ids made here from every other use of UUID version 5. An arbitrary constant that must never change.
const NAMESPACE: Uuid = Uuid::from_u128(0x7c6b_1d0a_52f4_4d0e_9a61_0f3d_9f1c_2ab7);

impl CommandId {
    /// The command id of the idempotency key `key` as used by `user`. Keys of two users never meet, whatever text they choose.
    #[must_use]
    pub fn from_key(user: &UserId, key: &str) -> Self {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        let name = format!("command/{}/{}/{key}", user.as_str().len(), user.as_str());
        Self(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }

    /// The command id of the request that the system `source` calls `request_id`. Two systems never meet, nor a system and a user.
    #[must_use]
    pub fn of_request(source: &str, request_id: &str) -> Self {
        let name = format!("request/{}/{source}/{request_id}", source.len());
        Self(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }

    /// The command id of the step `step` of the process `process`: whoever drives the process, however often, means the same
    /// command.
    #[must_use]
    pub fn of_step(process: AggregateId, step: &str) -> Self {
        Self(Uuid::new_v5(&process.0, step.as_bytes()))
    }

    /// The aggregate that this command creates: the same command always creates the same one.
    #[must_use]
    pub fn creates(self, aggregate_type: &str) -> AggregateId {
        AggregateId(Uuid::new_v5(&self.0, aggregate_type.as_bytes()))
    }
}

/// The user on whose behalf something happens: the `sub` of a token. `Debug` does not show it, so it stays out of logs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct UserId(#[schemars(extend("pattern" = UserId::RULE.pattern()))] String);

impl UserId {
    /// The rule for a subject. OpenID Connect Core 1.0, section 2: a `sub` is at most 255 ASCII characters.
    pub const RULE: TextRule = TextRule::new(Alphabet::VisibleAscii, 255);

    /// Checks a subject.
    ///
    /// # Errors
    /// When it is not by [`UserId::RULE`].
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidText> {
        let text = text.into();
        Self::RULE.check(&text)?;
        Ok(Self(text))
    }

    /// The subject itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId(***)")
    }
}

/// Joins everything that one request leads to, through every event and function.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CorrelationId(#[schemars(extend("pattern" = CorrelationId::RULE.pattern()))] String);

impl CorrelationId {
    /// The rule for a caller's correlation id, which is written to logs and headers. Long enough for a UUID or a W3C trace id with a
    /// prefix, short enough to stay within an event's write unit.
    pub const RULE: TextRule = TextRule::new(Alphabet::Token, 64);

    /// Checks a caller's correlation id.
    ///
    /// # Errors
    /// When it is not by [`CorrelationId::RULE`].
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidText> {
        let text = text.into();
        Self::RULE.check(&text)?;
        Ok(Self(text))
    }

    /// The id itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Uuid> for CorrelationId {
    fn from(id: Uuid) -> Self {
        Self(id.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_is_one_command_and_two_users_never_share_one() {
        let user = |name: &str| UserId::new(name).unwrap();
        let id = CommandId::from_key(&user("alice"), "k");
        assert_eq!(id, CommandId::from_key(&user("alice"), "k"));
        assert_ne!(id, CommandId::from_key(&user("bob"), "k"));
        assert_ne!(CommandId::from_key(&user("a"), "b/c"), CommandId::from_key(&user("a/b"), "c"));
        assert_ne!(id.creates("Account"), id.creates("Transaction"));
    }

    #[test]
    fn one_request_is_one_command_and_two_systems_never_share_one() {
        let id = CommandId::of_request("payments", "1");
        assert_eq!(id, CommandId::of_request("payments", "1"));
        assert_ne!(id, CommandId::of_request("payroll", "1"));
        assert_ne!(CommandId::of_request("a", "b/c"), CommandId::of_request("a/b", "c"));
        assert_ne!(id, CommandId::from_key(&UserId::new("payments").unwrap(), "1"));
    }

    #[test]
    fn a_user_id_is_visible_ascii_and_never_shown_by_debug() {
        assert!(UserId::new("").is_err());
        assert!(UserId::new("a b").is_err());
        assert!(UserId::new("a\n").is_err());
        assert!(UserId::new("x".repeat(256)).is_err());
        assert!(!format!("{:?}", UserId::new("alice").unwrap()).contains("alice"));
    }

    #[test]
    fn a_correlation_id_cannot_break_a_log_line_or_a_header() {
        assert!(CorrelationId::new("2026-11:a_b.c").is_ok());
        for bad in ["", "a b", "a\r\nb", "ü", &"x".repeat(65)] {
            assert!(CorrelationId::new(bad).is_err(), "{bad:?}");
        }
    }
}
