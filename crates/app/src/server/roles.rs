//! Opens every role in the data directory and joins them in this process.

use std::num::NonZeroU32;
use std::sync::Arc;

use keysherd_api::PublicCertificate;
use keysherd_base::{AccountId, ClockHandle, RngHandle, Secret, SystemClock};
use keysherd_control::{Control, GatewayIdentity, WebSettings};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::PublicKey;
use keysherd_fragments::bundle::ManagerEntry;
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_gateway::{CacheSettings, CustomerFragments, Links, ManagerLink, Strictness};
use keysherd_manager::Manager;
use keysherd_store::{PostgresSettings, Store};

use super::trust::{self, Owner, OwnerKey, Parties};
use crate::config::at_rest::AtRest;
use crate::config::egress::EgressSettings;
use crate::exit::Exit;
use crate::roles::control::{self, ControlRole, Places};
use crate::roles::files::DataDir;
use crate::roles::fragments::{self, FragmentsParts};
use crate::roles::gateway::{self, GatewayParts, GatewayRole};
use crate::roles::local_links::{Circle, LocalManager, LocalPeers};
use crate::roles::membership::ClusterParts;

/// Directory of the control plane in the data directory.
pub(super) const CONTROL: &str = "control";
/// Fragment managers of a one-machine installation.
const MANAGERS: u8 = 3;

/// Every role of this process.
pub(super) struct Roles {
    /// The control plane.
    pub(super) control: Control,
    /// The gateway.
    pub(super) gateway: GatewayRole,
    /// SHA-256 of the gateway instance's public key.
    pub(super) gateway_spki_sha256: [u8; 32],
    /// The fragment managers.
    pub(super) managers: Vec<Arc<Manager>>,
    /// The owner's signing key and the bundle it signs.
    pub(super) owner: Arc<Owner>,
    /// The customer fragments of the gateway.
    pub(super) fragments: Arc<CustomerFragments>,
    /// The control plane's store.
    pub(super) store: Store,
    /// Time.
    pub(super) clock: ClockHandle,
    /// Randomness.
    pub(super) rng: RngHandle,
}

/// What the roles are opened with.
pub(super) struct Opening<'a> {
    /// Seconds an opened key stays in the gateway's memory.
    pub(super) key_cache_seconds: i64,
    /// Which reads the gateway answers by itself.
    pub(super) cache: CacheSettings,
    /// The operator's key for a copy of them on disk; `None`: there is none.
    pub(super) cache_key: Option<Secret<[u8; 32]>>,
    /// Values wrapped anew in a second after a rotation; `None`: none.
    pub(super) rewraps_per_second: Option<NonZeroU32>,
    /// The customer fragments of the gateway.
    pub(super) fragments: Arc<CustomerFragments>,
    /// What the gateway refuses beyond what it must.
    pub(super) strict: Strictness,
    /// The certificate that clients see.
    pub(super) certificate: Arc<dyn PublicCertificate>,
    /// The accounts whose log targets may use the identity that this machine has in its cloud.
    pub(super) lends_identity_to: Arc<[AccountId]>,
    /// What keeps the keys of the managers' stores.
    pub(super) at_rest: &'a AtRest,
    /// Where control's store is; `None`: in its directory.
    pub(super) database: Option<PostgresSettings>,
    /// How control reaches identity providers.
    pub(super) web: &'a WebSettings,
    /// The cluster that the gateway is in.
    pub(super) cluster: Option<ClusterParts>,
    /// How the gateway reaches others.
    pub(super) egress: EgressSettings,
}

impl Roles {
    /// Opens everything, making what is missing. Call it on the runtime that will serve.
    pub(super) async fn open(dir: &DataDir, opening: Opening<'_>) -> Result<Self, Exit> {
        let Opening { fragments, strict, at_rest, database, web, cluster, .. } = opening;
        let clock: ClockHandle = Arc::new(SystemClock);
        let rng = SystemRng::handle();
        let instance = gateway::instance_key(&dir.subdir("gateway")?, &rng)?;
        let gateway_spki_sha256 = instance.public().spki_sha256();
        let owner_dir = dir.subdir("owner")?;
        let owner = OwnerKey::open(&owner_dir, &*rng)?;
        let managers = open_managers(dir, owner.public(), at_rest, &clock, &rng)?;
        let control_dir = dir.subdir(CONTROL)?;
        let keys = control::keys(&control_dir, &rng)?;
        let parties = Parties {
            managers: managers.iter().map(|manager| entry(manager)).collect(),
            permit_key: keys.permit.public(),
            gateway_spki_sha256,
        };
        let trusted = trust::open(&owner_dir, &owner, parties, &*clock, &*rng)?;
        let owner = Arc::new(Owner { key: owner, trusted: trusted.clone() });
        let bundle = owner.allow_fragments(&fragments.ids(), &*clock)?;
        for manager in &managers {
            manager.accept_bundle(&bundle.signed().to_bytes()).await?;
        }
        let places = Places { dir: &control_dir, database, web };
        let ControlRole { control, store } =
            ControlRole::open(places, keys, trusted, clock.clone(), rng.clone())?;
        let plane = control.plane_for(GatewayIdentity { spki_sha256: gateway_spki_sha256 });
        let links = links(&managers, gateway_spki_sha256);
        let gateway = GatewayRole::open(GatewayParts {
            plane,
            instance,
            bundle,
            links,
            fragments: fragments.clone(),
            clock: clock.clone(),
            rng: rng.clone(),
            key_cache_seconds: opening.key_cache_seconds,
            cache: opening.cache,
            cache_key: opening.cache_key,
            rewraps_per_second: opening.rewraps_per_second,
            home: dir.join("gateway"),
            strict,
            works_on_targets: true,
            cluster,
            certificate: opening.certificate,
            lends_identity_to: opening.lends_identity_to,
            egress: opening.egress,
        })?;
        Ok(Self {
            control,
            gateway,
            gateway_spki_sha256,
            managers,
            owner,
            fragments,
            store,
            clock,
            rng,
        })
    }
}

/// The ways from the gateway with this identity to the managers.
pub(super) fn links(managers: &[Arc<Manager>], gateway_spki_sha256: [u8; 32]) -> Links {
    let link = |manager: &Arc<Manager>| {
        let link = LocalManager { manager: manager.clone(), gateway_spki_sha256 };
        (manager.index(), Arc::new(link) as Arc<dyn ManagerLink>)
    };
    managers.iter().map(link).collect()
}

fn open_managers(
    dir: &DataDir,
    owner: PublicKey,
    at_rest: &AtRest,
    clock: &ClockHandle,
    rng: &RngHandle,
) -> Result<Vec<Arc<Manager>>, Exit> {
    let managers_dir = dir.subdir("managers")?;
    let keepers = at_rest.open(rng, &crate::env)?;
    let circle = Circle::default();
    let mut managers = Vec::with_capacity(usize::from(MANAGERS));
    for index in (1..=MANAGERS).filter_map(ManagerIndex::new) {
        let home = managers_dir.subdir(&index.to_string())?;
        let parts = FragmentsParts {
            index,
            owner,
            bundle: None,
            peers: Arc::new(LocalPeers { from: index, circle: circle.clone() }),
            at_rest: keepers.at(&home)?,
            clock: clock.clone(),
            rng: rng.clone(),
        };
        managers.push(fragments::open(&home, parts)?);
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
