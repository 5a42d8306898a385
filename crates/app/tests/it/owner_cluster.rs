//! The owner's commands against running machines: a gateway comes in by three commands, the owner's
//! key changes under all of them, and a server on one machine gives its key away.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use keysherd_crypto::sign::SigningKey;
use keysherd_fragments::bundle::succession::SignedBundle;
use keysherd_fragments::encoding::Encoding as _;
use serde_json::json;

use crate::kit::{Api, Cluster, Finished, Http, Site, wait_until};

const PASSPHRASE: &str = "correct horse battery staple";

/// `keysherd owner` on the owner's desk.
fn owner(site: &Site, args: &[&str]) -> Finished {
    let file = site.path("passphrase");
    if !file.exists() {
        fs::write(&file, PASSPHRASE).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let secret = ["--passphrase-file", file.to_str().unwrap()];
    site.run(&[&["owner"], args, &secret].concat())
}

/// The owner's desk of a cluster: the key and the newest bundle as a server would keep them.
fn desk(cluster: &Cluster) -> String {
    let dir = cluster.site.path("desk/owner");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).unwrap();
    fs::write(dir.join("owner.key"), cluster.owner.seed().expose()).unwrap();
    fs::write(dir.join("trust-bundle"), cluster.signed_bundle()).unwrap();
    dir.to_str().unwrap().to_owned()
}

/// Hands the newest bundle of the desk to control.
fn publish(cluster: &Cluster, dir: &str) -> Finished {
    let open = cluster.site.path("carried-bundle");
    fs::copy(Path::new(dir).join("trust-bundle"), &open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    cluster.control.run(&cluster.site, &["control", "accept-bundle", open.to_str().unwrap()])
}

#[test]
fn three_commands_let_a_second_gateway_in() {
    let cluster = Cluster::start();
    let (site, desk) = (&cluster.site, desk(&cluster));
    cluster.admin().store("/team/db", "value");
    let mut second = cluster.stranger("gateway", "gateway-2", &[]);
    // Where the request is kept, the owner's user may read it.
    let enrolled = second.run(
        site,
        &["gateway", "enroll", "--name", "g2", "--owner-key", &cluster.owner.public().to_string()],
    );
    let told = enrolled.expect(0).out;
    let request = second.data.join("g2.request");
    let fingerprint = told.lines().find(|line| line.starts_with("fingerprint")).unwrap();
    let fingerprint = fingerprint.split_whitespace().last().unwrap();
    let add = ["add", "--dir", &desk, request.to_str().unwrap(), "--fingerprint", fingerprint];
    owner(site, &[&add[..], &["--dry-run"]].concat()).expect(0);
    owner(site, &[&add[..], &["--yes"]].concat()).expect(0);
    publish(&cluster, &desk).expect(0);
    second.start(site);
    let http = Arc::new(Http::new(&second.address, &second.data.join("tls/ca.pem")));
    // Who was there before works on: each write is a derivation at all managers. On a busy machine
    // a manager can come late to the new bundle, which clients see as "try again".
    let (first, written) = (cluster.admin(), Cell::new(0));
    let work = || {
        written.set(written.get() + 1);
        let args = json!({"name": format!("/team/{}", written.get()), "value": "value"});
        wait_until("a write", || match first.call("create-secret", args.clone()).status {
            // The second: it came, and nobody heard the answer.
            200 | 409 => true,
            503 => false,
            other => panic!("a write ended with {other}"),
        });
    };
    wait_until("the second gateway to be healthy", || {
        work();
        http.get("/health").is_ok_and(|reply| reply.status == 200)
    });
    let bootstrap = &cluster.bootstrap;
    let admin = Api::new(http).login(&bootstrap.access_id, &bootstrap.access_key);
    wait_until("the second gateway to read", || {
        admin.try_read("/team/db").is_some_and(|value| value == "value")
    });
    // Out again by one command: control and managers refuse it, the first gateway serves on.
    owner(site, &["remove", "g2", "--dir", &desk, "--yes"]).expect(0);
    publish(&cluster, &desk).expect(0);
    wait_until("the second gateway to be refused", || {
        work();
        let reply = admin.call("get-secret-value", json!({"names": ["/team/db"]}));
        reply.status != 200
    });
    assert!(written.get() > 1);
    assert_eq!(first.read("/team/1"), "value");
}

#[test]
fn the_owner_key_changes_under_running_machines() {
    let mut cluster = Cluster::start();
    let server = cluster.site.path("desk").to_str().unwrap().to_owned();
    desk(&cluster);
    cluster.admin().store("/team/db", "value");
    let new_desk = cluster.site.path("safe").to_str().unwrap().to_owned();
    owner(&cluster.site, &["move", "--data-dir", &server, "--to", &new_desk, "--yes"]).expect(0);
    owner(&cluster.site, &["rotate", "--dir", &new_desk, "--yes"]).expect(0);
    publish(&cluster, &new_desk).expect(0);
    // What the old key signs is nothing any more.
    cluster.bundle.version = 100;
    let stolen = cluster.site.path("stolen-bundle");
    fs::write(&stolen, cluster.signed_bundle()).unwrap();
    fs::set_permissions(&stolen, fs::Permissions::from_mode(0o644)).unwrap();
    let args = ["control", "accept-bundle", stolen.to_str().unwrap()];
    let refused = cluster.control.run(&cluster.site, &args).expect(64).err;
    assert!(refused.contains("not signed by the pinned owner key"), "{refused}");
    // The managers follow, and everybody starts again with the key of the install.
    let caps = ["set-caps", "--account", "--per-second", "10000", "--dir", &new_desk, "--yes"];
    owner(&cluster.site, &caps).expect(0);
    publish(&cluster, &new_desk).expect(0);
    for place in 0..5 {
        let (site, node) = cluster.node(place);
        node.stop();
        node.start(site);
        let out = node.running().out();
        assert!(out.contains("version"), "{out}");
    }
    cluster.wait_until_healthy();
    let admin = cluster.admin();
    wait_until("reads after the change", || {
        admin.call("get-secret-value", json!({"names": ["/team/db"]})).status == 200
    });
    wait_until("a write", || admin.try_store("/team/later", "also"));
    assert_eq!(admin.read("/team/later"), "also");
    let bytes = fs::read(cluster.control.data.join("trust-bundle")).unwrap();
    let signed = SignedBundle::from_bytes(&bytes).unwrap();
    assert_eq!(signed.successions.len(), 1);
}

#[test]
fn a_server_gives_its_key_away_and_obeys() {
    let site = Site::new();
    let server = site.start();
    server.admin().store("/team/db", "value");
    let data = site.data().to_str().unwrap().to_owned();
    let safe = site.path("safe").to_str().unwrap().to_owned();
    let relocate = ["move", "--data-dir", &data, "--to", &safe];
    let busy = owner(&site, &[&relocate[..], &["--yes"]].concat()).expect(64).err;
    assert!(busy.contains("is running; stop it first"), "{busy}");
    server.stop();
    let key = site.data().join("owner/owner.key");
    let seed: [u8; 32] = fs::read(&key).unwrap().try_into().unwrap();
    owner(&site, &[&relocate[..], &["--dry-run"]].concat()).expect(0);
    assert!(key.exists());
    owner(&site, &[&relocate[..], &["--yes"]].concat()).expect(0);
    assert!(!key.exists());
    let moved = fs::read(site.path("safe/owner.key")).unwrap();
    assert!(!moved.windows(32).any(|part| part == seed), "the seed lies open");
    let again = owner(&site, &["sign", "--data-dir", &data, "--yes"]).expect(0).out;
    assert!(again.contains("nothing changes"), "{again}");
    let server = site.start();
    assert_eq!(server.admin().read("/team/db"), "value");
    assert!(!key.exists(), "a new key was made");
    server.admin().store("/team/more", "later");
    server.stop();
    // The owner changes what the server must believe, also under a new key.
    owner(&site, &["rotate", "--dir", &safe, "--yes"]).expect(0);
    let caps = ["set-caps", "--account", "--per-second", "10000", "--dir", &safe, "--yes"];
    owner(&site, &caps).expect(0);
    fs::copy(site.path("safe/trust-bundle"), site.data().join("owner/trust-bundle")).unwrap();
    let server = site.start();
    assert_eq!(server.admin().read("/team/more"), "later");
    let public = SigningKey::from_seed(&seed.into()).public();
    let pinned = fs::read_to_string(site.data().join("owner/owner.pub")).unwrap();
    assert!(pinned.contains(&public.to_string()), "{pinned}");
}
