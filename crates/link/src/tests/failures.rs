//! Connections that break, peers that restart, and other routes.

use std::time::Duration;

use keysherd_base::SecretBytes;

use crate::tests::proxy::Proxy;
use crate::tests::rig::{
    Gate, Served, channel, echo, identity, keys_of, quick, say, serving, until,
};
use crate::{CallLimits, Channel, ChannelLimits, Limits, LinkError, Route, routes};

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_a_call_is_reported_as_lost_and_made_again() {
    let (server, client) = (identity("m"), identity("gateway"));
    let gate = Gate::shut();
    let served = Served::start(serving(&server, &client, gate.clone()), Limits::default()).await;
    let proxy = Proxy::to(served.address).await;
    let channel = channel(&client, &server, proxy.address);
    let of_task = channel.clone();
    let call = tokio::spawn(async move { say(&of_task, b"first").await });
    until("the call came", || gate.came() == 1).await;
    proxy.cut();
    let failed = call.await.unwrap().unwrap_err();
    assert!(matches!(failed, LinkError::Lost(_)) && !failed.is_unsent(), "{failed:?}");
    // It was not sent twice behind the caller's back, and it is finished all the same.
    gate.open();
    until("it was finished", || gate.answered() == 1).await;
    assert_eq!(gate.came(), 1);
    say(&channel, b"second").await.unwrap();
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn a_peer_that_restarts_finishes_its_calls_and_is_found_again() {
    let (server, client) = (identity("m"), identity("gateway"));
    let gate = Gate::shut();
    let served = Served::start(serving(&server, &client, gate.clone()), Limits::default()).await;
    let address = served.address;
    let channel = channel(&client, &server, address);
    let of_task = channel.clone();
    let call = tokio::spawn(async move { say(&of_task, b"during the shutdown").await });
    until("the call came", || gate.came() == 1).await;
    let stopping = tokio::spawn(served.stop());
    // From here on nobody is let in.
    until("the socket is closed", || std::net::TcpStream::connect(address).is_err()).await;
    assert!(!call.is_finished() && !stopping.is_finished());
    gate.open();
    call.await.unwrap().unwrap();
    assert_eq!(stopping.await.unwrap().unfinished, 0);
    let failed = say(&channel, b"nobody there").await.unwrap_err();
    assert!(failed.is_unsent(), "{failed:?}");

    let again = serving(&server, &client, gate.clone());
    let _served = Served::start_at(address, again, Limits::default()).await;
    let coming = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while say(&channel, b"after the restart").await.is_err() {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), coming).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_does_not_wait_forever() {
    let (server, client) = (identity("m"), identity("gateway"));
    let gate = Gate::shut();
    let limits = Limits { drain_timeout: Duration::from_millis(100), ..Limits::default() };
    let served = Served::start(serving(&server, &client, gate.clone()), limits).await;
    let channel = channel(&client, &server, served.address);
    let call = tokio::spawn(async move { say(&channel, b"x").await });
    until("the call came", || gate.came() == 1).await;
    assert!(served.stop().await.unfinished > 0);
    let failed = call.await.unwrap().unwrap_err();
    assert!(matches!(failed, LinkError::Lost(_)), "{failed:?}");
}

#[tokio::test]
async fn another_route_is_taken_when_one_fails() {
    let (server, client) = (identity("control"), identity("gateway"));
    let served = Served::start(echo(&server, &keys_of([&client])), Limits::default()).await;
    let (first, second) = (Proxy::to(served.address).await, Proxy::to(served.address).await);
    let routes = [&first, &second].map(|proxy| Route::direct(proxy.address.to_string())).to_vec();
    let channel = Channel::new(client, keys_of([&server]), routes, quick());
    say(&channel, b"x").await.unwrap();
    assert_eq!((first.connections(), second.connections()), (1, 0));
    first.close();
    until("it is noticed", || channel.connected_to().is_none()).await;
    say(&channel, b"x").await.unwrap();
    assert_eq!((first.connections(), second.connections()), (1, 1));
    // It stays with what works.
    second.cut();
    until("it is noticed", || channel.connected_to().is_none()).await;
    say(&channel, b"x").await.unwrap();
    assert_eq!((first.connections(), second.connections()), (1, 2));
    second.close();
    until("it is noticed", || channel.connected_to().is_none()).await;
    let failed = say(&channel, b"x").await.unwrap_err().to_string();
    for proxy in [&first, &second] {
        assert!(failed.contains(&proxy.address.to_string()), "{failed}");
    }
}

#[tokio::test]
async fn another_route_is_taken_when_one_does_not_let_this_role_in() {
    let (server, client) = (identity("control"), identity("gateway"));
    // The first machine has a bundle that does not name the gateway yet.
    let behind = Served::start(echo(&server, &keys_of([])), Limits::default()).await;
    let served = Served::start(echo(&server, &keys_of([&client])), Limits::default()).await;
    let routes = [&behind, &served].map(|served| Route::direct(served.address.to_string()));
    let channel = Channel::new(client, keys_of([&server]), routes.to_vec(), quick());
    say(&channel, b"x").await.unwrap();
    assert_eq!(served.handle.connections(), 1);
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_noticed_by_pings() {
    let (server, client) = (identity("m"), identity("gateway"));
    let served = Served::start(echo(&server, &keys_of([&client])), Limits::default()).await;
    let (dead, alive) = (Proxy::to(served.address).await, Proxy::to(served.address).await);
    let limits = ChannelLimits {
        keepalive: Duration::from_secs(1),
        connect_timeout: Duration::from_secs(4),
        ..quick()
    };
    let by = [&dead, &alive].map(|proxy| Route::direct(proxy.address.to_string())).to_vec();
    let channel = Channel::new(client, keys_of([&server]), by, limits);
    say(&channel, b"x").await.unwrap();
    dead.hold();
    let brief = CallLimits { timeout: Duration::from_millis(20), ..CallLimits::default() };
    let call = channel.call(routes::MANAGER, SecretBytes::new(vec![1]), brief).await;
    assert!(matches!(call, Err(LinkError::TimedOut)), "{call:?}");
    until("the silence is noticed", || channel.connected_to().is_none()).await;
    say(&channel, b"x").await.unwrap();
    assert_eq!(alive.connections(), 1);
}

#[tokio::test]
async fn without_a_route_a_call_says_so() {
    let (server, client) = (identity("m"), identity("gateway"));
    let channel = Channel::new(client, keys_of([&server]), Vec::new(), quick());
    let failed = say(&channel, b"x").await.unwrap_err();
    assert!(failed.is_unsent() && failed.to_string().contains("configure its address"));
}
