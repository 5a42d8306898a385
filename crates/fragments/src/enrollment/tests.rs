//! Tests of enrollment requests.

use keysherd_base::Secret;

use super::*;

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&Secret::new([number; 32]))
}

fn request(role: EnrolledRole) -> Enrollment {
    Enrollment {
        role,
        key: key(1).public(),
        name: "m-1.example".to_owned(),
        address: "m-1.example:8450".to_owned(),
        made_at: Timestamp(1_800_000_000_000),
    }
}

fn manager() -> Enrollment {
    request(EnrolledRole::Manager { index: ManagerIndex::new(2).unwrap() })
}

#[test]
fn a_request_comes_back_from_its_file() {
    let control = request(EnrolledRole::Control { permit_key: key(9).public() });
    for enrollment in [manager(), request(EnrolledRole::Gateway), control] {
        let text = to_file(&enrollment.seal(&key(1)), &["For people:\nnot read".to_owned()]);
        assert!(text.lines().all(|line| line.len() <= LINE), "{text}");
        assert_eq!(from_file(&text), Ok(enrollment.clone()));
        assert_eq!(from_file(&text.replace('\n', "\r\n")), Ok(enrollment));
    }
}

#[test]
fn only_the_key_itself_asks_for_trust() {
    let enrollment = manager();
    let stolen = enrollment.seal(&key(2));
    assert_eq!(Enrollment::open(&stolen), Err(Refusal::BadEnrollment));
    let renamed = SignedBy { key: enrollment.key, ..stolen };
    assert_eq!(Enrollment::open(&renamed), Err(Refusal::BadEnrollment));
    let mut changed = enrollment.seal(&key(1));
    changed.signed.body[30] ^= 1;
    assert_eq!(Enrollment::open(&changed), Err(Refusal::BadEnrollment));
}

#[test]
fn names_and_addresses_are_plain() {
    for name in ["", "a b", "a\n", "ä", "a/b", &"a".repeat(65)] {
        assert!(!is_name(name), "{name}");
        let bad = Enrollment { name: name.to_owned(), ..manager() };
        assert!(Enrollment::open(&bad.seal(&key(1))).is_err(), "{name}");
    }
    let bad = Enrollment { address: "no-port".to_owned(), ..manager() };
    assert_eq!(Enrollment::open(&bad.seal(&key(1))), Err(Refusal::Malformed));
    let none = Enrollment { address: String::new(), ..manager() };
    assert_eq!(Enrollment::open(&none.seal(&key(1))), Ok(none));
}

#[test]
fn a_damaged_file_is_refused() {
    let text = to_file(&manager().seal(&key(1)), &[]);
    let without = |line: &str| text.replace(line, "");
    let wrong = [
        String::new(),
        without(BEGIN),
        without(END),
        format!("{text}more"),
        format!("hello\n{text}"),
        text.replacen("\n", "\n!", 2),
        format!("{text}{text}"),
    ];
    for text in wrong {
        assert_eq!(from_file(&text), Err(Refusal::Malformed), "{text}");
    }
    let large = format!("# {}\n{text}", "x".repeat(FILE_BYTES_MAX));
    assert_eq!(from_file(&large), Err(Refusal::TooLarge));
}
