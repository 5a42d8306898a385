//! What a signed question about a user's groups may have in it.

use std::collections::BTreeMap;

use keysherd_base::Timestamp;

use super::{Why, fresh, is_ocid};
use crate::signed_request::SignedRequest;

const PATH: &str = "/20160918/userGroupMemberships";
/// Headers that are sent on; others of the client's are left out.
const SENT: [&str; 4] = ["accept", "authorization", "date", "x-date"];

/// A question that may be sent.
pub(super) struct Signed {
    /// What to send along.
    pub(super) headers: Vec<(String, String)>,
    /// The user whose key signed, once the service says that the signature is good.
    pub(super) user: String,
    /// What makes it this request and no other.
    pub(super) signature: String,
    /// When it was signed.
    pub(super) made: Timestamp,
}

/// Checks everything but the signature, which the identity service does; `service` is where that
/// is, or one of its regions.
///
/// # Errors
/// What is wrong.
pub(super) fn check(
    request: &SignedRequest,
    tenant: &str,
    service: &str,
    now: Timestamp,
) -> Result<Signed, Why> {
    request.goes_to(service, is_identity_service)?;
    if request.method != "GET" || request.url.path() != PATH || !request.body.is_empty() {
        return Err(format!("it is not a GET of {PATH}"));
    }
    let authorization = request.header("authorization").ok_or("it has no Authorization")?;
    let fields = fields(authorization)?;
    let field = |name: &str| fields.get(name).copied().unwrap_or_default();
    if field("version") != "1" || field("algorithm") != "rsa-sha256" {
        return Err("its signature is not of version 1 with rsa-sha256".to_owned());
    }
    let key: Vec<_> = field("keyId").split('/').collect();
    let [tenancy, user, _fingerprint] = key.as_slice() else {
        return Err("its key is not a user's API key".to_owned());
    };
    if *tenancy != tenant || !is_ocid(user, "user") {
        return Err("its key is not that of a user of the tenancy".to_owned());
    }
    let mut query: Vec<_> = request.url.query_pairs().collect();
    query.sort();
    let asks = |(name, value): &(_, _), key: &str, about: &str| *name == *key && *value == *about;
    match query.as_slice() {
        [one, two] if asks(one, "compartmentId", tenant) && asks(two, "userId", user) => {}
        _ => return Err("it does not ask about the groups of the user whose key it is".to_owned()),
    }
    let signed: Vec<_> = field("headers").split(' ').collect();
    let date = ["date", "x-date"].into_iter().find(|name| signed.contains(name));
    let date = date.filter(|_| signed.contains(&"(request-target)") && signed.contains(&"host"));
    let date = date.ok_or("its signature does not cover target, host and date")?;
    let made = fresh(time(request.header(date).unwrap_or_default()), now)?;
    let signature = field("signature").to_owned();
    if signature.len() < 300 || signature.len() > 1_400 {
        return Err("its signature is not one of an RSA key of 2,048 to 8,192 bits".to_owned());
    }
    let headers = request.headers_among(&SENT);
    Ok(Signed { headers, user: (*user).to_owned(), signature, made })
}

/// Such as `identity.eu-frankfurt-1.oraclecloud.com`.
fn is_identity_service(host: &str) -> bool {
    let host = host.strip_suffix(".oraclecloud.com").and_then(|h| h.strip_prefix("identity."));
    let region = host.map(|host| host.strip_suffix(".oci").unwrap_or(host));
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    region.is_some_and(|region| {
        region.split('-').count() >= 3 && region.chars().all(plain) && !region.contains("--")
    })
}

/// The fields of `Signature a="b",c="d"`, each once.
fn fields(text: &str) -> Result<BTreeMap<&str, &str>, Why> {
    let malformed = || "its Authorization is no HTTP signature".to_owned();
    let mut fields = BTreeMap::new();
    for field in text.strip_prefix("Signature ").ok_or_else(malformed)?.split(',') {
        let (name, value) = field.trim().split_once('=').ok_or_else(malformed)?;
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let value = value.filter(|value| !value.contains('"')).ok_or_else(malformed)?;
        if fields.insert(name, value).is_some() {
            return Err(malformed());
        }
    }
    Ok(fields)
}

/// `Sun, 22 Nov 2026 03:15:00 GMT`.
fn time(text: &str) -> Option<Timestamp> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let (_, date) = text.strip_suffix(" GMT")?.split_once(", ")?;
    let parts: Vec<_> = date.split(' ').collect();
    let [day, month, year, time] = parts.as_slice() else {
        return None;
    };
    let month = MONTHS.as_bytes().chunks(3).position(|name| name == month.as_bytes())? + 1;
    Timestamp::parse_rfc3339(&format!("{year}-{month:02}-{day:0>2}T{time}Z"))
}
