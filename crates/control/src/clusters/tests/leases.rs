//! One instance at a time has a lease, by control's clock and over its restarts, and what is
//! written under an older number is refused.

use keysherd_base::FaultKind;
use keysherd_domain::lease::LIFE_MILLIS;
use keysherd_plane::clusters::{LeaseHeld, LeaseRelease, LeaseWish, PlaceList, PlacePut};
use keysherd_store::leases as stored;

use super::*;

const LEASE: &str = "log-forwarding";

fn wanting(process: u8, fence: Option<u64>) -> ClusterSync {
    let leases = vec![LeaseWish { name: LEASE.to_owned(), fence }];
    ClusterSync { process: Uid([process; 16]), leases, ..hello("prod") }
}

/// What the instance has after it asked.
async fn asks(
    world: &World,
    gateway: GatewayIdentity,
    token: &str,
    fence: Option<u64>,
) -> Option<LeaseHeld> {
    let said = wanting(gateway.spki_sha256[0], fence);
    world.at(gateway, token, said).await.unwrap().leases.pop()
}

/// As long as a lease lasts, in seconds.
const LIFE: i64 = LIFE_MILLIS / 1_000;

fn place(cluster: i64, process: u8, fence: u64, body: Option<&str>) -> PlacePut {
    PlacePut {
        cluster,
        process: Uid([process; 16]),
        lease: LEASE.to_owned(),
        fence,
        name: "main".to_owned(),
        body: body.map(str::to_owned),
    }
}

async fn places(world: &World, gateway: GatewayIdentity, token: &str, cluster: i64) -> Vec<String> {
    let list = PlaceList { cluster, lease: LEASE.to_owned() };
    let reply = world.at(gateway, token, list).await.unwrap();
    reply.places.into_iter().map(|(_, body)| body).collect()
}

#[tokio::test]
async fn one_instance_has_it_until_it_falls_silent() {
    let world = World::new().await;
    let (_, token) = world.gateway_token("/gateways/prod").await;
    let first = asks(&world, FIRST, &token, None).await.unwrap();
    assert_eq!((first.fence, i64::from(first.millis)), (1, LIFE_MILLIS));
    assert_eq!(asks(&world, SECOND, &token, None).await, None);
    // Renewed from time to time, and told truly how long it lasts.
    for _ in 0..20 {
        world.clock.advance_seconds(1);
        let held = asks(&world, FIRST, &token, Some(1)).await.unwrap();
        assert_eq!(held.fence, 1);
        assert!(i64::from(held.millis) > LIFE_MILLIS / 2 - 1_000, "{held:?}");
        assert_eq!(asks(&world, SECOND, &token, None).await, None);
    }
    world.clock.advance_seconds(LIFE);
    let second = asks(&world, SECOND, &token, None).await.unwrap();
    assert_eq!(second.fence, 2);
    assert_eq!(asks(&world, FIRST, &token, Some(1)).await, None);
    // Over a restart of control, numbers go on and nobody gets in between.
    let world = world.restarted();
    assert_eq!(asks(&world, FIRST, &token, Some(1)).await, None);
    assert_eq!(asks(&world, SECOND, &token, Some(2)).await.unwrap().fence, 2);
    let give = |process, fence| LeaseRelease {
        cluster: 1,
        process: Uid([process; 16]),
        lease: LEASE.to_owned(),
        fence,
    };
    // Only its holder gives it back.
    for (gateway, process, fence) in [(FIRST, 1, 2), (FIRST, 2, 2), (SECOND, 2, 1), (SECOND, 9, 2)]
    {
        world.at(gateway, &token, give(process, fence)).await.unwrap();
        assert_eq!(asks(&world, FIRST, &token, None).await, None);
    }
    world.at(SECOND, &token, give(2, 2)).await.unwrap();
    assert_eq!(asks(&world, FIRST, &token, None).await.unwrap().fence, 3);
    // Another process with the same key is another holder.
    let copy = world.at(FIRST, &token, wanting(77, Some(3))).await.unwrap();
    assert_eq!(copy.leases, []);
}

#[tokio::test]
async fn two_who_ask_at_one_time_do_not_both_get_it() {
    let world = World::new().await;
    let (_, token) = world.gateway_token("/gateways/prod").await;
    for round in 1..=20_u64 {
        let (one, two) =
            tokio::join!(asks(&world, FIRST, &token, None), asks(&world, SECOND, &token, None));
        let got: Vec<_> = one.iter().chain(&two).map(|held| held.fence).collect();
        assert_eq!(got, [round]);
        world.clock.advance_seconds(LIFE);
    }
}

#[tokio::test]
async fn a_place_is_written_by_the_newest_holder_only() {
    let world = World::new().await;
    let (_, token) = world.gateway_token("/gateways/prod").await;
    let cluster = world.at(FIRST, &token, hello("prod")).await.unwrap().cluster;
    world.at(SECOND, &token, hello("prod")).await.unwrap();
    // Nobody has the lease.
    let refused = world.at(FIRST, &token, place(cluster, 1, 1, Some("a"))).await;
    assert_eq!(kind(refused), FaultKind::Conflict);
    asks(&world, FIRST, &token, None).await.unwrap();
    world.at(FIRST, &token, place(cluster, 1, 1, Some("a"))).await.unwrap();
    // An end that nobody made use of is none.
    world.clock.advance_seconds(10 * LIFE);
    world.at(FIRST, &token, place(cluster, 1, 1, Some("b"))).await.unwrap();
    assert_eq!(asks(&world, SECOND, &token, None).await.unwrap().fence, 2);
    for (gateway, process, fence) in [(FIRST, 1, 1), (FIRST, 1, 2), (FIRST, 2, 2), (SECOND, 2, 1)] {
        let stale = place(cluster, process, fence, Some("stale"));
        assert_eq!(kind(world.at(gateway, &token, stale).await), FaultKind::Conflict);
    }
    assert_eq!(places(&world, FIRST, &token, cluster).await, ["b"]);
    world.at(SECOND, &token, place(cluster, 2, 2, Some("c"))).await.unwrap();
    assert_eq!(places(&world, SECOND, &token, cluster).await, ["c"]);
    // Neither too long nor malformed, and nobody else's at all.
    let long = "x".repeat(40_000);
    let too_long = world.at(SECOND, &token, place(cluster, 2, 2, Some(&long))).await;
    assert_eq!(kind(too_long), FaultKind::BadRequest);
    let wrong = PlacePut { lease: "a/b".to_owned(), ..place(cluster, 2, 2, Some("x")) };
    assert_eq!(kind(world.at(SECOND, &token, wrong).await), FaultKind::BadRequest);
    let (_, foreign) = world.gateway_token("/gateways/other").await;
    let foreign_place = world.at(SECOND, &foreign, place(cluster, 2, 2, Some("x"))).await;
    assert_eq!(kind(foreign_place), FaultKind::NotFound);
    let list = PlaceList { cluster, lease: LEASE.to_owned() };
    assert_eq!(kind(world.at(SECOND, &foreign, list.clone()).await), FaultKind::NotFound);
    let third = GatewayIdentity { spki_sha256: [3; 32] };
    assert_eq!(kind(world.at(third, &token, list).await), FaultKind::Forbidden);
    world.at(SECOND, &token, place(cluster, 2, 2, None)).await.unwrap();
    assert!(places(&world, SECOND, &token, cluster).await.is_empty());
    let many = ClusterSync {
        leases: vec![LeaseWish { name: "x".to_owned(), fence: None }; 9],
        ..wanting(1, None)
    };
    assert_eq!(kind(world.at(FIRST, &token, many).await), FaultKind::BadRequest);
}

/// Rows of leases stay for their numbers, so nobody may make them without end.
#[tokio::test]
async fn there_are_no_leases_but_those_that_are_known() {
    let world = World::new().await;
    let (_, token) = world.gateway_token("/gateways/prod").await;
    let named = |name: &str| LeaseWish { name: name.to_owned(), fence: None };
    for round in 0..3 {
        let mut leases: Vec<_> = (0..7).map(|no| named(&format!("made-up-{round}-{no}"))).collect();
        leases.push(named(LEASE));
        let reply = world.at(FIRST, &token, ClusterSync { leases, ..wanting(1, None) }).await;
        let held = reply.unwrap().leases;
        assert_eq!(held.iter().map(|held| held.name.as_str()).collect::<Vec<_>>(), [LEASE]);
    }
    let cluster = world.at(FIRST, &token, hello("prod")).await.unwrap().cluster;
    let store = &world.control.store;
    let stored = |name: &str| store.read(|reader| stored::get(reader, cluster, name)).unwrap();
    assert!(stored(LEASE).is_some());
    for name in ["made-up-0-0", "made-up-2-6"] {
        assert_eq!(stored(name), None);
        let made_up = PlacePut { lease: name.to_owned(), ..place(cluster, 1, 1, Some("x")) };
        assert_eq!(kind(world.at(FIRST, &token, made_up).await), FaultKind::Conflict);
    }
}
