//! Exchanging a code for an ID token (OpenID Connect Core 3.1.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::Fault;
use reqwest::Url;
use serde::Deserialize;

use super::Code;
use super::settings::Settings;
use crate::issuer::IssuerDocument;
use crate::tokens::refused;
use crate::web::{WebRequest, unreachable};
use crate::{Kept, World};

/// How long a nonce is remembered, in seconds: as long as a gateway keeps a login.
pub(super) const NONCE_SECONDS: i64 = 600;

#[derive(Deserialize)]
struct Answer {
    id_token: String,
    scope: Option<String>,
}

/// The ID token that `code` stands for. It is not checked yet.
///
/// # Errors
/// [`Fault::unauthorized`] when the provider refuses; [`Fault::unavailable`] when it does not
/// answer.
pub(super) async fn exchange(
    settings: &Settings,
    issuer: &IssuerDocument,
    code: &Code,
    world: &World,
) -> Result<String, Fault> {
    check_issuer(issuer, code)?;
    let url = issuer
        .token_endpoint
        .as_deref()
        .ok_or_else(|| unreachable(&settings.issuer, "its document names no token endpoint"))?;
    let (headers, body) = request(settings, issuer, code)?;
    let body = Some(body.into_bytes());
    let reply = world.web().send(WebRequest { url, headers: &headers, body }).await?;
    match reply.status {
        200 => {}
        400..=499 => {
            return Err(refused(format!(
                "the provider refused the code: {}",
                error_of(&reply.body)
            )));
        }
        status => return Err(unreachable(url, &format!("it answered with status {status}"))),
    }
    let answer: Answer = serde_json::from_slice(&reply.body)
        .map_err(|error| unreachable(url, &format!("no token answer: {error}")))?;
    if !settings.are_granted(answer.scope.as_deref()) {
        return Err(refused("the provider did not grant all required scopes"));
    }
    Ok(answer.id_token)
}

/// Whoever sent the browser back must be the provider that gets the code: another one could have
/// been given it to find out (mix-up, RFC 9207).
fn check_issuer(issuer: &IssuerDocument, code: &Code) -> Result<(), Fault> {
    match &code.issuer {
        Some(named) if *named == issuer.issuer => Ok(()),
        Some(_) => Err(refused("another provider sent the browser back")),
        None if issuer.authorization_response_iss_parameter_supported => {
            Err(refused("the redirect does not name its provider, which this one always does"))
        }
        None => Ok(()),
    }
}

type Headers = Vec<(String, String)>;

fn request(
    settings: &Settings,
    issuer: &IssuerDocument,
    code: &Code,
) -> Result<(Headers, String), Fault> {
    let mut headers = vec![
        ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
        ("accept".to_owned(), "application/json".to_owned()),
    ];
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", &code.code),
        ("redirect_uri", &code.callback),
        ("code_verifier", &code.verifier),
    ];
    match &settings.client_secret {
        None => fields.push(("client_id", &settings.client_id)),
        Some(Kept::Plain(secret)) if posts_secret(issuer) => {
            fields.push(("client_id", &settings.client_id));
            fields.push(("client_secret", secret));
        }
        Some(Kept::Plain(secret)) => {
            // Each half as in a form (RFC 6749 section 2.3.1).
            let (id, secret) = (encoded(&settings.client_id)?, encoded(secret)?);
            let basic = STANDARD.encode(format!("{id}:{secret}"));
            headers.push(("authorization".to_owned(), format!("Basic {basic}")));
        }
        Some(Kept::Sealed(_)) => {
            return Err(Fault::internal("the client secret came sealed to where it is used"));
        }
    }
    Ok((headers, form(&fields)?))
}

/// Basic is what every provider takes unless its document says otherwise.
fn posts_secret(issuer: &IssuerDocument) -> bool {
    let Some(ways) = &issuer.token_endpoint_auth_methods_supported else { return false };
    let takes = |wanted: &str| ways.iter().any(|way| way == wanted);
    takes("client_secret_post") && !takes("client_secret_basic")
}

fn form(fields: &[(&str, &str)]) -> Result<String, Fault> {
    let mut url = Url::parse("https://form.invalid/").map_err(Fault::internal)?;
    url.query_pairs_mut().extend_pairs(fields);
    Ok(url.query().unwrap_or_default().to_owned())
}

fn encoded(text: &str) -> Result<String, Fault> {
    let pair = form(&[("", text)])?;
    Ok(pair.trim_start_matches('=').to_owned())
}

/// The `error` of a refusal, for the log.
fn error_of(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let error = serde_json::from_slice(body).map(|refusal: Refusal| refusal.error);
    error.unwrap_or_default().chars().take(64).filter(char::is_ascii_graphic).collect()
}
