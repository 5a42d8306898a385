//! API keys of administrators of organizations at OpenAI. The tests have a stand-in for the
//! service.
//!
//! Only OpenAI makes keys, and shows each of them once. A new one comes beside the old one, and the
//! old one is removed when the new one signs in. A key says in its name after which one it came, so
//! one whose making nobody heard of is found and removed before the next one is made. Where nobody
//! said which id a key has, it is found by its first and last characters, which OpenAI shows.

use keysherd_base::{Fault, SecretString};
use keysherd_targets::http::Http;
use keysherd_targets::openai::{OpenAi, openai};
use keysherd_wire::{Args, Field, Group, Text, bad_setting, wipe};
use serde_json::{Value, json};

use crate::fields::{
    PASSWORD_LENGTH, REMOTE_NONE, USE_CAPITAL_LETTERS, USE_LOWER_LETTERS, USE_NUMBERS,
    USE_SPECIAL_CHARACTERS, need_one_of,
};
use crate::password::Policy;
use crate::rotator::labels::{Listed, There, label};
use crate::rotator::services::{AtService, ServiceRotator, comes_in};
use crate::rotator::{Actor, Credential, RotatorKind, RotatorType, Stage, is_same_user};
use crate::{Settings, Spelling, TargetUse};

#[cfg(test)]
mod tests;

const KEY: Field<Text> =
    Field::text("api-key", "The API key of an administrator as it is now.").secret();
const KEY_ID: Field<Text> =
    Field::text("api-key-id", "That key's id; found by how the key begins and ends otherwise.");

static KIND: RotatorKind = RotatorKind {
    name: "openai",
    what: "an organization at OpenAI",
    targets: &["openai"],
    types: &[
        RotatorType { name: "api-key", shown: "api-key-rotator", of_target: false },
        RotatorType { name: "target", shown: "target-rotator", of_target: true },
    ],
    create: &[Spelling::current(
        "rotated-secret-create-openai",
        "RotatedSecretCreateOpenAI",
        "RotatedSecretCreateOutput",
    )
    .success(200)],
    update: &[Spelling::current(
        "rotated-secret-update-openai",
        "RotatedSecretUpdateOpenAI",
        "RotatedSecretUpdateOutput",
    )],
    fields: &Group {
        title: "OpenAI",
        fields: &[
            PASSWORD_LENGTH.spec(),
            USE_CAPITAL_LETTERS.spec(),
            USE_LOWER_LETTERS.spec(),
            USE_NUMBERS.spec(),
            USE_SPECIAL_CHARACTERS.spec(),
        ],
    },
    given: &Group { title: "API key", fields: &[KEY_ID.spec(), KEY.spec()] },
    target_settings: &[("api-key-id", "username"), ("api-key", "password")],
    remote: &REMOTE_NONE,
};

/// Where keys of administrators are.
const KEYS: [&str; 2] = ["organization", "admin_api_keys"];
/// Keys of one page, and the most pages that are looked at.
const PAGE: &str = "100";
const PAGES_MAX: usize = 10;
/// Longest id and longest key, in bytes.
const ID_BYTES_MAX: usize = 100;
const KEY_BYTES_MAX: usize = 1_024;

/// The member.
pub(super) static MEMBER: ServiceRotator<AdminKeys> = ServiceRotator(AdminKeys);

pub(super) struct AdminKeys;

impl AtService for AdminKeys {
    const WHO: &'static str = "OpenAI";
    const IS_GRACEFUL: bool = false;

    fn kind(&self) -> &'static RotatorKind {
        &KIND
    }

    fn check(&self, settings: &Settings, target: &TargetUse<'_>) -> Result<Vec<String>, Fault> {
        need_one_of(KIND.targets, target)?;
        Policy::of(settings)?;
        Ok(openai(target.settings)?.server.warning().into_iter().collect())
    }

    fn first(&self, given: &Args) -> Result<Credential, Fault> {
        let (id, key) = (given.get(&KEY_ID)?, SecretString::new(given.need(&KEY)?));
        of_key(&id.unwrap_or_default(), &key)
    }

    fn corrected(&self, given: &Args, old: &Credential) -> Result<Credential, Fault> {
        let (id, key) = (given.get(&KEY_ID)?, given.secret(&KEY)?);
        // Another key has another id.
        let kept = if key.is_some() { "" } else { old.username()? };
        of_key(id.as_deref().unwrap_or(kept), &key.map_or_else(|| old.password(), Ok)?)
    }

    fn of_target(&self, target: &TargetUse<'_>) -> Result<Credential, Fault> {
        let key = openai(target.settings)?.key;
        of_key(target.settings.text(&KEY_ID).unwrap_or_default(), &key)
    }

    /// The same key, or one with the same id.
    fn is_keepers(&self, target: &TargetUse<'_>, given: &Credential) -> bool {
        let Ok(own) = self.of_target(target) else { return false };
        let texts = (own.password(), given.password());
        let is_text = matches!(texts, (Ok(own), Ok(given)) if own.expose() == given.expose());
        is_text || is_same_user(Some(&own), given, str::eq)
    }

    /// One that OpenAI has not made.
    fn candidate(&self, stage: &Stage<'_>, old: &Credential) -> Result<Credential, Fault> {
        let drawn = Policy::of(&Settings::default())?.draw(stage.way.rng.as_ref())?;
        Ok(Credential::of_user(old.username()?, &drawn))
    }

    /// Has OpenAI make a key beside `old`.
    async fn made(&self, stage: &Stage<'_>, old: &Credential) -> Result<Option<Credential>, Fault> {
        let asked = Asked::to_change(stage, old)?;
        let there = asked.keys().await?;
        let missing =
            || Fault::conflict("the key is not among those of the organization's administrators");
        let before = there.find(old)?.ok_or_else(missing)?;
        for unheard in there.after(before) {
            asked.remove(unheard).await?;
        }
        let call = asked.http.call("POST", &KEYS)?.bearer(&asked.key);
        let reply = call.json(json!({"name": label(before)})).send().await?;
        let mut answer = reply.done("making the key", &[asked.key.expose()])?.json()?;
        let id = answer["id"].as_str().unwrap_or_default().to_owned();
        let key = match answer.get_mut("value").map(Value::take) {
            Some(Value::String(text)) => SecretString::new(text),
            _ => SecretString::new(String::new()),
        };
        wipe(answer);
        let made = of_key(&id, &key).ok().filter(|_| !id.is_empty());
        made.map(Some).ok_or_else(|| Fault::unavailable("OpenAI answers without a key; try again"))
    }

    /// Waits until OpenAI takes a key that it has made.
    async fn added(
        &self,
        stage: &Stage<'_>,
        old: &Credential,
        new: &Credential,
    ) -> Result<(), Fault> {
        if comes_in(&MEMBER, stage, new).await? {
            return Ok(());
        }
        // What was removed does not come back; what is only not known everywhere yet is there.
        let there = Asked::to_change(stage, old)?.keys().await?;
        Err(match there.find(new)? {
            Some(_) => Fault::unavailable("OpenAI does not know the new key everywhere yet"),
            None => Fault::bad_request(
                "OpenAI does not have that key any more, and cannot make it again",
            ),
        })
    }

    /// Removes a key where it still is.
    async fn removed(
        &self,
        stage: &Stage<'_>,
        current: &Credential,
        old: &Credential,
    ) -> Result<(), Fault> {
        if current.password()?.expose() == old.password()?.expose() {
            return Ok(());
        }
        let asked = Asked::to_change(stage, current)?;
        match asked.keys().await?.find_old(current, old)? {
            Some(id) => asked.remove(id).await,
            None => Ok(()),
        }
    }

    async fn is_taken(&self, stage: &Stage<'_>, key: &Credential) -> Result<bool, Fault> {
        let asked = Asked::by(stage, key.password()?)?;
        let call = asked.http.ask("GET", &KEYS, &[("limit", "1")])?.bearer(&asked.key);
        let reply = call.send().await?;
        match reply.status() {
            401 => Ok(false),
            403 => Err(reply.heard(
                Fault::bad_request("the key is not one of an administrator, so it cannot rotate"),
                &[asked.key.expose()],
            )),
            _ => reply.done("signing in", &[asked.key.expose()]).map(|_| true),
        }
    }
}

fn of_key(id: &str, key: &SecretString) -> Result<Credential, Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if id.len() > ID_BYTES_MAX || !id.bytes().all(plain) {
        return Err(bad_setting(KEY_ID.name(), "it is no id of a key"));
    }
    let text = key.expose();
    let fits =
        (1..=KEY_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| Credential::of_user(id, key))
        .ok_or_else(|| bad_setting(KEY.name(), "it is no key"))
}

/// The organization, asked with a key.
struct Asked {
    http: Http,
    key: SecretString,
}

impl Asked {
    fn by(stage: &Stage<'_>, key: SecretString) -> Result<Self, Fault> {
        Ok(Self { http: openai(stage.target.settings)?.server.open(stage.way)?, key })
    }

    /// As who changes this key.
    fn to_change(stage: &Stage<'_>, key: &Credential) -> Result<Self, Fault> {
        let OpenAi { key: of_target, .. } = openai(stage.target.settings)?;
        match stage.actor {
            Actor::Owner => Self::by(stage, key.password()?),
            Actor::Target => Self::by(stage, of_target),
        }
    }

    async fn keys(&self) -> Result<There, Fault> {
        let (mut all, mut after) = (Vec::new(), String::new());
        for _ in 0..PAGES_MAX {
            let mut query = vec![("limit", PAGE)];
            if !after.is_empty() {
                query.push(("after", after.as_str()));
            }
            let reply = self.http.ask("GET", &KEYS, &query)?.bearer(&self.key).send().await?;
            let answer = reply.done("looking at the keys", &[self.key.expose()])?.json()?;
            let data = answer["data"].as_array().map(Vec::as_slice).unwrap_or_default();
            all.extend(data.iter().filter_map(listed));
            let last = answer["last_id"].as_str().filter(|_| answer["has_more"] == true);
            match last {
                Some(last) if last != after => last.clone_into(&mut after),
                _ => return Ok(There { all, field: KEY_ID.name() }),
            }
        }
        Err(Fault::conflict("the organization has more than 1000 keys; remove some at OpenAI"))
    }

    async fn remove(&self, id: &str) -> Result<(), Fault> {
        let path = [KEYS[0], KEYS[1], id];
        let reply = self.http.call("DELETE", &path)?.bearer(&self.key).send().await?;
        match reply.status() {
            404 => Ok(()),
            _ => reply.done("removing the key", &[self.key.expose()]).map(drop),
        }
    }
}

/// A key as OpenAI shows it.
fn listed(entry: &Value) -> Option<Listed> {
    let id = entry["id"].as_str().filter(|id| !id.is_empty())?.to_owned();
    let label = entry["name"].as_str().unwrap_or_default().to_owned();
    let shown = entry["redacted_value"].as_str().unwrap_or_default();
    // Stars or dots stand for the middle.
    let middle = |c: char| c == '*' || c == '.';
    let begins = shown.split(middle).next().unwrap_or_default();
    let ends = shown.rsplit(middle).next().unwrap_or_default();
    // Half of it says too little.
    let begins = if ends.is_empty() { "" } else { begins }.to_owned();
    Some(Listed { id, label, begins, ends: ends.to_owned() })
}
