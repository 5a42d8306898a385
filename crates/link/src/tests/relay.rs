//! The byte relay: it joins ends it cannot read.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use keysherd_fragments::manager_set::ManagerIndex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::tests::proxy::Proxy;
use crate::tests::raw::connect;
use crate::tests::rig::{Served, channel, echo, identity, keys_of, quick, say, until};
use crate::tls::{ALPN_RELAY, client_config, provider};
use crate::{
    Channel, Identity, Limits, LinkError, Peer, RelayTargets, Route, Services, Serving, relay,
};

const CANARY: &[u8] = b"canary-f3b1a8c2-partial-of-a-key";

/// Relays to one manager, for one gateway.
struct Targets {
    gateway: [u8; 32],
    manager: SocketAddr,
}

impl RelayTargets for Targets {
    fn addresses(&self, from: &Peer, manager: ManagerIndex) -> Vec<String> {
        if from.spki_sha256 == self.gateway && manager.get() == 2 {
            vec![self.manager.to_string()]
        } else {
            Vec::new()
        }
    }
}

/// A manager, a recorder in front of it, a control that relays to the recorder, and a gateway.
struct Rig {
    manager: Identity,
    control: Identity,
    gateway: Identity,
    at_manager: Served,
    at_control: Served,
    recorder: Proxy,
}

async fn rig(limits: Limits) -> Rig {
    let (manager, control) = (identity("manager-2"), identity("control"));
    let gateway = identity("gateway");
    let at_manager = Served::start(echo(&manager, &keys_of([&gateway])), limits).await;
    let recorder = Proxy::to(at_manager.address).await;
    let targets = Targets { gateway: gateway.spki_sha256(), manager: recorder.address };
    let keys = keys_of([&gateway]);
    let serving =
        Serving::new(control.clone(), keys, Services::new()).with_relay(Arc::new(targets));
    let at_control = Served::start(serving, limits).await;
    Rig { manager, control, gateway, at_manager, at_control, recorder }
}

impl Rig {
    fn channel(&self, from: &Identity, to: &Identity, index: u8) -> Channel {
        let index = ManagerIndex::new(index).unwrap();
        let relay = keys_of([&self.control]);
        let route = Route::relayed(self.at_control.address.to_string(), relay, index);
        Channel::new(from.clone(), keys_of([to]), vec![route], quick())
    }
}

#[tokio::test]
async fn t_relay_carries_bytes_it_cannot_read() {
    let rig = rig(Limits::default()).await;
    let channel = rig.channel(&rig.gateway, &rig.manager, 2);
    let long: Vec<u8> = CANARY.repeat(20_000);
    let answer = say(&channel, &long).await.unwrap();
    // The manager knows the gateway, not the relay.
    assert_eq!(answer[..32], rig.gateway.spki_sha256());
    assert_eq!(answer[32..], long);
    // What control passed on has the length of both directions, and nothing of the content.
    assert!(rig.recorder.recorded_len() > 2 * long.len());
    assert!(!rig.recorder.saw(&CANARY[..16]));
}

#[tokio::test]
async fn t_relay_carries_bytes_it_cannot_read_control() {
    // The same way with plaintext inside: the recorder sees it.
    let rig = rig(Limits::default()).await;
    let config = client_config(&rig.gateway, keys_of([&rig.control]), ALPN_RELAY, provider());
    let mut stream = connect(config.unwrap(), rig.at_control.address).await.unwrap();
    relay::ask(&mut stream, ManagerIndex::new(2).unwrap()).await.unwrap();
    stream.write_all(CANARY).await.unwrap();
    stream.flush().await.unwrap();
    until("the recorder has it", || rig.recorder.saw(CANARY)).await;
}

#[tokio::test]
async fn a_relay_cannot_pose_as_the_manager() {
    let rig = rig(Limits::default()).await;
    // Control joins the connection to a machine of its own instead.
    let channel = rig.channel(&rig.gateway, &identity("manager-2"), 2);
    let failed = say(&channel, CANARY).await.unwrap_err();
    assert!(failed.is_unsent(), "{failed:?}");
    // Nor can anything but the control that is trusted be the relay.
    let route = Route::relayed(
        rig.at_control.address.to_string(),
        keys_of([&identity("control")]),
        ManagerIndex::new(2).unwrap(),
    );
    let keys = keys_of([&rig.manager]);
    let channel = Channel::new(rig.gateway.clone(), keys, vec![route], quick());
    let failed = say(&channel, CANARY).await.unwrap_err().to_string();
    assert!(failed.contains("the relay"), "{failed}");
}

#[tokio::test]
async fn a_relay_says_why_it_does_not_relay() {
    let rig = rig(Limits::default()).await;
    let unknown = say(&rig.channel(&rig.gateway, &rig.manager, 3), b"x").await.unwrap_err();
    assert!(unknown.to_string().contains("knows no manager 3"), "{unknown}");

    let address = rig.recorder.address;
    rig.recorder.close();
    until("it is closed", || std::net::TcpStream::connect(address).is_err()).await;
    let gone = say(&rig.channel(&rig.gateway, &rig.manager, 2), b"x").await.unwrap_err();
    assert!(gone.to_string().contains("cannot reach manager 2"), "{gone}");

    let stranger = identity("gateway");
    let refused = say(&rig.channel(&stranger, &rig.manager, 2), b"x").await.unwrap_err();
    assert!(refused.is_unsent(), "{refused:?}");

    // A manager relays nothing.
    let route = Route::relayed(
        rig.at_manager.address.to_string(),
        keys_of([&rig.manager]),
        ManagerIndex::new(2).unwrap(),
    );
    let keys = keys_of([&rig.manager]);
    let channel = Channel::new(rig.gateway.clone(), keys, vec![route], quick());
    assert!(matches!(say(&channel, b"x").await, Err(LinkError::Unreachable(_))));
    say(&self::channel(&rig.gateway, &rig.manager, rig.at_manager.address), b"x").await.unwrap();
}

#[tokio::test]
async fn a_relay_header_has_one_shape() {
    let rig = rig(Limits::default()).await;
    for header in [*b"KSRL\x02\x02", *b"KSRL\x01\x00", *b"KSRL\x01\x08", *b"GET / "] {
        assert_eq!(crate::read_relay_header(header), None);
        let keys = keys_of([&rig.control]);
        let config = client_config(&rig.gateway, keys, ALPN_RELAY, provider()).unwrap();
        let mut stream = connect(config, rig.at_control.address).await.unwrap();
        stream.write_all(&header).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), relay::Refused::Header as u8);
    }
    let two = ManagerIndex::new(2).unwrap();
    assert_eq!(crate::read_relay_header(relay::header(two)), Some(two));
}

#[tokio::test]
async fn relayed_connections_end_with_their_trust_their_quiet_and_their_relay() {
    let moment = Duration::from_secs(3);
    let limits = Limits { relay_idle_timeout: moment, ..Limits::default() };
    // Long enough pings do not keep it open.
    let rig = rig(limits).await;
    let channel = rig.channel(&rig.gateway, &rig.manager, 2);
    say(&channel, b"x").await.unwrap();
    until("the quiet one is closed", || rig.at_control.handle.connections() == 0).await;
    until("the manager notices", || rig.at_manager.handle.connections() == 0).await;

    say(&channel, b"x").await.unwrap();
    assert_eq!(rig.at_control.handle.connections(), 1);
    assert_eq!(rig.at_control.stop().await.unfinished, 0);
    until("the manager notices", || rig.at_manager.handle.connections() == 0).await;
}

#[tokio::test]
async fn a_relayed_connection_of_a_key_that_is_out_is_closed() {
    let (control, gateway) = (identity("control"), identity("gateway"));
    let manager = identity("manager-2");
    let at_manager = Served::start(echo(&manager, &keys_of([&gateway])), Limits::default()).await;
    let keys = keys_of([&gateway]);
    let targets = Targets { gateway: gateway.spki_sha256(), manager: at_manager.address };
    let serving = Serving::new(control.clone(), keys.clone(), Services::new());
    let serving = serving.with_relay(Arc::new(targets));
    let at_control = Served::start(serving, Limits::default()).await;
    let route = Route::relayed(
        at_control.address.to_string(),
        keys_of([&control]),
        ManagerIndex::new(2).unwrap(),
    );
    let channel = Channel::new(gateway, keys_of([&manager]), vec![route], quick());
    say(&channel, b"x").await.unwrap();
    keys.replace([]);
    assert_eq!(at_control.handle.revalidate(), 1);
    until("both ends are closed", || at_manager.handle.connections() == 0).await;
    say(&channel, b"x").await.unwrap_err();
}
