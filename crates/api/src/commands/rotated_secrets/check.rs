//! `rotated-secret-check`: whether the target takes the credentials that are stored.

use keysherd_base::{Fault, ItemPath};
use keysherd_engines::rotator::{Actor, Checked, Hosts, Stage, is_in_force};
use keysherd_plane::grants::{ItemRef, Purpose};
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use super::create::Named;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::engines::{OpenedRotated, OpenedTarget};
use crate::fields::{NAME, SESSION};

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "rotated-secret-check",
        aliases: &[],
        success: 200,
        summary: "Try out whether the target takes the credentials of a rotated secret; nothing is \
                  changed and nothing is shown.",
        groups: &[&SESSION],
        fields: &[NAME.spec()],
        reply: "RotatedSecretOutput",
        access: Access::Right("item-rule", "read"),
        body: Body::Object,
        show: Show::Sentence("The target takes the credentials of {name}"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

/// Code of the fault that says that a target refuses what is stored.
const REFUSED: &str = "CredentialsRefused";

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    let opened = ctx.crypt().open(&ctx, ItemRef::Path(path.clone()), Purpose::Check).await?;
    let [first, target @ ..] = opened.items.as_slice() else {
        return Err(Fault::internal("control granted something else than was asked"));
    };
    let (secret, target) = (OpenedRotated::of(first)?, OpenedTarget::to_use(target)?);
    secret.check_target(&target)?;
    let warnings = checked(&ctx, &path, (&secret, &target)).await?;
    Ok(Answer::json(&Named { name: path.as_str() })?.with_warnings(warnings))
}

/// Tries them out; gives what could not be.
async fn checked(
    ctx: &Ctx,
    path: &ItemPath,
    (secret, target): (&OpenedRotated, &OpenedTarget),
) -> Result<Vec<String>, Fault> {
    let (rotator, way) = (secret.rotator, &ctx.services().engines);
    if let Some(site) = target.site(rotator, (&secret.settings, secret.actor), way) {
        let missing = || Fault::internal("a rotated secret of hosts has no credentials");
        let stored = secret.credentials.as_ref().ok_or_else(missing)?;
        let hosts = Hosts::read(stored)?.ok_or_else(missing)?;
        return told(path, site.checked(&hosts).await?);
    }
    let own;
    // Who changes the target's own credentials signs in with them.
    let (credentials, actor) = match &secret.credentials {
        Some(stored) => (stored, secret.actor),
        None => {
            own = rotator.of_target(&target.in_use())?;
            (&own, Actor::Owner)
        }
    };
    let stage = Stage { settings: &secret.settings, target: target.in_use(), actor, way };
    match is_in_force(rotator, &stage, credentials).await? {
        true => Ok(Vec::new()),
        false => Err(refused(path, "the target")),
    }
}

fn told(path: &ItemPath, checked: Checked) -> Result<Vec<String>, Fault> {
    let Checked { refused: by, silent, without, taken } = checked;
    if !by.is_empty() {
        return Err(refused(path, &by.join(", ")));
    }
    let mut warnings: Vec<String> = without
        .iter()
        .map(|name| format!("{name} has no credentials yet; the next rotation sets some"))
        .collect();
    warnings.extend(silent.iter().map(|(name, fault)| format!("{name} was not asked: {fault}")));
    match silent.into_values().next() {
        Some(fault) if taken == 0 => Err(fault),
        _ => Ok(warnings),
    }
}

fn refused(path: &ItemPath, by: &str) -> Fault {
    Fault::conflict(format!(
        "{by} does not let anybody in with the credentials of {path}: somebody else changed them, \
         the user is locked, or a rotation has not come to its end (see describe-item); say what \
         they are with the update command of its kind, or rotate it where the target's user does \
         that"
    ))
    .with_code(REFUSED)
}

#[cfg(test)]
mod tests;
