//! Ports for servers of others. The tests of other crates use this file, too.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::atomic::{AtomicU16, Ordering};

/// Ports that the system gives nobody who asks for any.
const PORTS: Range<u16> = 10_000..32_000;
/// How many of them were given.
static GIVEN: AtomicU16 = AtomicU16::new(0);

/// A port that nobody listens on, and that nobody else of these tests is given, nor by the system:
/// it may stay unused for a while.
pub(crate) fn free_port() -> u16 {
    // Another run of the tests may be beside this one.
    let begin = u16::try_from(std::process::id() % 1_000).unwrap_or_default().wrapping_mul(22);
    for _ in PORTS {
        let number = begin.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + number % (PORTS.end - PORTS.start);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free of {PORTS:?}");
}
