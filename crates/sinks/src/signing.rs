//! Requests signed with a shared key: AWS Signature Version 4.

use std::fmt::Write as _;

use keysherd_base::{SecretString, Timestamp};
use keysherd_crypto::hash::{hmac_sha256, sha256};
use reqwest::Url;

/// What signs requests to one AWS service.
pub(crate) struct AwsSigner {
    pub(crate) access_id: String,
    pub(crate) access_key: SecretString,
    pub(crate) region: String,
    pub(crate) service: &'static str,
}

/// A request that is to be signed.
pub(crate) struct Unsigned<'a> {
    pub(crate) method: &'a str,
    /// Without a query; its path is encoded already.
    pub(crate) url: &'a Url,
    /// In the order of their names, in lower case, with the host and the date.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
}

impl AwsSigner {
    /// The value of the header `authorization`.
    pub(crate) fn authorization(&self, request: &Unsigned<'_>, now: Timestamp) -> String {
        let time = amz_date(now);
        let day = time.split('T').next().unwrap_or_default();
        let mut canonical = format!("{}\n{}\n\n", request.method, request.url.path());
        for (name, value) in request.headers {
            // Writing to a text cannot fail.
            let _written = writeln!(canonical, "{name}:{value}");
        }
        let names: Vec<_> = request.headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let hash = hex::encode(sha256(&[request.body]));
        let _written = write!(canonical, "\n{names}\n{hash}");
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let hash = hex::encode(sha256(&[canonical.as_bytes()]));
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}");
        let start = keysherd_base::Secret::new(format!("AWS4{}", self.access_key.expose()));
        let key = hmac_sha256(start.expose().as_bytes(), &[day.as_bytes()]);
        let parts = [self.region.as_str(), self.service, "aws4_request"];
        let key = parts.iter().fold(key, |key, part| hmac_sha256(&key, &[part.as_bytes()]));
        let signature = hex::encode(hmac_sha256(&key, &[to_sign.as_bytes()]));
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_id
        )
    }
}

/// A time as AWS writes it, such as `20260105T101112Z`.
pub(crate) fn amz_date(time: Timestamp) -> String {
    time.rfc3339().replace(['-', ':'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The case `get-vanilla` of the test suite that AWS publishes for Signature Version 4.
    #[test]
    fn the_published_case_has_the_published_signature() {
        let signer = AwsSigner {
            access_id: "AKIDEXAMPLE".to_owned(),
            access_key: SecretString::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
            region: "us-east-1".to_owned(),
            service: "service",
        };
        let url = Url::parse("https://example.amazonaws.com/").unwrap();
        let now = Timestamp::parse_rfc3339("2015-08-30T12:36:00Z").unwrap();
        let headers = [("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
        let request = Unsigned { method: "GET", url: &url, headers: &headers, body: b"" };
        let signed = signer.authorization(&request, now);
        assert!(
            signed.ends_with("5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            "{signed}"
        );
    }
}
