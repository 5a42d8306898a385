//! The control plane as a value: its parts, and how it is opened.

use std::path::PathBuf;
use std::sync::Arc;

use keysherd_authn::{Web, World};
use keysherd_base::{ClockHandle, Fault, RngHandle, Secret, Timestamp, Uid};
use keysherd_crypto::hash::HmacKey;
use keysherd_crypto::sign::{PublicKey, SigningKey};
use keysherd_crypto::vault::VaultKey;
use keysherd_store::{Store, changes, login_guards, revoked_tokens};

use crate::clusters::live::Live;
use crate::control_keys::ControlKeys;
use crate::directory::Directory;
use crate::edge_reads::changes::Changes;
use crate::follow::Followed;
use crate::gateways::Gateways;
use crate::grants::GrantState;
use crate::guard::LoginGuard;
use crate::items::ItemState;
use crate::nonces::Nonces;
use crate::once::InStore;
use crate::rotation::take::RewrapLeases;
use crate::session::Sessions;
use crate::session::revoked::Revoked;

/// What a control plane is opened with.
pub struct ControlConfig {
    /// Where everything is kept.
    pub store: Store,
    /// Time.
    pub clock: ClockHandle,
    /// Randomness.
    pub rng: RngHandle,
    /// The control plane's own keys.
    pub keys: ControlKeys,
    /// The gateways that may ask.
    pub gateways: Arc<dyn Gateways>,
    /// The file with the token that lets a gateway make an account; `None`: none is made through
    /// the plane.
    pub setup_token: Option<PathBuf>,
    /// The way to identity providers.
    pub web: Web,
    /// Whether other control planes may work on the same store.
    pub shared: bool,
}

/// The control plane. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Control(Arc<Parts>);

/// What the use cases work with. Public only as what [`Control`] dereferences to; all of it is for
/// this crate.
pub struct Parts {
    pub(crate) store: Store,
    pub(crate) clock: ClockHandle,
    pub(crate) rng: RngHandle,
    pub(crate) permit_key: Arc<SigningKey>,
    /// Signs what of the audit log leaves.
    pub(crate) audit_key: Arc<SigningKey>,
    pub(crate) decoy_key: HmacKey,
    /// Seals what control itself has to read again. Context: account and row, see its callers.
    pub vault: VaultKey,
    /// What signatures of unknown subjects are verified against.
    pub(crate) decoy_public: PublicKey,
    pub(crate) gateways: Arc<dyn Gateways>,
    pub(crate) setup_token: Option<PathBuf>,
    /// How far what is below follows the store.
    pub(crate) followed: Followed,
    pub(crate) directory: Arc<Directory>,
    pub(crate) sessions: Sessions,
    pub(crate) nonces: Nonces,
    /// Where proofs are remembered for all nodes; `None`: this one is alone, and `nonces` has them.
    pub(crate) used: Option<InStore>,
    pub(crate) guard: LoginGuard,
    /// Proofs made before this time are refused: whether their nonce was used is not known.
    pub(crate) started: Timestamp,
    pub(crate) items: ItemState,
    pub(crate) grants: GrantState,
    pub(crate) rewraps: RewrapLeases,
    pub(crate) clusters: Live,
    /// What has ended of what gateways keep.
    pub(crate) changes: Changes,
    /// What checks of evidence share.
    pub(crate) world: World,
}

impl std::ops::Deref for Control {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Control {
    /// Opens the control plane over its store.
    ///
    /// # Errors
    /// [`Fault::internal`] when the store cannot be read or the random source fails;
    /// [`Fault::unavailable`] when other control planes use the store with other keys.
    pub fn open(config: ControlConfig) -> Result<Self, Fault> {
        let ControlConfig { store, clock, rng, keys, gateways, setup_token, web, shared } = config;
        if shared {
            keys.check_same(&store)?;
        }
        let started = clock.now();
        let (mark, revoked, guards, places) = store.read(|reader| {
            let mark = changes::newest(reader)?;
            let revoked = revoked_tokens::unexpired(reader, started)?;
            let guards = login_guards::all_guards(reader)?;
            Ok((mark, revoked, guards, login_guards::all_places(reader)?))
        })?;
        let revoked = revoked.into_iter().map(|revoked| (revoked.token, revoked.expires));
        let mut world = World::new(clock.clone(), rng.clone(), web);
        if shared {
            world = world.sharing(Box::new(InStore(store.clone())));
        }
        Ok(Self(Arc::new(Parts {
            guard: LoginGuard::new(keys.decoy.clone(), guards, places, started),
            followed: Followed::new(mark),
            directory: Arc::new(Directory::new(store.clone())),
            sessions: Sessions::new(keys.token, Revoked::new(revoked)),
            nonces: Nonces::default(),
            decoy_public: SigningKey::generate(&*rng)?.public(),
            decoy_key: keys.decoy,
            vault: keys.vault,
            audit_key: keys.audit,
            permit_key: keys.permit,
            items: ItemState::default(),
            grants: GrantState::default(),
            gateways,
            setup_token,
            rewraps: RewrapLeases::default(),
            clusters: Live::default(),
            changes: Changes::new(Uid::random(&*rng)?, &Secret::new(rng.array()?)),
            used: shared.then(|| InStore(store.clone())),
            world,
            started,
            store,
            clock,
            rng,
        })))
    }

    /// The current time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
