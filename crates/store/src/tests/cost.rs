//! What a record and a read cost, measured in small and printed; asserted only as far as a busy
//! machine cannot make it wrong: that many records share few commits.

use std::sync::Arc;
use std::time::Instant;

use keysherd_base::{AccountId, ManualClock, Uid};

use super::fixture::*;
use super::on_server;
use crate::query::ASKED;
use crate::{Store, StoreConfig, StorePlace, accounts, items, roles};

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

/// Requests that wait at the same time share one question to the database.
const TOGETHER: usize = 64;
/// How often they come.
const ROUNDS: u32 = 30;

#[test]
fn requests_that_come_together_ask_a_database_once() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    let database = Some(on_server::database_of(folder.path()));
    let embedded = embedded(folder.path(), &clock);
    let store = Store::open(StoreConfig { database, alone: false, ..embedded }).unwrap();
    let id = done(&store, |tx| {
        accounts::insert(tx, &account(ACCOUNT))?;
        items::insert(tx, &item("/a/b"))
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    let timed = |count: u32, work: &dyn Fn()| {
        let started = Instant::now();
        (0..count).for_each(|_| work());
        started.elapsed() / count
    };
    let read = timed(300, &|| {
        assert!(see(&store, |q| items::by_id(q, ACCOUNT, id)).is_some());
    });
    let mark = runtime.block_on(store.newest_change()).unwrap();
    let alone = timed(300, &|| {
        assert_eq!(runtime.block_on(store.newest_change()).unwrap(), mark);
    });
    let before = store.questions();
    let together = timed(ROUNDS, &|| {
        runtime.block_on(async {
            let tasks = (0..TOGETHER).map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.newest_change().await.unwrap() })
            });
            for task in tasks.collect::<Vec<_>>() {
                assert_eq!(task.await.unwrap(), mark);
            }
        });
    });
    println!(
        "{read:?} per point read on a server; the question before it {alone:?} more for a request \
         by itself, {:?} for each of {TOGETHER} that come together",
        together / 64
    );
    let asked = store.questions() - before;
    assert!(asked < u64::from(ROUNDS) * TOGETHER as u64 / 2, "each asked for itself: {asked}");
}

/// Whoever verifies all chains looks at each of them once.
#[test]
fn verifying_all_chains_costs_as_much_as_there_are() {
    let asked = |accounts: u8| {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(NOW));
        let store = Store::open(embedded(folder.path(), &clock)).unwrap();
        for number in 1..=accounts {
            let account = AccountId(Uid([number; 16]));
            wait(store.commit(vec![draft(account)], |_| Ok(()))).unwrap();
        }
        drop(store);
        let inspection = StorePlace::new(folder.path().to_owned(), None).inspect().unwrap();
        let before = ASKED.get();
        let mut sound = 0;
        inspection
            .check_chains(toy_hash, &toy_verify, &mut |(_, state)| {
                sound += u8::from(state.is_ok());
            })
            .unwrap();
        assert_eq!(sound, accounts);
        ASKED.get() - before
    };
    let (some, twice) = (asked(20), asked(40));
    println!("{some} questions for 20 chains, {twice} for 40");
    assert!(twice <= 2 * some, "{some} and {twice}");
}
