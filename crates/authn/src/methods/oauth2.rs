//! OAuth2/JWT: bearers of a JSON Web Token that an issuer signed whose keys the settings name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::Fault;
use keysherd_crypto::jwt::{self, Expected, JwtKeys};
use keysherd_wire::{Args, Field, FieldSpec, Group, List, Text};
use serde::{Deserialize, Serialize};

use crate::fields::{GATEWAY_URL, JWT, UNIQUE_IDENTIFIER};
use crate::{
    Attempt, BoxFuture, Desk, Identity, Kind, Method, Prepared, Rules, Spelling, Wanted, World,
    claims_of,
};

const ISSUER: Field<Text> = Field::text("issuer", "The issuer that tokens must name.");
const AUDIENCE: Field<Text> = Field::text("audience", "The audience that tokens must name.");
const BOUND_CLIENT_IDS: Field<List> =
    Field::list("bound-client-ids", "Client ids whose tokens are accepted; none: any.");
const JWKS_JSON_DATA: Field<Text> =
    Field::text("jwks-json-data", "The issuer's keys: a JSON Web Key Set in base64.");

/// Clock skew of issuers, in seconds.
const SKEW_SECONDS: i64 = 60;

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
    delimited: true,
};

static FIELDS: Group = Group {
    title: "OAuth2/JWT",
    fields: &[
        UNIQUE_IDENTIFIER.required().spec(),
        ISSUER.spec(),
        AUDIENCE.spec(),
        BOUND_CLIENT_IDS.spec(),
        JWKS_JSON_DATA.spec(),
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
    key_set: String,
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
        let bad = || {
            Fault::bad_request(
                "invalid value of 'jwks-json-data': it must be a JSON Web Key Set in base64",
            )
        };
        let key_set = STANDARD.decode(given.need(&JWKS_JSON_DATA)?).map_err(|_| bad())?;
        Prepared::of(&Settings {
            unique_identifier: given.need(&UNIQUE_IDENTIFIER)?,
            issuer: given.get(&ISSUER)?,
            audience: given.get(&AUDIENCE)?,
            bound_client_ids: given.get(&BOUND_CLIENT_IDS)?.unwrap_or_default(),
            key_set: String::from_utf8(key_set).map_err(|_| bad())?,
        })
    }

    fn check(&self, settings: &str) -> Result<(), Fault> {
        let settings =
            read(settings).map_err(|_| Fault::bad_request("the settings are no JSON"))?;
        if settings.unique_identifier.is_empty() {
            return Err(Fault::bad_request("unique-identifier is empty; name a claim"));
        }
        keys(&settings).map(drop)
    }

    fn show(&self, settings: &str) -> Result<Rules, Fault> {
        let settings = read(settings)?;
        Ok(Rules {
            field: "oauth2_access_rules",
            content: serde_json::json!({
                "unique_identifier": settings.unique_identifier,
                "issuer": settings.issuer.unwrap_or_default(),
                "audience": settings.audience.unwrap_or_default(),
                "bound_clients_id": settings.bound_client_ids,
                "jwks_json_data": STANDARD.encode(settings.key_set),
            }),
        })
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
        _: &'a World,
    ) -> BoxFuture<'a, Result<Identity, Fault>> {
        Box::pin(async move { verify(&attempt) })
    }
}

fn read(settings: &str) -> Result<Settings, Fault> {
    serde_json::from_str(settings).map_err(Fault::internal)
}

fn keys(settings: &Settings) -> Result<JwtKeys, Fault> {
    JwtKeys::from_key_set(&settings.key_set).map_err(|_| {
        Fault::bad_request(
            "jwks-json-data has no signing key that can be used; give a JSON Web Key Set with RSA \
             keys of 2048 bits or more, P-256, P-384 or Ed25519 keys",
        )
    })
}

fn verify(attempt: &Attempt<'_>) -> Result<Identity, Fault> {
    let settings = read(attempt.settings)?;
    let refuse = |why: &str| {
        Fault::unauthorized("authentication failed; get a fresh token from the issuer")
            .with_private(why)
    };
    let issuers: Vec<&str> = settings.issuer.as_deref().into_iter().collect();
    let audiences: Vec<&str> = settings.audience.as_deref().into_iter().collect();
    let expected = Expected {
        issuers: &issuers,
        audiences: &audiences,
        now: attempt.now,
        skew_seconds: SKEW_SECONDS,
    };
    let claims = jwt::verify(attempt.evidence, &keys(&settings)?, &expected)
        .map_err(|refused| refuse(&refused.to_string()))?;
    let clients = &settings.bound_client_ids;
    let client = ["azp", "client_id", "cid"].iter().find_map(|name| claims.get(*name)?.as_str());
    if !clients.is_empty() && !client.is_some_and(|id| clients.iter().any(|bound| bound == id)) {
        return Err(refuse("the client id is not among bound-client-ids"));
    }
    let claims = claims_of(&claims, attempt.delimiters)?;
    let unique_id = claims.values(&settings.unique_identifier).first().cloned();
    let unique_id = unique_id.ok_or_else(|| refuse("the claim of unique-identifier is missing"))?;
    Ok(Identity { unique_id, claims, ends: None })
}
