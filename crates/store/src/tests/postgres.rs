//! What only a store on a server has to stand: others who write, lost connections, restarts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use keysherd_audit::Verified;
use keysherd_base::{FaultKind, ManualClock};

use super::fixture::*;
use super::on_server::{self, settings};
use super::server::{self, Postgres};
use crate::changes::{self, Change, Since, Touched};
use crate::{AuditReader, PostgresSettings, Store, StoreConfig, accounts, items, meta};

mod doubt;
mod silence;
mod standbys;

/// A store of a node, with a folder of its own.
struct Node {
    store: Store,
    folder: tempfile::TempDir,
}

impl Node {
    fn on(database: PostgresSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(NOW));
        let (database, alone) = (Some(database), false);
        let store =
            Store::open(StoreConfig { database, alone, ..config(folder.path(), &clock) }).unwrap();
        Self { store, folder }
    }
}

/// A new database on the shared server.
fn new_database() -> PostgresSettings {
    on_server::database_of(tempfile::tempdir().unwrap().path())
}

fn verify(database: PostgresSettings) -> Verified {
    let reader = AuditReader::open_database(database).unwrap();
    reader.verify(ACCOUNT, toy_hash, toy_verify).unwrap().unwrap()
}

#[test]
fn two_nodes_continue_one_chain() {
    let database = new_database();
    let nodes = [Node::on(database.clone()), Node::on(database.clone())];
    change(&nodes[0].store, |tx| accounts::insert(tx, &account(ACCOUNT))).unwrap();
    thread::scope(|scope| {
        for (number, node) in nodes.iter().enumerate() {
            scope.spawn(move || {
                for n in 0..100 {
                    let name = format!("/{number}/{n}");
                    let insert = node
                        .store
                        .commit(vec![draft(ACCOUNT)], move |tx| items::insert(tx, &item(&name)));
                    let read = node.store.record(vec![(draft(ACCOUNT), None)]);
                    wait(insert).unwrap();
                    wait(read).unwrap();
                }
            });
        }
    });
    for node in &nodes {
        for name in ["/0/99", "/1/99"] {
            let found = see(&node.store, |q| items::by_path(q, ACCOUNT, &path(name)));
            assert!(found.is_some(), "{name} is seen everywhere");
        }
    }
    assert_eq!(verify(database), Verified { records: 400, last_seq: 400 });
}

#[test]
fn a_name_is_taken_once_whoever_comes_first() {
    let database = new_database();
    let nodes = [Node::on(database.clone()), Node::on(database)];
    change(&nodes[0].store, |tx| accounts::insert(tx, &account(ACCOUNT))).unwrap();
    let taken = thread::scope(|scope| {
        let all = nodes.iter().map(|node| {
            scope.spawn(|| {
                let names = (0..50).map(|n| format!("/{n}"));
                let insert =
                    |name: String| change(&node.store, move |tx| items::insert(tx, &item(&name)));
                let outcomes = names.map(insert).collect::<Vec<_>>();
                for fault in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
                    assert_eq!(fault.kind(), FaultKind::Conflict, "{fault}");
                }
                outcomes.into_iter().filter(Result::is_ok).count()
            })
        });
        let all: Vec<_> = all.collect();
        all.into_iter().map(|one| one.join().unwrap()).sum::<usize>()
    });
    assert_eq!(taken, 50);
}

#[test]
fn the_first_start_of_two_nodes_at_once_makes_one_schema() {
    let database = new_database();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| drop(Node::on(database.clone())));
        }
    });
    let node = Node::on(database);
    assert!(see(&node.store, |q| meta::get(q, "schema_version")).is_some());
}

#[test]
fn what_one_node_changed_the_others_know_of_before_it_is_answered() {
    let database = new_database();
    let [one, other] = [Node::on(database.clone()), Node::on(database)];
    let mut watch = other.store.watch_changes();
    change(&one.store, |tx| accounts::insert(tx, &account(ACCOUNT))).unwrap();
    for n in 0..200 {
        let name = format!("/{n}");
        let before = wait(other.store.newest_change()).unwrap();
        let id = change(&one.store, move |tx| items::insert(tx, &item(&name))).unwrap();
        let after = wait(other.store.newest_change()).unwrap();
        assert_eq!(after.number, before.number + 1);
        let since = |q: &crate::Reader| changes::since(q, before, None, 1);
        let (newest, told) = other.store.read(since).unwrap();
        let what = Touched::Item { id, path: path(&format!("/{n}")) };
        let told_of = Since::Changes(vec![Change { account: ACCOUNT, what }]);
        assert_eq!((newest, told), (after, told_of));
    }
    // Nobody asks now: whoever watches is woken all the same.
    watch.mark_unchanged();
    let last = change(&one.store, |tx| items::insert(tx, &item("/last"))).map(|_| ());
    last.unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let woken =
        async { tokio::time::timeout(std::time::Duration::from_secs(20), watch.changed()).await };
    runtime.block_on(woken).unwrap().unwrap();
}

#[test]
fn questions_for_the_newest_change_are_shared_and_never_too_old() {
    let node = Node::on(new_database());
    change(&node.store, |tx| accounts::insert(tx, &account(ACCOUNT))).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    let asked = runtime.block_on(async {
        let tasks = (0..8).map(|task| {
            let store = node.store.clone();
            tokio::spawn(async move {
                for n in 0..50 {
                    let mine = path(&format!("/{task}/{n}"));
                    let before = store.newest_change().await.unwrap();
                    let name = mine.to_string();
                    let insert = move |tx: &crate::Tx| items::insert(tx, &item(&name));
                    store.commit(Vec::new(), insert).await.unwrap();
                    let after = store.newest_change().await.unwrap();
                    let is_told_after = |mark| {
                        let told = store.read(|q| changes::since(q, mark, None, 1_000)).unwrap().1;
                        let Since::Changes(told) = told else { panic!("a lost place") };
                        told.iter().any(|change| {
                            matches!(&change.what, Touched::Item { path, .. } if *path == mine)
                        })
                    };
                    assert!(is_told_after(before), "{mine} is in the feed");
                    assert!(!is_told_after(after), "{mine} is no news after the answer");
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        node.store.newest_change().await.unwrap()
    });
    // Fewer rows than changes: those that were committed together share one.
    assert!((2..=401).contains(&asked.number), "{asked:?}");
}

#[test]
fn the_index_follows_what_another_node_recorded() {
    let database = new_database();
    let [one, other] = [Node::on(database.clone()), Node::on(database)];
    for _ in 0..30 {
        let drafts = (0..100).map(|_| (draft(ACCOUNT), None)).collect();
        wait(one.store.record(drafts)).unwrap();
    }
    wait(other.store.index_audit(std::time::Duration::from_secs(3_600)));
    let wanted = crate::AuditSearch {
        account: ACCOUNT,
        filter: keysherd_audit::Filter::default(),
        order: crate::AuditOrder::OldestFirst,
        start: None,
        limit: 10,
    };
    let page = wait(other.store.search_audit(wanted, |_| true)).unwrap();
    assert_eq!(page.head.unwrap().head.seq, 3_000);
    assert!(page.segments_read > 0, "the index is used");
    assert!(other.folder.path().join("audit-index.db").is_file());
}

#[test]
fn a_store_of_a_newer_program_is_refused() {
    let database = new_database();
    let node = Node::on(database.clone());
    change(&node.store, |tx| {
        meta::put(tx, "schema_version", "999")?;
        meta::put(tx, "schema_oldest", "998")
    })
    .unwrap();
    drop(node);
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    let opened =
        Store::open(StoreConfig { database: Some(database), ..config(folder.path(), &clock) });
    let fault = opened.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Unavailable);
    assert!(fault.public().contains("schema version 999"), "{fault}");
}

#[test]
fn paths_are_ordered_by_bytes_whatever_the_language_of_the_database() {
    let server = server::shared();
    server.sql(
        "postgres",
        "CREATE DATABASE other_order TEMPLATE template0 LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8' \
         LOCALE_PROVIDER icu ICU_LOCALE 'en-US'",
    );
    let node = Node::on(settings(server, "other_order"));
    change(&node.store, |tx| {
        accounts::insert(tx, &account(ACCOUNT))?;
        for name in ["/a b", "/a-b", "/B", "/a/b", "/a0", "/ä"] {
            items::insert(tx, &item(name))?;
        }
        Ok(())
    })
    .unwrap();
    let page =
        items::Page { scope: items::Scope::All, modified_after: None, after: None, limit: 9 };
    let found = see(&node.store, |q| items::page(q, ACCOUNT, &page));
    let names: Vec<_> = found.iter().map(|item| item.path.as_str().to_owned()).collect();
    assert_eq!(names, ["/B", "/a b", "/a-b", "/a/b", "/a0", "/ä"]);
}

#[test]
fn a_database_in_another_encoding_is_refused() {
    let server = server::shared();
    server.sql("postgres", "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'");
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    let database = Some(settings(server, "latin"));
    let opened = Store::open(StoreConfig { database, ..config(folder.path(), &clock) });
    let fault = opened.err().unwrap();
    assert!(fault.public().contains("encoding UTF8"), "{fault}");
}

#[test]
fn whoever_must_be_alone_waits_for_the_other_to_end() {
    let database = Some(new_database());
    let open = |folder: &std::path::Path| {
        let clock = Arc::new(ManualClock::new(NOW));
        Store::open(StoreConfig { database: database.clone(), ..config(folder, &clock) })
    };
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let first = open(folders[0].path()).unwrap();
    let fault = open(folders[1].path()).err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Unavailable);
    assert!(fault.public().contains("another control plane"), "{fault}");
    change(&first, |tx| meta::put(tx, "color", "red")).unwrap();
    drop(first);
    assert!(see(&open(folders[1].path()).unwrap(), |q| meta::get(q, "color")).is_some());
}

#[test]
fn whoever_was_alone_writes_no_more_when_another_has_written() {
    let database = new_database();
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    let open = |folder: &std::path::Path, alone| {
        let database = Some(database.clone());
        Store::open(StoreConfig { database, alone, ..config(folder, &clock) }).unwrap()
    };
    let first = open(folder.path(), true);
    change(&first, |tx| meta::put(tx, "color", "red")).unwrap();
    // As another one does that took over while the first one's connections were gone.
    let name = database.shown().rsplit('/').next().unwrap().to_owned();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND query = 'COMMIT'";
    // Its writer's only: where others cannot connect just then, all of it rests for a moment.
    server::shared().sql(&name, end);
    let other = Node::on(database.clone());
    change(&other.store, |tx| meta::put(tx, "color", "blue")).unwrap();
    drop(other);
    for _ in 0..2 {
        let fault = change(&first, |tx| meta::put(tx, "color", "red")).unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Unavailable);
        assert!(fault.public().contains("end this one"), "{fault}");
    }
    drop(first);
    let again = open(folder.path(), true);
    assert_eq!(see(&again, |q| meta::get(q, "color")).as_deref(), Some("blue"));
    change(&again, |tx| meta::put(tx, "color", "green")).unwrap();
}

#[test]
fn a_folder_is_of_one_kind() {
    let database = new_database();
    let open = |folder: &std::path::Path, database: Option<PostgresSettings>| {
        let clock = Arc::new(ManualClock::new(NOW));
        Store::open(StoreConfig { database, ..config(folder, &clock) }).map(drop)
    };
    let moved = tempfile::tempdir().unwrap();
    open(moved.path(), Some(database.clone())).unwrap();
    let fault = open(moved.path(), None).unwrap_err();
    assert!(fault.public().contains("is in a database"), "{fault}");
    open(moved.path(), Some(database.clone())).unwrap();
    let embedded = tempfile::tempdir().unwrap();
    open(embedded.path(), None).unwrap();
    let fault = open(embedded.path(), Some(database)).unwrap_err();
    assert!(fault.public().contains("there is an embedded store"), "{fault}");
    open(embedded.path(), None).unwrap();
}

/// Writes items until told to end; gives the numbers of those that were answered.
fn write_until(end: &AtomicBool, store: &Store, who: &str) -> Vec<u64> {
    let mut answered = Vec::new();
    for n in 0_u64.. {
        if end.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("/{who}/{n}");
        let insert = store.commit(vec![draft(ACCOUNT)], move |tx| items::insert(tx, &item(&name)));
        match wait(insert) {
            Ok(_) => answered.push(n),
            Err(fault) => {
                assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault:?}");
                // Whoever is refused leaves the machine to the server.
                thread::park_timeout(std::time::Duration::from_millis(5));
            }
        }
    }
    answered
}

fn all_there(store: &Store, who: &str, answered: &[u64]) {
    for n in answered {
        let found = see(store, |q| items::by_path(q, ACCOUNT, &path(&format!("/{who}/{n}"))));
        assert!(found.is_some(), "/{who}/{n} was answered and is lost");
    }
}

/// Waits until the node answers again: at most as long as any test waits for anything.
fn answers(store: &Store) {
    for _ in 0..3_000 {
        if wait(store.record(vec![(draft(ACCOUNT), None)])).is_ok() {
            return;
        }
        thread::park_timeout(std::time::Duration::from_millis(20));
    }
    panic!("the store does not answer again");
}

#[test]
fn a_killed_server_loses_nothing_that_was_answered() {
    let server = Postgres::start("");
    server.create("store");
    let database = settings(&server, "store");
    let nodes = [Node::on(database.clone()), Node::on(database.clone())];
    change(&nodes[0].store, |tx| accounts::insert(tx, &account(ACCOUNT))).unwrap();
    let end = AtomicBool::new(false);
    let answered = thread::scope(|scope| {
        let writers: Vec<_> = nodes
            .iter()
            .zip(["one", "other"])
            .map(|(node, who)| (who, scope.spawn(|| write_until(&end, &node.store, who))))
            .collect();
        for _ in 0..3 {
            let before = nodes.each_ref().map(|node| node.store.stats().commits);
            let all_wrote = || {
                let mut both = nodes.iter().zip(before);
                both.all(|(node, before)| node.store.stats().commits >= before + 20)
            };
            while !all_wrote() {
                thread::park_timeout(std::time::Duration::from_millis(1));
            }
            server.kill();
            server.run("");
            answers(&nodes[0].store);
            answers(&nodes[1].store);
        }
        end.store(true, Ordering::Relaxed);
        writers.into_iter().map(|(who, writer)| (who, writer.join().unwrap())).collect::<Vec<_>>()
    });
    let records: usize = answered.iter().map(|(_, numbers)| numbers.len()).sum();
    for (who, numbers) in &answered {
        assert!(numbers.len() > 40, "{who}: {}", numbers.len());
        nodes.iter().for_each(|node| all_there(&node.store, who, numbers));
    }
    let verified = verify(database);
    assert!(verified.records >= records as u64, "{verified:?}");
}

#[test]
fn a_session_that_is_ended_from_outside_is_begun_again() {
    let server = server::shared();
    server.create("ended");
    let node = Node::on(settings(server, "ended"));
    let store = &node.store;
    change(store, |tx| meta::put(tx, "color", "red")).unwrap();
    for round in 0..5 {
        assert!(see(store, |q| meta::get(q, "color")).is_some());
        server.sql(
            "postgres",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'ended' \
             AND state = 'idle' AND query IN ('ROLLBACK', 'COMMIT')",
        );
        // Both begin on a dead connection, and nobody is told.
        let color = format!("{round}");
        assert!(see(store, |q| meta::get(q, "color")).is_some());
        let written = color.clone();
        change(store, move |tx| meta::put(tx, "color", &written)).unwrap();
        assert_eq!(see(store, |q| meta::get(q, "color")), Some(color));
    }
}

#[test]
fn a_job_whose_connection_dies_is_not_done_and_not_repeated() {
    let server = server::shared();
    server.create("cut");
    let node = Node::on(settings(server, "cut"));
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'cut' \
               AND state LIKE 'idle in transaction%'";
    let runs = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let job = node.store.commit(vec![draft(ACCOUNT)], move |tx| {
        counted.fetch_add(1, Ordering::Relaxed);
        meta::put(tx, "color", "red")?;
        server.sql("postgres", cut);
        meta::put(tx, "shape", "round")
    });
    assert_eq!(wait(job).unwrap_err().kind(), FaultKind::Unavailable);
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    assert_eq!(see(&node.store, |q| meta::get(q, "color")), None);
    // The attempt is on record all the same.
    let records = recorded(&node.store);
    assert_eq!(records.iter().map(|record| record.status).collect::<Vec<_>>(), [503]);
}

#[test]
fn while_nobody_answers_everything_is_refused_and_then_goes_on() {
    let server = Postgres::start("-c fsync=off");
    server.create("store");
    let node = Node::on(settings(&server, "store"));
    change(&node.store, |tx| meta::put(tx, "color", "red")).unwrap();
    server.kill();
    let unavailable = |fault: keysherd_base::Fault| {
        assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault:?}");
        assert!(!format!("{fault}").contains("127.0.0.1"), "no addresses for strangers: {fault}");
    };
    unavailable(change(&node.store, |tx| meta::put(tx, "color", "blue")).unwrap_err());
    unavailable(node.store.read(|q| meta::get(q, "color")).unwrap_err());
    unavailable(wait(node.store.record(vec![(draft(ACCOUNT), None)])).unwrap_err());
    server.run("-c fsync=off");
    answers(&node.store);
    assert_eq!(see(&node.store, |q| meta::get(q, "color")).as_deref(), Some("red"));
    drop(node);
}
