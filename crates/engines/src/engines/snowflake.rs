//! Users of Snowflake, with passwords or with keys.
//!
//! V2 has no statements for them: a user gets one role, and works in one warehouse and one database
//! unless it says otherwise. Statements cannot be taken back together, so what a failed creation
//! has made is removed at once, and again when the lease is.

use keysherd_base::{Fault, Secret, SecretString};
use keysherd_crypto::rsa::{KeySize, RsaPair};
use keysherd_targets::snowflake::{Account, Given};
use keysherd_targets::{Named, snowflake_account};
use keysherd_wire::{Settings, bad_setting};
use serde_json::Map;
use tokio::time::timeout;

use self::fields::{
    ACCOUNT, AUTH_MODE, AUTH_MODES, DB_NAME, KEY_ALGO, KEY_ALGOS, KIND, PASSWORD, PRIVATE_KEY,
    PRIVATE_KEY_PASSPHRASE, ROLE, USERNAME, WAREHOUSE,
};
use crate::fields::need_type;
use crate::name::need_handle;
use crate::{BoxFuture, Created, Engine, Kind, Plan, Scene, TargetUse, Way};

mod fields;
#[cfg(test)]
mod tests;

/// Roles that are as good as everything.
const WIDE: [&str; 4] = ["ACCOUNTADMIN", "ORGADMIN", "SECURITYADMIN", "SYSADMIN"];
/// Longest name of a role, a warehouse or a database, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// The member.
pub(super) struct Snowflake;

impl Engine for Snowflake {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn check(
        &self,
        settings: &Settings,
        target: Option<&TargetUse<'_>>,
    ) -> Result<Vec<String>, Fault> {
        let account = account(settings, target, None)?;
        KIND.check(settings)?;
        mode(settings)?;
        let mut warnings = Vec::new();
        for field in [&ROLE, &WAREHOUSE, &DB_NAME] {
            settings.text(field).map(|text| identifier(field.name(), text)).transpose()?;
        }
        match settings.text(&ROLE) {
            None => warnings.push("users get no role; see role".to_owned()),
            Some(role) if WIDE.iter().any(|wide| role.eq_ignore_ascii_case(wide)) => {
                warnings.push(format!("the role '{role}' administers the account; take another"));
            }
            Some(_) => {}
        }
        warnings.extend(account.warning());
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

fn account(
    settings: &Settings,
    target: Option<&TargetUse<'_>>,
    way: Option<&Way>,
) -> Result<Account, Fault> {
    let account = match target {
        Some(target) => {
            need_type(&KIND, target)?;
            snowflake_account(target.settings, way)?
        }
        None => Account::new(
            &Given {
                account: Named::of(settings, &ACCOUNT),
                user: Named::of(settings, &USERNAME),
                password: Named::of(settings, &PASSWORD),
                key: Named::of(settings, &PRIVATE_KEY),
                passphrase: Named::of(settings, &PRIVATE_KEY_PASSPHRASE),
                database: Named::of(settings, &DB_NAME),
            },
            way,
        )?,
    };
    Ok(account.working(settings.text(&WAREHOUSE), settings.text(&DB_NAME)))
}

/// How long users' keys are; `None`: they have passwords.
fn mode(settings: &Settings) -> Result<Option<KeySize>, Fault> {
    let mode = settings.choice(&AUTH_MODE, &AUTH_MODES, AUTH_MODES[0])?;
    let size = match settings.choice(&KEY_ALGO, &KEY_ALGOS, KEY_ALGOS[0])? {
        "RSA4096" => KeySize::Rsa4096,
        "RSA3072" => KeySize::Rsa3072,
        _ => KeySize::Rsa2048,
    };
    Ok((mode == "key").then_some(size))
}

/// A name as statements have it: as it was written where that is plain, else in quotes.
fn identifier(field: &str, text: &str) -> Result<String, Fault> {
    let fits = (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
    if !fits {
        return Err(bad_setting(field, "it is no name"));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.chars().all(plain) && !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    Ok(format!("\"{}\"", text.replace('"', "\"\"")))
}

/// The statement that makes the user; what proves who they are comes in the middle.
fn creation(settings: &Settings, name: &str, proof: &str) -> Result<SecretString, Fault> {
    let mut text = SecretString::new(String::with_capacity(8_192));
    let into = text.expose_mut();
    // A handle is plain characters; see `need_handle`.
    into.extend(["CREATE USER \"", name, "\" ", proof]);
    let defaults = [
        ("DEFAULT_ROLE", &ROLE),
        ("DEFAULT_WAREHOUSE", &WAREHOUSE),
        ("DEFAULT_NAMESPACE", &DB_NAME),
    ];
    for (what, field) in defaults {
        let Some(value) = settings.text(field) else { continue };
        into.extend([" ", what, " = ", &identifier(field.name(), value)?]);
    }
    Ok(text)
}

async fn created(scene: &Scene<'_>, plan: &Plan) -> Result<Created, Fault> {
    need_handle(&plan.handle)?;
    let (settings, name) = (scene.settings, plan.handle.as_str());
    let account = account(settings, scene.target.as_ref(), Some(scene.way))?;
    let mut value = Map::new();
    value.insert("user".to_owned(), name.into());
    let proof = match mode(settings)? {
        None => {
            let secret = plan.password.expose().as_str();
            value.insert("password".to_owned(), secret.into());
            let escaped = Secret::new(secret.replace('\\', "\\\\").replace('\'', "''"));
            let escaped = escaped.expose();
            Secret::new(format!("PASSWORD = '{escaped}' MUST_CHANGE_PASSWORD = FALSE"))
        }
        Some(size) => {
            // It takes a processor up to some seconds.
            let drawn = tokio::task::spawn_blocking(move || RsaPair::of_size(size)).await;
            let pair = drawn.map_err(Fault::internal)?.map_err(Fault::internal)?;
            value.insert("private_key".to_owned(), pair.private_pem.expose().as_str().into());
            let lines = pair.public_pem.lines().filter(|line| !line.starts_with('-'));
            let public: String = lines.collect();
            Secret::new(format!("TYPE = SERVICE RSA_PUBLIC_KEY = '{public}'"))
        }
    };
    let created = Created { value, handle: None, ends: None, warnings: Vec::new() };
    let statement = creation(settings, name, proof.expose())?;
    let grant = match settings.text(&ROLE) {
        None => None,
        Some(role) => Some(format!("GRANT ROLE {} TO USER \"{name}\"", identifier("role", role)?)),
    };
    let making = async {
        let secrets = [plan.password.expose().as_str()];
        account.run(statement.expose(), "making the user", &secrets, scene.way).await?;
        let Some(grant) = grant else { return Ok(()) };
        let granted = account.run(&grant, "granting the role", &[], scene.way).await;
        if granted.is_err() {
            // The lease's end looks again.
            let _ = account.run(&removal(name), "removing the user", &[], scene.way).await;
        }
        granted
    };
    timeout(scene.way.timeout, making).await.map_err(|_| late(&account))??;
    Ok(created)
}

fn removal(name: &str) -> String {
    format!("DROP USER IF EXISTS \"{name}\"")
}

async fn revoked(scene: &Scene<'_>, handle: &str) -> Result<Vec<String>, Fault> {
    need_handle(handle)?;
    let account = account(scene.settings, scene.target.as_ref(), Some(scene.way))?;
    let removing = async {
        // What the user still does would go on until it is done.
        let abort = format!("ALTER USER IF EXISTS \"{handle}\" ABORT ALL QUERIES");
        let _ = account.run(&abort, "ending what the user does", &[], scene.way).await;
        account.run(&removal(handle), "removing the user", &[], scene.way).await?;
        Ok(Vec::new())
    };
    timeout(scene.way.timeout, removing).await.map_err(|_| late(&account))?
}

fn late(account: &Account) -> Fault {
    Fault::unavailable(format!("{} does not answer in time; try again later", account.place()))
}
