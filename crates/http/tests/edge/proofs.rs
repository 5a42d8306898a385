//! Proofs for authorities that issue certificates: shown to who asks for them and for nothing else,
//! and only while there are any.

use std::sync::Arc;

use keysherd_base::SecretString;
use keysherd_http::{TlsReload, TlsVersions, Transport};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::support::{Client, Options, Server, post};
use crate::tls::{certificate, client_config, connect};

/// A proof for `name`, and its certificate.
fn proof(name: &str) -> ((String, String, SecretString), CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = SecretString::new(signing_key.serialize_pem());
    let seen = CertificateDer::from_pem_slice(cert.pem().as_bytes()).unwrap();
    ((name.to_owned(), cert.pem(), key), seen)
}

#[tokio::test]
async fn a_proof_is_shown_to_who_asks_for_it_and_to_nobody_else() {
    let (own, key) = certificate();
    let tls = TlsReload::new(vec![own.clone()], key, TlsVersions::V13).unwrap();
    let transport = Transport::Tls(tls.clone());
    let server = Server::start(Options { transport, ..Options::default() }).await;
    let (shown, seen) = proof("localhost");
    let asks = Arc::new(client_config(&seen, &["acme-tls/1"]));
    assert!(connect(&server, &asks).await.is_err(), "there is none yet");

    tls.show_proofs(&[shown]).unwrap();
    let stream = connect(&server, &asks).await.unwrap();
    let (_, session) = stream.get_ref();
    assert_eq!(session.alpn_protocol(), Some(&b"acme-tls/1"[..]));
    assert_eq!(session.peer_certificates().unwrap(), std::slice::from_ref(&seen));
    // The handshake is all that there is: nothing is served there.
    let mut client = Client::new(stream);
    client.write(&post("/get-thing", &[], r#"{"name":"/a"}"#)).await;
    assert!(client.ends().await);
    // Clients see what they always see, also one that names that protocol among others.
    for protocols in [&["http/1.1"][..], &["acme-tls/1", "http/1.1"], &[]] {
        let config = Arc::new(client_config(&own, protocols));
        let mut client = Client::new(connect(&server, &config).await.unwrap());
        client.write(&post("/get-thing", &[], r#"{"name":"/a"}"#)).await;
        assert_eq!(client.read().await.status, 200, "{protocols:?}");
    }
    // Another name has another proof, or none.
    let (other, _) = proof("other.example");
    tls.show_proofs(&[other]).unwrap();
    assert!(connect(&server, &asks).await.is_err());

    tls.show_proofs(&[]).unwrap();
    assert!(connect(&server, &asks).await.is_err(), "there is none any more");
}

#[tokio::test]
async fn what_is_no_proof_changes_nothing() {
    let (own, key) = certificate();
    let tls = TlsReload::new(vec![own], key, TlsVersions::V13).unwrap();
    let transport = Transport::Tls(tls.clone());
    let server = Server::start(Options { transport, ..Options::default() }).await;
    let ((name, chain, key), seen) = proof("localhost");
    let no_key = (name.clone(), chain.clone(), SecretString::new("no key".to_owned()));
    let no_chain = (name.clone(), "no chain".to_owned(), SecretString::new(key.expose().clone()));
    tls.show_proofs(&[(name, chain, key)]).unwrap();
    for wrong in [no_key, no_chain] {
        assert!(tls.show_proofs(&[wrong]).is_err());
    }
    let asks = Arc::new(client_config(&seen, &["acme-tls/1"]));
    assert!(connect(&server, &asks).await.is_ok(), "what was shown before");
}
