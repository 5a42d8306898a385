//! Group commit: what shares a transaction, and what does not.

use std::sync::mpsc;

use keysherd_audit::Failure;
use keysherd_base::{Fault, FaultKind};

use super::fixture::*;
use crate::{Store, items, meta};

#[test]
pub(super) fn everything_that_waits_shares_one_commit() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let before = store.stats();
    let release = hold_writer(store);
    let changes: Vec<_> = (0..50)
        .map(|n| {
            store.commit(vec![draft(ACCOUNT)], move |tx| {
                items::insert(tx, &item(&format!("/a/{n}")))
            })
        })
        .collect();
    let records: Vec<_> = (0..50).map(|_| store.record(vec![(draft(OTHER), None)])).collect();
    assert_eq!(store.waiting(), 100);
    drop(release);
    for change in changes {
        wait(change).unwrap();
    }
    let seqs: Vec<_> = records.into_iter().flat_map(|record| wait(record).unwrap()).collect();
    assert_eq!(seqs, (1..=50).collect::<Vec<_>>());
    let after = store.stats();
    assert_eq!(after.commits - before.commits, 1);
    assert_eq!(after.jobs - before.jobs, 51);
    assert_eq!(after.records - before.records, 100);
    assert_eq!(store.waiting(), 0);
}

#[test]
pub(super) fn a_transaction_takes_at_most_512_jobs() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let before = store.stats().commits;
    let release = hold_writer(store);
    let waiting: Vec<_> = (0..512).map(|_| store.record(vec![(draft(ACCOUNT), None)])).collect();
    drop(release);
    for record in waiting {
        wait(record).unwrap();
    }
    assert_eq!(store.stats().commits - before, 2, "511 with the first job, one more");
}

#[test]
pub(super) fn a_long_job_ends_the_transaction_by_the_clock() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let before = store.stats().commits;
    let release = hold_writer(store);
    let next = store.record(vec![(draft(ACCOUNT), None)]);
    fixture.clock.advance_seconds(1);
    drop(release);
    wait(next).unwrap();
    assert_eq!(store.stats().commits - before, 2);
}

#[test]
pub(super) fn a_failed_job_takes_back_only_itself_and_is_recorded() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let release = hold_writer(store);
    let good = store.commit(vec![draft(ACCOUNT)], |tx| items::insert(tx, &item("/good")));
    let bad = store.commit(vec![draft(ACCOUNT)], |tx| {
        items::insert(tx, &item("/half"))?;
        tx.also_record(&draft(ACCOUNT).with("note", "from inside"));
        Err::<(), _>(Fault::forbidden("not today").with_code("NotToday"))
    });
    let panicking = store.commit(vec![draft(ACCOUNT)], |tx| {
        items::insert(tx, &item("/panic"))?;
        if items::by_path(tx, ACCOUNT, &path("/panic"))?.is_some() {
            panic!("the test's own panic");
        }
        Ok(())
    });
    let read = store.record(vec![(draft(ACCOUNT), Some(Failure::from(FaultKind::NotFound)))]);
    drop(release);

    wait(good).unwrap();
    assert_eq!(wait(bad).unwrap_err().public(), "not today");
    let fault = wait(panicking).unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Internal);
    assert!(fault.private().unwrap().contains("the test's own panic"));
    wait(read).unwrap();

    for (name, there) in [("/good", true), ("/half", false), ("/panic", false)] {
        let found = see(store, |q| items::by_path(q, ACCOUNT, &path(name)));
        assert_eq!(found.is_some(), there, "{name}");
    }
    let outcomes: Vec<_> = recorded(store)
        .into_iter()
        .map(|record| (record.seq, record.status, record.error.unwrap_or_default().into_owned()))
        .collect();
    let expected = [
        (1, 200, ""),
        (2, 403, "NotToday"),
        (3, 403, "NotToday"),
        (4, 500, "Internal"),
        (5, 404, "NotFound"),
    ];
    assert_eq!(outcomes, expected.map(|(seq, status, code)| (seq, status, code.to_owned())));
}

#[test]
pub(super) fn a_job_runs_even_if_nobody_waits_for_it() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    drop(store.commit(vec![draft(ACCOUNT)], |tx| meta::put(tx, "left", "alone")));
    // Work is done in order, so this is behind it.
    change(store, |_| Ok(())).unwrap();
    assert_eq!(see(store, |q| meta::get(q, "left")).as_deref(), Some("alone"));
    assert_eq!(recorded(store).len(), 1);
}

#[test]
pub(super) fn a_full_queue_refuses_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let clock = std::sync::Arc::new(keysherd_base::ManualClock::new(NOW));
    let mut config = config(folder.path(), &clock);
    config.queue_max = 2;
    let store = Store::open(config).unwrap();
    let release = hold_writer(&store);
    let waiting = [0, 1].map(|_| store.record(vec![(draft(ACCOUNT), None)]));
    let refused = wait(store.record(vec![(draft(ACCOUNT), None)]));
    assert_eq!(refused.unwrap_err().kind(), FaultKind::Unavailable);
    drop(release);
    for record in waiting {
        wait(record).unwrap();
    }
    assert_eq!(wait(store.record(vec![(draft(ACCOUNT), None)])).unwrap(), [3]);
}

#[test]
pub(super) fn a_reader_sees_one_moment() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    store
        .read(|reader| {
            assert_eq!(meta::get(reader, "color")?, None);
            change(store, |tx| meta::put(tx, "color", "red"))?;
            assert_eq!(meta::get(reader, "color")?, None, "the snapshot has not moved");
            Ok(())
        })
        .unwrap();
    assert_eq!(see(store, |q| meta::get(q, "color")).as_deref(), Some("red"));
}

#[test]
pub(super) fn a_panic_while_reading_leaves_the_connection_usable() {
    let folder = tempfile::tempdir().unwrap();
    let clock = std::sync::Arc::new(keysherd_base::ManualClock::new(NOW));
    let store = Store::open(config(folder.path(), &clock)).unwrap();
    for _ in 0..20 {
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            store.read(|_| -> Result<(), Fault> { panic!("the test's own panic") })
        }));
        assert!(panicked.is_err());
    }
    change(&store, |tx| meta::put(tx, "color", "red")).unwrap();
    assert_eq!(see(&store, |q| meta::get(q, "color")).as_deref(), Some("red"));
}

#[test]
pub(super) fn scans_leave_a_connection_for_point_reads() {
    let fixture = Fixture::new();
    let store = fixture.store.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut held = Vec::new();
        let mut scans = Vec::new();
        // Three of the four connections may be scanning.
        for _ in 0..3 {
            let (release, wait_for) = mpsc::channel::<()>();
            let (began, begun) = tokio::sync::oneshot::channel();
            let store = store.clone();
            scans.push(tokio::spawn(async move {
                store
                    .read_blocking(move |reader| {
                        began.send(()).unwrap();
                        let _ = wait_for.recv();
                        meta::get(reader, "color")
                    })
                    .await
            }));
            begun.await.unwrap();
            held.push(release);
        }
        assert_eq!(see(&store, |q| meta::get(q, "color")), None);
        held.clear();
        for scan in scans {
            assert_eq!(scan.await.unwrap().unwrap(), None);
        }
    });
}
