//! A gateway that is killed while control is away, and has a copy of what may be read then.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::caching::{get, hits, recorded, until_kept};
use crate::kit::full_disk::{fill, mount_small, with_own_mounts};
use crate::kit::{
    Api, Cluster, ClusterWish, Http, Needles, Node, Person, Site, in_full, wait_until,
};

const VALUE: &str = "a-value-that-nobody-else-has-0815";
/// 32 bytes in base64.
const KEY: &str = "S0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0s=";
/// Long enough for everything that a start without control begins with.
const A_WHILE: Duration = Duration::from_secs(4);

/// A file with the key of the copy, outside of the node's directory, which it is told of.
pub(super) fn take_key(site: &Site, node: &mut Node) {
    let file = site.path("cache.key");
    fs::write(&file, KEY).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    node.own(&file);
    node.take_args(&["--cache-key-file", file.to_str().unwrap()]);
}

/// A deployment whose gateway has such a key, an administrator, and two people of whom the first
/// may read `/shop/*` without control.
fn started() -> (Cluster, Api, [Person; 2]) {
    let gateway = vec!["--cache".to_owned()];
    let mut cluster = Cluster::start_with(&ClusterWish { gateway, ..Default::default() });
    let admin = cluster.admin();
    admin.store("/shop/db", VALUE);
    let people = ["/people/one", "/people/none"]
        .map(|name| admin.person_who_may(name, &[("item-rule", "/shop/*", "read")]));
    allow(&admin, &people[0], 30);
    // Afterwards: the keys of what was written through it are there without a permit to read.
    cluster.gateway.stop();
    take_key(&cluster.site, &mut cluster.gateway);
    cluster.gateway.start(&cluster.site);
    cluster.wait_until_healthy();
    (cluster, admin, people)
}

pub(super) fn allow(admin: &Api, person: &Person, minutes: u32) {
    let access_id = &person.access_id;
    let allow = json!({"access-id": access_id, "max-minutes": minutes, "path": ["/shop/*"]});
    admin.ok("gateway-update-offline-policy", allow);
}

pub(super) fn copy(node: &Node) -> PathBuf {
    node.data.join("read-copy/copy")
}

/// The person's read is kept, and is in the copy with a permit that is not old.
fn until_copied(cluster: &Cluster, person: &Person) {
    // What control tells of late ends what is kept, and the copy of it.
    wait_until("a copy", || {
        until_kept(&person.api, "/shop/db");
        copy(&cluster.gateway).exists()
    });
}

/// Control is killed, then the gateway, and only that starts again.
pub(super) fn start_alone(cluster: &mut Cluster) {
    if cluster.control.process.is_some() {
        cluster.control.kill();
    }
    cluster.gateway.kill();
    cluster.gateway.start(&cluster.site);
}

pub(super) fn never_read(api: &Api) {
    let begun = Instant::now();
    while begun.elapsed() < A_WHILE {
        assert_eq!(get(api, "/shop/db").status, 503);
    }
}

#[test]
fn a_gateway_that_is_killed_without_control_reads_on_and_all_of_it_is_recorded_once() {
    let (mut cluster, admin, [person, none]) = started();
    let rounds = if in_full() { 10 } else { 3 };
    for round in 0..rounds {
        // Each policy is another one, so the copy is gone, and the next is written soon after.
        until_copied(&cluster, &person);
        allow(&admin, &person, 31 + round);
        let path = copy(&cluster.gateway);
        wait_until("a copy to be written", || {
            until_kept(&person.api, "/shop/db");
            path.with_extension("part").exists() || path.exists()
        });
        cluster.gateway.kill();
        cluster.gateway.start(&cluster.site);
        cluster.wait_until_healthy();
        wait_until("the gateway to serve", || get(&person.api, "/shop/db").status == 200);
    }
    until_copied(&cluster, &person);
    assert_eq!(get(&none.api, "/shop/db").status, 200);
    let needles = Needles::of("value", VALUE.as_bytes())
        .and(Needles::of("path", b"/shop/db"))
        .and(Needles::of("token", person.api.token().as_bytes()));
    let dir = cluster.gateway.data.join("read-copy");
    assert_eq!(needles.found_below(&dir), Vec::<String>::new());
    let mode = fs::metadata(copy(&cluster.gateway)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut answered = Vec::new();
    start_alone(&mut cluster);
    for start in 0..2 {
        if start > 0 {
            cluster.gateway.kill();
            cluster.gateway.start(&cluster.site);
        }
        wait_until("the managers to open it", || {
            let reply = get(&person.api, "/shop/db");
            if reply.status == 200 {
                answered.push(reply.request_id());
            }
            reply.status == 200
        });
        for _ in 0..5 {
            let reply = get(&person.api, "/shop/db");
            assert_eq!((reply.status, &reply.json()["/shop/db"]), (200, &json!(VALUE)));
            answered.push(reply.request_id());
        }
        assert_eq!(get(&none.api, "/shop/db").status, 503);
        admin.refused(503, "create-secret", json!({"name": "/shop/new", "value": "v"}));
    }
    cluster.control.start(&cluster.site);
    wait_until("reads to be answered", || get(&none.api, "/shop/db").status == 200);
    wait_until("the reads to be in the audit log", || {
        let counts = recorded(&admin);
        answered.iter().all(|request| counts.get(request) == Some(&(1, 0)))
    });
    assert_eq!(answered.len(), 12);
    cluster.gateway.stop();
    cluster.control.stop();
    cluster.audit(&["verify"]).expect(0);
}

#[test]
fn a_copy_that_was_changed_or_is_of_another_key_is_refused_and_named_in_the_log() {
    let (mut cluster, _admin, [person, _none]) = started();
    until_copied(&cluster, &person);
    cluster.control.kill();
    cluster.gateway.kill();
    let path = copy(&cluster.gateway);
    let whole = fs::read(&path).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(&path, &changed).unwrap();
    cluster.gateway.start(&cluster.site);
    never_read(&person.api);
    let said = cluster.gateway.running().err();
    assert!(said.contains("the copy of reads on disk is refused"), "{said}");
    cluster.gateway.kill();
    fs::write(&path, &whole).unwrap();
    fs::write(cluster.site.path("cache.key"), KEY.replace('S', "T")).unwrap();
    cluster.gateway.start(&cluster.site);
    never_read(&person.api);
    let said = cluster.gateway.running().err();
    assert!(said.contains("the copy of reads on disk is refused"), "{said}");
    // Without a key it is gone.
    cluster.gateway.kill();
    cluster.gateway.replace_arg("--cache-key-file", "--public-url");
    cluster.gateway.replace_value("--public-url", "https://gw.example");
    cluster.gateway.start(&cluster.site);
    wait_until("the copy to be gone", || !path.exists());
}

#[test]
fn a_full_disk_leaves_reads_alone_and_the_copy_whole() {
    // Nothing to look at where there are no mounts of its own.
    let _done = with_own_mounts(a_full_disk);
}

fn a_full_disk() {
    let mut cluster = Cluster::start();
    let mut full = cluster.stranger("gateway", "full", &["--cache"]);
    mount_small(&full.data, "size=2m,nr_inodes=500");
    full.own(&full.data);
    take_key(&cluster.site, &mut full);
    full.start(&cluster.site);
    let spki = full.printed_key("identity").spki_sha256();
    cluster.change_bundle(|bundle| bundle.clusters[0].instances.push(spki));
    let http = Http::new(&full.address, &full.data.join("tls/ca.pem"));
    let api = Api::new(Arc::new(http)).with_token(cluster.admin().token());
    wait_until("the gateway to be in the bundle", || api.try_store("/warm/up", "1"));
    // At the other gateway: here its key would be known without a permit to read.
    cluster.admin().store("/shop/db", VALUE);
    let person = api.person_who_may("/people/one", &[("item-rule", "/shop/*", "read")]);
    allow(&api, &person, 30);
    wait_until("a copy", || {
        until_kept(&person.api, "/shop/db");
        copy(&full).exists()
    });
    let filler = fill(&full.data);
    // Control is lost, so there is a copy to be made of what was read last.
    let before = fs::read(copy(&full)).unwrap();
    cluster.control.kill();
    wait_until("the disk to be missed", || {
        fill(&full.data);
        get(&person.api, "/shop/db");
        full.running().err().contains("no newer copy of reads on disk")
    });
    assert_eq!(fs::read(copy(&full)).unwrap(), before, "the copy that there was");
    cluster.control.start(&cluster.site);
    wait_until("reads to be answered", || get(&person.api, "/shop/db").status == 200);
    fs::remove_file(filler).unwrap();
    until_kept(&person.api, "/shop/db");
    wait_until("a newer copy", || fs::read(copy(&full)).is_ok_and(|now| now != before));
    assert!(hits(&api) > 0);
    full.stop();
    cluster.control.stop();
}
