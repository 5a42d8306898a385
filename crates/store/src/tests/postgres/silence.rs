//! A host that says nothing any more, with its connections open: it is given up once, and not once
//! for each connection to it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use super::Node;
use crate::meta;
use crate::tests::fixture::*;
use crate::tests::on_server;
use crate::tests::server::{self, Postgres};

/// What one silence may cost: the patience for an answer, and the attempt with the next host.
const ONE_SILENCE: Duration = Duration::from_secs(30);

/// A host that passes bytes on until it goes silent.
struct Host {
    port: u16,
    silent: Arc<AtomicBool>,
}

impl Host {
    fn before(server: &Postgres) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (target, silent) = (server.port, Arc::new(AtomicBool::new(false)));
        let hushed = Arc::clone(&silent);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let far = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).unwrap();
                let ends = (near.try_clone().unwrap(), far.try_clone().unwrap());
                let (one, other) = (Arc::clone(&hushed), Arc::clone(&hushed));
                thread::spawn(move || carry(near, far, &one));
                thread::spawn(move || carry(ends.1, ends.0, &other));
            }
        });
        Self { port, silent }
    }
}

/// Copies to the end; what comes when there is silence goes nowhere.
fn carry(mut from: TcpStream, mut to: TcpStream, silent: &AtomicBool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !silent.load(Ordering::SeqCst) && to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

#[test]
fn a_host_that_goes_silent_is_given_up_once_for_all_connections() {
    let server = server::shared();
    server.create("silent");
    let hosts = [Host::before(server), Host::before(server)];
    let url = Postgres::url_at(hosts[0].port, "silent");
    let both = format!("127.0.0.1:{},127.0.0.1:{}", hosts[0].port, hosts[1].port);
    let url = url.replace(&format!("127.0.0.1:{}", hosts[0].port), &both);
    let node = Node::on(on_server::at(&url));
    let store = &node.store;
    change(store, |tx| meta::put(tx, "color", "red")).unwrap();
    // All connections are there, and used.
    let together = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let read = store.read(|q| {
                    let found = meta::get(q, "color")?;
                    together.wait();
                    Ok(found)
                });
                assert_eq!(read.unwrap().as_deref(), Some("red"));
            });
        }
    });
    hosts[0].silent.store(true, Ordering::SeqCst);
    let begin = Instant::now();
    // Nobody is told: it was only a question.
    assert_eq!(see(store, |q| meta::get(q, "color")).as_deref(), Some("red"));
    assert!(begin.elapsed() < ONE_SILENCE, "{:?}", begin.elapsed());
    let begin = Instant::now();
    change(store, |tx| meta::put(tx, "color", "blue")).unwrap();
    for _ in 0..8 {
        assert_eq!(see(store, |q| meta::get(q, "color")).as_deref(), Some("blue"));
    }
    assert!(begin.elapsed() < ONE_SILENCE / 2, "each was waited for: {:?}", begin.elapsed());
}
