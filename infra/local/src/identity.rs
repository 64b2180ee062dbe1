//! Who is who on this machine: the issuer of the tokens that the API's authorizer trusts.
//!
//! Promises: the key that signs them never leaves the data folder, so a token of this machine is worth nothing elsewhere, and
//! the template's real issuer is not asked. Every program on this machine may have any token, for trying things; a web page
//! may have none (`listener`).

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, encode};
use serde::Deserialize;
use serde_json::json;

use crate::template::Authorizer;

/// API Gateway takes RSA only; the functions never see the difference, and such a key is made in no time.
pub const ALGORITHM: Algorithm = Algorithm::ES256;

/// Whom the start screen shows tokens for.
pub const NAMES: [&str; 3] = ["alice", "bob", ADMIN];

/// Who gets every scope of the template's routes; all others get those that do not end in `/admin`.
const ADMIN: &str = "admin";

/// How long a token is good, in seconds: for a week of trying things.
const LIFETIME_S: i64 = 7 * 24 * 60 * 60;

/// The issuer.
pub struct Identity {
    settings: Authorizer,
    scopes: Vec<String>,
    signing: EncodingKey,
    public: Vec<u8>,
}

/// What a token is to be like; what is left out is as the API wants it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wish {
    scope: Option<String>,
    audience: Option<String>,
    issuer: Option<String>,
    /// In seconds; negative for a token that has expired.
    expires_in: Option<i64>,
}

impl Identity {
    /// An issuer for the API's authorizer with the key in `file`, which is made where there is none; without a file the key is
    /// gone in the end.
    pub fn new(settings: Authorizer, file: Option<&Path>) -> Result<Self, String> {
        let unusable = |error: &dyn std::fmt::Display| format!("cannot use the key that signs tokens: {error}");
        let key = match file.map(fs::read) {
            Some(Ok(key)) => key,
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(&error)),
            Some(Err(_)) | None => new_key().map_err(|error| unusable(&error))?,
        };
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key).map_err(|error| unusable(&error))?;
        if let Some(file) = file {
            keep(file, &key).map_err(|error| unusable(&error))?;
        }
        let public = pair.public_key().as_ref().to_vec();
        Ok(Self { settings, scopes: Vec::new(), signing: EncodingKey::from_ec_der(&key), public })
    }

    /// The same issuer, which knows the scopes that the API's routes ask for.
    pub fn with_scopes(mut self, scopes: impl IntoIterator<Item = String>) -> Self {
        self.scopes = scopes.into_iter().collect();
        self.scopes.sort();
        self.scopes.dedup();
        self
    }

    /// What the authorizer checks tokens with.
    pub fn public_key(&self) -> DecodingKey {
        DecodingKey::from_ec_der(&self.public)
    }

    /// A token for the user `name`.
    pub fn token(&self, name: &str, wish: &Wish) -> Result<String, String> {
        let now = jiff::Timestamp::now().as_second();
        let may_have = |scope: &&String| name == ADMIN || !scope.ends_with("/admin");
        let scopes = || self.scopes.iter().filter(may_have).map(String::as_str).collect::<Vec<_>>().join(" ");
        let claims = json!({
            "sub": name,
            "iss": wish.issuer.as_ref().unwrap_or(&self.settings.issuer),
            "aud": wish.audience.as_ref().or(self.settings.audience.first()),
            "iat": now,
            "exp": now.saturating_add(wish.expires_in.unwrap_or(LIFETIME_S)),
            "scope": wish.scope.clone().unwrap_or_else(scopes),
        });
        encode(&Header::new(ALGORITHM), &claims, &self.signing).map_err(|error| format!("cannot sign a token: {error}"))
    }
}

fn new_key() -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())?;
    Ok(key.as_ref().to_vec())
}

/// Writes the key for ourselves alone, if it is not there.
fn keep(file: &Path, key: &[u8]) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(mut file) => file.write_all(key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Authorizer {
        Authorizer { issuer: "i".to_owned(), audience: vec!["a".to_owned()] }
    }

    #[test]
    fn a_key_outlives_a_restart_and_is_nobody_elses() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let [first, second] = [0, 1].map(|_| Identity::new(settings(), Some(&file)).unwrap());
        assert_eq!(first.public, second.public);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn only_the_administrator_gets_the_scopes_of_administrators() {
        let identity = Identity::new(settings(), None).unwrap();
        let identity = identity.with_scopes(["x/read", "x/admin", "x/read"].map(str::to_owned));
        let scope = |name: &str| {
            let token = identity.token(name, &Wish::default()).unwrap();
            let data = jsonwebtoken::dangerous::insecure_decode::<serde_json::Value>(&token).unwrap();
            data.claims["scope"].as_str().unwrap().to_owned()
        };
        assert_eq!((scope("alice").as_str(), scope("admin").as_str()), ("x/read", "x/admin x/read"));
    }
}
