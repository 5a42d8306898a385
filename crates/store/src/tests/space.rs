//! A full disk: reads and their records go on, changes are refused, and the store recovers by
//! itself.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use keysherd_base::{FaultKind, ManualClock};

use super::fixture::*;
use crate::{AuditReader, Store, accounts, audit, item_versions, items, meta};

const BIG: usize = 64 * 1024;

fn reserve(folder: &Path) -> Option<u64> {
    std::fs::metadata(folder.join("reserve.bin")).ok().map(|found| found.len())
}

fn is_full<T: std::fmt::Debug>(result: Result<T, keysherd_base::Fault>) -> bool {
    result.is_err_and(|fault| fault.kind() == FaultKind::StorageFull)
}

#[test]
fn a_database_that_cannot_grow_refuses_changes_and_recovers() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let folder = fixture.folder.path();
    assert_eq!(reserve(folder), Some(256 * 1024));
    wait(store.record(vec![(draft(ACCOUNT), None)])).unwrap();
    // The least that is accepted is the present size.
    change(store, |tx| tx.raw().define("PRAGMA max_page_count = 1")).unwrap();

    let release = hold_writer(store);
    let innocent = store.commit(vec![draft(ACCOUNT)], |tx| meta::put(tx, "color", "red"));
    let failed = store.commit(vec![draft(ACCOUNT)], |_| {
        Err::<(), _>(keysherd_base::Fault::not_found("nothing there"))
    });
    let big = store.commit(vec![draft(ACCOUNT)], |tx| meta::put(tx, "big", &"x".repeat(BIG)));
    let read = store.record(vec![(draft(ACCOUNT), None)]);
    drop(release);
    assert!(is_full(wait(innocent)), "it shared the transaction");
    assert_eq!(wait(failed).unwrap_err().kind(), FaultKind::NotFound);
    assert!(is_full(wait(big)));
    wait(read).unwrap();
    assert!(store.is_low_on_space());
    assert_eq!(reserve(folder), None);
    let statuses: Vec<_> = recorded(store).iter().map(|record| record.status).collect();
    assert_eq!(statuses, [200, 507, 404, 507, 200]);
    assert_eq!(see(store, |q| meta::get(q, "color")), None);

    // Not tried again before a second has passed by the clock.
    let before = store.stats().jobs;
    assert!(is_full(wait(store.commit(vec![draft(ACCOUNT)], |_| Ok(())))));
    assert_eq!(store.stats().jobs, before);
    wait(store.record(vec![(draft(ACCOUNT), None)])).unwrap();

    fixture.clock.advance_seconds(1);
    change(store, |tx| {
        tx.raw().define("PRAGMA max_page_count = 100000")?;
        meta::put(tx, "big", &"x".repeat(BIG))
    })
    .unwrap();
    assert!(!store.is_low_on_space());
    assert_eq!(reserve(folder), Some(256 * 1024));
    let outcome = see(store, |q| audit::verify(q, ACCOUNT, toy_hash, toy_verify));
    assert_eq!(outcome.unwrap().last_seq, 7);
}

/// Names the empty folder that a small file system may be mounted on.
const FOLDER_VARIABLE: &str = "KEYSHERD_STORE_TEST_SMALL_DISK";

/// Runs itself again in a mount namespace of its own, with 4 MiB of disk. Where the system allows
/// no such namespace, the test above stands alone.
#[test]
fn a_full_disk_refuses_changes_and_recovers() {
    if let Ok(folder) = std::env::var(FOLDER_VARIABLE) {
        return fill_and_recover(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "--", "sh", "-c"]);
        command
    };
    let mount = format!("mount -t tmpfs -o size=4m tmpfs '{}'", folder.path().display());
    if !unshare().arg(&mount).output().is_ok_and(|output| output.status.success()) {
        eprintln!("no mount namespaces here");
        return;
    }
    let output = unshare()
        .arg(format!("{mount} && exec \"$0\" \"$@\""))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "tests::space::a_full_disk_refuses_changes_and_recovers"])
        .arg("--nocapture")
        .env(FOLDER_VARIABLE, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("filled and recovered"), "{said}");
}

fn fill_to_the_last_byte(filler: &Path) {
    let mut file = std::fs::File::create(filler).unwrap();
    for length in [64 * 1024, 1024, 1] {
        while file.write_all(&vec![1; length]).is_ok() {}
    }
}

fn fill_and_recover(folder: &Path) {
    let filler = folder.join("filler");
    std::fs::write(&filler, vec![1; 1 << 20]).unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    let store = Store::open(config(folder, &clock)).unwrap();
    let id = change(&store, |tx| {
        accounts::insert(tx, &account(ACCOUNT))?;
        items::insert(tx, &item("/secret"))
    })
    .unwrap();
    // The index takes its first room at some time after the start, and not out of the reserve.
    wait(store.index_audit(Duration::from_secs(3_600)));
    let write = |number: u32| {
        wait(store.commit(vec![draft(ACCOUNT)], move |tx| {
            item_versions::put(tx, id, &version(number, &[7; BIG]))
        }))
    };
    let mut written = 0;
    let fault = loop {
        match write(written + 1) {
            Ok(()) => written += 1,
            Err(fault) => break fault,
        }
        assert!(written < 100, "4 MiB cannot hold this");
    };
    assert_eq!(fault.kind(), FaultKind::StorageFull, "{fault:?}");
    assert!(store.is_low_on_space());
    for _ in 0..200 {
        wait(store.record(vec![(draft(ACCOUNT), None)])).unwrap();
    }
    assert!(is_full(write(written + 1)), "the second is not over");
    assert_eq!(see(&store, |q| item_versions::list(q, id)).len(), written as usize);

    std::fs::remove_file(&filler).unwrap();
    clock.advance_seconds(1);
    write(written + 1).unwrap();
    assert!(!store.is_low_on_space());
    assert_eq!(reserve(folder), Some(256 * 1024));
    drop(store);

    // Started again on a disk without a free byte.
    fill_to_the_last_byte(&filler);
    let store = Store::open(config(folder, &clock)).unwrap();
    assert!(store.is_low_on_space());
    assert_eq!(see(&store, |q| item_versions::list(q, id)).len(), written as usize + 1);
    wait(store.record(vec![(draft(ACCOUNT), None)])).unwrap();
    assert!(is_full(wait(store.commit(vec![draft(ACCOUNT)], move |tx| {
        item_versions::put(tx, id, &version(99, &[7; 4 * BIG]))
    }))));
    drop(store);
    let verified = AuditReader::open(folder).unwrap().verify(ACCOUNT, toy_hash, toy_verify);
    // The writes, the one that filled the disk, the reads, the refused one, the one after it, and
    // the two after the restart.
    assert_eq!(verified.unwrap().unwrap().last_seq, u64::from(written) + 1 + 200 + 1 + 1 + 2);
    println!("filled and recovered after {written} writes");
}
