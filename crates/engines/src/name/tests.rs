//! Names that differ with every lease, and hold nothing that a statement could mind.

use std::collections::BTreeSet;

use keysherd_base::FaultKind;

use super::*;
use crate::engines::by_name;
use crate::testing::{Caller, settings, way};

fn named(template: &str, caller: &Caller, max: usize) -> Result<String, Fault> {
    let given = [("custom-username-template", template)];
    let settings = settings(by_name("postgresql").unwrap(), &given);
    username(&settings, &caller.wish(), &way(), max)
}

#[test]
fn names_say_whose_they_are_and_which_lease() {
    let caller = Caller::with(&[]);
    let wish = caller.wish();
    let plain = settings(by_name("postgresql").unwrap(), &[]);
    let name = username(&plain, &wish, &way(), 63).unwrap();
    assert_eq!(name, format!("tmp.p-abc123def456.{}", mark(wish.lease)));
    assert!(is_handle(&name));
    let short = username(&plain, &wish, &way(), 32).unwrap();
    assert_eq!(short, format!("tmp.p-abc123def.{}", mark(wish.lease)));
    assert_eq!(short.len(), 32);
}

#[test]
fn no_two_leases_share_a_name_whatever_the_template() {
    let caller = Caller::with(&[("email", "postgres")]);
    for template in ["postgres", "{{ .email }}", "{{ truncate .email 1 }}", "x{{ \"\" }}"] {
        for max in [18, 32, 63] {
            let names: BTreeSet<_> =
                (0..200).map(|_| named(template, &caller, max).unwrap()).collect();
            assert_eq!(names.len(), 200, "{template}");
            for name in names {
                assert!(is_handle(&name) && name.len() <= max, "{name}");
                assert_ne!(name, "postgres");
            }
        }
    }
}

#[test]
fn hostile_claims_become_plain_characters() {
    for hostile in
        ["a'b", "a\"; DROP", "a\\b", "a\nb", "a\0b", "$x$", "münchen", "日本", "a b", "{{name}}"]
    {
        let caller = Caller::with(&[("email", hostile)]);
        let name = named("{{ .email }}", &caller, 63).unwrap();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.@".contains(c)), "{name}");
        assert!(is_handle(&name));
    }
    let caller = Caller::with(&[("email", "o'brien@corp.example")]);
    let name = named("{{ .email }}", &caller, 63).unwrap();
    assert!(name.starts_with("o_brien@corp.example."), "{name}");
}

#[test]
fn a_claim_that_is_not_there_is_named() {
    let fault = named("{{ .email }}", &Caller::with(&[]), 63).unwrap_err();
    assert_eq!(fault.kind(), FaultKind::BadRequest);
    assert!(fault.public().contains("'email'"), "{fault}");
}

#[test]
fn only_names_of_leases_are_handles() {
    for bad in [
        "",
        "postgres",
        "root",
        "default",
        ".abcdefghijklmnop",
        "tmp.abcdefghijklmno",
        "tmp.abcdefghijklmnop1",
        "tmp.ABCDEFGHIJKLMNOP",
        "tmp.abcdefghijklmno1",
        "tmp'.abcdefghijklmnop",
        "a b.abcdefghijklmnop",
    ] {
        assert!(!is_handle(bad) && need_handle(bad).is_err(), "{bad}");
    }
    assert!(is_handle("tmp.abcdefghijklmnop"));
    assert!(!is_handle(&format!("{}.abcdefghijklmnop", "x".repeat(1_024))));
    assert_eq!(mark(Uid([0xff; 16])), "7".repeat(16));
    assert_eq!(mark(Uid([0; 16])), "a".repeat(16));
}
