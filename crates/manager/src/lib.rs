//! The fragment-manager role: it keeps one manager's fragments, decides by itself whether a gateway
//! may have a derivation, and writes each one to its own log before the answer leaves.
//!
//! A manager takes nobody's word. It obeys the trust bundle that the owner signed, and permits only
//! within it; it holds no items, no identities and no other manager's fragments. What it checks and
//! computes is `keysherd-fragments`; this crate adds what lasts: store, log, counters, sessions.
//!
//! [`Manager`] is bytes in, bytes out. Transport is somebody else's: requests of gateways come with
//! the hash of the key of their TLS certificate ([`Manager::serve`]), deals of other managers with
//! the sender's index ([`Manager::serve_peer`]), and this manager reaches the others through a
//! [`PeerLink`].

mod at_rest;
mod bad_permits;
mod bundle;
mod config;
mod crash_points;
mod current;
mod derive;
mod erase;
mod generate;
mod home;
mod keys;
pub mod log;
mod manager;
mod orders;
mod part;
mod peer;
mod permits;
mod recovery;
mod refresh;
mod repair;
mod restore;
mod schedule;
mod serve;
mod status;
mod store;
#[cfg(test)]
mod tests;
mod vault;

pub use at_rest::{
    AtRestKey, EpochKey, KeyFile, Moving, PassphraseWrapping, SystemdWrapping, TokenWrapping,
    WrappedKeyFile, Wrapping,
};
pub use config::{ManagerConfig, ManagerLimits};
pub use manager::Manager;
pub use peer::{PeerFuture, PeerLink, Unreachable};
pub use recovery::RecoveryExport;
pub use refresh::RefreshReport;
pub use status::ManagerStatus;
