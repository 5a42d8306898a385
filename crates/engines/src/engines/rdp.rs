//! Local users of Windows machines, made over SSH (OpenSSH for Windows). Or, for people who have a
//! local user already, a password for a while.
//!
//! Whose host key is not known gets nothing, as for passwords that rotate. The machine is told by
//! scripts of PowerShell whose input has the names and passwords (see [`crate::windows`]). A user
//! that is lent has the lease's mark as its description: who ends a lease leaves it alone once it
//! is lent to somebody else. Sessions end before their user does.

use keysherd_base::{Fault, SecretString};
use keysherd_targets::ssh::{Proof, connect};
use keysherd_targets::{Given, Named, Server, ssh_machine, ssh_proof, windows_account};
use keysherd_wire::{Args, Field, Int, bad_setting};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use self::fields::{ADMIN, ADMIN_PASSWORD, CLAIM, EXTEND, FIXED, GROUPS, HOST, KIND, PORT, WARN};
use crate::fields::need_type;
use crate::host_key::{self, read_host_keys};
use crate::member::{More, not_reached};
use crate::name::{marked, need_handle, unmarked, username};
use crate::password::Policy;
use crate::person::person;
use crate::windows::{Script, input, need_user};
use crate::{BoxFuture, Created, Engine, Kind, Plan, Scene, Settings, TargetUse, Wish};

mod fields;
#[cfg(test)]
mod tests;

/// How handles of users begin that are lent. Names of temporary ones have at most three characters
/// before the dot.
const LENT: &str = "lent.";
/// The group Remote Desktop Users, which is called otherwise in other languages.
const DESKTOP_USERS: &str = "S-1-5-32-555";
/// Those who may do everything.
const ADMINISTRATORS: [&str; 2] = ["administrators", "s-1-5-32-544"];
/// Most groups, and the longest name of one in characters (`GNLEN`).
const GROUPS_MAX: usize = 32;
const GROUP_CHARS_MAX: usize = 256;
/// Most minutes of a session: a week.
const MINUTES_MAX: i64 = 7 * 24 * 60;

/// The member.
pub(super) struct Rdp;

impl Engine for Rdp {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn check(
        &self,
        settings: &Settings,
        target: Option<&TargetUse<'_>>,
    ) -> Result<Vec<String>, Fault> {
        let plot = Plot::of(settings, target)?;
        KIND.check(settings)?;
        for field in [&EXTEND, &WARN] {
            check_minutes(settings, field)?;
        }
        let all = |group: &&String| ADMINISTRATORS.contains(&group.to_lowercase().as_str());
        let wide = plot.groups.iter().find(all);
        Ok(wide.map(|_| "users may do everything on the machine".to_owned()).into_iter().collect())
    }

    /// People who were lent leave the groups that they came into.
    fn found_by(&self, settings: &Settings) -> &'static [&'static str] {
        match settings.text(&FIXED) {
            Some("true") => &["fixed-user-only", "rdp-user-groups"],
            _ => &[],
        }
    }

    fn met<'a>(
        &'a self,
        scene: &'a Scene<'a>,
    ) -> BoxFuture<'a, Result<(Args, Vec<String>), Fault>> {
        Box::pin(async move {
            let plot = Plot::of(scene.settings, scene.target.as_ref())?;
            host_key::met(&plot.machine, scene.settings, scene.way).await
        })
    }

    fn plan(&self, scene: &Scene<'_>, wish: &Wish<'_>) -> Result<Plan, Fault> {
        let plot = Plot::of(scene.settings, scene.target.as_ref())?;
        let handle = match plot.fixed {
            false => {
                username(scene.settings, wish, scene.way, KIND.name_bytes_max)?.replace('@', "_")
            }
            true => {
                let claim = scene.settings.text(&CLAIM).unwrap_or("ext_username");
                let person = person(claim, wish)?;
                need_user(CLAIM.name(), person)?;
                plot.need_another(person)?;
                marked(&format!("{LENT}{person}"), wish.lease)
            }
        };
        let password = Policy::of(scene.settings)?.draw(scene.way.rng.as_ref())?;
        Ok(Plan { handle, password, more: More::default() })
    }

    fn create<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        plan: &'a Plan,
    ) -> BoxFuture<'a, Result<Created, Fault>> {
        Box::pin(async move {
            need_handle(&plan.handle)?;
            let plot = Plot::of(scene.settings, scene.target.as_ref())?;
            timeout(scene.way.timeout, created(&plot, scene, plan)).await.map_err(|_| late())?
        })
    }

    fn revoke<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        handle: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(async move {
            need_handle(handle)?;
            let plot = Plot::of(scene.settings, scene.target.as_ref())?;
            let removing = async {
                let mut session = plot.signed_in(scene).await?;
                let done = removed(&plot, scene, &mut session, handle).await;
                session.close().await;
                done.map(|()| Vec::new())
            };
            timeout(scene.way.timeout, removing).await.map_err(|_| late())?
        })
    }
}

fn late() -> Fault {
    Fault::unavailable("the machine does not answer in time; try again later")
}

fn check_minutes(settings: &Settings, field: &Field<Int>) -> Result<(), Fault> {
    match settings.int(field).is_none_or(|minutes| (0..=MINUTES_MAX).contains(&minutes)) {
        true => Ok(()),
        false => Err(bad_setting(field.name(), "it must be minutes, at most 10080")),
    }
}

/// What the settings say.
struct Plot {
    machine: Server,
    proof: Proof,
    known: Vec<String>,
    fixed: bool,
    groups: Vec<String>,
}

impl Plot {
    fn of(settings: &Settings, target: Option<&TargetUse<'_>>) -> Result<Self, Fault> {
        let (machine, proof) = match target {
            Some(target) => {
                need_type(&KIND, target)?;
                match target.type_name {
                    "windows" => {
                        let machine = windows_machine(settings, target.settings)?;
                        let (_, password) = machine.credentials()?;
                        let password = SecretString::new(password.expose().clone());
                        (machine, Proof::Password(password))
                    }
                    _ => (ssh_machine(target.settings)?, ssh_proof(target.settings)?),
                }
            }
            None => {
                let machine = ssh_server(
                    (Named::of(settings, &HOST), Named::of(settings, &PORT)),
                    (Named::of(settings, &ADMIN), Named::of(settings, &ADMIN_PASSWORD)),
                )?;
                machine.credentials()?;
                (machine, Proof::Password(settings.secret(&ADMIN_PASSWORD)?))
            }
        };
        let fixed = settings.choice(&FIXED, &["true", "false"], "false")? == "true";
        let groups = groups(settings, fixed)?;
        Ok(Self { machine, proof, known: read_host_keys(settings)?, fixed, groups })
    }

    fn admin(&self) -> Result<&str, Fault> {
        let missing = || Fault::bad_request("the target says not who signs in; give it a user");
        self.machine.user().ok_or_else(missing)
    }

    /// Refuses to lend whom the gateway signs in as: nobody could end that lease.
    fn need_another(&self, person: &str) -> Result<(), Fault> {
        let admin = self.admin()?;
        let local = admin.rsplit_once('\\').map_or(admin, |(_, local)| local);
        match local.to_lowercase() == person.to_lowercase() {
            false => Ok(()),
            true => Err(Fault::bad_request(
                "the claim names the administrator who makes users; that one is not lent",
            )),
        }
    }

    async fn signed_in(&self, scene: &Scene<'_>) -> Result<Session, Fault> {
        connect(&self.machine, &self.known, (self.admin()?, &self.proof), scene.way).await
    }

    async fn run(
        &self,
        session: &mut Session,
        (script, facts, what): (Script, Value, &str),
    ) -> Result<(), Fault> {
        let (input, place) = (input(facts), self.machine.place().to_string());
        let ended = session.run(&script.command(), &input).await?;
        Script::heard(&ended.output, what, &place)
    }
}

type Session = keysherd_targets::ssh::Session;

/// A machine that settings with these fields name. SSH encrypts by itself.
fn ssh_server(
    (host, port): (Named<'_>, Named<'_>),
    (user, password): (Named<'_>, Named<'_>),
) -> Result<Server, Fault> {
    Server::new(Given {
        host,
        port: port.or("22"),
        user,
        password,
        database: None,
        encrypted: Some(false),
        authority: Named::none("rdp-host-name"),
        name: None,
        identity: None,
    })
}

/// The machine of a target for WinRM, whose port is another one.
fn windows_machine(settings: &Settings, target: &Settings) -> Result<Server, Fault> {
    let [host, user, password] = windows_account(target);
    ssh_server((host, Named::of(settings, &PORT)), (user, password))
}

fn groups(settings: &Settings, fixed: bool) -> Result<Vec<String>, Fault> {
    let usual = if fixed { "" } else { DESKTOP_USERS };
    let text = settings.text(&GROUPS).unwrap_or(usual);
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let names: Vec<_> = names.map(str::to_owned).collect();
    let fits = |name: &String| {
        name.chars().count() <= GROUP_CHARS_MAX
            && !name.contains(|c: char| c.is_control() || "\"/\\[]:;|=+*?<>@".contains(c))
    };
    match names.len() <= GROUPS_MAX && names.iter().all(fits) {
        true => Ok(names),
        false => Err(bad_setting(
            GROUPS.name(),
            "it must be names of local groups, at most 32 with commas between them",
        )),
    }
}

async fn created(plot: &Plot, scene: &Scene<'_>, plan: &Plan) -> Result<Created, Fault> {
    let mut session = plot.signed_in(scene).await.map_err(not_reached)?;
    let (name, mark) = parts(&plan.handle);
    let password = plan.password.expose().as_str();
    let facts = json!({"name": name, "password": password, "groups": plot.groups, "mark": mark});
    let (script, what) = match mark.is_empty() {
        true => (Script::Make, "making the user"),
        false => (Script::Lend, "letting the user in"),
    };
    if let Err(fault) = plot.run(&mut session, (script, facts, what)).await {
        // What is left all the same is removed when the lease ends.
        let left = removed(plot, scene, &mut session, &plan.handle).await.err();
        session.close().await;
        return Err(left.map_or(fault.clone(), |left| fault.with_private(left)));
    }
    session.close().await;
    let mut value = Map::new();
    value.insert("user".to_owned(), name.into());
    value.insert("password".to_owned(), password.into());
    Ok(Created { value, handle: None, ends: None, warnings: Vec::new() })
}

async fn removed(
    plot: &Plot,
    scene: &Scene<'_>,
    session: &mut Session,
    handle: &str,
) -> Result<(), Fault> {
    let (name, mark) = parts(handle);
    if mark.is_empty() {
        let facts = json!({"name": name});
        return plot.run(session, (Script::Remove, facts, "removing the user")).await;
    }
    plot.need_another(name)?;
    let nobodys = Policy::of(scene.settings)?.draw(scene.way.rng.as_ref())?;
    let password = nobodys.expose().as_str();
    let facts = json!({"name": name, "password": password, "groups": plot.groups, "mark": mark});
    plot.run(session, (Script::Return, facts, "taking the user's password")).await
}

/// The user of a handle, and for one that is lent the mark of the lease.
fn parts(handle: &str) -> (&str, &str) {
    match unmarked(handle).strip_prefix(LENT) {
        None => (handle, ""),
        Some(name) => (name, &handle[unmarked(handle).len() + 1..]),
    }
}
