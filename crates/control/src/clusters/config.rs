//! Keeping the configuration of a cluster, which control cannot read.

use keysherd_audit::{Param, action};
use keysherd_base::Fault;
use keysherd_crypto::permit::Class;
use keysherd_domain::cluster::Cluster;
use keysherd_plane::clusters::ClusterConfigPut;
use keysherd_plane::grants::KeyRef;
use keysherd_plane::items::SealedValue;
use keysherd_plane::{Caller, Done};
use keysherd_store::{Tx, clusters as stored};

use super::leases::member;
use super::own;
use crate::audit::audit_draft;
use crate::control::Control;
use crate::gateways::GatewayIdentity;
use crate::items::account_now;
use crate::items::protection::Chooser;
use crate::items::sealed::{self, Sealing};
use crate::session::Principal;

/// Keeps the next configuration of a cluster and tells its gateways.
///
/// # Errors
/// [`Fault::not_found`] for all but the cluster's own access id, [`Fault::forbidden`] for a gateway
/// that is not in it, [`Fault::conflict`] when it is not the next one.
pub(crate) async fn put(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    message: ClusterConfigPut,
) -> Result<Done, Fault> {
    let who = control.principal(caller).await?;
    let mut params = vec![
        Param::public("gateway_cluster", message.cluster.to_string()),
        Param::public("version", message.version.to_string()),
    ];
    params.extend(message.key.as_ref().map(|key| Param::public("key", key.to_string())));
    let draft = audit_draft(caller, &who, action::UPDATE_GATEWAY_CONFIG, "", params);
    let (spki, now) = (gateway.spki_sha256, control.now());
    let job = move |tx: &Tx| {
        member(tx, message.cluster, &spki)?;
        keep(tx, &who, message, now)
    };
    let done = control.store.commit(vec![draft], job).await?;
    control.clusters.tell();
    Ok(done)
}

fn keep(
    tx: &Tx,
    who: &Principal,
    message: ClusterConfigPut,
    now: keysherd_base::Timestamp,
) -> Result<Done, Fault> {
    let ClusterConfigPut { version, value, key: named, .. } = message;
    let cluster = own(tx, who, message.cluster)?;
    if value.unconfirmed {
        return Err(Fault::bad_request(
            "a configuration is kept only when every fragment manager has confirmed it",
        ));
    }
    if value.name_tag.is_none() {
        return Err(Fault::bad_request(
            "a configuration is kept only with what attests that it is this cluster's; use the \
             newest program for the gateway",
        ));
    }
    let sealing = Sealing {
        account: who.account,
        uid: cluster.uid,
        version,
        class: Class::SecretItem,
        key: value.key,
    };
    sealed::check(&value.ciphertext, &sealing)?;
    let account = account_now(tx, who.account)?;
    let chooser = Chooser { q: tx, who, account: &account, now };
    match &named {
        None => chooser.recheck_choice(cluster.protection_key, &value.key)?,
        Some(named) => {
            let protection_key = chooser.recheck_new(Some(named), None, &value.key)?.item;
            stored::update(tx, &Cluster { protection_key, ..cluster.clone() })?;
        }
    }
    let KeyRef { key_id, version: key_version, customer_fragment } = value.key;
    let key = stored::ConfigKey { key_id, version: key_version, customer_fragment };
    let SealedValue { ciphertext, name_tag, .. } = value;
    let config = stored::StoredConfig { version, key, ciphertext, name_tag };
    if stored::put_config(tx, cluster.id, &config)? {
        return Ok(Done);
    }
    Err(Fault::conflict(format!(
        "the configuration of the gateway cluster {} was changed by another gateway at the same \
         time",
        cluster.full_name()
    )))
}
