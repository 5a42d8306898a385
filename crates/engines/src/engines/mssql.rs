//! Logins and users of SQL Server.
//!
//! Not all that statements do there can be taken back together, so what a failed creation has made
//! is removed by the revocation statements at once, and again when the lease is. Making and
//! removing hold a lock on the server whose name comes from the user's: whoever removes a user
//! whose making was never confirmed waits for what is still under way.

use keysherd_base::{Fault, SecretString};
use keysherd_crypto::hash::sha256;
use keysherd_targets::mssql::{Session, connect};
use keysherd_targets::{Given, Named, Server, database};
use keysherd_wire::{Settings, bad_setting};
use serde_json::Map;
use tokio::time::timeout;

use self::fields::{
    CREATION, CREATION_STATEMENTS, DB_NAME, HOST, KIND, PASSWORD, PORT, REVOCATION,
    REVOCATION_STATEMENTS, USERNAME,
};
use crate::fields::need_type;
use crate::lint::lint;
use crate::member::{left, not_reached};
use crate::name::need_handle;
use crate::statements::{Dialect, Hole, Statement, Values, filled, need_name, parse};
use crate::{BoxFuture, Created, Engine, Kind, Plan, Scene, TargetUse, Way};

mod fields;
#[cfg(test)]
pub(crate) mod tests;

/// What servers say when a login, a user or a database is not there.
const GONE: [u32; 3] = [15_007, 15_151, 15_401];
/// Most sessions of a login that are ended.
const SESSIONS_MAX: usize = 100;

/// The member.
pub(super) struct Mssql;

impl Engine for Mssql {
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
}

fn server(settings: &Settings, target: Option<&TargetUse<'_>>) -> Result<Server, Fault> {
    if let Some(target) = target {
        need_type(&KIND, target)?;
        return Ok(database(target.settings)?.or_database(settings.text(&DB_NAME)));
    }
    Server::new(Given {
        host: Named::of(settings, &HOST).or("127.0.0.1"),
        port: Named::of(settings, &PORT).or("1433"),
        user: Named::of(settings, &USERNAME),
        password: Named::of(settings, &PASSWORD),
        database: settings.text(&DB_NAME),
        encrypted: None,
        authority: Named::none("ssl-certificate"),
        name: None,
        identity: None,
    })
}

fn creation(settings: &Settings) -> Result<Vec<Statement>, Fault> {
    let text = settings.text(&CREATION_STATEMENTS).unwrap_or(CREATION);
    let statements = parse(CREATION_STATEMENTS.name(), text, Dialect::Mssql)?;
    need_name(CREATION_STATEMENTS.name(), &statements)?;
    Ok(statements)
}

fn revocation(settings: &Settings) -> Result<Vec<Statement>, Fault> {
    let name = REVOCATION_STATEMENTS.name();
    let text = settings.text(&REVOCATION_STATEMENTS).unwrap_or(REVOCATION);
    let statements = parse(name, text, Dialect::Mssql)?;
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
        alone(&mut session, name, scene.way).await.map_err(not_reached)?;
        for (number, statement) in (1..).zip(&statements) {
            let Err(error) = session.run(statement.expose()).await else { continue };
            for statement in &undo {
                // What was not made yet cannot be removed; the lease's end looks again.
                let _ = session.run(statement.expose()).await;
            }
            return Err(error.fault(&format!("creation statement {number}"), Some(secret)));
        }
        Ok(())
    };
    timeout(scene.way.timeout, making).await.map_err(|_| late(&server))??;
    let mut value = Map::new();
    value.insert("user".to_owned(), name.into());
    value.insert("password".to_owned(), secret.into());
    Ok(Created { value, handle: None, ends: None, warnings: Vec::new() })
}

async fn revoked(scene: &Scene<'_>, handle: &str) -> Result<Vec<String>, Fault> {
    need_handle(handle)?;
    let server = server(scene.settings, scene.target.as_ref())?;
    let (user_host, _) = server.credentials()?;
    let values = Values { name: handle, password: None, user_host };
    let statements = filled(&revocation(scene.settings)?, &values)?;
    let removing = async {
        let mut session = connect(&server, scene.way).await?;
        alone(&mut session, handle, scene.way).await?;
        end_sessions(&mut session, handle).await;
        let missing = removed(&mut session, &statements).await?;
        match (is_there(&mut session, handle).await, missing) {
            (Some(false), _) | (None, None) => Ok(orphaned(&mut session, handle).await),
            (None | Some(true), Some(fault)) => Err(fault),
            (Some(true), None) if is_disabled(&mut session, handle).await => {
                Ok(vec!["the login is disabled and still there".to_owned()])
            }
            (Some(true), None) => Err(left()),
        }
    };
    timeout(scene.way.timeout, removing).await.map_err(|_| late(&server))?
}

/// Runs the statements that remove; gives the fault of one that found nothing: gone already, or
/// half gone.
async fn removed(
    session: &mut Session,
    statements: &[SecretString],
) -> Result<Option<Fault>, Fault> {
    let mut missing = None;
    for (number, statement) in (1..).zip(statements) {
        let Err(error) = session.run(statement.expose()).await else { continue };
        let fault = error.fault(&format!("revocation statement {number}"), None);
        match error.code() {
            Some(code) if GONE.contains(&code) => missing = Some(fault),
            _ => return Err(fault),
        }
    }
    Ok(missing)
}

/// Waits until nobody else does anything with this user. The lock ends with the session.
pub(crate) async fn alone(session: &mut Session, handle: &str, way: &Way) -> Result<(), Fault> {
    let hash = sha256(&[b"keysherd user ", handle.as_bytes()]);
    let milliseconds = way.timeout.as_millis().clamp(1_000, 600_000);
    let question = format!(
        "DECLARE @got int; EXEC @got = sp_getapplock @Resource = N'keysherd {}', \
         @LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = {milliseconds}; \
         SELECT CAST(@got AS varchar(12))",
        hex::encode(&hash[..16])
    );
    let locked = session.texts(&question).await;
    let locked =
        locked.map_err(|error| error.fault("waiting for others that do the same", None))?;
    // At once, or after waiting.
    match locked.first().map(String::as_str) {
        Some("0" | "1") => Ok(()),
        _ => Err(Fault::unavailable("somebody else is busy with this user; try again")),
    }
}

/// Whether there is a login of this name, or a user who signs in to the database without one;
/// `None`: the server does not tell.
async fn is_there(session: &mut Session, handle: &str) -> Option<bool> {
    // A handle is plain characters; see `need_handle`.
    let question = format!(
        "SELECT CAST((SELECT COUNT(*) FROM sys.server_principals WHERE name = N'{handle}') + \
         (SELECT COUNT(*) FROM sys.database_principals WHERE name = N'{handle}' \
         AND authentication_type = 2) AS varchar(12))"
    );
    let answer = session.texts(&question).await.ok()?;
    answer.first().map(|count| count != "0")
}

/// What is to say of a user in the database whose login is gone.
async fn orphaned(session: &mut Session, handle: &str) -> Vec<String> {
    let question = format!(
        "SELECT CAST(COUNT(*) AS varchar(12)) FROM sys.database_principals WHERE name = N'{handle}'"
    );
    let found = session.texts(&question).await.unwrap_or_default();
    let there = found.first().is_some_and(|count| count != "0");
    let text = "the database still has a user of this name, who cannot sign in; add DROP USER \
                [{{name}}] to the revocation statements, before the login is dropped";
    there.then(|| text.to_owned()).into_iter().collect()
}

/// Whether the login of this name can sign in no more.
async fn is_disabled(session: &mut Session, handle: &str) -> bool {
    let question = format!(
        "SELECT CAST(COUNT(*) AS varchar(12)) FROM sys.server_principals \
         WHERE name = N'{handle}' AND is_disabled = 1"
    );
    session.texts(&question).await.is_ok_and(|answer| answer.first().is_some_and(|n| n == "1"))
}

/// Lets the login begin no more sessions and ends those it has, without which it is not removed.
/// Who may not do that finds out when removing it fails.
async fn end_sessions(session: &mut Session, handle: &str) {
    let _ = session.run(&format!("ALTER LOGIN [{handle}] DISABLE")).await;
    let question = format!(
        "SELECT CAST(session_id AS varchar(12)) FROM sys.dm_exec_sessions \
         WHERE login_name = N'{handle}' AND session_id <> @@SPID"
    );
    let ids = session.texts(&question).await.unwrap_or_default();
    for id in ids.iter().filter_map(|id| id.parse::<u32>().ok()).take(SESSIONS_MAX) {
        let _ = session.run(&format!("KILL {id}")).await;
    }
}

pub(crate) fn late(server: &Server) -> Fault {
    Fault::unavailable(format!("{} does not answer in time; try again later", server.place()))
}
