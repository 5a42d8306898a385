//! The decision agrees with its definition, and keeps its promises for arbitrary rules.

use proptest::prelude::*;

use super::*;
use crate::policy::testing::defined_match;

#[derive(Clone, Debug)]
struct Given {
    path: String,
    capability: &'static str,
    case_sensitive: bool,
}

fn patterns() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec![
        "a",
        "b",
        "ab",
        "+",
        "{{u}}",
        "{{g}}",
        "a{{u}}",
        "{{g}}b",
        "{{u}}{{g}}",
        "{{u}}b{{u}}",
    ]);
    let tail =
        prop::sample::select(vec!["", "", "/*", "/a*", "/{{u}}*", "/{{g}}b*", "/{{u}}{{g}}*"]);
    (prop::collection::vec(segment, 0..4), tail)
        .prop_map(|(segments, tail)| {
            segments.iter().map(|segment| format!("/{segment}")).collect::<String>() + tail
        })
        .prop_filter("a pattern is not empty", |pattern| !pattern.is_empty())
}

fn rules() -> impl Strategy<Value = Vec<Given>> {
    let capability = prop::sample::select(vec!["read", "read", "update", "list", "deny"]);
    let given = (patterns(), capability, any::<bool>())
        .prop_map(|(path, capability, case_sensitive)| Given { path, capability, case_sensitive });
    prop::collection::vec(given, 0..10)
}

fn bearer_claims() -> impl Strategy<Value = SubClaims> {
    let values = || {
        prop::sample::subsequence(vec!["a", "b", "ab", "A", "B", "*", "+", "a/b", ""], 0..5)
            .prop_map(|values| values.into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    (values(), values())
        .prop_map(|(u, g)| SubClaims([("u".to_owned(), u), ("g".to_owned(), g)].into()))
}

fn paths() -> impl Strategy<Value = String> {
    let segment =
        prop::sample::select(vec!["a", "b", "ab", "A", "aa", "AB", "bb", "*", "+", "abb"]);
    prop::collection::vec(segment, 1..6)
        .prop_map(|segments| segments.iter().map(|segment| format!("/{segment}")).collect())
}

fn compile(given: &[Given], bearer_claims: &SubClaims) -> RuleSet {
    let of_case = |case_sensitive: bool| {
        let rules = given.iter().filter(|given| given.case_sensitive == case_sensitive);
        rules.map(|given| rule(RuleKind::Item, &given.path, given.capability)).collect()
    };
    let (strict, loose) = (role(1, of_case(true)), role(2, of_case(false)));
    RuleSet::compile([(&strict, true), (&loose, false)], bearer_claims)
}

fn read(set: &RuleSet, path: &str) -> bool {
    set.decide(RuleKind::Item, path, Capability::Read, NOW).is_granted()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_definition(
        given in rules(),
        bearer_claims in bearer_claims(),
        path in paths(),
    ) {
        let set = compile(&given, &bearer_claims);
        let matching = given.iter().filter(|given| {
            defined_match(&given.path, &path, &bearer_claims, given.case_sensitive)
        });
        let matching: Vec<&str> = matching.map(|given| given.capability).collect();
        let denied = matching.contains(&"deny");
        let decision = set.decide(RuleKind::Item, &path, Capability::Read, NOW);
        match decision {
            Decision::Denied(_) => prop_assert!(denied),
            Decision::Granted(_) => prop_assert!(!denied && matching.contains(&"read")),
            Decision::NoRule => prop_assert!(!denied && !matching.contains(&"read")),
            Decision::Admin(_) => prop_assert!(false, "nobody is an admin here"),
        }
        // The other questions give the same answer.
        let held = set.effective(RuleKind::Item, &path, NOW);
        for (capability, _) in Capability::NAMES {
            let granted = set.decide(RuleKind::Item, &path, capability, NOW).is_granted();
            prop_assert_eq!(held.has(capability), granted, "{:?}", capability);
        }
        let told = set.explain(RuleKind::Item, &path, Capability::Read, NOW);
        prop_assert_eq!(told.len(), matching.len());
    }

    #[test]
    fn deny_always_wins(
        given in rules(),
        deny in patterns(),
        bearer_claims in bearer_claims(),
        path in paths(),
    ) {
        let blocked = defined_match(&deny, &path, &bearer_claims, true);
        let mut given = given;
        given.push(Given { path: deny, capability: "deny", case_sensitive: true });
        let set = compile(&given, &bearer_claims);
        if blocked {
            prop_assert!(set.effective(RuleKind::Item, &path, NOW).is_empty());
        }
    }

    #[test]
    fn another_grant_never_takes_one_away(
        given in rules(),
        grant in patterns(),
        bearer_claims in bearer_claims(),
        path in paths(),
    ) {
        let before = compile(&given, &bearer_claims);
        let mut given = given;
        given.push(Given { path: grant, capability: "update", case_sensitive: false });
        let after = compile(&given, &bearer_claims);
        if read(&before, &path) {
            prop_assert!(read(&after, &path));
        }
        let folder = format!("{path}/");
        if before.may_see_below(RuleKind::Item, &folder, NOW) {
            prop_assert!(after.may_see_below(RuleKind::Item, &folder, NOW));
        }
    }

    #[test]
    fn whatever_may_be_read_can_be_reached_through_its_folders(
        given in rules(),
        bearer_claims in bearer_claims(),
        path in paths(),
    ) {
        let set = compile(&given, &bearer_claims);
        if read(&set, &path) {
            for (end, _) in path.match_indices('/') {
                let folder = &path[..=end];
                prop_assert!(set.may_see_below(RuleKind::Item, folder, NOW), "{}", folder);
            }
        }
    }
}
