//! What control and fragment managers tell Prometheus.

use std::process::Command;

use serde_json::{Value, json};

use crate::kit::{Cluster, Node, finish, wait_for};
use crate::listener_clients::{metrics_address, samples};

/// What curl gets of the metrics of a node.
fn scrape(node: &Node, scheme: &str, more: &[&str]) -> String {
    let address = wait_for("the address of metrics", || metrics_address(&node.running().err()));
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--fail", "--max-time", "30"]).args(more);
    finish(curl.arg(format!("{scheme}://{address}/metrics")), b"").out
}

#[test]
fn control_and_managers_tell_how_they_are_and_name_no_secret() {
    let mut cluster = Cluster::start();
    for place in [0, 1] {
        let (site, node) = cluster.node(place);
        node.stop();
        node.take_args(&["--metrics-listen", "127.0.0.1:0", "--metrics-plaintext"]);
        node.start(site);
    }
    let login = json!({
        "access-id": cluster.bootstrap.access_id, "access-key": cluster.bootstrap.access_key,
    });
    wait_for("control to answer", || {
        cluster.nobody().call("auth", login.clone()).is_success().then_some(())
    });
    let admin = cluster.admin();
    wait_for("a write with all managers", || {
        let wish = json!({"name": "/payroll/database", "value": "hunter2"});
        admin.call("create-secret", wish).is_success().then_some(())
    });
    admin.read("/payroll/database");
    admin.call("get-secret-value", json!({"names": ["/absent/thing"]}));
    admin.refused(404, "describe-item", json!({"name": "/absent/thing"}));
    let control = scrape(&cluster.control, "http", &[]);
    let manager = scrape(&cluster.managers[0], "http", &[]);
    for secret in ["payroll", "hunter2", "absent", admin.token(), &cluster.bootstrap.access_id] {
        assert!(!control.contains(secret) && !manager.contains(secret), "{secret}");
    }
    let found = samples(&control);
    let value = |name: &str, labels: Value| found.get(&(name.to_owned(), labels.to_string()));
    let none = || json!({});
    for name in [
        "keysherd_ready",
        "keysherd_trust_bundle_version",
        "keysherd_link_open_connections",
        "keysherd_link_connections_total",
        "keysherd_control_request_seconds_count",
        "keysherd_store_commits_total",
        "keysherd_audit_records_total",
        "process_resident_memory_bytes",
    ] {
        assert!(value(name, none()).is_some_and(|value| *value > 0.0), "{name}: {control}");
    }
    assert_eq!(value("keysherd_store_full", none()), Some(&0.0));
    for (message, status) in [("Login", "2xx"), ("Grant", "2xx")] {
        let labels = json!({"message": message, "status": status});
        assert!(value("keysherd_control_requests_total", labels).is_some(), "{control}");
    }
    let refused = |labels: &str| labels.contains("4xx");
    let mut requests = found.keys().filter(|(name, _)| name == "keysherd_control_requests_total");
    assert!(requests.any(|(_, labels)| refused(labels)), "{control}");
    let found = samples(&manager);
    let value = |name: &str| found.get(&(name.to_owned(), "{}".to_owned())).copied();
    for name in [
        "keysherd_ready",
        "keysherd_trust_bundle_version",
        "keysherd_manager_answered_total",
        "keysherd_manager_request_seconds_count",
        "keysherd_manager_log_entries",
        "keysherd_manager_key_versions",
    ] {
        assert!(value(name).is_some_and(|value| value > 0.0), "{name}: {manager}");
    }
    assert_eq!(value("keysherd_manager_log_broken"), Some(0.0));
    served_with_tls(cluster);
}

/// Unless told otherwise; under an authority of the role's own.
fn served_with_tls(mut cluster: Cluster) {
    let node = &mut cluster.managers[1];
    node.stop();
    node.take_args(&["--metrics-listen", "127.0.0.1:0"]);
    node.start(&cluster.site);
    let ca = cluster.managers[1].data.join("tls/ca.pem");
    let secure = scrape(&cluster.managers[1], "https", &["--cacert", ca.to_str().unwrap()]);
    assert!(secure.contains("keysherd_manager_answered_total"), "{secure}");
    assert_eq!(scrape(&cluster.managers[1], "http", &[]), "");
}
