//! Roles that become one, and the paths that an account calls production.

use keysherd_base::{ItemPath, Timestamp};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::guard_rails::GuardRails;
use keysherd_domain::policy::merge::{compare, merged_rules};
use keysherd_domain::policy::pattern::RulePattern;
use keysherd_domain::policy::rule_set::RuleSet;
use keysherd_domain::role::{Capabilities, Role, Rule, RuleKind};

use crate::matching;
use crate::patterns::{NOW, role};

const LINES_MAX: usize = 16;
const LINE_BYTES_MAX: usize = 120;
/// A kind with the usual meaning of a deny, and the one on which a deny has no power.
const KINDS: [RuleKind; 2] = [RuleKind::Item, RuleKind::Sra];

/// What the lines of an input say.
#[derive(Default)]
struct Case {
    roles: [Vec<Rule>; 3],
    claims: SubClaims,
    paths: Vec<ItemPath>,
    production: Vec<String>,
}

/// Each line begins with a letter. `a`, `b` and `c` are rules of three roles: a digit for what is
/// granted, a path; `=` is a claim `name=value` of the bearer, `p` a path to ask about, `P` a path
/// that the account calls production.
///
/// Roles that the comparison calls equal to the one made of them decide everything alike, on
/// whatever path, now and later. Production covers what its definition says, and a rule that grants
/// something in it is found.
pub fn role_merges(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let case = Case::read(text);
    let before: Vec<Role> =
        (1..).zip(&case.roles).map(|(id, rules)| role(id, rules.clone())).collect();
    check_production(&case, &before);
    let Ok(rules) = merged_rules(&before) else { return };
    let after = [role(9, rules)];
    for case_sensitive in [true, false] {
        let compared = compare(&before, &after, case_sensitive, &case.claims, NOW);
        if !compared.differing.is_empty() {
            continue;
        }
        let compile = |roles: &[Role]| {
            RuleSet::compile(roles.iter().map(|role| (role, case_sensitive)), &case.claims)
        };
        let (old, new) = (compile(&before), compile(&after));
        let rules = before.iter().flat_map(|role| &role.rules);
        let instances = rules.filter(|rule| RulePattern::parse(&rule.path).is_ok());
        let instances: Vec<_> =
            instances.filter_map(|r| ItemPath::parse(&matching::instance(&r.path)).ok()).collect();
        for path in case.paths.iter().chain(&instances) {
            for kind in KINDS {
                for at in [NOW, Timestamp(i64::MAX)] {
                    let held = old.effective(kind, path.as_str(), at);
                    assert_eq!(held, new.effective(kind, path.as_str(), at), "{kind:?} {path}");
                }
            }
        }
    }
}

fn check_production(case: &Case, roles: &[Role]) {
    let rails = GuardRails { production_paths: case.production.clone(), ..GuardRails::default() };
    let nobody = SubClaims::default();
    let lies_in = |path: &str| {
        case.production.iter().any(|production| {
            RulePattern::parse(production).is_ok()
                && matching::covers(production, path, &nobody, true)
        })
    };
    for path in &case.paths {
        assert_eq!(rails.production_of(path.as_str()).is_some(), lies_in(path.as_str()), "{path}");
    }
    for role in roles {
        let set = RuleSet::compile([(role, true)], &case.claims);
        let opens = |path: &&ItemPath| {
            lies_in(path.as_str()) && !set.effective(RuleKind::Item, path.as_str(), NOW).is_empty()
        };
        if let Some(path) = case.paths.iter().find(opens) {
            assert!(rails.production_rule(role).is_some(), "{path} is open by {:?}", role.rules);
        }
    }
}

impl Case {
    fn read(text: &str) -> Self {
        let mut case = Self::default();
        let lines = text.lines().filter(|line| line.len() <= LINE_BYTES_MAX);
        for line in lines.take(LINES_MAX) {
            let Some((letter, rest)) = line.split_at_checked(1) else { continue };
            match letter {
                "a" => case.roles[0].extend(rule(rest)),
                "b" => case.roles[1].extend(rule(rest)),
                "c" => case.roles[2].extend(rule(rest)),
                "=" => {
                    if let Some((name, value)) = rest.split_once('=') {
                        let values = case.claims.0.entry(name.to_owned()).or_default();
                        values.push(value.to_owned());
                    }
                }
                "p" => case.paths.extend(ItemPath::parse(rest)),
                "P" => case.production.push(rest.to_owned()),
                _ => {}
            }
        }
        case
    }
}

/// A digit and a path: bit 0 is reading, bit 1 updating, bit 2 a deny, bit 3 an end.
fn rule(text: &str) -> Option<Rule> {
    let (digit, path) = text.split_at_checked(1)?;
    let bits = u16::from_str_radix(digit, 16).ok()?;
    let capabilities = Capabilities((bits & 1) | (bits & 2) << 1 | (bits & 4) << 3);
    let expires = (bits & 8 != 0).then(|| NOW.plus_seconds(60));
    let kind = KINDS[usize::from(path.starts_with("/sra"))];
    Some(Rule { kind, path: path.to_owned(), capabilities, expires })
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "a1/team/*\nb3/team/*\nc4/team/db\np/team/db\np/team/x\nP/team/+",
        "a1/{{u}}/*\nb4/{{u}}/x\n=u=me\n=u=you\np/me/x\np/you/y\np/other/z",
        "a9/a\nb1/b/*\nc9/b/c\np/a\np/b/c\nP/b*\nP/x",
        "a1/sra/*\nb4/sra/*\np/sra/x",
        "a2/+/{{u}}-*\nb1/+/a-b\n=u=a\np/x/a-b\np/x/a-c\nP/{{u}}\nP/+/a*",
        "a1*\nb1/a//b\nc1/*\np/a",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
