//! Sub-claims that associations require.

use keysherd_base::limits::{CLAIM_VALUE_BYTES_MAX, LIST_LEN_MAX};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::policy::sub_claims::{matches, parse_sub_claims, uses_operators};

use crate::matching::is_like;

const LINES_MAX: usize = 12;

/// Each line begins with a letter: `r` a required claim `name=values`, `b` a claim `name=value` of
/// the bearer.
///
/// What is accepted reads back as itself, is met exactly when its definition says so, and a value
/// of the bearer is never more than text: more of them take nothing away, and one required claim
/// more gives nothing.
pub fn sub_claims(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut given = Vec::new();
    let mut bearer = SubClaims::default();
    for line in text.lines().take(LINES_MAX) {
        let Some((kind, rest)) = line.split_at_checked(1) else { continue };
        let Some((name, value)) = rest.split_once('=') else { continue };
        match kind {
            "r" => given.push((name, value)),
            "b" => bearer.0.entry(name.to_owned()).or_default().push(value.to_owned()),
            _ => {}
        }
    }
    if let Ok(required) = parse_sub_claims(given) {
        check_form(&required);
        for case_sensitive in [true, false] {
            check_match(&required, &bearer, case_sensitive);
        }
    }
}

fn check_form(required: &SubClaims) {
    let written: Vec<(String, String)> =
        required.0.iter().map(|(name, values)| (name.clone(), values.join(","))).collect();
    let again = parse_sub_claims(written.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    assert_eq!(again.as_ref(), Ok(required), "the stored form is not its own");
    for values in required.0.values() {
        assert!((1..=LIST_LEN_MAX).contains(&values.len()));
        assert!(values.iter().all(|value| value.len() <= CLAIM_VALUE_BYTES_MAX));
        let with_and = values.iter().any(|value| value.contains("`AND`"));
        assert!(values.len() == 1 || !with_and, "a list with `AND`");
    }
    let written = |value: &String| value.contains("`AND`") || value.contains("`OR`");
    assert_eq!(uses_operators(required), required.0.values().flatten().any(written));
}

fn check_match(required: &SubClaims, bearer: &SubClaims, case_sensitive: bool) {
    let met = matches(required, case_sensitive, bearer);
    let defined = required.0.iter().all(|(name, values)| {
        let held = bearer.values(name);
        values.iter().any(|value| is_met(value, held, case_sensitive))
    });
    assert_eq!(met, defined, "{required:?} by {bearer:?}");
    if met {
        let mut more = bearer.clone();
        for values in more.0.values_mut() {
            values.push("*".to_owned());
        }
        more.set("another", "value");
        assert!(required.0.contains_key("another") || matches(required, case_sensitive, &more));
        let less: SubClaims = SubClaims(required.0.clone().into_iter().skip(1).collect());
        assert!(matches(&less, case_sensitive, bearer));
        assert!(case_sensitive || bearer.is_empty() || matches(required, false, bearer));
    }
    let mut unknown = required.clone();
    unknown.set("a claim nobody has \u{0}", "*");
    assert!(!matches(&unknown, case_sensitive, bearer));
}

/// The operators from left to right, each where the one before it ends.
fn is_met(value: &str, held: &[String], case_sensitive: bool) -> bool {
    let met = |operand: &str| {
        let operand = operand.trim();
        !operand.is_empty() && held.iter().any(|text| is_like(operand, text, case_sensitive))
    };
    let (mut so_far, mut and, mut operand, mut rest) = (false, false, String::new(), value);
    loop {
        let operator = [("`AND`", true), ("`OR`", false)]
            .into_iter()
            .find_map(|(word, and)| Some((and, rest.strip_prefix(word)?)));
        let next = rest.chars().next();
        if let (None, Some(character)) = (operator, next) {
            operand.push(character);
            rest = rest.strip_prefix(character).unwrap_or_default();
            continue;
        }
        so_far = if and { so_far && met(&operand) } else { so_far || met(&operand) };
        let Some((next_and, after)) = operator else { return so_far };
        (and, rest) = (next_and, after);
        operand.clear();
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "rg=a,b\nbg=b",
        "rg=ops `AND` eu `OR` root\nbg=eu\nbg=ops",
        "rg=dev-?*\nbg=DEV-1",
        "rg=*\nrh=x\nbg=1\nbh=x",
        "rg=admin\nbg=*\nbg=admi?",
        "rg= a , b ,\nbg=a",
        "rg=a`AND`\nbg=a",
        "rg=a`OR`b,c\nbg=c",
        "rk=\u{212a}\nbk=k",
        "rg=a`AND`b`OR`AND`\nbg=a\nbg=b",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
