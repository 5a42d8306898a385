//! Sessions with directories (LDAP, RFC 4511).
//!
//! What is written there is never part of a text that a server takes apart: values go as they are,
//! and a name that becomes part of a distinguished name is escaped (RFC 4514 section 2.4).

use std::collections::HashSet;
use std::future::Future;
use std::os::unix::net::UnixStream;

use keysherd_base::{Fault, FaultKind, Secret, SecretString};
use keysherd_egress::ClientIdentity;
use keysherd_egress::ldap::{HERE, NoTls, Relay, ask_for_tls, sensible};
use keysherd_wire::{Field, Settings, Text, bad_setting};
use ldap3::exop::PasswordModify;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Mod, Scope};
use ldap3::{SearchEntry, StdStream};
use reqwest::Url;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::words::with_words;
use crate::{Given, NOT_ADMITTED, Named, Server, WRONG_CREDENTIALS, Way};

pub use ldap3::dn_escape;

/// Result codes (RFC 4511 section 4.1.9) that callers ask about.
pub mod code {
    /// There are more entries than it shows at once.
    pub const TOO_MANY: u32 = 4;
    /// The entry does not have that value.
    pub const NO_SUCH_ATTRIBUTE: u32 = 16;
    /// The entry has that value already.
    pub const VALUE_EXISTS: u32 = 20;
    /// There is no such entry.
    pub const NO_SUCH_OBJECT: u32 = 32;
    /// The name or the password is wrong.
    pub const INVALID_CREDENTIALS: u32 = 49;
    /// The directory does not want to: among others, what Active Directory says of somebody who is
    /// to leave a group that they are not in.
    pub const UNWILLING: u32 = 53;
    /// The entry would not be one of its class, such as a group without members.
    pub const CLASS_VIOLATION: u32 = 65;
    /// There is such an entry already; Active Directory says so of members of groups, too.
    pub const ENTRY_EXISTS: u32 = 68;
}

/// Words for result codes.
const WORDS: &[(u32, FaultKind, &str)] = &[
    (4, FaultKind::Forbidden, "whoever signs in there may not see two entries at once"),
    (7, FaultKind::Forbidden, "the directory does not take passwords this way"),
    (8, FaultKind::Forbidden, "the directory wants a stronger way to sign in, such as TLS"),
    (13, FaultKind::Forbidden, "the directory wants TLS; give an address that begins with ldaps"),
    (17, FaultKind::BadRequest, "the directory has no such attribute"),
    (19, FaultKind::BadRequest, "the directory's rules do not allow that value"),
    (21, FaultKind::BadRequest, "the directory does not take that value"),
    (32, FaultKind::BadRequest, "there is no such entry"),
    (34, FaultKind::BadRequest, "a distinguished name is not written as one"),
    (48, FaultKind::Forbidden, "this account may not sign in"),
    (49, FaultKind::Forbidden, "the name or the password is wrong"),
    (50, FaultKind::Forbidden, "whoever signs in there may not do that"),
    (51, FaultKind::Unavailable, "the directory is busy; try again"),
    (52, FaultKind::Unavailable, "the directory is not ready; try again later"),
    (53, FaultKind::BadRequest, "the directory is not willing to do that"),
    (65, FaultKind::BadRequest, "the entry would not be one of its class"),
    (68, FaultKind::Conflict, "there is such an entry already"),
];

/// Entries that are asked for: one, and whether there is another.
const ENTRIES: usize = 2;
/// Longest distinguished name or value of a setting that is looked at, in bytes.
const NAME_BYTES_MAX: usize = 1_024;

/// What settings say about a directory.
pub struct DirectoryGiven<'a> {
    /// `ldaps://host:port`, or `ldap://host:port`, where StartTLS follows.
    pub url: Named<'a>,
    /// Who signs in.
    pub bind_dn: Named<'a>,
    /// With which password.
    pub password: Named<'a>,
    /// The authorities that vouch for it.
    pub authority: Named<'a>,
}

/// A directory with whoever signs in there.
pub struct Directory {
    server: Server,
    bind_dn: String,
    starttls: bool,
}

impl Directory {
    /// The directory that the settings name.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn new(given: DirectoryGiven<'_>) -> Result<Self, Fault> {
        let DirectoryGiven { url, bind_dn, password, authority } = given;
        let parsed = Url::parse(url.need()?).ok().filter(|url| {
            matches!(url.scheme(), "ldap" | "ldaps")
                && matches!(url.path(), "" | "/")
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        let wanted = "it must be such as ldaps://directory.example:636";
        let parsed = parsed.ok_or_else(|| bad_setting(url.field(), wanted))?;
        let encrypted = parsed.scheme() == "ldaps";
        let port = parsed.port().unwrap_or(if encrypted { 636 } else { 389 }).to_string();
        let host = parsed.host_str().filter(|host| !host.is_empty());
        let server = Server::new(Given {
            host: url.with(host),
            port: url.with(Some(&port)),
            user: Named::none(bind_dn.field()),
            password,
            database: None,
            encrypted: encrypted.then_some(true),
            authority,
            name: None,
            identity: None::<ClientIdentity>,
        })?;
        let bind_dn = need_line(bind_dn)?.to_owned();
        let starttls = !encrypted && server.is_encrypted();
        Ok(Self { server, bind_dn, starttls })
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Who signs in.
    pub fn bind_dn(&self) -> &str {
        &self.bind_dn
    }

    /// The same, to sign in to as somebody else.
    ///
    /// # Errors
    /// [`Fault::bad_request`] for what cannot be the name of an entry.
    pub fn signed_in_as(mut self, name: &str, password: &SecretString) -> Result<Self, Fault> {
        self.bind_dn = need_line(Named::none("rotated-username").with(Some(name)))?.to_owned();
        self.server = self.server.with_password(password);
        Ok(self)
    }

    /// Signs in.
    ///
    /// # Errors
    /// A fault that says where it stopped: nothing that the directory said but its result code.
    pub async fn connect(&self, way: &Way) -> Result<Session, Fault> {
        let connecting = async {
            let password = self
                .server
                .password()
                .ok_or_else(|| Fault::bad_request("missing required field 'bind-dn-password'"))?;
            if password.expose().is_empty() {
                // It would be an anonymous sign-in, which always works (RFC 4513 section 5.1.2).
                return Err(bad_setting("bind-dn-password", "it is empty"));
            }
            let (stream, relay) = self.relayed(way).await?;
            let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(stream));
            let connected = LdapConnAsync::with_settings(settings, HERE).await;
            let (connection, ldap) = connected.map_err(|error| self.unspoken(&error))?;
            let driver = tokio::spawn(async move { drop(connection.drive().await) });
            let place = self.server.place().to_string();
            let mut session = Session { ldap, driver, _relay: relay, place };
            let secret = password.expose();
            let bound = sensible(session.ldap.simple_bind(&self.bind_dn, secret)).await;
            let known = bound.as_ref().ok().and_then(known_refusal);
            session.done(bound, "signing in", &[secret]).map_err(|refusal| match known {
                Some(code) => refusal.fault.with_code(code),
                None => refusal.fault,
            })?;
            Ok(session)
        };
        timeout(way.timeout, connecting).await.map_err(|_| self.server.late())?
    }

    /// The driver's end of a connection, and what stands between it and the directory.
    async fn relayed(&self, way: &Way) -> Result<(UnixStream, Relay), Fault> {
        let mut tcp = self.server.tcp(way).await?;
        if self.starttls {
            ask_for_tls(&mut tcp).await.map_err(|why| {
                let text = format!("{} {why}", self.server.place());
                match why {
                    NoTls::Lost(_) => Fault::unavailable(text),
                    NoTls::NotLdap | NoTls::Refused(_) => Fault::forbidden(text),
                }
            })?;
        }
        let stream = self.server.encrypt(tcp).await.map_err(|fault| {
            let place = self.server.place();
            let next = "check ldap-ca-cert and the name in the directory's certificate";
            Fault::forbidden(format!("TLS with {place} fails; {next}")).with_private(fault)
        })?;
        Relay::new(stream).map_err(Fault::internal)
    }

    fn unspoken(&self, error: &LdapError) -> Fault {
        let next = "check the port, ldap-ca-cert and the name in the directory's certificate";
        let place = self.server.place();
        Fault::unavailable(format!("{place} does not speak LDAP with this gateway; {next}"))
            .with_private(format!("{error:?}"))
    }
}

/// What Active Directory adds to its refusal of an account, whether the password was right, and
/// words for it. Of a locked account nobody is told.
const ACCOUNTS: &[(&str, bool, &str)] = &[
    ("530", true, "this account may not sign in at this time"),
    ("531", true, "this account may not sign in from here"),
    ("532", true, "the account's password has expired"),
    ("533", true, "this account is turned off"),
    ("701", true, "this account has expired"),
    ("773", true, "the account's password must be changed before it signs in"),
    ("775", false, "this account is locked"),
];

/// What a refusal to sign in says of the account beside its result code.
fn account(result: &LdapResult) -> Option<(bool, &'static str)> {
    let said = |data: &str| result.text.contains(&format!(" data {data},"));
    let known = ACCOUNTS.iter().find(|(data, ..)| said(data));
    known
        .filter(|_| result.rc == code::INVALID_CREDENTIALS)
        .map(|(_, right, words)| (*right, *words))
}

/// The code of the fault for a refusal to sign in that says something of the password.
fn known_refusal(result: &LdapResult) -> Option<&'static str> {
    if result.rc != code::INVALID_CREDENTIALS {
        return None;
    }
    match account(result) {
        Some((right, _)) => right.then_some(NOT_ADMITTED),
        None => Some(WRONG_CREDENTIALS),
    }
}

/// A text that must be there, on one line.
fn need_line(given: Named<'_>) -> Result<&str, Fault> {
    let text = given.need()?;
    let fits = text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control);
    let bad = || bad_setting(given.field(), "it is over 1024 bytes, or not one line");
    fits.then_some(text).ok_or_else(bad)
}

/// A distinguished name in the settings.
///
/// # Errors
/// [`Fault::bad_request`] names the field when it is missing or cannot be one.
pub fn need_dn<'a>(settings: &'a Settings, field: &Field<Text>) -> Result<&'a str, Fault> {
    let dn = need_line(Named::of(settings, field))?;
    let wanted = || bad_setting(field.name(), "it must be such as ou=people,dc=example");
    dn.contains('=').then_some(dn).ok_or_else(wanted)
}

/// A session. It ends with this value.
pub struct Session {
    ldap: Ldap,
    driver: JoinHandle<()>,
    _relay: Relay,
    place: String,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// What a directory says of an entry: attributes with their values.
pub type Attributes = Vec<(String, Vec<String>)>;

/// What a directory did not do.
#[derive(Debug)]
pub struct Refusal {
    /// Its result code (RFC 4511 section 4.1.9).
    pub code: u32,
    /// The same as a fault.
    pub fault: Fault,
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        refusal.fault
    }
}

impl Session {
    /// Adds an entry. `secrets` are kept out of the log.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn add(
        &mut self,
        dn: &str,
        attributes: &[(&str, Vec<&[u8]>)],
        secrets: &[&str],
    ) -> Result<(), Refusal> {
        let attributes = attributes.iter().map(|(name, values)| {
            (name.as_bytes(), values.iter().copied().collect::<HashSet<_>>())
        });
        let added = sensible(self.ldap.add(dn, attributes.collect())).await;
        self.done(added, "adding the entry", secrets)
    }

    /// Removes an entry.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn delete(&mut self, dn: &str) -> Result<(), Refusal> {
        let deleted = sensible(self.ldap.delete(dn)).await;
        self.done(deleted, "removing the entry", &[])
    }

    /// Adds a value of an attribute, or removes it.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn set_value(
        &mut self,
        dn: &str,
        attribute: &str,
        value: &str,
        is_there: bool,
    ) -> Result<(), Refusal> {
        let values = HashSet::from([value]);
        let change = match is_there {
            true => Mod::Add(attribute, values),
            false => Mod::Delete(attribute, values),
        };
        let changed = sensible(self.ldap.modify(dn, vec![change])).await;
        let what = if is_there { "adding to the group" } else { "removing from the group" };
        self.done(changed, what, &[])
    }

    /// Gives an entry a password, which the directory hashes (RFC 3062).
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn set_password(&mut self, dn: &str, password: &SecretString) -> Result<(), Refusal> {
        let secret = password.expose().as_str();
        let request = PasswordModify { user_id: Some(dn), old_pass: None, new_pass: Some(secret) };
        let changed = sensible(self.ldap.extended(request)).await.map(|answer| answer.1);
        self.done(changed, "setting the password", &[secret])
    }

    /// Gives the entry that is signed in another password, which the directory hashes (RFC 3062).
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn change_password(
        &mut self,
        dn: &str,
        old: &SecretString,
        new: &SecretString,
    ) -> Result<(), Refusal> {
        let (before, after) = (old.expose().as_str(), new.expose().as_str());
        let request =
            PasswordModify { user_id: Some(dn), old_pass: Some(before), new_pass: Some(after) };
        let changed = sensible(self.ldap.extended(request)).await.map(|answer| answer.1);
        self.done(changed, "changing the password", &[before, after])
    }

    /// Gives an attribute the value `new`, in place of `old` where that is said; otherwise in
    /// place of whatever it has.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn replace_secret(
        &mut self,
        dn: &str,
        attribute: &str,
        old: Option<&Secret<Vec<u8>>>,
        new: &Secret<Vec<u8>>,
    ) -> Result<(), Refusal> {
        let value = |secret: &Secret<Vec<u8>>| HashSet::from([secret.expose().clone()]);
        let name = || attribute.as_bytes().to_vec();
        let changes = match old {
            None => vec![Mod::Replace(name(), value(new))],
            Some(old) => vec![Mod::Delete(name(), value(old)), Mod::Add(name(), value(new))],
        };
        let changed = sensible(self.ldap.modify(dn, changes)).await;
        self.done(changed, "changing the password", &[])
    }

    /// One attribute of an entry; `None` when there is no such entry.
    ///
    /// # Errors
    /// A fault when the directory does not let it be read.
    pub async fn read(&mut self, dn: &str, attribute: &str) -> Result<Option<Vec<String>>, Fault> {
        let found = self.search(dn, Scope::Base, "(objectClass=*)", attribute).await?;
        Ok(found.into_iter().next().map(|(_, values)| values))
    }

    /// The names of the entries below `base` whose attribute has this value; at most two.
    ///
    /// # Errors
    /// A fault when the directory does not let them be searched.
    pub async fn find(
        &mut self,
        base: &str,
        attribute: &str,
        value: &str,
    ) -> Result<Vec<String>, Fault> {
        let filter = format!("({attribute}={})", ldap3::ldap_escape(value));
        let found = self.search(base, Scope::Subtree, &filter, attribute).await?;
        Ok(found.into_iter().map(|(dn, _)| dn).take(ENTRIES).collect())
    }

    async fn search(
        &mut self,
        base: &str,
        scope: Scope,
        filter: &str,
        attribute: &str,
    ) -> Result<Attributes, Fault> {
        let most = i32::try_from(ENTRIES).unwrap_or(i32::MAX);
        self.ldap.with_search_options(ldap3::SearchOptions::new().sizelimit(most));
        let asking = async {
            let found = self.ldap.search(base, scope, filter, [attribute]).await?;
            let entries = found.0.into_iter().filter(|e| !e.is_ref() && !e.is_intermediate());
            Ok((entries.map(SearchEntry::construct).collect::<Vec<_>>(), found.1))
        };
        let answer: Result<_, LdapError> = sensible(asking).await;
        let (entries, result) = answer.map_err(|error| self.lost("searching", &error).fault)?;
        match result.rc {
            0 | code::NO_SUCH_OBJECT => {}
            // There are more than two, as is to be known. Where a limit of its own is lower, it
            // hides whether there is another.
            code::TOO_MANY if entries.len() >= ENTRIES => {}
            _ => return Err(self.refused(&result, "searching", &[]).fault),
        }
        let entry = |SearchEntry { dn, attrs, .. }| {
            let named = attrs.into_iter().filter(|(name, _)| name.eq_ignore_ascii_case(attribute));
            (dn, named.flat_map(|(_, values)| values).collect())
        };
        Ok(entries.into_iter().map(entry).collect())
    }

    /// Says goodbye, so that the directory does not have to notice.
    pub async fn close(mut self) {
        let second = std::time::Duration::from_secs(1);
        let _ = timeout(second, self.ldap.unbind()).await;
    }

    fn done(
        &self,
        answer: Result<LdapResult, LdapError>,
        what: &str,
        secrets: &[&str],
    ) -> Result<(), Refusal> {
        match answer {
            Ok(result) if result.rc == 0 => Ok(()),
            Ok(result) => Err(self.refused(&result, what, secrets)),
            Err(error) => Err(self.lost(what, &error)),
        }
    }

    fn refused(&self, result: &LdapResult, what: &str, secrets: &[&str]) -> Refusal {
        let code = result.rc;
        let known = WORDS.iter().find(|(known, ..)| *known == code);
        let unknown = (FaultKind::BadRequest, "the directory refuses it");
        let (kind, words) = known.map_or(unknown, |(_, kind, words)| (*kind, *words));
        let words = account(result).map_or(words, |(_, words)| words);
        let place = &self.place;
        let fault = Fault::new(kind, format!("{what} failed at {place} with {code}: {words}"));
        Refusal { code, fault: with_words(fault, &result.text, secrets.iter().copied()) }
    }

    fn lost(&self, what: &str, error: &LdapError) -> Refusal {
        let text = format!("{what} failed: the connection to {} was lost", self.place);
        // The error of a message that could not be sent has no value in it.
        Refusal { code: 0, fault: Fault::unavailable(text).with_private(format!("{error}")) }
    }
}

/// Everything within the time that a call has.
///
/// # Errors
/// Those of `doing`, and [`Fault::unavailable`] when it takes too long.
pub async fn within<T>(
    directory: &Directory,
    way: &Way,
    doing: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    timeout(way.timeout, doing).await.map_err(|_| directory.server.late())?
}

#[cfg(test)]
mod tests;
