//! A directory from the arguments of the commands that describe one.

use keysherd_base::Fault;
use keysherd_wire::{Args, Field, Text};

use super::Directory;
use crate::fields::{
    BIND_DN, BIND_DN_PASSWORD, GROUP_ATTR, GROUP_DN, GROUP_FILTER, LDAP_CA_CERT, LDAP_URL,
    USER_ATTRIBUTE, USER_DN,
};
use crate::method_key::pem_text;

impl Directory {
    /// The directory that the arguments make of `old`: what is not given stays.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names a field that is missing or whose value is not good.
    pub fn read(args: &Args, old: Option<&Self>) -> Result<Self, Fault> {
        let mut read = Self::unchecked(args, old)?;
        if args.get(&BIND_DN_PASSWORD)?.is_none()
            && !old.is_some_and(|old| read.is_searched_as(old))
        {
            read.bind_password = None;
        }
        read.check()?;
        Ok(read)
    }

    /// Whether the same searcher asks the same directory: only then is a password kept, as it is
    /// shown to nobody and must not be sent to a place that somebody names.
    fn is_searched_as(&self, old: &Self) -> bool {
        old.url == self.url && old.bind_dn == self.bind_dn && old.ca == self.ca
    }

    /// Whether it says of everybody who they are as `old` does: only then is the key kept that is
    /// signed with what it says, as whoever chooses the directory chooses who people are.
    pub fn answers_as(&self, old: &Self) -> bool {
        let Self { url, ca, user_dn, user_attribute, .. } = self;
        let Self { group_dn, group_attribute, group_filter, .. } = self;
        (url, ca, user_dn, user_attribute) == (&old.url, &old.ca, &old.user_dn, &old.user_attribute)
            && (group_dn, group_attribute, group_filter)
                == (&old.group_dn, &old.group_attribute, &old.group_filter)
    }

    /// The directory that the arguments describe in place of `old`, of which nothing stays but the
    /// searcher's password: it is shown to nobody, so it cannot be given again. It stays only for
    /// the same searcher of the same directory.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn replacing(args: &Args, old: Option<&Self>) -> Result<Self, Fault> {
        let mut read = Self::unchecked(args, None)?;
        if read.bind_password.is_none() && read.bind_dn.is_some() {
            let same = old.filter(|old| read.is_searched_as(old));
            read.bind_password = same.and_then(|old| old.bind_password.clone());
        }
        read.check()?;
        Ok(read)
    }

    fn unchecked(args: &Args, old: Option<&Self>) -> Result<Self, Fault> {
        let kept = |pick: fn(&Self) -> Option<String>| old.and_then(pick);
        let text =
            |field: &Field<Text>, kept: Option<String>| Ok::<_, Fault>(args.get(field)?.or(kept));
        let needed = |field: &Field<Text>, kept: Option<String>| {
            text(field, kept)?.ok_or_else(|| {
                Fault::bad_request(format!("missing required field '{}'", field.name()))
            })
        };
        Ok(Self {
            url: needed(&LDAP_URL, kept(|old| Some(old.url.clone())))?,
            bind_dn: text(&BIND_DN, kept(|old| old.bind_dn.clone()))?,
            bind_password: text(&BIND_DN_PASSWORD, kept(|old| old.bind_password.clone()))?,
            user_dn: needed(&USER_DN, kept(|old| Some(old.user_dn.clone())))?,
            user_attribute: text(&USER_ATTRIBUTE, kept(|old| Some(old.user_attribute.clone())))?
                .unwrap_or_else(|| "uid".to_owned()),
            group_dn: text(&GROUP_DN, kept(|old| old.group_dn.clone()))?,
            group_attribute: text(&GROUP_ATTR, kept(|old| old.group_attribute.clone()))?,
            group_filter: text(&GROUP_FILTER, kept(|old| old.group_filter.clone()))?,
            ca: certificate(args)?.or_else(|| kept(|old| old.ca.clone())),
        })
    }
}

fn certificate(args: &Args) -> Result<Option<String>, Fault> {
    let Some(given) = args.get(&LDAP_CA_CERT)? else { return Ok(None) };
    pem_text(&given).map(Some).ok_or_else(|| {
        Fault::bad_request("invalid value of 'ldap-ca-cert': it must be PEM, or PEM in base64")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[(&'static str, &str)], old: Option<&Directory>) -> Directory {
        let mut args = Args::new();
        for (name, value) in given {
            args.put(name, (*value).into());
        }
        Directory::read(&args, old).unwrap()
    }

    #[test]
    fn another_directory_is_one_that_may_say_something_else_of_people() {
        let first = [("ldap-url", "ldaps://a.example"), ("user-dn", "ou=people,dc=example")];
        let old = read(&first, None);
        let answers_as =
            |name: &'static str, value: &str| read(&[(name, value)], Some(&old)).answers_as(&old);
        assert!(answers_as("ldap-url", "ldaps://a.example"));
        for (name, value) in [
            ("ldap-url", "ldaps://evil.example"),
            ("user-dn", "ou=mine,dc=example"),
            ("user-attribute", "description"),
            ("group-dn", "ou=mine,dc=example"),
            ("group-attr", "description"),
            ("group-filter", "(cn=*)"),
        ] {
            assert!(!answers_as(name, value), "{name}");
        }
        let mut other_ca = old.clone();
        other_ca.ca = Some("another".to_owned());
        assert!(!other_ca.answers_as(&old));
    }

    #[test]
    fn a_kept_password_goes_to_no_other_directory() {
        let first = [
            ("ldap-url", "ldaps://a.example"),
            ("user-dn", "ou=people,dc=example"),
            ("bind-dn", "cn=searcher,dc=example"),
            ("bind-dn-password", "secret"),
        ];
        let old = read(&first, None);
        let same = read(&[("user-attribute", "cn")], Some(&old));
        assert_eq!(same.bind_password.as_deref(), Some("secret"));
        let args = |name: &'static str, value: &'static str| {
            let mut args = Args::new();
            args.put(name, value.into());
            Directory::read(&args, Some(&old)).ok().and_then(|read| read.bind_password.clone())
        };
        assert_eq!(args("ldap-url", "ldaps://evil.example"), None);
        assert_eq!(args("bind-dn", "cn=other,dc=example"), None);
        assert_eq!(args("user-attribute", "cn").as_deref(), Some("secret"));
    }
}
