//! Instances join, stay, fall silent and are deleted, and everybody sees what is theirs to see.

use keysherd_audit::Record;
use keysherd_base::{AccessId, FaultKind, Uid};
use keysherd_crypto::permit::Class;
use keysherd_domain::auth_method::MethodShared;
use keysherd_domain::cluster::FragmentNote;
use keysherd_domain::item::NameTag;
use keysherd_plane::Ask;
use keysherd_plane::clusters::{
    ClusterConfigPut, ClusterDelete, ClusterList, ClusterSync, ClusterSyncReply, ClusterView,
};
use keysherd_plane::grants::{Grant, Granted, ItemRef, Keeping, VersionWish, Wish, WriteTarget};
use keysherd_plane::items::SealedValue;

use crate::GatewayIdentity;
use crate::items::testing::{envelope, fresh_salt};
use crate::testing::{STRANGER, World, item, kind};

mod access;
mod leases;
mod provide;
mod sealing;
mod show;
mod vouching;

const FIRST: GatewayIdentity = GatewayIdentity { spki_sha256: [1; 32] };
const SECOND: GatewayIdentity = GatewayIdentity { spki_sha256: [2; 32] };

/// The heartbeat of an instance.
pub(crate) fn hello(name: &str) -> ClusterSync {
    ClusterSync {
        name: name.to_owned(),
        display_name: Some("Our gateways".to_owned()),
        url: None,
        protection_key: None,
        host: "gw-1".to_owned(),
        program: "1.2.3".to_owned(),
        fragments: Vec::new(),
        known: 0,
        wait_millis: 0,
        process: Uid([7; 16]),
        leases: Vec::new(),
    }
}

impl World {
    /// Asks through a certain gateway.
    pub(crate) async fn at<A: Ask>(
        &self,
        gateway: GatewayIdentity,
        token: &str,
        message: A,
    ) -> Result<A::Reply, keysherd_base::Fault> {
        self.control.plane_for(gateway).ask(self.caller(token), message).await
    }

    /// An access id for gateways, and a token of it.
    pub(crate) async fn gateway_token(&self, path: &str) -> (AccessId, String) {
        let (id, key) = self.api_key(path, MethodShared::default()).await;
        let token = self.login(&id, &key).await.unwrap().token;
        (id, token)
    }

    async fn clusters(&self) -> Vec<ClusterView> {
        self.ask(&self.admin, ClusterList).await.unwrap().clusters
    }

    fn registrations(&self) -> Vec<Record> {
        let mut records = self.records();
        records.retain(|record| record.draft.action == "register_gateway");
        records
    }
}

#[tokio::test]
async fn two_instances_with_one_identity_are_one_cluster() {
    let world = World::new().await;
    let (id, token) = world.gateway_token("/gateways/prod").await;
    let first = world.at(FIRST, &token, hello("prod")).await.unwrap();
    let second = world.at(SECOND, &token, hello("prod")).await.unwrap();
    assert_eq!((first.cluster, &first.access_id, first.version), (second.cluster, &id, 0));
    // Another name is another cluster, and so is another access id.
    let other = world.at(SECOND, &token, hello("prod-2")).await.unwrap();
    assert_ne!(other.cluster, first.cluster);
    let (_, foreign) = world.gateway_token("/gateways/other").await;
    let foreign = world.at(SECOND, &foreign, hello("prod")).await.unwrap();
    assert!(![first.cluster, other.cluster].contains(&foreign.cluster));
    // An instance is in one cluster: the last one it named.
    let counts: Vec<_> = world.clusters().await.iter().map(|view| view.instances).collect();
    assert_eq!(counts, [1, 0, 1]);
    let view = &world.clusters().await[0];
    assert_eq!(view.cluster.full_name(), format!("{}/{id}/prod", world.first.id));
    assert_eq!(view.cluster.display_name, "Our gateways");
}

#[tokio::test]
async fn another_access_id_is_another_cluster_whatever_is_said() {
    let world = World::new().await;
    let (_, token) = world.gateway_token("/gateways/prod").await;
    let (id, foreign) = world.gateway_token("/gateways/other").await;
    let first = world.at(FIRST, &token, hello("prod")).await.unwrap();
    let moved = world.at(FIRST, &foreign, hello("prod")).await.unwrap();
    assert_ne!(moved.cluster, first.cluster);
    assert_eq!(moved.access_id, id);
    assert_eq!(world.registrations().len(), 2);
}

#[tokio::test]
async fn joining_is_recorded_once_and_heartbeats_are_not() {
    let world = World::new().await;
    let (id, token) = world.gateway_token("/gateways/prod").await;
    for _ in 0..50 {
        world.at(FIRST, &token, hello("prod")).await.unwrap();
        world.clock.advance_seconds(1);
    }
    let told = FragmentNote {
        id: "cf-1".to_owned(),
        name: "EU".to_owned(),
        description: String::new(),
        fingerprint: "ab".to_owned(),
    };
    let changed = ClusterSync { fragments: vec![told.clone()], ..hello("prod") };
    world.at(FIRST, &token, changed).await.unwrap();
    let records = world.registrations();
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0].draft.access_id.as_ref(), Some(&id));
    let instance = hex::encode([1; 32]);
    assert!(records[0].draft.params.iter().any(|param| param.value() == Some(&instance)));
    assert_eq!(world.clusters().await[0].fragments, [told]);
    // Neither does a restart of control make it join again.
    let world = world.restarted();
    world.at(FIRST, &token, hello("prod")).await.unwrap();
    assert_eq!(world.registrations().len(), 1);
}

#[tokio::test]
async fn silence_is_seen_within_seconds_and_survives_a_restart() {
    let world = World::new().await;
    let (_, token) = world.gateway_token("/gateways/prod").await;
    world.at(FIRST, &token, hello("prod")).await.unwrap();
    assert_eq!(world.clusters().await[0].running, 1);
    world.clock.advance_seconds(4);
    assert_eq!(world.clusters().await[0].running, 1);
    world.clock.advance_seconds(1);
    assert_eq!(world.clusters().await[0].running, 0);
    world.at(FIRST, &token, hello("prod")).await.unwrap();
    let heard = world.now();
    assert_eq!(world.clusters().await[0].running, 1);
    // After a restart the store's note counts for a while: it may be another node's.
    let world = world.restarted();
    assert_eq!(world.clusters().await[0].running, 1);
    world.clock.advance_seconds(60);
    let view = world.clusters().await.remove(0);
    assert_eq!((view.running, view.instances), (0, 1));
    assert!(view.last_seen.unwrap() <= heard);
}

#[tokio::test]
async fn only_a_token_and_a_key_of_the_bundle_together_join() {
    let world = World::new().await;
    let (_, token) = world.gateway_token("/gateways/prod").await;
    assert_eq!(kind(world.at(STRANGER, &token, hello("prod")).await), FaultKind::Forbidden);
    for bad in ["", "t-1234"] {
        assert_eq!(kind(world.at(FIRST, bad, hello("prod")).await), FaultKind::Unauthorized);
    }
    let long = "x".repeat(300);
    let bad = [
        hello("a/b"),
        hello(""),
        ClusterSync { display_name: Some("a\nb".to_owned()), ..hello("prod") },
        ClusterSync { url: Some("x".repeat(600)), ..hello("prod") },
        ClusterSync { host: long, ..hello("prod") },
    ];
    for bad in bad {
        assert_eq!(kind(world.at(FIRST, &token, bad).await), FaultKind::BadRequest);
    }
    assert!(world.clusters().await.is_empty());
    // A token that ended does not keep an instance in.
    world.at(FIRST, &token, hello("prod")).await.unwrap();
    world.clock.advance_seconds(86_400 * 30);
    assert_eq!(kind(world.at(FIRST, &token, hello("prod")).await), FaultKind::Unauthorized);
}

#[tokio::test]
async fn a_running_cluster_is_deleted_by_force_only() {
    let world = World::new().await;
    let (id, token) = world.gateway_token("/gateways/prod").await;
    let before = world.at(FIRST, &token, hello("prod")).await.unwrap();
    let delete = |name: &str, force| ClusterDelete { name: name.to_owned(), force };
    let admin = world.admin.clone();
    assert_eq!(kind(world.ask(&token, delete("prod", true)).await), FaultKind::Unauthorized);
    assert_eq!(kind(world.ask(&admin, delete("prod", false)).await), FaultKind::Conflict);
    assert_eq!(kind(world.ask(&admin, delete("nope", true)).await), FaultKind::NotFound);
    let full = format!("{}/{id}/prod", world.first.id);
    world.ask(&admin, delete(&full, true)).await.unwrap();
    assert!(world.clusters().await.is_empty());
    let after = world.at(FIRST, &token, hello("prod")).await.unwrap();
    assert_ne!(after.cluster, before.cluster);
    world.clock.advance_seconds(60);
    world.ask(&admin, delete("prod", false)).await.unwrap();
    // The same name under two access ids has to be written out.
    let (_, other) = world.gateway_token("/gateways/other").await;
    world.at(FIRST, &token, hello("prod")).await.unwrap();
    world.at(SECOND, &other, hello("prod")).await.unwrap();
    assert_eq!(kind(world.ask(&admin, delete("prod", true)).await), FaultKind::BadRequest);
}

#[tokio::test]
async fn accounts_do_not_see_each_other_s_clusters() {
    let world = World::new().await;
    let (_, token) = world.gateway_token("/gateways/prod").await;
    world.at(FIRST, &token, hello("prod")).await.unwrap();
    let foreign = world.another_account("other@example.com").await;
    let login = world.login(&foreign.created.admin_access_id, &foreign.admin_key).await;
    let foreign = login.unwrap().token;
    assert!(world.ask(&foreign, ClusterList).await.unwrap().clusters.is_empty());
    let delete = ClusterDelete { name: "prod".to_owned(), force: true };
    assert_eq!(kind(world.ask(&foreign, delete).await), FaultKind::NotFound);
    // Everybody of the account may know where its gateways are, and through which they ask.
    let view = world.at(FIRST, &token, ClusterList).await.unwrap().clusters.remove(0);
    assert!(view.current && !view.may_configure);
    assert!(!world.at(SECOND, &token, ClusterList).await.unwrap().clusters[0].current);
}

#[tokio::test]
async fn a_waiting_instance_is_answered_when_its_cluster_goes() {
    let world = World::new().await;
    let (_, token) = world.gateway_token("/gateways/prod").await;
    world.at(FIRST, &token, hello("prod")).await.unwrap();
    let waiting = ClusterSync { wait_millis: 60_000, ..hello("prod") };
    let plane = world.control.plane_for(FIRST);
    let caller = world.caller(&token);
    let began = std::time::Instant::now();
    let asked: tokio::task::JoinHandle<Result<ClusterSyncReply, _>> =
        tokio::spawn(async move { plane.ask(caller, waiting).await });
    let delete = ClusterDelete { name: "prod".to_owned(), force: true };
    world.ask(&world.admin, delete).await.unwrap();
    let answered = asked.await.unwrap();
    // Either it was deleted while it waited, or before it looked: then it is a new one.
    if let Err(fault) = answered {
        assert_eq!(fault.kind(), FaultKind::Conflict);
    }
    // Whatever an instance asks for, it is not kept for longer than a heartbeat.
    assert!(began.elapsed() < std::time::Duration::from_secs(30));
}

/// Asks for one grant through a gateway.
async fn granted(world: &World, token: &str, wish: Wish) -> Result<Granted, keysherd_base::Fault> {
    let message =
        Grant { wishes: vec![(world.caller(token), wish)], with_permit: true, keep: Keeping::No };
    let mut reply = world.at(FIRST, token, message).await.unwrap();
    reply.outcomes.remove(0).map(|granted| granted.granted)
}

fn next(cluster: i64, replaces: u32) -> Wish {
    let path = item("/.gateway-clusters/p-0123456789ab.prod");
    let target = WriteTarget::GatewayCluster { cluster, path, replaces, key: None };
    Wish::Write { target, salt: fresh_salt() }
}

fn newest(cluster: i64) -> Wish {
    Wish::Read { items: vec![ItemRef::GatewayCluster(cluster)], version: VersionWish::Latest }
}

/// What a gateway seals for the place that it was granted.
fn sealed(world: &World, granted: &Granted) -> (u32, SealedValue) {
    let Granted::Write { uid, version, key, .. } = granted else { panic!("not a write") };
    let ciphertext = envelope(world, *uid, *version, Class::SecretItem, key, fresh_salt());
    let name_tag = Some(NameTag([9; 32]));
    (*version, SealedValue { ciphertext, key: *key, unconfirmed: false, name_tag })
}

#[tokio::test]
async fn a_configuration_is_the_cluster_s_own_and_follows_the_one_before() {
    let world = World::new().await;
    let (id, token) = world.gateway_token("/gateways/prod").await;
    let cluster = world.at(FIRST, &token, hello("prod")).await.unwrap().cluster;
    assert_eq!(kind(granted(&world, &token, newest(cluster)).await), FaultKind::NotFound);
    let place = granted(&world, &token, next(cluster, 0)).await.unwrap();
    let (version, value) = sealed(&world, &place);
    assert_eq!(version, 1);
    let put = |version: u32, value: &SealedValue| ClusterConfigPut {
        cluster,
        version,
        value: value.clone(),
        key: None,
    };
    // Not by another gateway, not by another access id, not another version's, not unconfirmed.
    assert_eq!(kind(world.at(SECOND, &token, put(1, &value)).await), FaultKind::Forbidden);
    let admin = world.admin.clone();
    assert_eq!(kind(world.at(FIRST, &admin, put(1, &value)).await), FaultKind::NotFound);
    assert_eq!(kind(world.at(FIRST, &token, put(2, &value)).await), FaultKind::BadRequest);
    let waiting = SealedValue { unconfirmed: true, ..value.clone() };
    assert_eq!(kind(world.at(FIRST, &token, put(1, &waiting)).await), FaultKind::BadRequest);
    // Without what attests it, no gateway would take it.
    let unnamed = SealedValue { name_tag: None, ..value.clone() };
    assert_eq!(kind(world.at(FIRST, &token, put(1, &unnamed)).await), FaultKind::BadRequest);
    world.at(FIRST, &token, put(1, &value)).await.unwrap();
    assert_eq!(kind(world.at(FIRST, &token, put(1, &value)).await), FaultKind::Conflict);
    let Granted::Read(items) = granted(&world, &token, newest(cluster)).await.unwrap() else {
        panic!("not a reading")
    };
    assert_eq!(items[0].versions[0].ciphertext, value.ciphertext);
    assert_eq!(items[0].versions[0].name_tag, value.name_tag);
    let path = format!("/.gateway-clusters/{id}.prod");
    assert_eq!(items[0].path.as_str(), path);
    // The next one is made from the newest one only.
    assert_eq!(kind(granted(&world, &token, next(cluster, 0)).await), FaultKind::Conflict);
    assert_eq!(kind(granted(&world, &token, next(cluster, 2)).await), FaultKind::Conflict);
    assert!(granted(&world, &token, next(cluster, 1)).await.is_ok());
    // Administrators have no way to it, and neither have other accounts.
    for wish in [newest(cluster), next(cluster, 1)] {
        assert_eq!(kind(granted(&world, &admin, wish).await), FaultKind::NotFound);
    }
    let known = ClusterSync { known: 0, ..hello("prod") };
    assert_eq!(world.at(FIRST, &token, known).await.unwrap().version, 1);
    let actions: Vec<_> = world.records().iter().map(|it| it.draft.action.to_string()).collect();
    for action in ["get_gateway_config", "update_gateway_config"] {
        assert!(actions.iter().any(|known| known == action), "{actions:?}");
    }
}

#[tokio::test]
async fn a_new_configuration_wakes_whoever_waits_for_one() {
    let world = World::new().await;
    let (_, token) = world.gateway_token("/gateways/prod").await;
    let cluster = world.at(FIRST, &token, hello("prod")).await.unwrap().cluster;
    world.at(SECOND, &token, hello("prod")).await.unwrap();
    let waiting = ClusterSync { wait_millis: 60_000, ..hello("prod") };
    let (plane, caller) = (world.control.plane_for(SECOND), world.caller(&token));
    let asked = tokio::spawn(async move { plane.ask(caller, waiting).await });
    let place = granted(&world, &token, next(cluster, 0)).await.unwrap();
    let (version, value) = sealed(&world, &place);
    let put = ClusterConfigPut { cluster, version, value, key: None };
    world.at(FIRST, &token, put).await.unwrap();
    assert_eq!(asked.await.unwrap().unwrap().version, 1);
}

#[tokio::test]
async fn a_key_for_the_configuration_is_one_that_the_gateway_may_use() {
    let world = World::new().await;
    let (_, token) = world.gateway_token("/gateways/prod").await;
    let with_key = |path: &str| ClusterSync { protection_key: Some(item(path)), ..hello("prod") };
    let refused = world.at(FIRST, &token, with_key("/keys/gateways")).await;
    assert_eq!(kind(refused), FaultKind::Unauthorized);
    assert!(world.clusters().await.is_empty());
}
