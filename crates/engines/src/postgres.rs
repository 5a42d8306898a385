//! Users of servers that speak PostgreSQL's protocol: what its two members have in common.
//!
//! A user is made in one transaction, so a failure leaves nothing behind. The transaction holds a
//! lock whose number comes from the user's name, and removing takes the same one: whoever removes a
//! user whose making was never confirmed waits for what is still under way, instead of finding
//! nothing and leaving a user that appears a moment later. A user that keeps its removal waiting is
//! disabled, and its sessions are ended.

use std::slice;
use std::time::{Duration, Instant};

use keysherd_base::Fault;
use keysherd_targets::postgres::{CONTENDED, Family, HELD, Session, connect};
use keysherd_targets::{Given, Named, Server, database};
use keysherd_wire::{Field, Flag, Text, bad_setting};
use serde_json::Map;
use tokio::time::timeout;

use crate::fields::need_type;
use crate::lint::{lint, lint_removal};
use crate::member::{is_untouched, left, not_reached};
use crate::name::need_handle;
use crate::statements::{Dialect, Hole, Statement, Values, filled, need_name, parse};
use crate::{BoxFuture, Created, Engine, Kind, Plan, Scene, Settings, TargetUse, Way};

use self::disabling::{end_sessions, has_sessions};
use self::turns::{Timed, Turn, attempt, begin};

mod disabling;
pub(crate) mod rotator;
#[cfg(test)]
pub(crate) mod tests;
mod turns;

/// Longest name of a user, in bytes (PostgreSQL's NAMEDATALEN without its end).
pub(crate) const NAME_BYTES_MAX: usize = 63;
/// Not enough rights, by the server's code.
const NOT_PERMITTED: &str = "42501";

/// Pauses, in milliseconds, before what others were in the way of is tried again: rights on one
/// table are a row that only one transaction changes at a time, and the server does not wait for
/// its turn. From the first time on, others of ours are not beside it any more.
const PAUSES: [u64; 7] = [5, 10, 20, 40, 80, 160, 320];

/// Of the time there is, the part that removing has; the rest is for disabling, and for removing
/// once more where at least that part is left.
const REMOVING: (u32, u32) = (3, 4);
const ONCE_MORE_PART: u32 = 5;
/// The part of the time in which removing waits for a lock of one statement.
const LOCK_PART: u32 = 8;

/// A member.
pub(crate) struct PostgresLike {
    pub(crate) kind: &'static Kind,
    pub(crate) family: Family,
    /// Where the server is when there is no target, with the port that is usual.
    pub(crate) host: Field<Text>,
    pub(crate) port: (Field<Text>, &'static str),
    pub(crate) user: Field<Text>,
    pub(crate) password: Field<Text>,
    pub(crate) database: Field<Text>,
    pub(crate) ssl: Field<Flag>,
    /// The statements, and those that are used when there are none.
    pub(crate) creation: (Field<Text>, &'static str),
    /// The same for removing; without a field those are built in.
    pub(crate) revocation: (Option<Field<Text>>, &'static str),
}

impl PostgresLike {
    fn server(&self, settings: &Settings, target: Option<&TargetUse<'_>>) -> Result<Server, Fault> {
        if let Some(target) = target {
            need_type(self.kind, target)?;
            return Ok(database(target.settings)?.or_database(settings.text(&self.database)));
        }
        Server::new(Given {
            host: Named::of(settings, &self.host).or("127.0.0.1"),
            port: Named::of(settings, &self.port.0).or(self.port.1),
            user: Named::of(settings, &self.user),
            password: Named::of(settings, &self.password),
            database: settings.text(&self.database),
            encrypted: settings.says(&self.ssl),
            // Authorities of its own are for targets.
            authority: Named::none("ssl-certificate"),
            name: None,
            identity: None,
        })
    }

    fn dialect(&self) -> Dialect {
        match self.family {
            Family::Postgres => Dialect::Postgres,
            Family::Redshift => Dialect::Redshift,
        }
    }

    fn creation(&self, settings: &Settings) -> Result<Vec<Statement>, Fault> {
        let (field, usual) = &self.creation;
        let text = settings.text(field).unwrap_or(usual);
        let statements = parse(field.name(), text, self.dialect())?;
        need_name(field.name(), &statements)?;
        Ok(statements)
    }

    fn revocation(&self, settings: &Settings) -> Result<Vec<Statement>, Fault> {
        let (field, usual) = &self.revocation;
        let given = field.as_ref().and_then(|field| settings.text(field));
        let name = field.as_ref().map_or("revocation-statement", Field::name);
        let statements = parse(name, given.unwrap_or(usual), self.dialect())?;
        need_name(name, &statements)?;
        if statements.iter().any(|statement| statement.has(Hole::Password)) {
            return Err(bad_setting(name, "{{password}} is not known any more by then"));
        }
        Ok(statements)
    }

    fn checked(
        &self,
        settings: &Settings,
        target: Option<&TargetUse<'_>>,
    ) -> Result<Vec<String>, Fault> {
        let server = self.server(settings, target)?;
        server.credentials()?;
        let creation = self.creation(settings)?;
        let revocation = self.revocation(settings)?;
        self.kind.check(settings)?;
        let mut warnings = lint(&creation);
        warnings.extend(lint_removal(&revocation));
        if !creation.iter().any(|statement| statement.has(Hole::Password)) {
            warnings.push("the creation statements set no {{password}}".to_owned());
        }
        warnings.extend(server.warning());
        Ok(warnings)
    }

    async fn created(&self, scene: &Scene<'_>, plan: &Plan) -> Result<Created, Fault> {
        let (mut pauses, mut turn) = (PAUSES.iter(), Turn::Beside);
        loop {
            let outcome = self.created_once(scene, plan, turn).await;
            turn = Turn::Alone;
            if !is_next_turn(&outcome, &mut pauses).await {
                return outcome;
            }
        }
    }

    async fn revoked(&self, scene: &Scene<'_>, handle: &str) -> Result<Vec<String>, Fault> {
        need_handle(handle)?;
        let (begun, whole) = (Instant::now(), scene.way.timeout);
        let (mut pauses, mut turn) = (PAUSES.iter(), Turn::Beside);
        let failed = loop {
            let limit = (whole * REMOVING.0 / REMOVING.1).saturating_sub(begun.elapsed());
            let outcome = self.revoked_once(scene, handle, (turn, limit)).await;
            turn = Turn::Alone;
            if is_next_turn(&outcome, &mut pauses).await {
                continue;
            }
            match outcome {
                Err(fault) if !is_untouched(&fault) => break fault,
                done => return done,
            }
        };
        // What keeps it there may be its own doing, and stay for ever.
        let is_disabled = self.disable(scene, handle).await.unwrap_or(false);
        let left = whole.saturating_sub(begun.elapsed());
        let was_in_the_way = [HELD, CONTENDED].contains(&failed.code());
        if was_in_the_way && left >= whole / ONCE_MORE_PART {
            let once_more = self.revoked_once(scene, handle, (turn, left)).await;
            if once_more.is_ok() {
                return once_more;
            }
        }
        Err(if is_disabled { failed.with_more("the user is disabled") } else { failed })
    }

    async fn created_once(
        &self,
        scene: &Scene<'_>,
        plan: &Plan,
        turn: Turn,
    ) -> Result<Created, Fault> {
        need_handle(&plan.handle)?;
        let server = self.server(scene.settings, scene.target.as_ref())?;
        let values = Values {
            name: &plan.handle,
            password: Some(&plan.password),
            user_host: server.credentials()?.0,
        };
        let filled = filled(&self.creation(scene.settings)?, &values)?;
        let (secret, whole) = (plan.password.expose().as_str(), scene.way.timeout);
        let warnings = within(scene.way, whole, &server, self.family, async |session| {
            begin(&self.timed(session, whole, whole), &plan.handle, turn).await?;
            for (number, statement) in (1..).zip(&filled) {
                let what = format!("creation statement {number}");
                let done = session.run(statement.expose()).await;
                done.map_err(|error| error.fault(&what, Some(secret)))?;
            }
            let committed = session.run("COMMIT").await;
            committed.map_err(|error| error.fault("keeping the user", None))
        })
        .await?;
        let mut value = Map::new();
        value.insert("user".to_owned(), plan.handle.as_str().into());
        value.insert("password".to_owned(), secret.into());
        Ok(Created { value, handle: None, ends: None, warnings })
    }

    fn timed<'a>(&self, session: &'a Session, whole: Duration, each_lock: Duration) -> Timed<'a> {
        Timed { session, family: self.family, whole, each_lock }
    }

    async fn revoked_once(
        &self,
        scene: &Scene<'_>,
        handle: &str,
        (turn, limit): (Turn, Duration),
    ) -> Result<Vec<String>, Fault> {
        need_handle(handle)?;
        let server = self.server(scene.settings, scene.target.as_ref())?;
        let values = Values { name: handle, password: None, user_host: server.credentials()?.0 };
        let filled = filled(&self.revocation(scene.settings)?, &values)?;
        let (mut still_there, mut signs_in, mut goes_on) = (false, false, false);
        let whole = scene.way.timeout;
        let mut warnings = within(scene.way, limit, &server, self.family, async |session| {
            // There has to be time for disabling the user.
            begin(&self.timed(session, whole / 2, whole / LOCK_PART), handle, turn).await?;
            let id = self.id_of(session, handle).await?;
            if let Some(id) = id {
                let ends_sessions =
                    filled.iter().any(|text| text.expose().contains("pg_terminate_backend"));
                if self.family == Family::Postgres && !ends_sessions {
                    // Who is no superuser may not do that any more when the user is gone.
                    attempt(session, async || end_sessions(session, self.family, id).await).await?;
                }
                for (number, statement) in (1..).zip(&filled) {
                    let done = session.run(statement.expose()).await;
                    done.map_err(|error| not_removed(number, &error))?;
                }
                still_there = self.is_there(session, handle).await?;
                signs_in = still_there && self.signs_in(session, handle).await?;
            }
            let committed = session.run("COMMIT").await;
            committed.map_err(|error| error.fault("removing the user", None))?;
            if let Some(id) = id.filter(|_| !signs_in && self.family == Family::Postgres) {
                goes_on = !end_sessions(session, self.family, id).await
                    && has_sessions(session, id).await;
            }
            Ok(())
        })
        .await?;
        if goes_on {
            warnings.push(
                "sessions of the user go on until they end: the target's user may not end them \
                 when the user is gone"
                    .to_owned(),
            );
        }
        match (still_there, signs_in) {
            (_, true) => return Err(left()),
            (true, false) => warnings.push("the user is disabled and still there".to_owned()),
            (false, false) => {}
        }
        Ok(warnings)
    }

    /// The number of a user, by which its sessions are known when its name is gone.
    async fn id_of(&self, session: &Session, handle: &str) -> Result<Option<u32>, Fault> {
        let question = match self.family {
            Family::Postgres => {
                "SELECT oid::pg_catalog.text FROM pg_catalog.pg_roles \
                 WHERE rolname OPERATOR(pg_catalog.=) $1::pg_catalog.name"
            }
            Family::Redshift => "select usesysid::text from pg_user where usename = $1",
        };
        let answer = session.text(question, handle).await;
        let answer = answer.map_err(|error| error.fault("looking for the user", None))?;
        Ok(answer.and_then(|text| text.parse().ok()))
    }

    /// Whether a user that is there can still sign in.
    async fn signs_in(&self, session: &Session, handle: &str) -> Result<bool, Fault> {
        let question = match self.family {
            Family::Postgres => {
                "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_roles \
                 WHERE rolname OPERATOR(pg_catalog.=) $1::pg_catalog.name AND rolcanlogin \
                 AND (rolvaliduntil IS NULL \
                      OR rolvaliduntil OPERATOR(pg_catalog.>) pg_catalog.now()))"
            }
            Family::Redshift => {
                "select count(*) > 0 from pg_user where usename = $1 \
                 and (valuntil is null or valuntil > now())"
            }
        };
        let answer = session.is_true(question, handle).await;
        answer.map_err(|error| error.fault("looking for the user", None))
    }

    async fn is_there(&self, session: &Session, handle: &str) -> Result<bool, Fault> {
        let question = match self.family {
            Family::Postgres => {
                "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_roles \
                 WHERE rolname OPERATOR(pg_catalog.=) $1::pg_catalog.name)"
            }
            Family::Redshift => "select count(*) > 0 from pg_user where usename = $1",
        };
        let answer = session.is_true(question, handle).await;
        answer.map_err(|error| error.fault("looking for the user", None))
    }
}

/// Whether it is to be done again because others were in the way; waits a little then.
async fn is_next_turn<T>(outcome: &Result<T, Fault>, pauses: &mut slice::Iter<'_, u64>) -> bool {
    let contended = outcome.as_ref().is_err_and(|fault| fault.code() == CONTENDED);
    let pause = pauses.next().filter(|_| contended);
    if let Some(millis) = pause {
        tokio::time::sleep(Duration::from_millis(*millis)).await;
    }
    pause.is_some()
}

/// Does something in one session, within `limit`; gives what the server warned of. What
/// was not committed is undone.
async fn within(
    way: &Way,
    limit: Duration,
    server: &Server,
    family: Family,
    act: impl AsyncFnOnce(&Session) -> Result<(), Fault>,
) -> Result<Vec<String>, Fault> {
    let late = || {
        Fault::unavailable(format!(
            "{} does not answer in time; what was begun there is undone",
            server.place()
        ))
    };
    let whole = async {
        let session = connect(server, family, way).await.map_err(not_reached)?;
        let outcome = act(&session).await;
        if outcome.is_err() {
            // It would end with the session; this says so before the session ends.
            let _ = session.run("ROLLBACK").await;
        }
        let warnings = session.warnings();
        session.close().await;
        outcome.map(|()| warnings)
    };
    timeout(limit, whole).await.map_err(|_| late())?
}

fn not_removed(number: i32, error: &keysherd_targets::postgres::SqlError) -> Fault {
    let mut what = format!("revocation statement {number}");
    if error.code() == Some(NOT_PERMITTED) {
        // The default one hands over what the user owns, which takes membership.
        what.push_str(
            " (a user that is no superuser has to be a member of those it removes: add GRANT \
             \"{{name}}\" TO it to the creation statements)",
        );
    }
    error.fault(&what, None)
}

impl Engine for PostgresLike {
    fn kind(&self) -> &'static Kind {
        self.kind
    }

    fn check(
        &self,
        settings: &Settings,
        target: Option<&TargetUse<'_>>,
    ) -> Result<Vec<String>, Fault> {
        self.checked(settings, target)
    }

    fn database(&self, scene: &Scene<'_>) -> Result<Option<String>, Fault> {
        let server = self.server(scene.settings, scene.target.as_ref())?;
        Ok(Some(server.database().unwrap_or_default().to_owned()))
    }

    fn create<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        plan: &'a Plan,
    ) -> BoxFuture<'a, Result<Created, Fault>> {
        Box::pin(self.created(scene, plan))
    }

    fn revoke<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        handle: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(self.revoked(scene, handle))
    }

    /// By a lock, which Redshift does not have.
    fn settles(&self) -> bool {
        self.family == Family::Postgres
    }
}
