//! What templates make, and what is no template.

use keysherd_base::ManualClock;
use keysherd_base::Timestamp;
use keysherd_crypto::random::SystemRng;
use proptest::prelude::*;

use super::*;
use crate::testing::Caller;

const FIELD: &str = "custom-username-template";

fn made(template: &str) -> Result<String, Fault> {
    let caller = Caller::with(&[("email", "Jo.Do@corp.example"), ("team", "a-b-c")]);
    // 2026-01-05T10:11:12Z
    let clock = ManualClock::new(Timestamp(1_767_607_872_345));
    let known = Known { wish: &caller.wish(), clock: &clock, rng: &SystemRng };
    parse(FIELD, template)?.text(&known)
}

#[test]
fn every_function_makes_what_it_says() {
    for (template, want) in [
        ("plain", "plain"),
        ("a{{ .email }}b", "aJo.Do@corp.exampleb"),
        ("{{.DynamicSecretName}}", "Reporting"),
        ("{{ .UniqueIdentifier }}", "p-abc123def456"),
        ("{{ uppercase .team }}", "A-B-C"),
        ("{{ lowercase .DynamicSecretName }}", "reporting"),
        ("{{ .email | lowercase | truncate 5 }}", "jo.do"),
        ("{{ truncate .email 5 }}", "Jo.Do"),
        ("{{ replace .team \"-\" \"\" }}", "abc"),
        ("{{ .team | replace \"-\" \"_\" }}", "a_b_c"),
        ("{{ truncate_sha256 .team 6 }}", "a-b-c"),
        ("{{ truncate_sha256 .team 4 }}", "d6e1"),
        ("{{ restricted_chars .email \"@.\" }}", "JoDocorpexample"),
        ("{{ restricted_chars .email }}", "Jo.Docorp.example"),
        ("{{ base64 \"ab\" }}", "YWI="),
        ("{{ truncate (sha256 \"abc\") 8 }}", "ba7816bf"),
        ("{{ unix_time }}", "1767607872"),
        ("{{ unix_time_millis }}", "1767607872345"),
        ("{{ timestamp }}", "2026-01-05T10:11:12Z"),
        ("{{ timestamp \"20060102-150405\" }}", "20260105-101112"),
        ("a {{- \" b \" -}} c", "a b c"),
        ("{{ `x\"y` }}", "x\"y"),
        ("{{ 7 }}{{ \"\\\"\" }}", "7\""),
        ("{{ (lowercase (uppercase .team)) }}", "a-b-c"),
    ] {
        let text = made(template).unwrap_or_else(|fault| panic!("{template}: {fault}"));
        if template.contains("truncate_sha256 .team 4") {
            assert_eq!(text, hex::encode(keysherd_crypto::hash::sha256(&[b"a-b-c"]))[..4]);
        } else {
            assert_eq!(text, want, "{template}");
        }
    }
}

#[test]
fn chance_is_of_the_length_that_was_asked_for() {
    assert_eq!(made("{{ random 4 }}").unwrap().len(), 4);
    assert_eq!(made("{{ random }}").unwrap().len(), 20);
    assert_ne!(made("{{ random 12 }}").unwrap(), made("{{ random 12 }}").unwrap());
    let uuid = made("{{ uuid }}").unwrap();
    assert_eq!((uuid.len(), &uuid[14..15]), (36, "4"));
    assert_eq!(made("{{ truncate_sha256 uuid 6 }}").unwrap().len(), 6);
}

#[test]
fn long_texts_keep_their_difference() {
    let both = ["\"corp-department-1\"", "\"corp-department-2\""];
    let cut = both.map(|text| made(&format!("{{{{ truncate_sha256 {text} 12 }}}}")).unwrap());
    assert_ne!(cut[0], cut[1]);
    assert!(cut.iter().all(|text| text.len() == 12 && text.starts_with("corp")));
}

#[test]
fn what_is_no_template_is_refused_when_it_is_read() {
    let long = format!("{{{{ {} }}}}", "(".repeat(20));
    let many = format!("{{{{ uppercase {} }}}}", "\"a\" ".repeat(65));
    for bad in [
        "{{",
        "}}",
        "{{ }}",
        "{{ .email",
        "{{ . }}",
        "{{ nothing }}",
        "{{ \"a }}",
        "{{ \"\\n\" }}",
        "{{ (uppercase \"a\" }}",
        "{{ uppercase \"a\") }}",
        "{{ .email | }}",
        "{{ .email | \"a\" }}",
        "{{ | lowercase }}",
        "{{ $x := 1 }}",
        "{{ if .email }}x{{ end }}",
        "{{ range .email }}{{ end }}",
        "{{ -x }}",
        "{{ 99999999999999999999 }}",
        "a\nb",
        long.as_str(),
        many.as_str(),
    ] {
        let fault = parse(FIELD, bad).unwrap_err();
        assert!(fault.public().contains(FIELD), "{bad}: {fault}");
    }
    assert!(parse(FIELD, &"x".repeat(1_025)).is_err());
}

#[test]
fn calls_that_make_no_sense_say_how_they_are_written() {
    for bad in [
        "{{ truncate .email }}",
        "{{ truncate .email 0 }}",
        "{{ truncate .email -1 }}",
        "{{ truncate \"a\" \"b\" }}",
        "{{ random 65 }}",
        "{{ random 0 }}",
        "{{ uuid 4 }}",
        "{{ replace .email \"a\" }}",
        "{{ replace .email \"\" \"x\" }}",
        "{{ uppercase }}",
        "{{ timestamp 1 2 }}",
    ] {
        let fault = made(bad).unwrap_err();
        assert!(fault.public().contains("is written"), "{bad}: {fault}");
    }
    assert!(made("{{ .nobody }}").unwrap_err().public().contains("'nobody'"));
}

#[test]
fn texts_do_not_grow_without_end() {
    let grow = "| replace \"a\" \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" ".repeat(12);
    let fault = made(&format!("{{{{ \"a\" {grow} }}}}")).unwrap_err();
    assert!(fault.public().contains("4096"), "{fault}");
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "[a-z{}().|\"`\\\\ 0-9-]{0,80}|\\PC{0,80}") {
        let _ = made(&text);
        let _ = made(&format!("{{{{ {text} }}}}"));
    }
}
