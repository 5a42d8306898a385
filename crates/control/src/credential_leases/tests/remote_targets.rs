//! Associations of items with targets for remote access: who may make and end them, who sees them,
//! and what they keep from being deleted.

use keysherd_base::limits::TARGET_ASSOCS_MAX;
use keysherd_base::{AccountId, AssocId, DisplayId};
use keysherd_domain::role::{Rule, RuleKind};
use keysherd_plane::items::{
    AssociatedItem, DeleteVersions, ItemDelete, ItemDescribe, ItemLockSet,
};
use keysherd_plane::target_assocs::{TargetAssocChoice, TargetAssocCreate, TargetAssocDelete};
use keysherd_store::target_assocs::{self as stored, TargetAssoc};

use super::*;
use crate::items::testing::rules;
use crate::testing::rule;

const PLAIN: &str = "/team/plain";
const HOST: &str = "/.targets/ssh/host";

fn join(path: &str, target: &str) -> TargetAssocCreate {
    TargetAssocCreate { item: item(path), target: item(target) }
}

fn end(path: &str, which: TargetAssocChoice) -> TargetAssocDelete {
    TargetAssocDelete { item: item(path), which }
}

fn with(target: &str) -> TargetAssocChoice {
    TargetAssocChoice::Target(item(target))
}

fn delete(path: &str, force: bool) -> ItemDelete {
    let versions = DeleteVersions::All;
    ItemDelete { path: item(path), versions, in_days: 7, immediately: false, force }
}

fn both(items: &str, targets: &str) -> [Rule; 2] {
    [rule(RuleKind::Item, "/team/*", items), rule(RuleKind::Target, "/ssh/*", targets)]
}

impl World {
    async fn shown(&self, token: &str, path: &str) -> Vec<AssociatedItem> {
        let describe = ItemDescribe { item: ItemRef::Path(item(path)), with_versions: false };
        self.ask(token, describe).await.unwrap().associated
    }

    /// A database with a dynamic secret, a plain secret, and a host.
    async fn furnished(&self) -> (ItemId, ItemId) {
        let ids = self.database().await;
        self.make(&self.admin, PLAIN, Made::Static).await.unwrap();
        let host = Made::Target {
            kind: "ssh".to_owned(),
            type_name: "ssh".to_owned(),
            parent: TargetChoice::Without,
        };
        self.make(&self.admin, HOST, host).await.unwrap();
        ids
    }
}

#[tokio::test]
async fn an_association_is_made_shown_and_ended() {
    let world = World::new().await;
    let (secret, _) = world.furnished().await;
    let made = world.ask(&world.admin, join(SECRET, HOST)).await.unwrap();
    world.clock.advance_seconds(1);
    let plain = world.ask(&world.admin, join(PLAIN, HOST)).await.unwrap();
    // What the secret uses itself is another thing, and may be associated, too.
    let own = world.ask(&world.admin, join(SECRET, TARGET)).await.unwrap();
    for path in [SECRET, PLAIN] {
        let twice = world.ask(&world.admin, join(path, HOST)).await.unwrap_err();
        assert_eq!(twice.kind(), FaultKind::Conflict);
    }
    let ids = |shown: Vec<AssociatedItem>| {
        shown.into_iter().map(|one| (one.path.to_string(), one.assoc)).collect::<Vec<_>>()
    };
    let of = |path: &str, id: &AssocId| (path.to_owned(), Some(id.clone()));
    let uses = (TARGET.to_owned(), None);
    let all = vec![uses.clone(), of(HOST, &made.id), of(TARGET, &own.id)];
    assert_eq!(ids(world.shown(&world.admin, SECRET).await), all);
    let of_host = vec![of(SECRET, &made.id), of(PLAIN, &plain.id)];
    assert_eq!(ids(world.shown(&world.admin, HOST).await), of_host);
    assert_eq!(ids(world.shown(&world.admin, PLAIN).await), [of(HOST, &plain.id)]);

    let by_id = |id: &AssocId| TargetAssocChoice::Id(id.clone());
    // One of another item, and the one that stands for what the secret uses, are not among them.
    let used = AssocId(format!("ta-{}-1", secret.0).into());
    for which in [by_id(&plain.id), by_id(&used), with("/.targets/ssh/none")] {
        let fault = world.ask(&world.admin, end(SECRET, which)).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::NotFound, "{fault}");
    }
    world.ask(&world.admin, end(SECRET, by_id(&made.id))).await.unwrap();
    world.ask(&world.admin, end(SECRET, with(TARGET))).await.unwrap();
    assert_eq!(ids(world.shown(&world.admin, SECRET).await), [uses]);
    let fault = world.ask(&world.admin, end(SECRET, with(HOST))).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::NotFound);
    for (action, count) in [("create_assoc_target_item", 5), ("delete_assoc_target_item", 6)] {
        assert_eq!(world.recorded(action).len(), count, "{action}");
    }
}

#[tokio::test]
async fn it_takes_update_on_the_item_and_list_on_the_target() {
    let world = World::new().await;
    world.furnished().await;
    let made = world.ask(&world.admin, join(PLAIN, HOST)).await.unwrap().id;
    let may = world.user("may", &both("list,update", "list")).await;
    let foreign = world.another_account("b@example.com").await;
    let foreign = world.login(&foreign.created.admin_access_id, &foreign.admin_key).await;
    let foreign = foreign.unwrap().token;
    let refused = [
        world.user("reads", &both("list,read", "list")).await,
        world.user("blind", &rules(&["/team/* list,update"])).await,
        world.user("reads-target", &both("list", "list,read,update")).await,
        world.user("elsewhere", &rules(&["/other/* list,update"])).await,
        foreign,
    ];
    for (who, token) in refused.iter().enumerate() {
        let fault = world.ask(token, join(SECRET, HOST)).await.unwrap_err();
        assert!([FaultKind::Unauthorized, FaultKind::NotFound].contains(&fault.kind()), "{who}");
        for which in [with(HOST), TargetAssocChoice::Id(made.clone())] {
            let fault = world.ask(token, end(PLAIN, which)).await.unwrap_err();
            let kinds = [FaultKind::Unauthorized, FaultKind::NotFound];
            assert!(kinds.contains(&fault.kind()), "{who}: {fault}");
        }
    }
    assert_eq!(world.shown(&refused[1], PLAIN).await, [], "only what the caller may list");
    assert_eq!(world.shown(&world.admin, PLAIN).await.len(), 1);
    world.ask(&may, join(SECRET, HOST)).await.unwrap();
    world.ask(&may, end(PLAIN, TargetAssocChoice::Id(made))).await.unwrap();
    // A lock on the item keeps others from both.
    let lock = ItemLockSet { path: item(SECRET), read: false, update: true, ttl_minutes: 5 };
    world.ask(&world.admin, lock).await.unwrap();
    for outcome in [
        world.ask(&may, end(SECRET, with(HOST))).await.map(drop),
        world.ask(&may, join(SECRET, TARGET)).await.map(drop),
    ] {
        let fault = outcome.unwrap_err();
        assert!([FaultKind::Forbidden, FaultKind::Unauthorized].contains(&fault.kind()), "{fault}");
    }
}

#[tokio::test]
async fn a_target_with_associations_goes_only_by_force_and_an_item_takes_them_along() {
    let world = World::new().await;
    world.furnished().await;
    world.ask(&world.admin, join(PLAIN, HOST)).await.unwrap();
    world.ask(&world.admin, join(SECRET, HOST)).await.unwrap();
    let fault = world.ask(&world.admin, delete(HOST, false)).await.unwrap_err();
    assert_eq!((fault.kind(), fault.code()), (FaultKind::Conflict, "TargetInUse"));
    assert!(fault.public().contains("delete-assoc-target-item"), "{fault}");
    world.ask(&world.admin, delete(PLAIN, false)).await.unwrap();
    assert_eq!(world.shown(&world.admin, HOST).await.len(), 1);
    world.ask(&world.admin, delete(HOST, true)).await.unwrap();
    assert_eq!(world.shown(&world.admin, SECRET).await.len(), 1, "what it uses is left");
    let fault = world.ask(&world.admin, join(SECRET, HOST)).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::NotFound);
}

#[tokio::test]
async fn what_cannot_be_signed_in_with_and_what_is_too_much_is_refused() {
    let world = World::new().await;
    world.furnished().await;
    let fault = world.ask(&world.admin, join(HOST, TARGET)).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::BadRequest, "a target is no item: {fault}");
    let fault = world.ask(&world.admin, join(PLAIN, SECRET)).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::BadRequest, "an item is no target: {fault}");
    let describe = ItemDescribe { item: ItemRef::Path(item(HOST)), with_versions: false };
    let host = world.ask(&world.admin, describe).await.unwrap().item;
    let account: AccountId = host.account;
    let fill = move |tx: &keysherd_store::Tx| {
        for number in 0..TARGET_ASSOCS_MAX {
            let secret = Item { id: ItemId(0), ..host.clone() };
            let path = item(&format!("/many/{number}"));
            let display_id = DisplayId::random(account, &SystemRng)?;
            let id = keysherd_store::items::insert(tx, &Item { path, display_id, ..secret })?;
            let assoc = TargetAssoc {
                id: AssocId(format!("ass-{number}").into()),
                item: id,
                target: host.id,
                created: host.created,
            };
            stored::insert(tx, account, &assoc)?;
        }
        Ok(())
    };
    world.control.store.commit(Vec::new(), fill).await.unwrap();
    world.control.catch_up().await.unwrap();
    let fault = world.ask(&world.admin, join(PLAIN, HOST)).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Forbidden, "{fault}");
    assert!(fault.public().contains("500"), "{fault}");
}
