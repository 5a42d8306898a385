//! TLS to somebody whose certificate and name are checked, always.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Fault, SecretString};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// A certificate and its key, both in PEM, to show to who asks for one.
#[derive(Debug)]
pub struct ClientIdentity {
    /// The certificate, and those between it and its authority.
    pub certificate: String,
    /// The key, not encrypted.
    pub key: SecretString,
}

/// Certificates of authorities as PEM, given as PEM or as that in base64.
///
/// # Errors
/// [`Fault::bad_request`] names `field` when there are none.
pub fn authority(field: &str, given: &str) -> Result<String, Fault> {
    let pem = if given.trim_start().starts_with("-----BEGIN ") {
        Some(given.to_owned())
    } else {
        let compact: String = given.split_whitespace().collect();
        let bytes = STANDARD.decode(compact).ok();
        bytes.and_then(|bytes| String::from_utf8(bytes).ok())
    };
    let pem = pem.filter(|pem| pem.contains("-----BEGIN CERTIFICATE-----"));
    pem.ok_or_else(|| bad(field, "it must be PEM, or that in base64"))
}

/// What connections are encrypted with: the authorities in `ca` are trusted (PEM, from `field`), or
/// this machine's.
///
/// # Errors
/// [`Fault::bad_request`] when a certificate or the key cannot be read.
pub fn tls_config(
    field: &str,
    ca: Option<&str>,
    identity: Option<&ClientIdentity>,
) -> Result<Arc<ClientConfig>, Fault> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Fault::internal)?;
    let builder = match ca {
        None => builder.with_platform_verifier().map_err(|error| {
            Fault::bad_request(format!("this machine has no certificate authorities; give {field}"))
                .with_private(error)
        })?,
        Some(ca) => {
            let unreadable = || bad(field, "it must be a certificate in PEM");
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
                let certificate = certificate.map_err(|_| unreadable())?;
                roots.add(certificate).map_err(|_| unreadable())?;
            }
            if roots.is_empty() {
                return Err(unreadable());
            }
            builder.with_root_certificates(roots)
        }
    };
    let Some(identity) = identity else { return Ok(Arc::new(builder.with_no_client_auth())) };
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes());
    let chain: Vec<_> = chain
        .collect::<Result<_, _>>()
        .map_err(|_| Fault::bad_request("the client certificate cannot be read as PEM"))?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.expose().as_bytes()).map_err(|_| {
        Fault::bad_request("the client's private key cannot be read; it must be PEM, not encrypted")
    })?;
    let config = builder.with_client_auth_cert(chain, key).map_err(|error| {
        Fault::bad_request("the client certificate and its key do not fit").with_private(error)
    })?;
    Ok(Arc::new(config))
}

fn bad(field: &str, want: &str) -> Fault {
    Fault::bad_request(format!("invalid value of '{field}': {want}"))
}
