//! Whose turn it is: nobody's backlog comes before what others wait for.

use keysherd_plane::credential_leases::{LEASE_PLACES_MAX, LeaseRoom};

use super::*;

/// More than is looked at for one question of ten.
const BACKLOG: usize = 200;

fn take(limit: usize, each: usize, room: &[(ItemId, usize)]) -> LeaseTake {
    let room = room.iter().map(|(place, left)| LeaseRoom { place: *place, left: *left });
    LeaseTake { limit, each, room: room.collect() }
}

async fn taken(world: &World, take: LeaseTake) -> Vec<Uid> {
    let taken = world.ask("", take).await.unwrap();
    taken.work.iter().map(|work| work.lease).collect()
}

/// Another dynamic secret with a target of its own.
async fn another(world: &World, name: &str) -> (ItemId, ItemId) {
    let target = format!("/.targets/db/{name}");
    let id = world.make(&world.admin, &target, super::db()).await.unwrap().id;
    let made = dynamic(named(&target));
    (world.make(&world.admin, &format!("/team/{name}"), made).await.unwrap().id, id)
}

/// A credential of another account, which is due a second after those that there are.
async fn of_another_account(world: &mut World) -> Uid {
    let mut second = world.another_account("second@example.com").await;
    let token = world.login(&second.created.admin_access_id, &second.admin_key).await;
    let token = token.unwrap().token;
    std::mem::swap(&mut world.first, &mut second);
    let theirs = world.make(&token, "/b/theirs", dynamic(TargetChoice::Without)).await.unwrap();
    std::mem::swap(&mut world.first, &mut second);
    world.clock.advance_seconds(1);
    let lease = Uid([4; 16]);
    let handle = "tmp.theirs".to_owned();
    let intend = LeaseIntend { item: theirs.id, target: None, lease, handle, ttl_seconds: LIFE };
    world.ask(&token, intend).await.unwrap();
    world.ask("", LeaseActivate { lease, handle: None, ends: None }).await.unwrap();
    lease
}

#[tokio::test]
async fn a_backlog_of_one_target_keeps_no_other_waiting() {
    let world = World::new().await;
    let ids = world.database().await;
    for _ in 0..BACKLOG {
        world.lease(ids).await;
    }
    world.clock.advance_seconds(1);
    let others = [another(&world, "two").await, another(&world, "three").await];
    let late = [world.lease(others[0]).await, world.lease(others[1]).await];
    world.clock.advance_seconds(LIFE);
    let first = taken(&world, take(10, 0, &[])).await;
    assert!(late.iter().all(|lease| first.contains(lease)), "{first:?}");
    assert_eq!(first.len(), 2 + 3, "and its share of the backlog");
    // What the gateway has no room for stays, without a question being in vain for others.
    let none = taken(&world, take(10, 0, &[(ids.1, 0)])).await;
    assert_eq!(none, [Uid([0; 16]); 0]);
    let by_secret = taken(&world, take(10, 0, &[(ids.0, 0)])).await;
    assert_eq!(by_secret, [Uid([0; 16]); 0]);
    assert_eq!(taken(&world, take(10, 2, &[])).await.len(), 2);
    assert_eq!(taken(&world, take(10, 2, &[(ids.1, 1)])).await.len(), 1);
    assert_eq!(taken(&world, take(10, 2, &[(ids.1, 7), (ids.0, 10)])).await.len(), 7);
    let many = vec![(ids.1, 1); LEASE_PLACES_MAX + 1];
    let refused = world.ask("", take(10, 2, &many)).await;
    assert_eq!(kind(refused), FaultKind::BadRequest);
}

#[tokio::test]
async fn a_backlog_of_one_account_keeps_no_other_waiting() {
    let mut world = World::new().await;
    let mut targets = vec![world.database().await];
    for number in 0..15 {
        targets.push(another(&world, &format!("n{number}")).await);
    }
    for ids in &targets {
        for _ in 0..BACKLOG / 10 {
            world.lease(*ids).await;
        }
    }
    let lease = of_another_account(&mut world).await;
    world.clock.advance_seconds(LIFE);
    let first = taken(&world, take(8, 0, &[])).await;
    assert_eq!((first.len(), first.contains(&lease)), (8, true));
}

#[tokio::test]
async fn who_waits_for_one_place_gets_it_though_others_were_due_before() {
    let mut world = World::new().await;
    let ids = world.database().await;
    for _ in 0..BACKLOG / 2 {
        world.lease(ids).await;
    }
    let lease = of_another_account(&mut world).await;
    world.clock.advance_seconds(LIFE);
    // As a gateway asks whose places are given back one by one.
    let mut before = 0;
    while !taken(&world, take(1, 1, &[])).await.contains(&lease) {
        before += 1;
        assert!(before < BACKLOG / 2, "it comes after all that was due before");
    }
}

#[tokio::test]
async fn what_a_gateway_cannot_open_is_somebody_elses_and_no_attempt() {
    let world = World::new().await;
    let ids = world.database().await;
    let lease = world.lease(ids).await;
    world.clock.advance_seconds(LIFE);
    for _ in 0..20 {
        let taken = world.take_leases().await;
        assert_eq!(taken.work[0].attempt, 1, "what was not tried does not count");
        let failed = Some("the keys are another cluster's".to_owned());
        let result = LeaseResult { lease, attempt: 1, failed, untried: true };
        world.ask("", LeaseReport { results: vec![result] }).await.unwrap();
        assert!(world.take_leases().await.work.is_empty());
        let listed = &world.leases().await[0];
        assert_eq!((listed.attempts, listed.state), (0, LeaseState::Revoking));
        assert!(listed.last_error.contains("another cluster"), "people see why");
        world.clock.advance_seconds(1);
    }
    let other = world.at(OTHER, "", LeaseTake { limit: 10, each: 0, room: Vec::new() }).await;
    let other = other.unwrap();
    assert_eq!(other.work.len(), 1);
    // Whoever does not have it says nothing of it.
    let stolen = LeaseResult { lease, attempt: 1, failed: Some("no".to_owned()), untried: true };
    world.ask("", LeaseReport { results: vec![stolen] }).await.unwrap();
    assert_eq!(world.leases().await[0].attempts, 1);
}

#[tokio::test]
async fn what_may_come_late_is_looked_for_a_second_time() {
    let world = World::new().await;
    let ids = world.database().await;
    let (lease, _) = world.intend(&world.admin, ids).await;
    world.ask("", LeaseAbandon { lease, touched: false, late: true }).await.unwrap();
    let taken = world.take_leases().await;
    world.report(&taken, None).await;
    assert_eq!(world.end_leases(LeaseChoice::All, true).await.unwrap(), 1);
    assert_eq!(world.take_leases().await.work.len(), 0);
    world.clock.advance_seconds(AGAIN_SECONDS);
    let taken = world.take_leases().await;
    assert_eq!(taken.work.len(), 1);
    world.report(&taken, None).await;
    assert!(world.leases().await.is_empty());
}
