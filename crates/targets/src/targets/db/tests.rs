//! Which settings make sense, what is shown of them, and which secrets are kept.

use std::collections::BTreeSet;

use keysherd_base::FaultKind;
use keysherd_wire::Args;
use serde_json::{Value, json};

use super::*;
use crate::testing::{settings, way};

const PLAIN: &[(&str, &str)] = &[
    ("db-type", "postgres"),
    ("host", "db.example"),
    ("user-name", "admin"),
    ("pwd", "canary-password"),
    ("db-name", "app"),
];

fn with<'a>(more: &[(&'static str, &'a str)]) -> Vec<(&'static str, &'a str)> {
    PLAIN.iter().copied().chain(more.iter().copied()).collect()
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    assert!(Db.check(&settings(&Db, PLAIN)).is_ok());
    for (wrong, named) in [
        (("db-type", "sqlite"), "db-type"),
        (("port", "0"), "port"),
        (("port", "65536"), "port"),
        (("port", "x"), "port"),
        (("host", "a b"), "host"),
        (("host", "a;b"), "host"),
        (("host", "::zz"), "host"),
        (("user-name", "a\nb"), "user-name"),
        (("ssl-certificate", "none"), "ssl-certificate"),
        (("ssl-certificate", "-----BEGIN CERTIFICATE-----\nx\n-----END"), "ssl-certificate"),
        (("connection-type", "telepathy"), "connection-type"),
        (("enable-mtls", "true"), "client-certificate"),
    ] {
        let fault = Db.check(&settings(&Db, &with(&[wrong]))).unwrap_err();
        assert_eq!(fault.kind(), FaultKind::BadRequest, "{wrong:?}");
        assert!(fault.public().contains(named), "{wrong:?}: {fault}");
        assert!(!fault.public().contains("canary"), "{wrong:?}: {fault}");
    }
    let fault = Db.check(&settings(&Db, &[("db-type", "postgres")])).unwrap_err();
    assert_eq!(fault.public(), "missing required field 'host'");
}

#[test]
fn types_have_the_names_of_the_api() {
    for (given, want) in [
        ("postgres", "postgres"),
        ("PostgreSQL", "postgres"),
        ("mariadb", "mysql"),
        ("mongodb-atlas", "mongodb"),
    ] {
        let made = settings(&Db, &[("db-type", given)]);
        assert_eq!(Db.type_name(&made).unwrap(), want);
    }
}

#[test]
fn a_password_does_not_follow_a_target_that_moves() {
    let moved = |field: &'static str, value: &str| {
        let mut args = Args::new();
        args.put(field, value.into());
        Db.merged(&args, settings(&Db, PLAIN)).unwrap()
    };
    for (field, value) in [
        ("host", "evil.example"),
        ("port", "1"),
        ("ssl", "false"),
        ("ssl-certificate", "other"),
        ("db-server-name", "evil.example"),
        ("db-type", "mysql"),
    ] {
        assert_eq!(moved(field, value).text(&PWD), None, "{field}");
    }
    for (field, value) in [("host", "db.example"), ("db-name", "other"), ("user-name", "x")] {
        assert_eq!(moved(field, value).text(&PWD), Some("canary-password"), "{field}");
    }
}

#[test]
fn details_are_those_of_the_description() {
    let text = include_str!("../../../../../data/v2-api.json");
    let described: Value = serde_json::from_str(text).unwrap();
    let model = |name: &str| -> BTreeSet<String> {
        described["models"][name].as_object().unwrap().keys().cloned().collect()
    };
    let names = |pairs: &[(&str, &str)]| -> BTreeSet<String> {
        pairs.iter().map(|(name, _)| (*name).to_owned()).collect()
    };
    let mut ours = names(fields::DETAILS);
    ours.insert("oracle_wallet_details".to_owned());
    assert_eq!(ours, model("DbTargetDetails"));
    assert_eq!(names(fields::WALLET_DETAILS), model("WalletDetails"));
    assert!(names(fields::MONGO_DETAILS).is_subset(&model("MongoDBTargetDetails")));
    let pairs = fields::DETAILS.iter().chain(fields::WALLET_DETAILS).chain(fields::MONGO_DETAILS);
    for (_, setting) in pairs {
        assert!(FIELDS.fields.iter().any(|field| field.name == *setting), "{setting}");
    }
}

#[test]
fn whoever_may_read_it_is_shown_everything() {
    let made = settings(&Db, &with(&[("ssl", "true"), ("port", "5433")]));
    let (member, shown) = Db.details(&made);
    assert_eq!(member, "db_target_details");
    let want = json!({
        "db_host_name": "db.example",
        "db_name": "app",
        "db_port": "5433",
        "db_pwd": "canary-password",
        "db_user_name": "admin",
        "ssl_connection_mode": true,
    });
    assert_eq!(Value::Object(shown), want);
    let mongo = [("db-type", "mongodb"), ("host", "m.example"), ("port", "27017"), ("pwd", "x")];
    let (member, shown) = Db.details(&settings(&Db, &mongo));
    assert_eq!(member, "mongo_db_target_details");
    let want = json!({"mongodb_host_port": "m.example:27017", "mongodb_password": "x"});
    assert_eq!(Value::Object(shown), want);
    let oracle = [("db-type", "oracle"), ("host", "o.example"), ("oracle-service-name", "orcl")];
    let (_, shown) = Db.details(&settings(&Db, &oracle));
    assert_eq!(shown["db_name"], "orcl");
}

#[test]
fn connections_are_encrypted_unless_somebody_says_otherwise() {
    let made = |more: &[(&'static str, &str)]| server(&settings(&Db, &with(more))).unwrap();
    assert!(made(&[]).is_encrypted());
    assert_eq!(made(&[]).warning(), None);
    let plain = made(&[("ssl", "false")]);
    assert!(!plain.is_encrypted());
    assert!(plain.warning().unwrap().contains("db.example:5432"));
    for here in ["127.0.0.1", "localhost", "::1", "[::1]"] {
        let made = made(&[("host", here)]);
        assert!(!made.is_encrypted() && made.warning().is_none(), "{here}");
    }
    assert!(made(&[("host", "127.0.0.1"), ("ssl", "true")]).is_encrypted());
}

#[tokio::test]
async fn a_target_that_is_not_served_says_so() {
    let made = settings(&Db, &[("db-type", "oracle"), ("host", "o.example")]);
    let fault = Db.probe(&made, &way()).await.unwrap_err();
    assert!(fault.public().contains("oracle"), "{fault}");
}
