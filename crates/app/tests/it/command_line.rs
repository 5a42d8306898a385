//! The command line against a server: profiles, output for people and programs, exit codes,
//! secrets that stay off the command line.

use std::fs;

use serde_json::{Value, json};

use crate::kit::{Finished, Server, Site, finish, keysherd};

/// A site whose default profile is the first administrator's.
fn configured() -> (Site, Server) {
    let site = Site::new();
    let server = site.start();
    let file = site.data().join("bootstrap.json").display().to_string();
    let ended = site.run(&["configure", "--from-bootstrap", &file]).expect(0);
    for wanted in ["default", &server.url, &server.bootstrap.access_id] {
        assert!(ended.out.contains(wanted), "no {wanted} in {}", ended.out);
    }
    assert!(!ended.out.contains(&server.bootstrap.access_key));
    (site, server)
}

fn with_input(site: &Site, args: &[&str], input: &[u8]) -> Finished {
    finish(keysherd(&site.home()).args(args), input)
}

fn as_json(ended: &Finished) -> Value {
    serde_json::from_str(&ended.out).unwrap_or_else(|e| panic!("{e}: {}", ended.out))
}

#[test]
fn a_secret_lives_through_every_verb() {
    let (site, _server) = configured();
    let ended = site.run(&["create-secret", "--name", "/team/db", "--value", "one"]).expect(0);
    assert_eq!(ended.out.trim_end(), "A new secret named /team/db was successfully created");
    let ended = site.run(&["get-secret-value", "-n", "/team/db"]).expect(0);
    assert_eq!(ended.out, "one\n");
    let update = ["update-secret-val", "-n", "/team/db", "-v", "two", "--keep-prev-version=true"];
    site.run(&update).expect(0);
    let ended = site.run(&["describe-item", "--name", "/team/db", "--show-versions"]).expect(0);
    let item = as_json(&ended);
    assert_eq!((&item["last_version"], &item["item_type"]), (&json!(2), &json!("STATIC_SECRET")));
    let ended = site.run(&["get-secret-value", "-n", "/team/db", "--version", "1"]).expect(0);
    assert_eq!(ended.out, "one\n");
    let ended = site.run(&["get-secret-value", "-n", "/team/db", "--version", "-2"]).expect(0);
    assert_eq!(as_json(&ended), json!({"1": "one", "2": "two"}));
    let ended = site.run(&["delete-item", "--name", "/team/db"]).expect(0);
    assert_eq!(ended.out.trim_end(), "Item /team/db was successfully deleted");
    site.run(&["get-secret-value", "-n", "/team/db"]).expect(5);
}

#[test]
fn listings_are_tables_for_people_and_json_for_programs() {
    let (site, server) = configured();
    let nothing = site.run(&["list-items"]).expect(0);
    assert!(nothing.out.is_empty() && nothing.err.contains("Nothing found"), "{nothing:?}");
    let admin = server.admin();
    for name in ["/team/db", "/team/cache"] {
        admin.store(name, "v");
    }
    let table = site.run(&["list-items"]).expect(0).out;
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].contains("NAME") && lines[0].contains("STATE"), "{table}");
    let row = lines.iter().find(|line| line.contains("/team/db")).expect("no row");
    assert!(row.contains("STATIC_SECRET") && row.contains("Enabled"), "{row}");
    for args in [&["list-items", "--json"][..], &["list-items", "--output", "json"]] {
        let listed = as_json(&site.run(args).expect(0));
        assert_eq!(listed["items"][0]["item_name"], "/team/cache");
    }
    let json = site.run(&["create-role", "--name", "/r", "--json"]).expect(0);
    assert_eq!(as_json(&json), json!({}));
    let made = site.run(&["auth-method", "create", "api-key", "--name", "/m", "--json"]).expect(0);
    assert!(as_json(&made)["access_key"].is_string());
    let words = site.run(&["auth-method", "create", "api-key", "--name", "/m2"]).expect(0).out;
    assert!(words.contains("- Access ID: p-") && words.contains("- Access Key: "), "{words}");
    let tags = site.run(&["get-tags", "--name", "/team/db"]).expect(0);
    assert_eq!(tags.out, "");
    let value = site.run(&["get-secret-value", "-n", "/team/db", "-n", "/team/cache"]).expect(0);
    assert_eq!(as_json(&value), json!({"/team/db": "v", "/team/cache": "v"}));
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let (site, server) = configured();
    server.admin().store("/team/db", "v");
    let value = ["--value", "v"];
    let cases: &[(&[&str], u8, &str)] = &[
        (&["get-secret-value", "--names", "/team/none"], 5, "NotFound"),
        (&["create-secret", "--name", "/team/db"], 6, "AlreadyExists"),
        (&["create-secret", "--name", "/a//b"], 1, "empty segment"),
        (&["get-secret-value"], 2, "--names"),
        (&["get-secret-value", "--no-such-flag"], 2, "--no-such-flag"),
        (&["get-secret-value", "--names", "/a", "--version", "x"], 2, "--version"),
        (&["creat-secret"], 2, "create-secret"),
        (&["get-role", "--name", "/x", "--token", "t-wrong"], 4, "token"),
        (&["list-items", "--profile", "none"], 8, "none"),
        (&["list-items", "--gateway-url", "ftp://x"], 2, "ftp"),
        (&["list-items", "--ca-file", "/nonexistent.pem"], 8, "/nonexistent.pem"),
        (&["get-role", "--name", "/x", "--uid-token", "t-x"], 2, "u-"),
    ];
    for (args, code, words) in cases {
        let extra: &[&str] = if args[0] == "create-secret" { &value } else { &[] };
        let ended = site.run(&[args, extra].concat()).expect(i32::from(*code));
        assert!(ended.err.contains(words), "{args:?}: no '{words}' in {}", ended.err);
        assert!(ended.out.is_empty(), "{args:?}: {}", ended.out);
    }
    assert_eq!(site.run(&[]).code, 2);
    // Nobody listens there, and then somebody whose certificate is not trusted.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("https://{free}");
    let ended = site.run(&["list-items", "--gateway-url", &url, "--token", "t-x"]).expect(3);
    assert!(ended.err.contains(&free.port().to_string()), "{}", ended.err);
    let data = site.path("other");
    let other = site.launch(site.server(&data)).in_directory(data).ready();
    let ended = site.run(&["list-items", "--gateway-url", &other.url, "--token", "t-x"]).expect(3);
    assert!(ended.err.to_lowercase().contains("certificate"), "{}", ended.err);
}

#[test]
fn a_refused_permission_is_4_and_says_what_to_do() {
    let (site, server) = configured();
    let admin = server.admin();
    admin.store("/team/db", "v");
    let person = admin.new_person("/people/p");
    fs::write(site.home().join("key"), &person.access_key).unwrap();
    let configure = [
        "configure",
        "--profile",
        "p",
        "--access-id",
        &person.access_id,
        "--access-key-file",
        "key",
        "--gateway-url",
        &server.url,
        "--ca-file",
        server.bootstrap.ca_file.to_str().unwrap(),
    ];
    site.run(&configure).expect(0);
    let ended = site.run(&["get-secret-value", "-n", "/team/db", "--profile", "p"]).expect(4);
    assert!(ended.err.contains("Hint:") && ended.err.contains(&person.access_id), "{}", ended.err);
    let profiles = site.run(&["list-profiles"]).expect(0).out;
    assert!(profiles.contains("default") && profiles.contains(&person.access_id), "{profiles}");
    let wrong = [
        "configure",
        "--profile",
        "w",
        "--access-id",
        &person.access_id,
        "--verify",
        "--access-key",
        "d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3I=",
        "--gateway-url",
        &server.url,
        "--ca-file",
        server.bootstrap.ca_file.to_str().unwrap(),
    ];
    site.run(&wrong).expect(4);
    site.run(&["list-items", "--profile", "w"]).expect(8);
    site.run(&["unconfigure", "--profile", "p"]).expect(0);
    site.run(&["list-items", "--profile", "p"]).expect(8);
}

#[test]
fn secrets_come_from_standard_input_and_files() {
    let (site, server) = configured();
    let admin = server.admin();
    let create = |name: &'static str, more: &[&'static str]| {
        [&["create-secret", "--name", name], more].concat()
    };
    with_input(&site, &create("/in/stdin", &["--value-stdin"]), b"from stdin\n").expect(0);
    with_input(&site, &create("/in/dash", &["--value", "-"]), b"two\nlines\n").expect(0);
    fs::write(site.home().join("file"), "from a file\r\n").unwrap();
    site.run(&create("/in/file", &["--value-file", "file"])).expect(0);
    assert_eq!(admin.read("/in/stdin"), "from stdin");
    assert_eq!(admin.read("/in/dash"), "two\nlines\n");
    assert_eq!(admin.read("/in/file"), "from a file");
    let seen = site.run(&create("/in/flag", &["--value", "on the command line"])).expect(0);
    assert!(seen.err.contains("-stdin"), "nobody was warned: {}", seen.err);
    let both = create("/in/both", &["--value", "x", "--value-stdin"]);
    with_input(&site, &both, b"y").expect(2);
    site.run(&create("/in/none", &["--value-file", "missing"])).expect(8);
    with_input(&site, &create("/in/bytes", &["--value-stdin"]), b"\xff\xfe").expect(2);
    let value = with_input(&site, &["get-secret-value", "-n", "/in/dash"], b"").expect(0);
    assert_eq!(value.out, "two\nlines\n");
    admin.ok("create-dfc-key", json!({"name": "/in/key", "alg": "AES256GCM"}));
    let encrypt = ["encrypt", "--key-name", "/in/key", "--plaintext-stdin", "-X", "a=b"];
    let sealed = with_input(&site, &encrypt, b"a message").expect(0).out;
    let decrypt = ["decrypt", "--key-name", "/in/key", "-X", "a=b", "-c", sealed.trim_end()];
    assert_eq!(site.run(&decrypt).expect(0).out, "a message\n");
    let id = admin.describe("/in/key")["item_id"].clone();
    let batch = json!([{"item_id": id, "data": "d"}]).to_string();
    let file = ["encrypt-batch", "--body-file", "-"];
    let ended = with_input(&site, &file, batch.as_bytes()).expect(0);
    assert!(ended.out.contains("result"), "{}", ended.out);
}

#[test]
fn a_login_is_kept_and_made_again_when_it_ends() {
    let (site, server) = configured();
    server.admin().store("/team/db", "v");
    let ended = site.run(&["auth"]).expect(0);
    assert!(ended.out.contains("Authentication succeeded.") && ended.out.contains("t-"));
    let tokens = site.home().join(".config/keysherd/tokens/default.json");
    let kept: Value = serde_json::from_str(&fs::read_to_string(&tokens).unwrap()).unwrap();
    let kept = kept["token"].as_str().unwrap().to_owned();
    site.run(&["get-secret-value", "-n", "/team/db"]).expect(0);
    server.nobody().with_token(&kept).ok("revoke-creds", json!({}));
    let ended = site.run(&["get-secret-value", "-n", "/team/db", "--debug"]).expect(0);
    assert_eq!(ended.out, "v\n");
    assert!(ended.err.contains("logging in again"), "{}", ended.err);
    // A token given as such is used as it is.
    site.run(&["get-secret-value", "-n", "/team/db", "--token", &kept]).expect(4);
    let mut command = keysherd(&site.home());
    let token = server.admin().token().to_owned();
    command.args(["get-secret-value", "-n", "/team/db"]).env("KEYSHERD_TOKEN", token);
    assert_eq!(finish(&mut command, b"").expect(0).out, "v\n");
    let mut command = keysherd(&site.path(""));
    command.args(["get-secret-value", "-n", "/team/db"]);
    command.env("KEYSHERD_ACCESS_ID", &server.bootstrap.access_id);
    command.env("KEYSHERD_ACCESS_KEY", &server.bootstrap.access_key);
    command.env("KEYSHERD_URL", &server.url).env("KEYSHERD_CA_FILE", &server.bootstrap.ca_file);
    assert_eq!(finish(&mut command, b"").expect(0).out, "v\n");
    // A restart on another port is found again through the bootstrap file.
    server.stop();
    let server = site.start();
    let url = ["--gateway-url", server.url.as_str()];
    site.run(&[&["get-secret-value", "-n", "/team/db"], &url[..]].concat()).expect(0);
}

#[test]
fn completions_and_help_know_every_command() {
    let site = Site::new();
    let list = crate::kit::commands(&site.home());
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = site.run(&["completions", shell]).expect(0).out;
        let missing: Vec<_> =
            list.iter().filter(|spec| !script.contains(&spec.name)).map(|s| &s.name).collect();
        assert!(missing.is_empty(), "{shell}: {missing:?}");
    }
    site.run(&["completions", "tcsh"]).expect(2);
    let script = site.path("completions.bash");
    fs::write(&script, site.run(&["completions", "bash"]).out).unwrap();
    let mut bash = std::process::Command::new("bash");
    finish(bash.arg("-n").arg(&script), b"").expect(0);
    let overview = site.run(&["--help"]).expect(0).out;
    for spec in &list {
        assert!(overview.contains(&spec.name), "the overview lacks {}", spec.name);
        let help = site.run(&[&spec.name, "--help"]).expect(0).out;
        for field in spec.fields.iter().filter(|field| field.required && !field.secret) {
            assert!(help.contains(&format!("--{}", field.documented)), "{}", spec.name);
        }
    }
    for role in ["server", "audit", "account"] {
        assert!(overview.contains(role), "the overview lacks {role}");
    }
}
