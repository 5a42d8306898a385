//! Profiles on disk: what is written, with which permissions, and what is found.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use super::fake::{Fake, Reply};
use super::harness::Machine;

const OWN: &str = ".config/keysherd/profiles/default.toml";

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn configure(machine: &mut Machine, more: &[&str]) -> String {
    let key = machine.write("key", "secret-key\n");
    let mut arguments = vec!["configure", "--access-key-file", &key];
    arguments.extend_from_slice(more);
    machine.run(&arguments).ok()
}

#[test]
fn a_profile_is_written_for_its_owner_only_and_read_back() {
    let mut machine = Machine::new();
    let out =
        configure(&mut machine, &["--access-id", "p-1", "-u", "https://keys.example:8000/api/v1"]);
    assert_eq!(
        out,
        "Profile default successfully configured\n\
         - Server: https://keys.example:8000/api/v2\n- Access ID: p-1\n"
    );
    let path = machine.path(OWN);
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "[default]\naccess_id = \"p-1\"\naccess_key = \"secret-key\"\n\
         gateway_url = \"https://keys.example:8000/api/v2\"\n"
    );
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    let entries = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(entries, 1, "no draft is left behind");
    assert_eq!(
        machine.run(&["list-profiles"]).ok(),
        format!(
            "Profile  Default  Access ID  Server                            File\n\
             default  yes      p-1        https://keys.example:8000/api/v2  {}\n",
            path.display()
        )
    );
}

#[test]
fn who_has_no_profiles_is_told_so() {
    let listed = Machine::new().run(&["list-profiles"]);
    assert_eq!((listed.code, listed.out.as_str()), (0, ""));
    assert!(listed.err.contains("keysherd configure"), "{}", listed.err);
}

#[test]
fn configuring_again_keeps_what_is_not_given_but_no_secret_of_someone_else() {
    let mut machine = Machine::new();
    machine.write(OWN, "[default]\naccess_id = \"p-1\"\naccess_key = \"k\"\nunknown = \"kept\"\n");
    machine.run(&["configure", "-u", "https://other.example"]).ok();
    let text = fs::read_to_string(machine.path(OWN)).unwrap();
    for part in ["access_key = \"k\"", "unknown = \"kept\"", "other.example"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(mode(&machine.path(OWN)), 0o600);

    let outcome = machine.run(&["configure", "--access-id", "p-2"]);
    assert_eq!(outcome.code, 2);
    assert!(outcome.err.contains("--access-key-file is missing"), "{outcome:?}");
    assert_eq!(fs::read_to_string(machine.path(OWN)).unwrap(), text);
}

#[test]
fn a_person_is_asked_for_what_is_missing() {
    let mut machine = Machine::new();
    machine.stdin_is_terminal = true;
    machine.stdin = "p-7\n".to_owned();
    machine.typed = vec!["typed-key"];
    machine.run(&["configure"]).ok();
    let text = fs::read_to_string(machine.path(OWN)).unwrap();
    assert_eq!(text, "[default]\naccess_id = \"p-7\"\naccess_key = \"typed-key\"\n");
}

#[test]
fn a_bootstrap_file_is_a_whole_profile() {
    let mut machine = Machine::new();
    let file = machine.write(
        "data/bootstrap.json",
        &json!({
            "url": "https://localhost:8000",
            "ca_file": "ca.pem",
            "account_id": "acc-1",
            "access_id": "p-1",
            "access_key": "k",
            "owner_email": "owner@example.com",
            "owner_password_file": "/data/owner-password",
        })
        .to_string(),
    );
    let out = machine.run(&["configure", "--from-bootstrap", &file, "--profile", "first"]).ok();
    assert_eq!(
        out,
        "Profile first successfully configured\n- Server: https://localhost:8000\n\
         - Access ID: p-1\n- Password of owner@example.com: in /data/owner-password\n"
    );
    let written = machine.path(".config/keysherd/profiles/first.toml");
    assert_eq!(
        fs::read_to_string(written).unwrap(),
        format!(
            "[first]\naccess_id = \"p-1\"\naccess_key = \"k\"\naccess_type = \"access_key\"\n\
             account_id = \"acc-1\"\nadmin_email = \"owner@example.com\"\nca_file = \"{}\"\n\
             gateway_url = \"https://localhost:8000\"\n",
            machine.path("data/ca.pem").display()
        )
    );
    let other = machine.write("other.json", "{\"url\":\"https://x\"}");
    let outcome = machine.run(&["configure", "--from-bootstrap", &other]);
    assert_eq!(outcome.code, 8);
    assert!(outcome.err.contains("is not a bootstrap file"), "{outcome:?}");
}

#[test]
fn verify_logs_in_before_anything_is_written() {
    let refusal = Reply(401, "", json!({ "error": "wrong key" }).to_string());
    let fake = Fake::new([refusal, r#"{"token":"t-1"}"#.into()]);
    let url = fake.url.clone();
    let mut machine = Machine::new();
    let key = machine.write("key", "k\n");
    let arguments =
        ["configure", "--access-id", "p-1", "--access-key-file", &key, "-u", &url, "--verify"];
    let outcome = machine.run(&arguments);
    assert_eq!(outcome.code, 4);
    assert!(outcome.err.starts_with("Failed to configure. Error: wrong key\n"));
    assert!(!machine.path(OWN).exists());
    machine.run(&arguments).ok();
    assert!(machine.path(OWN).exists());
    let requests = fake.finish();
    assert_eq!(requests[1].body, json!({ "access-id": "p-1", "access-key": "k" }));
}

/// The profile that a run uses, by its access id.
fn used(machine: &mut Machine, arguments: &[&str]) -> String {
    let fake = Fake::new([r#"{"token":"t-1"}"#.into(), "{}".into()]);
    machine.set("KEYSHERD_URL", &fake.url);
    let mut all = vec!["list-items"];
    all.extend_from_slice(arguments);
    machine.run(&all).ok();
    let body = fake.finish().remove(0).body;
    body["access-id"].as_str().unwrap().to_owned()
}

#[test]
fn the_profile_in_use_is_named_by_flag_environment_or_settings() {
    let mut machine = Machine::new();
    for name in ["default", "a", "b", "c"] {
        configure(&mut machine, &["--access-id", &format!("p-{name}"), "--profile", name]);
    }
    assert_eq!(used(&mut machine, &[]), "p-default");
    assert_eq!(
        machine.run(&["set-default-profile", "a"]).ok(),
        "Profile a successfully set as default\n"
    );
    assert_eq!(machine.run(&["get-default-profile"]).ok(), "a\n");
    assert_eq!(used(&mut machine, &[]), "p-a");
    machine.set("AKEYLESS_DEFAULT_PROFILE", "b");
    assert_eq!(used(&mut machine, &[]), "p-b");
    machine.set("KEYSHERD_PROFILE", "c");
    assert_eq!(used(&mut machine, &[]), "p-c");
    assert_eq!(used(&mut machine, &["--profile", "default"]), "p-default");

    let outcome = machine.run(&["set-default-profile", "absent"]);
    assert_eq!(outcome.code, 8);
}

#[test]
fn profiles_of_the_older_place_are_read_and_never_written() {
    let mut machine = Machine::new();
    let older = ".akeyless/profiles/default.toml";
    let text = "[\"default\"]\naccess_id = 'p-old'\naccess_key = 'k'\n";
    machine.write(older, text);
    machine.write(".akeyless/settings", "dns = \"x\"\ndefault_profile = \"default\"\n");
    assert_eq!(used(&mut machine, &[]), "p-old");
    configure(&mut machine, &["--access-id", "p-new"]);
    assert_eq!(used(&mut machine, &[]), "p-new");
    assert_eq!(fs::read_to_string(machine.path(older)).unwrap(), text);
    machine.run(&["unconfigure"]).ok();
    assert_eq!(used(&mut machine, &[]), "p-old");
}

#[test]
fn the_directory_follows_the_environment() {
    let mut machine = Machine::new();
    let xdg = machine.path("xdg").display().to_string();
    machine.set("XDG_CONFIG_HOME", &xdg);
    configure(&mut machine, &["--access-id", "p-1"]);
    assert!(machine.path("xdg/keysherd/profiles/default.toml").exists());
    let own = machine.path("own").display().to_string();
    machine.set("KEYSHERD_CONFIG_DIR", &own);
    configure(&mut machine, &["--access-id", "p-1"]);
    assert!(machine.path("own/profiles/default.toml").exists());
    assert!(!machine.path(".config").exists());
}

#[test]
fn removing_a_profile_removes_its_token_and_its_place_in_the_settings() {
    let expiration = "2030-01-01T00:00:00Z";
    let reply = json!({ "token": "t-1", "expiration": expiration }).to_string();
    let fake = Fake::new([Reply(200, "", reply)]);
    let mut machine = Machine::new();
    configure(
        &mut machine,
        &["--access-id", "p-1", "--profile", "ci", "--set-default", "-u", &fake.url],
    );
    machine.run(&["auth"]).ok();
    drop(fake.finish());
    let token = machine.path(".config/keysherd/tokens/ci.json");
    assert_eq!(mode(&token), 0o600);
    assert_eq!(mode(token.parent().unwrap()), 0o700);

    assert_eq!(
        machine.run(&["unconfigure", "--profile", "ci"]).ok(),
        "Profile ci successfully removed\n"
    );
    assert!(!token.exists());
    assert_eq!(machine.run(&["get-default-profile"]).ok(), "default\n");
    assert_eq!(machine.run(&["unconfigure", "--profile", "ci"]).code, 8);
}

#[test]
fn a_broken_profile_is_named_without_its_content() {
    let mut machine = Machine::new();
    machine.write(OWN, "[default]\naccess_key = \"canary\nx = 1\n");
    let outcome = machine.run(&["list-items"]);
    assert_eq!(outcome.code, 8);
    assert!(outcome.err.contains("line 2 is not TOML"), "{outcome:?}");
    assert!(!outcome.err.contains("canary"), "{outcome:?}");

    machine.write(OWN, "[other]\naccess_key = \"canary\"\n");
    let outcome = machine.run(&["list-items"]);
    assert!(outcome.err.contains("it has no table [default]"), "{outcome:?}");
    assert!(!outcome.err.contains("canary"), "{outcome:?}");
}

#[test]
fn a_profile_that_others_can_read_is_reported() {
    let fake = Fake::new(["{}".into()]);
    let mut machine = Machine::with_token(&fake.url);
    let path = machine.write(OWN, "[default]\naccess_id = \"p-1\"\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let outcome = machine.run(&["list-items"]);
    assert!(outcome.err.contains("chmod 600"), "{outcome:?}");
    drop(fake.finish());
}
