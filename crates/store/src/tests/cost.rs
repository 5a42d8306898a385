//! What a record and a read cost, measured in small and printed; asserted only as far as a busy
//! machine cannot make it wrong: that many records share few commits.

use std::time::Instant;

use super::fixture::*;
use crate::{items, roles};

const RECORDS: u32 = 4_096;

#[test]
fn records_share_commits_and_reads_are_short() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let before = store.stats();
    let started = Instant::now();
    let waiting: Vec<_> =
        (0..RECORDS).map(|_| store.record(vec![(draft(ACCOUNT), None)])).collect();
    let queued = started.elapsed();
    for record in waiting {
        wait(record).unwrap();
    }
    let done = started.elapsed();
    let commits = store.stats().commits - before.commits;
    println!(
        "{RECORDS} records: {:?} each to queue, {:?} each until durable, {commits} commits",
        queued / RECORDS,
        done / RECORDS
    );
    assert!(commits <= u64::from(RECORDS) / 4, "{commits} commits");

    let id = change(store, |tx| {
        roles::insert(tx, &role("/r"))?;
        items::insert(tx, &item("/a/b"))
    })
    .unwrap();
    let started = Instant::now();
    for _ in 0..1_000 {
        assert!(see(store, |q| items::by_id(q, ACCOUNT, id)).is_some());
    }
    println!("{:?} per point read of an item", started.elapsed() / 1_000);
    let started = Instant::now();
    for n in 0..20 {
        wait(
            store.commit(vec![draft(ACCOUNT)], move |tx| {
                items::insert(tx, &item(&format!("/n/{n}")))
            }),
        )
        .unwrap();
    }
    println!("{:?} per lone durable change", started.elapsed() / 20);
}
