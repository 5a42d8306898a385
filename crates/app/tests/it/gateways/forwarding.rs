//! The audit log is sent by one gateway of a cluster, whoever dies, sleeps or is cut off: what
//! arrives is what was recorded, and nobody sends beside the one whose turn it is.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Identity, Pair};
use crate::kit::{Api, Cluster, Stub, wait_for, wait_until};
use crate::log_forwarding::{Seen, collector, reader, reading_as};

const UPDATE: &str = "gateway-update-log-forwarding-splunk";

fn splunk(stub: &Stub) -> Value {
    json!({
        "splunk-url": stub.url, "splunk-token": "hec-token", "tls-certificate": stub.ca_pem,
        "output-format": "json", "pull-interval": "1",
    })
}

/// The numbers in the audit log of the first account.
fn recorded(cluster: &Cluster) -> BTreeSet<u64> {
    let listed = cluster.audit(&["list", "--json", "--limit", "10000000"]).expect(0).out;
    let records = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mine = records.filter(|record| record["account_id"] == cluster.bootstrap.account_id);
    mine.map(|record| record["seq_num"].as_u64().unwrap()).collect()
}

/// Waits until what came is what is in the log; gives how much came twice.
fn wait_for_all(cluster: &Cluster, seen: &Seen) -> usize {
    wait_for("the whole log to arrive", || {
        let came = seen.lock().unwrap().clone();
        let set: BTreeSet<u64> = came.iter().copied().collect();
        (set == recorded(cluster)).then_some(came.len() - set.len())
    })
}

fn count(seen: &Seen) -> usize {
    seen.lock().unwrap().len()
}

/// What the gateway that `api` asks says of the target; one that has only just started, nothing.
fn target(api: &Api) -> Value {
    let reply = api.call("gateway-list-log-forwarding", json!({}));
    let told = if reply.is_success() { reply.json() } else { Value::Null };
    told["forwarders"][0].clone()
}

fn knows(api: &Api) -> bool {
    target(api)["target"] == "splunk"
}

/// Whether the gateway that `api` asks is the one that sends.
fn sends(api: &Api) -> bool {
    target(api)["elsewhere"] == false
}

/// Demands that nothing came twice but what was on its way when the lease passed on: at most a
/// batch each time.
fn demand_once(api: &Api, twice: usize) {
    let fence = wait_for("a gateway that sends to say its number", || {
        let status = api.http().get("/status").ok()?.json();
        status["cluster"]["leases"]["log-forwarding"].as_u64()
    });
    let most = 500 * (usize::try_from(fence).unwrap() - 1);
    assert!(twice <= most, "{twice} records came twice, under number {fence}");
}

/// Makes records through `api` until told to stop, while `doing` does something else.
fn under_load<T>(api: &Api, doing: impl FnOnce() -> T) -> T {
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !ended.load(Ordering::Relaxed) {
                number += 1;
                api.call("describe-item", json!({"name": format!("/no/{number}")}));
            }
        });
        let done = doing();
        ended.store(true, Ordering::Relaxed);
        done
    })
}

/// How long it takes until something arrives that was not there when `event` had happened.
fn gap(seen: &Seen, event: impl FnOnce()) -> Duration {
    event();
    let newest = || seen.lock().unwrap().iter().copied().max().unwrap_or_default();
    let (began, before) = (Instant::now(), newest());
    wait_until("something new to arrive", || newest() > before);
    began.elapsed()
}

#[test]
fn one_gateway_sends_and_another_goes_on_where_it_was_killed_or_slept() {
    let Pair { mut cluster, mut second, here, there, .. } = Pair::start();
    let person = reader(&here, "/log/reader");
    here.ok("gateway-update-log-reader", reading_as(&person));
    let seen = Seen::default();
    let stub = collector(&seen);
    here.ok(UPDATE, splunk(&stub));
    // What was told to one of them is known to both, and one of them sends.
    wait_until("one of both to send", || knows(&there) && sends(&here) != sends(&there));
    under_load(&here, || wait_until("some records", || count(&seen) > 300));
    let twice = wait_for_all(&cluster, &seen);
    let first_sends = sends(&here);
    demand_once(if first_sends { &here } else { &there }, twice);
    let (sender, waiting) = match first_sends {
        true => (&mut cluster.gateway, &there),
        false => (&mut second, &here),
    };
    // Killed under load.
    let killed = under_load(waiting, || gap(&seen, || sender.kill()));
    wait_until("the other one to say so", || sends(waiting));
    sender.start(&cluster.site);
    demand_once(waiting, wait_for_all(&cluster, &seen));
    // Asleep for longer than its turn lasts, and awake again.
    let (sleeper, awake, asleep) = match first_sends {
        true => (&mut second, &here, &there),
        false => (&mut cluster.gateway, &there, &here),
    };
    let slept = under_load(awake, || gap(&seen, || sleeper.running().signal(Signal::STOP)));
    sleeper.running().signal(Signal::CONT);
    wait_until("the sleeper to notice", || !sends(asleep) && sends(awake));
    demand_once(awake, wait_for_all(&cluster, &seen));
    // From here on, there is one again.
    under_load(asleep, || {
        let enough = count(&seen) + 300;
        wait_until("some records", || count(&seen) > enough);
    });
    let twice = wait_for_all(&cluster, &seen);
    demand_once(awake, twice);
    println!("gone on after a kill: {killed:?}, after sleep: {slept:?}; twice: {twice}");
    // Control's death is no gateway's turn.
    cluster.control.kill();
    cluster.control.start(&cluster.site);
    under_load(awake, || {
        let enough = count(&seen) + 50;
        wait_until("some records", || count(&seen) > enough);
    });
    demand_once(awake, wait_for_all(&cluster, &seen));
    // A gateway that ends as it should lets the other one go on at once.
    let before = Instant::now();
    let (ending, next) =
        if first_sends { (&mut cluster.gateway, &there) } else { (&mut second, &here) };
    ending.stop();
    wait_until("the other one to send", || sends(next));
    let handed = before.elapsed();
    println!("handed over after {handed:?}");
    next.ok("gateway-delete-log-forwarding", json!({}));
    assert_eq!(target(next), Value::Null);
    cluster.control.stop();
    cluster.audit(&["verify"]).expect(0);
}

#[test]
fn a_target_of_one_gateway_becomes_the_cluster_s_and_goes_on_where_it_was() {
    let mut cluster = Cluster::start();
    let admin = cluster.admin();
    let person = reader(&admin, "/log/reader");
    admin.ok("gateway-update-log-reader", reading_as(&person));
    let seen = Seen::default();
    let stub = collector(&seen);
    admin.ok(UPDATE, splunk(&stub));
    under_load(&admin, || wait_until("some records", || count(&seen) > 300));
    assert_eq!(wait_for_all(&cluster, &seen), 0);
    let identity = Identity::make(&admin);
    cluster.gateway.stop();
    identity.give(&mut cluster.gateway, &identity.access_key);
    cluster.gateway.start(&cluster.site);
    cluster.wait_until_healthy();
    let mut pair = Pair::of(cluster, &identity);
    // As it was: this gateway's own.
    assert_eq!(wait_for_all(&pair.cluster, &seen), 0);
    assert_eq!(target(&pair.there), Value::Null);
    // Changed there, it is the cluster's, with the reader.
    pair.here.ok(UPDATE, json!({"index": "main"}));
    wait_until("the other gateway to know it", || knows(&pair.there));
    assert!(wait_for_all(&pair.cluster, &seen) <= 500, "sent again from the beginning");
    pair.cluster.gateway.kill();
    wait_until("the other gateway to send", || sends(&pair.there));
    pair.there.store("/team/db", "a value");
    assert!(wait_for_all(&pair.cluster, &seen) <= 1_000);
    // Sent again because somebody wants it, at whichever gateway that is said.
    pair.cluster.gateway.start(&pair.cluster.site);
    let came = count(&seen);
    wait_until("the first gateway to know", || knows(&pair.here));
    pair.here.ok(UPDATE, json!({"from-record": 1}));
    wait_until("everything to come again", || count(&seen) >= came + came / 2);
    wait_for_all(&pair.cluster, &seen);
}
