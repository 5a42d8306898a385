//! A change of trust takes effect on what is open, without a restart.

use crate::tests::rig::{Served, channel, echo, identity, keys_of, say, until};
use crate::{Channel, Identity, Limits, LinkError, Route};

#[tokio::test]
async fn a_key_that_is_not_trusted_any_more_loses_its_connections() {
    let (server, stays, goes) = (identity("m"), identity("gateway-1"), identity("gateway-2"));
    let keys = keys_of([&stays, &goes]);
    let served = Served::start(echo(&server, &keys), Limits::default()).await;
    let staying = channel(&stays, &server, served.address);
    let going = channel(&goes, &server, served.address);
    say(&staying, b"x").await.unwrap();
    say(&going, b"x").await.unwrap();

    keys.replace([stays.spki_sha256()]);
    assert_eq!(served.handle.revalidate(), 1);
    until("the connection is closed", || going.connected_to().is_none()).await;
    say(&going, b"x").await.unwrap_err();
    // The other one did not notice.
    assert!(staying.connected_to().is_some());
    say(&staying, b"x").await.unwrap();

    // Trusted again, it comes back by itself.
    keys.replace([stays.spki_sha256(), goes.spki_sha256()]);
    comes_back(&going).await;
}

/// Calls until it is let in: the pause after a failure has to pass.
async fn comes_back(channel: &Channel) {
    let coming = async {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(5));
        while say(channel, b"x").await.is_err() {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), coming).await.unwrap();
}

#[tokio::test]
async fn a_call_on_an_open_connection_is_refused_as_soon_as_the_key_is_out() {
    let (server, client) = (identity("m"), identity("gateway"));
    let keys = keys_of([&client]);
    let served = Served::start(echo(&server, &keys), Limits::default()).await;
    let channel = channel(&client, &server, served.address);
    say(&channel, b"x").await.unwrap();
    keys.replace([]);
    let failed = say(&channel, b"x").await.unwrap_err();
    let LinkError::Refused(fault) = failed else { panic!("{failed:?}") };
    assert_eq!(fault.kind(), keysherd_base::FaultKind::Unauthorized);
    until("the connection is closed", || served.handle.connections() == 0).await;
}

#[tokio::test]
async fn a_caller_leaves_a_server_that_is_not_trusted_any_more() {
    let (old, new, client) = (identity("m"), identity("m"), identity("gateway"));
    let keys = keys_of([&client]);
    let served_old = Served::start(echo(&old, &keys), Limits::default()).await;
    let served_new = Served::start(echo(&new, &keys), Limits::default()).await;
    let trusted = keys_of([&old]);
    let route = |served: &Served| vec![Route::direct(served.address.to_string())];
    let limits = crate::tests::rig::quick();
    let channel = Channel::new(client, trusted.clone(), route(&served_old), limits);
    say(&channel, b"x").await.unwrap();
    // The manager was replaced: another key at another address.
    trusted.replace([Identity::spki_sha256(&new)]);
    channel.reroute(route(&served_new));
    channel.revalidate();
    until("the connection is closed", || served_old.handle.connections() == 0).await;
    say(&channel, b"x").await.unwrap();
    assert_eq!(channel.connected_to(), Some(new.spki_sha256()));
}
