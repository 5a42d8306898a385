//! Bringing a change of credentials about: setting them, trying them out, and saying what is known
//! afterwards. Whatever fails, what is said is what the target was found to take.

use keysherd_base::{Fault, FaultKind};

use super::{Credential, Rotator, Stage};
use crate::NOT_LET_IN;
use crate::member::is_untouched;

#[cfg(test)]
mod tests;

/// What is known after a change of credentials was tried.
#[derive(Debug)]
pub enum Brought {
    /// The target takes the new ones; what it warned of.
    Changed(Vec<String>),
    /// It does not have the new ones, and will not: nothing was sent, or it was refused. Of code
    /// [`NOT_LET_IN`] where it does not let in whoever was to set them.
    Unchanged(Fault),
    /// Nobody knows; what was sent may still be on its way.
    Unknown(Fault),
}

/// Credentials that are to take the place of others.
pub struct Change<'a> {
    /// What the target takes, as far as is known.
    pub old: &'a Credential,
    /// What it is to take.
    pub new: &'a Credential,
    /// Whether somebody may have set them before.
    pub resumed: bool,
    /// Whether the old ones stay valid beside them.
    pub beside: bool,
}

/// Changes credentials. `in_time` is asked right before anything is sent that changes something:
/// only `Ok` lets it go.
pub async fn bring_about(
    rotator: &dyn Rotator,
    stage: &Stage<'_>,
    change: &Change<'_>,
    in_time: impl Fn() -> Result<(), Fault>,
) -> Brought {
    let Change { old, new, resumed, beside } = *change;
    if resumed {
        match takes(rotator, stage, new).await {
            Ok(true) => return settled(rotator, stage, change, in_time).await,
            Ok(false) => {}
            Err(fault) => return Brought::Unknown(fault),
        }
    }
    if let Err(late) = in_time() {
        return if resumed { Brought::Unknown(late) } else { Brought::Unchanged(late) };
    }
    let changing = match beside {
        true => rotator.add(stage, old, new),
        false => rotator.change(stage, old, new),
    };
    let fault = match changing.await {
        Err(fault) => fault,
        Ok(warnings) => {
            return match rotator.signs_in(stage, new).await {
                Ok(true) => Brought::Changed(warnings),
                Ok(false) => Brought::Unknown(Fault::conflict(
                    "the target took the new credentials and does not let anybody in with them; \
                     see whether something else changes them, or keeps this user from signing in",
                )),
                Err(fault) => Brought::Unknown(fault),
            };
        }
    };
    if is_untouched(&fault) && !resumed {
        return Brought::Unchanged(fault);
    }
    // It may have been set all the same: answers get lost.
    match takes(rotator, stage, new).await {
        Ok(true) => settled(rotator, stage, change, in_time).await,
        Ok(false) if fault.kind() != FaultKind::Unavailable => Brought::Unchanged(fault),
        Ok(false) | Err(_) => Brought::Unknown(fault),
    }
}

/// Removes `old` credentials that stayed valid beside `current` for a while. `in_time` is as for
/// [`bring_about`].
///
/// # Errors
/// Why it is not known that the target takes them no more; nothing is removed while it does not
/// take the current ones.
pub async fn remove(
    rotator: &dyn Rotator,
    stage: &Stage<'_>,
    (current, old): (&Credential, &Credential),
    in_time: impl FnOnce() -> Result<(), Fault>,
) -> Result<(), Fault> {
    // Rotators that leave no old ones have nothing to remove, nor what came back since.
    if !rotator.is_graceful() || current.members() == old.members() {
        return Ok(());
    }
    if !rotator.signs_in(stage, current).await? {
        return Err(Fault::conflict(
            "the target does not let anybody in with the current credentials, so the old ones stay",
        )
        .with_code(NOT_LET_IN));
    }
    in_time()?;
    let retired = rotator.retire(stage, current, old).await;
    match (rotator.signs_in(stage, old).await, retired) {
        (Ok(false), _) => Ok(()),
        (_, Err(fault)) | (Err(fault), _) => Err(fault),
        (Ok(true), Ok(())) => {
            Err(Fault::conflict("the target still lets everybody in with the old credentials"))
        }
    }
}

/// What is known when the target takes the new ones, and nobody knows whether what sets them came
/// to its end.
async fn settled(
    rotator: &dyn Rotator,
    stage: &Stage<'_>,
    change: &Change<'_>,
    in_time: impl Fn() -> Result<(), Fault>,
) -> Brought {
    let Change { old, new, beside, .. } = *change;
    if beside || old.members() == new.members() {
        return Brought::Changed(Vec::new());
    }
    // Somebody else may have gone on from here, and made other credentials in the old ones' place.
    if let Err(late) = in_time() {
        return Brought::Unknown(late);
    }
    let Err(fault) = rotator.retire(stage, new, old).await else {
        return Brought::Changed(Vec::new());
    };
    // What is gone cannot be removed.
    match rotator.signs_in(stage, old).await {
        Ok(false) => Brought::Changed(Vec::new()),
        Ok(true) | Err(_) => Brought::Unknown(fault),
    }
}

/// Whether the target takes these credentials, and not just any: one that lets everybody in says
/// nothing.
async fn takes(
    rotator: &dyn Rotator,
    stage: &Stage<'_>,
    credential: &Credential,
) -> Result<bool, Fault> {
    if !rotator.signs_in(stage, credential).await? {
        return Ok(false);
    }
    let nobodys = rotator.candidate(stage, credential)?;
    Ok(!rotator.signs_in(stage, &nobodys).await?)
}
