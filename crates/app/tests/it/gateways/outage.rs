//! Ten minutes without control, by the gateway's clock.

use serde_json::json;

use crate::caching::{get, recorded, until_settled};
use crate::kit::{Cluster, ClusterWish, wait_until};

const MINUTE: i64 = 60;

#[test]
fn for_ten_minutes_without_control_those_read_who_may_and_nobody_else() {
    let gateway = vec!["--cache".to_owned()];
    let mut cluster = Cluster::start_with(&ClusterWish { gateway, ..Default::default() });
    cluster.gateway.stop();
    cluster.gateway.take_clock();
    cluster.gateway.start(&cluster.site);
    cluster.wait_until_healthy();
    let admin = cluster.admin();
    admin.store("/shop/db", "a value");
    let [long, short, none] = ["/people/long", "/people/short", "/people/none"]
        .map(|name| admin.person_who_may(name, &[("item-rule", "/shop/*", "read")]));
    for (person, minutes) in [(&long, 30), (&short, 8)] {
        let allow = json!({
            "access-id": person.access_id, "max-minutes": minutes, "path": ["/shop/*"],
        });
        admin.ok("gateway-update-offline-policy", allow);
    }
    until_settled(&[&long, &short, &none].map(|person| &person.api), &["/shop/db"]);
    cluster.control.kill();
    wait_until("control to be missed", || get(&none.api, "/shop/db").status == 503);
    let mut offline = Vec::new();
    for (minutes, answers) in [(0, [200, 200, 503]), (4, [200, 200, 503]), (10, [200, 503, 503])] {
        cluster.gateway.set_clock(minutes * MINUTE);
        for (person, status) in [&long, &short, &none].into_iter().zip(answers) {
            let reply = get(&person.api, "/shop/db");
            assert_eq!(reply.status, status, "after {minutes} minutes: {}", reply.text());
            if status == 200 {
                assert_eq!(reply.json()["/shop/db"], "a value");
                offline.push(reply.request_id());
            }
        }
    }
    let insists = json!({"names": ["/shop/db"], "ignore-cache": "true"});
    long.api.refused(503, "get-secret-value", insists);
    admin.refused(503, "create-secret", json!({"name": "/shop/new", "value": "v"}));
    let login = json!({"access-id": long.access_id, "access-key": long.access_key});
    cluster.nobody().refused(503, "auth", login);
    assert_eq!(cluster.http.get("/status").unwrap().status, 200);
    // Half an hour is over some time.
    cluster.gateway.set_clock(31 * MINUTE);
    assert_eq!(get(&long.api, "/shop/db").status, 503);
    // A clock that says it is earlier than before is believed by nobody.
    cluster.gateway.set_clock(-MINUTE);
    assert_eq!(get(&long.api, "/shop/db").status, 503);
    cluster.gateway.set_clock(0);

    cluster.control.start(&cluster.site);
    wait_until("reads to be answered", || get(&none.api, "/shop/db").status == 200);
    admin.store("/shop/new", "v");
    wait_until("the reads to be in the audit log", || {
        let counts = recorded(&admin);
        offline.iter().all(|request| counts.get(request) == Some(&(1, 0)))
    });
    cluster.gateway.stop();
    cluster.control.stop();
    cluster.audit(&["verify"]).expect(0);
}
