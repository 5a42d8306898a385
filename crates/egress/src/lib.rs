//! The one way out of every role: which connections go through the operator's proxy, which
//! addresses tenants may have something sent to, and what failed where.
//!
//! Everything that leaves over TCP with TLS inside (links between roles, identity providers, log
//! targets over HTTPS) asks an [`Egress`]. A proxy is asked with CONNECT only, so it carries TLS
//! whose keys or certificates the two ends check: it learns names, sizes and times.
//!
//! Drivers of protocols do not bound what they are told; [`heard`] and [`ldap`] do.

mod bypass;
mod connect;
mod egress;
pub mod heard;
mod http;
pub mod ldap;
mod proxy;
mod public;
#[cfg(test)]
mod tests;
mod tls;
mod tunnel;

pub use bypass::NoProxy;
pub use connect::{DialError, DialStep, Target};
pub use egress::{Egress, Reach};
pub use proxy::Proxy;
pub use public::{is_elsewhere, is_public};
pub use tls::{ClientIdentity, authority, tls_config};
pub use tunnel::{ANSWER_BYTES_MAX, Malformed, read_answer};
