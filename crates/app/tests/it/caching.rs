//! Gateways that answer reads by themselves: what changes elsewhere is in force within a moment,
//! what changes here at once; every answer is in the audit log, whoever is killed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::kit::{
    Api, Cluster, ClusterWish, Http, LONG, Needles, Node, Person, Reply, Site, in_full, rule_args,
    wait_for, wait_until,
};

/// Two gateways with caches, and the same administrator at both.
struct Pair {
    cluster: Cluster,
    second: Node,
    here: Api,
    there: Api,
}

impl Pair {
    fn start() -> Self {
        let gateway = vec!["--cache".to_owned()];
        let mut cluster =
            Cluster::start_with(&ClusterWish { gateway, wires: true, ..Default::default() });
        let mut second = cluster.stranger("gateway", "gateway-2", &["--cache"]);
        second.start(&cluster.site);
        let spki = second.printed_key("identity").spki_sha256();
        cluster.change_bundle(|bundle| bundle.clusters[0].instances.push(spki));
        let here = cluster.admin();
        let http = Arc::new(Http::new(&second.address, &second.data.join("tls/ca.pem")));
        let there = Api::new(http).with_token(here.token());
        // A write there takes all managers, who have the bundle then.
        wait_until("the second gateway to be in the bundle", || there.try_store("/warm/up", "1"));
        Self { cluster, second, here, there }
    }

    /// A person at the second gateway.
    fn over_there(&self, person: &Person) -> Api {
        self.there.with_token(person.api.token())
    }
}

pub(crate) fn hits(api: &Api) -> u64 {
    let status = api.http().get("/status").unwrap().json();
    status["gateway"]["cache"]["hits"].as_u64().unwrap_or_else(|| panic!("{status}"))
}

pub(crate) fn get(api: &Api, name: &str) -> Reply {
    api.call("get-secret-value", json!({"names": [name]}))
}

/// Reads until the gateway answers by itself.
pub(crate) fn until_kept(api: &Api, name: &str) {
    wait_until("an answer without control", || {
        let before = hits(api);
        api.read(name);
        hits(api) > before
    });
}

/// Several beats of the questions to control.
const SETTLED: Duration = Duration::from_secs(3);

/// Reads these, which `people` may, until nothing that control has yet to tell of changes from
/// before ends what is kept. One gateway answers all of it.
pub(crate) fn until_settled(people: &[&Api], names: &[&str]) {
    let mut since = Instant::now();
    let all = (people.len() * names.len()) as u64;
    wait_until("nothing to end any more", || {
        let before = hits(people[0]);
        for (api, name) in people.iter().flat_map(|api| names.iter().map(move |name| (api, name))) {
            assert_eq!(get(api, name).status, 200);
        }
        if hits(people[0]) - before < all {
            since = Instant::now();
        }
        since.elapsed() > SETTLED
    });
}

/// Reads until the answer is not the old one any more; how long that took.
pub(crate) fn until_changed(api: &Api, name: &str, old: &str) -> Duration {
    let begun = Instant::now();
    loop {
        let reply = get(api, name);
        let is_old = reply.status == 200 && reply.json()[name] == old;
        if !is_old {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < LONG, "the old value is served on");
    }
}

#[test]
fn what_changes_at_one_gateway_is_in_force_there_at_once_and_at_others_in_a_moment() {
    let pair = Pair::start();
    let Pair { here, there, .. } = &pair;
    here.store("/team/db", "0");
    let rounds = if in_full() { 100 } else { 12 };
    let mut took = Vec::new();
    for round in 1..=rounds {
        until_kept(here, "/team/db");
        until_kept(there, "/team/db");
        let (old, new) = ((round - 1).to_string(), round.to_string());
        here.overwrite("/team/db", &new);
        assert_eq!(here.read("/team/db"), new, "read here after it was written here");
        took.push(until_changed(there, "/team/db", &old));
        assert_eq!(there.read("/team/db"), new);
    }
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_micros();
    println!("a changed value elsewhere, in us: p50 {}, p90 {}, max {}", at(50), at(90), at(100));
    // Rights and tokens are ended as fast.
    let role = "/people/dev";
    let person = here.person_who_may(role, &[("item-rule", "/team/*", "read,list")]);
    let elsewhere = pair.over_there(&person);
    until_kept(&person.api, "/team/db");
    until_kept(&elsewhere, "/team/db");
    here.ok("set-role-rule", rule_args(role, ("item-rule", "/team/*", "list")));
    assert_eq!(get(&person.api, "/team/db").status, 401);
    let newest = rounds.to_string();
    println!("a changed role elsewhere: {:?}", until_changed(&elsewhere, "/team/db", &newest));
    assert_eq!(get(&elsewhere, "/team/db").status, 401);
    here.ok("set-role-rule", rule_args(role, ("item-rule", "/team/*", "read,list")));
    until_kept(&elsewhere, "/team/db");
    until_kept(&person.api, "/team/db");
    person.api.ok("revoke-creds", json!({}));
    assert_eq!(get(&person.api, "/team/db").status, 401);
    println!("a revoked token elsewhere: {:?}", until_changed(&elsewhere, "/team/db", &newest));
    assert_eq!(get(&elsewhere, "/team/db").status, 401);
    until_kept(there, "/team/db");
    until_kept(here, "/team/db");
    here.ok("delete-item", json!({"name": "/team/db"}));
    assert_eq!(get(here, "/team/db").status, 404);
    println!("a deleted item elsewhere: {:?}", until_changed(there, "/team/db", &newest));
    assert_eq!(get(there, "/team/db").status, 404);
}

/// Whoever holds another address or another token is not answered with what is kept for somebody
/// else, and nothing is answered for a token that has ended.
#[test]
fn what_is_kept_is_for_the_one_it_was_decided_for() {
    let pair = Pair::start();
    let here = &pair.here;
    here.store("/team/db", "for some");
    let may = here.person_who_may("/people/may", &[("item-rule", "/team/*", "read")]);
    let may_not = here.person_who_may("/people/may-not", &[("item-rule", "/other/*", "read")]);
    until_kept(&may.api, "/team/db");
    assert_eq!(get(&may_not.api, "/team/db").status, 401);
    assert_eq!(get(&here.with_token("t-0123456789abcdef"), "/team/db").status, 401);
    // Its access ends while it is kept.
    let soon = here.new_person_until_soon("/people/soon");
    here.associate("/people/may", &soon);
    let began = Instant::now();
    let mut answered = 0;
    wait_until("the end of a token", || {
        let reply = get(&soon.api, "/team/db");
        answered += u32::from(reply.status == 200);
        reply.status == 401
    });
    println!("{answered} answers in {:?}, then none", began.elapsed());
    for _ in 0..20 {
        assert_eq!(get(&soon.api, "/team/db").status, 401);
    }
}

#[test]
fn without_control_nothing_is_answered_once_the_lease_is_over() {
    let mut pair = Pair::start();
    pair.here.store("/team/db", "a value");
    until_kept(&pair.here, "/team/db");
    pair.cluster.control.running().signal(Signal::STOP);
    let stopped = Instant::now();
    let coherent = |api: &Api| {
        let status = api.http().get("/status").unwrap().json();
        status["gateway"]["cache"]["coherent"].as_bool().unwrap()
    };
    wait_until("the lease to end", || !coherent(&pair.here));
    println!("the lease ended after {:?}", stopped.elapsed());
    let before = hits(&pair.here);
    pair.cluster.control.running().signal(Signal::CONT);
    assert_eq!(hits(&pair.here), before);
    until_kept(&pair.here, "/team/db");
    // Control that starts anew ends everything; then it goes on.
    pair.cluster.control.kill();
    wait_until("the lease to end", || !coherent(&pair.here));
    assert_eq!(get(&pair.here, "/team/db").status, 503);
    pair.cluster.control.start(&pair.cluster.site);
    wait_until("control to answer", || get(&pair.here, "/team/db").status == 200);
    until_kept(&pair.here, "/team/db");
}

/// How often each request is in the audit log: from journals, and otherwise.
pub(crate) fn recorded(admin: &Api) -> BTreeMap<String, (usize, usize)> {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut page = String::new();
    loop {
        let mut search = json!({"action": "get_secret_value", "limit": 1000});
        if !page.is_empty() {
            search["pagination-token"] = page.into();
        }
        let found = admin.ok("audit-search", search);
        for record in found["records"].as_array().unwrap() {
            let request = record["request_id"].as_str().unwrap().to_owned();
            let count = counts.entry(request).or_default();
            match record["component"] == "gateway/cache" {
                true => count.0 += 1,
                false => count.1 += 1,
            }
        }
        page = found["next_page"].as_str().unwrap().to_owned();
        if page.is_empty() {
            return counts;
        }
    }
}

#[test]
fn every_answer_is_in_the_audit_log_when_the_gateway_or_control_is_killed() {
    let mut pair = Pair::start();
    pair.here.store("/team/canary", "a-value-that-nobody-else-has-4711");
    let mut acknowledged = Vec::new();
    let rounds = if in_full() { 12 } else { 3 };
    for round in 0..rounds {
        until_kept(&pair.here, "/team/canary");
        // Control stands still: what is answered now is in the journal only.
        pair.cluster.control.running().signal(Signal::STOP);
        let stopped = Instant::now();
        while stopped.elapsed() < Duration::from_millis(500) {
            let reply = get(&pair.here, "/team/canary");
            if reply.status == 200 {
                acknowledged.push(reply.request_id());
            }
        }
        pair.cluster.gateway.kill();
        if round % 2 == 1 {
            pair.cluster.control.kill();
            pair.cluster.control.start(&pair.cluster.site);
        } else {
            pair.cluster.control.running().signal(Signal::CONT);
        }
        let needles = Needles::of("value", b"a-value-that-nobody-else-has-4711")
            .and(Needles::of("path", b"/team/canary"))
            .and(Needles::of("token", pair.here.token().as_bytes()));
        let journal = pair.cluster.gateway.data.join("read-journal");
        assert_eq!(needles.found_below(&journal), Vec::<String>::new());
        pair.cluster.gateway.start(&pair.cluster.site);
        pair.cluster.wait_until_healthy();
        wait_until("reads to be answered", || get(&pair.here, "/team/canary").status == 200);
    }
    assert!(!acknowledged.is_empty());
    let counts = wait_for("the journals to be brought", || {
        let counts = recorded(&pair.there);
        acknowledged.iter().all(|request| counts.contains_key(request)).then_some(counts)
    });
    for (request, (journaled, asked)) in &counts {
        assert!(*journaled <= 1, "request {request}: {journaled} journaled, {asked} asked");
    }
    println!("{} reads were answered and recorded", acknowledged.len());
    pair.second.stop();
    pair.cluster.gateway.stop();
    pair.cluster.control.stop();
    pair.cluster.audit(&["verify"]).expect(0);
}

#[test]
fn what_a_policy_allows_is_read_while_control_is_gone_and_nothing_else() {
    let mut pair = Pair::start();
    let here = pair.here.clone();
    here.store("/shop/db", "a value");
    here.store("/other/db", "another value");
    let shop = here.person_who_may("/people/shop", &[("item-rule", "/*", "read")]);
    let none = here.person_who_may("/people/none", &[("item-rule", "/*", "read")]);
    let policy = json!({"access-id": shop.access_id, "max-minutes": 10, "path": ["/shop/*"]});
    here.ok("gateway-update-offline-policy", policy);
    let shown = here.ok("gateway-get-offline-policy", json!({}));
    let wanted = json!([{"access_id": shop.access_id, "max_minutes": 10, "paths": ["/shop/*"]}]);
    assert_eq!(shown["policies"], wanted);
    for api in [&shop.api, &none.api] {
        until_kept(api, "/shop/db");
        until_kept(api, "/other/db");
    }
    until_settled(&[&shop.api, &none.api], &["/shop/db", "/other/db"]);
    pair.cluster.control.kill();
    wait_until("control to be missed", || get(&none.api, "/shop/db").status == 503);
    let mut read = Vec::new();
    for _ in 0..20 {
        let reply = get(&shop.api, "/shop/db");
        assert_eq!((reply.status, &reply.json()["/shop/db"]), (200, &json!("a value")));
        read.push(reply.request_id());
        assert_eq!(get(&shop.api, "/other/db").status, 503);
        assert_eq!(get(&none.api, "/shop/db").status, 503);
    }
    // Killed before control is back, too.
    pair.cluster.gateway.kill();
    pair.cluster.control.start(&pair.cluster.site);
    pair.cluster.gateway.start(&pair.cluster.site);
    pair.cluster.wait_until_healthy();
    // The other gateway's link comes back by itself as well.
    wait_until("the other gateway to reach control", || {
        pair.there.call("audit-search", json!({"limit": 1})).is_success()
    });
    wait_until("the reads to be in the audit log", || {
        let counts = recorded(&pair.there);
        read.iter().all(|request| counts.get(request).is_some_and(|(journaled, _)| *journaled == 1))
    });
    let search = json!({"action": "get_secret_value", "limit": 1000});
    let found = pair.there.ok("audit-search", search);
    let records = found["records"].as_array().unwrap().iter();
    let offline = records.filter(|record| record["request_parameters"]["offline"] == "true");
    assert_eq!(offline.count(), read.len());
    let takes = json!({"access-id": shop.access_id, "max-minutes": 0});
    wait_until("the policy to be taken away", || {
        here.call("gateway-update-offline-policy", takes.clone()).is_success()
    });
    let shown = here.ok("gateway-get-offline-policy", json!({}));
    assert_eq!(shown["policies"], json!([]));
}

#[test]
fn a_policy_is_for_a_method_of_the_account_and_goes_with_it() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let policy = |id: &str, minutes: u32| {
        let path = ["/shop/*"];
        json!({"access-id": id, "max-minutes": minutes, "path": path})
    };
    let shown = || admin.ok("gateway-get-offline-policy", json!({}))["policies"].take();
    // Made-up names would take the places of everybody's configurations.
    for id in ["p-aaaaaaaaaaaa", "p-0123456789ab"] {
        let text = admin.refused(400, "gateway-update-offline-policy", policy(id, 10));
        assert!(text.contains("no auth method"), "{text}");
    }
    assert_eq!(shown(), json!([]));
    let shop = admin.person_who_may("/people/shop", &[("item-rule", "/*", "read")]);
    admin.ok("gateway-update-offline-policy", policy(&shop.access_id, 10));
    assert_eq!(shown()[0]["access_id"], shop.access_id.as_str());
    admin.ok("auth-method-delete", json!({"name": "/people/shop"}));
    assert_eq!(shown(), json!([]));
    admin.refused(400, "gateway-update-offline-policy", policy(&shop.access_id, 10));
    admin.ok("gateway-update-offline-policy", policy(&shop.access_id, 0));
}
