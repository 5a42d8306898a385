//! Which host is asked first, after one of several went silent.

use std::sync::atomic::Ordering;

use super::{Server, Way};
use crate::postgres::PostgresSettings;

fn server() -> std::sync::Arc<Server> {
    let url = "postgres://keysherd@127.0.0.1:1,127.0.0.1:2,127.0.0.1:3/keysherd?sslmode=disable";
    Server::new(PostgresSettings::parse(url, None, |_| unreachable!()).unwrap(), true).unwrap()
}

#[test]
fn questions_that_waited_at_one_host_give_it_up_once() {
    let server = server();
    let first = Way { host: 0, silences: 0 };
    assert!(server.is_fresh(first));
    server.went_silent(first);
    assert_eq!(server.host.load(Ordering::Relaxed), 1);
    // Those that follow connect to the second host, whoever still waits at the first one.
    let second = Way { host: 1, silences: 1 };
    for _ in 0..14 {
        server.went_silent(first);
        assert!(server.is_fresh(second));
        assert_eq!(server.host.load(Ordering::Relaxed), 1);
    }
    assert!(!server.is_fresh(first));
    // The second one may go silent too.
    server.went_silent(second);
    assert_eq!(server.host.load(Ordering::Relaxed), 2);
    assert!(!server.is_fresh(second));
}

#[test]
fn who_connected_elsewhere_meanwhile_is_not_led_away_from_there() {
    let server = server();
    let first = Way { host: 0, silences: 0 };
    // A connection that broke was replaced by one to the third host before the silence was noticed.
    server.host.store(2, Ordering::Relaxed);
    server.went_silent(first);
    assert_eq!(server.host.load(Ordering::Relaxed), 2);
}
