//! Gateways that die between any two steps: whoever follows goes on with what is stored.

use keysherd_domain::credential_rotation::{HELD_SECONDS_MAX, QUIET_SECONDS};
use keysherd_plane::items::{ItemUpdate, ItemUpdateParts};

use super::*;

#[tokio::test]
async fn nothing_is_left_of_who_dies_before_storing_anything() {
    let world = World::new().await;
    world.rotating(rotated()).await;
    world.clock.advance_seconds(HOUR);
    let dead = world.take_one(GATEWAY).await;
    assert_eq!(world.nothing_due(OTHER).await, Some(WORK_SECONDS * 1_000));
    world.clock.advance_seconds(WORK_SECONDS);
    let second = world.take_one(OTHER).await;
    assert_eq!((second.work.attempt, second.work.write.unwrap().is_stored), (2, false));
    world.clock.advance_seconds(WORK_SECONDS);
    // Two of them may have a reason, so they are not followed at once.
    let pause = world.nothing_due(OTHER).await.unwrap();
    assert!((10_000..=20_000).contains(&pause), "{pause}");
    assert_eq!(world.records_of("rotated-secret-failure").len(), 1);
    world.clock.advance_seconds(pause / 1_000);
    let follower = world.take_one(OTHER).await;
    assert_eq!((follower.work.attempt, follower.work.write.unwrap().is_stored), (3, false));
    let late = world.store_new(&dead).await.unwrap_err();
    assert_eq!((late.kind(), late.code()), (FaultKind::Conflict, "RotationTaken"));
    world.finish(&follower).await;
    assert_eq!(world.versions(SECRET).await, [2, 1]);
}

#[tokio::test]
async fn who_follows_gets_the_stored_credentials_and_brings_them_to_an_end() {
    let world = World::new().await;
    world.rotating(rotated()).await;
    world.clock.advance_seconds(HOUR);
    let dead = world.take_one(GATEWAY).await;
    world.store_new(&dead).await.unwrap();
    world.clock.advance_seconds(WORK_SECONDS);
    let follower = world.take_one(OTHER).await;
    let write = follower.work.write.unwrap();
    assert!(write.is_stored && !write.store_again);
    let numbers: Vec<_> = follower.work.items[0].versions.iter().map(|one| one.version).collect();
    assert_eq!(numbers, [1, 2], "both, to find out which one signs in");
    for late in [changed(), unchanged("x"), refused("x"), unknown("x"), RotationResult::Retired] {
        let fault = world.tell(&dead, late).await.unwrap_err();
        assert_eq!(fault.code(), "RotationTaken");
    }
    assert_eq!(world.versions(SECRET).await, [1]);
    world.tell(&follower, changed()).await.unwrap();
    assert_eq!(world.versions(SECRET).await, [2, 1]);
    // The dead one may be a frozen one: nothing else is set until it has surely given up.
    let quiet = world.begin(&world.now_token().await, Reason::Manual).await.err().unwrap();
    assert!(quiet.public().contains("not heard of again"), "{quiet}");
    world.clock.advance_seconds(QUIET_SECONDS);
    let work = world.begin(&world.now_token().await, Reason::Manual).await.unwrap();
    world.finish(&work).await;
    assert_eq!(world.versions(SECRET).await, [3, 2, 1]);
}

#[tokio::test]
async fn whom_the_target_refuses_is_not_tried_again_soon() {
    let world = World::new().await;
    world.rotating(rotated()).await;
    world.clock.advance_seconds(HOUR);
    let work = world.take_one(GATEWAY).await;
    world.store_new(&work).await.unwrap();
    world.tell(&work, refused("wrong password")).await.unwrap();
    let standing = world.standing().await;
    assert_eq!((standing.outcome, standing.under_way), (Outcome::Failed, false));
    assert_eq!(standing.last_error, "wrong password");
    world.clock.advance_seconds(HOUR - 1);
    world.nothing_due(OTHER).await;
    world.clock.advance_seconds(1);
    let work = world.take_one(OTHER).await;
    assert!(!work.work.write.unwrap().is_stored, "what was stored is dropped: nobody set it");
}

#[tokio::test]
async fn a_target_that_does_not_answer_is_asked_until_it_does() {
    let world = World::new().await;
    world.rotating(rotated()).await;
    world.clock.advance_seconds(HOUR);
    let work = world.take_one(GATEWAY).await;
    world.store_new(&work).await.unwrap();
    world.tell(&work, unknown("no answer")).await.unwrap();
    let mut rounds = 0;
    while rounds < 30 {
        let pause = world.nothing_due(GATEWAY).await.unwrap();
        assert!(pause <= HOUR * 1_000);
        world.clock.advance_seconds(pause.div_euclid(1_000));
        let again = world.take_one(GATEWAY).await;
        assert!(again.work.write.unwrap().is_stored);
        world.tell(&again, unknown("no answer")).await.unwrap();
        rounds += 1;
    }
    let standing = world.standing().await;
    assert!(standing.under_way && standing.outcome == Outcome::Failed);
    assert_eq!(world.records_of("rotated-secret-failure").len(), rounds + 1);
    // Nothing that would lose one of the two is possible meanwhile.
    let token = world.now_token().await;
    let put = world.record_made(&token, rotated()).await.unwrap_err();
    assert_eq!(put.code(), "RotationUnderWay");
    // By hand it is tried at once, and the target answers by now.
    let work = world.begin(&token, Reason::Manual).await.unwrap();
    assert!(work.work.write.unwrap().is_stored);
    world.tell(&work, changed()).await.unwrap();
    assert!(!world.standing().await.under_way);
}

#[tokio::test]
async fn what_was_stored_under_another_path_is_stored_again() {
    let world = World::new().await;
    world.rotating(rotated()).await;
    world.clock.advance_seconds(HOUR);
    let work = world.take_one(GATEWAY).await;
    world.store_new(&work).await.unwrap();
    let token = world.now_token().await;
    let rename = |from: &str, to: &str| {
        let parts = ItemUpdateParts { new_path: Some(item(to)), ..ItemUpdateParts::default() };
        ItemUpdate { path: item(from), parts }
    };
    world.ask(&token, rename(SECRET, "/team/renamed")).await.unwrap();
    let refused = world.tell(&work, changed()).await.unwrap_err();
    assert_eq!(refused.code(), "RotationRenamed");
    world.tell(&work, unknown("renamed")).await.unwrap();
    world.ask(&token, rename("/team/renamed", "/team/again")).await.unwrap();
    world.clock.advance_seconds(10);
    let again = world.take_one(OTHER).await;
    let write = again.work.write.unwrap();
    assert!(write.is_stored && write.store_again && again.salt != work.salt);
    assert_eq!(again.work.items[0].path.as_str(), "/team/again");
    world.finish(&again).await;
    assert_eq!(world.versions("/team/again").await, [2, 1]);
}

#[tokio::test]
async fn slow_work_is_prolonged_for_a_while() {
    let world = World::new().await;
    let item = world.rotating(rotated()).await.id;
    world.clock.advance_seconds(HOUR);
    let work = world.take_one(GATEWAY).await;
    let attempt = work.work.attempt;
    let mut held = 0;
    while held + 20 < HELD_SECONDS_MAX {
        world.clock.advance_seconds(20);
        held += 20;
        world.ask("", RotationHold { item, attempt }).await.unwrap();
        world.nothing_due(OTHER).await;
    }
    world.clock.advance_seconds(20);
    let over = world.ask("", RotationHold { item, attempt }).await;
    assert_eq!(kind(over), FaultKind::Conflict);
    assert_eq!(kind(world.store_new(&work).await), FaultKind::Conflict, "its time is over");
}

#[tokio::test]
async fn hosts_that_refuse_are_left_alone_for_an_hour() {
    let world = World::new().await;
    world.rotating(rotated()).await;
    let work = world.begin(&world.admin, Reason::Manual).await.unwrap();
    world.store_new(&work).await.unwrap();
    let partly = "web1:22: wrong password".to_owned();
    world.tell(&work, RotationResult::ChangedOrRefused { partly }).await.unwrap();
    let standing = world.standing().await;
    assert_eq!(
        (standing.outcome, standing.last_error.as_str()),
        (Outcome::Partly, "web1:22: wrong password")
    );
    assert_eq!(world.versions(SECRET).await, [2, 1], "the others have theirs");
    world.clock.advance_seconds(HOUR - 1);
    world.nothing_due(OTHER).await;
}
