//! Items through the API: what describes them, moving, locks, states, deletion.

use serde_json::{Value, json};

use crate::kit::{Api, Site};

#[test]
fn a_fresh_secret_is_described_as_clients_expect() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let args = json!({"name": "/team/db", "value": "v", "description": "d", "tags": ["a", "b"]});
    admin.ok("create-secret", args);
    let item = admin.describe("/team/db");
    let expected = json!({
        "item_name": "/team/db", "item_type": "STATIC_SECRET", "item_sub_type": "generic",
        "item_metadata": "d", "item_tags": ["a", "b"], "last_version": 1,
        "protection_key_name": "", "is_enabled": true, "item_state": "Enabled",
        "with_customer_fragment": false, "delete_protection": false, "item_accessibility": 0,
        "public_value": "", "certificates": "", "cert_issuer_signer_key_name": "",
        "is_access_request_enabled": false, "access_request_status": "",
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(item[field.as_str()], *value, "{field}");
    }
    let display = item["display_id"].as_str().unwrap();
    assert!(display.len() == 25 && display.as_bytes()[12] == b'-', "{display}");
    for field in ["creation_date", "modification_date"] {
        item[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    }
    let mut permissions: Vec<_> =
        item["client_permissions"].as_array().unwrap().iter().map(Value::to_string).collect();
    permissions.sort();
    assert_eq!(permissions.join(""), r#""create""delete""list""read""update""#);
    // The same item under each of its names.
    for by in [json!({"name": "", "item-id": item["item_id"]}), json!({"display-id": display})] {
        assert_eq!(admin.ok("describe-item", by)["item_name"], "/team/db");
    }
    assert_eq!(item.get("item_versions"), None);
    let shown = admin.ok("describe-item", json!({"name": "/team/db", "show-versions": true}));
    let version = &shown["item_versions"][0];
    assert_eq!(
        (&version["version"], &version["access_id"]),
        (&json!(1), &json!(server.bootstrap.access_id))
    );
}

#[test]
fn tags_and_custom_fields_are_added_and_removed() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let args = json!({
        "name": "/team/db", "value": "v", "tags": ["a", "b", "a"],
        "item-custom-fields": {"owner": "x", "cost": "1"},
    });
    admin.ok("create-secret", args);
    let tags = || admin.ok("get-tags", json!({"name": "/team/db"}));
    assert_eq!(tags(), json!(["a", "b"]));
    let update = json!({"name": "/team/db", "add-tag": ["c", "b"], "rm-tag": ["a", "none"]});
    admin.ok("update-item", update);
    assert_eq!(tags(), json!(["b", "c"]));
    let fields = json!({"name": "/team/db", "item-custom-fields": {"owner": "", "cost": "2"}});
    admin.ok("update-item", fields);
    let args = json!({"name": "/team/db", "item-custom-fields-details": true});
    let item = admin.ok("describe-item", args);
    let details = item["item_custom_fields_details"].as_array().unwrap();
    let kept: Vec<_> = details.iter().map(|field| (&field["name"], &field["value"])).collect();
    assert_eq!(kept, [(&json!("cost"), &json!("2"))]);
    assert_eq!(admin.describe("/team/db")["last_version"], 1, "that makes no version");
    let many: Vec<_> = (0..101).map(|n| n.to_string()).collect();
    admin.refused(400, "update-item", json!({"name": "/team/db", "add-tag": many}));
    admin.refused(400, "update-item", json!({"name": "/team/db", "add-tag": ["t".repeat(257)]}));
    assert_eq!(tags(), json!(["b", "c"]));
}

#[test]
fn a_renamed_item_keeps_everything_but_its_name() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/db", "one");
    admin.add_version("/team/db", "two");
    let before = admin.describe("/team/db");
    admin.ok("update-item", json!({"name": "/team/db", "new-name": "/other/place/db"}));
    admin.refused(404, "get-secret-value", json!({"names": ["/team/db"]}));
    assert_eq!(admin.read("/other/place/db"), "two");
    assert_eq!(admin.read_version("/other/place/db", 1), "one");
    let after = admin.describe("/other/place/db");
    assert_eq!(
        (&after["item_id"], &after["display_id"]),
        (&before["item_id"], &before["display_id"])
    );
    admin.store("/team/db", "another");
    assert_eq!(admin.read("/team/db"), "another");
    admin.overwrite("/other/place/db", "three");
    assert_eq!(
        (admin.read("/other/place/db"), admin.read("/team/db")),
        ("three".to_owned(), "another".to_owned())
    );
}

#[test]
fn a_folder_moves_with_everything_in_it_or_not_at_all() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    for name in ["/a/one", "/a/b/two", "/a/b/c/three", "/ab/other"] {
        admin.store(name, name);
        admin.read(name);
    }
    admin.ok("create-dfc-key", json!({"name": "/a/key", "alg": "AES256SIV"}));
    let encrypt = json!({"key-name": "/a/key", "plaintext": "p"});
    let sealed = admin.ok("encrypt", encrypt)["result"].take();
    admin.ok("folder-create", json!({"name": "/a/empty"}));
    admin.ok("move-objects", json!({"source": "/a", "target": "/z/a"}));
    for name in ["/a/one", "/a/b/two", "/a/b/c/three"] {
        assert_eq!(admin.read(&format!("/z{name}")), name);
        admin.refused(404, "get-secret-value", json!({"names": [name]}));
    }
    assert_eq!(admin.read("/ab/other"), "/ab/other", "it only looks like it lies in the folder");
    let decrypt = json!({"key-name": "/z/a/key", "ciphertext": sealed});
    assert_eq!(admin.ok("decrypt", decrypt)["result"], "p");
    admin.ok("folder-get", json!({"name": "/z/a/empty"}));
    admin.refused(404, "folder-get", json!({"name": "/a/empty"}));

    admin.store("/y/b/two", "in the way");
    admin.refused(409, "move-objects", json!({"source": "/z/a", "target": "/y"}));
    assert_eq!(admin.read("/z/a/one"), "/a/one", "it moved half");
    assert_eq!(admin.read("/y/b/two"), "in the way");
    // Below itself there is no place.
    let reply = admin.call("move-objects", json!({"source": "/z", "target": "/z/below"}));
    assert!([200, 400, 409].contains(&reply.status), "{}", reply.text());
    let place = if reply.is_success() { "/z/below/a/one" } else { "/z/a/one" };
    assert_eq!(admin.read(place), "/a/one");
    assert_eq!(listed(&admin).len(), 6);
}

fn listed(api: &Api) -> Vec<String> {
    let items = api.ok("list-items", json!({}))["items"].take();
    let items = items.as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item["item_name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn moving_takes_the_rights_on_everything_that_moves() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/from/mine", "v");
    admin.store("/from/hidden", "secret");
    let all = "read,list,update,create,delete";
    let rules = [("item-rule", "/from/mine", all), ("item-rule", "/to/*", all)];
    let person = admin.person_who_may("/people/mover", &rules).api;
    person.refused(401, "move-objects", json!({"source": "/from", "target": "/to"}));
    // A right to read must not come from a move or a new name.
    admin.store("/updatable/x", "secret");
    let rules = [("item-rule", "/updatable/*", "update,list"), ("item-rule", "/own/*", all)];
    let person = admin.person_who_may("/people/thief", &rules).api;
    person.refused(401, "get-secret-value", json!({"names": ["/updatable/x"]}));
    person.refused(403, "update-item", json!({"name": "/updatable/x", "new-name": "/own/x"}));
    let text =
        person.refused(403, "move-objects", json!({"source": "/updatable", "target": "/own"}));
    assert!(text.contains("PrivilegeEscalation"), "{text}");
    assert_eq!(admin.read("/updatable/x"), "secret");
    assert_eq!(admin.read("/from/hidden"), "secret");
}

#[test]
fn a_lock_binds_everybody_but_its_holder() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/db", "one");
    let all = [("item-rule", "/*", "read,list,update,create,delete")];
    let holder = admin.person_who_may("/people/holder", &all);
    let other = admin.person_who_may("/people/other", &all).api;
    other.read("/team/db");
    let lock = |actions: &str| json!({"name": "/team/db", "actions": actions, "lock-ttl": 5});
    holder.api.ok("lock-item", lock("read,update"));
    let info = admin.describe("/team/db")["locking_info"].clone();
    assert_eq!(
        (&info["locked_by"], &info["actions"]),
        (&json!(holder.access_id), &json!(["read", "update"]))
    );
    for api in [&other, &admin] {
        for (command, args) in [
            ("get-secret-value", json!({"names": ["/team/db"]})),
            ("update-secret-val", json!({"name": "/team/db", "value": "x"})),
            ("update-item", json!({"name": "/team/db", "description": "x"})),
            ("delete-item", json!({"name": "/team/db"})),
            ("rollback-secret", json!({"name": "/team/db", "old-version": 1})),
            ("set-item-state", json!({"name": "/team/db", "desired-state": "Disabled"})),
            ("move-objects", json!({"source": "/team", "target": "/elsewhere"})),
            ("lock-item", lock("read")),
        ] {
            let text = api.refused(403, command, args);
            assert!(text.contains(&holder.access_id), "{command}: who holds it? {text}");
        }
        let deleted = api.ok("delete-items", json!({"item": ["/team/db"]}));
        assert_eq!(deleted["deleted_items"], json!([]), "{deleted}");
    }
    assert_eq!(holder.api.read("/team/db"), "one");
    holder.api.overwrite("/team/db", "two");
    other.refused(403, "unlock-item", json!({"name": "/team/db"}));
    holder.api.ok("lock-item", lock("update"));
    assert_eq!(other.read("/team/db"), "two", "only updates are locked");
    other.refused(403, "update-secret-val", json!({"name": "/team/db", "value": "x"}));
    admin.ok("unlock-item", json!({"name": "/team/db"}));
    other.overwrite("/team/db", "three");
    assert_eq!(admin.describe("/team/db").get("locking_info"), None);
    admin.ok("update-account-settings", json!({"item-locking-enabled": "false"}));
    holder.api.refused(403, "lock-item", lock("read"));
}

#[test]
fn a_disabled_item_is_there_and_not_usable() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/db", "one");
    admin.read("/team/db");
    let state = |state: &str| json!({"name": "/team/db", "desired-state": state});
    admin.ok("set-item-state", state("Disabled"));
    admin.refused(403, "get-secret-value", json!({"names": ["/team/db"]}));
    admin.refused(403, "update-secret-val", json!({"name": "/team/db", "value": "x"}));
    let item = admin.describe("/team/db");
    assert_eq!((&item["item_state"], &item["is_enabled"]), (&json!("Disabled"), &json!(false)));
    assert_eq!(listed(&admin), ["/team/db"]);
    admin.ok("set-item-state", state("enabled"));
    assert_eq!(admin.read("/team/db"), "one");
}

#[test]
fn delete_protection_must_be_switched_off_first() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let protected = |name: &str| json!({"name": name, "value": "v", "delete_protection": "true"});
    admin.ok("create-secret", protected("/team/db"));
    admin.store("/team/other", "v");
    for args in [json!({"name": "/team/db"}), json!({"name": "/team/db", "version": 1})] {
        let text = admin.refused(403, "delete-item", args);
        assert!(text.contains("DeleteProtection"), "{text}");
    }
    let deleted = admin.ok("delete-items", json!({"path": "/team/"}));
    assert_eq!(deleted["deleted_items"], json!(["/team/other"]));
    assert!(deleted["failed_deleted_items"]["/team/db"].is_string(), "{deleted}");
    assert_eq!(admin.read("/team/db"), "v");
    admin.ok("update-item", json!({"name": "/team/db", "delete_protection": "false"}));
    admin.ok("delete-item", json!({"name": "/team/db"}));
    // The account can want it for everything new.
    admin.ok("update-account-settings", json!({"items-deletion-protection": "true"}));
    admin.store("/team/new", "v");
    admin.refused(403, "delete-item", json!({"name": "/team/new"}));
    let named = json!({"name": "/team/open", "value": "v", "delete_protection": "false"});
    admin.ok("create-secret", named);
    admin.ok("delete-item", json!({"name": "/team/open"}));
    for (create, delete) in [
        ("create-role", "delete-role"),
        ("auth-method-create-api-key", "auth-method-delete"),
        ("folder-create", "folder-delete"),
    ] {
        admin.ok(create, json!({"name": "/kept", "delete_protection": "true"}));
        let text = admin.refused(403, delete, json!({"name": "/kept"}));
        assert!(text.contains("DeleteProtection"), "{delete}: {text}");
    }
}

#[test]
fn deleting_a_folder_leaves_keys_and_what_is_not_seen() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    for name in ["/f/a", "/f/b/c", "/g/a"] {
        admin.store(name, "v");
    }
    let person = admin.person_who_may("/people/p", &[("item-rule", "/f/b/*", "delete")]).api;
    let deleted = person.ok("delete-items", json!({"path": "/f"}));
    assert_eq!(deleted["deleted_items"], json!(["/f/b/c"]));
    assert!(!deleted.to_string().contains("/f/a"), "{deleted}");
    admin.ok("create-dfc-key", json!({"name": "/f/key", "alg": "AES256GCM"}));
    let text = admin.refused(403, "delete-items", json!({"path": "/f/"}));
    assert!(text.contains("ForbiddenTypesDeletion"), "{text}");
    assert_eq!(listed(&admin), ["/f/a", "/f/key", "/g/a"]);
    let args = json!({"item": ["/f/a", "/f/none", "/g/a"]});
    let deleted = admin.ok("delete-items", args);
    assert_eq!(deleted["deleted_items"], json!(["/f/a", "/g/a"]));
    assert_eq!(deleted["failed_deleted_items"].as_object().unwrap().len(), 1, "{deleted}");
    admin.refused(400, "delete-items", json!({}));
    admin.refused(400, "delete-items", json!({"path": "/f", "item": ["/f/key"]}));
}

#[test]
fn folders_have_a_life_of_their_own() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let args = json!({"name": "/made/folder", "description": "d", "tags": ["t"]});
    let id = admin.ok("folder-create", args)["folder_id"].clone();
    let folder = admin.ok("folder-get", json!({"name": "made/folder/"}))["folder"].clone();
    assert_eq!((&folder["folder_id"], &folder["folder_name"]), (&id, &json!("/made/folder/")));
    assert_eq!((&folder["metadata"], &folder["tags"]), (&json!("d"), &json!(["t"])));
    let update = json!({"name": "/made/folder", "add-tag": ["u"], "rm-tag": ["t"]});
    admin.ok("folder-update", update);
    let folder = admin.ok("folder-get", json!({"name": "/made/folder"}))["folder"].clone();
    assert_eq!((&folder["tags"], &folder["metadata"]), (&json!(["u"]), &json!("d")));
    admin.store("/made/folder/db", "v");
    let reply = admin.call("folder-delete", json!({"name": "/made/folder"}));
    assert!((400..=409).contains(&reply.status), "it is not empty: {}", reply.text());
    assert_eq!(admin.read("/made/folder/db"), "v");
    admin.ok("delete-item", json!({"name": "/made/folder/db"}));
    admin.ok("folder-delete", json!({"name": "/made/folder"}));
    admin.refused(404, "folder-get", json!({"name": "/made/folder"}));
    admin.refused(400, "folder-create", json!({"name": "/"}));
}
