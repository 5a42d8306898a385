//! Refreshing keys: the fragments change, everything that was written stays readable, and writing
//! and encrypting go on.

use serde_json::json;

use crate::kit::Site;

#[test]
fn a_refreshed_key_reads_writes_and_decrypts_as_before() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.ok("create-dfc-key", json!({"name": "/keys/a", "alg": "AES256GCM"}));
    let store = |name: &str, value: &str| {
        let args = json!({"name": name, "value": value, "protection_key": "/keys/a"});
        admin.ok("create-secret", args);
    };
    store("/team/before", "one");
    let encrypted = admin.ok("encrypt", json!({"key-name": "/keys/a", "plaintext": "message"}));
    for round in 1..=3 {
        let refreshed = admin.ok("refresh-key", json!({"name": "/keys/a"}));
        assert_eq!(refreshed, json!({"result": "refreshed"}));
        assert_eq!(admin.read("/team/before"), "one");
        store(&format!("/team/{round}"), "two");
        assert_eq!(admin.read(&format!("/team/{round}")), "two");
    }
    let decrypt = json!({"key-name": "/keys/a", "ciphertext": encrypted["result"]});
    assert_eq!(admin.ok("decrypt", decrypt)["result"], "message");
    // A gateway that starts knows of no epoch, and learns.
    server.stop();
    let server = site.start();
    let admin = server.admin();
    assert_eq!(admin.read("/team/before"), "one");
    let args = json!({"name": "/team/after", "value": "three", "protection_key": "/keys/a"});
    admin.ok("create-secret", args);
    assert_eq!(admin.read("/team/after"), "three");
    // A rotation after refreshes, and a refresh of both versions.
    admin.ok("rotate-key", json!({"name": "/keys/a"}));
    admin.ok("refresh-key", json!({"name": "/keys/a"}));
    assert_eq!(admin.read("/team/before"), "one");
    drop(server);
}
