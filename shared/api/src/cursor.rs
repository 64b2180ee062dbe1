//! Cursors: the place where a page ended, for the client to hand back. Opaque and versioned, so that what is inside can change,
//! and bound to the list that made them. A cursor opens nothing: whose rows are read is decided by the caller's token alone.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};

/// Raised when the content of a cursor changes: older ones are then refused, and a client begins again.
const FORMAT: u8 = 1;

/// The cursor for `place` in `list`.
pub(crate) fn write(list: &str, place: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&(FORMAT, list, place))?))
}

/// The place that a cursor of `list` names; `None` where it is not one.
pub(crate) fn read<P: DeserializeOwned>(list: &str, cursor: &str) -> Option<P> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (format, of, place): (u8, String, P) = serde_json::from_slice(&bytes).ok()?;
    (format == FORMAT && of == list).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list_only() {
        let cursor = write("GET /accounts", &("2026", 7)).unwrap();
        assert_eq!(read("GET /accounts", &cursor), Some(("2026".to_owned(), 7)));
        assert_eq!(read::<(String, i32)>("GET /other", &cursor), None);
        assert_eq!(read::<(String, i32)>("GET /accounts", &cursor[1..]), None);
        assert_eq!(read::<(String, i32)>("GET /accounts", "%%%"), None);
    }
}
