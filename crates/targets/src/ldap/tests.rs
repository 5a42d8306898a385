//! Directories that are none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::by_name;
use crate::testing::{settings, way};

/// A directory that begins with `says` and goes on with zeros for ever; how much of it was taken.
async fn endless(says: &'static [u8]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ldap://{}", listener.local_addr().unwrap());
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = taken.clone();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = [0; 16];
        let _ = stream.read(&mut asked).await;
        let mut next = says.to_vec();
        while stream.write_all(&next).await.is_ok() {
            counted.fetch_add(next.len(), Ordering::SeqCst);
            next = vec![0; 64 * 1024];
        }
    });
    (url, taken)
}

#[tokio::test]
async fn a_directory_that_never_stops_is_not_listened_to_for_ever() {
    let ldap = by_name("ldap").unwrap();
    // One message of almost 2 GiB, and one that is no message.
    for says in [b"\x30\x84\x7f\xff\xff\xff\x02\x01\x01".as_slice(), b"HTTP/1.1 400 Bad"] {
        let (url, taken) = endless(says).await;
        let given =
            [("ldap-url", url.as_str()), ("bind-dn", "cn=x"), ("bind-dn-password", "canary-word")];
        let fault = ldap.probe(&settings(ldap, &given), &way()).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
        // What the bound lets through, and what is in the buffers of the machine.
        let taken = taken.load(Ordering::SeqCst);
        assert!(taken < 4 * keysherd_egress::heard::SAID_BYTES_MAX, "{taken}");
    }
}

#[tokio::test]
async fn a_directory_that_nests_without_end_does_not_use_up_a_stack() {
    let ldap = by_name("ldap").unwrap();
    let head = |left: u32| [&[0x30, 0x84][..], &(left * 6).to_be_bytes()].concat();
    let says: Vec<u8> = (0..100_000).rev().flat_map(head).collect();
    let (url, _) = endless(says.leak()).await;
    let given =
        [("ldap-url", url.as_str()), ("bind-dn", "cn=x"), ("bind-dn-password", "canary-word")];
    let fault = ldap.probe(&settings(ldap, &given), &way()).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault}");
}

#[tokio::test]
async fn nothing_is_said_to_whoever_does_not_go_on_with_tls() {
    for says in [
        b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00".as_slice(),
        b"\x30\x84\x7f\xff\xff\xff",
        b"HTTP/1.1 400",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ldap://{}", listener.local_addr().unwrap());
        let heard = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 31];
            stream.read_exact(&mut asked).await.unwrap();
            stream.write_all(says).await.unwrap();
            let mut more = Vec::new();
            let _ = stream.read_to_end(&mut more).await;
            more
        });
        let ldap = by_name("ldap").unwrap();
        let given = [
            ("ldap-url", url.as_str()),
            ("ldap-ca-cert", "-----BEGIN CERTIFICATE-----"),
            ("bind-dn", "cn=x"),
            ("bind-dn-password", "canary-word"),
        ];
        let made = settings(ldap, &given);
        // With authorities it is encrypted, also on this machine; here there are none to be found.
        assert!(ldap.check(&made).is_err());
        let directory = Directory { starttls: true, ..plain(&given[0], &given[2], &given[3]) };
        let fault = directory.connect(&way()).await.err().unwrap();
        assert_eq!(fault.kind(), FaultKind::Forbidden, "{fault}");
        assert_eq!(heard.await.unwrap(), Vec::<u8>::new());
    }
}

fn plain(url: &(&str, &str), dn: &(&str, &str), password: &(&str, &str)) -> Directory {
    Directory::new(DirectoryGiven {
        url: Named::none("ldap-url").with(Some(url.1)),
        bind_dn: Named::none("bind-dn").with(Some(dn.1)),
        password: Named::none("bind-dn-password").with(Some(password.1)),
        authority: Named::none("ldap-ca-cert"),
    })
    .unwrap()
}

/// What a message has: its number, and what it says.
fn message(number: u8, kind: u8, content: &[u8]) -> Vec<u8> {
    element(0x30, &[&[0x02, 0x01, number], element(kind, content).as_slice()].concat())
}

fn element(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 0x81, u8::try_from(content.len()).unwrap()], content].concat()
}

/// That something ended with this code.
fn ended(code: u8) -> Vec<u8> {
    vec![0x0a, 0x01, code, 0x04, 0x00, 0x04, 0x00]
}

/// A directory that lets everybody in, and answers so to the question after it.
async fn talking(says: Vec<u8>) -> Directory {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ldap://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = [0; 4096];
        for says in [message(1, 0x61, &ended(0)), says] {
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(&says).await;
        }
        while stream.read(&mut asked).await.is_ok_and(|count| count > 0) {}
    });
    plain(&("", &url), &("", "cn=x"), &("", "canary-word"))
}

/// An entry of that name, with one attribute.
fn entry(name: &str) -> Vec<u8> {
    let values = element(0x31, &element(0x04, b"alice"));
    let attribute = element(0x30, &[element(0x04, b"uid"), values].concat());
    let attributes = element(0x30, &attribute);
    message(2, 0x64, &[element(0x04, name.as_bytes()), attributes].concat())
}

#[tokio::test]
async fn a_limit_of_the_directory_does_not_make_one_of_two() {
    let (one, two) = (entry("cn=a"), [entry("cn=a"), entry("cn=b")].concat());
    for (entries, code, found) in [
        (Vec::new(), 0, Some(0)),
        (one.clone(), 0, Some(1)),
        (two.clone(), 4, Some(2)),
        (one, 4, None),
        (Vec::new(), 4, None),
        (two, 11, None),
    ] {
        let directory = talking([entries, message(2, 0x65, &ended(code))].concat()).await;
        let mut session = directory.connect(&way()).await.unwrap();
        let outcome = session.find("dc=example", "uid", "alice").await;
        assert_eq!(outcome.as_ref().ok().map(Vec::len), found, "{outcome:?}");
        if let Err(fault) = outcome {
            assert!(fault.public().contains(&format!("with {code}")), "{fault}");
        }
    }
}

/// What a search is answered with, and is no entry.
fn odd_entries() -> Vec<Vec<u8>> {
    let (name, attributes) = (element(0x04, b"cn=a"), element(0x30, b""));
    let with = |attribute: &[u8]| [name.clone(), element(0x30, attribute)].concat();
    let value = |kind, values: &[u8]| {
        with(&element(0x30, &[element(0x04, b"uid"), element(kind, values)].concat()))
    };
    let mut odd = vec![
        // Nothing at all, no name, names that are none, and no attributes.
        Vec::new(),
        attributes.clone(),
        [element(0x30, b""), attributes.clone()].concat(),
        [element(0x04, b"cn=canary\xff"), attributes].concat(),
        name.clone(),
        [name.clone(), element(0x04, b"")].concat(),
        // Attributes without a name or values, or with others than those.
        with(&element(0x04, b"uid")),
        with(&element(0x30, b"")),
        with(&element(0x30, &element(0x04, b"uid"))),
        with(&element(0x30, &[element(0x04, b"\xff"), element(0x31, b"")].concat())),
        value(0x04, b"alice"),
        value(0x31, &element(0x30, b"")),
    ];
    odd = odd.into_iter().map(|content| message(2, 0x64, &content)).collect();
    odd.push(message(2, 0x44, b"cn=a"));
    odd
}

#[tokio::test]
async fn an_entry_that_is_none_is_an_error_and_no_panic() {
    for says in odd_entries() {
        let shown = format!("{says:02x?}");
        let directory = talking([says, message(2, 0x65, &ended(0))].concat()).await;
        let mut session = directory.connect(&way()).await.unwrap();
        let fault = session.find("dc=example", "uid", "alice").await.expect_err(&shown);
        assert_eq!(fault.kind(), FaultKind::Unavailable, "{shown}: {fault}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
}

#[tokio::test]
async fn a_result_that_is_none_is_an_error_and_no_panic() {
    for content in [
        Vec::new(),
        vec![0x0a, 0x01, 0x00],
        vec![0x0a, 0x01, 0x00, 0x04, 0x00],
        vec![0x04, 0x01, 0x00, 0x04, 0x00, 0x04, 0x00],
        vec![0x0a, 0x01, 0x00, 0x04, 0x01, 0xff, 0x04, 0x00],
        vec![0x0a, 0x01, 0x00, 0x04, 0x00, 0x30, 0x00],
    ] {
        let mut session = talking(message(2, 0x69, &content)).await.connect(&way()).await.unwrap();
        let refusal = session.delete("cn=a").await.expect_err(&format!("{content:02x?}"));
        assert_eq!(refusal.fault.kind(), FaultKind::Unavailable, "{}", refusal.fault);
        let directory = talking(message(2, 0x65, &content)).await;
        let mut session = directory.connect(&way()).await.unwrap();
        let fault = session.find("dc=example", "uid", "alice").await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault}");
    }
}
