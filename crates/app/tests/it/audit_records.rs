//! One record per request: whatever it asked for, and whatever came of it. More only where more
//! happened: every use of a key that was granted is on record, also when the answer failed later.

use serde_json::{Value, json};

use crate::kit::{Api, Reply, Server, Site, commands, records, records_of};
use crate::walk::{OPEN, Objects, arguments, who_may};

/// A request, with what it is called when its records are wrong.
struct Sent {
    what: String,
    reply: Reply,
    /// Records of success it has besides the one with its result.
    more: usize,
    /// Whether it looks again and again whether what it began is done, which is recorded each time.
    looks: bool,
}

#[derive(Default)]
struct Requests(Vec<Sent>);

impl Requests {
    fn send(&mut self, what: &str, api: &Api, command: &str, args: Value) {
        self.keep(format!("{command}: {what}"), api.call(command, args));
    }

    fn keep(&mut self, what: String, reply: Reply) {
        self.0.push(Sent { what, reply, more: 0, looks: false });
    }

    /// The last request did `more` before its result.
    fn after(&mut self, more: usize) {
        self.0.last_mut().unwrap().more = more;
    }

    /// The last request looks again and again.
    fn looking(&mut self, looks: bool) {
        self.0.last_mut().unwrap().looks = looks;
    }

    /// Demands exactly one record of each, with the result it had, after those of what it did.
    #[track_caller]
    fn have_their_records(&self, site: &Site) {
        let all = records(site);
        let mut wrong = Vec::new();
        for Sent { what, reply, more, looks } in &self.0 {
            let mut found = records_of(&all, &reply.request_id());
            found.retain(|record| !looks || record["action"] != "list_temporary_credentials");
            let brief = |record: &&Value| {
                format!("{} {} {}", record["action"], record["status"], record["error"])
            };
            let told = found.len() == more + 1
                && found[..*more].iter().all(|record| record["status"] == 200)
                && tells_the_result(found[*more], reply);
            if !told {
                let found: Vec<_> = found.iter().map(brief).collect();
                wrong.push(format!("{what} ({}, {more} more): {found:?}", reply.status));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

/// Success is 200 in records, whatever 2xx the answer has.
fn tells_the_result(record: &Value, reply: &Reply) -> bool {
    let status = if reply.is_success() { 200 } else { reply.status };
    record["status"] == status && record["error"].is_null() == reply.is_success()
}

#[test]
fn every_command_under_every_name_writes_one_record() {
    let site = Site::new();
    let list: Vec<_> = commands(&site.home());
    let list: Vec<_> = list.into_iter().filter(|s| !OPEN.contains(&s.name.as_str())).collect();
    let server = site.start();
    // Once: wrong passwords and codes of the commands below lock the owner's sign-in.
    let (admin, owner) = (server.admin(), server.owner());
    let objects = Objects::make(&server, &admin, &list);
    let roleless = admin.new_person("/walkers/roleless");
    let mut requests = Requests::default();
    for spec in &list {
        for (name, _) in spec.names() {
            let args = arguments(spec, name, &objects);
            let nobody = roleless.api.login(&roleless.access_id, &roleless.access_key);
            requests.send("by one without a role", &nobody, name, args.clone());
            let caller = who_may(&owner, &server, &admin, name);
            requests.send("by one who may", &caller, name, args);
            requests.after(records_before_the_result(name));
            requests
                .looking(name.ends_with("tmp-creds-delete") || name.contains("revoke-producer"));
        }
    }
    requests.have_their_records(&site);
    site.audit(&["verify"]).expect(0);
}

/// Records that a command makes, by this name, before the one with its result.
fn records_before_the_result(name: &str) -> usize {
    let is = |begin: &str, end: &str| name.starts_with(begin) && name.ends_with(end);
    match name {
        // A permit to write has a record of its own; rollback reads the old version besides.
        "rollback-secret" => 2,
        // It describes one item, and reads and writes two.
        "reencrypt" => 6,
        "create-secret" | "update-secret-val" => 1,
        // Settings are opened, or something is made with them, and then what they are of is told.
        "target-get-details"
        | "get-target-details"
        | "dynamic-secret-get"
        | "gateway-get-producer"
        | "dynamic-secret-get-value"
        | "get-dynamic-secret-value" => 1,
        _ if name.contains("tmp-creds") => 0,
        _ if name.starts_with("target-create-") || is("create-", "-target") => 1,
        _ if name.starts_with("target-update-") => 2,
        _ if is("update-", "-target") || is("update-", "-target-details") => 2,
        // It opens each of the clusters that were made for the walk.
        "kubeconfig-generate" => 6,
        // What was made or changed is shown with its settings. Some have no target.
        "dynamic-secret-create-custom"
        | "dynamic-secret-create-venafi"
        | "gateway-create-producer-certificate-automation"
        | "gateway-create-producer-custom"
        | "gateway-create-producer-chef" => 3,
        "dynamic-secret-update-custom"
        | "dynamic-secret-update-venafi"
        | "gateway-update-producer-certificate-automation"
        | "gateway-update-producer-custom"
        | "gateway-update-producer-chef" => 4,
        _ if is("dynamic-secret-create-", "") || is("gateway-create-producer-", "") => 4,
        _ if is("dynamic-secret-update-", "") || is("gateway-update-producer-", "") => 5,
        _ if is("rotated-secret-create-", "") || name == "create-rotated-secret" => 2,
        _ if is("rotated-secret-update-", "") => 3,
        "update-rotated-secret" | "gateway-update-item" => 3,
        _ => 0,
    }
}

#[test]
fn bad_requests_with_a_good_token_write_one_record() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/db", "value");
    admin.ok("create-dfc-key", json!({"name": "/team/key", "alg": "AES256GCM"}));
    let mut requests = Requests::default();
    for (what, command, args) in [
        ("without a name", "create-secret", json!({})),
        ("a name that is an object", "create-secret", json!({"name": {}, "value": "v"})),
        ("a bad path", "create-secret", json!({"name": "/a//b", "value": "v"})),
        ("a bad format", "create-secret", json!({"name": "/a/b", "value": "v", "format": "json"})),
        ("a taken name", "create-secret", json!({"name": "/team/db", "value": "v"})),
        ("without names", "get-secret-value", json!({"names": []})),
        ("an unknown item", "get-secret-value", json!({"names": ["/team/none"]})),
        ("a bad version", "get-secret-value", json!({"names": ["/team/db"], "version": "x"})),
        ("an unknown version", "get-secret-value", json!({"names": ["/team/db"], "version": 9})),
        ("a key", "get-secret-value", json!({"names": ["/team/key"]})),
        (
            "a wrong last version",
            "update-secret-val",
            json!({"name": "/team/db", "value": "v", "last-version": 7}),
        ),
        ("an unknown item", "update-secret-val", json!({"name": "/team/none", "value": "v"})),
        ("a key", "update-secret-val", json!({"name": "/team/key", "value": "v"})),
        ("an unknown version", "rollback-secret", json!({"name": "/team/db", "old-version": 9})),
        ("an unknown item", "rollback-secret", json!({"name": "/team/none", "old-version": 1})),
        ("a bad algorithm", "create-dfc-key", json!({"name": "/team/k", "alg": "ROT13"})),
        ("a taken name", "create-dfc-key", json!({"name": "/team/key", "alg": "AES256GCM"})),
        ("a bad state", "set-item-state", json!({"name": "/team/db", "desired-state": "Odd"})),
        ("a bad token for pages", "list-items", json!({"pagination-token": "?"})),
        (
            "a bad rule type",
            "set-role-rule",
            json!({"role-name": "r", "path": "/*", "capability": ["read"], "rule-type": "odd"}),
        ),
        ("an unknown role", "get-role", json!({"name": "none"})),
        ("a bad setting", "update-account-settings", json!({"jwt-ttl-min": -1})),
        ("no new password", "change-admin-account-password", json!({"current-password": "x"})),
    ] {
        requests.send(what, &admin, command, args);
    }
    requests.have_their_records(&site);
}

#[test]
fn messages_that_do_not_open_are_recorded_as_granted_and_as_failed() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let mut requests = Requests::default();
    for algorithm in ["AES256GCM", "AES256SIV", "AES256CBC"] {
        let key = format!("/team/{algorithm}");
        admin.ok("create-dfc-key", json!({"name": key, "alg": algorithm}));
        let context = json!({"iv": "AAAAAAAAAAAAAAAAAAAAAA==", "a": "b"});
        let encrypt = json!({"key-name": key, "plaintext": "p", "encryption-context": context});
        let sealed = admin.ok("encrypt", encrypt)["result"].take();
        let decrypt = |context: Value| {
            let args = json!({"key-name": key, "ciphertext": sealed});
            with(args, "encryption-context", context)
        };
        requests.send("right", &admin, "decrypt", decrypt(context));
        requests.send("another context", &admin, "decrypt", decrypt(json!({"a": "c"})));
        requests.after(1);
        requests.send("no context", &admin, "decrypt", decrypt(Value::Null));
        requests.after(1);
        let other = if algorithm == "AES256GCM" { "/team/AES256GCM2" } else { "/team/AES256GCM" };
        if algorithm == "AES256GCM" {
            admin.ok("create-dfc-key", json!({"name": other, "alg": "AES128GCM"}));
        }
        let args = json!({"key-name": other, "ciphertext": sealed});
        requests.send("another key", &admin, "decrypt", args);
        // The window of a GCM message is known, so its key is asked for first.
        requests.after(if algorithm == "AES256GCM" { 2 } else { 1 });
        let args = json!({"key-name": key, "ciphertext": "AQAAAAEBAAAA"});
        requests.send("a stump", &admin, "decrypt", args);
        let args = json!({"key-name": key, "plaintext": "no iv"});
        requests.send(algorithm, &admin, "encrypt", args);
        requests.after(usize::from(algorithm == "AES256CBC"));
    }
    requests.have_their_records(&site);
}

fn with(mut args: Value, field: &str, value: Value) -> Value {
    args[field] = value;
    args
}

#[test]
fn a_batch_writes_one_record_for_each_key() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let ids: Vec<_> = ["/team/a", "/team/b", "/team/c"]
        .map(|key| {
            admin.ok("create-dfc-key", json!({"name": key, "alg": "AES128GCM"}));
            admin.describe(key)["item_id"].clone()
        })
        .into();
    let batch: Vec<_> = (0..9).map(|n| json!({"item_id": ids[n % 3], "data": "d"})).collect();
    let mut requests = Requests::default();
    let sealed = admin.call("encrypt-batch", json!(batch));
    let texts: Vec<String> =
        serde_json::from_str(sealed.json()["result"].as_str().unwrap()).unwrap();
    requests.keep("encrypt-batch".to_owned(), sealed);
    requests.after(2);
    let batch: Vec<_> = (0..9).map(|n| json!({"item_id": ids[n % 3], "data": texts[n]})).collect();
    requests.send("three keys", &admin, "decrypt-batch", json!(batch));
    requests.after(2);
    let mixed = json!([{"item_id": ids[0], "data": texts[0]}, {"item_id": 1, "data": texts[0]}]);
    requests.send("one of them fails", &admin, "decrypt-batch", mixed);
    requests.send("empty", &admin, "decrypt-batch", json!([]));
    requests.have_their_records(&site);
}

#[test]
fn reading_writes_one_record_whatever_is_cached() {
    for args in [&["--key-cache-seconds", "0"][..], &["--key-cache-seconds", "1"], &[]] {
        let site = Site::new();
        let server = site.start_with(args);
        let admin = server.admin();
        let mut requests = Requests::default();
        let names = ["/team/a", "/team/b"];
        for name in names {
            admin.store(name, "one");
            admin.add_version(name, "two");
        }
        for turn in 0..4 {
            let what = |read: &str| format!("{read}, turn {turn}, {args:?}");
            let mut read = |what: String, read: Value| {
                requests.send(&what, &admin, "get-secret-value", read);
            };
            read(what("newest"), json!({"names": ["/team/a"]}));
            read(what("two"), json!({ "names": names }));
            read(what("an old version"), json!({"names": ["/team/a"], "version": 1}));
            read(what("the last ones"), json!({"names": names, "version": -2}));
        }
        admin.overwrite("/team/a", "three");
        requests.send("after a change", &admin, "get-secret-value", json!({"names": ["/team/a"]}));
        requests.have_their_records(&site);
    }
}

#[test]
fn logins_are_recorded_with_the_method_they_name() {
    let site = Site::new();
    let server: Server = site.start();
    let admin = server.admin();
    let person = admin.new_person("/team/person");
    let nobody = server.nobody();
    let other_key = &server.bootstrap.access_key;
    let email = &server.bootstrap.owner_email;
    let good = json!({"access-id": person.access_id, "access-key": person.access_key});
    let mut requests = Requests::default();
    for (what, command, args) in [
        ("right", "auth", good.clone()),
        ("right", "configure", good),
        (
            "a key of another",
            "auth",
            json!({"access-id": person.access_id, "access-key": other_key}),
        ),
        (
            "a wrong password",
            "auth",
            json!({
            "access-type": "password", "admin-email": email, "admin-password": "not the one"}),
        ),
    ] {
        requests.send(what, &nobody, command, args);
    }
    requests.have_their_records(&site);
    let all = records(&site);
    let refused = &requests.0[2].reply;
    assert_eq!(records_of(&all, &refused.request_id())[0]["access_id"], person.access_id);
    // Of strangers nothing is known; they must not fill anybody's log.
    let before = records(&site).len();
    let unknown = json!({"access-id": "p-abcdefghijklmn", "access-key": other_key});
    nobody.refused(401, "auth", unknown);
    nobody.refused(401, "list-items", json!({}));
    assert_eq!(records(&site).len(), before);
}
