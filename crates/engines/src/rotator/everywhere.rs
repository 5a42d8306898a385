//! One password on several places: all of them take it, or none does.
//!
//! The hosts of linked targets take the password of their parent. So nothing is sent before all of
//! them were found to take the old one, and where one does not take the new one the others get the
//! old one again.

use keysherd_base::Fault;

use super::site::{alike, all};
use super::{Actor, Brought, Change, Credential, Rotator, Stage, bring_about};
use crate::{BoxFuture, NOT_LET_IN, Settings, TargetUse, Way};

/// Places with the same credentials.
pub struct Everywhere<'a> {
    /// What changes credentials there.
    pub rotator: &'static dyn Rotator,
    /// The rotated secret's settings.
    pub settings: &'a Settings,
    /// What the places are: a type of targets.
    pub kind: &'static str,
    /// Each place's name, and its settings as a target.
    pub places: Vec<(String, Settings)>,
    /// Time, randomness and the way out.
    pub way: &'a Way,
}

impl Everywhere<'_> {
    fn stage<'a>(&'a self, target: &'a Settings) -> Stage<'a> {
        let target = TargetUse { type_name: self.kind, settings: target };
        Stage { settings: self.settings, target, actor: Actor::Owner, way: self.way }
    }

    /// Changes credentials on all places. `in_time` is as for [`super::bring_about`].
    pub async fn bring_about(
        &self,
        change: &Change<'_>,
        in_time: &(dyn Fn() -> Result<(), Fault> + Sync),
    ) -> Brought {
        let Change { old, new, resumed, .. } = *change;
        if let Some(fault) = self.unready(old, resumed.then_some(new)).await {
            if !resumed {
                return Brought::Unchanged(fault);
            }
            // What somebody else has sent may still come.
            self.back(change, in_time).await;
            return Brought::Unknown(fault);
        }
        let each = self.places.iter().map(|(name, target)| -> (String, BoxFuture<'_, _>) {
            let changing = async move {
                let stage = self.stage(target);
                bring_about(self.rotator, &stage, change, in_time).await
            };
            (name.clone(), Box::pin(changing))
        });
        let (mut said, mut failed, mut comes_late) = (Vec::new(), Vec::new(), false);
        for (name, brought) in all(each.collect()).await {
            match brought {
                Brought::Changed(warnings) => {
                    said.extend(warnings.iter().map(|text| format!("{name}: {text}")));
                }
                Brought::Unchanged(fault) => failed.push((name, fault)),
                Brought::Unknown(fault) => {
                    comes_late = true;
                    failed.push((name, fault));
                }
            }
        }
        let Some(fault) = joined(failed) else { return Brought::Changed(said) };
        // A place that takes the old ones now may take what was sent to it later, so nobody may
        // forget the new ones.
        match self.back(change, in_time).await && !comes_late {
            true => Brought::Unchanged(fault),
            false => Brought::Unknown(fault),
        }
    }

    /// Why not all places take the old credentials, or else those `also`; `None`: they do.
    async fn unready(&self, old: &Credential, also: Option<&Credential>) -> Option<Fault> {
        let each = self.places.iter().map(|(name, target)| -> (String, BoxFuture<'_, _>) {
            let trying = async move {
                let stage = self.stage(target);
                if self.rotator.signs_in(&stage, old).await? {
                    return Ok(true);
                }
                match also {
                    Some(also) => self.rotator.signs_in(&stage, also).await,
                    None => Ok(false),
                }
            };
            (name.clone(), Box::pin(trying))
        });
        let refused = || {
            let text = "it does not take the target's credentials";
            Fault::conflict(text).with_code(NOT_LET_IN)
        };
        let answers = all(each.collect()).await.into_iter();
        joined(
            answers
                .filter_map(|(name, answer)| match answer {
                    Ok(true) => None,
                    Ok(false) => Some((name, refused())),
                    Err(fault) => Some((name, fault)),
                })
                .collect(),
        )
    }

    /// Has every place take the old ones again; gives whether all do now.
    async fn back(
        &self,
        change: &Change<'_>,
        in_time: &(dyn Fn() -> Result<(), Fault> + Sync),
    ) -> bool {
        let Change { old, new, .. } = *change;
        let each = self.places.iter().map(|(name, target)| -> (String, BoxFuture<'_, _>) {
            let changing = async move {
                let stage = self.stage(target);
                if self.rotator.signs_in(&stage, old).await? {
                    return Ok(());
                }
                let back = Change { old: new, new: old, resumed: false, beside: false };
                match bring_about(self.rotator, &stage, &back, in_time).await {
                    Brought::Changed(_) => Ok(()),
                    Brought::Unchanged(fault) | Brought::Unknown(fault) => Err(fault),
                }
            };
            (name.clone(), Box::pin(changing))
        });
        all(each.collect()).await.into_iter().all(|(_, done)| done.is_ok())
    }
}

/// What failed where, as one fault of the first one's kind; where some refuse the credentials, that
/// counts.
fn joined(mut failed: Vec<(String, Fault)>) -> Option<Fault> {
    failed.sort_by_key(|(_, fault)| fault.code() != NOT_LET_IN);
    let each = failed.iter().map(|(name, fault)| format!("{name}: {}", fault.public()));
    let text = each.collect::<Vec<_>>().join("; ");
    let (_, first) = failed.into_iter().next()?;
    let text = format!("it must change on all hosts of its linked targets, or on none: {text}");
    Some(alike(Fault::new(first.kind(), text), first))
}
