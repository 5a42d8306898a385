//! The audit log on its way to others: whatever happens, what arrives is what was recorded.

mod alone;
mod probing;
mod receivers;
mod syslog;

use std::collections::BTreeSet;
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::{
    Api, Asked, Person, Server, Site, Stub, json_answer, random, records, wait_for, wait_until,
};

/// What Splunk's collector says when all is well.
fn taken() -> (u16, Value) {
    (200, json!({"text": "Success", "code": 0}))
}

/// The numbers of the records that came, in order of their coming.
pub(crate) type Seen = Arc<Mutex<Vec<u64>>>;

/// The numbers in a request of the Splunk target, in JSON.
fn numbers(asked: &Asked) -> Vec<u64> {
    let text = String::from_utf8(asked.body.clone()).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.map(|event| event["event"]["seq_num"].as_u64().unwrap()).collect()
}

/// A Splunk collector that remembers which records came.
pub(crate) fn collector(seen: &Seen) -> Stub {
    let seen = seen.clone();
    Stub::json(move |asked| {
        seen.lock().unwrap().extend(numbers(asked));
        taken()
    })
}

/// The numbers in the audit log of the first account.
fn recorded(site: &Site, server: &Server) -> BTreeSet<u64> {
    let account = &server.bootstrap.account_id;
    let listed = records(site);
    let mine = listed.iter().filter(|record| record["account_id"] == *account);
    mine.map(|record| record["seq_num"].as_u64().unwrap()).collect()
}

/// Waits until what came is what is in the log; gives how often something came twice.
fn wait_for_all(site: &Site, server: &Server, seen: &Seen) -> usize {
    wait_for("the whole log to arrive", || {
        let came = seen.lock().unwrap().clone();
        let set: BTreeSet<u64> = came.iter().copied().collect();
        (set == recorded(site, server)).then_some(came.len() - set.len())
    })
}

struct Setting {
    site: Site,
    server: Server,
    admin: Api,
    reader: Person,
}

impl Setting {
    fn new() -> Self {
        Self::on(Site::new(), |site| site.start())
    }

    /// One whose gateway trusts what the stub's authority signed.
    fn trusting(ca_pem: &str) -> Self {
        Self::on(Site::new(), |site| {
            let data = site.data();
            std::fs::DirBuilder::new().mode(0o700).create(&data).unwrap();
            let file = data.join("receivers.pem");
            std::fs::write(&file, ca_pem).unwrap();
            let mut command = site.server(&data);
            command.env("SSL_CERT_FILE", &file);
            site.launch(command).ready()
        })
    }

    /// One whose operator lets logs be sent to the Internet only.
    fn public() -> Self {
        Self::on(Site::new(), |site| {
            let mut command = site.server(&site.data());
            command.env_remove("KEYSHERD_ALLOW_PRIVATE_RECEIVERS");
            site.launch(command).ready()
        })
    }

    fn on(site: Site, start: impl Fn(&Site) -> Server) -> Self {
        let server = start(&site);
        let admin = server.admin();
        let reader = reader(&admin, "/log/reader");
        let args = reading_as(&reader);
        admin.ok("gateway-update-log-reader", args);
        Self { site, server, admin, reader }
    }

    fn splunk(&self, stub: &Stub, mut more: Value) -> Value {
        for (name, value) in [
            ("splunk-url", stub.url.as_str()),
            ("splunk-token", "hec-canary-token"),
            ("tls-certificate", stub.ca_pem.as_str()),
            ("output-format", "json"),
            ("pull-interval", "1"),
        ] {
            if more[name].is_null() {
                more[name] = value.into();
            }
        }
        more
    }

    /// The state of the target with this name.
    fn state(&self, name: &str) -> Value {
        state(&self.admin, name)
    }
}

fn state(admin: &Api, name: &str) -> Value {
    let list = admin.ok("gateway-list-log-forwarding", json!({}));
    let mut found = list["forwarders"].as_array().cloned().unwrap_or_default();
    found.retain(|state| state["name"] == name);
    found.pop().unwrap_or_default()
}

/// One who may read the audit log and nothing else.
pub(crate) fn reader(admin: &Api, name: &str) -> Person {
    let person = admin.new_person(name);
    admin.ok("create-role", json!({"name": name, "audit-access": "all"}));
    admin.associate(name, &person);
    person
}

pub(crate) fn reading_as(person: &Person) -> Value {
    json!({"reader-access-id": person.access_id, "reader-access-key": person.access_key})
}

#[test]
fn every_record_arrives_and_secrets_are_not_shown() {
    let setting = Setting::new();
    let seen = Seen::default();
    let stub = collector(&seen);
    let Setting { site, server, admin, .. } = &setting;
    let more = json!({"index": "main", "source": "vault", "source-type": "audit"});
    admin.ok("gateway-update-log-forwarding-splunk", setting.splunk(&stub, more));
    admin.store("/team/a", "value-canary");
    assert_eq!(wait_for_all(site, server, &seen), 0, "nothing came twice");
    let asked = stub.asked();
    assert_eq!(asked[0].line, "POST /services/collector/event");
    assert_eq!(asked[0].header("authorization"), Some("Splunk hec-canary-token"));
    let first = String::from_utf8(asked[0].body.clone()).unwrap();
    let first: Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    assert_eq!((&first["index"], &first["source"]), (&json!("main"), &json!("vault")));
    assert_eq!(first["sourcetype"], "audit");
    assert_eq!(first["event"]["account_id"], server.bootstrap.account_id.as_str());
    let everything: Vec<u8> = asked.into_iter().flat_map(|asked| asked.body).collect();
    let everything = String::from_utf8(everything).unwrap();
    assert!(everything.contains("/team/a") && !everything.contains("canary"), "{everything}");

    let shown = admin.ok("gateway-get-log-forwarding", json!({}));
    assert_eq!(shown["target_log_type"], "splunk");
    assert_eq!((&shown["json_output"], &shown["logan_enable"]), (&json!(true), &json!(true)));
    assert_eq!(shown["pull_interval_sec"], "1");
    assert_eq!(shown["splunk_config"]["splunk_index"], "main");
    let status = server.http.get("/status").unwrap().json();
    assert_eq!(status["gateway"]["log_targets"][0]["target"], "splunk");
    for text in [shown.to_string(), setting.state("").to_string(), status.to_string()] {
        assert!(!text.contains("canary"), "{text}");
    }
    // What is not given stays; "use-existing" is what clients send for that.
    let args = json!({"index": "other", "source": "use-existing", "pull-interval": 1});
    admin.ok("gateway-update-log-forwarding-splunk", args);
    let shown = admin.ok("gateway-get-log-forwarding", json!({}));
    assert_eq!(shown["splunk_config"]["splunk_source"], "vault");
    assert_eq!(shown["splunk_config"]["splunk_index"], "other");
    // A change that cannot be kept leaves the target at work; one of the place needs the token.
    let long = "x".repeat(24 * 1024);
    let too_much = json!({"source": long, "source-type": long});
    admin.refused(400, "gateway-update-log-forwarding-splunk", too_much);
    let elsewhere = json!({"splunk-url": "https://evil.example:8088"});
    let text = admin.refused(400, "gateway-update-log-forwarding-splunk", elsewhere);
    assert!(text.contains("splunk-token"), "{text}");
    admin.store("/team/b", "v");
    wait_for_all(site, server, &seen);
    assert_eq!(
        stub.asked().last().unwrap().header("authorization"),
        Some("Splunk hec-canary-token")
    );
    // Nobody reads on when nothing happens: reading is no news.
    let listed = recorded(site, server);
    wait_until("some more looks", || setting.state("")["newest"].as_u64() > listed.last().copied());
    // Switched off.
    admin.ok("gateway-update-log-forwarding-splunk", json!({"enable": "false"}));
    assert_eq!(admin.ok("gateway-get-log-forwarding", json!({}))["logan_enable"], false);
    admin.ok("gateway-delete-log-forwarding", json!({}));
    assert_eq!(admin.ok("gateway-get-log-forwarding", json!({})), json!({"logan_enable": false}));
    admin.refused(404, "gateway-delete-log-forwarding", json!({}));
    // What the gateway keeps is sealed.
    for name in ["configs", "forwarding"] {
        let dir = setting.site.data().join("gateway").join(name);
        for file in std::fs::read_dir(dir).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("canary") && !text.contains(&setting.reader.access_key));
        }
    }
}

#[test]
fn a_gateway_reads_the_log_as_nobody_who_may_do_something_else() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let splunk = json!({"splunk-url": "https://127.0.0.1:1", "splunk-token": "x"});
    let text = admin.refused(400, "gateway-update-log-forwarding-splunk", splunk.clone());
    assert!(text.contains("gateway-update-log-reader"), "{text}");
    let bootstrap = &server.bootstrap;
    let own = json!({
        "reader-access-id": bootstrap.access_id, "reader-access-key": bootstrap.access_key
    });
    let text = admin.refused(403, "gateway-update-log-reader", own);
    assert!(text.contains("administrator"), "{text}");
    let nobody = admin.new_person("/log/nobody");
    admin.refused(401, "gateway-update-log-reader", reading_as(&nobody));
    let good = reader(&admin, "/log/good");
    let mut wrong = reading_as(&good);
    wrong["reader-access-key"] = nobody.access_key.as_str().into();
    admin.refused(401, "gateway-update-log-reader", wrong.clone());
    wrong["reader-access-key"] = "no key".into();
    admin.refused(400, "gateway-update-log-reader", wrong);
    admin.ok("gateway-update-log-reader", reading_as(&good));
    let list = admin.ok("gateway-list-log-forwarding", json!({}));
    assert_eq!(list["reader_access_id"], good.access_id.as_str());
    admin.ok("gateway-update-log-forwarding-splunk", splunk);
    // One who may do more is taken, with a warning.
    admin.ok(
        "set-role-rule",
        json!({
            "role-name": "/log/good", "rule-type": "item-rule", "path": "/*", "capability": ["read"]
        }),
    );
    let reply = admin.call("gateway-update-log-reader", reading_as(&good));
    assert!(reply.header("keysherd-warning").is_some_and(|text| text.contains("may do more")));
    // Whoever is no administrator changes nothing.
    for command in ["gateway-update-log-reader", "gateway-update-log-forwarding-stdout"] {
        good.api.refused(401, command, reading_as(&good));
    }
    for (field, value) in [
        ("splunk-url", json!("http://logs.example:8088")),
        ("splunk-url", json!("https://user:pw@logs.example")),
        ("splunk-url", json!("ftp://logs.example")),
        ("pull-interval", json!(0)),
        ("pull-interval", json!(4_000)),
        ("output-format", json!("xml")),
        ("tls-certificate", json!("no certificate")),
        ("forwarder-name", json!("../x")),
        ("from-record", json!(0)),
        ("filter-status", json!("good")),
        ("filter-access-id", json!("someone")),
        ("splunk-token", json!("a\nb")),
    ] {
        let mut args = json!({"splunk-token": "another"});
        args[field] = value;
        let text = admin.refused(400, "gateway-update-log-forwarding-splunk", args);
        assert!(text.contains(field) || field == "filter-status", "{field}: {text}");
    }
}

#[test]
fn what_one_target_does_is_nothing_to_the_others_and_nothing_is_lost() {
    let setting = Setting::new();
    let Setting { site, server, admin, .. } = &setting;
    let (well, bad) = (Seen::default(), Seen::default());
    let (good, stub) = (collector(&well), collector(&bad));
    type Behaviour = fn() -> (u16, Value);
    let behaviours: [(&str, Behaviour); 5] = [
        ("status 503", || (503, json!({}))),
        ("status 429", || (429, json!({"text": "Too many requests", "code": 9}))),
        ("status 403", || (403, json!({"text": "Invalid token", "code": 4}))),
        ("not that of a Splunk", || (200, json!({"code": 8}))),
        ("status 302", || (302, json!({}))),
    ];
    let target = |stub: &Stub, name: &str| setting.splunk(stub, json!({"forwarder-name": name}));
    admin.ok("gateway-update-log-forwarding-splunk", target(&good, "good"));
    stub.answer(json_answer(|_| (503, json!({}))));
    admin.ok("gateway-update-log-forwarding-splunk", target(&stub, "bad"));
    for (told, behaviour) in behaviours {
        stub.answer(json_answer(move |_| behaviour()));
        let before = well.lock().unwrap().len();
        admin.store(&format!("/team/{before}"), "v");
        wait_until("the other target to go on", || well.lock().unwrap().len() > before);
        wait_until(told, || {
            let state = setting.state("bad");
            // A wait of minutes follows a refusal; whoever mends something need not wait.
            admin.ok("gateway-update-log-forwarding-splunk", target(&stub, "bad"));
            state["trouble"].as_str().is_some_and(|text| text.contains(told))
        });
    }
    assert!(bad.lock().unwrap().is_empty());
    let (remembered, taking) = (bad.clone(), json_answer(|_| taken()));
    stub.answer(move |asked| {
        remembered.lock().unwrap().extend(numbers(asked));
        taking(asked)
    });
    admin.ok("gateway-update-log-forwarding-splunk", target(&stub, "bad"));
    wait_for_all(site, server, &bad);
    wait_for_all(site, server, &well);
    wait_until("the gateway to know that all is there", || {
        let state = setting.state("bad");
        state["lag"] == 0 && state["trouble"].is_null()
    });
    // A target of which nobody is left: it is noticed, and the others go on.
    drop(stub);
    admin.store("/team/last", "v");
    wait_until("the end to be noticed", || {
        setting.state("bad")["trouble"].as_str().is_some_and(|text| text.contains("not answer"))
    });
    wait_for_all(site, server, &well);
}

#[test]
fn a_target_gets_what_its_filter_says() {
    let setting = Setting::new();
    let Setting { admin, .. } = &setting;
    admin.store("/team/a", "v");
    admin.store("/other/b", "v");
    admin.read("/team/a");
    admin.refused(404, "describe-item", json!({"name": "/team/missing"}));
    let filters = [
        ("action", json!({"filter-action": "get_secret_value"})),
        ("folder", json!({"filter-folder": "/team"})),
        ("failed", json!({"filter-status": "failed"})),
        ("who", json!({"filter-access-id": setting.reader.access_id})),
    ];
    let stubs: Vec<_> = filters
        .into_iter()
        .map(|(name, mut filter)| {
            let stub = Stub::json(|_| taken());
            filter["forwarder-name"] = name.into();
            admin.ok("gateway-update-log-forwarding-splunk", setting.splunk(&stub, filter));
            (name, stub)
        })
        .collect();
    for (name, stub) in stubs {
        wait_until("it to catch up", || {
            let state = setting.state(name);
            state["lag"] == 0 && state["delivered"].as_u64() > Some(5)
        });
        let bodies: Vec<u8> = stub.asked().into_iter().flat_map(|asked| asked.body).collect();
        let text = String::from_utf8(bodies).unwrap();
        assert!(!text.is_empty(), "{name}");
        for line in text.lines() {
            let event = serde_json::from_str::<Value>(line).unwrap()["event"].take();
            let fits = match name {
                "action" => event["action"] == "get_secret_value",
                "folder" => event["request_parameters"].to_string().contains("/team/"),
                "failed" => event["status"] != 200,
                _ => event["access_id"] == setting.reader.access_id.as_str(),
            };
            assert!(fits, "{name}: {event}");
        }
    }
}

#[test]
fn killed_under_load_every_record_arrives() {
    let setting = Setting::new();
    let seen = Seen::default();
    let stub = collector(&seen);
    setting.admin.ok("gateway-update-log-forwarding-splunk", setting.splunk(&stub, json!({})));
    let Setting { site, mut server, admin, .. } = setting;
    let token = admin.token().to_owned();
    for round in 0..6_u32 {
        let (http, before) = (server.http.clone(), seen.lock().unwrap().len());
        let token = &token;
        std::thread::scope(|scope| {
            let load = scope.spawn(move || {
                let mut connection = http.connect().unwrap();
                let args = json!({"name": format!("/load/{round}"), "token": token});
                let args = args.to_string();
                // Until the server is gone.
                while connection.post("/describe-item", &[], args.as_bytes()).is_ok() {}
            });
            wait_until("some of it to arrive", || seen.lock().unwrap().len() > before + 20);
            // Somewhere in what follows.
            std::thread::park_timeout(Duration::from_millis(random() % 1_500));
            server.process.kill();
            load.join().unwrap();
        });
        server = site.start();
    }
    let twice = wait_for_all(&site, &server, &seen);
    let all = seen.lock().unwrap().len();
    eprintln!("{all} records came, {twice} of them a second time");
    assert!(all > 100);
}
