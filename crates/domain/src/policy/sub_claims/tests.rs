//! The truth table of sub-claims, and what is refused.

use super::*;
use crate::policy::testing::claims;

fn parsed(list: &str) -> SubClaims {
    parse_sub_claims([("g", list)]).unwrap()
}

#[test]
fn truth_table_of_one_claim() {
    let rows = [
        // required, the bearer's values, met
        ("a", "a", true),
        ("a", "b", false),
        ("a", "A", false),
        ("a,b", "b", true),
        ("a , b", "b", true),
        ("a,b", "c,b", true),
        ("a,b", "c", false),
        ("*", "x", true),
        ("dev-?", "dev-1", true),
        ("dev-?", "dev-12", false),
        ("*@x.org", "m@x.org", true),
        ("a `AND` b", "a", false),
        ("a `AND` b", "b", false),
        ("a `AND` b", "b,a", true),
        ("a`AND`b", "b,a", true),
        ("a `OR` b", "b", true),
        ("a `OR` b `AND` c", "a", false),
        ("a `OR` b `AND` c", "a,c", true),
        ("a `AND` b `OR` c", "c", true),
        ("a `AND` b `OR` c", "a", false),
        ("a*`AND`*b", "ax,xb", true),
        ("a*`AND`*b", "ab", true),
        ("a*`AND`*b", "ax", false),
        ("x, a `OR` b", "b", true),
        // Only the two words in upper case between backquotes are operators.
        ("a AND b", "a,b", false),
        ("a AND b", "a AND b", true),
        ("a `and` b", "a `and` b", true),
        // Wildcards of the bearer are ordinary characters.
        ("admin", "*", false),
        ("admin", "admi?", false),
    ];
    for (required, held, expect) in rows {
        let mut bearer = SubClaims::default();
        bearer.0.insert("g".to_owned(), held.split(',').map(str::to_owned).collect());
        assert_eq!(matches(&parsed(required), true, &bearer), expect, "{required} on {held}");
    }
}

#[test]
fn truth_table_of_several_claims() {
    let rows = [
        ("", "", true),
        ("", "g=a", true),
        ("g=a", "", false),
        ("g=*", "h=a", false),
        ("g=a h=b", "g=a h=b", true),
        ("g=a h=b", "g=a", false),
        ("g=a h=b", "g=a h=c", false),
        ("g=a,x h=b", "g=x h=b i=c", true),
        ("G=a", "g=a", false),
    ];
    for (required, held, expect) in rows {
        let (required_claims, held_claims) = (claims(required), claims(held));
        assert_eq!(matches(&required_claims, true, &held_claims), expect, "{required} on {held}");
    }
}

#[test]
fn letter_case_counts_unless_it_is_switched_off() {
    for (required, held, insensitive) in
        [("Dev", "dEV", true), ("Ä*", "äx", true), ("k", "\u{212a}", false), ("a", "b", false)]
    {
        let bearer = claims(&format!("g={held}"));
        assert!(!matches(&parsed(required), true, &bearer), "{required} on {held}");
        assert_eq!(matches(&parsed(required), false, &bearer), insensitive, "{required} on {held}");
    }
    assert!(!matches(&claims("G=a"), false, &claims("g=a")), "names keep their case");
}

#[test]
fn stored_claims_that_no_parser_saw_fail_closed() {
    let mut required = SubClaims::default();
    required.0.insert("g".to_owned(), Vec::new());
    assert!(!matches(&required, true, &claims("g=a")));
    for value in ["", "`AND` a", "b `AND`", "`OR`", "`AND`"] {
        required.0.insert("g".to_owned(), vec![value.to_owned()]);
        for held in ["g=a", "g=b", "g="] {
            let met = matches(&required, true, &claims(held));
            assert!(!met, "{value:?} on {held}");
        }
    }
}

#[test]
fn parses_lists() {
    let given = [(" groups ", " a, b ,,c "), ("email", "*@x.org")];
    let claims = parse_sub_claims(given).unwrap();
    assert_eq!(claims.values("groups"), ["a", "b", "c"]);
    assert_eq!(claims.values("email"), ["*@x.org"]);
    assert!(parse_sub_claims([]).unwrap().is_empty());
}

#[test]
fn refuses_what_is_over_a_limit_or_ambiguous() {
    let name = "g".to_owned();
    let many = "v,".repeat(1_001);
    let long = "v".repeat(1_025);
    let rows = [
        ("g", "", BadSubClaims::NoValue(name.clone())),
        ("g", " , ,", BadSubClaims::NoValue(name.clone())),
        ("g", "a `AND`", BadSubClaims::NoValue(name.clone())),
        ("g", "`OR` a", BadSubClaims::NoValue(name.clone())),
        ("g", "a, b `AND` c", BadSubClaims::AndInList(name.clone())),
        ("g", "a\nb", BadSubClaims::Value(name.clone())),
        ("g", &long, BadSubClaims::Value(name.clone())),
        ("g", &many, BadSubClaims::TooManyValues(name.clone())),
        (" ", "a", BadSubClaims::Name),
        ("g\n1", "a", BadSubClaims::Name),
    ];
    for (name, list, expect) in rows {
        assert_eq!(parse_sub_claims([(name, list)]), Err(expect), "{name:?}");
    }
    let twice = parse_sub_claims([("g", "a"), (" g", "b")]);
    assert_eq!(twice, Err(BadSubClaims::Repeated(name)));
    let names: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    let crowd = parse_sub_claims(names.iter().map(|name| (name.as_str(), "a")));
    assert_eq!(crowd, Err(BadSubClaims::TooMany(101)));
}

#[test]
fn tells_where_operators_are_used() {
    for (list, expect) in
        [("a", false), ("a,b", false), ("a AND b", false), ("a `AND` b", true), ("a`OR`b", true)]
    {
        assert_eq!(uses_operators(&parsed(list)), expect, "{list}");
    }
}
