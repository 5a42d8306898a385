//! Certificates live for a day and are made anew without a restart; only the key is trusted.

use std::net::SocketAddr;
use std::sync::Arc;

use keysherd_base::{Clock, ManualClock, Timestamp};
use tokio::io::AsyncReadExt;

use crate::tests::raw::{Shows, connect};
use crate::tests::rig::{Served, channel, echo, identity_at, keys_of, say};
use crate::tls::{ALPN_CALLS, client_config, provider};
use crate::{Identity, Limits};

const HOUR: i64 = 3_600;
const START: Timestamp = Timestamp::from_seconds(1_767_607_872);

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(START))
}

fn set(clock: &ManualClock, to: Timestamp) {
    clock.advance_seconds(to.seconds() - clock.now().seconds());
}

#[tokio::test]
async fn certificates_are_renewed_in_memory_and_connections_go_on() {
    let clock = clock();
    let server = identity_at("manager-1", clock.clone());
    let client = identity_at("gateway", clock.clone());
    let served = Served::start(echo(&server, &keys_of([&client])), Limits::default()).await;
    let channel = channel(&client, &server, served.address);
    let mut shown = vec![server.certified().cert[0].to_vec()];
    say(&channel, b"at the start").await.unwrap();
    for hours in [11, 13, 30, 400] {
        set(&clock, START.plus_seconds(hours * HOUR));
        // The open connection is not judged again; the next handshake is.
        say(&channel, b"on the old connection").await.unwrap();
        channel.disconnect();
        say(&channel, b"on a new one").await.unwrap();
        let certificate = server.certified().cert[0].to_vec();
        if !shown.contains(&certificate) {
            shown.push(certificate);
        }
    }
    // After 11 hours the first one is still good; after that each is a new one.
    assert_eq!(shown.len(), 4);
}

/// What becomes of a connection to `address` by `client` with the certificate that it has.
async fn shown(client: &Identity, server: &Identity, address: SocketAddr) -> String {
    // The client's own judgment of the server must not come first.
    let other = identity_at("gateway", clock());
    let mut config = client_config(&other, keys_of([server]), ALPN_CALLS, provider()).unwrap();
    config.client_auth_cert_resolver = Arc::new(Shows(client.certified()));
    match connect(config, address).await.unwrap().read_u8().await {
        // The beginning of HTTP/2.
        Ok(_) => "let in".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_now_is_refused() {
    let server = identity_at("manager-1", clock());
    let keys = keys_of([]);
    let served = Served::start(echo(&server, &keys), Limits::default()).await;
    for (made, said) in [
        (0, "let in"),
        // Five minutes are forgiven in both directions, on top of the ten it is dated back.
        (-24 * HOUR - 290, "let in"),
        (-24 * HOUR - 310, "CertificateExpired"),
        (890, "let in"),
        (910, "CertificateExpired"),
    ] {
        let clock = Arc::new(ManualClock::new(START.plus_seconds(made)));
        let client = identity_at("gateway", clock);
        keys.replace([client.spki_sha256()]);
        let found = shown(&client, &server, served.address).await;
        assert!(found.contains(said), "made {made} s from now: {found}");
    }
}

#[test]
fn a_clock_that_is_set_back_makes_a_new_certificate() {
    let clock = clock();
    let identity = identity_at("gateway", clock.clone());
    let first = identity.certified();
    clock.advance_seconds(-60);
    assert!(Arc::ptr_eq(&first, &identity.certified()));
    clock.advance_seconds(-HOUR);
    assert!(!Arc::ptr_eq(&first, &identity.certified()));
}

#[tokio::test]
async fn a_clock_that_stood_still_is_set_right_and_nothing_else() {
    let (own, theirs) = (clock(), clock());
    let server = identity_at("manager-1", own.clone());
    let client = identity_at("gateway", theirs.clone());
    let served = Served::start(echo(&server, &keys_of([&client])), Limits::default()).await;
    let one = channel(&client, &server, served.address);
    say(&one, b"x").await.unwrap();
    own.advance_seconds(26 * HOUR);
    one.disconnect();
    let failed = say(&one, b"x").await.unwrap_err();
    assert!(failed.to_string().contains("not valid yet"), "{failed}");
    set(&theirs, own.now());
    say(&channel(&client, &server, served.address), b"x").await.unwrap();
}
