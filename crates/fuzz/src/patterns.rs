//! Path patterns of rules, as they are written and stored.

use keysherd_base::limits::{PATH_BYTES_MAX, TEMPLATES_PER_PATTERN_MAX};
use keysherd_base::{AccountId, ItemPath, Timestamp};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::policy::pattern::RulePattern;
use keysherd_domain::policy::rule_set::RuleSet;
use keysherd_domain::role::{Capabilities, Capability, Role, Rule, RuleKind};

use crate::matching;

/// The present of all decisions.
pub(crate) const NOW: Timestamp = Timestamp(1_000_000);

/// Reads the bytes as the path of a rule.
///
/// What is accepted is stored in one form, which reads back as itself; a pattern without templates
/// matches its own text where that is a path, and one without wildcards matches nothing else.
pub fn patterns(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(pattern) = RulePattern::parse(text) else { return };
    let stored = pattern.as_str();
    let bare = stored.strip_prefix('/').expect("a stored pattern begins with a slash");
    assert!(text == stored || text == bare, "{text:?} became {stored:?}");
    assert_eq!(RulePattern::parse(stored).as_ref(), Ok(&pattern));
    assert!(stored.len() <= PATH_BYTES_MAX);
    let claims: Vec<&str> = pattern.claims().collect();
    assert!(claims.len() <= TEMPLATES_PER_PATTERN_MAX);
    assert!(claims.iter().all(|name| !name.is_empty() && name.trim() == *name));
    let set = bearer(&[rule(stored, Capability::Read)], &SubClaims::default(), true);
    let read = |path: &str| set.decide(RuleKind::Item, path, Capability::Read, NOW).is_granted();
    if !claims.is_empty() {
        assert!(set.rules().is_empty(), "a template without a value is no rule");
        return;
    }
    let instance = matching::instance(stored);
    for path in [stored, &instance] {
        if ItemPath::parse(path).is_ok() {
            assert!(read(path), "{stored:?} does not match {path:?}");
        }
    }
    if instance == stored {
        assert!(!read(&format!("{stored}x")) && !read(&format!("{stored}/")));
        assert!(!read(&format!("{stored}/x")) && !read("/"));
    }
}

/// A lasting rule about items.
pub(crate) fn rule(path: &str, capability: Capability) -> Rule {
    Rule {
        kind: RuleKind::Item,
        path: path.to_owned(),
        capabilities: Capabilities::NONE.with(capability),
        expires: None,
    }
}

/// The rules of a bearer whose one role has these.
pub(crate) fn bearer(rules: &[Rule], claims: &SubClaims, case_sensitive: bool) -> RuleSet {
    RuleSet::compile([(&role(1, rules.to_vec()), case_sensitive)], claims)
}

/// A role with these rules.
pub(crate) fn role(id: i64, rules: Vec<Rule>) -> Role {
    Role {
        id,
        account: AccountId::default(),
        path: ItemPath::parse("role").expect("invariant: a well-formed path"),
        comment: String::new(),
        admin: false,
        rules,
        delete_protection: false,
        created: NOW,
        modified: NOW,
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "/team/db",
        "team/*",
        "/team/dev-*",
        "/*",
        "/team/+/db",
        "/home/{{user}}/*",
        "/{{https://x.org/team}}-{{a}}/b{{c}}*",
        "/{{ a }}/+/{{a}}",
        "/a*/b",
        "/+*",
        "/{{a}/b",
        "/..*",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
