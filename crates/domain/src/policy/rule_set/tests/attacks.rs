//! Claim values that try to be more than one piece of one segment.

use proptest::prelude::*;

use super::*;

/// Values that mean something in a pattern, a path or a template.
const HOSTILE: [&str; 20] = [
    "*", "+", "/", "..", ".", "", "a*", "*a", "a/b", "/a", "a/", "../a", "a/../b", "{{u}}",
    "{{v}}", "+/+", "a/*", "/*", "}}", "%2f",
];

fn granted(pattern: &str, value: &str, path: &str) -> bool {
    let mut bearer_claims = claims("v=secret");
    bearer_claims.set("u", value);
    let rules = vec![rule(RuleKind::Item, pattern, "read")];
    bearer(rules, &bearer_claims).decide(RuleKind::Item, path, Capability::Read, NOW).is_granted()
}

#[test]
fn a_hostile_value_opens_nothing_of_others() {
    let patterns = [
        "/home/{{u}}/*",
        "/home/{{u}}",
        "/home/{{u}}*",
        "/home/p-{{u}}/*",
        "/home/p-{{u}}*",
        "/{{u}}/home/*",
        "/{{u}}*",
        "/home/{{u}}{{v}}*",
        "/home/{{u}}/{{u}}/*",
    ];
    let foreign = [
        "/",
        "/home",
        "/home/",
        "/home/bob",
        "/home/bob/key",
        "/home/p-",
        "/home/p-bob",
        "/home/p-bob/key",
        "/bob/home/key",
        "/home/secret",
        "/secret",
        "/secret/home/x",
        "/home/bob/bob/key",
        "/b",
        "/home/b/key",
    ];
    for pattern in patterns {
        for value in HOSTILE {
            for path in foreign {
                assert!(!granted(pattern, value, path), "{pattern} with {value:?} opened {path}");
            }
        }
    }
}

#[test]
fn a_strange_value_stands_for_itself() {
    for (value, path, expect) in [
        ("*", "/home/*/key", true),
        ("+", "/home/+/key", true),
        ("{{v}}", "/home/{{v}}/key", true),
        ("{{v}}", "/home/secret/key", false),
        ("a b", "/home/a b/key", true),
        ("a/b", "/home/a/b/key", false),
    ] {
        assert_eq!(granted("/home/{{u}}/*", value, path), expect, "{value:?} {path}");
    }
}

#[test]
fn a_hostile_value_among_others_spoils_nothing() {
    let mut bearer_claims = claims("");
    let values = ["", "a/b", "*", "dev"].map(str::to_owned).to_vec();
    bearer_claims.0.insert("u".to_owned(), values);
    let set = bearer(item_rules(&["/{{u}}/* read"]), &bearer_claims);
    let may = |path| set.decide(RuleKind::Item, path, Capability::Read, NOW).is_granted();
    assert!(may("/dev/x") && may("/*/x"));
    assert!(!may("/a/b/x") && !may("/ops/x"));
}

#[test]
fn a_hostile_value_escapes_no_deny_that_names_its_folder() {
    for value in ["*", "+", "{{v}}", "a"] {
        let mut bearer_claims = claims("v=x");
        bearer_claims.set("u", value);
        let set = bearer(item_rules(&["/* read", "/no/{{u}}/* deny"]), &bearer_claims);
        let path = format!("/no/{value}/x");
        let decision = set.decide(RuleKind::Item, &path, Capability::Read, NOW);
        assert!(matches!(decision, Decision::Denied(_)), "{value:?}");
    }
}

fn hostile_text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(&HOSTILE[..]).prop_map(str::to_owned),
        "[a-c*+/{}.A]{0,6}",
        ".{0,8}",
    ]
}

proptest! {
    /// Whatever the value: the segment it stands in is spelled as the value, no other one is
    /// affected, and the case is the only freedom.
    #[test]
    fn a_value_never_matches_outside_its_segment(
        value in hostile_text(),
        segments in prop::collection::vec("[a-c*+.A]{1,4}", 1..5),
        case_sensitive in any::<bool>(),
        own in any::<bool>(),
    ) {
        let mut segments = segments;
        if own && segments.len() > 1 && !value.is_empty() {
            segments[1] = value.clone();
        }
        let path = format!("/{}", segments.join("/"));
        let mut bearer_claims = claims("");
        bearer_claims.set("u", value.clone());
        let home = role(1, item_rules(&["/a/{{u}}/* read"]));
        let set = RuleSet::compile([(&home, case_sensitive)], &bearer_claims);
        if set.decide(RuleKind::Item, &path, Capability::Read, NOW).is_granted() {
            let parts: Vec<&str> = path.split('/').skip(1).collect();
            prop_assert!(parts.len() >= 3, "{}", path);
            prop_assert_eq!(parts[0], "a");
            if case_sensitive {
                prop_assert_eq!(parts[1], value);
            } else {
                prop_assert_eq!(parts[1].to_lowercase(), value.to_lowercase());
            }
        }
    }
}
