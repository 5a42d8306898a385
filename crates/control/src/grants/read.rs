//! Wishes to read values.

use std::sync::Arc;

use keysherd_base::limits::{NAMES_PER_READ_MAX, READ_BYTES_MAX, VERSIONS_PER_READ_MAX};
use keysherd_base::{Fault, FaultKind};
use keysherd_crypto::permit::{Class, Op, PermitEntry, Subject};
use keysherd_domain::item::{Item, ItemKind, ItemState, ItemVersion};
use keysherd_domain::role::Capability;
use keysherd_plane::grants::{
    Granted, GrantedItem, GrantedVersion, ItemRef, NOT_STATIC, PermitSlot, VersionWish,
};
use keysherd_store::item_versions;

use super::Batch;
use crate::control::Control;
use crate::items::cache::{CachedItem, granted_version, key_of};
use crate::items::sealed::salt_of;
use crate::items::state::no_such_version;
use crate::items::usable::{Use, check_enabled, check_unlocked, check_version_enabled};
use crate::session::Principal;

/// An item whose value may be read, and the versions that were asked for.
pub(super) struct Readable {
    pub(super) entry: Arc<CachedItem>,
    pub(super) versions: Versions,
}

pub(super) enum Versions {
    /// The newest one, which the entry has.
    Current,
    /// These, newest first.
    Loaded(Vec<ItemVersion>),
}

impl Readable {
    pub(super) fn versions(&self) -> &[ItemVersion] {
        match &self.versions {
            Versions::Current => self.entry.current.as_slice(),
            Versions::Loaded(versions) => versions,
        }
    }
}

impl Batch {
    /// Grants all of `items` or none.
    pub(super) fn read(
        &mut self,
        control: &Control,
        who: &Principal,
        items: &[ItemRef],
        version: VersionWish,
        record: usize,
    ) -> Result<Granted, Fault> {
        if items.is_empty() || items.len() > NAMES_PER_READ_MAX {
            return Err(Fault::bad_request(format!(
                "{} names in one call; 1 to {NAMES_PER_READ_MAX} are possible",
                items.len()
            )));
        }
        // Permits are filled only when every item was found readable.
        let mut readable = Vec::with_capacity(items.len());
        let mut bytes = 0_usize;
        for item in items {
            let one = self.readable(control, who, item, version)?;
            bytes += one.versions().iter().map(|version| version.ciphertext.len()).sum::<usize>();
            if bytes > READ_BYTES_MAX {
                return Err(Fault::new(
                    FaultKind::TooLarge,
                    format!(
                        "the values have more than {} MiB together; read fewer of them at once",
                        READ_BYTES_MAX >> 20
                    ),
                ));
            }
            readable.push(one);
        }
        self.granted(who, readable, bytes, record)
    }

    /// Grants values that were found, which have so many bytes together.
    pub(super) fn granted(
        &mut self,
        who: &Principal,
        readable: Vec<Readable>,
        bytes: usize,
        record: usize,
    ) -> Result<Granted, Fault> {
        self.bytes += bytes;
        if self.bytes > bytes && self.bytes > READ_BYTES_MAX {
            return Err(Fault::unavailable(
                "too many large values are read at this moment; try again",
            ));
        }
        if self.with_permit {
            return self.with_slots(who, readable, record);
        }
        Ok(Granted::Read(readable.into_iter().map(without_slots).collect()))
    }

    /// Grants the newest value of an item that gets another path; nothing where there is none to
    /// attest. What is wrong with the item is said when it is renamed.
    pub(super) fn attest(
        &mut self,
        control: &Control,
        who: &Principal,
        item: &ItemRef,
        record: usize,
    ) -> Result<Granted, Fault> {
        let readable = self.readable(control, who, item, VersionWish::Latest);
        match readable.or_else(|refused| self.changeable(control, who, item, refused)) {
            Ok(one) => self.with_slots(who, vec![one], record),
            Err(_) => Ok(Granted::Read(Vec::new())),
        }
    }

    /// The newest value of a dynamic secret or a target for whoever may rename it: nobody is shown
    /// anything of it. `refused` for everything else.
    fn changeable(
        &self,
        control: &Control,
        who: &Principal,
        reference: &ItemRef,
        refused: Fault,
    ) -> Result<Readable, Fault> {
        let entry = control.permitted_item(who, reference, Capability::Update, self.now)?;
        let kinds = [ItemKind::DynamicSecret, ItemKind::Target];
        if !kinds.contains(&entry.item.kind) || entry.current.is_none() {
            return Err(refused);
        }
        check_unlocked(&entry.item, who, Use::Update, self.now)?;
        Ok(Readable { entry, versions: Versions::Current })
    }

    fn readable(
        &self,
        control: &Control,
        who: &Principal,
        reference: &ItemRef,
        version: VersionWish,
    ) -> Result<Readable, Fault> {
        let entry = control.permitted_item(who, reference, Capability::Read, self.now)?;
        let item = &entry.item;
        if item.kind != ItemKind::StaticSecret {
            return Err(Fault::bad_request(format!(
                "{} is a {}, not a static secret; use the commands for what it is",
                item.called(),
                item.kind.type_name()
            ))
            .with_code(NOT_STATIC));
        }
        check_enabled(item)?;
        check_unlocked(item, who, Use::Read, self.now)?;
        let current = entry.current.as_ref().ok_or_else(|| {
            Fault::not_found(format!("{} has no value; set one first", item.called()))
        })?;
        let versions = match version {
            VersionWish::Latest => Versions::Current,
            VersionWish::Exactly(number) if number == current.version => Versions::Current,
            VersionWish::Exactly(number) => Versions::Loaded(vec![exactly(control, item, number)?]),
            VersionWish::Last(count) => Versions::Loaded(last(control, item, count)?),
        };
        if let Versions::Current = versions {
            check_version_enabled(item, current)?;
        }
        Ok(Readable { entry, versions })
    }

    fn with_slots(
        &mut self,
        who: &Principal,
        readable: Vec<Readable>,
        record: usize,
    ) -> Result<Granted, Fault> {
        let subject = who.permit_subject();
        let mut entries = Vec::with_capacity(readable.len());
        for one in &readable {
            for version in one.versions() {
                entries.push(entry_of(&one.entry.item, version, Class::SecretItem, subject)?);
            }
        }
        let mut slots = Vec::with_capacity(entries.len());
        for entry in entries {
            slots.push(self.permits.add(who.account, Op::Read, entry, Some(record))?);
        }
        let mut slots = slots.into_iter();
        let granted = readable.iter().map(|one| {
            let versions = one.versions().iter();
            // As many slots as versions were made.
            granted_item(&one.entry, versions.map(|v| granted_version(v, slots.next())).collect())
        });
        Ok(Granted::Read(granted.collect()))
    }
}

/// One version of an item, which must be enabled.
///
/// # Errors
/// [`Fault::not_found`]; [`Fault::forbidden`] for one that is disabled.
pub(super) fn exactly(control: &Control, item: &Item, number: u32) -> Result<ItemVersion, Fault> {
    let found = control.store.read(|reader| item_versions::get(reader, item.id, number))?;
    let version = found.ok_or_else(|| no_such_version(item, number))?;
    check_version_enabled(item, &version)?;
    Ok(version)
}

/// The newest `count` versions without those that are disabled; an error when none is left.
fn last(control: &Control, item: &Item, count: u32) -> Result<Vec<ItemVersion>, Fault> {
    let count = count.clamp(1, VERSIONS_PER_READ_MAX);
    let mut versions =
        control.store.read(|reader| item_versions::newest(reader, item.id, count))?;
    let newest = versions.first().cloned();
    versions.retain(|version| version.state == ItemState::Enabled);
    match newest {
        Some(newest) if versions.is_empty() => {
            check_version_enabled(item, &newest)?;
            Ok(versions)
        }
        _ => Ok(versions),
    }
}

/// The permit's entry for opening a stored version.
///
/// # Errors
/// [`Fault::internal`] when the stored envelope does not say what its row says.
pub(crate) fn entry_of(
    item: &Item,
    version: &ItemVersion,
    class: Class,
    subject: Subject,
) -> Result<PermitEntry, Fault> {
    let salt = salt_of(&version.ciphertext, &key_of(version)).ok_or_else(|| {
        Fault::internal(format_args!(
            "item {} version {}: its envelope is not wrapped by its key",
            item.uid, version.version
        ))
    })?;
    Ok(PermitEntry {
        key_id: version.key_id,
        key_version: version.key_version,
        class,
        item_id: item.uid,
        item_version: u64::from(version.version),
        salt,
        subject,
    })
}

/// What needs no derivation: for the newest version, without a copy.
fn without_slots(readable: Readable) -> Arc<GrantedItem> {
    match readable.versions {
        Versions::Current => Arc::clone(&readable.entry.granted),
        Versions::Loaded(versions) => {
            let no_slot: Option<PermitSlot> = None;
            let versions = versions.iter().map(|version| granted_version(version, no_slot));
            granted_item(&readable.entry, versions.collect())
        }
    }
}

fn granted_item(entry: &CachedItem, versions: Vec<GrantedVersion>) -> Arc<GrantedItem> {
    let GrantedItem { path, id, uid, kind, secret_kind, format, versions: _ } = &*entry.granted;
    Arc::new(GrantedItem {
        path: path.clone(),
        id: *id,
        uid: *uid,
        kind: *kind,
        secret_kind: *secret_kind,
        format: *format,
        versions,
    })
}

/// The item type an audit record shows for what was granted.
pub(super) fn item_type(granted: &Granted) -> &'static str {
    match granted {
        Granted::Read(items) => items.first().map_or("", |item| item.kind.type_name()),
        Granted::Write { .. } => ItemKind::StaticSecret.type_name(),
        Granted::Transit { algorithm, .. } | Granted::SealedKey { algorithm, .. } => {
            algorithm.name()
        }
    }
}
