//! The work of one decision does not grow with the number of rules: counted, not timed.

use super::*;
use crate::policy::trie::Visit;

/// Counts what a walk does.
#[derive(Debug, Default, PartialEq)]
struct Counted {
    nodes: usize,
    rules: usize,
}

impl Visit for Counted {
    fn rule(&mut self, _: RuleId) -> ControlFlow<()> {
        self.rules += 1;
        ControlFlow::Continue(())
    }

    fn node(&mut self) {
        self.nodes += 1;
    }
}

fn work(set: &RuleSet, path: &str) -> Counted {
    let mut counted = Counted::default();
    let rules = &set.kinds[&RuleKind::Item];
    let _ = rules.grants.containing(PathProbe::new(path), &mut counted);
    let _ = rules.denies.containing(PathProbe::new(path), &mut counted);
    counted
}

/// A role of `count` rules of every form.
fn many(count: usize) -> RuleSet {
    let rules = (0..count).map(|n| {
        let path = match n % 5 {
            0 => format!("/org/app-{n:05}/db/password"),
            1 => format!("/org/app-{n:05}/*"),
            2 => format!("/org/prefix-{n:05}-*"),
            3 => format!("/org/+/shared-{n:05}"),
            _ => format!("/home/{{{{u}}}}/key-{n:05}"),
        };
        let granted = if n % 50 == 0 { "deny" } else { "read" };
        rule(RuleKind::Item, &path, granted)
    });
    bearer(rules.collect(), &claims("u=ann,bob"))
}

#[test]
fn ten_thousand_rules_cost_a_decision_no_more_than_a_hundred() {
    let (few, all) = (many(100), many(10_000));
    for path in [
        "/org/app-00005/db/password",
        "/org/app-00006/x/y/z",
        "/org/prefix-00007-x/y",
        "/org/anything/shared-00008",
        "/home/bob/key-00009",
        "/home/eve/key-00009",
        "/elsewhere/at/all",
    ] {
        let cost = work(&all, path);
        assert_eq!(cost, work(&few, path), "{path}");
        assert!(cost.nodes <= 10, "{path}: {cost:?}");
        assert!(cost.rules <= 2, "{path}: {cost:?}");
    }
}

#[test]
fn every_form_of_rule_is_found_among_ten_thousand() {
    let set = many(10_000);
    let may = |path| set.decide(RuleKind::Item, path, Capability::Read, NOW).is_granted();
    assert!(may("/org/app-09995/db/password"));
    assert!(may("/org/app-09996/deep/er"));
    assert!(may("/org/prefix-09997-x"));
    assert!(may("/org/any/shared-09998"));
    assert!(may("/home/ann/key-09999"));
    assert!(!may("/org/app-09950/db/password"), "denied");
    assert!(!may("/home/eve/key-09999"));
}

#[test]
fn many_values_make_no_more_patterns() {
    let values = (0..1_000).map(|n| format!("team-{n:04}")).collect::<Vec<_>>().join(",");
    let rules = item_rules(&["/{{g}}/{{h}}/* read", "/{{h}}/x-{{g}}* read"]);
    let set = bearer(rules, &claims(&format!("g={values} h={values}")));
    assert_eq!(set.kinds[&RuleKind::Item].grants.size(), 4);
    assert_eq!(work(&set, "/team-0999/team-0500/x"), Counted { nodes: 5, rules: 1 });
}

#[test]
fn a_walk_is_bounded_by_the_patterns_even_when_all_branch() {
    // Each of 12 segments is spelled or a plus: 4,096 rules that all match one path.
    let spelled = |bits: u32| -> String {
        (0..12).map(|n| if bits >> n & 1 == 0 { "/a" } else { "/+" }).collect()
    };
    let rules = (0..4_096).map(|bits| rule(RuleKind::Item, &spelled(bits), "read"));
    let set = bearer(rules.collect(), &claims(""));
    let cost = work(&set, &"/a".repeat(12));
    assert_eq!(cost.rules, 4_096);
    assert_eq!(cost.nodes, set.kinds[&RuleKind::Item].grants.size() + 1);
}
