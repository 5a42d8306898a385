//! A target as `target-get` and `target-list` show it.

use std::borrow::Cow;

use keysherd_base::{Fault, ItemId, ItemPath};
use keysherd_domain::item::ItemKind;
use keysherd_domain::target::shown_path;
use keysherd_plane::items::{AssociatedItem, ItemView};
use serde::Serialize;

use super::LastUsed;
use super::item::{LockReply, VersionReply, lock_reply, version_reply};

/// The model `Target`.
#[derive(Serialize)]
pub(crate) struct TargetReply<'a> {
    target_id: ItemId,
    target_name: String,
    target_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_target_name: Option<String>,
    comment: &'a str,
    protection_key_name: &'a str,
    with_customer_fragment: bool,
    last_version: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    target_versions: Vec<VersionReply<'a>>,
    target_items_assoc: Vec<ItemAssocReply<'a>>,
    client_permissions: Vec<&'static str>,
    creation_date: String,
    modification_date: String,
    #[serde(flatten)]
    last_used: LastUsed,
    delete_protection: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    locking_info: Option<LockReply<'a>>,
    is_access_request_enabled: bool,
}

/// The model `TargetItemAssociation`.
#[derive(Serialize)]
struct ItemAssocReply<'a> {
    assoc_id: String,
    item_id: ItemId,
    /// Of a target that uses this one's credentials, what people call it.
    item_name: Cow<'a, str>,
    item_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Attributes>,
}

/// What is said of an association for remote access; those of what uses a target have nothing.
#[derive(Serialize)]
struct Attributes {
    #[serde(rename = "sra-association")]
    remote: &'static str,
}

impl Attributes {
    fn of(other: &AssociatedItem) -> Option<Self> {
        other.assoc.as_ref().map(|_| Self { remote: "true" })
    }
}

/// The model `ItemTargetAssociation`.
#[derive(Serialize)]
pub(crate) struct TargetAssocReply<'a> {
    assoc_id: String,
    target_id: ItemId,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Attributes>,
}

impl<'a> TargetAssocReply<'a> {
    /// The targets of an item; none for a target.
    pub(crate) fn all(view: &'a ItemView) -> Vec<Self> {
        let targets = view.associated.iter().filter(|other| other.kind == ItemKind::Target);
        let shown = targets.map(|target| Self {
            assoc_id: assoc_id(target, view.item.id, target.id),
            target_id: target.id,
            target_name: name_of(&target.path).ok(),
            target_type: target.target.as_ref().map(|facts| facts.type_name.as_str()),
            attributes: Attributes::of(target),
        });
        shown.collect()
    }
}

impl<'a> TargetReply<'a> {
    /// Shows `view`.
    ///
    /// # Errors
    /// [`Fault::internal`] when control says that something else is a target.
    pub(crate) fn new(view: &'a ItemView) -> Result<Self, Fault> {
        let item = &view.item;
        let facts = item.target.as_ref().ok_or_else(not_a_target)?;
        let uses = view.associated.iter().map(|other| ItemAssocReply {
            assoc_id: assoc_id(other, other.id, item.id),
            item_id: other.id,
            item_name: match other.kind {
                ItemKind::Target => name_of(&other.path).map_or_else(|_| "".into(), Cow::Owned),
                _ => other.path.as_str().into(),
            },
            item_type: other.kind.type_name(),
            attributes: Attributes::of(other),
        });
        Ok(Self {
            target_id: item.id,
            target_name: name_of(&item.path)?,
            target_type: &facts.type_name,
            parent_target_name: view
                .parent
                .as_ref()
                .map(|parent| name_of(&parent.path))
                .transpose()?,
            comment: &item.description,
            protection_key_name: view.protection_key_name.as_deref().unwrap_or_default(),
            with_customer_fragment: view.customer_fragment.is_some(),
            last_version: item.last_version,
            target_versions: view.versions.iter().map(|one| version_reply(view, one)).collect(),
            target_items_assoc: uses.collect(),
            client_permissions: view.permissions.iter().map(|cap| cap.name()).collect(),
            creation_date: item.created.rfc3339(),
            modification_date: item.modified.rfc3339(),
            last_used: LastUsed::at(view.last_used),
            delete_protection: item.delete_protection,
            locking_info: item.lock.as_ref().map(lock_reply),
            is_access_request_enabled: false,
        })
    }
}

/// The name of a target that is stored at `path`.
///
/// # Errors
/// [`Fault::internal`] when it is none.
pub(crate) fn name_of(path: &ItemPath) -> Result<String, Fault> {
    shown_path(path).map(|path| path.as_str().to_owned()).ok_or_else(not_a_target)
}

/// The id of the association with `other`; where an item uses a target there is one at most.
fn assoc_id(other: &AssociatedItem, item: ItemId, target: ItemId) -> String {
    match &other.assoc {
        Some(id) => id.to_string(),
        None => format!("ta-{}-{}", item.0, target.0),
    }
}

fn not_a_target() -> Fault {
    Fault::internal("control showed something as a target that is none")
}
