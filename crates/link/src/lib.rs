//! Role-to-role transport: bytes from one role to another over mutual TLS with pinned keys.
//!
//! Every connection is TLS 1.3 with X25519MLKEM768 and nothing else. Both ends show a certificate
//! that they made themselves over their identity key; what makes it trusted is the SHA-256 of its
//! key (SPKI), which the owner's bundle names. This crate knows no bundle: it asks a [`Trust`].
//!
//! # Serving
//! ```text
//! let identity = Identity::new(&signing_key, "control", clock, rng)?;     // cheap clones
//! let trusted = Arc::new(KeySet::new(spkis_of_the_bundle));               // or your own Trust
//! let listener = LinkListener::bind(address, Limits::default()).await?;
//! let services = Services::new()
//!     .with(routes::PLANE, Arc::new(PlaneService::new(door)))      // PlaneDoor: SPKI -> Plane
//!     .with(routes::BUNDLE, Arc::new(BundleService::new(shelf)));  // BundleShelf: the newest
//! let setup = Serving::new(identity, trusted.clone(), services)
//!     .with_relay(Arc::new(targets));                              // RelayTargets, control only
//! let handle = listener.handle();                                         // before `serve`
//! tokio::spawn(listener.serve(setup, shutdown));
//! // a new bundle:
//! trusted.replace(spkis_of_the_new_bundle);
//! handle.revalidate();                                                    // drops who is out
//! ```
//! A manager serves [`routes::MANAGER`] and [`routes::PEER`] with its own [`Service`], whose
//! [`Service::call`] gets the caller's [`Peer`] and the request's bytes.
//!
//! # Calling
//! ```text
//! let route = Route::direct("manager-1.example:8401");
//! let route = Route::relayed("control.example:8400", control_keys, ManagerIndex::new(1)?);
//! let trusted = Arc::new(KeySet::new([manager_spki]));
//! let channel = Channel::new(identity, trusted, vec![route], ChannelLimits::default());
//! let request = SecretBytes::new(bytes);
//! let answer = channel.call(routes::MANAGER, request, CallLimits::default()).await?;
//! let plane = RemotePlane::new(control_channel);                          // implements Plane
//! let newer = bundle::fetch(&control_channel, known_version).await?;      // Option<SignedBundle>
//! ```
//! A [`Channel`] is a handle to one multiplexed connection, made when it is first needed and made
//! again when it broke. Several routes are tried in turn. Calls are independent: hedging is the
//! caller's, by calling several channels and dropping what is not needed any more.
//!
//! # Failures
//! [`LinkError`] tells apart what was never sent (safe to repeat) and what may have had an effect.
//! A [`Fault`](keysherd_base::Fault) of the other side arrives as [`LinkError::Refused`] with its
//! kind, public text and code.

pub mod bundle;
pub mod routes;

mod channel;
mod connections;
mod dial;
mod error;
mod identity;
mod limits;
mod listener;
mod own_address;
mod peer;
mod plane;
mod probe;
mod relay;
mod service;
mod tls;
mod trust;
mod wire;

#[cfg(test)]
mod tests;

pub use bundle::{BundleService, BundleShelf};
pub use channel::{Channel, Probed};
pub use dial::{ProbeFailed, ProbeStep, Route};
pub use error::LinkError;
pub use identity::Identity;
pub use limits::{CallLimits, ChannelLimits, Limits};
pub use listener::{Drained, LinkCounts, LinkHandle, LinkListener, Serving};
pub use own_address::own_address;
pub use peer::Peer;
pub use plane::{PlaneDoor, PlaneService, RemotePlane, codec};
pub use probe::probe;
pub use relay::{RELAY_HEADER_BYTES, RelayTargets, read_relay_header};
pub use service::{Service, Services};
pub use trust::{KeySet, Trust, TrustHandle};
