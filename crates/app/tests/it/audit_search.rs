//! Searching the audit log of a running server: what is found, by whom, and after a crash.

use serde_json::{Value, json};

use crate::kit::{Api, Site, finish, keysherd, records, wait_until};

/// All pages of a search.
#[track_caller]
fn found(api: &Api, mut args: Value) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        let mut page = api.ok("audit-search", args.clone());
        all.append(page["records"].as_array_mut().unwrap());
        match page["next_page"].as_str().unwrap() {
            "" => return all,
            next => args["pagination-token"] = next.into(),
        }
    }
}

fn numbers(records: &[Value]) -> Vec<u64> {
    records.iter().map(|record| record["seq_num"].as_u64().unwrap()).collect()
}

#[test]
fn searches_find_what_the_log_says() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/db/password", "v");
    admin.store("/team/mail", "v");
    let person = admin.person_who_may("/people/reader", &[("item-rule", "/team/*", "read")]);
    assert_eq!(person.api.read("/team/mail"), "v");
    person.api.refused(401, "get-secret-value", json!({"names": ["/other"]}));

    let by_item = found(&admin, json!({"item-name": "team/mail", "action": "get_secret_value"}));
    assert_eq!(by_item.len(), 1, "{by_item:#?}");
    let read = &by_item[0];
    assert_eq!(read["access_id"], person.access_id);
    assert_eq!((&read["status"], &read["command"]), (&json!(200), &json!("get-secret-value")));
    assert_eq!(read["request_parameters"]["item_name"], "/team/mail");
    assert_eq!(read["item_type"], "STATIC_SECRET");
    let failed = found(&admin, json!({"access-id": person.access_id, "status": "failed"}));
    assert_eq!(failed.len(), 1);
    assert_eq!(
        (&failed[0]["status"], &failed[0]["error"]),
        (&json!(401), &json!("UnauthorizedAccess"))
    );
    let below = found(&admin, json!({"folder": "/team/db", "order": "oldest"}));
    assert!(below.len() >= 2 && numbers(&below).is_sorted(), "{below:#?}");
    let time = read["timestamp"].as_str().unwrap();
    let since = found(&admin, json!({"from": time, "item-name": "/team/mail"}));
    assert!(numbers(&since).contains(&read["seq_num"].as_u64().unwrap()));
    assert!(found(&admin, json!({"to": "2001-01-01T00:00:00Z"})).is_empty());

    for bad in [
        json!({"from": "yesterday"}),
        json!({"from": 20, "to": 10}),
        json!({"status": "fine"}),
        json!({"status": 99}),
        json!({"limit": 0}),
        json!({"limit": 1001}),
        json!({"order": "sideways"}),
        json!({"item-name": "/a//b"}),
        json!({"pagination-token": "ap-00"}),
    ] {
        admin.refused(400, "audit-search", bad);
    }
    person.api.refused(401, "audit-search", json!({}));
}

#[test]
fn the_scopes_of_a_role_hold_in_searches() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/a", "v");
    admin.store("/other/b", "v");
    let person = |name: &str, scope: &str| {
        let person = admin.person_who_may(name, &[("item-rule", "/team/*", "read")]);
        let role = format!("{name}-audit");
        admin.ok("create-role", json!({"name": role, "audit-access": scope}));
        admin.associate(&role, &person);
        person.api.read("/team/a");
        person
    };
    let own = person("/people/own", "own");
    let scoped = person("/people/scoped", "scoped");
    let all = person("/people/all", "all");
    let whole = numbers(&found(&admin, json!({})));
    let sees = |api: &Api| found(api, json!({}));
    assert!(sees(&own.api).iter().all(|record| record["access_id"] == own.access_id));
    for record in sees(&scoped.api) {
        let named = record["request_parameters"]["item_name"].as_str();
        let visible = named.is_some_and(|path| path.starts_with("/team/"));
        assert!(record["access_id"] == scoped.access_id || visible, "{record:#}");
    }
    let others = json!({"item-name": "/team/a", "access-id": own.access_id});
    assert_eq!(found(&scoped.api, others.clone()).len(), 1);
    assert_eq!(found(&own.api, json!({"access-id": scoped.access_id})).len(), 0);
    let seen = numbers(&sees(&all.api));
    assert!(whole.iter().all(|seq| seen.contains(seq)));
}

#[test]
fn a_killed_server_loses_no_record_and_finds_all() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/a", "v");
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let admin = &admin;
            scope.spawn(move || {
                for n in 0..700 {
                    let name = format!("/team/{worker}/{n}");
                    admin.refused(404, "describe-item", json!({"name": name}));
                }
            });
        }
        // Into the middle of its work, whatever the indexer is at.
        wait_until("an index", || site.data().join("control/store/audit-index.db").exists());
    });
    server.process.kill();
    for _ in 0..2 {
        let server = site.start();
        let admin = server.admin();
        let found =
            numbers(&found(&admin, json!({"action": "get_item", "status": 404, "limit": 1000})));
        assert_eq!(found.len(), 2_800);
        let one = json!({"item-name": "/team/2/333"});
        assert_eq!(admin.ok("audit-search", one)["records"].as_array().unwrap().len(), 1);
        let mut listed: Vec<u64> = records(&site)
            .iter()
            .filter(|record| record["action"] == "get_item" && record["status"] == 404)
            .map(|record| record["seq_num"].as_u64().unwrap())
            .collect();
        listed.reverse();
        assert_eq!(found, listed);
        server.process.kill();
    }
    site.audit(&["verify"]).expect(0);
}

#[test]
fn the_command_line_shows_a_table() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/a", "v");
    let ca = site.data().join("tls/ca.pem");
    let mut command = keysherd(&site.home());
    command.args(["audit-search", "--item-name", "/team/a", "--action", "create_item"]);
    command.args(["--token", admin.token(), "--gateway-url", &server.url, "--ca-file"]).arg(ca);
    let shown = finish(&mut command, b"").expect(0).out;
    let mut lines = shown.lines();
    assert!(lines.next().unwrap().starts_with("TIME"), "{shown}");
    assert!(lines.next().unwrap().contains("create_item"), "{shown}");
}
