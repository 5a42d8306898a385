//! The one spelling that wrong logins of a name are counted under.
//!
//! Directories take many spellings for one name: other letter cases, full-width letters,
//! ligatures, invisible characters, more or fewer spaces, and some (Active Directory) letters
//! without their accents. Each would otherwise be a name with guesses of its own. Two people whose
//! names differ in such things alone share a count, and nothing else: this is no name to know
//! anybody by.

use icu_normalizer::DecomposingNormalizerBorrowed;

/// `name` with all that a directory may overlook taken away.
pub fn folded(name: &str) -> String {
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize(name);
    // There and back and there again: some letters have two small forms, some two capitals.
    let small = decomposed.chars().flat_map(char::to_lowercase);
    let folded = small.flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    // Accents are characters of their own now, and neither letters nor numbers.
    folded.filter(|c| c.is_ascii_graphic() || (!c.is_ascii() && c.is_alphanumeric())).collect()
}

#[cfg(test)]
mod tests {
    use super::folded;

    #[test]
    fn spellings_that_directories_take_for_one_name_are_one() {
        for spelling in [
            "alice smith",
            "ALICE SMITH",
            "  alice   smith\t",
            "alice\u{a0}smith",
            "ａｌｉｃｅ　ｓｍｉｔｈ",
            "al\u{ad}ice\u{200b} smi\u{2060}th\u{feff}",
            "álïçé smith",
            "a\u{301}lice smith",
            "𝐚𝐥𝐢𝐜𝐞 smith",
            "aliceſmith",
            "\u{202e}alice smith\u{202c}",
        ] {
            assert_eq!(folded(spelling), "alicesmith", "{spelling:?}");
        }
        for (one, other) in
            [("Straße", "STRAẞE"), ("Straße", "STRASSE"), ("ﬁona", "fiona"), ("ΣΟΦΟΣ", "σοφος")]
        {
            assert_eq!(folded(one), folded(other));
        }
    }

    #[test]
    fn other_names_stay_others() {
        for other in ["alice@x", "alice*", "alice\\", "alice.", "alicé2", "аlice", "李"] {
            assert_ne!(folded(other), "alice", "{other:?}");
            assert!(!folded(other).is_empty(), "{other:?}");
        }
        assert_ne!(folded("李"), folded("王"));
    }

    #[test]
    fn folding_twice_changes_nothing() {
        let all = (0..=u32::from(char::MAX)).filter_map(char::from_u32);
        for c in all {
            let once = folded(&c.to_string());
            assert_eq!(folded(&once), once, "{c:?}");
        }
    }
}
