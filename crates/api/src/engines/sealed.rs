//! What is sealed of a dynamic or rotated secret and of a target, and reading it back.

use std::sync::Arc;

use keysherd_base::{Fault, ItemId, ItemPath, SecretBytes, Uid};
use keysherd_engines::rotator::{Actor, Credential, Rotator, Site};
use keysherd_engines::{Engine, Scene, TargetUse, Way};
use keysherd_plane::grants::GrantedItem;
use keysherd_targets::Target;
use keysherd_wire::{Settings, wipe};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::crypt::OpenedItem;

/// The type of targets that are hosts with a parent.
const LINKED: &str = "linked";
/// Version of the sealed form.
const FORM: u32 = 1;

/// The plaintext of a dynamic or rotated secret's or a target's value.
#[derive(Serialize, Deserialize)]
pub struct Sealed {
    form: u32,
    /// The engine, or the kind of target.
    kind: String,
    /// The identity of the target that a secret works on, or whose credentials a target uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<Uid>,
    /// All settings.
    settings: Value,
    /// Of a rotated secret, who changes the credentials: those of the target where it is set.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    by_target: bool,
    /// The credentials of a rotated secret, where they are not the target's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credentials: Option<Value>,
}

/// What was sealed.
pub(super) struct Unsealed {
    pub(super) kind: String,
    pub(super) target: Option<Uid>,
    pub(super) settings: Settings,
    pub(super) by_target: bool,
    pub(super) credentials: Option<Credential>,
}

impl Sealed {
    /// The bytes to seal.
    ///
    /// # Errors
    /// [`Fault::internal`] when they cannot be JSON, which is a defect.
    pub fn bytes(
        kind: &str,
        target: Option<Uid>,
        settings: &Settings,
    ) -> Result<SecretBytes, Fault> {
        Self::rotated(kind, target, settings, (false, None))
    }

    /// The same of a rotated secret.
    ///
    /// # Errors
    /// As [`Self::bytes`].
    pub fn rotated(
        kind: &str,
        target: Option<Uid>,
        settings: &Settings,
        (by_target, credentials): (bool, Option<&Credential>),
    ) -> Result<SecretBytes, Fault> {
        let credentials = credentials.map(|known| Value::Object(known.members()));
        let (kind, settings) = (kind.to_owned(), settings.to_value());
        let sealed = Self { form: FORM, kind, target, settings, by_target, credentials };
        let bytes = serde_json::to_vec(&sealed).map(SecretBytes::new).map_err(Fault::internal);
        wipe(sealed.settings);
        if let Some(credentials) = sealed.credentials {
            wipe(credentials);
        }
        bytes
    }

    pub(super) fn read(bytes: &SecretBytes) -> Result<Unsealed, Fault> {
        // The parser's message would quote the value.
        let unreadable = |_| Fault::internal("sealed settings cannot be read");
        let sealed: Self = serde_json::from_slice(bytes.expose()).map_err(unreadable)?;
        if sealed.form != FORM {
            let form = sealed.form;
            return Err(Fault::internal(format!(
                "sealed settings have the form {form}, which this gateway does not know; update it"
            )));
        }
        let settings = Settings::from_value(&sealed.settings);
        wipe(sealed.settings);
        let credentials = match sealed.credentials {
            Some(Value::Object(members)) => Some(Credential::of_members(members)),
            _ => None,
        };
        let Self { kind, target, by_target, .. } = sealed;
        Ok(Unsealed { kind, target, settings: settings?, by_target, credentials })
    }
}

/// A target whose settings were opened.
pub struct OpenedTarget {
    member: &'static dyn Target,
    /// Its identity.
    pub uid: Uid,
    /// Its number.
    pub id: ItemId,
    /// What it is, such as `postgres`.
    pub type_name: &'static str,
    /// Its settings, credentials included.
    pub settings: Settings,
    /// The identity of the target whose credentials it uses.
    pub parent_uid: Option<Uid>,
    /// That target, where it was opened with it.
    pub parent: Option<Box<Self>>,
}

impl OpenedTarget {
    /// The one target that was asked for.
    ///
    /// # Errors
    /// [`Fault::internal`] when something else was granted.
    pub fn of_one(opened: &[OpenedItem]) -> Result<Self, Fault> {
        match opened {
            [one] => Self::of(one),
            _ => Err(other()),
        }
    }

    /// The one target that somebody named, to be used under that name.
    ///
    /// # Errors
    /// As [`Self::of_one`]; [`Fault::conflict`] when no gateway attested that name.
    pub fn named(opened: &[OpenedItem]) -> Result<Self, Fault> {
        let target = Self::to_use(opened)?;
        let attested = |one: &OpenedItem| one.values.iter().all(|v| v.name_attested == Some(true));
        if opened.iter().all(attested) {
            return Ok(target);
        }
        Err(Fault::conflict(
            "no gateway attested the target's name, as it was moved with its folder; update or \
             rename the target first",
        ))
    }

    /// The target that was opened to be used, with the one whose credentials it uses.
    ///
    /// # Errors
    /// As [`Self::of_one`]; [`Fault::conflict`] when that one was deleted.
    pub fn to_use(opened: &[OpenedItem]) -> Result<Self, Fault> {
        let (mut target, parent) = match opened {
            [one] => (Self::of(one)?, None),
            [one, parent] => (Self::of(one)?, Some(Box::new(Self::of(parent)?))),
            _ => return Err(other()),
        };
        match (target.parent_uid, &parent) {
            (None, None) => {}
            (Some(meant), Some(parent)) if parent.uid == meant => {}
            (Some(_), None) => {
                return Err(Fault::conflict(
                    "the parent of the linked target was deleted, so there are no credentials for \
                     its hosts; give it another one",
                ));
            }
            _ => {
                return Err(Fault::internal(
                    "the parent that was granted is not the one that the linked target means; \
                     nothing was done",
                ));
            }
        }
        target.parent = parent;
        Ok(target)
    }

    /// The hosts that it is, as this rotator works on them; `None` for a target that is one place.
    pub fn site<'a>(
        &'a self,
        rotator: &'static dyn Rotator,
        (settings, actor): (&'a Settings, Actor),
        way: &'a Way,
    ) -> Option<Site<'a>> {
        self.is_linked().then(|| Site {
            rotator,
            settings,
            linked: &self.settings,
            parent: self.parent.as_ref().map(|parent| &parent.settings),
            actor,
            way,
        })
    }

    /// Whether it is hosts.
    pub fn is_linked(&self) -> bool {
        self.type_name == LINKED
    }

    /// What is there to sign in to: of a linked target, what its hosts are.
    pub fn works_as(&self) -> &'static str {
        match self.type_name {
            LINKED => keysherd_targets::linked::hosts_type(&self.settings).unwrap_or(LINKED),
            other => other,
        }
    }

    pub(super) fn of(opened: &OpenedItem) -> Result<Self, Fault> {
        let (_, value) = value_of(opened)?;
        Self::of_value(opened, value)
    }

    /// The target with the settings that some version of it has.
    pub(super) fn of_value(opened: &OpenedItem, value: &SecretBytes) -> Result<Self, Fault> {
        let Unsealed { kind, settings, target: parent_uid, .. } = Sealed::read(value)?;
        let member = keysherd_targets::by_name(&kind).ok_or_else(|| {
            Fault::internal(format!("this gateway knows no targets of kind {kind}; update it"))
        })?;
        let type_name = member.type_name(&settings)?;
        let GrantedItem { uid, id, .. } = *opened.item;
        Ok(Self { member, uid, id, type_name, settings, parent_uid, parent: None })
    }

    /// The V2 object that shows it, with its credentials: the object's name, and the object.
    pub fn details(&self) -> (&'static str, Map<String, Value>) {
        self.member.details(&self.settings)
    }

    /// What kind of target it is.
    pub fn member(&self) -> &'static dyn Target {
        self.member
    }

    /// As engines use it.
    pub fn in_use(&self) -> TargetUse<'_> {
        TargetUse { type_name: self.type_name, settings: &self.settings }
    }
}

/// A dynamic secret whose settings were opened.
pub struct OpenedSecret {
    /// Its engine.
    pub engine: &'static dyn Engine,
    /// Its settings.
    pub settings: Settings,
    /// The identity of the target that it means.
    pub target_uid: Option<Uid>,
    /// The target, where it was opened with it.
    pub target: Option<OpenedTarget>,
    /// Which version of the settings this is.
    pub version: u32,
    item: Arc<GrantedItem>,
}

impl OpenedSecret {
    /// A secret that was opened, with its target if it has one.
    ///
    /// # Errors
    /// [`Fault::internal`] when something else was granted than what the secret names.
    pub fn with_target(opened: &[OpenedItem]) -> Result<Self, Fault> {
        let (secret, target) = match opened {
            [secret] => (Self::alone(secret)?, None),
            [secret, target] => (Self::alone(secret)?, Some(OpenedTarget::of(target)?)),
            _ => return Err(other()),
        };
        let meant = secret.target_uid;
        if target.as_ref().map(|target| target.uid) != meant {
            return Err(Fault::internal(format!(
                "the target that was granted is not the one that {} means; nothing was done",
                secret.path()
            )));
        }
        Ok(Self { target, ..secret })
    }

    /// A secret that is about to be changed. Its target may be gone: then it gets another one.
    ///
    /// # Errors
    /// As [`Self::with_target`].
    pub fn to_change(opened: &[OpenedItem]) -> Result<Self, Fault> {
        match opened {
            [secret] => Self::alone(secret),
            _ => Self::with_target(opened),
        }
    }

    /// The one secret that was asked for, without its target.
    ///
    /// # Errors
    /// [`Fault::internal`] when something else was granted.
    pub fn of_one(opened: &[OpenedItem]) -> Result<Self, Fault> {
        match opened {
            [one] => Self::alone(one),
            _ => Err(other()),
        }
    }

    fn alone(opened: &OpenedItem) -> Result<Self, Fault> {
        let (version, value) = value_of(opened)?;
        let Unsealed { kind, target: target_uid, settings, .. } = Sealed::read(value)?;
        let engine = keysherd_engines::by_name(&kind).ok_or_else(|| {
            Fault::internal(format!("this gateway has no engine {kind}; update it"))
        })?;
        let item = Arc::clone(&opened.item);
        Ok(Self { engine, settings, target_uid, target: None, version, item })
    }

    /// Its path.
    pub fn path(&self) -> &ItemPath {
        &self.item.path
    }

    /// Its number.
    pub fn id(&self) -> ItemId {
        self.item.id
    }

    /// The number of its target, or its own where it says itself where its server is.
    pub(super) fn place(&self) -> ItemId {
        self.target.as_ref().map_or(self.item.id, |target| target.id)
    }

    /// What its engine works with.
    pub fn scene<'a>(&'a self, way: &'a Way) -> Scene<'a> {
        let target = self.target.as_ref().map(OpenedTarget::in_use);
        Scene { settings: &self.settings, target, way }
    }
}

pub(super) fn value_of(opened: &OpenedItem) -> Result<(u32, &SecretBytes), Fault> {
    let first = opened.values.first().ok_or_else(other)?;
    Ok((first.version, &first.value))
}

pub(super) fn other() -> Fault {
    Fault::internal("control granted something else than was asked")
}
