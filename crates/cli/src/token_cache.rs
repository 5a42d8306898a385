//! The token of the last login, kept until shortly before it expires.

use std::path::PathBuf;

use keysherd_base::{Secret, SecretString, Timestamp};
use serde_json::{Value, json};

use crate::private_file;
use crate::store::{FILE_BYTES_MAX, Places};

/// A token is not used in the last seconds of its life: it must still be valid when it arrives.
const MARGIN_SECONDS: i64 = 30;

/// What a token was issued for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key<'a> {
    /// Name of the profile.
    pub(crate) profile: &'a str,
    /// Address of the server.
    pub(crate) url: &'a str,
    /// Who logged in; `None` fits everyone, for a login without a profile.
    pub(crate) identity: Option<&'a str>,
}

/// The kept token for `key`, if it will be valid at `now` for long enough.
pub(crate) fn load(places: &Places, key: Key<'_>, now: Timestamp) -> Option<SecretString> {
    let bytes = private_file::read(&places.token_path(key.profile)?, FILE_BYTES_MAX).ok()??;
    let mut entry: Value = serde_json::from_slice(bytes.expose()).ok()?;
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let expires = Timestamp::from_seconds(entry.get("expires")?.as_i64()?);
    let fits = text("url") == Some(key.url)
        && (key.identity.is_none() || text("identity") == key.identity)
        && now.plus_seconds(MARGIN_SECONDS) < expires;
    let token = entry.get_mut("token").map(Value::take)?;
    match token {
        Value::String(token) => Some(Secret::new(token)).filter(|_| fits),
        _ => None,
    }
}

/// Keeps `token` for `key` until `expires`. A token that cannot be kept is no failure: the next
/// run logs in again. Returns where it was kept.
pub(crate) fn save(
    places: &Places,
    key: Key<'_>,
    token: &SecretString,
    expires: Timestamp,
) -> Option<PathBuf> {
    let path = places.token_path(key.profile)?;
    let entry = json!({
        "token": token.expose(),
        "expires": expires.seconds(),
        "url": key.url,
        "identity": key.identity.unwrap_or_default(),
    });
    let text = Secret::new(entry.to_string());
    keysherd_wire::wipe(entry);
    private_file::write(&path, text.expose().as_bytes()).ok()?;
    Some(path)
}

/// Forgets the token of a profile.
pub(crate) fn forget(places: &Places, profile: &str) {
    if let Some(path) = places.token_path(profile) {
        // What cannot be removed is replaced by the next login or expires.
        let _ = private_file::remove(&path);
    }
}

/// When a login's token expires: RFC 3339, or seconds since 1970 as a number or text.
pub(crate) fn expiration(answer: &Value) -> Option<Timestamp> {
    let value = answer.get("expiration").or_else(|| answer.pointer("/creds/expiry"))?;
    match value {
        Value::Number(seconds) => seconds.as_i64().map(Timestamp::from_seconds),
        Value::String(text) => match text.parse::<i64>() {
            Ok(seconds) => Some(Timestamp::from_seconds(seconds)),
            Err(_) => {
                text.parse::<jiff::Timestamp>().ok().map(|time| Timestamp(time.as_millisecond()))
            }
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expirations_are_read_in_every_usual_form() {
        let cases = [
            (json!({ "expiration": "2026-01-05T10:11:12Z" }), Some(1_767_607_872)),
            (json!({ "expiration": "2026-01-05T11:11:12+01:00" }), Some(1_767_607_872)),
            (json!({ "expiration": "1767607872" }), Some(1_767_607_872)),
            (json!({ "expiration": 1_767_607_872 }), Some(1_767_607_872)),
            (json!({ "creds": { "expiry": 5 } }), Some(5)),
            (json!({ "expiration": "soon" }), None),
            (json!({}), None),
        ];
        for (answer, seconds) in cases {
            assert_eq!(expiration(&answer).map(Timestamp::seconds), seconds, "{answer}");
        }
    }
}
