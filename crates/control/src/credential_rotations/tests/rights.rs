//! Who may do what about rotated secrets, and who may not.

use keysherd_domain::role::RuleKind;
use keysherd_plane::grants::Purpose;
use keysherd_plane::items::ItemUpdateParts;

use super::*;
use crate::items::testing::{everything, rules};
use crate::testing::rule;

#[tokio::test]
async fn each_step_takes_its_right() {
    let world = World::new().await;
    world.rotating(MadeRotated { after_disconnect: true, ..rotated() }).await;
    let may = |capabilities| rule(RuleKind::Item, "/team/*", capabilities);
    let lists = world.user("lists", &[may("list")]).await;
    let reads = world.user("reads", &[may("read,list")]).await;
    let only_reads = world.user("only-reads", &[may("read")]).await;
    let updates = world.user("updates", &[may("update")]).await;
    let of_targets = rule(RuleKind::Target, "/*", "read,list,update,create,delete");
    let targets = world.user("targets", &[of_targets]).await;
    let elsewhere = world.user("elsewhere", &rules(&["/other/* read,list,update"])).await;
    let foreign = world.another_account("b@example.com").await;
    let foreign = world.login(&foreign.created.admin_access_id, &foreign.admin_key).await;
    let foreign = foreign.unwrap().token;
    let denied = [FaultKind::Unauthorized, FaultKind::NotFound];
    let everyone = [&lists, &reads, &only_reads, &updates, &targets, &elsewhere, &foreign];
    for (who, token) in everyone.into_iter().enumerate() {
        let (can_read, can_update) = (who == 1 || who == 2, who == 3);
        let check = |what: &str, outcome: Result<(), Fault>, can: bool| match outcome {
            Ok(()) => assert!(can, "{what} by {who}"),
            Err(fault) => assert!(!can && denied.contains(&fault.kind()), "{what} {who} {fault:?}"),
        };
        check("read", world.read_credentials(token, None).await.map(drop), can_read);
        check("check", world.open(token, SECRET, Purpose::Check).await.map(drop), can_read);
        let check_out = world.ask(token, RotatedCheckOut { item: item(SECRET) }).await;
        check("check out", check_out.map(drop), can_read);
        let disconnect = world.ask(token, RotatedDisconnect { item: item(SECRET) }).await;
        check("disconnect", disconnect.map(drop), can_read);
        let same = MadeRotated { target: TargetChoice::Same, ..rotated() };
        check("change", world.record_made(token, same).await.map(drop), can_update);
        let begun = world.begin(token, Reason::Manual).await;
        if let Ok(work) = &begun {
            world.tell(work, unchanged("no")).await.unwrap();
        }
        check("rotate", begun.map(drop), can_update);
    }
    assert_eq!(world.list(&lists, everything()).await.items.len(), 1);
    let of_target = world.open(&world.admin, TARGET, Purpose::Check).await;
    assert_eq!(kind(of_target), FaultKind::BadRequest, "it is none");
    let checks = world.records_of(keysherd_audit::action::CHECK_ROTATED_SECRET);
    let refused = checks.iter().filter(|record| record.status >= 400).count();
    // The other account has its own.
    assert_eq!((checks.len(), refused), (7, 5));
}

#[tokio::test]
async fn a_targets_own_credentials_take_read_and_update_on_it() {
    let world = World::new().await;
    world.new_item(&world.admin, TARGET, db()).await.unwrap();
    let makes = rule(RuleKind::Item, "/*", "create,read,list,update");
    let of = |capabilities| rule(RuleKind::Target, "/db/*", capabilities);
    let own = || made(MadeRotated { of_target: true, ..rotated() });
    let list_only = world.user("lists", &[makes.clone(), of("list")]).await;
    let no_target = world.user("none", std::slice::from_ref(&makes)).await;
    let no_read = world.user("no-read", &[makes.clone(), of("list,update")]).await;
    let no_update = world.user("no-update", &[makes.clone(), of("list,read")]).await;
    let all = world.user("all", &[makes, of("list,read,update")]).await;
    for (token, fine, own_fine) in [
        (&no_target, false, false),
        (&list_only, true, false),
        (&no_read, true, false),
        (&no_update, true, false),
        (&all, true, true),
    ] {
        let user = world.new_item(token, &format!("/u/{}", token.len()), made(rotated())).await;
        assert_eq!(user.is_ok(), fine, "{user:?}");
        if let Ok(made) = user {
            let delete = keysherd_plane::items::ItemDelete {
                path: made.path,
                versions: keysherd_plane::items::DeleteVersions::All,
                in_days: 7,
                immediately: false,
                force: false,
            };
            world.ask(&world.admin, delete).await.unwrap();
        }
        let owner = world.new_item(token, SECRET, own()).await;
        assert_eq!(owner.is_ok(), own_fine, "{owner:?}");
    }
    // Who may rotate the item, but not the target any more, does not.
    for token in [&list_only, &no_read, &no_update] {
        let refused = world.begin(token, Reason::Manual).await.err().unwrap();
        assert_eq!(refused.kind(), FaultKind::Unauthorized);
        assert!(refused.public().contains("target /db/prod"), "{refused}");
    }
    assert!(!world.standing().await.under_way);
    let work = world.begin(&all, Reason::Manual).await.unwrap();
    world.finish(&work).await;
    assert_eq!(world.versions(TARGET).await, [2, 1]);
}

#[tokio::test]
async fn what_the_targets_user_does_takes_list_on_it_to_be_changed() {
    let world = World::new().await;
    world.rotating(rotated()).await;
    let items = rule(RuleKind::Item, "/team/*", "update");
    let lists = rule(RuleKind::Target, "/db/prod", "list");
    let lists = world.user("lists", &[items.clone(), lists]).await;
    let none = world.user("none", &[items]).await;
    let same = |by_target| MadeRotated { target: TargetChoice::Same, by_target, ..rotated() };
    let refused = |outcome: Result<(), Fault>| {
        let fault = outcome.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Unauthorized);
        assert!(fault.public().contains("takes list on that target"), "{fault}");
        assert!(!fault.public().contains("prod"), "{fault}");
    };
    world.record_made(&none, same(false)).await.unwrap();
    refused(world.record_made(&none, same(true)).await.map(drop));
    world.record_made(&lists, same(true)).await.unwrap();
    // From here on the target's user does it, whoever says anything about it.
    refused(world.record_made(&none, same(true)).await.map(drop));
    refused(world.open(&none, SECRET, Purpose::Change).await.map(drop));
    world.open(&lists, SECRET, Purpose::Change).await.unwrap();
    world.record_made(&lists, same(false)).await.unwrap();
    world.open(&none, SECRET, Purpose::Change).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    let world = World::new().await;
    world.rotating(rotated()).await;
    let interval = |interval| Schedule { interval, ..rotated().schedule };
    let grace = |days| Some(Grace { days, before: true, hour: None });
    let out = |lock_minutes| Some(CheckOut { lock_minutes, rotate_on_unlock: true });
    let days = interval(Interval::Days(10));
    let wrong = [
        MadeRotated { schedule: interval(Interval::Days(0)), ..rotated() },
        MadeRotated { schedule: interval(Interval::Days(366)), ..rotated() },
        MadeRotated { schedule: interval(Interval::Minutes(0)), ..rotated() },
        MadeRotated { schedule: interval(Interval::Minutes(u32::MAX)), ..rotated() },
        MadeRotated { schedule: Schedule { hour: 24, ..days }, ..rotated() },
        MadeRotated { schedule: days, grace: grace(0), ..rotated() },
        MadeRotated { schedule: days, grace: grace(10), ..rotated() },
        MadeRotated { schedule: days, grace: grace(u32::MAX), ..rotated() },
        MadeRotated { notices: vec![0], ..rotated() },
        MadeRotated { notices: vec![366], ..rotated() },
        MadeRotated { notices: vec![1; 17], ..rotated() },
        MadeRotated { check_out: out(0), ..rotated() },
        MadeRotated { check_out: out(u32::MAX), ..rotated() },
        MadeRotated { rotator: "Post gres".to_owned(), ..rotated() },
        MadeRotated { rotator_type: String::new(), ..rotated() },
        MadeRotated { target: TargetChoice::Without, ..rotated() },
        MadeRotated { target: TargetChoice::Named(item(SECRET)), ..rotated() },
    ];
    for one in wrong {
        let text = format!("{one:?}");
        let refused = world.new_item(&world.admin, "/team/wrong", made(one.clone())).await;
        assert_eq!(kind(refused), FaultKind::BadRequest, "{text}");
        let refused = world.record_made(&world.admin, one).await;
        assert_eq!(kind(refused), FaultKind::BadRequest, "{text}");
    }
    let other_kinds = [
        MadeRotated { rotator: "mysql".to_owned(), ..rotated() },
        MadeRotated { rotator_type: "key".to_owned(), ..rotated() },
        MadeRotated { of_target: true, ..rotated() },
    ];
    for one in other_kinds {
        assert_eq!(kind(world.record_made(&world.admin, one).await), FaultKind::BadRequest);
    }
    let plain = world.put(&world.admin, SECRET, Some(true)).await;
    assert_eq!(kind(plain), FaultKind::BadRequest, "its value is no static secret's");
    let read = world.newest(&world.admin, SECRET).await;
    assert_eq!(kind(read), FaultKind::BadRequest, "nor is it read as one");
    assert_eq!(world.described(SECRET).await.item.last_version, 1);

    let settings = |settings: &mut keysherd_domain::account::AccountSettings| {
        let mut set = |name: &str, value: &str| {
            settings.stored_only.insert(name.to_owned(), value.to_owned());
        };
        set("max-rotation-interval-enable", "true");
        set("max-rotation-interval", "9");
    };
    world.settings(None, settings).await;
    let long = MadeRotated { schedule: days, ..rotated() };
    assert_eq!(kind(world.record_made(&world.admin, long).await), FaultKind::Forbidden);
    let fine = MadeRotated { schedule: interval(Interval::Days(9)), ..rotated() };
    world.record_made(&world.admin, fine).await.unwrap();
    let parts = ItemUpdateParts { description: Some("d".to_owned()), ..Default::default() };
    let update = keysherd_plane::items::ItemUpdate { path: item(SECRET), parts };
    world.ask(&world.admin, update).await.unwrap();
    for wrong in ["/team/none", TARGET] {
        let begin = RotationBegin { item: item(wrong), reason: Reason::Manual, salt: fresh_salt() };
        let refused = kind(world.ask(&world.admin, begin).await);
        assert!(matches!(refused, FaultKind::NotFound | FaultKind::BadRequest));
    }
}
