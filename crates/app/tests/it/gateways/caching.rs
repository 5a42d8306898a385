//! How reads are kept: set at one gateway, in force at all of its cluster.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::Pair;
use crate::caching::until_kept;
use crate::kit::{Api, Cluster, Http, wait_until};

const UPDATE: &str = "gateway-update-cache";
const GET: &str = "gateway-get-cache";

/// What a gateway says about its cache; null when nobody's reads are kept.
fn cache(api: &Api) -> Value {
    api.http().get("/status").unwrap().json()["gateway"]["cache"].take()
}

fn shown(enabled: bool, ttl: &str) -> Value {
    json!({
        "cache_enable": enabled,
        "cache_ttl": ttl,
        "new_proactive_cache_enable": false,
        "proactive_cache_dump_interval": "1",
        "proactive_cache_enable": false,
        "proactive_cache_minimum_fetching_time": "5",
    })
}

#[test]
fn the_cache_is_set_for_all_gateways_of_a_cluster_without_a_restart() {
    let mut pair = Pair::start();
    let (here, there) = (pair.here.clone(), pair.there.clone());
    here.store("/team/db", "a value");
    assert_eq!((cache(&here), here.ok(GET, json!({}))), (Value::Null, shown(false, "60")));
    let reply = here.call(UPDATE, json!({"enable-cache": "true", "stale-timeout": "30"}));
    assert_eq!((reply.status, reply.json()), (201, json!({"updated": true})));
    assert!(cache(&here).is_object(), "in force where it was set");
    let begun = Instant::now();
    wait_until("the other gateway to keep reads", || cache(&there).is_object());
    println!("in force at the other gateway after {:?}", begun.elapsed());
    for api in [&here, &there] {
        until_kept(api, "/team/db");
        assert_eq!(api.ok(GET, json!({})), shown(true, "30"));
    }
    // Values that make no sense, and people who may not, change nothing.
    let wrong = [
        json!({"stale-timeout": "0"}),
        json!({"stale-timeout": "1441"}),
        json!({"minimum-fetch-interval": "often"}),
        json!({"backup-interval": "-1"}),
        json!({"enable-cache": "perhaps"}),
    ];
    for wrong in wrong {
        here.refused(400, UPDATE, wrong);
    }
    let person = here.person_who_may("/people/dev", &[("item-rule", "/*", "read,list")]);
    person.api.refused(401, UPDATE, json!({"enable-cache": "false"}));
    person.api.refused(401, GET, json!({}));
    assert_eq!(there.ok(GET, json!({})), shown(true, "30"));
    // Switched off at the other one: what was kept is gone there at once, and here in a moment.
    there.ok(UPDATE, json!({"enable-cache": "false"}));
    assert_eq!(cache(&there), Value::Null);
    wait_until("the first gateway to keep nothing", || cache(&here).is_null());
    assert_eq!(here.ok(GET, json!({})), shown(false, "30"));
    // It wins over what a gateway is started with.
    pair.second.stop();
    pair.second.take_args(&["--cache"]);
    pair.second.start(&pair.cluster.site);
    let http = Http::new(&pair.second.address, &pair.second.data.join("tls/ca.pem"));
    let there = Api::new(Arc::new(http)).with_token(there.token());
    wait_until("the gateway to hear of it again", || {
        let reply = there.call(GET, json!({}));
        reply.status == 200 && reply.json() == shown(false, "30")
    });
    for _ in 0..5 {
        there.read("/team/db");
    }
    let kept = cache(&there);
    assert_eq!((&kept["entries"], &kept["hits"]), (&json!(0), &json!(0)), "{kept}");
    pair.here.ok(UPDATE, json!({"enable-cache": true, "stale-timeout": "60"}));
    until_kept(&there, "/team/db");
}

/// The owner of these deployments lets what is kept be used for an hour.
#[test]
fn whoever_wants_reads_ahead_that_the_owner_does_not_allow_is_told() {
    let cluster = Cluster::start();
    let admin = cluster.admin();
    for (minutes, too_late) in [("59", false), ("60", true), ("90", true), ("5", false)] {
        let wish = json!({
            "enable-cache": "true", "enable-proactive": "true", "minimum-fetch-interval": minutes,
        });
        let reply = admin.call(UPDATE, wish);
        assert_eq!((reply.status, reply.json()), (201, json!({"updated": true})));
        let warning = reply.header("keysherd-warning").unwrap_or_default();
        assert_eq!(warning.contains("cache_ttl_seconds_max"), too_late, "{minutes}: {warning}");
        assert_eq!(cache(&admin)["ahead_too_late"], too_late, "{minutes}");
        let is_said = || cluster.gateway.running().err().contains("nothing is read ahead");
        if too_late {
            wait_until("the log to say so", is_said);
        }
        assert!(too_late || minutes != "59" || !is_said());
    }
}
