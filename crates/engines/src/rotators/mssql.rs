//! Passwords of logins of SQL Server.

use std::time::Instant;

use keysherd_base::{Fault, Secret, SecretString};
use keysherd_targets::database;
use keysherd_targets::mssql::connect;
use tokio::time::timeout;

use crate::engines::mssql::{alone, late};
use crate::fields::REMOTE_STAYING_SCHEMAS;
use crate::member::not_reached;
use crate::rotator::database::{
    FIELDS, GIVEN, TARGET_SETTINGS, TYPES, check, in_time, server_for, server_of, taken,
};
use crate::rotator::{Actor, Credential, Rotator, RotatorKind, Stage, is_same_user};
use crate::{BoxFuture, Settings, Spelling, TargetUse};

#[cfg(test)]
mod tests;

/// Longest name and longest password, in bytes: SQL Server's are 128 characters.
const TEXT_BYTES_MAX: usize = 512;

static KIND: RotatorKind = RotatorKind {
    name: "mssql",
    what: "an SQL Server",
    targets: &["mssql"],
    types: TYPES,
    create: &[Spelling::current(
        "rotated-secret-create-mssql",
        "RotatedSecretCreateMssql",
        "RotatedSecretCreateOutput",
    )
    .success(200)],
    update: &[Spelling::current(
        "rotated-secret-update-mssql",
        "RotatedSecretUpdateMssql",
        "RotatedSecretUpdateOutput",
    )],
    fields: &FIELDS,
    given: &GIVEN,
    target_settings: TARGET_SETTINGS,
    remote: &REMOTE_STAYING_SCHEMAS,
};

/// The member.
pub(super) static MEMBER: Mssql = Mssql;

pub(super) struct Mssql;

impl Rotator for Mssql {
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

    /// Names are the same in capitals and in small letters, where collations do not say otherwise.
    fn is_keepers(&self, target: &TargetUse<'_>, given: &Credential) -> bool {
        is_same_user(self.of_target(target).ok().as_ref(), given, |own, given| {
            own.to_lowercase() == given.to_lowercase()
        })
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

/// A text in quotes, the last of which is `quote`. Nothing in it ends them; a backslash is one.
fn quoted(begin: &str, quote: char, text: &str) -> Result<SecretString, Fault> {
    if text.is_empty() || text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(Fault::bad_request(
            "a user or a password is empty, longer than 512 bytes or has a control character, \
             which no statement gets",
        ));
    }
    let mut whole = Secret::new(String::with_capacity(2 * text.len() + 3));
    let into = whole.expose_mut();
    into.push_str(begin);
    for c in text.chars() {
        if c == quote {
            into.push(c);
        }
        into.push(c);
    }
    into.push(quote);
    Ok(whole)
}

/// The statement that changes the password of `new`; whoever does so themselves has to say `old`.
fn statement(actor: Actor, old: &Credential, new: &Credential) -> Result<SecretString, Fault> {
    let name = quoted("[", ']', new.username()?)?;
    let password = quoted("N'", '\'', new.password()?.expose())?;
    let mut text = Secret::new(String::with_capacity(4 * TEXT_BYTES_MAX));
    let into = text.expose_mut();
    into.extend(["ALTER LOGIN ", name.expose(), " WITH PASSWORD = ", password.expose()]);
    if actor == Actor::Owner {
        let before = quoted("N'", '\'', old.password()?.expose())?;
        into.extend([" OLD_PASSWORD = ", before.expose()]);
    }
    Ok(text)
}

async fn changed(
    stage: &Stage<'_>,
    old: &Credential,
    new: &Credential,
) -> Result<Vec<String>, Fault> {
    let begun = Instant::now();
    let server = server_for(stage, old)?.without_database();
    let statement = statement(stage.actor, old, new).map_err(not_reached)?;
    let (name, password) = (new.username()?, new.password()?);
    let secret = Some(password.expose().as_str());
    let changing = async {
        let mut session = connect(&server, stage.way).await.map_err(not_reached)?;
        // A gateway that stands still loses its turn with its session.
        alone(&mut session, name, stage.way).await.map_err(not_reached)?;
        in_time(begun, stage.way).map_err(not_reached)?;
        let done = session.run(statement.expose()).await;
        done.map_err(|error| error.fault("changing the password", secret))?;
        Ok(Vec::new())
    };
    timeout(stage.way.timeout, changing).await.map_err(|_| late(&server))?
}

async fn tried(stage: &Stage<'_>, credential: &Credential) -> Result<bool, Fault> {
    taken(connect(&server_of(stage, credential)?.without_database(), stage.way).await)
}
