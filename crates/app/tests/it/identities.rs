//! Auth methods and tokens through the API: where they come from, what ends them.

use keysherd_base::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::kit::{Api, Site, wait_until};
use crate::walk::foreign_account;

/// What `validate-token` says of a token: valid, and why not.
fn validity(api: &Api) -> (bool, String) {
    let answer = api.ok("validate-token", json!({}));
    let reason = answer["reason"].as_str().unwrap_or_default().to_owned();
    (answer["is_valid"].as_bool().unwrap(), reason)
}

fn by_password(email: &str, password: &str) -> Value {
    json!({"access-type": "password", "admin-email": email, "admin-password": password})
}

#[test]
fn a_token_says_who_and_until_when() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let (id, key) = (&server.bootstrap.access_id, &server.bootstrap.access_key);
    let login = json!({"access-id": id, "access-key": key});
    let answer = server.nobody().ok("auth", login.clone());
    let fields: Vec<_> = answer.as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, ["expiration", "token"]);
    let end: jiff::Timestamp = answer["expiration"].as_str().unwrap().parse().unwrap();
    let minutes = (end.as_second() - SystemClock.now().seconds()) / 60;
    assert!((58..=60).contains(&minutes), "{minutes}");
    let configured = server.nobody().ok("configure", login);
    assert!(configured["profile"].is_string() && configured["token"].is_string());
    let claims = admin.ok("describe-sub-claims", json!({}))["sub_claims"].take();
    assert_eq!(claims, json!({"client_ip": ["127.0.0.1"], "client_unique_id": [id]}));
    let owner = server.owner().ok("describe-sub-claims", json!({}))["sub_claims"].take();
    assert_eq!(owner["email"], json!([server.bootstrap.owner_email]), "{owner}");
    assert_eq!(validity(&admin), (true, String::new()));
}

#[test]
fn wrong_credentials_are_401_whatever_is_wrong() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let other = admin.new_person("/people/other");
    let (id, key) = (&server.bootstrap.access_id, &server.bootstrap.access_key);
    let (email, password) = (&server.bootstrap.owner_email, server.bootstrap.owner_password());
    let mut texts = Vec::new();
    for login in [
        json!({"access-id": id, "access-key": other.access_key}),
        json!({"access-id": "p-aaaaaaaaaaaaaa", "access-key": key}),
        json!({"access-id": id, "access-key": "short"}),
        json!({"access-id": "not-an-id", "access-key": key}),
        json!({"access-id": id.to_uppercase(), "access-key": key}),
        by_password(email, "wrong"),
        by_password("nobody@example.com", &password),
        by_password(email, &format!("{password} ")),
        json!({"access-type": "saml", "access-id": id}),
        json!({"access-type": "aws_iam", "access-id": id, "cloud-id": "x"}),
        json!({"access-type": "access_key", "access-id": id, "access-key": password}),
    ] {
        texts.push(server.nobody().refused(401, "auth", login));
    }
    // Whether an id or an address exists is not told.
    let message = |text: &str| text.split("Message: ").nth(1).unwrap().to_owned();
    assert_eq!(message(&texts[0]), message(&texts[1]));
    assert_eq!(message(&texts[5]), message(&texts[6]));
    for login in [json!({}), json!({"access-id": id}), json!({"access-type": "password"})] {
        server.nobody().refused(400, "auth", login);
    }
}

#[test]
fn a_revoked_token_stays_dead_and_others_live() {
    let site = Site::new();
    let server = site.start();
    let (one, two) = (server.admin(), server.admin());
    one.ok("revoke-creds", json!({}));
    one.refused(401, "describe-sub-claims", json!({}));
    one.refused(401, "revoke-creds", json!({}));
    assert!(!validity(&one).0 && validity(&one).1.contains("revoked"));
    assert!(validity(&two).0);
    server.process.kill();
    let server = site.start();
    let one = server.nobody().with_token(one.token());
    one.refused(401, "describe-sub-claims", json!({}));
    assert!(validity(&server.nobody().with_token(two.token())).0);
}

#[test]
fn a_new_key_ends_the_old_one_and_its_tokens() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let person = admin.new_person("/people/p");
    let other = admin.new_person("/people/other");
    let answer = admin.ok("reset-access-key", json!({"name": "/people/p"}));
    let fields: Vec<_> = answer.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["access_key"]);
    let new_key = answer["access_key"].as_str().unwrap();
    assert_ne!(new_key, person.access_key);
    person.api.refused(401, "describe-sub-claims", json!({}));
    let old = json!({"access-id": person.access_id, "access-key": person.access_key});
    server.nobody().refused(401, "auth", old);
    let again = server.nobody().login(&person.access_id, new_key);
    assert!(validity(&again).0 && validity(&other.api).0);
}

#[test]
fn a_deleted_method_takes_its_tokens_with_it() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let person = admin.person_who_may("/people/p", &[("item-rule", "/*", "read")]);
    admin.ok("auth-method-delete", json!({"name": "/people/p"}));
    person.api.refused(401, "list-items", json!({}));
    let login = json!({"access-id": person.access_id, "access-key": person.access_key});
    server.nobody().refused(401, "auth", login);
    // A new method of the same name is another identity, without the old one's roles.
    let again = admin.new_person("/people/p");
    assert_ne!(again.access_id, person.access_id);
    person.api.refused(401, "list-items", json!({}));
    let role = admin.ok("get-role", json!({"name": "/people/p"}));
    assert!(role["role_auth_methods_assoc"].as_array().is_none_or(Vec::is_empty), "{role}");
}

#[test]
fn networks_client_types_and_times_bound_a_method() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let person = admin.new_person("/people/p");
    let update = |mut bounds: Value| {
        bounds["name"] = "/people/p".into();
        admin.ok("auth-method-update-api-key", bounds);
    };
    let login = json!({"access-id": person.access_id, "access-key": person.access_key});
    let hour = SystemClock.now().seconds() + 3_600;
    for (bounds, admits) in [
        (json!({"bound-ips": ["10.0.0.0/8"]}), false),
        (json!({"bound-ips": ["10.0.0.0/8,127.0.0.0/8"]}), true),
        (json!({"bound-ips": ["::1/128"]}), false),
        (json!({"allowed-client-type": ["cli"]}), false),
        (json!({"allowed-client-type": ["SDK"]}), true),
        (json!({"access-expires": hour}), true),
    ] {
        update(bounds.clone());
        // It counts for tokens that were issued before as well.
        assert_eq!(validity(&person.api).0, admits, "{bounds}");
        assert_eq!(server.nobody().call("auth", login.clone()).is_success(), admits, "{bounds}");
    }
    let person = admin.new_person_until_soon("/people/soon");
    wait_until("the end of access", || !validity(&person.api).0);
    let login = json!({"access-id": person.access_id, "access-key": person.access_key});
    let text = server.nobody().refused(401, "auth", login.clone());
    assert!(text.contains("ended"), "{text}");
    let again = json!({"name": "/people/soon", "access-expires": 0});
    admin.ok("auth-method-update-api-key", again);
    assert!(server.nobody().call("auth", login).is_success());
    // The account's own bounds cannot lock out who sets them.
    admin.refused(400, "update-account-settings", json!({"bound-ips": ["10.0.0.0/8"]}));
    let types = json!({"allowed-client-type": ["terraform"]});
    admin.refused(400, "update-account-settings", types);
}

#[test]
fn lifetimes_stay_within_the_accounts_bounds() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let bounds = json!({"jwt-ttl-min": 10, "jwt-ttl-default": "30", "jwt-ttl-max": 100});
    admin.ok("update-account-settings", bounds);
    let settings = admin.ok("get-account-settings", json!({}));
    let ttl = &settings["system_access_creds_settings"];
    assert_eq!(
        (&ttl["jwt_ttl_minimum"], &ttl["jwt_ttl_default"], &ttl["jwt_ttl_maximum"]),
        (&json!(10), &json!(30), &json!(100))
    );
    for (wish, minutes) in [(0, 30), (10, 10), (55, 55), (100, 100)] {
        let name = format!("/people/{wish}");
        let person = admin.new_person_with(&name, json!({"jwt-ttl": wish}));
        let shown = admin.ok("auth-method-get", json!({ "name": name }));
        assert_eq!(shown["access_info"]["jwt_ttl"], minutes, "{wish}");
        let login = json!({"access-id": person.access_id, "access-key": person.access_key});
        let answer = server.nobody().ok("auth", login);
        let end: jiff::Timestamp = answer["expiration"].as_str().unwrap().parse().unwrap();
        let left = end.as_second() - SystemClock.now().seconds();
        assert!((left - minutes * 60).abs() < 60, "{wish}: {left}");
    }
    let disordered = json!({"jwt-ttl-min": 50, "jwt-ttl-default": 20});
    admin.refused(400, "update-account-settings", disordered);
}

#[test]
fn a_new_password_ends_the_old_one() {
    let site = Site::new();
    let server = site.start();
    let owner = server.owner();
    let (email, old) = (&server.bootstrap.owner_email, server.bootstrap.owner_password());
    let new = "plinth gazebo ovation turnip";
    let change =
        |current: &str, new: &str| json!({"current-password": current, "new-password": new});
    let command = "change-admin-account-password";
    owner.refused(401, command, change("not the password", new));
    owner.refused(400, command, change(&old, "short"));
    server.admin().refused(403, command, change(&old, new));
    assert!(validity(&owner).0);
    owner.ok(command, change(&old, new));
    assert!(!validity(&owner).0, "tokens of the old password must die");
    server.nobody().refused(401, "auth", by_password(email, &old));
    server.nobody().ok("auth", by_password(email, new));
}

#[test]
fn accounts_know_nothing_of_each_other() {
    let site = Site::new();
    let foreign = foreign_account(&site);
    let server = site.start();
    let ours = server.admin();
    let theirs = server.nobody().login(&foreign.access_id, &foreign.access_key);
    // The same names in both, and the same gateway that has both warm.
    for (api, value) in [(&ours, "ours"), (&theirs, "theirs")] {
        api.store("/team/db", value);
        api.ok("create-dfc-key", json!({"name": "/team/key", "alg": "AES256GCM"}));
        api.new_role("/team/role", &[]);
        api.new_person("/team/person");
    }
    let sealed = ours.ok("encrypt", json!({"key-name": "/team/key", "plaintext": "p"}));
    for _ in 0..3 {
        assert_eq!(
            (ours.read("/team/db"), theirs.read("/team/db")),
            ("ours".to_owned(), "theirs".to_owned())
        );
        theirs.ok("encrypt", json!({"key-name": "/team/key", "plaintext": "p"}));
        let args = json!({"key-name": "/team/key", "ciphertext": sealed["result"]});
        assert_eq!(ours.ok("decrypt", args.clone())["result"], "p");
        theirs.refused(400, "decrypt", args);
    }
    let id = ours.describe("/team/key")["item_id"].clone();
    theirs.refused(404, "encrypt-batch", json!([{"item_id": id, "data": "d"}]));
    theirs.refused(404, "describe-item", json!({"name": "", "item-id": id}));
    let mine = theirs.ok("get-account-settings", json!({}));
    assert_eq!(mine["account_id"], foreign.account_id);
    theirs.ok("delete-items", json!({"item": ["/team/db"]}));
    assert_eq!(ours.read("/team/db"), "ours");
    // An address of both is asked which account it means.
    let password = foreign.owner_password();
    let login = json!({
        "access-type": "password", "admin-email": foreign.owner_email, "admin-password": password,
        "account-id": server.bootstrap.account_id,
    });
    server.nobody().refused(401, "auth", login);
}
