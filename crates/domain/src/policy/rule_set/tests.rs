//! Truth tables and properties of the decision.

use super::*;
use crate::policy::testing::{NOW, admin_role, bearer, claims, item_rules, role, rule};

mod attacks;
mod model;
mod properties;
mod scaling;

/// Whether item rules (`path capabilities`) grant `capability` on `path`.
fn check(rules: &[&str], bearer_claims: &str, path: &str, capability: &str, expect: bool) {
    let set = bearer(item_rules(rules), &claims(bearer_claims));
    let capability = Capability::from_name(capability).unwrap();
    let decision = set.decide(RuleKind::Item, path, capability, NOW);
    assert_eq!(decision.is_granted(), expect, "{rules:?} {path} {capability:?}: {decision:?}");
}

#[test]
fn paths_truth_table() {
    let rows: &[(&str, &str, bool)] = &[
        ("/a/b", "/a/b", true),
        ("/a/b", "/a/b/c", false),
        ("/a/b", "/a", false),
        ("/a/b", "/A/b", false),
        ("/a/b", "/a/b/", false),
        ("/path/*", "/path/x", true),
        ("/path/*", "/path/x/y/z", true),
        ("/path/*", "/path", false),
        ("/path/*", "/path/", true),
        ("/path/*", "/pathology", false),
        ("/foo/devops-*", "/foo/devops-1", true),
        ("/foo/devops-*", "/foo/devops-1/deep/er", true),
        ("/foo/devops-*", "/foo/devops-", true),
        ("/foo/devops-*", "/foo/devops", false),
        ("/foo/devops-*", "/foo/x/devops-1", false),
        ("/*", "/a", true),
        ("/*", "/a/b/c", true),
        ("/*", "/", true),
        ("*", "/a", true),
        ("/foo/+/+/bar/*", "/foo/1/2/bar/x", true),
        ("/foo/+/+/bar/*", "/foo/1/bar/x", false),
        ("/foo/+/+/bar/*", "/foo/1/2/3/bar/x", false),
        ("/a/+", "/a/b", true),
        ("/a/+", "/a", false),
        ("/a/+", "/a/", false),
        ("/a/+", "/a/b/c", false),
        ("/a/c++", "/a/c++", true),
        ("/a/c++", "/a/cxx", false),
        ("/+/*", "/a/b", true),
        ("/+/*", "/a", false),
        ("/ä/*", "/ä/ö", true),
    ];
    for (pattern, path, expect) in rows {
        check(&[&format!("{pattern} read")], "", path, "read", *expect);
    }
}

#[test]
fn capabilities_truth_table() {
    let rows: &[(&[&str], &str, &str, bool)] = &[
        (&[], "/a", "list", false),
        (&["/a read"], "/a", "read", true),
        (&["/a read"], "/a", "update", false),
        (&["/a read"], "/a", "list", true),
        (&["/a create"], "/a", "list", true),
        (&["/a list"], "/a", "read", false),
        (&["/a read", "/* update"], "/a", "update", true),
        (&["/a read", "/a deny"], "/a", "read", false),
        (&["/a read,deny"], "/a", "read", false),
        (&["/a/b read", "/a/* deny"], "/a/b", "read", false),
        (&["/a/* read", "/a/b deny"], "/a/c", "read", true),
        (&["/a/* read", "/a/b deny"], "/a/b", "list", false),
        (&["/* read", "/+/b deny"], "/a/b", "read", false),
        (&["/a deny"], "/a", "deny", false),
        (&["/a read"], "/a", "deny", false),
        (&["/a "], "/a", "list", false),
    ];
    for (rules, path, capability, expect) in rows {
        check(rules, "", path, capability, *expect);
    }
}

#[test]
fn templates_truth_table() {
    let rows: &[(&str, &str, &str, bool)] = &[
        ("/{{g}}/*", "g=dev,ops", "/ops/x", true),
        ("/{{g}}/*", "g=dev,ops", "/hr/x", false),
        ("/{{g}}/*", "h=dev", "/dev/x", false),
        ("/{{G}}/*", "g=dev", "/dev/x", false),
        ("/{{g}}", "g=Dev", "/dev", false),
        ("/home/{{u}}-{{g}}/+", "u=ann g=dev,ops", "/home/ann-ops/x", true),
        ("/home/{{u}}-{{g}}/+", "u=ann g=dev,ops", "/home/ann-hr/x", false),
        ("/{{u}}{{g}}", "u=a,aa g=b,ab", "/aaab", true),
        ("/{{u}}{{g}}", "u=a,aa g=b,ab", "/aaaab", false),
        // A claim that occurs twice has one value.
        ("/{{g}}/{{g}}-db", "g=dev,ops", "/dev/dev-db", true),
        ("/{{g}}/{{g}}-db", "g=dev,ops", "/dev/ops-db", false),
        ("/{{https://i/g}}/*", "https://i/g=dev", "/dev/x", true),
        ("/x/{{u}}*", "u=ann", "/x/anna/y", true),
        ("/x/p-{{u}}-*", "u=ann,bob", "/x/p-bob-1/y", true),
        ("/x/p-{{u}}-*", "u=ann,bob", "/x/p-bobby", false),
    ];
    for (pattern, bearer_claims, path, expect) in rows {
        check(&[&format!("{pattern} read")], bearer_claims, path, "read", *expect);
    }
}

#[test]
fn template_case_follows_the_association() {
    let home = role(1, item_rules(&["/Home/x-{{g}}/* read", "/{{g}}/{{g}} read"]));
    let bearer_claims = claims("g=Dev");
    for (path, insensitive) in [
        ("/Home/x-dEV/a", true),
        ("/home/x-Dev/a", false),
        ("/Home/X-dev/a", false),
        ("/dev/DEV", true),
        ("/dev/ops", false),
    ] {
        let grants = |case_sensitive| {
            RuleSet::compile([(&home, case_sensitive)], &bearer_claims)
                .decide(RuleKind::Item, path, Capability::Read, NOW)
                .is_granted()
        };
        assert_eq!(grants(false), insensitive, "{path}");
        assert!(!grants(true), "{path}");
    }
}

#[test]
fn roles_add_up_and_a_deny_in_one_counts_against_all() {
    let (reader, writer) = (item_rules(&["/a/* read"]), item_rules(&["/a/* update"]));
    let (reader, writer) = (role(1, reader), role(2, writer));
    let blocker = role(3, item_rules(&["/a/x deny"]));
    let all = [(&reader, true), (&writer, false), (&blocker, true), (&reader, true)];
    let set = RuleSet::compile(all, &claims(""));
    let held = set.effective(RuleKind::Item, "/a/b", NOW);
    assert_eq!(held.iter().map(Capability::name).collect::<Vec<_>>(), ["read", "update", "list"]);
    assert!(set.effective(RuleKind::Item, "/a/x", NOW).is_empty());
    assert!(set.effective(RuleKind::Role, "/a/b", NOW).is_empty());
    assert_eq!(set.rules().len(), 3, "a role given twice counts once");
    match set.decide(RuleKind::Item, "/a/x", Capability::Read, NOW) {
        Decision::Denied(by) => {
            assert_eq!((by.role().as_str(), by.rule().path.as_str()), ("/role-3", "/a/x"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn temporary_rules_count_until_their_end() {
    let end = Timestamp(NOW.0 + 1);
    let mut rules = item_rules(&["/a read", "/a update", "/a deny"]);
    rules[0].expires = Some(end);
    rules[2].expires = Some(NOW);
    let set = bearer(rules, &claims(""));
    let may = |capability, now| set.decide(RuleKind::Item, "/a", capability, now).is_granted();
    assert!(!may(Capability::Read, Timestamp(NOW.0 - 1)), "the deny is still in force");
    assert!(may(Capability::Read, NOW));
    assert!(!may(Capability::Read, end));
    assert!(may(Capability::Update, end));
    assert!(set.may_see_below(RuleKind::Item, "/", end));
    let expired = Rule { expires: Some(NOW), ..rule(RuleKind::Item, "/a/b", "read") };
    assert!(!bearer(vec![expired], &claims("")).may_see_below(RuleKind::Item, "/a/", NOW));
}

#[test]
fn an_admin_may_everything_but_be_granted_a_deny() {
    let blocker = role(1, item_rules(&["/* deny"]));
    let set = RuleSet::compile([(&blocker, true), (&admin_role(), true)], &claims(""));
    assert!(set.is_admin());
    for (kind, _) in RuleKind::NAMES {
        assert!(set.decide(kind, "/a", Capability::Read, NOW).is_granted());
        assert_eq!(set.decide(kind, "/a", Capability::Deny, NOW), Decision::NoRule);
        assert_eq!(set.effective(kind, "/a", NOW), held_by_admin(kind));
        assert!(set.may_see_below(kind, "/a/", NOW));
        assert_eq!(set.scope(kind, Capability::Read, NOW), Scope::All);
    }
    assert!(!RuleSet::default().is_admin());
}

#[test]
fn remote_access_knows_no_deny() {
    let rules = vec![
        rule(RuleKind::Item, "/*", "deny"),
        rule(RuleKind::Sra, "/a/*", "allow_access"),
        rule(RuleKind::Sra, "/*", "deny"),
        rule(RuleKind::Sra, "/b", "allow_access,deny"),
    ];
    let set = bearer(rules, &claims(""));
    let may = |path| set.decide(RuleKind::Sra, path, Capability::AllowAccess, NOW).is_granted();
    assert!(may("/a/x"));
    assert!(!may("/b"), "a rule that says both says nothing");
}

#[test]
fn a_stored_path_that_does_not_parse_errs_to_refusal() {
    check(&["/a*b read"], "", "/a*b", "read", false);
    check(&["/* read", "/a*b deny"], "", "/c", "read", false);
    let set = bearer(item_rules(&["/* read", "/a*b deny"]), &claims(""));
    assert!(!set.may_see_below(RuleKind::Item, "/", NOW));
}

#[test]
fn too_many_bindings_err_to_refusal() {
    let values = (0..40).map(|n| format!("v{n}")).collect::<Vec<_>>().join(",");
    let bearer_claims = format!("u={values} g={values}");
    let pattern = "/{{u}}/{{u}}/{{g}}/{{g}}";
    let path = "/v1/v1/v2/v2";
    check(&[&format!("{pattern} read")], &bearer_claims, path, "read", false);
    check(&["/* read", &format!("{pattern} deny")], &bearer_claims, path, "read", false);
    check(&[&format!("{pattern} read")], "u=v1 g=v2,v3", path, "read", true);
}

#[test]
fn folders_are_shown_where_something_may_be_seen() {
    let rows: &[(&[&str], &str, bool)] = &[
        (&[], "/", false),
        (&["/a/b/c read"], "/", true),
        (&["/a/b/c read"], "/a/", true),
        (&["/a/b/c read"], "/a/b", true),
        (&["/a/b/c read"], "/a/b/c/", false),
        (&["/a/b/c read"], "/b/", false),
        (&["/a/b* read"], "/a/bc/", true),
        (&["/a/b* read"], "/a/c/", false),
        (&["/a/* read"], "/a/b/c/", true),
        (&["/+/x read"], "/anything/", true),
        (&["/+/x read"], "/anything/x/", false),
        (&["/{{u}}/x read"], "/me/", true),
        (&["/{{u}}/x read"], "/you/", false),
        (&["/h/p-{{u}}* read"], "/h/p-me2/", true),
        (&["/h/p-{{u}}* read"], "/h/p-you/", false),
        (&["/* read", "/p/* deny"], "/p/", false),
        (&["/* read", "/p/* deny"], "/p/q/", false),
        (&["/* read", "/p/q/* deny"], "/p/", true),
        (&["/* read", "/p* deny"], "/p/", false),
        (&["/p/x read", "/p/x deny"], "/p/", false),
        (&["/p/x read", "/+/x deny"], "/p/", false),
        (&["/p/x read", "/p/y read", "/p/x deny"], "/p/", true),
        (&["/p/x/* read", "/p/* deny"], "/", false),
        (&["/a deny"], "/", false),
    ];
    for (rules, folder, expect) in rows {
        let set = bearer(item_rules(rules), &claims("u=me"));
        let seen = set.may_see_below(RuleKind::Item, folder, NOW);
        assert_eq!(seen, *expect, "{rules:?} {folder}");
    }
}

#[test]
fn scopes_of_administrative_kinds() {
    let rows: &[(&[&str], Scope)] = &[
        (&[], Scope::None),
        (&["/self read"], Scope::Own),
        (&["/scoped read"], Scope::Scoped),
        (&["/* read"], Scope::All),
        (&["/self read", "/scoped read"], Scope::Scoped),
        (&["/* read", "/self read"], Scope::All),
        (&["/* create"], Scope::None),
        (&["/other read"], Scope::None),
        (&["/+ read"], Scope::None),
        (&["/{{u}} read"], Scope::None),
        (&["/* read", "/self deny"], Scope::None),
    ];
    for (rules, expect) in rows {
        let mut rules = item_rules(rules);
        for rule in &mut rules {
            rule.kind = RuleKind::Search;
        }
        let set = bearer(rules.clone(), &claims("u=scoped"));
        assert_eq!(set.scope(RuleKind::Search, Capability::Read, NOW), *expect, "{rules:?}");
        assert_eq!(set.scope(RuleKind::Reports, Capability::Read, NOW), Scope::None);
        rules.iter_mut().for_each(|rule| rule.expires = Some(NOW));
        let set = bearer(rules, &claims(""));
        assert_eq!(set.scope(RuleKind::Search, Capability::Read, NOW), Scope::None);
    }
}
