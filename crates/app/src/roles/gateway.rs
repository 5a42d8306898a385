//! The gateway over a plane and links to managers, wherever those are.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keysherd_api::passwords::Turns;
use keysherd_api::{
    AnswerBudget, BrowserLogins, Configs, ForwarderState, Forwarding, NoCertificate, NoConfigs,
    NoForwarding, NoStanding, PublicCertificate, Services,
};
use keysherd_authn::Outward;
use keysherd_base::{AccountId, ClockHandle, RngHandle, Secret};
use keysherd_crypto::sign::SigningKey;
use keysherd_engines::{Endpoints, Identity, Way as TargetWay};
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_gateway::{
    CacheHealth, CacheSettings, ClusterConfigs, ClusterIdentity, ConfigStore, CopyKey,
    CustomerFragments, Duty, Forwarders, Gateway, GatewayConfig, GatewayHealth, Links, LogFinding,
    ManagerHealth, Membership, Strictness, follow_read_policies, forget_gone_methods,
};
use keysherd_plane::PlaneHandle;
use keysherd_sinks::Way;
use serde_json::json;

use super::files::DataDir;
use super::membership::{self, ClusterParts};
use crate::config::egress::EgressSettings;
use crate::exit::Exit;

/// Passwords stretched at one time, each with 19 MiB.
const STRETCHING_MAX: usize = 2;
/// File of the gateway's identity in its own directory.
pub(crate) const INSTANCE_KEY: &str = "instance.key";

/// How long a gateway that ends waits until control has heard of what it answered by itself.
pub(crate) const JOURNAL_DRAIN: Duration = Duration::from_secs(5);

/// What a gateway is opened with.
pub(crate) struct GatewayParts {
    /// The control plane.
    pub(crate) plane: PlaneHandle,
    /// Its identity.
    pub(crate) instance: SigningKey,
    /// The trust bundle in force.
    pub(crate) bundle: Arc<PinnedBundle>,
    /// The ways to the managers.
    pub(crate) links: Links,
    /// The customer fragments.
    pub(crate) fragments: Arc<CustomerFragments>,
    /// Time.
    pub(crate) clock: ClockHandle,
    /// Randomness.
    pub(crate) rng: RngHandle,
    /// Seconds an opened key stays in memory; 0: never.
    pub(crate) key_cache_seconds: i64,
    /// Which reads it answers by itself.
    pub(crate) cache: CacheSettings,
    /// The operator's key for a copy on disk of what may be read offline; `None`: there is none.
    pub(crate) cache_key: Option<Secret<[u8; 32]>>,
    /// Values wrapped anew in a second after a rotation; `None`: none.
    pub(crate) rewraps_per_second: Option<NonZeroU32>,
    /// Its directory, for what has to outlive it.
    pub(crate) home: PathBuf,
    /// What it refuses beyond what it must.
    pub(crate) strict: Strictness,
    /// Whether it removes temporary credentials and changes those that rotate.
    pub(crate) works_on_targets: bool,
    /// The cluster it is in.
    pub(crate) cluster: Option<ClusterParts>,
    /// The certificate that its clients see.
    pub(crate) certificate: Arc<dyn PublicCertificate>,
    /// The accounts whose log targets may use the identity that this machine has in its cloud.
    pub(crate) lends_identity_to: Arc<[AccountId]>,
    /// How it reaches others than control and managers.
    pub(crate) egress: EgressSettings,
}

/// A running gateway and what its commands can use.
#[derive(Clone)]
pub(crate) struct GatewayRole {
    /// Its cryptography.
    pub(crate) gateway: Arc<Gateway>,
    /// What commands can use.
    pub(crate) services: Arc<Services>,
    /// What sends the audit log to others.
    pub(crate) forwarders: Arc<Forwarders>,
    /// Its place in a cluster.
    pub(crate) membership: Option<Arc<Membership>>,
}

/// The identity of the gateway in `dir`, made at the first start.
pub(crate) fn instance_key(dir: &DataDir, rng: &RngHandle) -> Result<SigningKey, Exit> {
    dir.signing_key(INSTANCE_KEY, &**rng)
}

impl GatewayRole {
    /// Starts the gateway. Call it on the runtime that will serve.
    pub(crate) fn open(parts: GatewayParts) -> Result<Self, Exit> {
        let GatewayParts { plane, clock, rng, .. } = &parts;
        let (plane, clock, rng) = (plane.clone(), clock.clone(), rng.clone());
        let local = Arc::new(ConfigStore::open(&parts.home, rng.clone())?);
        let (engines, duty) = (way_to_targets(&parts), duty(parts.cluster.as_ref()));
        let copy_key = copy_key(parts.cache_key, parts.cluster.as_ref());
        let (home, lends_identity_to) = (parts.home.clone(), parts.lends_identity_to.clone());
        let gateway = Arc::new(Gateway::start(GatewayConfig {
            plane: parts.plane,
            instance: parts.instance,
            bundle: parts.bundle,
            links: parts.links,
            fragments: parts.fragments,
            clock: parts.clock,
            rng: parts.rng,
            key_cache_seconds: parts.key_cache_seconds,
            cache: parts.cache,
            copy_key,
            rewraps_per_second: parts.rewraps_per_second,
            home: Some(parts.home),
            strict: parts.strict,
            removes: parts.works_on_targets.then(|| engines.clone()),
            duty: duty.clone(),
        })?);
        let crypt = gateway.clone();
        let services = |configs: Arc<dyn Configs>, forwarding: Arc<dyn Forwarding>| Services {
            plane: gateway.plane(),
            crypt: crypt.clone(),
            clock: clock.clone(),
            rng: rng.clone(),
            answers: AnswerBudget::default(),
            browser_logins: BrowserLogins::default(),
            configs,
            certificate: parts.certificate.clone(),
            forwarding,
            outward: Outward::new(&parts.egress.egress),
            engines: engines.clone(),
            standing: Arc::new(NoStanding),
            creations: Default::default(),
            stretching: Turns::new(STRETCHING_MAX),
        };
        let (membership, configs): (_, Arc<dyn Configs>) = match parts.cluster {
            None => (None, local),
            Some(cluster) => {
                let first = cluster.settings.first.clone();
                let none = NoForwarding::new(clock.clone(), rng.clone());
                let certificate = Arc::new(NoCertificate);
                let own = Services { certificate, ..services(Arc::new(NoConfigs), none) };
                let membership = membership::join(cluster, own, home.clone(), duty)?;
                let shared = ClusterConfigs::start(local, membership.clone(), gateway.clone());
                let weak = (Arc::downgrade(&membership), Arc::downgrade(&shared));
                tokio::spawn(first.bring(weak.0, weak.1));
                (Some(membership), shared)
            }
        };
        let (egress, clock, rng) = (parts.egress.receivers(), clock.clone(), rng.clone());
        let way = Way { clock, rng, lends_identity_to, account: None, egress };
        let (told, member) = (configs.clone(), membership.clone());
        let forwarders = Forwarders::start(&home, told, member, plane.clone(), way)?;
        tokio::spawn(forget_gone_methods(Arc::downgrade(&configs), plane.clone()));
        let weak = (Arc::downgrade(&configs), Arc::downgrade(&gateway));
        tokio::spawn(follow_read_policies(weak.0, weak.1));
        let mut services = services(configs, forwarders.clone());
        if let Some(membership) = &membership {
            services.standing = membership.clone();
        }
        let services = Arc::new(services);
        Ok(Self { gateway, services, forwarders, membership })
    }
}

/// How targets are reached, and what webhooks are shown there.
fn way_to_targets(parts: &GatewayParts) -> TargetWay {
    let (clock, rng) = (parts.clock.clone(), parts.rng.clone());
    let mut way = TargetWay::new(clock.clone(), rng.clone(), parts.egress.targets());
    way.endpoints = Endpoints::of(|name| std::env::var(name).ok());
    way.identity = parts.cluster.as_ref().map(|cluster| {
        let access_id = cluster.settings.access_id.clone();
        let own = ClusterIdentity::new(&parts.instance, access_id, clock, rng);
        Arc::new(own) as Arc<dyn Identity>
    });
    way
}

/// One on standby takes nothing before it is known whether it was promoted.
fn duty(cluster: Option<&ClusterParts>) -> Duty {
    Duty::new(!cluster.is_some_and(|cluster| cluster.settings.standby))
}

/// What the copy of reads on disk is sealed under.
fn copy_key(key: Option<Secret<[u8; 32]>>, cluster: Option<&ClusterParts>) -> Option<CopyKey> {
    let named = |ClusterParts { settings, .. }: &ClusterParts| {
        format!("{}/{}", settings.access_id.as_str(), settings.name)
    };
    Some(CopyKey { key: key?, cluster: cluster.map(named).unwrap_or_default() })
}

/// How the gateway and its managers are, as `GET /status` has it. Managers are what their gateway
/// says of them; nothing here is secret.
pub(crate) fn health(role: &GatewayRole) -> serde_json::Value {
    let GatewayHealth { managers, unconfirmed, evidence, logs, cache } = role.gateway.health();
    let manager = |(index, health): (ManagerIndex, ManagerHealth)| {
        json!({
            "index": index.get(),
            "answers": health.answers,
            "failures": health.failures,
            "refusals": health.refusals,
            "overtaken": health.overtaken,
            "lies": health.lies,
            "contradictions": health.contradictions,
            "p95_micros": health.p95_micros,
            "passed_over": health.passed_over,
        })
    };
    let finding = |(index, found): (ManagerIndex, LogFinding)| {
        let (index, finding) = (index.get(), found.text());
        json!({ "index": index, "finding": finding })
    };
    let target = |state: ForwarderState| {
        json!({
            "target": state.sink,
            "enabled": state.enabled,
            "lag": state.newest.saturating_sub(state.delivered),
            "failures": state.failures,
            "findings": state.findings,
        })
    };
    let kept = |cache: CacheHealth| {
        json!({
            "entries": cache.entries,
            "coherent": cache.coherent,
            "hits": cache.hits,
            "offline": cache.offline,
            "ahead": cache.ahead,
            "ahead_too_late": cache.ahead_too_late,
            "journal_bytes": cache.journal_bytes,
            "journals_refused": cache.journals_refused,
            "unproven": cache.unproven,
        })
    };
    json!({
        "cache": cache.map(kept),
        "log_targets": role.forwarders.all_states().into_iter().map(target).collect::<Vec<_>>(),
        "managers": managers.into_iter().map(manager).collect::<Vec<_>>(),
        "unconfirmed_values": unconfirmed,
        "evidence_files": evidence,
        "log_findings": logs.into_iter().map(finding).collect::<Vec<_>>(),
    })
}
