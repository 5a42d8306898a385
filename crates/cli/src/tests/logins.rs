//! Which token a call carries, and how it was come by.

use serde_json::json;

use super::fake::{Fake, Reply};
use super::harness::{Machine, NOW};

/// A machine with a profile for `url`.
fn configured(url: &str) -> Machine {
    let mut machine = Machine::new();
    machine.stdin = "key-1\n".to_owned();
    machine.run(&["configure", "--access-id", "p-1", "--access-key-stdin", "-u", url]).ok();
    machine
}

fn token(name: &str, seconds_from_now: i64) -> Reply {
    let expiration = NOW.plus_seconds(seconds_from_now).rfc3339();
    let body = json!({ "token": name, "expiration": expiration });
    Reply(200, "", body.to_string())
}

fn refused(text: &str) -> Reply {
    Reply(401, "", json!({ "error": text }).to_string())
}

fn commands_and_tokens(fake: Fake) -> Vec<(String, serde_json::Value)> {
    fake.finish()
        .into_iter()
        .map(|request| (request.command, request.body["token"].clone()))
        .collect()
}

#[test]
fn a_run_logs_in_once_and_later_runs_use_the_kept_token() {
    let fake = Fake::new([token("t-1", 3600), "{}".into(), "{}".into()]);
    let mut machine = configured(&fake.url);
    machine.run(&["list-items"]).ok();
    machine.run(&["list-items"]).ok();
    let requests = fake.finish();
    assert_eq!(requests[0].command, "auth");
    assert_eq!(requests[0].body, json!({ "access-id": "p-1", "access-key": "key-1" }));
    for request in &requests[1..] {
        assert_eq!(request.command, "list-items");
        assert_eq!(request.body["token"], json!("t-1"));
    }
}

#[test]
fn a_kept_token_is_not_used_in_its_last_30_seconds() {
    let fake =
        Fake::new([token("t-1", 60), "{}".into(), "{}".into(), token("t-2", 3600), "{}".into()]);
    let mut machine = configured(&fake.url);
    machine.run(&["list-items"]).ok();
    machine.clock.advance_seconds(29);
    machine.run(&["list-items"]).ok();
    machine.clock.advance_seconds(1);
    machine.run(&["list-items"]).ok();
    let expected = [
        ("auth", json!(null)),
        ("list-items", json!("t-1")),
        ("list-items", json!("t-1")),
        ("auth", json!(null)),
        ("list-items", json!("t-2")),
    ];
    let expected: Vec<_> =
        expected.into_iter().map(|(name, token)| (name.to_owned(), token)).collect();
    assert_eq!(commands_and_tokens(fake), expected);
}

#[test]
fn a_kept_token_that_is_refused_is_replaced_once() {
    let fake = Fake::new([
        token("t-1", 3600),
        "{}".into(),
        refused("token revoked"),
        token("t-2", 3600),
        r#"{"items":[{"item_name":"/a"}]}"#.into(),
        // The next run: refused with a kept token and with a fresh one.
        refused("not permitted"),
        token("t-3", 3600),
        refused("not permitted"),
    ]);
    let mut machine = configured(&fake.url);
    machine.run(&["list-items"]).ok();
    assert!(machine.run(&["list-items"]).ok().contains("/a"));
    let outcome = machine.run(&["list-items"]);
    assert_eq!(outcome.code, 4);
    assert!(outcome.err.contains("not permitted"));
    assert_eq!(commands_and_tokens(fake).len(), 8);
}

#[test]
fn a_token_of_a_fresh_login_is_not_replaced() {
    let fake = Fake::new([token("t-1", 3600), refused("not permitted")]);
    let mut machine = configured(&fake.url);
    assert_eq!(machine.run(&["list-items"]).code, 4);
    assert_eq!(commands_and_tokens(fake).len(), 2);
}

#[test]
fn given_tokens_come_before_profiles() {
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], serde_json::Value);
    let cases: &[Case<'_>] = &[
        (&["--token", "t-flag"], &[("KEYSHERD_TOKEN", "t-env")], json!({ "token": "t-flag" })),
        (&["--uid-token=u-flag"], &[], json!({ "uid-token": "u-flag" })),
        (&[], &[("KEYSHERD_TOKEN", "t-env")], json!({ "token": "t-env" })),
        (&[], &[("AKEYLESS_UID_TOKEN", "u-env")], json!({ "uid-token": "u-env" })),
    ];
    for (flags, env, body) in cases {
        let fake = Fake::new(["{}".into()]);
        let mut machine = configured(&fake.url);
        for (name, value) in *env {
            machine.set(name, value);
        }
        let mut arguments = vec!["list-items", "--no-warn"];
        arguments.extend_from_slice(flags);
        machine.run(&arguments).ok();
        assert_eq!(fake.finish()[0].body, *body, "{flags:?} {env:?}");
    }
}

#[test]
fn a_profile_that_is_named_comes_before_the_environment() {
    let fake = Fake::new([token("t-1", 3600), "{}".into()]);
    let mut machine = configured(&fake.url);
    machine.set("KEYSHERD_TOKEN", "t-env");
    machine.set("KEYSHERD_ACCESS_ID", "p-env");
    machine.run(&["list-items", "--profile", "default"]).ok();
    let requests = fake.finish();
    assert_eq!(requests[0].body["access-id"], json!("p-1"));
    assert_eq!(requests[1].body["token"], json!("t-1"));
}

#[test]
fn credentials_of_the_environment_need_no_profile_and_leave_no_file() {
    let fake = Fake::new([token("t-1", 3600), "{}".into()]);
    let mut machine = Machine::new();
    machine.set("AKEYLESS_GATEWAY_URL", &format!("{}/api/v1", fake.url));
    machine.set("AKEYLESS_ACCESS_ID", "p-env");
    machine.set("AKEYLESS_ACCESS_KEY", "k-env");
    machine.run(&["list-items"]).ok();
    let requests = fake.finish();
    assert_eq!(requests[0].body, json!({ "access-id": "p-env", "access-key": "k-env" }));
    assert!(requests[0].head.starts_with("POST /api/v2/auth "));
    assert!(!machine.path(".config").exists());
}

#[test]
fn commands_for_everyone_carry_no_token_unless_they_are_about_one() {
    let fake = Fake::new(["{}".into(), "{}".into()]);
    let mut machine = Machine::with_token(&fake.url);
    machine.run(&["health"]).ok();
    machine.run(&["validate-token"]).ok();
    let requests = fake.finish();
    assert_eq!(requests[0].body, json!({}));
    assert_eq!(requests[1].body, json!({ "token": "t-env" }));
}

#[test]
fn without_credentials_the_next_step_is_named() {
    let outcome = Machine::new().run(&["list-items"]);
    assert_eq!(outcome.code, 8);
    assert_eq!(
        outcome.err,
        "Failed to list items. Error: there are no credentials: profile 'default' has none\n\
         Hint: run 'keysherd configure' once, or 'keysherd auth', or set KEYSHERD_TOKEN\n"
    );
    let outcome = Machine::new().run(&["list-items", "--profile", "ci"]);
    assert_eq!(outcome.code, 8);
    assert!(outcome.err.contains("there is no profile 'ci'\nHint: make it: "));
}

#[test]
fn auth_prints_the_token_and_keeps_it() {
    let fake = Fake::new([token("t-1", 3600), "{}".into()]);
    let mut machine = configured(&fake.url);
    assert_eq!(machine.run(&["auth"]).ok(), "Authentication succeeded.\nToken: t-1\n");
    machine.run(&["list-items"]).ok();
    assert_eq!(fake.finish()[1].body["token"], json!("t-1"));
}

#[test]
fn auth_without_a_profile_is_a_login_until_the_token_expires() {
    let fake = Fake::new([token("t-1", 3600), "{}".into()]);
    let url = fake.url.clone();
    let mut machine = Machine::new();
    machine.set("KEYSHERD_URL", &url);
    machine.stdin_is_terminal = true;
    machine.typed = vec!["k-typed"];
    machine.run(&["auth", "--access-id", "p-9"]).ok();
    machine.run(&["list-items"]).ok();
    machine.clock.advance_seconds(3600);
    assert_eq!(machine.run(&["list-items"]).code, 8);
    let requests = fake.finish();
    assert_eq!(requests[0].body, json!({ "access-id": "p-9", "access-key": "k-typed" }));
    assert_eq!(requests[1].body["token"], json!("t-1"));
}

#[test]
fn auth_as_someone_else_uses_none_of_the_profiles_secrets_and_keeps_nothing() {
    let fake = Fake::new([token("t-other", 3600), token("t-own", 3600), "{}".into()]);
    let mut machine = configured(&fake.url);
    let key = machine.write("key", "key-2\n");
    let outcome = machine.run(&["auth", "--access-id", "p-2", "--access-key-file", &key, "--json"]);
    assert!(outcome.err.contains("the token is not kept"), "{outcome:?}");
    assert!(outcome.ok().starts_with("{\n   \"expiration\""));
    machine.run(&["list-items"]).ok();
    let requests = fake.finish();
    assert_eq!(requests[0].body, json!({ "access-id": "p-2", "access-key": "key-2" }));
    assert_eq!(requests[2].body["token"], json!("t-own"));
}

#[test]
fn a_login_that_needs_a_browser_says_where_and_waits_for_it() {
    let begun = json!({ "token": "l-BCDFGHJK0123", "complete_auth_link": "https://gw/x" });
    let waiting = json!({ "complete": false }).to_string();
    let done = json!({ "complete": true, "token": "t-7" }).to_string();
    let fake = Fake::new([begun.to_string(), waiting, done].map(|body| Reply(200, "", body)));
    let mut machine = Machine::new();
    machine.set("KEYSHERD_URL", &fake.url);
    let outcome = machine.run(&["auth", "--access-type", "saml", "--no-browser"]);
    for part in ["https://gw/x", "BCDF-GHJK"] {
        assert!(outcome.err.contains(part), "{outcome:?}");
    }
    assert!(!outcome.err.contains("l-BCDF"), "{outcome:?}");
    assert!(outcome.ok().contains("t-7"));
    let requests = fake.finish();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[2].body["login-token"], "l-BCDFGHJK0123");
}
