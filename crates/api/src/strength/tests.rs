//! A table of weak and strong passwords.

use super::*;

fn verdict(password: &str) -> Result<(), String> {
    check(&SecretString::new(password.to_owned()), &["dana.scully@example.com", "Example Widgets"])
        .map_err(|fault| fault.public().to_owned())
}

#[test]
fn weak_passwords_are_refused_for_what_they_lack() {
    let weak = [
        ("", "16 are needed"),
        ("Tr0ub4dor&3", "16 are needed"),
        ("kX9#vQ2!mZ7$pL4", "16 are needed"),
        ("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}", "16 are needed"),
        ("correcthorsebatterystaple", "known"),
        ("Correct Horse Battery Staple!", "known"),
        ("C0rr3ct-H0rse-B4ttery-St4ple-2024", "known"),
        ("The quick brown fox jumps over the lazy dog", "known"),
        ("ToBeOrNotToBeThatIsTheQuestion1", "known"),
        ("P@ssw0rdP@ssw0rd123", "known"),
        ("thisIsMyPassword2025!", "known"),
        ("qwertyuiop[]asdfghjkl;'zxcvbnm", "known"),
        ("1qaz2wsx3edc4rfv5tgb", "known"),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", "guessed"),
        ("abcabcabcabcabcabcabc", "guessed"),
        ("password1password2", "guessed"),
        ("dana.scully@example.com", "guessed"),
        ("DanaScullyExampleWidgets", "guessed"),
        ("keysherdkeysherd2025", "guessed"),
        ("monkeydragonshadow", "guessed"),
    ];
    for (password, why) in weak {
        let text = verdict(password).expect_err(password);
        assert!(text.contains(why), "{password}: {text}");
        assert!(password.is_empty() || !text.contains(password), "{text}");
    }
}

#[test]
fn strong_passwords_are_taken_whatever_their_kinds_of_characters() {
    for password in [
        "wrinkle mascot overjoyed tubular",
        "plinth-gazebo-ovation-turnip-kelp",
        "nqxrvztjwhkbdmgp",
        "8f3a1c07e5b92d64a7f0",
        "V1St5kGi2ZmM9hQ0xwLrTn7YpAe4",
        "Ünterwegs flößte Xaver grüne Äpfel ein",
        "we met under the broken clock of a closed ferry terminal",
    ] {
        assert_eq!(verdict(password), Ok(()), "{password}");
    }
}

#[test]
fn a_long_password_is_judged_within_bounds() {
    assert!(verdict(&"a".repeat(1_000)).is_err());
    let long: String = (0..1_000_u32).map(|n| char::from(b'!' + (n * 37 % 90) as u8)).collect();
    verdict(&long).unwrap();
}

#[test]
fn the_list_is_in_its_one_form() {
    let lines: Vec<_> = include_str!("../../data/known_passwords.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert!(lines.len() > 250);
    assert!(lines.is_sorted());
    for line in lines {
        assert!(line.len() >= 8 && line.bytes().all(|b| b.is_ascii_alphanumeric()), "{line}");
        assert_eq!(line, line.to_lowercase());
    }
}
