//! OpenID Connect: people who sign in at an identity provider with a browser, and bearers of ID
//! tokens that were got elsewhere.
//!
//! The code that a browser brings back is exchanged by control, not by the gateway: the client
//! secret leaves control for the provider only, and what the provider answers comes over TLS to
//! whoever checks it.

mod browser;
mod code;
mod settings;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use keysherd_base::Fault;
use keysherd_crypto::jwt::{Expected, JwtClaims};
use keysherd_wire::{Args, Field, FieldSpec, Flag, Group, List, Text};
use serde::{Deserialize, Serialize};

use self::browser::OidcBrowser;
use self::settings::Settings;
use crate::fields::{self, GATEWAY_URL, JWT, UNIQUE_IDENTIFIER};
use crate::issuer::IssuerDocument;
use crate::member::EachSecret;
use crate::tokens::{SKEW_SECONDS, identity, refused};
use crate::{
    Attempt, BoxFuture, Browser, Desk, Identity, Kind, Method, Prepared, Rules, Spelling, Wanted,
    World,
};

const USE_REMOTE_BROWSER: Field<Flag> = Field::flag(
    "use-remote-browser",
    "Nothing more: a link for a browser, on whatever machine, is always answered.",
)
.inert();
const ISSUER: Field<Text> =
    Field::text("issuer", "The provider; its own document says where it is asked.");
const CLIENT_ID: Field<Text> = Field::text("client-id", "This client's name at the provider.");
const CLIENT_SECRET: Field<Text> = Field::text(
    "client-secret",
    "This client's secret at the provider; none: a public client. An update without it keeps the \
     old one while issuer and client-id stay the same.",
)
.secret();
const AUDIENCE: Field<Text> =
    Field::text("audience", "Asked of the provider, and accepted in tokens beside the client id.");
const REQUIRED_SCOPES: Field<List> = Field::list(
    "required-scopes",
    "Scopes that are asked for beside openid, profile and email, and must be granted.",
);
const REQUIRED_SCOPES_PREFIX: Field<Text> =
    Field::text("required-scopes-prefix", "Put before each required scope when it is asked for.");
const ALLOWED_REDIRECT_URI: Field<List> = Field::list(
    "allowed-redirect-uri",
    "Kept and shown; programs collect their token at the gateway, so none is led anywhere.",
);

static KIND: Kind = Kind {
    name: "oidc",
    access_types: &["oidc"],
    bearers: "people who sign in at an OpenID Connect provider",
    create: &[
        Spelling::create("auth-method-create-oidc"),
        Spelling::older("create-auth-method-oidc", "CreateAuthMethodOIDCOutput", &["access_id"]),
    ],
    update: &[
        Spelling::update("auth-method-update-oidc"),
        Spelling::older("update-auth-method-oidc", "object", &[]),
    ],
    shared: true,
    federated: true,
    delimited: true,
};

static FIELDS: Group = Group {
    title: "OIDC",
    fields: &[
        UNIQUE_IDENTIFIER.required().spec(),
        ISSUER.spec(),
        CLIENT_ID.spec(),
        CLIENT_SECRET.spec(),
        AUDIENCE.spec(),
        REQUIRED_SCOPES.spec(),
        REQUIRED_SCOPES_PREFIX.spec(),
        ALLOWED_REDIRECT_URI.spec(),
        fields::SCIM_ENABLED.spec(),
        fields::SCIM_ENDPOINT.spec(),
        fields::SCIM_GATEWAY_URL.spec(),
        fields::SCIM_BEARER_ACCESS_ID.spec(),
        GATEWAY_URL.spec(),
    ],
};

/// What a login brings.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
enum Evidence {
    /// An ID token that was got elsewhere.
    Token(String),
    /// A code that a browser brought.
    Code(Code),
}

/// A code and what makes it good.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Code {
    code: String,
    /// Whom the redirect named (RFC 9207).
    issuer: Option<String>,
    callback: String,
    nonce: String,
    verifier: String,
}

/// The member.
pub(super) struct Oidc;

impl Method for Oidc {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn fields(&self) -> &'static Group {
        &FIELDS
    }

    fn settings(&self, given: &Args, _: Wanted, _: &dyn Desk) -> Result<Prepared, Fault> {
        fields::refuse_scim(given)?;
        Prepared::of(&Settings::of(given)?)
    }

    fn replace(&self, old: &str, new: String) -> Result<String, Fault> {
        let (old, new) = (Settings::read(old)?, Settings::checked(&new)?);
        serde_json::to_string(&new.keeping(old)).map_err(Fault::internal)
    }

    fn with_secrets<'s>(
        &self,
        settings: &'s str,
        each: EachSecret<'_>,
    ) -> Result<Cow<'s, str>, Fault> {
        let mut read = Settings::checked(settings)?;
        read.client_secret = read.client_secret.map(each).transpose()?;
        serde_json::to_string(&read).map(Cow::Owned).map_err(Fault::internal)
    }

    fn check(&self, settings: &str) -> Result<(), Fault> {
        Settings::checked(settings).map(drop)
    }

    fn show(&self, settings: &str) -> Result<Rules, Fault> {
        Ok(Rules { field: "oidc_access_rules", content: Settings::read(settings)?.shown() })
    }

    fn credential(&self) -> &'static [FieldSpec] {
        const { &[JWT.spec(), USE_REMOTE_BROWSER.spec()] }
    }

    fn prove<'a>(
        &'a self,
        given: &'a Args,
        _: &'a dyn Desk,
    ) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(async { write(&Evidence::Token(given.need(&JWT)?)) })
    }

    fn browser(&self) -> Option<&'static dyn Browser> {
        Some(&OidcBrowser)
    }

    fn verify<'a>(
        &'a self,
        attempt: Attempt<'a>,
        world: &'a World,
    ) -> BoxFuture<'a, Result<Identity, Fault>> {
        Box::pin(verify(attempt, world))
    }
}

fn write(evidence: &Evidence) -> Result<String, Fault> {
    serde_json::to_string(evidence).map_err(Fault::internal)
}

async fn verify(attempt: Attempt<'_>, world: &World) -> Result<Identity, Fault> {
    let settings = Settings::read(attempt.settings)?;
    let evidence: Evidence = serde_json::from_str(attempt.evidence).map_err(refused)?;
    let claims = match evidence {
        Evidence::Token(token) => {
            keysherd_crypto::jwt::glance(&token).map_err(refused)?;
            let issuer = world.issuer(&settings.issuer).await?;
            let audience = settings.audience.as_deref();
            let audiences: Vec<&str> = audience.into_iter().chain([&*settings.client_id]).collect();
            checked(world, &attempt, &issuer, &token, &audiences).await?
        }
        Evidence::Code(code) => {
            let issuer = world.issuer(&settings.issuer).await?;
            let token = code::exchange(&settings, &issuer, &code, world).await?;
            let claims = checked(world, &attempt, &issuer, &token, &[&settings.client_id]).await?;
            if claims.get("nonce").and_then(|nonce| nonce.as_str()) != Some(&code.nonce) {
                return Err(refused("the nonce is not the one the browser left with"));
            }
            let until = attempt.now.plus_seconds(code::NONCE_SECONDS);
            let what = [b"oidc\0", attempt.access_id.as_str().as_bytes(), code.nonce.as_bytes()];
            world.use_up(&what.concat(), attempt.now, until)?;
            claims
        }
    };
    // A token with several audiences, or for somebody else's use, names its party.
    let party = claims.get("azp").map(|party| party.as_str() == Some(&settings.client_id));
    let several = claims.get("aud").and_then(|aud| aud.as_array()).is_some_and(|aud| aud.len() > 1);
    if party == Some(false) || (several && party.is_none()) {
        return Err(refused("the authorized party is another client"));
    }
    identity(&claims, &settings.unique_identifier, attempt.delimiters)
}

async fn checked(
    world: &World,
    attempt: &Attempt<'_>,
    issuer: &IssuerDocument,
    token: &str,
    audiences: &[&str],
) -> Result<JwtClaims, Fault> {
    let expected = Expected {
        issuers: &[&issuer.issuer],
        audiences,
        now: attempt.now,
        skew_seconds: SKEW_SECONDS,
    };
    world.verify_jwt(token, &issuer.jwks_uri, &expected).await
}
