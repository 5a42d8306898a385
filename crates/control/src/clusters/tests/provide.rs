//! Who may configure a cluster, as its gateways bring it.

use keysherd_domain::gateway_access::GatewayPermission;
use keysherd_plane::gateway_access::{
    Allowed, GatewayAccessDelete, GatewayAccessGet, GatewayAccessProvide, GatewayAccessUpdate,
};

use super::access::{allowed, create, may};
use super::*;

const GET: &str = "gateway-get-k8s-auth-config";

/// A cluster with [`FIRST`] in it: its number, its gateways' token, and somebody who is no
/// administrator.
async fn setting() -> (World, (i64, String), (AccessId, String)) {
    let world = World::new().await;
    let (_, gateway) = world.gateway_token("/gateways/prod").await;
    let cluster = world.at(FIRST, &gateway, hello("prod")).await.unwrap().cluster;
    let person = world.gateway_token("/people/ops").await;
    (world, (cluster, gateway), person)
}

fn provide(cluster: i64, all: &[(&str, Allowed)]) -> GatewayAccessProvide {
    let all = all.iter().map(|(name, allowed)| ((*name).to_owned(), allowed.clone())).collect();
    GatewayAccessProvide { cluster, all }
}

fn changes(world: &World) -> usize {
    let records = world.records();
    records.iter().filter(|it| it.draft.action == "update_gateway_access").count()
}

#[tokio::test]
async fn what_gateways_bring_takes_the_place_of_what_they_brought_and_of_nothing_else() {
    let (world, (cluster, gateway), (id, token)) = setting().await;
    let admin = world.admin.clone();
    let k8s = allowed(&id, &[GatewayPermission::K8sAuth]);
    let ldap = allowed(&id, &[GatewayPermission::LdapAuth]);
    world.at(FIRST, &admin, create("made", ldap.clone())).await.unwrap();
    world.at(FIRST, &gateway, provide(cluster, &[("ops", k8s.clone())])).await.unwrap();
    assert!(may(&world, FIRST, &token, GET).await);
    // The same again is no change, and no record.
    let before = changes(&world);
    assert_eq!(before, 1);
    world.at(FIRST, &gateway, provide(cluster, &[("ops", k8s.clone())])).await.unwrap();
    assert_eq!(changes(&world), before);
    // Nobody changes it by command; it is shown as what it is.
    let get = GatewayAccessGet { name: "ops".to_owned() };
    assert!(world.at(FIRST, &admin, get).await.unwrap().access.provided);
    let update =
        GatewayAccessUpdate { name: "ops".to_owned(), new_name: None, allowed: ldap.clone() };
    assert_eq!(kind(world.at(FIRST, &admin, update).await), FaultKind::Conflict);
    let delete = |name: &str| GatewayAccessDelete { name: name.to_owned() };
    assert_eq!(kind(world.at(FIRST, &admin, delete("ops")).await), FaultKind::Conflict);
    // What somebody made by command is not taken over, and nothing of the list is half done.
    let both = provide(cluster, &[("other", k8s.clone()), ("made", k8s.clone())]);
    assert_eq!(kind(world.at(FIRST, &gateway, both).await), FaultKind::Conflict);
    assert!(may(&world, FIRST, &token, GET).await, "what was there stays");
    world.at(FIRST, &gateway, provide(cluster, &[])).await.unwrap();
    assert!(!may(&world, FIRST, &token, GET).await);
    assert!(may(&world, FIRST, &token, "gateway-get-ldap-auth-config").await);
    world.at(FIRST, &admin, delete("made")).await.unwrap();
}

#[tokio::test]
async fn only_a_gateway_of_the_cluster_with_its_own_token_brings_anything() {
    let (world, (cluster, gateway), (id, token)) = setting().await;
    let list = provide(cluster, &[("ops", allowed(&id, &[GatewayPermission::Admin]))]);
    // Neither administrators nor others by their own token, nor a gateway of another cluster.
    let admin = world.admin.clone();
    for bearer in [&admin, &token] {
        assert_eq!(kind(world.at(FIRST, bearer, list.clone()).await), FaultKind::NotFound);
    }
    assert_eq!(kind(world.at(SECOND, &gateway, list.clone()).await), FaultKind::Forbidden);
    let (_, other) = world.gateway_token("/gateways/other").await;
    world.at(SECOND, &other, hello("prod")).await.unwrap();
    assert_eq!(kind(world.at(SECOND, &other, list).await), FaultKind::NotFound);
    // What is malformed, or names a method that is not there.
    let unknown = AccessId::parse("p-aaaaaaaaaaaaaa").unwrap();
    for bad in [
        ("", allowed(&id, &[GatewayPermission::Admin])),
        ("none", allowed(&id, &[])),
        ("unknown", allowed(&unknown, &[GatewayPermission::Admin])),
    ] {
        let refused = world.at(FIRST, &gateway, provide(cluster, &[bad])).await;
        assert_eq!(kind(refused), FaultKind::BadRequest);
    }
    assert!(!may(&world, FIRST, &token, GET).await);
}
