//! Secrets of applications.
//!
//! A secret says in its label after which one it came, so one whose making nobody heard of is found
//! and removed before the next one is made. Where nobody said which id a secret has, it is found by
//! the three characters that Azure shows of it.

use keysherd_base::{Fault, SecretString};
use keysherd_targets::Lender as _;
use keysherd_targets::azure::{Azure, azure};
use keysherd_wire::{bad_setting, wipe};
use serde_json::{Value, json};

use super::fields::{API_ID, API_KEY, APPLICATION};
use super::{APPLICATION_ID, Graph, SECRET, USERNAME};
use crate::rotator::database::taken;
use crate::rotator::{Credential, Stage};

/// How labels begin; the id of the secret before it follows.
const LABEL: &str = "keysherd after ";
/// Longest secret of an application, in bytes.
const SECRET_BYTES_MAX: usize = 1_024;

/// A secret as Azure shows it.
struct Listed {
    id: String,
    label: String,
    hint: String,
}

pub(super) fn of_secret(
    (id, secret): (&str, &str),
    application: &str,
) -> Result<Credential, Fault> {
    let is_id = |id: &str| id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if !id.is_empty() && !is_id(id) {
        return Err(bad_setting(API_ID.name(), "it must be the id of a secret"));
    }
    if !is_id(application) {
        return Err(bad_setting(APPLICATION.name(), "it must be an application (client) id"));
    }
    if secret.is_empty() || secret.len() > SECRET_BYTES_MAX {
        return Err(bad_setting(API_KEY.name(), "it is no secret of an application"));
    }
    let members = [(USERNAME, id), (SECRET, secret), (APPLICATION_ID, application)];
    Ok(Credential::of_texts(&members))
}

/// The application, signed in to with its own secret.
pub(super) fn application(stage: &Stage<'_>, secret: &Credential) -> Result<Azure, Fault> {
    let by = azure(stage.target.settings, Some(stage.way))?;
    by.signed_in_as(APPLICATION.name(), secret.text(APPLICATION_ID)?, secret.password()?)
}

pub(super) async fn is_taken(stage: &Stage<'_>, secret: &Credential) -> Result<bool, Fault> {
    taken(application(stage, secret)?.lend(stage.way).await)
}

fn place(secret: &Credential) -> Result<String, Fault> {
    Ok(format!("applications(appId='{}')", secret.text(APPLICATION_ID)?))
}

async fn listed(graph: &Graph<'_>, secret: &Credential) -> Result<Vec<Listed>, Fault> {
    let reply = graph.ask("GET", &["v1.0", &place(secret)?], Value::Null).await?;
    let secrets = [graph.lent.token.expose().as_str()];
    let answer = reply.done("looking at the application's secrets", &secrets)?.json()?;
    let entries = answer["passwordCredentials"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let read = |entry: &Value| Listed {
        id: text(entry, "keyId"),
        label: text(entry, "displayName"),
        hint: text(entry, "hint"),
    };
    Ok(entries.iter().map(read).filter(|entry| !entry.id.is_empty()).collect())
}

/// The id of a secret; none: it is not there.
fn id_of(there: &[Listed], secret: &Credential) -> Result<Option<String>, Fault> {
    let id = secret.username()?;
    if !id.is_empty() {
        return Ok(there.iter().find(|entry| entry.id == id).map(|entry| entry.id.clone()));
    }
    let text = secret.password()?;
    let is = |entry: &&Listed| !entry.hint.is_empty() && text.expose().starts_with(&entry.hint);
    let found: Vec<_> = there.iter().filter(is).collect();
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.id.clone())),
        _ => Err(Fault::conflict(
            "two of the application's secrets begin with the same characters, so nobody knows \
             which one this is; remove the other one at Azure, or give api-id",
        )),
    }
}

async fn discard(graph: &Graph<'_>, secret: &Credential, id: &str) -> Result<(), Fault> {
    let path = ["v1.0", &place(secret)?, "removePassword"];
    let reply = graph.ask("POST", &path, json!({"keyId": id})).await?;
    reply.done("removing the old secret", &[graph.lent.token.expose()]).map(drop)
}

/// Has Azure make a secret beside `old`.
pub(super) async fn made(stage: &Stage<'_>, old: &Credential) -> Result<Credential, Fault> {
    let graph = Graph::open(stage, super::application(stage, old)?).await?;
    let there = listed(&graph, old).await?;
    let missing =
        || Fault::conflict("the secret is not among those of the application; give api-id");
    let before = id_of(&there, old)?.ok_or_else(missing)?;
    let label = format!("{LABEL}{before}");
    for unheard in there.iter().filter(|entry| entry.label == label && entry.id != before) {
        discard(&graph, old, &unheard.id).await?;
    }
    let path = ["v1.0", &place(old)?, "addPassword"];
    let wish = json!({"passwordCredential": {"displayName": label}});
    let reply = graph.ask("POST", &path, wish).await?;
    let secrets = [graph.lent.token.expose().as_str()];
    let mut answer = reply.done("making the secret", &secrets)?.json()?;
    let id = answer["keyId"].as_str().unwrap_or_default().to_owned();
    let text = match answer["secretText"].take() {
        Value::String(text) => SecretString::new(text),
        _ => SecretString::new(String::new()),
    };
    wipe(answer);
    let unknown = || Fault::unavailable("Azure answers without a secret; try again");
    if id.is_empty() {
        return Err(unknown());
    }
    of_secret((&id, text.expose()), old.text(APPLICATION_ID)?).map_err(|_| unknown())
}

/// Whether Azure has a secret, which it may not know everywhere yet.
pub(super) async fn is_there(
    stage: &Stage<'_>,
    old: &Credential,
    new: &Credential,
) -> Result<bool, Fault> {
    let graph = Graph::open(stage, super::application(stage, old)?).await?;
    Ok(id_of(&listed(&graph, new).await?, new)?.is_some())
}

/// Removes a secret where it still is.
pub(super) async fn removed(
    stage: &Stage<'_>,
    current: &Credential,
    old: &Credential,
) -> Result<(), Fault> {
    if current.password()?.expose() == old.password()?.expose() {
        return Ok(());
    }
    let graph = Graph::open(stage, super::application(stage, current)?).await?;
    match left(listed(&graph, old).await?, current, old)? {
        Some(id) => discard(&graph, old, &id).await,
        None => Ok(()),
    }
}

/// The id of the `old` secret, where it still is among these. How it begins may be how somebody
/// else's begins, too, so what the `current` one came after goes before that; and the current one
/// is never the old one.
fn left(
    there: Vec<Listed>,
    current: &Credential,
    old: &Credential,
) -> Result<Option<String>, Fault> {
    let now = id_of(&there, current).ok().flatten().unwrap_or_default();
    let (now, others): (Vec<_>, Vec<_>) = there.into_iter().partition(|entry| entry.id == now);
    let before = now.first().and_then(|entry| entry.label.strip_prefix(LABEL));
    let Some(before) = before.filter(|_| old.username().is_ok_and(str::is_empty)) else {
        return id_of(&others, old);
    };
    let others: Vec<_> = others.into_iter().filter(|entry| entry.id == before).collect();
    id_of(&others, old)
}
