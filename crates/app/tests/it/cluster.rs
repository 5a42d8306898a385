//! Five processes, joined by mutual TLS, do what one does.

use serde_json::json;

use crate::kit::{Bootstrap, Cluster, ClusterWish, Http, wait_until};

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
        wait_until("a write after a restart", || admin.try_store(&name, "v"));
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

#[test]
fn a_setup_token_is_good_for_one_account() {
    let cluster = Cluster::start();
    cluster.admin().store("/team/db", "of the first account");
    // It was used when the cluster was made.
    let used = cluster.gateway.data.join("setup-token");
    let out = cluster.gateway.data.join("second");
    let refused = cluster.set_up_with(&used, &out).expect(77);
    assert!(refused.err.contains("no setup token"), "{}", refused.err);
    cluster.control.run(&cluster.site, &["control", "setup-token"]).expect(0);
    let refused = cluster.set_up_with(&used, &out).expect(77);
    assert!(refused.err.contains("setup token is not the one"), "{}", refused.err);
    let token = cluster.copied_setup_token();
    cluster.set_up_with(&token, &out).expect(0);
    assert!(!cluster.control.data.join("setup-token").exists());
    // Not into a directory that holds another account's credentials.
    let refused = cluster.set_up_with(&token, &out).expect(73);
    assert!(refused.err.contains("choose another --out"), "{}", refused.err);
    let second = Bootstrap::read(&out.join("bootstrap.json"));
    assert_ne!(second.account_id, cluster.bootstrap.account_id);
    let admin = cluster.nobody().login(&second.access_id, &second.access_key);
    admin.refused(404, "describe-item", json!({"name": "/team/db"}));
    admin.store("/team/db", "of the second account");
    assert_eq!(cluster.admin().read("/team/db"), "of the first account");
}

#[test]
fn a_role_says_what_it_waits_for() {
    let mut cluster = Cluster::start();
    // A gateway that is started before the owner has added it.
    let mut second = cluster.stranger("gateway", "gateway-2", &[]);
    second.start(&cluster.site);
    wait_until("the gateway to say what it waits for", || {
        second.running().err().contains("waiting for a trust bundle that names this gateway")
    });
    let spki = second.printed_key("identity").spki_sha256();
    cluster.change_bundle(|bundle| bundle.clusters[0].instances.push(spki));
    let http = Http::new(&second.address, &second.data.join("tls/ca.pem"));
    wait_until("the second gateway to serve", || {
        http.get("/health").is_ok_and(|reply| reply.status == 200)
    });
    let status = cluster.status();
    assert_eq!(status["fragments"], "1 trust domain", "{status}");
    assert_eq!(status["fragment_managers"], 3, "{status}");
}
