//! Listing the clusters of an account.

use keysherd_audit::action;
use keysherd_base::Fault;
use keysherd_base::limits::{CLUSTERS_PER_ACCOUNT_MAX, INSTANCES_PER_CLUSTER_MAX};
use keysherd_domain::cluster::{Cluster, FragmentNote};
use keysherd_domain::gateway_access::GatewayPermission;
use keysherd_plane::Caller;
use keysherd_plane::clusters::{ClusterList, ClusterListReply, ClusterView};
use keysherd_store::{Query, clusters as stored};

use super::access;
use crate::audit::audit_draft;
use crate::control::Control;
use crate::gateways::GatewayIdentity;
use crate::session::Principal;

/// The clusters of the caller's account. Whoever may sign in may know where its gateways are; which
/// customer fragments they hold is for administrators.
///
/// # Errors
/// [`Fault::unauthorized`] when the token is not good.
pub(crate) async fn list(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    _message: ClusterList,
) -> Result<ClusterListReply, Fault> {
    let who = control.principal(caller).await?;
    let draft = audit_draft(caller, &who, action::LIST_GATEWAYS, "", Vec::new());
    let listed = control.store.read(|reader| {
        let current = stored::instance(reader, &gateway.spki_sha256)?;
        let current = current.map(|(instance, _)| instance.cluster);
        let clusters = stored::of_account(reader, who.account, CLUSTERS_PER_ACCOUNT_MAX)?;
        let view = |cluster| view(control, reader, &who, cluster, current);
        Ok(ClusterListReply { clusters: clusters.into_iter().map(view).collect::<Result<_, _>>()? })
    });
    control.recorded(draft, listed).await
}

fn view(
    control: &Control,
    q: &dyn Query,
    who: &Principal,
    cluster: Cluster,
    current: Option<i64>,
) -> Result<ClusterView, Fault> {
    let now = control.now();
    let instances = stored::instances(q, cluster.id, INSTANCES_PER_CLUSTER_MAX)?;
    let mut running = 0;
    let mut last_seen = None;
    let mut fragments: Vec<FragmentNote> = Vec::new();
    for (instance, noted) in &instances {
        let (seen, runs) = control.clusters.state(&instance.spki_sha256, *noted, now);
        running += usize::from(runs);
        last_seen = last_seen.max(Some(seen));
        for fragment in &instance.fragments {
            if fragments.iter().all(|known| known.id != fragment.id) {
                fragments.push(fragment.clone());
            }
        }
    }
    if !who.is_admin() {
        fragments.clear();
    }
    let may_configure =
        who.is_admin() || access::grants(q, cluster.id, who, GatewayPermission::Admin)?;
    Ok(ClusterView {
        running,
        instances: instances.len(),
        last_seen,
        fragments,
        current: current == Some(cluster.id),
        may_configure,
        cluster,
    })
}
