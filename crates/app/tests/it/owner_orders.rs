//! Orders of the owner through a running server: it carries them, and cannot make one.

use keysherd_base::{AccountId, Clock, SystemClock, Timestamp, Uid};
use keysherd_control::ControlKeys;
use keysherd_crypto::sign::SigningKey;
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::order::{FreezeScope, OrderAction};
use serde_json::{Value, json};

use crate::caching::until_kept;
use crate::kit::{Api, Site, order, owner_key};

fn uid(value: &Value) -> Uid {
    let text = value.as_str().unwrap();
    let mut bytes = [0; 16];
    hex::decode_to_slice(text.trim_start_matches("acc-"), &mut bytes).unwrap();
    Uid(bytes)
}

/// What all managers say about the first version of the key.
fn states(admin: &Api, name: &str) -> Vec<(String, bool)> {
    let described = admin.ok("describe-key-fragments", json!({"name": name}));
    let of_manager = |manager: &Value| {
        let version = &manager["versions"][0];
        (version["state"].as_str().unwrap().to_owned(), version["frozen"].as_bool().unwrap())
    };
    described["managers"].as_array().unwrap().iter().map(of_manager).collect()
}

#[test]
fn a_server_carries_the_owners_orders_and_cannot_make_one() {
    let site = Site::new();
    let server = site.start_with(&["--key-cache-seconds", "0"]);
    let admin = server.admin();
    admin.ok("create-dfc-key", json!({"name": "/team/key", "alg": "AES256GCM"}));
    let args = json!({"name": "/team/db", "value": "v", "protection_key": "/team/key"});
    admin.ok("create-secret", args);
    let described = admin.ok("describe-key-fragments", json!({"name": "/team/key"}));
    let (account, id) = (AccountId(uid(&described["account_id"])), uid(&described["key_id"]));
    let key = KeyVersion { account, id, version: 1 };
    let owner = owner_key(&site.data());
    let destroy = || OrderAction::DestroyVersion { key };
    let send = |number: i64, action: OrderAction, signer: &SigningKey| {
        let order = order(&site.data(), number, action, signer);
        admin.call("apply-owner-order", json!({"order": order}))
    };
    let all = |state: &str, frozen: bool| vec![(state.to_owned(), frozen); 3];
    // The control plane's own key is no owner's.
    let permit_key = ControlKeys::load(&site.data().join("control/keys")).unwrap().permit;
    let refused = send(0, destroy(), &permit_key);
    assert!(!refused.is_success());
    assert!(refused.text().contains("not signed by the pinned owner key"), "{}", refused.text());
    assert_eq!(states(&admin, "/team/key"), all("enabled", false));

    let scope = || FreezeScope::Key { account, id };
    let taken = send(0, OrderAction::Freeze { scope: scope() }, &owner).json();
    assert_eq!(taken["complete"], true, "{taken}");
    assert_eq!(states(&admin, "/team/key"), all("enabled", true));
    let refused = admin.call("get-secret-value", json!({"names": ["/team/db"]}));
    assert!(!refused.is_success());
    assert!(send(1, OrderAction::Unfreeze { scope: scope() }, &owner).is_success());
    assert_eq!(admin.read("/team/db"), "v");

    let taken = send(2, destroy(), &owner).json();
    let at = taken["managers"][0]["destroy_at"].as_str().unwrap();
    let days = Timestamp::parse_rfc3339(at).unwrap().millis_since(SystemClock.now()) / 86_400_000;
    assert!((6..=7).contains(&days), "{at}");
    assert_eq!(states(&admin, "/team/key"), all("to be destroyed", false));
    assert!(!admin.call("get-secret-value", json!({"names": ["/team/db"]})).is_success());
    assert!(send(3, OrderAction::CancelDestroy { key }, &owner).is_success());
    assert_eq!(states(&admin, "/team/key"), all("enabled", false));
    assert_eq!(admin.read("/team/db"), "v");
    // Nobody but an administrator brings orders or sees them.
    let person = admin.new_person("/team/person");
    let refused = person.api.call("describe-key-fragments", json!({"name": "/team/key"}));
    assert_eq!(refused.status, 401, "{}", refused.text());
}

/// What the server could answer by itself, with keys it has open, is frozen with the key.
#[test]
fn a_freeze_is_in_force_at_once_where_keys_are_open() {
    let site = Site::new();
    let server = site.start_with(&["--cache"]);
    let admin = server.admin();
    admin.ok("create-dfc-key", json!({"name": "/team/key", "alg": "AES256GCM"}));
    let args = json!({"name": "/team/db", "value": "v", "protection_key": "/team/key"});
    admin.ok("create-secret", args);
    let message = json!({"key-name": "/team/key", "plaintext": "hello"});
    admin.ok("encrypt", message.clone());
    until_kept(&admin, "/team/db");
    let described = admin.ok("describe-key-fragments", json!({"name": "/team/key"}));
    let (account, id) = (AccountId(uid(&described["account_id"])), uid(&described["key_id"]));
    let scope = FreezeScope::Key { account, id };
    let order = order(&site.data(), 0, OrderAction::Freeze { scope }, &owner_key(&site.data()));
    assert_eq!(admin.ok("apply-owner-order", json!({"order": order}))["complete"], true);
    for _ in 0..20 {
        assert!(!admin.call("get-secret-value", json!({"names": ["/team/db"]})).is_success());
        assert!(!admin.call("encrypt", message.clone()).is_success());
    }
}
