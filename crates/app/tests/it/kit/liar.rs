//! A fragment manager that lies: the real one, with its real keys, but its values are wrong before
//! they are signed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use keysherd_base::{Fault, SecretBytes, SystemClock};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::random::SystemRng;
use keysherd_fragments::derive::{AnswerBody, DeriveAnswer};
use keysherd_fragments::encoding::Encoding as _;
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_fragments::messages::ManagerAnswer;
use keysherd_link::{
    CallLimits, Channel, ChannelLimits, Identity, Limits, LinkListener, Peer, Route, Service,
    Services, Serving, routes,
};
use keysherd_manager::{
    KeyFile, Manager, ManagerConfig, ManagerLimits, PeerFuture, PeerLink, Unreachable,
};
use keysherd_plane::BoxFuture;

use super::cluster::Cluster;

/// A lying manager; ended on drop.
pub(crate) struct Liar {
    told: Arc<AtomicUsize>,
    _runtime: tokio::runtime::Runtime,
}

impl Liar {
    /// Takes the place of a manager that was stopped.
    pub(crate) fn in_place_of(cluster: &Cluster, index: u8) -> Self {
        let node = &cluster.managers[usize::from(index) - 1];
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (clock, rng) = (Arc::new(SystemClock), SystemRng::handle());
        let config = ManagerConfig {
            index: ManagerIndex::new(index).unwrap(),
            dir: node.data.join("store"),
            clock: clock.clone(),
            rng: rng.clone(),
            at_rest: Arc::new(KeyFile::new(node.data.join("epoch.key"))),
            limits: ManagerLimits::default(),
        };
        let addresses = cluster.managers.iter().map(|node| node.address.clone()).collect();
        let peers = Arc::new(Peers { identity: OnceLock::new(), addresses });
        let owner = cluster.owner.public();
        let manager = Manager::open(config, owner, None, peers.clone()).unwrap();
        let identity = Identity::new(manager.identity_key(), "fragments", clock, rng).unwrap();
        peers.identity.set(identity.clone()).unwrap();
        let told = Arc::new(AtomicUsize::new(0));
        let lying = Arc::new(Lying { manager, told: told.clone() });
        let services = Services::new().with(routes::MANAGER, lying);
        let serving = Serving::new(identity, Arc::new(|_: &[u8; 32]| true), services);
        let address = node.address.parse().unwrap();
        let listener = runtime.block_on(LinkListener::bind(address, Limits::default())).unwrap();
        runtime.spawn(listener.serve(serving, std::future::pending()));
        Self { told, _runtime: runtime }
    }

    /// How many lies it told.
    pub(crate) fn told(&self) -> usize {
        self.told.load(Ordering::Relaxed)
    }
}

struct Lying {
    manager: Arc<Manager>,
    told: Arc<AtomicUsize>,
}

impl Service for Lying {
    fn call(&self, peer: Peer, request: SecretBytes) -> BoxFuture<'_, Result<SecretBytes, Fault>> {
        Box::pin(async move {
            let bytes = self.manager.serve(peer.spki_sha256, request.expose()).await;
            let Ok(ManagerAnswer::Derived(answer)) = ManagerAnswer::from_bytes(bytes.expose())
            else {
                return Ok(bytes);
            };
            self.told.fetch_add(1, Ordering::Relaxed);
            let mut body = AnswerBody::from_bytes(&answer.body).unwrap();
            let mut outputs = answer.outputs.expose().clone();
            // The last byte is one of leg S, of which nothing can be proven.
            *outputs.last_mut().unwrap() ^= 1;
            body.outputs_sha256 = sha256(&[&outputs]);
            let identity = self.manager.identity_key();
            let lie = DeriveAnswer::seal(identity, &body, SecretBytes::new(outputs));
            Ok(ManagerAnswer::Derived(lie).to_secret_bytes())
        })
    }
}

/// The way to the other managers, which it asks whether its fragments are current.
struct Peers {
    identity: OnceLock<Identity>,
    addresses: Vec<String>,
}

impl PeerLink for Peers {
    fn call(&self, to: ManagerIndex, message: SecretBytes) -> PeerFuture<'_> {
        Box::pin(async move {
            let identity = self.identity.get().ok_or(Unreachable)?.clone();
            let route = vec![Route::direct(&self.addresses[to.place()])];
            let anyone = Arc::new(|_: &[u8; 32]| true);
            let channel = Channel::new(identity, anyone, route, ChannelLimits::default());
            let answer = channel.call(routes::PEER, message, CallLimits::default()).await;
            answer.map_err(|_| Unreachable)
        })
    }
}
