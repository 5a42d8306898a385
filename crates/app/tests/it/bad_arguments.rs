//! Arguments that are wrong: the documented status, a text that names what is wrong, and nothing
//! changed.

use serde_json::{Value, json};

use crate::kit::{Api, Site, commands};
use crate::walk::{base64, kind_of, own_arguments};

/// Paths that are not one: each with a word of the reason.
fn bad_paths() -> Vec<(String, &'static str)> {
    let mut paths: Vec<(String, &str)> = [
        ("/", "empty"),
        ("//", "empty"),
        ("//a", "empty segment"),
        ("/a//b", "empty segment"),
        ("/a/b/", "empty segment"),
        ("/a/../b", "'..'"),
        ("../b", "'..'"),
        ("/a/./b", "'.'"),
        ("/..", "'..'"),
        ("/a\n/b", "control"),
        ("/a\u{0}b", "control"),
        ("/a\u{7f}", "control"),
        ("/a\u{85}b", "control"),
        ("/a\tb", "control"),
    ]
    .map(|(path, reason)| (path.to_owned(), reason))
    .into();
    paths.push((format!("/a/{}", "s".repeat(4_096)), "long"));
    paths.push((format!("/{}", "s".repeat(257)), "segment"));
    paths.push(("/a".repeat(65), "segments"));
    paths.push((format!("/{}", "abcdefg/".repeat(200)), "long"));
    paths
}

#[test]
fn bad_paths_are_400_with_the_rule_they_break() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/db", "value");
    let list = commands(&site.home());
    // Whichever command takes the name of an object.
    let named: Vec<_> = list
        .iter()
        .filter(|spec| !["Folders", "Gateway"].contains(&spec.noun.as_str()))
        .filter(|spec| spec.has("name") && spec.access != "token")
        .collect();
    assert!(named.len() > 15);
    for (path, reason) in bad_paths() {
        for spec in &named {
            let mut args = json!({"name": path, "value": "v", "alg": "AES128GCM"});
            args["old-version"] = json!(1);
            args["desired-state"] = json!("Enabled");
            args["new-ttl-min"] = json!(10);
            args["tmp-creds-id"] = json!("0".repeat(32));
            if spec.name == "gateway-update-item" {
                args["type"] = json!("rotated-secret");
            }
            for (field, value) in kind_of(&spec.name).into_iter().flat_map(|k| own_arguments(k, ""))
            {
                args[field] = value;
            }
            for field in spec.fields.iter().filter(|field| field.required && field.name != "name") {
                if args.get(&field.documented).is_none() {
                    args[&field.documented] = json!("x");
                }
            }
            let text = admin.refused(400, &spec.name, args);
            assert!(text.contains(reason), "{} {path:.80?}: {text:.300}", spec.name);
            assert!(text.len() < 600, "{} repeats {} bytes", spec.name, text.len());
        }
        let text = admin.refused(400, "get-secret-value", json!({"names": ["/team/db", path]}));
        assert!(text.contains(reason), "{path:.80?}: {text:.300}");
        let args = json!({"name": "/team/db", "new-name": path});
        admin.refused(400, "update-item", args);
    }
    for folder in ["/a//", "/a/../", "/a\n/", "//"] {
        admin.refused(400, "folder-create", json!({ "name": folder }));
        admin.refused(400, "list-items", json!({ "path": folder }));
        admin.refused(400, "move-objects", json!({"source": "/team", "target": folder}));
        admin.refused(400, "delete-items", json!({ "path": folder }));
    }
    assert_eq!(names(&admin), ["/team/db"]);
}

fn names(admin: &Api) -> Vec<String> {
    let listed = admin.ok("list-items", json!({}));
    let items = listed["items"].as_array().unwrap();
    items.iter().map(|item| item["item_name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_longest_paths_are_accepted() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let wide = format!("/{}", "s".repeat(256));
    let deep = "/d".repeat(64);
    let long = format!("/{}", "abcdefg/".repeat(63)) + &"z".repeat(255);
    for path in [wide, deep, long, "/ü/漢字/😀 with spaces".to_owned(), "/a*b/+/{{x}}".to_owned()]
    {
        admin.store(&path, "v");
        assert_eq!(admin.read(&path), "v");
        assert_eq!(admin.describe(&path)["item_name"], path);
    }
}

#[test]
fn missing_fields_are_named_all_at_once() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    for spec in commands(&site.home()) {
        let required: Vec<_> = spec.fields.iter().filter(|field| field.required).collect();
        let empty = if spec.body == "array" { json!([{}]) } else { json!({}) };
        if required.is_empty() {
            continue;
        }
        let text = admin.refused(400, &spec.name, empty);
        for field in required {
            assert!(text.contains(&format!("'{}'", field.documented)), "{}: {text}", spec.name);
        }
    }
}

#[test]
fn mistyped_fields_are_named_and_their_values_are_not_repeated() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/db", "value");
    let secret = "SECRET-VALUE";
    for (command, field, value) in [
        ("create-secret", "name", json!({"a": secret})),
        ("create-secret", "name", json!([secret])),
        ("create-secret", "value", json!({"a": secret})),
        ("create-secret", "value", json!([secret])),
        ("create-secret", "tags", json!({"a": secret})),
        ("create-secret", "tags", json!([{"a": secret}])),
        ("create-secret", "custom-field", json!([secret])),
        ("create-secret", "item-custom-fields", json!(secret)),
        ("create-secret", "delete_protection", json!("maybe")),
        ("create-secret", "delete_protection", json!(7)),
        ("create-secret", "format", json!(secret)),
        ("create-secret", "type", json!(secret)),
        ("create-secret", "accessibility", json!("personal")),
        ("create-secret", "max-versions", json!("0")),
        ("create-secret", "max-versions", json!(-1)),
        ("create-secret", "max-versions", json!(1_001)),
        ("get-secret-value", "version", json!("one")),
        ("get-secret-value", "version", json!(1.5)),
        ("get-secret-value", "version", json!(true)),
        ("get-secret-value", "version", json!(9_223_372_036_854_775_807_i64)),
        ("get-secret-value", "version", json!(-9_223_372_036_854_775_808_i64)),
        ("get-secret-value", "json", json!("yes")),
        ("get-secret-value", "names", json!([["/team/db"]])),
        ("update-secret-val", "last-version", json!("x")),
        ("update-secret-val", "last-version", json!(-1)),
        ("update-secret-val", "keep-prev-version", json!("perhaps")),
        ("delete-item", "version", json!(-2)),
        ("rollback-secret", "old-version", json!(0)),
        ("rollback-secret", "old-version", json!(4_294_967_297_i64)),
        ("lock-item", "lock-ttl", json!(10_081)),
        ("lock-item", "lock-ttl", json!(-1)),
        ("lock-item", "actions", json!("delete")),
        ("set-item-state", "desired-state", json!("PendingDeletion")),
        ("create-dfc-key", "split-level", json!(1)),
        ("create-dfc-key", "split-level", json!(8)),
        ("create-dfc-key", "split-level", json!(4)),
        ("create-dfc-key", "customer-frg-id", json!("cf-short")),
        ("set-role-rule", "capability", json!(["fly"])),
        ("set-role-rule", "ttl", json!(-1)),
        ("auth-method-create-api-key", "bound-ips", json!(["10.0.0.0/99"])),
        ("auth-method-create-api-key", "access-expires", json!(-5)),
        ("auth-method-create-api-key", "jwt-ttl", json!(-5)),
        ("update-account-settings", "jwt-ttl-min", json!(100_000)),
        ("update-account-settings", "root-path-policy", json!("maybe")),
        ("update-account-settings", "dynamic-secret-max-ttl", json!("soon")),
        ("update-account-settings", "dynamic-secret-max-ttl-enable", json!("perhaps")),
    ] {
        let mut args = json!({
            "name": "/team/new", "names": ["/team/db"], "value": "v", "alg": "AES128GCM",
            "old-version": 1, "desired-state": "Enabled", "role-name": "/r", "path": "/*",
            "capability": ["read"],
        });
        if !command.contains("create") {
            args["name"] = "/team/db".into();
        }
        args[field] = value.clone();
        let text = admin.refused(400, command, args);
        assert!(!text.contains(secret), "{command} {field} {value}: {text}");
        assert!(text.contains(field) || text.contains("lifetimes"), "{command} {field}: {text}");
    }
    assert_eq!(names(&admin), ["/team/db"]);
    assert_eq!(admin.read("/team/db"), "value");
}

#[test]
fn wrong_tokens_are_401_and_tokens_that_are_none_are_400() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let nobody = server.nobody();
    let good = admin.token().to_owned();
    for token in [
        json!(""),
        Value::Null,
        json!("t-"),
        json!("u-0123456789"),
        json!("garbage"),
        json!(format!("{good}A")),
        json!(good.to_uppercase()),
        json!(format!(" {good}")),
        json!("t-\u{0}\u{1}\n"),
        json!("t-ä".repeat(2_000)),
    ] {
        nobody.refused(401, "list-items", json!({ "token": token }));
    }
    for token in
        [json!(5), json!(true), json!([good]), json!({"t": good}), json!("t".repeat(20_000))]
    {
        let text = nobody.refused(400, "list-items", json!({ "token": token }));
        assert!(text.contains("token") && !text.contains(&good), "{text}");
    }
    let other = server.admin().token().to_owned();
    let two = json!({"token": good, "uid-token": other});
    let text = nobody.refused(400, "list-items", two);
    assert!(text.contains("two different tokens"), "{text}");
    // In a header it counts as well; in the address it does not, where logs would keep it.
    let bearer = format!("Bearer {good}");
    let reply = server.http.post("/list-items", &[("Authorization", &bearer)], b"");
    assert_eq!(reply.status, 200);
    assert_eq!(server.http.post(&format!("/list-items?token={good}"), &[], b"{}").status, 401);
    let batch = br#"[{"item_id": 1, "data": "d"}]"#;
    let reply = server.http.post(&format!("/encrypt-batch?token={good}"), &[], batch);
    assert_eq!(reply.status, 404, "an array has no room for a token: {}", reply.text());
    assert_eq!(server.http.post("/encrypt-batch", &[], batch).status, 401);
}

#[test]
fn duplicates_and_absent_objects_have_their_own_status() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/db", "value");
    admin.store("/team/other", "value");
    admin.new_role("/team/role", &[]);
    let person = admin.new_person("/team/person");
    admin.associate("/team/role", &person);
    let conflict = |command: &str, args: Value| {
        let text = admin.refused(409, command, args);
        assert!(text.contains("Status 409 Conflict, Error: AlreadyExists"), "{text}");
    };
    conflict("create-secret", json!({"name": "/team/db", "value": "v"}));
    conflict("create-secret", json!({"name": "team/db", "value": "v"}));
    conflict("create-dfc-key", json!({"name": "/team/db", "alg": "AES128GCM"}));
    conflict("create-role", json!({"name": "team/role"}));
    conflict("auth-method-create-api-key", json!({"name": "/team/person"}));
    conflict("assoc-role-am", json!({"role-name": "/team/role", "am-name": "/team/person"}));
    conflict("update-item", json!({"name": "/team/db", "new-name": "/team/other"}));
    admin.ok("folder-create", json!({"name": "/made"}));
    conflict("folder-create", json!({"name": "/made/"}));
    assert_eq!(admin.read("/team/db"), "value");
    for (command, args) in [
        ("get-secret-value", json!({"names": ["/team/none"]})),
        ("get-secret-value", json!({"names": ["/team/db", "/team/none"]})),
        ("describe-item", json!({"name": "/team/none"})),
        ("describe-item", json!({"name": "", "item-id": 999_999})),
        ("describe-item", json!({"display-id": "no-such-id"})),
        ("update-secret-val", json!({"name": "/team/none", "value": "v"})),
        ("update-item", json!({"name": "/team/none"})),
        ("delete-item", json!({"name": "/team/none"})),
        ("delete-items", json!({"path": "/nothing/"})),
        ("rollback-secret", json!({"name": "/team/db", "old-version": 7})),
        ("get-tags", json!({"name": "/team/none"})),
        ("move-objects", json!({"source": "/nothing", "target": "/something"})),
        ("set-item-state", json!({"name": "/team/none", "desired-state": "Enabled"})),
        ("lock-item", json!({"name": "/team/none"})),
        ("unlock-item", json!({"name": "/team/none"})),
        ("folder-get", json!({"name": "/none"})),
        ("folder-update", json!({"name": "/none"})),
        ("folder-delete", json!({"name": "/none"})),
        ("get-role", json!({"name": "/none"})),
        ("update-role", json!({"name": "/none"})),
        ("delete-role", json!({"name": "/none"})),
        ("delete-role-rule", json!({"role-name": "/team/role", "path": "/none"})),
        ("auth-method-get", json!({"name": "/none"})),
        ("auth-method-delete", json!({"name": "/none"})),
        ("auth-method-update-api-key", json!({"name": "/none"})),
        ("reset-access-key", json!({"name": "/none"})),
        ("delete-assoc", json!({"assoc-id": "ass-none"})),
        ("describe-role-am-assoc", json!({"assoc-id": "ass-none"})),
        ("encrypt", json!({"key-name": "/none", "plaintext": "p"})),
        ("encrypt-batch", json!([{"item_id": 999_999, "data": "d"}])),
    ] {
        let text = admin.refused(404, command, args);
        assert!(text.contains("Status 404 Not Found, Error: NotFound"), "{command}: {text}");
    }
}

/// Who may not list a folder cannot tell what is in it from what is not.
#[test]
fn what_a_caller_may_not_list_looks_like_what_does_not_exist() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/secret/exists", "value");
    admin.ok("create-dfc-key", json!({"name": "/secret/key", "alg": "AES128GCM"}));
    admin.new_role("/secret/role", &[]);
    admin.new_person("/secret/person");
    admin.ok("folder-create", json!({"name": "/secret/folder"}));
    let other = ("item-rule", "/open/*", "read,list,update,create,delete");
    let person = admin.person_who_may("/people/one", &[other]).api;
    let pairs = [
        ("get-secret-value", "names", "/secret/exists"),
        ("describe-item", "name", "/secret/exists"),
        ("update-secret-val", "name", "/secret/exists"),
        ("update-item", "name", "/secret/exists"),
        ("delete-item", "name", "/secret/exists"),
        ("get-tags", "name", "/secret/exists"),
        ("lock-item", "name", "/secret/exists"),
        ("encrypt", "key-name", "/secret/key"),
        ("get-role", "name", "/secret/role"),
        ("delete-role", "name", "/secret/role"),
        ("auth-method-get", "name", "/secret/person"),
        ("reset-access-key", "name", "/secret/person"),
        ("folder-get", "name", "/secret/folder"),
        ("delete-items", "path", "/secret"),
        ("move-objects", "source", "/secret"),
        ("create-secret", "name", "/secret/exists"),
        ("create-dfc-key", "name", "/secret/key"),
        ("create-role", "name", "/secret/role"),
    ];
    for (command, field, exists) in pairs {
        let answer = |path: &str| {
            let mut args = json!({
                "value": "v", "plaintext": "p", "alg": "AES128GCM", "target": "/open/t",
            });
            args[field] = if field == "names" { json!([path]) } else { json!(path) };
            let reply = person.call(command, args);
            (reply.status, reply.error().replace(path, "PATH"))
        };
        let absent = exists.replace("secret", "hidden").replace("exists", "absent");
        let (there, not_there) = (answer(exists), answer(&absent));
        assert_eq!(there, not_there, "{command}");
        assert_eq!(there.0, 401, "{command}: {}", there.1);
    }
    // Ids name everything there is, so they must not tell either.
    let id = admin.describe("/secret/exists")["item_id"].clone();
    let display = admin.describe("/secret/exists")["display_id"].clone();
    for (there, absent) in [
        (json!({"name": "", "item-id": id}), json!({"name": "", "item-id": 999_999})),
        (json!({"display-id": display}), json!({"display-id": "abcdefghijkl-abcdefghijkl"})),
    ] {
        let answer = |args: Value| {
            let reply = person.call("describe-item", args);
            let text = reply.error();
            (reply.status, text.split("with").next().unwrap().to_owned())
        };
        assert_eq!(answer(there), answer(absent));
    }
}

#[test]
fn settings_that_would_do_nothing_are_refused() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let authority = base64(&std::fs::read(&server.bootstrap.ca_file).unwrap());
    for (command, field, value, harmless) in [
        ("auth-method-create-oidc", "scim-enabled", "true", "false"),
        ("auth-method-create-saml", "scim-enabled", "True", "False"),
        ("auth-method-create-cert", "allowed-cors", "https://page.example", " "),
        ("create-auth-method-cert", "allowed-cors", "*", ""),
    ] {
        let mut args = own_arguments(kind_of(command).unwrap(), &authority);
        args.insert("name".to_owned(), "/not-served".into());
        args.insert(field.to_owned(), value.into());
        let text = admin.refused(400, command, args.clone().into());
        assert!(text.contains(field) && text.contains("leave it out"), "{command}: {text}");
        admin.refused(404, "auth-method-get", json!({"name": "/not-served"}));
        args.insert(field.to_owned(), harmless.into());
        admin.ok(command, args.into());
        admin.ok("auth-method-delete", json!({"name": "/not-served"}));
    }
}
