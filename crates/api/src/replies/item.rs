//! An item as `describe-item` and `list-items` show it.
//!
//! The set of fields follows a published answer for a fresh secret, which is the safest for old
//! clients that refuse fields they do not know; everything else appears only with a value.

use keysherd_base::ItemId;
use keysherd_domain::item::{Item, ItemKind, ItemLock, ItemState, ItemVersion};
use keysherd_plane::items::ItemView;
use serde::Serialize;

use super::LastUsed;
use super::rotation::{CheckOutInfo, RotatedDetails, RotationDates};
use super::target::TargetAssocReply;

/// The model `Item`.
#[derive(Serialize)]
pub(crate) struct ItemReply<'a> {
    item_name: &'a str,
    item_id: ItemId,
    display_id: &'a str,
    item_type: &'static str,
    item_sub_type: &'static str,
    item_metadata: &'a str,
    item_tags: Option<&'a [String]>,
    item_size: u64,
    item_state: &'static str,
    item_accessibility: u8,
    last_version: u32,
    with_customer_fragment: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_fragment_id: Option<String>,
    is_enabled: bool,
    public_value: &'static str,
    certificates: &'static str,
    protection_key_name: &'a str,
    cert_issuer_signer_key_name: &'static str,
    client_permissions: Vec<&'static str>,
    certificate_issue_details: Empty,
    item_general_info: GeneralInfo<'a>,
    is_access_request_enabled: bool,
    access_request_status: &'static str,
    delete_protection: bool,
    creation_date: String,
    modification_date: String,
    #[serde(flatten)]
    last_used: LastUsed,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_date: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    item_versions: Vec<VersionReply<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locking_info: Option<LockReply<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    item_custom_fields_details: Vec<CustomFieldReply<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    item_targets_assoc: Vec<TargetAssocReply<'a>>,
    #[serde(flatten)]
    rotation: RotationDates,
    gateway_details: Option<()>,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct GeneralInfo<'a> {
    cert_issue_details: Empty,
    dynamic_secret_producer_details: Empty,
    rotated_secret_details: RotatedDetails<'a>,
    classic_key_details: Empty,
    secure_remote_access_details: RemoteAccess,
    static_secret_info: StaticSecretInfo<'a>,
    #[serde(flatten)]
    check_out: CheckOutInfo,
}

#[derive(Serialize)]
struct RemoteAccess {
    use_internal_bastion: bool,
}

#[derive(Serialize)]
struct StaticSecretInfo<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_versions: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    notify_on_change_event: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    websites: &'a [String],
}

/// The model `ItemVersion`.
#[derive(Serialize)]
pub(super) struct VersionReply<'a> {
    version: u32,
    creation_date: String,
    item_version_state: &'static str,
    protection_key_name: &'a str,
    with_customer_fragment: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_fragment_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_identifier: Option<&'a str>,
}

/// The model `LockingInfo`.
#[derive(Serialize)]
pub(super) struct LockReply<'a> {
    locked_by: &'a str,
    actions: Vec<&'static str>,
    expire_at: i64,
    unique_identifier: &'a str,
}

#[derive(Serialize)]
struct CustomFieldReply<'a> {
    name: &'a str,
    value: &'a str,
}

/// What of an item is shown.
#[derive(Clone, Copy, Default)]
pub(crate) struct Parts {
    /// Account-defined fields.
    pub(crate) custom_fields: bool,
}

impl<'a> ItemReply<'a> {
    /// Shows `view`.
    pub(crate) fn new(view: &'a ItemView, parts: Parts) -> Self {
        let item = &view.item;
        let custom = parts.custom_fields.then_some(&item.custom_fields);
        Self {
            item_name: item.path.as_str(),
            item_id: item.id,
            display_id: &item.display_id.0,
            item_type: item.kind.type_name(),
            item_sub_type: sub_type(item),
            item_metadata: &item.description,
            item_tags: (!item.tags.is_empty()).then_some(item.tags.as_slice()),
            item_size: item.size_bytes,
            item_state: item.state.name(),
            item_accessibility: u8::from(item.personal.is_some()),
            last_version: item.last_version,
            with_customer_fragment: view.customer_fragment.is_some(),
            customer_fragment_id: view.customer_fragment.map(|id| format!("cf-{id}")),
            is_enabled: item.state == ItemState::Enabled,
            public_value: "",
            certificates: "",
            protection_key_name: view.protection_key_name.as_deref().unwrap_or_default(),
            cert_issuer_signer_key_name: "",
            client_permissions: view.permissions.iter().map(|cap| cap.name()).collect(),
            certificate_issue_details: Empty {},
            item_general_info: general_info(view),
            is_access_request_enabled: false,
            access_request_status: "",
            delete_protection: item.delete_protection,
            creation_date: item.created.rfc3339(),
            modification_date: item.modified.rfc3339(),
            last_used: LastUsed::at(view.last_used),
            deletion_date: item.deletion_at.map(|at| at.rfc3339()),
            item_versions: view
                .versions
                .iter()
                .map(|version| version_reply(view, version))
                .collect(),
            locking_info: item.lock.as_ref().map(lock_reply),
            item_custom_fields_details: custom
                .into_iter()
                .flatten()
                .map(|(name, value)| CustomFieldReply { name, value })
                .collect(),
            item_targets_assoc: TargetAssocReply::all(view),
            rotation: RotationDates::of(view),
            gateway_details: None,
        }
    }
}

fn sub_type(item: &Item) -> &'static str {
    match item.kind {
        ItemKind::StaticSecret => item.secret_kind.name(),
        ItemKind::Key(_) | ItemKind::DynamicSecret | ItemKind::Target | ItemKind::RotatedSecret => {
            "generic"
        }
    }
}

fn general_info(view: &ItemView) -> GeneralInfo<'_> {
    let item = &view.item;
    let is_secret = item.kind == ItemKind::StaticSecret;
    GeneralInfo {
        cert_issue_details: Empty {},
        dynamic_secret_producer_details: Empty {},
        rotated_secret_details: RotatedDetails::of(view),
        classic_key_details: Empty {},
        secure_remote_access_details: RemoteAccess { use_internal_bastion: false },
        static_secret_info: StaticSecretInfo {
            format: is_secret.then(|| item.format.name()),
            max_versions: item.max_versions,
            notify_on_change_event: item.change_event,
            websites: &item.websites,
        },
        check_out: CheckOutInfo::of(view),
    }
}

/// Shows a version.
pub(super) fn version_reply<'a>(view: &'a ItemView, version: &'a ItemVersion) -> VersionReply<'a> {
    VersionReply {
        version: version.version,
        creation_date: version.created.rfc3339(),
        item_version_state: version.state.name(),
        protection_key_name: view.protection_key_name.as_deref().unwrap_or_default(),
        with_customer_fragment: version.customer_fragment.is_some(),
        customer_fragment_id: version.customer_fragment.map(|id| format!("cf-{id}")),
        access_id: version.by.as_ref().map(|by| by.access_id.as_str()),
        unique_identifier: version.by.as_ref().map(|by| by.unique_id.as_str()),
    }
}

/// Shows a lock.
pub(super) fn lock_reply(lock: &ItemLock) -> LockReply<'_> {
    let actions = [("read", lock.read), ("update", lock.update)];
    LockReply {
        locked_by: lock.by.access_id.as_str(),
        actions: actions.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect(),
        expire_at: lock.expires.seconds(),
        unique_identifier: &lock.by.unique_id,
    }
}
