//! The first start makes everything and says how to go on; later ones find everything again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::kit::{Bootstrap, KEYSHERD, Server, Site, finish};

/// Every file and directory below `dir`, and `dir`.
pub(crate) fn everything_in(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.to_owned()];
    let mut at = 0;
    while let Some(path) = found.get(at).cloned() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            found.extend(entries.map(|entry| entry.unwrap().path()));
        }
        at += 1;
    }
    found
}

#[test]
fn the_data_directory_is_open_to_its_owner_alone() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/db", "value");
    admin.ok("create-dfc-key", json!({"name": "/team/key", "alg": "AES256GCM"}));
    let mut open = Vec::new();
    for path in everything_in(&site.data()) {
        let metadata = fs::metadata(&path).unwrap();
        let mode = metadata.permissions().mode() & 0o7777;
        let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
        if mode != wanted {
            open.push(format!("{} has mode {mode:o}, not {wanted:o}", path.display()));
        }
    }
    assert!(open.is_empty(), "{open:#?}");
}

#[test]
fn the_bootstrap_file_has_what_a_newcomer_needs() {
    let site = Site::new();
    let server = site.start();
    // Reading it refuses missing and unknown fields.
    let bootstrap = Bootstrap::read(&site.data().join("bootstrap.json"));
    assert_eq!(bootstrap.url, server.url);
    assert!(bootstrap.ca_file.is_absolute() && bootstrap.ca_file.is_file());
    let (prefix, digits) = bootstrap.account_id.split_at(4);
    assert!(prefix == "acc-" && digits.len() == 32, "{}", bootstrap.account_id);
    let body = bootstrap.access_id.strip_prefix("p-").unwrap();
    assert!((12..=14).contains(&body.len()), "{}", bootstrap.access_id);
    assert!(body.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
    assert_eq!(STANDARD.decode(&bootstrap.access_key).unwrap().len(), 32);
    assert!(bootstrap.owner_email.contains('@'));
    let password = fs::read_to_string(&bootstrap.owner_password_file).unwrap();
    for login in [
        json!({"access-id": bootstrap.access_id, "access-key": bootstrap.access_key}),
        json!({"access-type": "api_key", "access-id": bootstrap.access_id,
               "access-key": bootstrap.access_key}),
        json!({"access-type": "password", "admin-email": bootstrap.owner_email,
               "admin-password": password.trim_end()}),
        json!({"access-type": "password", "admin-email": bootstrap.owner_email.to_uppercase(),
               "admin-password": password.trim_end(), "account-id": bootstrap.account_id}),
    ] {
        let answer = server.nobody().ok("auth", login);
        let token = answer["token"].as_str().unwrap();
        assert!(token.starts_with("t-"), "{token:.4}");
        let settings = server.nobody().with_token(token).ok("get-account-settings", json!({}));
        assert_eq!(settings["account_id"], bootstrap.account_id);
    }
}

#[test]
fn the_announcement_has_the_next_three_steps_and_no_credential() {
    let site = Site::new();
    let server = site.start();
    let out = server.process.out();
    let Bootstrap { url, ca_file, access_id, access_key, owner_password_file, .. } =
        &server.bootstrap;
    let file = site.data().join("bootstrap.json").display().to_string();
    for wanted in [
        url.as_str(),
        &ca_file.display().to_string(),
        &file,
        access_id,
        "1. ",
        "2. ",
        "3. ",
        "configure --from-bootstrap",
        "get-secret-value",
        "import akeyless",
        "curl --cacert",
    ] {
        assert!(out.contains(wanted), "no {wanted} in {out}");
    }
    let words: Vec<_> = out.split_whitespace().collect();
    let at = words.iter().position(|word| word.trim_end_matches(':') == "fragments").unwrap();
    assert_eq!(words[at + 1..at + 4], ["1", "trust", "domain"], "{out}");
    let status = server.http.get("/status").unwrap();
    assert!(status.text().contains(r#""fragments":"1 trust domain"#), "{}", status.text());
    let password = fs::read_to_string(owner_password_file).unwrap();
    let said = out + &server.process.err() + &status.text();
    assert!(!said.contains(access_key) && !said.contains(password.trim()), "{said}");
}

#[test]
fn health_answers_without_a_token_and_only_to_reading_methods() {
    let site = Site::new();
    let server = site.start();
    for path in ["/health", "/v2/health", "/api/v2/health/", "/HEALTH"] {
        let reply = server.http.get(path).unwrap();
        assert_eq!((reply.status, reply.json()), (200, json!({"status": "ok"})), "{path}");
    }
    assert_eq!(server.http.post("/health", &[], b"{}").status, 405);
}

/// The indented lines that follow `heading` in the announcement.
fn step(out: &str, heading: &str) -> String {
    let after = out.lines().skip_while(|line| !line.starts_with(heading)).skip(1);
    let lines: Vec<_> = after.take_while(|line| line.starts_with("   ")).collect();
    assert!(!lines.is_empty(), "no step {heading} in {out}");
    lines.join("\n")
}

fn shell(site: &Site, script: &str) -> crate::kit::Finished {
    let binaries = Path::new(KEYSHERD).parent().unwrap().display().to_string();
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new("sh");
    command.env_clear().env("PATH", format!("{binaries}:{path}")).env("HOME", site.home());
    finish(command.args(["-ec", script]), b"")
}

#[test]
fn the_printed_steps_work_as_they_are_printed() {
    let site = Site::new();
    let server = site.start();
    let out = server.process.out();
    let ended = shell(&site, &step(&out, "1. ")).expect(0);
    assert!(ended.out.lines().any(|line| line == "hello"), "{}", ended.out);
    // Not every machine that builds this has both; the step says what it needs.
    if shell(&site, "command -v curl && command -v python3").code == 0 {
        let ended = shell(&site, &step(&out, "3. ")).expect(0);
        assert!(ended.out.contains(r#""token":"t-"#), "{}", ended.out);
    }
}

#[test]
fn a_second_start_finds_everything_again() {
    let site = Site::new();
    let server = site.start();
    let first = server.bootstrap.clone();
    let ca = fs::read(&first.ca_file).unwrap();
    let admin = server.admin();
    admin.store("/team/db", "one");
    admin.add_version("/team/db", "two");
    let token = admin.token().to_owned();
    server.stop();

    let server = site.start();
    let second = server.bootstrap.clone();
    assert_eq!(second.account_id, first.account_id);
    assert_eq!(second.access_id, first.access_id);
    assert_eq!(second.access_key, first.access_key);
    assert_eq!(second.url, server.url, "the file must name the address of this start");
    assert_eq!(fs::read(&second.ca_file).unwrap(), ca, "clients trust this authority");
    let out = server.process.out();
    assert!(out.contains(&server.url) && out.contains("trust domain"), "{out}");
    // The token of before still counts, and so does the key.
    for api in [server.nobody().with_token(&token), server.admin()] {
        assert_eq!(api.read("/team/db"), "two");
        assert_eq!(api.read_version("/team/db", 1), "one");
    }
}

#[test]
fn a_removed_bootstrap_file_stays_removed() {
    let site = Site::new();
    let server = site.start();
    let first = server.bootstrap.clone();
    server.admin().store("/team/db", "value");
    server.stop();
    let file = site.data().join("bootstrap.json");
    let kept = site.path("kept.json");
    fs::rename(&file, &kept).unwrap();
    let starting = site.launch(site.server(&site.data()));
    let server: Server = starting.ready_with(&|_| kept.clone());
    assert!(!file.exists());
    let out = server.process.out();
    assert!(out.contains("removed") && !out.contains(&first.access_key), "{out}");
    let admin = server.nobody().login(&first.access_id, &first.access_key);
    assert_eq!(admin.read("/team/db"), "value");
}
