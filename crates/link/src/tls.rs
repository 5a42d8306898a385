//! TLS between roles: version 1.3, X25519MLKEM768, Ed25519 certificates whose keys are pinned, and
//! no resumption, which would carry an old certificate on.

use std::sync::Arc;

use keysherd_base::{Fault, Timestamp};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::pki;
use keysherd_crypto::sign::PublicKey;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ResolvesClientCert, Resumption};
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::identity::Identity;
use crate::peer::ShownKey;
use crate::trust::TrustHandle;

/// Application protocol of calls.
pub(crate) const ALPN_CALLS: &[u8] = b"h2";
/// Application protocol of relayed connections.
pub(crate) const ALPN_RELAY: &[u8] = b"ks-relay";

/// How far the clocks of both ends may differ, in seconds.
const SKEW_SECONDS: i64 = 5 * 60;

/// The one provider, with the one key exchange.
pub(crate) fn provider() -> CryptoProvider {
    CryptoProvider { kx_groups: vec![kx_group::X25519MLKEM768], ..aws_lc_rs::default_provider() }
}

/// The configuration of a listener that shows `identity` and takes whom `trust` allows.
pub(crate) fn server_config(
    identity: &Identity,
    trust: TrustHandle,
    with_relay: bool,
    provider: CryptoProvider,
) -> Result<ServerConfig, Fault> {
    let provider = Arc::new(provider);
    let verifier = Pinned::new(identity, trust, &provider);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(Fault::internal)?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(Shown(identity.clone())));
    config.alpn_protocols = vec![ALPN_CALLS.to_vec()];
    if with_relay {
        config.alpn_protocols.push(ALPN_RELAY.to_vec());
    }
    // A resumed session would go on with the certificate of its first handshake, also when its
    // key is trusted no more.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// The configuration of a connection that shows `identity` and expects whom `trust` allows.
pub(crate) fn client_config(
    identity: &Identity,
    trust: TrustHandle,
    protocol: &[u8],
    provider: CryptoProvider,
) -> Result<ClientConfig, Fault> {
    let provider = Arc::new(provider);
    let verifier = Pinned::new(identity, trust, &provider);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(Fault::internal)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(Shown(identity.clone())));
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = Resumption::disabled();
    // Keys are pinned, so the name means nothing, and nobody on the way needs to know it.
    config.enable_sni = false;
    Ok(config)
}

/// The name that TLS asks for and that nothing looks at.
pub(crate) fn any_name() -> ServerName<'static> {
    ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into())
}

/// The SPKI hash of the certificate at the head of `chain`.
pub(crate) fn spki_of(chain: Option<&[CertificateDer<'_>]>) -> Option<[u8; 32]> {
    pki::certificate_spki(chain?.first()?).map(|spki| sha256(&[spki]))
}

/// Shows the identity's certificate of the moment.
#[derive(Debug)]
struct Shown(Identity);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.certified())
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(
        &self,
        _issuers: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(self.0.certified())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Accepts Ed25519 certificates that are valid now and whose key is trusted.
struct Pinned {
    identity: Identity,
    trust: TrustHandle,
    provider: Arc<CryptoProvider>,
}

impl std::fmt::Debug for Pinned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pinned")
    }
}

impl Pinned {
    fn new(identity: &Identity, trust: TrustHandle, provider: &Arc<CryptoProvider>) -> Self {
        Self { identity: identity.clone(), trust, provider: provider.clone() }
    }

    fn judge(&self, certificate: &[u8], rest: &[CertificateDer<'_>]) -> Result<(), Error> {
        let bad = |error: CertificateError| Err(Error::InvalidCertificate(error));
        if !rest.is_empty() {
            return bad(CertificateError::BadEncoding);
        }
        let Some(spki) = pki::certificate_spki(certificate) else {
            return bad(CertificateError::BadEncoding);
        };
        if PublicKey::from_spki_der(spki).is_none() {
            return bad(CertificateError::BadEncoding);
        }
        let spki_sha256 = sha256(&[spki]);
        if !self.trust.allows(&spki_sha256) {
            tracing::debug!(key = %ShownKey(&spki_sha256), "a key that no trust bundle names");
            return bad(CertificateError::ApplicationVerificationFailure);
        }
        let Some((from, until)) = pki::certificate_validity_der(certificate) else {
            return bad(CertificateError::BadEncoding);
        };
        let now = self.identity.clock().now();
        if now.plus_seconds(SKEW_SECONDS) < from {
            return bad(not_yet(now, from));
        }
        if now.plus_seconds(-SKEW_SECONDS) > until {
            return bad(expired(now, until));
        }
        Ok(())
    }

    fn signed(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }
}

fn not_yet(now: Timestamp, not_before: Timestamp) -> CertificateError {
    CertificateError::NotValidYetContext { time: unix(now), not_before: unix(not_before) }
}

fn expired(now: Timestamp, not_after: Timestamp) -> CertificateError {
    CertificateError::ExpiredContext { time: unix(now), not_after: unix(not_after) }
}

fn unix(time: Timestamp) -> UnixTime {
    let seconds = u64::try_from(time.seconds()).unwrap_or_default();
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
}

/// There is no TLS 1.2 here.
fn tls13_only() -> Error {
    Error::General("TLS 1.3 is required".to_owned())
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(certificate, rest).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(tls13_only())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(certificate, rest).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(tls13_only())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
