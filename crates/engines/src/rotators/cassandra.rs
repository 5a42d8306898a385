//! Passwords of roles of Cassandra clusters.

use std::time::Instant;

use keysherd_base::Fault;
use keysherd_targets::cassandra::connect;
use keysherd_targets::database;
use tokio::time::timeout;

use crate::engines::cassandra::late;
use crate::fields::REMOTE_NONE;
use crate::member::not_reached;
use crate::rotator::database::{
    FIELDS, GIVEN, TARGET_SETTINGS, TYPES, check, in_time, server_for, server_of, taken,
};
use crate::rotator::{Credential, Rotator, RotatorKind, Stage};
use crate::statements::{Dialect, Values, filled, parse};
use crate::{BoxFuture, Settings, Spelling, TargetUse};

#[cfg(test)]
mod tests;

static KIND: RotatorKind = RotatorKind {
    name: "cassandra",
    what: "a Cassandra cluster",
    targets: &["cassandra"],
    types: TYPES,
    create: &[Spelling::current(
        "rotated-secret-create-cassandra",
        "RotatedSecretCreateCassandra",
        "RotatedSecretCreateOutput",
    )
    .success(200)],
    update: &[Spelling::current(
        "rotated-secret-update-cassandra",
        "RotatedSecretUpdateCassandra",
        "RotatedSecretUpdateOutput",
    )],
    fields: &FIELDS,
    given: &GIVEN,
    target_settings: TARGET_SETTINGS,
    remote: &REMOTE_NONE,
};

/// A role is named by a text, so that none of its letters becomes small.
const STATEMENT: &str = "ALTER ROLE '{{name}}' WITH PASSWORD = '{{password}}'";

/// The member.
pub(super) static MEMBER: Cassandra = Cassandra;

pub(super) struct Cassandra;

impl Rotator for Cassandra {
    fn kind(&self) -> &'static RotatorKind {
        &KIND
    }

    fn check(&self, settings: &Settings, target: &TargetUse<'_>) -> Result<Vec<String>, Fault> {
        let warnings = check(&KIND, settings, target)?;
        database(target.settings)?.credentials()?;
        Ok(warnings)
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
    let nodes = [server_for(stage, old)?];
    let (name, password) = (new.username()?, new.password()?);
    let values = Values { name, password: Some(&password), user_host: "" };
    let parsed = parse("rotated-username", STATEMENT, Dialect::Cassandra)?;
    let statements = filled(&parsed, &values).map_err(not_reached)?;
    let secret = Some(password.expose().as_str());
    let changing = async {
        let mut session = connect(&nodes, stage.way).await.map_err(not_reached)?;
        in_time(begun, stage.way).map_err(not_reached)?;
        for statement in &statements {
            let done = session.run(statement.expose()).await;
            done.map_err(|error| error.fault("changing the password", secret))?;
        }
        Ok(Vec::new())
    };
    timeout(stage.way.timeout, changing).await.map_err(|_| late(&nodes))?
}

async fn tried(stage: &Stage<'_>, credential: &Credential) -> Result<bool, Fault> {
    taken(connect(&[server_of(stage, credential)?], stage.way).await)
}
