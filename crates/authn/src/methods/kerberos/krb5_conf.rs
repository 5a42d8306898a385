//! The one thing that a service has to know of `krb5.conf`: the default realm.

/// Longest name of a realm, in bytes.
const REALM_BYTES_MAX: usize = 255;

/// What `default_realm` in `[libdefaults]` says. Other files that the text names are not read.
pub(crate) fn default_realm(text: &str) -> Option<String> {
    let mut section = "";
    let mut depth = 0_usize;
    let mut realm = None;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(head) = line.strip_prefix('[') {
            // What follows the bracket is the mark of a final section, or nothing.
            section = head.split_once(']')?.0.trim();
            depth = 0;
            continue;
        }
        if line.starts_with('}') {
            depth = depth.checked_sub(1)?;
            continue;
        }
        let Some((name, value)) = line.split_once('=') else { continue };
        let (name, value) = (name.trim().trim_end_matches('*').trim_end(), value.trim());
        if value.starts_with('{') {
            depth += usize::from(!value.ends_with('}'));
        } else if depth == 0 && section == "libdefaults" && name == "default_realm" {
            // As with the library: the first one counts.
            realm = realm.or(Some(value));
        }
    }
    let fits = |realm: &&str| {
        let plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '@' | '/');
        (1..=REALM_BYTES_MAX).contains(&realm.len()) && realm.chars().all(plain)
    };
    realm.filter(fits).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_realm_is_that_of_libdefaults() {
        let text = "# a comment\n[realms]\n A.TEST = {\n  kdc = x\n  default_realm = NO\n }\n\
                    default_realm = NO\n[libdefaults]\n rdns = false\n sub = {\n\
                    default_realm = NO\n }\n default_realm = EXAMPLE.TEST\r\n\
                    default_realm = LATER\n";
        assert_eq!(default_realm(text).unwrap(), "EXAMPLE.TEST");
        assert_eq!(default_realm("[libdefaults]*\ndefault_realm*=R").unwrap(), "R");
        for bad in [
            "",
            "default_realm = X",
            "[libdefaults]",
            "[libdefaults]\ndefault_realm = ",
            "[libdefaults]\ndefault_realm = a b",
            "[libdefaults]\n}\ndefault_realm = X",
            "[libdefaults\ndefault_realm = X",
            "[other]\ndefault_realm = X",
            "[libdefaults]\n; default_realm = X",
        ] {
            assert_eq!(default_realm(bad), None, "{bad:?}");
        }
    }
}
