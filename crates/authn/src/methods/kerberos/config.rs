//! What a gateway keeps for the logins of a Kerberos realm: the keys of its own service, which
//! never leave it, and the key it signs with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Fault, Secret, SecretBytes, SecretString};
use keysherd_crypto::kerberos::Keytab;
use keysherd_crypto::rsa::RsaPair;
use keysherd_wire::{Args, Field, FieldSpec, Flag, Text};
use serde::{Deserialize, Serialize};

use super::krb5_conf::default_realm;
use super::{ONLY_THIS_GATEWAY, UNIQUE_IDENTIFIER};
use crate::directory::Directory;
use crate::fields::{
    BIND_DN, BIND_DN_PASSWORD, GROUP_ATTR, GROUP_DN, GROUP_FILTER, LDAP_CA_CERT, LDAP_URL,
    USER_ATTRIBUTE, USER_DN,
};

/// The keys of the gateway's service.
const KEYTAB_FILE_DATA: Field<Text> = Field::text(
    "keytab-file-data",
    "The keytab of this gateway's service, such as HTTP/gw.example, in base64; it stays here.",
)
.secret();
const KEYTAB_FILE_PATH: Field<Text> =
    Field::text("keytab-file-path", "Refused: a path would name a file of the gateway.");
const KRB5_CONF_DATA: Field<Text> = Field::text(
    "krb5-conf-data",
    "A krb5.conf, as it is or in base64: only clients of its default_realm are let in.",
);
const KRB5_CONF_PATH: Field<Text> =
    Field::text("krb5-conf-path", "Refused: a path would name a file of the gateway.");
const LDAP_ANONYMOUS_SEARCH: Field<Flag> =
    Field::flag("ldap-anonymous-search", "Search the directory without bind-dn.");

/// Those that make a configuration, between those that control learns.
pub(super) const FIELDS: [FieldSpec; 16] = [
    UNIQUE_IDENTIFIER.spec(),
    KEYTAB_FILE_DATA.spec(),
    KEYTAB_FILE_PATH.spec(),
    KRB5_CONF_DATA.spec(),
    KRB5_CONF_PATH.spec(),
    LDAP_URL.spec(),
    LDAP_CA_CERT.spec(),
    LDAP_ANONYMOUS_SEARCH.spec(),
    BIND_DN.spec(),
    BIND_DN_PASSWORD.spec(),
    USER_DN.spec(),
    USER_ATTRIBUTE.spec(),
    GROUP_DN.spec(),
    GROUP_ATTR.spec(),
    GROUP_FILTER.spec(),
    ONLY_THIS_GATEWAY.spec(),
];

/// Largest keytab that is kept, in bytes: some three hundred keys.
const KEYTAB_BYTES_MAX: usize = 24 * 1024;
/// Longest krb5.conf that is read, in bytes.
const CONF_BYTES_MAX: usize = 64 * 1024;

/// A gateway's configuration of one Kerberos method. It has secrets: never shown, kept sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KerberosConfig {
    /// The keytab in base64.
    keytab: String,
    /// The realm whose clients are let in; `None`: each realm that the keytab has.
    pub(super) realm: Option<String>,
    /// Who knows more about them.
    pub(super) directory: Option<Directory>,
    /// The private half of this gateway's key for the method, in PEM.
    signing_key: String,
    /// The public half.
    pub(super) public_key: String,
}

impl KerberosConfig {
    /// The configuration that the arguments ask for in place of `old`, of which keytab and key
    /// stay, as nobody could show them again.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub(super) fn read(args: &Args, old: Option<&Self>) -> Result<Self, Fault> {
        refuse_paths(args)?;
        let keytab = match args.secret(&KEYTAB_FILE_DATA)? {
            Some(given) => Secret::new(given.expose().split_whitespace().collect::<String>()),
            None => old.map(|old| Secret::new(old.keytab.clone())).ok_or_else(|| {
                Fault::bad_request(
                    "missing required field 'keytab-file-data': this gateway does not have the \
                     keytab of the auth method yet",
                )
            })?,
        };
        let services = open(&keytab).ok_or_else(bad_keytab)?;
        let realm = args.get(&KRB5_CONF_DATA)?.map(|given| realm_of(&given)).transpose()?;
        if let Some(realm) = &realm
            && !services.principals().any(|name| name.ends_with(&format!("@{realm}")))
        {
            return Err(Fault::bad_request(format!(
                "'keytab-file-data' has no AES key in {}, the default_realm of 'krb5-conf-data'",
                realm.escape_default()
            )));
        }
        let directory = directory(args, old.and_then(|old| old.directory.as_ref()))?;
        let (signing_key, public_key) = match old {
            Some(old) => (Secret::new(old.signing_key.clone()), old.public_key.clone()),
            None => {
                let pair = RsaPair::generate()?;
                (pair.private_pem, pair.public_pem)
            }
        };
        let (keytab, signing_key) = (keytab.expose().clone(), signing_key.expose().clone());
        Ok(Self { keytab, realm, directory, signing_key, public_key })
    }

    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// [`Fault::internal`].
    pub(super) fn from_json(text: &SecretString) -> Result<Self, Fault> {
        // The error's text could quote a value.
        serde_json::from_str(text.expose())
            .map_err(|_| Fault::internal("a configuration of a Kerberos method cannot be read"))
    }

    /// As it is kept.
    ///
    /// # Errors
    /// [`Fault::internal`], which is a defect.
    pub(super) fn to_json(&self) -> Result<SecretString, Fault> {
        serde_json::to_string(self).map(Secret::new).map_err(Fault::internal)
    }

    /// The keys of the service.
    ///
    /// # Errors
    /// [`Fault::internal`] for what [`Self::read`] never saw.
    pub(super) fn keytab(&self) -> Result<Keytab, Fault> {
        let kept = Secret::new(self.keytab.clone());
        open(&kept).ok_or_else(|| Fault::internal("the keytab of a configuration cannot be read"))
    }

    /// The private half of the key, in PEM.
    pub(super) fn signing_key(&self) -> SecretString {
        Secret::new(self.signing_key.clone())
    }
}

/// What may be shown of the configuration of a Kerberos method.
pub struct KerberosShown {
    /// The realm whose clients are let in; `None`: each realm that the keytab has.
    pub realm: Option<String>,
    /// Who knows more about them; without the searcher's password.
    pub directory: Option<Directory>,
}

impl KerberosShown {
    /// Takes it out of a configuration as it is kept.
    ///
    /// # Errors
    /// [`Fault::internal`].
    pub fn from_json(text: &SecretString) -> Result<Self, Fault> {
        let config = KerberosConfig::from_json(text)?;
        let mut directory = config.directory.clone();
        if let Some(directory) = &mut directory {
            drop(directory.bind_password.take().map(Secret::new));
        }
        Ok(Self { realm: config.realm.clone(), directory })
    }
}

impl Drop for KerberosConfig {
    fn drop(&mut self) {
        for text in [&mut self.keytab, &mut self.signing_key] {
            drop(Secret::new(std::mem::take(text)));
        }
    }
}

fn open(encoded: &SecretString) -> Option<Keytab> {
    // In base64 four characters are three bytes.
    if encoded.expose().len() > KEYTAB_BYTES_MAX / 3 * 4 {
        return None;
    }
    let bytes = SecretBytes::new(STANDARD.decode(encoded.expose()).ok()?);
    Keytab::from_bytes(bytes.expose()).ok()
}

fn bad_keytab() -> Fault {
    Fault::bad_request(format!(
        "invalid value of 'keytab-file-data': it must be a keytab of format 5.2 in base64, with \
         an AES key and at most {KEYTAB_BYTES_MAX} bytes; kadmin's ktadd writes one"
    ))
}

fn refuse_paths(args: &Args) -> Result<(), Fault> {
    for (path, data) in [(KEYTAB_FILE_PATH, KEYTAB_FILE_DATA), (KRB5_CONF_PATH, KRB5_CONF_DATA)] {
        if args.get(&path)?.is_some() {
            return Err(Fault::bad_request(format!(
                "invalid field '{}': a path would name a file of the gateway; give the content as \
                 {}",
                path.name(),
                data.name()
            )));
        }
    }
    Ok(())
}

fn realm_of(given: &str) -> Result<String, Fault> {
    let bad = || {
        Fault::bad_request(format!(
            "invalid value of 'krb5-conf-data': it must be the text of krb5.conf, as it is or in \
             base64, with default_realm in [libdefaults] and at most {CONF_BYTES_MAX} bytes"
        ))
    };
    if given.len() > CONF_BYTES_MAX {
        return Err(bad());
    }
    // No text of sections is base64.
    if given.contains('[') {
        return default_realm(given).ok_or_else(bad);
    }
    let compact: String = given.split_whitespace().collect();
    let text = STANDARD.decode(compact).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.as_deref().and_then(default_realm).ok_or_else(bad)
}

fn directory(args: &Args, old: Option<&Directory>) -> Result<Option<Directory>, Fault> {
    let anonymous = args.get_or(&LDAP_ANONYMOUS_SEARCH, false)?;
    let texts = [
        LDAP_URL,
        LDAP_CA_CERT,
        BIND_DN,
        BIND_DN_PASSWORD,
        USER_DN,
        USER_ATTRIBUTE,
        GROUP_DN,
        GROUP_ATTR,
        GROUP_FILTER,
    ];
    let mut wanted = anonymous;
    for field in &texts {
        wanted |= args.get(field)?.is_some();
    }
    if !wanted {
        return Ok(None);
    }
    let directory = Directory::replacing(args, old)?;
    if directory.bind_dn.is_some() == anonymous {
        return Err(Fault::bad_request(
            "give either bind-dn with bind-dn-password, or ldap-anonymous-search",
        ));
    }
    Ok(Some(directory))
}
