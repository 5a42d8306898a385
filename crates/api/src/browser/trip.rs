//! The trip of a browser: how it begins, and what becomes of what it brings back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keysherd_authn::{Browser, Method, Trip};
use keysherd_base::{AccessId, Fault};
use keysherd_crypto::hash::sha256;
use keysherd_plane::auth::{LoginReply, Present};
use keysherd_plane::browser::BrowserDepart;
use keysherd_wire::PageRequest;

use super::logins::{Begun, Login, NewLogin, Secrets};
use crate::ctx::Ctx;

/// Longest URL that a browser is sent to, in bytes; several servers take no more.
const URL_BYTES_MAX: usize = 8 * 1024;

/// RFC 4648 section 5, unpadded.
pub(super) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Begins a login of `member` with a browser.
///
/// # Errors
/// [`Fault::unauthorized`] when the method is not there for it; a rate limit.
pub(crate) async fn begin(
    ctx: &Ctx,
    member: &'static dyn Method,
    browser: &'static dyn Browser,
    access_id: AccessId,
) -> Result<Begun, Fault> {
    let services = ctx.services();
    let (logins, now) = (&services.browser_logins, services.clock.now());
    let client = ctx.caller().client.clone();
    logins.check_room(client.address, now)?;
    let secrets = Secrets::draw(&services.rng)?;
    let callback = logins.url(browser.callback().path)?;
    let departed = ctx.ask(BrowserDepart {
        access_id: access_id.clone(),
        kind: member.kind().name.to_owned(),
        callback: callback.clone(),
        state: secrets.state.clone(),
        nonce: secrets.nonce.clone(),
        challenge: base64url(&sha256(&[secrets.verifier.as_bytes()])),
    });
    let url = departed.await?.url;
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    if !is_web || url.len() > URL_BYTES_MAX || url.chars().any(char::is_control) {
        return Err(Fault::internal("the provider's address is none for a browser"));
    }
    let now = services.clock.now();
    logins.begin(NewLogin { member, access_id, client, secrets, callback, url, now })
}

/// Exchanges what a browser brought for a token, for the program that asked for it.
///
/// # Errors
/// [`Fault::unauthorized`] when it is not good.
pub(super) async fn exchange(
    ctx: &Ctx,
    login: &Login,
    brought: &PageRequest,
) -> Result<LoginReply, Fault> {
    let trip = Trip {
        access_id: &login.access_id,
        callback: &login.callback,
        nonce: &login.nonce,
        verifier: &login.verifier,
    };
    let evidence = login.browser()?.evidence(brought, trip)?;
    let present = Present {
        access_id: login.access_id.clone(),
        kind: login.member.kind().name.to_owned(),
        evidence,
        ticket: None,
    };
    // Who asked is bound and recorded, not the browser: it may be on another machine.
    ctx.ask_for(login.client.clone(), present).await
}
