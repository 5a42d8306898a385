//! What a gateway is started with for its cluster, under the names of V2's environment as well.

use serde_json::json;

use super::{Identity, Pair};
use crate::kit::{Cluster, wait_until};

const DEFAULTS: &str = "gateway-get-defaults";

#[test]
fn who_configures_and_the_first_defaults_come_from_the_start_of_a_gateway() {
    let mut cluster = Cluster::start();
    let admin = cluster.admin();
    let identity = Identity::make(&admin);
    let (person, other) = (admin.new_person("/ops"), admin.new_person("/others"));
    admin.ok("create-dfc-key", json!({"name": "/keys/gw", "alg": "AES256GCM"}));
    admin.new_role("/gateways", &[("item-rule", "/keys/*", "read")]);
    let assoc = json!({"role-name": "/gateways", "am-name": "/gateways/prod"});
    admin.ok("assoc-role-am", assoc);
    let list = |access_id: &str| {
        let permissions = ["k8s_auth", "general"];
        json!([{"name": "ops", "access_id": access_id, "permissions": permissions}])
    };
    cluster.gateway.stop();
    identity.give(&mut cluster.gateway, &identity.access_key);
    let file = cluster.gateway.write_secret("allowed.json", &list(&person.access_id).to_string());
    cluster.gateway.take_args(&["--allowed-access-file", &file]);
    cluster.gateway.take_args(&["--default-encryption-key", "/keys/gw"]);
    cluster.gateway.take_args(&["--default-secret-location", "/team"]);
    cluster.gateway.start(&cluster.site);
    cluster.wait_until_healthy();
    let Pair { mut cluster, second: _second, here, .. } = Pair::of(cluster, &identity);
    let config = "gateway-get-config";
    wait_until("those to be allowed", || person.api.call(config, json!({})).status == 200);
    other.api.refused(401, config, json!({}));
    let shown = here.ok("gateway-get-allowed-access", json!({"name": "ops"}));
    assert_eq!((&shown["editable"], &shown["is_valid"]), (&json!(false), &json!(true)));
    here.refused(409, "gateway-delete-allowed-access", json!({"name": "ops"}));
    let key = here.describe("/keys/gw")["item_id"].as_i64().unwrap().to_string();
    let known = || here.ok(DEFAULTS, json!({}))["default_protection_key_id"].take();
    wait_until("the defaults to be there", || known() == key.as_str());
    assert_eq!(here.ok(config, json!({}))["saml"]["default_secret_location"], "/team");
    here.store("/team/db", "a value");
    assert_eq!(here.describe("/team/db")["protection_key_name"], "/keys/gw");
    // What somebody chose since is not undone by the next start; the list is.
    here.ok("gateway-update-defaults", json!({"key": "Default"}));
    cluster.gateway.write_secret("allowed.json", &list(&other.access_id).to_string());
    cluster.gateway.kill();
    cluster.gateway.start(&cluster.site);
    cluster.wait_until_healthy();
    wait_until("the others to be allowed", || other.api.call(config, json!({})).status == 200);
    person.api.refused(401, config, json!({}));
    assert_eq!(known(), serde_json::Value::Null);
    // A list that is wrong is told at the start, before anything is served.
    cluster.gateway.stop();
    cluster.gateway.write_secret("allowed.json", "[{}]");
    let listen = ["gateway", "--check-config"];
    let refused = cluster.gateway.run_with_args(&cluster.site, &listen).expect(64).err;
    assert!(refused.contains("allowed-access-file"), "{refused}");
    cluster.control.stop();
    cluster.audit(&["verify"]).expect(0);
}
