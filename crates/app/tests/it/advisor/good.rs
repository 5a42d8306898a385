//! An installation that is set up well: what is left is what one machine, on its first day, cannot
//! fulfil, named one by one.

use std::collections::BTreeSet;
use std::fs;

use keysherd_base::{Clock, SystemClock};
use serde_json::json;

use crate::customer_fragments::{new_fragment, start_with_all};
use crate::issued_tokens::provider::Provider;
use crate::issued_tokens::tokens::{TokenKey, key_set};
use crate::kit::{Api, Authenticator, Server, Site, wait_until};

/// What cannot be good here: one machine is one trust domain, and whoever sets up an account signs
/// in as its owner on that day.
const LEFT: [&str; 2] = ["managers-are-apart", "owner-is-not-used"];

/// The verdicts of all checks that are not a pass, and how many passed.
fn verdicts(administrator: &Api) -> (BTreeSet<String>, u64) {
    let answer = administrator.ok("advisor", json!({"all": true}));
    let findings = answer["findings"].as_array().unwrap();
    let bad = findings.iter().filter(|finding| finding["verdict"] != "pass");
    let names = bad.map(|finding| finding["check"].as_str().unwrap().to_owned()).collect();
    (names, answer["passed"].as_u64().unwrap())
}

/// Makes people of an identity provider administrators; gives one of them.
fn people(server: &Server, admin: &Api) -> Api {
    let (issuer, key) = (Provider::new(), TokenKey::new("ES256", "first"));
    let url = &issuer.url;
    let document = json!({
        "issuer": url, "jwks_uri": format!("{url}/keys"), "token_endpoint": format!("{url}/token"),
        "authorization_endpoint": format!("{url}/auth"),
    });
    issuer.answer("/.well-known/openid-configuration", 200, &document.to_string());
    issuer.answer("/keys", 200, &key_set(&[&key]));
    let made = admin.ok(
        "auth-method-create-oidc",
        json!({
            "name": "/people", "issuer": url, "client-id": "keysherd", "client-secret": "s3cret",
            "unique-identifier": "sub", "force-sub-claims": true,
        }),
    );
    let admins = json!({"role-name": "admin", "am-name": "/people", "sub-claims": {"group": "it"}});
    admin.ok("assoc-role-am", admins);
    let token = key.sign(&json!({
        "iss": url, "aud": "keysherd", "sub": "alice", "group": "it",
        "exp": SystemClock.now().seconds() + 600,
    }));
    let login = json!({"access-type": "oidc", "access-id": made["access_id"], "jwt": token});
    let answer = server.nobody().ok("auth", login);
    server.nobody().with_token(answer["token"].as_str().unwrap())
}

/// What people and machines work with: folders, narrow roles, keys that end and are bound.
fn furnish(administrator: &Api, fragment: &str) {
    let key = json!({"name": "/keys/all", "alg": "AES256GCM", "customer-frg-id": fragment});
    administrator.ok("create-dfc-key", key);
    administrator.ok("update-account-settings", json!({"default-key-name": "/keys/all"}));
    administrator.store("/team/db", "a value");
    let readers = [("item-rule", "/team/*", "read,list"), ("item-rule", "/shared/*", "list")];
    administrator.new_role("/roles/team", &readers);
    let group = json!({
        "role-name": "/roles/team", "am-name": "/people", "sub-claims": {"group": "team"},
    });
    administrator.ok("assoc-role-am", group);
    let bounds = json!({
        "access-expires": SystemClock.now().seconds() + 86_400, "bound-ips": ["127.0.0.0/8"],
    });
    let machine = administrator.new_person_with("/machines/build", bounds);
    administrator.new_role("/roles/build", &[("item-rule", "/team/db", "read")]);
    administrator.associate("/roles/build", &machine);
}

/// The owner gets a second factor and is sealed.
fn seal_owner(server: &Server) {
    let (email, password) = (&server.bootstrap.owner_email, server.bootstrap.owner_password());
    let (mut app, _) = Authenticator::set_up(&server.nobody(), email, &password);
    let login = json!({
        "access-type": "password", "admin-email": email, "admin-password": password,
        "otp": app.code(),
    });
    let answer = server.nobody().ok("auth", login);
    let owner = server.nobody().with_token(answer["token"].as_str().unwrap());
    owner.ok("owner-seal", json!({"otp": app.code()}));
}

/// A fragment whose recovery shares were shown to restore it, in the file that is given.
fn tried_fragment(site: &Site, file: &str) -> String {
    let fragment = new_fragment(site, file.as_ref(), "north");
    let dir = site.path("shares");
    let split = ["customer-fragment", "split", "--file", file, "--out-dir"];
    site.run(&[&split[..], &[dir.to_str().unwrap()]].concat()).expect(0);
    let held = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let held: Vec<String> = held.take(3).map(|path| path.display().to_string()).collect();
    let verify = ["customer-fragment", "verify", "--file", file];
    let held: Vec<&str> = held.iter().map(String::as_str).collect();
    site.run(&[&verify[..], &held].concat()).expect(0);
    fragment.id
}

#[test]
fn a_good_installation_has_nothing_left_but_what_one_machine_cannot_fulfil() {
    let site = Site::new();
    let file = site.path("customer_fragments.json").display().to_string();
    let fragment = tried_fragment(&site, &file);
    let server = start_with_all(&site, file.as_ref(), &["--identity-loopback-http"]);
    let admin = server.admin();
    let (before, passed_before) = verdicts(&admin);
    let checks = before.len() as u64 + passed_before;
    let alice = people(&server, &admin);
    // Administrators are people from now on; nothing has the first key any more.
    let methods = alice.ok("auth-method-list", json!({}));
    let first = methods["auth_methods"]
        .as_array()
        .unwrap()
        .iter()
        .find(|method| method["auth_method_access_id"] == server.bootstrap.access_id.as_str());
    alice.ok("auth-method-delete", json!({"name": first.unwrap()["auth_method_name"]}));
    furnish(&alice, &fragment);
    seal_owner(&server);
    alice.ok("update-guard-rails", json!({"preset": "strict"}));
    let left: BTreeSet<String> = LEFT.map(str::to_owned).into();
    // That the owner was at work is known a second or so after the fact.
    wait_until("nothing but the named to be left", || {
        let (bad, passed) = verdicts(&alice);
        assert!(bad.is_subset(&left), "{bad:?}");
        bad == left && passed == checks - left.len() as u64
    });
    // The seal holds, and the furniture is in use.
    assert_eq!(alice.read("/team/db"), "a value");
}
