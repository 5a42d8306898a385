//! The fragment managers on other machines: a channel to each that the trust bundle names.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use keysherd_base::SecretBytes;
use keysherd_egress::Egress;
use keysherd_fragments::bundle::ManagerEntry;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_gateway::{Links, ManagerLink, Unreachable};
use keysherd_link::{
    CallLimits, Channel, ChannelLimits, Identity, KeySet, Route, TrustHandle, routes,
};
use keysherd_manager::{PeerFuture, PeerLink};
use keysherd_plane::BoxFuture;

use crate::config::addresses::ManagerAddresses;

/// How managers are reached.
pub(crate) struct Ways {
    /// Addresses that win over those of the bundle.
    pub(crate) addresses: ManagerAddresses,
    /// Control's machines and whom to expect there, when managers are reached through their relay.
    pub(crate) relay: Option<(Vec<String>, TrustHandle)>,
    /// How connections leave.
    pub(crate) egress: Egress,
}

/// A channel to each manager of the bundle.
pub(crate) struct RemoteManagers {
    identity: Identity,
    ways: Ways,
    channels: Mutex<BTreeMap<ManagerIndex, ManagerChannel>>,
}

/// A channel to the manager with a certain key.
#[derive(Clone)]
struct ManagerChannel {
    spki_sha256: [u8; 32],
    channel: Channel,
}

impl RemoteManagers {
    /// No channels yet; see [`Self::follow`].
    pub(crate) fn new(identity: Identity, ways: Ways) -> Arc<Self> {
        Arc::new(Self { identity, ways, channels: Mutex::default() })
    }

    /// Has channels to the managers that `bundle` names, and to no others. Channels to managers
    /// that stay the same stay open.
    pub(crate) fn follow(&self, bundle: &PinnedBundle) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let mut former = std::mem::take(&mut *channels);
        for entry in &bundle.bundle().managers {
            let routes = self.routes(entry);
            let spki_sha256 = entry.tls_spki_sha256;
            let same = former.remove(&entry.index).filter(|known| known.spki_sha256 == spki_sha256);
            let kept = match same {
                Some(known) => {
                    known.channel.reroute(routes);
                    known
                }
                None => {
                    let trust = Arc::new(KeySet::new([spki_sha256]));
                    let limits = ChannelLimits::default();
                    let channel = Channel::new(self.identity.clone(), trust, routes, limits);
                    ManagerChannel { spki_sha256, channel }
                }
            };
            channels.insert(entry.index, kept);
        }
        for gone in former.into_values() {
            gone.channel.disconnect();
        }
    }

    /// What the gateway asks them through.
    pub(crate) fn links(&self) -> Links {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let link = |(index, known): (&ManagerIndex, &ManagerChannel)| {
            let link = RemoteManager(known.channel.clone());
            (*index, Arc::new(link) as Arc<dyn ManagerLink>)
        };
        channels.iter().map(link).collect()
    }

    fn channel(&self, index: ManagerIndex) -> Option<Channel> {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.get(&index).map(|known| known.channel.clone())
    }

    fn routes(&self, entry: &ManagerEntry) -> Vec<Route> {
        if let Some((controls, trust)) = &self.ways.relay {
            let through = |control: &String| {
                Route::relayed(control, trust.clone(), entry.index).through(&self.ways.egress)
            };
            return controls.iter().map(through).collect();
        }
        let configured = self.ways.addresses.get(&entry.index);
        let address = configured.unwrap_or(&entry.address);
        let route = (!address.is_empty()).then(|| Route::direct(address));
        route.map(|route| route.through(&self.ways.egress)).into_iter().collect()
    }
}

/// One manager, as the gateway asks it.
struct RemoteManager(Channel);

impl ManagerLink for RemoteManager {
    fn call(&self, request: Vec<u8>) -> BoxFuture<'_, Result<SecretBytes, Unreachable>> {
        Box::pin(async move {
            let request = SecretBytes::new(request);
            let answer = self.0.call(routes::MANAGER, request, CallLimits::default()).await;
            answer.map_err(|error| {
                tracing::debug!(%error, channel = ?self.0, "a fragment manager did not answer");
                Unreachable
            })
        })
    }
}

impl PeerLink for RemoteManagers {
    fn call(&self, to: ManagerIndex, message: SecretBytes) -> PeerFuture<'_> {
        Box::pin(async move {
            let unreachable = keysherd_manager::Unreachable;
            let channel = self.channel(to).ok_or(unreachable)?;
            let answer = channel.call(routes::PEER, message, CallLimits::default()).await;
            let answer = answer.map_err(|error| {
                tracing::warn!(manager = %to, %error, "another manager did not answer");
                unreachable
            })?;
            Ok(answer)
        })
    }
}
