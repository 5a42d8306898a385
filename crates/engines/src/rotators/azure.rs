//! Microsoft Azure: secrets of applications and passwords of people at Entra ID, and keys of
//! storage accounts. The tests have a stand-in for the services.
//!
//! Only Azure makes secrets of applications: a new one comes beside the old one, and the old one is
//! removed when the new one signs in, or later. A storage account has two keys, and rotations take
//! them in turn. A person has one password, which is set.

use keysherd_base::{Fault, SecretString};
use keysherd_targets::azure::{Azure, azure};
use keysherd_targets::http::Reply;
use keysherd_targets::{Lender as _, Lent};
use keysherd_wire::Args;
use serde_json::{Map, Value};

use self::fields::{API_ID, API_KEY, APPLICATION, KEY_NAME, KIND, PASSWORD, USER};
use crate::fields::need_one_of;
use crate::password::Policy;
use crate::rotator::services::{AtService, ServiceRotator, comes_in};
use crate::rotator::{Actor, Credential, RotatorKind, Stage};
use crate::{Settings, TargetUse};

mod fields;
mod people;
mod secrets;
mod storage;
#[cfg(test)]
mod tests;

/// The member.
pub(super) static MEMBER: ServiceRotator<AzureCredentials> = ServiceRotator(AzureCredentials);

pub(super) struct AzureCredentials;

/// The members of a credential; which ones it has says what it is.
const USERNAME: &str = "username";
const SECRET: &str = "password";
const APPLICATION_ID: &str = "application_id";
const IS_STORAGE: &str = "storage_account_key_name";

/// What a credential is of.
#[derive(Clone, Copy)]
enum Of {
    Application,
    Person,
    Storage,
}

fn of(credential: &Credential) -> Of {
    match (credential.text(APPLICATION_ID).is_ok(), credential.text(IS_STORAGE).is_ok()) {
        (true, _) => Of::Application,
        (_, true) => Of::Storage,
        _ => Of::Person,
    }
}

impl AtService for AzureCredentials {
    const WHO: &'static str = "Azure";
    const IS_GRACEFUL: bool = true;

    fn kind(&self) -> &'static RotatorKind {
        &KIND
    }

    fn check(&self, settings: &Settings, target: &TargetUse<'_>) -> Result<Vec<String>, Fault> {
        need_one_of(KIND.targets, target)?;
        Policy::of(settings)?;
        storage::check(settings)?;
        azure(target.settings, None).map(|_| Vec::new())
    }

    fn first(&self, given: &Args) -> Result<Credential, Fault> {
        match given.raw("rotator-type").and_then(Value::as_str) {
            Some("password") => {
                let password = SecretString::new(given.need(&PASSWORD)?);
                Ok(Credential::of_user(&people::need_name(&given.need(&USER)?)?, &password))
            }
            Some("azure-storage-account") => {
                let (name, key) =
                    (given.need(&KEY_NAME)?, SecretString::new(given.need(&API_KEY)?));
                storage::of_key(&name, key.expose())
            }
            _ => {
                let key = SecretString::new(given.need(&API_KEY)?);
                let id = given.get(&API_ID)?.unwrap_or_default();
                secrets::of_secret((&id, key.expose()), &given.need(&APPLICATION)?)
            }
        }
    }

    fn corrected(&self, given: &Args, old: &Credential) -> Result<Credential, Fault> {
        let (name, secret) = match of(old) {
            Of::Person => (given.get(&USER)?, given.secret(&PASSWORD)?),
            Of::Storage => (given.get(&KEY_NAME)?, given.secret(&API_KEY)?),
            Of::Application => (given.get(&API_ID)?, given.secret(&API_KEY)?),
        };
        // Another secret has another id.
        let kept = if matches!(of(old), Of::Application) && secret.is_some() {
            ""
        } else {
            old.username()?
        };
        let name = name.as_deref().unwrap_or(kept);
        let secret = secret.map_or_else(|| old.password(), Ok)?;
        match of(old) {
            Of::Person => Ok(Credential::of_user(&people::need_name(name)?, &secret)),
            Of::Storage => storage::of_key(name, secret.expose()),
            Of::Application => {
                let application = given.get(&APPLICATION)?;
                let application =
                    application.as_deref().map_or_else(|| old.text(APPLICATION_ID), Ok)?;
                secrets::of_secret((name, secret.expose()), application)
            }
        }
    }

    fn of_target(&self, target: &TargetUse<'_>) -> Result<Credential, Fault> {
        let Azure { client, secret, .. } = azure(target.settings, None)?;
        secrets::of_secret(("", secret.expose()), &client)
    }

    /// Any secret of the target's own application: which one it is, the text need not say.
    fn is_keepers(&self, target: &TargetUse<'_>, given: &Credential) -> bool {
        let own = azure(target.settings, None).map(|azure| azure.client);
        let application = given.text(APPLICATION_ID);
        matches!((own, application), (Ok(own), Ok(given)) if own.eq_ignore_ascii_case(given))
    }

    /// Of an application and of a storage account one that Azure has not made.
    fn candidate(&self, stage: &Stage<'_>, old: &Credential) -> Result<Credential, Fault> {
        let drawn = Policy::of(stage.settings)?.draw(stage.way.rng.as_ref())?;
        let mut members = old.members();
        members.insert(SECRET.to_owned(), drawn.expose().as_str().into());
        Ok(Credential::of_members(members))
    }

    fn shown(&self, _: &Settings, credential: &Credential) -> Map<String, Value> {
        let mut members = credential.members();
        members.remove(IS_STORAGE);
        members
    }

    async fn made(&self, stage: &Stage<'_>, old: &Credential) -> Result<Option<Credential>, Fault> {
        match of(old) {
            Of::Application => secrets::made(stage, old).await.map(Some),
            Of::Storage => storage::made(stage, old).await.map(Some),
            Of::Person => Ok(None),
        }
    }

    async fn added(
        &self,
        stage: &Stage<'_>,
        old: &Credential,
        new: &Credential,
    ) -> Result<(), Fault> {
        if matches!(of(new), Of::Person) {
            people::set(stage, old, new).await?;
        }
        if comes_in(&MEMBER, stage, new).await? {
            return Ok(());
        }
        let is_there = match of(new) {
            Of::Application => secrets::is_there(stage, old, new).await?,
            Of::Storage => false,
            Of::Person => true,
        };
        Err(match is_there {
            true => Fault::unavailable("Azure does not know the new one everywhere yet"),
            false => Fault::bad_request(
                "Azure does not have that secret or key any more, and cannot make it again",
            ),
        })
    }

    async fn removed(
        &self,
        stage: &Stage<'_>,
        current: &Credential,
        old: &Credential,
    ) -> Result<(), Fault> {
        match of(old) {
            Of::Application => secrets::removed(stage, current, old).await,
            Of::Storage => storage::removed(stage, current, old).await,
            Of::Person => Ok(()),
        }
    }

    async fn is_taken(&self, stage: &Stage<'_>, credential: &Credential) -> Result<bool, Fault> {
        match of(credential) {
            Of::Application => secrets::is_taken(stage, credential).await,
            Of::Storage => storage::is_taken(stage, credential).await,
            Of::Person => people::is_taken(stage, credential).await,
        }
    }
}

/// The application that changes this one's secret.
fn application(stage: &Stage<'_>, credential: &Credential) -> Result<Azure, Fault> {
    match stage.actor {
        Actor::Owner => secrets::application(stage, credential),
        Actor::Target => azure(stage.target.settings, Some(stage.way)),
    }
}

/// Graph, asked by whom a token was lent to.
struct Graph<'a> {
    stage: &'a Stage<'a>,
    azure: Azure,
    lent: Lent,
}

impl<'a> Graph<'a> {
    async fn open(stage: &'a Stage<'a>, azure: Azure) -> Result<Self, Fault> {
        let lent = azure.lend(stage.way).await?;
        Ok(Self { stage, azure, lent })
    }

    async fn ask(&self, method: &'static str, path: &[&str], body: Value) -> Result<Reply, Fault> {
        let http = self.azure.server.open(self.stage.way)?;
        let call = http.call(method, path)?.bearer(&self.lent.token);
        let call = if body.is_null() { call } else { call.json(body) };
        call.send().await
    }
}
