//! Wishes about the configuration of a gateway cluster: sealed and opened like a value, by the
//! cluster's own access id, and by nobody else.

use std::sync::Arc;

use keysherd_base::{Fault, ItemId, ItemPath, Timestamp};
use keysherd_crypto::permit::{Class, Op, PermitEntry};
use keysherd_domain::cluster::config_path;
use keysherd_domain::item::{ItemKind, SecretKind, ValueFormat};
use keysherd_plane::grants::{Granted, GrantedItem, GrantedVersion, KeyRef};
use keysherd_store::{Query, clusters as stored};

use super::Batch;
use super::write::Place;
use crate::clusters::own;
use crate::control::Control;
use crate::items::account_now;
use crate::items::protection::Chooser;
use crate::items::sealed::salt_of;
use crate::session::Principal;

impl Batch {
    /// Grants the newest configuration of a cluster to one of its gateways.
    pub(super) fn cluster_config(
        &mut self,
        control: &Control,
        who: &Principal,
        cluster: i64,
        record: usize,
    ) -> Result<Granted, Fault> {
        let (cluster, config) = control.store.read(|reader| {
            let cluster = own(reader, who, cluster)?;
            let config = stored::config(reader, cluster.id)?;
            Ok((cluster, config))
        })?;
        let config = config.ok_or_else(|| {
            Fault::not_found(format!(
                "the gateway cluster {} has no configuration yet",
                cluster.full_name()
            ))
        })?;
        let stored::ConfigKey { key_id, version, customer_fragment } = config.key;
        let key = KeyRef { key_id, version, customer_fragment };
        let salt = salt_of(&config.ciphertext, &key).ok_or_else(|| {
            Fault::internal(format_args!(
                "configuration {} of cluster {}: its envelope is not wrapped by its key",
                config.version, cluster.id
            ))
        })?;
        let derivation = PermitEntry {
            key_id,
            key_version: version,
            class: Class::SecretItem,
            item_id: cluster.uid,
            item_version: u64::from(config.version),
            salt,
            subject: who.permit_subject(),
        };
        let permit_slot = match self.with_permit {
            true => Some(self.permits.add(who.account, Op::Read, derivation, Some(record))?),
            false => None,
        };
        let version = GrantedVersion {
            version: config.version,
            ciphertext: config.ciphertext,
            key,
            permit_slot,
            name_tag: config.name_tag,
        };
        Ok(Granted::Read(vec![Arc::new(GrantedItem {
            path: config_path(&cluster.access_id, &cluster.name)?,
            id: ItemId(0),
            uid: cluster.uid,
            kind: ItemKind::StaticSecret,
            secret_kind: SecretKind::default(),
            format: ValueFormat::default(),
            versions: vec![version],
        })]))
    }
}

/// Where the configuration after the version `replaces` goes, under another key if one is named.
/// Nothing can exist under it yet.
pub(super) fn next_config(
    q: &dyn Query,
    who: &Principal,
    (cluster, replaces): (i64, u32),
    key: Option<&ItemPath>,
    now: Timestamp,
) -> Result<Place, Fault> {
    let cluster = own(q, who, cluster)?;
    let newest = stored::config_version(q, cluster.id)?.unwrap_or_default();
    let next = newest.checked_add(1).filter(|_| newest == replaces);
    let version = next.ok_or_else(|| {
        Fault::conflict(format!(
            "the configuration of the gateway cluster {} has version {newest}, not {replaces}; \
             read it again before you change it",
            cluster.full_name()
        ))
    })?;
    let account = account_now(q, who.account)?;
    let chooser = Chooser { q, who, account: &account, now };
    let protection = match key {
        Some(key) => chooser.for_new(Some(key))?,
        None => chooser.of_item_or_default(cluster.protection_key)?,
    };
    Ok(Place {
        uid: cluster.uid,
        version,
        overwrite: false,
        format: ValueFormat::default(),
        class: Class::SecretItem,
        key: protection.key,
    })
}
