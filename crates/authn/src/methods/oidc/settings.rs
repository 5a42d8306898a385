//! What an OIDC method knows of its provider.

use keysherd_base::Fault;
use keysherd_wire::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    ALLOWED_REDIRECT_URI, AUDIENCE, CLIENT_ID, CLIENT_SECRET, ISSUER, REQUIRED_SCOPES,
    REQUIRED_SCOPES_PREFIX,
};
use crate::fields::UNIQUE_IDENTIFIER;
use crate::stored::{offered, stored};
use crate::web::outside_url;
use crate::{KEPT_BYTES_MAX, Kept};

/// Longest text among the settings, in bytes; the longest are addresses.
const TEXT_BYTES_MAX: usize = 2_048;
/// Asked for always: `openid` makes it OpenID Connect, the others bring the usual claims.
const SCOPES: &str = "openid profile email";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) unique_identifier: String,
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) client_secret: Option<Kept>,
    pub(super) audience: Option<String>,
    required_scopes: Vec<String>,
    required_scopes_prefix: String,
    allowed_redirect_uris: Vec<String>,
}

impl Settings {
    pub(super) fn of(given: &Args) -> Result<Self, Fault> {
        Ok(Self {
            unique_identifier: given.need(&UNIQUE_IDENTIFIER)?,
            issuer: given.need(&ISSUER)?,
            client_id: given.need(&CLIENT_ID)?,
            client_secret: given.get(&CLIENT_SECRET)?.map(Kept::Plain),
            audience: given.get(&AUDIENCE)?,
            required_scopes: given.get(&REQUIRED_SCOPES)?.unwrap_or_default(),
            required_scopes_prefix: given.get(&REQUIRED_SCOPES_PREFIX)?.unwrap_or_default(),
            allowed_redirect_uris: given.get(&ALLOWED_REDIRECT_URI)?.unwrap_or_default(),
        })
    }

    /// Settings that were checked before.
    pub(super) fn read(settings: &str) -> Result<Self, Fault> {
        stored(settings)
    }

    /// Settings from a gateway that may be anybody's.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub(super) fn checked(settings: &str) -> Result<Self, Fault> {
        let settings: Self = offered(settings)?;
        outside_url(&settings.issuer)
            .map_err(|why| settings.bad("issuer", &settings.issuer, why))?;
        let texts = [
            ("unique-identifier", &settings.unique_identifier),
            ("client-id", &settings.client_id),
        ];
        for (field, text) in texts {
            if text.is_empty() {
                return Err(settings.bad(field, text, "it is empty"));
            }
        }
        let all = texts.into_iter().map(|(field, text)| (field, text.as_str()));
        let all = all.chain([("required-scopes-prefix", &*settings.required_scopes_prefix)]);
        let all = all.chain(settings.audience.iter().map(|text| ("audience", &**text)));
        let all =
            all.chain(settings.required_scopes.iter().map(|text| ("required-scopes", &**text)));
        for (field, text) in all {
            if text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
                let why = "it is longer than 2048 bytes or has a control character";
                return Err(settings.bad(field, text, why));
            }
        }
        let scopes = settings.required_scopes.iter().chain([&settings.required_scopes_prefix]);
        if let Some(scope) = scopes.into_iter().find(|scope| scope.contains(char::is_whitespace)) {
            return Err(settings.bad("required-scopes", scope, "a scope has no spaces"));
        }
        match &settings.client_secret {
            Some(Kept::Plain(secret)) if !(1..=KEPT_BYTES_MAX).contains(&secret.len()) => Err(
                Fault::bad_request(format!("client-secret must have 1 to {KEPT_BYTES_MAX} bytes")),
            ),
            _ => Ok(settings),
        }
    }

    fn bad(&self, field: &str, value: &str, why: &str) -> Fault {
        let shown: String = value.chars().take(256).flat_map(char::escape_default).collect();
        Fault::bad_request(format!("'{field}' is '{shown}': {why}"))
    }

    /// These settings with the secret of `old` when they have none. Only for the same client of
    /// the same provider: whoever could change one of them would have the secret sent elsewhere.
    pub(super) fn keeping(mut self, old: Self) -> Self {
        let same = self.issuer == old.issuer && self.client_id == old.client_id;
        if self.client_secret.is_none() && same {
            self.client_secret = old.client_secret;
        }
        self
    }

    /// What the provider is asked for.
    pub(super) fn scope(&self) -> String {
        let prefix = &self.required_scopes_prefix;
        let own = self.required_scopes.iter().map(|scope| format!(" {prefix}{scope}"));
        std::iter::once(SCOPES.to_owned()).chain(own).collect()
    }

    /// Whether what the provider says it granted has all that is required. Silence means all
    /// (RFC 6749 section 5.1).
    pub(super) fn are_granted(&self, granted: Option<&str>) -> bool {
        let Some(granted) = granted else { return true };
        let has = |wanted: &str| granted.split(' ').any(|scope| scope == wanted);
        // Some providers answer with the prefix and some without.
        let prefix = &self.required_scopes_prefix;
        self.required_scopes.iter().all(|scope| has(scope) || has(&format!("{prefix}{scope}")))
    }

    /// The V2 model's fields. Never the secret.
    pub(super) fn shown(&self) -> Value {
        let mut shown = json!({
            "unique_identifier": self.unique_identifier,
            "issuer": self.issuer,
            "client_id": self.client_id,
            "required_scopes": self.required_scopes,
            "required_scopes_prefix": self.required_scopes_prefix,
            "allowed_redirect_URIs": self.allowed_redirect_uris,
        });
        if let Some(audience) = &self.audience {
            shown["audience"] = audience.as_str().into();
        }
        shown
    }
}
