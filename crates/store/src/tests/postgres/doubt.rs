//! Commits whose answer is lost on the way: found out, and never done twice.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::thread;

use keysherd_base::FaultKind;

use super::{Node, verify};
use crate::tests::fixture::*;
use crate::tests::on_server;
use crate::tests::server::{self, Postgres};
use crate::{accounts, meta};

/// What becomes of the next commit.
const PASS: u8 = 0;
/// The server gets it, and its answer is lost.
const LOSE_ANSWER: u8 = 1;
/// The server never gets it.
const LOSE_COMMIT: u8 = 2;

/// Stands between a store and its server.
struct Between {
    port: u16,
    plan: Arc<AtomicU8>,
}

impl Between {
    fn to(server: &Postgres) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (target, plan) = (server.port, Arc::new(AtomicU8::new(PASS)));
        let planned = Arc::clone(&plan);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).unwrap();
                let plan = Arc::clone(&planned);
                thread::spawn(move || carry(&client, &server, &plan));
            }
        });
        Self { port, plan }
    }
}

/// Carries the bytes of one connection both ways, and cuts it as planned.
fn carry(client: &TcpStream, server: &TcpStream, plan: &AtomicU8) {
    let cut = || {
        // The other side may have been faster.
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    };
    let muted = AtomicU8::new(PASS);
    thread::scope(|scope| {
        scope.spawn(|| {
            copy(server, client, |bytes| {
                let over = muted.load(Ordering::SeqCst) == LOSE_ANSWER && has(bytes, b"COMMIT\0");
                !over
            });
            cut();
        });
        copy(client, server, |bytes| {
            if !has(bytes, b"COMMIT\0") {
                return true;
            }
            let planned = plan.swap(PASS, Ordering::SeqCst);
            muted.store(planned, Ordering::SeqCst);
            planned != LOSE_COMMIT
        });
        cut();
    });
}

/// Copies until an end, or until `goes_on` says no.
fn copy(mut from: &TcpStream, mut to: &TcpStream, goes_on: impl Fn(&[u8]) -> bool) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !goes_on(&buffer[..count]) || to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

fn has(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[test]
fn a_commit_whose_answer_is_lost_counts_and_is_not_repeated() {
    let server = server::shared();
    server.create("doubt");
    let between = Between::to(server);
    let database = on_server::at(&Postgres::url_at(between.port, "doubt"));
    let node = Node::on(database);
    change(&node.store, |tx| accounts::insert(tx, &account(ACCOUNT))).unwrap();
    let runs = Arc::new(AtomicU32::new(0));
    let count = |plan: u8, records: usize| {
        let counted = Arc::clone(&runs);
        between.plan.store(plan, Ordering::SeqCst);
        let drafts = (0..records).map(|_| draft(ACCOUNT)).collect();
        let job = node.store.commit(drafts, move |tx| {
            counted.fetch_add(1, Ordering::SeqCst);
            meta::next(tx, "counter")
        });
        let outcome = wait(job);
        assert_eq!(between.plan.load(Ordering::SeqCst), PASS, "there was a commit");
        outcome
    };
    assert_eq!(count(PASS, 1).unwrap(), 1);
    assert_eq!(count(LOSE_ANSWER, 1).unwrap(), 2, "the server had made it");
    assert_eq!(count(LOSE_ANSWER, 0).unwrap(), 3, "a change without a record, too");
    assert_eq!(count(LOSE_COMMIT, 1).unwrap_err().kind(), FaultKind::Unavailable);
    assert_eq!(count(PASS, 1).unwrap(), 4, "what was not committed left nothing");
    assert_eq!(runs.load(Ordering::SeqCst), 5, "each ran once");
    let statuses: Vec<_> = recorded(&node.store).iter().map(|record| record.status).collect();
    assert_eq!(statuses, [200, 200, 503, 200]);
    drop(node);
    let verified = verify(on_server::settings(server, "doubt"));
    assert_eq!(verified.records, 4);
}
