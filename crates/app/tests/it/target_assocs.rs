//! Items and the targets that remote access may reach with them: made, shown, ended, and still
//! there after the server was killed.

use serde_json::{Value, json};

use crate::kit::{Api, Site};

fn join(name: &str, target: &str) -> Value {
    json!({
        "name": name, "target-name": target, "sra-association": true,
        // As official clients send what nobody gave.
        "certificate-format": "pem", "disable-previous-key-version": false, "multi-region": "false",
        "f5-save-config": false, "protection-level": "software",
    })
}

fn of_item(admin: &Api, name: &str) -> Value {
    admin.ok("describe-item", json!({ "name": name }))["item_targets_assoc"].take()
}

fn of_target(admin: &Api, name: &str) -> Value {
    admin.ok("target-get", json!({ "name": name }))["target_items_assoc"].take()
}

#[test]
fn an_item_says_which_targets_are_reached_with_it() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/db", "value");
    for name in ["/hosts/one", "/hosts/two"] {
        let host =
            json!({"name": name, "host": "127.0.0.1", "ssh-username": "u", "ssh-password": "p"});
        admin.ok("target-create-ssh", host);
    }
    let made = admin.ok("assoc-target-item", join("/team/db", "/hosts/one"));
    let id = made["assoc_id"].as_str().unwrap();
    admin.ok("assoc-target-item", join("team/db", "hosts/two"));
    let said = admin.refused(409, "assoc-target-item", join("/team/db", "/hosts/one"));
    assert!(said.contains("AlreadyExists"), "{said}");

    // Durable before it was answered.
    server.process.kill();
    let server = site.start();
    let admin = server.admin();
    let shown = of_item(&admin, "/team/db");
    assert_eq!(shown.as_array().unwrap().len(), 2, "{shown}");
    assert_eq!(
        (&shown[0]["assoc_id"], &shown[0]["target_name"]),
        (&json!(id), &json!("/hosts/one"))
    );
    assert_eq!(
        (&shown[0]["target_type"], &shown[1]["target_name"]),
        (&json!("ssh"), &json!("/hosts/two"))
    );
    assert_eq!(shown[0]["attributes"]["sra-association"], "true");
    let uses = of_target(&admin, "/hosts/one");
    assert_eq!((&uses[0]["assoc_id"], &uses[0]["item_name"]), (&json!(id), &json!("/team/db")));
    assert_eq!(uses[0]["item_type"], "STATIC_SECRET");

    admin.refused(409, "target-delete", json!({"name": "/hosts/one"}));
    let by_id = |id: &str| json!({"name": "/team/db", "assoc-id": id});
    admin.refused(404, "delete-assoc-target-item", by_id("ass-none"));
    admin.refused(400, "delete-assoc-target-item", json!({"name": "/team/db"}));
    let both = json!({"name": "/team/db", "assoc-id": id, "target-name": "/hosts/one"});
    admin.refused(400, "delete-assoc-target-item", both);
    admin.ok("delete-assoc-target-item", by_id(id));
    let by_target = json!({"name": "/team/db", "target-name": "/hosts/two"});
    admin.ok("delete-assoc-target-item", by_target.clone());
    admin.refused(404, "delete-assoc-target-item", by_target);
    assert_eq!(of_item(&admin, "/team/db"), Value::Null);
    admin.ok("target-delete", json!({"name": "/hosts/one"}));
    server.stop();
    site.audit(&["verify"]).expect(0);
}

#[test]
fn other_uses_are_refused_by_their_name() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/db", "value");
    admin.ok("target-create-web", json!({"name": "/web", "url": "https://example.org"}));
    admin.ok("create-dfc-key", json!({"name": "/team/key", "alg": "AES256GCM"}));
    for (more, named) in [
        (json!({"sra-association": false}), "sra-association"),
        (json!({"sra-association": null}), "sra-association"),
        (json!({"vault-name": "v"}), "vault-name"),
        (json!({"key-operations": ["sign"]}), "key-operations"),
        (json!({"certificate-path": "/etc/ssl/c.pem"}), "certificate-path"),
        (json!({"name": "/team/key"}), "/team/key"),
    ] {
        let mut args = join("/team/db", "/web");
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let said = admin.refused(400, "assoc-target-item", args);
        assert!(said.contains(named), "{said}");
    }
    let password = json!({"pfx-password": "hunter2 hunter2"});
    let mut args = join("/team/db", "/web");
    args.as_object_mut().unwrap().extend(password.as_object().unwrap().clone());
    let said = admin.refused(400, "assoc-target-item", args);
    assert!(said.contains("pfx-password") && !said.contains("hunter2"), "{said}");
    admin.refused(404, "assoc-target-item", join("/team/none", "/web"));
    admin.refused(404, "assoc-target-item", join("/team/db", "/none"));
    assert_eq!(of_item(&admin, "/team/db"), Value::Null);
}
