//! Which rule paths are accepted, and in what form.

use proptest::prelude::*;

use super::*;
use crate::policy::probe::{PatternProbe, Probe, Step};

#[test]
fn accepts_what_has_one_meaning() {
    let rows = [
        ("/a/b", "/a/b"),
        ("a/b", "/a/b"),
        ("*", "/*"),
        ("/*", "/*"),
        ("/foo/devops-*", "/foo/devops-*"),
        ("foo/+/+/bar/*", "/foo/+/+/bar/*"),
        ("/+", "/+"),
        ("/c++/a+b", "/c++/a+b"),
        ("/{{Groups}}/*", "/{{Groups}}/*"),
        ("/{{first}}.{{last}}/x", "/{{first}}.{{last}}/x"),
        ("/{{https://issuer/groups}}/*", "/{{https://issuer/groups}}/*"),
        ("/a{b}/c", "/a{b}/c"),
        ("/a/...", "/a/..."),
        ("/a/..*", "/a/..*"),
    ];
    for (written, stored) in rows {
        assert_eq!(RulePattern::parse(written).unwrap().as_str(), stored);
    }
}

#[test]
fn refuses_what_would_be_a_guess() {
    let long = "s".repeat(257);
    let deep = "a/".repeat(64) + "a";
    let longest = "segment/".repeat(128);
    let claim = format!("/{{{{{}}}}}", "c".repeat(257));
    let rows = [
        ("", BadPattern::Empty),
        ("/", BadPattern::Empty),
        ("//", BadPattern::EmptySegment),
        ("/a//b", BadPattern::EmptySegment),
        ("/a/", BadPattern::EmptySegment),
        ("/a/../b", BadPattern::DotSegment),
        ("/./*", BadPattern::DotSegment),
        ("/a\n", BadPattern::Control),
        ("/a*b", BadPattern::InnerStar),
        ("/*/a", BadPattern::InnerStar),
        ("/a/**", BadPattern::InnerStar),
        ("/+*", BadPattern::PlusStar),
        ("/{{}}", BadPattern::Braces),
        ("/{{ }}", BadPattern::Braces),
        ("/{{a", BadPattern::Braces),
        ("/a}}", BadPattern::Braces),
        ("/{{a{{b}}}}", BadPattern::Braces),
        ("/{{{a}}", BadPattern::Braces),
        ("/{{a}}{{b}}{{c}}", BadPattern::TooManyTemplates),
        ("/{{a}}/{{b}}/{{c}}/{{d}}/{{e}}/{{f}}/{{g}}/{{h}}/{{i}}", BadPattern::TooManyTemplates),
        (&long, BadPattern::SegmentTooLong(257)),
        (&claim, BadPattern::ClaimTooLong(257)),
        (&deep, BadPattern::TooDeep(65)),
        (&longest, BadPattern::TooLong(1_025)),
    ];
    for (written, expect) in rows {
        assert_eq!(RulePattern::parse(written), Err(expect), "{written:?}");
    }
}

#[test]
fn names_its_claims() {
    let pattern = RulePattern::parse("/{{ a }}/x-{{b}}/{{a}}*").unwrap();
    assert_eq!(pattern.claims().collect::<Vec<_>>(), ["a", "b", "a"]);
    assert_eq!(pattern.repeated_claims(), BTreeSet::from(["a"]));
}

#[test]
fn a_refusal_says_what_to_write_instead() {
    let fault = Fault::from(BadPattern::InnerStar);
    assert!(fault.public().contains("'+'"), "{fault}");
}

proptest! {
    #[test]
    fn parsing_is_total_and_stable(text in "([ -~]|[ä/*+{}.\n]|\\{\\{|\\}\\}){0,40}") {
        if let Ok(pattern) = RulePattern::parse(&text) {
            prop_assert!(pattern.as_str().starts_with('/'));
            prop_assert_eq!(RulePattern::parse(pattern.as_str()), Ok(pattern));
        }
    }

    /// The two readers of a pattern's text see the same segments.
    #[test]
    fn a_probe_reads_a_pattern_as_the_parser_does(
        text in "/([ab/*+]|\\{\\{[ab/+]{1,2}\\}\\}){0,12}",
    ) {
        let Ok(pattern) = RulePattern::parse(&text) else { return Ok(()) };
        let mut probe = PatternProbe::new(pattern.as_str());
        let mut parts = pattern.segments.iter();
        loop {
            match probe.step() {
                Step::Segment(read, rest) => {
                    let (known, open) = match parts.next() {
                        Some(Segment::Any) => ("", true),
                        Some(Segment::Parts(parts)) => lead(parts),
                        None => return Err(TestCaseError::fail("a segment too many")),
                    };
                    prop_assert_eq!((read.known, read.open), (known, open));
                    probe = rest;
                }
                Step::Tail(read) => {
                    prop_assert!(read.open);
                    prop_assert_eq!(Some(read.known), pattern.tail.as_deref().map(|t| lead(t).0));
                    break;
                }
                Step::End => {
                    prop_assert!(pattern.tail.is_none());
                    break;
                }
            }
        }
        prop_assert!(parts.next().is_none());
    }
}

fn lead(parts: &[Part]) -> (&str, bool) {
    match parts {
        [] => ("", true),
        [Part::Text(text)] => (text, false),
        [Part::Text(text), ..] => (text, true),
        [Part::Claim(_), ..] => ("", true),
    }
}
