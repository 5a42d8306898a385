//! What is kept is checked by its fields, shown under V2's names, and tried out without changing
//! anything there.

use std::sync::{Arc, Mutex};

use keysherd_base::FaultKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::by_name;
use crate::testing::{settings, way};

type Given = &'static [(&'static str, &'static str)];

const WINDOWS: Given = &[("hostname", "127.0.0.1"), ("username", "keeper"), ("password", "canary")];
const ZEROSSL: Given = &[
    ("api-key", "canary"),
    ("imap-fqdn", "127.0.0.1"),
    ("imap-username", "keeper"),
    ("imap-password", "canary"),
];
const GODADDY: Given = &[
    ("api-key", "canary"),
    ("secret", "canary"),
    ("imap-fqdn", "127.0.0.1"),
    ("imap-username", "keeper"),
    ("imap-password", "canary"),
];
const GLOBALSIGN: Given = &[
    ("username", "keeper"),
    ("password", "canary"),
    ("profile-id", "1"),
    ("contact-first-name", "Ann"),
    ("contact-last-name", "Bee"),
    ("contact-email", "ann@acme.example"),
    ("contact-phone", "1"),
];
const ATLAS: Given = &[("api-key", "canary"), ("api-secret", "canary")];
const F5: Given = &[("url", "https://bigip.example"), ("username", "u"), ("password", "canary")];
const VAULT: Given = &[("hashi-url", "https://vault.example"), ("vault-token", "canary")];
const SALESFORCE: Given = &[
    ("tenant-url", "https://acme.example"),
    ("auth-flow", "user-password"),
    ("client-id", "app"),
    ("client-secret", "canary"),
    ("email", "ann@acme.example"),
    ("password", "canary"),
];
const ALL: &[(&str, Given)] = &[
    ("windows", WINDOWS),
    ("zerossl", ZEROSSL),
    ("godaddy", GODADDY),
    ("globalsign", GLOBALSIGN),
    ("globalsign-atlas", ATLAS),
    ("f5-big-ip", F5),
    ("hashi-vault", VAULT),
    ("salesforce", SALESFORCE),
];

#[test]
fn each_needs_all_that_it_says() {
    for (kind, given) in ALL {
        let target = by_name(kind).unwrap();
        target.check(&settings(target, given)).unwrap();
        for missing in *given {
            let rest: Vec<_> = given.iter().copied().filter(|one| one != missing).collect();
            let fault = target.check(&settings(target, &rest)).unwrap_err();
            assert!(fault.public().contains(missing.0), "{kind}: {fault}");
        }
    }
    for (kind, given, field, value) in [
        ("windows", WINDOWS, "port", "0"),
        ("windows", WINDOWS, "hostname", "a b"),
        ("windows", WINDOWS, "use-tls", "yes"),
        ("windows", WINDOWS, "connection-type", "parent-target"),
        ("windows", WINDOWS, "username", "dummy_value"),
        ("zerossl", ZEROSSL, "imap-port", "x"),
        ("hashi-vault", VAULT, "vault-token", "a b"),
        ("hashi-vault", VAULT, "hashi-url", "vault.example"),
        ("f5-big-ip", F5, "url", "https://u:p@bigip.example"),
        ("salesforce", SALESFORCE, "auth-flow", "web"),
    ] {
        let target = by_name(kind).unwrap();
        let mut all: Vec<_> = given.iter().copied().filter(|(name, _)| *name != field).collect();
        all.push((field, value));
        let fault = target.check(&settings(target, &all)).unwrap_err();
        assert!(fault.public().contains(field), "{kind}: {fault}");
    }
    let salesforce = by_name("salesforce").unwrap();
    let given = [SALESFORCE[0], ("auth-flow", "jwt"), SALESFORCE[2], SALESFORCE[4]];
    let fault = salesforce.check(&settings(salesforce, &given)).unwrap_err();
    assert!(fault.public().contains("app-private-key-data"), "{fault}");
}

#[test]
fn details_have_the_names_and_types_of_the_description() {
    let described: serde_json::Value =
        serde_json::from_str(include_str!("../../../../data/v2-api.json")).unwrap();
    for (kind, given) in ALL {
        let target = by_name(kind).unwrap();
        let (member, shown) = target.details(&settings(target, given));
        let model = described["models"]["TargetTypeDetailsInput"][member]["type"].as_str().unwrap();
        assert!(shown.values().any(|value| value == "canary"), "{kind}");
        for (name, value) in shown {
            let wanted = if value.is_boolean() { "bool" } else { "str" };
            assert_eq!(described["models"][model][&name]["type"], wanted, "{kind}: {name}");
        }
    }
    let windows = by_name("windows").unwrap();
    let given: Vec<_> = WINDOWS.iter().copied().chain([("use-tls", "true")]).collect();
    assert_eq!(windows.details(&settings(windows, &given)).1["use_tls"], true);
}

/// A server that lets in whoever shows this line, for as long as the test runs.
async fn door(line: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let kept = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { break };
                head.push(byte);
            }
            let head = String::from_utf8(head).unwrap();
            let is = head.lines().any(|there| there.eq_ignore_ascii_case(line));
            kept.lock().unwrap().extend(head.lines().next().map(str::to_owned));
            let (status, body) = if is { (200, "{}") } else { (403, "canary is wrong") };
            let length = body.len();
            let reply = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n\r\n{body}");
            let _ = stream.write_all(reply.as_bytes()).await;
        }
    });
    (url, asked)
}

#[tokio::test]
async fn servers_are_asked_whether_they_let_in_and_tell_nothing() {
    for (kind, given, line, path) in [
        (
            "f5-big-ip",
            [("username", "u"), ("password", "canary")],
            "authorization: Basic dTpjYW5hcnk=",
            "GET /mgmt/tm/sys/version HTTP/1.1",
        ),
        (
            "hashi-vault",
            [("vault-token", "canary"), ("namespace", "a")],
            "x-vault-token: canary",
            "GET /v1/auth/token/lookup-self HTTP/1.1",
        ),
    ] {
        let target = by_name(kind).unwrap();
        let field = if kind == "hashi-vault" { "hashi-url" } else { "url" };
        let (url, asked) = door(line).await;
        let all: Vec<_> = given.into_iter().chain([(field, url.as_str())]).collect();
        target.probe(&settings(target, &all), &way()).await.unwrap();
        assert_eq!(*asked.lock().unwrap(), [path]);
        let (url, _) = door("nobody").await;
        let all: Vec<_> = given.into_iter().chain([(field, url.as_str())]).collect();
        let fault = target.probe(&settings(target, &all), &way()).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Forbidden, "{fault}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
}

#[tokio::test]
async fn others_are_reached_and_nobody_signs_in() {
    let target = by_name("zerossl").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let mailbox_at = |port: &str| {
        let given = ZEROSSL.iter().copied().filter(|(name, _)| !name.starts_with("imap-fqdn"));
        let given: Vec<_> =
            given.chain([("imap-fqdn", "127.0.0.1"), ("imap-port", port)]).collect();
        settings(target, &given)
    };
    target.probe(&mailbox_at(&port), &way()).await.unwrap();
    // Nobody listens there, while somebody else may be given a port that is left.
    let fault = target.probe(&mailbox_at("1"), &way()).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault}");
    assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
}
