//! Explanations: what decided, and to whom it is told.

use keysherd_base::{AccessId, FaultKind};
use keysherd_domain::auth_method::MethodShared;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::policy::trace::Standing;
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_plane::explain::{AccessExplain, AccessExplainReply, SupposedBearer, Verdict};

use crate::testing::{World, item, kind, rule};

fn about(path: &str) -> AccessExplain {
    AccessExplain {
        kind: RuleKind::Item,
        path: path.to_owned(),
        capability: Capability::Read,
        bearer: None,
        all_rules: false,
    }
}

fn claims(pairs: &[(&str, &str)]) -> SubClaims {
    let mut claims = SubClaims::default();
    pairs.iter().for_each(|(name, value)| claims.set(name, *value));
    claims
}

fn other(path: &str, access_id: &AccessId, pairs: &[(&str, &str)]) -> AccessExplain {
    let bearer = SupposedBearer { access_id: access_id.clone(), claims: claims(pairs) };
    AccessExplain { bearer: Some(bearer), ..about(path) }
}

/// A shared method with three roles: for everybody, for a team, and one that denies.
async fn shared(world: &World) -> AccessId {
    let (access_id, _) = world.api_key("/people", MethodShared::default()).await;
    world.role("/all", &[rule(RuleKind::Item, "/open/*", "read")]).await;
    world.role("/team", &[rule(RuleKind::Item, "/team/{{team}}/*", "read,update")]).await;
    world.role("/deny", &[rule(RuleKind::Item, "/team/dev/locked", "deny")]).await;
    world.associate("/all", "/people", SubClaims::default()).await;
    world.associate("/team", "/people", claims(&[("team", "*")])).await;
    world.associate("/deny", "/people", claims(&[("team", "dev"), ("level", "junior")])).await;
    access_id
}

fn told(reply: &AccessExplainReply, role: &str) -> (Vec<String>, Vec<Standing>) {
    let found = reply.assocs.iter().find(|assoc| assoc.role.as_str() == role).unwrap();
    let unmet = found.unmet.iter().map(|claim| claim.name.clone()).collect();
    (unmet, found.rules.iter().map(|(_, standing)| standing.clone()).collect())
}

#[tokio::test]
async fn an_administrator_learns_what_decides_for_somebody_else() {
    let world = World::new().await;
    let id = shared(&world).await;
    let ask = async |path: &str, pairs: &[(&str, &str)]| {
        world.ask(&world.admin, other(path, &id, pairs)).await.unwrap()
    };
    let open = ask("/open/x", &[]).await;
    assert_eq!(open.verdict, Verdict::Granted(Some((item("/all"), "/open/*".to_owned()))));
    assert_eq!(open.claims.values("client_unique_id"), [id.to_string()]);

    let nothing = ask("/team/dev/db", &[]).await;
    assert_eq!(nothing.verdict, Verdict::NoRule);
    let without = vec![Standing::NoClaimValue("team".to_owned())];
    assert_eq!(told(&nothing, "/team"), (vec!["team".to_owned()], without));
    assert_eq!(told(&nothing, "/deny").0, ["level", "team"]);

    let member = ask("/team/dev/db", &[("team", "dev")]).await;
    let by = (item("/team"), "/team/{{team}}/*".to_owned());
    assert_eq!(member.verdict, Verdict::Granted(Some(by)));
    assert_eq!(told(&member, "/team"), (vec![], vec![Standing::Grants]));
    let level = &member.assocs.iter().find(|assoc| assoc.role.as_str() == "/deny").unwrap().unmet;
    assert_eq!((&*level[0].name, &level[0].required[..]), ("level", &["junior".to_owned()][..]));

    let junior = ask("/team/dev/locked", &[("team", "dev"), ("level", "junior")]).await;
    let by = (item("/deny"), "/team/dev/locked".to_owned());
    assert_eq!(junior.verdict, Verdict::Denied(Some(by)));
    assert!(junior.held.is_empty());
    assert_eq!(junior.hidden, 0);
}

#[tokio::test]
async fn everybody_may_ask_about_themselves_and_learns_no_names_they_may_not_see() {
    let world = World::new().await;
    let rules = [rule(RuleKind::Item, "/a/*", "read"), rule(RuleKind::Item, "/a/x", "deny")];
    let user = world.user("u", &rules).await;
    for (path, expected) in
        [("/a/y", Verdict::Granted(None)), ("/a/x", Verdict::Denied(None)), ("/b", Verdict::NoRule)]
    {
        let reply = world.ask(&user, about(path)).await.unwrap();
        assert_eq!(reply.verdict, expected, "{path}");
        assert_eq!((reply.assocs.len(), reply.hidden, reply.method), (0, 1, None));
    }
    let rules = [rule(RuleKind::Role, "/roles/v", "list"), rule(RuleKind::Item, "/a", "read")];
    let sees = world.user("v", &rules).await;
    let reply = world.ask(&sees, about("/a")).await.unwrap();
    assert_eq!(reply.verdict, Verdict::Granted(Some((item("/roles/v"), "/a".to_owned()))));
    assert_eq!(reply.hidden, 0);
    let admin = world.ask(&world.admin, about("/a")).await.unwrap();
    assert_eq!(admin.verdict, Verdict::Admin(Some(item("/admin"))));
}

#[tokio::test]
async fn asking_about_others_is_an_access_review() {
    let world = World::new().await;
    let id = shared(&world).await;
    let plain = world.user("plain", &[rule(RuleKind::Item, "/*", "read")]).await;
    assert_eq!(kind(world.ask(&plain, other("/a", &id, &[])).await), FaultKind::Unauthorized);
    let scoped = [
        rule(RuleKind::ReverseRbac, "/scoped", "read"),
        rule(RuleKind::AuthMethod, "/people", "list"),
        rule(RuleKind::Role, "/all", "list"),
    ];
    let scoped = world.user("scoped", &scoped).await;
    let reply = world.ask(&scoped, other("/open/a", &id, &[])).await.unwrap();
    assert_eq!((reply.assocs.len(), reply.hidden), (1, 2));
    let hidden = world.ask(&scoped, other("/team/a/b", &id, &[("team", "a")])).await.unwrap();
    assert_eq!(hidden.verdict, Verdict::Granted(None));
    // One that exists unseen, one of another account and one that nobody has are refused alike.
    let foreign = world.another_account("other@example.com").await.created.admin_access_id;
    let unseen = world.first.created.admin_access_id.clone();
    let nobody = AccessId::parse("p-0123456789ab").unwrap();
    let mut texts = Vec::new();
    for id in [&unseen, &foreign, &nobody] {
        let fault = world.ask(&scoped, other("/a", id, &[])).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Unauthorized);
        texts.push(fault.public().replace(id.as_str(), "X"));
        let all = world.ask(&world.admin, other("/a", id, &[])).await;
        assert_eq!(all.is_ok(), *id == unseen, "{id}");
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
}

#[tokio::test]
async fn administrative_rights_are_explained_by_their_reach() {
    let world = World::new().await;
    let rules = [rule(RuleKind::Search, "/scoped", "read"), rule(RuleKind::Role, "/*", "list")];
    let user = world.user("u", &rules).await;
    for (path, granted) in [("/self", true), ("/scoped", true), ("/*", false)] {
        let ask = AccessExplain { kind: RuleKind::Search, ..about(path) };
        let reply = world.ask(&user, ask).await.unwrap();
        assert_eq!(reply.verdict.is_granted(), granted, "{path}");
        assert_eq!(reply.held.has(Capability::Read), granted, "{path}");
    }
    let bad = AccessExplain { kind: RuleKind::Search, ..about("/elsewhere") };
    assert_eq!(kind(world.ask(&user, bad).await), FaultKind::BadRequest);
}

#[tokio::test]
async fn an_explanation_is_bounded_and_recorded() {
    let world = World::new().await;
    let rules: Vec<_> =
        (0..2_100).map(|n| rule(RuleKind::Item, &format!("/r/{n}"), "read")).collect();
    let user = world.user("u", &[rule(RuleKind::Role, "/*", "list")]).await;
    world.many_rules("/roles/u", &rules).await;
    let every = AccessExplain { all_rules: true, ..about("/r/7") };
    let reply = world.ask(&user, every).await.unwrap();
    assert_eq!(reply.assocs[0].rules.len() + reply.untold, 2_100);
    assert_eq!(reply.untold, 100);
    assert_eq!(reply.assocs[0].rules[0].1, Standing::Grants, "what counts comes first");
    let record = world.records().pop().unwrap();
    assert_eq!(record.draft.action, "explain_access");
}
