//! The audit log as a whole: what a record says, how it is listed, that it stays whole.

use std::collections::HashSet;

use serde_json::json;

use crate::kit::{Site, records, records_of, wait_until};
use crate::walk::foreign_account;

#[test]
fn a_record_says_who_did_what_to_what_with_what_result() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/db", "value");
    let path = "/v2/get-secret-value";
    let body = json!({"names": ["/team/db"], "token": admin.token()}).to_string();
    let headers = [("akeylessclienttype", "terraform"), ("X-Forwarded-For", "192.0.2.9")];
    let reply = server.http.post(path, &headers, body.as_bytes());
    assert!(reply.is_success());
    let all = records(&site);
    let record = records_of(&all, &reply.request_id())[0];
    let expected = json!({
        "account_id": server.bootstrap.account_id,
        "access_id": server.bootstrap.access_id,
        "access_type": "api_key",
        "unique_id": server.bootstrap.access_id,
        "command": "get-secret-value",
        "action": "get_secret_value",
        "item_type": "STATIC_SECRET",
        "status": 200,
        "client_type": "terraform",
        "remote_addr": "127.0.0.1",
        "product": "sm",
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(record[field.as_str()], *value, "{field} of {record}");
    }
    let params = record["request_parameters"].to_string();
    assert!(params.contains("/team/db"), "{params}");
    let micros = record["duration_us"].as_u64().unwrap();
    assert!(micros < 60_000_000, "{micros}");
    // The other end of the same request: a refusal says who and why.
    let person = admin.new_person("/team/person");
    let reply = person.api.call("delete-item", json!({"name": "/team/db"}));
    let all = records(&site);
    let record = records_of(&all, &reply.request_id())[0];
    assert_eq!(record["access_id"], person.access_id);
    assert_eq!((&record["status"], &record["error"]), (&json!(401), &json!("UnauthorizedAccess")));
    assert_eq!(record["action"], "delete_item");
}

#[test]
fn records_are_numbered_without_gaps_and_listed_in_order() {
    let site = Site::new();
    let foreign = foreign_account(&site);
    let server = site.start();
    let (one, two) = (server.bootstrap.account_id.clone(), foreign.account_id.clone());
    let admin = server.admin();
    let other = server.nobody().login(&foreign.access_id, &foreign.access_key);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (admin, other) = (admin.clone(), other.clone());
            scope.spawn(move || {
                for n in 0..25 {
                    admin.store(&format!("/t{thread}/{n}"), "v");
                    other.ok("list-items", json!({}));
                    admin.read(&format!("/t{thread}/{n}"));
                }
            });
        }
    });
    let all = records(&site);
    let ids: HashSet<_> = all.iter().map(|record| record["request_id"].to_string()).collect();
    for account in [&one, &two] {
        let of_account = all.iter().filter(|record| record["account_id"] == account.as_str());
        let of_account: Vec<_> = of_account.collect();
        assert!(of_account.len() > 100, "{} of {account}", of_account.len());
        let mut last = 0;
        for (number, record) in (1..).zip(&of_account) {
            assert_eq!(record["seq_num"], number, "{record}");
            let time = record["timestamp"].as_i64().unwrap();
            assert!(time >= last, "{record}");
            last = time;
        }
    }
    // The two records of making an account have no public request behind them, and a permit to
    // write has a record of its own.
    let permits = all.iter().filter(|r| r["action"] == "get_item_derivation_creds").count();
    let expected = all.len() - permits;
    assert!(ids.len() + 4 >= expected, "{} ids in {expected} records", ids.len());
}

#[test]
fn listing_obeys_its_flags_in_both_forms() {
    let site = Site::new();
    let foreign = foreign_account(&site);
    let server = site.start();
    let admin = server.admin();
    for n in 0..20 {
        admin.call("get-tags", json!({"name": format!("/a/\"odd\" name={n}")}));
    }
    let account = server.bootstrap.account_id.clone();
    let list = |args: &[&str]| -> Vec<String> {
        let args = [&["list", "--account", &account], args].concat();
        site.audit(&args).expect(0).out.lines().map(str::to_owned).collect()
    };
    let (text, json_lines) = (list(&[]), list(&["--json"]));
    assert_eq!(text.len(), json_lines.len());
    for (line, record) in text.iter().zip(&json_lines) {
        let record: serde_json::Value = serde_json::from_str(record).unwrap();
        let words: Vec<_> = line.split(' ').collect();
        let time: jiff::Timestamp = words[0].parse().unwrap();
        assert_eq!(time.as_second(), record["timestamp"].as_i64().unwrap() / 1000);
        assert_eq!(words[1], format!("seq_num={}", record["seq_num"]));
        let request = format!("request_id={}", record["request_id"].as_str().unwrap());
        assert!(line.ends_with(&request), "{line}");
    }
    assert!(text.iter().any(|line| line.contains(r#"\"odd\" name=3"#)), "{text:#?}");
    assert_eq!(list(&["--limit", "3"]), text[..3]);
    assert_eq!(list(&["--after", "5", "--limit", "2"]), text[5..7]);
    assert_eq!(list(&["--after", "100000"]), Vec::<String>::new());
    assert_eq!(list(&["--limit", "0"]), Vec::<String>::new());
    let whole = site.audit(&["list"]).expect(0).out;
    assert!(whole.contains(&account) && whole.contains(&foreign.account_id));
}

#[test]
fn the_chain_verifies_while_it_grows_and_after_restarts() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0..150 {
                admin.store(&format!("/a/{n}"), "v");
            }
            done.store(true, std::sync::atomic::Ordering::Release);
        });
        let mut verified = 0;
        wait_until("the writer to end", || {
            let ended = site.audit(&["verify"]).expect(0);
            assert!(ended.out.contains("none altered or missing"), "{}", ended.out);
            verified += 1;
            done.load(std::sync::atomic::Ordering::Acquire) && verified > 2
        });
        writer.join().unwrap();
    });
    server.process.kill();
    let server = site.start();
    server.admin().store("/b/1", "v");
    server.stop();
    let ended = site.audit(&["verify", "--json"]).expect(0);
    let verdict: serde_json::Value = serde_json::from_str(ended.out.trim()).unwrap();
    assert_eq!(verdict["ok"], true);
    assert_eq!(verdict["records"], records(&site).len(), "{verdict}");
}
