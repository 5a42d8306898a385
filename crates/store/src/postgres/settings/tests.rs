//! What a URL may say, and what it may not.

use super::*;

const CERTIFICATE: &str = "/etc/ca.pem";

fn parse(url: &str) -> Result<PostgresSettings, Fault> {
    PostgresSettings::parse(url, None, |_| Err(std::io::ErrorKind::NotFound.into()))
}

#[track_caller]
fn refused(url: &str, why: &str) {
    let fault = parse(url).unwrap_err();
    assert!(fault.public().contains(why), "{url}: {fault}");
    assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
}

#[test]
fn hosts_are_tried_one_by_one() {
    let settings = parse("postgres://me:hunter2@127.0.0.1:1,localhost:2/store?sslmode=disable");
    let settings = settings.unwrap();
    let ports: Vec<_> = settings.hosts.iter().map(|one| one.get_ports().to_vec()).collect();
    assert_eq!(ports, [[1], [2]]);
    assert!(settings.hosts.iter().all(|one| one.get_user() == Some("me")));
    let modes = settings.hosts.iter().map(Config::get_target_session_attrs);
    assert!(modes.into_iter().all(|mode| mode == TargetSessionAttrs::ReadWrite));
    assert_eq!(settings.shown(), "postgres://me@127.0.0.1,localhost/store");
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn nothing_is_sent_to_who_was_not_checked() {
    refused("postgres://me:hunter2@db.example/store", "needs sslrootcert");
    refused("postgres://me:hunter2@db.example/store?sslmode=disable", "this machine only");
    refused("postgres://me:hunter2@127.0.0.1,db/store?sslmode=disable", "this machine only");
    for mode in ["prefer", "require", "allow", "verify-ca", ""] {
        let url = format!("postgres://me:hunter2@127.0.0.1/store?sslmode={mode}");
        refused(&url, "does not check who answers");
    }
    let url = format!("postgres://me@db.example/store?sslrootcert={CERTIFICATE}");
    refused(&url, CERTIFICATE);
    let none = PostgresSettings::parse(&url, None, |_| Ok(b"nothing".to_vec()));
    assert!(none.unwrap_err().public().contains("no certificate"));
}

#[test]
fn a_url_names_all_that_is_needed() {
    refused("host=127.0.0.1 user=me password=hunter2", "postgres://");
    refused("mysql://me@127.0.0.1/store", "postgres://");
    refused("postgres://127.0.0.1/store?sslmode=disable", "a user and a database");
    refused("postgres://me@127.0.0.1?sslmode=disable", "a user and a database");
    refused("postgres:///store?user=me&sslmode=disable", "hosts");
    refused("postgres://me@127.0.0.1/s?sslmode=disable&what=else", "unknown option");
    refused("postgres://me@127.0.0.1/s?sslmode=disable&password=hunter2", "not a parameter");
    refused("postgres://me@127.0.0.1:1,127.0.0.1:2,localhost/s?port=1,2&sslmode=disable", "port");
    let password = SecretString::from("hunter2".to_owned());
    let url = "postgres://me:hunter2@127.0.0.1/s?sslmode=disable";
    let two = PostgresSettings::parse(url, Some(&password), |_| Ok(Vec::new()));
    assert!(two.unwrap_err().public().contains("two passwords"));
}
