//! Wishes to open settings: those of a dynamic or rotated secret, with the target that completes
//! them, and those of a target. They are for the gateway to work with; what of them a caller sees
//! is its affair, so what a wish takes follows from what it is for.

use keysherd_audit::{Param, action};
use keysherd_base::limits::READ_BYTES_MAX;
use keysherd_base::{Fault, FaultKind};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::item::{Item, ItemKind};
use keysherd_domain::role::Capability;
use keysherd_plane::grants::{Granted, ItemFacts, ItemRef, Opened, Purpose};
use keysherd_store::{Reader, item_targets, items as stored};

use super::read::{Readable, Versions, exactly};
use super::{About, Batch, with_value};
use crate::clusters::serves;
use crate::control::Control;
use crate::credential_rotations::owned::check_checked_out;
use crate::items::describe::ref_param;
use crate::items::made::check_used;
use crate::items::usable::{Use, check_enabled, check_unlocked, check_version_enabled};
use crate::session::Principal;

/// What it takes, for each purpose.
const fn needed(purpose: Purpose) -> Capability {
    match purpose {
        Purpose::Produce | Purpose::Settings | Purpose::Credentials { .. } | Purpose::Check => {
            Capability::Read
        }
        Purpose::Change => Capability::Update,
        Purpose::UseTarget => Capability::List,
    }
}

/// What the audit record of such a wish says.
pub(super) fn about(item: &ItemRef, purpose: Purpose) -> About {
    let is_target = |path: &str| keysherd_domain::target::is_stored_path(path);
    let details = match item {
        ItemRef::Path(path) if is_target(path.as_str()) => action::GET_TARGET_DETAILS,
        _ => action::GET_DYNAMIC_SECRET_DETAILS,
    };
    let (refused, operation) = match purpose {
        Purpose::Settings => return About::answered(details, vec![ref_param(item)]),
        Purpose::Credentials { version } => {
            let mut params = vec![ref_param(item)];
            params.extend(version.map(|number| Param::public("version", number.to_string())));
            return About::answered(action::GET_ROTATED_SECRET_VALUE, params);
        }
        Purpose::Check => {
            return About::answered(action::CHECK_ROTATED_SECRET, vec![ref_param(item)]);
        }
        Purpose::Produce => (action::GET_DYNAMIC_SECRET_VALUE, "produce"),
        Purpose::Change => (action::UPDATE_ITEM, "change"),
        Purpose::UseTarget => (action::USE_TARGET, "use_target"),
    };
    let params = vec![ref_param(item), Param::public("operation", operation)];
    About {
        refused,
        granted_is_answered: false,
        ..About::answered(action::GET_ITEM_DERIVATION_CREDS, params)
    }
}

/// The action of a record, now that it is known what was opened.
pub(super) fn action_of(action: &'static str, item_type: &str) -> &'static str {
    let rotated = item_type == ItemKind::RotatedSecret.type_name();
    match action {
        action::GET_DYNAMIC_SECRET_DETAILS if rotated => action::GET_ROTATED_SECRET_DETAILS,
        other => other,
    }
}

impl Batch {
    /// Grants the settings of an item, and of its target where they are of use together.
    pub(super) fn open(
        &mut self,
        control: &Control,
        who: &Principal,
        (reference, purpose): (&ItemRef, Purpose),
        record: usize,
    ) -> Result<(Granted, Opened), Fault> {
        let mut item = self.openable(control, who, reference, purpose)?;
        let mut target = match purpose {
            // Whoever changes a target does not work with its parent.
            _ if item.entry.item.kind == ItemKind::Target => None,
            Purpose::Produce | Purpose::Change | Purpose::Check => {
                target_of(control, who, &item.entry.item, purpose)?
            }
            Purpose::Credentials { .. } if of_target(&item.entry.item) => {
                target_of(control, who, &item.entry.item, purpose)?
            }
            Purpose::Settings | Purpose::UseTarget | Purpose::Credentials { .. } => None,
        };
        let parent = match purpose {
            Purpose::UseTarget => parent_of(control, who, &item.entry.item)?,
            _ => match &target {
                Some(target) => parent_of(control, who, &target.entry.item)?,
                None => None,
            },
        };
        if let Purpose::Credentials { version: Some(number) } = purpose {
            let one = target.as_mut().unwrap_or(&mut item);
            one.versions = Versions::Loaded(vec![exactly(control, &one.entry.item, number)?]);
        }
        let opened: Vec<Readable> = [Some(item), target, parent].into_iter().flatten().collect();
        let sizes = opened.iter().flat_map(Readable::versions).map(|v| v.ciphertext.len());
        let bytes = sizes.sum();
        if bytes > READ_BYTES_MAX {
            return Err(Fault::new(FaultKind::TooLarge, "the settings are too large to be opened"));
        }
        let facts = opened.iter().map(|one| facts_of(&one.entry.item)).collect();
        let granted = self.granted(who, opened, bytes, record)?;
        let sub_claims = SubClaims::clone(&who.claims);
        Ok((granted, Opened { facts, access_id: who.access_id().clone(), sub_claims }))
    }

    fn openable(
        &self,
        control: &Control,
        who: &Principal,
        reference: &ItemRef,
        purpose: Purpose,
    ) -> Result<Readable, Fault> {
        let entry = control.permitted_item(who, reference, needed(purpose), self.now)?;
        let item = &entry.item;
        let fits = match purpose {
            Purpose::Produce => item.kind == ItemKind::DynamicSecret,
            Purpose::UseTarget => item.kind == ItemKind::Target,
            Purpose::Credentials { .. } | Purpose::Check => item.kind == ItemKind::RotatedSecret,
            Purpose::Settings | Purpose::Change => matches!(
                item.kind,
                ItemKind::DynamicSecret | ItemKind::Target | ItemKind::RotatedSecret
            ),
        };
        if !fits {
            return Err(Fault::bad_request(format!(
                "{} is a {}, which this cannot be done with; use the commands for what it is",
                item.called(),
                item.kind.type_name()
            )));
        }
        match purpose {
            Purpose::Settings => check_unlocked(item, who, Use::Read, self.now)?,
            Purpose::Change => {
                check_enabled(item)?;
                check_unlocked(item, who, Use::Update, self.now)?;
                // Gateways try new settings out with what the target's user may, before control
                // hears of them.
                if is_done_by_target(item) {
                    control.store.read(|reader| check_used(reader, who, item, self.now))?;
                }
            }
            Purpose::Check => check_enabled(item)?,
            Purpose::Produce | Purpose::UseTarget | Purpose::Credentials { .. } => {
                check_enabled(item)?;
                check_unlocked(item, who, Use::Read, self.now)?;
            }
        }
        if matches!(purpose, Purpose::Credentials { .. }) {
            check_checked_out(item, who, self.now)?;
        }
        if matches!(purpose, Purpose::Produce | Purpose::Check) {
            control.store.read(|reader| serves(reader, &self.at, item))?;
        }
        current(entry)
    }
}

/// Whether the credentials of a rotated secret are those of its target.
fn of_target(item: &Item) -> bool {
    item.rotation.as_ref().is_some_and(|facts| facts.of_target)
}

/// Whether the user of its target does what an item is for.
fn is_done_by_target(item: &Item) -> bool {
    item.engine.is_some() || item.rotation.as_ref().is_some_and(|facts| facts.by_target)
}

/// What is known of an item without opening it.
pub(crate) fn facts_of(item: &Item) -> ItemFacts {
    ItemFacts {
        engine: item.engine.clone(),
        target: item.target.clone(),
        rotation: item.rotation.clone(),
    }
}

fn current(entry: std::sync::Arc<crate::items::cache::CachedItem>) -> Result<Readable, Fault> {
    let newest = entry.current.as_ref().ok_or_else(|| {
        Fault::not_found(format!("{} has no settings; set them first", entry.item.called()))
    })?;
    check_version_enabled(&entry.item, newest)?;
    Ok(Readable { entry, versions: Versions::Current })
}

/// The target whose credentials another one uses, without any right to it: who chose it had one.
fn parent_of(control: &Control, who: &Principal, target: &Item) -> Result<Option<Readable>, Fault> {
    let find = |reader: &Reader| {
        let Some(id) = item_targets::of_item(reader, target.id)? else { return Ok(None) };
        let parent = stored::by_id(reader, who.account, id)?;
        parent.map(|parent| with_value(reader, parent)).transpose()
    };
    let Some(entry) = control.store.read(find)? else { return Ok(None) };
    check_enabled(&entry.item)?;
    current(entry).map(Some)
}

/// The target that a dynamic secret uses, without any right to it: who chose it had one.
fn target_of(
    control: &Control,
    who: &Principal,
    item: &Item,
    purpose: Purpose,
) -> Result<Option<Readable>, Fault> {
    let find = |reader: &Reader| {
        let Some(id) = item_targets::of_item(reader, item.id)? else { return Ok(None) };
        let target = stored::by_id(reader, who.account, id)?;
        target.map(|target| with_value(reader, target)).transpose()
    };
    let needed =
        item.engine.as_ref().is_some_and(|facts| facts.needs_target) || item.rotation.is_some();
    match control.store.read(find)? {
        Some(entry) if check_enabled(&entry.item).is_ok() => current(entry).map(Some),
        // Who changes it may be about to give it another one.
        _ if purpose == Purpose::Change || !needed => Ok(None),
        Some(_) => Err(Fault::forbidden(format!(
            "the target of {} is disabled; enable it with set-item-state",
            item.called()
        ))
        .with_code("ItemDisabled")),
        None => Err(Fault::conflict(format!(
            "the target of {} was deleted; give it another one",
            item.called()
        ))),
    }
}
