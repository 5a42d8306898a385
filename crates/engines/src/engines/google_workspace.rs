//! Google Workspace: a place in a group or a role of administrators, for people who are there. The
//! tests have a stand-in for the service.
//!
//! The service account acts in the name of an administrator, who allowed it for its whole domain.

use keysherd_base::{Fault, SecretString};
use keysherd_targets::gcp::key as key_of;
use keysherd_targets::google::{GoogleKey, is_account};
use keysherd_wire::{Field, Group, Text, bad_setting};
use serde_json::{Map, Value, json};

use crate::fields::{KEY_NAME, REMOTE_WORKSPACE, USER_TTL, need_type};
use crate::google::Google;
use crate::member::{More, not_reached};
use crate::name::{marked, need_handle, unmarked};
use crate::person::person;
use crate::{BoxFuture, Created, Engine, Kind, Plan, Scene, Settings, Spelling, TargetUse, Wish};

#[cfg(test)]
mod tests;

const MODE: Field<Text> = Field::text("access-mode", "What people get: group or role.").required();
const ADMIN: Field<Text> =
    Field::text("admin-email", "The administrator in whose name it is done.").required();
const CLAIM: Field<Text> =
    Field::text("fixed-user-claim-keyname", "The claim of the caller that says who it is.")
        .default("ext_email");
const KEY: Field<Text> = Field::text(
    "gcp-key",
    "The key of a service account, without a target: JSON, or that in base64.",
)
.secret();
const GROUP: Field<Text> = Field::text("group-email", "The group, with access-mode group.");
const GROUP_ROLE: Field<Text> =
    Field::text("group-role", "What they are in the group: MEMBER, MANAGER or OWNER.")
        .default("MEMBER");
const ROLE: Field<Text> = Field::text("role-name", "The role, with access-mode role.");
const ROLE_SCOPE: Field<Text> =
    Field::text("role-scope", "Where it is good: CUSTOMER, which is everywhere.")
        .default("CUSTOMER");

static KIND: Kind = Kind {
    name: "google-workspace",
    what: "Google Workspace",
    targets: &["gcp"],
    create: &[Spelling::current(
        "dynamic-secret-create-google-workspace",
        "DynamicSecretCreateGoogleWorkspace",
        "DynamicSecretCreateOutput",
    )],
    update: &[Spelling::current(
        "dynamic-secret-update-google-workspace",
        "DynamicSecretUpdateGoogleWorkspace",
        "DynamicSecretUpdateOutput",
    )],
    name_bytes_max: 128,
    fields: &Group {
        title: "Google Workspace",
        fields: &[
            MODE.spec(),
            ADMIN.spec(),
            GROUP.spec(),
            GROUP_ROLE.spec(),
            ROLE.spec(),
            ROLE_SCOPE.spec(),
            CLAIM.spec(),
            USER_TTL.spec(),
            KEY.spec(),
        ],
    },
    remote: &REMOTE_WORKSPACE,
    ttl: USER_TTL,
    ttl_default: "60m",
    key: KEY_NAME,
    // What was given is taken back by the same administrator, from the same group.
    whereabouts: &["admin-email", "group-email"],
    details: &[
        ("google_workspace_access_mode", "access-mode"),
        ("google_workspace_admin_name", "admin-email"),
        ("google_workspace_group_name", "group-email"),
        ("google_workspace_group_role", "group-role"),
        ("google_workspace_role_name", "role-name"),
        ("google_workspace_role_scope", "role-scope"),
        ("google_workspace_fixed_user_name_sub_claim_key", "fixed-user-claim-keyname"),
    ],
    json_details: &[],
    wrapped: true,
};

/// Where it is, and how paths begin.
const HOST: &str = "admin.googleapis.com";
const API: [&str; 3] = ["admin", "directory", "v1"];
const CUSTOMER: [&str; 2] = ["customer", "my_customer"];
const GROUP_SCOPES: &str = "https://www.googleapis.com/auth/admin.directory.group.member";
const ROLE_SCOPES: &str = "https://www.googleapis.com/auth/admin.directory.rolemanagement \
                           https://www.googleapis.com/auth/admin.directory.user.readonly";
const GROUP_ROLES: [&str; 3] = ["MEMBER", "MANAGER", "OWNER"];
/// How handles begin: of places in groups, and of roles before Google numbered them and afterwards.
const PLACE: &str = "group.";
const ROLED: &str = "role.";
const ROLE_ID: &str = "roleid.";

/// The member.
pub(super) struct Workspace;

impl Engine for Workspace {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn check(
        &self,
        settings: &Settings,
        target: Option<&TargetUse<'_>>,
    ) -> Result<Vec<String>, Fault> {
        settings.need(&MODE)?;
        KIND.check(settings)?;
        admin(settings)?;
        let mut warnings = Vec::new();
        if mode(settings)? == PLACE {
            group(settings)?;
            settings.choice(&GROUP_ROLE, &GROUP_ROLES, GROUP_ROLES[0])?;
        } else {
            let role = settings.need(&ROLE)?;
            settings.choice(&ROLE_SCOPE, &["CUSTOMER"], "CUSTOMER")?;
            let wide = role == "_SEED_ADMIN_ROLE";
            warnings.extend(wide.then(|| "the role allows everything there is".to_owned()));
        }
        own_key(settings, target)?;
        Ok(warnings)
    }

    fn plan(&self, scene: &Scene<'_>, wish: &Wish<'_>) -> Result<Plan, Fault> {
        let claim = scene.settings.text(&CLAIM).unwrap_or("ext_email");
        let person = person(claim, wish)?;
        if !is_account(person) {
            let text = format!("the claim '{claim}' has no address of an account of Google");
            return Err(Fault::bad_request(text));
        }
        Ok(Plan {
            handle: marked(&format!("{}{person}", mode(scene.settings)?), wish.lease),
            password: SecretString::new(String::new()),
            more: More::default(),
        })
    }

    fn create<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        plan: &'a Plan,
    ) -> BoxFuture<'a, Result<Created, Fault>> {
        Box::pin(async move {
            need_handle(&plan.handle)?;
            let making = created(scene, &plan.handle);
            tokio::time::timeout(scene.way.timeout, making).await.unwrap_or_else(|_| Err(late()))
        })
    }

    fn revoke<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        handle: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(async move {
            need_handle(handle)?;
            let removing = removed(scene, handle);
            tokio::time::timeout(scene.way.timeout, removing).await.unwrap_or_else(|_| Err(late()))
        })
    }
}

fn late() -> Fault {
    Fault::unavailable("Google does not answer in time; try again later")
}

/// What is given by the settings, as handles begin.
fn mode(settings: &Settings) -> Result<&'static str, Fault> {
    Ok(match settings.choice(&MODE, &["group", "role"], "group")? {
        "role" => ROLED,
        _ => PLACE,
    })
}

fn admin(settings: &Settings) -> Result<&str, Fault> {
    address(&ADMIN, settings.need(&ADMIN)?)
}

fn group(settings: &Settings) -> Result<&str, Fault> {
    address(&GROUP, settings.need(&GROUP)?)
}

fn address<'a>(field: &Field<Text>, text: &'a str) -> Result<&'a str, Fault> {
    is_account(text).then_some(text).ok_or_else(|| bad_setting(field.name(), "it is no address"))
}

fn own_key(settings: &Settings, target: Option<&TargetUse<'_>>) -> Result<GoogleKey, Fault> {
    match target {
        Some(target) => {
            need_type(&KIND, target)?;
            key_of(target.settings)
        }
        None => GoogleKey::by(settings, &KEY),
    }
}

async fn opened<'a>(scene: &Scene<'a>, scopes: &str) -> Result<Google<'a>, Fault> {
    let key = own_key(scene.settings, scene.target.as_ref())?;
    Google::open(key, scopes, Some(admin(scene.settings)?), scene.way).await
}

fn path<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    [&API[..], rest].concat()
}

async fn created(scene: &Scene<'_>, handle: &str) -> Result<Created, Fault> {
    let mut created = Created { value: Map::new(), handle: None, ends: None, warnings: Vec::new() };
    let there = || not_reached(Fault::conflict("the caller has it already, and keeps it"));
    if let Some(person) = unmarked(handle).strip_prefix(PLACE) {
        let google = opened(scene, GROUP_SCOPES).await.map_err(not_reached)?;
        let role = scene.settings.choice(&GROUP_ROLE, &GROUP_ROLES, GROUP_ROLES[0])?;
        let members = path(&["groups", group(scene.settings)?, "members"]);
        // An answer that is lost does not say whether they were there before: the lease's end would
        // take away what they had.
        let own = [&members[..], &[person]].concat();
        let looked = google.look(HOST, &own, &[]).await.map_err(not_reached)?;
        if looked.status() == 200 {
            return Err(there());
        } else if looked.status() != 404 {
            let looked = looked.done("looking for the caller in the group", &google.secrets());
            return Err(not_reached(looked.err().unwrap_or_else(late)));
        }
        let body = json!({"email": person, "role": role});
        let reply = google.ask("POST", HOST, &members, body).await?;
        if reply.status() == 409 {
            return Err(there());
        }
        reply.done("putting the caller into the group", &google.secrets())?;
        created.value.insert("user".to_owned(), person.into());
        return Ok(created);
    }
    let unknown = || Fault::internal("a lease has a handle that no plan made");
    let person = unmarked(handle).strip_prefix(ROLED).ok_or_else(unknown)?;
    let google = opened(scene, ROLE_SCOPES).await.map_err(not_reached)?;
    let role = role_id(&google, scene.settings.need(&ROLE)?).await.map_err(not_reached)?;
    let user = user_id(&google, person).await.map_err(not_reached)?;
    let body = json!({"roleId": role, "assignedTo": user, "scopeType": "CUSTOMER"});
    let assignments = path(&[&CUSTOMER[..], &["roleassignments"]].concat());
    let reply = google.ask("POST", HOST, &assignments, body).await?;
    if reply.status() == 409 {
        return Err(there());
    }
    let answer = reply.done("giving the caller the role", &google.secrets())?.json()?;
    let id = number(&answer["roleAssignmentId"]);
    let id = id.ok_or_else(|| Fault::unavailable("Google answers with no number; try again"))?;
    let mark = handle.rsplit_once('.').map_or("", |(_, mark)| mark);
    created.handle = Some(format!("{ROLE_ID}{id}.{mark}"));
    created.value.insert("user".to_owned(), person.into());
    Ok(created)
}

async fn removed(scene: &Scene<'_>, handle: &str) -> Result<Vec<String>, Fault> {
    let (rest, scopes) = (unmarked(handle), GROUP_SCOPES);
    let (google, path) = if let Some(person) = rest.strip_prefix(PLACE) {
        let google = opened(scene, scopes).await?;
        (google, path(&["groups", group(scene.settings)?, "members", person]))
    } else if let Some(id) = rest.strip_prefix(ROLE_ID).filter(|id| is_number(id)) {
        let google = opened(scene, ROLE_SCOPES).await?;
        (google, path(&[&CUSTOMER[..], &["roleassignments", id]].concat()))
    } else if rest.starts_with(ROLED) {
        return Ok(vec![
            "a role may have been given that nobody heard of; look at what the caller has"
                .to_owned(),
        ]);
    } else {
        return Err(Fault::internal("a lease has a handle that no plan made"));
    };
    let reply = google.ask("DELETE", HOST, &path, Value::Null).await?;
    if reply.status() != 404 {
        reply.done("taking it back", &google.secrets())?;
    }
    Ok(Vec::new())
}

/// The number of a role by its name, of the first hundred there are.
async fn role_id(google: &Google<'_>, name: &str) -> Result<String, Fault> {
    let roles = path(&[&CUSTOMER[..], &["roles"]].concat());
    let reply = google.look(HOST, &roles, &[("maxResults", "100")]).await?;
    let answer = reply.done("looking for the role", &google.secrets())?.json()?;
    let items = answer["items"].as_array();
    let mut found = items.into_iter().flatten().filter(|item| item["roleName"] == name);
    let id = found.next().and_then(|item| number(&item["roleId"]));
    id.ok_or_else(|| bad_setting(ROLE.name(), "Google Workspace has no such role"))
}

async fn user_id(google: &Google<'_>, person: &str) -> Result<String, Fault> {
    let reply = google.look(HOST, &path(&["users", person]), &[]).await?;
    let answer = reply.done("looking for the caller", &google.secrets())?.json()?;
    let id = number(&answer["id"]);
    id.ok_or_else(|| Fault::unavailable("Google answers with no number; try again"))
}

/// A number, which Google writes as a text.
fn number(value: &Value) -> Option<String> {
    value.as_str().filter(|text| is_number(text)).map(str::to_owned)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 40 && text.bytes().all(|b| b.is_ascii_digit())
}
