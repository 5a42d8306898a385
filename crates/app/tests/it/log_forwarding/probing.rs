//! Administrators of an account who are not the gateway's operators, and would like to see with its
//! eyes: what is in its network, and what answers there say.

use serde_json::{Value, json};

use super::{Setting, taken};
use crate::kit::{Stub, records, wait_until};

/// What an answer in the gateway's network says, and nobody in an account is to know.
const INSIDE: &str = "internal-metadata-canary";

#[test]
fn private_networks_are_no_place_for_log_targets_unless_the_operator_says_so() {
    let setting = Setting::public();
    let stub = Stub::json(|_| taken());
    let port = stub.url.rsplit_once(':').unwrap().1;
    let webhook = |url: String| json!({"webhook-url": url, "webhook-secret": "0123456789abcdef"});
    for host in ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.0.0.1", "0x7f.1"] {
        let args = webhook(format!("https://{host}:{port}/"));
        let said = setting.admin.refused(400, "gateway-update-log-forwarding-webhook", args);
        assert!(said.contains("--allow-private-receivers"), "{host}: {said}");
    }
    let at = |host: &str| json!({"host": format!("{host}:{port}"), "network": "tcp"});
    setting.admin.refused(400, "gateway-update-log-forwarding-syslog", at("192.168.0.1"));
    setting.admin.refused(
        400,
        "gateway-update-log-forwarding-logstash",
        json!({"dns": "[fd00::1]"}),
    );
    // A name that stands for such an address shows itself only when it is resolved, each time.
    setting.admin.ok("gateway-update-log-forwarding-syslog", at("2130706433"));
    wait_until("the name to be refused", || {
        let trouble = setting.state("")["trouble"].as_str().unwrap_or_default().to_owned();
        trouble.contains("no public address")
    });
    assert!(stub.asked().is_empty(), "nobody was connected to");
}

#[test]
fn what_a_receiver_says_is_for_nobody_and_the_change_is_recorded_with_where_it_goes() {
    let setting = Setting::new();
    let stub = Stub::json(|_| (403, json!({"text": INSIDE, "code": 4})));
    let more = json!({"forwarder-name": "probe"});
    setting.admin.ok("gateway-update-log-forwarding-splunk", setting.splunk(&stub, more));
    wait_until("the refusal to be told", || {
        let state = setting.state("probe");
        state["trouble"].as_str().is_some_and(|text| text.contains("status 403"))
    });
    let list = setting.admin.ok("gateway-list-log-forwarding", json!({}));
    assert!(!list.to_string().contains(INSIDE), "{list}");
    let bulk = Stub::json(|_| {
        let error = json!({"type": INSIDE, "reason": INSIDE});
        let item = json!({"index": {"status": 400, "error": error}});
        (200, json!({"errors": true, "items": [item]}))
    });
    let target = json!({
        "nodes": bulk.url, "index": "audit", "api-key": "es-canary-key",
        "tls-certificate": bulk.ca_pem, "pull-interval": 1,
    });
    setting.admin.ok("gateway-update-log-forwarding-elasticsearch", target);
    wait_until("the refusal to be told", || {
        setting.state("")["trouble"].as_str().is_some_and(|text| text.contains("status 400"))
    });
    let list = setting.admin.ok("gateway-list-log-forwarding", json!({}));
    assert!(!list.to_string().contains(INSIDE), "{list}");
    setting.admin.ok("gateway-delete-log-forwarding", json!({"forwarder-name": "probe"}));

    let records = records(&setting.site);
    let of = |action: &str| {
        let found = records.iter().find(|record| record["action"] == action);
        found.unwrap_or_else(|| panic!("{action}")).to_string()
    };
    let splunk = of("gateway_update_log_forwarding_splunk");
    let place = stub.url.strip_prefix("https://").unwrap().trim_end_matches('/');
    for told in ["\"splunk\"", "\"probe\"", place] {
        assert!(splunk.contains(told), "{told} in {splunk}");
    }
    assert!(of("gateway_delete_log_forwarding").contains("probe"));
    let whole = Value::from(records).to_string();
    for secret in ["hec-canary-token", "es-canary-key", INSIDE] {
        assert!(!whole.contains(secret), "{secret}");
    }
}
