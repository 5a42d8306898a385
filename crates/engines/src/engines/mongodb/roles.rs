//! The roles of a user, as people write them: a JSON list, or the looser one that examples for this
//! command have (`[{role:readWrite, db: sales}]`).

use keysherd_base::Fault;
use keysherd_targets::mongodb::Doc;
use keysherd_wire::{Settings, bad_setting};
use serde_json::Value;

use super::fields::ROLES;

/// Most roles, longest text with them, and longest name of a role or a database, in bytes.
const ROLES_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 16 << 10;
const NAME_BYTES_MAX: usize = 128;

/// Roles that are as good as everything, with what they do.
const WIDE: &[(&str, &str)] = &[
    ("__system", "may do everything"),
    ("clusterAdmin", "administers the whole cluster"),
    ("clusterManager", "administers the whole cluster"),
    ("dbAdminAnyDatabase", "administers every database"),
    ("dbOwner", "makes users and gives itself rights"),
    ("readAnyDatabase", "reads every database"),
    ("readWriteAnyDatabase", "changes every database"),
    ("restore", "changes every database, users included"),
    ("root", "may do everything"),
    ("userAdmin", "makes users and gives itself rights"),
    ("userAdminAnyDatabase", "makes users and gives itself rights"),
];

/// A role in a database.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Role {
    name: String,
    database: String,
}

impl Role {
    /// As commands have it.
    pub(super) fn doc(&self) -> Doc {
        Doc::new().text("role", &self.name).text("db", &self.database)
    }

    /// What the author should know.
    pub(super) fn warning(&self) -> Option<String> {
        let known = WIDE.iter().find(|(wide, _)| *wide == self.name);
        known.map(|(wide, does)| {
            format!("whoever has the role '{wide}' {does}; name what is needed")
        })
    }
}

/// The roles that the settings name; those without a database are in `database`.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(super) fn roles(settings: &Settings, database: &str) -> Result<Vec<Role>, Fault> {
    let bad = |why: &str| bad_setting(ROLES.name(), why);
    let text = settings.text(&ROLES).unwrap_or("[]");
    let wanted = "it must be a JSON list such as [{\"role\": \"read\", \"db\": \"sales\"}]";
    if text.len() > TEXT_BYTES_MAX {
        return Err(bad("it is longer than 16 KiB"));
    }
    let strict = serde_json::from_str::<Vec<Value>>(text).ok();
    let listed = strict.or_else(|| yaml_serde::from_str(&spaced(text)).ok());
    let listed = listed.ok_or_else(|| bad(wanted))?;
    if listed.len() > ROLES_MAX {
        return Err(bad("it has more than 64 roles"));
    }
    let role = |value: &Value| {
        let (name, database) = match value {
            Value::String(name) => (name.as_str(), database),
            Value::Object(members) => {
                let known = ["role", "roleName", "db", "databaseName"];
                if members.keys().any(|name| !known.contains(&name.as_str())) {
                    return Err(bad("a role has role and db, and nothing else"));
                }
                let of = |names: [&str; 2]| names.iter().find_map(|name| members.get(*name));
                let name = of(["role", "roleName"]).and_then(Value::as_str);
                let database = match of(["db", "databaseName"]) {
                    None => database,
                    Some(value) => value.as_str().ok_or_else(|| bad(wanted))?,
                };
                (name.ok_or_else(|| bad(wanted))?, database)
            }
            _ => return Err(bad(wanted)),
        };
        let fits = |text: &str| {
            (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
        };
        match fits(name) && fits(database) {
            true => Ok(Role { name: name.to_owned(), database: database.to_owned() }),
            false => Err(bad("a role or its database is empty or no name")),
        }
    };
    listed.iter().map(role).collect()
}

/// The same with a space after each colon, which YAML wants.
fn spaced(text: &str) -> String {
    text.replace(':', ": ")
}
