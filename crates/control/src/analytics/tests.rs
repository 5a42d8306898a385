//! Whose requests are counted for whom, and what is called unused.

use keysherd_audit::Param;
use keysherd_base::FaultKind;
use keysherd_domain::role::RuleKind;
use keysherd_plane::audit_log::{Analytics, AnalyticsGet};

use crate::audit::audit_draft;
use crate::testing::{World, kind, rule};

async fn used(world: &World, token: &str, item: &str) {
    let caller = world.caller(token);
    let who = world.control.principal(&caller).await.unwrap();
    let params = vec![Param::public("item_name", item.to_owned())];
    let draft = audit_draft(&caller, &who, "get_secret_value", "STATIC_SECRET", params);
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
