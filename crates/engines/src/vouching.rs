//! What a gateway shows webhooks, and how they find out whether to believe it.
//!
//! A webhook makes credentials for whoever asks, so it has to know that one of its account's
//! gateways does. The gateway signs a short text about itself, the account, the item and the
//! webhook's own address; the webhook hands that text to the gateway's own API with whom it
//! expects, and is told. The text is good for minutes. Whose webhook was shown it can show it to
//! others: so it counts in one account only, and says for which address it was made.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keysherd_base::{Fault, SecretString, Timestamp};
use keysherd_crypto::sign::{PublicKey, Signature, SigningKey};
use serde_json::{Map, Value};

#[cfg(test)]
mod tests;

/// Domain separation of the signature.
const LABEL: &str = "KSF1/webhook";
/// How long a text is good for, in seconds.
const LIFE_SECONDS: i64 = 300;
/// How far a webhook's gateway may have its clock behind, in seconds.
const SKEW_SECONDS: i64 = 60;
/// Longest text that is looked at, in bytes.
const BYTES_MAX: usize = 4_096;

/// What a gateway says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// The account whose item it is, by its number.
    pub account: i64,
    /// The access id that the gateway works with.
    pub access_id: String,
    /// The item that it asks for, as a path.
    pub item: String,
    /// The address that it calls, without a query.
    pub audience: String,
}

/// Signs what a gateway says of itself.
pub fn vouch(key: &SigningKey, vouched: &Vouched, now: Timestamp) -> SecretString {
    let mut body = Map::new();
    body.insert("account".to_owned(), vouched.account.into());
    body.insert("audience".to_owned(), vouched.audience.as_str().into());
    body.insert("access_id".to_owned(), vouched.access_id.as_str().into());
    body.insert("item".to_owned(), vouched.item.as_str().into());
    body.insert("made".to_owned(), now.seconds().into());
    let body = Value::Object(body).to_string();
    let signature = key.sign(LABEL, body.as_bytes());
    let parts = [
        URL_SAFE_NO_PAD.encode(key.public().as_bytes()),
        URL_SAFE_NO_PAD.encode(body),
        URL_SAFE_NO_PAD.encode(signature.as_bytes()),
    ];
    SecretString::new(parts.join("."))
}

/// What a text says, when one of the gateways of `account`, the webhook's own, has signed it lately
/// for an item of that account; `is_known` says whether a key is one of theirs. The webhook should
/// be told the audience: a text that another one was shown names that one.
///
/// # Errors
/// [`Fault::unauthorized`], which does not say why; the log does.
pub fn validate(
    text: &str,
    account: i64,
    now: Timestamp,
    is_known: impl FnOnce(&PublicKey) -> bool,
) -> Result<Vouched, Fault> {
    let refused = |why: &str| {
        Fault::unauthorized("the credentials of this call are not valid").with_private(why)
    };
    let (key, body, signature) = parts(text).ok_or_else(|| refused("it is no such text"))?;
    if !key.verify(LABEL, &body, &signature) {
        return Err(refused("its signature is wrong"));
    }
    if !is_known(&key) {
        return Err(refused("no gateway of this account has that key"));
    }
    let (vouched, made) = read(&body).ok_or_else(|| refused("it says something else"))?;
    if vouched.account != account {
        return Err(refused("it is about an item of another account"));
    }
    let age = now.seconds().saturating_sub(made);
    if !(-SKEW_SECONDS..=LIFE_SECONDS).contains(&age) {
        return Err(refused("it is too old, or of a gateway whose clock is ahead"));
    }
    Ok(vouched)
}

fn parts(text: &str) -> Option<(PublicKey, Vec<u8>, Signature)> {
    if text.len() > BYTES_MAX {
        return None;
    }
    let mut parts = text.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let (key, body, signature) = (parts.next()??, parts.next()??, parts.next()??);
    let whole = parts.next().is_none();
    whole.then_some((PublicKey::from_slice(&key)?, body, Signature::from_slice(&signature)?))
}

fn read(body: &[u8]) -> Option<(Vouched, i64)> {
    let body: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let text = |name: &str| body.get(name)?.as_str().map(str::to_owned);
    let made = body.get("made")?.as_i64()?;
    let account = body.get("account")?.as_i64()?;
    let (access_id, item, audience) = (text("access_id")?, text("item")?, text("audience")?);
    Some((Vouched { account, access_id, item, audience }, made))
}
