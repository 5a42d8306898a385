//! Names of people in directories, which can be written in many ways.

/// Whether a name is a distinguished one: begins with an attribute's name or number, and `=`.
pub(super) fn is_dn(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let begin = name.split_once('=').map(|(begin, _)| begin.trim());
    begin.is_some_and(|begin| !begin.is_empty() && begin.chars().all(plain))
}

/// Whether two names are of one person, as far as the names say. In a domain (`windows`) a name
/// such as `DOMAIN\user` or `user@domain` is taken for the entry that is named like that user.
pub(super) fn may_be_same(one: &str, other: &str, windows: bool) -> bool {
    if one.trim().eq_ignore_ascii_case(other.trim()) {
        return true;
    }
    if is_dn(one) && is_dn(other) {
        return parts(one) == parts(other);
    }
    let (Some(one), Some(other)) = (account(one), account(other)) else { return false };
    windows && one.user == other.user && is_same_domain(&one.domain, &other.domain)
}

/// The parts of a distinguished name: attributes and values in small letters, without what may be
/// left out or written otherwise (RFC 4514 section 2).
fn parts(dn: &str) -> Vec<(String, String)> {
    let mut parts = Vec::new();
    let (mut part, mut chars) = (Vec::new(), dn.chars());
    loop {
        match chars.next() {
            Some('\\') => part.extend(escaped(&mut chars)),
            Some(',' | ';') => {
                parts.push(pair(&part));
                part.clear();
            }
            Some(c) => part.extend(c.to_string().into_bytes()),
            None => {
                parts.push(pair(&part));
                return parts;
            }
        }
    }
}

/// What stands after a backslash: a character, or a byte in two digits.
fn escaped(chars: &mut std::str::Chars<'_>) -> Vec<u8> {
    let digits = chars.as_str().get(..2).filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
    if let Some(byte) = digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
        chars.nth(1);
        return vec![byte];
    }
    chars.next().map(|c| c.to_string().into_bytes()).unwrap_or_default()
}

fn pair(part: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(part).to_lowercase();
    let (name, value) = text.split_once('=').unwrap_or((text.as_str(), ""));
    let name = match name.trim() {
        "commonname" | "2.5.4.3" | "oid.2.5.4.3" => "cn",
        "organizationalunitname" | "2.5.4.11" => "ou",
        "organizationname" | "2.5.4.10" => "o",
        "userid" | "0.9.2342.19200300.100.1.1" => "uid",
        "domaincomponent" | "0.9.2342.19200300.100.1.25" => "dc",
        other => other,
    };
    (name.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Somebody in a domain, in small letters.
struct Account {
    user: String,
    domain: String,
}

fn account(name: &str) -> Option<Account> {
    if is_dn(name) {
        let parts = parts(name);
        let user = parts.first()?.1.clone();
        let names = parts.iter().filter(|(name, _)| name == "dc").map(|(_, value)| value.as_str());
        return Some(Account { user, domain: names.collect::<Vec<_>>().join(".") });
    }
    let name = name.trim().to_lowercase();
    let (domain, user) = match name.split_once('\\') {
        Some(halves) => halves,
        None => name.rsplit_once('@').map(|(user, domain)| (domain, user))?,
    };
    Some(Account { user: user.to_owned(), domain: domain.to_owned() })
}

/// Whether two names may be of one domain: a short one is the first label of a long one.
fn is_same_domain(one: &str, other: &str) -> bool {
    let first = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    match one.contains('.') && other.contains('.') {
        true => one == other,
        false => first(one) == first(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_are_the_same() {
        let dn = "cn=Svc\\2C x,ou=apps,dc=corp,dc=example";
        for (one, other, windows) in [
            (dn, "CN=svc\\, X, OU=Apps,DC=Corp ,dc=example", false),
            (dn, "commonName = svc\\2c  x;2.5.4.11=apps,DC=corp,DC=example", false),
            ("keeper", "KEEPER", false),
            ("CORP\\svc", "corp\\SVC", true),
            ("CORP\\svc", "svc@corp.example", true),
            ("svc@corp.example", "SVC@CORP.EXAMPLE", true),
            ("cn=svc,cn=Users,dc=corp,dc=example", "CORP\\svc", true),
            ("cn=svc,cn=Users,dc=corp,dc=example", "Svc@corp.example", true),
        ] {
            assert!(may_be_same(one, other, windows), "{one} {other}");
            assert!(may_be_same(other, one, windows), "{other} {one}");
        }
        for (one, other, windows) in [
            (dn, "cn=svc,ou=apps,dc=corp,dc=example", true),
            (dn, "cn=Svc\\2C x,ou=others,dc=corp,dc=example", true),
            ("cn=svc,ou=apps,dc=corp,dc=example", "svc", true),
            ("cn=svc,dc=corp,dc=example", "OTHER\\svc", true),
            ("CORP\\svc", "OTHER\\svc", true),
            ("svc@corp.example", "svc@other.example", true),
            ("svc@corp.example", "svc@corp.other", true),
            ("CORP\\svc", "CORP\\bob", true),
            ("cn=ann,dc=example", "ann@example", false),
            ("\\", "=", true),
        ] {
            assert!(!may_be_same(one, other, windows), "{one} {other}");
            assert!(!may_be_same(other, one, windows), "{other} {one}");
        }
    }

    #[test]
    fn names_that_end_early_are_read_to_their_end() {
        for name in ["", "cn=", "cn=\\", "cn=a\\2", "cn=\\ff,", "cn=ü\\ü", ","] {
            assert!(!parts(name).is_empty(), "{name}");
            assert!(may_be_same(name, name, true));
        }
    }
}
