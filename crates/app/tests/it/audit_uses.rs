//! What is worked out from the audit log: last uses, analytics, unused secrets.

use serde_json::{Value, json};

use crate::kit::{Site, wait_for};

#[test]
fn last_uses_are_shown_and_survive_moves_and_restarts() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/used", "v");
    admin.store("/team/unused", "v");
    admin.store("/team/written", "v");
    let person = admin.person_who_may("/people/reader", &[("item-rule", "/team/*", "read")]);
    person.api.read("/team/used");
    admin.overwrite("/team/written", "w");
    let shown = |api: &crate::kit::Api, name: &str| api.describe(name)["access_date"].clone();
    let date = wait_for("the use to be known", || {
        Some(shown(&admin, "/team/used")).filter(Value::is_string)
    });
    assert_eq!(admin.describe("/team/used")["access_date_display"], date);
    assert_eq!(shown(&admin, "/team/unused"), Value::Null, "a description is no use");
    assert_eq!(shown(&admin, "/team/written"), Value::Null, "neither is writing");
    let listed = admin.ok("list-items", json!({"path": "/team/"}));
    let of = |name: &str| {
        listed["items"].as_array().unwrap().iter().find(|i| i["item_name"] == name).unwrap().clone()
    };
    assert_eq!(of("/team/used")["access_date"], date);
    assert!(of("/team/unused").get("access_date").is_none());
    let method = admin.ok("auth-method-get", json!({"name": "/people/reader"}));
    assert!(method["access_date"].is_string(), "{method}");
    let role = admin.ok("get-role", json!({"name": "/people/reader"}));
    assert_eq!(role["access_date"], method["access_date"]);

    admin.ok(
        "move-objects",
        json!({"source": "/team/", "target": "/moved/", "objects-type": "item"}),
    );
    assert_eq!(shown(&admin, "/moved/used"), date);
    server.stop();
    let server = site.start();
    let admin = server.admin();
    let again = wait_for("the index to be there", || {
        Some(shown(&admin, "/moved/used")).filter(Value::is_string)
    });
    assert_eq!(again, date);
    // Made anew, an item has no past.
    admin.ok(
        "delete-item",
        json!({"name": "/moved/used", "delete-immediately": true, "delete-in-days": -1}),
    );
    admin.store("/moved/used", "v");
    assert_eq!(shown(&admin, "/moved/used"), Value::Null);
}

#[test]
fn analytics_count_what_the_caller_may_know() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/hidden/name", "v");
    admin.read("/hidden/name");
    let person = admin.person_who_may("/people/own", &[]);
    admin.ok("create-role", json!({"name": "/own", "analytics-access": "own"}));
    admin.associate("/own", &person);
    person.api.refused(401, "get-secret-value", json!({"names": ["/hidden/name"]}));
    let told = admin.ok("get-analytics-data", json!({}));
    let table = |told: &Value, name: &str| told["analytics_data"][name].as_array().unwrap().clone();
    let read = table(&told, "actions").into_iter().find(|r| r[0] == "get_secret_value").unwrap();
    assert_eq!(read, json!(["get_secret_value", "2", "1"]));
    assert_eq!(told["usage_reports"]["sm"]["secrets_by_types"]["STATIC_SECRET"], 1);
    let clients = told["clients_usage_reports"]["sm"]["clients"].as_array().unwrap();
    assert!(clients.iter().any(|client| client["access_id"] == server.bootstrap.access_id));
    let own = person.api.ok("get-analytics-data", json!({}));
    let read = table(&own, "actions").into_iter().find(|r| r[0] == "get_secret_value").unwrap();
    assert_eq!(read, json!(["get_secret_value", "1", "1"]));
    assert!(own.get("usage_reports").is_none());
    assert_eq!(table(&own, "clients").len(), 2, "a heading and oneself: {own}");
    for told in [told, own] {
        assert!(!told.to_string().contains("/hidden"), "{told}");
    }
    let nobody = admin.person_who_may("/people/nobody", &[("item-rule", "/*", "read")]);
    nobody.api.refused(401, "get-analytics-data", json!({}));
}

#[test]
fn what_nobody_used_is_listed_to_those_who_may_list_it() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/new", "v");
    // Nothing is ninety days old yet.
    assert_eq!(admin.ok("unused-secrets", json!({}))["items"], json!([]));
    admin.refused(400, "unused-secrets", json!({"days": 0}));
    admin.refused(400, "unused-secrets", json!({"days": 36_501}));
    let person = admin.person_who_may("/people/none", &[]);
    assert_eq!(person.api.ok("unused-secrets", json!({}))["items"], json!([]));
}
