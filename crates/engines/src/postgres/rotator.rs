//! Passwords of users of servers that speak PostgreSQL's protocol.
//!
//! A password is changed in one transaction that holds the lock of its user. A gateway that stands
//! still in the middle loses both, so what it would have done does not come late.

use std::time::Instant;

use keysherd_base::Fault;
use keysherd_targets::database;
use keysherd_targets::postgres::{CONTENDED, Family, HELD, connect};

use super::disabling::clear;
use super::turns::{Timed, Turn, begin};
use super::within;
use crate::member::not_reached;
use crate::rotator::database::{check, in_time, server_for, server_of, taken};
use crate::rotator::{Credential, Rotator, RotatorKind, Stage};
use crate::statements::{Dialect, Values, filled, parse};
use crate::{BoxFuture, Settings, TargetUse};

#[cfg(test)]
mod tests;

/// The database that a user signs in to where the target names none; every server has it.
const USUAL_DATABASE: &str = "postgres";
/// The part of its time in which a change waits for others that change the same user.
const LOCK_PART: u32 = 8;
/// How often it is tried while others of the same user are in its way.
const ROUNDS_MAX: u32 = 8;
const ENDED: &str = "sessions of the user were ended that kept the password from being changed";
/// What changes a password. The server keeps no more of it than a hash.
const CHANGE: &str = "ALTER ROLE {{name}} PASSWORD {{password}}";

/// A member.
pub(crate) struct PostgresRotator {
    pub(crate) kind: &'static RotatorKind,
    pub(crate) family: Family,
}

impl PostgresRotator {
    async fn changed(
        &self,
        stage: &Stage<'_>,
        old: &Credential,
        new: &Credential,
    ) -> Result<Vec<String>, Fault> {
        let begun = Instant::now();
        let server = server_for(stage, old)?.or_database(Some(USUAL_DATABASE));
        let (name, password) = (new.username()?, new.password()?);
        let values = Values { name, password: Some(&password), user_host: "" };
        let dialect = match self.family {
            Family::Postgres => Dialect::Postgres,
            Family::Redshift => Dialect::Redshift,
        };
        let statements = filled(&parse("rotated-username", CHANGE, dialect)?, &values)?;
        let (mut rounds, mut ended) = (0, false);
        loop {
            in_time(begun, stage.way).map_err(not_reached)?;
            let left = stage.way.timeout.saturating_sub(begun.elapsed());
            let outcome = within(stage.way, left, &server, self.family, async |session| {
                let (family, whole) = (self.family, stage.way.timeout);
                let timed = Timed { session, family, whole, each_lock: whole / LOCK_PART };
                begin(&timed, name, Turn::Beside).await.map_err(not_reached)?;
                for statement in &statements {
                    in_time(begun, stage.way).map_err(not_reached)?;
                    let done = session.run(statement.expose()).await;
                    let secret = Some(password.expose().as_str());
                    done.map_err(|error| error.fault("changing the password", secret))?;
                }
                let committed = session.run("COMMIT").await;
                committed.map_err(|error| error.fault("keeping the new password", None))
            })
            .await;
            rounds += 1;
            let fault = match outcome {
                Err(fault) if [HELD, CONTENDED].contains(&fault.code()) => fault,
                Ok(mut warnings) => {
                    warnings.extend(ended.then(|| ENDED.to_owned()));
                    return Ok(warnings);
                }
                failed => return failed,
            };
            if self.family == Family::Redshift || rounds == ROUNDS_MAX {
                // The server has undone it.
                return Err(not_reached(fault));
            }
            // Whoever can sign in as the user may change the role, too, and never come to an end.
            let left = stage.way.timeout.saturating_sub(begun.elapsed());
            let clearing = within(stage.way, left, &server, self.family, async |session| {
                ended |= clear(session, name).await;
                Ok(())
            });
            // Who cannot do that tries again all the same: others may come to their end.
            let _ = clearing.await;
        }
    }

    async fn tried(&self, stage: &Stage<'_>, credential: &Credential) -> Result<bool, Fault> {
        let server = server_of(stage, credential)?.or_database(Some(USUAL_DATABASE));
        let signed_in = connect(&server, self.family, stage.way).await;
        match signed_in {
            Ok(session) => {
                session.close().await;
                Ok(true)
            }
            Err(fault) => taken(Err::<(), _>(fault)),
        }
    }
}

impl Rotator for PostgresRotator {
    fn kind(&self) -> &'static RotatorKind {
        self.kind
    }

    fn check(&self, settings: &Settings, target: &TargetUse<'_>) -> Result<Vec<String>, Fault> {
        let warnings = check(self.kind, settings, target)?;
        database(target.settings)?.credentials()?;
        Ok(warnings)
    }

    fn change<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        old: &'a Credential,
        new: &'a Credential,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(self.changed(stage, old, new))
    }

    fn signs_in<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(self.tried(stage, credential))
    }
}
