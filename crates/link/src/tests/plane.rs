//! The plane behind a link: the same answers as beside it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keysherd_base::{Fault, FaultKind, ItemId, ItemPath, KeyId, RequestId, Uid};
use keysherd_domain::item::{ItemKind, SecretKind, ValueFormat};
use keysherd_plane::auth::ValidateToken;
use keysherd_plane::cache::ChangesWait;
use keysherd_plane::grants::{
    Grant, GrantReply, Granted, GrantedItem, GrantedTo, GrantedVersion, ItemRef, Keeping, KeyRef,
    Outcome, PermitSlot, SignedPermit, VersionWish, Wish,
};
use keysherd_plane::{
    Audited, BoxFuture, Caller, Done, GatewayRequest, ItemReply, ItemRequest, Note, Plane,
    PlaneHandle, RecordReply, RecordRequest, Reply, Request, SessionReply, SessionRequest,
};
use tokio::sync::watch;

use crate::tests::proxy::Proxy;
use crate::tests::rig::{Served, channel, identity, keys_of, until};
use crate::{Identity, Limits, Peer, PlaneService, RemotePlane, Services, Serving, routes};

/// Answers what tests ask, and keeps what it was asked.
struct Fake {
    asked: Mutex<Vec<(String, Caller, [u8; 32])>>,
    grants: AtomicUsize,
    open: watch::Sender<bool>,
}

/// The fake for one gateway.
struct At(Arc<Fake>, [u8; 32]);

impl Plane for At {
    fn call(&self, caller: Caller, request: Request) -> BoxFuture<'_, Result<Reply, Fault>> {
        Box::pin(async move {
            let name = request.name().to_owned();
            self.0.asked.lock().unwrap().push((name, caller, self.1));
            if !matches!(request, Request::Gateways(GatewayRequest::ChangesWait(_))) {
                self.0.open.subscribe().wait_for(|open| *open).await.map_err(Fault::internal)?;
            }
            match request {
                Request::Records(RecordRequest::Note(_)) => {
                    Ok(Reply::Records(RecordReply::Note(Audited)))
                }
                Request::Session(SessionRequest::RevokeToken(_)) => {
                    Ok(Reply::Session(SessionReply::RevokeToken(Done)))
                }
                Request::Items(ItemRequest::Grant(grant)) => {
                    let round = self.0.grants.fetch_add(1, Ordering::SeqCst);
                    Ok(Reply::Items(ItemReply::Grant(granted(&grant, round))))
                }
                _ => Err(Fault::forbidden("not you").with_code("NotYou").with_private("secret")),
            }
        })
    }
}

/// Ten million bytes for each wish, under one permit of its own.
fn granted(grant: &Grant, round: usize) -> GrantReply {
    let outcomes = grant.wishes.iter().enumerate().map(|(n, (_, wish))| outcome(n, wish));
    let permits = grant.wishes.iter().enumerate().map(|(n, _)| SignedPermit {
        bytes: Arc::from([u8::try_from(round).unwrap(), u8::try_from(n).unwrap()]),
    });
    GrantReply { outcomes: outcomes.collect(), permits: permits.collect() }
}

fn outcome(n: usize, wish: &Wish) -> Outcome {
    let Wish::Read { items, .. } = wish else { return Err(Fault::bad_request("a read")) };
    let ItemRef::Id(id) = items[0] else { return Err(Fault::not_found("no such item")) };
    let key = KeyRef { key_id: KeyId::default(), version: 1, customer_fragment: None };
    let slot = PermitSlot { permit: u16::try_from(n).unwrap(), entry: 7 };
    let item = GrantedItem {
        path: ItemPath::parse("/a").unwrap(),
        id,
        uid: Uid([1; 16]),
        kind: ItemKind::StaticSecret,
        secret_kind: SecretKind::Generic,
        format: ValueFormat::Text,
        versions: vec![GrantedVersion {
            version: 1,
            ciphertext: vec![9; 10_000_000].into(),
            key,
            permit_slot: Some(slot),
            name_tag: None,
        }],
    };
    let granted = Granted::Read(vec![Arc::new(item)]);
    Ok(GrantedTo { account: Uid([2; 16]), granted, keep: None, opened: None })
}

struct Rig {
    fake: Arc<Fake>,
    gateway: Identity,
    proxy: Proxy,
    plane: RemotePlane,
    _served: Served,
}

async fn rig() -> Rig {
    let (control, gateway) = (identity("control"), identity("gateway"));
    let open = watch::Sender::new(true);
    let fake = Arc::new(Fake { asked: Mutex::default(), grants: AtomicUsize::new(0), open });
    let behind = fake.clone();
    let door = move |peer: &Peer| -> Result<PlaneHandle, Fault> {
        Ok(Arc::new(At(behind.clone(), peer.spki_sha256)))
    };
    let services = Services::new().with(routes::PLANE, Arc::new(PlaneService::new(Arc::new(door))));
    let serving = Serving::new(control.clone(), keys_of([&gateway]), services);
    let served = Served::start(serving, Limits::default()).await;
    let proxy = Proxy::to(served.address).await;
    let channel = || channel(&gateway, &control, proxy.address);
    let plane = RemotePlane::new(channel()).listening_through(channel());
    Rig { fake, gateway, proxy, plane, _served: served }
}

fn caller(token: &str) -> Caller {
    let mut caller = Caller::of_the_server(RequestId::default());
    caller.token = Some(token.into());
    caller
}

fn read(item: ItemRef) -> (Caller, Wish) {
    (caller("t-1"), Wish::Read { items: vec![item], version: VersionWish::Latest })
}

impl Rig {
    fn asked(&self) -> usize {
        self.fake.asked.lock().unwrap().len()
    }
}

#[tokio::test]
async fn requests_and_replies_arrive_as_they_were_sent() {
    let rig = rig().await;
    let note = Note::failure(&Fault::not_found("no such item"));
    let reply = rig.plane.call(caller("t-1"), note.into()).await.unwrap();
    assert!(matches!(reply, Reply::Records(RecordReply::Note(Audited))), "{reply:?}");
    let asked = rig.fake.asked.lock().unwrap();
    let (name, caller, gateway) = &asked[0];
    assert_eq!((name.as_str(), caller.token.as_deref()), ("Note", Some("t-1")));
    // The plane knows which gateway asks, from the connection and not from the message.
    assert_eq!(*gateway, rig.gateway.spki_sha256());
}

#[tokio::test]
async fn a_fault_of_the_plane_arrives_without_its_private_half() {
    let rig = rig().await;
    let fault = rig.plane.call(caller("t-1"), ValidateToken.into()).await.unwrap_err();
    assert_eq!(
        (fault.kind(), fault.code(), fault.public()),
        (FaultKind::Forbidden, "NotYou", "not you")
    );
    assert_eq!(fault.private(), None);
}

#[tokio::test]
async fn a_grant_too_large_for_one_answer_is_asked_for_in_parts() {
    let rig = rig().await;
    let mut wishes: Vec<_> = (0..8).map(|n| read(ItemRef::Id(ItemId(n)))).collect();
    wishes.insert(3, read(ItemRef::Display("unknown".to_owned())));
    let grant = Grant { wishes, with_permit: true, keep: Keeping::No };
    let reply = rig.plane.call(caller("t-1"), grant.into()).await.unwrap();
    let Reply::Items(ItemReply::Grant(reply)) = reply else { panic!() };
    assert_eq!(reply.outcomes.len(), 9);
    let refused = reply.outcomes[3].as_ref().unwrap_err();
    assert_eq!(refused.public(), "no such item");
    for (place, outcome) in reply.outcomes.iter().enumerate().filter(|(place, _)| *place != 3) {
        let Granted::Read(items) = &outcome.as_ref().unwrap().granted else { panic!() };
        let item = i64::try_from(if place > 3 { place - 1 } else { place }).unwrap();
        assert_eq!(items[0].id, ItemId(item));
        let version = &items[0].versions[0];
        assert_eq!(version.ciphertext.len(), 10_000_000);
        // Its slot names a permit that was made for it: the n-th of its round.
        let slot = version.permit_slot.unwrap();
        assert_eq!(slot.entry, 7);
        let rounds = rig.fake.grants.load(Ordering::SeqCst);
        assert!(usize::from(reply.permits[usize::from(slot.permit)].bytes[0]) < rounds);
    }
    // Three fit each time, and the refusal goes with the first.
    assert_eq!(rig.fake.grants.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_read_is_asked_again_when_control_goes_away_in_the_middle() {
    let rig = Arc::new(rig().await);
    rig.fake.open.send_replace(false);
    let of_task = rig.clone();
    let reading = tokio::spawn(async move {
        let grant = Grant {
            wishes: vec![read(ItemRef::Id(ItemId(1)))],
            with_permit: false,
            keep: Keeping::No,
        };
        of_task.plane.call(caller("t-1"), grant.into()).await
    });
    until("it was asked", || rig.asked() == 1).await;
    rig.proxy.cut();
    until("it was asked again", || rig.asked() == 2).await;
    rig.fake.open.send_replace(true);
    reading.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_change_is_never_asked_twice() {
    let rig = Arc::new(rig().await);
    rig.fake.open.send_replace(false);
    let of_task = rig.clone();
    let changing = tokio::spawn(async move {
        let revoke = keysherd_plane::auth::RevokeToken;
        of_task.plane.call(caller("t-1"), revoke.into()).await
    });
    until("it was asked", || rig.asked() == 1).await;
    rig.proxy.cut();
    let fault = changing.await.unwrap().unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unavailable);
    assert!(fault.public().contains("may have been carried out"), "{fault}");
    // Nor is a change that comes after it.
    rig.fake.open.send_replace(true);
    let note = Note::success();
    rig.plane.call(caller("t-1"), note.into()).await.unwrap();
    assert_eq!(rig.asked(), 2);
}

/// Tenants can keep as many calls under way as a connection takes, and for as long as they like.
#[tokio::test]
async fn what_listens_for_changes_waits_behind_nobodys_calls() {
    let rig = Arc::new(rig().await);
    rig.fake.open.send_replace(false);
    let most = usize::try_from(Limits::default().streams_per_connection_max).unwrap();
    let calls: Vec<_> = (0..most + 50)
        .map(|_| {
            let of_task = rig.clone();
            tokio::spawn(
                async move { of_task.plane.call(caller("t-1"), Note::success().into()).await },
            )
        })
        .collect();
    until("the connection is full", || rig.asked() == most).await;
    let listen = ChangesWait { source: Uid::default(), known: 0, wait_millis: 0 };
    let heard = rig.plane.call(caller("t-1"), listen.into());
    let heard = tokio::time::timeout(Duration::from_secs(10), heard).await.expect("it waits");
    assert_eq!(heard.unwrap_err().code(), "NotYou");
    rig.fake.open.send_replace(true);
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn control_that_cannot_be_reached_is_unavailable() {
    let rig = rig().await;
    rig.proxy.close();
    let address = rig.proxy.address;
    until("it is closed", || std::net::TcpStream::connect(address).is_err()).await;
    let note = Note::success();
    let fault = rig.plane.call(caller("t-1"), note.into()).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unavailable);
    assert!(fault.is_not_reached());
    assert!(fault.public().contains("the control plane"), "{fault}");
    assert!(fault.private().is_some_and(|why| why.contains(&address.to_string())));
}
