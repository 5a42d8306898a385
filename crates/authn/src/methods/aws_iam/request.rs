//! What a signed `GetCallerIdentity` request may have in it (AWS Signature Version 4).

use keysherd_base::Timestamp;

use crate::signed_request::{SignedRequest, Why, fresh};

/// Headers that are sent on when they were signed. A signature over others is not accepted: they
/// may change what the service does or says. Others that were not signed are left out.
const SENT: [&str; 6] = [
    "authorization",
    "content-type",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "user-agent",
];
/// Headers that come of the address and the body, and must agree with them when they are given.
const IMPLIED: [&str; 2] = ["host", "content-length"];

/// A request that may be sent.
pub(super) struct Signed {
    /// What to send along.
    pub(super) headers: Vec<(String, String)>,
    /// What makes it this request and no other.
    pub(super) signature: String,
    /// When it was signed.
    pub(super) made: Timestamp,
}

/// Checks everything but the signature, which the service does.
///
/// # Errors
/// What is wrong.
pub(super) fn check(request: &SignedRequest, sts_url: &str, now: Timestamp) -> Result<Signed, Why> {
    request.goes_to(sts_url, is_sts)?;
    if request.method != "POST" || request.url.path() != "/" || request.url.query().is_some() {
        return Err("it is not a POST to / without a query".to_owned());
    }
    if !asks_for_identity(&request.body) {
        return Err("its body asks for something else than GetCallerIdentity".to_owned());
    }
    agrees(request)?;
    let date = request.header("x-amz-date").ok_or("it has no X-Amz-Date")?;
    let made = fresh(time(date), now)?;
    let authorization = request.header("authorization").ok_or("it has no Authorization")?;
    let (signed, signature) = authorization_parts(authorization, date)?;
    for name in ["host", "x-amz-date"] {
        if !signed.contains(&name) {
            return Err(format!("its signature does not cover {name}"));
        }
    }
    let known = |name: &&str| SENT.contains(name) || IMPLIED.contains(name);
    if let Some(other) = signed.iter().find(|name| !known(name)) {
        return Err(format!("its signature covers the header {other}"));
    }
    let covered = |name: &&str| *name == "authorization" || signed.contains(name);
    let names: Vec<_> = SENT.into_iter().filter(covered).collect();
    Ok(Signed { headers: request.headers_among(&names), signature, made })
}

/// The hosts of the Security Token Service.
fn is_sts(host: &str) -> bool {
    let region = match host.strip_suffix(".amazonaws.com.cn") {
        Some(front) => front.strip_prefix("sts."),
        None => match host.strip_suffix(".amazonaws.com") {
            Some("sts") => return true,
            Some(front) => front.strip_prefix("sts.").or(front.strip_prefix("sts-fips.")),
            None => None,
        },
    };
    region.is_some_and(is_region)
}

/// Such as `eu-central-1` and `us-gov-west-1`.
fn is_region(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let [words @ .., number] = parts.as_slice() else {
        return false;
    };
    let number = matches!(number.len(), 1 | 2) && number.bytes().all(|b| b.is_ascii_digit());
    (2..=3).contains(&words.len()) && words.iter().all(word) && number
}

/// The two parameters, in any order, each once, and nothing else.
fn asks_for_identity(body: &str) -> bool {
    let mut parts: Vec<_> = body.split('&').collect();
    parts.sort_unstable();
    parts == ["Action=GetCallerIdentity", "Version=2011-06-15"]
}

fn agrees(request: &SignedRequest) -> Result<(), Why> {
    let host = request.url.host_str().unwrap_or_default();
    let with_port = request.url.port().map(|port| format!("{host}:{port}"));
    if let Some(given) = request.header("host")
        && given != with_port.as_deref().unwrap_or(host)
    {
        return Err(format!("its header Host says {given}"));
    }
    if let Some(length) = request.header("content-length")
        && length != request.body.len().to_string()
    {
        return Err("its header Content-Length is not the body's".to_owned());
    }
    let content = request.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let mut parts = content.split(';').map(str::trim);
    let form = parts.next() == Some("application/x-www-form-urlencoded");
    if !form || parts.any(|part| part != "charset=utf-8") {
        return Err(format!("its content type is {content:?}"));
    }
    Ok(())
}

/// `20261122T031500Z`.
fn time(text: &str) -> Option<Timestamp> {
    let (day, time) = text.strip_suffix('Z')?.split_once('T')?;
    let digits = |text: &str, many| text.len() == many && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(day, 8) || !digits(time, 6) {
        return None;
    }
    let ((year, day), (hour, rest)) = (day.split_at(4), time.split_at(2));
    let ((month, day), (minute, second)) = (day.split_at(2), rest.split_at(2));
    Timestamp::parse_rfc3339(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

/// The names of the signed headers, and the signature.
fn authorization_parts<'a>(text: &'a str, date: &str) -> Result<(Vec<&'a str>, String), Why> {
    let malformed = || "its Authorization is not of Signature Version 4".to_owned();
    let fields = text.strip_prefix("AWS4-HMAC-SHA256 ").ok_or_else(malformed)?;
    let mut found = [None; 3];
    for field in fields.split(',') {
        let (name, value) = field.trim().split_once('=').ok_or_else(malformed)?;
        let place = ["Credential", "SignedHeaders", "Signature"].iter().position(|n| *n == name);
        let slot = place.and_then(|place| found.get_mut(place)).ok_or_else(malformed)?;
        if slot.replace(value).is_some() {
            return Err(malformed());
        }
    }
    let [Some(credential), Some(signed), Some(signature)] = found else {
        return Err(malformed());
    };
    let scope: Vec<_> = credential.split('/').collect();
    let [_, day, _, "sts", "aws4_request"] = scope.as_slice() else {
        return Err("its credential is not for the Security Token Service".to_owned());
    };
    if !date.starts_with(day) || day.len() != 8 {
        return Err("its credential is for another day than its date".to_owned());
    }
    if signature.len() != 64 || !signature.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(malformed());
    }
    Ok((signed.split(';').collect(), signature.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_has_hosts_and_its_neighbors_are_not_it() {
        for host in [
            "sts.amazonaws.com",
            "sts.eu-central-1.amazonaws.com",
            "sts.us-gov-west-1.amazonaws.com",
            "sts-fips.us-east-1.amazonaws.com",
            "sts.cn-north-1.amazonaws.com.cn",
        ] {
            assert!(is_sts(host), "{host}");
        }
        for host in [
            "sts.amazonaws.com.evil.example",
            "sts.amazonaws.com.",
            "evilsts.amazonaws.com",
            "sts.amazonaws.com.cn",
            "sts.evil.amazonaws.com",
            "sts.eu-central-1.elb.amazonaws.com",
            "sts.bucket.s3.amazonaws.com",
            "sts.eu-central-1.amazonaws.evil.com",
            "sts.-central-1.amazonaws.com",
            "sts.us-east-1-.amazonaws.com",
            "amazonaws.com",
            "",
        ] {
            assert!(!is_sts(host), "{host}");
        }
    }

    #[test]
    fn times_are_read_strictly() {
        let read = |text| time(text).map(Timestamp::rfc3339);
        assert_eq!(read("20261122T031500Z").as_deref(), Some("2026-11-22T03:15:00Z"));
        for bad in
            ["", "20261122T031500", "20261322T031500Z", "2026-11-22T03:15:00Z", "20261122T0315٠٠Z"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
