//! Rights in projects: bindings of a role to a member, with a condition that is the lease's.
//!
//! A project's policy is read and written as a whole; Google refuses what was read before somebody
//! else's change (its etag).

use std::collections::BTreeMap;

use keysherd_base::{Fault, Timestamp};
use keysherd_wire::bad_setting;
use serde_json::{Value, json};

use super::fields::{PROJECT, ROLE_BINDING, ROLE_NAMES};
use crate::Settings;
use crate::google::Google;

/// Where policies of projects are.
const PROJECTS: &str = "cloudresourcemanager.googleapis.com";
/// How resources are named whole.
const WHOLE: &str = "//cloudresourcemanager.googleapis.com/projects/";
/// How often a policy that others change is read again.
const ATTEMPTS: usize = 5;
/// Most projects, and most roles of each.
const PROJECTS_MAX: usize = 20;
const ROLES_MAX: usize = 50;
/// How much longer than their lease rights would be there, in seconds, if nobody took them back:
/// leases can be prolonged.
const LONGER_SECONDS: i64 = 24 * 3_600;
/// How titles of conditions begin.
const TITLE: &str = "keysherd-";

/// Which roles in which projects.
pub(super) struct Grants(BTreeMap<String, Vec<String>>);

impl Grants {
    /// What the settings say: `role-binding`, or `role-names` in one project.
    pub(super) fn of(settings: &Settings, own: Option<&str>) -> Result<Self, Fault> {
        let field = ROLE_BINDING.name();
        let mut all = BTreeMap::new();
        if let Some(text) = settings.text(&ROLE_BINDING) {
            let want = "it must be JSON such as {\"projects/name\": [\"roles/viewer\"]}";
            let bad = || bad_setting(field, want);
            let given: BTreeMap<String, Vec<String>> =
                serde_json::from_str(text).map_err(|_| bad())?;
            for (resource, roles) in given {
                let name = resource.strip_prefix(WHOLE).unwrap_or(&resource);
                let name = name.strip_prefix("projects/").unwrap_or(name);
                need_roles(field, &roles)?;
                all.insert(need_project(field, name)?.to_owned(), roles);
            }
        }
        if let Some(text) = settings.text(&ROLE_NAMES) {
            let project = settings.text(&PROJECT).or(own);
            let missing = || Fault::bad_request("missing required field 'gcp-project-id'");
            let project = need_project(PROJECT.name(), project.ok_or_else(missing)?)?;
            let roles: Vec<_> = text.split(',').map(|role| role.trim().to_owned()).collect();
            need_roles(ROLE_NAMES.name(), &roles)?;
            all.entry(project.to_owned()).or_default().extend(roles);
        }
        if all.is_empty() || all.len() > PROJECTS_MAX {
            return Err(bad_setting(field, "it must name 1 to 20 projects, or role-names roles"));
        }
        Ok(Self(all))
    }

    /// What authors should know.
    pub(super) fn warning(&self) -> Option<String> {
        let wide = |role: &&String| role.ends_with("Admin") || role.ends_with(".admin");
        let wide = self.0.values().flatten().find(wide)?;
        Some(format!("the role {wide} allows to administer things; name what is needed"))
    }

    /// Gives them to a member.
    pub(super) async fn give(
        &self,
        google: &Google<'_>,
        member: &str,
        mark: &str,
        ends: Timestamp,
    ) -> Result<(), Fault> {
        let until = ends.plus_seconds(LONGER_SECONDS).rfc3339();
        let condition = json!({
            "title": format!("{TITLE}{mark}"),
            "expression": format!("request.time < timestamp(\"{until}\")"),
        });
        for (project, roles) in &self.0 {
            changed(google, project, |bindings| {
                bindings.retain(|binding| !is_of(binding, mark));
                for role in roles {
                    let (members, condition) = ([member], &condition);
                    let more = json!({"role": role, "members": members, "condition": condition});
                    bindings.push(more);
                }
                true
            })
            .await?;
        }
        Ok(())
    }

    /// Takes back what the lease with this mark gave.
    pub(super) async fn take(&self, google: &Google<'_>, mark: &str) -> Result<(), Fault> {
        for project in self.0.keys() {
            changed(google, project, |bindings| {
                let before = bindings.len();
                bindings.retain(|binding| !is_of(binding, mark));
                bindings.len() < before
            })
            .await?;
        }
        Ok(())
    }
}

/// Whether a binding is of the lease with this mark.
fn is_of(binding: &Value, mark: &str) -> bool {
    let title = binding.pointer("/condition/title").and_then(Value::as_str);
    title.and_then(|title| title.strip_prefix(TITLE)) == Some(mark)
}

/// Changes a project's bindings, unless `change` says that there is nothing to do.
async fn changed(
    google: &Google<'_>,
    project: &str,
    change: impl Fn(&mut Vec<Value>) -> bool,
) -> Result<(), Fault> {
    for attempt in 1..=ATTEMPTS {
        let what = format!("{project}:getIamPolicy");
        let body = json!({"options": {"requestedPolicyVersion": 3}});
        let reply = google.ask("POST", PROJECTS, &["v1", "projects", &what], body).await?;
        let reply = reply.done("reading the project's policy", &google.secrets())?;
        let mut policy = reply.json()?;
        let none = || Fault::unavailable("Google answers without a policy; try again");
        // What is written replaces everything: it must be known to be what was read. Google marks
        // an empty policy, too.
        if policy.get("etag").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(none());
        }
        let mut bindings = match policy["bindings"].take() {
            Value::Array(bindings) => bindings,
            Value::Null => Vec::new(),
            _ => return Err(none()),
        };
        if !change(&mut bindings) {
            return Ok(());
        }
        policy["bindings"] = bindings.into();
        // Of policies with conditions.
        policy["version"] = 3.into();
        let what = format!("{project}:setIamPolicy");
        let body = json!({"policy": policy});
        let reply = google.ask("POST", PROJECTS, &["v1", "projects", &what], body).await?;
        if reply.status() != 409 || attempt == ATTEMPTS {
            return reply.done("writing the project's policy", &google.secrets()).map(drop);
        }
    }
    Ok(())
}

/// A project's id, which must be one: it becomes a part of an address.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(super) fn need_project<'a>(field: &str, id: &'a str) -> Result<&'a str, Fault> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let fits = (4..=30).contains(&id.len()) && id.bytes().all(plain);
    fits.then_some(id).ok_or_else(|| bad_setting(field, "it must be the id of a project"))
}

fn need_roles(field: &str, roles: &[String]) -> Result<(), Fault> {
    if roles.is_empty() || roles.len() > ROLES_MAX {
        return Err(bad_setting(field, "it must name 1 to 50 roles of each project"));
    }
    for role in roles {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
        let begins = ["roles/", "projects/", "organizations/"];
        let fits = begins.iter().any(|begin| role.starts_with(begin)) && role.bytes().all(plain);
        if !fits || role.len() > 200 {
            return Err(bad_setting(field, "each role must be such as roles/storage.objectViewer"));
        }
        if ["roles/owner", "roles/editor", "roles/viewer"].contains(&role.as_str()) {
            let why = "owner, editor and viewer are never for a while at Google; name others";
            return Err(bad_setting(field, why));
        }
    }
    Ok(())
}
