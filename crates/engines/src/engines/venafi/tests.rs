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
const CHAIN: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

/// Objects by name, each with how often it was asked for; none: it is revoked.
type Objects = Arc<Mutex<BTreeMap<String, Option<usize>>>>;

/// The service: certificates are there when they are asked for the second time.
async fn service(objects: &Objects, refuses: bool) -> Stub {
    let objects = Arc::clone(objects);
    Stub::new(move |asked: &Asked| {
        if asked.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return (401, "{}".into());
        }
        let (body, mut objects) = (asked.json(), objects.lock().unwrap());
        let error = |why: &str| (400, json!({"Error": why}).to_string());
        let dn = body["CertificateDN"].as_str().unwrap_or_default().to_owned();
        match asked.line.as_str() {
            "POST /vedsdk/certificates/request" => {
                if refuses {
                    return error(&format!("the policy refuses it for {TOKEN}"));
                }
                assert!(body["PKCS10"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE REQ"));
                let object = body["ObjectName"].as_str().unwrap();
                let dn = format!("{}\\{object}", body["PolicyDN"].as_str().unwrap());
                objects.insert(dn.clone(), Some(0));
                (200, json!({"CertificateDN": dn}).to_string())
            }
            "POST /vedsdk/certificates/retrieve" => match objects.get_mut(&dn) {
                Some(Some(0)) => {
                    objects.insert(dn, Some(1));
                    (202, json!({"Stage": 500, "Status": "Post CSR"}).to_string())
                }
                Some(Some(_)) => {
                    (200, json!({"CertificateData": STANDARD.encode(CHAIN)}).to_string())
                }
                _ => error("it does not exist"),
            },
            "POST /vedsdk/certificates/revoke" => match objects.get_mut(&dn) {
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
    let stub = service(&objects, false).await;
    let settings = made_settings(&stub.url, &[("root-first-in-chain", true.into())]);
    assert!(Venafi.check(&settings, None).unwrap().is_empty());
    let plan = planned(&settings, &["common_name=APPS.example"]).unwrap();
    let way = way();
    let scene = Scene { settings: &settings, target: None, way: &way };
    let value = Venafi.create(&scene, &plan).await.unwrap().take_value();
    assert_eq!(
        (&value["common_name"], &value["certificate"]),
        (&json!("apps.example"), &json!(CHAIN))
    );
    assert!(value["private_key"].as_str().unwrap().contains("PRIVATE KEY"));
    let object = format!("\\VED\\Policy\\Certificates\\Apps\\{}", plan.handle);
    assert_eq!(objects.lock().unwrap()[&object], Some(1));
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
async fn what_is_refused_says_no_secret() {
    let objects = Objects::default();
    let (stub, way) = (service(&objects, true).await, way());
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
    for (setting, value) in [("venafi-baseurl", "https://evil.example"), ("venafi-zone", "B")] {
        let mut moved = Args::new();
        moved.put(setting, value.into());
        let moved = Venafi.merged(&moved, Settings::from_value(&whole.to_value()).unwrap());
        let fault = Venafi.check(&moved.unwrap(), None).unwrap_err();
        assert!(fault.public().contains("venafi-access-token"), "{fault}");
    }
}
