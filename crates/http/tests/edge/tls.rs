//! TLS: versions, key exchange, resumption, exchange of the certificate.

use std::sync::Arc;

use keysherd_http::{ClientCertificates, TlsReload, TlsVersions, Transport, Workers};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, HandshakeKind, NamedGroup, ProtocolVersion, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{Client, Options, Server, post, soon};

const ARGS: &str = r#"{"name":"/a"}"#;

/// A certificate of its own for `localhost`.
pub(crate) fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = KeyPair::serialize_der(&signing_key);
    (cert.der().clone(), PrivateKeyDer::try_from(key).unwrap())
}

/// A TLS transport and the certificate to trust.
pub(crate) fn tls() -> (Transport, CertificateDer<'static>) {
    let (certificate, key) = certificate();
    let tls = TlsReload::new(vec![certificate.clone()], key, TlsVersions::V13).unwrap();
    (Transport::Tls(tls), certificate)
}

/// A client configuration that trusts `certificate` and offers `protocols`.
pub(crate) fn client_config(
    certificate: &CertificateDer<'static>,
    protocols: &[&str],
) -> ClientConfig {
    client_config_of(certificate, protocols, &[&rustls::version::TLS13, &rustls::version::TLS12])
}

fn client_config_of(
    certificate: &CertificateDer<'static>,
    protocols: &[&str],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// A TLS connection to `server`.
pub(crate) async fn connect(
    server: &Server,
    config: &Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(server.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    soon(TlsConnector::from(config.clone()).connect(name, stream)).await
}

async fn served(server: &Server, config: &Arc<ClientConfig>) -> Client<TlsStream<TcpStream>> {
    let mut client = Client::new(connect(server, config).await.unwrap());
    client.write(&post("/get-thing", &[], ARGS)).await;
    assert_eq!(client.read().await.status, 200);
    client
}

async fn start(transport: Transport) -> Server {
    Server::start(Options { transport, ..Options::default() }).await
}

#[tokio::test]
async fn the_best_of_tls_is_negotiated() {
    let (transport, certificate) = tls();
    let server = start(transport).await;
    let config = Arc::new(client_config(&certificate, &["http/1.1"]));
    let client = served(&server, &config).await;
    let (_, session) = client.stream.get_ref();
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
    let group = session.negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
}

#[tokio::test]
async fn a_client_without_post_quantum_is_served_too() {
    let (transport, certificate) = tls();
    let server = start(transport).await;
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::SECP256R1];
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    served(&server, &Arc::new(config)).await;
}

#[tokio::test]
async fn tls_1_2_needs_to_be_asked_for() {
    let (certificate, key) = certificate();
    let old = [&rustls::version::TLS12];
    let config = Arc::new(client_config_of(&certificate, &["http/1.1"], &old));
    let chain = vec![certificate];
    let strict = TlsReload::new(chain.clone(), key.clone_key(), TlsVersions::V13).unwrap();
    let server = start(Transport::Tls(strict)).await;
    assert!(connect(&server, &config).await.is_err());
    let lenient = TlsReload::new(chain, key, TlsVersions::V12AndV13).unwrap();
    let server = start(Transport::Tls(lenient)).await;
    let client = served(&server, &config).await;
    let version = client.stream.get_ref().1.protocol_version();
    assert_eq!(version, Some(ProtocolVersion::TLSv1_2));
}

#[tokio::test]
async fn sessions_are_resumed() {
    let (transport, certificate) = tls();
    let server = start(transport).await;
    let config = Arc::new(client_config(&certificate, &["http/1.1"]));
    let kinds = [
        served(&server, &config).await.stream.get_ref().1.handshake_kind(),
        served(&server, &config).await.stream.get_ref().1.handshake_kind(),
    ];
    assert_eq!(kinds, [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)]);
}

#[tokio::test]
async fn a_certificate_is_exchanged_while_serving() {
    let (old, key) = certificate();
    let tls = TlsReload::new(vec![old.clone()], key, TlsVersions::V13).unwrap();
    let server = start(Transport::Tls(tls.clone())).await;
    let trusts_old = Arc::new(client_config(&old, &["http/1.1"]));
    let mut open = served(&server, &trusts_old).await;

    let (new, key) = certificate();
    tls.replace(vec![new.clone()], key).unwrap();
    // A ticket of the old certificate is worth nothing, so the new one is seen, and refused.
    assert!(connect(&server, &trusts_old).await.is_err());
    served(&server, &Arc::new(client_config(&new, &["http/1.1"]))).await;
    open.write(&post("/get-thing", &[], ARGS)).await;
    assert_eq!(open.read().await.status, 200, "open connections go on");

    let (_, foreign_key) = certificate();
    assert!(tls.replace(vec![old], foreign_key).is_err());
    let mut fresh = client_config(&new, &["http/1.1"]);
    fresh.resumption = Resumption::disabled();
    served(&server, &Arc::new(fresh)).await;
}

#[tokio::test]
async fn pem_files_are_read_and_checked() {
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let read = |chain: &str, key: &str| {
        TlsReload::from_pem(chain.as_bytes(), key.as_bytes(), TlsVersions::V13)
    };
    let tls = read(&chain, &key).unwrap();
    assert!(tls.replace_from_pem(chain.as_bytes(), key.as_bytes()).is_ok());
    for (chain, key) in [(&*chain, ""), ("", &*key), ("-----BEGIN", &*key), (&*key, &*chain)] {
        let fault = read(chain, key).unwrap_err();
        assert!(!fault.public().contains("BEGIN"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_with_runtimes_of_their_own_serve_alike() {
    let (transport, certificate) = tls();
    let mut server = Server::start(Options {
        transport,
        workers: Workers::Threads(2.try_into().unwrap()),
        ..Options::default()
    })
    .await;
    let config = Arc::new(client_config(&certificate, &["http/1.1"]));
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(served(&server, &config).await);
    }
    server.begin_shutdown();
    assert_eq!(server.drained().await.unfinished, 0);
    for mut client in open {
        assert!(client.ends().await);
    }
}

/// A client that shows a certificate, and the authority of that.
fn client_with_certificate(
    server: &CertificateDer<'static>,
) -> (Arc<ClientConfig>, CertificateDer<'static>) {
    let authority_key = KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(params, authority_key);
    let key = KeyPair::generate().unwrap();
    let mut leaf = rcgen::CertificateParams::new(vec!["client".to_owned()]).unwrap();
    leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(server.clone()).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![leaf.der().clone()], key)
        .unwrap();
    (Arc::new(config), authority.der().clone())
}

/// Whether the server answers, which with TLS 1.3 is the first time a client hears of a refusal.
async fn answers(server: &Server, config: &Arc<ClientConfig>) -> bool {
    let Ok(stream) = connect(server, config).await else { return false };
    let mut client = Client::new(stream);
    let request = post("/get-thing", &[], ARGS);
    let sent = tokio::io::AsyncWriteExt::write_all(&mut client.stream, &request).await;
    sent.is_ok() && client.try_read().await.is_some_and(|response| response.status == 200)
}

#[tokio::test]
async fn clients_show_certificates_where_that_is_demanded() {
    let (certificate, key) = certificate();
    let (known, authority) = client_with_certificate(&certificate);
    let (stranger, _) = client_with_certificate(&certificate);
    let nobody = Arc::new(client_config(&certificate, &["http/1.1"]));
    let versions = TlsVersions::V12AndV13;
    for (clients, without) in [
        (ClientCertificates::Required(vec![authority.clone()]), false),
        (ClientCertificates::Optional(vec![authority]), true),
    ] {
        let chain = vec![certificate.clone()];
        let tls = TlsReload::with_clients(chain, key.clone_key(), versions, clients).unwrap();
        let server = start(Transport::Tls(tls)).await;
        assert!(answers(&server, &known).await);
        assert!(!answers(&server, &stranger).await, "of another authority");
        assert_eq!(answers(&server, &nobody).await, without);
        // What a client showed once counts once.
        let again = served(&server, &known).await;
        assert_eq!(again.stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
    }
    let none = ClientCertificates::Required(Vec::new());
    assert!(TlsReload::with_clients(vec![certificate], key, versions, none).is_err());
}
