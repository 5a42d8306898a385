//! Passwords and keys of users of machines that are reached by SSH.
//!
//! Whose host key is not known gets nothing: the first one that a machine shows when a rotated
//! secret is made is remembered in its settings, unless its author says which one it is. Passwords
//! go to the input of what sets them, as commands can be read by everybody on the machine. A key is
//! added to those that the user has, tried out, and only then the old one is removed.

use std::time::Instant;

use keysherd_base::{Fault, SecretString};
use keysherd_targets::ssh::{Key, Proof, Session, connect};
use keysherd_targets::{Server, WRONG_CREDENTIALS, ssh_machine, ssh_proof};
use keysherd_wire::{Args, bad_setting};
use tokio::time::timeout;

use self::fields::{KEY_DATA, KIND};
use self::script::{Commands, command};
use crate::fields::need_one_of;
use crate::host_key::{self, read_host_keys};
use crate::member::not_reached;
use crate::password::Policy;
use crate::rotator::database::{first, in_time};
use crate::rotator::{Actor, Credential, Rotator, RotatorKind, Stage};
use crate::{BoxFuture, Settings, TargetUse};

mod fields;
mod script;
#[cfg(test)]
mod tests;

/// The member.
pub(super) static MEMBER: Ssh = Ssh;

pub(super) struct Ssh;

/// The members of keys that are rotated.
const USERNAME: &str = "username";
const PRIVATE: &str = "private_key";
const PUBLIC: &str = "public_key";

impl Rotator for Ssh {
    fn kind(&self) -> &'static RotatorKind {
        &KIND
    }

    fn check(&self, settings: &Settings, target: &TargetUse<'_>) -> Result<Vec<String>, Fault> {
        need_one_of(KIND.targets, target)?;
        Policy::of(settings)?;
        fields::check(settings)?;
        ssh_machine(target.settings)?;
        Ok(Vec::new())
    }

    fn met<'a>(
        &'a self,
        stage: &'a Stage<'a>,
    ) -> BoxFuture<'a, Result<(Args, Vec<String>), Fault>> {
        Box::pin(async move {
            let machine = ssh_machine(stage.target.settings)?;
            host_key::met(&machine, stage.settings, stage.way).await
        })
    }

    fn first(&self, given: &Args) -> Result<Credential, Fault> {
        match given.secret(&KEY_DATA)? {
            None if fields::wants_key(given)? => {
                Err(Fault::bad_request("missing required field 'key-data-base64'"))
            }
            None => first(given),
            Some(text) => {
                of_key(&fields::user(given)?, &Key::read(&fields::decoded(&text)?, None)?)
            }
        }
    }

    fn corrected(&self, given: &Args, old: &Credential) -> Result<Credential, Fault> {
        match given.secret(&KEY_DATA)? {
            None if is_key(old) => {
                let user = fields::user_opt(given)?;
                let user = user.as_deref().map_or_else(|| old.username(), Ok)?;
                of_key(user, &key_of(old)?)
            }
            None => crate::rotator::database::corrected(given, old),
            Some(text) => {
                let user = fields::user_opt(given)?;
                let user = user.as_deref().map_or_else(|| old.username(), Ok)?;
                of_key(user, &Key::read(&fields::decoded(&text)?, None)?)
            }
        }
    }

    fn of_target(&self, target: &TargetUse<'_>) -> Result<Credential, Fault> {
        let machine = ssh_machine(target.settings)?;
        let missing = || Fault::bad_request("missing required field 'ssh-username'");
        let user = machine.user().ok_or_else(missing)?;
        match ssh_proof(target.settings)? {
            Proof::Password(password) => Ok(Credential::of_user(user, &password)),
            Proof::Key(key) => of_key(user, &key),
        }
    }

    fn candidate(&self, stage: &Stage<'_>, old: &Credential) -> Result<Credential, Fault> {
        if !is_key(old) {
            return crate::rotator::database::next(stage, old);
        }
        let kind = match fields::new_kind(stage.settings)? {
            Some(kind) => kind,
            None => key_of(old)?.kind(),
        };
        of_key(old.username()?, &Key::fresh(kind, stage.way.rng.as_ref())?)
    }

    fn change<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        old: &'a Credential,
        new: &'a Credential,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(async move {
            let changing = async {
                match is_key(new) {
                    true => key_changed(stage, old, new).await,
                    false => password_changed(stage, old, new).await,
                }
            };
            timeout(stage.way.timeout, changing).await.map_err(|_| late())?
        })
    }

    fn retire<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        new: &'a Credential,
        old: &'a Credential,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            if !is_key(old) || !is_key(new) {
                return Ok(());
            }
            let settling = async {
                let mut session = signed_in(stage, new).await?;
                let done = removed(stage, &mut session, old, new).await;
                session.close().await;
                done
            };
            timeout(stage.way.timeout, settling).await.map_err(|_| late())?
        })
    }

    fn signs_in<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(async move {
            let proof = proof_of(credential)?;
            match opened(stage, (credential.username()?, &proof)).await {
                Ok(session) => {
                    session.close().await;
                    Ok(true)
                }
                Err(fault) if fault.code() == WRONG_CREDENTIALS => Ok(false),
                Err(fault) => Err(fault),
            }
        })
    }
}

fn late() -> Fault {
    Fault::unavailable("the machine does not answer in time; try again later")
}

fn of_key(user: &str, key: &Key) -> Result<Credential, Fault> {
    let (kind, value) = key.public()?;
    let private = key.private()?;
    Ok(Credential::of_texts(&[
        (USERNAME, user),
        (PRIVATE, private.expose()),
        (PUBLIC, &format!("{kind} {value}")),
    ]))
}

fn is_key(credential: &Credential) -> bool {
    credential.text(PRIVATE).is_ok()
}

fn key_of(credential: &Credential) -> Result<Key, Fault> {
    Key::read(&SecretString::new(credential.text(PRIVATE)?.to_owned()), None)
}

fn proof_of(credential: &Credential) -> Result<Proof, Fault> {
    Ok(match is_key(credential) {
        true => Proof::Key(key_of(credential)?),
        false => Proof::Password(credential.password()?),
    })
}

async fn opened(stage: &Stage<'_>, who: (&str, &Proof)) -> Result<Session, Fault> {
    let machine: Server = ssh_machine(stage.target.settings)?;
    connect(&machine, &read_host_keys(stage.settings)?, who, stage.way).await
}

/// A session of who changes `credential`.
async fn signed_in(stage: &Stage<'_>, credential: &Credential) -> Result<Session, Fault> {
    match stage.actor {
        Actor::Owner => opened(stage, (credential.username()?, &proof_of(credential)?)).await,
        Actor::Target => {
            let machine = ssh_machine(stage.target.settings)?;
            let missing = || Fault::bad_request("missing required field 'ssh-username'");
            let user = machine.user().ok_or_else(missing)?;
            opened(stage, (user, &ssh_proof(stage.target.settings)?)).await
        }
    }
}

/// Whether who is signed in may do everything.
async fn is_root(session: &mut Session) -> Result<bool, Fault> {
    let asked = session.run("id -u", &SecretString::new(String::new())).await?;
    let answer = asked.done("asking who is signed in", &[])?;
    Ok(answer.trim() == "0")
}

async fn password_changed(
    stage: &Stage<'_>,
    old: &Credential,
    new: &Credential,
) -> Result<Vec<String>, Fault> {
    let begun = Instant::now();
    let (before, after) = (old.password()?, new.password()?);
    let mut session = signed_in(stage, old).await.map_err(not_reached)?;
    let root = is_root(&mut session).await.map_err(not_reached)?;
    let words = (new.username()?, &before, &after);
    let (command, input) = command(stage, root, words).map_err(not_reached)?;
    in_time(begun, stage.way).map_err(not_reached)?;
    let ended = session.run(&command, &input).await?;
    let secrets = [before.expose().as_str(), after.expose().as_str()];
    ended.done("changing the password", &secrets)?;
    session.close().await;
    Ok(Vec::new())
}

async fn key_changed(
    stage: &Stage<'_>,
    old: &Credential,
    new: &Credential,
) -> Result<Vec<String>, Fault> {
    let begun = Instant::now();
    let mut session = signed_in(stage, old).await.map_err(not_reached)?;
    let commands = Commands::of(stage, &mut session, new.username()?).await.map_err(not_reached)?;
    let script = commands.add(old.text(PUBLIC)?, new.text(PUBLIC)?).map_err(not_reached)?;
    in_time(begun, stage.way).map_err(not_reached)?;
    let ended = session.run(&commands.shell, &script).await?;
    ended.done("adding the key", &[])?;
    // Who cannot get in with the new one must not lose the old one.
    let own = opened(stage, (new.username()?, &proof_of(new)?)).await?;
    own.close().await;
    removed(stage, &mut session, old, new).await?;
    session.close().await;
    Ok(Vec::new())
}

/// Removes the old key where it still is.
async fn removed(
    stage: &Stage<'_>,
    session: &mut Session,
    old: &Credential,
    new: &Credential,
) -> Result<(), Fault> {
    let (before, after) = (old.text(PUBLIC)?, new.text(PUBLIC)?);
    if before == after {
        return Ok(());
    }
    let commands = Commands::of(stage, session, new.username()?).await?;
    let ended = session.run(&commands.shell, &commands.remove(before)?).await?;
    ended.done("removing the old key", &[]).map(drop)
}

/// Refuses what cannot be the name of a user on a machine.
fn need_user(name: &str) -> Result<(), Fault> {
    let fits = !name.starts_with('-')
        && !name.contains([':', '/', '\'', '"', '\\', ' '])
        && !name.chars().any(char::is_control);
    let bad = || bad_setting("rotated-username", "it is no name of a user on a machine");
    fits.then_some(()).ok_or_else(bad)
}
