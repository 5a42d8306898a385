//! A rotated secret that was opened, and a rotation of it: what is stored, and what is set.

use std::sync::Arc;

use keysherd_base::{Fault, ItemPath, SecretBytes, Uid};
use keysherd_engines::rotator::{
    Actor, Brought, Change, Credential, Everywhere, Rotator, Stage, bring_about, remove,
};
use keysherd_engines::{TargetUse, Way, rotators};
use keysherd_plane::credential_rotations::{Reason, RotationWork, Task};
use keysherd_plane::grants::GrantedItem;
use keysherd_targets::linked;
use keysherd_wire::{Args, Settings, wipe};
use serde_json::Value;

use super::sealed::{OpenedTarget, Sealed, Unsealed, other, value_of};
use crate::crypt::{OpenedItem, OpenedValue};

/// A rotated secret whose settings were opened.
pub struct OpenedRotated {
    /// What changes its credentials.
    pub rotator: &'static dyn Rotator,
    /// Its settings.
    pub settings: Settings,
    /// The identity of the target that it means.
    pub target_uid: Option<Uid>,
    /// Its credentials, where they are not the target's own.
    pub credentials: Option<Credential>,
    /// Who changes them.
    pub actor: Actor,
    /// Which version of it this is.
    pub version: u32,
    item: Arc<GrantedItem>,
}

impl OpenedRotated {
    /// The secret, of which some version was opened.
    ///
    /// # Errors
    /// [`Fault::internal`] for what is none, or was sealed by a gateway that knows more.
    pub fn of(opened: &OpenedItem) -> Result<Self, Fault> {
        let (version, value) = value_of(opened)?;
        Self::of_value(opened, version, value)
    }

    pub(super) fn of_value(
        opened: &OpenedItem,
        version: u32,
        value: &SecretBytes,
    ) -> Result<Self, Fault> {
        let Unsealed { kind, target, settings, by_target, credentials } = Sealed::read(value)?;
        let rotator = rotators::by_name(&kind).ok_or_else(|| {
            Fault::internal(format!("this gateway has no rotator {kind}; update it"))
        })?;
        let actor = if by_target { Actor::Target } else { Actor::Owner };
        let item = Arc::clone(&opened.item);
        Ok(Self { rotator, settings, target_uid: target, credentials, actor, version, item })
    }

    /// Its path.
    pub fn path(&self) -> &ItemPath {
        &self.item.path
    }

    /// Its value with these credentials.
    ///
    /// # Errors
    /// [`Fault::internal`], which is a defect.
    pub fn plaintext(&self, credentials: Option<&Credential>) -> Result<SecretBytes, Fault> {
        let by_target = self.actor == Actor::Target;
        let name = self.rotator.kind().name;
        Sealed::rotated(name, self.target_uid, &self.settings, (by_target, credentials))
    }

    fn stage<'a>(&'a self, target: &'a OpenedTarget, own: bool, way: &'a Way) -> Stage<'a> {
        // Who changes the target's own credentials signs in with them.
        let actor = if own { Actor::Owner } else { self.actor };
        let target: TargetUse<'a> = target.in_use();
        Stage { settings: &self.settings, target, actor, way }
    }

    /// Refuses a target that is not the one it means.
    ///
    /// # Errors
    /// [`Fault::internal`].
    pub fn check_target(&self, target: &OpenedTarget) -> Result<(), Fault> {
        if self.target_uid == Some(target.uid) {
            return Ok(());
        }
        Err(Fault::internal(format!(
            "the target that was granted is not the one that {} means; nothing was done",
            self.path()
        )))
    }
}

/// The credentials in a version of a rotated secret.
fn own_in(secret: &OpenedItem, value: &OpenedValue) -> Result<Credential, Fault> {
    OpenedRotated::of_value(secret, value.version, &value.value)?.credentials.ok_or_else(other)
}

/// The credentials in a version of its target.
fn of_target_in(
    secret: &OpenedRotated,
    target: &OpenedItem,
    value: &OpenedValue,
) -> Result<Credential, Fault> {
    secret.rotator.of_target(&OpenedTarget::of_value(target, &value.value)?.in_use())
}

/// A rotation that was opened: what the target takes, and what it is to take.
pub struct Rotation {
    secret: OpenedRotated,
    target: OpenedTarget,
    of_target: bool,
    old: Credential,
    new: Option<Credential>,
    resumed: bool,
    /// Whether the old ones stay valid for a while.
    beside: bool,
    /// The linked targets that use the target's own credentials.
    children: Vec<OpenedTarget>,
}

/// Old credentials that stayed valid for a while.
pub struct Leaving {
    secret: OpenedRotated,
    target: OpenedTarget,
    of_target: bool,
    current: Credential,
    old: Credential,
}

impl Rotation {
    /// The rotation that was handed out, with its items opened.
    ///
    /// # Errors
    /// [`Fault::internal`] when something else was granted than it needs.
    pub fn of(work: &RotationWork, opened: &[OpenedItem]) -> Result<Self, Fault> {
        let [first, second, rest @ ..] = opened else { return Err(other()) };
        let (secret, target) = (OpenedRotated::of(first)?, OpenedTarget::of(second)?);
        secret.check_target(&target)?;
        let children = rest.iter().map(OpenedTarget::of).collect::<Result<Vec<_>, _>>()?;
        if !children.iter().all(|child| child.parent_uid == Some(target.uid)) {
            return Err(other());
        }
        let Some(write) = work.write else { return Err(other()) };
        let of_target = write.place == 1;
        let stored = if of_target { second.values.get(1) } else { first.values.get(1) };
        let credential = |value: &OpenedValue| match of_target {
            true => of_target_in(&secret, second, value),
            false => own_in(first, value),
        };
        let old = credential(match of_target {
            true => second.values.first().ok_or_else(other)?,
            false => first.values.first().ok_or_else(other)?,
        })?;
        let again = matches!(work.task, Task::Change(Reason::Rollback(_)));
        if write.is_stored != stored.is_some() && !again {
            return Err(other());
        }
        let new = stored.map(credential).transpose()?;
        let facts = work.facts.first().and_then(|known| known.rotation.as_ref());
        let beside = facts.is_some_and(|facts| facts.grace.is_some());
        let resumed = write.is_stored;
        Ok(Self { secret, target, of_target, old, new, resumed, beside, children })
    }

    fn stage<'a>(&'a self, way: &'a Way) -> Stage<'a> {
        self.secret.stage(&self.target, self.of_target, way)
    }

    /// What is to be stored before anything is set: new credentials, unless there are some.
    ///
    /// # Errors
    /// [`Fault::bad_request`] for a policy that cannot be; [`Fault::internal`] when the random
    /// source fails.
    pub async fn candidate(&mut self, way: &Way) -> Result<SecretBytes, Fault> {
        let new = match self.new.take() {
            Some(new) => new,
            None => self.made(way).await?,
        };
        let plaintext = match self.of_target {
            false => self.secret.plaintext(Some(&new)),
            true => self.with_credentials(&new),
        };
        self.new = Some(new);
        plaintext
    }

    /// New credentials: the target's own making, or drawn here.
    async fn made(&self, way: &Way) -> Result<Credential, Fault> {
        let (rotator, stage) = (self.secret.rotator, self.stage(way));
        match rotator.obtained(&stage, &self.old).await? {
            Some(new) => Ok(new),
            None => rotator.candidate(&stage, &self.old),
        }
    }

    /// The target's value with other credentials.
    fn with_credentials(&self, new: &Credential) -> Result<SecretBytes, Fault> {
        let member = self.target.member();
        let (mut args, mut members) = (Args::new(), new.members());
        let mut put = 0;
        for (setting, name) in self.secret.rotator.kind().target_settings {
            if let Some(value) = members.remove(*name) {
                args.put(setting, value);
                put += 1;
            }
        }
        wipe(Value::Object(members));
        if put == 0 {
            return Err(Fault::internal("new credentials have nothing that a target has"));
        }
        let value = self.target.settings.to_value();
        let copy = Settings::from_value(&value);
        wipe(value);
        let settings = member.merged(&args, copy?)?;
        Sealed::bytes(member.kind().name, None, &settings)
    }

    /// Sets what is stored, and says what came of it.
    pub async fn bring_about(
        &self,
        way: &Way,
        in_time: impl Fn() -> Result<(), Fault> + Sync,
    ) -> Brought {
        let Some(new) = &self.new else {
            return Brought::Unchanged(Fault::internal("nothing was stored to be set"));
        };
        let change = Change { old: &self.old, new, resumed: self.resumed, beside: self.beside };
        if self.children.is_empty() {
            return bring_about(self.secret.rotator, &self.stage(way), &change, in_time).await;
        }
        match self.everywhere(way) {
            Ok(everywhere) => everywhere.bring_about(&change, &in_time).await,
            Err(fault) if self.resumed => Brought::Unknown(fault),
            Err(fault) => Brought::Unchanged(fault),
        }
    }

    /// The target itself, and all hosts of the linked targets that use its credentials.
    fn everywhere<'a>(&'a self, way: &'a Way) -> Result<Everywhere<'a>, Fault> {
        let (kind, parent) = (self.target.type_name, &self.target.settings);
        let mut places = vec![linked::itself(kind, parent)?];
        for child in &self.children {
            for host in linked::hosts(&child.settings)? {
                if !places.iter().any(|(name, _)| *name == host.place()) {
                    places.push((host.place(), linked::alone(&host, kind, Some(parent))?));
                }
            }
        }
        if places.len() > linked::HOSTS_MAX {
            return Err(Fault::conflict(format!(
                "the target and the hosts that use its credentials are {}; {} at most are changed \
                 in one go",
                places.len(),
                linked::HOSTS_MAX
            )));
        }
        let (rotator, settings) = (self.secret.rotator, &self.secret.settings);
        Ok(Everywhere { rotator, settings, kind, places, way })
    }
}

impl Leaving {
    /// What was handed out to be removed, with its items opened.
    ///
    /// # Errors
    /// [`Fault::internal`] when something else was granted than it needs.
    pub fn of(work: &RotationWork, opened: &[OpenedItem]) -> Result<Self, Fault> {
        let [first, second, ..] = opened else { return Err(other()) };
        let (secret, target) = (OpenedRotated::of(first)?, OpenedTarget::of(second)?);
        secret.check_target(&target)?;
        let Task::Retire(version) = work.task else { return Err(other()) };
        let facts = work.facts.first().and_then(|known| known.rotation.as_ref());
        let of_target = facts.ok_or_else(other)?.of_target;
        let values = if of_target { &second.values } else { &first.values };
        let [newest, older] = values.as_slice() else { return Err(other()) };
        if older.version != version {
            return Err(other());
        }
        let credential = |value: &OpenedValue| match of_target {
            true => of_target_in(&secret, second, value),
            false => own_in(first, value),
        };
        let (current, old) = (credential(newest)?, credential(older)?);
        Ok(Self { secret, target, of_target, current, old })
    }

    /// Has the target take them no more.
    ///
    /// # Errors
    /// Why that is not known.
    pub async fn remove(
        &self,
        way: &Way,
        in_time: impl FnOnce() -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let stage = self.secret.stage(&self.target, self.of_target, way);
        remove(self.secret.rotator, &stage, (&self.current, &self.old), in_time).await
    }
}
