//! Users of MongoDB servers.
//!
//! A user is one command with all its roles, made whole or not at all, and gone with another one:
//! servers look at the user of a session each time it asks for something, so sessions end with it.
//! What a server did not do in time it does not do later either (`maxTimeMS`).

use keysherd_base::Fault;
use keysherd_targets::mongodb::{Doc, Site, connect};
use keysherd_targets::{Named, mongodb_site};
use keysherd_wire::{Field, Settings, Text, bad_setting};
use serde_json::{Map, Value};
use tokio::time::timeout;

use self::fields::{
    ATLAS_PRIVATE, ATLAS_PROJECT, ATLAS_PUBLIC, AUTH_DB, CUSTOM_DATA, HOST_PORT, KIND, NAME,
    PASSWORD, SCOPES, SERVER_URI, URI_OPTIONS, USERNAME,
};
use self::roles::{Role, roles};
use crate::fields::need_type;
use crate::member::not_reached;
use crate::name::need_handle;
use crate::{BoxFuture, Created, Engine, Kind, Plan, Scene, TargetUse, Way};

mod fields;
mod roles;
#[cfg(test)]
pub(crate) mod tests;

/// Longest custom data, in bytes.
const CUSTOM_BYTES_MAX: usize = 16 << 10;
/// The database of a target.
const TARGET_DB_NAME: Field<Text> = Field::text("db-name", "The database.");

/// The member.
pub(super) struct Mongodb;

impl Engine for Mongodb {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn check(
        &self,
        settings: &Settings,
        target: Option<&TargetUse<'_>>,
    ) -> Result<Vec<String>, Fault> {
        let site = site(settings, target)?;
        site.credentials()?;
        custom(settings)?;
        KIND.check(settings)?;
        let roles = roles(settings, database_of_roles(settings, target, &site))?;
        let mut warnings: Vec<_> = roles.iter().filter_map(Role::warning).collect();
        if roles.is_empty() {
            warnings.push("users have no roles and may do nothing; see mongodb-roles".to_owned());
        }
        warnings.extend(site.warning());
        Ok(warnings)
    }

    /// Users are of the database that they were made in.
    fn found_by(&self, _: &Settings) -> &'static [&'static str] {
        &["mongodb-default-auth-db"]
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

fn site(settings: &Settings, target: Option<&TargetUse<'_>>) -> Result<Site, Fault> {
    for field in [&ATLAS_PROJECT, &ATLAS_PUBLIC, &ATLAS_PRIVATE, &SCOPES] {
        if settings.text(field).is_some() {
            return Err(bad_setting(
                field.name(),
                "users of MongoDB Atlas are made by its own interface, which this version does \
                 not use",
            ));
        }
    }
    if let Some(target) = target {
        need_type(&KIND, target)?;
        return mongodb_site(target.settings);
    }
    let none = |field: &Field<Text>| settings.text(field).is_none();
    if !none(&SERVER_URI) {
        return Site::at(Named::of(settings, &SERVER_URI), Named::of(settings, &AUTH_DB));
    }
    if none(&HOST_PORT) {
        return Err(Fault::bad_request(
            "missing required field 'target-name', 'mongodb-server-uri', or 'mongodb-host-port' \
             with 'mongodb-username' and 'mongodb-password'",
        ));
    }
    Site::new(&keysherd_targets::mongodb::Given {
        hosts: Named::of(settings, &HOST_PORT),
        port: None,
        user: Named::of(settings, &USERNAME),
        password: Named::of(settings, &PASSWORD),
        database: Named::of(settings, &AUTH_DB),
        options: Named::of(settings, &URI_OPTIONS),
        encrypted: None,
        authority: Named::none("ssl-certificate"),
        name: None,
        identity: None,
    })
}

/// The database of roles that do not say theirs.
fn database_of_roles<'a>(
    settings: &'a Settings,
    target: Option<&TargetUse<'a>>,
    site: &'a Site,
) -> &'a str {
    let of_target = || target.and_then(|target| target.settings.text(&TARGET_DB_NAME));
    settings.text(&NAME).or_else(of_target).unwrap_or(site.database())
}

fn custom(settings: &Settings) -> Result<Option<Value>, Fault> {
    let Some(text) = settings.text(&CUSTOM_DATA) else { return Ok(None) };
    let object = (text.len() <= CUSTOM_BYTES_MAX)
        .then(|| serde_json::from_str::<Value>(text).ok())
        .flatten()
        .filter(Value::is_object);
    let wanted = "it must be a JSON object, at most 16 KiB long";
    object.map(Some).ok_or_else(|| bad_setting(CUSTOM_DATA.name(), wanted))
}

/// What a change of users ends with: how long it may take, and who has to know of it.
pub(crate) fn bounded(command: Doc, way: &Way) -> Doc {
    let milliseconds = i32::try_from(way.timeout.as_millis()).unwrap_or(i32::MAX);
    let majority = Doc::new().text("w", "majority").number("wtimeout", milliseconds);
    command.doc("writeConcern", majority).number("maxTimeMS", milliseconds)
}

async fn created(scene: &Scene<'_>, plan: &Plan) -> Result<Created, Fault> {
    need_handle(&plan.handle)?;
    let (settings, target) = (scene.settings, scene.target.as_ref());
    let site = site(settings, target)?;
    let roles = roles(settings, database_of_roles(settings, target, &site))?;
    let secret = plan.password.expose().as_str();
    let mut command = Doc::new()
        .text("createUser", &plan.handle)
        .text("pwd", secret)
        .docs("roles", roles.iter().map(Role::doc).collect())
        .json("mechanisms", &Value::from(vec!["SCRAM-SHA-256"]));
    if let Some(custom) = custom(settings)? {
        command = command.json("customData", &custom);
    }
    let command = bounded(command, scene.way);
    let making = async {
        let mut session = connect(&site, scene.way).await.map_err(not_reached)?;
        let Err(error) = session.ask(site.database(), command).await else { return Ok(()) };
        if error.is_answer() {
            // It may have been made where too few members know of it; the lease's end looks again.
            let _ = session.ask(site.database(), removal(&plan.handle, scene.way)).await;
        }
        Err(error.fault("making the user", Some(secret)))
    };
    timeout(scene.way.timeout, making).await.map_err(|_| late(&site))??;
    let mut value = Map::new();
    value.insert("user".to_owned(), plan.handle.as_str().into());
    value.insert("password".to_owned(), secret.into());
    Ok(Created { value, handle: None, ends: None, warnings: Vec::new() })
}

fn removal(handle: &str, way: &Way) -> Doc {
    bounded(Doc::new().text("dropUser", handle), way)
}

async fn revoked(scene: &Scene<'_>, handle: &str) -> Result<Vec<String>, Fault> {
    need_handle(handle)?;
    let site = site(scene.settings, scene.target.as_ref())?;
    let removing = async {
        let mut session = connect(&site, scene.way).await.map_err(not_reached)?;
        match session.ask(site.database(), removal(handle, scene.way)).await {
            Err(error) if !error.says_no_user() => Err(error.fault("removing the user", None)),
            _ => Ok(Vec::new()),
        }
    };
    timeout(scene.way.timeout, removing).await.map_err(|_| late(&site))?
}

pub(crate) fn late(site: &Site) -> Fault {
    Fault::unavailable(format!("{} does not answer in time; try again later", site.place()))
}
