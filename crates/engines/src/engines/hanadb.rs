//! Users of SAP HANA.
//!
//! Statements about users cannot be taken back together there, so what a failed creation has made
//! is removed by the revocation statements at once, and again when the lease is. A user whom
//! something keeps from going, such as tables of its own, cannot sign in any more.

use std::time::Instant;

use keysherd_base::Fault;
use keysherd_targets::hanadb::{Session, account_name, connect};
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

/// What servers say when a user is not there.
const GONE: i32 = 332;
/// What the server says to who lacks a privilege.
const NOT_PERMITTED: i32 = 258;
/// Sessions that are asked for at once.
const SESSIONS_MAX: usize = 100;

/// The member.
pub(super) struct Hanadb;

impl Engine for Hanadb {
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
        let creation = creation(settings)?;
        revocation(settings)?;
        KIND.check(settings)?;
        let mut warnings = lint(&creation);
        if !creation.iter().any(|statement| statement.has(Hole::Password)) {
            warnings.push("the creation statements set no {{password}}".to_owned());
        }
        if creation.iter().any(forces_change) {
            warnings.push(
                "whoever gets a user has to change its password first; add \
                 NO FORCE_FIRST_PASSWORD_CHANGE to CREATE USER"
                    .to_owned(),
            );
        }
        warnings.extend(server.warning());
        Ok(warnings)
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
        port: Named::of(settings, &PORT).or("443"),
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
    let statements = parse(CREATION_STATEMENTS.name(), text, Dialect::Hana)?;
    need_name(CREATION_STATEMENTS.name(), &statements)?;
    Ok(statements)
}

fn revocation(settings: &Settings) -> Result<Vec<Statement>, Fault> {
    let name = REVOCATION_STATEMENTS.name();
    let text = settings.text(&REVOCATION_STATEMENTS).unwrap_or(REVOCATION);
    let statements = parse(name, text, Dialect::Hana)?;
    need_name(name, &statements)?;
    if statements.iter().any(|statement| statement.has(Hole::Password)) {
        return Err(bad_setting(name, "{{password}} is not known any more by then"));
    }
    Ok(statements)
}

/// Whether a user is made who has to change the password before anything else.
fn forces_change(statement: &Statement) -> bool {
    let code = statement.code().to_uppercase();
    let words: Vec<_> = code.split_whitespace().collect();
    words.starts_with(&["CREATE", "USER"])
        && statement.has(Hole::Password)
        && !words.windows(2).any(|pair| pair == ["NO", "FORCE_FIRST_PASSWORD_CHANGE"])
}

/// The user's name on the server, which is the same with quotes around it and without: clients do
/// not agree on whether small letters are kept. The lease's mark stays in it.
fn user_name(handle: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = handle.chars().map(plain).collect();
    // Those that begin with a line are the server's own.
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { format!("U{name}") }
}

async fn created(scene: &Scene<'_>, plan: &Plan) -> Result<Created, Fault> {
    need_handle(&plan.handle)?;
    let server = server(scene.settings, scene.target.as_ref())?;
    let user_host = account_name(server.credentials()?.0);
    let secret = plan.password.expose().as_str();
    let name = user_name(&plan.handle);
    let values = |password| Values { name: &name, password, user_host: &user_host };
    let statements = filled(&creation(scene.settings)?, &values(Some(&plan.password)))?;
    let undo = filled(&revocation(scene.settings)?, &values(None))?;
    let making = async {
        let mut session = connect(&server, scene.way).await.map_err(not_reached)?;
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
    value.insert("user".to_owned(), name.as_str().into());
    value.insert("password".to_owned(), secret.into());
    Ok(Created { value, handle: None, ends: None, warnings: Vec::new() })
}

async fn revoked(scene: &Scene<'_>, handle: &str) -> Result<Vec<String>, Fault> {
    need_handle(handle)?;
    let server = server(scene.settings, scene.target.as_ref())?;
    let user_host = account_name(server.credentials()?.0);
    let name = user_name(handle);
    let values = Values { name: &name, password: None, user_host: &user_host };
    let statements = filled(&revocation(scene.settings)?, &values)?;
    let removing = async {
        let mut session = connect(&server, scene.way).await?;
        let mut warnings = lock_out(&mut session, &name, scene.way).await;
        let mut missing = None;
        for (number, statement) in (1..).zip(&statements) {
            let Err(error) = session.run(statement.expose()).await else { continue };
            let fault = error.fault(&format!("revocation statement {number}"), None);
            match error.code() {
                // Gone already, or half gone.
                Some(GONE) => missing = Some(fault),
                _ => return Err(fault),
            }
        }
        match (is_there(&mut session, &name, "").await, missing) {
            (Some(false), _) | (None, None) => Ok(warnings),
            (None | Some(true), Some(fault)) => Err(fault),
            (Some(true), None) => {
                match is_there(&mut session, &name, " AND USER_DEACTIVATED = 'TRUE'").await {
                    Some(true) => {
                        warnings.push("the user is deactivated and still there".to_owned());
                        Ok(warnings)
                    }
                    _ => Err(left()),
                }
            }
        }
    };
    timeout(scene.way.timeout, removing).await.map_err(|_| late(&server))?
}

/// Whether there is a user of this name, which is plain characters, of whom this holds; `None`: the
/// server does not tell.
async fn is_there(session: &mut Session, name: &str, holds: &str) -> Option<bool> {
    let question =
        format!("SELECT TO_VARCHAR(COUNT(*)) FROM SYS.USERS WHERE USER_NAME = '{name}'{holds}");
    let answer = session.texts(&question).await.ok()?;
    answer.first().map(|count| count != "0")
}

/// Lets the user begin no more sessions and ends those that there are, for a part of the time; says
/// which may go on. Who may not deactivate anybody finds out when removing the user fails, if that
/// does.
async fn lock_out(session: &mut Session, name: &str, way: &Way) -> Vec<String> {
    let deactivated = session.run(&format!("ALTER USER \"{name}\" DEACTIVATE USER NOW")).await;
    let is_gone = deactivated.is_err_and(|error| error.code() == Some(GONE));
    let (until, mut after, mut found) = (Instant::now() + way.timeout / 3, 0, 0);
    while Instant::now() < until {
        // One that was told to end may be there for a while: they are gone through by number.
        let question = format!(
            "SELECT TO_VARCHAR(CONNECTION_ID) FROM SYS.M_CONNECTIONS WHERE USER_NAME = '{name}' \
             AND CONNECTION_ID > {after} ORDER BY CONNECTION_ID LIMIT {SESSIONS_MAX}"
        );
        let Ok(ids) = session.texts(&question).await else { break };
        let ids: Vec<u32> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        let Some(last) = ids.iter().max() else {
            return match found == 0 && !is_gone && sees_no_others(session).await {
                true => vec![UNSEEN.to_owned()],
                false => Vec::new(),
            };
        };
        (after, found) = (*last, found + ids.len());
        for id in ids.into_iter().take_while(|_| Instant::now() < until) {
            let ended = session.run(&format!("ALTER SYSTEM DISCONNECT SESSION '{id}'")).await;
            if ended.is_err_and(|error| error.code() == Some(NOT_PERMITTED)) {
                return vec![NOT_ENDED.to_owned()];
            }
        }
    }
    match (found, is_gone) {
        (0, true) => Vec::new(),
        (0, false) => vec![UNSEEN.to_owned()],
        _ => vec![NOT_ENDED.to_owned()],
    }
}

const NOT_ENDED: &str = "sessions of the user go on until they end; to end them, the user of the \
                         target needs the system privilege SESSION ADMIN";
const UNSEEN: &str = "sessions that the user may have go on until they end; to see them, the user \
                      of the target needs the system privilege CATALOG READ, and to end them \
                      SESSION ADMIN";

/// Whether the server hides the sessions of others from whoever is signed in, as far as it tells.
async fn sees_no_others(session: &mut Session) -> bool {
    let question = "SELECT TO_VARCHAR(COUNT(*)) FROM SYS.EFFECTIVE_PRIVILEGES \
                    WHERE USER_NAME = CURRENT_USER \
                    AND PRIVILEGE IN ('CATALOG READ', 'DATA ADMIN', 'SESSION ADMIN')";
    let answer = session.texts(question).await.unwrap_or_default();
    answer.first().is_none_or(|count| count == "0")
}

pub(crate) fn late(server: &Server) -> Fault {
    Fault::unavailable(format!("{} does not answer in time; try again later", server.place()))
}
