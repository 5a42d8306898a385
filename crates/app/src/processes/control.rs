//! `keysherd control`: the control plane, and the relay to managers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keysherd_base::{ClockHandle, Fault, RngHandle, SystemClock};
use keysherd_control::{Control, GatewayIdentity};
use keysherd_crypto::random::SystemRng;
use keysherd_fragments::bundle::succession::SignedBundle;
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_http::{Kind, float};
use keysherd_link::{
    BundleService, BundleShelf, Identity, Limits, LinkListener, Peer, PlaneService, RelayTargets,
    Services, Serving, routes,
};
use keysherd_plane::PlaneHandle;
use keysherd_store::{Store, StoreStats};
use tokio::task::JoinHandle;

use crate::config::addresses::ManagerAddresses;
use crate::config::control::{ControlErrand, ControlSettings};
use crate::exit::Exit;
use crate::roles::announced::Announced;
use crate::roles::bundle_file::BundleFile;
use crate::roles::control::{self, ControlRole, Places, SETUP_TOKEN};
use crate::roles::files::DataDir;
use crate::roles::listening::Listening;
use crate::roles::plane_meter::PlaneMeter;
use crate::roles::process::{Hangup, StopSignals, given_file, write_stdout};
use crate::roles::role_metrics::{self, More, RoleMetrics};
use crate::roles::trust::Trusted;
use crate::roles::{owner_pin, parties};

/// How often chores are done.
const CHORES_INTERVAL: Duration = Duration::from_secs(60);
/// Longest file that is read as a trust bundle.
const BUNDLE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// File of control's identity in its data directory.
pub(super) const IDENTITY_KEY: &str = "identity.key";

/// Runs the control plane until SIGTERM or SIGINT.
pub(crate) async fn run(settings: ControlSettings) -> Result<(), Exit> {
    let (mut stop, hangup) = (StopSignals::new()?, Hangup::new()?);
    let (clock, rng): (ClockHandle, RngHandle) = (Arc::new(SystemClock), SystemRng::handle());
    let dir = DataDir::open(&settings.data_dir)?;
    let owner = owner_pin::open(&dir, settings.owner_key)?;
    let listener = LinkListener::bind(settings.listen, Limits::default())
        .await
        .map_err(|fault| Exit::Listen(fault.to_string()))?;
    let key = dir.signing_key(IDENTITY_KEY, &*rng)?;
    let identity = Identity::new(&key, "control", clock.clone(), rng.clone())?;
    Listening::for_roles(listener.address(), identity.spki_sha256()).note(&dir);
    let metrics = RoleMetrics::bind(settings.metrics, &dir, &clock, &rng).await?;
    let keys = control::keys(&dir, &rng)?;
    let permit_key = keys.permit.public();
    let trusted = Trusted::open(dir.clone(), owner)?;
    let announced = Announced::new(trusted.clone());
    let places = Places { dir: &dir, database: settings.database.clone(), web: &settings.web };
    let role = ControlRole::open(places, keys, announced.clone(), clock.clone(), rng.clone())?;
    if !role.control.has_accounts()? && dir.read(SETUP_TOKEN)?.is_none() {
        control::write_setup_token(&dir, &rng)?;
    }
    let mut text = format!("Keysherd control listens on {}\n", listener.address());
    text.push_str(&format!("  data directory  {}\n", dir.join("").display()));
    if let Some(database) = &settings.database {
        text.push_str(&format!("  database        {}\n", database.shown()));
    }
    text.push_str(&format!("  identity        {}\n", key.public()));
    text.push_str(&format!("  fingerprint     {}\n", key.public().fingerprint()));
    text.push_str(&format!("  permit key      {permit_key}\n"));
    text.push_str(&format!("  owner key       {}\n", owner.fingerprint()));
    text.push_str(&format!("  trust bundle    {}\n", trusted.described()));
    if dir.read(SETUP_TOKEN)?.is_some() {
        let file = dir.join(SETUP_TOKEN);
        text.push_str(&format!("  setup token     {} (for one account)\n", file.display()));
    }
    write_stdout(&text);
    let meter = Arc::new(PlaneMeter::default());
    let places = (role.control.clone(), meter.clone());
    let serving = serving(identity, &trusted, places, &clock, settings.managers);
    let handle = listener.handle();
    let metrics = metrics.map(|metrics| {
        let ready = {
            let trusted = trusted.clone();
            move || trusted.bundle().map(drop).ok_or("waits for a trust bundle")
        };
        metrics.serve(handle.clone(), told(meter, role.store.clone(), &trusted), Arc::new(ready))
    });
    let following = trusted.clone();
    let follow = tokio::spawn(BundleFile::new(dir).follow(hangup, move |signed| {
        following.offer(signed)?;
        handle.revalidate();
        Ok(())
    }));
    let chores = tokio::spawn(chores(role.control.clone(), clock));
    let announcing = tokio::spawn(announced.follow());
    let drained = listener.serve(serving, async move { stop.wait().await }).await?;
    follow.abort();
    chores.abort();
    announcing.abort();
    metrics.inspect(JoinHandle::abort);
    if drained.unfinished > 0 {
        tracing::warn!(unfinished = drained.unfinished, "some calls were cut off");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Does what `keysherd control` is asked besides running.
pub(crate) fn errand(errand: &ControlErrand, data_dir: &Path) -> Result<(), Exit> {
    if let ControlErrand::Enroll(settings) = errand {
        return super::enroll::control(settings);
    }
    if !data_dir.is_dir() {
        return Err(Exit::Files(format!(
            "there is no control plane in {}; start it once, or correct --data-dir",
            data_dir.display()
        )));
    }
    let dir = DataDir::open(data_dir)?;
    match errand {
        // Done above: it makes the directory.
        ControlErrand::Enroll(_) => {}
        ControlErrand::SetupToken(print) => {
            let token = control::write_setup_token(&dir, &SystemRng::handle())?;
            if *print {
                write_stdout(&format!("{}\n", &*token.0));
            } else {
                let file = dir.join(SETUP_TOKEN);
                write_stdout(&format!("{}: good for one account\n", file.display()));
            }
        }
        ControlErrand::AcceptBundle(file) => {
            let owner = owner_pin::open(&dir, None)?;
            let unreadable =
                |why: String| Exit::Configuration(format!("{}: {why}", file.display()));
            let bytes = given_file(file, BUNDLE_BYTES_MAX).map_err(unreadable)?;
            let signed = SignedBundle::from_bytes(&bytes)
                .map_err(|refusal| unreadable(format!("not a trust bundle: {refusal}")))?;
            let trusted = Trusted::open(dir, owner)?;
            trusted.offer(signed)?;
            write_stdout(&format!("trust bundle {} is in force\n", trusted.described()));
        }
    }
    Ok(())
}

fn serving(
    identity: Identity,
    trusted: &Arc<Trusted>,
    (control, meter): (Control, Arc<PlaneMeter>),
    clock: &ClockHandle,
    managers: ManagerAddresses,
) -> Serving {
    let door = move |peer: &Peer| -> Result<PlaneHandle, Fault> {
        let gateway = GatewayIdentity { spki_sha256: peer.spki_sha256 };
        Ok(meter.over(control.plane_for(gateway)))
    };
    let services = Services::new()
        .with(routes::PLANE, Arc::new(PlaneService::new(Arc::new(door))))
        .with(routes::BUNDLE, Arc::new(BundleService::new(Arc::new(Shelf(trusted.clone())))));
    let trust = parties::gateways_and_managers(trusted.source(), clock.clone());
    let targets = Targets { trusted: trusted.clone(), managers };
    Serving::new(identity, trust, services).with_relay(Arc::new(targets))
}

/// The bundle in force, for those who ask.
struct Shelf(Arc<Trusted>);

impl BundleShelf for Shelf {
    fn newer_than(&self, known: u64) -> Option<SignedBundle> {
        let bundle = self.0.bundle()?;
        (bundle.version() > known).then(|| bundle.signed().clone())
    }
}

/// Where managers are, for the relay.
struct Targets {
    trusted: Arc<Trusted>,
    managers: ManagerAddresses,
}

impl RelayTargets for Targets {
    fn addresses(&self, _from: &Peer, manager: ManagerIndex) -> Vec<String> {
        let bundle = self.trusted.bundle();
        let entry = bundle.as_ref().and_then(|bundle| bundle.bundle().manager(manager));
        let Some(entry) = entry else { return Vec::new() };
        let address = self.managers.get(&manager).unwrap_or(&entry.address).clone();
        if address.is_empty() { Vec::new() } else { vec![address] }
    }
}

/// What control tells Prometheus beside what every role does.
fn told(meter: Arc<PlaneMeter>, store: Store, trusted: &Arc<Trusted>) -> More {
    let trusted = trusted.clone();
    Arc::new(move |to| {
        meter.write(to);
        role_metrics::bundle(to, trusted.version());
        let StoreStats { commits, jobs, records } = store.stats();
        let mut count = |name, help, value| to.single(name, Kind::Counter, help, float(value));
        let help = "Transactions of the store.";
        count("keysherd_store_commits_total", help, commits);
        count("keysherd_store_changes_total", "Changes, several in one transaction.", jobs);
        count("keysherd_audit_records_total", "Audit records that were written.", records);
        let waiting = u64::try_from(store.waiting()).unwrap_or(u64::MAX);
        let help = "Changes and records that wait for the store.";
        to.single("keysherd_store_waiting", Kind::Gauge, help, float(waiting));
        let help = "Whether the disk is full, so that changes are refused.";
        role_metrics::is(to, "keysherd_store_full", help, store.is_low_on_space());
    })
}

async fn chores(control: Control, clock: ClockHandle) {
    let mut turns = tokio::time::interval(CHORES_INTERVAL);
    loop {
        turns.tick().await;
        control::purge(&control, &clock).await;
    }
}
