//! A gateway whose clock is wrong: what goes on, what is refused, and who says that it is the
//! clock. Setting it right heals everything without a restart.

use serde_json::{Value, json};

use super::{Identity, wait_for_instances};
use crate::kit::{Cluster, wait_until};

const TEN_MINUTES: i64 = 600;
/// Beyond a quarter of an hour certificates of links that are made now are not good yet.
const AN_HOUR: i64 = 3_600;

/// A cluster whose gateway has a clock that can be set, and is in a cluster of gateways.
fn start() -> Cluster {
    let mut cluster = Cluster::start();
    let identity = Identity::make(&cluster.admin());
    cluster.gateway.stop();
    identity.give(&mut cluster.gateway, &identity.access_key);
    cluster.gateway.take_clock();
    cluster.gateway.start(&cluster.site);
    cluster.wait_until_healthy();
    wait_for_instances(&cluster.admin(), "1 of 1");
    cluster
}

/// The doctor's exit code, and what it says of this.
fn doctor(cluster: &Cluster, name: &str) -> (i32, Value) {
    let said = cluster.gateway.run_with_args(&cluster.site, &["gateway", "doctor", "--json"]);
    let all: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}", said.err));
    let mut checks = all["checks"].as_array().unwrap().iter();
    let found = checks.find(|check| check["name"].as_str().unwrap().starts_with(name));
    (said.code, found.unwrap_or_else(|| panic!("{name} in {all}")).clone())
}

#[test]
fn ten_minutes_of_skew_are_told_everywhere_and_stop_only_who_signs_in() {
    let cluster = start();
    let admin = cluster.admin();
    admin.store("/team/db", "a value");
    let login = json!({
        "access-id": cluster.bootstrap.access_id, "access-key": cluster.bootstrap.access_key,
    });
    for (round, ahead) in [TEN_MINUTES, -TEN_MINUTES].into_iter().enumerate() {
        cluster.gateway.set_clock(ahead);
        // Who is in goes on, with reads and writes.
        assert_eq!(admin.read("/team/db"), "a value");
        admin.store(&format!("/team/{round}"), "written");
        assert_eq!(admin.read(&format!("/team/{round}")), "written");
        // Who comes is refused and told why.
        let said = cluster.nobody().refused(401, "auth", login.clone());
        assert!(said.contains("set the clock of the machine that signs"), "{said}");
        wait_until("the gateway to notice", || {
            let skew = cluster.status()["clock"]["ahead_seconds"].as_i64();
            skew.is_some_and(|skew| (skew - ahead).abs() <= 5)
        });
        assert_eq!(cluster.status()["clock"]["good"], false);
        wait_until("the log to say so", || {
            let log = cluster.gateway.running().err();
            log.contains("this machine's clock is wrong, or control's")
        });
        let (code, clock) = doctor(&cluster, "clock");
        let detail = clock["detail"].as_str().unwrap();
        let said = if ahead > 0 { "ahead of control's" } else { "behind control's" };
        assert!(clock["verdict"] == "warning" && detail.contains(said), "{clock}");
        assert!(detail.starts_with("59") || detail.starts_with("60"), "seconds: {clock}");
        // The gateway itself cannot sign in either.
        let (_, credential) = doctor(&cluster, "credential of the cluster");
        assert_eq!((code, &credential["verdict"]), (77, &json!("refused")), "{credential}");
        assert!(credential["detail"].as_str().unwrap().contains("set the clock"), "{credential}");
        cluster.gateway.set_clock(0);
        wait_until("the gateway to notice", || cluster.status()["clock"]["good"] == true);
        cluster.admin();
        assert_eq!(doctor(&cluster, "credential of the cluster").0, 0);
    }
}

#[test]
fn an_hour_of_skew_breaks_the_links_and_the_doctor_says_that_it_may_be_the_clock() {
    let mut cluster = start();
    let admin = cluster.admin();
    admin.store("/team/db", "a value");
    for ahead in [AN_HOUR, -AN_HOUR] {
        cluster.gateway.set_clock(ahead);
        // Certificates are made anew with the wrong time, and with the right one.
        for place in [0, 4] {
            let (site, node) = cluster.node(place);
            node.kill();
            node.start(site);
        }
        cluster.wait_until_healthy();
        wait_until("the gateway to lose control", || {
            cluster.status()["cluster"]["connected"] == false
        });
        let reply = admin.call("get-secret-value", json!({"names": ["/team/db"]}));
        assert_eq!(reply.status, 503, "{}", reply.text());
        let (code, control) = doctor(&cluster, "control at");
        assert_eq!((code, &control["verdict"]), (77, &json!("refused")), "{control}");
        assert!(control["fix"].as_str().unwrap().contains("both clocks"), "{control}");
        cluster.gateway.set_clock(0);
        wait_until("reads to go on", || {
            admin.call("get-secret-value", json!({"names": ["/team/db"]})).status == 200
        });
        wait_until("the gateway to be in its cluster", || {
            cluster.status()["cluster"]["connected"] == true
        });
    }
}
