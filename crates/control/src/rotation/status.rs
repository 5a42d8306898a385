//! Which key versions wrap what, and how far a rotation is.

use std::collections::HashMap;

use keysherd_audit::{Param, action};
use keysherd_base::{AccountId, Fault, KeyId, Timestamp};
use keysherd_domain::item::{Item, ItemVersion};
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_plane::Caller;
use keysherd_plane::grants::ItemRef;
use keysherd_plane::rotation::{
    KeyStatus, KeyVersionStatus, RewrapStatus, RewrapStatusReply, RotationStatus, WrappedBy,
};
use keysherd_store::key_rotations;
use keysherd_store::keys::{self, ProtectionKey};
use keysherd_store::{Query, Reader, clusters, item_versions, items as stored, key_wraps};

use crate::audit::audit_draft;
use crate::control::Control;
use crate::items::cache::key_of;
use crate::items::describe::{by_reference, ref_param, unknown_ref};
use crate::items::display::by_uid;
use crate::items::protection::GRACE_SECONDS;
use crate::items::{account_now, permitted};
use crate::session::Principal;

/// Reads the state of a key, or what wraps the versions of an item.
///
/// # Errors
/// [`Fault::unauthorized`] without `list` on the path, or without the admin role for the original
/// key; [`Fault::not_found`].
pub(crate) async fn status(
    control: &Control,
    caller: &Caller,
    message: RewrapStatus,
) -> Result<RewrapStatusReply, Fault> {
    let who = control.principal(caller).await?;
    let now = control.now();
    let params = match &message.item {
        Some(item) => vec![ref_param(item)],
        None => vec![Param::public("item_name", "original key")],
    };
    let asker = who.clone();
    let outcome = control
        .store
        .read_blocking(move |reader: &Reader| read(reader, &asker, message.item.as_ref(), now))
        .await;
    let draft = audit_draft(caller, &who, action::GET_ITEM, "", params);
    control.recorded(draft, outcome).await
}

fn read(
    q: &dyn Query,
    who: &Principal,
    item: Option<&ItemRef>,
    now: Timestamp,
) -> Result<RewrapStatusReply, Fault> {
    let Some(reference) = item else {
        who.require_admin()?;
        let key_id = account_now(q, who.account)?.original_key;
        return Ok(RewrapStatusReply::Key(Box::new(of_key(q, None, (who.account, key_id), now)?)));
    };
    let item = listed(q, who, reference, now)?;
    if let Some(key_id) = item.key.as_ref().map(|info| info.key_id) {
        return Ok(RewrapStatusReply::Key(Box::new(of_key(
            q,
            Some(item),
            (who.account, key_id),
            now,
        )?)));
    }
    let mut names = HashMap::new();
    let mut values = Vec::new();
    for version in item_versions::list(q, item.id)? {
        let name = match names.get(&version.key_id) {
            Some(known) => Option::clone(known),
            None => {
                let name = visible_name(q, who, version.key_id, now)?;
                names.insert(version.key_id, name.clone());
                name
            }
        };
        let key = key_of(&version);
        values.push(WrappedBy { version: version.version, key_name: name, key });
    }
    Ok(RewrapStatusReply::Item { item: Box::new(item), values })
}

/// The item somebody names, if they may list it.
fn listed(
    q: &dyn Query,
    who: &Principal,
    reference: &ItemRef,
    now: Timestamp,
) -> Result<Item, Fault> {
    if let ItemRef::Path(path) = reference {
        return permitted(who, path, Capability::List, now, || {
            stored::by_path(q, who.account, path)
        });
    }
    let sees = |item: &Item| who.may(RuleKind::Item, item.path.as_str(), Capability::List, now);
    by_reference(q, who, reference)?.filter(sees).ok_or_else(|| unknown_ref(reference))
}

fn visible_name(
    q: &dyn Query,
    who: &Principal,
    key_id: KeyId,
    now: Timestamp,
) -> Result<Option<String>, Fault> {
    let item = by_uid(q, who.account, key_id)?;
    let sees = |item: &Item| who.may(RuleKind::Item, item.path.as_str(), Capability::List, now);
    Ok(item.filter(sees).map(|item| item.path.to_string()))
}

fn of_key(
    q: &dyn Query,
    item: Option<Item>,
    (account, key_id): (AccountId, KeyId),
    now: Timestamp,
) -> Result<KeyStatus, Fault> {
    let all = keys::versions(q, key_id)?;
    let counts: HashMap<u32, u64> = key_wraps::counts(q, key_id)?.into_iter().collect();
    let sealing = clusters::sealing(q, account)?;
    let configurations = |version| {
        let under = |cluster: &&clusters::Sealing| {
            cluster.under.is_some_and(|it| (it.key_id, it.version) == (key_id, version))
        };
        sealing.iter().filter(under).count() as u64
    };
    let newest = all.first().map(|key| (key.version, key.created));
    let values = |version| counts.get(&version).copied().unwrap_or(0);
    let versions = all.iter().map(|key| KeyVersionStatus {
        version: key.version,
        state: key.state,
        created: key.created,
        managers: key.managers,
        threshold: key.threshold,
        customer_fragment: key.customer_fragment,
        values: values(key.version),
        configurations: configurations(key.version),
        // A value that was granted just before the rotation can still arrive.
        ready_to_destroy: values(key.version) + configurations(key.version) == 0
            && newest.is_some_and(|(version, since)| {
                key.version < version && since.plus_seconds(GRACE_SECONDS) <= now
            }),
    });
    let rotation = key_rotations::newest(q, key_id)?.map(|rotation| RotationStatus {
        to: rotation.version,
        started: rotation.started,
        finished: rotation.finished,
        found: rotation.values_found,
        left: counts.iter().filter(|(v, _)| **v < rotation.version).map(|(_, n)| n).sum(),
        problem: rotation.problem,
    });
    Ok(KeyStatus { versions: versions.collect(), rotation, item, key_id })
}

/// The versions of a key as versions of its item; sealed material or not.
///
/// # Errors
/// Those of the store.
pub(crate) fn as_item_versions(q: &dyn Query, key_id: KeyId) -> Result<Vec<ItemVersion>, Fault> {
    let version = |key: ProtectionKey| ItemVersion {
        version: key.version,
        state: key.state,
        key_id,
        key_version: key.version,
        protection_key: None,
        customer_fragment: key.customer_fragment,
        ciphertext: std::sync::Arc::from([].as_slice()),
        unconfirmed: false,
        name_tag: None,
        by: None,
        created: key.created,
    };
    Ok(keys::versions(q, key_id)?.into_iter().map(version).collect())
}
