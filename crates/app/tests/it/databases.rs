//! The control plane's store on a PostgreSQL server, as operators set it up.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;

use keysherd_base::{Clock as _, SystemClock};
use keysherd_crypto::pki::LocalCa;
use keysherd_crypto::random::SystemRng;
use serde_json::json;

use crate::disk_full::write_until_full;
use crate::kit::full_disk::fill;
use crate::kit::mounts::not_tested;
use crate::kit::postgres::{Postgres, shared};
use crate::kit::{Site, finish, wait_until};

#[test]
fn a_server_keeps_its_store_in_a_database() {
    let (site, database) = (Site::new(), Postgres::start(""));
    database.create("store");
    let arguments = database.arguments(&site.path("password"), "store");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let server = site.start_with(&arguments);
    let admin = server.admin();
    admin.store("/team/db", "a value");
    let person = admin.person_who_may("reader", &[("item-rule", "/team/*", "read")]);
    assert_eq!(person.api.read("/team/db"), "a value");
    assert_eq!(server.http.get("/status").unwrap().json()["store"], "postgres");
    server.process.kill();
    database.kill();
    database.run("");

    let server = site.start_with(&arguments);
    let admin = server.admin();
    assert_eq!(admin.read("/team/db"), "a value");
    // Without its database it refuses, and goes on when it is back.
    database.kill();
    let refused = admin.call("create-secret", json!({"name": "/lost", "value": "v"}));
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(admin.try_read("/team/db"), None);
    database.run("");
    wait_until("a write after the database came back", || admin.try_store("/kept", "v"));
    assert_eq!(admin.read("/kept"), "v");
    let found = admin.ok("audit-search", json!({"action": "create_item"}));
    assert!(found.to_string().contains("/kept"), "{found}");
    server.stop();

    site.audit(&[&["verify"], &arguments[..]].concat()).expect(0);
    let listed = site.audit(&[&["list", "--json"], &arguments[..]].concat()).expect(0).out;
    assert!(listed.contains("/team/db"), "{listed}");
    // Nobody starts over in the directory by leaving the setting out.
    let mut again = site.server(&site.data());
    let ended = finish(&mut again, b"");
    assert_ne!(ended.code, 0);
    assert!(ended.err.contains("is in a database"), "{}", ended.err);
}

/// Starts a server that cannot start; gives what it says.
fn refused(site: &Site, name: &str, url: &str) -> String {
    let mut command = site.server(&site.path(name));
    let ended = finish(command.args(["--database", url]), b"");
    assert_ne!(ended.code, 0, "{}", ended.out);
    ended.err
}

#[test]
fn the_certificate_of_the_database_is_checked() {
    let (now, rng) = (SystemClock.now(), SystemRng::handle());
    let (begin, end) = (now.plus_seconds(-60), now.plus_seconds(86_400));
    let authority = || LocalCa::create("a database's authority", begin, end, &*rng).unwrap();
    let (ours, another) = (authority(), authority());
    let names = [Ipv4Addr::LOCALHOST.to_string()];
    let issued = ours.issue_server(&names, begin, end, &*rng).unwrap();
    let database = Postgres::start_with_tls(&issued.cert_pem, issued.key_pem.expose());
    database.create("store");

    let site = Site::new();
    let file = |name: &str, pem: &str| {
        let path = site.path(name);
        fs::write(&path, pem).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (good, bad) = (file("ca.pem", ours.cert_pem()), file("another.pem", another.cert_pem()));
    let mut arguments = database.arguments(&site.path("password"), "store");
    let url = |host: &str, ca: &str| {
        let port = database.port;
        format!("postgres://postgres@{host}:{port}/store?sslmode=verify-full&sslrootcert={ca}")
    };
    for (host, ca) in [("127.0.0.1", &bad), ("localhost", &good)] {
        let text = refused(&site, "data", &url(host, ca));
        assert!(text.contains("does not answer"), "{host}, {ca}: {text}");
    }
    arguments[1] = url("127.0.0.1", &good);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let server = site.start_with(&arguments);
    server.admin().store("/a", "value");
    assert_eq!(server.admin().read("/a"), "value");
    server.stop();
}

#[test]
fn settings_of_the_database_are_checked_before_anything_starts() {
    let site = Site::new();
    for (url, text) in [
        ("mysql://me@127.0.0.1/store", "must begin with postgres://"),
        ("postgres://me:hunter2@127.0.0.1/store?sslmode=disable", "--database-password-file"),
        ("postgres://me@db.example/store", "sslrootcert"),
        ("postgres://me@db.example/store?sslmode=disable", "this machine only"),
    ] {
        let said = refused(&site, "nothing", url);
        assert!(said.contains(text) && !said.contains("hunter2"), "{url}: {said}");
        assert!(!site.path("nothing").exists());
    }
    // The right server with a wrong password.
    shared().create("guarded");
    let mut arguments = shared().arguments(&site.path("password"), "guarded");
    let file = site.path("wrong");
    fs::write(&file, "wrong").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    arguments[3] = file.to_str().unwrap().to_owned();
    let ended = finish(site.server(&site.path("guarded")).args(&arguments), b"");
    assert_ne!(ended.code, 0);
    assert!(ended.err.contains("28P01"), "the log says why: {}", ended.err);
}

/// The tables are on a small disk, the write-ahead log of the database is on a large one.
#[test]
fn a_full_disk_of_the_database_stops_writes_only_and_heals_without_a_restart() {
    let site = Site::new();
    let Some((database, disk)) = Postgres::start_with_small_disk(80) else {
        not_tested("only root mounts a small disk for a database server");
        return;
    };
    let arguments = database.arguments(&site.path("password"), "store");
    let server = site.start_with(&arguments.each_ref().map(String::as_str));
    let admin = server.admin();
    for number in 0..20 {
        admin.store(&format!("/full/{number}"), &format!("value {number}"));
    }
    let filler = fill(&disk);
    let text = write_until_full(&admin, &disk);
    assert!(text.contains("StorageFull") && text.contains("reads go on"), "{text}");
    for round in 0..10 {
        for number in 0..20 {
            let name = format!("/full/{number}");
            assert_eq!(admin.read(&name), format!("value {number}"), "round {round}");
        }
    }
    admin.refused(507, "update-secret-val", json!({"name": "/full/1", "value": "other"}));
    admin.refused(507, "create-role", json!({"name": "/full/role"}));
    let status = server.http.get("/status").unwrap().json();
    assert_eq!(status["low_on_space"], true, "{status}");

    fs::remove_file(filler).unwrap();
    wait_until("writes to work again", || admin.try_store("/healed", "v"));
    admin.overwrite("/full/1", "other");
    assert_eq!(admin.read("/full/1"), "other");
    server.stop();
    let verify = [&["verify"][..], &arguments.each_ref().map(String::as_str)].concat();
    site.audit(&verify).expect(0);
}
