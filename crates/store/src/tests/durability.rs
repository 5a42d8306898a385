//! What was answered is there after a crash.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use keysherd_audit::Verified;
use keysherd_base::{FaultKind, ManualClock};

use super::fixture::*;
use crate::{AuditReader, Store, accounts, items, meta};

/// Names the folder to the process that is going to be killed.
const FOLDER_VARIABLE: &str = "KEYSHERD_STORE_TEST_FOLDER";

fn open(folder: &Path) -> Store {
    Store::open(config(folder, &Arc::new(ManualClock::new(NOW)))).unwrap()
}

#[test]
fn a_copy_of_the_open_files_has_everything_that_was_answered() {
    let fixture = Fixture::new();
    wait(fixture.store.commit(vec![draft(ACCOUNT)], |tx| items::insert(tx, &item("/a")))).unwrap();
    wait(fixture.store.record(vec![(draft(ACCOUNT), None)])).unwrap();
    // As a crash leaves it: the log was never checkpointed.
    let copy = tempfile::tempdir().unwrap();
    for name in ["control.db", "control.db-wal"] {
        std::fs::copy(fixture.folder.path().join(name), copy.path().join(name)).unwrap();
    }
    assert!(std::fs::metadata(copy.path().join("control.db-wal")).unwrap().len() > 0);
    let store = open(copy.path());
    assert!(see(&store, |q| items::by_path(q, ACCOUNT, &path("/a"))).is_some());
    drop(store);
    let verified = AuditReader::open(copy.path()).unwrap().verify(ACCOUNT, toy_hash, toy_verify);
    assert_eq!(verified.unwrap(), Ok(Verified { records: 2, last_seq: 2 }));
}

#[test]
fn a_killed_process_loses_nothing_it_answered() {
    if let Ok(folder) = std::env::var(FOLDER_VARIABLE) {
        return write_until_killed(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::durability::a_killed_process_loses_nothing_it_answered"])
        .args(["--nocapture", "--test-threads=1"])
        .env(FOLDER_VARIABLE, folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let answered = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("answered ")?.parse::<u64>().ok())
        .take(200)
        .last()
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();

    let store = open(folder.path());
    for n in 1..=answered {
        let found = see(&store, |q| items::by_path(q, ACCOUNT, &path(&format!("/n/{n}"))));
        assert!(found.is_some(), "item {n} of {answered} was answered and is lost");
    }
    drop(store);
    let verified = AuditReader::open(folder.path()).unwrap().verify(ACCOUNT, toy_hash, toy_verify);
    assert!(verified.unwrap().unwrap().records >= answered);
}

fn write_until_killed(folder: &Path) {
    let store = open(folder);
    change(&store, |tx| accounts::insert(tx, &account(ACCOUNT))).unwrap();
    // A bound, in case nobody kills it.
    for n in 1_u64..100_000 {
        let name = format!("/n/{n}");
        wait(store.commit(vec![draft(ACCOUNT)], move |tx| items::insert(tx, &item(&name))))
            .unwrap();
        println!("answered {n}");
        std::io::stdout().flush().unwrap();
    }
}

#[test]
fn a_second_opening_is_refused_until_the_first_is_closed() {
    let Fixture { store, clock, folder } = Fixture::new();
    let fault = Store::open(config(folder.path(), &clock)).err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Unavailable);
    assert!(fault.public().contains("in use by another process"), "{fault}");
    drop(store);
    Store::open(config(folder.path(), &clock)).unwrap();
}

#[test]
fn closing_writes_everything_that_was_queued() {
    let Fixture { store, clock, folder } = Fixture::new();
    for n in 0..100 {
        drop(store.commit(Vec::new(), move |tx| meta::put(tx, &format!("n{n}"), "there")));
    }
    drop(store);
    let store = Store::open(config(folder.path(), &clock)).unwrap();
    for n in 0..100 {
        assert!(see(&store, |q| meta::get(q, &format!("n{n}"))).is_some(), "n{n}");
    }
}

#[test]
fn closing_leaves_no_log_behind() {
    let Fixture { store, folder, .. } = Fixture::new();
    assert!(see(&store, |q| meta::get(q, "color")).is_none());
    wait(store.index_audit(std::time::Duration::from_secs(3_600)));
    drop(store);
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["audit-index.db", "control.db", "reserve.bin", "store.lock"]);
}

#[test]
fn a_store_of_a_newer_program_is_refused() {
    let Fixture { store, clock, folder } = Fixture::new();
    change(&store, |tx| {
        meta::put(tx, "schema_version", "999")?;
        meta::put(tx, "schema_oldest", "998")
    })
    .unwrap();
    drop(store);
    let fault = Store::open(config(folder.path(), &clock)).err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Unavailable);
    assert!(fault.public().contains("schema version 999"), "{fault}");
}

#[test]
fn nobody_else_may_read_the_files() {
    let fixture = Fixture::new();
    // What the index makes and removes again is gone.
    wait(fixture.store.index_audit(std::time::Duration::from_secs(3_600)));
    for entry in std::fs::read_dir(fixture.folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
}

#[test]
fn the_log_does_not_grow_for_ever() {
    let fixture = Fixture::new();
    let big = "x".repeat(64 * 1024);
    for n in 0..1_600 {
        let (name, value) = (format!("n{}", n % 16), big.clone());
        change(&fixture.store, move |tx| meta::put(tx, &name, &value)).unwrap();
    }
    let length = |name: &str| std::fs::metadata(fixture.folder.path().join(name)).unwrap().len();
    assert!(length("control.db-wal") < 32 << 20, "{} bytes", length("control.db-wal"));
    assert!(length("control.db") < 8 << 20, "{} bytes", length("control.db"));
}
