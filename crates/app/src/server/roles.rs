//! Opens every role in the data directory and joins them.

use std::sync::Arc;

use keysherd_api::passwords::Turns;
use keysherd_api::{AnswerBudget, Services};
use keysherd_audit::HEAD_LABEL;
use keysherd_base::{ClockHandle, RngHandle, SystemClock};
use keysherd_control::{Control, ControlConfig, ControlKeys, DerivationConfig, GatewayIdentity};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::random::SystemRng;
use keysherd_fragments::bundle::ManagerEntry;
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_gateway::{Gateway, GatewayConfig, ManagerLink};
use keysherd_manager::{KeyFile, Manager, ManagerConfig, ManagerLimits};
use keysherd_store::{Store, StoreConfig};

use super::files::DataDir;
use super::links::{Circle, LocalManager, LocalPeers};
use super::trust::{self, Parties};
use crate::exit::Exit;

/// Directory of the control plane in the data directory.
pub(super) const CONTROL: &str = "control";
/// Directory of the control plane's store in its own.
const STORE: &str = "store";
/// Fragment managers of a one-machine installation.
pub(super) const MANAGERS: u8 = 3;
/// Passwords stretched at one time, each with 19 MiB.
const STRETCHING_MAX: usize = 2;

/// Every role of this process.
pub(super) struct Roles {
    /// The control plane.
    pub(super) control: Control,
    /// The gateway's cryptography.
    pub(super) gateway: Arc<Gateway>,
    /// The gateway as control knows it.
    pub(super) gateway_identity: GatewayIdentity,
    /// The fragment managers.
    pub(super) managers: Vec<Arc<Manager>>,
    /// The control plane's store.
    pub(super) store: Store,
    /// What commands can use.
    pub(super) services: Arc<Services>,
    /// Time.
    pub(super) clock: ClockHandle,
    /// Randomness.
    pub(super) rng: RngHandle,
}

impl Roles {
    /// Opens everything, making what is missing. Call it on the runtime that will serve.
    pub(super) async fn open(dir: &DataDir, key_cache_seconds: i64) -> Result<Self, Exit> {
        let clock: ClockHandle = Arc::new(SystemClock);
        let rng = SystemRng::handle();
        let instance = dir.subdir("gateway")?.signing_key("instance.key", &*rng)?;
        let gateway_spki_sha256 = instance.public().spki_sha256();
        let owner_dir = dir.subdir("owner")?;
        let owner = trust::owner_key(&owner_dir, &*rng)?;
        let managers = open_managers(dir, owner.public(), &clock, &rng)?;
        let control_dir = dir.subdir(CONTROL)?;
        let keys = control_keys(&control_dir, &rng)?;
        let parties = Parties {
            managers: managers.iter().map(|manager| entry(manager)).collect(),
            permit_key: keys.permit.public(),
            gateway_spki_sha256,
        };
        let bundle = trust::open(&owner_dir, &owner, parties, &*clock, &*rng)?;
        for manager in &managers {
            manager.accept_bundle(&bundle.signed().to_bytes()).await?;
        }
        let audit_key = keys.audit.clone();
        let head_signer = move |body: &[u8]| audit_key.sign(HEAD_LABEL, body).0;
        let store = Store::open(StoreConfig::new(
            control_dir.join(STORE),
            sha256,
            Arc::new(head_signer),
            clock.clone(),
        ))?;
        let gateway_identity = GatewayIdentity { spki_sha256: gateway_spki_sha256 };
        let control = Control::open(ControlConfig {
            store: store.clone(),
            clock: clock.clone(),
            rng: rng.clone(),
            keys,
            derivation: DerivationConfig {
                gateway_spki_sha256,
                bundle_version: bundle.version(),
                group: trust::GROUP.to_owned(),
            },
        })?;
        let plane = control.plane_for(gateway_identity);
        let links = managers
            .iter()
            .map(|manager| {
                let link = LocalManager { manager: manager.clone(), gateway_spki_sha256 };
                (manager.index(), Arc::new(link) as Arc<dyn ManagerLink>)
            })
            .collect();
        let gateway = Arc::new(Gateway::start(GatewayConfig {
            plane: plane.clone(),
            instance,
            bundle: bundle.clone(),
            links,
            clock: clock.clone(),
            rng: rng.clone(),
            key_cache_seconds,
        })?);
        let services = Arc::new(Services {
            plane,
            crypt: gateway.clone(),
            clock: clock.clone(),
            rng: rng.clone(),
            answers: AnswerBudget::default(),
            stretching: Turns::new(STRETCHING_MAX),
        });
        Ok(Self { control, gateway, gateway_identity, managers, store, services, clock, rng })
    }
}

fn control_keys(dir: &DataDir, rng: &RngHandle) -> Result<ControlKeys, Exit> {
    let keys = dir.join("keys");
    // The store is opened after the keys, so only a first start has none.
    if dir.join(STORE).is_dir() {
        return Ok(ControlKeys::load(&keys)?);
    }
    Ok(ControlKeys::create_or_load(&keys, &**rng)?)
}

fn open_managers(
    dir: &DataDir,
    owner: keysherd_crypto::sign::PublicKey,
    clock: &ClockHandle,
    rng: &RngHandle,
) -> Result<Vec<Arc<Manager>>, Exit> {
    let managers_dir = dir.subdir("managers")?;
    let circle = Circle::default();
    let mut managers = Vec::with_capacity(usize::from(MANAGERS));
    for index in (1..=MANAGERS).filter_map(ManagerIndex::new) {
        let home = managers_dir.subdir(&index.to_string())?;
        let config = ManagerConfig {
            index,
            dir: home.join("store"),
            clock: clock.clone(),
            rng: rng.clone(),
            at_rest: Arc::new(KeyFile::new(home.join("epoch.key"))),
            limits: ManagerLimits::default(),
        };
        let peers = Arc::new(LocalPeers { from: index, circle: circle.clone() });
        managers.push(Manager::open(config, owner, None, peers)?);
    }
    // The first and only time it is set.
    let _known = circle.set(managers.iter().map(Arc::downgrade).collect());
    Ok(managers)
}

fn entry(manager: &Manager) -> ManagerEntry {
    let key = manager.identity();
    let tls_spki_sha256 = key.spki_sha256();
    ManagerEntry {
        index: manager.index(),
        key,
        tls_spki_sha256,
        former_keys: Vec::new(),
        address: String::new(),
    }
}
