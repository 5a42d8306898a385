//! A key that seals the configuration of a cluster is not given up while that needs it.

use keysherd_domain::item::{ItemState, KeyAlgorithm};
use keysherd_plane::items::{DeleteVersions, ItemDelete, ItemStateSet};
use keysherd_plane::rotation::{
    KeyRotate, KeyRotateBegin, KeyStatus, RewrapStatus, RewrapStatusReply, RotatedKey,
};

use super::*;
use crate::items::protection::GRACE_SECONDS;
use crate::items::testing::rules;

const GCM: KeyAlgorithm = KeyAlgorithm::Aes256Gcm;
const KEY: &str = "/keys/gw";
const OTHER: &str = "/keys/other";

/// A cluster whose gateways may use the keys, and which chose the first one when it registered.
async fn setting() -> (World, String, i64) {
    let world = World::new().await;
    let (_, token) = world.gateway_token("/gateways/prod").await;
    world.role("/keys", &rules(&["/keys/* read"])).await;
    world.associate("/keys", "/gateways/prod", Default::default()).await;
    for key in [KEY, OTHER] {
        world.key(&world.admin, key, GCM).await.unwrap();
    }
    let chosen = ClusterSync { protection_key: Some(item(KEY)), ..hello("prod") };
    let cluster = world.at(FIRST, &token, chosen).await.unwrap().cluster;
    (world, token, cluster)
}

/// Seals the next configuration, under another key if one is named.
async fn put(world: &World, (token, cluster): (&str, i64), replaces: u32, key: Option<&str>) {
    let path = item("/.gateway-clusters/p-0123456789ab.prod");
    let key = key.map(item);
    let target = WriteTarget::GatewayCluster { cluster, path, replaces, key: key.clone() };
    let wish = Wish::Write { target, salt: fresh_salt() };
    let place = granted(world, token, wish).await.unwrap();
    let (version, value) = sealed(world, &place);
    let message = ClusterConfigPut { cluster, version, value, key };
    world.at(FIRST, token, message).await.unwrap();
}

fn delete(in_days: i64) -> ItemDelete {
    let versions = DeleteVersions::All;
    ItemDelete { path: item(KEY), versions, in_days, immediately: in_days < 0, force: false }
}

/// That the key can neither be deleted, now or later, nor disabled.
async fn assert_needed(world: &World) {
    let disabled = ItemStateSet { path: item(KEY), state: ItemState::Disabled, version: None };
    let faults = [
        world.ask(&world.admin, delete(7)).await.unwrap_err(),
        world.ask(&world.admin, delete(-1)).await.unwrap_err(),
        world.ask(&world.admin, disabled).await.unwrap_err(),
    ];
    for fault in faults {
        assert_eq!((fault.kind(), fault.code()), (FaultKind::Forbidden, "KeyInUse"));
        assert!(fault.public().contains("1 gateway clusters"), "{fault}");
        assert!(fault.public().contains("gateway-rekey-config"), "{fault}");
    }
}

#[tokio::test]
async fn a_key_that_seals_a_configuration_can_be_neither_deleted_nor_disabled() {
    let (world, token, cluster) = setting().await;
    assert_needed(&world).await;
    put(&world, (&token, cluster), 0, None).await;
    assert_needed(&world).await;
    put(&world, (&token, cluster), 1, Some(OTHER)).await;
    world.ask(&world.admin, delete(-1)).await.unwrap();
}

#[tokio::test]
async fn the_account_s_former_default_key_is_needed_by_what_it_seals() {
    let world = World::new().await;
    let (_, token) = world.gateway_token("/gateways/prod").await;
    for key in [KEY, OTHER] {
        world.key(&world.admin, key, GCM).await.unwrap();
    }
    world.settings(Some(Some(KEY)), |_| ()).await;
    let cluster = world.at(FIRST, &token, hello("prod")).await.unwrap().cluster;
    put(&world, (&token, cluster), 0, None).await;
    world.settings(Some(Some(OTHER)), |_| ()).await;
    assert_needed(&world).await;
    put(&world, (&token, cluster), 1, None).await;
    world.ask(&world.admin, delete(-1)).await.unwrap();
}

async fn status(world: &World) -> KeyStatus {
    let item = Some(ItemRef::Path(item(KEY)));
    match world.ask(&world.admin, RewrapStatus { item }).await.unwrap() {
        RewrapStatusReply::Key(status) => *status,
        other => panic!("{other:?}"),
    }
}

async fn rotate(world: &World) {
    let key = RotatedKey::Named(item(KEY));
    let begin = KeyRotateBegin {
        key: key.clone(),
        self_test_salt: [3; 32],
        managers: None,
        customer_fragment: None,
    };
    let to = world.ask(&world.admin, begin).await.unwrap().to;
    let manifest = b"another manifest".as_slice().into();
    let rotate = KeyRotate { key, to, manifest, managers: 3, threshold: 2, sealed: None };
    world.ask(&world.admin, rotate).await.unwrap();
}

#[tokio::test]
async fn a_version_that_seals_a_configuration_is_not_ready_to_destroy() {
    let (world, token, cluster) = setting().await;
    put(&world, (&token, cluster), 0, None).await;
    rotate(&world).await;
    world.clock.advance_seconds(GRACE_SECONDS);
    let of = |status: KeyStatus| -> Vec<_> {
        status
            .versions
            .iter()
            .map(|it| (it.version, it.configurations, it.ready_to_destroy))
            .collect()
    };
    assert_eq!(of(status(&world).await), [(2, 0, false), (1, 1, false)]);
    put(&world, (&token, cluster), 1, None).await;
    assert_eq!(of(status(&world).await), [(2, 1, false), (1, 0, true)]);
}
