//! Gateways that speak for others, credentials that were never stored, and what nobody may say.

use keysherd_base::Uid;
use keysherd_plane::items::{DeleteVersions, ItemDelete, ItemStateSet};

use super::*;

#[tokio::test]
async fn another_gateway_neither_stores_nor_prolongs_nor_reports() {
    let world = World::new().await;
    let item = world.rotating(rotated()).await.id;
    world.clock.advance_seconds(HOUR);
    let work = world.take_one(GATEWAY).await;
    let attempt = work.work.attempt;
    let foreign = |fault: Fault| assert_eq!(fault.code(), "RotationTaken");
    foreign(world.at(OTHER, "", RotationHold { item, attempt }).await.unwrap_err());
    foreign(world.at(OTHER, "", world.sealed(&work)).await.unwrap_err());
    world.store_new(&work).await.unwrap();
    for result in [changed(), unchanged("x"), unknown("x")] {
        let report = RotationReport { item, attempt, result };
        foreign(world.at(OTHER, "", report).await.unwrap_err());
    }
    // Nor does an administrator's token help, nor another number or item.
    let report = |item, attempt| RotationReport { item, attempt, result: changed() };
    foreign(world.at(OTHER, &world.now_token().await, report(item, attempt)).await.unwrap_err());
    for attempt in [0, attempt + 1, u32::MAX] {
        foreign(world.ask("", report(item, attempt)).await.unwrap_err());
    }
    for item in [ItemId(0), ItemId(item.0 - 1), ItemId(i64::MAX)] {
        foreign(world.ask("", report(item, attempt)).await.unwrap_err());
    }
    assert_eq!(world.versions(SECRET).await, [1]);
    world.tell(&work, changed()).await.unwrap();
    foreign(world.tell(&work, changed()).await.unwrap_err());
    assert_eq!(world.versions(SECRET).await, [2, 1]);
}

#[tokio::test]
async fn what_was_never_stored_does_not_come_into_force() {
    let world = World::new().await;
    world.rotating(rotated()).await;
    world.clock.advance_seconds(HOUR);
    let work = world.take_one(GATEWAY).await;
    let forged = world.tell(&work, changed()).await.unwrap_err();
    assert_eq!(forged.kind(), FaultKind::BadRequest);
    assert_eq!(kind(world.tell(&work, RotationResult::Retired).await), FaultKind::BadRequest);
    assert_eq!(world.versions(SECRET).await, [1]);

    // Nor what is sealed for something else.
    let good = world.sealed(&work);
    let write = work.work.write.unwrap();
    let subject = &work.work.items[0];
    let seal = |uid, version, class| {
        let ciphertext = envelope(&world, uid, version, class, &write.key, work.salt);
        RotationKeep { value: SealedValue { ciphertext, ..good.value.clone() }, ..good.clone() }
    };
    let mut wrong = vec![
        seal(subject.uid, 1, Class::SecretItem),
        seal(subject.uid, 3, Class::SecretItem),
        seal(Uid([1; 16]), 2, Class::SecretItem),
        seal(work.work.items[1].uid, 2, Class::SecretItem),
        seal(subject.uid, 2, Class::SealedKey),
        RotationKeep { path: item("/team/other"), ..good.clone() },
        RotationKeep { path: item(TARGET), ..good.clone() },
    ];
    for key in [
        keysherd_plane::grants::KeyRef { version: 9, ..write.key },
        keysherd_plane::grants::KeyRef { key_id: Uid([3; 16]), ..write.key },
        keysherd_plane::grants::KeyRef { customer_fragment: Some(Uid([3; 16])), ..write.key },
    ] {
        let class = Class::SecretItem;
        let ciphertext = envelope(&world, subject.uid, 2, class, &key, work.salt);
        let value = SealedValue { ciphertext, key, ..good.value.clone() };
        wrong.push(RotationKeep { value, ..good.clone() });
    }
    for message in wrong {
        let refused = world.ask("", message).await.unwrap_err().kind();
        assert!(matches!(refused, FaultKind::BadRequest | FaultKind::Conflict), "{refused:?}");
    }
    assert_eq!(kind(world.tell(&work, changed()).await), FaultKind::BadRequest);
    world.finish(&work).await;
    assert_eq!(world.versions(SECRET).await, [2, 1]);
}

#[tokio::test]
async fn gateways_of_other_clusters_get_nothing_of_a_clusters_own() {
    let world = World::new().await;
    let (_, token) = world.gateway_token("/gateways/prod").await;
    let (_, elsewhere) = world.gateway_token("/gateways/test").await;
    world.ask(&token, crate::clusters::tests::hello("prod")).await.unwrap();
    world.at(OTHER, &elsewhere, crate::clusters::tests::hello("test")).await.unwrap();
    world.rotating(rotated()).await;
    assert!(world.described(SECRET).await.item.rotation.unwrap().cluster > 0);
    let salt = fresh_salt();
    let begin = RotationBegin { item: item(SECRET), reason: Reason::Manual, salt };
    let refused = world.at(OTHER, &world.admin, begin).await.unwrap_err();
    assert_eq!(refused.code(), "OtherCluster");
    world.clock.advance_seconds(HOUR);
    assert_eq!(world.nothing_due(OTHER).await, None);
    let work = world.take_one(GATEWAY).await;
    world.store_new(&work).await.unwrap();

    // When the cluster is gone, what it left unfinished is not.
    let gone = keysherd_plane::clusters::ClusterDelete { name: "prod".to_owned(), force: true };
    world.ask(&world.now_token().await, gone).await.unwrap();
    world.clock.advance_seconds(WORK_SECONDS);
    let work = world.take_one(OTHER).await;
    assert!(work.work.write.unwrap().is_stored);
    world.tell(&work, changed()).await.unwrap();
}

#[tokio::test]
async fn a_salt_that_is_used_is_refused() {
    let world = World::new().await;
    world.rotating(rotated()).await;
    let work = world.begin(&world.admin, Reason::Manual).await.unwrap();
    world.store_new(&work).await.unwrap();
    world.tell(&work, unknown("no answer")).await.unwrap();
    // A permit to write with it would be one to read what is stored.
    let salt = work.salt;
    let begin = RotationBegin { item: item(SECRET), reason: Reason::Manual, salt };
    assert_eq!(kind(world.ask(&world.admin, begin).await), FaultKind::BadRequest);
    world.clock.advance_seconds(60);
    let taken = world.ask("", RotationTake { salts: vec![salt] }).await.unwrap();
    assert!(taken.work.is_empty() && taken.permits.is_empty());
    for salts in [vec![], vec![[1; 32]; 17]] {
        let refused = world.ask("", RotationTake { salts }).await;
        assert_eq!(kind(refused), FaultKind::BadRequest);
    }
    let begin = |reason| RotationBegin { item: item(SECRET), reason, salt: fresh_salt() };
    for reason in [Reason::Scheduled, Reason::Unlock, Reason::Disconnect] {
        assert_eq!(kind(world.ask(&world.admin, begin(reason)).await), FaultKind::BadRequest);
    }
}

#[tokio::test]
async fn nothing_of_what_may_be_in_force_is_deleted() {
    let world = World::new().await;
    world.rotating(rotated()).await;
    let work = world.begin(&world.admin, Reason::Manual).await.unwrap();
    world.store_new(&work).await.unwrap();
    world.tell(&work, unknown("no answer")).await.unwrap();
    let delete = |versions, force| ItemDelete {
        path: item(SECRET),
        versions,
        in_days: 7,
        immediately: false,
        force,
    };
    for versions in [DeleteVersions::All, DeleteVersions::Latest, DeleteVersions::Exactly(1)] {
        let refused = world.ask(&world.admin, delete(versions, false)).await.unwrap_err();
        assert_eq!(refused.code(), "RotationUnderWay", "{versions:?}");
    }
    let unseen = world.ask(&world.admin, delete(DeleteVersions::Exactly(2), true)).await;
    assert_eq!(kind(unseen), FaultKind::Conflict, "versions go one by one only when it is clear");
    let state = ItemStateSet {
        path: item(SECRET),
        version: Some(2),
        state: keysherd_domain::item::ItemState::Disabled,
    };
    assert_eq!(kind(world.ask(&world.admin, state).await), FaultKind::NotFound);
    world.ask(&world.admin, delete(DeleteVersions::All, true)).await.unwrap();
    world.clock.advance_seconds(HOUR);
    assert_eq!(world.nothing_due(GATEWAY).await, None, "it went with its secret");
}

#[tokio::test]
async fn many_due_rotations_of_one_account_keep_no_other_waiting() {
    const MANY: usize = 40;

    let mut world = World::new().await;
    world.rotating(rotated()).await;
    for number in 1..MANY {
        let path = format!("/team/n{number}");
        world.new_item(&world.admin, &path, made(rotated())).await.unwrap();
    }
    let mut second = world.another_account("second@example.com").await;
    world.clock.advance_seconds(1);
    let token = world.login(&second.created.admin_access_id, &second.admin_key).await;
    let token = token.unwrap().token;
    std::mem::swap(&mut world.first, &mut second);
    world.new_item(&token, TARGET, db()).await.unwrap();
    let theirs = world.new_item(&token, SECRET, made(rotated())).await.unwrap().id;
    std::mem::swap(&mut world.first, &mut second);
    world.clock.advance_seconds(HOUR);
    // As a gateway asks that rotates some at one time.
    let mut before = 0;
    while world.take_one(GATEWAY).await.work.item != theirs {
        before += 1;
        assert!(before < MANY, "it comes after all that was due before");
    }
}
