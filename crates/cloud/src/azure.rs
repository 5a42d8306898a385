//! Microsoft Azure: a token of the managed identity, or of a pod's federated one.

use std::path::Path;

use keysherd_base::{Fault, SecretString};
use reqwest::{RequestBuilder, Url};

use crate::metadata::{Answer, Question, client};
use crate::{Env, Hints};

/// What tokens are for when nobody says otherwise, as the official packages ask.
const RESOURCE: &str = "https://management.azure.com/";
/// The instance metadata service; `AZURE_POD_IDENTITY_AUTHORITY_HOST` names another address, as for
/// Azure's own libraries.
const METADATA: &str = "http://169.254.169.254";
/// Where pods exchange their tokens; `AZURE_AUTHORITY_HOST` names that of another Azure.
const AUTHORITY: &str = "https://login.microsoftonline.com";
/// Longest token file of a pod, in bytes.
const TOKEN_FILE_BYTES_MAX: u64 = 64 * 1024;

/// The question for a token. A pod's workload identity is tried first, then
/// the identity endpoint of an application service, then the machine's.
///
/// # Errors
/// [`Fault::bad_request`] for a resource that is no text of an address, [`Fault::unavailable`] when
/// the environment makes no sense.
pub(crate) fn question(hints: &Hints, env: Env<'_>) -> Result<Question, Fault> {
    let (object, resource) =
        (hints.object.as_deref(), hints.resource.as_deref().unwrap_or(RESOURCE));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:/".contains(&b);
    if resource.is_empty() || resource.len() > 512 || !resource.bytes().all(plain) {
        return Err(Fault::bad_request(
            "Azure's resource must be 1 to 512 letters, digits and - . _ : /, such as \
             api://keysherd",
        ));
    }
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    let (request, whom) = if let Some(file) = set("AZURE_FEDERATED_TOKEN_FILE") {
        (federated(Path::new(&file), resource, env)?, "Azure's token endpoint")
    } else if let (Some(endpoint), Some(header)) =
        (set("IDENTITY_ENDPOINT"), set("IDENTITY_HEADER"))
    {
        let query = [("resource", resource), ("api-version", "2019-08-01")];
        let url = with_query(&endpoint, &query, object.map(|id| ("principal_id", id)))?;
        (client()?.get(url).header("X-IDENTITY-HEADER", header), "the identity endpoint")
    } else {
        let host = set("AZURE_POD_IDENTITY_AUTHORITY_HOST");
        let host = host.as_deref().unwrap_or(METADATA).trim_end_matches('/');
        let query = [("api-version", "2018-02-01"), ("resource", resource)];
        let url = format!("{host}/metadata/identity/oauth2/token");
        let url = with_query(&url, &query, object.map(|id| ("object_id", id)))?;
        (client()?.get(url).header("Metadata", "true"), "Azure's instance metadata service")
    };
    Ok(Question { request, whom, expected: None, answer: Answer::OAuth })
}

/// The question that exchanges a pod's token (RFC 7523) for one of Azure.
fn federated(file: &Path, resource: &str, env: Env<'_>) -> Result<RequestBuilder, Fault> {
    let need = |name: &str| {
        env(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            Fault::unavailable(format!("{name} is not set, beside AZURE_FEDERATED_TOKEN_FILE"))
        })
    };
    let (client_id, tenant) = (need("AZURE_CLIENT_ID")?, need("AZURE_TENANT_ID")?);
    let unreadable = |error: std::io::Error| {
        Fault::unavailable(format!("cannot read the pod's token {}: {error}", file.display()))
    };
    if std::fs::metadata(file).map_err(unreadable)?.len() > TOKEN_FILE_BYTES_MAX {
        return Err(Fault::unavailable(format!("{} is no token: too long", file.display())));
    }
    let assertion = SecretString::new(std::fs::read_to_string(file).map_err(unreadable)?);
    let host = env("AZURE_AUTHORITY_HOST").filter(|host| !host.is_empty());
    let host = host.as_deref().unwrap_or(AUTHORITY).trim_end_matches('/');
    let tenant_fits = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
    if !tenant.bytes().all(tenant_fits) {
        return Err(Fault::unavailable("AZURE_TENANT_ID is no tenant's id"));
    }
    let url = with_query(&format!("{host}/{tenant}/oauth2/v2.0/token"), &[], None)?;
    let scope = format!("{}/.default", resource.trim_end_matches('/'));
    let mut form = Url::parse("form:").map_err(|_| Fault::internal("an empty address"))?;
    form.query_pairs_mut().extend_pairs([
        ("client_id", client_id.as_str()),
        ("grant_type", "client_credentials"),
        ("scope", scope.as_str()),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion.expose().trim()),
    ]);
    let body = form.query().unwrap_or_default().to_owned();
    let kind = "application/x-www-form-urlencoded";
    Ok(client()?.post(url).header("content-type", kind).body(body))
}

fn with_query(url: &str, query: &[(&str, &str)], more: Option<(&str, &str)>) -> Result<Url, Fault> {
    let mut url = Url::parse(url).map_err(|_| {
        Fault::unavailable(format!("the environment names {url:?}, which is no address"))
    })?;
    if !query.is_empty() || more.is_some() {
        url.query_pairs_mut().extend_pairs(query).extend_pairs(more);
    }
    Ok(url)
}
