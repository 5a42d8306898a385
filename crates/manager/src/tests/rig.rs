//! Three managers in one process with a link between them, an owner, a control plane and gateways.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};

use keysherd_base::{AccountId, Fault, ManualClock, SecretBytes, Timestamp, Uid};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::{PublicKey, SigningKey};
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::bundle::{Bundle, Caps, Cluster, KeyGroup, ManagerEntry, PermitKey};
use keysherd_fragments::encoding::{Encoding, Signed};
use keysherd_fragments::labels;
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::permit::{Op, Permit, PermitEntry};
use tempfile::TempDir;

use crate::log::{LogLimits, SinkFactory, files};
use crate::{KeyFile, Manager, ManagerConfig, ManagerLimits, PeerFuture, PeerLink, Unreachable};

/// 2026-01-05T10:00:00Z, well inside an hour and a day.
pub(super) const START: Timestamp = Timestamp(1_767_607_200_000);
pub(super) const ACCOUNT: AccountId = AccountId(Uid([0xac; 16]));
pub(super) const CLUSTER: Uid = Uid([0xc1; 16]);
pub(super) const OTHER_CLUSTER: Uid = Uid([0xc2; 16]);

pub(super) fn index(number: u8) -> ManagerIndex {
    ManagerIndex::new(number).unwrap()
}

pub(super) fn signing_key() -> SigningKey {
    SigningKey::generate(&SystemRng).unwrap()
}

pub(super) fn random<const N: usize>() -> [u8; N] {
    let rng: &dyn keysherd_base::Rng = &SystemRng;
    rng.array().unwrap()
}

/// The managers as they reach each other.
#[derive(Default)]
pub(super) struct Net {
    managers: Mutex<Vec<Weak<Manager>>>,
    /// Managers that nobody reaches.
    pub(super) cut_off: Mutex<BTreeSet<u8>>,
    /// Everything that was said, for whoever looks for secrets or replays.
    pub(super) heard: Mutex<Vec<(u8, u8, Vec<u8>)>>,
}

impl Net {
    fn join(&self, manager: &Arc<Manager>) {
        let mut managers = self.managers.lock().unwrap();
        managers.retain(|other| other.upgrade().is_some_and(|m| m.index() != manager.index()));
        managers.push(Arc::downgrade(manager));
    }

    fn find(&self, to: ManagerIndex) -> Option<Arc<Manager>> {
        if self.cut_off.lock().unwrap().contains(&to.get()) {
            return None;
        }
        let managers = self.managers.lock().unwrap();
        managers.iter().filter_map(Weak::upgrade).find(|manager| manager.index() == to)
    }
}

struct LinkOf {
    net: Arc<Net>,
    from: ManagerIndex,
}

impl PeerLink for LinkOf {
    fn call(&self, to: ManagerIndex, message: SecretBytes) -> PeerFuture<'_> {
        Box::pin(async move {
            let peer = self.net.find(to).ok_or(Unreachable)?;
            let heard = (self.from.get(), to.get(), message.expose().clone());
            self.net.heard.lock().unwrap().push(heard);
            Ok(peer.serve_peer(self.from, message.expose()).await)
        })
    }
}

/// A whole deployment.
pub(super) struct Rig {
    pub(super) dir: TempDir,
    pub(super) clock: Arc<ManualClock>,
    pub(super) owner: SigningKey,
    pub(super) permit_key: SigningKey,
    pub(super) gateway: SigningKey,
    pub(super) second_gateway: SigningKey,
    pub(super) other_gateway: SigningKey,
    pub(super) bundle: Bundle,
    pub(super) limits: ManagerLimits,
    pub(super) net: Arc<Net>,
    /// Segment files of each manager, for tests that let disks fail.
    pub(super) sinks: Vec<SinkFactory>,
    pub(super) managers: Vec<Option<Arc<Manager>>>,
}

pub(super) fn small_limits() -> ManagerLimits {
    ManagerLimits {
        log: LogLimits {
            segment_bytes: 64 * 1024,
            reserve_bytes: 64 * 1024,
            reserve_low_bytes: 32 * 1024,
        },
        ..ManagerLimits::default()
    }
}

impl Rig {
    /// Three managers with one bundle.
    pub(super) async fn new() -> Self {
        Self::with(3, |_| {}).await
    }

    /// `n` managers with a bundle that was changed before it was signed.
    pub(super) async fn with(n: u8, change: impl FnOnce(&mut Bundle)) -> Self {
        let (owner, permit_key, gateway) = (signing_key(), signing_key(), signing_key());
        let (second_gateway, other_gateway) = (signing_key(), signing_key());
        let bundle = bundle(&permit_key, &gateway, &second_gateway, &other_gateway);
        let mut rig = Self {
            dir: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::new(START)),
            owner,
            permit_key,
            gateway,
            second_gateway,
            other_gateway,
            bundle,
            limits: small_limits(),
            net: Arc::new(Net::default()),
            sinks: (0..n).map(|_| files()).collect(),
            managers: (0..n).map(|_| None).collect(),
        };
        for number in 1..=n {
            // The first start makes the identity that the owner puts into the bundle.
            let manager = rig.open(number, None).unwrap();
            rig.bundle.managers.push(ManagerEntry {
                index: index(number),
                key: manager.identity(),
                tls_spki_sha256: [number; 32],
                former_keys: Vec::new(),
                address: String::new(),
            });
        }
        change(&mut rig.bundle);
        let signed = rig.signed_bundle();
        for number in 1..=n {
            let manager = rig.open(number, Some(&signed)).unwrap();
            rig.net.join(&manager);
            rig.managers[usize::from(number) - 1] = Some(manager);
        }
        rig
    }

    pub(super) fn signed_bundle(&self) -> Vec<u8> {
        self.bundle.seal(&self.owner).to_bytes()
    }

    pub(super) fn pinned(&self) -> PinnedBundle {
        PinnedBundle::open(self.owner.public(), self.bundle.seal(&self.owner)).unwrap()
    }

    /// Signs a changed bundle of the next version and gives it to all managers.
    pub(super) async fn change_bundle(&mut self, change: impl FnOnce(&mut Bundle)) {
        change(&mut self.bundle);
        self.bundle.version += 1;
        let signed = self.signed_bundle();
        for manager in self.managers.iter().flatten() {
            manager.accept_bundle(&signed).await.unwrap();
        }
    }

    pub(super) fn home(&self, number: u8) -> PathBuf {
        self.dir.path().join(number.to_string())
    }

    pub(super) fn config(&self, number: u8) -> ManagerConfig {
        ManagerConfig {
            index: index(number),
            dir: self.home(number),
            clock: self.clock.clone(),
            rng: SystemRng::handle(),
            at_rest: Arc::new(KeyFile::new(self.home(number).join("epoch.key"))),
            limits: self.limits,
        }
    }

    pub(super) fn link(&self, number: u8) -> Arc<dyn PeerLink> {
        Arc::new(LinkOf { net: self.net.clone(), from: index(number) })
    }

    pub(super) fn open(&self, number: u8, bundle: Option<&[u8]>) -> Result<Arc<Manager>, Fault> {
        let sinks = self.sinks[usize::from(number) - 1].clone();
        let owner = self.owner.public();
        Manager::open_with_sinks(self.config(number), owner, bundle, self.link(number), sinks)
    }

    pub(super) fn manager(&self, number: u8) -> &Arc<Manager> {
        self.managers[usize::from(number) - 1].as_ref().unwrap()
    }

    /// Stops a manager, and makes sure that nothing of it is left.
    pub(super) fn stop(&mut self, number: u8) {
        let manager = self.managers[usize::from(number) - 1].take().unwrap();
        Arc::into_inner(manager).expect("a stopped manager is used by nobody");
    }

    pub(super) fn start(&mut self, number: u8) {
        let manager = self.open(number, None).unwrap();
        self.net.join(&manager);
        self.managers[usize::from(number) - 1] = Some(manager);
    }

    /// Puts a manager that was opened otherwise in its place.
    pub(super) fn adopt(&mut self, number: u8, manager: Arc<Manager>) {
        self.net.join(&manager);
        self.managers[usize::from(number) - 1] = Some(manager);
    }

    /// Puts the files of a manager back as they were.
    pub(super) fn put_back(&self, number: u8, files: &[(PathBuf, Vec<u8>)]) {
        for (path, _) in self.disk_of(number) {
            std::fs::remove_file(path).unwrap();
        }
        for (path, bytes) in files {
            std::fs::write(path, bytes).unwrap();
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(path, private).unwrap();
        }
    }

    pub(super) fn restart_all(&mut self) {
        for number in 1..=self.n() {
            self.stop(number);
            self.start(number);
        }
    }

    pub(super) fn n(&self) -> u8 {
        u8::try_from(self.managers.len()).unwrap()
    }

    pub(super) fn now(&self) -> Timestamp {
        use keysherd_base::Clock;
        self.clock.now()
    }

    /// A permit for the first gateway, changed before the control plane signs it.
    pub(super) fn permit(
        &self,
        op: Op,
        entries: Vec<PermitEntry>,
        change: impl FnOnce(&mut Permit),
    ) -> Signed {
        let mut permit = Permit {
            permit_id: Uid(random()),
            issued_at: self.now(),
            expires_at: self.now().plus_seconds(60),
            account: ACCOUNT,
            gateway_spki_sha256: self.gateway.public().spki_sha256(),
            op,
            entries,
            max_uses: 3,
            cache_ttl_seconds: 0,
            audit_seq: 42,
            bundle_version: self.bundle.version,
        };
        change(&mut permit);
        Signed::seal(&self.permit_key, labels::SIGN_PERMIT, permit.to_bytes())
    }

    /// Everything in the files of a manager, one after the other.
    pub(super) fn disk_of(&self, number: u8) -> Vec<(PathBuf, Vec<u8>)> {
        let home = self.home(number);
        let mut files = Vec::new();
        for dir in [home.clone(), home.join("log")] {
            for file in std::fs::read_dir(dir).unwrap() {
                let path = file.unwrap().path();
                if path.is_file() {
                    files.push((path.clone(), std::fs::read(&path).unwrap()));
                }
            }
        }
        files
    }
}

pub(super) fn key_version(version: u32) -> KeyVersion {
    KeyVersion { account: ACCOUNT, id: Uid([0xee; 16]), version }
}

fn bundle(
    permit_key: &SigningKey,
    gateway: &SigningKey,
    second_gateway: &SigningKey,
    other_gateway: &SigningKey,
) -> Bundle {
    let spki = |key: &SigningKey| -> [u8; 32] { PublicKey::spki_sha256(&key.public()) };
    Bundle {
        deployment: Uid([0xde; 16]),
        version: 1,
        issued_at: START,
        accounts: vec![ACCOUNT],
        managers: Vec::new(),
        permit_keys: vec![PermitKey {
            key: permit_key.public(),
            not_before: START.plus_seconds(-3_600),
            not_after: START.plus_seconds(365 * 86_400),
        }],
        clusters: vec![
            Cluster {
                id: CLUSTER,
                instances: vec![spki(gateway), spki(second_gateway)],
                cluster_key: None,
                groups: vec!["main".to_owned()],
                fragments: Vec::new(),
                ops: Op::ALL.to_vec(),
                caps: Caps::UNLIMITED,
            },
            Cluster {
                id: OTHER_CLUSTER,
                instances: vec![spki(other_gateway)],
                cluster_key: None,
                groups: vec!["other".to_owned()],
                fragments: Vec::new(),
                ops: Op::ALL.to_vec(),
                caps: Caps::UNLIMITED,
            },
        ],
        groups: ["main", "other"].map(group).to_vec(),
        account_caps: Caps::UNLIMITED,
        cache_ttl_seconds_max: 60,
        destroy_delay_seconds: 7 * 86_400,
        witnesses: Vec::new(),
        recovery_key: None,
        controls: Vec::new(),
    }
}

fn group(name: &str) -> KeyGroup {
    KeyGroup {
        name: name.to_owned(),
        fragment_required: false,
        caps: Caps::UNLIMITED,
        key_caps: Caps::UNLIMITED,
    }
}
