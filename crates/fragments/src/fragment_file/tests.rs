//! What a file of customer fragments may say, and what its errors never repeat.

use super::*;

const ID: &str = "cf-00112233445566778899aabbccddeeff";
/// 32 bytes of 0x5a.
const VALUE: &str = "WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=";

fn one(fields: &str) -> String {
    format!("{{\"customer_fragments\":[{{{fields}}}]}}")
}

fn parse(text: &str) -> Result<FragmentFile, Problem> {
    FragmentFile::parse(text.as_bytes())
}

/// The only problem of the only entry.
fn problem(fields: &str) -> String {
    let file = parse(&one(fields)).unwrap();
    assert!(file.entries.is_empty(), "{fields}");
    assert_eq!(file.problems.len(), 1, "{fields}");
    file.problems[0].text.clone()
}

#[test]
fn a_file_of_the_published_form_is_read() {
    let text = one(&format!(
        r#""id":"{ID}","value":"{VALUE}","name":"north","description":"of the first region""#
    ));
    let file = parse(&text).unwrap().sound().unwrap();
    let [entry] = file.entries.as_slice() else { panic!("{file:?}") };
    assert_eq!((entry.name.as_str(), entry.description.as_str()), ("north", "of the first region"));
    assert_eq!(id_text(&entry.id), ID);
    assert_eq!(*entry.value.expose(), [0x5a; 32]);
    assert_eq!(entry.kind, FragmentKind::Standard);
    assert!(entry.fragment().unwrap().is(&entry.id, &entry.fragment().unwrap().check_value()));
    assert!(!format!("{file:?}").contains("90"), "a value in the debug output");
}

#[test]
fn what_is_written_is_read_again() {
    let entry = |number: u8, kind: FragmentKind, verified: Option<i64>| FragmentEntry {
        id: Uid([number; 16]),
        name: format!("name {number} \" \\ ä"),
        description: String::new(),
        kind,
        value: Secret::new([number; 32]),
        backup_verified_at: verified.map(Timestamp::from_seconds),
    };
    let label = || "label".to_owned();
    let entries = vec![
        entry(1, FragmentKind::Standard, Some(1_767_607_872)),
        entry(2, FragmentKind::HsmWrapped { key_label: label() }, None),
        entry(3, FragmentKind::HsmSecured { key_label: label() }, None),
    ];
    let file = FragmentFile { entries, problems: Vec::new() };
    let text = file.to_json();
    let again = FragmentFile::parse(text.expose()).unwrap().sound().unwrap();
    assert_eq!(again.to_json().expose(), text.expose());
    for (before, after) in file.entries.iter().zip(&again.entries) {
        assert_eq!((before.id, &before.name, &before.kind), (after.id, &after.name, &after.kind));
        assert_eq!(before.backup_verified_at, after.backup_verified_at);
        assert_eq!(before.value.expose(), after.value.expose());
        assert_eq!(after.fragment().is_ok(), after.kind == FragmentKind::Standard);
    }
    let empty = FragmentFile::default().to_json();
    assert!(FragmentFile::parse(empty.expose()).unwrap().entries.is_empty());
}

#[test]
fn a_bad_entry_is_named_and_the_others_stay() {
    let text = format!(
        r#"{{"customer_fragments":[{{"id":"{ID}","value":"AAAA"}},
           {{"id":"cf-{}","value":"{VALUE}"}}, 7]}}"#,
        "77".repeat(16)
    );
    let file = parse(&text).unwrap();
    assert_eq!(file.entries.len(), 1);
    let damaged = parse_id(ID).unwrap();
    let why = &file.problem(&damaged).unwrap().text;
    assert!(why.contains(ID) && why.contains("3 bytes instead of 32"), "{why}");
    assert_eq!(file.problems[1].text, "fragment 3: not an object");
    assert_eq!(file.sound().unwrap_err().id, Some(damaged));
}

#[test]
fn wrong_entries_say_what_is_wrong() {
    let zeros = STANDARD.encode([0; 32]);
    let twice = STANDARD.encode(VALUE);
    let long = STANDARD.encode([7; 33]);
    let value = |value: &str| format!(r#""id":"{ID}","value":"{value}""#);
    let with = |fields: &str| format!(r#""id":"{ID}","value":"{VALUE}",{fields}"#);
    for (fields, expected) in [
        (String::new(), "no id"),
        (format!(r#""value":"{VALUE}""#), "no id"),
        (r#""id":7"#.to_owned(), "id must be text"),
        (r#""id":"north""#.to_owned(), "cf- and 32 hex digits"),
        (format!(r#""id":"cf-{}""#, "00".repeat(16)), "not all zero"),
        (format!(r#""id":"{ID}""#), "no value"),
        (value("not base64!"), "not base64"),
        (value(&VALUE[..43]), "cut off"),
        (value(""), "0 bytes instead of 32"),
        (value(&long), "33 bytes instead of 32"),
        (value(&twice), "base64 twice"),
        (value(&zeros), "all zero"),
        (with(r#""name":"a\u0007b""#), "control characters"),
        (with(&format!(r#""name":"{}""#, "n".repeat(129))), "at most 128 bytes"),
        (with(r#""value":"AAAA""#), "field value twice"),
        (with(r#""owner":"me""#), "unknown field"),
        (with(r#""wrap_alg":"gcm""#), "encrypted under a hardware key"),
        (with(r#""fragment_type":"hsm_wrapped""#), "needs the key_label"),
        (with(r#""key_label":"k""#), "no hardware type"),
        (with(r#""fragment_type":"paper""#), "standard, hsm_wrapped or hsm_secured"),
        (with(r#""backup_verified_at":"yesterday""#), "seconds since 1970"),
        (with(r#""backup_verified_at":-1"#), "seconds since 1970"),
    ] {
        let text = problem(&fields);
        assert!(text.contains(expected), "{fields}: {text}");
        assert!(!text.contains(&VALUE[..8]), "{text}");
    }
}

#[test]
fn one_id_twice_is_no_fragment_at_all() {
    let entry = format!(r#"{{"id":"{ID}","value":"{VALUE}"}}"#);
    let damaged = format!(r#"{{"id":"{ID}","value":"AAAA"}}"#);
    for (one, two) in [(&entry, &entry), (&entry, &damaged), (&damaged, &damaged)] {
        let file = parse(&format!(r#"{{"customer_fragments":[{one},{two}]}}"#)).unwrap();
        assert!(file.entries.is_empty());
        assert_eq!(file.problems.len(), 1);
        assert!(file.problems[0].text.contains("more than once"));
    }
}

#[test]
fn a_file_cut_off_anywhere_is_refused_as_a_whole() {
    let text = one(&format!(r#""id":"{ID}","value":"{VALUE}""#));
    for length in 0..text.len() {
        let why = parse(&text[..length]).unwrap_err().text;
        assert!(why.contains("cut off") || why.contains("empty"), "{length}: {why}");
    }
    for (text, expected) in [
        ("[]", "not JSON"),
        ("{}", "one field"),
        (r#"{"fragments":[]}"#, "one field"),
        (r#"{"customer_fragments":[],"more":1}"#, "one field"),
        (r#"{"customer_fragments":{}}"#, "list of objects"),
        (r#"{"customer_fragments":[]} x"#, "not JSON"),
    ] {
        let why = parse(text).unwrap_err().text;
        assert!(why.contains(expected), "{text}: {why}");
    }
    let large = vec![b' '; FILE_BYTES_MAX + 1];
    assert!(FragmentFile::parse(&large).is_err());
    let many = vec!["{}"; FRAGMENTS_MAX + 1].join(",");
    assert!(parse(&format!(r#"{{"customer_fragments":[{many}]}}"#)).is_err());
}

#[test]
fn fingerprints_are_groups_of_hex() {
    let text = fingerprint_text(&[0xa1; 16]);
    assert_eq!(text, "kf-a1a1-a1a1-a1a1-a1a1-a1a1-a1a1-a1a1-a1a1");
}
