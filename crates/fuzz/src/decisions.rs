//! The policy decision, against its definition.

use keysherd_base::ItemPath;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::policy::pattern::RulePattern;
use keysherd_domain::policy::rule_set::RuleSet;
use keysherd_domain::role::{Capability, Rule, RuleKind};

use crate::input::Input;
use crate::matching;
use crate::patterns::{NOW, bearer, rule};

const LINES_MAX: usize = 12;
const LINE_BYTES_MAX: usize = 200;

/// What the lines of an input say.
#[derive(Default)]
struct Case {
    rules: Vec<Rule>,
    given: Vec<Rule>,
    claims: SubClaims,
    other_claims: SubClaims,
    paths: Vec<ItemPath>,
    case_insensitive: bool,
}

/// What patterns, values and paths are put together from when the bytes are not text of their own.
const PIECES: &[&str] = &[
    "/", "/", "/", "a", "b", "ab", "A", "+", "/+/", "*", "/*", "{{u}}", "{{g}}", "{{ u }}",
    "{{x/y}}", "{", "}", "-", "k", "\u{212a}", "é", "É", "ß", "/.", "/..",
];
const CLAIMS: &[&str] = &["u", "g", "x/y"];

/// Each line begins with a letter: `g` a path whose reading is granted, `d` one that is denied, `n`
/// one the bearer wants to give to somebody else, `c` a claim `name=value` of the bearer, `o` one
/// of that somebody, `i` letter case does not count, `p` a path to ask about.
///
/// The decision is that of the definition: so a claim value is never more than text in one segment.
/// Nobody can give what they do not hold, whoever gets it, and what may be read can be reached
/// through its folders.
///
/// Behind a zero byte, the bytes choose lines from a short list of pieces instead.
pub fn decisions(data: &[u8]) {
    let case = match (data.split_first(), std::str::from_utf8(data)) {
        (Some((0, choices)), _) => Case::choose(&mut Input::new(choices)),
        (_, Ok(text)) => Case::read(text),
        _ => return,
    };
    let set = bearer(&case.rules, &case.claims, !case.case_insensitive);
    for path in &case.paths {
        for form in [path.as_str(), path.as_folder().as_str()] {
            check_decision(&case, &set, form);
        }
    }
    for given in &case.given {
        check_gift(&case, &set, given);
    }
}

impl Case {
    fn choose(input: &mut Input<'_>) -> Self {
        let mut case = Self { case_insensitive: input.flag(), ..Self::default() };
        for _ in 0..1 + input.byte() % 4 {
            let capability =
                if input.byte().is_multiple_of(4) { Capability::Deny } else { Capability::Read };
            case.rules.push(rule(&choose_text(input, 6), capability));
        }
        case.given = vec![rule(&choose_text(input, 6), Capability::Read)];
        for claims in [&mut case.claims, &mut case.other_claims] {
            for _ in 0..input.byte() % 4 {
                let name = CLAIMS[input.below(CLAIMS.len())];
                add_claim(claims, &format!("{name}={}", choose_text(input, 2)));
            }
        }
        let paths = (0..6).map(|_| ItemPath::parse(&choose_text(input, 5)));
        case.paths = paths.collect::<Vec<_>>().into_iter().flatten().collect();
        case
    }

    fn read(text: &str) -> Self {
        let mut case = Self::default();
        let lines = text.lines().filter(|line| line.len() <= LINE_BYTES_MAX);
        for line in lines.take(LINES_MAX) {
            let Some((kind, rest)) = line.split_at_checked(1) else { continue };
            match kind {
                "g" => case.rules.push(rule(rest, Capability::Read)),
                "d" => case.rules.push(rule(rest, Capability::Deny)),
                "n" => case.given.push(rule(rest, Capability::Read)),
                "c" => add_claim(&mut case.claims, rest),
                "o" => add_claim(&mut case.other_claims, rest),
                "i" => case.case_insensitive = true,
                "p" => case.paths.extend(ItemPath::parse(rest)),
                _ => {}
            }
        }
        case
    }
}

fn choose_text(input: &mut Input<'_>, longest: usize) -> String {
    (0..1 + usize::from(input.byte()) % longest)
        .map(|_| PIECES[usize::from(input.byte()) % PIECES.len()])
        .collect()
}

fn add_claim(claims: &mut SubClaims, text: &str) {
    if let Some((name, value)) = text.split_once('=') {
        claims.0.entry(name.to_owned()).or_default().push(value.to_owned());
    }
}

fn check_decision(case: &Case, set: &RuleSet, path: &str) {
    let covering = |rule: &&Rule| match RulePattern::parse(&rule.path) {
        Ok(_) => matching::covers(&rule.path, path, &case.claims, !case.case_insensitive),
        // What cannot be read grants nothing and denies everything.
        Err(_) => rule.capabilities.has(Capability::Deny),
    };
    let covering: Vec<&Rule> = case.rules.iter().filter(covering).collect();
    let denied = covering.iter().any(|rule| rule.capabilities.has(Capability::Deny));
    let expect = !denied && !covering.is_empty();
    let decision = set.decide(RuleKind::Item, path, Capability::Read, NOW);
    assert_eq!(decision.is_granted(), expect, "{path:?} of {:?}: {decision:?}", case.rules);
    let held = set.effective(RuleKind::Item, path, NOW);
    assert_eq!((held.has(Capability::Read), held.has(Capability::List)), (expect, expect));
    assert!(!held.has(Capability::Update) && !held.has(Capability::Deny));
    let told = set.explain(RuleKind::Item, path, Capability::Read, NOW);
    assert_eq!(told.len(), covering.len(), "{path:?}: {told:?}");
    if expect {
        for (end, _) in path.match_indices('/') {
            let folder = &path[..=end];
            assert!(set.may_see_below(RuleKind::Item, folder, NOW), "{folder:?} hides {path:?}");
        }
    }
}

/// If the bearer may give the rule away, everything it opens to anybody was open to the bearer.
fn check_gift(case: &Case, set: &RuleSet, given: &Rule) {
    if !set.covers(given, NOW) {
        return;
    }
    let mut claims = case.other_claims.clone();
    for name in matching::claims_in(&given.path) {
        claims.0.entry(name.to_owned()).or_default().push("y".to_owned());
    }
    let instance = ItemPath::parse(&matching::instance(&given.path));
    for path in case.paths.iter().chain(instance.iter()) {
        for form in [path.as_str(), path.as_folder().as_str()] {
            for case_sensitive in [true, false] {
                if matching::covers(&given.path, form, &claims, case_sensitive) {
                    let own = set.decide(RuleKind::Item, form, Capability::Read, NOW);
                    assert!(own.is_granted(), "{:?} gives {form:?}: {own:?}", given.path);
                }
            }
        }
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "g/team/*\nd/team/db\np/team/db\np/team/x\nn/team/x/*\nn/team/*",
        "g/home/{{u}}/*\ncu=me\nou=you\np/home/me/x\np/home/you/x\nn/home/me/+",
        "g/{{u}}/{{u}}-db\ncu=a\ncu=b\np/a/a-db\np/a/b-db\nn/a/a-db",
        "g/+/b*\nd/{{g}}{{u}}*\ncg=a\ncu=B\ni\np/aB/b\np/c/bb\nn/c/b{{v}}\nov=*",
        "g/*\nd/p-{{u}}/x\ncu=me\nn/p{{v}}/x\nn/q*\np/p-me/x\np/q/+",
        "g/a/{{u}}*\ncu=*\ncu=+\ncu={{u}}\np/a/*\np/a/+/b\np/a/{{u}}",
        "g/a/*/b\nd/x*y\np/a/b",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into_iter()
    .chain((1..9_u8).map(|step| (0..120_u8).map(|at| at.wrapping_mul(step * 29)).collect()))
    .collect()
}
