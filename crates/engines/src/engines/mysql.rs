//! Users of MySQL and MariaDB servers.
//!
//! Their statements cannot be taken back together, so what a failed creation has made is removed by
//! the revocation statements at once, and again when the lease is. Making and removing hold a lock
//! on the server whose name comes from the user's: whoever removes a user whose making was never
//! confirmed waits for what is still under way.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use keysherd_base::{Fault, SecretString};
use keysherd_crypto::hash::sha256;
use keysherd_targets::mysql::{Session, StatementError, connect};
use keysherd_targets::{Given, Named, Server, database};
use keysherd_wire::{Field, Settings, Text, bad_setting};
use serde_json::Map;
use tokio::time::timeout;

use self::fields::{
    CREATION, CREATION_STATEMENTS, DB_NAME, DB_SERVER_CERTIFICATES, DB_SERVER_NAME, HOST, KIND,
    PASSWORD, PORT, REVOCATION, REVOCATION_STATEMENTS, SSL, SSL_CERTIFICATE, USERNAME,
};
use self::sessions::{NO_SESSION, OWN_NAME, SESSIONS_MAX, end_sessions, shut_out};
use crate::fields::need_type;
use crate::lint::lint;
use crate::member::{left, not_reached};
use crate::name::need_handle;
use crate::statements::{Dialect, Hole, Statement, Values, filled, need_name, parse};
use crate::{BoxFuture, Created, Engine, Kind, Plan, Scene, TargetUse, Way};

mod fields;
pub(crate) mod sessions;
#[cfg(test)]
pub(crate) mod tests;

/// What servers say when a user is not there.
const GONE: [u16; 4] = [1141, 1147, 1269, 1396];
/// What they say of a statement that they cannot read.
const UNREADABLE: u16 = 1064;

/// The member.
pub(super) struct Mysql;

impl Engine for Mysql {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn check(
        &self,
        settings: &Settings,
        target: Option<&TargetUse<'_>>,
    ) -> Result<Vec<String>, Fault> {
        let server = server(settings, target)?;
        server.credentials()?;
        server.tls_given()?;
        let creation = creation(settings)?;
        revocation(settings)?;
        KIND.check(settings)?;
        let mut warnings = lint(&creation);
        if !creation.iter().any(|statement| statement.has(Hole::Password)) {
            warnings.push("the creation statements set no {{password}}".to_owned());
        }
        warnings.extend(server.warning());
        Ok(warnings)
    }

    fn database(&self, scene: &Scene<'_>) -> Result<Option<String>, Fault> {
        let server = server(scene.settings, scene.target.as_ref())?;
        Ok(Some(server.database().unwrap_or_default().to_owned()))
    }

    fn create<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        plan: &'a Plan,
    ) -> BoxFuture<'a, Result<Created, Fault>> {
        Box::pin(created(scene, plan))
    }

    fn revoke<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        handle: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(revoked(scene, handle))
    }

    /// By a lock.
    fn settles(&self) -> bool {
        true
    }
}

fn server(settings: &Settings, target: Option<&TargetUse<'_>>) -> Result<Server, Fault> {
    if let Some(target) = target {
        need_type(&KIND, target)?;
        return Ok(database(target.settings)?.or_database(settings.text(&DB_NAME)));
    }
    let given = |field: &Field<Text>| settings.text(field).is_some();
    let own = if given(&SSL_CERTIFICATE) { &SSL_CERTIFICATE } else { &DB_SERVER_CERTIFICATES };
    Server::new(Given {
        host: Named::of(settings, &HOST).or("127.0.0.1"),
        port: Named::of(settings, &PORT).or("3306"),
        user: Named::of(settings, &USERNAME),
        password: Named::of(settings, &PASSWORD),
        database: settings.text(&DB_NAME),
        encrypted: settings.says(&SSL),
        authority: Named::of(settings, own),
        name: settings.text(&DB_SERVER_NAME),
        identity: None,
    })
}

fn creation(settings: &Settings) -> Result<Vec<Statement>, Fault> {
    let text = settings.text(&CREATION_STATEMENTS).unwrap_or(CREATION);
    let statements = parse(CREATION_STATEMENTS.name(), text, Dialect::Mysql)?;
    need_name(CREATION_STATEMENTS.name(), &statements)?;
    Ok(statements)
}

fn revocation(settings: &Settings) -> Result<Vec<Statement>, Fault> {
    let name = REVOCATION_STATEMENTS.name();
    let text = settings.text(&REVOCATION_STATEMENTS).unwrap_or(REVOCATION);
    let statements = parse(name, text, Dialect::Mysql)?;
    need_name(name, &statements)?;
    if statements.iter().any(|statement| statement.has(Hole::Password)) {
        return Err(bad_setting(name, "{{password}} is not known any more by then"));
    }
    Ok(statements)
}

async fn created(scene: &Scene<'_>, plan: &Plan) -> Result<Created, Fault> {
    need_handle(&plan.handle)?;
    let server = server(scene.settings, scene.target.as_ref())?;
    let (user_host, _) = server.credentials()?;
    let secret = plan.password.expose().as_str();
    let (name, password) = (plan.handle.as_str(), Some(&plan.password));
    let statements = filled(&creation(scene.settings)?, &Values { name, password, user_host })?;
    let undo = filled(&revocation(scene.settings)?, &Values { name, password: None, user_host })?;
    let making = async {
        let mut session = connect(&server, scene.way).await.map_err(not_reached)?;
        alone(&mut session, name, scene.way).await?;
        for (number, statement) in (1..).zip(&statements) {
            let Err(error) = session.run(statement.expose()).await else { continue };
            for statement in &undo {
                // What was not made yet cannot be removed; the lease's end looks again.
                let _ = session.run(statement.expose()).await;
            }
            let fault = not_made(number, statement, &error, session.is_mariadb(), secret);
            session.close().await;
            return Err(fault);
        }
        let warnings = session.warnings();
        session.close().await;
        Ok(warnings)
    };
    let warnings = timeout(scene.way.timeout, making).await.map_err(|_| late(&server))??;
    let mut value = Map::new();
    value.insert("user".to_owned(), name.into());
    value.insert("password".to_owned(), secret.into());
    Ok(Created { value, handle: None, ends: None, warnings })
}

async fn revoked(scene: &Scene<'_>, handle: &str) -> Result<Vec<String>, Fault> {
    need_handle(handle)?;
    let server = server(scene.settings, scene.target.as_ref())?;
    let (user_host, _) = server.credentials()?;
    let values = Values { name: handle, password: None, user_host };
    let statements = filled(&revocation(scene.settings)?, &values)?;
    let removing = async {
        let mut session = connect(&server, scene.way).await.map_err(not_reached)?;
        alone(&mut session, handle, scene.way).await?;
        let warnings = match removed(&mut session, handle, &statements).await {
            Ok(mut warnings) => {
                warnings.extend(end_sessions(&mut session, handle).await?);
                warnings
            }
            Err(fault) => return Err(shut_out(&mut session, handle, fault).await),
        };
        session.close().await;
        Ok(warnings)
    };
    timeout(scene.way.timeout, removing).await.map_err(|_| late(&server))?
}

/// Runs the revocation statements, and looks whether the user can sign in no more.
async fn removed(
    session: &mut Session,
    handle: &str,
    statements: &[SecretString],
) -> Result<Vec<String>, Fault> {
    let mut missing = None;
    for (number, statement) in (1..).zip(statements) {
        let Err(error) = session.run(statement.expose()).await else { continue };
        let fault = error.fault(&format!("revocation statement {number}"), None);
        match error.code() {
            // Gone already, or half gone; whether it is shows below.
            Some(code) if GONE.contains(&code) => missing = Some(fault),
            _ => return Err(fault),
        }
    }
    let mut warnings = session.warnings();
    match (is_there(session, handle).await, missing) {
        (Some(false), _) => {}
        (None | Some(true), Some(fault)) => return Err(fault),
        // Who may not look has to believe the statements.
        (None, None) => {}
        (Some(true), None) if is_locked(session, handle).await => {
            warnings.push("the user is locked and still there".to_owned());
        }
        (Some(true), None) => return Err(left()),
    }
    Ok(warnings)
}

/// Waits until nobody else does anything with this user. The lock ends with the session.
///
/// Whoever signs in there can take such a lock, the user itself included. So a session that has it
/// and does not end is ended: of another gateway's work nothing more follows then.
pub(crate) async fn alone(session: &mut Session, handle: &str, way: &Way) -> Result<(), Fault> {
    let hash = sha256(&[b"keysherd user ", handle.as_bytes()]);
    let name = format!("'keysherd {}'", hex::encode(&hash[..16]));
    if locked(session, &name, way).await? {
        return Ok(());
    }
    end_holders(session, &name, way).await;
    if locked(session, &name, way).await? {
        return Ok(());
    }
    let ours = format!(
        "select count(*) from information_schema.processlist \
         where id = is_used_lock({name}) and user = {OWN_NAME}"
    );
    let ours = session.texts(&ours).await;
    let ours = ours.map_err(|error| error.fault("waiting for others that do the same", None))?;
    match ours.first().is_none_or(|count| count != "0") {
        true => Err(Fault::unavailable("somebody else is busy with this user; try again")),
        // Gateways have it as whoever signs in here. Anybody else only keeps it from them.
        false => Ok(()),
    }
}

/// Ends who has the lock, and who gets it then, as sessions may wait for it in a row; for a sixth
/// of the time. Who may not do that sees afterwards whose it is.
async fn end_holders(session: &mut Session, name: &str, way: &Way) {
    let (until, mut ended) = (Instant::now() + way.timeout / 6, BTreeSet::new());
    while ended.len() < SESSIONS_MAX && Instant::now() < until {
        let holder = session.texts(&format!("select is_used_lock({name})")).await;
        let holder = holder.unwrap_or_default();
        let Some(id) = holder.first().and_then(|id| id.parse::<u64>().ok()) else { return };
        if !ended.insert(id) {
            // It takes a moment to end.
            tokio::time::sleep(Duration::from_millis(5)).await;
        } else if let Err(error) = session.run(&format!("KILL {id}")).await
            && error.code() != Some(NO_SESSION)
        {
            return;
        }
    }
}

/// Whether the lock was given within a sixth of the time.
async fn locked(session: &mut Session, name: &str, way: &Way) -> Result<bool, Fault> {
    let seconds = (way.timeout.as_secs() / 6).clamp(1, 100);
    let locked = session.texts(&format!("select get_lock({name}, {seconds})")).await;
    let locked =
        locked.map_err(|error| error.fault("waiting for others that do the same", None))?;
    Ok(locked.first().is_some_and(|answer| answer == "1"))
}

/// Whether there is a user of this name; `None`: the server does not tell.
async fn is_there(session: &mut Session, handle: &str) -> Option<bool> {
    // A handle is plain characters; see `need_handle`.
    let question = format!("select count(*) from mysql.user where user = '{handle}'");
    let answer = session.texts(&question).await.ok()?;
    answer.first().map(|count| count != "0")
}

/// Whether every user of this name can sign in no more.
async fn is_locked(session: &mut Session, handle: &str) -> bool {
    let open = match session.is_mariadb() {
        true => {
            "select count(*) from mysql.global_priv where \
             not coalesce(json_value(priv, '$.account_locked') in ('1', 'true'), false)"
        }
        false => "select count(*) from mysql.user where account_locked = 'N'",
    };
    let answer = session.texts(&format!("{open} and user = '{handle}'")).await;
    answer.is_ok_and(|answer| answer.first().is_some_and(|count| count == "0"))
}

fn not_made(
    number: i32,
    statement: &SecretString,
    error: &StatementError,
    mariadb: bool,
    secret: &str,
) -> Fault {
    let mut what = format!("creation statement {number}");
    let with = statement.expose().to_uppercase().contains("IDENTIFIED WITH");
    if mariadb && with && error.code() == Some(UNREADABLE) {
        what.push_str(
            " (the server is MariaDB, which reads IDENTIFIED BY '{{password}}', or IDENTIFIED VIA \
             mysql_native_password USING PASSWORD('{{password}}'), and not IDENTIFIED WITH)",
        );
    }
    error.fault(&what, Some(secret))
}

pub(crate) fn late(server: &Server) -> Fault {
    Fault::unavailable(format!("{} does not answer in time; try again later", server.place()))
}
