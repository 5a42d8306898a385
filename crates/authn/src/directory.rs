//! Asking a directory who somebody is: find the entry, bind as it where a password is to be
//! checked, read groups. What members that ask one share.
//!
//! No password is tried under a name that control's login guard was not asked about: when the
//! entry has another name than was typed, the guard is asked again in between. For a name that
//! nobody has, the directory is asked as much as for others, so that the time does not tell.

use std::future::Future;
use std::time::Duration;

use keysherd_base::limits::CLAIM_VALUE_BYTES_MAX;
use keysherd_base::{AccessId, Fault, SecretString};
use keysherd_domain::claims::SubClaims;
use keysherd_egress::ldap::sensible;
use ldap3::{Ldap, LdapError, LdapResult, Scope, SearchEntry, SearchOptions};

use crate::outward::{ANSWER_PATIENCE, Outward};
use crate::{Desk, Entrant, VALUES_MAX, folded};

mod config;
mod read;
mod session;

pub use config::Directory;

/// How long everything together may take.
const LOGIN_PATIENCE: Duration = Duration::from_secs(10);
/// Most groups that are asked for.
const GROUPS_MAX: i32 = 1_000;
/// The attribute that has the user's groups, where no other is named.
const MEMBER_OF: &str = "memberOf";
/// The attribute that has a group's name, where no other is named.
const GROUP_NAME: &str = "cn";

/// The directory's result for a name or password that is wrong.
const INVALID_CREDENTIALS: u32 = 49;
/// Results that say something about the account: not found, malformed name, rights, locked or
/// expired.
const ACCOUNT_REFUSED: &[u32] = &[19, 32, 34, 48, 50, 53];
/// Why somebody is refused of whom the directory knows nothing.
const NOBODY: &str = "the directory has nobody of that name";
/// The search found more than was asked for.
const SIZE_LIMIT_EXCEEDED: u32 = 4;

/// Somebody the directory knows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Person {
    /// The name as the directory has it: the same for all spellings and aliases.
    pub(crate) name: String,
    /// The distinguished name.
    pub(crate) dn: String,
    pub(crate) groups: Vec<String>,
}

impl Person {
    /// What is claimed of them beside a name.
    pub(crate) fn claim(self, claims: &mut SubClaims) {
        claims.set("dn", self.dn);
        if !self.groups.is_empty() {
            claims.0.insert("groups".to_owned(), self.groups);
        }
    }
}

/// Who says that they are somebody, and was admitted under that name.
pub(crate) struct Claimant<'a> {
    /// The auth method.
    pub(crate) access_id: &'a AccessId,
    /// The name as typed.
    pub(crate) name: &'a str,
    /// The password; not empty.
    pub(crate) password: &'a SecretString,
}

/// Whom a directory is asked about.
#[derive(Clone, Copy)]
enum Question<'a> {
    /// Whether a password is theirs.
    Claimant(&'a Claimant<'a>, &'a dyn Desk),
    /// Somebody of this name.
    Known(&'a str),
}

/// Who `claimant` is. Callers hold a turn of [`crate::Outward`].
///
/// # Errors
/// [`Fault::unauthorized`] when the directory refuses them, [`Fault::unavailable`] when it cannot
/// be asked; those of [`Desk::admit`].
pub(crate) async fn login(
    directory: &Directory,
    claimant: &Claimant<'_>,
    desk: &dyn Desk,
    outward: &Outward,
) -> Result<Person, Fault> {
    asked(directory, Question::Claimant(claimant, desk), outward).await
}

/// Who `username` is, of whom is known already that it is them. The entry must have that very
/// name, up to letter case: a directory also takes names for the same that differ in spaces.
///
/// # Errors
/// [`Fault::unauthorized`] when the directory has nobody of that name, [`Fault::unavailable`] when
/// it cannot be asked.
pub(crate) async fn lookup(
    directory: &Directory,
    username: &str,
    outward: &Outward,
) -> Result<Person, Fault> {
    asked(directory, Question::Known(username), outward).await
}

async fn asked(
    directory: &Directory,
    question: Question<'_>,
    outward: &Outward,
) -> Result<Person, Fault> {
    let asking = async {
        let mut session = session::open(directory, outward.egress()).await?;
        let ldap = &mut session.ldap;
        let person = match question {
            Question::Claimant(claimant, desk) => {
                authenticate(directory, claimant, desk, ldap).await
            }
            Question::Known(username) => describe(directory, username, ldap).await,
        };
        // What is said at the end does not matter any more.
        let _ended = within(session.ldap.unbind()).await;
        person
    };
    tokio::time::timeout(LOGIN_PATIENCE, asking).await.map_err(|_| too_slow())?
}

async fn authenticate(
    directory: &Directory,
    claimant: &Claimant<'_>,
    desk: &dyn Desk,
    ldap: &mut Ldap,
) -> Result<Person, Fault> {
    let (username, password) = (claimant.name, claimant.password);
    let mut person = match directory.dn_of(username) {
        Some(dn) => Person { dn, name: username.to_lowercase(), groups: Vec::new() },
        None => {
            bind_searcher(directory, ldap).await?;
            match find(directory, username, ldap).await? {
                Ok(found) => found.person,
                Err(why) => {
                    bind_user(&directory.nobody(username), password, ldap).await?;
                    return Err(refused(why));
                }
            }
        }
    };
    if folded(&person.name) != folded(username) {
        desk.admit(claimant.access_id, Entrant::Person(&person.name)).await?;
    }
    bind_user(&person.dn, password, ldap).await?;
    if directory.dn_of(username).is_some() {
        // The user may read their own entry, or has no groups.
        let entry = entry_at(directory, &person.dn, ldap).await?;
        person.groups = entry.map(|entry| own_groups(directory, &entry)).unwrap_or_default();
    }
    if directory.group_dn.is_some() && directory.bind_dn.is_some() {
        bind_searcher(directory, ldap).await?;
    }
    with_groups(directory, username, person, ldap).await
}

async fn describe(directory: &Directory, username: &str, ldap: &mut Ldap) -> Result<Person, Fault> {
    bind_searcher(directory, ldap).await?;
    let found = match directory.dn_of(username) {
        Some(dn) => match entry_at(directory, &dn, ldap).await? {
            Some(entry) => found(directory, entry),
            None => Err(NOBODY),
        },
        None => find(directory, username, ldap).await?,
    };
    let found = found.map_err(refused)?;
    let wanted = username.to_lowercase();
    if !found.names.iter().any(|name| name.to_lowercase() == wanted) {
        return Err(refused("the directory's entry is called otherwise"));
    }
    with_groups(directory, username, found.person, ldap).await
}

/// The person with the groups that are searched for, within bounds.
async fn with_groups(
    directory: &Directory,
    username: &str,
    mut person: Person,
    ldap: &mut Ldap,
) -> Result<Person, Fault> {
    if let Some(base) = &directory.group_dn {
        person.groups = groups_below(directory, base, username, &person.dn, ldap).await?;
    }
    let groups = &mut person.groups;
    groups.retain(|group| !group.is_empty() && group.len() <= CLAIM_VALUE_BYTES_MAX);
    groups.sort();
    groups.dedup();
    groups.truncate(VALUES_MAX);
    Ok(person)
}

async fn bind_searcher(directory: &Directory, ldap: &mut Ldap) -> Result<(), Fault> {
    let (Some(dn), Some(password)) = (&directory.bind_dn, &directory.bind_password) else {
        return Ok(());
    };
    let bound = within(ldap.simple_bind(dn, password)).await?;
    if bound.rc == 0 {
        return Ok(());
    }
    Err(Fault::unavailable(
        "the directory refuses this gateway's own account; check bind-dn and bind-dn-password",
    )
    .with_private(format!("binding as {dn} gave result {}", bound.rc)))
}

/// Binding is the check of the password. A name or password that is empty would make it an
/// anonymous bind, which always works: callers never pass one, and here is the last place to look.
async fn bind_user(dn: &str, password: &SecretString, ldap: &mut Ldap) -> Result<(), Fault> {
    if dn.is_empty() || password.expose().is_empty() {
        return Err(refused("the name or the password is empty"));
    }
    let bound = within(ldap.simple_bind(dn, password.expose())).await?;
    match bound.rc {
        0 => Ok(()),
        INVALID_CREDENTIALS => Err(refused("the directory says that the password is wrong")),
        rc if ACCOUNT_REFUSED.contains(&rc) => {
            Err(refused(&format!("the directory refuses the account with result {rc}")))
        }
        rc => Err(Fault::unavailable("the directory cannot check logins now; try again later")
            .with_private(format!("binding as a user gave result {rc}"))),
    }
}

/// The one entry with this name, or why there is none.
async fn find(
    directory: &Directory,
    username: &str,
    ldap: &mut Ldap,
) -> Result<Result<Found, &'static str>, Fault> {
    let filter = directory.user_filter(username);
    let attributes = attributes_of_user(directory);
    let base = &directory.user_dn;
    let mut entries = search(ldap, base, Scope::Subtree, &filter, &attributes, 2).await?;
    Ok(match (entries.pop(), entries.pop()) {
        (Some(entry), None) if !entry.dn.is_empty() => found(directory, entry),
        (None, _) => Err(NOBODY),
        _ => Err("the directory has several entries of that name"),
    })
}

async fn entry_at(
    directory: &Directory,
    dn: &str,
    ldap: &mut Ldap,
) -> Result<Option<SearchEntry>, Fault> {
    let attributes = attributes_of_user(directory);
    Ok(search(ldap, dn, Scope::Base, "(objectClass=*)", &attributes, 1).await?.pop())
}

fn attributes_of_user(directory: &Directory) -> [&str; 2] {
    [directory.user_attribute.as_str(), directory.group_attribute.as_deref().unwrap_or(MEMBER_OF)]
}

fn own_groups(directory: &Directory, entry: &SearchEntry) -> Vec<String> {
    values(entry, directory.group_attribute.as_deref().unwrap_or(MEMBER_OF))
}

/// A person, and everything the directory calls them.
struct Found {
    person: Person,
    names: Vec<String>,
}

fn found(directory: &Directory, entry: SearchEntry) -> Result<Found, &'static str> {
    let mut names = values(&entry, &directory.user_attribute);
    // An entry may have several names, in any order: one of them stands for all.
    names.sort();
    let name = names.first().map(|name| name.to_lowercase());
    let name = name.ok_or("the entry does not show the attribute of its name")?;
    let groups = own_groups(directory, &entry);
    Ok(Found { person: Person { name, dn: entry.dn, groups }, names })
}

async fn groups_below(
    directory: &Directory,
    base: &str,
    username: &str,
    dn: &str,
    ldap: &mut Ldap,
) -> Result<Vec<String>, Fault> {
    let name = directory.group_attribute.as_deref().unwrap_or(GROUP_NAME);
    let filter = directory.groups_of(username, dn);
    let entries = search(ldap, base, Scope::Subtree, &filter, &[name], GROUPS_MAX).await?;
    Ok(entries.iter().flat_map(|entry| values(entry, name)).collect())
}

/// Entries; referrals to other servers are passed over.
async fn search(
    ldap: &mut Ldap,
    base: &str,
    scope: Scope,
    filter: &str,
    attributes: &[&str],
    most: i32,
) -> Result<Vec<SearchEntry>, Fault> {
    let seconds = i32::try_from(ANSWER_PATIENCE.as_secs()).unwrap_or(i32::MAX);
    ldap.with_search_options(SearchOptions::new().sizelimit(most).timelimit(seconds));
    let searching = async {
        let found = ldap.search(base, scope, filter, attributes).await?;
        let entries =
            found.0.into_iter().filter(|entry| !entry.is_ref() && !entry.is_intermediate());
        Ok((entries.map(SearchEntry::construct).collect(), found.1))
    };
    let (entries, result): (_, LdapResult) = within(searching).await?;
    match result.rc {
        // No such object: nobody is there.
        0 | SIZE_LIMIT_EXCEEDED | 32 => {}
        rc => {
            return Err(Fault::unavailable(
                "the directory does not let this gateway search; check its configuration",
            )
            .with_private(format!("a search gave result {rc}")));
        }
    }
    Ok(entries)
}

/// The values of an attribute, whose names have no letter case.
fn values(entry: &SearchEntry, attribute: &str) -> Vec<String> {
    let named = entry.attrs.iter().filter(|(name, _)| name.eq_ignore_ascii_case(attribute));
    named.flat_map(|(_, values)| values.iter().cloned()).collect()
}

async fn within<T>(asking: impl Future<Output = Result<T, LdapError>>) -> Result<T, Fault> {
    let answered = tokio::time::timeout(ANSWER_PATIENCE, sensible(asking)).await;
    let answered = answered.map_err(|_| too_slow())?;
    answered.map_err(|error| unreachable(&error))
}

fn unreachable(error: &dyn std::fmt::Display) -> Fault {
    Fault::unavailable(
        "the directory does not answer; check ldap-url and ldap-ca-cert in the gateway's \
         configuration, and try again",
    )
    .with_private(format!("{error}"))
}

fn too_slow() -> Fault {
    Fault::unavailable("the directory does not answer in time; try again later")
}

/// A refusal whose reason is for the log.
fn refused(why: &str) -> Fault {
    Fault::unauthorized("authentication failed").with_private(why)
}
