//! The way through the browser: authorization code with PKCE (OpenID Connect Core 3.1, RFC 7636).

use keysherd_base::Fault;
use keysherd_wire::{Args, PageMethod, PageRequest};

use super::settings::Settings;
use super::{Code, Evidence, write};
use crate::fields::JWT;
use crate::web::{outside_url, unreachable};
use crate::{BoxFuture, Browser, Callback, Departure, Trip, World};

/// Longest code, in bytes.
const CODE_BYTES_MAX: usize = 8 * 1024;

static CALLBACK: Callback =
    Callback { path: "login/callback", method: PageMethod::Get, state: "state" };

pub(super) struct OidcBrowser;

impl Browser for OidcBrowser {
    fn callback(&self) -> &'static Callback {
        &CALLBACK
    }

    fn wanted(&self, given: &Args) -> Result<bool, Fault> {
        Ok(given.get(&JWT)?.is_none())
    }

    fn depart<'a>(
        &'a self,
        departure: Departure<'a>,
        world: &'a World,
    ) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(depart(departure, world))
    }

    fn evidence(&self, brought: &PageRequest, trip: Trip<'_>) -> Result<String, Fault> {
        if let Some(error) = brought.field("error") {
            return Err(Fault::unauthorized(
                "the identity provider did not sign you in; start again in your program",
            )
            .with_private(format!("the provider answered {:?}", shortened(error))));
        }
        let code = brought.field("code").filter(|code| (1..=CODE_BYTES_MAX).contains(&code.len()));
        let code = code.ok_or_else(|| {
            Fault::unauthorized("the identity provider sent no code; start again in your program")
        })?;
        write(&Evidence::Code(Code {
            code: code.to_owned(),
            issuer: brought.field("iss").map(shortened),
            callback: trip.callback.to_owned(),
            nonce: trip.nonce.to_owned(),
            verifier: trip.verifier.to_owned(),
        }))
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(2_048).collect()
}

async fn depart(departure: Departure<'_>, world: &World) -> Result<String, Fault> {
    let settings = Settings::read(departure.settings)?;
    let document = world.issuer(&settings.issuer).await?;
    let endpoint = document.authorization_endpoint.as_deref().ok_or_else(|| {
        unreachable(&settings.issuer, "its document names no authorization endpoint")
    })?;
    let mut url = outside_url(endpoint).map_err(|why| unreachable(endpoint, why))?;
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &settings.client_id)
        .append_pair("redirect_uri", departure.callback)
        .append_pair("scope", &settings.scope())
        .append_pair("state", departure.state)
        .append_pair("nonce", departure.nonce)
        .append_pair("code_challenge", departure.challenge)
        .append_pair("code_challenge_method", "S256");
    if let Some(audience) = &settings.audience {
        url.query_pairs_mut().append_pair("audience", audience);
    }
    Ok(url.into())
}
