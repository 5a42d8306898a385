//! Values of secrets through the API: versions, formats, passwords, many names, rolling back.

use serde_json::{Value, json};

use crate::kit::{Api, Site};

fn last_version(admin: &Api, name: &str) -> u64 {
    admin.describe(name)["last_version"].as_u64().unwrap()
}

/// Version numbers and states as `describe-item` shows them.
fn versions(admin: &Api, name: &str) -> Vec<(u64, String)> {
    let shown = admin.ok("describe-item", json!({"name": name, "show-versions": true}));
    let shown = shown["item_versions"].as_array().unwrap().iter();
    let mut versions: Vec<_> = shown
        .map(|version| {
            let state = version["item_version_state"].as_str().unwrap().to_owned();
            (version["version"].as_u64().unwrap(), state)
        })
        .collect();
    versions.sort();
    versions
}

fn numbers(admin: &Api, name: &str) -> Vec<u64> {
    versions(admin, name).into_iter().map(|(number, _)| number).collect()
}

#[test]
fn a_new_value_replaces_the_old_one_unless_that_is_kept() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let name = "/team/db";
    admin.store(name, "one");
    admin.overwrite(name, "uno");
    assert_eq!((last_version(&admin, name), admin.read(name)), (1, "uno".to_owned()));
    admin.add_version(name, "two");
    admin.add_version(name, "three");
    assert_eq!(numbers(&admin, name), [1, 2, 3]);
    admin.overwrite(name, "tres");
    assert_eq!((last_version(&admin, name), admin.read(name)), (3, "tres".to_owned()));
    assert_eq!(admin.read_version(name, 1), "uno");
    assert_eq!(admin.read_version(name, 2), "two");
    assert_eq!(admin.read_version(name, 3), "tres");
    assert_eq!(admin.read_version(name, 0), "tres");
    let never = json!({"name": name, "value": "x", "keep-prev-version": "false"});
    admin.ok("update-secret-val", never);
    assert_eq!(numbers(&admin, name), [1, 2, 3]);
    for version in [4, 5, 4_294_967_295_u64] {
        let args = json!({"names": [name], "version": version});
        admin.refused(404, "get-secret-value", args);
    }
}

#[test]
fn the_account_decides_about_versions_where_the_caller_does_not() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let name = "/team/db";
    admin.store(name, "1");
    admin.ok("update-account-settings", json!({"default-versioning": "true"}));
    admin.overwrite(name, "2");
    assert_eq!(last_version(&admin, name), 2);
    let not_kept = json!({"name": name, "value": "2b", "keep-prev-version": "false"});
    admin.ok("update-secret-val", not_kept.clone());
    assert_eq!(last_version(&admin, name), 2);
    admin.ok("update-account-settings", json!({"force-new-versions": true}));
    admin.ok("update-secret-val", not_kept);
    assert_eq!(last_version(&admin, name), 3);
    let off = json!({"default-versioning": "false", "force-new-versions": "false"});
    admin.ok("update-account-settings", off);
    admin.overwrite(name, "3b");
    assert_eq!(last_version(&admin, name), 3);
    let settings = admin.ok("get-account-settings", json!({}));
    assert_eq!(settings["object_version_settings"]["default-versioning"], false);
}

#[test]
fn the_longest_life_of_temporary_credentials_is_shown_as_it_was_set() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let shown = || admin.ok("get-account-settings", json!({}))["general_settings"].take();
    assert_eq!(shown().get("dynamic_secret_max_ttl"), None);
    let set = json!({"dynamic-secret-max-ttl": 90, "dynamic-secret-max-ttl-enable": "true"});
    admin.ok("update-account-settings", set);
    let expected = json!({"enable": true, "max_ttl_by_minutes": 90});
    assert_eq!(shown()["dynamic_secret_max_ttl"], expected);
    admin.ok("update-account-settings", json!({"dynamic-secret-max-ttl-enable": "false"}));
    assert_eq!(shown()["dynamic_secret_max_ttl"]["enable"], false);
}

#[test]
fn only_as_many_versions_are_kept_as_the_item_or_the_account_says() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let of_item = json!({"name": "/team/item", "value": "1", "max-versions": "3"});
    admin.ok("create-secret", of_item);
    let settings = json!({"item-type": "static-secret", "max-versions": "2"});
    admin.ok("update-account-settings", settings);
    admin.store("/team/account", "1");
    for value in 2..=6 {
        admin.add_version("/team/item", &value.to_string());
        admin.add_version("/team/account", &value.to_string());
    }
    assert_eq!(numbers(&admin, "/team/item"), [4, 5, 6]);
    assert_eq!(numbers(&admin, "/team/account"), [5, 6]);
    assert_eq!(admin.read_version("/team/item", 4), "4");
    let gone = json!({"names": ["/team/item"], "version": 1});
    admin.refused(404, "get-secret-value", gone);
    admin.ok("update-item", json!({"name": "/team/item", "max-versions": "2"}));
    admin.add_version("/team/item", "7");
    assert_eq!(numbers(&admin, "/team/item"), [6, 7]);
}

#[test]
fn the_last_versions_come_by_their_numbers() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let name = "/team/db";
    admin.store(name, "v1");
    for number in 2..=25 {
        admin.add_version(name, &format!("v{number}"));
    }
    assert_eq!(admin.read_version(name, -1), json!({"25": "v25"}));
    assert_eq!(admin.read_version(name, -3), json!({"23": "v23", "24": "v24", "25": "v25"}));
    // At most 20, whatever is asked for.
    let many = admin.read_version(name, -1_000);
    assert_eq!(many.as_object().unwrap().len(), 20, "{many}");
    assert!(many["6"] == "v6" && many.get("5").is_none());
    admin.ok("delete-item", json!({"name": name, "version": 24}));
    assert_eq!(admin.read_version(name, -2), json!({"23": "v23", "25": "v25"}));
    let both = json!({"names": [name, "team/db"], "version": -1});
    let both = admin.ok("get-secret-value", both);
    assert_eq!(both, json!({name: {"25": "v25"}, "team/db": {"25": "v25"}}));
}

#[test]
fn single_versions_can_be_deleted_and_disabled() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let name = "/team/db";
    admin.store(name, "one");
    for value in ["two", "three", "four"] {
        admin.add_version(name, value);
    }
    let deleted = admin.ok("delete-item", json!({"name": name, "version": 2}));
    assert_eq!((&deleted["version_deleted"], &deleted["item_name"]), (&json!(2), &json!(name)));
    assert_eq!((numbers(&admin, name), last_version(&admin, name)), (vec![1, 3, 4], 4));
    admin.refused(404, "get-secret-value", json!({"names": [name], "version": 2}));
    admin.refused(404, "delete-item", json!({"name": name, "version": 2}));
    let disable = json!({"name": name, "version": 3, "desired-state": "disabled"});
    admin.ok("set-item-state", disable);
    admin.refused(403, "get-secret-value", json!({"names": [name], "version": 3}));
    assert_eq!(versions(&admin, name)[1], (3, "Disabled".to_owned()));
    assert_eq!(admin.read(name), "four");
    let enable = json!({"name": name, "version": "3", "desired-state": "ENABLED"});
    admin.ok("set-item-state", enable);
    assert_eq!(admin.read_version(name, 3), "three");
    // 0 is the newest one.
    assert_eq!(admin.ok("delete-item", json!({"name": name, "version": 0}))["version_deleted"], 4);
    assert_eq!(admin.read(name), "three");
    admin.ok("delete-item", json!({"name": name, "version": 1}));
    admin.refused(403, "delete-item", json!({"name": name, "version": 3}));
    assert_eq!(admin.read(name), "three");
}

#[test]
fn an_update_can_demand_what_the_newest_version_is() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let name = "/team/db";
    admin.store(name, "one");
    let update = |value: &str, last: Value| {
        let mut args = json!({"name": name, "value": value, "keep-prev-version": "true"});
        args["last-version"] = last;
        args
    };
    admin.ok("update-secret-val", update("two", json!(1)));
    for last in [json!(1), json!("1"), json!(3)] {
        let text = admin.refused(409, "update-secret-val", update("lost", last));
        assert!(text.contains("Status 409 Conflict, Error: Conflict"), "{text}");
    }
    assert_eq!(admin.read(name), "two");
    // Of many at the same time exactly one gets through.
    let won: usize = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..8)
            .map(|racer| {
                let args = update(&format!("racer {racer}"), json!(2));
                let admin = admin.clone();
                scope.spawn(move || usize::from(admin.call("update-secret-val", args).is_success()))
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).sum()
    });
    assert_eq!(won, 1);
    assert_eq!(numbers(&admin, name), [1, 2, 3]);
}

#[test]
fn rolling_back_makes_a_new_version_with_the_old_value() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let name = "/team/db";
    admin.store(name, "one");
    admin.add_version(name, "two");
    let rolled = admin.ok("rollback-secret", json!({"name": name, "old-version": 1}));
    assert_eq!(rolled, json!({"name": name, "version": 3}));
    assert_eq!((admin.read(name), numbers(&admin, name)), ("one".to_owned(), vec![1, 2, 3]));
    assert_eq!(admin.read_version(name, 2), "two");
    admin.ok("rollback-secret", json!({"name": name, "old-version": "2"}));
    assert_eq!(admin.read(name), "two");
}

#[test]
fn many_names_come_in_one_answer_as_they_were_written() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let mut expected = serde_json::Map::new();
    for n in 0..120 {
        let name = format!("/team/{n:03}");
        admin.store(&name, &format!("value {n} \u{1f511} \"\\\n"));
        let written = if n % 2 == 0 { name } else { name.trim_start_matches('/').to_owned() };
        expected.insert(written, format!("value {n} \u{1f511} \"\\\n").into());
    }
    let names: Vec<_> = expected.keys().cloned().collect();
    let answer = admin.ok("get-secret-value", json!({ "names": names }));
    assert_eq!(answer, Value::Object(expected));
    // One that cannot be read fails the whole call: a missing one must not look like an empty one.
    let args = json!({"names": ["/team/000", "/team/none"]});
    let text = admin.refused(404, "get-secret-value", args);
    assert!(!text.contains("value 0"), "{text}");
    let person = admin.person_who_may("/people/a", &[("item-rule", "/team/000", "read")]).api;
    person.refused(401, "get-secret-value", json!({"names": ["/team/000", "/team/001"]}));
    assert!(person.read("/team/000").starts_with("value 0"));
}

#[test]
fn values_come_back_as_they_went_in() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let megabyte = "m".repeat(1024 * 1024);
    for (n, value) in ["", " ", "\u{0}\u{1}", "null", "5", "ä\u{10ffff}", "a\r\nb\n", &megabyte]
        .iter()
        .enumerate()
    {
        let name = format!("/team/{n}");
        admin.store(&name, value);
        assert!(admin.read(&name) == **value, "{value:.20?}");
        let read = json!({"names": [name], "json": true});
        assert!(admin.ok("get-secret-value", read)[&name] == **value, "{value:.20?} as JSON");
    }
    let too_long = json!({"name": "/team/long", "value": format!("{megabyte}m")});
    let text = admin.refused(413, "create-secret", too_long);
    assert!(text.contains("1048576") && !text.contains("mmm"), "{text:.300}");
}

#[test]
fn json_comes_as_json_only_when_that_is_asked_for() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let text = r#"{"b": 1, "a": [1.0, "x", null]}"#;
    admin.ok("create-secret", json!({"name": "/team/json", "value": text, "format": "json"}));
    admin.store("/team/text", "not { json");
    let read = |json: bool| {
        let names = ["/team/json", "/team/text"];
        admin.ok("get-secret-value", json!({"names": names, "json": json}))
    };
    assert_eq!(read(false), json!({"/team/json": text, "/team/text": "not { json"}));
    let as_json = serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(read(true), json!({"/team/json": as_json, "/team/text": "not { json"}));
    let info = &admin.describe("/team/json")["item_general_info"]["static_secret_info"];
    assert_eq!(info["format"], "json");
}

#[test]
fn values_of_a_format_must_have_it() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let create = |format: &str, value: &str| {
        let name = format!("/team/{format}");
        json!({"name": name, "value": value, "format": format})
    };
    for (format, bad) in [
        ("json", "{SECRET"),
        ("json", "SECRET"),
        ("json", ""),
        ("json", "{} {}"),
        ("key-value", "[\"SECRET\"]"),
        ("key-value", "\"SECRET\""),
        ("key-value", "SECRET=1"),
        ("key-value", "5"),
    ] {
        let text = admin.refused(400, "create-secret", create(format, bad));
        assert!(!text.contains("SECRET"), "{text}");
    }
    admin.ok("create-secret", create("json", "[1]"));
    admin.ok("create-secret", create("key-value", r#"{"a": "b"}"#));
    let update = json!({"name": "/team/json", "value": "{", "format": "json"});
    admin.refused(400, "update-secret-val", update);
    // An item of a format keeps it when an update does not name another one.
    let update = json!({"name": "/team/json", "value": "{SECRET"});
    let reply = admin.call("update-secret-val", update);
    let format = || {
        let item = admin.describe("/team/json");
        item["item_general_info"]["static_secret_info"]["format"].as_str().unwrap().to_owned()
    };
    assert!(
        reply.status == 400 || format() == "text",
        "an item of format {} took a value that is none: {}",
        format(),
        admin.read("/team/json")
    );
}

#[test]
fn a_password_is_an_object_of_its_parts() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let args = json!({
        "name": "/team/login", "value": "", "type": "password", "username": "alice",
        "password": "pa\"ss", "custom-field": {"pin": "0042"},
        "inject-url": ["https://a.example", "https://b.example"],
    });
    admin.ok("create-secret", args);
    let stored: Value = serde_json::from_str(&admin.read("/team/login")).unwrap();
    assert_eq!(stored, json!({"username": "alice", "password": "pa\"ss", "pin": "0042"}));
    let item = admin.describe("/team/login");
    assert_eq!(
        (&item["item_type"], &item["item_sub_type"]),
        (&json!("STATIC_SECRET"), &json!("password"))
    );
    let websites = &item["item_general_info"]["static_secret_info"]["websites"];
    assert_eq!(*websites, json!(["https://a.example", "https://b.example"]));
    assert!(!item.to_string().contains("alice"), "the user name is part of the secret: {item}");
    let args = json!({"name": "/team/login", "username": "bob", "password": "new"});
    admin.ok("update-secret-val", args);
    let stored: Value = serde_json::from_str(&admin.read("/team/login")).unwrap();
    assert_eq!((&stored["username"], &stored["password"]), (&json!("bob"), &json!("new")));
    assert_eq!(admin.describe("/team/login")["item_sub_type"], "password");
    let nothing = json!({"name": "/team/none", "value": "", "type": "password"});
    admin.refused(400, "create-secret", nothing);
}
