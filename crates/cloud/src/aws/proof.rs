//! Who this machine is at AWS, as `cloud-id` takes it: a signed request to the Security Token
//! Service that asks for the identity of its sender. Whoever checks it sends it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Fault, SecretString, Timestamp};
use serde_json::json;

use super::{AwsCredentials, Service, Unsigned, fetch, machine, source};

const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
/// The region of the service's one address that is not a region's.
const GLOBAL_REGION: &str = "us-east-1";

/// The proof of this machine, for the service at `endpoint` or the region's own.
///
/// # Errors
/// As [`AwsIdentity::credentials`].
pub(crate) async fn cloud_id(
    endpoint: Option<String>,
    now: Timestamp,
) -> Result<SecretString, Fault> {
    let region = machine(None).await.region().map(|region| region.as_ref().to_owned());
    let url = match (endpoint, &region) {
        (Some(endpoint), _) => format!("{}/", endpoint.trim_end_matches('/')),
        (None, Some(region)) => format!("https://sts.{region}.amazonaws.com/"),
        (None, None) => "https://sts.amazonaws.com/".to_owned(),
    };
    let region = region.unwrap_or_else(|| GLOBAL_REGION.to_owned());
    let credentials = fetch(&source(&region, None).await?, None).await?;
    proof(&credentials, &region, &url, now)
}

/// The proof of whoever has `credentials`.
pub(super) fn proof(
    credentials: &AwsCredentials,
    region: &str,
    url: &str,
    now: Timestamp,
) -> Result<SecretString, Fault> {
    let headers = [FORM];
    let request = Unsigned { method: "POST", url, headers: &headers, body: BODY.as_bytes() };
    let signed = credentials.sign(&request, region, Service::STS, now)?;
    let mut sent = BTreeMap::from([("Content-Type".to_owned(), [FORM.1.to_owned()])]);
    for (name, value) in signed {
        sent.insert(canonical(&name), [value]);
    }
    let encoded = |text: &str| STANDARD.encode(text);
    let whole = json!({
        "sts_request_method": request.method,
        "sts_request_url": encoded(url),
        "sts_request_body": encoded(BODY),
        "sts_request_headers": encoded(&json!(sent).to_string()),
    });
    Ok(SecretString::new(encoded(&whole.to_string())))
}

/// A header's name as the official packages write it: `X-Amz-Date`.
fn canonical(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}
