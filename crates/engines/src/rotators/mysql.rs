//! Passwords of users of MySQL and MariaDB servers.
//!
//! A user is one for each host that it may come from; one who signs in for somebody else changes
//! the passwords of all of them, one after the other, and the first that fails is the last.

use std::time::Instant;

use keysherd_base::{Fault, SecretString};
use keysherd_targets::database;
use keysherd_targets::mysql::{NEEDS_OLD, StatementError, connect};
use tokio::time::timeout;

use crate::engines::mysql::sessions::is_plain_host;
use crate::engines::mysql::{alone, late};
use crate::fields::REMOTE_STAYING;
use crate::member::not_reached;
use crate::rotator::database::{
    FIELDS, GIVEN, TARGET_SETTINGS, TYPES, check, in_time, server_for, server_of, taken,
};
use crate::rotator::{Actor, Credential, Rotator, RotatorKind, Stage};
use crate::statements::{Dialect, Values, filled, parse};
use crate::{BoxFuture, Settings, Spelling, TargetUse};

#[cfg(test)]
mod tests;

/// Hosts of one user, at most.
const HOSTS_MAX: usize = 64;

static KIND: RotatorKind = RotatorKind {
    name: "mysql",
    what: "a MySQL or MariaDB server",
    targets: &["mysql"],
    types: TYPES,
    create: &[Spelling::current(
        "rotated-secret-create-mysql",
        "RotatedSecretCreateMysql",
        "RotatedSecretCreateOutput",
    )
    .success(200)],
    update: &[Spelling::current(
        "rotated-secret-update-mysql",
        "RotatedSecretUpdateMysql",
        "RotatedSecretUpdateOutput",
    )],
    fields: &FIELDS,
    given: &GIVEN,
    target_settings: TARGET_SETTINGS,
    remote: &REMOTE_STAYING,
};

/// The member.
pub(super) static MEMBER: Mysql = Mysql;

pub(super) struct Mysql;

impl Rotator for Mysql {
    fn kind(&self) -> &'static RotatorKind {
        &KIND
    }

    fn check(&self, settings: &Settings, target: &TargetUse<'_>) -> Result<Vec<String>, Fault> {
        let warnings = check(&KIND, settings, target)?;
        let server = database(target.settings)?;
        server.credentials()?;
        server.tls_given()?;
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
    let server = server_for(stage, old)?.without_database();
    let (name, password) = (new.username()?, new.password()?);
    let values = Values { name, password: Some(&password), user_host: "" };
    let fill = |text: &str| filled(&parse("rotated-username", text, Dialect::Mysql)?, &values);
    let changing = async {
        let mut session = connect(&server, stage.way).await.map_err(not_reached)?;
        // A gateway that stands still loses its turn with its session.
        alone(&mut session, name, stage.way).await.map_err(not_reached)?;
        let statements = match stage.actor {
            // Neither knows the other one's way for users who may change nobody else.
            Actor::Owner if session.is_mariadb() => fill("SET PASSWORD = PASSWORD({{password}})")?,
            Actor::Owner => fill("ALTER USER CURRENT_USER() IDENTIFIED BY {{password}}")?,
            Actor::Target => {
                let question = fill("select host from mysql.user where user = '{{name}}'")?;
                let mut hosts = Vec::new();
                for question in &question {
                    let found = session.texts(question.expose()).await;
                    let fault =
                        |e: StatementError| not_reached(e.fault("looking for the user", None));
                    hosts.extend(found.map_err(fault)?);
                }
                let mut statements = Vec::with_capacity(hosts.len());
                for host in known(&hosts)? {
                    let text = format!(
                        "ALTER USER '{{{{name}}}}'@'{host}' IDENTIFIED BY {{{{password}}}}"
                    );
                    statements.extend(fill(&text)?);
                }
                statements
            }
        };
        in_time(begun, stage.way).map_err(not_reached)?;
        for statement in &statements {
            let mut done = session.run(statement.expose()).await;
            if stage.actor == Actor::Owner
                && done.as_ref().is_err_and(|error| error.code() == Some(NEEDS_OLD))
            {
                let both = replacing(statement, &old.password()?).map_err(not_reached)?;
                done = session.run(both.expose()).await;
            }
            done.map_err(|error| not_changed(&error, old, &password))?;
        }
        let warnings = session.warnings();
        session.close().await;
        Ok(warnings)
    };
    timeout(stage.way.timeout, changing).await.map_err(|_| late(&server))?
}

/// Servers quote statements, and one with the old password is sent where they want it: both are
/// kept out of the log.
fn not_changed(error: &StatementError, old: &Credential, new: &SecretString) -> Fault {
    let old = old.password().ok();
    let secrets = old.iter().chain([new]).map(|secret| secret.expose().as_str());
    error.fault("changing the password", secrets)
}

/// The statement with the old password said, too. Older servers cannot read that, so it is said
/// when a server wants it.
fn replacing(statement: &SecretString, old: &SecretString) -> Result<SecretString, Fault> {
    let values = Values { name: "", password: Some(old), user_host: "" };
    let end = parse("rotated-password", " REPLACE {{password}}", Dialect::Mysql)?;
    let end = filled(&end, &values)?;
    let parts = || std::iter::once(statement).chain(&end).map(|part| part.expose().as_str());
    let room = parts().map(|part| part.len() + 1).sum();
    // In one piece from the beginning: a text that grows leaves copies behind.
    let mut both = SecretString::new(String::with_capacity(room));
    for part in parts() {
        both.expose_mut().push_str(part);
        both.expose_mut().push(' ');
    }
    Ok(both)
}

/// The hosts that a user may come from, as they can stand in a statement.
fn known(hosts: &[String]) -> Result<&[String], Fault> {
    if hosts.is_empty() {
        return Err(not_reached(Fault::bad_request("there is no such user on the server")));
    }
    if hosts.len() > HOSTS_MAX || !hosts.iter().all(|host| is_plain_host(host)) {
        let text = "the user may come from more than 64 hosts, or from one with an unusual name";
        return Err(not_reached(Fault::bad_request(text)));
    }
    Ok(hosts)
}

async fn tried(stage: &Stage<'_>, credential: &Credential) -> Result<bool, Fault> {
    match connect(&server_of(stage, credential)?.without_database(), stage.way).await {
        Ok(session) => {
            session.close().await;
            Ok(true)
        }
        Err(fault) => taken(Err::<(), _>(fault)),
    }
}
