//! The engine against a naive model of the whole decision: 100,000 seeded cases of several roles
//! with conditions, of all kinds of rules, with ends, denials, templates and admin roles.
//!
//! The model shares no code with the engine: it spells the definitions out on texts, slowly.

use super::*;
use crate::policy::sub_claims;
use crate::policy::testing::defined_match;

const WORLDS: u64 = 25_000;
const QUESTIONS: u64 = 4;

const SEGMENTS: [&str; 9] =
    ["a", "b", "ab", "+", "{{u}}", "{{g}}", "a{{u}}", "{{g}}b", "{{u}}{{g}}"];
const TAILS: [&str; 7] = ["", "", "/*", "/*", "/a*", "/{{u}}*", "/{{g}}b*"];
const PATH_SEGMENTS: [&str; 8] = ["a", "b", "ab", "A", "aa", "bb", "*", "+"];
const VALUES: [&str; 10] = ["a", "b", "ab", "A", "*", "+", "a/b", "", "..", "a,b"];
const CONDITIONS: [&str; 9] =
    ["a", "b", "*", "?", "a*", "A", "a `OR` b", "a `AND` ab", "a `OR` zz `AND` b"];
const GRANTED: [&str; 8] =
    ["read", "read", "update", "list", "deny", "create,delete", "", "read,deny"];
const SCOPES: [&str; 5] = ["/self", "/scoped", "/*", "/+", "/self/x"];
const KINDS: [RuleKind; 4] = [RuleKind::Item, RuleKind::Item, RuleKind::Role, RuleKind::Sra];
const ASKED: [Capability; 5] =
    [Capability::Read, Capability::Update, Capability::List, Capability::Delete, Capability::Deny];

/// A small generator: the same cases on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % sides
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        let index = self.roll(of.len() as u64);
        of[usize::try_from(index).unwrap()]
    }
}

struct Association {
    role: Role,
    condition: SubClaims,
    case_sensitive: bool,
}

fn world(dice: &mut Dice) -> (Vec<Association>, SubClaims) {
    let mut claims = SubClaims::default();
    for name in ["u", "g", "h"] {
        let values = (0..dice.roll(4)).map(|_| dice.one(&VALUES).to_owned()).collect();
        claims.0.insert(name.to_owned(), values);
    }
    let count = 1 + dice.roll(4);
    let associations = (0..count).map(|id| association(dice, i64::try_from(id).unwrap())).collect();
    (associations, claims)
}

fn association(dice: &mut Dice, id: i64) -> Association {
    let mut rules: Vec<Rule> = Vec::new();
    for _ in 0..dice.roll(14) {
        let mut made = if dice.roll(8) == 0 {
            rule(RuleKind::Search, dice.one(&SCOPES), dice.one(&["read", "read", "deny"]))
        } else {
            let mut path: String =
                (0..1 + dice.roll(3)).map(|_| format!("/{}", dice.one(&SEGMENTS))).collect();
            path.push_str(dice.one(&TAILS));
            rule(dice.one(&KINDS), &path, dice.one(&GRANTED))
        };
        made.expires = match dice.roll(6) {
            0 => Some(NOW),
            1 => Some(NOW.plus_seconds(1)),
            _ => None,
        };
        if !rules.iter().any(|known| known.kind == made.kind && known.path == made.path) {
            rules.push(made);
        }
    }
    let mut condition = SubClaims::default();
    if dice.roll(3) == 0 {
        let name = dice.one(&["u", "g", "h", "absent"]);
        let values = (0..1 + dice.roll(2)).map(|_| dice.one(&CONDITIONS).to_owned()).collect();
        condition.0.insert(name.to_owned(), values);
    }
    let admin = dice.roll(40) == 0;
    let role = Role { admin, ..role(id, rules) };
    Association { role, condition, case_sensitive: dice.roll(3) != 0 }
}

/// `*` and `?` by their definition.
fn wild(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => (0..=text.len()).any(|n| wild(rest, &text[n..])),
        (Some((expected, rest)), Some((actual, more))) => {
            (*expected == '?' || expected == actual) && wild(rest, more)
        }
        _ => false,
    }
}

fn meets(condition: &SubClaims, case_sensitive: bool, claims: &SubClaims) -> bool {
    let chars = |text: &str| -> Vec<char> {
        let text = if case_sensitive { text.to_owned() } else { text.to_ascii_lowercase() };
        text.chars().collect()
    };
    condition.0.iter().all(|(name, values)| {
        let held = claims.0.get(name).cloned().unwrap_or_default();
        let one =
            |operand: &str| held.iter().any(|value| wild(&chars(operand.trim()), &chars(value)));
        values.iter().any(|value| {
            let marked = value.replace("`AND`", "\n&").replace("`OR`", "\n|");
            let mut met = false;
            for (n, part) in marked.split('\n').enumerate() {
                met = match (n, part.chars().next()) {
                    (0, _) => one(part),
                    (_, Some('&')) => met && one(&part[1..]),
                    _ => met || one(&part[1..]),
                };
            }
            met
        })
    })
}

/// What a bearer may do, by the definition.
struct Model<'w> {
    admin: bool,
    /// Rules with the case of their association; only live ones that can do something.
    rules: Vec<(&'w Rule, bool)>,
    claims: &'w SubClaims,
}

impl<'w> Model<'w> {
    fn of(associations: &'w [Association], claims: &'w SubClaims) -> Self {
        let held: Vec<_> = associations
            .iter()
            .filter(|assoc| meets(&assoc.condition, assoc.case_sensitive, claims))
            .collect();
        let live = |rule: &&Rule| rule.expires != Some(NOW) && rule.capabilities.0 != 0;
        let rules = held.iter().flat_map(|assoc| {
            assoc.role.rules.iter().filter(live).map(|rule| (rule, assoc.case_sensitive))
        });
        Self { admin: held.iter().any(|assoc| assoc.role.admin), rules: rules.collect(), claims }
    }

    fn may(&self, kind: RuleKind, path: &str, capability: Capability) -> bool {
        if capability == Capability::Deny {
            return false;
        }
        let covering: Vec<_> = self
            .rules
            .iter()
            .filter(|(rule, _)| rule.kind == kind)
            .filter(|(rule, case)| defined_match(&rule.path, path, self.claims, *case))
            .map(|(rule, _)| rule.capabilities)
            .collect();
        let deny = |granted: &Capabilities| granted.has(Capability::Deny);
        let denied = kind != RuleKind::Sra && covering.iter().any(deny);
        let grants = |granted: &Capabilities| {
            !deny(granted) && (capability == Capability::List || granted.has(capability))
        };
        self.admin || (!denied && covering.iter().any(grants))
    }

    fn scope(&self) -> &'static str {
        let own = || self.rules.iter().filter(|(rule, _)| rule.kind == RuleKind::Search);
        let has = |path: &str| own().any(|(rule, _)| rule.path == path);
        let denied = own().any(|(rule, _)| rule.capabilities.has(Capability::Deny));
        if self.admin {
            return "/*";
        }
        if denied {
            return "none";
        }
        ["/*", "/scoped", "/self"].into_iter().find(|path| has(path)).unwrap_or("none")
    }
}

#[test]
fn a_hundred_thousand_cases_agree_with_a_naive_model() {
    let mut dice = Dice(0x5eed_0000_0000_0001);
    let (mut granted, mut denied, mut admins) = (0_u64, 0_u64, 0_u64);
    for number in 0..WORLDS {
        let (associations, claims) = world(&mut dice);
        let held = associations
            .iter()
            .filter(|assoc| sub_claims::matches(&assoc.condition, assoc.case_sensitive, &claims));
        let set = RuleSet::compile(held.map(|assoc| (&assoc.role, assoc.case_sensitive)), &claims);
        let model = Model::of(&associations, &claims);
        assert_eq!(set.is_admin(), model.admin, "world {number}");
        admins += u64::from(model.admin);
        for _ in 0..QUESTIONS {
            let path: String =
                (0..1 + dice.roll(4)).map(|_| format!("/{}", dice.one(&PATH_SEGMENTS))).collect();
            let (kind, capability) = (dice.one(&KINDS), dice.one(&ASKED));
            let decision = set.decide(kind, &path, capability, NOW);
            let expected = model.may(kind, &path, capability);
            assert_eq!(
                decision.is_granted(),
                expected,
                "world {number}: {kind:?} {path} {capability:?}: {decision:?}"
            );
            granted += u64::from(expected);
            denied += u64::from(matches!(decision, Decision::Denied(_)));
            let all = set.effective(kind, &path, NOW);
            if !model.admin {
                assert_eq!(all.has(capability), expected, "world {number}: {path} {capability:?}");
            }
        }
        let scope = set.scope(RuleKind::Search, Capability::Read, NOW);
        assert_eq!(scope.path().unwrap_or("none"), model.scope(), "world {number}");
    }
    // The cases are worth something: each outcome is frequent.
    let cases = WORLDS * QUESTIONS;
    assert!(granted > cases / 20 && granted < cases * 3 / 4, "{granted} of {cases} granted");
    assert!(denied > cases / 100, "{denied} of {cases} denied");
    assert!(admins > WORLDS / 100, "{admins} of {WORLDS} with an admin role");
}
