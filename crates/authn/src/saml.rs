//! SAML 2.0, the part of a service provider: what an identity provider is (`metadata`), what is
//! asked of it (`request`), and what it may answer (`response`).
//!
//! Source: OASIS SAML 2.0 core, bindings, profiles and metadata, section 4.1 of profiles first of
//! all: the web browser sign-on profile.

pub(crate) mod metadata;
pub(crate) mod request;
pub(crate) mod response;

/// Namespace of the protocol.
pub(crate) const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
/// Namespace of assertions.
pub(crate) const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
/// Namespace of metadata.
pub(crate) const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
/// The binding in which a request is a redirect.
pub(crate) const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
/// The binding in which a response is a form.
pub(crate) const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";

/// How far the provider's clock may be from ours, in seconds.
pub(crate) const SKEW_SECONDS: i64 = 60;
