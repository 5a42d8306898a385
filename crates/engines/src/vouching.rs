//! What a gateway shows webhooks, and how they find out whether to believe it.
//!
//! A webhook makes credentials for whoever asks, so it has to know that one of its account's
//! gateways does. The gateway signs a short text about itself, the account, the item and the
//! webhook's own address; the webhook hands that text to the gateway's own API with whom it
//! expects, and is told. The text is good for minutes, and once. Whose webhook was shown it can
//! show it to others first: so it counts in one account only, and says for which address it was
//! made.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keysherd_base::{Fault, SecretString, Timestamp, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::sign::{PublicKey, Signature, SigningKey};
use serde_json::{Map, Value};

#[cfg(test)]
mod tests;

/// Domain separation of the signature.
const LABEL: &str = "KSF1/webhook";
/// How long a text is good for, in seconds.
pub const LIFE_SECONDS: i64 = 300;
/// How far a webhook's gateway may have its clock behind, in seconds.
pub const SKEW_SECONDS: i64 = 60;
/// Longest text that is looked at, in bytes.
const BYTES_MAX: usize = 4_096;

/// What a gateway says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// The account whose item it is.
    pub account: Uid,
    /// The access id that the gateway works with.
    pub access_id: String,
    /// The item that it asks for, as a path.
    pub item: String,
    /// The address that it calls, without a query.
    pub audience: String,
}

/// A text that a gateway has signed lately, whichever that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What it says.
    pub vouched: Vouched,
    /// Whose key has signed it.
    pub key: PublicKey,
    /// When.
    pub made: Timestamp,
    /// What tells it from every other text, so that it counts once.
    pub mark: [u8; 16],
}

/// Signs what a gateway says of itself. `once` is drawn by chance: no two texts are the same.
pub fn vouch(key: &SigningKey, vouched: &Vouched, now: Timestamp, once: [u8; 16]) -> SecretString {
    let mut body = Map::new();
    body.insert("account".to_owned(), vouched.account.to_string().into());
    body.insert("audience".to_owned(), vouched.audience.as_str().into());
    body.insert("access_id".to_owned(), vouched.access_id.as_str().into());
    body.insert("item".to_owned(), vouched.item.as_str().into());
    body.insert("made".to_owned(), now.0.into());
    body.insert("once".to_owned(), hex::encode(once).into());
    let body = Value::Object(body).to_string();
    let signature = key.sign(LABEL, body.as_bytes());
    let parts = [
        URL_SAFE_NO_PAD.encode(key.public().as_bytes()),
        URL_SAFE_NO_PAD.encode(body),
        URL_SAFE_NO_PAD.encode(signature.as_bytes()),
    ];
    SecretString::new(parts.join("."))
}

/// That a text is not believed. Callers hear one text, whatever the reason; the log hears that.
pub fn not_valid(why: impl std::fmt::Display) -> Fault {
    Fault::unauthorized("the credentials of this call are not valid").with_private(why)
}

/// What a text says that was signed lately. By whom is for the caller to find out: anybody can sign
/// with a key of their own. The webhook should be told the audience: a text that another one was
/// shown names that one.
///
/// # Errors
/// [`not_valid`].
pub fn read(text: &str, now: Timestamp) -> Result<Signed, Fault> {
    let (key, body, signature) = parts(text).ok_or_else(|| not_valid("it is no such text"))?;
    if !key.verify(LABEL, &body, &signature) {
        return Err(not_valid("its signature is wrong"));
    }
    let (vouched, made) = said(&body).ok_or_else(|| not_valid("it says something else"))?;
    let age = now.seconds().saturating_sub(made.seconds());
    if !(-SKEW_SECONDS..=LIFE_SECONDS).contains(&age) {
        return Err(not_valid("it is too old, or of a gateway whose clock is ahead"));
    }
    let mut mark = [0; 16];
    mark.copy_from_slice(&sha256(&[key.as_bytes(), &body])[..16]);
    Ok(Signed { vouched, key, made, mark })
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

fn said(body: &[u8]) -> Option<(Vouched, Timestamp)> {
    let body: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let text = |name: &str| body.get(name)?.as_str().map(str::to_owned);
    // In milliseconds: control believes nothing that was made before it started.
    let made = Timestamp(body.get("made")?.as_i64()?);
    let account = Uid::from_hex(&text("account")?)?;
    let (access_id, item, audience) = (text("access_id")?, text("item")?, text("audience")?);
    Some((Vouched { account, access_id, item, audience }, made))
}
