//! Two regions, 250 ms apart over a line that loses packets: what is configured in one is in force
//! in the other, reads there do not wait for the line, and gateways never talk to each other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Identity, Pair, join};
use crate::caching::{get, hits, until_changed, until_kept};
use crate::kit::mounts::tell;
use crate::kit::{Api, Cluster, ClusterWish, Net, ROUTER, wait_until};

/// What each answer from the other region takes longer.
const DELAY: Duration = Duration::from_millis(250);
/// Changes, and reads.
const CHANGES: usize = 5;
const READS: usize = 100;

/// The line between the regions loses one packet of a hundred; between the gateways there is none.
fn regions(net: &Net) {
    let [far, near, control] = ["gateway", "near", "control"].map(|name| net.ip(name));
    net.on_the_way(&format!(
        "ip saddr {far} ip daddr {near} counter name between drop
         ip saddr {near} ip daddr {far} counter name between drop
         ip saddr {far} ip daddr {control} numgen random mod 100 0 drop
         ip saddr {control} ip daddr {far} numgen random mod 100 0 drop"
    ));
}

/// A gateway far from control and the managers, and one beside them.
fn start(net: &Arc<Net>) -> Pair {
    let gateway = vec!["--cache".to_owned()];
    let wish = ClusterWish { net: Some(net.clone()), wires: true, gateway, ..Default::default() };
    let mut cluster = Cluster::start_with(&wish);
    let identity = Identity::make(&cluster.admin());
    cluster.gateway.stop();
    identity.give(&mut cluster.gateway, &identity.access_key);
    cluster.gateway.start(&cluster.site);
    cluster.wait_until_healthy();
    // The wires are for those who are far away.
    let mut near = cluster.stranger("gateway", "near", &["--cache"]).in_network(net, "near");
    for (place, manager) in cluster.managers.iter().enumerate() {
        near.take_args(&["--manager", &format!("{}={}", place + 1, manager.address)]);
    }
    let near = join(&mut cluster, &identity, near);
    Pair::with(cluster, near)
}

#[test]
fn a_far_region_over_a_bad_line_has_changes_in_time_and_reads_without_waiting() {
    let Some(net) = Net::new(&["control", "gateway", "near", "client"]) else { return };
    net.within("client", || {
        regions(&net);
        let pair = start(&net);
        let Pair { cluster, here: far, there: near, .. } = &pair;
        let wires = cluster.managers.iter().chain([&cluster.control]);
        wires.filter_map(|node| node.wire.as_ref()).for_each(|wire| wire.delay(DELAY));
        changes_arrive(near, far);
        reads_do_not_wait(near, far);
        for api in [far, near] {
            wait_until("it to be connected", || {
                let status = api.http().get("/status").unwrap().json();
                status["cluster"]["connected"] == true
            });
        }
        assert_eq!(net.counter(ROUTER, "between"), 0, "gateways have nothing to say to each other");
    });
}

/// What is configured beside control is in force far away.
fn changes_arrive(near: &Api, far: &Api) {
    let method = near.ok("auth-method-create-k8s", json!({"name": "/k8s/prod"}));
    let config = |round: usize| {
        json!({
            "name": "prod", "new-name": "prod", "access-id": method["access_id"],
            "signing-key": method["prv_key"], "k8s-host": host(round),
        })
    };
    near.ok("gateway-create-k8s-auth-config", config(0));
    let mut took: Vec<Duration> = (0..CHANGES)
        .map(|round| {
            near.ok("gateway-update-k8s-auth-config", config(round));
            let begun = Instant::now();
            wait_until("the far gateway to have it", || {
                let reply = far.call("gateway-get-k8s-auth-config", json!({"name": "prod"}));
                reply.status == 201 && reply.json()["k8s_host"] == host(round)
            });
            begun.elapsed()
        })
        .collect();
    took.sort_unstable();
    // The last question whether it is there takes as long as the line, too.
    tell(&format!("changes in force 250 ms away, 1 % lost: {took:?}"));
}

fn host(round: usize) -> Value {
    format!("https://127.0.0.1:{}", 7_000 + round).into()
}

/// Reads far away are answered there, and know what was changed beside control.
fn reads_do_not_wait(near: &Api, far: &Api) {
    near.store("/team/db", "old");
    until_kept(far, "/team/db");
    let before = hits(far);
    let mut took: Vec<Duration> = (0..READS)
        .map(|_| {
            let begun = Instant::now();
            let reply = get(far, "/team/db");
            assert_eq!((reply.status, &reply.json()["/team/db"]), (200, &json!("old")));
            begun.elapsed()
        })
        .collect();
    took.sort_unstable();
    let kept = hits(far) - before;
    tell(&format!("{kept} of {READS} reads without control, the middle one {:?}", took[READS / 2]));
    assert!(kept > 0, "each was asked of control: {took:?}");
    near.overwrite("/team/db", "new");
    tell(&format!("a changed value far away: {:?}", until_changed(far, "/team/db", "old")));
    assert_eq!(far.read("/team/db"), "new");
}
