//! Secrets among the settings of auth methods: sealed under control's vault before they are stored,
//! opened where a login is checked.
//!
//! A sealed secret opens for its own method only. One that comes sealed from outside is refused:
//! it could be another method's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_authn::Kept;
use keysherd_base::{AccessId, Fault, SecretBytes, SecretString};
use keysherd_crypto::vault::VaultKey;
use keysherd_domain::auth_method::MethodDetail;

use crate::control::Control;

/// The vault's purpose.
const PURPOSE: &str = "method-secret";

impl Control {
    /// `settings` of a member called `kind` with their secrets sealed for the method `access_id`.
    ///
    /// # Errors
    /// [`Fault::bad_request`] when the settings are not good or a secret came sealed.
    pub(crate) fn sealed_settings(
        &self,
        kind: &str,
        access_id: &AccessId,
        settings: &str,
    ) -> Result<String, Fault> {
        let Some(member) = keysherd_authn::by_kind(kind) else { return Ok(settings.to_owned()) };
        let seal = |secret: Kept| match secret {
            Kept::Plain(text) => {
                let text = SecretBytes::new(text.into_bytes());
                let context = access_id.as_str().as_bytes();
                let sealed = self.vault.seal(PURPOSE, context, &text, &*self.rng)?;
                Ok(Kept::Sealed(STANDARD.encode(sealed)))
            }
            Kept::Sealed(_) => Err(Fault::bad_request("a secret among the settings came sealed")),
        };
        member.with_secrets(settings, &seal).map(std::borrow::Cow::into_owned)
    }

    /// A new method's detail with its secrets sealed.
    ///
    /// # Errors
    /// As [`Control::sealed_settings`].
    pub(crate) fn sealed_detail(
        &self,
        access_id: &AccessId,
        detail: MethodDetail,
    ) -> Result<MethodDetail, Fault> {
        let MethodDetail::Member { kind, settings } = detail else { return Ok(detail) };
        let settings = self.sealed_settings(&kind, access_id, &settings)?;
        Ok(MethodDetail::Member { kind, settings })
    }

    /// Stored settings with their secrets as they are used.
    ///
    /// # Errors
    /// [`Fault::internal`] when a secret does not open.
    pub(crate) fn opened_settings(
        &self,
        member: &dyn keysherd_authn::Method,
        access_id: &AccessId,
        settings: &str,
    ) -> Result<SecretString, Fault> {
        opened(&self.vault, member, access_id, settings)
    }
}

/// As [`Control::opened_settings`], with the vault that the secrets are sealed under.
pub(crate) fn opened(
    vault: &VaultKey,
    member: &dyn keysherd_authn::Method,
    access_id: &AccessId,
    settings: &str,
) -> Result<SecretString, Fault> {
    let open = |secret: Kept| {
        let Kept::Sealed(sealed) = secret else {
            return Err(Fault::internal("a secret among stored settings is not sealed"));
        };
        let sealed = STANDARD.decode(sealed).map_err(Fault::internal)?;
        let opened = vault.open(PURPOSE, access_id.as_str().as_bytes(), &sealed);
        let opened = opened.map_err(|_| {
            Fault::internal(
                "a secret among the settings of an auth method does not open; restore the control \
                 keys that belong to this store, or set the secret again",
            )
        })?;
        let text = std::str::from_utf8(opened.expose()).map_err(Fault::internal)?;
        Ok(Kept::Plain(text.to_owned()))
    };
    member.with_secrets(settings, &open).map(|text| SecretString::new(text.into_owned()))
}
