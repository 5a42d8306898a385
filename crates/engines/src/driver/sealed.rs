//! Tokens that only their holder can end, kept for the end of their lease.
//!
//! A lease's handle is not secret: control keeps it, and lists show it. So the token in it is
//! sealed under what the account signs in with, which control does not have. Who replaces that
//! leaves tokens that were sealed before to their own end.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keysherd_base::{Fault, SecretBytes, SecretString};
use keysherd_crypto::hash::hkdf_extract;
use keysherd_crypto::vault::VaultKey;
use serde_json::{Map, Value};

use super::session::{Page, Session, facts, written};
use super::{Account, Service, Step};
use crate::Scene;
use crate::name::{is_handle, unmarked};

/// How handles with a sealed token begin; names that are planned begin otherwise.
const SEALED: &str = "sealed.";
/// Domain separation of the key, and of what it seals.
const KEY: &[u8] = b"KSF1/engine-token-key";
const PURPOSE: &str = "engine-token";

/// The handle that ends what callers were given; none: it would be too long, and the token is left
/// to its own end.
pub(super) fn handle(
    session: &Session<'_>,
    scene: &Scene<'_>,
    name: &str,
    value: &Map<String, Value>,
) -> Result<Option<String>, Fault> {
    let token = value.get("token").and_then(Value::as_str).unwrap_or_default();
    let token = SecretBytes::new(token.as_bytes().to_vec());
    let mark = mark(name);
    let key = key(&session.account);
    let sealed = key.seal(PURPOSE, mark.as_bytes(), &token, scene.way.rng.as_ref());
    let sealed = URL_SAFE_NO_PAD.encode(sealed.map_err(Fault::internal)?);
    let handle = format!("{SEALED}{sealed}.{mark}");
    Ok(Some(handle).filter(|handle| is_handle(handle)))
}

/// Ends what has this handle.
pub(super) async fn end(
    service: &Service,
    scene: &Scene<'_>,
    handle: &str,
    step: &Step,
) -> Result<Vec<String>, Fault> {
    let by_itself = || {
        let kind = service.kind.what;
        Ok(vec![format!("the token cannot be ended any more: {kind} ends it at its own time")])
    };
    let Some(sealed) = unmarked(handle).strip_prefix(SEALED) else { return by_itself() };
    let account = (service.account)(scene.settings, scene.target.as_ref(), Some(scene.way))?;
    let Ok(sealed) = URL_SAFE_NO_PAD.decode(sealed) else { return by_itself() };
    let opened = key(&account).open(PURPOSE, mark(handle).as_bytes(), &sealed);
    let Ok(token) = opened else { return by_itself() };
    let token = SecretString::new(String::from_utf8_lossy(token.expose()).into_owned());
    let http = account.server.open(scene.way)?;
    let facts = facts(&account, scene, handle, "");
    let reply = written(&http, step, &facts, Page::ONLY)?.bearer(&token).send().await?;
    // A token that nobody is let in with any more has ended.
    if !matches!(reply.status(), 401 | 404) {
        reply.done("ending the token", &[token.expose()])?;
    }
    Ok(Vec::new())
}

fn key(account: &Account) -> VaultKey {
    VaultKey::new(&hkdf_extract(KEY, &[account.secret.expose().as_bytes()]))
}

/// The part of a name or a handle that is the lease's.
fn mark(handle: &str) -> &str {
    handle.rsplit_once('.').map_or("", |(_, mark)| mark)
}
