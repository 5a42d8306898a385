//! How a gateway reaches a directory: what its commands keep, and logins read.

use std::sync::Arc;

use keysherd_base::{Fault, Secret};
use keysherd_egress::{Target, tls_config};
use ldap3::ldap_escape;
use reqwest::Url;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};

/// Stands for the name of the user in `user-dn` and `group-filter`.
const USERNAME: &str = "{{.Username}}";
/// Stands for the user's distinguished name in `group-filter`.
const USER_DN: &str = "{{.UserDN}}";
/// Groups as most directories keep them.
const GROUP_FILTER: &str =
    "(|(memberUid={{.Username}})(member={{.UserDN}})(uniqueMember={{.UserDN}}))";

/// A directory as a gateway's configuration describes it. It has a secret: never shown, kept
/// sealed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// `ldaps://host:port`, or `ldap://host:port`, where StartTLS follows.
    pub url: String,
    /// Who searches; `None`: nobody, anonymously.
    pub bind_dn: Option<String>,
    /// The searcher's password.
    pub bind_password: Option<String>,
    /// Where users are searched, or with `{{.Username}}` in it, their very name.
    pub user_dn: String,
    /// The attribute that has the user's name.
    pub user_attribute: String,
    /// Where groups are searched; `None`: an attribute of the user tells them.
    pub group_dn: Option<String>,
    /// The attribute that has a group's name, or the user's groups.
    pub group_attribute: Option<String>,
    /// Which groups are a user's.
    pub group_filter: Option<String>,
    /// Certificates of the directory's authority in PEM; `None`: those of this machine.
    pub ca: Option<String>,
}

impl Directory {
    /// Demands a configuration that a directory could be asked with.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn check(&self) -> Result<(), Fault> {
        let bad = |field: &str, want: &str| {
            Err(Fault::bad_request(format!("invalid value of '{field}': {want}")))
        };
        if self.place().is_none() {
            return bad("ldap-url", "it must be such as ldaps://directory.example:636");
        }
        let plain = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-;.".contains(&b))
        };
        if !plain(&self.user_attribute) {
            return bad("user-attribute", "it must be the name of an attribute, such as uid");
        }
        if self.group_attribute.as_ref().is_some_and(|name| !plain(name)) {
            return bad("group-attr", "it must be the name of an attribute, such as cn");
        }
        if self.user_dn.is_empty() {
            return bad("user-dn", "it must say where users are, such as ou=people,dc=example");
        }
        if self.bind_dn.is_some() != self.bind_password.is_some() {
            return bad("bind-dn", "it goes together with bind-dn-password");
        }
        if ldap3::parse_filter(self.groups_of("name", "cn=name")).is_err() {
            return bad("group-filter", "it must be a filter, such as (member={{.UserDN}})");
        }
        // Those of this machine are not a matter of the configuration.
        self.ca.as_ref().map_or(Ok(()), |_| self.tls().map(drop))
    }

    /// The user's distinguished name, where it follows from the name.
    pub(super) fn dn_of(&self, username: &str) -> Option<String> {
        let escaped = ldap3::dn_escape(username);
        self.user_dn.contains(USERNAME).then(|| self.user_dn.replace(USERNAME, &escaped))
    }

    /// Where somebody would be whom no search finds.
    pub(super) fn nobody(&self, username: &str) -> String {
        format!("{}={},{}", self.user_attribute, ldap3::dn_escape(username), self.user_dn)
    }

    /// The filter that finds the user.
    pub(super) fn user_filter(&self, username: &str) -> String {
        format!("({}={})", self.user_attribute, ldap_escape(username))
    }

    /// The filter that finds the user's groups. Both values are escaped, and what stands for one
    /// in the other is not replaced again.
    pub(super) fn groups_of(&self, username: &str, dn: &str) -> String {
        let template = self.group_filter.as_deref().unwrap_or(GROUP_FILTER);
        let (username, dn) = (ldap_escape(username), ldap_escape(dn));
        let parts = template.split(USER_DN).map(|part| part.replace(USERNAME, &username));
        parts.collect::<Vec<_>>().join(&dn)
    }

    /// The directory's place, and whether it is asked to go on with TLS there (StartTLS) instead of
    /// spoken to in TLS from the beginning; `None` for an address that is none.
    pub(crate) fn place(&self) -> Option<(Target, bool)> {
        let url = Url::parse(&self.url).ok().filter(|url| {
            matches!(url.path(), "" | "/") && url.username().is_empty() && url.query().is_none()
        })?;
        let (port, asks) = match url.scheme() {
            "ldap" => (389, true),
            "ldaps" => (636, false),
            _ => return None,
        };
        let place = Target::new(url.host_str()?, url.port().unwrap_or(port));
        ServerName::try_from(place.host()).ok()?;
        Some((place, asks))
    }

    /// What connections are encrypted with: always with certificates that were verified.
    ///
    /// # Errors
    /// [`Fault::bad_request`] when the CA certificate cannot be read.
    pub(super) fn tls(&self) -> Result<Arc<ClientConfig>, Fault> {
        tls_config("ldap-ca-cert", self.ca.as_deref(), None)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(self.bind_password.take().map(Secret::new));
    }
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("url", &self.url).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> Directory {
        Directory {
            url: "ldaps://127.0.0.1:636".to_owned(),
            bind_dn: None,
            bind_password: None,
            user_dn: "ou=people,dc=example".to_owned(),
            user_attribute: "uid".to_owned(),
            group_dn: None,
            group_attribute: None,
            group_filter: None,
            ca: None,
        }
    }

    #[test]
    fn names_cannot_leave_their_place_in_filters_and_names() {
        let mut config = directory();
        for (name, filter) in [
            ("alice", "(uid=alice)"),
            ("*", r"(uid=\2a)"),
            ("a)(uid=*", r"(uid=a\29\28uid=\2a)"),
            ("a\\", r"(uid=a\5c)"),
            ("a\0", r"(uid=a\00)"),
            ("*)(|(objectClass=*)", r"(uid=\2a\29\28|\28objectClass=\2a\29)"),
        ] {
            assert_eq!(config.user_filter(name), filter);
            assert!(ldap3::parse_filter(config.user_filter(name)).is_ok(), "{name}");
        }
        // A name that looks like a placeholder is not one.
        config.group_filter = Some("(&(u={{.Username}})(d={{.UserDN}}))".to_owned());
        let groups = config.groups_of("{{.UserDN}}", "uid={{.Username}}*");
        assert_eq!(groups, r"(&(u={{.UserDN}})(d=uid={{.Username}}\2a))");
        config.user_dn = "uid={{.Username}},ou=people".to_owned();
        let dn = config.dn_of("a,ou=admins+x=y").unwrap();
        assert_eq!(dn, r"uid=a\2cou\3dadmins\2bx\3dy,ou=people");
    }

    #[test]
    fn only_configurations_that_end_in_verified_tls_are_taken() {
        assert!(directory().check().is_ok());
        let changes: [fn(&mut Directory); 10] = [
            |c| c.url = "http://127.0.0.1".to_owned(),
            |c| c.url = "ldapi:///var/run/ldapi".to_owned(),
            |c| c.url = "ldaps://".to_owned(),
            |c| c.url = "ldaps://h/dc=x?uid".to_owned(),
            |c| c.url = "ldaps://no host".to_owned(),
            |c| c.user_attribute = "uid=*)(x".to_owned(),
            |c| c.user_dn = String::new(),
            |c| c.bind_dn = Some("cn=searcher".to_owned()),
            |c| c.group_filter = Some("(member=".to_owned()),
            |c| c.ca = Some("no certificate".to_owned()),
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut config = directory();
            change(&mut config);
            assert!(config.check().is_err(), "change {number}");
        }
    }
}
