//! A gateway that only carries the configuration of its cluster: it serves nobody, forwards no log
//! and writes nothing into its directory, so it may run beside the one that serves.

use std::sync::Arc;

use keysherd_api::passwords::Turns;
use keysherd_api::{
    AnswerBudget, BrowserLogins, NoCertificate, NoConfigs, NoForwarding, NoStanding, Services,
};
use keysherd_authn::Outward;
use keysherd_engines::Way as TargetWay;
use keysherd_gateway::{
    CacheSettings, ClusterConfigs, ConfigStore, Duty, Gateway, GatewayConfig, Membership,
};

use super::gateway::GatewayParts;
use super::membership;
use crate::exit::Exit;

/// Where one that has to keep something does so, in the gateway's directory.
const DIRECTORY: &str = "carrying";

/// What carries.
pub(crate) struct Carrier {
    /// The place in the cluster.
    pub(crate) membership: Arc<Membership>,
    /// What the cluster is configured with.
    pub(crate) configs: Arc<ClusterConfigs>,
}

impl Carrier {
    /// Joins the cluster. Call it on the runtime that does the work.
    ///
    /// # Errors
    /// [`Exit::Configuration`] for a gateway in no cluster, or without its own credential.
    pub(crate) fn open(parts: GatewayParts) -> Result<Self, Exit> {
        let GatewayParts { clock, rng, egress, .. } = &parts;
        let (clock, rng, egress) = (clock.clone(), rng.clone(), egress.clone());
        let home = parts.home;
        let cluster = parts.cluster.ok_or_else(|| {
            Exit::Configuration(
                "--gateway-access-id is missing: a configuration is a cluster's".to_owned(),
            )
        })?;
        let gateway = Arc::new(Gateway::start(GatewayConfig {
            plane: parts.plane,
            instance: parts.instance,
            bundle: parts.bundle,
            links: parts.links,
            fragments: parts.fragments,
            clock: parts.clock,
            rng: parts.rng,
            key_cache_seconds: 0,
            cache: CacheSettings::default(),
            copy_key: None,
            rewraps_per_second: None,
            home: None,
            strict: parts.strict,
            removes: None,
            duty: Duty::new(false),
        })?);
        let services = Services {
            plane: gateway.plane(),
            crypt: gateway.clone(),
            clock: clock.clone(),
            rng: rng.clone(),
            answers: AnswerBudget::default(),
            browser_logins: BrowserLogins::default(),
            configs: Arc::new(NoConfigs),
            certificate: Arc::new(NoCertificate),
            engines: TargetWay::new(clock.clone(), rng.clone(), egress.targets()),
            forwarding: NoForwarding::new(clock, rng.clone()),
            outward: Outward::new(&egress.egress),
            standing: Arc::new(NoStanding),
            creations: Default::default(),
            stretching: Turns::new(1),
        };
        // The serving gateway's own token and state are not touched.
        let membership =
            membership::join(cluster, services, home.join(DIRECTORY), Duty::new(false))?;
        let local = Arc::new(ConfigStore::empty(rng)?);
        let configs = ClusterConfigs::start(local, membership.clone(), gateway);
        Ok(Self { membership, configs })
    }
}
