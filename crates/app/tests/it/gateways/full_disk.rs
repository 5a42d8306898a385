//! A gateway whose disk is full: it reads on and every read is recorded, it refuses what it could
//! not keep, and it heals without a restart.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::caching::{get, hits, recorded, until_kept};
use crate::kit::full_disk::{fill, mount_small, with_own_mounts};
use crate::kit::mounts::tell;
use crate::kit::{Api, Cluster, Http, Reply, wait_until};

const CREATE: &str = "gateway-create-k8s-auth-config";
const READS: u64 = 200;
const ATTEMPTS: usize = 20;

#[test]
fn a_gateway_with_a_full_disk_records_its_reads_refuses_what_it_cannot_keep_and_heals() {
    // Nothing to look at where there are no mounts of its own.
    let _done = with_own_mounts(a_full_disk);
}

fn a_full_disk() {
    let mut cluster = Cluster::start();
    let mut full = cluster.stranger("gateway", "full", &["--cache"]);
    mount_small(&full.data, "size=2m,nr_inodes=500");
    full.own(&full.data);
    full.start(&cluster.site);
    let spki = full.printed_key("identity").spki_sha256();
    cluster.change_bundle(|bundle| bundle.clusters[0].instances.push(spki));
    let http = Http::new(&full.address, &full.data.join("tls/ca.pem"));
    let api = Api::new(Arc::new(http)).with_token(cluster.admin().token());
    wait_until("the gateway to be in the bundle", || api.try_store("/team/db", "a value"));
    let method = api.ok("auth-method-create-k8s", json!({"name": "/k8s/prod"}));
    let config = |name: &str| {
        json!({
            "name": name, "access-id": method["access_id"], "signing-key": method["prv_key"],
            "k8s-host": "https://127.0.0.1:6443",
        })
    };
    api.ok(CREATE, config("before"));
    until_kept(&api, "/team/db");
    let filler = fill(&full.data);
    reads_are_recorded(&api, &full.data);
    // What control has recorded is removed a moment later.
    wait_until("files of attempts that failed to go", || {
        fs::read_dir(full.data.join("read-journal")).unwrap().count() < 10
    });
    let (name, said) = refused_for_want_of_room(&full.data, |name| api.call(CREATE, config(name)));
    for word in ["StorageFull", "disk is full", "free space"] {
        assert!(said.contains(word), "{said}");
    }
    api.refused(404, "gateway-get-k8s-auth-config", json!({"name": name}));
    assert_eq!(k8s_host(&api, "before"), "https://127.0.0.1:6443");
    // What is needed for a confirmation later cannot be kept, so nothing is written.
    let (site, manager) = cluster.node(2);
    manager.kill();
    let write = |name: &str| api.call("create-secret", json!({"name": name, "value": "v"}));
    let (name, said) = refused_for_want_of_room(&full.data, |name| write(&format!("/team/{name}")));
    assert!(said.contains("nothing was written"), "{said}");
    api.refused(404, "describe-item", json!({"name": format!("/team/{name}")}));
    manager.start(site);
    // With all managers a write leaves nothing here.
    wait_until("writes with all managers", || write("/team/new").is_success());
    let doctor = full.run_with_args(&cluster.site, &["gateway", "doctor"]);
    assert!(doctor.out.contains("has 0 MiB left"), "{}{}", doctor.out, doctor.err);

    fs::remove_file(filler).unwrap();
    until_kept(&api, "/team/db");
    api.ok(CREATE, config("another"));
    assert_eq!(k8s_host(&api, "another"), "https://127.0.0.1:6443");
    full.stop();
    full.start(&cluster.site);
    wait_until("it to serve", || get(&api, "/team/db").status == 200);
    assert_eq!(k8s_host(&api, "another"), "https://127.0.0.1:6443");
    full.stop();
    cluster.control.stop();
    cluster.audit(&["verify"]).expect(0);
}

/// The first attempt that finds no room, with what it says. What control takes from the journal
/// leaves some, whenever it does.
fn refused_for_want_of_room(disk: &Path, attempt: impl Fn(&str) -> Reply) -> (String, String) {
    for number in 0..ATTEMPTS {
        let name = format!("attempt-{number}");
        fill(disk);
        let reply = attempt(&name);
        if !reply.is_success() {
            assert_eq!(reply.status, 507, "{}", reply.text());
            return (name, reply.text());
        }
    }
    panic!("{ATTEMPTS} attempts found room on a full disk");
}

/// Reads are answered, many of them by control, and each is in the audit log.
fn reads_are_recorded(api: &Api, disk: &Path) {
    let before = hits(api);
    let read = |_| {
        // What control has taken from the journal leaves some room each time.
        fill(disk);
        let reply = get(api, "/team/db");
        assert_eq!((reply.status, &reply.json()["/team/db"]), (200, &json!("a value")));
        reply.request_id()
    };
    let requests: Vec<String> = (0..READS).map(read).collect();
    let kept = hits(api) - before;
    tell(&format!("{kept} of {READS} reads found room in the journal"));
    assert!(READS - kept > READS / 10, "{kept} reads were written down on a full disk");
    wait_until("every read to be recorded", || {
        let counts = recorded(api);
        // By each of the two where the gateway's lease ended while it was writing a read down.
        requests.iter().all(|request| matches!(counts.get(request), Some((0, 1) | (1, 0 | 1))))
    });
}

fn k8s_host(api: &Api, name: &str) -> Value {
    api.ok("gateway-get-k8s-auth-config", json!({"name": name}))["k8s_host"].take()
}
