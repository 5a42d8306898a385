//! How much one peer can have at a time.

use std::sync::Arc;
use std::time::Duration;

use keysherd_base::{FaultKind, SecretBytes};

use crate::tests::rig::{
    Gate, Served, channel, echo, identity, keys_of, quick, say, serving, until,
};
use crate::{CallLimits, Channel, Limits, LinkError, Route, routes};

#[tokio::test]
async fn streams_beyond_the_limit_wait_their_turn() {
    let (server, client) = (identity("m"), identity("gateway"));
    let limits = Limits { streams_per_connection_max: 4, ..Limits::default() };
    let gate = Gate::shut();
    let served = Served::start(serving(&server, &client, gate.clone()), limits).await;
    let channel = channel(&client, &server, served.address);
    let calls: Vec<_> = (0..12_u8)
        .map(|n| {
            let channel = channel.clone();
            tokio::spawn(async move { say(&channel, &[n]).await.unwrap() })
        })
        .collect();
    until("four calls came", || gate.came() == 4).await;
    // Whoever waits for the fifth waits in vain.
    let one_more = tokio::time::timeout(Duration::from_millis(100), say(&channel, b"x"));
    one_more.await.unwrap_err();
    assert_eq!(gate.came(), 4);
    gate.open();
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(usize::from(call.await.unwrap()[32]), n);
    }
}

#[tokio::test]
async fn calls_that_were_given_up_still_count_and_are_finished() {
    let (server, client) = (identity("m"), identity("gateway"));
    let limits = Limits { calls_per_key_max: 5, ..Limits::default() };
    let gate = Gate::shut();
    let served = Served::start(serving(&server, &client, gate.clone()), limits).await;
    let one = channel(&client, &server, served.address);
    let brief = CallLimits { timeout: Duration::from_secs(5), ..CallLimits::default() };
    let calls = [1, 2, 3, 4, 5].map(|_| {
        let one = one.clone();
        tokio::spawn(
            async move { one.call(routes::MANAGER, SecretBytes::new(vec![]), brief).await },
        )
    });
    until("five came", || gate.came() == 5).await;
    for call in calls {
        let failed = call.await.unwrap().unwrap_err();
        assert!(matches!(failed, LinkError::TimedOut), "{failed:?}");
    }
    // On another connection, too.
    let other = channel(&client, &server, served.address);
    for channel in [&one, &other] {
        let failed = say(channel, b"x").await.unwrap_err();
        let LinkError::Refused(fault) = failed else { panic!("{failed:?}") };
        assert_eq!(fault.kind(), FaultKind::RateLimited);
    }
    gate.open();
    until("all were finished", || gate.answered() == 5).await;
    say(&one, b"x").await.unwrap();
}

#[tokio::test]
async fn bodies_take_a_bounded_amount_of_memory() {
    let (server, client) = (identity("m"), identity("gateway"));
    let limits = Limits { bodies_bytes_max: 3_000, ..Limits::default() };
    let gate = Gate::shut();
    let served = Served::start(serving(&server, &client, gate.clone()), limits).await;
    let channel = channel(&client, &server, served.address);
    let held = [1, 2, 3].map(|n| {
        let channel = channel.clone();
        tokio::spawn(async move { say(&channel, &[n; 1_000]).await })
    });
    until("three calls came", || gate.came() == 3).await;
    let failed = say(&channel, b"x").await.unwrap_err();
    let LinkError::Refused(fault) = failed else { panic!("{failed:?}") };
    assert_eq!(fault.kind(), FaultKind::RateLimited);
    gate.open();
    for call in held {
        call.await.unwrap().unwrap();
    }
    say(&channel, b"x").await.unwrap();
}

#[tokio::test]
async fn one_key_cannot_take_all_connections() {
    let (server, greedy, modest) = (identity("m"), identity("gateway-1"), identity("gateway-2"));
    let limits = Limits { connections_per_key_max: 3, ..Limits::default() };
    let keys = keys_of([&greedy, &modest]);
    let served = Served::start(echo(&server, &keys), limits).await;
    let channels: Vec<_> = (0..5).map(|_| channel(&greedy, &server, served.address)).collect();
    for channel in &channels[..3] {
        say(channel, b"x").await.unwrap();
    }
    for channel in &channels[3..] {
        say(channel, b"x").await.unwrap_err();
    }
    say(&channel(&modest, &server, served.address), b"x").await.unwrap();
    // A place that is given back can be taken again.
    channels[0].disconnect();
    until("it is closed", || served.handle.connections() == 2).await;
    say(&channel(&greedy, &server, served.address), b"x").await.unwrap();
}

#[tokio::test]
async fn one_address_cannot_take_all_connections() {
    let (server, client) = (identity("m"), identity("gateway"));
    let limits = Limits { connections_per_address_max: 2, ..Limits::default() };
    let served = Served::start(echo(&server, &keys_of([&client])), limits).await;
    let silent = [
        tokio::net::TcpStream::connect(served.address).await.unwrap(),
        tokio::net::TcpStream::connect(served.address).await.unwrap(),
    ];
    until("both are in", || served.handle.connections() == 2).await;
    let channel = channel(&client, &server, served.address);
    say(&channel, b"x").await.unwrap_err();
    drop(silent);
    until("both are out", || served.handle.connections() == 0).await;
    until_called(&channel).await;
}

async fn until_called(channel: &Channel) {
    let calling = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while say(channel, b"x").await.is_err() {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), calling).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_is_not_used_is_closed_and_the_next_call_makes_another() {
    let (server, client) = (identity("m"), identity("gateway"));
    let limits = Limits { idle_timeout: Duration::from_secs(2), ..Limits::default() };
    let served = Served::start(echo(&server, &keys_of([&client])), limits).await;
    let channel = channel(&client, &server, served.address);
    say(&channel, b"x").await.unwrap();
    until("it is closed", || served.handle.connections() == 0).await;
    say(&channel, b"x").await.unwrap();
}

#[tokio::test]
async fn failures_to_connect_are_followed_by_a_pause() {
    let (server, client) = (identity("m"), identity("gateway"));
    // Somebody listens there who closes every connection.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let attempts = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = attempts.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            drop(stream);
        }
    });
    let mut limits = quick();
    limits.backoff_min = Duration::from_secs(60);
    limits.backoff_max = Duration::from_secs(60);
    let route = vec![Route::direct(address.to_string())];
    let channel = Channel::new(client, keys_of([&server]), route, limits);
    for _ in 0..100 {
        let failed = say(&channel, b"x").await.unwrap_err();
        assert!(matches!(&failed, LinkError::Unreachable(why) if why.contains("127.0.0.1")));
    }
    assert_eq!(attempts.load(std::sync::atomic::Ordering::SeqCst), 1);
}
