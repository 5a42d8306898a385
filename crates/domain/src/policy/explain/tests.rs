//! Explanations name every rule that had a say.

use super::*;
use crate::policy::testing::{NOW, admin_role, claims, item_rules, role};

#[test]
fn names_roles_patterns_and_effects() {
    let mut rules = item_rules(&["/a/* read", "/a/+ update", "/a/b deny", "/z read"]);
    rules.push(crate::role::Rule { expires: Some(NOW), ..item_rules(&["/a/b delete"]).remove(0) });
    let shared = role(2, item_rules(&["/a/{{u}} read", "/* list"]));
    let set = RuleSet::compile([(&role(1, rules), true), (&shared, false)], &claims("u=b,B"));
    let told: Vec<String> = set
        .explain(RuleKind::Item, "/a/b", Capability::Read, NOW)
        .iter()
        .map(|entry| format!("{} {} {:?}", entry.role, entry.pattern, entry.effect))
        .collect();
    assert_eq!(
        told,
        [
            "/role-1 /a/b Denies",
            "/role-1 /a/* Grants",
            "/role-2 /a/{{u}} Grants",
            "/role-1 /a/+ GrantsOther",
            "/role-2 /* GrantsOther",
            "/role-1 /a/b Expired",
        ]
    );
}

#[test]
fn an_admin_role_comes_first_and_nothing_is_said_of_strangers() {
    let set = RuleSet::compile([(&admin_role(), true)], &claims(""));
    let told = set.explain(RuleKind::Role, "/r", Capability::Update, NOW);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].role.as_str(), told[0].effect), ("/admin", Effect::Admin));
    assert!(RuleSet::default().explain(RuleKind::Item, "/a", Capability::Read, NOW).is_empty());
}
