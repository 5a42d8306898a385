//! Passwords of users of SAP HANA.

use std::time::Instant;

use keysherd_base::Fault;
use keysherd_targets::database;
use keysherd_targets::hanadb::{account_name, connect};
use tokio::time::timeout;

use crate::engines::hanadb::late;
use crate::fields::REMOTE_NONE;
use crate::member::not_reached;
use crate::rotator::database::{
    FIELDS, GIVEN, TARGET_SETTINGS, TYPES, check, in_time, server_for, server_of, taken,
};
use crate::rotator::{Actor, Credential, Rotator, RotatorKind, Stage, is_same_user};
use crate::statements::{Dialect, Values, filled, parse};
use crate::{BoxFuture, Settings, Spelling, TargetUse};

#[cfg(test)]
mod tests;

static KIND: RotatorKind = RotatorKind {
    name: "hanadb",
    what: "an SAP HANA",
    targets: &["hanadb"],
    types: TYPES,
    create: &[Spelling::current(
        "rotated-secret-create-hanadb",
        "RotatedSecretCreateHanadb",
        "RotatedSecretCreateOutput",
    )
    .success(200)],
    update: &[Spelling::current(
        "rotated-secret-update-hanadb",
        "RotatedSecretUpdateHanadb",
        "RotatedSecretUpdateOutput",
    )],
    fields: &FIELDS,
    given: &GIVEN,
    target_settings: TARGET_SETTINGS,
    remote: &REMOTE_NONE,
};

const STATEMENT: &str = "ALTER USER \"{{name}}\" PASSWORD \"{{password}}\"";
/// Otherwise a password that somebody else has set must be changed before anything else.
const TO_STAY: &str = " NO FORCE_FIRST_PASSWORD_CHANGE";

/// The member.
pub(super) static MEMBER: Hanadb = Hanadb;

pub(super) struct Hanadb;

impl Rotator for Hanadb {
    fn kind(&self) -> &'static RotatorKind {
        &KIND
    }

    fn check(&self, settings: &Settings, target: &TargetUse<'_>) -> Result<Vec<String>, Fault> {
        let warnings = check(&KIND, settings, target)?;
        database(target.settings)?.credentials()?;
        Ok(warnings)
    }

    fn is_keepers(&self, target: &TargetUse<'_>, given: &Credential) -> bool {
        let is_same = |own: &str, given: &str| account_name(own) == account_name(given);
        is_same_user(self.of_target(target).ok().as_ref(), given, is_same)
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
    let (name, password) = (account_name(new.username()?), new.password()?);
    // Whoever changes their own password chose it themselves.
    let own = stage.actor == Actor::Owner || account_name(server.credentials()?.0) == name;
    let text = if own { STATEMENT.to_owned() } else { format!("{STATEMENT}{TO_STAY}") };
    let values = Values { name: &name, password: Some(&password), user_host: "" };
    let parsed = parse("rotated-username", &text, Dialect::Hana)?;
    let statements = filled(&parsed, &values).map_err(not_reached)?;
    let secret = Some(password.expose().as_str());
    let changing = async {
        let mut session = connect(&server, stage.way).await.map_err(not_reached)?;
        in_time(begun, stage.way).map_err(not_reached)?;
        for statement in &statements {
            let done = session.run(statement.expose()).await;
            done.map_err(|error| error.fault("changing the password", secret))?;
        }
        Ok(Vec::new())
    };
    timeout(stage.way.timeout, changing).await.map_err(|_| late(&server))?
}

async fn tried(stage: &Stage<'_>, credential: &Credential) -> Result<bool, Fault> {
    taken(connect(&server_of(stage, credential)?, stage.way).await)
}
