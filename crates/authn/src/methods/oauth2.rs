//! OAuth2/JWT: bearers of a JSON Web Token that an issuer signed. Its keys stand in the settings,
//! or at an address, or where the issuer's own document says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Fault, Timestamp};
use keysherd_crypto::jwt::{self, BadKeys, Expected, JwtClaims, JwtKeys};
use keysherd_crypto::pki::certificate_validity;
use keysherd_wire::{Args, Field, FieldSpec, Group, List, Text};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::fields::{GATEWAY_URL, JWT, UNIQUE_IDENTIFIER};
use crate::pem::pem_text;
use crate::stored::{offered, stored};
use crate::tokens::{SKEW_SECONDS, identity, refused};
use crate::web::address;
use crate::{
    Attempt, BoxFuture, Desk, Identity, Kind, Method, Prepared, Rules, Spelling, Wanted, World,
};

#[cfg(test)]
mod tests;

const ISSUER: Field<Text> = Field::text(
    "issuer",
    "The issuer that tokens must name; its own document says where its keys are, unless one of \
     the other fields does.",
);
const AUDIENCE: Field<Text> = Field::text("audience", "The audience that tokens must name.");
const BOUND_CLIENT_IDS: Field<List> =
    Field::list("bound-client-ids", "Client ids whose tokens are accepted; none: any.");
const JWKS_URI: Field<Text> = Field::text("jwks-uri", "Address of the issuer's JSON Web Key Set.")
    .sentinel("default_jwks_url");
const JWKS_JSON_DATA: Field<Text> =
    Field::text("jwks-json-data", "The issuer's keys: a JSON Web Key Set in base64.");
const CERT: Field<Text> =
    Field::text("cert", "The issuer's certificate or public key in PEM, as cert-file-data.");
const CERT_FILE_DATA: Field<Text> = Field::text(
    "cert-file-data",
    "The issuer's certificate or public key in PEM, in base64 or as it is.",
);

static KIND: Kind = Kind {
    name: "oauth2/jwt",
    access_types: &["jwt", "oauth2"],
    bearers: "bearers of a JSON Web Token of an issuer",
    create: &[
        Spelling::create("auth-method-create-oauth2"),
        Spelling::older(
            "create-auth-method-oauth2",
            "CreateAuthMethodOAuth2Output",
            &["access_id"],
        ),
    ],
    update: &[
        Spelling::update("auth-method-update-oauth2"),
        Spelling::older("update-auth-method-oauth2", "object", &[]),
    ],
    shared: true,
    federated: false,
    delimited: true,
};

static FIELDS: Group = Group {
    title: "OAuth2/JWT",
    fields: &[
        UNIQUE_IDENTIFIER.required().spec(),
        ISSUER.spec(),
        AUDIENCE.spec(),
        BOUND_CLIENT_IDS.spec(),
        JWKS_URI.spec(),
        JWKS_JSON_DATA.spec(),
        CERT.spec(),
        CERT_FILE_DATA.spec(),
        GATEWAY_URL.spec(),
    ],
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    unique_identifier: String,
    issuer: Option<String>,
    audience: Option<String>,
    bound_client_ids: Vec<String>,
    keys: KeySource,
}

/// Where the issuer's keys come from.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KeySource {
    /// This key set, as JSON.
    KeySet(String),
    /// This certificate or public key, in PEM.
    Pem(String),
    /// The key set at this address.
    Uri(String),
    /// The key set that the issuer's document names.
    Discovery,
}

/// The member.
pub(super) struct OAuth2;

impl Method for OAuth2 {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn fields(&self) -> &'static Group {
        &FIELDS
    }

    fn settings(&self, given: &Args, _: Wanted, _: &dyn Desk) -> Result<Prepared, Fault> {
        Prepared::of(&Settings {
            unique_identifier: given.need(&UNIQUE_IDENTIFIER)?,
            issuer: given.get(&ISSUER)?,
            audience: given.get(&AUDIENCE)?,
            bound_client_ids: given.get(&BOUND_CLIENT_IDS)?.unwrap_or_default(),
            keys: KeySource::of(given)?,
        })
    }

    fn check(&self, settings: &str) -> Result<(), Fault> {
        let settings: Settings = offered(settings)?;
        if settings.unique_identifier.is_empty() {
            return Err(Fault::bad_request("unique-identifier is empty; name a claim"));
        }
        settings.keys.check(settings.issuer.as_deref())
    }

    fn show(&self, settings: &str) -> Result<Rules, Fault> {
        let settings: Settings = stored(settings)?;
        let mut content = json!({
            "unique_identifier": settings.unique_identifier,
            "bound_clients_id": settings.bound_client_ids,
        });
        let (field, keys) = match settings.keys {
            KeySource::KeySet(set) => ("jwks_json_data", Some(STANDARD.encode(set))),
            KeySource::Pem(pem) => ("certificate", Some(STANDARD.encode(pem))),
            KeySource::Uri(uri) => ("jwks_uri", Some(uri)),
            KeySource::Discovery => ("jwks_uri", None),
        };
        let optional =
            [("issuer", settings.issuer), ("audience", settings.audience), (field, keys)];
        for (name, value) in optional {
            if let Some(value) = value {
                content[name] = value.into();
            }
        }
        Ok(Rules { field: "oauth2_access_rules", content })
    }

    fn credential(&self) -> &'static [FieldSpec] {
        const { &[JWT.spec()] }
    }

    fn prove<'a>(
        &'a self,
        given: &'a Args,
        _: &'a dyn Desk,
    ) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(async { given.need(&JWT) })
    }

    fn verify<'a>(
        &'a self,
        attempt: Attempt<'a>,
        world: &'a World,
    ) -> BoxFuture<'a, Result<Identity, Fault>> {
        Box::pin(verify(attempt, world))
    }
}

impl KeySource {
    fn of(given: &Args) -> Result<Self, Fault> {
        let mut sources = Vec::new();
        if let Some(data) = given.get(&JWKS_JSON_DATA)? {
            sources.push(Self::KeySet(key_set_text(&data)?));
        }
        for field in [&CERT_FILE_DATA, &CERT] {
            if let Some(data) = given.get(field)? {
                sources.push(Self::Pem(pem_text(field.name(), &data)?));
            }
        }
        if let Some(uri) = given.get(&JWKS_URI)? {
            sources.push(Self::Uri(uri));
        }
        match (sources.pop(), sources.is_empty()) {
            (Some(source), true) => Ok(source),
            (None, _) => Ok(Self::Discovery),
            (Some(_), false) => Err(Fault::bad_request(
                "the issuer's keys come from one place: give only one of jwks-uri, \
                 jwks-json-data, cert-file-data and cert",
            )),
        }
    }

    fn check(&self, issuer: Option<&str>) -> Result<(), Fault> {
        match (self, issuer) {
            (Self::KeySet(set), _) => JwtKeys::from_key_set(set).map(drop).map_err(|_| {
                Fault::bad_request(
                    "jwks-json-data has no signing key that can be used; give a JSON Web Key Set \
                     with RSA keys of 2048 bits or more, P-256, P-384 or Ed25519 keys",
                )
            }),
            (Self::Pem(pem), _) => pem_keys(pem).map(drop).map_err(|_| {
                Fault::bad_request(
                    "cert-file-data has no key that can be used; give a certificate or public key \
                     in PEM: RSA of 2048 bits or more, P-256, P-384 or Ed25519",
                )
            }),
            (Self::Uri(uri), _) => address("jwks-uri", uri),
            (Self::Discovery, Some(issuer)) => address("issuer", issuer),
            (Self::Discovery, None) => Err(Fault::bad_request(
                "nothing says where the issuer's keys are; give jwks-uri, jwks-json-data, \
                 cert-file-data, or the issuer's address as issuer",
            )),
        }
    }
}

fn key_set_text(data: &str) -> Result<String, Fault> {
    let bytes = STANDARD.decode(data.split_whitespace().collect::<String>());
    let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| {
        Fault::bad_request("jwks-json-data is not base64 of a JSON Web Key Set; encode the file")
    })
}

fn pem_keys(pem: &str) -> Result<JwtKeys, BadKeys> {
    match certificate_validity(pem) {
        Some(_) => JwtKeys::from_certificate_pem(pem),
        None => JwtKeys::from_public_pem(pem),
    }
}

async fn verify(attempt: Attempt<'_>, world: &World) -> Result<Identity, Fault> {
    let settings: Settings = stored(attempt.settings)?;
    let issuers: Vec<&str> = settings.issuer.as_deref().into_iter().collect();
    let audiences: Vec<&str> = settings.audience.as_deref().into_iter().collect();
    let expected = Expected {
        issuers: &issuers,
        audiences: &audiences,
        now: attempt.now,
        skew_seconds: SKEW_SECONDS,
    };
    let token = attempt.evidence;
    let with = |keys: &JwtKeys| jwt::verify(token, keys, &expected).map_err(refused);
    let claims = match &settings.keys {
        KeySource::KeySet(set) => with(&JwtKeys::from_key_set(set).map_err(unreadable)?)?,
        KeySource::Pem(pem) => {
            in_its_time(pem, attempt.now)?;
            with(&pem_keys(pem).map_err(unreadable)?)?
        }
        KeySource::Uri(uri) => world.verify_jwt(token, uri, &expected).await?,
        KeySource::Discovery => {
            // What is no token makes nobody ask the issuer.
            jwt::glance(token).map_err(refused)?;
            let document = world.issuer(settings.issuer.as_deref().unwrap_or_default()).await?;
            // The exact name: the setting may have a slash at its end that the document has not.
            let issuers = [document.issuer.as_str()];
            let expected = Expected { issuers: &issuers, ..expected };
            world.verify_jwt(token, &document.jwks_uri, &expected).await?
        }
    };
    check_client(&claims, &settings.bound_client_ids)?;
    identity(&claims, &settings.unique_identifier, attempt.delimiters)
}

/// A certificate counts from its first second to its last.
fn in_its_time(pem: &str, now: Timestamp) -> Result<(), Fault> {
    match certificate_validity(pem) {
        Some((begin, end)) if now < begin || now > end => {
            Err(refused("the issuer's certificate in the settings is not valid now"))
        }
        _ => Ok(()),
    }
}

fn check_client(claims: &JwtClaims, bound: &[String]) -> Result<(), Fault> {
    let names = ["azp", "client_id", "cid", "appid"];
    let client = names.iter().find_map(|name| claims.get(*name)?.as_str());
    if bound.is_empty() || client.is_some_and(|id| bound.iter().any(|known| known == id)) {
        return Ok(());
    }
    Err(refused("the client id is not among bound-client-ids"))
}

fn unreadable(_: BadKeys) -> Fault {
    Fault::internal("the keys in the settings of an auth method were checked and cannot be read")
}
