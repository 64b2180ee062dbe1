//! Instants in UTC, written in one fixed width, so that text order is time order in a DynamoDB key.

use std::{fmt, str::FromStr};

use jiff::{
    SignedDuration,
    civil::{Date, DateTime, Time},
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant in UTC to the microsecond, of the years 0000 to 9999, written as RFC 3339: `2026-11-23T09:30:00.000000Z`.
///
/// It is a number of microseconds and not a timestamp of `jiff`, which ends 26 hours before the year 9999 does. People use
/// 9999-12-31 for "no end".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(transparent)]
pub struct Timestamp(#[schemars(with = "String", extend("format" = "date-time"))] i64);

/// The error for a text that is not an instant by RFC 3339, section 5.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTimestamp {
    /// Of another form, or no day or time that there is.
    #[error("must be an instant by RFC 3339, such as 2026-11-23T09:30:00Z")]
    NotRfc3339,
    /// What is left of `+02:00` where a query's `+` was not encoded.
    #[error("must be an instant by RFC 3339 without a space: in a URL, write the + of an offset as %2B")]
    Space,
}

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

impl Timestamp {
    /// The first instant: 0000-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_167_219_200_000_000);

    /// The last instant: 9999-12-31T23:59:59.999999Z.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// The instant `micros` microseconds after 1970-01-01T00:00:00Z. One outside the years 0000 to 9999 is moved to the edge.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros).clamp(Self::MIN, Self::MAX)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// The time until `later`; zero where `later` is not later.
    #[must_use]
    pub fn until(self, later: Self) -> std::time::Duration {
        std::time::Duration::from_micros(u64::try_from(later.0 - self.0).unwrap_or(0))
    }

    /// The instant `duration` before this one.
    #[must_use]
    pub fn earlier_by(self, duration: std::time::Duration) -> Self {
        Self::from_micros(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The instant `duration` after this one; no later than [`Timestamp::MAX`].
    #[must_use]
    pub fn later_by(self, duration: std::time::Duration) -> Self {
        Self::from_micros(self.as_micros().saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The day in UTC, as `2026-11-23`.
    #[must_use]
    pub fn day(self) -> String {
        self.civil().date().to_string()
    }

    fn civil(self) -> DateTime {
        EPOCH.saturating_add(SignedDuration::from_micros(self.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}Z", self.civil())
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Reads every text of RFC 3339 and no other. What is below a microsecond is cut off. A leap second, which ends a month in
    /// UTC, is the last microsecond of its minute. An instant outside the years 0000 to 9999 in UTC is moved to the edge.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = if text.contains(' ') { InvalidTimestamp::Space } else { InvalidTimestamp::NotRfc3339 };
        rfc3339(text).ok_or(invalid)
    }
}

fn rfc3339(text: &str) -> Option<Timestamp> {
    const MINUTE_MICROS: i64 = 60_000_000;
    let (day, rest) = text.split_at_checked("0000-00-00".len())?;
    let (time, rest) = rest.split_at_checked("T00:00:00".len())?;
    let (fraction, offset) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|character: char| !character.is_ascii_digit())?),
        None => ("0", rest),
    };
    if !has_form(day, "0000-00-00") || !has_form(time, "T00:00:00") || fraction.is_empty() {
        return None;
    }
    let number = |text: &str| text.parse::<i8>().ok();
    let day = Date::new(day[..4].parse().ok()?, number(&day[5..7])?, number(&day[8..])?).ok()?;
    let is_leap_second = &time[7..] == "60";
    let second = if is_leap_second { 59 } else { number(&time[7..])? };
    let minute = Time::new(number(&time[1..3])?, number(&time[4..6])?, second, 0).ok()?;
    let micros: i64 = if is_leap_second { 999_999 } else { format!("{fraction:0<6.6}").parse().ok()? };
    let offset_minutes = match offset {
        "Z" | "z" => 0,
        offset if has_form(offset, "+00:00") || has_form(offset, "-00:00") => {
            let (hours, minutes) = (number(&offset[1..3])?, number(&offset[4..])?);
            let minutes = (hours < 24 && minutes < 60).then(|| i64::from(hours) * 60 + i64::from(minutes))?;
            if offset.starts_with('-') { -minutes } else { minutes }
        }
        _ => return None,
    };
    let since_epoch = i64::try_from(day.to_datetime(minute).duration_since(EPOCH).as_micros()).ok()?;
    let instant = Timestamp::from_micros(since_epoch + micros - offset_minutes * MINUTE_MICROS);
    let utc = instant.civil();
    let ends_a_month = (utc.hour(), utc.minute()) == (23, 59) && utc.date() == utc.date().last_of_month();
    (!is_leap_second || ends_a_month).then_some(instant)
}

/// True if a text has digits where `form` has zeros, and else the same characters, in lower case too (RFC 3339, 5.6, note).
fn has_form(text: &str, form: &str) -> bool {
    let fits = |(byte, of_form): (u8, u8)| match of_form {
        b'0' => byte.is_ascii_digit(),
        of_form => byte.eq_ignore_ascii_case(&of_form),
    };
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(fits)
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
        let texts: Vec<String> = [i64::MIN, -1, 0, 1, 999_999, 1_000_000, 1_763_891_400_000_000, i64::MAX]
            .map(|micros| Timestamp::from_micros(micros).to_string())
            .to_vec();
        assert!(texts.is_sorted());
        assert!(texts.iter().all(|text| text.len() == texts[0].len()));
        assert_eq!(texts[2], "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn a_day_ends_at_midnight_in_utc() {
        let instant: Timestamp = "2026-11-24T01:00:00+02:00".parse().unwrap();
        assert_eq!(instant.day(), "2026-11-23");
        assert_eq!(instant.earlier_by(std::time::Duration::from_hours(23)).day(), "2026-11-23");
        assert_eq!(instant.earlier_by(std::time::Duration::from_hours(24)).day(), "2026-11-22");
    }

    #[test]
    fn every_form_of_rfc_3339_is_read() {
        for (text, instant) in [
            ("2026-11-26T09:00:00Z", "2026-11-26T09:00:00.000000Z"),
            ("2026-11-26t09:00:00z", "2026-11-26T09:00:00.000000Z"),
            ("2026-11-26T09:00:00.1Z", "2026-11-26T09:00:00.100000Z"),
            ("2026-11-26T09:00:00.123456789012Z", "2026-11-26T09:00:00.123456Z"),
            ("2026-11-26T09:00:00+02:00", "2026-11-26T07:00:00.000000Z"),
            ("2026-11-26T09:00:00-23:59", "2026-11-27T08:59:00.000000Z"),
            ("2026-11-26T09:00:00-00:00", "2026-11-26T09:00:00.000000Z"),
            ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000000Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000000Z"),
            ("0000-01-01T00:00:00+01:00", "0000-01-01T00:00:00.000000Z"),
            ("9999-12-30T22:00:01Z", "9999-12-30T22:00:01.000000Z"),
            ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
            ("9999-12-31T23:59:59.9999999-01:00", "9999-12-31T23:59:59.999999Z"),
            // Leap seconds.
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999Z"),
            ("2017-01-01T08:59:60.5+09:00", "2016-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(text.parse::<Timestamp>().map(|instant| instant.to_string()), Ok(instant.to_owned()), "{text}");
        }
        assert_eq!(Timestamp::MIN.to_string(), "0000-01-01T00:00:00.000000Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999999Z");
    }

    #[test]
    fn nothing_but_rfc_3339_is_read() {
        for text in [
            "",
            "2026-11-26",
            "2026-11-26T09:00Z",
            "2026-11-26T09Z",
            "20261126T090000Z",
            "2026-11-26T09:00:00",
            "2026-11-26T09:00:00,5Z",
            "2026-11-26T09:00:00.Z",
            "2026-11-26T09:00:00.5",
            "2026-11-26T09:00:00Z[Europe/Berlin]",
            "2026-11-26T09:00:00+02:00[Europe/Berlin]",
            "2026-11-26T09:00:00+02",
            "2026-11-26T09:00:00+0200",
            "2026-11-26T09:00:00+24:00",
            "2026-11-26T09:00:00+02:60",
            "2026-11-26T09:00:00Zulu",
            "2026-11-26T24:00:00Z",
            "2026-11-26T09:60:00Z",
            "2026-11-26T09:00:61Z",
            "2026-11-26T09:00:60Z",
            "2026-11-26T23:59:60Z",
            "2026-11-31T09:00:00Z",
            "2026-02-29T09:00:00Z",
            "2026-00-10T09:00:00Z",
            "+2026-11-26T09:00:00Z",
            "-0001-11-26T09:00:00Z",
            "12026-11-26T09:00:00Z",
            "2026-W48-4T09:00:00Z",
            "2026-11-26T+9:00:00Z",
            "2026-11-26T09:00:00\u{2212}02:00",
            "٢٠٢٦-11-26T09:00:00Z",
            "1795683600",
            "yesterday",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(InvalidTimestamp::NotRfc3339), "{text}");
        }
        for text in ["2026-11-26T09:00:00 02:00", "2026-11-26 09:00:00Z", " 2026-11-26T09:00:00Z"] {
            assert_eq!(text.parse::<Timestamp>(), Err(InvalidTimestamp::Space), "{text}");
        }
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
