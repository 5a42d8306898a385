//! Control on another machine: a channel to it, and the bundles it has.

use keysherd_egress::Egress;
use keysherd_fragments::bundle::succession::SignedBundle;
use keysherd_link::{Channel, ChannelLimits, Identity, LinkError, Route, bundle};

use super::parties::{self, BundleSource};

/// A channel to whichever machine of control answers.
pub(crate) fn channel(
    identity: Identity,
    addresses: &[String],
    source: BundleSource,
    egress: &Egress,
) -> Channel {
    let routes = addresses.iter().map(|address| Route::direct(address).through(egress)).collect();
    Channel::new(identity, parties::controls(source), routes, ChannelLimits::default())
}

/// Asks for bundles, and says once, not each second, that nobody answers.
pub(crate) struct BundlePoll {
    channel: Channel,
    failing: bool,
}

impl BundlePoll {
    /// Asks through `channel`.
    pub(crate) fn new(channel: Channel) -> Self {
        Self { channel, failing: false }
    }

    /// A bundle with a version above `known`, when control has one. It is not verified.
    pub(crate) async fn newer_than(&mut self, known: u64) -> Option<SignedBundle> {
        self.ask(known).await.flatten()
    }

    /// The same; `None` when control does not say whether it has one.
    pub(crate) async fn ask(&mut self, known: u64) -> Option<Option<SignedBundle>> {
        // The key at the other end may have been trusted by an older bundle, or by none.
        self.channel.revalidate();
        let asked: Result<_, LinkError> = bundle::fetch(&self.channel, known).await;
        match asked {
            Ok(newer) => {
                if self.failing {
                    tracing::info!("the control plane answers again");
                }
                self.failing = false;
                Some(newer)
            }
            Err(error) => {
                if !self.failing {
                    tracing::warn!(%error, "the control plane gives no trust bundle; asking on");
                }
                self.failing = true;
                None
            }
        }
    }
}
