//! A gateway joins the cluster that its settings name.

use std::net::IpAddr;
use std::sync::Arc;

use keysherd_api::passwords::Turns;
use keysherd_api::{AnswerBudget, BrowserLogins, NoConfigs, Services};
use keysherd_authn::Outward;
use keysherd_domain::cluster::DEFAULT_NAME;
use keysherd_gateway::{Membership, MembershipConfig};
use serde_json::{Value, json};

use super::gateway::GatewayRole;
use crate::config::cluster::ClusterSettings;
use crate::exit::Exit;

/// Joins the cluster, if there is one in the settings. Call it on the runtime that serves.
///
/// # Errors
/// [`Exit::Configuration`] when the gateway's own credential cannot be read.
pub(crate) fn join(
    role: &GatewayRole,
    settings: Option<&ClusterSettings>,
    address: IpAddr,
) -> Result<Option<Arc<Membership>>, Exit> {
    let Some(settings) = settings else { return Ok(None) };
    if settings.name == DEFAULT_NAME {
        tracing::warn!(
            cluster = DEFAULT_NAME,
            "the cluster has the default name; choose one with --cluster-name, because another \
             name later is another cluster, which starts empty"
        );
    }
    let Services { plane, crypt, clock, rng, forwarding, .. } = &*role.services;
    let services = Services {
        plane: plane.clone(),
        crypt: crypt.clone(),
        clock: clock.clone(),
        rng: rng.clone(),
        answers: AnswerBudget::default(),
        browser_logins: BrowserLogins::default(),
        configs: Arc::new(NoConfigs),
        forwarding: forwarding.clone(),
        outward: Outward::default(),
        stretching: Turns::new(1),
    };
    Ok(Some(Membership::start(MembershipConfig {
        services: Arc::new(services),
        access_id: settings.access_id.clone(),
        credential: settings.proof.read(&crate::env)?,
        address,
        name: settings.name.clone(),
        display_name: settings.display_name.clone(),
        url: settings.url.clone(),
        host: settings.host.clone(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
    })))
}

/// How the membership is, as `GET /status` has it; `null` for a gateway in no cluster.
pub(crate) fn health(membership: Option<&Membership>) -> Value {
    let Some(health) = membership.map(Membership::health) else { return Value::Null };
    json!({
        "name": health.name,
        "connected": health.connected,
        "last_answer": health.last_answer.map(|at| at.rfc3339()),
        "problem": health.problem,
        "config_version": health.config_version,
    })
}
