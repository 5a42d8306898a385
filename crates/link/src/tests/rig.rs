//! Roles for tests: an identity, a listener that serves, a channel to it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keysherd_base::{ClockHandle, Fault, SecretBytes, SystemClock};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;
use keysherd_plane::BoxFuture;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::{
    CallLimits, Channel, ChannelLimits, Drained, Identity, KeySet, Limits, LinkHandle,
    LinkListener, Peer, Route, Service, Services, Serving, routes,
};

/// A fresh identity on the machine's clock.
pub(super) fn identity(name: &str) -> Identity {
    identity_at(name, Arc::new(SystemClock))
}

/// A fresh identity on this clock.
pub(super) fn identity_at(name: &str, clock: ClockHandle) -> Identity {
    let key = SigningKey::generate(&SystemRng).unwrap();
    Identity::new(&key, name, clock, SystemRng::handle()).unwrap()
}

/// Answers with the caller's key and what it sent.
pub(super) struct Echo;

impl Service for Echo {
    fn call(&self, peer: Peer, request: SecretBytes) -> BoxFuture<'_, Result<SecretBytes, Fault>> {
        Box::pin(async move {
            Ok(SecretBytes::new([peer.spki_sha256.as_slice(), request.expose()].concat()))
        })
    }
}

/// Answers as [`Echo`] once it is opened, and counts.
pub(super) struct Gate {
    /// Calls that came so far.
    pub(super) came: AtomicUsize,
    /// Calls that were answered so far.
    pub(super) answered: AtomicUsize,
    open: watch::Sender<bool>,
}

impl Gate {
    pub(super) fn shut() -> Arc<Self> {
        let open = watch::Sender::new(false);
        Arc::new(Self { came: AtomicUsize::new(0), answered: AtomicUsize::new(0), open })
    }

    pub(super) fn open(&self) {
        self.open.send_replace(true);
    }

    pub(super) fn came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }

    pub(super) fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }
}

impl Service for Gate {
    fn call(&self, peer: Peer, request: SecretBytes) -> BoxFuture<'_, Result<SecretBytes, Fault>> {
        Box::pin(async move {
            self.came.fetch_add(1, Ordering::SeqCst);
            self.open.subscribe().wait_for(|open| *open).await.map_err(Fault::internal)?;
            self.answered.fetch_add(1, Ordering::SeqCst);
            Echo.call(peer, request).await
        })
    }
}

/// A listener at work.
pub(super) struct Served {
    pub(super) address: SocketAddr,
    pub(super) handle: LinkHandle,
    pub(super) task: JoinHandle<Result<Drained, Fault>>,
    stop: oneshot::Sender<()>,
}

impl Served {
    /// Serves `serving` on a free port.
    pub(super) async fn start(serving: Serving, limits: Limits) -> Self {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), serving, limits).await
    }

    /// Serves `serving` at `address`.
    pub(super) async fn start_at(address: SocketAddr, serving: Serving, limits: Limits) -> Self {
        let listener = LinkListener::bind(address, limits).await.unwrap();
        let (address, handle) = (listener.address(), listener.handle());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(listener.serve(serving, async move { drop(stopped.await) }));
        Self { address, handle, task, stop }
    }

    /// Stops as a role does, and waits for the end.
    pub(super) async fn stop(self) -> Drained {
        drop(self.stop);
        self.task.await.unwrap().unwrap()
    }
}

/// Echo for the holders of `keys`.
pub(super) fn echo(identity: &Identity, keys: &Arc<KeySet>) -> Serving {
    let services = Services::new().with(routes::MANAGER, Arc::new(Echo));
    Serving::new(identity.clone(), keys.clone(), services)
}

/// `service` for the holder of `client`'s key.
pub(super) fn serving(
    identity: &Identity,
    client: &Identity,
    service: Arc<dyn Service>,
) -> Serving {
    let services = Services::new().with(routes::MANAGER, service);
    Serving::new(identity.clone(), keys_of([client]), services)
}

/// Trust in these identities.
pub(super) fn keys_of<'a>(identities: impl IntoIterator<Item = &'a Identity>) -> Arc<KeySet> {
    Arc::new(KeySet::new(identities.into_iter().map(Identity::spki_sha256)))
}

/// A channel from `from` to `to` at `address`.
pub(super) fn channel(from: &Identity, to: &Identity, address: SocketAddr) -> Channel {
    let routes = vec![Route::direct(address.to_string())];
    Channel::new(from.clone(), keys_of([to]), routes, quick())
}

/// Short waits, so that what fails fails soon.
pub(super) fn quick() -> ChannelLimits {
    ChannelLimits {
        connect_timeout: Duration::from_secs(5),
        backoff_min: Duration::from_millis(1),
        backoff_max: Duration::from_millis(5),
        ..ChannelLimits::default()
    }
}

/// Calls the echo.
pub(super) async fn say(channel: &Channel, bytes: &[u8]) -> Result<Vec<u8>, crate::LinkError> {
    let request = SecretBytes::new(bytes.to_vec());
    let limits = CallLimits { timeout: PATIENCE, ..CallLimits::default() };
    let answer = channel.call(routes::MANAGER, request, limits).await?;
    Ok(answer.expose().clone())
}

/// Longest time that something takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for `holds`, as long as what happens at all may take.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while !holds() {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect(what);
}
