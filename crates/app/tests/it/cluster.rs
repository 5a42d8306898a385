//! Five processes, joined by mutual TLS, do what one does.

use serde_json::json;

use crate::kit::{Cluster, ClusterWish, wait_until};

/// Writes, reads, encrypts and lists.
fn use_it(cluster: &Cluster) {
    let admin = cluster.admin();
    admin.store("/team/db", "a value");
    assert_eq!(admin.read("/team/db"), "a value");
    admin.add_version("/team/db", "another");
    assert_eq!(admin.read("/team/db"), "another");
    for algorithm in ["AES256GCM", "AES256SIV"] {
        let key = format!("/team/{algorithm}");
        admin.ok("create-dfc-key", json!({"name": key, "alg": algorithm}));
        let sealed =
            admin.ok("encrypt", json!({"key-name": key, "plaintext": "m"}))["result"].take();
        let opened = admin.ok("decrypt", json!({"key-name": key, "ciphertext": sealed}));
        assert_eq!(opened["result"], "m");
    }
}

#[test]
fn five_processes_write_read_and_encrypt() {
    let mut cluster = Cluster::start();
    use_it(&cluster);
    for manager in &mut cluster.managers {
        manager.stop();
    }
    cluster.gateway.stop();
    cluster.control.stop();
}

#[test]
fn five_processes_through_the_relay() {
    let cluster = Cluster::start_with(&ClusterWish { relay: true, ..ClusterWish::default() });
    use_it(&cluster);
}

#[test]
fn each_of_five_processes_can_be_killed_and_comes_back() {
    let mut cluster = Cluster::start();
    let admin = cluster.admin();
    admin.store("/team/db", "a value");
    for place in 0..cluster.nodes().count() {
        let (site, node) = cluster.node(place);
        node.kill();
        node.start(site);
        cluster.wait_until_healthy();
        // Links are made again by themselves, and need a moment for it.
        wait_until("a read after a restart", || {
            admin.try_read("/team/db") == Some("a value".into())
        });
        let name = format!("/team/after-{place}");
        wait_until("a write after a restart", || {
            admin.call("create-secret", json!({"name": name, "value": "v"})).status == 200
        });
        assert_eq!(admin.read(&name), "v");
    }
    cluster.control.stop();
    cluster.audit(&["verify"]).expect(0);
}

#[test]
fn a_new_bundle_is_obeyed_without_a_restart() {
    let mut cluster = Cluster::start();
    let admin = cluster.admin();
    admin.store("/team/db", "a value");
    let own = cluster.bundle.clusters[0].instances.clone();
    cluster.change_bundle(|bundle| bundle.clusters[0].instances = vec![[1; 32]]);
    wait_until("a gateway that was removed to be refused", || admin.try_read("/team/db").is_none());
    assert!(admin.try_read("/team/db").is_none());
    cluster.change_bundle(|bundle| bundle.clusters[0].instances = own);
    wait_until("a gateway that was added to be served", || {
        admin.try_read("/team/db") == Some("a value".into())
    });
    // The owner's word counts, not control's: an older bundle is refused.
    cluster.bundle.version = 1;
    let file = cluster.site.path("older");
    std::fs::write(&file, cluster.signed_bundle()).unwrap();
    let args = ["control", "accept-bundle", file.to_str().unwrap()];
    let refused = cluster.control.run(&cluster.site, &args).expect(64);
    assert!(refused.err.contains("version 3"), "{}", refused.err);
}
