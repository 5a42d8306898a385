//! What stays: through restarts of control, and while the keys that wrap it change.

use keysherd_base::Uid;
use keysherd_plane::grants::WriteTarget;

use keysherd_plane::items::{DeleteVersions, ItemDelete, ItemUpdate, ItemUpdateParts};

use super::*;
use crate::items::testing::new_value;

fn without(path: &str, version: DeleteVersions) -> ItemDelete {
    let path = item(path);
    ItemDelete { path, versions: version, in_days: 0, immediately: false, force: true }
}

impl World {
    /// Changes the settings as `rotated-secret-update` does.
    pub(super) async fn record_made(&self, token: &str, of: MadeRotated) -> Result<Item, Fault> {
        let target: WriteTarget = new_value(SECRET, Some(true), None);
        let place = self.place(token, target).await?;
        self.record_as(token, SECRET, &place, Some(made(of))).await
    }
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let world = World::new().await;
    world.rotating(rotated()).await;
    world.clock.advance_seconds(HOUR);
    let work = world.take_one(GATEWAY).await;
    world.store_new(&work).await.unwrap();
    let before = world.standing().await;
    let world = world.restarted();
    assert_eq!(world.standing().await, before);
    world.nothing_due(OTHER).await;
    // The gateway did not notice.
    world.tell(&work, changed()).await.unwrap();
    assert_eq!(world.versions(SECRET).await, [2, 1]);
    let other = world.sharing();
    assert_eq!(other.versions(SECRET).await, [2, 1]);
}

#[tokio::test]
async fn new_settings_are_in_force_at_once_and_not_while_a_rotation_is_under_way() {
    let world = World::new().await;
    world.rotating(rotated()).await;
    let work = world.begin(&world.admin, Reason::Manual).await.unwrap();
    let refused = world.record_made(&world.admin, rotated()).await.unwrap_err();
    assert_eq!(refused.code(), "RotationUnderWay");
    world.tell(&work, unchanged("no")).await.unwrap();
    let schedule = Schedule { interval: Interval::Minutes(30), ..rotated().schedule };
    let sooner = MadeRotated { schedule, target: TargetChoice::Same, ..rotated() };
    assert_eq!(world.record_made(&world.admin, sooner).await.unwrap().last_version, 2);
    assert_eq!(world.nothing_due(GATEWAY).await, Some(HOUR * 500));
    world.clock.advance_seconds(HOUR / 2);
    let work = world.take_one(GATEWAY).await;
    assert_eq!(work.work.items[0].versions[0].version, 2);
    // A change between being taken and being stored is refused, too; here somebody was faster.
    world.finish(&work).await;
    assert_eq!(world.versions(SECRET).await, [3, 2, 1]);
}

#[tokio::test]
async fn only_as_many_versions_are_kept_as_are_wanted() {
    let world = World::new().await;
    world.rotating(rotated()).await;
    let parts =
        keysherd_plane::items::ItemUpdateParts { max_versions: Some(2), ..Default::default() };
    let update = keysherd_plane::items::ItemUpdate { path: item(SECRET), parts };
    world.ask(&world.admin, update).await.unwrap();
    for _ in 0..3 {
        let work = world.begin(&world.admin, Reason::Manual).await.unwrap();
        world.finish(&work).await;
    }
    assert_eq!(world.versions(SECRET).await, [4, 3]);
}

#[tokio::test]
async fn a_candidate_counts_as_what_its_key_wraps() {
    let world = World::new().await;
    let key = world.key(&world.admin, "/keys/k", keysherd_domain::item::KeyAlgorithm::Aes256Gcm);
    let key = key.await.unwrap().key.unwrap();
    world.new_item(&world.admin, TARGET, db()).await.unwrap();
    let message = SecretCreate {
        made: made(rotated()),
        protection_key: Some(item("/keys/k")),
        ..secret(SECRET)
    };
    let created = world.create(&world.admin, message).await.unwrap().item;
    let work = world.begin(&world.admin, Reason::Manual).await.unwrap();
    assert_eq!(work.work.write.unwrap().key.key_id, key.key_id);
    world.store_new(&work).await.unwrap();
    let counts = world
        .control
        .store
        .read(|reader| keysherd_store::key_wraps::counts(reader, key.key_id))
        .unwrap();
    assert_eq!(counts, [(1, 2)], "the version in force and the candidate");
    world.tell(&work, changed()).await.unwrap();
    let view = world.described(SECRET).await;
    assert_eq!(view.item.protection_key, created.protection_key);
    assert_eq!(view.versions[0].key_id, key.key_id);
    assert_ne!(created.uid, Uid::default());
}

#[tokio::test]
async fn what_the_target_takes_is_not_deleted_and_what_it_does_not_is() {
    for (of_target, path) in [(false, SECRET), (true, TARGET)] {
        let world = World::new().await;
        world.rotating(MadeRotated { of_target, ..rotated() }).await;
        for _ in 0..2 {
            let work = world.begin(&world.admin, Reason::Manual).await.unwrap();
            world.finish(&work).await;
        }
        for newest in [DeleteVersions::Latest, DeleteVersions::Exactly(3)] {
            let refused = world.ask(&world.admin, without(path, newest)).await.unwrap_err();
            assert_eq!(refused.kind(), FaultKind::Conflict);
            assert!(refused.public().contains("in force"), "{refused}");
        }
        world.ask(&world.admin, without(path, DeleteVersions::Exactly(2))).await.unwrap();
        assert_eq!(world.versions(path).await, [3, 1]);
    }
}

#[tokio::test]
async fn a_version_that_is_needed_to_remove_old_credentials_stays() {
    for (of_target, path) in [(false, SECRET), (true, TARGET)] {
        let world = World::new().await;
        let schedule = Schedule { interval: Interval::Days(10), ..rotated().schedule };
        let grace = Some(Grace { days: 2, before: false, hour: None });
        world.rotating(MadeRotated { schedule, grace, of_target, ..rotated() }).await;
        let parts = ItemUpdateParts { max_versions: Some(1), ..Default::default() };
        world.ask(&world.admin, ItemUpdate { path: item(path), parts }).await.unwrap();
        let work = world.begin(&world.admin, Reason::Manual).await.unwrap();
        world.finish(&work).await;
        assert_eq!(world.versions(path).await, [2, 1], "of {path}");
        let early = without(path, DeleteVersions::Exactly(1));
        let refused = world.ask(&world.admin, early).await.unwrap_err();
        assert!(refused.public().contains("to be removed"), "{refused}");
        let work = world.begin(&world.admin, Reason::Manual).await.unwrap();
        assert_eq!(work.work.task, Task::Retire(1));
        world.tell(&work, RotationResult::Retired).await.unwrap();
        let work = world.begin(&world.admin, Reason::Manual).await.unwrap();
        world.finish(&work).await;
        assert_eq!(world.versions(path).await, [3, 2], "of {path}");
    }
}
