//! Cursors: the place where a page ended, for the client to hand back. Opaque; versioned, so that what is inside can change;
//! and signed together with who asked for what, so that a cursor is good for its own caller and its own query only.
//!
//! A cursor opens nothing: whose rows are read is decided by the caller's token alone. So it does not expire either, except
//! that the key it is signed with is rotated.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use eventing::Secret;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Serialize, de::DeserializeOwned};
use sha2::Sha256;

use crate::Problem;

/// Raised when the content of a cursor changes: older ones are then refused, and a client begins again.
const FORMAT: u8 = 2;
/// Half of a SHA-256: nobody guesses 128 bits (RFC 2104, section 5, asks for at least half).
const TAG_BYTES: usize = 16;

/// The keys that cursors are signed with: the one in use, and another that is good as well while keys are rotated.
pub struct CursorKeys {
    using: Hmac<Sha256>,
    other: Option<Hmac<Sha256>>,
}

impl CursorKeys {
    /// Keys from secret texts.
    #[must_use]
    pub fn new(using: &str, other: Option<&str>) -> Self {
        Self { using: hmac(using), other: other.map(hmac) }
    }

    /// The keys that are good now.
    ///
    /// # Errors
    /// When the secret cannot be read.
    pub async fn of(secret: &impl Secret) -> Result<Self, Problem> {
        let values = secret.values().await?;
        Ok(Self::new(&values.using, values.other.as_deref()))
    }

    /// The cursor for `place` in what `query` describes: who asks, and for which list.
    pub(crate) fn write(&self, query: &str, place: &impl Serialize) -> Result<String, serde_json::Error> {
        let place = serde_json::to_vec(place)?;
        let tag = signed(&self.using, query, &place).finalize().into_bytes();
        Ok(BASE64_URL_SAFE_NO_PAD.encode([&[FORMAT], &tag[..TAG_BYTES], &place].concat()))
    }

    /// The place that a cursor names; `None` where it is not one that was made for `query`.
    pub(crate) fn read<P: DeserializeOwned>(&self, query: &str, cursor: &str) -> Option<P> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (format, rest) = bytes.split_first()?;
        let (tag, place) = rest.split_at_checked(TAG_BYTES)?;
        // `verify_truncated_left` takes the same time whatever is wrong.
        let good = |key: &Hmac<Sha256>| signed(key, query, place).verify_truncated_left(tag).is_ok();
        let is_ours = *format == FORMAT && (good(&self.using) || self.other.as_ref().is_some_and(good));
        is_ours.then(|| serde_json::from_slice(place).ok()).flatten()
    }
}

fn hmac(key: &str) -> Hmac<Sha256> {
    // A key of any length is a key (RFC 2104, section 2).
    Hmac::new_from_slice(key.as_bytes()).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"))
}

fn signed(key: &Hmac<Sha256>, query: &str, place: &[u8]) -> Hmac<Sha256> {
    // The length keeps (query, place) apart from every other pair that reads the same.
    key.clone().chain_update([FORMAT]).chain_update(query.len().to_be_bytes()).chain_update(query).chain_update(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Place = (String, i32);

    #[test]
    fn a_cursor_is_good_for_its_own_query_only() {
        let keys = CursorKeys::new("key", None);
        let cursor = keys.write("alice GET /accounts", &("2026", 7)).unwrap();
        let read = |query: &str, cursor: &str| keys.read::<Place>(query, cursor);
        assert_eq!(read("alice GET /accounts", &cursor), Some(("2026".to_owned(), 7)));
        assert_eq!(read("bob GET /accounts", &cursor), None);
        assert_eq!(read("alice GET /accounts?x=1", &cursor), None);
        for bad in [&cursor[1..], &cursor[..cursor.len() - 4], &format!("{cursor}AA"), "", "%%%", &"A".repeat(10_000)] {
            assert_eq!(read("alice GET /accounts", bad), None, "{bad}");
        }
    }

    #[test]
    fn no_bit_of_a_cursor_can_be_changed() {
        let keys = CursorKeys::new("key", None);
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(keys.write("q", &("2026", 7)).unwrap()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(keys.read::<Place>("q", &BASE64_URL_SAFE_NO_PAD.encode(forged)), None, "bit {bit}");
        }
    }

    #[test]
    fn a_rotation_of_keys_breaks_no_cursor_of_the_key_before() {
        let cursor = CursorKeys::new("old", None).write("q", &("2026", 7)).unwrap();
        assert!(CursorKeys::new("new", Some("old")).read::<Place>("q", &cursor).is_some());
        assert!(CursorKeys::new("old", Some("new")).read::<Place>("q", &cursor).is_some());
        assert!(CursorKeys::new("newer", Some("new")).read::<Place>("q", &cursor).is_none());
    }
}
