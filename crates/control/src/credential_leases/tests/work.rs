//! The work of removing: failures, giving up, turns, and the death of whoever does it.

use keysherd_domain::credential_lease::ATTEMPTS_MAX;
use keysherd_store::audit;

use super::*;
use crate::testing::exchange;

#[tokio::test]
async fn a_target_that_refuses_is_tried_later_and_later_and_then_left_to_people() {
    let world = World::new().await;
    let ids = world.database().await;
    let lease = world.lease(ids).await;
    world.clock.advance_seconds(LIFE);
    for attempt in 1..=ATTEMPTS_MAX {
        let taken = world.take_leases().await;
        assert_eq!(taken.work[0].attempt, attempt);
        world.report(&taken, Some("28000: the password was refused")).await;
        let listed = &world.leases().await[0];
        assert_eq!(listed.last_error, "28000: the password was refused");
        if let Some(millis) = world.take_leases().await.next_due_millis {
            world.clock.advance_seconds(millis / 1_000);
        }
    }
    let listed = &world.leases().await[0];
    assert_eq!((listed.state, listed.attempts), (LeaseState::Quarantined, ATTEMPTS_MAX));
    world.clock.advance_seconds(1_000_000);
    let none = world.take_leases().await;
    assert_eq!((none.work.len(), none.next_due_millis), (0, None));
    let [event] = &world.recorded("dynamic-secret-failure")[..] else { panic!("one event") };
    let told = event.draft.params.iter().filter_map(|param| param.value());
    assert!(told.into_iter().any(|value| value == lease.to_string()));
    let attempts = world.recorded("remove_temporary_credential");
    assert_eq!(attempts.len(), usize::try_from(ATTEMPTS_MAX).unwrap());

    let which = LeaseChoice::One(lease);
    let revoke = LeaseRevoke { item: item(SECRET), which, soft: false };
    world.ask(&world.fresh_token().await, revoke).await.unwrap();
    let taken = world.take_leases().await;
    assert_eq!(taken.work[0].attempt, 1, "by hand it begins anew");
    world.report(&taken, None).await;
    let none = world.take_leases().await;
    assert_eq!((none.work.len(), none.next_due_millis), (0, None));
}

#[tokio::test]
async fn credentials_of_one_target_do_not_keep_others_waiting() {
    let world = World::new().await;
    let ids = world.database().await;
    let second = "/.targets/db/two";
    let target = world.make(&world.admin, second, super::db()).await.unwrap().id;
    let secret = world.make(&world.admin, "/team/two", dynamic(named(second))).await.unwrap().id;
    for _ in 0..30 {
        world.lease(ids).await;
    }
    world.clock.advance_seconds(1);
    let late = world.lease((secret, target)).await;
    world.clock.advance_seconds(LIFE);
    let taken = world.take_leases().await;
    let of_first = taken.work.iter().filter(|work| work.lease != late).count();
    assert_eq!((taken.work.len(), of_first), (4, 3), "a quarter of what was asked for");
    assert_eq!(taken.opened.len(), 2);
    assert_eq!(taken.next_due_millis, Some(0), "there is more");
    // All of them come to their turn, each once.
    let mut seen: std::collections::BTreeSet<_> = taken.work.iter().map(|w| w.lease).collect();
    loop {
        let more = world.take_leases().await;
        if more.work.is_empty() {
            break;
        }
        assert!(more.work.iter().all(|work| seen.insert(work.lease)));
    }
    assert_eq!(seen.len(), 31);
}

#[tokio::test]
async fn whoever_takes_and_dies_is_followed_by_another_one() {
    let world = World::new().await;
    let ids = world.database().await;
    world.lease(ids).await;
    world.clock.advance_seconds(LIFE);
    assert_eq!(world.take_leases().await.work.len(), 1);
    assert!(
        world
            .at(OTHER, "", LeaseTake { limit: 10, each: 0, room: Vec::new() })
            .await
            .unwrap()
            .work
            .is_empty()
    );
    world.clock.advance_seconds(work_seconds(1));
    let taken =
        world.at(OTHER, "", LeaseTake { limit: 10, each: 0, room: Vec::new() }).await.unwrap();
    assert_eq!(taken.work.len(), 1);
    let results =
        vec![LeaseResult { lease: taken.work[0].lease, attempt: 2, failed: None, untried: false }];
    world.at(OTHER, "", LeaseReport { results }).await.unwrap();
    assert!(world.leases().await.is_empty());
}

#[tokio::test]
async fn the_newest_settings_remove_what_older_ones_made() {
    let world = World::new().await;
    let ids = world.database().await;
    world.lease(ids).await;
    let new = crate::items::testing::new_value(SECRET, Some(true), None);
    let place = world.place(&world.admin, new).await.unwrap();
    let made = Some(dynamic(TargetChoice::Same));
    world.record_as(&world.admin, SECRET, &place, made).await.unwrap();
    world.clock.advance_seconds(LIFE);
    let taken = world.take_leases().await;
    let items = &taken.opened[0].items;
    assert_eq!((items[0].versions[0].version, items[1].id), (2, ids.1));
    assert_eq!(taken.opened[0].manifests.len(), 2, "nobody is there to ask for them");
}

#[tokio::test]
async fn nothing_moves_away_from_its_credentials() {
    let world = World::new().await;
    let ids = world.database().await;
    let second = "/.targets/db/two";
    world.make(&world.admin, second, super::db()).await.unwrap();
    let lease = world.lease(ids).await;
    let put = async |path: &str, made, moved| {
        let new = crate::items::testing::new_value(path, Some(true), None);
        let place = world.place(&world.admin, new).await.unwrap();
        world.record_moved(&world.admin, path, &place, (Some(made), moved)).await
    };
    let moves = [
        (SECRET, dynamic(named(second)), false),
        (SECRET, dynamic(TargetChoice::Without), false),
        (SECRET, dynamic(TargetChoice::Same), true),
        (TARGET, super::db(), true),
    ];
    for (path, made, moved) in moves.clone() {
        let refused = put(path, made, moved).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code()), (FaultKind::Conflict, "LeasesLeft"));
    }
    put(SECRET, dynamic(named(TARGET)), false).await.unwrap();
    put(TARGET, super::db(), false).await.unwrap();
    world.end_leases(LeaseChoice::One(lease), true).await.unwrap();
    for (path, made, moved) in moves {
        put(path, made, moved).await.unwrap();
    }
}

#[tokio::test]
async fn what_somebody_is_making_is_not_forgotten() {
    let world = World::new().await;
    let ids = world.database().await;
    let (lease, intended) = world.intend(&world.admin, ids).await;
    intended.unwrap();
    for which in [LeaseChoice::All, LeaseChoice::One(lease)] {
        assert_eq!(world.end_leases(which, true).await.unwrap(), 1);
    }
    let activated = world.ask("", LeaseActivate { lease, handle: None, ends: None }).await;
    assert_eq!(kind(activated), FaultKind::Conflict, "nobody gets it any more");
    world.clock.advance_seconds(INTENT_SECONDS);
    assert_eq!(world.take_leases().await.work.len(), 1, "what may have become of it is removed");
}

#[tokio::test]
async fn two_control_planes_over_one_store_hand_out_each_credential_once() {
    let world = World::new().await.sharing();
    let ids = world.database().await;
    for _ in 0..3 {
        world.lease(ids).await;
    }
    world.clock.advance_seconds(LIFE);
    let other = world.another_node();
    let ask = async |control: &crate::Control, gateway| {
        let plane = control.plane_for(gateway);
        plane
            .ask(world.caller(""), LeaseTake { limit: 4, each: 0, room: Vec::new() })
            .await
            .unwrap()
    };
    let mut seen = std::collections::BTreeSet::new();
    loop {
        let (here, there) = tokio::join!(ask(&world.control, GATEWAY), ask(&other, OTHER));
        let both = [here.work, there.work].concat();
        if both.is_empty() {
            break;
        }
        assert!(both.iter().all(|work| seen.insert(work.lease)), "one was handed out twice");
    }
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn an_account_with_a_damaged_log_keeps_nobody_elses_credentials_waiting() {
    let mut world = World::new().await;
    let mut second = world.another_account("second@example.com").await;
    let token = world.login(&second.created.admin_access_id, &second.admin_key).await;
    let token = token.unwrap().token;
    std::mem::swap(&mut world.first, &mut second);
    let theirs = world.make(&token, "/b/theirs", dynamic(TargetChoice::Without)).await.unwrap();
    std::mem::swap(&mut world.first, &mut second);
    let lease = Uid([4; 16]);
    let intend = LeaseIntend {
        item: theirs.id,
        target: None,
        lease,
        handle: "tmp.theirs".to_owned(),
        ttl_seconds: LIFE,
    };
    world.ask(&token, intend).await.unwrap();
    world.ask("", LeaseActivate { lease, handle: None, ends: None }).await.unwrap();
    let ids = world.database().await;
    let mine = world.lease(ids).await;
    let head = world.control.store.read(|reader| audit::head(reader, second.id));
    let genuine = head.unwrap().unwrap().signature;
    let mut forged = genuine;
    forged[9] ^= 1;

    let world = world.reopened(|home| exchange(home, &genuine, &forged));
    world.clock.advance_seconds(LIFE);
    let taken = world.take_leases().await;
    assert_eq!(taken.work.iter().map(|work| work.lease).collect::<Vec<_>>(), [mine]);
    world.report(&taken, None).await;
    assert!(world.leases().await.is_empty());
    // It is not forgotten, and not counted as tried.
    let stored = world.control.store.read(|q| keysherd_store::credential_leases::get(q, lease));
    let kept = stored.unwrap().unwrap().lease;
    assert_eq!((kept.state, kept.attempts), (LeaseState::Active, 0));
    assert!(kept.due.unwrap() > world.now());

    let world = world.reopened(|home| exchange(home, &forged, &genuine));
    world.clock.advance_seconds(900);
    assert_eq!(world.take_leases().await.work.len(), 1, "its log is in order again");
}
