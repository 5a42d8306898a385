//! Passwords of users of Redis servers.
//!
//! One command takes all passwords of a user and gives one; there is nothing in between, and rules
//! stay as they are.

use std::time::Instant;

use keysherd_base::{Fault, Secret};
use keysherd_targets::database;
use keysherd_targets::redis::connect;
use tokio::time::timeout;

use crate::engines::redis::{late, saved};
use crate::fields::REMOTE_NONE;
use crate::member::not_reached;
use crate::rotator::database::{
    FIELDS, GIVEN, TARGET_PASSWORD, TYPES, check, in_time, server_for, server_of, taken,
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
    target_password: TARGET_PASSWORD,
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

async fn changed(
    stage: &Stage<'_>,
    old: &Credential,
    new: &Credential,
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
        let command = ["ACL", "SETUSER", name, "resetpass", given.expose().as_str()];
        let secret = Some(password.expose().as_str());
        let done = session.ask(&command).await;
        done.map_err(|error| error.fault("changing the password", secret))?;
        let Err(fault) = saved(&mut session).await else { return Ok(Vec::new()) };
        // After a restart the old one would be in force, which nobody would have any more.
        let command = ["ACL", "SETUSER", name, "resetpass", before.expose().as_str()];
        let undone = session.ask(&command).await;
        undone.map_err(|error| error.fault("taking the new password back", secret))?;
        Err(fault)
    };
    timeout(stage.way.timeout, changing).await.map_err(|_| late(&server))?
}

async fn tried(stage: &Stage<'_>, credential: &Credential) -> Result<bool, Fault> {
    taken(connect(&server_of(stage, credential)?, stage.way).await)
}
