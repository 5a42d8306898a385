//! Users that cannot be removed yet: they sign in no more, and do nothing any more.
//!
//! What a user made may keep it there: a view of somebody else on its table, an object in another
//! database, a lock that it never gives back. None of that may let it stay at work.
//!
//! Everything that is asked here, as anywhere else of our own, names its operators with their
//! schema and compares what is of one type: whoever may make an operator in a schema that the
//! target's user looks in would have it do something with that user's rights otherwise.

use std::time::Duration;

use keysherd_base::Fault;
use keysherd_targets::postgres::{Family, Session};

use super::{PostgresLike, within};
use crate::Scene;
use crate::name::need_handle;
use crate::statements::{Values, filled, parse};

/// The part of its time that disabling has, and the part of it in which it waits for a lock.
const PART: u32 = 4;
const LOCK_PART: u32 = 16;
/// Prepared transactions of one user that are undone at one time.
const PREPARED_MAX: usize = 16;

impl PostgresLike {
    /// Lets a user sign in no more, ends its sessions, and undoes what it prepared in this
    /// database, as far as the target's user may. Gives whether it can sign in no more.
    ///
    /// # Errors
    /// Where the server cannot be asked.
    pub(super) async fn disable(&self, scene: &Scene<'_>, handle: &str) -> Result<bool, Fault> {
        // Nobody but whom a lease made.
        need_handle(handle)?;
        let server = self.server(scene.settings, scene.target.as_ref())?;
        let values = Values { name: handle, password: None, user_host: "" };
        let disabling = match self.family {
            Family::Postgres => "ALTER ROLE {{name}} NOLOGIN",
            Family::Redshift => "ALTER USER {{name}} PASSWORD DISABLE",
        };
        let disabling =
            filled(&parse("revocation-statement", disabling, self.dialect())?, &values)?;
        let (limit, lock) = (scene.way.timeout / PART, scene.way.timeout / LOCK_PART);
        let mut is_disabled = false;
        let ended = within(scene.way, limit, &server, self.family, async |session| {
            let Some(id) = self.id_of(session, handle).await? else { return Ok(()) };
            if self.family == Family::Postgres {
                limit_locks(session, lock).await?;
            }
            // A session of its own may hold what disabling waits for; another one may have begun
            // before it was disabled.
            for _ in 0..2 {
                end_sessions(session, self.family, id).await;
                undo_prepared(session, self.family, handle).await;
                for statement in &disabling {
                    let _ = session.run(statement.expose()).await;
                }
                is_disabled = !self.signs_in(session, handle).await?;
                end_sessions(session, self.family, id).await;
                if is_disabled {
                    break;
                }
            }
            Ok(())
        });
        ended.await.map(|_| is_disabled)
    }
}

async fn limit_locks(session: &Session, lock: Duration) -> Result<(), Fault> {
    let millis = lock.as_millis().max(1);
    let limited = session.run(&format!("SET lock_timeout = {millis}")).await;
    limited.map_err(|error| error.fault("disabling the user", None))
}

/// Ends the sessions of a user, who may be gone: one that signed in while it was being removed goes
/// on otherwise. Gives whether none goes on, as far as is known.
pub(super) async fn end_sessions(session: &Session, family: Family, id: u32) -> bool {
    let question = match family {
        Family::Postgres => format!(
            "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
             WHERE usesysid OPERATOR(pg_catalog.=) '{id}'::pg_catalog.oid"
        ),
        Family::Redshift => {
            format!(
                "SELECT pg_terminate_backend(procpid) FROM pg_stat_activity WHERE usesysid = {id}"
            )
        }
    };
    session.run(&question).await.is_ok()
}

/// Whether a user, who may be gone, still has sessions.
pub(super) async fn has_sessions(session: &Session, id: u32) -> bool {
    let question = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_activity \
                    WHERE usesysid OPERATOR(pg_catalog.=) $1::pg_catalog.oid)";
    session.is_true(question, &id.to_string()).await.unwrap_or(false)
}

/// The lock of whoever has begun to change a role, as `l`.
const CHANGE: &str = "l.granted AND l.locktype OPERATOR(pg_catalog.=) 'relation'::pg_catalog.text \
                      AND l.relation OPERATOR(pg_catalog.=) \
                      'pg_catalog.pg_authid'::pg_catalog.regclass::pg_catalog.oid \
                      AND l.mode OPERATOR(pg_catalog.=) 'RowExclusiveLock'::pg_catalog.text";

/// Ends those sessions of a user that have begun to change a role and have not come to an end, and
/// undoes what it prepared in this database that does the same. Gives whether there was any.
pub(super) async fn clear(session: &Session, name: &str) -> bool {
    let ending = format!(
        "SELECT pg_catalog.count(pg_catalog.pg_terminate_backend(a.pid)) \
         OPERATOR(pg_catalog.>) '0'::pg_catalog.int8 FROM pg_catalog.pg_stat_activity a \
         WHERE a.usename OPERATOR(pg_catalog.=) $1::pg_catalog.name \
         AND a.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid() \
         AND EXISTS (SELECT 1 FROM pg_catalog.pg_locks l \
         WHERE l.pid OPERATOR(pg_catalog.=) a.pid AND {CHANGE})"
    );
    let ended = session.is_true(&ending, name).await.unwrap_or(false);
    let those = format!(
        "AND EXISTS (SELECT 1 FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_locks t \
         ON l.virtualtransaction OPERATOR(pg_catalog.=) t.virtualtransaction \
         WHERE t.transactionid OPERATOR(pg_catalog.=) x.transaction AND {CHANGE})"
    );
    undo(session, name, &those).await || ended
}

/// Undoes prepared transactions, which keep their locks without a session.
async fn undo_prepared(session: &Session, family: Family, handle: &str) {
    if family == Family::Postgres {
        undo(session, handle, "").await;
    }
}

/// Undoes `those` that a user prepared in this database; gives whether there was any.
async fn undo(session: &Session, name: &str, those: &str) -> bool {
    let question = format!(
        "SELECT pg_catalog.quote_literal(x.gid) FROM pg_catalog.pg_prepared_xacts x \
         WHERE x.owner OPERATOR(pg_catalog.=) $1::pg_catalog.name \
         AND x.database OPERATOR(pg_catalog.=) pg_catalog.current_database() {those} LIMIT 1"
    );
    let mut is_undone = false;
    for _ in 0..PREPARED_MAX {
        let Ok(Some(gid)) = session.text(&question, name).await else { break };
        if session.run(&format!("ROLLBACK PREPARED {gid}")).await.is_err() {
            break;
        }
        is_undone = true;
    }
    is_undone
}
