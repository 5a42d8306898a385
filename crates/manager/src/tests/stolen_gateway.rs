//! Attack 12: a gateway that was broken into, with its key, at its managers.

use keysherd_base::Uid;
use keysherd_crypto::sign::SigningKey;
use keysherd_fragments::bundle::Caps;
use keysherd_fragments::derive::Mode;
use keysherd_fragments::encoding::Signed;
use keysherd_fragments::labels;
use keysherd_fragments::permit::{Op, Permit, PermitEntry};
use keysherd_fragments::refusal::Refusal;

use super::rig::{Rig, index, key_version};
use super::rounds::{call, entry, fresh_item};
use crate::log::{Event, LogReader};

/// Items in an hour that the owner allows the cluster.
const ITEMS: u32 = 20;

fn fresh(count: u32) -> Vec<PermitEntry> {
    (0..count).map(|_| entry(&fresh_item(&key_version(1)))).collect()
}

/// One derivation for each entry, with the stolen key on the stolen gateway's connection.
async fn take(rig: &Rig, permit: &Signed, entries: u16) -> Result<(), Refusal> {
    let call = call(&rig.gateway, permit, index(1), (0..entries).collect(), Mode::Read);
    rig.send(1, &rig.gateway.public(), call).await.map(drop)
}

#[tokio::test]
async fn t_stolen_gateway_bounded() {
    let mut rig = Rig::with(3, |bundle| {
        // The self-test of the key counts as well.
        let hourly = Caps { items_per_hour: ITEMS + 1, ..Caps::UNLIMITED };
        bundle.clusters[0].caps = hourly;
    })
    .await;
    rig.generate(key_version(1)).await;
    // Its key alone opens nothing: it cannot sign permits, nor use those of other gateways.
    let forged = Signed::seal(&rig.gateway, labels::SIGN_PERMIT, body(&rig, fresh(1)));
    assert_eq!(take(&rig, &forged, 1).await, Err(Refusal::BadPermitSignature));
    let others = rig.permit(Op::Read, fresh(1), |permit| {
        permit.gateway_spki_sha256 = rig.second_gateway.public().spki_sha256();
    });
    assert_eq!(take(&rig, &others, 1).await, Err(Refusal::WrongGateway));
    // With permits that it gets for what passes through it, it gets those, and no bulk beyond the
    // owner's cap; asking through the other instances of its cluster adds nothing.
    let all = rig.permit(Op::Read, fresh(ITEMS), |_| {});
    take(&rig, &all, u16::try_from(ITEMS).unwrap()).await.unwrap();
    assert_eq!(take(&rig, &rig.permit(Op::Read, fresh(1), |_| {}), 1).await, Err(TOO_MANY));
    let second = rig.permit(Op::Read, fresh(1), |permit| {
        permit.gateway_spki_sha256 = rig.second_gateway.public().spki_sha256();
    });
    let by_second = call(&rig.second_gateway, &second, index(1), vec![0], Mode::Read);
    let refused = rig.send(1, &rig.second_gateway.public(), by_second).await.map(drop);
    assert_eq!(refused, Err(TOO_MANY));
    // The control: without the cap it goes on.
    rig.change_bundle(|bundle| bundle.clusters[0].caps = Caps::UNLIMITED).await;
    take(&rig, &rig.permit(Op::Read, fresh(100), |_| {}), 100).await.unwrap();
    // The owner removes it: the very next request is refused, permit or not.
    let stolen = rig.gateway.public().spki_sha256();
    let permit = rig.permit(Op::Read, fresh(1), |_| {});
    rig.change_bundle(|bundle| bundle.clusters[0].instances.retain(|spki| *spki != stolen)).await;
    assert_eq!(take(&rig, &permit, 1).await, Err(Refusal::UnknownGateway));
    // And what it got is listed: exactly that.
    rig.stop(1);
    let listed = LogReader::open(&rig.home(1).join("log")).unwrap().map(|entry| entry.unwrap().1);
    let count = |event: &Event| match event {
        Event::Derive(derive) if derive.gateway == stolen && derive.op == Op::Read => {
            derive.items.len()
        }
        _ => 0,
    };
    let obtained: usize = listed.map(|entry| count(&entry.event)).sum();
    assert_eq!(obtained, usize::try_from(ITEMS).unwrap() + 100);
    rig.start(1);
}

const TOO_MANY: Refusal = Refusal::TooManyItems;

/// What the thief would like to be signed.
fn body(rig: &Rig, entries: Vec<PermitEntry>) -> Vec<u8> {
    let signed = rig.permit(Op::Read, entries, |permit| permit.permit_id = Uid([1; 16]));
    Permit::from_bytes(&signed.body).unwrap().to_bytes()
}

#[tokio::test]
async fn an_instance_that_nobody_knows_gets_nothing() {
    let rig = Rig::new().await;
    rig.generate(key_version(1)).await;
    let unknown = SigningKey::from_seed(&[1; 32].into());
    let permit = rig.permit(Op::Read, fresh(1), |permit| {
        permit.gateway_spki_sha256 = unknown.public().spki_sha256();
    });
    let call = call(&unknown, &permit, index(1), vec![0], Mode::Read);
    let refused = rig.send(1, &unknown.public(), call).await.map(drop);
    assert_eq!(refused, Err(Refusal::UnknownGateway));
}
