//! Certificates of a stand-in for Venafi's Trust Protection Platform.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use keysherd_base::FaultKind;
use keysherd_wire::Args;

use super::*;
use crate::NOT_REACHED;
use crate::testing::stub::{Asked, Stub};
use crate::testing::{Caller, way};

const TOKEN: &str = "canary-token";

/// Objects by name, each with how often it was asked for and its certificate; none: it is revoked.
type Objects = Arc<Mutex<BTreeMap<String, Option<(usize, String)>>>>;

/// One value of DER, such as 0x30 for a sequence.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82], &length[..], &content].concat()
}

/// The values in one, with their tags.
fn parts(bytes: &[u8]) -> Vec<&[u8]> {
    let inner = |bytes: &[u8]| match bytes[1] {
        length @ 0..=0x7f => (2, usize::from(length)),
        0x81 => (3, usize::from(bytes[2])),
        _ => (4, usize::from(u16::from_be_bytes([bytes[2], bytes[3]]))),
    };
    let (begin, length) = inner(bytes);
    let (mut rest, mut found) = (&bytes[begin..begin + length], Vec::new());
    while !rest.is_empty() {
        let (begin, length) = inner(rest);
        let (one, after) = rest.split_at(begin + length);
        found.push(one);
        rest = after;
    }
    found
}

/// A certificate of the key in a request, which nobody has signed.
fn certificate(request: &str) -> String {
    let lines: String = request.lines().filter(|line| !line.starts_with('-')).collect();
    let request = STANDARD.decode(lines).unwrap();
    let key = parts(parts(&request)[0])[2];
    let (number, name) = (der(2, &[&[1]]), der(0x30, &[]));
    let algorithm = der(0x30, &[&der(6, &[&[0x2a, 3]])]);
    let time = der(0x17, &[b"260105101112Z"]);
    let validity = der(0x30, &[&time, &time]);
    let version = der(0xa0, &[&der(2, &[&[2]])]);
    let signed = der(0x30, &[&version, &number, &algorithm, &name, &validity, &name, key]);
    let whole = der(0x30, &[&signed, &algorithm, &der(3, &[&[0, 1]])]);
    pem(&whole).replace("CERTIFICATE REQUEST", "CERTIFICATE")
}

/// What the service does.
#[derive(Clone, Copy, PartialEq)]
enum Does {
    Well,
    Refuses,
    AnotherKey,
    /// Answers so when it is to revoke, and does not.
    Leaves(&'static str),
}

/// The service: certificates are there when they are asked for the second time.
async fn service(objects: &Objects, does: Does) -> Stub {
    let objects = Arc::clone(objects);
    let leaves = match does {
        Does::Leaves(said) => Some(said),
        _ => None,
    };
    Stub::new(move |asked: &Asked| {
        if asked.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return (401, "{}".into());
        }
        let (body, mut objects) = (asked.json(), objects.lock().unwrap());
        let error = |why: &str| (400, json!({"Error": why}).to_string());
        let dn = body["CertificateDN"].as_str().unwrap_or_default().to_owned();
        match asked.line.as_str() {
            "POST /vedsdk/certificates/request" => {
                if does == Does::Refuses {
                    return error(&format!("the policy refuses it for {TOKEN}"));
                }
                assert!(body["PKCS10"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE REQ"));
                let object = body["ObjectName"].as_str().unwrap();
                let dn = format!("{}\\{object}", body["PolicyDN"].as_str().unwrap());
                let other = pem(&pki::request(&["apps.example".to_owned()]).unwrap().der);
                let certificate = certificate(match does {
                    Does::AnotherKey => &other,
                    _ => body["PKCS10"].as_str().unwrap(),
                });
                objects.insert(dn.clone(), Some((0, certificate)));
                (200, json!({"CertificateDN": dn}).to_string())
            }
            "POST /vedsdk/certificates/retrieve" => match objects.get_mut(&dn) {
                Some(Some((times, _))) if *times == 0 => {
                    *times = 1;
                    (202, json!({"Stage": 500, "Status": "Post CSR"}).to_string())
                }
                Some(Some((_, certificate))) => {
                    (200, json!({"CertificateData": STANDARD.encode(certificate)}).to_string())
                }
                _ => error("it does not exist"),
            },
            "POST /vedsdk/certificates/revoke" => match objects.get_mut(&dn) {
                Some(Some(_)) if leaves.is_some() => (200, leaves.unwrap_or_default().to_owned()),
                None => error(&format!("Certificate {dn} does not exist")),
                Some(None) => error("It is already revoked"),
                Some(object) => {
                    *object = None;
                    (200, json!({"Requested": true, "Success": true}).to_string())
                }
            },
            other => panic!("{other}"),
        }
    })
    .await
}

fn made_settings(url: &str, more: &[(&'static str, Value)]) -> Settings {
    let plain = [
        ("venafi-baseurl", url.into()),
        ("venafi-access-token", TOKEN.into()),
        ("venafi-zone", "Certificates\\Apps".into()),
        ("venafi-use-tpp", true.into()),
        ("allowed-domains", json!(["apps.example", "Other.example"])),
    ];
    let mut args = Args::new();
    for (name, value) in plain.into_iter().chain(more.iter().cloned()) {
        args.put(name, value);
    }
    Venafi.merged(&args, Settings::default()).unwrap()
}

fn planned(settings: &Settings, args: &[&str]) -> Result<Plan, Fault> {
    let way = way();
    let scene = Scene { settings, target: None, way: &way };
    let args: Vec<_> = args.iter().map(|text| (*text).to_owned()).collect();
    Venafi.plan(&scene, &Wish { args: &args, ..Caller::with(&[]).wish() })
}

#[tokio::test]
async fn a_certificate_is_made_waited_for_and_revoked_as_often_as_asked() {
    let objects = Objects::default();
    let stub = service(&objects, Does::Well).await;
    let settings = made_settings(&stub.url, &[("root-first-in-chain", true.into())]);
    assert!(Venafi.check(&settings, None).unwrap().is_empty());
    let plan = planned(&settings, &["common_name=APPS.example"]).unwrap();
    let way = way();
    let scene = Scene { settings: &settings, target: None, way: &way };
    let value = Venafi.create(&scene, &plan).await.unwrap().take_value();
    assert_eq!(value["common_name"], "apps.example");
    assert!(value["private_key"].as_str().unwrap().contains("PRIVATE KEY"));
    let object = format!("\\VED\\Policy\\Certificates\\Apps\\{}", plan.handle);
    let made = objects.lock().unwrap()[&object].clone().unwrap();
    assert_eq!((made.0, value["certificate"].as_str()), (1, Some(made.1.as_str())));
    let asked = stub.asked();
    let request = asked[0].json();
    // 2026-01-05T10:11:12Z and an hour.
    assert!(request.to_string().contains("2026-01-05T11:11:12"), "{request}");
    assert!(asked.iter().all(|asked| !asked.body.contains("PRIVATE KEY")));
    assert!(asked[1].json()["RootFirstOrder"].as_bool().unwrap());
    for _ in 0..2 {
        assert!(Venafi.revoke(&scene, &plan.handle).await.unwrap().is_empty());
        assert_eq!(objects.lock().unwrap()[&object], None);
    }
    // One that was never made.
    Venafi.revoke(&scene, "tmp.abcdefghijklmnop").await.unwrap();
    let refused = Venafi.revoke(&scene, "..\\Other").await.unwrap_err();
    assert_eq!(refused.kind(), FaultKind::Internal);
}

#[tokio::test]
async fn a_certificate_has_not_ended_before_the_service_says_so() {
    for said in [
        "",
        "<html>sign in</html>",
        "[]",
        "{}",
        "{\"Error\": \"no right\"}",
        "{\"Requested\": true}",
        "{\"Success\": \"true\"}",
        "{\"Success\": false}",
    ] {
        let objects = Objects::default();
        let (stub, way) = (service(&objects, Does::Leaves(said)).await, way());
        let settings = made_settings(&stub.url, &[]);
        let scene = Scene { settings: &settings, target: None, way: &way };
        let plan = planned(&settings, &["common_name=apps.example"]).unwrap();
        Venafi.create(&scene, &plan).await.unwrap();
        let fault = Venafi.revoke(&scene, &plan.handle).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Conflict, "{said}: {fault}");
        assert!(objects.lock().unwrap().values().all(Option::is_some), "{said}");
    }
}

#[tokio::test]
async fn who_brings_a_request_has_the_key() {
    let objects = Objects::default();
    let (stub, way) = (service(&objects, Does::Well).await, way());
    let settings = made_settings(&stub.url, &[]);
    let scene = Scene { settings: &settings, target: None, way: &way };
    let names = |of: &[&str]| of.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let of = |of: &[&str]| pem(&pki::request(&names(of)).unwrap().der);
    let request = of(&["apps.example", "other.example"]);
    for csr in [request.clone(), STANDARD.encode(&request)] {
        let plan = planned(&settings, &[&format!("csr={csr}")]).unwrap();
        let value = Venafi.create(&scene, &plan).await.unwrap().take_value();
        assert_eq!(value["common_name"], "apps.example");
        assert_eq!(value["certificate"], certificate(&request));
        assert!(!value.contains_key("private_key"), "{value:?}");
        let sent = stub.asked().into_iter().rev().find(|asked| asked.line.ends_with("/request"));
        let sent = sent.unwrap().json()["PKCS10"].as_str().unwrap().replace('\n', "");
        assert_eq!(sent, request.replace('\n', ""));
        Venafi.revoke(&scene, &plan.handle).await.unwrap();
    }
    let csr = format!("csr={request}");
    planned(&settings, &[&csr, "common_name=Other.example"]).unwrap();
    for (args, why) in [
        (vec![csr.clone(), "common_name=evil.example".to_owned()], "allowed-domains"),
        (vec![format!("csr={}", of(&["apps.example"])), "common_name=other.example".into()], "csr"),
        (vec![format!("csr={}", of(&["apps.example", "evil.example"]))], "allowed-domains"),
        (vec!["csr=canary".to_owned()], "PEM"),
    ] {
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let fault = planned(&settings, &args).err().unwrap();
        assert_eq!(fault.kind(), FaultKind::BadRequest);
        assert!(fault.public().contains(why) && !fault.public().contains("canary"), "{fault}");
    }
}

#[tokio::test]
async fn what_is_refused_says_no_secret() {
    let objects = Objects::default();
    let (stub, way) = (service(&objects, Does::Refuses).await, way());
    let wrong = [("venafi-access-token", "canary-other".into())];
    for (more, said) in [(vec![], "asking for the certificate"), (wrong.to_vec(), "401")] {
        let settings = made_settings(&stub.url, &more);
        let scene = Scene { settings: &settings, target: None, way: &way };
        let plan = planned(&settings, &["common_name=apps.example"]).unwrap();
        let fault = Venafi.create(&scene, &plan).await.err().unwrap();
        assert!(fault.public().contains(said), "{fault}");
        assert_ne!(fault.code(), NOT_REACHED);
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
    assert!(objects.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_certificate_of_another_key_is_revoked_and_not_given() {
    let objects = Objects::default();
    let (stub, way) = (service(&objects, Does::AnotherKey).await, way());
    let settings = made_settings(&stub.url, &[]);
    let scene = Scene { settings: &settings, target: None, way: &way };
    let plan = planned(&settings, &["common_name=apps.example"]).unwrap();
    let fault = Venafi.create(&scene, &plan).await.err().unwrap();
    assert!(fault.public().contains("another key"), "{fault}");
    let ended: Vec<_> = objects.lock().unwrap().values().cloned().collect();
    assert_eq!(ended, [None]);
}

#[test]
fn a_certificate_of_another_key_is_none() {
    let made = |name: &str| pki::request(&[name.to_owned()]).unwrap().der;
    let (ours, theirs) = (made("apps.example"), made("apps.example"));
    let (our, their) = (certificate(&pem(&ours)), certificate(&pem(&theirs)));
    assert!(is_of(&our, &ours) && is_of(&format!("{their}{our}"), &ours));
    assert!(!is_of(&their, &ours) && !is_of("", &ours));
    assert!(!is_of(&our.replace("CERTIFICATE", "PRIVATE KEY"), &ours));
}

#[test]
fn certificates_are_for_allowed_domains_only() {
    let plain = made_settings("https://tpp.example", &[]);
    let below = made_settings("https://tpp.example", &[("allow-subdomains", true.into())]);
    for (settings, name, allowed) in [
        (&plain, "apps.example", true),
        (&plain, "other.example", true),
        (&plain, "a.apps.example", false),
        (&below, "a.apps.example", true),
        (&below, "a.b.apps.example", true),
        (&below, "evilapps.example", false),
        (&below, "apps.example.evil", false),
        (&below, "*.apps.example", false),
        (&below, ".apps.example", false),
        (&below, "a\\b.apps.example", false),
        (&below, "-a.apps.example", false),
        (&below, "a-.apps.example", false),
        (&below, "", false),
    ] {
        let planned = planned(settings, &[&format!("common_name={name}")]);
        assert_eq!(planned.is_ok(), allowed, "{name}");
    }
    for args in [&[][..], &["csr=x"], &["{\"common_name\": 1}"]] {
        let fault = planned(&plain, args).err().unwrap();
        assert_eq!(fault.kind(), FaultKind::BadRequest, "{args:?}");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let long: Vec<_> = (0..101).map(|number| format!("a{number}.example")).collect();
    for (field, value) in [
        ("venafi-use-tpp", false.into()),
        ("sign-using-akeyless-pki", true.into()),
        ("store-private-key", true.into()),
        ("enable-admin-rotation", true.into()),
        ("venafi-baseurl", "tpp".into()),
        ("venafi-zone", "a\\\\b".into()),
        ("venafi-zone", "a\nb".into()),
        ("allowed-domains", json!(["*.example"])),
        ("allowed-domains", json!(long)),
        ("user-ttl", "soon".into()),
    ] {
        let settings = made_settings("https://tpp.example", &[(field, value)]);
        let fault = Venafi.check(&settings, None).unwrap_err();
        assert_eq!(fault.kind(), FaultKind::BadRequest);
        assert!(fault.public().contains(field), "{field}: {fault}");
    }
    let whole = made_settings("https://t.example", &[("venafi-zone", "\\VED\\Policy\\A".into())]);
    assert_eq!(Plot::of(&whole).unwrap().zone, "\\VED\\Policy\\A");
    // Whoever may say where it works must not learn the token.
    let mut moved = Args::new();
    moved.put("venafi-baseurl", "https://evil.example".into());
    let moved = Venafi.merged(&moved, whole).unwrap();
    assert!(Venafi.check(&moved, None).unwrap_err().public().contains("venafi-access-token"));
}
