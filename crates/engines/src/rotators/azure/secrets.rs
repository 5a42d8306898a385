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
use crate::rotator::labels::{Listed, There, label};
use crate::rotator::{Credential, Stage};

/// Longest secret of an application, in bytes.
const SECRET_BYTES_MAX: usize = 1_024;

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

async fn listed(graph: &Graph<'_>, secret: &Credential) -> Result<There, Fault> {
    let reply = graph.ask("GET", &["v1.0", &place(secret)?], Value::Null).await?;
    let secrets = [graph.lent.token.expose().as_str()];
    let answer = reply.done("looking at the application's secrets", &secrets)?.json()?;
    let entries = answer["passwordCredentials"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let read = |entry: &Value| Listed {
        id: text(entry, "keyId"),
        label: text(entry, "displayName"),
        begins: text(entry, "hint"),
        ends: String::new(),
    };
    let all = entries.iter().map(read).filter(|entry| !entry.id.is_empty()).collect();
    Ok(There { all, field: API_ID.name() })
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
    let before = there.find(old)?.ok_or_else(missing)?;
    for unheard in there.after(before) {
        discard(&graph, old, unheard).await?;
    }
    let path = ["v1.0", &place(old)?, "addPassword"];
    let wish = json!({"passwordCredential": {"displayName": label(before)}});
    let reply = graph.ask("POST", &path, wish).await?;
    let secrets = [graph.lent.token.expose().as_str()];
    let mut answer = reply.done("making the secret", &secrets)?.json()?;
    let id = answer["keyId"].as_str().unwrap_or_default().to_owned();
    let text = match answer.get_mut("secretText").map(Value::take) {
        Some(Value::String(text)) => SecretString::new(text),
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
    Ok(listed(&graph, new).await?.find(new)?.is_some())
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
    match listed(&graph, old).await?.find_old(current, old)? {
        Some(id) => discard(&graph, old, id).await,
        None => Ok(()),
    }
}
