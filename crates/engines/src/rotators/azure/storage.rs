//! Keys of storage accounts: two, which rotations take in turn. The other one is made anew and is
//! what people read from then on; the one before it is made anew, too, when it is to end. The
//! target always does it, as keys have no say in that.

use keysherd_base::{Fault, SecretString};
use keysherd_targets::azure::{azure, resource, subscription};
use keysherd_wire::{Field, Settings, Text, bad_setting, wipe};
use serde_json::{Value, json};

use super::fields::{API_KEY, KEY_NAME, RESOURCE, RESOURCE_GROUP};
use super::{IS_STORAGE, SECRET, USERNAME};
use crate::rotator::{Credential, Stage};

/// The version of what is asked.
const VERSION: (&str, &str) = ("api-version", "2023-01-01");
/// An account's keys.
const KEYS: [&str; 2] = ["key1", "key2"];
/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 1_024;

pub(super) fn of_key(name: &str, key: &str) -> Result<Credential, Fault> {
    if !KEYS.contains(&name) {
        return Err(bad_setting(KEY_NAME.name(), "it must be key1 or key2"));
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
    if key.is_empty() || key.len() > KEY_BYTES_MAX || !key.bytes().all(plain) {
        return Err(bad_setting(API_KEY.name(), "it is no key of a storage account"));
    }
    Ok(Credential::of_texts(&[(USERNAME, name), (SECRET, key), (IS_STORAGE, name)]))
}

/// Refuses names that resources cannot have.
pub(super) fn check(settings: &Settings) -> Result<(), Fault> {
    for field in [&RESOURCE_GROUP, &RESOURCE] {
        settings.text(field).map(|text| need_name(field, text)).transpose()?;
    }
    Ok(())
}

fn need_name<'a>(field: &Field<Text>, text: &'a str) -> Result<&'a str, Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.()".contains(&b);
    let fits = (1..=90).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('.');
    fits.then_some(text).ok_or_else(|| bad_setting(field.name(), "it is no name of a resource"))
}

/// Asks for the account's keys, or to make one anew.
async fn asked(stage: &Stage<'_>, what: &str, body: Value) -> Result<Value, Fault> {
    let (settings, of_target) = (stage.settings, resource(stage.target.settings));
    let named = |field: &Field<Text>, other: Option<&str>| {
        let missing = || Fault::bad_request(format!("missing required field '{}'", field.name()));
        let text = settings.text(field).or(other).ok_or_else(missing)?;
        need_name(field, text).map(str::to_owned)
    };
    let group = named(&RESOURCE_GROUP, of_target.0)?;
    let account = named(&RESOURCE, of_target.1)?;
    let by = azure(stage.target.settings, Some(stage.way))?;
    let token = by.lend_resources(stage.way).await?.token;
    let path = [
        "subscriptions",
        subscription(stage.target.settings)?,
        "resourceGroups",
        &group,
        "providers",
        "Microsoft.Storage",
        "storageAccounts",
        &account,
        what,
    ];
    let http = by.resources.open(stage.way)?;
    let call = http.ask("POST", &path, &[VERSION])?.bearer(&token).json(body);
    call.send().await?.done("asking for the account's keys", &[token.expose()])?.json()
}

/// One of the keys in an answer, which is wiped.
fn key_in(mut answer: Value, name: &str) -> Result<SecretString, Fault> {
    let keys = answer.get_mut("keys").and_then(Value::as_array_mut);
    let found = keys.and_then(|keys| keys.iter_mut().find(|key| key["keyName"] == name));
    let value = found.and_then(|key| key.get_mut("value")).map(Value::take);
    wipe(answer);
    match value {
        Some(Value::String(text)) => Ok(SecretString::new(text)),
        _ => Err(Fault::unavailable("Azure answers without the account's key; try again")),
    }
}

pub(super) async fn is_taken(stage: &Stage<'_>, key: &Credential) -> Result<bool, Fault> {
    let now = key_in(asked(stage, "listKeys", json!({})).await?, key.username()?)?;
    Ok(now.expose() == key.password()?.expose())
}

/// Makes the other key anew.
pub(super) async fn made(stage: &Stage<'_>, old: &Credential) -> Result<Credential, Fault> {
    let other = KEYS[usize::from(old.username()? == KEYS[0])];
    let answer = asked(stage, "regenerateKey", json!({"keyName": other})).await?;
    let key = key_in(answer, other)?;
    let unknown = |_| Fault::unavailable("Azure answers without the account's key; try again");
    of_key(other, key.expose()).map_err(unknown)
}

/// Makes a key anew where it is still the same.
pub(super) async fn removed(
    stage: &Stage<'_>,
    current: &Credential,
    old: &Credential,
) -> Result<(), Fault> {
    if current.username()? == old.username()? || !is_taken(stage, old).await? {
        return Ok(());
    }
    let name = old.username()?;
    asked(stage, "regenerateKey", json!({"keyName": name})).await.map(wipe)
}
