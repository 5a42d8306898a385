//! Control-plane use cases: implements [`keysherd_plane::Plane`].
//!
//! [`Control`] authenticates the bearer of a token, authorizes what is asked, decides, records it
//! and audits it. It holds ciphertext, verifiers and metadata; it never sees a value or a key.
//!
//! One file per noun: `auth_methods`, `roles`, `accounts`, `items`, ... In each, a function per
//! message of the same noun in `keysherd_plane`. `dispatch` is the one list of them.

mod accounts;
mod admission;
mod advisor;
mod analytics;
mod assocs;
mod audit;
mod audit_log;
mod auth;
mod auth_methods;
mod authorize;
mod below;
mod bootstrap;
mod browser;
mod change;
mod clusters;
mod confirm;
mod control;
mod control_keys;
mod credential;
mod credential_leases;
mod credential_rotations;
mod directory;
mod dispatch;
mod edge_reads;
mod entering;
mod escalation;
mod explain;
mod folders;
mod follow;
mod gateway_configs;
mod gateways;
mod generations;
mod grants;
mod groups;
mod guard;
mod issue;
mod items;
mod keys;
mod last_use;
mod login;
mod merge;
mod method_secrets;
mod method_shared;
mod moves;
mod nonces;
mod note;
mod once;
pub mod outside;
mod owner;
mod page;
mod permissions;
mod permits;
mod present;
mod proof;
mod rails;
mod refused_logins;
mod relocation;
mod roles;
mod rotation;
mod rules;
mod sealed_rows;
mod second_factor;
mod session;
mod setup;
mod uid;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use bootstrap::{CreatedAccount, NewAccount, OriginalKey};
pub use control::{Control, ControlConfig};
pub use control_keys::ControlKeys;
pub use credential::checked_email;
pub use gateways::{GatewayIdentity, GatewayPlane, Gateways};
pub use grants::GrantStats;
pub use keysherd_authn::{Web, WebSettings};
pub use permits::PERMIT_LABEL;
pub use sealed_rows::{SealedRows, sealed_rows};
pub use session::Principal;
