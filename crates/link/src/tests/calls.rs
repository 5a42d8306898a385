//! Calls that work: what arrives, what comes back, and over how many connections.

use std::sync::Arc;

use keysherd_base::{Fault, FaultKind, SecretBytes};
use keysherd_plane::BoxFuture;

use crate::tests::rig::{Served, channel, echo, identity, keys_of, say, serving};
use crate::{CallLimits, Limits, LinkError, Peer, Service};

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

/// A service that fails.
struct Failing;

impl Service for Failing {
    fn call(&self, _: Peer, request: SecretBytes) -> BoxFuture<'_, Result<SecretBytes, Fault>> {
        Box::pin(async move {
            assert!(request.expose().is_empty(), "a defect in a service");
            let fault = Fault::forbidden("the item is locked; unlock it first");
            Err(fault.with_code("ItemLocked").with_private("a private remark"))
        })
    }
}

#[tokio::test]
async fn a_fault_arrives_with_kind_code_and_public_text_only() {
    let (server, client) = (identity("control"), identity("gateway"));
    let serving = serving(&server, &client, Arc::new(Failing));
    let served = Served::start(serving, Limits::default()).await;
    let channel = channel(&client, &server, served.address);
    let failed = say(&channel, b"").await.unwrap_err();
    let fault = failed.into_fault("control");
    assert_eq!((fault.kind(), fault.code()), (FaultKind::Forbidden, "ItemLocked"));
    assert_eq!(fault.public(), "the item is locked; unlock it first");
    assert_eq!(fault.private(), None);
    // A service that panics takes nobody else with it.
    let LinkError::Refused(fault) = say(&channel, b"x").await.unwrap_err() else { panic!() };
    assert_eq!(fault.kind(), FaultKind::Internal);
    say(&channel, b"").await.unwrap_err().into_fault("control");
    assert_eq!(served.handle.connections(), 1);
}

#[tokio::test]
async fn a_route_nobody_serves_is_refused_by_name() {
    let (server, client) = (identity("manager-1"), identity("gateway"));
    let served = Served::start(echo(&server, &keys_of([&client])), Limits::default()).await;
    let channel = channel(&client, &server, served.address);
    let request = SecretBytes::new(vec![]);
    let failed = channel.call("/v1/plane", request, CallLimits::default()).await;
    let Err(LinkError::Refused(fault)) = failed else { panic!("{failed:?}") };
    assert_eq!(fault.kind(), FaultKind::NotFound);
    assert!(fault.public().contains("/v1/plane"), "{fault}");
}
