//! Who may do what about dynamic secrets, their credentials and targets, and who may not.

use keysherd_base::FolderPath;
use keysherd_domain::item::ItemState;
use keysherd_domain::role::RuleKind;
use keysherd_plane::items::{
    DeleteVersions, ItemDelete, ItemDescribe, ItemStateSet, ItemsDelete, ItemsDeleteReply,
};

use super::*;
use crate::items::testing::{everything, rules};
use crate::testing::rule;

fn delete(path: &str, force: bool) -> ItemDelete {
    let versions = DeleteVersions::All;
    ItemDelete { path: item(path), versions, in_days: 7, immediately: false, force }
}

fn describe(path: &str) -> ItemDescribe {
    ItemDescribe { item: ItemRef::Path(item(path)), with_versions: false }
}

#[tokio::test]
async fn each_step_takes_its_right() {
    let world = World::new().await;
    let ids = world.database().await;
    let lease = world.lease(ids).await;
    let may = |capabilities| rule(RuleKind::Item, "/team/*", capabilities);
    let lists = world.user("lists", &[may("list")]).await;
    let reads = world.user("reads", &[may("read,list")]).await;
    let only_reads = world.user("only-reads", &[may("read")]).await;
    let listed = rule(RuleKind::Target, "/db/prod", "list");
    let updates = world.user("updates", &[may("update"), listed]).await;
    // Rights on targets are no rights on the dynamic secrets that use them.
    let of_targets = rule(RuleKind::Target, "/*", "read,list,update,create,delete");
    let targets = world.user("targets", &[of_targets]).await;
    let elsewhere = world.user("elsewhere", &rules(&["/other/* read,list,update"])).await;
    let foreign = world.another_account("b@example.com").await;
    let foreign = world.login(&foreign.created.admin_access_id, &foreign.admin_key).await;
    let foreign = foreign.unwrap().token;

    let everyone = [&lists, &reads, &only_reads, &updates, &targets, &elsewhere, &foreign];
    let denied = [FaultKind::Unauthorized, FaultKind::NotFound];
    for (who, token) in everyone.into_iter().enumerate() {
        let (can_read, can_update) = (who == 1 || who == 2, who == 3);
        let check = |what: &str, outcome: Result<(), Fault>, can: bool| match outcome {
            Ok(()) => assert!(can, "{what} by {who}"),
            Err(fault) => assert!(!can && denied.contains(&fault.kind()), "{what} {who} {fault:?}"),
        };
        let opened = world.open(token, SECRET, Purpose::Produce).await;
        check("open to produce", opened.map(drop), can_read);
        let settings = world.open(token, SECRET, Purpose::Settings).await;
        check("open to show", settings.map(drop), can_read);
        let change = world.open(token, SECRET, Purpose::Change).await;
        check("open to change", change.map(drop), can_update);
        let (intent, intended) = world.intend(token, ids).await;
        if intended.is_ok() {
            world
                .ask("", LeaseAbandon { lease: intent, touched: false, late: false })
                .await
                .unwrap();
        }
        check("intend", intended.map(drop), can_read);
        let list = LeaseList { item: item(SECRET), after: None, limit: 10 };
        check("list", world.ask(token, list).await.map(drop), can_read);
        let extend = LeaseExtend { item: item(SECRET), lease, ttl_seconds: 60 };
        check("extend", world.ask(token, extend).await.map(drop), can_update);
        let which = LeaseChoice::One(Uid([1; 16]));
        let revoke = LeaseRevoke { item: item(SECRET), which, soft: false };
        let revoked = world.ask(token, revoke).await.map(drop);
        let nothing = |fault: &Fault| can_update && fault.kind() == FaultKind::NotFound;
        check("revoke", revoked.or_else(|f| if nothing(&f) { Ok(()) } else { Err(f) }), can_update);
    }
}

#[tokio::test]
async fn whoever_may_list_a_target_uses_it_and_never_reads_it() {
    let world = World::new().await;
    world.database().await;
    let lists = rule(RuleKind::Target, "/db/*", "list");
    let makes = rule(RuleKind::Item, "/mine/*", "create,read,list,update");
    let user = world.user("user", &[lists, makes.clone()]).await;
    let used = world.open(&user, TARGET, Purpose::UseTarget).await.unwrap();
    let Granted::Read(items) = used.granted else { panic!() };
    assert_eq!(items.len(), 1);
    for purpose in [Purpose::Settings, Purpose::Change] {
        let refused = world.open(&user, TARGET, purpose).await.unwrap_err();
        assert_eq!(refused.kind(), FaultKind::Unauthorized);
        assert!(refused.public().contains("target /db/prod"), "{refused}");
    }
    let produce = world.open(&user, TARGET, Purpose::Produce).await;
    assert_eq!(kind(produce), FaultKind::Unauthorized);
    let mine = world.make(&user, "/mine/db", dynamic(named(TARGET))).await.unwrap();
    let opened = world.open(&user, "/mine/db", Purpose::Produce).await.unwrap();
    let Granted::Read(items) = opened.granted else { panic!() };
    assert_eq!(items.len(), 2, "the target comes along");

    // Items' rules say nothing about targets, be they called as they are stored.
    let items_only = world.user("items-only", &[makes, rule(RuleKind::Item, "/*", "list")]).await;
    let made = world.make(&items_only, "/mine/two", dynamic(named(TARGET))).await;
    assert_eq!(kind(made), FaultKind::Unauthorized);
    assert_eq!(kind(world.ask(&items_only, describe(TARGET)).await), FaultKind::Unauthorized);
    let view = world.ask(&items_only, describe("/mine/db")).await.unwrap();
    assert_eq!((view.item.id, view.associated.len()), (mine.id, 0), "nor who uses which");
    let view = world.ask(&user, describe("/mine/db")).await.unwrap();
    assert_eq!(view.associated[0].path.as_str(), TARGET);
    let view = world.ask(&user, describe(TARGET)).await.unwrap();
    assert_eq!(view.associated.len(), 1, "only what the caller may list: {view:?}");
}

#[tokio::test]
async fn what_is_said_of_rights_is_what_decides() {
    let world = World::new().await;
    world.database().await;
    let of_items = world.user("items", &[rule(RuleKind::Item, "/*", "read,list")]).await;
    let of_targets = world.user("targets", &[rule(RuleKind::Target, "/db/*", "read,list")]).await;
    for (token, can) in [(&of_items, false), (&of_targets, true)] {
        for (kind, path) in [(RuleKind::Item, TARGET), (RuleKind::Target, "/db/prod")] {
            let explain = keysherd_plane::explain::AccessExplain {
                kind,
                path: path.to_owned(),
                capability: keysherd_domain::role::Capability::Read,
                bearer: None,
                all_rules: false,
            };
            let told = world.ask(token, explain).await.unwrap();
            let granted = matches!(told.verdict, keysherd_plane::explain::Verdict::Granted(_));
            let describe =
                keysherd_plane::roles::PermissionsDescribe { kind, path: path.to_owned() };
            let held = world.ask(token, describe).await.unwrap().permissions;
            assert_eq!((granted, !held.is_empty()), (can, can), "{path}");
            let reverse = keysherd_plane::roles::ReverseRbac { kind, path: path.to_owned() };
            let reaches = world.ask(&world.admin, reverse).await.unwrap().reaches;
            let roles: Vec<_> = reaches.iter().map(|reach| reach.role.path.as_str()).collect();
            assert!(roles.contains(&"/roles/targets") && !roles.contains(&"/roles/items"));
        }
        let opened = world.open(token, TARGET, Purpose::Settings).await;
        assert_eq!(opened.is_ok(), can);
    }
}

#[tokio::test]
async fn settings_are_no_secrets_value() {
    let world = World::new().await;
    world.database().await;
    world.secrets(&["/team/plain"]).await;
    for path in [SECRET, TARGET] {
        let read = world.newest(&world.admin, path).await;
        assert_eq!(kind(read), FaultKind::BadRequest, "{path}");
        let key = ItemRef::Path(item(path));
        let transit = Wish::Transit { key, version: None, salt: [1; 32], encrypt: true };
        let used = world.wish(&world.admin, transit, true).await;
        assert_eq!((kind(used.0), used.1.len()), (FaultKind::BadRequest, 0));
        let message = SecretCreate { protection_key: Some(item(path)), ..secret("/team/under") };
        assert_eq!(kind(world.create(&world.admin, message).await), FaultKind::BadRequest);
    }
    for purpose in [Purpose::Produce, Purpose::Settings, Purpose::Change, Purpose::UseTarget] {
        let opened = world.open(&world.admin, "/team/plain", purpose).await;
        assert_eq!(kind(opened), FaultKind::BadRequest, "{purpose:?}");
    }
    assert_eq!(
        kind(world.open(&world.admin, TARGET, Purpose::Produce).await),
        FaultKind::BadRequest
    );
    let target = world.open(&world.admin, SECRET, Purpose::UseTarget).await;
    assert_eq!(kind(target), FaultKind::BadRequest);
}

#[tokio::test]
async fn targets_are_listed_apart() {
    let world = World::new().await;
    world.database().await;
    world.secrets(&["/a/b", "/.a/b", "/.zz/b"]).await;
    let paths = |reply: keysherd_plane::items::ItemListReply| {
        reply.items.into_iter().map(|view| view.item.path.to_string()).collect::<Vec<_>>()
    };
    let all = world.list(&world.admin, everything()).await;
    assert_eq!(paths(all), ["/.a/b", "/.zz/b", "/a/b", SECRET]);
    let mut root = everything();
    root.folder = Some(FolderPath::parse("/").unwrap());
    let folders = world.list(&world.admin, root).await.folders;
    assert!(folders.iter().all(|folder| folder.as_str() != "/.targets/"), "{folders:?}");
    let mut targets = everything();
    targets.kinds = vec!["target".to_owned()];
    assert_eq!(paths(world.list(&world.admin, targets.clone()).await), [TARGET]);
    targets.filter = Some("targets".to_owned());
    assert!(world.list(&world.admin, targets.clone()).await.items.is_empty(), "as people know it");
    targets.filter = Some("db/pr".to_owned());
    assert_eq!(world.list(&world.admin, targets.clone()).await.items.len(), 1);
    let dynamics = keysherd_plane::items::ItemList {
        kinds: vec!["dynamic-secret".to_owned()],
        ..everything()
    };
    assert_eq!(paths(world.list(&world.admin, dynamics).await), [SECRET]);
    let items = world.user("items", &rules(&["/* read,list"])).await;
    targets.filter = None;
    assert!(world.list(&items, targets).await.items.is_empty());
}

#[tokio::test]
async fn kind_and_place_agree() {
    let world = World::new().await;
    world.database().await;
    let bad = |outcome: Result<Item, Fault>| assert_eq!(kind(outcome), FaultKind::BadRequest);
    bad(world.make(&world.admin, "/db/prod", db()).await);
    bad(world.make(&world.admin, "/.targets", db()).await);
    bad(world.make(&world.admin, "/.targets", Made::Static).await);
    bad(world.make(&world.admin, "/.targets/x", Made::Static).await);
    bad(world.make(&world.admin, "/.targets/x", dynamic(TargetChoice::Without)).await);
    bad(world.make(&world.admin, "/team/x", dynamic(TargetChoice::Same)).await);
    bad(world.make(&world.admin, "/team/x", dynamic(named("/team/db"))).await);
    let odd = Made::Dynamic {
        engine: "no such/name".to_owned(),
        user_ttl_seconds: LIFE,
        target: TargetChoice::Without,
    };
    bad(world.make(&world.admin, "/team/x", odd).await);
    for seconds in [0, -1, i64::MAX, i64::MIN] {
        let engine = "postgresql".to_owned();
        let target = TargetChoice::Without;
        let made = Made::Dynamic { engine, user_ttl_seconds: seconds, target };
        bad(world.make(&world.admin, "/team/x", made).await);
    }
    let key = keysherd_domain::item::KeyAlgorithm::Aes256Gcm;
    bad(world.key(&world.admin, "/.targets/key", key).await);
    let folder = keysherd_plane::items::FolderCreate {
        path: FolderPath::parse("/.targets/team").unwrap(),
        description: String::new(),
        tags: Vec::new(),
        delete_protection: None,
    };
    assert_eq!(kind(world.ask(&world.admin, folder).await), FaultKind::BadRequest);
    // What is below the place is reached under its own path alone.
    world.ask(&world.admin, describe("/.targets/db/prod")).await.unwrap();
    assert_eq!(kind(world.ask(&world.admin, describe("/db/prod")).await), FaultKind::NotFound);
}

#[tokio::test]
async fn a_value_changes_only_as_what_it_is() {
    let world = World::new().await;
    let (secret, target) = world.database().await;
    world.make(&world.admin, "/.targets/db/two", db()).await.unwrap();
    world.secrets(&["/team/plain"]).await;
    let put = async |path: &str, made: Option<Made>| {
        let target = crate::items::testing::new_value(path, None, None);
        let place = world.place(&world.admin, target).await.unwrap();
        world.record_as(&world.admin, path, &place, made).await
    };
    let engine = |engine: &str| Made::Dynamic {
        engine: engine.to_owned(),
        user_ttl_seconds: 60,
        target: TargetChoice::Same,
    };
    for (path, made) in [
        (SECRET, None),
        (SECRET, Some(Made::Static)),
        (SECRET, Some(db())),
        (SECRET, Some(engine("mysql"))),
        (TARGET, None),
        (TARGET, Some(engine("postgresql"))),
        ("/team/plain", Some(db())),
        ("/team/plain", Some(engine("postgresql"))),
    ] {
        assert_eq!(kind(put(path, made).await), FaultKind::BadRequest, "{path}");
    }
    let changed = put(SECRET, Some(engine("postgresql"))).await.unwrap();
    let facts = changed.engine.unwrap();
    assert_eq!((facts.user_ttl_seconds, facts.needs_target), (60, true));
    let uses = async || {
        let view = world.ask(&world.admin, describe(SECRET)).await.unwrap();
        view.associated.into_iter().map(|other| other.id).collect::<Vec<_>>()
    };
    assert_eq!(uses().await, [target]);
    put(SECRET, Some(dynamic(named("/.targets/db/two")))).await.unwrap();
    assert!(uses().await != [target] && uses().await.len() == 1);
    let (_, moved) = world.intend(&world.admin, (secret, target)).await;
    assert_eq!(kind(moved), FaultKind::Conflict, "it was opened with another target");
    put(SECRET, Some(dynamic(TargetChoice::Without))).await.unwrap();
    assert!(uses().await.is_empty());
    // Who may change it need not know its target; who chooses another one needs a right to that.
    let user = world.user("user", &rules(&["/team/* update,list"])).await;
    let new = crate::items::testing::new_value(SECRET, None, None);
    let place = world.place(&user, new).await.unwrap();
    let theirs = world.record_as(&user, SECRET, &place, Some(dynamic(named(TARGET)))).await;
    assert_eq!(kind(theirs), FaultKind::Unauthorized);
}

#[tokio::test]
async fn what_something_else_needs_is_not_deleted() {
    let world = World::new().await;
    let ids = world.database().await;
    let fault = world.ask(&world.admin, delete(TARGET, false)).await.unwrap_err();
    assert_eq!((fault.kind(), fault.code()), (FaultKind::Conflict, "TargetInUse"));
    let lease = world.lease(ids).await;
    for force in [false, true] {
        let fault = world.ask(&world.admin, delete(SECRET, force)).await.unwrap_err();
        assert_eq!((fault.kind(), fault.code()), (FaultKind::Conflict, "LeasesLeft"));
    }
    let named = ItemsDelete::Items(vec![item(SECRET), item(TARGET)]);
    let ItemsDeleteReply { deleted, failed } = world.ask(&world.admin, named).await.unwrap();
    assert_eq!((deleted.len(), failed.len()), (0, 2));
    let below = ItemsDelete::Below(FolderPath::parse("/").unwrap());
    let ItemsDeleteReply { deleted, failed } = world.ask(&world.admin, below).await.unwrap();
    assert_eq!((deleted.len(), failed.len()), (0, 1), "targets are not among items");

    // Not even forced, the target goes: nobody could remove the credential there any more.
    let targets = |force| {
        let below = FolderPath::parse("/.targets").unwrap();
        world.ask(&world.admin, ItemsDelete::Targets { below, force })
    };
    for force in [false, true] {
        let ItemsDeleteReply { deleted, failed } = targets(force).await.unwrap();
        assert_eq!((deleted.len(), failed.len()), (0, 1));
    }
    let second = world.lease(ids).await;
    let fault = world.ask(&world.admin, delete(TARGET, true)).await.unwrap_err();
    assert_eq!((fault.kind(), fault.code()), (FaultKind::Conflict, "LeasesLeft"));
    let said = fault.public();
    assert!(said.contains(" 2 temporary credentials") && said.contains("revoke-all"), "{said}");
    world.clock.advance_seconds(LIFE);
    let taken = world.take_leases().await;
    let (first, items) = (taken.work[0].lease, taken.opened[0].items.len());
    assert!([lease, second].contains(&first) && items == 2, "with the target");
    world.report(&taken, None).await;
    let token = world.fresh_token().await;
    world.ask(&token, delete(TARGET, true)).await.unwrap();
    let fault = world.open(&token, SECRET, Purpose::Produce).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Conflict);
    world.ask(&token, delete(SECRET, false)).await.unwrap();
}

#[tokio::test]
async fn what_is_disabled_gives_nothing_new_and_ends_all_the_same() {
    let world = World::new().await;
    let ids = world.database().await;
    world.lease(ids).await;
    let set = |path: &str, state| ItemStateSet { path: item(path), version: None, state };
    world.ask(&world.admin, set(SECRET, ItemState::Disabled)).await.unwrap();
    let fault = world.open(&world.admin, SECRET, Purpose::Produce).await.unwrap_err();
    assert_eq!(fault.code(), "ItemDisabled");
    let (_, intended) = world.intend(&world.admin, ids).await;
    assert_eq!(intended.unwrap_err().code(), "ItemDisabled");
    world.open(&world.admin, SECRET, Purpose::Settings).await.unwrap();
    world.clock.advance_seconds(LIFE);
    let taken = world.take_leases().await;
    assert_eq!(taken.work.len(), 1);
    world.report(&taken, None).await;

    world.ask(&world.admin, set(SECRET, ItemState::Enabled)).await.unwrap();
    world.ask(&world.admin, set(TARGET, ItemState::Disabled)).await.unwrap();
    let fault = world.open(&world.admin, SECRET, Purpose::Produce).await.unwrap_err();
    assert_eq!((fault.kind(), fault.code()), (FaultKind::Forbidden, "ItemDisabled"));
    assert!(!fault.public().contains("prod"), "the target is not theirs to know: {fault}");
}

#[tokio::test]
async fn who_says_where_credentials_go_may_read_them() {
    let world = World::new().await;
    let ssh = |type_name: &str, parent| Made::Target {
        kind: type_name.to_owned(),
        type_name: type_name.to_owned(),
        parent,
    };
    let (parent, linked) = ("/.targets/ssh/parent", "/.targets/ssh/all");
    world.make(&world.admin, parent, ssh("ssh", TargetChoice::Without)).await.unwrap();
    let rule = |path, capabilities| rule(RuleKind::Target, path, capabilities);
    let lister = world.user("lister", &[rule("/*", "list,create,update")]).await;
    let theirs = world.make(&lister, linked, ssh("linked", named(parent))).await;
    assert_eq!(kind(theirs), FaultKind::Unauthorized);
    world.make(&world.admin, linked, ssh("linked", named(parent))).await.unwrap();
    // Of a chain nobody would know where it ends.
    let chain = world.make(&world.admin, "/.targets/ssh/third", ssh("linked", named(linked))).await;
    assert_eq!(kind(chain), FaultKind::BadRequest);
    let view = world.ask(&world.admin, describe(linked)).await.unwrap();
    assert_eq!(view.parent.unwrap().path, item(parent));
    let view = world.ask(&world.admin, describe(parent)).await.unwrap();
    assert_eq!((view.associated.len(), view.parent), (1, None));
    let blind = world.user("blind", &[rule("/ssh/all", "list")]).await;
    let view = world.ask(&blind, describe(linked)).await.unwrap();
    assert_eq!(view.parent, None, "only what the caller may list");
    let fault = world.ask(&world.admin, delete(parent, false)).await.unwrap_err();
    assert_eq!((fault.kind(), fault.code()), (FaultKind::Conflict, "TargetInUse"));
    // Whoever uses the hosts gets the parent with them, and nothing of it without.
    let granted = world.open(&world.admin, linked, Purpose::UseTarget).await.unwrap();
    let Granted::Read(items) = granted.granted else { panic!("{granted:?}") };
    assert_eq!(items.len(), 2);
    for (token, purpose) in [(&lister, Purpose::Change), (&world.admin, Purpose::Settings)] {
        let granted = world.open(token, linked, purpose).await.unwrap();
        let Granted::Read(items) = granted.granted else { panic!("{granted:?}") };
        assert_eq!(items.len(), 1, "nobody changes or reads the parent with it");
    }
    world.ask(&world.admin, delete(parent, true)).await.unwrap();
    let view = world.ask(&world.admin, describe(linked)).await.unwrap();
    assert_eq!(view.parent, None);
}

#[tokio::test]
async fn who_may_not_list_the_target_changes_nothing_that_its_user_does() {
    let world = World::new().await;
    world.database().await;
    world.make(&world.admin, "/.targets/web/x", db()).await.unwrap();
    let items = rule(RuleKind::Item, "/team/*", "update,list");
    let of_target = |path: &str| rule(RuleKind::Target, path, "list");
    let lists = world.user("lists", &[items.clone(), of_target("/db/*")]).await;
    let other = world.user("other", &[items.clone(), of_target("/web/*")]).await;
    let none = world.user("none", &[items]).await;
    let put = async |token: &str, target: TargetChoice| {
        let new = crate::items::testing::new_value(SECRET, None, None);
        let place = world.place(token, new).await.unwrap();
        world.record_as(token, SECRET, &place, Some(dynamic(target))).await
    };
    for token in [&other, &none] {
        // Gateways open it first, and try out with the target what they are given.
        let opened = world.open(token, SECRET, Purpose::Change).await.unwrap_err();
        let recorded = put(token, TargetChoice::Same).await.unwrap_err();
        for refused in [opened, recorded] {
            assert_eq!(refused.kind(), FaultKind::Unauthorized);
            assert!(refused.public().contains("takes list on that target"), "{refused}");
            assert!(!refused.public().contains("prod"), "{refused}");
        }
    }
    world.open(&lists, SECRET, Purpose::Change).await.unwrap();
    put(&lists, TargetChoice::Same).await.unwrap();
}
