//! Asking a directory who somebody is: find the entry, bind as it with the password, read groups.
//!
//! No password is tried under a name that control's login guard was not asked about: when the
//! entry has another name than was typed, the guard is asked again in between. For a name that
//! nobody has, the directory is asked as much as for others, so that the time does not tell.

use std::future::Future;
use std::time::Duration;

use keysherd_base::limits::CLAIM_VALUE_BYTES_MAX;
use keysherd_base::{AccessId, Fault, SecretString};
use ldap3::{Ldap, LdapConnAsync, LdapError, Scope, SearchEntry, SearchOptions};

use super::config::LdapConfig;
use crate::outward::{ANSWER_PATIENCE, Outward};
use crate::{Desk, Entrant, VALUES_MAX, folded};

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
/// The search found more than was asked for.
const SIZE_LIMIT_EXCEEDED: u32 = 4;

/// Who bound.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Person {
    /// The name as the directory has it: the same for all spellings and aliases.
    pub(super) name: String,
    /// The distinguished name.
    pub(super) dn: String,
    pub(super) groups: Vec<String>,
}

/// Who says that they are somebody, and was admitted under that name.
pub(super) struct Claimant<'a> {
    /// The auth method.
    pub(super) access_id: &'a AccessId,
    /// The name as typed.
    pub(super) name: &'a str,
    /// The password; not empty.
    pub(super) password: &'a SecretString,
}

struct Found {
    dn: String,
    name: String,
    groups: Vec<String>,
}

/// Who `claimant` is.
///
/// # Errors
/// [`Fault::unauthorized`] when the directory refuses them, [`Fault::unavailable`] when it cannot
/// be asked; those of [`Desk::admit`].
pub(super) async fn login(
    config: &LdapConfig,
    claimant: &Claimant<'_>,
    outward: &Outward,
    desk: &dyn Desk,
) -> Result<Person, Fault> {
    let _turn = outward.turn().await?;
    let login = async {
        let settings = config.settings()?;
        let connecting = LdapConnAsync::with_settings(settings, &config.url);
        let (connection, mut ldap) = connecting.await.map_err(|error| unreachable(&error))?;
        let driving = tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!(%error, "a connection to a directory ended");
            }
        });
        let person = ask(config, claimant, desk, &mut ldap).await;
        // What is said at the end does not matter any more.
        let _ended = within(ldap.unbind()).await;
        driving.abort();
        person
    };
    tokio::time::timeout(LOGIN_PATIENCE, login).await.map_err(|_| too_slow())?
}

async fn ask(
    config: &LdapConfig,
    claimant: &Claimant<'_>,
    desk: &dyn Desk,
    ldap: &mut Ldap,
) -> Result<Person, Fault> {
    let username = claimant.name;
    let found = match config.dn_of(username) {
        Some(dn) => Found { dn, name: username.to_lowercase(), groups: Vec::new() },
        None => {
            bind_searcher(config, ldap).await?;
            match find(config, username, ldap).await? {
                Ok(found) => found,
                Err(why) => {
                    bind_user(&config.nobody(username), claimant.password, ldap).await?;
                    return Err(refused(why));
                }
            }
        }
    };
    if folded(&found.name) != folded(username) {
        desk.admit(claimant.access_id, Entrant::Person(&found.name)).await?;
    }
    bind_user(&found.dn, claimant.password, ldap).await?;
    let Found { dn, name, mut groups } = found;
    if config.dn_of(username).is_some() {
        // The user may read their own entry, or has no groups.
        groups = own_groups(config, &dn, ldap).await?;
    }
    if let Some(base) = &config.group_dn {
        if config.bind_dn.is_some() {
            bind_searcher(config, ldap).await?;
        }
        groups = groups_below(config, base, username, &dn, ldap).await?;
    }
    groups.retain(|group| !group.is_empty() && group.len() <= CLAIM_VALUE_BYTES_MAX);
    groups.sort();
    groups.dedup();
    groups.truncate(VALUES_MAX);
    Ok(Person { name, dn, groups })
}

async fn bind_searcher(config: &LdapConfig, ldap: &mut Ldap) -> Result<(), Fault> {
    let (Some(dn), Some(password)) = (&config.bind_dn, &config.bind_password) else {
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
    config: &LdapConfig,
    username: &str,
    ldap: &mut Ldap,
) -> Result<Result<Found, &'static str>, Fault> {
    let groups = config.group_attribute.as_deref().unwrap_or(MEMBER_OF);
    let attributes = [config.user_attribute.as_str(), groups];
    let filter = config.user_filter(username);
    let mut entries =
        search(ldap, &config.user_dn, Scope::Subtree, &filter, &attributes, 2).await?;
    let entry = match (entries.pop(), entries.pop()) {
        (Some(entry), None) if !entry.dn.is_empty() => entry,
        (None, _) => return Ok(Err("the directory has nobody of that name")),
        _ => return Ok(Err("the directory has several entries of that name")),
    };
    let mut names = values(&entry, &config.user_attribute);
    // An entry may have several names, in any order: one of them stands for all.
    names.sort();
    let name = names.first().map(|name| name.to_lowercase());
    let Some(name) = name else {
        return Ok(Err("the entry does not show the attribute of its name"));
    };
    Ok(Ok(Found { groups: values(&entry, groups), dn: entry.dn, name }))
}

async fn own_groups(config: &LdapConfig, dn: &str, ldap: &mut Ldap) -> Result<Vec<String>, Fault> {
    let groups = config.group_attribute.as_deref().unwrap_or(MEMBER_OF);
    let entries = search(ldap, dn, Scope::Base, "(objectClass=*)", &[groups], 1).await?;
    Ok(entries.first().map(|entry| values(entry, groups)).unwrap_or_default())
}

async fn groups_below(
    config: &LdapConfig,
    base: &str,
    username: &str,
    dn: &str,
    ldap: &mut Ldap,
) -> Result<Vec<String>, Fault> {
    let name = config.group_attribute.as_deref().unwrap_or(GROUP_NAME);
    let filter = config.groups_of(username, dn);
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
    let found = within(ldap.search(base, scope, filter, attributes)).await?;
    let ldap3::SearchResult(entries, result) = found;
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
    let entries = entries.into_iter().filter(|entry| !entry.is_ref() && !entry.is_intermediate());
    Ok(entries.map(SearchEntry::construct).collect())
}

/// The values of an attribute, whose names have no letter case.
fn values(entry: &SearchEntry, attribute: &str) -> Vec<String> {
    let named = entry.attrs.iter().filter(|(name, _)| name.eq_ignore_ascii_case(attribute));
    named.flat_map(|(_, values)| values.iter().cloned()).collect()
}

async fn within<T>(asking: impl Future<Output = Result<T, LdapError>>) -> Result<T, Fault> {
    let answered = tokio::time::timeout(ANSWER_PATIENCE, asking).await.map_err(|_| too_slow())?;
    answered.map_err(|error| unreachable(&error))
}

fn unreachable(error: &LdapError) -> Fault {
    Fault::unavailable(
        "the directory does not answer; check ldap-url and ldap-ca-cert in the gateway's \
         configuration, and try again",
    )
    .with_private(format!("{error:?}"))
}

fn too_slow() -> Fault {
    Fault::unavailable("the directory does not answer in time; try again later")
}

/// A refusal whose reason is for the log.
fn refused(why: &str) -> Fault {
    Fault::unauthorized("authentication failed").with_private(why)
}
