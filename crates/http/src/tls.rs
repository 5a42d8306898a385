//! TLS: versions, key exchange, and a certificate that can be exchanged while serving.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use keysherd_base::{Fault, SecretString};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, Ticketer, kx_group};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig, WebPkiClientVerifier,
};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The protocol in which proofs are shown (RFC 8737 section 6.2).
const ACME: &[u8] = b"acme-tls/1";

/// The protocol versions that are offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersions {
    /// TLS 1.3 only.
    #[default]
    V13,
    /// TLS 1.2 as well, for clients that cannot do better. Without post-quantum key exchange.
    V12AndV13,
}

/// Whether clients show certificates of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not asked for any.
    #[default]
    NotAsked,
    /// They may show one; one of another authority than these, in DER, ends the handshake.
    Optional(Vec<CertificateDer<'static>>),
    /// Without one that one of these authorities issued there is no connection.
    Required(Vec<CertificateDer<'static>>),
}

/// A server's TLS configuration, exchangeable for all connections to come. Clones are handles to
/// the same one.
#[derive(Clone)]
pub struct TlsReload {
    current: Arc<ArcSwap<ServerConfig>>,
    clients: Arc<ArcSwap<ClientCertificates>>,
    /// What authorities that issue certificates are shown, while they look.
    proofs: Arc<ArcSwapOption<ServerConfig>>,
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
        Self::with_clients(chain, key, versions, ClientCertificates::NotAsked)
    }

    /// As [`TlsReload::new`]; clients show certificates as `clients` says.
    ///
    /// # Errors
    /// As [`TlsReload::new`], and a bad request when an authority of `clients` cannot be read or
    /// there is none.
    pub fn with_clients(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        versions: TlsVersions,
        clients: ClientCertificates,
    ) -> Result<Self, Fault> {
        let config = server_config(chain, key, versions, &clients)?;
        Ok(Self {
            current: Arc::new(ArcSwap::from_pointee(config)),
            clients: Arc::new(ArcSwap::from_pointee(clients)),
            proofs: Arc::default(),
            versions,
        })
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
        let config = server_config(chain, key, self.versions, &self.clients.load())?;
        self.current.store(Arc::new(config));
        Ok(())
    }

    /// As [`TlsReload::replace_from_pem`]; from now on clients show certificates as `clients` says.
    /// Open connections stay, whatever their client showed.
    ///
    /// # Errors
    /// As [`TlsReload::with_clients`]; everything then stays as it was.
    pub fn replace_all(
        &self,
        chain: &[u8],
        key: &[u8],
        clients: ClientCertificates,
    ) -> Result<(), Fault> {
        let (chain, key) = read_pem(chain, key)?;
        let config = server_config(chain, key, self.versions, &clients)?;
        self.clients.store(Arc::new(clients));
        self.current.store(Arc::new(config));
        Ok(())
    }

    /// Whether a pair in PEM could be used.
    ///
    /// # Errors
    /// As [`TlsReload::from_pem`].
    pub fn check_pem(&self, chain: &[u8], key: &[u8]) -> Result<(), Fault> {
        let (chain, key) = read_pem(chain, key)?;
        server_config(chain, key, self.versions, &ClientCertificates::NotAsked).map(drop)
    }

    /// As [`TlsReload::replace`], from PEM text.
    ///
    /// # Errors
    /// As [`TlsReload::from_pem`]; the old certificate then stays in use.
    pub fn replace_from_pem(&self, chain: &[u8], key: &[u8]) -> Result<(), Fault> {
        let (chain, key) = read_pem(chain, key)?;
        self.replace(chain, key)
    }

    /// Shows these proofs, by name, to whoever asks for them with the protocol `acme-tls/1` (RFC
    /// 8737), and to nobody else; none at all: nobody is answered there. Each is a certificate and
    /// its key in PEM.
    ///
    /// # Errors
    /// As [`TlsReload::from_pem`]; everything then stays as it was.
    pub fn show_proofs(&self, proofs: &[(String, String, SecretString)]) -> Result<(), Fault> {
        if proofs.is_empty() {
            self.proofs.store(None);
            return Ok(());
        }
        let provider = Arc::new(provider());
        let mut by_name = HashMap::new();
        for (name, chain, key) in proofs {
            let (chain, key) = read_pem(chain.as_bytes(), key.expose().as_bytes())?;
            // Its critical extension is for the authority to know, so nothing is read of it here.
            let key = provider.key_provider.load_private_key(key);
            let key = key.map_err(|error| unusable("the key of a proof is of no use", error))?;
            by_name.insert(name.to_ascii_lowercase(), Arc::new(CertifiedKey::new(chain, key)));
        }
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Fault::internal)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(ByName(by_name)));
        config.alpn_protocols = vec![ACME.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        self.proofs.store(Some(Arc::new(config)));
        Ok(())
    }

    /// What shows proofs, while there are any.
    pub(crate) fn proofs(&self) -> Option<Arc<ServerConfig>> {
        self.proofs.load_full()
    }

    /// The configuration for the next connection.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

/// Certificates by the name that a client asks for.
#[derive(Debug)]
struct ByName(HashMap<String, Arc<CertifiedKey>>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.get(&hello.server_name()?.to_ascii_lowercase()).cloned()
    }
}

/// Whether a client wants to see a proof, and nothing else (RFC 8737 section 3).
pub(crate) fn wants_proof(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_some_and(|mut offered| offered.next() == Some(ACME) && offered.next().is_none())
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

/// What TLS is made with, at both ends.
pub(crate) fn provider() -> CryptoProvider {
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
    clients: &ClientCertificates,
) -> Result<ServerConfig, Fault> {
    let provider = Arc::new(provider());
    let certified = CertifiedKey::from_der(chain, key, &provider)
        .map_err(|error| unusable("the certificate and its private key do not fit", error))?;
    let versions: &[_] = match versions {
        TlsVersions::V13 => &[&rustls::version::TLS13],
        TlsVersions::V12AndV13 => &[&rustls::version::TLS13, &rustls::version::TLS12],
    };
    let verifier = client_verifier(clients, &provider)?;
    let asks_clients = verifier.is_some();
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(Fault::internal)?;
    let builder = match verifier {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    if asks_clients {
        // A resumed session would go on with what its client showed once.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        return Ok(config);
    }
    // Tickets instead of a table of sessions: any number of clients can resume, which saves most
    // of a handshake's cost. The keys are made here and change every few hours.
    config.ticketer = Ticketer::new().map_err(Fault::internal)?;
    Ok(config)
}

fn client_verifier(
    clients: &ClientCertificates,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, Fault> {
    let (authorities, required) = match clients {
        ClientCertificates::NotAsked => return Ok(None),
        ClientCertificates::Optional(authorities) => (authorities, false),
        ClientCertificates::Required(authorities) => (authorities, true),
    };
    let what = "the authority of client certificates cannot be used";
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone()).map_err(|error| unusable(what, error))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let builder = if required { builder } else { builder.allow_unauthenticated() };
    builder.build().map(Some).map_err(|error| unusable(what, error))
}
