//! What control knows of the cluster of the gateway that asks, for those who configure it.

use keysherd_audit::Param;
use keysherd_base::Fault;
use keysherd_domain::gateway_access::GatewayPermission;
use keysherd_plane::Caller;
use keysherd_plane::clusters::{ClusterKeyChoose, ClusterKeyChosen, ClusterShow, ClusterShown};
use keysherd_store::items as stored;

use super::access;
use crate::control::Control;
use crate::gateway_configs::refused;
use crate::gateways::GatewayIdentity;
use crate::items::account_now;
use crate::items::protection::Chooser;
use crate::session::Principal;

/// Shows the cluster; records only a refusal.
///
/// # Errors
/// [`Fault::unauthorized`] for all who may not configure this part of it.
pub(crate) async fn show(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    _message: ClusterShow,
) -> Result<ClusterShown, Fault> {
    let who = control.principal(caller).await?;
    let shown = admitted(control, gateway, caller, &who).and_then(|()| {
        let directory = control.directory_of(&who);
        control.store.read(|reader| {
            let cluster = access::cluster_of(reader, gateway, &who)?;
            let permissions = access::permissions(reader, cluster.as_ref(), &who)?;
            let allowed = match &cluster {
                Some(cluster) if permissions.contains(&GatewayPermission::Admin) => {
                    access::all(reader, cluster.id, &directory)?
                }
                _ => Vec::new(),
            };
            let key = cluster.as_ref().and_then(|cluster| cluster.protection_key);
            let key = match key {
                Some(id) => stored::by_id(reader, who.account, id)?.map(|item| item.path),
                None => None,
            };
            let account = who.account;
            Ok(ClusterShown { account, cluster, protection_key: key, permissions, allowed })
        })
    });
    refused(control, caller, &who, None, shown).await
}

/// Chooses the default key of the cluster; records only a refusal.
///
/// # Errors
/// As [`show`]; [`Fault::conflict`] for a gateway in no cluster; those of the key: that it is none,
/// does not protect items, or may not be read by the caller.
pub(crate) async fn choose_key(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    message: ClusterKeyChoose,
) -> Result<ClusterKeyChosen, Fault> {
    let who = control.principal(caller).await?;
    let now = control.now();
    let chosen = admitted(control, gateway, caller, &who).and_then(|()| {
        control.store.read(|reader| {
            access::own_cluster(reader, gateway, &who)?;
            let account = account_now(reader, who.account)?;
            let chooser = Chooser { q: reader, who: &who, account: &account, now };
            let item = chooser.for_new(Some(&message.key))?.item;
            let item = item.ok_or_else(|| Fault::internal("a named key is no item"))?;
            Ok(ClusterKeyChosen { item })
        })
    });
    let param = Param::public("key", message.key.to_string());
    refused(control, caller, &who, Some(param), chosen).await
}

fn admitted(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    who: &Principal,
) -> Result<(), Fault> {
    control.may_configure(gateway, who, GatewayPermission::for_command(&caller.command))
}
