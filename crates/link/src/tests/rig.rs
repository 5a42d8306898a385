//! Roles for tests: an identity, a listener that serves, a channel to it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use keysherd_base::{ClockHandle, Fault, SecretBytes, SystemClock};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;
use keysherd_plane::BoxFuture;
use tokio::sync::oneshot;
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
    let answer = channel.call(routes::MANAGER, request, CallLimits::default()).await?;
    Ok(answer.expose().clone())
}

/// Waits for `holds`, for ten seconds at most.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while !holds() {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect(what);
}
