//! What people write as the address of a server, and what it means.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

use crate::error::ClientError;

/// The address under which commands are routes.
///
/// Accepted are `https://host:port`, the same with `/v2` or `/api/v2`, and `/api/v1`, which older
/// settings have and which means `/api/v2` (V2 reference, sections 1.3 and 8). Without a scheme,
/// `https` is meant. A path before these is kept, for servers behind an ingress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// [`ClientError::BadUrl`] when it is no `https` or `http` address, or carries a user, a
    /// query or a fragment.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let bad = |why| ClientError::BadUrl { url: without_user(text), why };
        let text = text.trim();
        let with_scheme =
            if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let mut url = Url::parse(&with_scheme).map_err(|_| bad("it is not an address"))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(bad("only https:// and http:// are served"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("credentials do not belong into an address"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("it has a query or a fragment"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        match path.strip_suffix("/api/v1") {
            Some(before) => url.set_path(&format!("{before}/api/v2")),
            None => url.set_path(&path),
        }
        Ok(Self(url))
    }

    /// The route of `command`.
    ///
    /// # Errors
    /// [`ClientError::BadCommand`] when the name has other characters than letters, digits and
    /// dashes.
    pub(crate) fn route(&self, command: &str) -> Result<Url, ClientError> {
        let plain = command.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if command.is_empty() || !plain {
            return Err(ClientError::BadCommand);
        }
        let mut url = self.0.clone();
        url.set_path(&format!("{}/{command}", self.0.path().trim_end_matches('/')));
        Ok(url)
    }

    /// Whether this is the machine itself, which is never reached through a proxy.
    pub fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }

    /// Whether secrets travel readable for everyone on the way.
    pub fn is_plaintext(&self) -> bool {
        self.0.scheme() == "http"
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// The address as written, for messages; what stands before an `@` may be a password.
fn without_user(text: &str) -> String {
    let shown = text.rsplit('@').next().unwrap_or_default();
    shown.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_usual_forms_of_an_address_are_understood() {
        let cases = [
            ("https://h:8000", "https://h:8000/list-items"),
            ("https://h:8000/", "https://h:8000/list-items"),
            ("h:8000", "https://h:8000/list-items"),
            ("localhost", "https://localhost/list-items"),
            ("https://h/v2", "https://h/v2/list-items"),
            ("https://h/v2/", "https://h/v2/list-items"),
            ("https://h/api/v2", "https://h/api/v2/list-items"),
            ("https://h/api/v1", "https://h/api/v2/list-items"),
            ("https://h/api/v1//", "https://h/api/v2/list-items"),
            ("https://h/keys/api/v1/", "https://h/keys/api/v2/list-items"),
            ("http://127.0.0.1:1", "http://127.0.0.1:1/list-items"),
        ];
        for (written, route) in cases {
            let url = BaseUrl::parse(written).unwrap();
            assert_eq!(url.route("list-items").unwrap().as_str(), route, "{written}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_server_is_refused() {
        for written in
            ["", "https://", "ftp://h", "https://u:secret@h", "https://h?x=1", "https://h#x"]
        {
            let error = BaseUrl::parse(written).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_command_cannot_leave_its_route() {
        let url = BaseUrl::parse("https://h").unwrap();
        for command in ["", "../x", "a/b", "a?b", "a%2fb"] {
            assert!(url.route(command).is_err(), "{command}");
        }
    }

    #[test]
    fn loopback_and_plaintext_are_recognized() {
        let check = |text: &str| {
            let url = BaseUrl::parse(text).unwrap();
            (url.is_loopback(), url.is_plaintext())
        };
        assert_eq!(check("http://localhost:8000"), (true, true));
        assert_eq!(check("https://127.0.0.1"), (true, false));
        assert_eq!(check("https://[::1]:8000"), (true, false));
        assert_eq!(check("https://keys.example.com"), (false, false));
    }
}
