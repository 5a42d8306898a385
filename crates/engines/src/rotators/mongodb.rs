//! Passwords of users of MongoDB servers.
//!
//! One command takes a user's password and gives another; roles stay as they are. What a server did
//! not do in time it does not do later either (`maxTimeMS`).

use std::time::Instant;

use keysherd_base::Fault;
use keysherd_targets::mongodb::{CommandError, Doc, Site, connect};
use keysherd_targets::mongodb_site;
use tokio::time::timeout;

use crate::engines::mongodb::{bounded, late};
use crate::fields::REMOTE_STAYING;
use crate::member::not_reached;
use crate::rotator::database::{FIELDS, GIVEN, TARGET_SETTINGS, TYPES, fits, in_time, taken};
use crate::rotator::{Actor, Credential, Rotator, RotatorKind, Stage};
use crate::{BoxFuture, Settings, Spelling, TargetUse};

#[cfg(test)]
mod tests;

static KIND: RotatorKind = RotatorKind {
    name: "mongodb",
    what: "a MongoDB server",
    targets: &["mongodb"],
    types: TYPES,
    create: &[Spelling::current(
        "rotated-secret-create-mongodb",
        "RotatedSecretCreateMongodb",
        "RotatedSecretCreateOutput",
    )
    .success(200)],
    update: &[Spelling::current(
        "rotated-secret-update-mongodb",
        "RotatedSecretUpdateMongodb",
        "RotatedSecretUpdateOutput",
    )],
    fields: &FIELDS,
    given: &GIVEN,
    target_settings: TARGET_SETTINGS,
    remote: &REMOTE_STAYING,
};

/// The member.
pub(super) static MEMBER: Mongodb = Mongodb;

pub(super) struct Mongodb;

impl Rotator for Mongodb {
    fn kind(&self) -> &'static RotatorKind {
        &KIND
    }

    fn check(&self, settings: &Settings, target: &TargetUse<'_>) -> Result<Vec<String>, Fault> {
        fits(&KIND, settings, target)?;
        let site = mongodb_site(target.settings)?;
        site.credentials()?;
        Ok(site.warning().into_iter().collect())
    }

    fn of_target(&self, target: &TargetUse<'_>) -> Result<Credential, Fault> {
        let site = mongodb_site(target.settings)?;
        let (user, password) = site.credentials()?;
        Ok(Credential::of_user(user, password))
    }

    fn change<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        old: &'a Credential,
        new: &'a Credential,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(changed(stage, old, new))
    }

    fn signs_in<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(tried(stage, credential))
    }
}

fn site_of(stage: &Stage<'_>, credential: &Credential) -> Result<Site, Fault> {
    let site = mongodb_site(stage.target.settings)?;
    site.signed_in_as(credential.username()?, &credential.password()?)
}

async fn changed(
    stage: &Stage<'_>,
    old: &Credential,
    new: &Credential,
) -> Result<Vec<String>, Fault> {
    let begun = Instant::now();
    let site = match stage.actor {
        Actor::Target => mongodb_site(stage.target.settings)?,
        Actor::Owner => site_of(stage, old)?,
    };
    let (name, password) = (new.username()?, new.password()?);
    let secret = password.expose().as_str();
    let command = Doc::new().text("updateUser", name).text("pwd", secret);
    let command = bounded(command, stage.way);
    let changing = async {
        let mut session = connect(&site, stage.way).await.map_err(not_reached)?;
        in_time(begun, stage.way).map_err(not_reached)?;
        let done = session.ask(site.database(), command).await;
        let fault = |error: CommandError| {
            let fault = error.fault("changing the password", Some(secret));
            // Where there is nobody of this name, nothing was changed.
            if error.says_no_user() { not_reached(fault) } else { fault }
        };
        done.map_err(fault)?;
        Ok(Vec::new())
    };
    timeout(stage.way.timeout, changing).await.map_err(|_| late(&site))?
}

async fn tried(stage: &Stage<'_>, credential: &Credential) -> Result<bool, Fault> {
    taken(connect(&site_of(stage, credential)?, stage.way).await)
}
