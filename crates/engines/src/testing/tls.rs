//! Certificates of servers of tests, and what encrypts with them.

use std::sync::Arc;

use keysherd_base::{Clock as _, SystemClock};
use keysherd_crypto::pki::LocalCa;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

use super::way;

/// What encrypts as 127.0.0.1, and the authority that vouches for it.
pub(crate) fn acceptor(versions: &[&'static SupportedProtocolVersion]) -> (TlsAcceptor, String) {
    let (rng, now) = (way().rng, SystemClock.now());
    let (begin, end) = (now.plus_seconds(-60), now.plus_seconds(3_600));
    let ours = LocalCa::create("an authority", begin, end, rng.as_ref()).unwrap();
    let issued = ours.issue_server(&["127.0.0.1".to_owned()], begin, end, rng.as_ref()).unwrap();
    let chain = CertificateDer::pem_slice_iter(issued.cert_pem.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), ours.cert_pem().to_owned())
}
