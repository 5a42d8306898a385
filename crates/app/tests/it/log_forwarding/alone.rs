//! A gateway that forwards and serves no secrets; and a control plane that was set back.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use super::{Seen, Setting, collector, reader, reading_as, state, taken};
use crate::kit::{Cluster, Stub, finish, records, wait_for, wait_until};

#[test]
fn a_log_forwarder_serves_no_secrets_and_forwards_all_the_same() {
    let mut cluster = Cluster::start();
    let admin = cluster.admin();
    admin.store("/team/a", "v");
    let person = reader(&admin, "/log/reader");
    admin.ok("gateway-update-log-reader", reading_as(&person));
    cluster.gateway.stop();
    cluster.gateway.take_args(&["--role", "log-forwarder"]);
    cluster.gateway.start(&cluster.site);
    cluster.wait_until_healthy();
    let seen = Seen::default();
    let stub = collector(&seen);
    let admin = cluster.admin();
    let args = json!({
        "splunk-url": stub.url, "splunk-token": "token", "tls-certificate": stub.ca_pem,
        "output-format": "json", "pull-interval": 1,
    });
    admin.ok("gateway-update-log-forwarding-splunk", args);
    for (command, args) in [
        ("get-secret-value", json!({"names": ["/team/a"]})),
        ("create-secret", json!({"name": "/team/b", "value": "v"})),
        ("describe-item", json!({"name": "/team/a"})),
        ("list-items", json!({})),
        ("encrypt", json!({"key-name": "/k", "plaintext": "x"})),
        ("audit-search", json!({})),
        ("create-role", json!({"name": "/r"})),
        ("auth-method-list", json!({})),
        ("gateway-update-ldap-auth-config", json!({})),
    ] {
        admin.refused(404, command, args);
    }
    let last = || state(&admin, "")["newest"].as_u64().unwrap_or_default();
    wait_until("all of it to arrive", || {
        let came: BTreeSet<u64> = seen.lock().unwrap().iter().copied().collect();
        last() > 10 && came.len() as u64 == last() && came.last() == Some(&last())
    });
    let status = cluster.status();
    assert_eq!(status["gateway"]["log_targets"][0]["target"], "splunk", "{status}");
}

#[test]
fn a_log_that_was_set_back_is_told_and_what_follows_is_sent() {
    let setting = Setting::new();
    let stub = Stub::json(|_| taken());
    let mut ids = BTreeSet::new();
    let mut collect = |stub: &Stub| -> BTreeSet<String> {
        for asked in stub.asked() {
            let text = String::from_utf8(asked.body).unwrap();
            for line in text.lines() {
                let event = serde_json::from_str::<Value>(line).unwrap()["event"].take();
                let id = |name: &str| event[name].to_string();
                ids.insert(format!("{} {}", id("seq_num"), id("request_id")));
            }
        }
        ids.clone()
    };
    setting.admin.ok("gateway-update-log-forwarding-splunk", setting.splunk(&stub, json!({})));
    setting.admin.store("/team/before", "v");
    wait_until("it to catch up", || {
        let state = setting.state("");
        state["lag"] == 0 && state["delivered"].as_u64() > Some(5)
    });
    let Setting { site, server, .. } = setting;
    server.stop();
    let (control, backup) = (site.data().join("control"), site.path("backup"));
    finish(Command::new("cp").arg("-a").arg(&control).arg(&backup), b"").expect(0);
    let server = site.start();
    let admin = server.admin();
    for number in 0..30 {
        admin.refused(404, "describe-item", json!({"name": format!("/lost/{number}")}));
    }
    wait_until("what will be lost to be sent", || {
        let state = state(&admin, "");
        state["lag"] == 0 && state["delivered"].as_u64() > Some(40)
    });
    server.stop();
    // The control plane is restored from the backup; what happened since never happened.
    std::fs::remove_dir_all(&control).unwrap();
    finish(Command::new("cp").arg("-a").arg(&backup).arg(&control), b"").expect(0);
    let server = site.start();
    let admin = server.admin();
    let found = wait_for("it to be told", || {
        let state = state(&admin, "");
        (state["findings"].as_u64() > Some(0)).then_some(state)
    });
    let told = found["finding"].as_str().unwrap();
    assert!(told.contains("sent"), "{told}");
    for number in 0..60 {
        admin.refused(404, "describe-item", json!({"name": format!("/after/{number}")}));
    }
    let account = server.bootstrap.account_id.clone();
    wait_until("the log as it is now to arrive", || {
        let came = collect(&stub);
        let listed = records(&site);
        let mine = listed.iter().filter(|record| record["account_id"] == *account);
        let mut all = mine.map(|record| format!("{} {}", record["seq_num"], record["request_id"]));
        all.all(|id| came.contains(&id))
    });
}
