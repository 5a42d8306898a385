//! Who sees what of the audit log: scopes, page tokens, accounts.

use keysherd_audit::{Filter, Param, Record, StatusFilter};
use keysherd_base::{AccessId, FaultKind};
use keysherd_crypto::sign::SigningKey;
use keysherd_domain::auth_method::MethodShared;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::role::{Rule, RuleKind};
use keysherd_plane::audit_log::{AuditSearch, AuditSearchReply};
use keysherd_plane::items::ItemList;

use crate::audit::audit_draft;
use crate::testing::{World, kind, rule};

fn wish(filter: Filter) -> AuditSearch {
    AuditSearch { filter, oldest_first: false, page: None, limit: 1_000 }
}

fn parsed(reply: &AuditSearchReply) -> Vec<Record> {
    reply.records.iter().map(|text| Record::parse(text.as_bytes()).unwrap()).collect()
}

async fn seen(world: &World, token: &str, filter: Filter) -> Vec<Record> {
    let mut wish = wish(filter);
    let mut all = Vec::new();
    loop {
        let reply = world.ask(token, wish.clone()).await.unwrap();
        all.extend(parsed(&reply));
        match reply.next {
            Some(next) => wish.page = Some(next),
            None => return all,
        }
    }
}

/// A user with a rule for the audit log.
async fn auditor(world: &World, name: &str, scope: &str, more: &[Rule]) -> String {
    let mut rules = vec![rule(RuleKind::Search, scope, "read")];
    rules.extend_from_slice(more);
    world.user(name, &rules).await
}

/// Writes records by the bearer of `token` about these items.
async fn used(world: &World, token: &str, items: &[&str]) {
    let caller = world.caller(token);
    let who = world.control.principal(&caller).await.unwrap();
    let params = items.iter().map(|path| Param::public("item_name", (*path).to_owned())).collect();
    let draft = audit_draft(&caller, &who, "get_secret_value", "STATIC_SECRET", params);
    world.control.store.record(vec![(draft, None)]).await.unwrap();
}

fn access_ids(records: &[Record]) -> Vec<&AccessId> {
    let mut ids: Vec<_> = records.iter().filter_map(|r| r.draft.access_id.as_ref()).collect();
    ids.sort();
    ids.dedup();
    ids
}

#[tokio::test]
async fn own_shows_the_records_of_the_same_bearer_whatever_is_asked() {
    let world = World::new().await;
    let alice = auditor(&world, "alice", "/self", &[]).await;
    let bob = auditor(&world, "bob", "/self", &[]).await;
    for token in [&alice, &bob, &world.admin.clone()] {
        used(&world, token, &["/team/db"]).await;
    }
    let own = seen(&world, &alice, Filter::default()).await;
    assert_eq!(access_ids(&own).len(), 1);
    let bobs = access_ids(&seen(&world, &bob, Filter::default()).await)[0].to_string();
    let text = |text: &str| Some(text.to_owned());
    let base = Filter::default();
    for filter in [
        Filter { access_id: text(&bobs), ..base.clone() },
        Filter { unique_id: text(&bobs), ..base.clone() },
        Filter { unique_id: text(""), ..base.clone() },
        Filter { access_id: text(""), ..base.clone() },
        Filter { action: text("create_role"), ..base.clone() },
    ] {
        assert!(seen(&world, &alice, filter.clone()).await.is_empty(), "{filter:?}");
    }
    for filter in [
        Filter { item: text("/team/db"), ..base.clone() },
        Filter { folder: text("/"), ..base.clone() },
        Filter { action: text("get_secret_value"), ..base.clone() },
        Filter { status: Some(StatusFilter::Exactly(200)), ..base.clone() },
        Filter { access_id: text(access_ids(&own)[0].as_str()), ..base },
    ] {
        let found = seen(&world, &alice, filter.clone()).await;
        assert!(!found.is_empty(), "{filter:?}");
        assert_eq!(access_ids(&found), access_ids(&own), "{filter:?}");
    }
}

#[tokio::test]
async fn two_people_of_one_method_do_not_see_each_other() {
    let world = World::new().await;
    let alice = auditor(&world, "alice", "/self", &[]).await;
    let caller = world.caller(&alice);
    let who = world.control.principal(&caller).await.unwrap();
    let mut draft = audit_draft(&caller, &who, "get_item", "", Vec::new());
    draft.unique_id = "somebody-else".into();
    world.control.store.record(vec![(draft, None)]).await.unwrap();
    let found = seen(&world, &alice, Filter::default()).await;
    assert!(found.iter().all(|record| *record.draft.unique_id == *who.unique_id));
    let all = seen(&world, &world.admin, Filter::default()).await;
    assert!(all.iter().any(|record| &*record.draft.unique_id == "somebody-else"));
}

#[tokio::test]
async fn scoped_shows_records_about_items_that_may_all_be_listed() {
    let world = World::new().await;
    let items =
        [rule(RuleKind::Item, "/team/*", "read"), rule(RuleKind::Item, "/team/secret/*", "deny")];
    let alice = auditor(&world, "alice", "/scoped", &items).await;
    used(&world, &world.admin, &["/team/db"]).await;
    used(&world, &world.admin, &["/team/secret/x"]).await;
    used(&world, &world.admin, &["/other/db"]).await;
    used(&world, &world.admin, &["/team/db", "/other/db"]).await;
    world.ask(&world.admin, crate::testing::role("/a-role")).await.unwrap();
    let found = seen(&world, &alice, Filter::default()).await;
    let others: Vec<_> = found
        .iter()
        .filter(|record| {
            record.draft.access_id.as_ref() == Some(&world.first.created.admin_access_id)
        })
        .map(|record| record.draft.params[0].value().unwrap())
        .collect();
    assert_eq!(others, ["/team/db"]);
    assert!(found.len() > 1, "and what Alice did herself");
    // Whose names are not visible leak through no filter either.
    for path in ["/other/db", "/team/secret/x"] {
        let filter = Filter { item: Some(path.to_owned()), ..Filter::default() };
        assert!(seen(&world, &alice, filter).await.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn all_shows_everything_and_gives_no_other_right() {
    let world = World::new().await;
    let auditor = auditor(&world, "auditor", "/*", &[]).await;
    used(&world, &world.admin, &["/team/db"]).await;
    let found = seen(&world, &auditor, Filter::default()).await;
    assert!(access_ids(&found).len() > 1);
    let nothing = world
        .ask(
            &auditor,
            ItemList {
                folder: None,
                filter: None,
                kinds: Vec::new(),
                secret_kinds: Vec::new(),
                tag: None,
                modified_after: None,
                after: None,
                limit: None,
            },
        )
        .await
        .unwrap();
    assert!(nothing.items.is_empty() && nothing.folders.is_empty());
}

#[tokio::test]
async fn without_the_right_nothing_is_told_and_the_refusal_is_recorded() {
    let world = World::new().await;
    let user = world.user("user", &[rule(RuleKind::Item, "/*", "read")]).await;
    assert_eq!(kind(world.ask(&user, wish(Filter::default())).await), FaultKind::Unauthorized);
    let last = world.records().pop().unwrap();
    assert_eq!((last.status, &*last.draft.action), (401, "search_audit"));
}

#[tokio::test]
async fn a_page_token_serves_its_own_search_by_its_own_caller() {
    let world = World::new().await;
    let (key, other) = (SigningKey::generate(&keysherd_crypto::random::SystemRng).unwrap(), "o@x");
    drop(key);
    let foreign = world.another_account(other).await;
    let foreign = world.login(&foreign.created.admin_access_id, &foreign.admin_key).await.unwrap();
    let alice = auditor(&world, "alice", "/*", &[]).await;
    let bob = auditor(&world, "bob", "/*", &[]).await;
    for _ in 0..5 {
        used(&world, &alice, &["/team/db"]).await;
    }
    let first = AuditSearch { limit: 2, ..wish(Filter::default()) };
    let reply = world.ask(&alice, first.clone()).await.unwrap();
    assert_eq!(reply.records.len(), 2);
    let page = reply.next.unwrap();
    let next = AuditSearch { page: Some(page.clone()), ..first.clone() };
    let second = world.ask(&alice, next.clone()).await.unwrap();
    let numbers: Vec<_> = [&reply.records, &second.records]
        .into_iter()
        .flatten()
        .map(|text| Record::parse(text.as_bytes()).unwrap().seq)
        .collect();
    assert!(numbers.is_sorted_by(|a, b| a > b), "{numbers:?}");
    for token in [&bob, &world.admin.clone(), &foreign.token] {
        assert_eq!(kind(world.ask(token, next.clone()).await), FaultKind::BadRequest);
    }
    let filter = Filter { item: Some("/team/db".to_owned()), ..Filter::default() };
    let mut altered = page.clone();
    let last = if altered.pop() == Some('0') { '1' } else { '0' };
    altered.push(last);
    for wrong in [
        AuditSearch { filter, ..next.clone() },
        AuditSearch { oldest_first: true, ..next.clone() },
        AuditSearch { page: Some(altered), ..next.clone() },
        AuditSearch { page: Some(alice.clone()), ..next.clone() },
        AuditSearch { page: Some(String::new()), ..next },
    ] {
        assert_eq!(kind(world.ask(&alice, wrong).await), FaultKind::BadRequest);
    }
}

#[tokio::test]
async fn accounts_do_not_meet() {
    let world = World::new().await;
    let other = world.another_account("other@example.com").await;
    let token = world.login(&other.created.admin_access_id, &other.admin_key).await.unwrap().token;
    used(&world, &world.admin, &["/team/db"]).await;
    for record in seen(&world, &token, Filter::default()).await {
        assert_eq!(record.draft.account, other.id);
    }
    let filter = Filter { item: Some("/team/db".to_owned()), ..Filter::default() };
    assert!(seen(&world, &token, filter).await.is_empty());
}

#[tokio::test]
async fn a_right_that_is_taken_away_ends_at_once() {
    let world = World::new().await;
    let (access_id, key) = world.api_key("/users/a", MethodShared::default()).await;
    world.role("/roles/a", &[rule(RuleKind::Search, "/*", "read")]).await;
    world.associate("/roles/a", "/users/a", SubClaims::default()).await;
    let token = world.login(&access_id, &key).await.unwrap().token;
    let first = AuditSearch { limit: 1, ..wish(Filter::default()) };
    let page = world.ask(&token, first.clone()).await.unwrap().next;
    world
        .ask(
            &world.admin,
            keysherd_plane::roles::RoleDelete { path: crate::testing::item("/roles/a") },
        )
        .await
        .unwrap();
    let next = AuditSearch { page, ..first };
    assert_eq!(kind(world.ask(&token, next).await), FaultKind::Unauthorized);
}
