//! What a gateway's doctor finds beside whom it cannot reach: credentials, certificates, and what
//! the configurations that a cluster shares need.

use std::net::TcpListener;

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
