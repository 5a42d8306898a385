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
        let read = Self::unchecked(args, old)?;
        read.check()?;
        Ok(read)
    }

    /// The directory that the arguments describe in place of `old`, of which nothing stays but the
    /// searcher's password: it is shown to nobody, so it cannot be given again. It stays only for
    /// the same searcher of the same directory.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn replacing(args: &Args, old: Option<&Self>) -> Result<Self, Fault> {
        let mut read = Self::unchecked(args, None)?;
        let same =
            |old: &&Self| old.url == read.url && old.bind_dn == read.bind_dn && old.ca == read.ca;
        if read.bind_password.is_none() && read.bind_dn.is_some() {
            read.bind_password = old.filter(same).and_then(|old| old.bind_password.clone());
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
