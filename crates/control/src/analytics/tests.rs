//! Whose requests are counted for whom, and what is called unused.

use keysherd_audit::Param;
use keysherd_base::{FaultKind, Timestamp};
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_plane::audit_log::{Analytics, AnalyticsGet, UnusedRights};

use crate::audit::audit_draft;
use crate::testing::{World, kind, rule};

async fn used(world: &World, token: &str, item: &str) {
    used_by(world, token, item, "get_secret_value").await;
}

async fn used_by(world: &World, token: &str, item: &str, action: &'static str) {
    let caller = world.caller(token);
    let who = world.control.principal(&caller).await.unwrap();
    let params = vec![Param::public("item_name", item.to_owned())];
    let draft = audit_draft(&caller, &who, action, "", params);
    world.control.store.record(vec![(draft, None)]).await.unwrap();
}

fn access_ids(sums: &Analytics) -> Vec<&str> {
    let mut ids: Vec<_> = sums.days.iter().map(|row| row.access_id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[tokio::test]
async fn own_counts_what_the_bearer_did_and_all_counts_everybody() {
    let world = World::new().await;
    let own = world.user("own", &[rule(RuleKind::Reports, "/self", "read")]).await;
    let all = world.user("all", &[rule(RuleKind::Reports, "/*", "read")]).await;
    for token in [&own, &all, &world.admin.clone()] {
        used(&world, token, "/very/secret-name").await;
    }
    let mine = world.ask(&own, AnalyticsGet).await.unwrap();
    assert_eq!(access_ids(&mine).len(), 1);
    assert!(mine.usage.is_none());
    let whole = world.ask(&all, AnalyticsGet).await.unwrap();
    assert!(access_ids(&whole).len() > 2);
    assert!(whole.usage.is_none(), "that is another right");
    let reads = whole.days.iter().filter(|row| row.action == "get_secret_value");
    assert_eq!(reads.map(|row| row.requests).sum::<u64>(), 3);
    let told = world.ask(&world.admin, AnalyticsGet).await.unwrap();
    let usage = told.usage.as_ref().unwrap();
    assert!(usage.clients.len() > 2 && usage.clients.iter().any(|c| c.method == "users/own"));
    for sums in [&mine, &whole, &told] {
        assert!(!format!("{sums:?}").contains("secret-name"));
    }
}

#[tokio::test]
async fn without_the_right_and_in_other_accounts_nothing_is_counted() {
    let world = World::new().await;
    let user = world.user("user", &[rule(RuleKind::Search, "/*", "read")]).await;
    assert_eq!(kind(world.ask(&user, AnalyticsGet).await), FaultKind::Unauthorized);
    let other = world.another_account("other@example.com").await;
    let token = world.login(&other.created.admin_access_id, &other.admin_key).await.unwrap().token;
    used(&world, &world.admin, "/team/db").await;
    let told = world.ask(&token, AnalyticsGet).await.unwrap();
    let foreign = world.first.created.admin_access_id.as_str();
    assert!(!access_ids(&told).contains(&foreign));
    assert!(told.usage.unwrap().clients.iter().all(|client| client.access_id != foreign));
}

#[tokio::test]
async fn a_right_is_unused_until_somebody_makes_use_of_it() {
    let world = World::new().await;
    let user = world
        .user(
            "user",
            &[
                rule(RuleKind::Item, "/team/*", "read,update"),
                rule(RuleKind::Item, "/team/+/deep", "read"),
                rule(RuleKind::Item, "/idle/*", "read"),
                rule(RuleKind::Item, "/idle/x", "deny"),
            ],
        )
        .await;
    let ask = || UnusedRights { since: Timestamp(0), after: None };
    let unused = async || {
        let told = world.ask(&world.admin, ask()).await.unwrap();
        assert_eq!(told.next, None);
        let rules = told.rules.into_iter().filter(|rule| rule.role.as_str() == "/roles/user");
        rules.map(|rule| (rule.rule, rule.unused)).collect::<Vec<_>>()
    };
    let (read, update) = (Capability::Read, Capability::Update);
    let all = [
        ("/team/*".to_owned(), vec![read, update]),
        ("/team/+/deep".to_owned(), vec![read]),
        ("/idle/*".to_owned(), vec![read]),
    ];
    assert_eq!(unused().await, all);
    used(&world, &user, "/team/db").await;
    // Somebody else's use is none of this role.
    used(&world, &world.admin, "/idle/y").await;
    let mut left = all.clone();
    left[0].1 = vec![update];
    assert_eq!(unused().await, left);
    // Nor is that of a target one of a rule for items.
    used_by(&world, &user, "/.targets/idle/y", "get_target_details").await;
    assert_eq!(unused().await, left);
    used(&world, &user, "/team/db/deep").await;
    left[1].1.clear();
    assert_eq!(unused().await, [left[0].clone(), left[2].clone()]);

    used_by(&world, &user, "/idle/dynamic", "get_dynamic_secret_value").await;
    assert_eq!(unused().await, [left[0].clone()]);

    // Only those who may read the whole log are told.
    let own = world.user("own", &[rule(RuleKind::Search, "/self", "read")]).await;
    for token in [&user, &own] {
        assert_eq!(kind(world.ask(token, ask()).await), FaultKind::Unauthorized);
    }
    // And of roles only those that they may list.
    let auditor = world.user("auditor", &[rule(RuleKind::Search, "/*", "read")]).await;
    assert!(world.ask(&auditor, ask()).await.unwrap().rules.is_empty());
}
