//! Credentials that somebody has alone for a while, sessions that end, and old ones that stay.

use keysherd_domain::item::ItemState;
use keysherd_domain::role::RuleKind;
use keysherd_plane::items::{ItemLockSet, ItemStateSet, ItemUnlock};

use super::*;
use crate::testing::rule;

fn alone() -> MadeRotated {
    let schedule = Schedule { automatic: false, ..rotated().schedule };
    let check_out = Some(CheckOut { lock_minutes: 10, rotate_on_unlock: true });
    MadeRotated { schedule, check_out, ..rotated() }
}

#[tokio::test]
async fn one_at_a_time_reads_and_what_was_read_ends_with_the_lock() {
    let world = World::new().await;
    world.rotating(alone()).await;
    let may = rule(RuleKind::Item, "/team/*", "read,list,update");
    let may = [may];
    let (one, two) = (world.user("one", &may).await, world.user("two", &may).await);
    let early = world.read_credentials(&one, None).await.unwrap_err();
    assert_eq!((early.kind(), early.code()), (FaultKind::Conflict, "CheckOutFirst"));
    let check_out = || RotatedCheckOut { item: item(SECRET) };
    let until = world.ask(&one, check_out()).await.unwrap().until.unwrap();
    assert_eq!(until, world.now().plus_seconds(600));
    assert_eq!(world.read_credentials(&one, None).await.unwrap()[0].1, 1);
    let refused = world.read_credentials(&two, None).await.unwrap_err();
    // Whether they are in force may be found out, as nobody is shown them.
    world.open(&two, SECRET, keysherd_plane::grants::Purpose::Check).await.unwrap();
    assert_eq!((refused.kind(), refused.code()), (FaultKind::Forbidden, "ItemLocked"));
    let refused = world.ask(&two, check_out()).await.unwrap_err();
    assert_eq!(refused.code(), "ItemLocked");
    assert_eq!(world.begin(&two, Reason::Manual).await.err().unwrap().code(), "ItemLocked");
    // Reading again does not make it longer.
    world.clock.advance_seconds(60);
    assert_eq!(world.ask(&one, check_out()).await.unwrap().until, Some(until));
    assert_eq!(world.nothing_due(GATEWAY).await, Some(540_000));

    world.ask(&one, ItemUnlock { path: item(SECRET) }).await.unwrap();
    let work = world.take_one(GATEWAY).await;
    assert_eq!(work.work.task, Task::Change(Reason::Unlock));
    world.finish(&work).await;
    world.ask(&two, check_out()).await.unwrap();
    assert_eq!(world.read_credentials(&two, None).await.unwrap()[0].1, 2);
    // Nobody gives it back: it changes when the time is over.
    world.clock.advance_seconds(600);
    let work = world.take_one(GATEWAY).await;
    assert_eq!(work.work.task, Task::Change(Reason::Unlock));
    world.finish(&work).await;
    assert_eq!(world.records_of("check_out_item").len(), 4);
    assert_eq!(world.nothing_due(GATEWAY).await, None);
}

#[tokio::test]
async fn a_lock_puts_a_rotation_off_and_unlocking_goes_on_with_it() {
    let world = World::new().await;
    world.rotating(rotated()).await;
    world.clock.advance_seconds(HOUR - 60);
    let token = world.now_token().await;
    let lock = ItemLockSet { path: item(SECRET), read: false, update: true, ttl_minutes: 30 };
    world.ask(&token, lock).await.unwrap();
    world.clock.advance_seconds(60);
    assert_eq!(world.nothing_due(GATEWAY).await, Some(29 * 60_000));
    world.ask(&token, ItemUnlock { path: item(SECRET) }).await.unwrap();
    let work = world.take_one(GATEWAY).await;
    assert_eq!(work.work.task, Task::Change(Reason::Scheduled));
    world.finish(&work).await;
    assert_eq!(world.nothing_due(GATEWAY).await, Some(HOUR * 1_000), "and not once more");
}

#[tokio::test]
async fn disabled_ones_rest_but_what_was_begun_is_brought_to_its_end() {
    let world = World::new().await;
    world.rotating(rotated()).await;
    let set = |state| ItemStateSet { path: item(SECRET), version: None, state };
    world.ask(&world.admin, set(ItemState::Disabled)).await.unwrap();
    world.clock.advance_seconds(HOUR);
    assert_eq!(world.nothing_due(GATEWAY).await, Some(900_000));
    let token = world.now_token().await;
    assert_eq!(kind(world.begin(&token, Reason::Manual).await.map(drop)), FaultKind::Forbidden);
    world.ask(&token, set(ItemState::Enabled)).await.unwrap();
    world.clock.advance_seconds(900);
    let work = world.take_one(GATEWAY).await;
    world.store_new(&work).await.unwrap();
    world.ask(&world.now_token().await, set(ItemState::Disabled)).await.unwrap();
    world.clock.advance_seconds(WORK_SECONDS);
    let work = world.take_one(OTHER).await;
    world.tell(&work, changed()).await.unwrap();
    assert_eq!(world.versions(SECRET).await, [2, 1]);
}

#[tokio::test]
async fn a_session_that_ends_has_credentials_changed_where_that_is_set_up() {
    let world = World::new().await;
    world.rotating(MadeRotated { check_out: None, ..alone() }).await;
    let ended = || RotatedDisconnect { item: item(SECRET) };
    world.ask(&world.admin, ended()).await.unwrap();
    assert_eq!(world.nothing_due(GATEWAY).await, None);
    let hooked = MadeRotated { check_out: None, after_disconnect: true, ..alone() };
    world.record_made(&world.admin, hooked).await.unwrap();
    world.ask(&world.admin, ended()).await.unwrap();
    let work = world.take_one(GATEWAY).await;
    assert_eq!(work.work.task, Task::Change(Reason::Disconnect));
    // Another one ends while it is under way.
    world.clock.advance_seconds(1);
    world.ask(&world.admin, ended()).await.unwrap();
    world.finish(&work).await;
    let again = world.take_one(GATEWAY).await;
    world.finish(&again).await;
    assert_eq!(world.nothing_due(GATEWAY).await, None);
    let free = world.ask(&world.admin, RotatedCheckOut { item: item(SECRET) }).await.unwrap();
    assert_eq!(free.until, None, "it is not locked by reading");
}

#[tokio::test]
async fn old_credentials_stay_for_a_while_and_are_removed() {
    let world = World::new().await;
    let schedule = Schedule { interval: Interval::Days(10), ..rotated().schedule };
    let grace = Some(Grace { days: 2, before: false, hour: None });
    world.rotating(MadeRotated { schedule, grace, ..rotated() }).await;
    let parts =
        keysherd_plane::items::ItemUpdateParts { max_versions: Some(1), ..Default::default() };
    let update = keysherd_plane::items::ItemUpdate { path: item(SECRET), parts };
    world.ask(&world.admin, update).await.unwrap();
    let work = world.begin(&world.admin, Reason::Manual).await.unwrap();
    world.finish(&work).await;
    assert_eq!(world.versions(SECRET).await, [2, 1], "it is needed to remove what it has");
    world.clock.advance_seconds(2 * 24 * HOUR);
    let work = world.take_one(GATEWAY).await;
    assert_eq!((work.work.task, work.work.write), (Task::Retire(1), None));
    let numbers: Vec<_> = work.work.items[0].versions.iter().map(|one| one.version).collect();
    assert_eq!(numbers, [2, 1]);
    assert_eq!(kind(world.tell(&work, changed()).await), FaultKind::BadRequest);
    world.tell(&work, unchanged("the cloud said no")).await.unwrap();
    world.clock.advance_seconds(10);
    let work = world.take_one(OTHER).await;
    world.tell(&work, RotationResult::Retired).await.unwrap();
    assert_eq!(world.standing().await.outcome, Outcome::Failed, "that it came late is known");
    assert!(!world.standing().await.under_way);
}

#[tokio::test]
async fn people_are_told_days_before_credentials_change() {
    let world = World::new().await;
    let schedule = Schedule { interval: Interval::Days(10), ..rotated().schedule };
    world.rotating(MadeRotated { schedule, notices: vec![2, 1], ..rotated() }).await;
    let next = world.standing().await.next.unwrap();
    let days = |days: i64| (next.plus_seconds(-days * 24 * HOUR)).millis_since(world.now());
    let first = days(2);
    assert_eq!(world.nothing_due(GATEWAY).await, Some(first));
    assert!(world.records_of("next-automatic-rotation").is_empty());
    world.clock.advance_seconds(first / 1_000);
    assert_eq!(world.nothing_due(GATEWAY).await, Some(24 * HOUR * 1_000), "that is no work");
    assert_eq!(world.nothing_due(OTHER).await, Some(24 * HOUR * 1_000));
    let told = world.records_of("next-automatic-rotation");
    assert_eq!(told.len(), 1);
    let date = next.rfc3339();
    let names_it = |record: &Record| {
        record.draft.params.iter().any(|param| format!("{param:?}").contains(&date))
    };
    assert!(names_it(&told[0]), "{told:?}");
    // Nobody asked for two days.
    world.clock.advance_seconds(2 * 24 * HOUR);
    let work = world.take_one(GATEWAY).await;
    assert_eq!(work.work.task, Task::Change(Reason::Scheduled));
    assert_eq!(world.records_of("next-automatic-rotation").len(), 2);
    world.finish(&work).await;
}
