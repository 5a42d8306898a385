//! Passwords of users of Redis servers.
//!
//! One command takes all passwords of a user and gives one; there is nothing in between, and rules
//! stay as they are. In a graceful rotation the old password stays beside the new one.

use std::time::Instant;

use keysherd_base::{Fault, Secret};
use keysherd_targets::database;
use keysherd_targets::redis::connect;
use tokio::time::timeout;

use crate::engines::redis::{late, saved};
use crate::fields::REMOTE_NONE;
use crate::member::not_reached;
use crate::rotator::database::{
    FIELDS, GIVEN, TARGET_SETTINGS, TYPES, check, in_time, server_for, server_of, taken,
};
use crate::rotator::{Credential, Rotator, RotatorKind, Stage};
use crate::{BoxFuture, Settings, Spelling, TargetUse};

#[cfg(test)]
mod tests;

static KIND: RotatorKind = RotatorKind {
    name: "redis",
    what: "a Redis server",
    targets: &["redis"],
    types: TYPES,
    create: &[Spelling::current(
        "rotated-secret-create-redis",
        "RotatedSecretCreateRedis",
        "RotatedSecretCreateOutput",
    )
    .success(200)],
    update: &[Spelling::current(
        "rotated-secret-update-redis",
        "RotatedSecretUpdateRedis",
        "RotatedSecretUpdateOutput",
    )],
    fields: &FIELDS,
    given: &GIVEN,
    target_settings: TARGET_SETTINGS,
    remote: &REMOTE_NONE,
};

/// The member.
pub(super) static MEMBER: Redis = Redis;

pub(super) struct Redis;

impl Rotator for Redis {
    fn kind(&self) -> &'static RotatorKind {
        &KIND
    }

    fn check(&self, settings: &Settings, target: &TargetUse<'_>) -> Result<Vec<String>, Fault> {
        check(&KIND, settings, target)
    }

    fn of_target(&self, target: &TargetUse<'_>) -> Result<Credential, Fault> {
        let server = database(target.settings)?;
        let password =
            server.password().ok_or_else(|| Fault::bad_request("missing required field 'pwd'"))?;
        // Nobody in particular is this one.
        Ok(Credential::of_user(server.user().unwrap_or("default"), password))
    }

    fn change<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        old: &'a Credential,
        new: &'a Credential,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(changed(stage, (old, new), false))
    }

    fn is_graceful(&self) -> bool {
        true
    }

    fn add<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        old: &'a Credential,
        new: &'a Credential,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(changed(stage, (old, new), true))
    }

    fn retire<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        current: &'a Credential,
        old: &'a Credential,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(retired(stage, current, old))
    }

    fn signs_in<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(tried(stage, credential))
    }
}

async fn changed(
    stage: &Stage<'_>,
    (old, new): (&Credential, &Credential),
    beside: bool,
) -> Result<Vec<String>, Fault> {
    let begun = Instant::now();
    let server = server_for(stage, old)?;
    let (name, password) = (new.username()?, new.password()?);
    let given = Secret::new(format!(">{}", password.expose()));
    let before = Secret::new(format!(">{}", old.password()?.expose()));
    let changing = async {
        let mut session = connect(&server, stage.way).await.map_err(not_reached)?;
        // Who is not there would be made by what follows.
        let found = session.is_there(&["ACL", "GETUSER", name]).await;
        let found = found.map_err(|e| not_reached(e.fault("looking for the user", None)))?;
        if !found {
            return Err(not_reached(Fault::bad_request("there is no such user on the server")));
        }
        in_time(begun, stage.way).map_err(not_reached)?;
        // Giving the same one twice is giving it once.
        let first = if beside { given.expose().as_str() } else { "resetpass" };
        let command = ["ACL", "SETUSER", name, first, given.expose().as_str()];
        let secret = Some(password.expose().as_str());
        let done = session.ask(&command).await;
        done.map_err(|error| error.fault("changing the password", secret))?;
        let Err(fault) = saved(&mut session).await else { return Ok(Vec::new()) };
        // After a restart the old one would be in force, which nobody would have any more.
        let no_more = Secret::new(format!("<{}", password.expose()));
        let first = if beside { no_more.expose().as_str() } else { "resetpass" };
        let command = ["ACL", "SETUSER", name, first, before.expose().as_str()];
        let undone = session.ask(&command).await;
        undone.map_err(|error| error.fault("taking the new password back", secret))?;
        Err(fault)
    };
    timeout(stage.way.timeout, changing).await.map_err(|_| late(&server))?
}

/// A user of Redis can have many passwords, each of which signs in.
async fn retired(stage: &Stage<'_>, current: &Credential, old: &Credential) -> Result<(), Fault> {
    let begun = Instant::now();
    let server = server_for(stage, current)?;
    let (name, password) = (old.username()?, old.password()?);
    let no_more = Secret::new(format!("<{}", password.expose()));
    let removing = async {
        let mut session = connect(&server, stage.way).await.map_err(not_reached)?;
        in_time(begun, stage.way).map_err(not_reached)?;
        let done = session.ask(&["ACL", "SETUSER", name, no_more.expose().as_str()]).await;
        let secret = Some(password.expose().as_str());
        done.map_err(|error| error.fault("removing the old password", secret))?;
        saved(&mut session).await
    };
    timeout(stage.way.timeout, removing).await.map_err(|_| late(&server))?
}

async fn tried(stage: &Stage<'_>, credential: &Credential) -> Result<bool, Fault> {
    taken(connect(&server_of(stage, credential)?, stage.way).await)
}
