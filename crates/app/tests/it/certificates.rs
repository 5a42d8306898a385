//! Signing in with certificates of an authority that OpenSSL made, and the attacks on that.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::kit::answering::Answering;
use crate::kit::openssl::{Authority, CLIENT, Issued, Order};
use crate::kit::{Server, Site, records, wait_until};

/// A server with a certificate method.
struct Door {
    server: Server,
    ca: Authority,
    access_id: String,
}

impl Door {
    fn new(site: &Site, bounds: Value) -> Self {
        let server = site.start();
        let ca = Authority::new("/CN=Test authority");
        let access_id = method(&server, "/certs", &ca, bounds);
        Self { server, ca, access_id }
    }

    /// With the key at the gateway.
    fn login(&self, with: &Issued) -> Value {
        json!({"access-type": "cert", "access-id": self.access_id, "cert-data": with.text(),
               "key-data": with.key_text()})
    }

    fn challenge(&self, access_id: &str, with: &Issued) -> String {
        let wish = json!({"access-id": access_id, "cert-data": with.text()});
        let answer = self.server.nobody().ok("get-cert-challenge", wish);
        assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
        answer["challenge"].as_str().unwrap().to_owned()
    }

    /// With a challenge that `signer` signs.
    fn answer(&self, with: &Issued, challenge: &str, signer: &Issued) -> Value {
        json!({"access-type": "cert", "access-id": self.access_id, "cert-data": with.text(),
               "cert-challenge": challenge, "signed-cert-challenge": signer.sign(challenge)})
    }

    #[track_caller]
    fn enters(&self, login: Value) -> Value {
        let answer = self.server.nobody().ok("auth", login);
        let api = self.server.nobody().with_token(answer["token"].as_str().unwrap());
        api.ok("describe-sub-claims", json!({}))["sub_claims"].take()
    }

    #[track_caller]
    fn refused(&self, what: &str, login: Value) {
        let text = self.server.nobody().refused(401, "auth", login);
        assert!(text.contains("authentication failed"), "{what}: {text}");
    }
}

fn method(server: &Server, name: &str, ca: &Authority, mut args: Value) -> String {
    args["name"] = name.into();
    args["certificate-data"] = ca.text().into();
    if args["unique-identifier"].is_null() {
        args["unique-identifier"] = "common_name".into();
    }
    let made = server.admin().ok("auth-method-create-cert", args);
    made["access_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_certificate_signs_in_with_its_key_or_by_a_challenge() {
    let site = Site::new();
    let door = Door::new(&site, json!({"bound-common-names": ["ops-*"]}));
    let extensions = format!("{CLIENT}subjectAltName=DNS:A.example.com,email:a@example.com\n");
    let order = Order { extensions: &extensions, ..Order::client("/OU=blue/OU=team/CN=ops-7") };
    let client = door.ca.issue("client", &order);
    let claims = door.enters(door.login(&client));
    assert_eq!(claims["client_unique_id"], json!(["ops-7"]));
    assert_eq!(claims["common_name"], json!(["ops-7"]));
    assert_eq!(claims["organizational_unit"], json!(["blue", "team"]));
    assert_eq!(claims["dns_san"], json!(["a.example.com"]));
    assert_eq!(claims["email_san"], json!(["a@example.com"]));

    let rsa = Order { key: &["-newkey", "rsa:2048"], ..Order::client("/CN=ops-8") };
    let rsa = door.ca.issue("rsa", &rsa);
    let p384 = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"];
    let p384 = door.ca.issue("p384", &Order { key: p384, ..Order::client("/CN=ops-9") });
    for client in [&client, &rsa, &p384] {
        let challenge = door.challenge(&door.access_id, client);
        door.enters(door.answer(client, &challenge, client));
        door.enters(door.login(client));
    }
    shown_and_changed(&door);
    // The key was at the gateway only, and the token is good for what its claims allow.
    let mut wrong = door.login(&client);
    wrong["key-data"] = "bm8gcGVt".into();
    door.server.nobody().refused(400, "auth", wrong);
    let mut neither = door.login(&client);
    neither.as_object_mut().unwrap().remove("key-data");
    door.server.nobody().refused(400, "auth", neither);
}

fn shown_and_changed(door: &Door) {
    let admin = door.server.admin();
    let info = || admin.ok("auth-method-get", json!({"name": "/certs"}))["access_info"].take();
    let before = info();
    assert_eq!(before["rules_type"], "cert");
    assert_eq!(before["cert_access_rules"]["certificate"], door.ca.text());
    assert_eq!(before["cert_access_rules"]["bound_common_names"], json!(["ops-*"]));
    // Without a certificate, an update keeps the one there is.
    let update = json!({"name": "/certs", "unique-identifier": "common_name",
                        "bound-common-names": ["ops-?"]});
    admin.ok("auth-method-update-cert", update);
    let after = info();
    assert_eq!(after["cert_access_rules"]["certificate"], door.ca.text());
    assert_eq!(after["cert_access_rules"]["bound_common_names"], json!(["ops-?"]));
    let client = door.ca.issue("later", &Order::client("/CN=ops-1"));
    door.enters(door.login(&client));
    for bad in [
        json!({"unique-identifier": "shoe_size"}),
        json!({"unique-identifier": "common_name", "certificate-data": client.text()}),
        json!({"unique-identifier": "common_name", "certificate-data": "AAAA"}),
        json!({"unique-identifier": "common_name", "revoked-cert-ids": ["not hex"]}),
        json!({"unique-identifier": "common_name", "bound-extensions": ["no oid"]}),
    ] {
        let mut update = bad;
        update["name"] = "/certs".into();
        admin.refused(400, "auth-method-update-cert", update);
    }
    assert_eq!(info(), after);
}

#[test]
fn t_certificate_attacks() {
    let site = Site::new();
    let door = Door::new(&site, json!({}));
    let other_ca = Authority::new("/CN=Test authority");
    let good = door.ca.issue("good", &Order::client("/CN=alice"));
    door.enters(door.login(&good));

    let days_0 = Order { more: &["-days", "0"], ..Order::client("/CN=alice") };
    let expired = door.ca.issue("expired", &days_0);
    // It was good in the second in which it was made, and its login is refused ever after.
    wait_until("the certificate to end", || {
        door.server.nobody().call("auth", door.login(&expired)).status == 401
    });
    let server = "extendedKeyUsage=serverAuth\nkeyUsage=digitalSignature\n";
    let any = "keyUsage=digitalSignature\n";
    let authority = "basicConstraints=CA:TRUE\nextendedKeyUsage=clientAuth\n";
    let order = |extensions| Order { extensions, ..Order::client("/CN=alice") };
    let weak_key = Order { key: &["-newkey", "rsa:1024"], ..Order::client("/CN=alice") };
    let weak_hash = Order { more: &["-days", "30", "-sha1"], ..Order::client("/CN=alice") };
    for (what, client) in [
        ("for servers", door.ca.issue("server", &order(server))),
        ("no extended key usage", door.ca.issue("any", &order(any))),
        ("an authority itself", door.ca.issue("authority", &order(authority))),
        ("another authority of the same name", other_ca.issue("c", &Order::client("/CN=alice"))),
        ("signed by itself", door.ca.self_signed("self", "/CN=alice")),
        ("an RSA key of 1024 bits", door.ca.issue("rsa1024", &weak_key)),
        ("a signature over SHA-1", door.ca.issue("sha1", &weak_hash)),
        ("no unique identifier", door.ca.issue("unnamed", &Order::client("/O=alice"))),
    ] {
        let reply = door.server.nobody().call("auth", door.login(&client));
        // A gateway refuses to sign with a key that is too short, before anything is asked.
        assert!([400, 401].contains(&reply.status), "{what}: {}", reply.text());
        let challenge = door.challenge(&door.access_id, &client);
        door.refused(what, door.answer(&client, &challenge, &client));
    }
    challenges(&door, &good);
    door.enters(door.login(&good));
    let refused =
        |record: &Value| record["access_id"] == door.access_id.as_str() && record["status"] == 401;
    assert!(records(&site).iter().any(refused), "{:#?}", records(&site));
}

/// Challenges that were made for something else, or used.
fn challenges(door: &Door, good: &Issued) {
    let renewed = door.ca.issue("renewed", &Order::client("/CN=alice"));
    let other_method = method(&door.server, "/other", &door.ca, json!({}));
    let own = door.challenge(&door.access_id, good);
    let elsewhere = door.challenge(&other_method, good);
    for (what, login) in [
        ("another key than the certificate's", door.answer(good, &own, &renewed)),
        ("renewed with another key", door.answer(&renewed, &own, &renewed)),
        ("the challenge of another method", door.answer(good, &elsewhere, good)),
        ("a challenge nobody made", door.answer(good, "AAAA", good)),
    ] {
        door.refused(what, login);
    }
    let mut key_of_another = door.login(good);
    key_of_another["key-data"] = renewed.key_text().into();
    door.refused("the certificate of another with one's own key", key_of_another);
    // None of the attempts used the challenge up; its answer does.
    let answer = door.answer(good, &own, good);
    door.enters(answer.clone());
    door.refused("a challenge that was answered", answer);
    // A method that does not exist gives challenges like any other.
    let unknown = door.challenge("p-aaaaaaaaaaaaaa", good);
    let mut login = door.answer(good, &unknown, good);
    login["access-id"] = "p-aaaaaaaaaaaaaa".into();
    door.refused("an unknown method", login);
}

#[test]
fn t_certificate_bounds() {
    let site = Site::new();
    let door = Door::new(&site, json!({}));
    let extensions = format!(
        "{CLIENT}subjectAltName=DNS:a.blue.example.com,email:a@example.com,URI:spiffe://x/y\n\
         1.3.6.1.4.1.99999.1=ASN1:UTF8String:blue team\n"
    );
    let order = Order { extensions: &extensions, ..Order::client("/OU=ops/CN=alice") };
    let client = door.ca.issue("client", &order);
    let serial = client.serial();
    let spaced: Vec<_> = serial.as_bytes().chunks(2).map(String::from_utf8_lossy).collect();
    for (field, fits, misses) in [
        ("bound-common-names", "al*", "bob"),
        ("bound-dns-sans", "*.BLUE.example.com", "*.blue.example.co"),
        ("bound-email-sans", "?@example.com", "@example.com"),
        ("bound-uri-sans", "spiffe://x/*", "spiffe://y/*"),
        ("bound-organizational-units", "ops", "OPS"),
        ("bound-extensions", "1.3.6.1.4.1.99999.1:blue*", "1.3.6.1.4.1.99999.1:red*"),
        ("revoked-cert-ids", "01", &spaced.join(":")),
    ] {
        for (value, enters) in [(fits, true), (misses, false)] {
            let update = json!({"name": "/certs", "unique-identifier": "common_name",
                                field: [value]});
            door.server.admin().ok("auth-method-update-cert", update);
            match enters {
                true => drop(door.enters(door.login(&client))),
                false => door.refused(&format!("{field} {value}"), door.login(&client)),
            }
        }
    }
}

#[test]
fn t_certificate_revocation_lists() {
    let site = Site::new();
    let server = site.start_with(&["--identity-loopback-http"]);
    let (ca, other_ca) = (Authority::new("/CN=Test authority"), Authority::new("/CN=Another"));
    let lists = Arc::new(Mutex::new(Vec::new()));
    let answer = lists.clone();
    let publisher = Answering::new(move |_| (200, answer.lock().unwrap().clone()));
    let access_id = method(&server, "/certs", &ca, json!({"require-crl-dp": true}));
    let door = Door { server, ca, access_id };
    // Each place is fetched once in a while only, so each certificate names one of its own.
    let issue = |name: &str| {
        let point = format!("crlDistributionPoints=URI:{}/{name}\n", publisher.url);
        let extensions = format!("{CLIENT}{point}");
        let order = Order { extensions: &extensions, ..Order::client("/CN=alice") };
        door.ca.issue(name, &order)
    };
    let publish = |ca: &Authority, revoked: &[&Issued]| {
        *lists.lock().unwrap() = ca.revocations(revoked);
    };
    let (good, bad) = (issue("good"), issue("bad"));
    publish(&door.ca, &[&bad]);
    door.enters(door.login(&good));
    door.refused("revoked", door.login(&bad));
    let nowhere = door.ca.issue("nowhere", &Order::client("/CN=alice"));
    door.refused("no place of revocations", door.login(&nowhere));
    publish(&other_ca, &[]);
    door.refused("the list of another authority", door.login(&issue("foreign")));
    *lists.lock().unwrap() = b"no list".to_vec();
    door.server.nobody().refused(503, "auth", door.login(&issue("garbage")));
    let (wrong, asked) = (issue("wrong"), publisher.asked().len());
    let mut login = door.login(&wrong);
    login["key-data"] = good.key_text().into();
    door.refused("another key", login);
    assert_eq!(publisher.asked().len(), asked, "who has no key makes nobody ask");
}
