//! Directories that are none, and whoever is on the way to one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keysherd_base::{FaultKind, Secret};
use keysherd_egress::heard::SAID_BYTES_MAX;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::directory::{bind_user, find, lookup};
use crate::outward::Outward;

/// The request for TLS has so many bytes.
const ASKED_BYTES: usize = 31;
/// The directory agrees.
const AGREES: &[u8] = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";

/// An authority of one, and what a server with its certificate accepts with.
fn tls() -> (String, TlsAcceptor) {
    let made = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let CertifiedKey { cert, signing_key } = made;
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    (cert.pem(), TlsAcceptor::from(Arc::new(config)))
}

fn directory(scheme: &str, listener: &TcpListener, ca: String) -> Directory {
    Directory {
        url: format!("{scheme}://{}", listener.local_addr().unwrap()),
        bind_dn: None,
        bind_password: None,
        user_dn: "ou=people,dc=example".to_owned(),
        user_attribute: "uid".to_owned(),
        group_dn: None,
        group_attribute: None,
        group_filter: None,
        ca: Some(ca),
    }
}

/// Says `says` to the first question and goes on with zeros; how much was taken is counted.
async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, says: &[u8], taken: &AtomicUsize) {
    let mut asked = [0; 16];
    let _ = stream.read(&mut asked).await;
    let mut next = says.to_vec();
    while stream.write_all(&next).await.is_ok() && stream.flush().await.is_ok() {
        taken.fetch_add(next.len(), Ordering::SeqCst);
        next = vec![0; 64 * 1024];
    }
}

/// One hundred thousand elements inside of each other.
fn nested() -> Vec<u8> {
    let head = |left: u32| [&[0x30, 0x84][..], &(left * 6).to_be_bytes()].concat();
    (0..100_000).rev().flat_map(head).collect()
}

#[tokio::test]
async fn a_directory_neither_uses_up_a_stack_nor_the_memory() {
    let endless = b"\x30\x84\x7f\xff\xff\xff\x02\x01\x01".to_vec();
    for (scheme, says) in [("ldaps", nested()), ("ldap", nested()), ("ldaps", endless)] {
        let (ca, acceptor) = tls();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let directory = directory(scheme, &listener, ca);
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = taken.clone();
        let hostile = tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            if scheme == "ldap" {
                tcp.read_exact(&mut [0; ASKED_BYTES]).await.unwrap();
                tcp.write_all(AGREES).await.unwrap();
            }
            talk(acceptor.accept(tcp).await.unwrap(), &says, &counted).await;
        });
        let mut session = open(&directory, &Egress::default()).await.unwrap();
        let password = Secret::new("canary-word".to_owned());
        let fault = bind_user("uid=a", &password, &mut session.ldap).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
        hostile.await.unwrap();
        // What the bound lets through, and what is in the buffers of the machine.
        let taken = taken.load(Ordering::SeqCst);
        assert!(taken < 4 * SAID_BYTES_MAX, "{taken}");
    }
}

#[tokio::test]
async fn who_is_on_the_way_says_nothing_that_is_heard() {
    let refusal = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00".to_vec();
    let found = [AGREES, b"\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00"].concat();
    for says in [nested(), refusal, b"\x30\x84\x7f\xff\xff\xff".to_vec(), found] {
        let (ca, _) = tls();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let directory = directory("ldap", &listener, ca);
        let heard = tokio::spawn(async move {
            let (mut tcp, _): (TcpStream, _) = listener.accept().await.unwrap();
            tcp.read_exact(&mut [0; ASKED_BYTES]).await.unwrap();
            let _ = tcp.write_all(&says).await;
            let mut more = Vec::new();
            let _ = tcp.read_to_end(&mut more).await;
            more
        });
        let fault = lookup(&directory, "alice", &Outward::default()).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault}");
        let heard = heard.await.unwrap();
        // Nothing, or what TLS begins with: a record of a handshake or an alert.
        assert!(heard.is_empty() || matches!(heard[..2], [0x15 | 0x16, 3]), "{heard:?}");
        assert!(!heard.windows(5).any(|piece| piece == b"alice"), "{heard:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_an_error_and_no_panic() {
    // A result of a sign-in without anything in it; and entries without anything, and of a name
    // that is none.
    let done = b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00".as_slice();
    let bound = b"\x30\x05\x02\x01\x01\x61\x00".as_slice();
    let empty = b"\x30\x05\x02\x01\x01\x64\x00".as_slice();
    let name = b"\x30\x0a\x02\x01\x01\x64\x05\x04\x01\xff\x30\x00".as_slice();
    for (signs_in, says) in
        [(true, vec![bound]), (false, vec![empty, done]), (false, vec![name, done])]
    {
        let (ca, acceptor) = tls();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let directory = directory("ldaps", &listener, ca);
        let says = says.concat();
        let odd = tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(tcp).await.unwrap();
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(&says).await;
            let _ = stream.flush().await;
            while stream.read(&mut asked).await.is_ok_and(|count| count > 0) {}
        });
        let mut session = open(&directory, &Egress::default()).await.unwrap();
        let password = Secret::new("canary-word".to_owned());
        let fault = match signs_in {
            true => bind_user("uid=a", &password, &mut session.ldap).await.unwrap_err(),
            false => find(&directory, "alice", &mut session.ldap).await.err().unwrap(),
        };
        assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault}");
        assert!(format!("{fault:?}").contains("not as answers are"), "{fault:?}");
        drop(session);
        odd.await.unwrap();
    }
}
