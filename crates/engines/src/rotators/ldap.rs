//! Passwords of entries in directories: OpenLDAP and what behaves as it does, and Active Directory.
//!
//! Whose password it is, a distinguished name says, or a plain name: whom the target signs in looks
//! that one up below `user-dn`. Active Directory knows names such as `DOMAIN\user` and
//! `user@domain`, too, and signs people in by them.

use std::time::Instant;

use keysherd_base::{Fault, SecretString};
use keysherd_targets::ldap::{Directory, Session, need_dn, within};
use keysherd_targets::{ldap_directory, ldap_is_active_directory};
use keysherd_wire::{Field, Group, Text, bad_setting};
use serde_json::{Map, Value, json};

use self::spelling::{is_dn, may_be_same};
use crate::engines::ldap::{attribute_of, windows_password};
use crate::fields::{
    PASSWORD_LENGTH, REMOTE_STAYING_DIRECTORIES, USE_CAPITAL_LETTERS, USE_LOWER_LETTERS,
    USE_NUMBERS, USE_SPECIAL_CHARACTERS, need_one_of,
};
use crate::member::not_reached;
use crate::password::Policy;
use crate::rotator::database::{GIVEN, in_time, taken};
use crate::rotator::{Actor, Credential, Rotator, RotatorKind, RotatorType, Stage, is_same_user};
use crate::{BoxFuture, Settings, Spelling, TargetUse};

mod spelling;
#[cfg(test)]
mod tests;

const USER_DN: Field<Text> = Field::text(
    "user-dn",
    "Below which entry people are looked for whose plain name is given, such as \
     ou=people,dc=example.",
);
const USER_ATTRIBUTE: Field<Text> =
    Field::text("user-attribute", "The attribute that has their plain name.").default("cn");

static KIND: RotatorKind = RotatorKind {
    name: "ldap",
    what: "a directory",
    targets: &["ldap"],
    types: &[
        RotatorType { name: "ldap", shown: "ldap-rotator", of_target: false },
        RotatorType { name: "target", shown: "target-rotator", of_target: true },
    ],
    create: &[Spelling::current(
        "rotated-secret-create-ldap",
        "RotatedSecretCreateLdap",
        "RotatedSecretCreateOutput",
    )
    .success(200)],
    update: &[Spelling::current(
        "rotated-secret-update-ldap",
        "RotatedSecretUpdateLdap",
        "RotatedSecretUpdateOutput",
    )],
    fields: &Group {
        title: "Directory",
        fields: &[
            USER_DN.spec(),
            USER_ATTRIBUTE.spec(),
            PASSWORD_LENGTH.spec(),
            USE_CAPITAL_LETTERS.spec(),
            USE_LOWER_LETTERS.spec(),
            USE_NUMBERS.spec(),
            USE_SPECIAL_CHARACTERS.spec(),
        ],
    },
    given: &GIVEN,
    target_settings: &[("bind-dn-password", "password")],
    remote: &REMOTE_STAYING_DIRECTORIES,
};

/// What Active Directory keeps passwords in.
const WINDOWS_PASSWORD: &str = "unicodePwd";

/// The member.
pub(super) static MEMBER: Ldap = Ldap;

pub(super) struct Ldap;

impl Rotator for Ldap {
    fn kind(&self) -> &'static RotatorKind {
        &KIND
    }

    fn check(&self, settings: &Settings, target: &TargetUse<'_>) -> Result<Vec<String>, Fault> {
        need_one_of(KIND.targets, target)?;
        Policy::of(settings)?;
        attribute_of(settings)?;
        settings.text(&USER_DN).map(|_| need_dn(settings, &USER_DN)).transpose()?;
        ldap_is_active_directory(target.settings)?;
        Ok(ldap_directory(target.settings)?.server().warning().into_iter().collect())
    }

    fn of_target(&self, target: &TargetUse<'_>) -> Result<Credential, Fault> {
        let directory = ldap_directory(target.settings)?;
        let missing = || Fault::bad_request("missing required field 'bind-dn-password'");
        let password = directory.server().password().ok_or_else(missing)?;
        Ok(Credential::of_user(directory.bind_dn(), password))
    }

    /// As far as names say. Whom a plain name is, only the directory knows: see [`Plot::dn_of`].
    fn is_keepers(&self, target: &TargetUse<'_>, given: &Credential) -> bool {
        let windows = ldap_is_active_directory(target.settings).unwrap_or(false);
        let own = ldap_directory(target.settings);
        let own = own.map(|own| Credential::of_texts(&[("username", own.bind_dn())]));
        let is_same = |own: &str, given: &str| may_be_same(own, given, windows);
        is_same_user(own.ok().as_ref(), given, is_same)
    }

    fn shown(&self, settings: &Settings, credential: &Credential) -> Map<String, Value> {
        let text = |field| settings.text(field).unwrap_or_default();
        let attribute = settings.text(&USER_ATTRIBUTE).unwrap_or("cn");
        let payload = json!({"ldap_user_attr": attribute, "ldap_user_dn": text(&USER_DN)});
        let mut members = credential.members();
        members.insert("ldap_payload".to_owned(), payload);
        members
    }

    fn change<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        old: &'a Credential,
        new: &'a Credential,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(changed(stage, old, new))
    }

    fn signs_in<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(tried(stage, credential))
    }
}

/// Where somebody is looked for.
struct Plot<'a> {
    stage: &'a Stage<'a>,
    directory: Directory,
    windows: bool,
}

impl<'a> Plot<'a> {
    fn of(stage: &'a Stage<'a>) -> Result<Self, Fault> {
        let target = stage.target.settings;
        let windows = ldap_is_active_directory(target)?;
        Ok(Self { stage, directory: ldap_directory(target)?, windows })
    }

    /// The directory, to sign in to as somebody of this name.
    async fn signed_in_as(&self, name: &str, password: &SecretString) -> Result<Directory, Fault> {
        let directory = ldap_directory(self.stage.target.settings)?;
        if is_dn(name) || self.windows && name.contains(['\\', '@']) {
            return directory.signed_in_as(name, password);
        }
        let mut session = self.directory.connect(self.stage.way).await?;
        let dn = self.dn_of(&mut session, name).await;
        session.close().await;
        directory.signed_in_as(&dn?, password)
    }

    /// The distinguished name of somebody of this name.
    async fn dn_of(&self, session: &mut Session, name: &str) -> Result<String, Fault> {
        if is_dn(name) {
            return Ok(name.to_owned());
        }
        let settings = self.stage.settings;
        let (domain, attribute, looked_for) = match name.split_once('\\') {
            Some((domain, user)) if self.windows => (Some(domain), "sAMAccountName", user),
            _ if self.windows && name.contains('@') => (None, "userPrincipalName", name),
            _ => (None, attribute_of(settings)?, name),
        };
        let base = need_dn(settings, &USER_DN)?;
        let mut found = session.find(base, attribute, looked_for).await?;
        let dn = found.pop().filter(|_| found.is_empty()).ok_or_else(|| {
            Fault::bad_request("below user-dn there is no entry, or several, of that name")
        })?;
        if let Some(domain) = domain {
            check_domain(session, domain, &dn).await?;
        }
        let of_target = self.directory.bind_dn();
        if may_be_same(&dn, of_target, self.windows) && name != of_target {
            let why = "this is whom the target signs in, which could not any more afterwards; \
                       set rotator-type to target";
            return Err(bad_setting("rotated-username", why));
        }
        Ok(dn)
    }
}

/// Refuses an entry that is not one of this domain. Who signs in as `OTHER\bob` is somebody else
/// than the `bob` of this directory, where the domains trust each other.
async fn check_domain(session: &mut Session, domain: &str, dn: &str) -> Result<(), Fault> {
    // The domains of a forest and their short names: [MS-ADTS] 3.1.1.3.2 and 6.1.1.2.1.1. Signing
    // in takes no other name with a backslash (5.1.1.1.1).
    let contexts = session.read("", "configurationNamingContext").await?.unwrap_or_default();
    let [context] = &contexts[..] else {
        return Err(Fault::bad_request("the directory does not say what domains there are"));
    };
    let partitions = format!("CN=Partitions,{context}");
    for known in session.find(&partitions, "nETBIOSName", domain).await? {
        let roots = session.read(&known, "nCName").await?.unwrap_or_default();
        if roots.iter().any(|root| is_in_domain(dn, root)) {
            return Ok(());
        }
    }
    let why = "the entry of that name below user-dn is not one of that domain";
    Err(bad_setting("rotated-username", why))
}

/// Whether an entry is one of the domain with this root, and not of one below it.
fn is_in_domain(dn: &str, root: &str) -> bool {
    let (dn, root) = (dn.to_lowercase(), root.to_lowercase());
    let above = dn.strip_suffix(&root).and_then(|rest| rest.strip_suffix(','));
    // Nothing but domains is called by this attribute.
    let is_domain = |name: Option<&str>| name.is_some_and(|it| it.trim_start().starts_with("dc="));
    above.is_some_and(|rest| !is_domain(rest.rsplit(',').next()))
}

async fn changed(
    stage: &Stage<'_>,
    old: &Credential,
    new: &Credential,
) -> Result<Vec<String>, Fault> {
    let begun = Instant::now();
    let plot = Plot::of(stage)?;
    let (name, before, after) = (new.username()?, old.password()?, new.password()?);
    let changing = async {
        let own;
        let directory = match stage.actor {
            Actor::Target => &plot.directory,
            Actor::Owner => {
                own = plot.signed_in_as(name, &before).await.map_err(not_reached)?;
                &own
            }
        };
        let mut session = directory.connect(stage.way).await.map_err(not_reached)?;
        let dn = plot.dn_of(&mut session, name).await.map_err(not_reached)?;
        in_time(begun, stage.way).map_err(not_reached)?;
        let done = match (plot.windows, stage.actor) {
            (false, Actor::Target) => session.set_password(&dn, &after).await,
            (false, Actor::Owner) => session.change_password(&dn, &before, &after).await,
            (true, actor) => {
                let before = (actor == Actor::Owner).then(|| coded(&before));
                let new = coded(&after);
                session.replace_secret(&dn, WINDOWS_PASSWORD, before.as_ref(), &new).await
            }
        };
        session.close().await;
        done.map(|()| Vec::new()).map_err(Fault::from)
    };
    within(&plot.directory, stage.way, changing).await
}

fn coded(password: &SecretString) -> keysherd_base::Secret<Vec<u8>> {
    windows_password(password.expose())
}

async fn tried(stage: &Stage<'_>, credential: &Credential) -> Result<bool, Fault> {
    let plot = Plot::of(stage)?;
    let (name, password) = (credential.username()?, credential.password()?);
    let trying = async {
        // Whether the target's own name signs in says nothing about this one.
        let directory = plot.signed_in_as(name, &password).await?;
        match directory.connect(stage.way).await {
            Ok(session) => {
                session.close().await;
                Ok(true)
            }
            Err(fault) => taken(Err::<(), _>(fault)),
        }
    };
    within(&plot.directory, stage.way, trying).await
}
