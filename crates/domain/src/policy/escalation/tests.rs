//! Attempts to give more than one holds.

use proptest::prelude::*;

use super::*;
use crate::policy::testing::{
    NOW, admin_role, bearer, claims, defined_match, item_rules, role, rule,
};

/// `own` and `given` are item rules as `path capabilities`.
fn check(own: &[&str], bearer_claims: &str, given: &str, expect: bool) {
    let set = bearer(item_rules(own), &claims(bearer_claims));
    let given = item_rules(&[given]).remove(0);
    assert_eq!(set.covers(&given, NOW), expect, "{own:?} giving {given:?}");
}

#[test]
fn matrix_of_attempts() {
    let rows: &[(&[&str], &str, bool)] = &[
        (&[], "/a read", false),
        (&["/a read"], "/a read", true),
        (&["/a read"], "/a list", true),
        (&["/a list"], "/a read", false),
        (&["/a read"], "/a read,update", false),
        (&["/a read", "/* update"], "/a read,update", true),
        (&["/a read"], "/b read", false),
        (&["/a read"], "/a/* read", false),
        (&["/a read"], "/a* read", false),
        (&["/a/* read"], "/a read", false),
        (&["/a/* read"], "/a/* read", true),
        (&["/a/* read"], "/a/b/c-* read", true),
        (&["/a/* read"], "/a/+/c read", true),
        (&["/a/* read"], "/a/{{u}} read", true),
        (&["/a/* read"], "/a/{{u}}* read", true),
        (&["/a/* read"], "/+/b read", false),
        (&["/a/* read"], "/{{u}}/b read", false),
        (&["/a/* read"], "/* read", false),
        (&["/a/b-* read"], "/a/b-{{u}}/* read", true),
        (&["/a/b-* read"], "/a/b-* read", true),
        (&["/a/b-* read"], "/a/b* read", false),
        (&["/a/b-* read"], "/a/+ read", false),
        (&["/+/b read"], "/+/b read", true),
        (&["/+/b read"], "/{{u}}/b read", true),
        (&["/+/b read"], "/+/+ read", false),
        (&["/+/* read"], "/x/* read", true),
        (&["/+/* read"], "/* read", false),
        (&["/* read"], "/* read", true),
        // Two rules that cover it only together are no proof.
        (&["/a/b read", "/a/b/* read"], "/a/b* read", false),
        // Denies: any overlap is too much.
        (&["/* read", "/p/* deny"], "/* read", false),
        (&["/* read", "/p/* deny"], "/p/x read", false),
        (&["/* read", "/p/* deny"], "/+/x read", false),
        (&["/* read", "/p/* deny"], "/{{u}}/x read", false),
        (&["/* read", "/p/* deny"], "/p* read", false),
        (&["/* read", "/p/* deny"], "/q/* read", true),
        (&["/* read", "/p/* deny"], "/q-{{u}}/* read", true),
        (&["/* read", "/+/x deny"], "/q/* read", false),
        (&["/* read", "/+/x deny"], "/q/y read", true),
        // Denies of one's own are free to give; a path nobody can read is not.
        (&[], "/* deny", true),
        (&["/* read"], "/*/a read", false),
    ];
    for (own, given, expect) in rows {
        check(own, "u=me", given, *expect);
    }
}

#[test]
fn what_a_template_gives_is_held_only_for_ones_own_values() {
    let own = &["/home/{{u}}/* read"];
    check(own, "u=me", "/home/me/* read", true);
    check(own, "u=me", "/home/you/* read", false);
    check(own, "u=me", "/home/{{u}}/* read", false);
    check(own, "u=*", "/home/me/* read", false);
    check(own, "u=me,you", "/home/you/x read", true);
    check(&["/* read", "/home/{{u}}/* deny"], "u=me", "/home/me/x read", false);
    check(&["/* read", "/home/{{u}}/* deny"], "u=me", "/home/you/x read", true);
}

#[test]
fn a_deny_by_template_may_touch_whatever_starts_alike() {
    let rows = [
        ("/p-{{u}}* deny", "/p-m{{v}} read", false),
        ("/p-{{u}}* deny", "/p{{v}} read", false),
        ("/p-{{u}}* deny", "/p* read", false),
        ("/p-{{u}}* deny", "/p-m* read", false),
        ("/p-{{u}}* deny", "/p-mexico read", false),
        ("/p-{{u}}* deny", "/p-eve read", true),
        ("/p-{{u}}* deny", "/q{{v}} read", true),
        ("/p-{{u}}/x deny", "/p-m{{v}}/x read", false),
        ("/p-{{u}}/x deny", "/p{{v}}/x read", false),
        ("/p-{{u}}/x deny", "/p-me/+ read", false),
        ("/p-{{u}}/x deny", "/p* read", false),
        ("/p-{{u}}/x deny", "/p-eve/* read", true),
        ("/p-{{u}}/x deny", "/q{{v}}/x read", true),
    ];
    for (deny, given, expect) in rows {
        check(&["/* read", deny], "u=me,you", given, expect);
    }
}

#[test]
fn nothing_lasts_longer_in_other_hands() {
    let until = |rule: &Rule, end: i64| Rule { expires: Some(Timestamp(end)), ..rule.clone() };
    let lasting = rule(RuleKind::Item, "/a", "read");
    let end = NOW.0 + 10;
    let set = bearer(vec![until(&lasting, end)], &claims(""));
    assert!(set.covers(&until(&lasting, end), NOW));
    assert!(set.covers(&until(&lasting, end - 1), NOW));
    assert!(!set.covers(&until(&lasting, end + 1), NOW));
    assert!(!set.covers(&lasting, NOW));
    assert!(!set.covers(&until(&lasting, end), Timestamp(end)));
    let shadowed = vec![lasting.clone(), until(&rule(RuleKind::Item, "/a", "deny"), end)];
    let set = bearer(shadowed, &claims(""));
    assert!(!set.covers(&lasting, NOW));
    assert!(set.covers(&lasting, Timestamp(end)));
}

#[test]
fn kinds_are_apart_and_scopes_are_not_paths_to_each_other() {
    let own = vec![
        rule(RuleKind::Item, "/*", "read,create,update,delete,list"),
        rule(RuleKind::Search, "/scoped", "read"),
    ];
    let set = bearer(own, &claims(""));
    assert!(!set.covers(&rule(RuleKind::Role, "/r", "read"), NOW));
    assert!(!set.covers(&rule(RuleKind::Sra, "/r", "allow_access"), NOW));
    assert!(!set.covers(&rule(RuleKind::Search, "/*", "read"), NOW));
    assert!(set.covers(&rule(RuleKind::Search, "/scoped", "read"), NOW));
    assert!(!set.covers(&rule(RuleKind::Search, "/self", "read"), NOW));
    for (own, expect) in [
        (&["/* read"][..], true),
        (&["/self read"], true),
        (&["/* create", "/+ read"], false),
        (&["/+ read"], false),
        (&["/{{u}} read"], false),
        (&["/s* read"], false),
        (&["/* read", "/other deny"], false),
    ] {
        let mut own = item_rules(own);
        own.iter_mut().for_each(|rule| rule.kind = RuleKind::Search);
        let set = bearer(own.clone(), &claims("u=self"));
        let given = rule(RuleKind::Search, "/self", "read");
        assert_eq!(set.covers(&given, NOW), expect, "{own:?}");
        let held = set.scope(RuleKind::Search, Capability::Read, NOW) != Scope::None;
        assert_eq!(held, expect, "{own:?}");
    }
}

#[test]
fn whole_roles() {
    let set = bearer(item_rules(&["/a/* read"]), &claims(""));
    let fitting = role(2, item_rules(&["/a/b read", "/z deny"]));
    let wide = role(3, item_rules(&["/a/b read", "/b read"]));
    assert_eq!(set.excess(&fitting, NOW), None);
    assert_eq!(set.excess(&wide, NOW), Some(Excess::Rule(&wide.rules[1])));
    assert_eq!(set.excess(&admin_role(), NOW), Some(Excess::Admin));
    let admin = RuleSet::compile([(&admin_role(), true)], &claims(""));
    assert_eq!(admin.excess(&wide, NOW), None);
    assert_eq!(admin.excess(&admin_role(), NOW), None);
    assert!(admin.covers(&wide.rules[1], NOW));
}

#[test]
fn denies_go_along() {
    let mut rules = item_rules(&["/* read", "/p/* deny", "/p/* deny", "/x/{{absent}} deny"]);
    rules[2].expires = Some(Timestamp(NOW.0 + 1));
    rules.push(Rule { expires: Some(NOW), ..rule(RuleKind::Item, "/over", "deny") });
    rules.push(rule(RuleKind::Target, "/home/{{u}}/*", "deny"));
    rules.push(rule(RuleKind::Sra, "/*", "deny"));
    let set = bearer(rules, &claims("u=me"));
    assert_eq!(
        set.inherited_denies(NOW),
        [rule(RuleKind::Item, "/p/*", "deny"), rule(RuleKind::Target, "/home/{{u}}/*", "deny")]
    );
    let ending =
        |end: i64| Rule { expires: Some(Timestamp(end)), ..rule(RuleKind::Item, "/p/*", "deny") };
    let set = bearer(vec![ending(NOW.0 + 2), ending(NOW.0 + 1)], &claims(""));
    assert_eq!(set.inherited_denies(NOW), [ending(NOW.0 + 2)], "the one that lasts longer");
    let both = [(&role(1, item_rules(&["/p/* deny"])), true), (&admin_role(), true)];
    assert!(RuleSet::compile(both, &claims("")).inherited_denies(NOW).is_empty());
}

fn patterns() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "+", "{{u}}", "a{{u}}", "{{u}}b", "ab"]);
    let tail = prop::sample::select(vec!["", "", "/*", "/a*", "/{{u}}*", "/a{{u}}*"]);
    (prop::collection::vec(segment, 0..3), tail)
        .prop_map(|(segments, tail)| {
            segments.iter().map(|segment| format!("/{segment}")).collect::<String>() + tail
        })
        .prop_filter("a pattern is not empty", |pattern| !pattern.is_empty())
}

fn values() -> impl Strategy<Value = String> {
    prop::sample::subsequence(vec!["a", "b", "ab", "A", "*", "+", "a/b"], 0..4)
        .prop_map(|values| format!("u={}", values.join(",")))
}

fn paths() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "ab", "aa", "bb", "*", "A"]);
    prop::collection::vec(segment, 1..5)
        .prop_map(|segments| segments.iter().map(|segment| format!("/{segment}")).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Whoever gets the rule, and whatever their claims: every path it opens was open to the giver.
    #[test]
    fn nobody_gives_what_they_do_not_hold(
        own in prop::collection::vec((patterns(), prop::bool::weighted(0.2)), 1..6),
        own_values in values(),
        own_case in any::<bool>(),
        given in patterns(),
        other_values in values(),
        paths in prop::collection::vec(paths(), 16),
    ) {
        let effect = |deny| if deny { "deny" } else { "read" };
        let rules = own.iter().map(|(path, deny)| rule(RuleKind::Item, path, effect(*deny)));
        let own_claims = claims(&own_values);
        let set = RuleSet::compile([(&role(1, rules.collect()), own_case)], &own_claims);
        if !set.covers(&rule(RuleKind::Item, &given, "read"), NOW) {
            return Ok(());
        }
        for path in paths {
            for case in [true, false] {
                if defined_match(&given, &path, &claims(&other_values), case) {
                    let decision = set.decide(RuleKind::Item, &path, Capability::Read, NOW);
                    prop_assert!(decision.is_granted(), "{} {:?}", path, decision);
                }
            }
        }
    }
}
