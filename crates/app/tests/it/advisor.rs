//! The advisor on a real server: what it finds in an installation that is used badly, and that the
//! commands it names mend it.

mod good;

use serde_json::{Value, json};

use crate::kit::{Api, Site, wait_until};

/// What the advisor finds, by check.
fn findings(admin: &Api, check: &str) -> Vec<Value> {
    let answer = admin.ok("advisor", json!({}));
    let all = answer["findings"].as_array().unwrap().clone();
    all.into_iter().filter(|finding| finding["check"] == check).collect()
}

/// The words of a command, without the quotes of the shell.
fn words(mend: &Value) -> Vec<String> {
    mend.as_str().unwrap().split(' ').skip(1).map(|word| word.replace('\'', "")).collect()
}

#[test]
fn what_the_advisor_finds_is_mended_by_what_it_says() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let file = site.data().join("bootstrap.json").display().to_string();
    site.run(&["configure", "--from-bootstrap", &file]).expect(0);
    admin.store("/at-the-root", "x");
    admin.new_role("/delegates", &[("role-rule", "/*", "create,list")]);
    admin.new_role("/watchers", &[("auth-method-rule", "/*", "list")]);
    let idle = admin.new_person("/idle");
    for check in [
        "roles-do-not-change-access",
        "roles-do-not-show-access",
        "no-items-at-the-root",
        "methods-are-in-use",
        "guard-rails-refuse",
    ] {
        let found = findings(&admin, check);
        assert!(!found.is_empty(), "{check} finds nothing");
        for finding in &found {
            // What is still open in the command is written in capitals.
            let command: Vec<_> =
                words(&finding["mend"]).iter().map(|word| word.replace("/UNIT", "/unit")).collect();
            let command: Vec<&str> = command.iter().map(String::as_str).collect();
            site.run(&command).expect(0);
        }
        assert_eq!(findings(&admin, check), Vec::<Value>::new(), "{check} is not mended");
    }
    assert_eq!(admin.read("/unit/at-the-root"), "x");
    admin.refused(401, "auth", json!({"access-id": idle.access_id, "access-key": idle.access_key}));
}

#[test]
fn the_advisor_is_for_administrators_and_says_what_a_new_account_lacks() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let answer = admin.ok("advisor", json!({"all": true}));
    let listed = answer["findings"].as_array().unwrap();
    let said = |check: &str| {
        let found = listed.iter().find(|finding| finding["check"] == check);
        found.unwrap_or_else(|| panic!("no {check}"))["verdict"].as_str().unwrap().to_owned()
    };
    for (check, verdict) in [
        ("access-keys-do-not-administer", "fail"),
        ("administrators-are-people", "warn"),
        ("managers-are-apart", "warn"),
        ("default-key-has-a-customer-fragment", "warn"),
        ("no-items-at-the-root", "pass"),
        ("roles-do-not-change-access", "pass"),
        ("tokens-are-short-lived", "pass"),
        ("customer-fragments-are-backed-up", "pass"),
    ] {
        assert_eq!(said(check), verdict, "{check}");
    }
    let counted = ["passed", "warnings", "failures"].map(|name| answer[name].as_u64().unwrap());
    assert!(counted.iter().all(|count| *count > 0), "{counted:?}");
    // Known a second or so after the fact.
    server.owner().ok("describe-sub-claims", json!({}));
    wait_until("the owner's work to be noticed", || {
        !findings(&admin, "owner-is-not-used").is_empty()
    });
    let person = admin.person_who_may("/work", &[("item-rule", "/*", "read")]);
    person.api.refused(401, "advisor", json!({}));
}
