//! `keysherd fragments`: one fragment manager.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keysherd_base::{ClockHandle, Fault, RngHandle, SecretBytes, SystemClock};
use keysherd_crypto::random::SystemRng;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::bundle::succession::SignedBundle;
use keysherd_fragments::encoding::Encoding;
use keysherd_http::{Durations, Kind, float};
use keysherd_link::{
    Identity, Limits, LinkHandle, LinkListener, Peer, Service, Services, Serving, routes,
};
use keysherd_manager::Manager;
use keysherd_plane::BoxFuture;

use crate::config::fragments::FragmentsSettings;
use crate::exit::Exit;
use crate::roles::bundle_file::BundleFile;
use crate::roles::files::DataDir;
use crate::roles::fragments::{self, FragmentsParts};
use crate::roles::late::Late;
use crate::roles::listening::Listening;
use crate::roles::owner_pin;
use crate::roles::parties::{self, BundleSource};
use crate::roles::process::{Hangup, StopSignals, write_stdout};
use crate::roles::remote_control::{self, BundlePoll};
use crate::roles::remote_managers::{RemoteManagers, Ways};
use crate::roles::role_metrics::{self, More, RoleMetrics};

/// How often control and the data directory are asked for a newer bundle.
const BUNDLE_INTERVAL: Duration = Duration::from_secs(1);
/// What the log of a manager can suffer from.
const RESERVE: &str = "Whether the log lives on the last of the disk.";
const FULL: &str = "Whether the log found no room, so that nothing is answered.";
const BROKEN: &str = "Whether the log failed, so that nothing is answered before the next start.";
/// How often chores are done.
const CHORES_INTERVAL: Duration = Duration::from_secs(60);

/// Runs one fragment manager until SIGTERM or SIGINT.
pub(crate) async fn run(settings: FragmentsSettings) -> Result<(), Exit> {
    let (mut stop, hangup) = (StopSignals::new()?, Hangup::new()?);
    let (clock, rng): (ClockHandle, RngHandle) = (Arc::new(SystemClock), SystemRng::handle());
    let dir = DataDir::open(&settings.data_dir)?;
    let owner = owner_pin::open(&dir, settings.owner_key)?;
    let listener = LinkListener::bind(settings.listen, Limits::default())
        .await
        .map_err(|fault| Exit::Listen(fault.to_string()))?;
    let metrics = RoleMetrics::bind(settings.metrics, &dir, &clock, &rng).await?;
    let peers = Late::new();
    let parts = FragmentsParts {
        index: settings.index,
        owner,
        bundle: None,
        peers: peers.clone(),
        at_rest: settings.at_rest.open(&rng, &crate::env)?.at(&dir)?,
        clock: clock.clone(),
        rng: rng.clone(),
    };
    let manager = fragments::open(&dir, parts)?;
    let identity = Identity::new(manager.identity_key(), "fragments", clock.clone(), rng)?;
    Listening::for_roles(listener.address(), identity.spki_sha256()).note(&dir);
    let source = source(&manager);
    let controls = &settings.controls;
    let relay = settings.relay.then(|| (controls.clone(), parties::controls(source.clone())));
    let egress = settings.egress;
    let ways = Ways { addresses: settings.managers, relay, egress: egress.clone() };
    let remotes = RemoteManagers::new(identity.clone(), ways);
    peers.set(remotes.clone());
    let mut text =
        format!("Keysherd fragments {} listens on {}\n", settings.index, listener.address());
    text.push_str(&format!("  data directory  {}\n", dir.join("").display()));
    text.push_str(&format!("  identity        {}\n", manager.identity()));
    text.push_str(&format!("  fingerprint     {}\n", manager.identity().fingerprint()));
    text.push_str(&format!("  owner key       {}\n", owner.fingerprint()));
    let version = source().map_or(0, |bundle| bundle.version());
    text.push_str(&format!("  trust bundle    {}\n", shown(version)));
    write_stdout(&text);
    let trust = parties::gateways_and_managers(source.clone(), clock);
    let took = Arc::new(Durations::default());
    let services = Services::new()
        .with(routes::MANAGER, Arc::new(ForGateways(manager.clone(), took.clone())))
        .with(routes::PEER, Arc::new(ForPeers(manager.clone())));
    let poll = (!controls.is_empty())
        .then(|| remote_control::channel(identity.clone(), controls, source, &egress))
        .map(BundlePoll::new);
    let bundles = Bundles { manager: manager.clone(), file: BundleFile::from_nothing(dir), poll };
    let tasks = [
        tokio::spawn(bundles.follow(hangup)),
        tokio::spawn(obey(manager.clone(), remotes, listener.handle())),
        tokio::spawn(chores(manager.clone())),
    ];
    let metrics = metrics.map(|metrics| {
        let ready = {
            let manager = manager.clone();
            move || if serves(&manager) { Ok(()) } else { Err("does not serve") }
        };
        metrics.serve(listener.handle(), told(manager, took), Arc::new(ready))
    });
    let serving = Serving::new(identity, trust, services);
    let drained = listener.serve(serving, async move { stop.wait().await }).await?;
    for task in tasks.into_iter().chain(metrics) {
        task.abort();
    }
    if drained.unfinished > 0 {
        tracing::warn!(unfinished = drained.unfinished, "some calls were cut off");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Whether the manager answers gateways.
fn serves(manager: &Manager) -> bool {
    let status = manager.status();
    status.serving && !status.log_full && !status.log_broken
}

/// What a manager tells Prometheus beside what every role does.
fn told(manager: Arc<Manager>, took: Arc<Durations>) -> More {
    Arc::new(move |to| {
        let help = "How long requests of gateways took.";
        took.write(to, "keysherd_manager_request_seconds", help);
        let status = manager.status();
        role_metrics::bundle(to, status.bundle_version);
        let mut count = |name, help, value| to.single(name, Kind::Counter, help, float(value));
        count("keysherd_manager_answered_total", "Requests that were answered.", status.answered);
        count("keysherd_manager_refused_total", "Requests that were refused.", status.refused);
        let help = "Groups of log entries that were made durable.";
        count("keysherd_manager_log_groups_total", help, status.log_groups);
        let mut gauge = |name, help, value| to.single(name, Kind::Gauge, help, float(value));
        let help = "Key versions that it holds fragments of.";
        gauge("keysherd_manager_key_versions", help, status.key_versions);
        gauge("keysherd_manager_log_entries", "Entries of its log.", status.checkpoint.size);
        gauge("keysherd_manager_epoch", "The epoch of its store.", status.at_rest_epoch);
        for (name, help, set) in [
            ("keysherd_manager_log_reserve_failing", RESERVE, status.log_reserve_failing),
            ("keysherd_manager_log_full", FULL, status.log_full),
            ("keysherd_manager_log_broken", BROKEN, status.log_broken),
        ] {
            role_metrics::is(to, name, help, set);
        }
    })
}

fn source(manager: &Arc<Manager>) -> BundleSource {
    let manager = manager.clone();
    Arc::new(move || manager.bundle())
}

fn shown(version: u64) -> String {
    match version {
        0 => "none yet: the owner must sign one that lists this identity".to_owned(),
        version => format!("version {version}"),
    }
}

/// Requests of gateways.
struct ForGateways(Arc<Manager>, Arc<Durations>);

impl Service for ForGateways {
    fn call(&self, peer: Peer, request: SecretBytes) -> BoxFuture<'_, Result<SecretBytes, Fault>> {
        Box::pin(async move {
            let begun = Instant::now();
            let answer = self.0.serve(peer.spki_sha256, request.expose()).await;
            self.1.record(begun.elapsed());
            Ok(answer)
        })
    }
}

/// Requests of other managers.
struct ForPeers(Arc<Manager>);

impl Service for ForPeers {
    fn call(&self, peer: Peer, request: SecretBytes) -> BoxFuture<'_, Result<SecretBytes, Fault>> {
        Box::pin(async move {
            let from = self.0.peer_index(&peer.spki_sha256).ok_or_else(|| {
                Fault::forbidden("this is for fragment managers of the trust bundle only")
            })?;
            Ok(self.0.serve_peer(from, request.expose()).await)
        })
    }
}

/// Where newer bundles come from: control, and a file that somebody puts into the data directory.
/// Gateways bring them too, as requests.
struct Bundles {
    manager: Arc<Manager>,
    file: BundleFile,
    poll: Option<BundlePoll>,
}

impl Bundles {
    async fn follow(mut self, mut hangup: Hangup) {
        let mut turns = tokio::time::interval(BUNDLE_INTERVAL);
        let mut refused = Vec::new();
        loop {
            tokio::select! {
                _ = turns.tick() => {}
                () = hangup.wait() => {}
            }
            let known = self.manager.bundle().map_or(0, |bundle| bundle.version());
            let found = match self.file.changed() {
                Some(Ok(signed)) => Some(signed),
                Some(Err(exit)) => {
                    tracing::error!(%exit, "the trust bundle in the data directory is not used");
                    None
                }
                None => match &mut self.poll {
                    Some(poll) => poll.newer_than(known).await,
                    None => None,
                },
            };
            let Some(signed) = found else { continue };
            let bytes = signed.to_bytes();
            if bytes != refused
                && let Err(why) = self.take(signed).await
            {
                tracing::warn!(%why, "a trust bundle is not used");
                refused = bytes;
            }
        }
    }

    /// Pins a bundle. The first one must list this manager: one that does not would bind it to
    /// others, and it could not even start again.
    async fn take(&self, signed: SignedBundle) -> Result<(), Fault> {
        let manager = &self.manager;
        if manager.bundle().is_none() {
            let bundle = PinnedBundle::open(manager.owner(), signed.clone())?;
            let listed = bundle.bundle().manager(manager.index()).map(|entry| entry.key);
            if listed != Some(manager.identity()) {
                return Err(Fault::forbidden(format!(
                    "version {} does not list this manager's identity {} under index {}; the \
                     owner must add it",
                    bundle.version(),
                    manager.identity(),
                    manager.index()
                )));
            }
        }
        manager.accept_bundle(&signed.to_bytes()).await.map(drop)
    }
}

/// Lets each new bundle decide at once who is connected.
async fn obey(manager: Arc<Manager>, remotes: Arc<RemoteManagers>, handle: LinkHandle) {
    let mut versions = manager.bundle_versions();
    loop {
        if let Some(bundle) = manager.bundle() {
            remotes.follow(&bundle);
            handle.revalidate();
        }
        if versions.changed().await.is_err() {
            return;
        }
        // Whoever brought it: control, a file, or a gateway.
        tracing::info!(version = *versions.borrow_and_update(), "a trust bundle is in force");
    }
}

async fn chores(manager: Arc<Manager>) {
    let mut turns = tokio::time::interval(CHORES_INTERVAL);
    loop {
        turns.tick().await;
        fragments::tidy(&manager).await;
    }
}
