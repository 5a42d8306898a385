//! TLS: versions, key exchange, and a certificate that can be exchanged while serving.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use keysherd_base::Fault;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, Ticketer, kx_group};
use rustls::server::ServerConfig;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The protocol versions that are offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersions {
    /// TLS 1.3 only.
    #[default]
    V13,
    /// TLS 1.2 as well, for clients that cannot do better. Without post-quantum key exchange.
    V12AndV13,
}

/// A server's TLS configuration, exchangeable for all connections to come. Clones are handles to
/// the same one.
#[derive(Clone)]
pub struct TlsReload {
    current: Arc<ArcSwap<ServerConfig>>,
    versions: TlsVersions,
}

impl fmt::Debug for TlsReload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsReload").field("versions", &self.versions).finish_non_exhaustive()
    }
}

impl TlsReload {
    /// A configuration with the certificate `chain`, leaf first, and its private `key`.
    ///
    /// # Errors
    /// A bad request when the key is of no known type or does not belong to the certificate.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        versions: TlsVersions,
    ) -> Result<Self, Fault> {
        let config = server_config(chain, key, versions)?;
        Ok(Self { current: Arc::new(ArcSwap::from_pointee(config)), versions })
    }

    /// As [`TlsReload::new`], from PEM text (RFC 7468).
    ///
    /// # Errors
    /// As [`TlsReload::new`], and a bad request when there is no certificate or no key.
    pub fn from_pem(chain: &[u8], key: &[u8], versions: TlsVersions) -> Result<Self, Fault> {
        let (chain, key) = read_pem(chain, key)?;
        Self::new(chain, key, versions)
    }

    /// Uses another certificate for all connections from now on; open ones keep theirs.
    ///
    /// Sessions of the old certificate can no longer be resumed, because a resumed session would
    /// go on to show it.
    ///
    /// # Errors
    /// As [`TlsReload::new`]; the old certificate then stays in use.
    pub fn replace(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<(), Fault> {
        let config = server_config(chain, key, self.versions)?;
        self.current.store(Arc::new(config));
        Ok(())
    }

    /// As [`TlsReload::replace`], from PEM text.
    ///
    /// # Errors
    /// As [`TlsReload::from_pem`]; the old certificate then stays in use.
    pub fn replace_from_pem(&self, chain: &[u8], key: &[u8]) -> Result<(), Fault> {
        let (chain, key) = read_pem(chain, key)?;
        self.replace(chain, key)
    }

    /// The configuration for the next connection.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read_pem(chain: &[u8], key: &[u8]) -> Result<Pair, Fault> {
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable("the certificate file is not PEM", error))?;
    if chain.is_empty() {
        return Err(Fault::bad_request("there is no certificate in the file"));
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| unusable("there is no private key in the file", error))?;
    Ok((chain, key))
}

fn unusable(what: &'static str, why: impl fmt::Display) -> Fault {
    Fault::bad_request(what).with_private(why)
}

fn provider() -> CryptoProvider {
    CryptoProvider {
        // Post-quantum first, whatever features the TLS library was built with.
        kx_groups: vec![
            kx_group::X25519MLKEM768,
            kx_group::X25519,
            kx_group::SECP256R1,
            kx_group::SECP384R1,
        ],
        ..aws_lc_rs::default_provider()
    }
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    versions: TlsVersions,
) -> Result<ServerConfig, Fault> {
    let provider = Arc::new(provider());
    let certified = CertifiedKey::from_der(chain, key, &provider)
        .map_err(|error| unusable("the certificate and its private key do not fit", error))?;
    let versions: &[_] = match versions {
        TlsVersions::V13 => &[&rustls::version::TLS13],
        TlsVersions::V12AndV13 => &[&rustls::version::TLS13, &rustls::version::TLS12],
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(Fault::internal)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Tickets instead of a table of sessions: any number of clients can resume, which saves most
    // of a handshake's cost. The keys are made here and change every few hours.
    config.ticketer = Ticketer::new().map_err(Fault::internal)?;
    Ok(config)
}
