//! What has an effect is heard, and nothing else.

use keysherd_base::FaultKind;

use super::*;
use crate::testing::{Caller, settings, target_of, way};
use crate::{Settings, TargetUse, by_name};

fn is_about(fault: &Fault, field: &str) {
    assert_eq!(fault.kind(), FaultKind::BadRequest);
    assert!(fault.public().contains(&format!("'{field}'")), "{fault}");
}

#[test]
fn hosts_are_of_linked_targets_where_nothing_is_made() {
    let (way, none, caller) = (way(), Settings::default(), Caller::with(&[]));
    let scene = Scene { settings: &none, target: None, way: &way };
    for engine in crate::all() {
        let named = Wish { host: Some("a"), ..caller.wish() };
        is_about(&check_wish(*engine, &scene, &named).unwrap_err(), "host");
        let silent = Wish { host: Some(""), dbname: Some(""), ..caller.wish() };
        check_wish(*engine, &scene, &silent).unwrap();
    }
}

#[test]
fn arguments_are_refused_where_nobody_looks_at_them() {
    let (way, none, caller) = (way(), Settings::default(), Caller::with(&[]));
    let scene = Scene { settings: &none, target: None, way: &way };
    let args = ["a=canary".to_owned()];
    for engine in crate::all() {
        let name = engine.kind().name;
        let heard = check_wish(*engine, &scene, &Wish { args: &args, ..caller.wish() });
        if ["aws", "custom", "k8s", "venafi"].contains(&name) {
            heard.unwrap();
            continue;
        }
        let fault = heard.unwrap_err();
        is_about(&fault, "args");
        assert!(!fault.public().contains("canary"), "{name}: {fault}");
    }
}

#[test]
fn a_database_is_the_one_that_the_secret_is_for() {
    let (way, caller) = (way(), Caller::with(&[]));
    let asked = |engine: &str, own: &Settings, target: Option<TargetUse<'_>>, dbname: &str| {
        let scene = Scene { settings: own, target, way: &way };
        let wish = Wish { dbname: Some(dbname), ..caller.wish() };
        check_wish(by_name(engine).unwrap(), &scene, &wish)
    };
    let given = [
        ("db-type", "postgres"),
        ("host", "db.example"),
        ("user-name", "keeper"),
        ("pwd", "canary-pwd"),
        ("db-name", "app"),
        ("ssl", "true"),
    ];
    let target = target_of("db", &given);
    let target = TargetUse { type_name: "postgres", settings: &target };
    let none = Settings::default();
    asked("postgresql", &none, Some(target), "app").unwrap();
    for dbname in ["postgres", "App", "app;drop"] {
        let fault = asked("postgresql", &none, Some(target), dbname).unwrap_err();
        is_about(&fault, "dbname");
        // What a target says is for those who may read it.
        assert!(!fault.public().contains("app"), "{fault}");
    }
    // The secret's own, where there is no target.
    let postgres = [
        ("postgresql-username", "keeper"),
        ("postgresql-password", "x"),
        ("postgresql-db-name", "app"),
    ];
    let mysql = [("mysql-username", "keeper"), ("mysql-password", "x"), ("mysql-dbname", "app")];
    for (engine, given) in [("postgresql", postgres), ("mysql", mysql)] {
        let own = settings(by_name(engine).unwrap(), &given);
        asked(engine, &own, None, "app").unwrap();
        is_about(&asked(engine, &own, None, "other").unwrap_err(), "dbname");
    }
    // Who names none has one that the server chooses, which nobody knows by name.
    let own = settings(by_name("mysql").unwrap(), &mysql[..2]);
    is_about(&asked("mysql", &own, None, "app").unwrap_err(), "dbname");
    is_about(&asked("redis", &none, None, "app").unwrap_err(), "dbname");
}
