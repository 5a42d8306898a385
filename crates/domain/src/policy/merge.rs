//! Several roles of the same bearers made one, and the proof that nobody gains or loses by it.

use keysherd_base::Timestamp;

use super::pattern::RulePattern;
use super::rule_set::RuleSet;
use crate::claims::SubClaims;
use crate::role::{Role, Rule, RuleKind};

/// Why roles cannot be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CannotMerge {
    /// One of them is an admin role: it is more than its rules.
    Admin,
    /// Two rules of one kind and path end at different times, and a role has one of each.
    Ends(RuleKind, String),
}

/// The rules of all `roles`, one per kind and path, in their order.
///
/// # Errors
/// [`CannotMerge`].
pub fn merged_rules(roles: &[Role]) -> Result<Vec<Rule>, CannotMerge> {
    let mut rules: Vec<Rule> = Vec::new();
    for role in roles {
        if role.admin {
            return Err(CannotMerge::Admin);
        }
        for rule in &role.rules {
            match rules.iter_mut().find(|known| known.kind == rule.kind && known.path == rule.path)
            {
                Some(known) if known.expires != rule.expires => {
                    return Err(CannotMerge::Ends(rule.kind, rule.path.clone()));
                }
                Some(known) => known.capabilities = known.capabilities.union(rule.capabilities),
                None => rules.push(rule.clone()),
            }
        }
    }
    Ok(rules)
}

/// What comparing decisions found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// How many were compared: one for each kind, path and capability.
    pub decisions: usize,
    /// The first paths on which they differ, with their kind.
    pub differing: Vec<(RuleKind, String)>,
}

/// Compares what `before` and `after` grant to a bearer of `claims`, on every path that any of
/// their rules was made for: the paths of each rule at its edges, now and when all that is
/// temporary is over.
pub fn compare(
    before: &[Role],
    after: &[Role],
    case_sensitive: bool,
    claims: &SubClaims,
    now: Timestamp,
) -> Compared {
    let compile =
        |roles: &[Role]| RuleSet::compile(roles.iter().map(|role| (role, case_sensitive)), claims);
    let (old, new) = (compile(before), compile(after));
    let mut compared = Compared::default();
    for role in before.iter().chain(after) {
        for rule in &role.rules {
            for path in probes(&rule.path, claims) {
                for at in [now, Timestamp(i64::MAX)] {
                    let one = old.effective(rule.kind, &path, at);
                    compared.decisions += crate::role::Capability::NAMES.len();
                    if one != new.effective(rule.kind, &path, at) {
                        compared.differing.push((rule.kind, path.clone()));
                    }
                }
            }
        }
    }
    compared
}

/// Paths at the edges of a pattern: spelled out, one segment more, one less, and beside it.
fn probes(pattern: &str, claims: &SubClaims) -> Vec<String> {
    let Ok(parsed) = RulePattern::parse(pattern) else { return Vec::new() };
    let mut text = pattern.to_owned();
    for name in parsed.claims() {
        let value = claims.values(name).first().map_or("nobody", String::as_str);
        let template = text.find("{{").zip(text.find("}}"));
        if let Some((open, close)) = template {
            text.replace_range(open..close + 2, value);
        }
    }
    let text = text.replace("/+", "/any");
    let stem = text.strip_suffix('*').unwrap_or(&text).to_owned();
    let whole = stem.strip_suffix('/').unwrap_or(&stem).to_owned();
    let parent = whole.rsplit_once('/').map_or("/", |(parent, _)| parent).to_owned();
    vec![
        format!("{stem}x"),
        format!("{stem}x/y"),
        format!("{whole}/"),
        format!("{whole}/x/y/z"),
        format!("{parent}/x"),
        whole,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{NOW, admin_role, claims, item_rules, role};

    #[test]
    fn rules_of_one_path_become_one_and_others_stay() {
        let roles = [
            role(1, item_rules(&["/a/* read", "/b read"])),
            role(2, item_rules(&["/a/* update", "/c deny"])),
        ];
        let merged = merged_rules(&roles).unwrap();
        assert_eq!(merged, item_rules(&["/a/* read,update", "/b read", "/c deny"]));
        let after = [role(3, merged)];
        let compared = compare(&roles, &after, true, &claims(""), NOW);
        assert!(compared.differing.is_empty() && compared.decisions > 100, "{compared:?}");
    }

    #[test]
    fn what_is_more_than_its_rules_is_not_merged() {
        let mut ending = role(2, item_rules(&["/a read"]));
        ending.rules[0].expires = Some(NOW);
        let lasting = role(1, item_rules(&["/a read"]));
        let ends = CannotMerge::Ends(RuleKind::Item, "/a".to_owned());
        assert_eq!(merged_rules(&[lasting.clone(), ending]), Err(ends));
        assert_eq!(merged_rules(&[lasting, admin_role()]), Err(CannotMerge::Admin));
    }

    #[test]
    fn a_wrong_merge_is_found() {
        let before = [role(1, item_rules(&["/a/{{u}}/* read"])), role(2, item_rules(&["/b deny"]))];
        for wrong in [&["/a/* read", "/b deny"][..], &["/a/{{u}}/* read"], &["/a/{{u}} read"]] {
            let after = [role(3, item_rules(wrong))];
            let both = [&before[0].rules[..], &item_rules(&["/* list"])].concat();
            let before = [role(1, both), before[1].clone()];
            let compared = compare(&before, &after, true, &claims("u=ann"), NOW);
            assert!(!compared.differing.is_empty(), "{wrong:?}");
        }
    }
}
