//! Certificates live for a day and are made anew without a restart; only the key is trusted.

use std::sync::Arc;

use keysherd_base::{Clock, ManualClock, Timestamp};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;

use crate::tests::rig::{Served, channel, echo, identity_at, keys_of, say};
use crate::{Identity, Limits, LinkError};

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

#[tokio::test]
async fn a_certificate_that_is_not_valid_now_is_refused() {
    let key = SigningKey::generate(&SystemRng).unwrap();
    let at = |clock: Arc<ManualClock>| {
        Identity::new(&key, "gateway", clock, SystemRng::handle()).unwrap()
    };
    let (own, theirs) = (clock(), clock());
    let server = identity_at("manager-1", own.clone());
    let client = at(theirs.clone());
    let served = Served::start(echo(&server, &keys_of([&client])), Limits::default()).await;
    // A client does not know what the server finds when it judges the client; it just ends.
    let refused =
        |error: &LinkError| matches!(error, LinkError::Unreachable(_) | LinkError::Lost(_));
    let address = served.address;

    say(&channel(&client, &server, address), b"x").await.unwrap();
    // The client's clock stood still: for its server the certificate is over.
    own.advance_seconds(26 * HOUR);
    let failed = say(&channel(&client, &server, address), b"x").await.unwrap_err();
    assert!(refused(&failed), "{failed:?}");
    // The clock is set right, and nothing else.
    set(&theirs, own.now());
    say(&channel(&client, &server, address), b"x").await.unwrap();
    // A clock that is ahead makes certificates of the future.
    theirs.advance_seconds(2 * HOUR);
    let ahead = at(theirs);
    let failed = say(&channel(&ahead, &server, address), b"x").await.unwrap_err();
    assert!(refused(&failed), "{failed:?}");
}
