//! Deleting a cluster.

use keysherd_audit::{Param, action};
use keysherd_base::Fault;
use keysherd_base::limits::INSTANCES_PER_CLUSTER_MAX;
use keysherd_domain::cluster::Cluster;
use keysherd_plane::clusters::ClusterDelete;
use keysherd_plane::{Caller, Done};
use keysherd_store::{Reader, Tx, clusters as stored};

use super::named;
use crate::audit::audit_draft;
use crate::control::Control;
use crate::session::Principal;

/// Deletes a cluster with its instances and its configuration. Instances that run register again
/// and find nothing of it.
///
/// # Errors
/// [`Fault::unauthorized`] for all but administrators, [`Fault::not_found`], [`Fault::conflict`]
/// while an instance runs, unless forced.
pub(crate) async fn delete(
    control: &Control,
    caller: &Caller,
    message: ClusterDelete,
) -> Result<Done, Fault> {
    let who = control.principal(caller).await?;
    let params = vec![
        Param::public("cluster", message.name.clone()),
        Param::public("force", message.force.to_string()),
    ];
    let draft = audit_draft(caller, &who, action::DELETE_GATEWAY_CLUSTER, "", params);
    let account = who.account;
    let plan = control.store.read(|reader| plan(control, reader, &who, &message));
    let deleted = plan.as_ref().ok().map(|cluster| cluster.id);
    let job = plan.map(|cluster| {
        move |tx: &Tx| match stored::delete(tx, account, cluster.id)? {
            true => Ok(Done),
            false => Err(Fault::not_found(format!(
                "the gateway cluster {} was deleted by somebody else",
                cluster.full_name()
            ))),
        }
    });
    let done = control.change(draft, job).await?;
    deleted.into_iter().for_each(|cluster| control.clusters.forget(cluster));
    Ok(done)
}

fn plan(
    control: &Control,
    reader: &Reader,
    who: &Principal,
    message: &ClusterDelete,
) -> Result<Cluster, Fault> {
    who.require_admin()?;
    let cluster = named(reader, who.account, &message.name)?;
    let now = control.now();
    let instances = stored::instances(reader, cluster.id, INSTANCES_PER_CLUSTER_MAX)?;
    let running = instances
        .iter()
        .filter(|(instance, noted)| control.clusters.state(&instance.spki_sha256, *noted, now).1)
        .count();
    if running > 0 && !message.force {
        return Err(Fault::conflict(format!(
            "the gateway cluster {} has {running} running instances; stop them first, or set \
             force-deletion",
            cluster.full_name()
        )));
    }
    Ok(cluster)
}
