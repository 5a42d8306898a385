//! Rotation: two phases, lost answers, theft.

use keysherd_audit::action;
use keysherd_base::FaultKind;
use keysherd_domain::uid::UidSettings;

use crate::testing::{World, kind};

#[tokio::test]
async fn the_first_use_of_the_new_value_ends_the_old_one() {
    let world = World::new().await;
    let old = world.uid_root(UidSettings::default()).await;
    let new = world.rotate(&old).await.unwrap();
    assert!(world.lets_in(&old).await, "requests under way go on");
    assert!(world.lets_in(&new).await);
    let text = world.refusal(&old).await;
    assert!(text.contains("just rotated"), "{text}");
    assert!(world.lets_in(&new).await);
    assert_eq!(world.count(action::UID_TOKEN_REUSE), 0);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again() {
    let world = World::new().await;
    let old = world.uid_root(UidSettings::default()).await;
    let lost = world.rotate(&old).await.unwrap();
    world.clock.advance_seconds(600);
    let text = world.refusal(&old).await;
    assert!(text.contains("rotate again"), "{text}");
    let new = world.rotate(&old).await.unwrap();
    assert!(!world.lets_in(&lost).await, "it was given up");
    assert!(world.lets_in(&new).await);
    assert_eq!(world.count(action::UID_TOKEN_REUSE), 0);
}

#[tokio::test]
async fn never_are_two_values_good_after_the_grace() {
    let world = World::new().await;
    let old = world.uid_root(UidSettings::default()).await;
    let new = world.rotate(&old).await.unwrap();
    world.clock.advance_seconds(300);
    assert!(!world.lets_in(&old).await);
    assert!(world.lets_in(&new).await);
    let newer = world.rotate_manually(&new).await.unwrap();
    assert!(world.lets_in(&newer).await, "it can be tried out");
    world.clock.advance_seconds(300);
    assert!(!world.lets_in(&newer).await);
    assert!(world.lets_in(&new).await);
}

#[tokio::test]
async fn a_manual_rotation_takes_effect_when_it_is_acknowledged() {
    let world = World::new().await;
    let old = world.uid_root(UidSettings::default()).await;
    let new = world.rotate_manually(&old).await.unwrap();
    assert!(world.lets_in(&new).await && world.lets_in(&old).await);
    assert_eq!(kind(world.rotate(&new).await), FaultKind::Conflict);
    world.clock.advance_seconds(1_000);
    world.acknowledge(&old, &new).await.unwrap();
    world.acknowledge(&old, &new).await.unwrap();
    assert!(world.lets_in(&new).await && !world.lets_in(&old).await);
    // Also long after, and after a restart: the answer may have been lost.
    let world = world.restarted();
    world.clock.advance_seconds(1_000);
    world.acknowledge(&old, &new).await.unwrap();
    assert!(world.lets_in(&new).await);
    assert_eq!(world.count(action::UID_TOKEN_REUSE), 0);
}

#[tokio::test]
async fn an_acknowledgment_needs_both_values_of_one_rotation() {
    let world = World::new().await;
    let old = world.uid_root(UidSettings::default()).await;
    let child = world.child_of(&old).await.unwrap();
    let given_up = world.rotate_manually(&old).await.unwrap();
    let new = world.rotate_manually(&old).await.unwrap();
    for (old, new) in [(&old, &child), (&old, &world.admin), (&child, &new)] {
        assert_eq!(kind(world.acknowledge(old, new).await), FaultKind::Unauthorized);
    }
    for new in [&given_up, &old] {
        assert_eq!(kind(world.acknowledge(&old, new).await), FaultKind::Conflict);
    }
    assert_eq!(kind(world.acknowledge("", &new).await), FaultKind::Unauthorized);
    world.acknowledge(&old, &new).await.unwrap();
}

#[tokio::test]
async fn the_use_of_a_rotated_out_value_costs_its_branch() {
    let world = World::new().await;
    let root = world.uid_root(UidSettings::default()).await;
    let stolen = world.child_of(&root).await.unwrap();
    let sibling = world.child_of(&root).await.unwrap();
    let below = world.child_of(&stolen).await.unwrap();
    let new = world.rotate(&stolen).await.unwrap();
    assert!(world.lets_in(&new).await);
    world.clock.advance_seconds(60);
    let text = world.refusal(&stolen).await;
    assert!(text.contains("stolen"), "{text}");
    let text = world.refusal(&new).await;
    assert!(text.contains("revoked"), "{text}");
    assert!(!world.lets_in(&below).await);
    assert!(world.lets_in(&root).await && world.lets_in(&sibling).await);
    assert_eq!(world.count(action::UID_TOKEN_REUSE), 1);
    assert!(!world.lets_in(&stolen).await);
    assert_eq!(world.count(action::UID_TOKEN_REUSE), 1, "one event for one theft");
    let records = world.records();
    let event = records.iter().find(|it| it.draft.action == action::UID_TOKEN_REUSE).unwrap();
    assert_eq!(event.draft.params[0].value(), Some(&*event.draft.unique_id));
    assert_eq!(event.draft.access_type, "universal_identity");
}

#[tokio::test]
async fn a_thief_who_rotates_first_is_found_out_by_the_holder() {
    let world = World::new().await;
    let stolen = world.uid_root(UidSettings::default()).await;
    let of_thief = world.rotate(&stolen).await.unwrap();
    assert!(world.lets_in(&of_thief).await);
    world.clock.advance_seconds(120);
    assert_eq!(kind(world.rotate(&stolen).await), FaultKind::Unauthorized);
    assert!(!world.lets_in(&of_thief).await, "the thief has nothing any more");
    assert_eq!(world.count(action::UID_TOKEN_REUSE), 1);
}

#[tokio::test]
async fn values_end_unless_they_are_rotated() {
    let world = World::new().await;
    let settings = UidSettings { ttl_minutes: 10, ..UidSettings::default() };
    let first = world.uid_root(settings).await;
    world.clock.advance_seconds(599);
    let second = world.rotate(&first).await.unwrap();
    assert!(world.lets_in(&second).await);
    world.clock.advance_seconds(599);
    assert!(world.lets_in(&second).await);
    world.clock.advance_seconds(1);
    let text = world.refusal(&second).await;
    assert!(text.contains("expired"), "{text}");
    assert_eq!(kind(world.rotate(&second).await), FaultKind::Unauthorized);
}

#[tokio::test]
async fn what_must_not_rotate_does_not() {
    let world = World::new().await;
    let settings = UidSettings { deny_rotate: true, ..UidSettings::default() };
    let root = world.uid_root(settings).await;
    assert_eq!(kind(world.rotate(&root).await), FaultKind::Forbidden);
    let child = world.child_of(&root).await.unwrap();
    world.rotate(&child).await.unwrap();
    assert_eq!(kind(world.rotate(&world.admin).await), FaultKind::Unauthorized);
}

#[tokio::test]
async fn only_genuine_values_are_taken_for_reuse() {
    let world = World::new().await;
    let root = world.uid_root(UidSettings::default()).await;
    let new = world.rotate(&root).await.unwrap();
    assert!(world.lets_in(&new).await);
    world.clock.advance_seconds(120);
    // Digits of the number, of the secret and of the tag.
    for at in [25, 60, 120] {
        let mut forged: Vec<char> = root.chars().collect();
        forged[at] = if forged[at] == '0' { '1' } else { '0' };
        let forged: String = forged.into_iter().collect();
        assert!(!world.lets_in(&forged).await);
    }
    for bad in ["u-", "u-00", &root.to_uppercase(), &format!("{root}0")] {
        assert!(!world.lets_in(bad).await, "{bad}");
    }
    assert!(world.lets_in(&new).await);
    assert_eq!(world.count(action::UID_TOKEN_REUSE), 0);
}
