//! Google Cloud: tokens and keys of service accounts that are there, service accounts that are made
//! with their rights, and rights for people who are there. The tests have a stand-in for the
//! service.
//!
//! Rights are bindings with a condition that names the lease and ends by itself, so lasting rights
//! are not touched, neither when they are given nor when they are taken back.

use keysherd_base::{Fault, SecretString};
use keysherd_targets::gcp::key as key_of;
use keysherd_targets::google::{CLOUD, GoogleKey, is_account};
use keysherd_wire::bad_setting;
use serde_json::{Map, Value, json};

use self::fields::{
    ACCESS_TYPE, ACCOUNT, ACCOUNT_TYPE, ALGORITHM, CLAIM, CREDENTIAL, KEY, KIND, PROJECT, SCOPES,
};
use self::policy::Grants;
use crate::fields::{USER_TTL, need_type};
use crate::google::{Google, IAM, is_key_id, token};
use crate::member::{More, not_reached};
use crate::name::{marked, need_handle, unmarked, username};
use crate::person::person;
use crate::{BoxFuture, Created, Engine, Kind, Plan, Scene, Settings, TargetUse, Wish};

mod fields;
mod policy;
#[cfg(test)]
mod tests;

/// Longest life of a token, in seconds; over an hour only where an organization allows it.
const TOKEN_SECONDS_MAX: i64 = 43_200;
/// How handles begin: of tokens, of keys before Google named them and afterwards, of accounts, and
/// of people's rights.
const TOKEN: &str = "token.";
const KEYED: &str = "key.";
const KEY_ID: &str = "keyid.";
const MADE: &str = "account.";
const PERSON: &str = "person.";

/// The member.
pub(super) struct GoogleCloud;

impl Engine for GoogleCloud {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn check(
        &self,
        settings: &Settings,
        target: Option<&TargetUse<'_>>,
    ) -> Result<Vec<String>, Fault> {
        KIND.check(settings)?;
        let key = own_key(settings, target)?;
        algorithm(settings)?;
        let mut warnings = Vec::new();
        match mode(settings)? {
            MADE => {
                project(settings, &key)?;
                warnings.extend(Grants::of(settings, key.project.as_deref())?.warning());
            }
            PERSON => warnings.extend(Grants::of(settings, key.project.as_deref())?.warning()),
            KEYED => drop(account(settings, &key)?),
            _ => {
                account(settings, &key)?;
                if KIND.ttl_seconds(settings)? > TOKEN_SECONDS_MAX {
                    return Err(bad_setting(USER_TTL.name(), "tokens live for 12h at most"));
                }
            }
        }
        Ok(warnings)
    }

    /// Roles are taken back in the projects that they were given in.
    fn found_by(&self, settings: &Settings) -> &'static [&'static str] {
        match mode(settings) {
            Ok(PERSON | MADE) => &["role-binding", "role-names"],
            _ => &[],
        }
    }

    fn plan(&self, scene: &Scene<'_>, wish: &Wish<'_>) -> Result<Plan, Fault> {
        let settings = scene.settings;
        let mode = mode(settings)?;
        let handle = if mode == PERSON {
            let claim = settings.text(&CLAIM).unwrap_or("ext_email");
            let person = person(claim, wish)?;
            if !is_account(person) {
                return Err(Fault::bad_request(format!(
                    "the claim '{claim}' has no address of an account of Google"
                )));
            }
            marked(&format!("{PERSON}{person}"), wish.lease)
        } else {
            let most = KIND.name_bytes_max - MADE.len();
            format!("{mode}{}", username(settings, wish, scene.way, most)?)
        };
        let seconds = Map::from_iter([("seconds".to_owned(), wish.ttl_seconds.into())]);
        Ok(Plan { handle, password: SecretString::new(String::new()), more: More(seconds) })
    }

    fn create<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        plan: &'a Plan,
    ) -> BoxFuture<'a, Result<Created, Fault>> {
        Box::pin(async move {
            need_handle(&plan.handle)?;
            let seconds = plan.more.0.get("seconds").and_then(Value::as_i64).unwrap_or_default();
            let making = created(scene, &plan.handle, seconds);
            let late = |_| Fault::unavailable("Google does not answer in time; try again later");
            tokio::time::timeout(scene.way.timeout, making).await.map_err(late)?
        })
    }

    fn revoke<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        handle: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(async move {
            need_handle(handle)?;
            let late = |_| Fault::unavailable("Google does not answer in time; try again later");
            let removing = removed(scene, handle);
            tokio::time::timeout(scene.way.timeout, removing).await.map_err(late)?
        })
    }
}

const ALGORITHMS: [&str; 2] = ["KEY_ALG_RSA_2048", "KEY_ALG_RSA_1024"];

/// What keys are.
fn algorithm(settings: &Settings) -> Result<&'static str, Fault> {
    settings.choice(&ALGORITHM, &ALGORITHMS, ALGORITHMS[0])
}

/// What is made by the settings, as handles begin.
fn mode(settings: &Settings) -> Result<&'static str, Fault> {
    if settings.choice(&ACCESS_TYPE, &["sa", "external"], "sa")? == "external" {
        return Ok(PERSON);
    }
    if settings.choice(&ACCOUNT_TYPE, &["fixed", "dynamic"], "fixed")? == "dynamic" {
        settings.choice(&CREDENTIAL, &["token", "key"], "token")?;
        return Ok(MADE);
    }
    Ok(match settings.choice(&CREDENTIAL, &["token", "key"], "token")? {
        "key" => KEYED,
        _ => TOKEN,
    })
}

fn own_key(settings: &Settings, target: Option<&TargetUse<'_>>) -> Result<GoogleKey, Fault> {
    match target {
        Some(target) => {
            need_type(&KIND, target)?;
            key_of(target.settings)
        }
        None => GoogleKey::by(settings, &KEY),
    }
}

/// The account whose tokens or keys are made: the one that the settings name, or the key's own.
fn account(settings: &Settings, key: &GoogleKey) -> Result<String, Fault> {
    let account = settings.text(&ACCOUNT).unwrap_or(&key.account);
    let bad = || bad_setting(ACCOUNT.name(), "it is no address of a service account");
    is_account(account).then(|| account.to_owned()).ok_or_else(bad)
}

/// The project that accounts are made in.
fn project<'a>(settings: &'a Settings, key: &'a GoogleKey) -> Result<&'a str, Fault> {
    let project = settings.text(&PROJECT).or(key.project.as_deref());
    let missing = || Fault::bad_request("missing required field 'gcp-project-id'");
    policy::need_project(PROJECT.name(), project.ok_or_else(missing)?)
}

fn scopes(settings: &Settings) -> String {
    let given = settings.text(&SCOPES).unwrap_or(CLOUD);
    given.split([',', ' ']).filter(|scope| !scope.is_empty()).collect::<Vec<_>>().join(" ")
}

async fn created(scene: &Scene<'_>, handle: &str, seconds: i64) -> Result<Created, Fault> {
    let settings = scene.settings;
    let key = own_key(settings, scene.target.as_ref())?;
    let mut created = Created { value: Map::new(), handle: None, ends: None, warnings: Vec::new() };
    let account = account(settings, &key)?;
    if handle.starts_with(TOKEN) {
        let other = Some(account.as_str()).filter(|account| *account != key.account);
        let seconds = seconds.clamp(1, TOKEN_SECONDS_MAX);
        let lent = token(key, other, &scopes(settings), seconds, scene.way).await;
        let lent = lent.map_err(not_reached)?;
        put_token(&mut created.value, &lent);
        created.ends = Some(lent.ends);
        return Ok(created);
    }
    let grants = Grants::of(settings, key.project.as_deref());
    let made_in = project(settings, &key).map(str::to_owned);
    let google = Google::open(key, CLOUD, None, scene.way).await.map_err(not_reached)?;
    if handle.starts_with(KEYED) {
        let (id, encoded) = google.make_key(&account, algorithm(settings)?).await?;
        created.handle = Some(format!("{KEY_ID}{id}.{}", mark(handle)));
        created.value.insert("encoded_key".to_owned(), encoded);
        return Ok(created);
    }
    let grants = grants?;
    let ends = scene.way.clock.now().plus_seconds(seconds);
    if let Some(person) = unmarked(handle).strip_prefix(PERSON) {
        grants.give(&google, &format!("user:{person}"), mark(handle), ends).await?;
        created.value.insert("user".to_owned(), person.into());
        return Ok(created);
    }
    let made_in = made_in?;
    let name = account_made(&google, &made_in, handle).await?;
    grants.give(&google, &format!("serviceAccount:{name}"), mark(handle), ends).await?;
    created.value.insert("user".to_owned(), name.as_str().into());
    if settings.choice(&CREDENTIAL, &["token", "key"], "token")? == "key" {
        let (_, encoded) = google.make_key(&name, algorithm(settings)?).await?;
        created.value.insert("encoded_key".to_owned(), encoded);
    } else {
        let seconds = seconds.clamp(1, TOKEN_SECONDS_MAX);
        let lent = google.token_of(&name, &scopes(settings), seconds).await?;
        put_token(&mut created.value, &lent);
    }
    Ok(created)
}

fn put_token(into: &mut Map<String, Value>, lent: &keysherd_targets::Lent) {
    into.insert("token".to_owned(), lent.token.expose().as_str().into());
    into.insert("expire_time".to_owned(), lent.ends.rfc3339().into());
}

/// What an account that is made for a lease is called before the `@`. Google takes 6 to 30 letters,
/// digits and `-`.
fn account_id(handle: &str) -> String {
    format!("keysherd-{}", mark(handle))
}

async fn account_made(google: &Google<'_>, project: &str, handle: &str) -> Result<String, Fault> {
    let path = ["v1", "projects", project, "serviceAccounts"];
    let name = json!({"displayName": unmarked(handle)});
    let body = json!({"accountId": account_id(handle), "serviceAccount": name});
    let reply = google.ask("POST", IAM, &path, body).await?;
    let answer = reply.done("making the service account", &google.secrets())?.json()?;
    let name = answer["email"].as_str().filter(|name| is_account(name)).map(str::to_owned);
    name.ok_or_else(|| Fault::unavailable("Google answers without an account; try again"))
}

/// The part of a handle that is the lease's.
fn mark(handle: &str) -> &str {
    handle.rsplit_once('.').map_or("", |(_, mark)| mark)
}

async fn removed(scene: &Scene<'_>, handle: &str) -> Result<Vec<String>, Fault> {
    let settings = scene.settings;
    if handle.starts_with(TOKEN) {
        return Ok(vec!["Google ends the token at its own time, and no earlier".to_owned()]);
    }
    if handle.starts_with(KEYED) {
        return Ok(vec![
            "a key may have been made that nobody heard of, which has no name to find it by; look \
             at the account's keys"
                .to_owned(),
        ]);
    }
    let key = own_key(settings, scene.target.as_ref())?;
    let (account, own_project) = (account(settings, &key), key.project.clone());
    let made_in = project(settings, &key).map(str::to_owned);
    let google = Google::open(key, CLOUD, None, scene.way).await?;
    let gone = async |path: &[&str], what: &str| {
        let reply = google.ask("DELETE", IAM, path, Value::Null).await?;
        if reply.status() != 404 {
            reply.done(what, &google.secrets())?;
        }
        Ok::<(), Fault>(())
    };
    if let Some(id) = unmarked(handle).strip_prefix(KEY_ID).filter(|id| is_key_id(id)) {
        let account = account?;
        google.remove_key(&account, id).await?;
    } else if handle.starts_with(MADE) {
        let made_in = made_in?;
        // Whoever signs in as it first.
        let name = format!("{}@{made_in}.iam.gserviceaccount.com", account_id(handle));
        let path = ["v1", "projects", made_in.as_str(), "serviceAccounts", name.as_str()];
        gone(&path, "removing the service account").await?;
        Grants::of(settings, own_project.as_deref())?.take(&google, mark(handle)).await?;
    } else if handle.starts_with(PERSON) {
        Grants::of(settings, own_project.as_deref())?.take(&google, mark(handle)).await?;
    } else {
        return Err(Fault::internal("a lease has a handle that no plan made"));
    }
    Ok(Vec::new())
}
