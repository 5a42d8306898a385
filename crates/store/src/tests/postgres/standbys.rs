//! A commit that its server did not wait for standbys with: it is there, and may be lost with that
//! server all the same.

use std::thread;
use std::time::{Duration, Instant};

use super::Node;
use crate::meta;
use crate::tests::fixture::*;
use crate::tests::on_server;
use crate::tests::server::Postgres;

/// How long what must happen may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sessions that have committed and wait for a standby to have it too.
const WAITING: &str = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

/// A transaction that changes no table. It waits for standbys as all others do.
const PROBE: &str = "SELECT pg_logical_emit_message(true, 'probe', '')";

/// Waits for a session that waits for a standby, other than this one; gives it.
fn waiting(server: &Postgres, other_than: &str) -> String {
    let begin = Instant::now();
    loop {
        let pid = server.sql("postgres", WAITING);
        if !pid.is_empty() && pid != other_than {
            return pid;
        }
        assert!(begin.elapsed() < PATIENCE, "nobody waits for a standby");
        thread::yield_now();
    }
}

/// Which standbys commits wait for; none again on drop, or a test that fails would wait for ever.
struct Standbys<'a>(&'a Postgres);

impl Standbys<'_> {
    fn are(&self, names: &str) {
        let set = format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'");
        self.0.sql("postgres", &set);
        self.0.sql("postgres", "SELECT pg_reload_conf()");
    }

    /// Waits until commits wait for them: the server reads its settings again in its own time, and
    /// what is committed until then waits for nobody.
    fn are_waited_for(&self) {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let mut probe = self.0.begin_sql("postgres", PROBE);
            while probe.try_wait().unwrap().is_none() {
                let pid = self.0.sql("postgres", WAITING);
                if !pid.is_empty() {
                    self.0.sql("postgres", &format!("SELECT pg_cancel_backend({pid})"));
                    assert!(probe.wait().unwrap().success(), "it stops waiting, and has committed");
                    return;
                }
            }
        }
        panic!("no commit waits for a standby");
    }
}

impl Drop for Standbys<'_> {
    fn drop(&mut self) {
        self.are("");
    }
}

#[test]
fn what_no_standby_has_is_not_acknowledged_even_if_the_server_says_so() {
    let server = Postgres::start("-c fsync=off");
    server.create("alone");
    let node = Node::on(on_server::settings(&server, "alone"));
    change(&node.store, |tx| meta::put(tx, "color", "red")).unwrap();
    thread::scope(|scope| {
        let standbys = Standbys(&server);
        standbys.are("nobody");
        standbys.are_waited_for();
        let writing = scope.spawn(|| change(&node.store, |tx| meta::put(tx, "color", "blue")));
        // Somebody has it stop waiting: it answers that it has committed, with a warning.
        let first = waiting(&server, "");
        server.sql("postgres", &format!("SELECT pg_cancel_backend({first})"));
        // The store looks, finds it there, and does not believe before it is on a standby.
        let second = waiting(&server, &first);
        let found = server.sql("alone", "SELECT value FROM meta WHERE name = 'color'");
        assert_eq!(found, "blue", "others may read it already");
        // As with a primary that learns that it is none any more.
        server.sql("postgres", &format!("SELECT pg_terminate_backend({second})"));
        waiting(&server, &second);
        assert!(!writing.is_finished(), "nothing was acknowledged");
        drop(standbys);
        writing.join().unwrap().unwrap();
    });
    assert_eq!(see(&node.store, |q| meta::get(q, "color")).as_deref(), Some("blue"));
}
