//! A proxy that is asked with CONNECT.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Secret, SecretString};

use crate::connect::Target;

/// The port of proxies without one.
const PORT: u16 = 3128;
/// Longest name or password, in bytes.
const CREDENTIAL_BYTES_MAX: usize = 512;

/// Where a proxy is, and how one signs in to it.
#[derive(Clone)]
pub struct Proxy {
    pub(crate) place: Target,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<std::sync::Arc<SecretString>>,
}

impl Proxy {
    /// Reads `http://host:port` or `host:port`, with `user:password@` in it where `credentials`
    /// allows that: the command line shows it to everybody on the machine.
    ///
    /// # Errors
    /// What is wrong, to end a sentence. It never repeats a password.
    pub fn parse(text: &str, credentials: bool) -> Result<Self, String> {
        let rest = match text.split_once("://") {
            None => text,
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) => {
                let shown: String = scheme.chars().take(16).collect();
                return Err(format!(
                    "'{}' is no kind of proxy that is asked; it must be http://host:port (what \
                     goes through it is encrypted from end to end)",
                    shown.escape_default()
                ));
            }
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (given, place) = match rest.rsplit_once('@') {
            None => (None, rest),
            Some((given, place)) => (Some(given), place),
        };
        let place = Target::parse_or(place, PORT)
            .map_err(|()| "it must be such as http://proxy.example:3128".to_owned())?;
        let proxy = Self { place, user: None, password: None };
        let Some(given) = given else { return Ok(proxy) };
        if !credentials {
            return Err("it has a name or password, which everybody on this machine could see; \
                        give them with --proxy-user and --proxy-password-file"
                .to_owned());
        }
        let (user, password) = given.split_once(':').unwrap_or((given, ""));
        let unreadable = || "its name or password is not percent-encoded well".to_owned();
        let user = decoded(user).ok_or_else(unreadable)?;
        let password = Secret::new(decoded(password).ok_or_else(unreadable)?);
        proxy.signed_in(user, password)
    }

    /// The same, signed in to.
    ///
    /// # Errors
    /// What is wrong with the name or the password, to end a sentence.
    pub fn signed_in(self, user: String, password: SecretString) -> Result<Self, String> {
        let fits =
            |text: &str| text.len() <= CREDENTIAL_BYTES_MAX && !text.chars().any(char::is_control);
        if user.is_empty() || user.contains(':') || !fits(&user) {
            return Err("the user must be 1 to 512 bytes without colons".to_owned());
        }
        if !fits(password.expose()) {
            return Err("the password is over 512 bytes or has control characters".to_owned());
        }
        Ok(Self { user: Some(user), password: Some(std::sync::Arc::new(password)), ..self })
    }

    /// Where it is.
    pub fn place(&self) -> &Target {
        &self.place
    }

    /// The value of the header that signs in (RFC 7617).
    pub(crate) fn authorization(&self) -> Option<SecretString> {
        let (user, password) = (self.user.as_ref()?, self.password.as_ref()?);
        let pair = Secret::new(format!("{user}:{}", password.expose()));
        Some(Secret::new(format!("Basic {}", STANDARD.encode(pair.expose()))))
    }
}

fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.bytes());
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    String::from_utf8(bytes).ok()
}

// By hand, because of the password.

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("place", &self.place).finish_non_exhaustive()
    }
}

impl PartialEq for Proxy {
    fn eq(&self, other: &Self) -> bool {
        let password = |proxy: &Self| proxy.password.as_ref().map(|text| text.expose().clone());
        self.place == other.place && self.user == other.user && password(self) == password(other)
    }
}

impl Eq for Proxy {}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> String {
        let proxy = Proxy::parse(text, true).unwrap();
        proxy.authorization().map_or_else(String::new, |header| header.expose().clone())
    }

    #[test]
    fn places_are_read_with_and_without_a_scheme() {
        for (text, place) in [
            ("http://proxy.example:8080", "proxy.example:8080"),
            ("HTTP://proxy.example:8080/", "proxy.example:8080"),
            ("proxy.example:8080", "proxy.example:8080"),
            ("proxy.example", "proxy.example:3128"),
            ("http://[2001:db8::1]:3128", "[2001:db8::1]:3128"),
            ("10.0.0.1:3128", "10.0.0.1:3128"),
        ] {
            assert_eq!(Proxy::parse(text, false).unwrap().place().to_string(), place, "{text}");
        }
        for wrong in [
            "",
            "https://proxy.example:3128",
            "socks5://proxy.example",
            "http://",
            "http://a b",
            "http://proxy.example:0",
            "http://proxy.example:99999",
            "http://proxy.example/path",
            "http://proxy.example:3128?x",
            "http://pro\r\nxy:1",
            "http://[::1",
            "@",
            "http://u@",
        ] {
            assert!(Proxy::parse(wrong, true).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn credentials_are_taken_only_where_nobody_sees_them_and_are_never_repeated() {
        assert_eq!(header("http://user:pass@proxy.example:1"), "Basic dXNlcjpwYXNz");
        assert_eq!(header("http://us%40er:p%3Aa%2F@proxy.example:1"), "Basic dXNAZXI6cDphLw==");
        assert_eq!(header("http://proxy.example:1"), "");
        let refused = Proxy::parse("http://user:hunter2@proxy.example:1", false).unwrap_err();
        assert!(refused.contains("--proxy-password-file") && !refused.contains("hunter2"));
        for wrong in ["http://u:hunter2%zz@p:1", "http://u:hunter2%0a@p:1", "http://:hunter2@p:1"] {
            let refused = Proxy::parse(wrong, true).unwrap_err();
            assert!(!refused.contains("hunter2"), "{refused}");
        }
        let shown = format!("{:?}", Proxy::parse("http://u:hunter2@p:1", true).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
