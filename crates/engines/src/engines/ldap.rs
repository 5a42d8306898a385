//! Entries in directories: OpenLDAP and what behaves as it does, and Active Directory. Or, for
//! people who have an entry already, a place in a group for a while.
//!
//! An entry is made first, gets its password from the directory itself (so that it is kept as the
//! directory keeps passwords), and a place in the group last. Removing begins with the entry, too.

use std::sync::atomic::{AtomicBool, Ordering};

use keysherd_base::{Fault, Secret, SecretString};
use keysherd_targets::ldap::{
    Directory, DirectoryGiven, Session, code, dn_escape, need_dn, within,
};
use keysherd_targets::{Named, ldap_directory, ldap_is_active_directory};
use keysherd_wire::bad_setting;
use serde_json::Map;

use self::fields::{
    AUTHORITY, BIND_DN, BIND_PASSWORD, CLAIM, EXTERNAL, GROUP_DN, KIND, URL, USER_ATTRIBUTE,
    USER_DN,
};
use crate::fields::need_type;
use crate::member::{More, not_reached};
use crate::name::{marked, need_handle, unmarked, username};
use crate::password::Policy;
use crate::person::person;
use crate::{BoxFuture, Created, Engine, Kind, Plan, Scene, Settings, TargetUse, Wish};

mod fields;
#[cfg(test)]
pub(crate) mod tests;

/// Longest name of a user of Active Directory, in bytes (`sAMAccountName` of users).
const WINDOWS_NAME_BYTES_MAX: usize = 20;
/// How handles of places in a group begin.
const PLACE: &str = "in.";
/// `userAccountControl` of somebody ordinary.
const NORMAL_ACCOUNT: &[u8] = b"512";

/// The member.
pub(super) struct Ldap;

impl Engine for Ldap {
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
        if plot.external && plot.group.is_none() {
            return Err(bad_setting(
                GROUP_DN.name(),
                "with external-username it must say which group people are in for a while",
            ));
        }
        Ok(plot.directory.server().warning().into_iter().collect())
    }

    /// Entries are removed where they were made, and people leave the group that they came into.
    fn found_by(&self, settings: &Settings) -> &'static [&'static str] {
        match settings.text(&EXTERNAL) {
            Some("true") => &["user-dn", "user-attribute", "external-username", "group-dn"],
            _ => &["user-dn", "user-attribute", "external-username"],
        }
    }

    fn plan(&self, scene: &Scene<'_>, wish: &Wish<'_>) -> Result<Plan, Fault> {
        let plot = Plot::of(scene.settings, scene.target.as_ref())?;
        let mut plan = Plan {
            handle: String::new(),
            password: SecretString::new(String::new()),
            more: More::default(),
        };
        if plot.external {
            let claim = scene.settings.text(&CLAIM).unwrap_or("ext_username");
            plan.handle = marked(&format!("{PLACE}{}", person(claim, wish)?), wish.lease);
            return Ok(plan);
        }
        let most = if plot.windows { WINDOWS_NAME_BYTES_MAX } else { KIND.name_bytes_max };
        plan.handle = username(scene.settings, wish, scene.way, most)?;
        plan.password = Policy::of(scene.settings)?.draw(scene.way.rng.as_ref())?;
        Ok(plan)
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

/// What the settings say.
struct Plot<'a> {
    directory: Directory,
    windows: bool,
    external: bool,
    base: &'a str,
    attribute: &'a str,
    group: Option<&'a str>,
}

impl<'a> Plot<'a> {
    fn of(settings: &'a Settings, target: Option<&TargetUse<'_>>) -> Result<Self, Fault> {
        let (directory, windows) = match target {
            Some(target) => {
                need_type(&KIND, target)?;
                let windows = ldap_is_active_directory(target.settings)?;
                (ldap_directory(target.settings)?, windows)
            }
            None => {
                let given = DirectoryGiven {
                    url: Named::of(settings, &URL),
                    bind_dn: Named::of(settings, &BIND_DN),
                    password: Named::of(settings, &BIND_PASSWORD),
                    authority: Named::of(settings, &AUTHORITY),
                };
                settings.need(&BIND_PASSWORD)?;
                (Directory::new(given)?, false)
            }
        };
        let attribute = attribute_of(settings)?;
        let external = settings.choice(&EXTERNAL, &["true", "false"], "false")? == "true";
        let group = settings.text(&GROUP_DN).map(|_| need_dn(settings, &GROUP_DN)).transpose()?;
        let base = need_dn(settings, &USER_DN)?;
        Ok(Self { directory, windows, external, base, attribute, group })
    }

    fn dn_of(&self, name: &str) -> String {
        // Active Directory names users by nothing else.
        let attribute = if self.windows { "cn" } else { self.attribute };
        format!("{attribute}={},{}", dn_escape(name), self.base)
    }
}

/// The attribute that names an entry.
pub(crate) fn attribute_of(settings: &Settings) -> Result<&str, Fault> {
    let attribute = settings.text(&USER_ATTRIBUTE).unwrap_or("cn");
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if attribute.bytes().all(plain) {
        return Ok(attribute);
    }
    let want = "it must be the name of an attribute, such as cn or uid";
    Err(bad_setting(USER_ATTRIBUTE.name(), want))
}

async fn created(scene: &Scene<'_>, plan: &Plan) -> Result<Created, Fault> {
    need_handle(&plan.handle)?;
    let plot = Plot::of(scene.settings, scene.target.as_ref())?;
    // Whether the directory was asked to change anything: if not, there is nothing to take back.
    let asked = AtomicBool::new(false);
    let making = async {
        let mut session = plot.directory.connect(scene.way).await?;
        let done = match plot.external {
            true => admit(&plot, &mut session, &plan.handle, &asked).await,
            false => {
                asked.store(true, Ordering::Relaxed);
                enter(&plot, &mut session, plan).await
            }
        };
        session.close().await;
        done
    };
    let made = within(&plot.directory, scene.way, making).await;
    made.map_err(|fault| match asked.load(Ordering::Relaxed) {
        true => fault,
        false => not_reached(fault),
    })?;
    let mut value = Map::new();
    let user = match plot.external {
        true => person_of(&plan.handle),
        false => {
            value.insert("password".to_owned(), plan.password.expose().as_str().into());
            plan.handle.as_str()
        }
    };
    value.insert("user".to_owned(), user.into());
    Ok(Created { value, handle: None, ends: None, warnings: Vec::new() })
}

async fn revoked(scene: &Scene<'_>, handle: &str) -> Result<Vec<String>, Fault> {
    need_handle(handle)?;
    let plot = Plot::of(scene.settings, scene.target.as_ref())?;
    let removing = async {
        let mut session = plot.directory.connect(scene.way).await?;
        let done = match plot.external {
            true => dismiss(&plot, &mut session, handle).await,
            false => leave(&plot, &mut session, handle).await,
        };
        session.close().await;
        done
    };
    within(&plot.directory, scene.way, removing).await
}

/// Makes an entry.
async fn enter(plot: &Plot<'_>, session: &mut Session, plan: &Plan) -> Result<(), Fault> {
    let (name, dn) = (plan.handle.as_str(), plot.dn_of(&plan.handle));
    let secret = plan.password.expose().as_str();
    let made = if plot.windows {
        let coded = windows_password(secret);
        let principal = format!("{name}@{}", domain_of(plot.base));
        let mut attributes: Vec<(&str, Vec<&[u8]>)> = vec![
            ("objectClass", vec![b"top", b"person", b"organizationalPerson", b"user"]),
            ("sAMAccountName", vec![name.as_bytes()]),
            ("userPrincipalName", vec![principal.as_bytes()]),
            ("unicodePwd", vec![coded.expose()]),
            ("userAccountControl", vec![NORMAL_ACCOUNT]),
        ];
        with_name(&mut attributes, plot.attribute, name);
        session.add(&dn, &attributes, &[secret]).await
    } else {
        let mut attributes: Vec<(&str, Vec<&[u8]>)> = vec![
            ("objectClass", vec![b"top", b"person", b"organizationalPerson", b"inetOrgPerson"]),
            ("sn", vec![name.as_bytes()]),
        ];
        for attribute in ["cn", "uid", plot.attribute] {
            with_name(&mut attributes, attribute, name);
        }
        session.add(&dn, &attributes, &[secret]).await
    };
    made?;
    let rest = async {
        if !plot.windows {
            session.set_password(&dn, &plan.password).await?;
        }
        match plot.group {
            // Who is in it already is this very entry.
            Some(group) => {
                let (attribute, value) = member(session, group, &dn, name).await?;
                join(session, group, attribute, value).await.map(|_| ())
            }
            None => Ok(()),
        }
    };
    let Err(fault) = rest.await else { return Ok(()) };
    // What is left all the same is removed when the lease ends.
    let left = leave(plot, session, &plan.handle).await.err();
    Err(left.map_or(fault.clone(), |left| fault.with_private(left)))
}

/// The attribute with the name, unless it is there.
fn with_name<'a>(
    attributes: &mut Vec<(&'a str, Vec<&'a [u8]>)>,
    attribute: &'a str,
    name: &'a str,
) {
    if !attributes.iter().any(|(there, _)| there.eq_ignore_ascii_case(attribute)) {
        attributes.push((attribute, vec![name.as_bytes()]));
    }
}

/// Removes an entry, and its name from the group, which not every directory does by itself. The
/// entry goes first: whatever the group says, nobody signs in with it any more.
async fn leave(plot: &Plot<'_>, session: &mut Session, handle: &str) -> Result<Vec<String>, Fault> {
    let dn = plot.dn_of(handle);
    let deleted = match session.delete(&dn).await {
        Err(refusal) if refusal.code == code::NO_SUCH_OBJECT => Ok(()),
        done => done.map_err(Fault::from),
    };
    let forgotten = match plot.group {
        Some(group) => forget(session, group, &dn, handle).await,
        None => Ok(Vec::new()),
    };
    deleted.and(forgotten)
}

/// Takes the name of a removed entry out of a group. A group that is gone has none.
async fn forget(
    session: &mut Session,
    group: &str,
    dn: &str,
    name: &str,
) -> Result<Vec<String>, Fault> {
    if session.read(group, "objectClass").await?.is_none() {
        return Ok(Vec::new());
    }
    let (attribute, value) = member(session, group, dn, name).await?;
    Ok(match part(session, group, attribute, value).await? {
        Parted::Out | Parted::Unseen => Vec::new(),
        Parted::Last => vec![format!(
            "{name} is the last member of the group, which cannot be without one; the entry's \
             name stays in it"
        )],
    })
}

/// Puts somebody who has an entry into the group, where they are not: at its end the lease would
/// take away what they had, or what another lease gave them.
async fn admit(
    plot: &Plot<'_>,
    session: &mut Session,
    handle: &str,
    asked: &AtomicBool,
) -> Result<(), Fault> {
    let there = || not_reached(Fault::conflict("the caller has it already, and keeps it"));
    let (name, group) = (person_of(handle), plot.group.unwrap_or_default());
    let found = entries_of(plot, session, name).await?;
    let [dn] = found.as_slice() else {
        let none = "the directory has no entry, or several, of the caller's name";
        return Err(Fault::bad_request(none));
    };
    let (attribute, value) = member(session, group, dn, name).await?;
    // An answer that is lost does not say whether they were there before.
    if !session.find(group, attribute, value).await?.is_empty() {
        return Err(there());
    }
    asked.store(true, Ordering::Relaxed);
    join(session, group, attribute, value).await?.then_some(()).ok_or_else(there)
}

/// Takes them out of it again. Whoever is not found by the name any more, or is not alone with it,
/// may be in the group all the same: that is no end.
async fn dismiss(
    plot: &Plot<'_>,
    session: &mut Session,
    handle: &str,
) -> Result<Vec<String>, Fault> {
    let (name, group) = (person_of(handle), plot.group.unwrap_or_default());
    let found = entries_of(plot, session, name).await?;
    let dn = found.first().filter(|_| found.len() == 1).map_or("", String::as_str);
    let (attribute, value) = member(session, group, dn, name).await?;
    if value.is_empty() {
        return Err(Fault::conflict(format!(
            "the directory has no entry, or several, of {name}, who may still be in the group; \
             look who is in it, and delete the credential again, or with --soft-delete"
        )));
    }
    match part(session, group, attribute, value).await? {
        Parted::Out => Ok(Vec::new()),
        Parted::Unseen => Err(no_group()),
        Parted::Last => Err(Fault::conflict(format!(
            "{name} is the last member of the group, which cannot be without one; put another \
             into it"
        ))),
    }
}

/// The name of the person in the handle of a place in a group.
fn person_of(handle: &str) -> &str {
    unmarked(handle).strip_prefix(PLACE).unwrap_or_default()
}

/// The names of the entries of somebody; at most two.
async fn entries_of(
    plot: &Plot<'_>,
    session: &mut Session,
    name: &str,
) -> Result<Vec<String>, Fault> {
    if name.is_empty() {
        return Err(Fault::internal("a lease has a handle that no plan made"));
    }
    session.find(plot.base, plot.attribute, name).await
}

/// What a group calls its members, and how it calls this one.
async fn member<'a>(
    session: &mut Session,
    group: &str,
    dn: &'a str,
    name: &'a str,
) -> Result<(&'static str, &'a str), Fault> {
    let classes = session.read(group, "objectClass").await?.ok_or_else(no_group)?;
    let is = |wanted: &str| classes.iter().any(|class| class.eq_ignore_ascii_case(wanted));
    Ok(match (is("posixGroup") && !is("groupOfNames"), is("groupOfUniqueNames")) {
        (true, _) => ("memberUid", name),
        (_, true) => ("uniqueMember", dn),
        _ => ("member", dn),
    })
}

fn no_group() -> Fault {
    bad_setting(GROUP_DN.name(), "the directory has no such group, or does not show it")
}

/// Whether they came into it; otherwise they were there.
async fn join(
    session: &mut Session,
    group: &str,
    attribute: &str,
    value: &str,
) -> Result<bool, Fault> {
    match session.set_value(group, attribute, value, true).await {
        Err(refusal) if matches!(refusal.code, code::VALUE_EXISTS | code::ENTRY_EXISTS) => {
            Ok(false)
        }
        done => Ok(done.map(|()| true)?),
    }
}

/// Where somebody is who was to leave a group.
enum Parted {
    /// Not in it.
    Out,
    /// There is no such group, or whoever signs in may not see it.
    Unseen,
    /// Still in it, as it cannot be without members.
    Last,
}

async fn part(
    session: &mut Session,
    group: &str,
    attribute: &str,
    value: &str,
) -> Result<Parted, Fault> {
    let Err(refusal) = session.set_value(group, attribute, value, false).await else {
        return Ok(Parted::Out);
    };
    match refusal.code {
        code::NO_SUCH_ATTRIBUTE => Ok(Parted::Out),
        // Not in it, or kept in it: only a look tells.
        code::UNWILLING if session.find(group, attribute, value).await?.is_empty() => {
            Ok(Parted::Out)
        }
        code::NO_SUCH_OBJECT => Ok(Parted::Unseen),
        code::CLASS_VIOLATION => Ok(Parted::Last),
        _ => Err(refusal.fault),
    }
}

/// A password as Active Directory takes it: in quotes, UTF-16 with the small byte first.
pub(crate) fn windows_password(password: &str) -> Secret<Vec<u8>> {
    let mut coded = Secret::new(Vec::with_capacity(2 * (password.len() + 2)));
    for unit in ['"'].into_iter().chain(password.chars()).chain(['"']) {
        let mut units = [0; 2];
        for unit in unit.encode_utf16(&mut units) {
            coded.expose_mut().extend(unit.to_le_bytes());
        }
    }
    coded
}

/// The domain that a distinguished name is in: `dc=a,dc=b` is `a.b`.
fn domain_of(dn: &str) -> String {
    let parts = dn.split(',').filter_map(|part| part.split_once('='));
    let parts = parts.filter(|(name, _)| name.trim().eq_ignore_ascii_case("dc"));
    parts.map(|(_, value)| value.trim()).collect::<Vec<_>>().join(".")
}
