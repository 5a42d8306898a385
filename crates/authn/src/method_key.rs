//! The key pair of a method whose gateway asserts: fields, making one, keeping it over updates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Fault, Secret, SecretString};
use keysherd_crypto::jwt::{JwtKeys, JwtSigner};
use keysherd_crypto::rsa::RsaPair;
use keysherd_wire::{Args, Field, Flag, Text};
use serde::{Deserialize, Serialize};

use crate::Wanted;

/// Whether a pair is made along with the method.
pub(crate) const GEN_KEY: Field<Flag> = Field::flag(
    "gen-key",
    "Make a key pair; its private half is shown once, for the gateway's configuration.",
);
/// Longest key in PEM or its base64, in bytes: RSA with 16,384 bits.
const KEY_CHARS_MAX: usize = 20_000;

/// What control knows of the pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MethodKey {
    /// The public half in PEM; `None` only on its way to control: as it was.
    pub(crate) public: Option<String>,
    /// Whether it was made along.
    pub(crate) generated: bool,
}

/// The key that the arguments ask for, and the private half of one that is made now. A key that
/// is given is taken even if `gen-key` is set, as some clients always set it.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(crate) fn read(
    given: &Args,
    public_key: &Field<Text>,
    wanted: Wanted,
) -> Result<(MethodKey, Option<SecretString>), Fault> {
    if let Some(text) = given.get(public_key)? {
        let public = pem_text(&text).ok_or_else(|| bad_public(public_key.name()))?;
        let key = MethodKey { public: Some(public), generated: false };
        check(&key, public_key.name())?;
        return Ok((key, None));
    }
    match (given.get(&GEN_KEY)?, wanted) {
        (Some(false), Wanted::New) => Err(Fault::bad_request(format!(
            "missing required field '{}': give a public key, or set gen-key",
            public_key.name()
        ))),
        (Some(true), _) | (None, Wanted::New) => {
            let pair = RsaPair::generate()?;
            let shown = Secret::new(STANDARD.encode(pair.private_pem.expose()));
            Ok((MethodKey { public: Some(pair.public_pem), generated: true }, Some(shown)))
        }
        (_, Wanted::Changed(_)) => Ok((MethodKey { public: None, generated: false }, None)),
    }
}

impl MethodKey {
    /// The key in force when `self` replaces `old`.
    pub(crate) fn replacing(self, old: Self) -> Self {
        if self.public.is_some() { self } else { old }
    }

    /// The public half in PEM.
    ///
    /// # Errors
    /// [`Fault::internal`] for a key that [`check`] never saw.
    pub(crate) fn pem(&self) -> Result<&str, Fault> {
        self.public.as_deref().ok_or_else(|| Fault::internal("an auth method without its key"))
    }

    /// How V2 shows it: the PEM in base64, and whether it was made along.
    pub(crate) fn shown(&self) -> (String, String) {
        (STANDARD.encode(self.public.as_deref().unwrap_or_default()), self.generated.to_string())
    }
}

/// Demands a key that assertions can be verified with.
///
/// # Errors
/// [`Fault::bad_request`] names `field`.
pub(crate) fn check(key: &MethodKey, field: &str) -> Result<(), Fault> {
    let usable = key
        .public
        .as_deref()
        .is_some_and(|pem| pem.len() <= KEY_CHARS_MAX && JwtKeys::from_public_pem(pem).is_ok());
    if usable { Ok(()) } else { Err(bad_public(field)) }
}

fn bad_public(field: &str) -> Fault {
    Fault::bad_request(format!(
        "invalid value of '{field}': it must be an RSA public key of 2048 bits or more in PEM, or \
         that in base64"
    ))
}

/// The private half as a gateway's configuration keeps it: PEM, given as such or in base64.
///
/// # Errors
/// [`Fault::bad_request`] names `field`.
pub fn signing_key(field: &str, given: &SecretString) -> Result<SecretString, Fault> {
    let pem = pem_text(given.expose()).map(Secret::new);
    let pem = pem.filter(|pem| JwtSigner::from_rsa_pem(pem).is_ok());
    pem.ok_or_else(|| {
        Fault::bad_request(format!(
            "invalid value of '{field}': it must be the RSA private key that was shown when the \
             auth method was made, in PEM or that in base64"
        ))
    })
}

/// A PEM text given as such or in base64.
pub fn pem_text(given: &str) -> Option<String> {
    if given.len() > 2 * KEY_CHARS_MAX {
        return None;
    }
    if given.trim_start().starts_with("-----BEGIN ") {
        return Some(given.trim().to_owned() + "\n");
    }
    let compact: SecretString = Secret::new(given.split_whitespace().collect());
    let text = String::from_utf8(STANDARD.decode(compact.expose()).ok()?).ok()?;
    text.trim_start().starts_with("-----BEGIN ").then_some(text)
}
