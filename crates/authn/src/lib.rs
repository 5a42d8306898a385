//! The family of auth methods whose bearers prove who they are with what somebody else made: a
//! token of an identity provider, a signed request, a certificate.
//!
//! A member is one file under `methods/` and two lines in `methods.rs`. It says what it is called,
//! which settings it has, what a bearer presents, and how that is checked. Everything else is
//! written once for all of them: creating, updating, listing and deleting (`api`), what all
//! methods share, associations, tokens and audit (`control`).
//!
//! A member has two halves that never run in the same place. The **gateway half** reads settings
//! and credentials from arguments and makes *evidence*; passwords and private keys end there. The
//! **control half** checks evidence against settings and nothing else: no gateway's word counts
//! unless the settings hold a key whose private half only that gateway has.

mod assertion;
mod browser;
mod challenge;
mod claims;
mod conformance;
mod directory;
mod fetched;
pub mod fields;
mod folded;
mod issuer;
mod kept;
mod kind;
mod member;
mod method_key;
mod methods;
pub mod outside;
mod outward;
mod pem;
mod replay;
mod saml;
#[cfg(test)]
mod scene;
mod signed_request;
mod stored;
mod targets;
#[cfg(test)]
mod testing;
mod tokens;
mod web;
mod world;

pub use browser::{Browser, Callback, Departure, Trip};
pub use challenge::CHALLENGE_SECONDS;
pub use claims::{CLAIMS_MAX, VALUES_MAX, claims_of, text_values};
pub use conformance::complaints;
pub use directory::Directory;
pub use fetched::{FRESH_SECONDS, Fetched, RETRY_SECONDS, STALE_SECONDS};
pub use folded::folded;
pub use issuer::IssuerDocument;
pub use kept::{KEPT_BYTES_MAX, Kept};
pub use kind::{Kind, Spelling};
pub use member::{Attempt, Desk, EachSecret, Entrant, Identity, Method, Prepared, Rules, Wanted};
pub use method_key::{pem_text, signing_key};
pub use methods::k8s::{Api as K8sApi, K8S_CONFIG, K8sConfig};
pub use methods::kerberos::{KERBEROS_CONFIG, KerberosShown};
pub use methods::ldap::{LDAP_CONFIG, LdapConfig};
pub use methods::{all, by_access_type, by_kind, uid_settings};
pub use outward::Outward;
pub use replay::UsedOnce;
pub use targets::{CONFIGURED_KINDS, configured_targets};
pub use web::{ANSWER_BYTES_MAX, Web, WebReply, WebRequest, WebSettings, outside_url};
pub use world::World;

/// The parts of certificate logins that the command `get-cert-challenge` needs as well.
pub mod cert {
    pub use crate::methods::cert::{CERT_DATA, challenge_subject, presented};
}

/// A future that a member answers with.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Longest settings of a method, in bytes: key sets and metadata are the longest.
pub const SETTINGS_BYTES_MAX: usize = 512 * 1024;
/// Longest evidence of one login, in bytes.
pub const EVIDENCE_BYTES_MAX: usize = 256 * 1024;
