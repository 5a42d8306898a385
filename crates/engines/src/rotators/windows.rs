//! Passwords of local users of Windows machines, over WinRM.
//!
//! An administrator sets them, or who has them changes them; both by scripts of PowerShell whose
//! input has the passwords (see [`crate::windows`]). A new one is tried out by signing in over
//! WinRM with it, so whose password it is has to be let in there (Remote Management Users).

use std::time::Instant;

use keysherd_base::{Fault, SecretString};
use keysherd_targets::winrm::WindowsMachine;
use keysherd_targets::{windows_machine, windows_machine_alone};
use keysherd_wire::{Args, Field, Group, Text};
use serde_json::json;
use tokio::time::timeout;

use crate::fields::{
    PASSWORD_LENGTH, REMOTE_STAYING_DESKTOPS, SAME_PASSWORD, USE_CAPITAL_LETTERS,
    USE_LOWER_LETTERS, USE_NUMBERS, USE_SPECIAL_CHARACTERS, need_one_of,
};
use crate::member::not_reached;
use crate::password::Policy;
use crate::rotator::database::{self, GIVEN, ROTATED_USERNAME, TYPES, in_time, taken};
use crate::rotator::{Actor, Credential, Rotator, RotatorKind, Stage, is_same_user};
use crate::windows::{Script, input, need_user};
use crate::{BoxFuture, Settings, Spelling, TargetUse};

#[cfg(test)]
mod stand_in;
#[cfg(test)]
mod tests;

static KIND: RotatorKind = RotatorKind {
    name: "windows",
    what: "a Windows machine",
    targets: &["windows"],
    types: TYPES,
    create: &[Spelling::current(
        "rotated-secret-create-windows",
        "RotatedSecretCreateWindows",
        "RotatedSecretCreateOutput",
    )
    .success(200)],
    update: &[Spelling::current(
        "rotated-secret-update-windows",
        "RotatedSecretUpdateWindows",
        "RotatedSecretUpdateOutput",
    )],
    fields: &Group {
        title: "Windows",
        fields: &[
            SAME_PASSWORD.spec(),
            PASSWORD_LENGTH.spec(),
            USE_CAPITAL_LETTERS.spec(),
            USE_LOWER_LETTERS.spec(),
            USE_NUMBERS.spec(),
            USE_SPECIAL_CHARACTERS.spec(),
        ],
    },
    given: &GIVEN,
    target_settings: &[("password", "password")],
    remote: &REMOTE_STAYING_DESKTOPS,
};

/// Whom a target signs in.
const ADMINISTRATOR: Field<Text> = Field::text("username", "Who administers it.");

/// The member.
pub(super) static MEMBER: Windows = Windows;

pub(super) struct Windows;

impl Rotator for Windows {
    fn kind(&self) -> &'static RotatorKind {
        &KIND
    }

    fn check(&self, settings: &Settings, target: &TargetUse<'_>) -> Result<Vec<String>, Fault> {
        need_one_of(KIND.targets, target)?;
        Policy::of(settings)?;
        // Hosts that only belong together have nobody whom the target signs in.
        match target.settings.text(&ADMINISTRATOR) {
            Some(_) => windows_machine(target.settings)?,
            None => windows_machine_alone(target.settings)?,
        };
        Ok(Vec::new())
    }

    fn first(&self, given: &Args) -> Result<Credential, Fault> {
        named(database::first(given)?)
    }

    fn corrected(&self, given: &Args, old: &Credential) -> Result<Credential, Fault> {
        named(database::corrected(given, old)?)
    }

    fn of_target(&self, target: &TargetUse<'_>) -> Result<Credential, Fault> {
        let machine = windows_machine(target.settings)?;
        Ok(Credential::of_user(machine.user(), machine.password()))
    }

    /// Names are the same in capitals and in small letters.
    fn is_keepers(&self, target: &TargetUse<'_>, given: &Credential) -> bool {
        is_same_user(self.of_target(target).ok().as_ref(), given, |own, given| {
            own.to_lowercase() == given.to_lowercase()
        })
    }

    fn change<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        old: &'a Credential,
        new: &'a Credential,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(async move {
            let changing = changed(stage, old, new);
            timeout(stage.way.timeout, changing).await.map_err(|_| late())?
        })
    }

    fn signs_in<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(async move {
            match machine_of(stage, credential)?.open(stage.way).await {
                Ok(shell) => {
                    shell.close().await;
                    Ok(true)
                }
                Err(fault) => taken(Err::<(), _>(fault)),
            }
        })
    }
}

fn late() -> Fault {
    Fault::unavailable("the machine does not answer in time; try again later")
}

/// The credentials, if they are of whom Windows could know.
fn named(credential: Credential) -> Result<Credential, Fault> {
    need_user(ROTATED_USERNAME.name(), credential.username()?)?;
    Ok(credential)
}

/// The machine, to sign in to with these credentials.
fn machine_of(stage: &Stage<'_>, credential: &Credential) -> Result<WindowsMachine, Fault> {
    let (user, password) = (credential.username()?, credential.password()?);
    need_user(ROTATED_USERNAME.name(), user)?;
    Ok(windows_machine_alone(stage.target.settings)?.signed_in_as(user, &password))
}

async fn changed(
    stage: &Stage<'_>,
    old: &Credential,
    new: &Credential,
) -> Result<Vec<String>, Fault> {
    let begun = Instant::now();
    let (user, before, after) = (new.username()?, old.password()?, new.password()?);
    need_user(ROTATED_USERNAME.name(), user).map_err(not_reached)?;
    let (machine, script) = match stage.actor {
        Actor::Owner => (machine_of(stage, old).map_err(not_reached)?, Script::Change),
        Actor::Target => {
            (windows_machine(stage.target.settings).map_err(not_reached)?, Script::Set)
        }
    };
    let mut shell = machine.open(stage.way).await.map_err(not_reached)?;
    let about = match script {
        Script::Set => json!({"name": user, "new": after.expose()}),
        _ => json!({"name": user, "old": before.expose(), "new": after.expose()}),
    };
    let input: SecretString = input(about);
    in_time(begun, stage.way).map_err(not_reached)?;
    let own = machine.user().to_lowercase() == user.to_lowercase();
    let said = shell.run(&script.command(), &input, own.then_some(&after)).await;
    shell.close().await;
    Script::heard(&said?, "changing the password", &machine.place()).map(|()| Vec::new())
}
