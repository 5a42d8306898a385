//! A configuration that is made at one gateway is in force at every other one of the cluster, and
//! is lost by nobody.

use std::time::Instant;

use serde_json::json;

use super::{Identity, Pair};
use crate::kit::{Api, Cluster, Needles, random, wait_until};

const GET: &str = "gateway-get-k8s-auth-config";
const CREATE: &str = "gateway-create-k8s-auth-config";
const UPDATE: &str = "gateway-update-k8s-auth-config";

/// Whether the gateway that `api` asks has this address in a configuration.
fn has_host(api: &Api, name: &str, host: &str) -> bool {
    let reply = api.call(GET, json!({"name": name}));
    reply.status == 201 && reply.json()["k8s_host"] == host
}

#[test]
fn a_configuration_made_at_one_gateway_is_in_force_at_the_other_and_readable_by_neither_control() {
    let pair = Pair::start();
    let method = pair.here.ok("auth-method-create-k8s", json!({"name": "/k8s/prod"}));
    let canary = format!("canary{:016x}{:016x}", random(), random());
    let mut config = pair.config(&method, "prod", &canary);
    pair.here.ok(CREATE, config.clone());
    let host = "https://127.0.0.1:6443";
    let begin = Instant::now();
    wait_until("the other gateway to have it", || has_host(&pair.there, "prod", host));
    let first = begin.elapsed();
    // And the other way round, without the gateway that made it.
    config["k8s-host"] = "https://127.0.0.1:6444".into();
    config["new-name"] = "prod".into();
    pair.there.ok(UPDATE, config);
    let begin = Instant::now();
    wait_until("the first gateway to have it", || {
        has_host(&pair.here, "prod", "https://127.0.0.1:6444")
    });
    for took in [first, begin.elapsed()] {
        println!("a configuration was in force after {took:?}");
    }
    let signing_key = method["prv_key"].as_str().unwrap();
    let needles = Needles::of("the reviewer's token", canary.as_bytes())
        .and(Needles::of("the signing key", signing_key.as_bytes()));
    for node in pair.cluster.blind() {
        assert_eq!(needles.found_below(&node.data), Vec::<String>::new());
    }
    // It was the cluster's secret from the first moment: this gateway's files do not have it.
    assert_eq!(needles.found_below(&pair.cluster.gateway.data), Vec::<String>::new());
    pair.there.ok("gateway-delete-k8s-auth-config", json!({"name": "prod"}));
    wait_until("the first gateway to forget it", || {
        pair.here.call(GET, json!({"name": "prod"})).status == 404
    });
    // Each change and each reading is the gateways' own, and in the log.
    for action in ["update_gateway_config", "get_gateway_config"] {
        let found = pair.here.ok("audit-search", json!({"action": action}));
        assert!(!found["records"].as_array().unwrap().is_empty(), "{action}: {found}");
    }
}

#[test]
fn changes_at_two_gateways_at_one_time_lose_nothing() {
    let Pair { mut cluster, mut second, here, there, .. } = Pair::start();
    let method = here.ok("auth-method-create-k8s", json!({"name": "/k8s/prod"}));
    let config = |name: &str| {
        json!({
            "name": name, "access-id": method["access_id"], "signing-key": method["prv_key"],
            "k8s-host": "https://127.0.0.1:6443",
        })
    };
    // Of different configurations, none is lost, and nobody is told of a conflict.
    const ROUNDS: usize = 6;
    let make = |api: &Api, side: &str| {
        for round in 0..ROUNDS {
            api.ok(CREATE, config(&format!("{side}-{round}")));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| make(&here, "here"));
        scope.spawn(|| make(&there, "there"));
    });
    // Of one and the same, the second is told, or comes after the first: never a mixture.
    let change = |api: &Api, host: &str| {
        let mut config = config("here-0");
        config["k8s-host"] = host.into();
        config["new-name"] = "here-0".into();
        wait_until("the gateway to have it", || {
            api.call(GET, json!({"name": "here-0"})).status == 201
        });
        api.call(UPDATE, config).status
    };
    let (one, other) = ("https://127.0.0.1:1001", "https://127.0.0.1:1002");
    let (first, second_status) = std::thread::scope(|scope| {
        let first = scope.spawn(|| change(&here, one));
        let second = scope.spawn(|| change(&there, other));
        (first.join().unwrap(), second.join().unwrap())
    });
    let told = [first, second_status];
    assert!(told.iter().all(|status| [201, 409].contains(status)), "{told:?}");
    assert!(told.contains(&201), "{told:?}");
    // Both sides survive both gateways.
    for node in [&mut cluster.gateway, &mut second] {
        node.kill();
        node.start(&cluster.site);
    }
    let everything = |api: &Api| {
        let there = |side: &str, round: usize| {
            api.call(GET, json!({"name": format!("{side}-{round}")})).status == 201
        };
        (0..ROUNDS).all(|round| there("here", round) && there("there", round))
    };
    for api in [&here, &there] {
        wait_until("everything to be there", || everything(api));
    }
    assert!(has_host(&here, "here-0", one) || has_host(&here, "here-0", other));
    cluster.control.stop();
    cluster.audit(&["verify"]).expect(0);
}

#[test]
fn what_was_acknowledged_outlives_everybody_who_knew_it() {
    let Pair { mut cluster, mut second, here, there, .. } = Pair::start();
    let made = here.ok("auth-method-create-ldap", json!({"name": "/ldap/people"}));
    let mut config = json!({
        "access-id": made["access_id"], "signing-key-data": made["prv_key"],
        "ldap-url": "ldaps://127.0.0.1:6360", "user-dn": "ou=people,dc=example",
    });
    const UPDATE: &str = "gateway-update-ldap-auth-config";
    const SHOW: &str = "gateway-get-ldap-auth-config";
    here.ok(UPDATE, config.clone());
    let url = |api: &Api| {
        let reply = api.call(SHOW, json!({}));
        (reply.status == 201).then(|| reply.json()["ldap_url"].as_str().unwrap().to_owned())
    };
    for round in 0..3 {
        let wanted = format!("ldaps://127.0.0.1:{}", 6_361 + round);
        wait_until("the first gateway to know the last change", || url(&here).is_some());
        config["ldap-url"] = wanted.as_str().into();
        here.ok(UPDATE, config.clone());
        // At once after the answer.
        cluster.gateway.kill();
        cluster.control.kill();
        second.kill();
        cluster.control.start(&cluster.site);
        second.start(&cluster.site);
        wait_until("the other gateway to have it", || url(&there).as_ref() == Some(&wanted));
        cluster.gateway.start(&cluster.site);
        wait_until("the first gateway to have it", || url(&here).as_ref() == Some(&wanted));
    }
    cluster.control.stop();
    cluster.audit(&["verify"]).expect(0);
}

#[test]
fn a_gateway_that_joins_with_configurations_of_its_own_keeps_them() {
    let mut cluster = Cluster::start();
    let admin = cluster.admin();
    let method = admin.ok("auth-method-create-k8s", json!({"name": "/k8s/prod"}));
    let (one, other) = ("https://127.0.0.1:1001", "https://127.0.0.1:1002");
    let config = |name: &str, host: &str| {
        json!({
            "name": name, "new-name": name, "access-id": method["access_id"],
            "signing-key": method["prv_key"], "k8s-host": host,
        })
    };
    for name in ["changed", "kept", "taken"] {
        admin.ok(CREATE, config(name, one));
    }
    let identity = Identity::make(&admin);
    cluster.gateway.stop();
    identity.give(&mut cluster.gateway, &identity.access_key);
    cluster.gateway.start(&cluster.site);
    cluster.wait_until_healthy();
    let Pair { here, there, .. } = &Pair::of(cluster, &identity);
    // They are in force where they are, and nowhere else.
    for name in ["changed", "kept", "taken"] {
        assert!(has_host(here, name, one), "{name}");
        there.refused(404, GET, json!({"name": name}));
    }
    here.refused(409, CREATE, config("kept", other));
    // What is changed where it is becomes the cluster's.
    here.ok(UPDATE, config("changed", other));
    wait_until("the other gateway to have it", || has_host(there, "changed", other));
    // The cluster's is in force before one of the same name.
    there.ok(CREATE, config("taken", other));
    wait_until("the cluster's to be in force", || has_host(here, "taken", other));
    there.ok("gateway-delete-k8s-auth-config", json!({"name": "taken"}));
    // And for good: nobody wants the gateway's own any more.
    wait_until("the cluster's to be gone", || {
        here.call(GET, json!({"name": "taken"})).status == 404
    });
    assert!(has_host(here, "kept", one));
    here.ok("gateway-delete-k8s-auth-config", json!({"name": "kept"}));
    here.refused(404, GET, json!({"name": "kept"}));
}
