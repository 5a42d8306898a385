//! What is in force is shown without its secrets, and the cluster's defaults are taken by each of
//! its gateways.

use serde_json::{Value, json};

use super::Pair;
use crate::kit::{Api, Needles, random, wait_for, wait_until};
use crate::log_forwarding::{reader, reading_as};
use crate::walk::own_arguments;

const SHOW: &str = "gateway-get-config";
const DEFAULTS: &str = "gateway-get-defaults";
const UPDATE: &str = "gateway-update-defaults";

fn canary() -> String {
    format!("canary{:016x}{:016x}", random(), random())
}

/// Gives the audit log a reader and a target, which is off.
fn log_target(admin: &Api, secret: &str) {
    admin.ok("gateway-update-log-reader", reading_as(&reader(admin, "/log-reader")));
    let args = json!({
        "splunk-url": "https://splunk.example:8088", "splunk-token": secret, "enable": "false",
        "output-format": "json", "pull-interval": "30",
    });
    admin.ok("gateway-update-log-forwarding-splunk", args);
}

#[test]
fn what_is_in_force_is_shown_part_by_part_and_never_a_secret() {
    let pair = Pair::start();
    let Pair { here, there, .. } = &pair;
    let secrets = [canary(), canary(), canary()];
    let method = here.ok("auth-method-create-k8s", json!({"name": "/k8s/prod"}));
    here.ok("gateway-create-k8s-auth-config", pair.config(&method, "prod", &secrets[0]));
    let ldap = here.ok("auth-method-create-ldap", json!({"name": "/ldap/prod"}));
    let directory = json!({
        "access-id": ldap["access_id"], "signing-key-data": ldap["prv_key"],
        "ldap-url": "ldaps://127.0.0.1:6360", "user-dn": "ou=people", "bind-dn": "cn=searcher",
        "bind-dn-password": secrets[1],
    });
    here.ok("gateway-update-ldap-auth-config", directory);
    log_target(here, &secrets[2]);
    here.ok(UPDATE, json!({"hvp-route-version": 2, "default-location": "/team"}));
    let version = here.ok(SHOW, json!({}))["version"].as_u64().unwrap();
    // The other gateway shows the same, as it has the same.
    let shown = wait_for("the other gateway to have it", || {
        let shown = there.ok(SHOW, json!({}));
        (shown["version"] == version).then_some(shown)
    });
    assert_eq!(shown, here.ok(SHOW, json!({})));
    let general = &shown["general"];
    assert_eq!(general["gw_cluster_url"], "https://gw.example");
    assert_eq!((&general["enable_tls"], &general["hvp_route_version"]), (&json!(true), &json!(2)));
    assert_eq!(shown["saml"]["default_secret_location"], "/team");
    let k8s = &shown["k8s_auths"]["k8s_auths"][0];
    assert_eq!(
        (&k8s["name"], &k8s["k8s_host"]),
        (&json!("prod"), &json!("https://127.0.0.1:6443"))
    );
    assert_eq!(shown["ldap"]["ldap_bind_dn"], "cn=searcher");
    assert_eq!(shown["cache"]["cache_enable"], false);
    let target = &shown["log_forwarding"];
    assert_eq!(
        (&target["target_log_type"], &target["logan_enable"]),
        (&json!("splunk"), &json!(false))
    );
    let mut needles = Needles::of("a signing key", method["prv_key"].as_str().unwrap().as_bytes());
    for secret in &secrets {
        needles = needles.and(Needles::of("a secret", secret.as_bytes()));
    }
    assert_eq!(needles.found_in(shown.to_string().as_bytes()), Vec::<&str>::new());
    // The control: the search would have found them.
    assert!(!needles.found_in(secrets.concat().as_bytes()).is_empty());
    // Who may see the general part sees of the others what they may configure, and nothing else.
    let person = here.new_person("/ops");
    person.api.refused(401, SHOW, json!({}));
    let wish = |permissions: &str| {
        let id = &person.access_id;
        json!({"name": "ops", "access-id": id, "permissions": permissions})
    };
    here.ok("gateway-create-allowed-access", wish("k8s_auth"));
    person.api.refused(401, SHOW, json!({}));
    here.ok("gateway-update-allowed-access", wish("general,k8s_auth"));
    let some = person.api.ok(SHOW, json!({}));
    assert!(some["general"].is_object() && some["k8s_auths"].is_object(), "{some}");
    for part in ["cache", "ldap", "log_forwarding", "admins", "cf", "kerberos"] {
        assert_eq!(some[part], Value::Null, "{part}");
    }
    here.ok("gateway-update-allowed-access", wish("admin"));
    let all = person.api.ok(SHOW, json!({}));
    assert_eq!(all["admins"]["allowed_access"]["ops"]["access_permissions"], json!(["admin"]));
}

#[test]
fn a_default_key_set_at_one_gateway_protects_what_is_created_at_the_other() {
    let Pair { mut cluster, second: _second, here, there, .. } = Pair::start();
    here.ok("create-dfc-key", json!({"name": "/keys/gw", "alg": "AES256GCM"}));
    here.ok("create-dfc-key", json!({"name": "/keys/cbc", "alg": "AES256CBC"}));
    assert_eq!(here.ok(DEFAULTS, json!({})), json!({"notify_on_status_change": false}));
    // What is no key for this is refused, and changes nothing.
    for (status, key) in [(404, "/keys/none"), (400, "/keys/cbc")] {
        here.refused(status, UPDATE, json!({"key": key}));
    }
    here.refused(400, UPDATE, json!({"saml-access-id": here_id(&here)}));
    assert_eq!(here.ok(DEFAULTS, json!({})), json!({"notify_on_status_change": false}));
    here.ok(UPDATE, json!({"key": "/keys/gw"}));
    let id = here.describe("/keys/gw")["item_id"].as_i64().unwrap();
    let known = |api: &Api| api.ok(DEFAULTS, json!({}))["default_protection_key_id"].take();
    wait_until("the other gateway to know", || known(&there) == id.to_string().as_str());
    // Whoever creates needs no right to the key.
    let rules = [("item-rule", "/team/*", "create,read")];
    let person = there.person_who_may("/alice", &rules);
    let elsewhere = Api::new(there.http().clone()).with_token(person.api.token());
    elsewhere.ok("create-secret", json!({"name": "/team/db", "value": "a value"}));
    assert_eq!(here.describe("/team/db")["protection_key_name"], "/keys/gw");
    assert_eq!(person.api.read("/team/db"), "a value");
    let listed = super::listed(&there).unwrap();
    assert_eq!(listed["default_protection_key_id"], id);
    // Renamed, it is the same key; a name that is given goes before it.
    here.ok("update-item", json!({"name": "/keys/gw", "new-name": "/keys/renamed"}));
    there.ok("create-secret", json!({"name": "/team/two", "value": "v"}));
    assert_eq!(here.describe("/team/two")["protection_key_name"], "/keys/renamed");
    here.ok(UPDATE, json!({"key": "Default"}));
    wait_until("the other gateway to forget it", || known(&there).is_null());
    there.ok("create-secret", json!({"name": "/team/three", "value": "v"}));
    assert_ne!(here.describe("/team/three")["protection_key_name"], "/keys/renamed");
    cluster.control.stop();
    cluster.audit(&["verify"]).expect(0);
}

fn here_id(api: &Api) -> Value {
    api.new_person("/no-saml").access_id.into()
}

#[test]
fn two_who_change_the_defaults_at_one_time_lose_nothing_and_logins_may_name_no_method() {
    let Pair { cluster, second: _second, here, there, .. } = Pair::start();
    let mut args = own_arguments("saml", "");
    args.insert("name".to_owned(), "/people".into());
    let saml = here.ok("auth-method-create-saml", args.into())["access_id"].take();
    let login = json!({"access-type": "saml"});
    cluster.nobody().refused(400, "auth", login.clone());
    here.ok(UPDATE, json!({"saml-access-id": saml}));
    wait_until("the other gateway to know", || {
        there.ok(DEFAULTS, json!({}))["saml_access_id"] == saml
    });
    let begun = Api::new(there.http().clone()).ok("auth", login);
    assert!(begun["complete_auth_link"].is_string(), "{begun}");
    // Two changes at one time: both, or the second is told.
    let change = |api: &Api, version: u32| api.call(UPDATE, json!({"hvp-route-version": version}));
    let statuses = std::thread::scope(|scope| {
        let one = scope.spawn(|| change(&here, 1).status);
        let other = scope.spawn(|| change(&there, 2).status);
        [one.join().unwrap(), other.join().unwrap()]
    });
    assert!(statuses.contains(&201), "{statuses:?}");
    assert!(statuses.iter().all(|status| [201, 409].contains(status)), "{statuses:?}");
    let kept = here.ok(DEFAULTS, json!({}));
    assert_eq!(kept["saml_access_id"], saml, "what nobody changed stays: {kept}");
    assert!([1, 2].map(Value::from).contains(&kept["hvp_route_version"]), "{kept}");
    here.ok(UPDATE, json!({"saml-access-id": "none"}));
    assert_eq!(here.ok(DEFAULTS, json!({}))["saml_access_id"], Value::Null);
}

/// A gateway that was only just started, and does not know its cluster's configuration, creates
/// nothing under another key than the cluster wants.
#[test]
fn nothing_is_created_under_another_key_while_the_defaults_are_not_known() {
    let Pair { mut cluster, second: _second, here, .. } = Pair::start();
    here.ok("create-dfc-key", json!({"name": "/keys/gw", "alg": "AES256GCM"}));
    here.ok(UPDATE, json!({"key": "/keys/gw"}));
    cluster.gateway.stop();
    // It cannot sign in any more, so it never hears of its cluster.
    let wrong = "bm90IHRoZSBhY2Nlc3Mga2V5IG9mIHRoaXMgbWV0aG9k";
    cluster.gateway.write_secret("access-key", wrong);
    cluster.gateway.start(&cluster.site);
    cluster.wait_until_healthy();
    let admin = cluster.admin();
    let text = admin.refused(503, "create-secret", json!({"name": "/team/db", "value": "v"}));
    assert!(text.contains("configuration of its cluster"), "{text}");
    admin.refused(404, "describe-item", json!({"name": "/team/db"}));
    // A named key is not a default.
    let named = json!({"name": "/team/db", "value": "v", "protection_key": "/keys/gw"});
    admin.ok("create-secret", named);
}
