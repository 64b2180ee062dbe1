//! Instants in UTC, written in one fixed width, so that text order is time order in a DynamoDB key.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant in UTC to the microsecond, written as RFC 3339: `2026-11-23T09:30:00.000000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(transparent)]
pub struct Timestamp(#[schemars(with = "String", extend("format" = "date-time"))] jiff::Timestamp);

impl Timestamp {
    /// The last instant there is.
    pub const MAX: Self = Self(jiff::Timestamp::MAX);

    /// The instant `micros` microseconds after 1970-01-01T00:00:00Z; instants beyond the years -9999 to 9999 are moved to the edge.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        let edge = if micros < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        Self(jiff::Timestamp::from_microsecond(micros).unwrap_or(edge))
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn as_micros(self) -> i64 {
        self.0.as_microsecond()
    }

    /// The time until `later`; zero where `later` is not later.
    #[must_use]
    pub fn until(self, later: Self) -> std::time::Duration {
        std::time::Duration::try_from(self.0.duration_until(later.0)).unwrap_or_default()
    }

    /// The instant `duration` before this one.
    #[must_use]
    pub fn earlier_by(self, duration: std::time::Duration) -> Self {
        Self::from_micros(self.as_micros().saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The instant `duration` after this one; no later than [`Timestamp::MAX`].
    #[must_use]
    pub fn later_by(self, duration: std::time::Duration) -> Self {
        Self::from_micros(self.as_micros().saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The day in UTC, as `2026-11-23`.
    #[must_use]
    pub fn day(self) -> String {
        self.0.strftime("%Y-%m-%d").to_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.0)
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let instant: jiff::Timestamp = text.parse()?;
        Ok(Self::from_micros(instant.as_microsecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_order_is_time_order() {
        let texts: Vec<String> = [0, 1, 999_999, 1_000_000, 1_763_891_400_000_000]
            .map(|micros| Timestamp::from_micros(micros).to_string())
            .to_vec();
        assert!(texts.is_sorted());
        assert!(texts.iter().all(|text| text.len() == texts[0].len()));
        assert_eq!(texts[0], "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn a_day_ends_at_midnight_in_utc() {
        let instant: Timestamp = "2026-11-24T01:00:00+02:00".parse().unwrap();
        assert_eq!(instant.day(), "2026-11-23");
        assert_eq!(instant.earlier_by(std::time::Duration::from_hours(23)).day(), "2026-11-23");
        assert_eq!(instant.earlier_by(std::time::Duration::from_hours(24)).day(), "2026-11-22");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let instant = Timestamp::from_micros(1_763_891_400_123_456);
        assert_eq!(instant.to_string().parse::<Timestamp>().unwrap(), instant);
        assert_eq!(
            "2026-11-23T10:30:00+01:00".parse::<Timestamp>().unwrap().to_string(),
            "2026-11-23T09:30:00.000000Z"
        );
    }
}
