//! The audit chain as it lies on disk: in order when untouched, and every tampering found.

use keysherd_audit::{Finding, Verified};
use keysherd_base::{AccountId, Fault, FaultKind, Uid};

use super::fixture::*;
use super::on_server;
use crate::store::database_file;
use crate::{AuditReader, Store, audit};

fn record_some(store: &Store, account: AccountId, count: usize) {
    for _ in 0..count {
        wait(store.record(vec![(draft(account), None)])).unwrap();
    }
}

fn verify(folder: &std::path::Path, account: AccountId) -> Result<Verified, Finding> {
    audit_reader(folder).verify(account, toy_hash, toy_verify).unwrap()
}

#[test]
pub(super) fn chains_of_many_accounts_are_in_order_before_and_after_reopening() {
    let Fixture { store, clock, folder } = Fixture::new();
    let unknown = AccountId(Uid([77; 16]));
    for round in 0..3 {
        let drafts = [ACCOUNT, OTHER, ACCOUNT, unknown].map(|account| (draft(account), None));
        let seqs = wait(store.record(drafts.into())).unwrap();
        assert_eq!(seqs, [2 * round + 1, round + 1, 2 * round + 2, round + 1]);
    }
    // While the store is open.
    assert_eq!(verify(folder.path(), ACCOUNT), Ok(Verified { records: 6, last_seq: 6 }));
    let outcome = see(&store, |q| audit::verify(q, OTHER, toy_hash, toy_verify));
    assert_eq!(outcome, Ok(Verified { records: 3, last_seq: 3 }));
    drop(store);

    let store = Store::open(config(folder.path(), &clock)).unwrap();
    record_some(&store, ACCOUNT, 2);
    drop(store);
    for (account, count) in [(ACCOUNT, 8), (OTHER, 3), (unknown, 3)] {
        let expected = Verified { records: count, last_seq: count };
        assert_eq!(verify(folder.path(), account), Ok(expected));
    }
    let reader = audit_reader(folder.path());
    let heads = reader.heads().unwrap();
    assert_eq!(heads.iter().map(|head| head.head.seq).collect::<Vec<_>>(), [8, 3, 3]);
    assert!(heads.iter().all(|head| toy_verify(&head.head.signed_body(), &head.signature)));
}

#[test]
pub(super) fn records_are_listed_by_page() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    record_some(store, OTHER, 1);
    record_some(store, ACCOUNT, 5);
    record_some(store, OTHER, 1);
    let seqs = |after, limit| {
        see(store, |q| audit::records(q, ACCOUNT, after, limit))
            .into_iter()
            .map(|stored| {
                let record = stored.parse().unwrap();
                assert_eq!((record.seq, record.draft.account), (stored.seq, ACCOUNT));
                stored.seq
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(seqs(0, 2), [1, 2]);
    assert_eq!(seqs(2, 100), [3, 4, 5]);
    assert_eq!(seqs(5, 100), [0_u64; 0]);
    let unknown = AccountId(Uid([77; 16]));
    assert_eq!(see(store, |q| audit::records(q, unknown, 0, 10)), []);
    assert_eq!(see(store, |q| audit::head(q, unknown)), None);
}

#[test]
pub(super) fn tampering_with_the_file_is_found() {
    let Fixture { store, folder, .. } = Fixture::new();
    record_some(&store, ACCOUNT, 2_500);
    drop(store);
    let file = database_file(folder.path());
    let row = |seq: i64| (1 << 40) + seq;
    let cases: [(String, Finding); 6] = [
        (
            format!(
                "UPDATE audit SET record = CAST(replace(CAST(record AS TEXT), '200', '403') \
                 AS BLOB) WHERE id = {}",
                row(1_700)
            ),
            Finding::Altered { seq: 1_700 },
        ),
        (
            format!("DELETE FROM audit WHERE id BETWEEN {} AND {}", row(999), row(1_001)),
            Finding::Missing { first: 999, last: 1_001 },
        ),
        (
            format!("DELETE FROM audit WHERE id > {}", row(2_000)),
            Finding::Truncated { first: 2_001, last: 2_500 },
        ),
        (
            format!(
                "INSERT INTO audit SELECT id + 1, link, record FROM audit WHERE id = {}",
                row(2_500)
            ),
            Finding::Misplaced { seq: 2_501 },
        ),
        ("UPDATE audit_heads SET time = time + 1".to_owned(), Finding::HeadForged),
        (
            format!(
                "UPDATE audit SET link = (SELECT link FROM audit WHERE id = {}) WHERE id = {}",
                row(4),
                row(3)
            ),
            Finding::Altered { seq: 3 },
        ),
    ];
    for (sql, finding) in cases {
        let copy = tempfile::tempdir().unwrap();
        std::fs::copy(&file, database_file(copy.path())).unwrap();
        let changed = rusqlite::Connection::open(database_file(copy.path()))
            .unwrap()
            .execute(&sql, [])
            .unwrap();
        assert_ne!(changed, 0, "{sql}");
        assert_eq!(verify(copy.path(), ACCOUNT), Err(finding), "{sql}");
    }
}

/// Changes a closed store behind its back.
fn tamper(folder: &std::path::Path, sql: &str) {
    if on_server::is_meant() {
        return on_server::tamper(folder, sql);
    }
    let file = rusqlite::Connection::open(database_file(folder)).unwrap();
    assert_ne!(file.execute(sql, []).unwrap(), 0, "{sql}");
}

#[test]
pub(super) fn a_removed_head_does_not_hide_the_records() {
    let Fixture { store, clock, folder } = Fixture::new();
    record_some(&store, OTHER, 1);
    record_some(&store, ACCOUNT, 3);
    drop(store);
    tamper(folder.path(), "DELETE FROM audit_heads WHERE seq = 3");
    assert_eq!(verify(folder.path(), ACCOUNT), Err(Finding::HeadAbsent));
    assert_eq!(verify(folder.path(), OTHER), Ok(Verified { records: 1, last_seq: 1 }));
    // The account cannot start over as if it had none.
    let store = Store::open(config(folder.path(), &clock)).unwrap();
    let fault = wait(store.record(vec![(draft(ACCOUNT), None)])).unwrap_err();
    assert!(fault.public().contains("does not match its signed head"), "{fault}");
    record_some(&store, OTHER, 1);
    let newcomer = AccountId(Uid([77; 16]));
    record_some(&store, newcomer, 1);
    drop(store);
    assert_eq!(verify(folder.path(), newcomer), Ok(Verified { records: 1, last_seq: 1 }));
    // Not even when the first record cannot be read: then it may be anybody's.
    tamper(folder.path(), "UPDATE audit SET record = zeroblob(3) WHERE id = 2 * 1099511627776 + 1");
    assert_eq!(verify(folder.path(), newcomer), Err(Finding::HeadAbsent));
}

#[test]
pub(super) fn a_changed_chain_is_not_continued_and_so_not_made_genuine() {
    for sql in [
        "UPDATE audit_heads SET link = zeroblob(32) WHERE seq = 3",
        "UPDATE audit_heads SET signature = zeroblob(64) WHERE seq = 3",
        "DELETE FROM audit WHERE id = 2 * 1099511627776 + 3",
        "UPDATE audit SET link = zeroblob(32) WHERE id = 2 * 1099511627776 + 3",
    ] {
        let Fixture { store, clock, folder } = Fixture::new();
        record_some(&store, OTHER, 1);
        record_some(&store, ACCOUNT, 3);
        drop(store);
        tamper(folder.path(), sql);
        let finding = verify(folder.path(), ACCOUNT).unwrap_err();
        let store = Store::open(config(folder.path(), &clock)).unwrap();

        let release = hold_writer(&store);
        let refused = store.record(vec![(draft(ACCOUNT), None)]);
        let change = store.commit(vec![draft(ACCOUNT)], |tx| crate::meta::put(tx, "color", "red"));
        let other = store.record(vec![(draft(OTHER), None)]);
        drop(release);
        let fault = wait(refused).unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Unavailable, "{sql}");
        assert!(fault.public().contains("does not match its signed head"), "{fault}");
        assert!(wait(change).is_err());
        assert_eq!(wait(other).unwrap(), [2], "other accounts go on");
        assert_eq!(see(&store, |q| crate::meta::get(q, "color")), None);
        drop(store);
        assert_eq!(verify(folder.path(), ACCOUNT), Err(finding), "{sql}");
    }
}

/// A job may add records of others than those it is committed with: of somebody who was locked, or
/// of reads that a gateway brings.
#[test]
pub(super) fn a_damaged_chain_fails_nobody_but_the_jobs_that_add_to_it() {
    let Fixture { store, clock, folder } = Fixture::new();
    record_some(&store, OTHER, 1);
    record_some(&store, ACCOUNT, 3);
    drop(store);
    tamper(folder.path(), "UPDATE audit_heads SET signature = zeroblob(64) WHERE seq = 3");
    let finding = verify(folder.path(), ACCOUNT).unwrap_err();
    let store = Store::open(config(folder.path(), &clock)).unwrap();
    let put = |name: &'static str| move |tx: &crate::Tx| crate::meta::put(tx, name, "done");

    let release = hold_writer(&store);
    let before = store.commit(vec![draft(OTHER)], put("before"));
    let more = store.commit(vec![draft(OTHER)], |tx| {
        tx.also_record(&draft(ACCOUNT));
        crate::meta::put(tx, "more", "done")
    });
    let done = store.commit(Vec::new(), |tx| {
        tx.record_if_done(&draft(ACCOUNT));
        crate::meta::put(tx, "if-done", "done")
    });
    let failed = store.commit(vec![draft(OTHER)], |tx| {
        tx.also_record(&draft(ACCOUNT));
        Err::<(), _>(Fault::forbidden("not today"))
    });
    let asked = store.commit(Vec::new(), |tx| Ok([tx.can_record(ACCOUNT)?, tx.can_record(OTHER)?]));
    let read = store.record(vec![(draft(OTHER), None)]);
    let after = store.commit(vec![draft(OTHER)], put("after"));
    drop(release);

    wait(before).unwrap();
    for fault in [wait(more).unwrap_err(), wait(done).unwrap_err()] {
        assert_eq!(fault.kind(), FaultKind::Unavailable);
        assert!(fault.public().contains("does not match its signed head"), "{fault}");
        assert!(!fault.public().contains(&ACCOUNT.to_string()), "{fault}");
    }
    assert_eq!(wait(failed).unwrap_err().public(), "not today");
    assert_eq!(wait(asked).unwrap(), [false, true]);
    assert_eq!(wait(read).unwrap(), [5], "after those of the three changes with records");
    wait(after).unwrap();
    let kept = ["before", "more", "if-done", "after"]
        .map(|name| see(&store, |q| crate::meta::get(q, name)).is_some());
    assert_eq!(kept, [true, false, false, true]);
    drop(store);
    assert_eq!(verify(folder.path(), OTHER), Ok(Verified { records: 6, last_seq: 6 }));
    assert_eq!(verify(folder.path(), ACCOUNT), Err(finding));
}

#[test]
pub(super) fn there_must_be_a_store_to_read() {
    let folder = tempfile::tempdir().unwrap();
    let fault = AuditReader::open(folder.path()).err().unwrap();
    assert_eq!(fault.kind(), FaultKind::NotFound);
}
