//! One of three managers stopped, hanging, slow or lying: reads go on throughout.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::kit::{Api, Cluster, ClusterWish, Liar, in_full, wait_until};

/// How long the load lasts in the short form and in the long one.
const LOAD: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(60));
/// Clients that read at the same time.
const READERS: usize = 4;
/// Secrets that are read in turn.
const SECRETS: usize = 20;

/// A cluster whose gateway keeps no keys, so that each read asks managers.
fn cluster() -> (Cluster, Api) {
    let gateway = ["--key-cache-seconds", "0"].map(str::to_owned).to_vec();
    let wish = ClusterWish { wires: true, gateway, ..ClusterWish::default() };
    let cluster = Cluster::start_with(&wish);
    let admin = cluster.admin();
    for number in 0..SECRETS {
        admin.store(&format!("/load/{number}"), &format!("value {number}"));
    }
    (cluster, admin)
}

/// Reads all the time while `disturb` is done once in the middle; demands that every read succeeds.
/// Gives the number of reads.
fn under_load(admin: &Api, disturb: impl FnOnce()) -> usize {
    let lasts = if in_full() { LOAD.1 } else { LOAD.0 };
    let (over, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for reader in 0..READERS {
            let (over, reads, admin) = (&over, &reads, admin.clone());
            scope.spawn(move || {
                let mut number = reader;
                while !over.load(Ordering::Relaxed) {
                    number = (number + 1) % SECRETS;
                    let name = format!("/load/{number}");
                    assert_eq!(admin.read(&name), format!("value {number}"));
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let begin = Instant::now();
        wait_until("reads before the fault", || reads.load(Ordering::Relaxed) > READERS);
        disturb();
        wait_until("the end of the load", || begin.elapsed() > lasts);
        over.store(true, Ordering::Relaxed);
    });
    reads.into_inner()
}

#[test]
fn reads_go_on_while_a_manager_is_stopped() {
    let (mut cluster, admin) = cluster();
    let manager = &mut cluster.managers[1];
    under_load(&admin, || manager.kill());
    // Back again, it takes part in writes.
    manager.start(&cluster.site);
    wait_until("a write with all managers", || admin.try_store("/after", "v"));
}

#[test]
fn reads_go_on_while_a_manager_hangs() {
    let (cluster, admin) = cluster();
    under_load(&admin, || cluster.managers[0].running().signal(Signal::STOP));
    cluster.managers[0].running().signal(Signal::CONT);
}

#[test]
fn reads_go_on_while_a_manager_is_slow() {
    let (cluster, admin) = cluster();
    let wire = cluster.managers[2].wire.as_ref().unwrap();
    under_load(&admin, || wire.delay(Duration::from_secs(2)));
}

#[test]
fn reads_go_on_while_the_bundle_changes() {
    let (mut cluster, admin) = cluster();
    under_load(&admin, || {
        cluster.change_bundle(|_| {});
        wait_until("the gateway to have it", || cluster.status()["trust_bundle"] == 2);
        cluster.change_bundle(|_| {});
    });
}

#[test]
fn reads_go_on_while_a_manager_lies_and_it_is_named() {
    let (mut cluster, admin) = cluster();
    cluster.managers[1].stop();
    let liar = Liar::in_place_of(&cluster, 2);
    under_load(&admin, || {});
    assert!(liar.told() > 0, "the liar was never asked");
    let log = cluster.gateway.running().err();
    assert!(names(&log, "2"), "{log}");
    // The control: managers that tell the truth are not named.
    assert!(!names(&log, "1") && !names(&log, "3"), "{log}");
    let lies = |index: usize| cluster.status()["gateway"]["managers"][index]["lies"].clone();
    assert!(lies(1).as_u64() > Some(0), "{}", cluster.status());
    assert_eq!((lies(0), lies(2)), (json!(0), json!(0)));
}

/// Whether the log says that this manager misbehaves.
fn names(log: &str, manager: &str) -> bool {
    let misbehaving = log.lines().filter(|line| line.contains("fragment managers misbehave"));
    let named = format!("managers={manager}");
    let quoted = format!("managers=\"{manager}\"");
    misbehaving.into_iter().any(|line| line.contains(&named) || line.contains(&quoted))
}
