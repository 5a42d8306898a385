//! Traces tell of every rule, and agree with the decision.

use proptest::prelude::*;

use super::*;
use crate::policy::testing::{NOW, admin_role, claims, item_rules, role, rule};

fn item(path: &str) -> Question<'_> {
    Question { kind: RuleKind::Item, path, capability: Capability::Read, now: NOW }
}

fn told(role: &Role, claims: &SubClaims, question: Question<'_>) -> Vec<(String, Standing)> {
    let traced = trace(role, true, claims, question);
    traced.into_iter().map(|traced| (traced.rule.path.clone(), traced.standing)).collect()
}

#[test]
fn every_rule_says_why_it_counts_or_not() {
    let mut rules = item_rules(&[
        "/z read",
        "/a/b deny",
        "/a/* read",
        "/a/+ update",
        "/a/{{team}}/* read",
        "/a/{{u}} list",
        "/a//b read",
        "/empty ",
    ]);
    rules.push(Rule { expires: Some(NOW), ..item_rules(&["/a/b* read"]).remove(0) });
    rules.push(rule(RuleKind::Role, "/a/b", "read"));
    let found = told(&role(1, rules), &claims("u=b team=x/y"), item("/a/b"));
    let expected = [
        ("/a/b", Standing::Denies),
        ("/a/*", Standing::Grants),
        ("/a/+", Standing::GrantsOther),
        ("/a/{{u}}", Standing::GrantsOther),
        ("/a/b*", Standing::Expired),
        ("/z", Standing::OtherPath),
        ("/a/{{team}}/*", Standing::NoClaimValue("team".to_owned())),
        ("/a//b", Standing::BadPath),
        ("/empty", Standing::Powerless),
    ];
    let expected = expected.map(|(path, standing)| (path.to_owned(), standing));
    assert_eq!(found, expected);
    assert!(told(&admin_role(), &claims(""), item("/a/b")).is_empty());
}

#[test]
fn a_deny_of_remote_access_has_no_power() {
    let role = role(1, vec![rule(RuleKind::Sra, "/a", "deny")]);
    let question = Question { kind: RuleKind::Sra, ..item("/a") };
    assert_eq!(told(&role, &claims(""), question), [("/a".to_owned(), Standing::Powerless)]);
}

#[test]
fn administrative_rules_are_compared_by_their_reach() {
    let rules = vec![
        rule(RuleKind::Search, "/self", "read"),
        rule(RuleKind::Search, "/scoped", "read"),
        rule(RuleKind::Search, "/+", "read"),
    ];
    let role = role(1, rules);
    let set = RuleSet::compile([(&role, true)], &claims(""));
    for (path, own, scoped, granted) in [
        ("/self", Standing::Grants, Standing::Grants, true),
        ("/scoped", Standing::Narrower, Standing::Grants, true),
        ("/*", Standing::Narrower, Standing::Narrower, false),
    ] {
        let question = Question { kind: RuleKind::Search, ..item(path) };
        let found = told(&role, &claims(""), question);
        let of = |rule: &str| found.iter().find(|(path, _)| path == rule).unwrap().1.clone();
        assert_eq!((of("/self"), of("/scoped"), of("/+")), (own, scoped, Standing::BadPath));
        assert_eq!(is_granted(&set, question), granted, "{path}");
    }
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let path = prop::sample::select(vec![
        "/a",
        "/a/*",
        "/+",
        "/+/b",
        "/a/{{u}}",
        "/{{u}}/*",
        "/a/b*",
        "/*",
        "/{{none}}",
    ]);
    let capability = prop::sample::select(vec!["read", "list", "update", "deny"]);
    let one = (path, capability, any::<bool>()).prop_map(|(path, capability, over)| Rule {
        expires: over.then_some(NOW),
        ..rule(RuleKind::Item, path, capability)
    });
    prop::collection::vec(one, 0..8).prop_map(|mut rules| {
        rules.sort_by(|a, b| a.path.cmp(&b.path));
        rules.dedup_by(|a, b| a.path == b.path);
        rules
    })
}

proptest! {
    #[test]
    fn what_is_told_of_all_roles_adds_up_to_the_decision(
        one in rules(),
        other in rules(),
        path in prop::sample::select(vec!["/a", "/a/b", "/b/b", "/a/bc", "/c"]),
        value in prop::sample::select(vec!["u=a", "u=b", "u=*", "none="]),
    ) {
        let claims = claims(value);
        let roles = [role(1, one), role(2, other)];
        let set = RuleSet::compile(roles.iter().map(|role| (role, true)), &claims);
        let traced: Vec<_> =
            roles.iter().flat_map(|role| trace(role, true, &claims, item(path))).collect();
        let some = |standing: Standing| traced.iter().any(|rule| rule.standing == standing);
        let adds_up = some(Standing::Grants) && !some(Standing::Denies);
        prop_assert_eq!(is_granted(&set, item(path)), adds_up);
        prop_assert_eq!(traced.len(), roles[0].rules.len() + roles[1].rules.len());
    }
}
