//! Active-passive: a gateway on standby follows, takes nothing over by itself, and is promoted.

use std::time::Instant;

use serde_json::{Value, json};

use super::Pair;
use crate::kit::{Api, Http, Node, Stub, wait_until};
use crate::log_forwarding::{Seen, collector, reader, reading_as};

fn http_of(node: &Node) -> Http {
    Http::new(&node.address, &node.data.join("tls/ca.pem"))
}

/// The status code and the word of `GET /health`.
fn readiness(node: &Node) -> (u16, String) {
    let reply = http_of(node).get("/health").unwrap();
    (reply.status, reply.json()["status"].as_str().unwrap().to_owned())
}

pub(super) fn membership(api: &Api) -> Value {
    api.http().get("/status").unwrap().json()["cluster"].take()
}

fn has_lease(api: &Api) -> bool {
    membership(api)["leases"]["log-forwarding"].is_u64()
}

#[test]
fn a_gateway_on_standby_follows_and_takes_over_once_it_is_promoted() {
    let Pair { mut cluster, mut second, here, there, .. } = Pair::start();
    // Who was not started for it cannot be put on standby.
    let refused = here.refused(409, "gateway-demote", json!({}));
    assert!(refused.contains("--standby"), "{refused}");
    second.stop();
    second.take_args(&["--standby"]);
    second.start(&cluster.site);
    wait_until("the second gateway to be in its cluster", || {
        membership(&there)["connected"] == true
    });
    assert_eq!(readiness(&second), (503, "standby".to_owned()));
    assert_eq!(membership(&there)["active"], false);
    second.run(&cluster.site, &["health"]).expect(69);
    // It follows what is changed at the other one, and answers who asks it all the same.
    here.store("/team/db", "a value");
    let person = reader(&here, "/log/reader");
    here.ok("gateway-update-log-reader", reading_as(&person));
    let seen = Seen::default();
    let stub: Stub = collector(&seen);
    let wish = json!({
        "splunk-url": stub.url, "splunk-token": "hec-token", "tls-certificate": stub.ca_pem,
        "output-format": "json", "pull-interval": "1",
    });
    here.ok("gateway-update-log-forwarding-splunk", wish);
    wait_until("the active gateway to send", || has_lease(&here));
    wait_until("the standby to know the configuration", || {
        membership(&there)["config_version"] == membership(&here)["config_version"]
    });
    assert_eq!(there.read("/team/db"), "a value");
    // Its end is nobody's beginning.
    cluster.gateway.kill();
    let fence_ends = Instant::now();
    wait_until("the lease of the dead one to be over", || {
        assert!(!has_lease(&there), "a standby took a lease");
        fence_ends.elapsed().as_secs() >= 8
    });
    assert_eq!(readiness(&second).0, 503);
    let began = Instant::now();
    there.ok("gateway-promote", json!({}));
    assert_eq!(readiness(&second), (200, "ok".to_owned()));
    let ready = began.elapsed();
    wait_until("the promoted one to send", || has_lease(&there));
    println!("promoted: ready after {ready:?}, sends after {:?}", began.elapsed());
    // What was decided outlives a crash.
    second.kill();
    second.start(&cluster.site);
    assert_eq!(readiness(&second), (200, "ok".to_owned()));
    wait_until("the promoted one to send again", || has_lease(&there));
    // The other one comes back, and this one steps back.
    cluster.gateway.start(&cluster.site);
    there.ok("gateway-demote", json!({}));
    assert_eq!(readiness(&second), (503, "standby".to_owned()));
    assert!(!has_lease(&there));
    wait_until("the other one to send", || has_lease(&here));
    let done = here.ok("audit-search", json!({"action": "gateway_promote"}));
    assert_eq!(done["records"].as_array().unwrap().len(), 1, "{done}");
}

#[test]
fn gateways_sign_in_with_a_universal_identity_and_rotate_their_own() {
    let Pair { mut cluster, mut second, here, there, .. } = Pair::start();
    let method = json!({
        "name": "/gateways/uid", "ttl": 60, "allowed-client-type": ["gateway-admin"],
    });
    let made = here.ok("auth-method-create-universal-identity", method);
    let access_id = made["access_id"].as_str().unwrap();
    let root = here.ok("uid-generate-token", json!({"auth-method-name": "/gateways/uid"}));
    let root = root["token"].as_str().unwrap();
    for node in [&mut cluster.gateway, &mut second] {
        node.stop();
        let file = node.write_secret("uid-token", root);
        let before = node.data.join("access-key").to_str().unwrap().to_owned();
        node.replace_arg(&before, &file);
        node.replace_arg("--gateway-access-key-file", "--gateway-uid-token-file");
        node.take_args(&["--gateway-access-type", "universal_identity"]);
        node.replace_value("--gateway-access-id", access_id);
        node.start(&cluster.site);
    }
    let connected = |api: &Api| membership(api)["connected"] == true;
    wait_until("both to be in the new cluster", || connected(&here) && connected(&there));
    let tree = || here.ok("uid-list-children", json!({"auth-method-name": "/gateways/uid"}));
    assert_eq!(tree()["number_of_tokens"], 3, "the root and a child for each");
    let own = |node: &Node| std::fs::read_to_string(node.data.join("own-uid-token")).unwrap();
    let (first, other) = (own(&cluster.gateway), own(&second));
    assert_ne!(first, other);
    // A start rotates; nothing but its own token is touched.
    cluster.gateway.kill();
    cluster.gateway.start(&cluster.site);
    wait_until("the first gateway to be back", || connected(&here));
    assert_ne!(own(&cluster.gateway), first);
    assert_eq!(own(&second), other);
    assert_eq!(tree()["number_of_tokens"], 3);
    // Whoever finds the token in the settings of one of them is not the gateway.
    let thief = json!({"access-type": "universal_identity", "uid-token": root});
    cluster.nobody().refused(401, "auth", thief);
}
