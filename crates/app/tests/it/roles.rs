//! Roles through the API: what rules grant and deny, to whom, and what nobody can give themselves.

use serde_json::{Value, json};

use crate::kit::{Api, Person, Site, rule_args};

const ALL: &str = "read,list,update,create,delete";

/// Whether `api` may read the secret at `name`.
fn reads(api: &Api, name: &str) -> bool {
    let reply = api.call("get-secret-value", json!({"names": [name]}));
    assert!([200, 401].contains(&reply.status), "{name}: {}", reply.text());
    reply.status == 200
}

fn store_all(admin: &Api, names: &[&str]) {
    for name in names {
        admin.store(name, "v");
    }
}

#[test]
fn patterns_cover_what_they_say() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let names = [
        "/team/db",
        "/team/db/deep",
        "/team/dev-1",
        "/team/dev-1/deep/er",
        "/team/devil",
        "/teams/db",
        "/other/db",
        "/other/x/db",
        "/other/x/y/db",
        "/Team/db",
    ];
    store_all(&admin, &names);
    let cases: &[(&str, &[&str])] = &[
        ("/team/db", &["/team/db"]),
        ("team/db", &["/team/db"]),
        (
            "/team/*",
            &["/team/db", "/team/db/deep", "/team/dev-1", "/team/dev-1/deep/er", "/team/devil"],
        ),
        ("/team/dev-*", &["/team/dev-1", "/team/dev-1/deep/er"]),
        ("/other/+/db", &["/other/x/db"]),
        ("/other/+/+/db", &["/other/x/y/db"]),
        ("/+/db", &["/team/db", "/teams/db", "/other/db", "/Team/db"]),
        ("/+/db/*", &["/team/db/deep"]),
        ("/*", &names),
        ("/nothing/*", &[]),
    ];
    for (number, (pattern, covered)) in cases.iter().enumerate() {
        let name = format!("/people/{number}");
        let person = admin.person_who_may(&name, &[("item-rule", pattern, "read")]).api;
        let readable: Vec<_> = names.iter().copied().filter(|name| reads(&person, name)).collect();
        assert_eq!(readable, *covered, "{pattern}");
        let listed = person.ok("list-items", json!({}))["items"].take();
        let count = listed.as_array().map_or(0, Vec::len);
        assert_eq!(count, covered.len(), "{pattern}: {listed}");
    }
    for bad in ["", "/", "/a/*/b", "/a*b", "/a//b", "/a/../b", "/a/+*", "/a/{{", "/a/{{}}/b"] {
        let args = rule_args("/people/0", ("item-rule", bad, "read"));
        admin.refused(400, "set-role-rule", args);
    }
}

#[test]
fn a_deny_overrides_every_grant_in_every_role() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    store_all(&admin, &["/team/db", "/team/secret/db", "/team/secret/open/db"]);
    let person = admin.person_who_may("/people/p", &[("item-rule", "/team/*", ALL)]);
    assert!(reads(&person.api, "/team/secret/db"));
    admin.new_role("/people/denied", &[("item-rule", "/team/secret/*", "deny")]);
    let assoc = admin.associate("/people/denied", &person);
    // A grant that says more does not win either.
    admin.ok("set-role-rule", rule_args("/people/p", ("item-rule", "/team/secret/open/db", ALL)));
    for name in ["/team/secret/db", "/team/secret/open/db"] {
        assert!(!reads(&person.api, name), "{name}");
        person.api.refused(401, "describe-item", json!({"name": name}));
        person.api.refused(401, "delete-item", json!({"name": name}));
    }
    let listed = person.api.ok("list-items", json!({}))["items"].take();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert!(reads(&person.api, "/team/db"));
    admin.ok("delete-assoc", json!({"assoc-id": assoc}));
    assert!(reads(&person.api, "/team/secret/db"), "the next request already knows");
}

#[test]
fn each_capability_grants_itself_and_listing_only() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/db", "v");
    let attempts = [
        ("read", "get-secret-value", json!({"names": ["/team/db"]})),
        ("create", "create-secret", json!({"name": "/team/new", "value": "v"})),
        ("update", "update-secret-val", json!({"name": "/team/db", "value": "w"})),
        ("update", "update-item", json!({"name": "/team/db", "description": "d"})),
        ("update", "lock-item", json!({"name": "/team/db"})),
        ("update", "unlock-item", json!({"name": "/team/db"})),
        ("delete", "delete-item", json!({"name": "/team/new"})),
    ];
    for capability in ["list", "read", "create", "update", "delete"] {
        let reply = admin.call("create-secret", json!({"name": "/team/new", "value": "v"}));
        assert!([200, 409].contains(&reply.status));
        if capability == "create" {
            admin.ok("delete-item", json!({"name": "/team/new"}));
        }
        let name = format!("/people/{capability}");
        let rule = ("item-rule", "/team/*", capability);
        let person = admin.person_who_may(&name, &[rule]).api;
        for (needed, command, args) in &attempts {
            let reply = person.call(command, args.clone());
            let granted = *needed == capability;
            assert_eq!(reply.is_success(), granted, "{capability}: {command}: {}", reply.text());
            assert!(granted || reply.status == 401, "{command}: {}", reply.text());
        }
        let item = person.describe("/team/db");
        let mut held = item["client_permissions"].as_array().unwrap().to_vec();
        held.sort_by_key(Value::to_string);
        let mut expected = vec![json!(capability), json!("list")];
        expected.sort_by_key(Value::to_string);
        expected.dedup();
        assert_eq!(held, expected, "{capability}");
        let asked = json!({"path": "/team/db", "type": "item"});
        let described = person.ok("describe-permissions", asked)["client_permissions"].take();
        assert_eq!(described.as_array().unwrap().len(), expected.len(), "{described}");
        person.ok("get-tags", json!({"name": "/team/db"}));
    }
}

#[test]
fn templates_stand_for_the_bearers_own_claims() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let rules = [("item-rule", "/home/{{client_unique_id}}/*", ALL)];
    let one = admin.new_person("/people/one");
    let two = admin.new_person("/people/two");
    admin.new_role("/people/home", &rules);
    for person in [&one, &two] {
        admin.associate("/people/home", person);
        person.api.store(&format!("/home/{}/db", person.access_id), "v");
    }
    assert!(reads(&one.api, &format!("/home/{}/db", one.access_id)));
    assert!(!reads(&one.api, &format!("/home/{}/db", two.access_id)));
    for stolen in ["/home/{{client_unique_id}}/db", "/home/*/db", "/home/+/db"] {
        one.api.refused(401, "create-secret", json!({"name": stolen, "value": "v"}));
    }
    let claims = one.api.ok("describe-sub-claims", json!({}))["sub_claims"].take();
    assert_eq!(claims["client_unique_id"], json!([one.access_id]));
    // A template without such a claim covers nothing.
    let rule = [("item-rule", "/by/{{no-such-claim}}/*", ALL)];
    let person = admin.person_who_may("/people/three", &rule).api;
    for name in ["/by//x", "/by/{{no-such-claim}}/x", "/by/a/x"] {
        let reply = person.call("create-secret", json!({"name": name, "value": "v"}));
        assert!([400, 401].contains(&reply.status), "{}", reply.text());
    }
}

#[test]
fn sub_claims_of_an_association_choose_whom_it_binds() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/db", "v");
    let person = admin.new_person("/people/p");
    admin.new_role("/role", &[("item-rule", "/team/*", "read")]);
    let id = person.access_id.as_str();
    let upper = id.to_uppercase();
    let and = format!("{}* `AND` *{}", &id[..6], &id[id.len() - 3..]);
    let cases: &[(Value, &str, bool)] = &[
        (json!({"client_unique_id": id}), "true", true),
        (json!({"client_unique_id": "p-somebodyelse"}), "true", false),
        (json!({"client_unique_id": format!("p-somebodyelse,{id}")}), "true", true),
        (json!({"client_unique_id": upper}), "true", false),
        (json!({"client_unique_id": upper}), "false", true),
        (json!({"client_unique_id": format!("{}*", &id[..4])}), "true", true),
        (json!({"client_unique_id": "p-??????????????"}), "true", true),
        (json!({"client_unique_id": "p-?"}), "true", false),
        (json!({"client_unique_id": and}), "true", true),
        (json!({"client_unique_id": id, "client_ip": "127.0.0.1"}), "true", true),
        (json!({"client_unique_id": id, "client_ip": "10.0.0.1"}), "true", false),
        (json!({"client_unique_id": id, "group": "admins"}), "true", false),
    ];
    for (claims, case_sensitive, binds) in cases {
        let args = json!({
            "role-name": "/role", "am-name": person.method, "sub-claims": claims,
            "case-sensitive": case_sensitive,
        });
        let assoc = admin.ok("assoc-role-am", args)["assoc_id"].clone();
        assert_eq!(reads(&person.api, "/team/db"), *binds, "{claims} {case_sensitive}");
        let shown = admin.ok("describe-role-am-assoc", json!({"assoc-id": assoc}));
        assert_eq!(
            (&shown["role_name"], &shown["auth_method_name"]),
            (&json!("role"), &json!("people/p"))
        );
        assert_eq!(shown["sub_claims_case_sensitive"], *case_sensitive == "true");
        admin.ok("delete-assoc", json!({"assoc-id": assoc}));
        assert!(!reads(&person.api, "/team/db"));
    }
    // A method can demand that associations say whom they mean.
    admin.new_person_with("/people/shared", json!({"force-sub-claims": "true"}));
    let args = json!({"role-name": "/role", "am-name": "/people/shared"});
    admin.refused(400, "assoc-role-am", args);
}

#[test]
fn a_rule_is_replaced_deleted_and_ends() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/db", "v");
    let person = admin.person_who_may("/people/p", &[("item-rule", "/team/*", "read")]);
    admin.ok("set-role-rule", rule_args("/people/p", ("item-rule", "/team/*", "list")));
    let role = admin.ok("get-role", json!({"name": "/people/p"}));
    let rules = role["rules"]["path_rules"].as_array().unwrap();
    assert_eq!((rules.len(), &rules[0]["capabilities"]), (1, &json!(["list"])));
    assert!(!reads(&person.api, "/team/db"));
    let mut temporary = rule_args("/people/p", ("item-rule", "/team/db", "read"));
    temporary["ttl"] = 5.into();
    admin.ok("set-role-rule", temporary);
    assert!(reads(&person.api, "/team/db"));
    let delete = json!({"role-name": "/people/p", "path": "team/db"});
    admin.ok("delete-role-rule", delete.clone());
    assert!(!reads(&person.api, "/team/db"));
    admin.refused(404, "delete-role-rule", delete);
    let other_kind = json!({"role-name": "/people/p", "path": "/team/*", "rule-type": "role-rule"});
    admin.refused(404, "delete-role-rule", other_kind);
    admin.ok("delete-role", json!({"name": "/people/p"}));
    person.api.refused(401, "describe-item", json!({"name": "/team/db"}));
    let listed = person.api.ok("list-items", json!({}))["items"].take();
    assert_eq!(listed, Value::Null);
}

#[test]
fn administrative_scopes_are_rules_that_read_back_as_such() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let args = json!({"name": "/role", "audit-access": "own", "analytics-access": "all"});
    admin.ok("create-role", args);
    let paths = || -> Vec<String> {
        let role = admin.ok("get-role", json!({"name": "/role"}));
        let rules = role["rules"]["path_rules"].as_array().cloned().unwrap_or_default();
        let shown = |rule: &Value| format!("{} {}", rule["type"], rule["path"]).replace('"', "");
        let mut rules: Vec<_> = rules.iter().map(shown).collect();
        rules.sort();
        rules
    };
    assert_eq!(paths(), ["reports-rule /*", "search-rule /self"]);
    admin.ok("update-role", json!({"name": "/role", "audit-access": "scoped"}));
    assert_eq!(paths(), ["reports-rule /*", "search-rule /scoped"]);
    let none = json!({"name": "/role", "audit-access": "none", "reverse-rbac-access": "all"});
    admin.ok("update-role", none);
    assert_eq!(paths(), ["reports-rule /*", "reverse-rbac-rule /*"]);
    // Reviews: all sees everybody, scoped only what the bearer sees, nothing sees nothing.
    admin.store("/team/db", "v");
    let reader = admin.person_who_may("/people/reader", &[("item-rule", "/team/*", "read")]);
    let review = json!({"path": "/team/db", "type": "item"});
    let clients = |api: &Api| -> Vec<String> {
        let answer = api.ok("reverse-rbac", review.clone());
        answer["clients"].as_object().unwrap().keys().cloned().collect()
    };
    let all = admin.new_person("/people/all");
    admin.associate("/role", &all);
    assert!(clients(&all.api).contains(&reader.access_id));
    admin.ok("create-role", json!({"name": "/scoped", "reverse-rbac-access": "scoped"}));
    let scoped = admin.new_person("/people/scoped");
    admin.associate("/scoped", &scoped);
    assert_eq!(clients(&scoped.api), Vec::<String>::new());
    reader.api.refused(401, "reverse-rbac", review);
}

/// What one needs to deal in roles, without being an administrator.
fn role_dealer(admin: &Api, name: &str) -> Person {
    let rules = [
        ("role-rule", "/*", ALL),
        ("auth-method-rule", "/*", ALL),
        ("item-rule", "/own/*", "read,list"),
    ];
    admin.person_who_may(name, &rules)
}

#[test]
fn nobody_gives_what_they_do_not_hold() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    store_all(&admin, &["/own/db", "/secret/db"]);
    let dealer = role_dealer(&admin, "/people/dealer");
    let api = &dealer.api;
    let escalation = |command: &str, args: Value| {
        let text = api.refused(403, command, args);
        assert!(text.contains("PrivilegeEscalation"), "{command}: {text}");
    };
    api.ok("create-role", json!({"name": "/new/role"}));
    for (path, capabilities) in [
        ("/secret/*", "read"),
        ("/*", "read"),
        ("/+/db", "read"),
        ("/own/*", "update"),
        ("/own/*", "read,delete"),
        ("/own*", "read"),
        ("/{{client_ip}}/*", "read"),
    ] {
        escalation("set-role-rule", rule_args("/new/role", ("item-rule", path, capabilities)));
    }
    escalation("set-role-rule", rule_args("/new/role", ("target-rule", "/*", "read")));
    escalation("set-role-rule", rule_args("/people/dealer", ("item-rule", "/secret/*", "read")));
    for field in ["audit-access", "reverse-rbac-access", "analytics-access"] {
        escalation("create-role", json!({"name": "/new/wide", field: "all"}));
        escalation("update-role", json!({"name": "/new/role", field: "all"}));
    }
    let method = dealer.method.as_str();
    escalation("assoc-role-am", json!({"role-name": "/admin", "am-name": method}));
    admin.new_role("/strong", &[("item-rule", "/secret/*", "read")]);
    escalation("assoc-role-am", json!({"role-name": "/strong", "am-name": method}));
    // Nor by becoming somebody who holds it.
    let strong = admin.new_person("/people/strong");
    let assoc = admin.associate("/strong", &strong);
    escalation("reset-access-key", json!({"name": "/people/strong"}));
    let wider = json!({"assoc-id": assoc, "sub-claims": {"client_ip": "*"}});
    escalation("update-assoc", wider);
    for command in ["auth-method-update-api-key", "auth-method-delete", "reset-access-key"] {
        api.refused(403, command, json!({"name": "/owner"}));
    }
    for (command, args) in [
        ("update-role", json!({"name": "/admin", "new-name": "/old-admin"})),
        ("delete-role", json!({"name": "/admin"})),
        ("set-role-rule", rule_args("/admin", ("item-rule", "/own/*", "read"))),
        ("move-objects", json!({"source": "/", "target": "/x", "objects-type": "role"})),
    ] {
        api.refused(403, command, args);
    }
    api.refused(401, "update-account-settings", json!({"phone": "1"}));
    assert!(!reads(api, "/secret/db"));
    // What they hold they may give.
    api.ok("set-role-rule", rule_args("/new/role", ("item-rule", "/own/*", "read")));
    api.ok("set-role-rule", rule_args("/new/role", ("item-rule", "/secret/*", "deny")));
    let friend = api.new_person("/new/friend");
    api.associate("/new/role", &friend);
    assert!(reads(&friend.api, "/own/db") && !reads(&friend.api, "/secret/db"));
}

#[test]
fn denies_are_inherited_and_cannot_be_shaken_off() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    store_all(&admin, &["/own/db", "/own/vault/db"]);
    let dealer = role_dealer(&admin, "/people/dealer");
    let deny = ("item-rule", "/own/vault/*", "deny");
    admin.new_role("/restricted", &[deny]);
    let assoc = admin.associate("/restricted", &dealer);
    let api = &dealer.api;
    assert!(reads(api, "/own/db") && !reads(api, "/own/vault/db"));
    api.ok("create-role", json!({"name": "/new/role"}));
    let role = api.ok("get-role", json!({"name": "/new/role"}));
    let rules = role["rules"]["path_rules"].as_array().expect("no inherited deny");
    assert_eq!(
        (&rules[0]["path"], &rules[0]["capabilities"]),
        (&json!("/own/vault/*"), &json!(["deny"]))
    );
    for (command, args) in [
        ("delete-role-rule", json!({"role-name": "/new/role", "path": "/own/vault/*"})),
        ("delete-role-rule", json!({"role-name": "/restricted", "path": "/own/vault/*"})),
        ("delete-role", json!({"name": "/restricted"})),
        ("delete-assoc", json!({"assoc-id": assoc})),
        ("update-assoc", json!({"assoc-id": assoc, "sub-claims": {"client_ip": "10.0.0.1"}})),
        ("set-role-rule", rule_args("/restricted", ("item-rule", "/own/vault/*", "read"))),
        ("set-role-rule", rule_args("/new/role", ("item-rule", "/own/vault/db", "read"))),
    ] {
        let reply = api.call(command, args);
        assert_eq!(reply.status, 403, "{command}: {}", reply.text());
    }
    let mut temporary = rule_args("/restricted", ("item-rule", "/own/vault/*", "deny"));
    temporary["ttl"] = 1.into();
    api.refused(403, "set-role-rule", temporary);
    assert!(!reads(api, "/own/vault/db"));
}

#[test]
fn both_ends_of_an_association_must_be_in_hand() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.new_role("/theirs", &[]);
    let other = admin.new_person("/people/other");
    let existing = admin.associate("/theirs", &other);
    for rules in [
        [("role-rule", "/*", ALL), ("auth-method-rule", "/mine/*", ALL)],
        [("role-rule", "/mine/*", ALL), ("auth-method-rule", "/*", ALL)],
    ] {
        let name = format!("/people/{}", crate::kit::random());
        let api = admin.person_who_may(&name, &rules).api;
        let args = json!({"role-name": "/theirs", "am-name": "/people/other",
            "sub-claims": {"client_ip": "1.1.1.1"}});
        api.refused(401, "assoc-role-am", args);
        for command in ["delete-assoc", "describe-role-am-assoc", "update-assoc"] {
            api.refused(401, command, json!({"assoc-id": existing}));
        }
    }
}

#[test]
fn changes_are_in_force_at_the_next_request_of_anybody() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/db", "v");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let admin = admin.clone();
            scope.spawn(move || {
                let name = format!("/people/{thread}");
                let person = admin.new_person(&name);
                for turn in 0..25 {
                    let role = format!("/roles/{thread}/{turn}");
                    admin.new_role(&role, &[("item-rule", "/team/*", "read")]);
                    let assoc = admin.associate(&role, &person);
                    assert!(reads(&person.api, "/team/db"), "turn {turn}");
                    if turn % 2 == 0 {
                        admin.ok("delete-assoc", json!({"assoc-id": assoc}));
                    } else {
                        admin.ok("delete-role", json!({ "name": role }));
                    }
                    assert!(!reads(&person.api, "/team/db"), "turn {turn}");
                }
            });
        }
    });
}
