//! Wrong configurations: the text says what is wrong, the exit code is the documented one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::kit::{Finished, Site, finish, keysherd};

/// Runs `keysherd server` with a data directory and these arguments until it ends.
fn serve(site: &Site, data: &Path, args: &[&str]) -> Finished {
    let mut command = keysherd(&site.home());
    finish(command.arg("server").arg("--data-dir").arg(data).args(args), b"")
}

#[track_caller]
fn says(ended: &Finished, words: &[&str]) {
    for word in words {
        assert!(ended.err.contains(word), "no '{word}' in: {}", ended.err);
    }
    assert!(ended.out.is_empty(), "on standard output: {}", ended.out);
}

#[test]
fn a_wrong_setting_ends_with_64_and_makes_nothing() {
    let site = Site::new();
    let (data, file) = (site.path("never"), site.path("c.toml"));
    let text = file.display().to_string();
    let missing = site.path("missing.toml").display().to_string();
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("", &["--listen", "nowhere"], &["listen", "nowhere", "127.0.0.1:8000"]),
        ("", &["--listen", "127.0.0.1"], &["listen", "127.0.0.1"]),
        ("", &["--listen", "127.0.0.1:99999"], &["listen", "99999"]),
        ("", &["--listen", ""], &["listen"]),
        ("", &["--key-cache-seconds", "3601"], &["key-cache-seconds", "3601", "3600"]),
        ("", &["--key-cache-seconds=-1"], &["key-cache-seconds", "-1"]),
        ("", &["--drain-seconds", "soon"], &["drain-seconds", "soon"]),
        ("", &["--tls-name", "a b"], &["tls-name", "a b"]),
        ("", &["--no-such-flag"], &["--no-such-flag"]),
        ("", &["surplus"], &["surplus"]),
        ("", &["--config", &missing], &[&missing]),
        ("", &["--config", "."], &["cannot read"]),
        ("no-such-key = 1", &["--config", &text], &["no-such-key", &text]),
        ("listen = 5", &["--config", &text], &["listen", "5"]),
        ("listen = ", &["--config", &text], &[&text]),
        ("[server]\nlisten = 'x'", &["--config", &text], &["server"]),
        ("key-cache-seconds = 99999", &["--config", &text], &["key-cache-seconds", "99999"]),
        ("drain-seconds = -1", &["--config", &text], &["drain-seconds"]),
    ];
    for (content, args, words) in cases {
        fs::write(&file, content).unwrap();
        let ended = serve(&site, &data, args).expect(64);
        says(&ended, words);
        assert!(!data.exists(), "{args:?} made a data directory");
    }
}

#[test]
fn checking_a_configuration_starts_nothing_and_shows_it() {
    let site = Site::new();
    let (data, file) = (site.path("never"), site.path("c.toml"));
    let config = "listen = '127.0.0.1:1'\nkey-cache-seconds = 7\ndrain-seconds = 8\n\
                  tls-name = ['a.example']\nlog-json = true\n";
    fs::write(&file, config).unwrap();
    let mut command = keysherd(&site.home());
    command.args(["server", "--check-config", "--drain-seconds", "9", "--data-dir"]).arg(&data);
    command.env("KEYSHERD_CONFIG", &file).env("KEYSHERD_LISTEN", "127.0.0.1:2");
    command.env("KEYSHERD_DRAIN_SECONDS", "5");
    let ended = finish(&mut command, b"").expect(0);
    // A flag wins over the environment, the environment over the file.
    for wanted in ["127.0.0.1:2", "key_cache_seconds: 7", "drain_seconds: 9", "a.example"] {
        assert!(ended.out.contains(wanted), "no {wanted} in {}", ended.out);
    }
    assert!(!data.exists());
    let ended = serve(&site, &data, &["--check-config", "--listen", "nowhere"]).expect(64);
    says(&ended, &["listen", "nowhere"]);
}

#[test]
fn help_and_version_go_to_standard_output_and_end_with_0() {
    let site = Site::new();
    for args in [
        &["server", "--help"][..],
        &["account", "--help"],
        &["account", "create", "--help"],
        &["audit", "--help"],
        &["audit", "list", "--help"],
        &["audit", "verify", "--help"],
        &["db", "--help"],
        &["db", "import", "--help"],
        &["--help"],
        &["create-secret", "--help"],
        &["--version"],
    ] {
        let ended = site.run(args).expect(0);
        assert!(!ended.out.is_empty() && ended.err.is_empty(), "{args:?}: {}", ended.err);
    }
    let help = site.run(&["server", "--help"]).out;
    for flag in ["--config", "--data-dir", "--listen", "--tls-name", "--drain-seconds"] {
        assert!(help.contains(flag), "no {flag} in {help}");
    }
}

#[test]
fn an_address_in_use_ends_with_69() {
    let site = Site::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = serve(&site, &site.data(), &["--listen", &address]).expect(69);
    says(&ended, &[&address, "in use"]);
    // An address of another machine (TEST-NET-1, RFC 5737).
    let ended = serve(&site, &site.data(), &["--listen", "192.0.2.1:0"]).expect(69);
    says(&ended, &["192.0.2.1:0"]);
    // Neither keeps a later start from working.
    site.start().stop();
}

#[test]
fn a_directory_that_is_open_to_others_ends_with_73() {
    let site = Site::new();
    let data = site.data();
    fs::create_dir(&data).unwrap();
    for mode in [0o755, 0o750, 0o701] {
        fs::set_permissions(&data, fs::Permissions::from_mode(mode)).unwrap();
        let ended = serve(&site, &data, &["--listen", "127.0.0.1:0"]).expect(73);
        says(&ended, &["open to others", "chmod 700"]);
    }
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0, "something was made all the same");
}

#[test]
fn a_place_that_cannot_be_a_directory_ends_with_73() {
    let site = Site::new();
    let file = site.path("file");
    fs::write(&file, "").unwrap();
    for data in [file.clone(), file.join("below")] {
        let ended = serve(&site, &data, &["--listen", "127.0.0.1:0"]).expect(73);
        says(&ended, &[&file.display().to_string()]);
    }
    for args in [&["audit", "verify"][..], &["audit", "list"]] {
        let missing = site.path("missing").display().to_string();
        let ended = site.run(&[args, &["--data-dir", &missing]].concat()).expect(73);
        says(&ended, &[&missing]);
    }
}

#[test]
fn a_directory_that_is_in_use_ends_with_73_and_its_server_goes_on() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/db", "value");
    let data = site.data().display().to_string();
    let ended = serve(&site, &site.data(), &["--listen", "127.0.0.1:0"]).expect(73);
    says(&ended, &["in use", &data]);
    let out = site.path("other").display().to_string();
    let create = ["account", "create", "--data-dir", &data, "--out", &out, "--owner-email", "a@b"];
    let ended = site.run(&create).expect(73);
    says(&ended, &["in use", &data]);
    admin.overwrite("/team/db", "still here");
    assert_eq!(admin.read("/team/db"), "still here");
    site.audit(&["verify"]).expect(0);
}

#[test]
fn the_commands_about_accounts_and_audit_need_to_know_what_to_do() {
    let site = Site::new();
    for args in [
        &["account"][..],
        &["account", "create"],
        &["account", "destroy"],
        &["audit"],
        &["audit", "list", "--limit", "many"],
        &["audit", "verify", "--limit", "1"],
        &["db"],
        &["db", "export"],
        &["db", "import", "a", "b"],
    ] {
        let ended = site.run(args).expect(64);
        assert!(ended.out.is_empty() && !ended.err.is_empty(), "{args:?}");
    }
}

#[test]
fn a_wrong_account_of_the_audit_log_ends_with_64() {
    let site = Site::new();
    site.start().stop();
    says(&site.audit(&["list", "--account", "mine"]).expect(64), &["--account"]);
    // One that does not exist has no chain, which is no proof of anything.
    let absent = format!("acc-{}", "0".repeat(31) + "1");
    site.audit(&["verify", "--account", &absent]).expect(70);
}

/// Runs `keysherd account create`.
fn create_account(site: &Site, data: &Path, out: &Path, email: &str) -> Finished {
    let mut command = keysherd(&site.home());
    command.args(["account", "create", "--owner-email", email, "--data-dir"]).arg(data);
    finish(command.arg("--out").arg(out), b"")
}

#[test]
fn a_further_account_takes_nobodys_credentials_away() {
    let site = Site::new();
    site.start().stop();
    let out = site.path("out");
    create_account(&site, &site.data(), &out, "a@example.com").expect(0);
    for taken in [out, site.data()] {
        let before = fs::read(taken.join("bootstrap.json")).unwrap();
        let password = fs::read(taken.join("owner-password")).unwrap();
        let ended = create_account(&site, &site.data(), &taken, "b@example.com").expect(73);
        says(&ended, &["bootstrap.json exists"]);
        assert_eq!(fs::read(taken.join("bootstrap.json")).unwrap(), before);
        assert_eq!(fs::read(taken.join("owner-password")).unwrap(), password);
    }
    // The bootstrap file goes once its key is kept elsewhere; the password is still the only one.
    let password = fs::read(site.data().join("owner-password")).unwrap();
    fs::remove_file(site.data().join("bootstrap.json")).unwrap();
    let ended = create_account(&site, &site.data(), &site.data(), "b@example.com").expect(73);
    says(&ended, &["owner-password exists"]);
    assert_eq!(fs::read(site.data().join("owner-password")).unwrap(), password);
}

#[test]
fn a_further_account_needs_an_address_and_an_installation() {
    let site = Site::new();
    site.start().stop();
    let out = site.path("out");
    let ended = create_account(&site, &site.data(), &out, "nobody").expect(64);
    says(&ended, &["address"]);
    let left = fs::read_dir(&out).map_or(0, Iterator::count);
    assert_eq!(left, 0, "credentials of no account were left behind");
    let mistyped = site.path("mistyped");
    let ended = create_account(&site, &mistyped, &out, "a@example.com").expect(73);
    says(&ended, &["mistyped"]);
}
