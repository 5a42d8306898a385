//! What a gateway's doctor finds beside whom it cannot reach: credentials, certificates, and what
//! the configurations that a cluster shares need.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};

use super::{Identity, Pair};
use crate::kit::openssl::{Authority, Issued, Order};
use crate::kit::{Cluster, Node, Site, Stub, wait_until};

/// The doctor's exit code, and all that it says.
fn doctor(site: &Site, node: &Node) -> (i32, Vec<Value>) {
    let said = node.run_with_args(site, &["gateway", "doctor", "--json"]);
    let all: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}", said.err));
    (said.code, all["checks"].as_array().unwrap().clone())
}

fn check<'a>(checks: &'a [Value], name: &str) -> &'a Value {
    let found = checks.iter().find(|check| check["name"].as_str().unwrap().starts_with(name));
    found.unwrap_or_else(|| panic!("{name} in {checks:?}"))
}

fn endpoints(site: &Site, node: &Node) -> Vec<Value> {
    let said = node.run_with_args(site, &["gateway", "endpoints", "--json"]).expect(0).out;
    let said: Value = serde_json::from_str(&said).unwrap();
    said["endpoints"].as_array().unwrap().clone()
}

#[test]
fn what_the_cluster_shares_is_listed_and_tried_at_each_of_its_gateways() {
    let Pair { mut cluster, second, there, .. } = Pair::start();
    let receiver = Stub::json(|_| (200, json!({})));
    // Somebody who hangs up on whoever speaks TLS.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf_url = format!("ldaps://{}", deaf.local_addr().unwrap());
    std::thread::spawn(move || deaf.incoming().for_each(drop));
    let method = there.ok("auth-method-create-ldap", json!({"name": "/ldap/people"}));
    let config = json!({
        "access-id": method["access_id"], "signing-key-data": method["prv_key"],
        "ldap-url": deaf_url, "user-dn": "ou=people,dc=example",
    });
    there.ok("gateway-update-ldap-auth-config", config);
    let reader = there.new_person("/log/reader");
    there.ok("create-role", json!({"name": "/log/reader", "audit-access": "all"}));
    there.associate("/log/reader", &reader);
    let reader = json!({
        "reader-access-id": reader.access_id, "reader-access-key": reader.access_key,
    });
    there.ok("gateway-update-log-reader", reader);
    let target = json!({
        "webhook-url": format!("{}/token-canary", receiver.url), "tls-certificate": receiver.ca_pem,
        "webhook-secret": "a secret of the receiver",
    });
    there.ok("gateway-update-log-forwarding-webhook", target);
    let site = &cluster.site;
    // Also at the other gateway, which was not asked to configure anything.
    for node in [&cluster.gateway, &second] {
        wait_until("the gateway to note it", || {
            let names = endpoints(site, node);
            let has = |wanted: &str| names.iter().any(|place| place["name"] == wanted);
            has("log target (webhook)") && has("ldap")
        });
        let listed = endpoints(site, node);
        assert_eq!(listed.len(), 6, "control, managers, directory, log target: {listed:?}");
        assert!(!Value::from(listed).to_string().contains("token-canary"));
        let (code, checks) = doctor(site, node);
        let (hook, directory) = (check(&checks, "log target"), check(&checks, "ldap"));
        assert!(hook["detail"].as_str().unwrap().contains("can be connected to"), "{hook}");
        assert!(hook["verdict"] != "refused", "{hook}");
        assert_eq!((code, &directory["verdict"]), (77, &json!("refused")), "{directory}");
        assert!(directory["detail"].as_str().unwrap().starts_with("TLS:"), "{directory}");
        assert_eq!(check(&checks, "credential of the cluster")["verdict"], "ok");
        assert_eq!(check(&checks, "clock")["verdict"], "ok");
    }
    // Without the gateway, too.
    cluster.gateway.stop();
    assert_eq!(endpoints(&cluster.site, &cluster.gateway).len(), 6);
    // Looking is no joining.
    let found = there.ok("audit-search", json!({"action": "register_gateway"}));
    assert_eq!(found["records"].as_array().unwrap().len(), 2, "{found}");
}

/// Of several certificates that are there it is the one that clients are shown.
#[test]
fn the_certificate_that_is_looked_at_is_the_one_that_clients_are_shown() {
    let Pair { mut cluster, here, .. } = Pair::start();
    let ca = Authority::new("/CN=servers");
    let name = "certificate for clients";
    let found = |cluster: &Cluster| {
        let (code, checks) = doctor(&cluster.site, &cluster.gateway);
        let found = check(&checks, name);
        let text = |field: &str| found[field].as_str().unwrap().to_owned();
        (code, text("verdict"), text("detail"))
    };
    // What administrators set, which is over in five days.
    let soon = Order { more: &["-days", "5"], ..Order::client("/CN=gw") };
    let soon = ca.issue("soon", &soon);
    let set = json!({"cert-data": soon.text(), "key-data": soon.key_text()});
    here.ok("gateway-update-tls-cert", set);
    let (code, verdict, detail) = found(&cluster);
    assert_eq!((code, &*verdict), (0, "warning"), "{detail}");
    assert!(detail.ends_with("from the cluster"), "{detail}");
    cluster.gateway.stop();

    // Without the cluster: the authority's, beside what the gateway made before there was one.
    fs::remove_file(cluster.gateway.data.join("tls/cluster.json")).unwrap();
    let acme = "https://acme.test/directory";
    let asks = ["--acme-directory", acme, "--acme-name", "gw.example", "--acme-agree-to-terms"];
    let ended = ("20200101000000Z", "20200201000000Z");
    let ended = ca.issue_dated("ended", &Order::client("/CN=gw.example"), ended);
    let good = ca.issue("good", &Order::client("/CN=gw.example"));
    let text = |path: &Path| fs::read_to_string(path).unwrap();
    let put = |node: &Node, own: &Issued, obtained: &Issued| {
        node.write_secret("tls/server.pem", &text(&own.cert));
        let pair = format!("{}\n{}", text(&obtained.key), text(&obtained.cert));
        node.write_secret("tls/acme.pem", &pair);
    };
    put(&cluster.gateway, &ended, &good);
    let (_, verdict, detail) = found(&cluster);
    assert_eq!(verdict, "refused", "nobody asks an authority: {detail}");
    assert!(detail.ends_with("from itself"), "{detail}");
    cluster.gateway.take_args(&asks);
    let (_, verdict, detail) = found(&cluster);
    assert_ne!(verdict, "refused", "{detail}");
    assert!(detail.ends_with("from the ACME authority"), "{detail}");
    put(&cluster.gateway, &good, &ended);
    let (_, verdict, detail) = found(&cluster);
    assert_eq!(verdict, "refused", "{detail}");
    assert!(detail.contains("it expired at 2020-02-01"), "{detail}");
}

#[test]
fn wrong_credentials_and_certificates_are_found_before_clients_find_them() {
    let mut cluster = Cluster::start();
    let identity = Identity::make(&cluster.admin());
    cluster.gateway.stop();
    identity.give(&mut cluster.gateway, "bm90IHRoZSBhY2Nlc3Mga2V5IG9mIHRoaXMgbWV0aG9k");
    let (code, checks) = doctor(&cluster.site, &cluster.gateway);
    let credential = check(&checks, "credential of the cluster");
    assert_eq!((code, &credential["verdict"]), (77, &json!("refused")), "{credential}");
    assert!(credential["fix"].as_str().unwrap().contains("gateway-admin"), "{credential}");
    cluster.gateway.write_secret("access-key", &identity.access_key);
    assert_eq!(doctor(&cluster.site, &cluster.gateway).0, 0);

    let ca = Authority::new("/CN=servers");
    let server = |name: &str| ca.issue(name, &Order::client("/CN=gw.example"));
    let (good, other) = (server("good"), server("other"));
    let ended = ("20200101000000Z", "20200201000000Z");
    let ended = ca.issue_dated("ended", &Order::client("/CN=gw.example"), ended);
    let gateway = &mut cluster.gateway;
    let put = |gateway: &Node, pair: &Issued, key: &Issued| {
        let text = |path| std::fs::read_to_string(path).unwrap();
        let cert = gateway.write_secret("cert.pem", &text(&pair.cert));
        (cert, gateway.write_secret("key.pem", &text(&key.key)))
    };
    let (cert, key) = put(gateway, &good, &good);
    gateway.take_args(&["--tls-cert", &cert, "--tls-key", &key]);
    let (traces, url) = ("--traces-url", "https://traces.test:4318/v1");
    let name = "certificate for clients";
    for (pair, with, code, verdict, detail) in [
        (&good, &good, 0, "ok", "good until"),
        (&good, &other, 73, "files", "key"),
        (&ended, &ended, 77, "refused", "it expired at 2020-02-01"),
    ] {
        put(&cluster.gateway, pair, with);
        let (ended, checks) = doctor(&cluster.site, &cluster.gateway);
        let found = check(&checks, name);
        assert_eq!((ended, &found["verdict"]), (code, &json!(verdict)), "{found}");
        assert!(found["detail"].as_str().unwrap().contains(detail), "{found}");
    }
    // What else settings name is listed.
    let account = cluster.bootstrap.account_id.clone();
    cluster.gateway.take_args(&[traces, url, "--lend-cloud-identity", &account]);
    let listed = endpoints(&cluster.site, &cluster.gateway);
    let place = |name: &str| {
        let found = listed.iter().find(|place| place["name"] == name);
        found.map(|place| format!("{}:{}", place["host"].as_str().unwrap(), place["port"]))
    };
    assert_eq!(place("traces").as_deref(), Some("traces.test:4318"), "{listed:?}");
    assert_eq!(place("cloud metadata").as_deref(), Some("169.254.169.254:80"), "{listed:?}");
}
