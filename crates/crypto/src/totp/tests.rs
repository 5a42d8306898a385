//! The vectors of RFC 6238 and RFC 4648, and what is accepted when.

use super::*;

fn rfc_seed() -> SecretBytes {
    SecretBytes::new(b"12345678901234567890".to_vec())
}

#[test]
fn codes_are_those_of_rfc_6238() {
    // Appendix B, SHA-1; its codes have eight digits, of which the last six are ours.
    let vectors = [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ];
    for (seconds, expected) in vectors {
        let step = step_at(Timestamp::from_seconds(seconds));
        assert_eq!(code(&rfc_seed(), step).expose(), expected, "{seconds}");
    }
}

#[test]
fn base32_is_that_of_rfc_4648() {
    for (bytes, expected) in [
        ("", ""),
        ("f", "MY"),
        ("fo", "MZXQ"),
        ("foo", "MZXW6"),
        ("foob", "MZXW6YQ"),
        ("fooba", "MZXW6YTB"),
        ("foobar", "MZXW6YTBOI"),
    ] {
        assert_eq!(base32(bytes.as_bytes()).expose(), expected);
    }
}

#[test]
fn a_code_is_good_a_step_early_or_late_and_never_again() {
    // Not a random one: codes of two steps are equal once in a million.
    let seed = rfc_seed();
    let now = Timestamp::from_seconds(1_000_000);
    let step = step_at(now);
    for offset in [-1, 0, 1] {
        let code = code(&seed, step + offset);
        assert_eq!(accepted_step(&seed, code.expose(), now, 0), Some(step + offset));
        assert_eq!(accepted_step(&seed, code.expose(), now, step + offset), None);
    }
    for offset in [-2, 2] {
        assert_eq!(accepted_step(&seed, code(&seed, step + offset).expose(), now, 0), None);
    }
    for wrong in ["", "00000", "0000000", "abcdef", "\u{661}\u{662}\u{663}"] {
        assert_eq!(accepted_step(&seed, wrong, now, 0), None, "{wrong}");
    }
}

#[test]
fn an_address_for_apps_escapes_what_is_not_plain() {
    let uri = uri(&rfc_seed(), "Keysherd", "a b&c@example.com");
    assert_eq!(
        uri.expose(),
        "otpauth://totp/Keysherd:a%20b%26c@example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
         &issuer=Keysherd&algorithm=SHA1&digits=6&period=30"
    );
}
