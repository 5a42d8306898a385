//! What official clients send and must be understood: other types, other spellings, placeholders.

use serde_json::{Value, json};

use crate::kit::{Api, Site};

#[test]
fn numbers_and_booleans_may_be_texts() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    for (n, protection) in
        [json!(true), json!("true"), json!("True"), json!("TRUE")].into_iter().enumerate()
    {
        let name = format!("/team/{n}");
        let args = json!({"name": name, "value": "v", "delete_protection": protection});
        admin.ok("create-secret", args);
        assert_eq!(admin.describe(&name)["delete_protection"], true, "{protection}");
        let off = if n % 2 == 0 { json!("False") } else { json!(false) };
        admin.ok("update-item", json!({"name": name, "delete_protection": off}));
        assert_eq!(admin.describe(&name)["delete_protection"], false);
    }
    admin.add_version("/team/0", "w");
    for version in [json!(1), json!("1"), json!(" 1 ")] {
        let args = json!({"names": "/team/0", "version": version});
        assert_eq!(admin.ok("get-secret-value", args), json!({"/team/0": "v"}), "{version}");
    }
    admin.ok("create-secret", json!({"name": "/team/number", "value": 5.25}));
    assert_eq!(admin.read("/team/number"), "5.25");
    admin.ok("create-secret", json!({"name": "/team/flag", "value": true}));
    assert_eq!(admin.read("/team/flag"), "true");
    let as_json = |flag: Value| {
        let args = json!({"names": ["/team/json"], "json": flag});
        admin.ok("get-secret-value", args)["/team/json"].take()
    };
    admin.store("/team/json", r#"{"a": [1]}"#);
    assert_eq!(as_json(json!("True")), json!({"a": [1]}));
    assert_eq!(as_json(json!("false")), json!(r#"{"a": [1]}"#));
}

#[test]
fn dashes_and_underscores_are_one_character() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    for (n, spelling) in ["delete_protection", "delete-protection"].into_iter().enumerate() {
        let name = format!("/team/{n}");
        let mut args = json!({"name": name, "value": "v"});
        args[spelling] = true.into();
        admin.ok("create-secret", args);
        assert_eq!(admin.describe(&name)["delete_protection"], true, "{spelling}");
    }
    let args = json!({"name": "/team/0", "value": "w", "keep_prev_version": "true"});
    admin.ok("update-secret-val", args);
    assert_eq!(admin.describe("/team/0")["last_version"], 2);
    let (id, key) = (&server.bootstrap.access_id, &server.bootstrap.access_key);
    admin.ok("auth", json!({"access_id": id, "access_key": key}));
    admin.ok("describe-item", json!({"name": "/team/0", "show_versions": true}));
}

#[test]
fn placeholders_and_empty_texts_mean_not_given() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let args = json!({"name": "/team/db", "value": "v", "description": "about it"});
    admin.ok("create-secret", args);
    for description in ["default_metadata", ""] {
        admin.ok("update-item", json!({"name": "/team/db", "description": description}));
        admin.ok("update-item", json!({"name": "/team/db", "new-metadata": description}));
        assert_eq!(admin.describe("/team/db")["item_metadata"], "about it", "{description}");
    }
    let args = json!({"name": "/team/other", "value": "v", "description": "default_metadata"});
    admin.ok("create-secret", args);
    assert_eq!(admin.describe("/team/other")["item_metadata"], "");
    admin.ok("create-role", json!({"name": "/team/role", "description": "about it"}));
    for comment in ["default_comment", ""] {
        admin.ok("update-role", json!({"name": "/team/role", "description": comment}));
        admin.ok("update-role", json!({"name": "/team/role", "new-comment": comment}));
        assert_eq!(admin.ok("get-role", json!({"name": "/team/role"}))["comment"], "about it");
    }
    let settings = json!({"invalid-characters": "notReceivedInvalidCharacter", "phone": "1"});
    admin.ok("update-account-settings", settings);
    let settings = admin.ok("get-account-settings", json!({}));
    assert_eq!(settings["general_settings"].get("invalid_characters"), None, "{settings}");
}

/// What the SDKs and Terraform send with every call, whether it was asked for or not.
#[test]
fn defaults_that_clients_always_send_change_nothing() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let args = json!({
        "name": "/team/db", "value": "v", "accessibility": "regular", "json": false,
        "type": "generic", "format": "text", "metadata": "", "description": "", "username": "",
        "password": "", "protection_key": "", "max-versions": "", "delete_protection": "",
        "multiline_value": true, "secure-access-enable": "", "secure-access-web-browsing": false,
        "inject-url": [], "custom-field": {}, "tags": [], "change-event": "",
        "a-field-of-tomorrow": {"x": [1, 2, 3]},
    });
    admin.ok("create-secret", args);
    let args = json!({
        "name": "/team/db", "new-name": "/team/db", "description": "default_metadata",
        "new-metadata": "default_metadata", "accessibility": "regular", "add-tag": [],
        "rm-tag": [], "max-versions": "", "delete_protection": "",
    });
    admin.ok("update-item", args);
    let args = json!({
        "name": "/team/db", "value": "w", "key": "", "keep-prev-version": "", "last-version": 0,
        "format": "text", "new-version": false, "accessibility": "regular",
    });
    admin.ok("update-secret-val", args);
    let read = json!({
        "names": ["/team/db"], "version": 0, "ignore-cache": "false", "pretty-print": false,
        "accessibility": "regular", "json": false,
    });
    assert_eq!(admin.ok("get-secret-value", read), json!({"/team/db": "w"}));
    assert_eq!(admin.describe("/team/db")["last_version"], 1);
    let delete = json!({
        "name": "/team/db", "delete-in-days": 7, "delete-immediately": false, "version": -1,
        "accessibility": "regular",
    });
    let deleted = admin.ok("delete-item", delete);
    assert_eq!(deleted.get("deletion_date"), None, "only keys wait: {deleted}");
    admin.refused(404, "describe-item", json!({"name": "/team/db"}));
    // The address that the Python SDK puts in says nothing about the client.
    let body = json!({"token": admin.token()}).to_string();
    let forwarded = [("X-Forwarded-For", "203.0.113.7")];
    let claims = server.http.post("/describe-sub-claims", &forwarded, body.as_bytes()).json();
    assert_eq!(claims["sub_claims"]["client_ip"], json!(["127.0.0.1"]), "{claims}");
}

#[test]
fn names_are_understood_with_and_without_their_first_slash() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("team/db", "v");
    // The answer has the names as they were written.
    let names = json!({"names": ["team/db", "/team/db"]});
    assert_eq!(admin.ok("get-secret-value", names), json!({"team/db": "v", "/team/db": "v"}));
    assert_eq!(admin.describe("team/db")["item_name"], "/team/db");
    admin.new_role("team/role", &[("item-rule", "team/*", "read")]);
    let role = admin.ok("get-role", json!({"name": "/team/role"}));
    assert_eq!(role["role_name"], "team/role");
    assert_eq!(role["rules"]["path_rules"][0]["path"], "/team/*");
    let person = admin.new_person("team/person");
    let args = json!({"role-name": "/team/role", "am-name": "/team/person"});
    admin.ok("assoc-role-am", args);
    assert_eq!(person.api.read("team/db"), "v");
    let method = admin.ok("auth-method-get", json!({"name": "/team/person"}));
    assert_eq!(method["auth_method_name"], "team/person");
}

fn create(admin: &Api, name: &str) -> crate::kit::Reply {
    admin.call("create-secret", json!({"name": name, "value": "v"}))
}

#[test]
fn creating_at_the_root_warns_and_is_refused_when_the_account_says_so() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let reply = create(&admin, "/at-root");
    assert_eq!((reply.status, reply.json()), (200, json!({"name": "/at-root"})));
    let warning = reply.header("keysherd-warning").expect("no warning");
    assert!(warning.contains("/at-root") && warning.is_ascii(), "{warning}");
    assert_eq!(create(&admin, "/in/folder").header("keysherd-warning"), None);
    admin.ok("update-account-settings", json!({"root-path-policy": "refuse"}));
    for (command, args) in [
        ("create-secret", json!({"name": "/refused", "value": "v"})),
        ("create-dfc-key", json!({"name": "/refused", "alg": "AES128GCM"})),
        ("update-item", json!({"name": "/in/folder", "new-name": "/refused"})),
        ("move-objects", json!({"source": "/in", "target": "/"})),
    ] {
        let text = admin.refused(403, command, args);
        assert!(text.contains("RootPathRefused"), "{command}: {text}");
    }
    // What is there already stays usable.
    assert_eq!(admin.read("/at-root"), "v");
    admin.ok("update-item", json!({"name": "/at-root", "new-name": "/at-root"}));
    admin.ok("update-account-settings", json!({"root-path-policy": "warn"}));
    assert!(create(&admin, "/again").is_success());
}
