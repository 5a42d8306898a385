//! `keysherd gateway`: serves clients; asks control and the managers over links.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keysherd_api::{Limited, NoCertificate, PublicCertificate};
use keysherd_base::{AccountId, ClockHandle, RngHandle, Secret, SystemClock};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::{PublicKey, SigningKey};
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_fragments::messages::{ManagerAnswer, ManagerRequest};
use keysherd_gateway::{CacheSettings, CustomerFragments, Gateway, Strictness};
use keysherd_link::{Channel, Identity, RemotePlane};
use keysherd_sinks::Way;
use serde_json::json;

use crate::config::caching;
use crate::config::egress::EgressSettings;
use crate::config::gateway::GatewaySettings;
use crate::customer_fragments;
use crate::customer_fragments::source::FragmentSource;
use crate::exit::Exit;
use crate::roles::carrier::Carrier;
use crate::roles::certificate::Certificate;
use crate::roles::clock_watch::ClockWatch;
use crate::roles::files::DataDir;
use crate::roles::gateway::{self, GatewayParts, GatewayRole, JOURNAL_DRAIN};
use crate::roles::membership::{self, ClusterParts};
use crate::roles::process::{Hangup, StopSignals, write_stdout};
use crate::roles::public_edge::{PublicAddress, PublicEdge, Served, StatusText};
use crate::roles::remote_control::{self, BundlePoll};
use crate::roles::remote_managers::{RemoteManagers, Ways};
use crate::roles::trust::Trusted;
use crate::roles::{owner_pin, parties, receivers};

/// How often control is asked for a newer bundle, and managers are told of it.
const BUNDLE_INTERVAL: Duration = Duration::from_secs(1);

/// How often, and how many times, a setup brings the bundle to managers that lag behind.
const MANAGERS_INTERVAL: Duration = Duration::from_millis(250);
const MANAGERS_TURNS: usize = 120;

/// Runs the gateway until SIGTERM or SIGINT.
pub(crate) async fn run(settings: GatewaySettings) -> Result<(), Exit> {
    let (mut stop, hangup) = (StopSignals::new()?, Hangup::new()?);
    let clock: ClockHandle = Arc::new(SystemClock);
    let dir = DataDir::open(&settings.data_dir)?;
    let public = PublicAddress {
        listen: settings.serving.listen,
        tls: &settings.serving.tls,
        edge: &settings.serving.edge,
        egress: &settings.serving.egress.egress,
        public_url: settings.serving.public_url.as_deref(),
        served: settings.served,
        limited: Limited::new(settings.serving.only.clone(), settings.serving.never.clone()),
    };
    let cache_key = caching::read_key(settings.serving.cache_key.as_ref(), &settings.data_dir)?;
    let edge = PublicEdge::bind(&public, &dir, &clock).await?;
    let mut joining = Joining::new(&dir, &settings)?;
    let mut text = format!("Keysherd gateway listens on {}\n", edge.url);
    text.push_str(&format!("  data directory  {}\n", dir.join("").display()));
    text.push_str(&format!("  CA certificate  {}\n", edge.ca_file));
    text.push_str(&format!("  identity        {}\n", joining.instance.public()));
    text.push_str(&format!("  fingerprint     {}\n", joining.instance.public().fingerprint()));
    text.push_str(&format!("  owner key       {}\n", joining.owner.fingerprint()));
    text.push_str(&format!("  trust bundle    {}\n", joining.trusted.described()));
    write_stdout(&text);
    let bundle = tokio::select! {
        bundle = joining.wait_for_bundle() => bundle?,
        () = stop.wait() => return Ok(()),
    };
    let fragments = open_fragments(&settings).await;
    let kept = (settings.serving.key_cache_seconds, settings.serving.cache, cache_key);
    let cluster = match settings.serving.cluster {
        None => None,
        Some(cluster) => {
            let address = parties::own_address(&settings.controls).await;
            Some(ClusterParts { settings: cluster, address })
        }
    };
    let certificate = edge.certificate();
    let Joined { role, followed, follower, control } =
        joining.join(bundle, fragments.clone(), kept, (cluster, certificate.clone()))?;
    edge.follow(&role);
    let clock_watch = ClockWatch::start(control);
    let way = Way {
        clock,
        rng: SystemRng::handle(),
        lends_identity_to: settings.serving.lend_cloud_identity.clone(),
        account: None,
        egress: settings.serving.egress.receivers(),
    };
    let configs = Arc::downgrade(&role.services.configs);
    let tasks = [
        tokio::spawn(receivers::keep_note(configs, dir.clone(), way)),
        tokio::spawn(follower.follow()),
        tokio::spawn(reload(
            (hangup, certificate),
            settings.serving.customer_fragments,
            fragments,
            role.gateway.clone(),
        )),
    ];
    let status = status(followed, role.clone(), clock_watch);
    edge.serve(role.clone(), status, stop).await?;
    role.forwarders.retire().await;
    role.gateway.drain(JOURNAL_DRAIN).await;
    for task in tasks {
        task.abort();
    }
    Ok(())
}

/// How long opened keys stay in memory, how reads are kept, and the key of their copy on disk.
type Kept = (i64, CacheSettings, Option<Secret<[u8; 32]>>);

/// A gateway that has its identity, but not yet its place in a bundle.
pub(super) struct Joining {
    instance: SigningKey,
    owner: PublicKey,
    trusted: Arc<Trusted>,
    channel: Channel,
    listening: Channel,
    poll: BundlePoll,
    remotes: Arc<RemoteManagers>,
    clock: ClockHandle,
    rng: RngHandle,
    home: PathBuf,
    strict: Strictness,
    works_on_targets: bool,
    lends_identity_to: Arc<[AccountId]>,
    rewraps_per_second: Option<NonZeroU32>,
    egress: EgressSettings,
}

/// A gateway that can serve.
pub(super) struct Joined {
    /// What serves.
    pub(super) role: GatewayRole,
    /// The bundle in force.
    followed: Arc<Trusted>,
    /// What keeps up with newer bundles.
    follower: Follower,
    /// The way to control.
    control: Channel,
}

impl Joining {
    /// Opens the identity and prepares the links.
    pub(super) fn new(dir: &DataDir, settings: &GatewaySettings) -> Result<Self, Exit> {
        let (clock, rng): (ClockHandle, RngHandle) = (Arc::new(SystemClock), SystemRng::handle());
        let owner = owner_pin::open(dir, settings.owner_key)?;
        let instance = gateway::instance_key(dir, &rng)?;
        let identity = Identity::new(&instance, "gateway", clock.clone(), rng.clone())?;
        let trusted = Trusted::open(dir.clone(), owner)?;
        let source = trusted.source();
        let controls = &settings.controls;
        let relay = settings.relay.then(|| (controls.clone(), parties::controls(source.clone())));
        let egress = settings.serving.egress.clone();
        let out = egress.egress.clone();
        let ways = Ways { addresses: settings.managers.clone(), relay, egress: out.clone() };
        let remotes = RemoteManagers::new(identity.clone(), ways);
        let listening = remote_control::channel(identity.clone(), controls, source.clone(), &out);
        let channel = remote_control::channel(identity, controls, source, &out);
        let poll = BundlePoll::new(channel.clone());
        let (home, strict) = (dir.join(""), settings.serving.strict);
        Ok(Self {
            instance,
            owner,
            trusted,
            channel,
            listening,
            poll,
            remotes,
            clock,
            rng,
            home,
            strict,
            // Whoever only forwards logs has no way to what they are about.
            works_on_targets: settings.served == Served::Everything,
            lends_identity_to: settings.serving.lend_cloud_identity.clone(),
            rewraps_per_second: NonZeroU32::new(settings.serving.rewraps_per_second),
            egress,
        })
    }

    /// Waits until there is a bundle that names this gateway.
    pub(super) async fn wait_for_bundle(&mut self) -> Result<Arc<PinnedBundle>, Exit> {
        let spki = self.instance.public().spki_sha256();
        let mut turns = tokio::time::interval(BUNDLE_INTERVAL);
        let mut told = false;
        loop {
            turns.tick().await;
            if let Some(bundle) = self.trusted.bundle()
                && parties::is_gateway(&bundle, &spki, &self.clock)
            {
                return Ok(bundle);
            }
            match self.poll.newer_than(self.trusted.version()).await {
                Some(newer) => drop(self.trusted.offer(newer)?),
                None if !told => {
                    told = true;
                    tracing::warn!(
                        identity = %self.instance.public(),
                        "waiting for a trust bundle that names this gateway: the owner must add it"
                    );
                }
                None => {}
            }
        }
    }

    /// As [`Self::wait_for_bundle`], and the newest one that control has: what an older one says of
    /// others may be over, where this gateway has not run for a while.
    pub(super) async fn wait_for_newest_bundle(&mut self) -> Result<Arc<PinnedBundle>, Exit> {
        let mut turns = tokio::time::interval(BUNDLE_INTERVAL);
        loop {
            turns.tick().await;
            match self.poll.ask(self.trusted.version()).await {
                Some(Some(newer)) => drop(self.trusted.offer(newer)?),
                Some(None) => return self.wait_for_bundle().await,
                None => {}
            }
        }
    }

    /// Starts the gateway with the bundle that names it.
    pub(super) fn join(
        self,
        bundle: Arc<PinnedBundle>,
        fragments: Arc<CustomerFragments>,
        (key_cache_seconds, cache, cache_key): Kept,
        (cluster, certificate): (Option<ClusterParts>, Arc<dyn PublicCertificate>),
    ) -> Result<Joined, Exit> {
        let (trusted, remotes) = (self.trusted.clone(), self.remotes.clone());
        let control = self.channel.clone();
        let (parts, poll) = self.parts(bundle, fragments, cluster, certificate);
        let role =
            GatewayRole::open(GatewayParts { key_cache_seconds, cache, cache_key, ..parts })?;
        let followed = trusted.clone();
        let pinned = BTreeMap::new();
        let gateway = role.gateway.clone();
        let follower = Follower { trusted, poll, remotes, gateway, pinned };
        Ok(Joined { role, followed, follower, control })
    }
}

impl Joining {
    /// Starts what only carries the cluster's configuration, with the bundle that names it.
    pub(super) fn carrier(
        self,
        bundle: Arc<PinnedBundle>,
        fragments: Arc<CustomerFragments>,
        cluster: Option<ClusterParts>,
    ) -> Result<Carrier, Exit> {
        Carrier::open(self.parts(bundle, fragments, cluster, Arc::new(NoCertificate)).0)
    }

    /// What a gateway is opened with, without a cache, and the way to newer bundles.
    fn parts(
        self,
        bundle: Arc<PinnedBundle>,
        fragments: Arc<CustomerFragments>,
        cluster: Option<ClusterParts>,
        certificate: Arc<dyn PublicCertificate>,
    ) -> (GatewayParts, BundlePoll) {
        self.remotes.follow(&bundle);
        let parts = GatewayParts {
            plane: Arc::new(RemotePlane::new(self.channel).listening_through(self.listening)),
            instance: self.instance,
            bundle,
            links: self.remotes.links(),
            clock: self.clock,
            rng: self.rng,
            fragments,
            key_cache_seconds: 0,
            cache: CacheSettings::default(),
            cache_key: None,
            home: self.home,
            strict: self.strict,
            works_on_targets: self.works_on_targets,
            certificate,
            lends_identity_to: self.lends_identity_to.clone(),
            rewraps_per_second: self.rewraps_per_second,
            cluster,
            egress: self.egress,
        };
        (parts, self.poll)
    }
}

/// Keeps up with newer bundles, and brings them to the managers.
pub(super) struct Follower {
    trusted: Arc<Trusted>,
    poll: BundlePoll,
    remotes: Arc<RemoteManagers>,
    gateway: Arc<Gateway>,
    /// The version that each manager said it has pinned.
    pinned: BTreeMap<ManagerIndex, u64>,
}

impl Joined {
    /// Waits until every manager has the bundle: before that it knows no gateway.
    ///
    /// # Errors
    /// [`Exit::Unreachable`] names those that did not take it in time.
    pub(super) async fn wait_for_managers(&mut self) -> Result<(), Exit> {
        let Some(bundle) = self.followed.bundle() else { return Ok(()) };
        let mut turns = tokio::time::interval(MANAGERS_INTERVAL);
        for _ in 0..MANAGERS_TURNS {
            turns.tick().await;
            self.follower.bring(&bundle).await;
            if self.follower.lagging(&bundle).next().is_none() {
                return Ok(());
            }
        }
        let lagging: Vec<String> =
            self.follower.lagging(&bundle).map(|index| index.to_string()).collect();
        Err(Exit::Unreachable(format!(
            "fragment managers {} do not take the trust bundle (version {}); see their logs and \
             whether this machine reaches them",
            lagging.join(", "),
            bundle.version()
        )))
    }
}

impl Follower {
    /// The managers that have not said that they have this bundle.
    fn lagging(&self, bundle: &PinnedBundle) -> impl Iterator<Item = ManagerIndex> {
        let version = bundle.version();
        let entries = bundle.bundle().managers.iter();
        entries
            .map(|entry| entry.index)
            .filter(move |index| self.pinned.get(index) < Some(&version))
    }

    async fn follow(mut self) {
        let mut turns = tokio::time::interval(BUNDLE_INTERVAL);
        loop {
            turns.tick().await;
            if let Some(newer) = self.poll.newer_than(self.trusted.version()).await
                && let Err(exit) = self.trusted.offer(newer)
            {
                tracing::error!(%exit, "control's trust bundle is not used");
            }
            let Some(bundle) = self.trusted.bundle() else { continue };
            if self.gateway.bundle_version() != bundle.version() {
                self.remotes.follow(&bundle);
                self.gateway.trust(bundle.clone(), self.remotes.links());
            }
            self.bring(&bundle).await;
        }
    }

    /// Brings the bundle to managers that may not have it.
    async fn bring(&mut self, bundle: &PinnedBundle) {
        let lagging: Vec<ManagerIndex> = self.lagging(bundle).collect();
        for index in lagging {
            let request = ManagerRequest::Bundle(bundle.signed().clone());
            match self.gateway.ask_manager(index, &request).await {
                Ok(ManagerAnswer::BundlePinned { version }) => {
                    self.pinned.insert(index, version);
                }
                Ok(_) => {}
                Err(fault) => tracing::debug!(%fault, "a manager does not have the bundle yet"),
            }
        }
    }
}

pub(super) async fn open_fragments(settings: &GatewaySettings) -> Arc<CustomerFragments> {
    let module = settings.serving.fragment_module.clone();
    customer_fragments::open(&settings.serving.customer_fragments, module).await
}

/// Reads the certificate and the customer fragments again at each SIGHUP.
async fn reload(
    (mut hangup, certificate): (Hangup, Arc<Certificate>),
    source: FragmentSource,
    fragments: Arc<CustomerFragments>,
    gateway: Arc<Gateway>,
) {
    loop {
        hangup.wait().await;
        certificate.look(true);
        if !source.can_change() {
            tracing::warn!("customer fragments do not come from a file; they stay as they are");
            continue;
        }
        match customer_fragments::reload(&source, &fragments).await {
            // Keys that were opened with a fragment which is gone must not outlive it.
            Ok(()) => gateway.forget_keys(),
            Err(why) => {
                tracing::error!(%why, "customer fragments were not read again; those in use stay");
            }
        }
    }
}

/// What `GET /status` says: nothing that helps an attacker, enough for an operator.
fn status(trusted: Arc<Trusted>, role: GatewayRole, watch: Arc<ClockWatch>) -> StatusText {
    Arc::new(move || {
        let bundle = trusted.bundle();
        let managers = bundle.as_ref().map_or(0, |bundle| bundle.bundle().managers.len());
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "fragments": bundle.as_deref().map_or_else(String::new, trust_domains),
            "fragment_managers": managers,
            "trust_bundle": trusted.version(),
            "gateway": gateway::health(&role),
            "cluster": membership::health(role.membership.as_deref()),
            "clock": watch.status(),
        })
    })
}

fn trust_domains(bundle: &PinnedBundle) -> String {
    match bundle.bundle().trust_domains() {
        1 => "1 trust domain".to_owned(),
        count => format!("{count} trust domains"),
    }
}
