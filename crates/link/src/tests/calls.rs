//! Calls that work: what arrives, what comes back, and over how many connections.

use crate::tests::rig::{Served, channel, echo, identity, keys_of, say};
use crate::{Limits, LinkError};

#[tokio::test]
async fn a_call_arrives_with_the_callers_key_and_its_answer_comes_back() {
    let (server, client) = (identity("manager-1"), identity("gateway"));
    let served = Served::start(echo(&server, &keys_of([&client])), Limits::default()).await;
    let channel = channel(&client, &server, served.address);
    let answer = say(&channel, b"hello").await.unwrap();
    assert_eq!(answer, [client.spki_sha256().as_slice(), b"hello"].concat());
    assert_eq!(channel.connected_to(), Some(server.spki_sha256()));
}

#[tokio::test]
async fn many_calls_share_one_connection_and_do_not_mix() {
    let (server, client) = (identity("manager-1"), identity("gateway"));
    let served = Served::start(echo(&server, &keys_of([&client])), Limits::default()).await;
    let channel = channel(&client, &server, served.address);
    let calls = (0..600_u32).map(|n| {
        let channel = channel.clone();
        tokio::spawn(async move { (n, say(&channel, &n.to_be_bytes()).await.unwrap()) })
    });
    for call in calls.collect::<Vec<_>>() {
        let (n, answer) = call.await.unwrap();
        assert_eq!(answer[32..], n.to_be_bytes());
    }
    assert_eq!(served.handle.connections(), 1);
}

#[tokio::test]
async fn a_route_nobody_serves_is_refused_by_name() {
    let (server, client) = (identity("manager-1"), identity("gateway"));
    let served = Served::start(echo(&server, &keys_of([&client])), Limits::default()).await;
    let channel = channel(&client, &server, served.address);
    let request = keysherd_base::SecretBytes::new(vec![]);
    let failed = channel.call("/v1/plane", request, crate::CallLimits::default()).await;
    let Err(LinkError::Refused(fault)) = failed else { panic!("{failed:?}") };
    assert_eq!(fault.kind(), keysherd_base::FaultKind::NotFound);
    assert!(fault.public().contains("/v1/plane"), "{fault}");
}
