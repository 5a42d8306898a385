//! What TLS accepts: one key exchange, Ed25519 keys that are trusted, and no resumption.

use std::sync::Arc;

use keysherd_base::{Clock, SystemClock};
use keysherd_crypto::pki::LocalCa;
use keysherd_crypto::random::SystemRng;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncReadExt;

use crate::tests::raw::{Shows, connect, handshakes};
use crate::tests::rig::{Served, channel, echo, identity, keys_of, say};
use crate::tls::{ALPN_CALLS, client_config, provider, server_config};
use crate::{Identity, Limits, LinkError, TrustHandle};

/// Whatever a machine without post-quantum key exchange offers.
fn classical() -> CryptoProvider {
    let kx_groups = vec![kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
    CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() }
}

/// What the TLS library does when nobody restricts it.
fn unrestricted() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups.push(kx_group::SECP256R1);
    provider.kx_groups.extend(classical().kx_groups);
    provider
}

#[tokio::test]
async fn t_tls_requires_x25519mlkem768() {
    let (server, client) = (identity("manager-1"), identity("gateway"));
    let served = Served::start(echo(&server, &keys_of([&client])), Limits::default()).await;

    // A genuine client with a genuine key that only lacks the key exchange.
    let config = client_config(&client, keys_of([&server]), ALPN_CALLS, classical()).unwrap();
    let refused = connect(config, served.address).await.unwrap_err().to_string();
    assert!(refused.contains("HandshakeFailure"), "{refused}");
    assert_eq!(served.handle.connections(), 0);

    // And a genuine server that lacks it.
    let config = server_config(&server, keys_of([&client]), false, classical()).unwrap();
    let (address, mut reports) = handshakes(config).await;
    let failed = say(&channel(&client, &server, address), b"x").await.unwrap_err();
    assert!(matches!(&failed, LinkError::Unreachable(_)), "{failed:?}");
    reports.recv().await.unwrap().unwrap_err();
}

#[tokio::test]
async fn t_tls_requires_x25519mlkem768_control() {
    let (server, client) = (identity("manager-1"), identity("gateway"));
    // The same client against a server without the restriction: the exchange is classical, which
    // whoever records it can open with a quantum computer.
    let config = server_config(&server, keys_of([&client]), false, unrestricted()).unwrap();
    let (address, mut reports) = handshakes(config).await;
    let config = client_config(&client, keys_of([&server]), ALPN_CALLS, classical()).unwrap();
    connect(config, address).await.unwrap();
    assert_eq!(reports.recv().await.unwrap().unwrap(), "X25519");

    // With the restriction at either end it is not.
    let config = client_config(&client, keys_of([&server]), ALPN_CALLS, provider()).unwrap();
    connect(config, address).await.unwrap();
    assert_eq!(reports.recv().await.unwrap().unwrap(), "X25519MLKEM768");
}

#[tokio::test]
async fn a_key_that_is_not_trusted_is_refused_in_both_directions() {
    let (server, client, stranger) = (identity("m"), identity("gateway"), identity("gateway"));
    let served = Served::start(echo(&server, &keys_of([&client])), Limits::default()).await;

    let failed = say(&channel(&stranger, &server, served.address), b"x").await.unwrap_err();
    assert!(matches!(&failed, LinkError::Unreachable(why) if why.contains("let this role in")));
    // It expects another key than the one that is shown.
    let failed = say(&channel(&client, &stranger, served.address), b"x").await.unwrap_err();
    assert!(matches!(&failed, LinkError::Unreachable(_)), "{failed:?}");

    say(&channel(&client, &server, served.address), b"x").await.unwrap();
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let (server, client) = (identity("m"), identity("gateway"));
    let served = Served::start(echo(&server, &keys_of([&client])), Limits::default()).await;
    let mut config = client_config(&client, keys_of([&server]), ALPN_CALLS, provider()).unwrap();
    config.client_auth_cert_resolver = Arc::new(Nobody);
    // With TLS 1.3 the client is done before the server has judged it.
    let refused = match connect(config, served.address).await {
        Ok(mut stream) => stream.read_u8().await.unwrap_err(),
        Err(error) => error,
    };
    assert!(refused.to_string().contains("CertificateRequired"), "{refused}");
}

#[derive(Debug)]
struct Nobody;

impl rustls::client::ResolvesClientCert for Nobody {
    fn resolve(
        &self,
        _issuers: &[&[u8]],
        _schemes: &[rustls::SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_certificate_is_of_no_use_without_its_key() {
    let (server, client, thief) = (identity("m"), identity("gateway"), identity("gateway"));
    let served = Served::start(echo(&server, &keys_of([&client])), Limits::default()).await;
    // Certificates are seen by every peer; here one shows another's with its own key.
    let (theirs, own) = (client.certified(), thief.certified());
    let stolen = CertifiedKey::new(theirs.cert.clone(), own.key.clone());
    let mut config = client_config(&thief, keys_of([&server]), ALPN_CALLS, provider()).unwrap();
    config.client_auth_cert_resolver = Arc::new(Shows(Arc::new(stolen)));
    let refused = match connect(config, served.address).await {
        Ok(mut stream) => stream.read_u8().await.unwrap_err(),
        Err(error) => error,
    };
    assert!(refused.to_string().contains("DecryptError"), "{refused}");
    // The control: the same way with the key that belongs to it.
    let mut config = client_config(&thief, keys_of([&server]), ALPN_CALLS, provider()).unwrap();
    config.client_auth_cert_resolver = Arc::new(Shows(theirs));
    let mut stream = connect(config, served.address).await.unwrap();
    // HTTP/2 settings: it is let in.
    stream.read_u8().await.unwrap();
}

#[tokio::test]
async fn keys_of_other_kinds_are_refused_whatever_the_trust_says() {
    let client = identity("gateway");
    let now = SystemClock.now();
    let (from, until) = (now.plus_seconds(-60), now.plus_seconds(3_600));
    let ca = LocalCa::create("ca", from, until, &SystemRng).unwrap();
    let issued = ca.issue_server(&["m".to_owned()], from, until, &SystemRng).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(issued.cert_pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes()).unwrap();
    let everyone: TrustHandle = Arc::new(|_: &[u8; 32]| true);
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![ALPN_CALLS.to_vec()];
    let (address, _reports) = handshakes(config).await;
    let config = client_config(&client, everyone, ALPN_CALLS, provider()).unwrap();
    let refused = connect(config, address).await.unwrap_err();
    // ECDSA is not among the schemes that are offered.
    assert!(refused.to_string().contains("HandshakeFailure"), "{refused}");
}

#[tokio::test]
async fn sessions_are_not_resumed() {
    let (server, client) = (identity("m"), identity("gateway"));
    let served = Served::start(echo(&server, &keys_of([&client])), Limits::default()).await;
    let mut config = client_config(&client, keys_of([&server]), ALPN_CALLS, provider()).unwrap();
    config.resumption = rustls::client::Resumption::in_memory_sessions(8);
    for _ in 0..3 {
        let stream = connect(config.clone(), served.address).await.unwrap();
        let kind = stream.get_ref().1.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::Full));
    }
}

#[test]
fn an_identity_is_not_printed_with_its_key() {
    let identity: Identity = identity("gateway");
    let shown = format!("{identity:?}");
    assert!(shown.starts_with("Identity(gateway ") && shown.len() < 100, "{shown}");
}
