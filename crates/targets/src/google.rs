//! Google's services, as one of its service accounts: a text that the account's key signs is
//! exchanged for a token (RFC 7523).

use keysherd_base::{Fault, SecretString};
use keysherd_crypto::jwt::JwtSigner;
use keysherd_wire::{Field, Flag, Settings, Text, bad_setting, wipe};
use serde_json::{Map, Value, json};

use crate::endpoints::at;
use crate::http::{HttpGiven, HttpServer};
use crate::lender::ask;
use crate::pem::decoded;
use crate::{BoxFuture, Lender, Lent, Named, Way};

/// Who lends tokens, and what the signed text is for, whatever leads there.
const TOKENS: &str = "oauth2.googleapis.com";
const AUDIENCE: &str = "https://oauth2.googleapis.com/token";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// The right to everything that the account may do.
pub const CLOUD: &str = "https://www.googleapis.com/auth/cloud-platform";
/// How long a signed text is good for, in seconds.
const LIFE_SECONDS: i64 = 600;
/// What settings with keys must be.
const WANTED: &str = "it must be the JSON of a service account's key, or that in base64";
/// Longest name of an account, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// The key of a service account.
pub struct GoogleKey {
    /// The account's name, which is an address.
    pub account: String,
    /// Its project.
    pub project: Option<String>,
    /// The key's own name.
    pub id: Option<String>,
    signer: JwtSigner,
}

impl GoogleKey {
    /// The key in this field: JSON as Google hands it out, or that in base64.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn by(settings: &Settings, field: &Field<Text>) -> Result<Self, Fault> {
        Self::read(field.name(), &Self::json(field.name(), settings.need(field)?)?)
    }

    /// The JSON of a key that is given as that, or as that in base64. Whether it is a key,
    /// [`Self::read`] says.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn json(field: &str, given: &str) -> Result<SecretString, Fault> {
        let given = given.trim();
        let text = match given.starts_with('{') {
            true => Some(given.to_owned()),
            false => decoded(given),
        };
        text.map(SecretString::new).ok_or_else(|| bad_setting(field, WANTED))
    }

    /// The key in this JSON, which was given in this field.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn read(field: &str, text: &SecretString) -> Result<Self, Fault> {
        let bad = |why: &str| bad_setting(field, why);
        // The error's text could quote a value.
        let mut parsed: Value = serde_json::from_str(text.expose()).map_err(|_| bad(WANTED))?;
        let mut part = |name: &str| match parsed.get_mut(name).map(Value::take) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        };
        let (kind, account) = (part("type"), part("client_email"));
        let (key, id, project) = (part("private_key"), part("private_key_id"), part("project_id"));
        let key = key.map(SecretString::new);
        wipe(parsed);
        let account = account.filter(|account| is_account(account));
        let (Some("service_account"), Some(account), Some(key)) = (kind.as_deref(), account, key)
        else {
            return Err(bad(WANTED));
        };
        let unusable = |_| bad("its private_key is no RSA private key");
        let signer = JwtSigner::from_rsa_pem(&key).map_err(unusable)?;
        Ok(Self { account, project, id, signer })
    }

    /// What lends tokens for `scopes`, with spaces between; in the name of `subject`, if there is
    /// one, who must have allowed it.
    ///
    /// # Errors
    /// Those of [`service`].
    pub fn lender(
        self,
        scopes: &str,
        subject: Option<&str>,
        way: Option<&Way>,
    ) -> Result<GoogleAccount, Fault> {
        let server = service(TOKENS, way)?;
        let subject = subject.map(str::to_owned);
        Ok(GoogleAccount { key: self, server, scopes: scopes.to_owned(), subject })
    }
}

/// A service account that asks for tokens.
pub struct GoogleAccount {
    /// Its key.
    pub key: GoogleKey,
    server: HttpServer,
    scopes: String,
    subject: Option<String>,
}

impl Lender for GoogleAccount {
    fn lend<'a>(&'a self, way: &'a Way) -> BoxFuture<'a, Result<Lent, Fault>> {
        Box::pin(async move {
            let now = way.clock.now().seconds();
            let claims = json!({
                "iss": self.key.account, "scope": self.scopes, "aud": AUDIENCE,
                "iat": now, "exp": now + LIFE_SECONDS,
            });
            let mut claims = claims.as_object().cloned().unwrap_or_default();
            if let Some(subject) = &self.subject {
                claims.insert("sub".to_owned(), subject.as_str().into());
            }
            let signed = match &self.key.id {
                Some(id) => self.key.signer.sign_as(&claims, id),
                None => self.key.signer.sign(&claims),
            };
            let unsigned = |_| Fault::internal("the key signs nothing");
            let signed = SecretString::new(signed.map_err(unsigned)?);
            let form = Map::from_iter([
                ("grant_type".to_owned(), GRANT.into()),
                ("assertion".to_owned(), signed.expose().as_str().into()),
            ]);
            ask(&self.server.open(way)?, &["token"], form, way, &[signed.expose()]).await
        })
    }
}

/// One of Google's services, by the name of its host.
///
/// # Errors
/// [`Fault::bad_request`] for an address of the operator's that is none.
pub fn service(host: &str, way: Option<&Way>) -> Result<HttpServer, Fault> {
    let url = at(host, way.and_then(|way| way.endpoints.google.as_deref()));
    let url = Named::none("GOOGLE_ENDPOINT_URL").with(Some(&url));
    HttpServer::new(HttpGiven { url, authority: None, identity: None })
}

/// Whether a text can be the name of an account of Google.
pub fn is_account(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"@.-_+".contains(&b);
    let parts = text.split_once('@');
    parts.is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
        && text.len() <= NAME_BYTES_MAX
        && text.bytes().all(plain)
}

/// Refuses the gateway's own identity.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(crate) fn no_own_identity(settings: &Settings, field: &Field<Flag>) -> Result<(), Fault> {
    match settings.flag(field, false) {
        false => Ok(()),
        true => Err(bad_setting(
            field.name(),
            "this version signs in with keys only: a gateway's own identity is its operator's",
        )),
    }
}
