//! Clusters of gateways: how instances register and stay, and who lists and deletes clusters.
//!
//! An instance proves its cluster with two things at once: the token of the cluster's auth method,
//! and the key of its connection, which the owner's trust bundle names.

pub(crate) mod access;
pub(crate) mod config;
pub(crate) mod delete;
pub(crate) mod leases;
pub(crate) mod list;
pub(crate) mod live;
pub(crate) mod provide;
pub(crate) mod show;
pub(crate) mod sync;
pub(crate) mod vouching;

#[cfg(test)]
pub(crate) mod tests;

use keysherd_base::limits::CLUSTERS_PER_ACCOUNT_MAX;
use keysherd_base::{AccountId, Fault};
use keysherd_domain::cluster::Cluster;
use keysherd_domain::item::Item;
use keysherd_store::{Query, clusters as stored};

use crate::gateways::GatewayIdentity;
use crate::session::Principal;

/// The cluster that `name` stands for: a full name, or a name that only one cluster has.
///
/// # Errors
/// [`Fault::not_found`]; [`Fault::bad_request`] for a name of several.
pub(crate) fn named(q: &dyn Query, account: AccountId, name: &str) -> Result<Cluster, Fault> {
    let all = stored::of_account(q, account, CLUSTERS_PER_ACCOUNT_MAX)?;
    let mut meant = all.into_iter().filter(|cluster| cluster.is_called(name));
    match (meant.next(), meant.next()) {
        (Some(cluster), None) => Ok(cluster),
        (None, _) => Err(Fault::not_found(format!(
            "there is no gateway cluster '{}'; see them with list-gateways",
            name.escape_default()
        ))),
        (Some(one), Some(other)) => Err(Fault::bad_request(format!(
            "'{name}' is the name of several gateway clusters; write the full name, such as {} or \
             {}",
            one.full_name(),
            other.full_name()
        ))),
    }
}

/// The clusters whose work a gateway does: nobody's, and its own.
///
/// # Errors
/// Those of the store.
pub(crate) fn served_by(q: &dyn Query, gateway: &GatewayIdentity) -> Result<Vec<i64>, Fault> {
    let own = stored::instance(q, &gateway.spki_sha256)?;
    Ok([0].into_iter().chain(own.map(|(instance, _)| instance.cluster)).collect())
}

/// Demands that a gateway makes, changes and removes what a dynamic or rotated secret gives: any
/// gateway does, or only those of the cluster that owns it, as long as there is one.
///
/// # Errors
/// [`Fault::forbidden`] with the cluster whose gateways are to be asked.
pub(crate) fn serves(q: &dyn Query, gateway: &GatewayIdentity, item: &Item) -> Result<(), Fault> {
    let dynamic = item.engine.as_ref().map(|facts| facts.cluster);
    let owner = dynamic.or(item.rotation.as_ref().map(|facts| facts.cluster)).unwrap_or_default();
    let Some(cluster) = stored::by_id(q, owner)? else { return Ok(()) };
    let own = stored::instance(q, &gateway.spki_sha256)?;
    if own.is_some_and(|(instance, _)| instance.cluster == cluster.id) {
        return Ok(());
    }
    Err(Fault::forbidden(format!(
        "{} belongs to the gateway cluster {}; ask one of its gateways",
        item.called(),
        cluster.full_name()
    ))
    .with_code("OtherCluster"))
}

/// The cluster with this number, for whoever signs in as its gateways do.
///
/// # Errors
/// [`Fault::not_found`] for everybody else, whether there is such a cluster or not.
pub(crate) fn own(q: &dyn Query, who: &Principal, id: i64) -> Result<Cluster, Fault> {
    let found = stored::by_id(q, id)?;
    let own = found
        .filter(|cluster| cluster.account == who.account && cluster.access_id == *who.access_id());
    own.ok_or_else(|| {
        Fault::not_found(format!(
            "access id {} has no gateway cluster {id}; its gateways register with it",
            who.access_id()
        ))
    })
}
