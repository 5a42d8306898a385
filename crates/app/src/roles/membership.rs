//! A gateway joins the cluster that its settings name.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use keysherd_api::Services;
use keysherd_domain::cluster::DEFAULT_NAME;
use keysherd_gateway::{Duty, Membership, MembershipConfig};
use serde_json::{Value, json};

use crate::config::cluster::ClusterSettings;
use crate::exit::Exit;

/// What a gateway joins its cluster with.
#[derive(Clone, Debug)]
pub(crate) struct ClusterParts {
    /// The settings.
    pub(crate) settings: ClusterSettings,
    /// Where its questions come from, as control sees it.
    pub(crate) address: IpAddr,
}

/// Joins the cluster. `services` are the gateway's own, `home` is its directory, `duty` follows
/// whether it is on standby. Call it on the runtime that serves.
///
/// # Errors
/// [`Exit::Configuration`] when the gateway's own credential cannot be read.
pub(super) fn join(
    parts: ClusterParts,
    services: Services,
    home: PathBuf,
    duty: Duty,
) -> Result<Arc<Membership>, Exit> {
    let ClusterParts { settings, address } = parts;
    if settings.name == DEFAULT_NAME {
        tracing::warn!(
            cluster = DEFAULT_NAME,
            "the cluster has the default name; choose one with --cluster-name, because another \
             name later is another cluster, which starts empty"
        );
    }
    if let Some(remark) = settings.proof.remark() {
        tracing::warn!("{remark}");
    }
    let membership = Membership::start(MembershipConfig {
        services: Arc::new(services),
        access_id: settings.access_id,
        proof: settings.proof.read(&home, &settings.host)?,
        address,
        name: settings.name,
        display_name: settings.display_name,
        url: settings.url,
        protection_key: settings.protection_key,
        host: settings.host,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        standby: settings.standby,
        duty,
        home,
    })?;
    Ok(membership)
}

/// How the membership is, as `GET /status` has it for everybody; `null` for one in no cluster.
/// No account and no access id: those help to make requests in somebody's name.
pub(crate) fn health(membership: Option<&Membership>) -> Value {
    let Some(health) = membership.map(Membership::health) else { return Value::Null };
    json!({
        "name": health.short_name,
        "connected": health.connected,
        "last_answer": health.last_answer.map(|at| at.rfc3339()),
        "problem": health.problem_kind,
        "config_version": health.config_version,
        "active": health.active,
        "leases": health.leases.into_iter().collect::<BTreeMap<_, _>>(),
    })
}
