//! Guard rails through the API: warnings beside the V2 answer, refusals in the strict profile.

use serde_json::json;

use crate::kit::{Site, rule_args};

const WARNING: &str = "keysherd-warning";

#[test]
fn the_strict_profile_refuses_what_the_default_one_warns_of() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let shown = admin.ok("get-guard-rails", json!({}));
    assert!(shown["guard_rails"].as_object().unwrap().values().all(|policy| policy == "warn"));
    admin.ok("update-guard-rails", json!({"production-path": ["/prod/*"]}));
    admin.ok("create-role", json!({"name": "/watched"}));

    let over = rule_args("/watched", ("role-rule", "/team/*", "list"));
    let reply = admin.call("set-role-rule", over);
    assert_eq!((reply.status, reply.json()), (200, json!({})), "the V2 answer is as ever");
    assert!(reply.header(WARNING).unwrap().contains("/watched"));
    let key = admin.call("auth-method-create-api-key", json!({"name": "/prod/app"}));
    assert!(key.header(WARNING).unwrap().contains("/prod/*"));
    let dfc = admin.call("create-dfc-key", json!({"name": "/key", "alg": "AES256GCM"}));
    assert!(dfc.header(WARNING).unwrap().contains("/key"), "{}", dfc.text());

    admin.ok("update-guard-rails", json!({"preset": "strict"}));
    for (command, args) in [
        ("set-role-rule", rule_args("/watched", ("auth-method-rule", "/team/*", "create"))),
        ("auth-method-create-api-key", json!({"name": "/prod/other"})),
        ("create-secret", json!({"name": "/top", "value": "v"})),
    ] {
        let text = admin.refused(403, command, args);
        assert!(text.contains("update-guard-rails"), "{command}: {text}");
    }
    // One rail can be opened, and nobody but an administrator opens it.
    let open = json!({"rail": {"roles-over-identities": "off"}});
    let person = admin.person_who_may("/people/p", &[("item-rule", "/a/*", "read")]).api;
    person.refused(401, "update-guard-rails", open.clone());
    let shown = person.ok("get-guard-rails", json!({}));
    assert_eq!(shown["production_paths"], json!([]), "paths are for those who may see them");
    admin.ok("update-guard-rails", open);
    let again = rule_args("/watched", ("auth-method-rule", "/team/*", "create"));
    assert_eq!(admin.call("set-role-rule", again).header(WARNING), None);
    for bad in [json!({"rail": {"none": "warn"}}), json!({"rail": {"items-at-root": "maybe"}})] {
        admin.refused(400, "update-guard-rails", bad);
    }
}
