//! LDAP: people of a directory, whose password the gateway checks by binding as them.
//!
//! The password never leaves the gateway. What control gets is an assertion of name and groups,
//! signed with the method's key; see [`crate::assertion`].

use keysherd_base::{AccessId, Fault, Secret};
use keysherd_domain::claims::SubClaims;
use keysherd_wire::{Args, Field, FieldSpec, Group, Text};
use serde::{Deserialize, Serialize};

use crate::directory::{self, Claimant, Person};
use crate::fields::{ACCESS_ID, GATEWAY_URL};
use crate::method_key::{self, GEN_KEY, MethodKey};
use crate::stored::{offered, stored};
use crate::{
    Attempt, BoxFuture, Desk, Entrant, Identity, Kind, Method, Prepared, Rules, Spelling, Wanted,
    World, assertion, folded,
};

mod config;

pub use config::LdapConfig;

const PUBLIC_KEY_DATA: Field<Text> = Field::text(
    "public-key-data",
    "An RSA public key in PEM or its base64, when the pair was made elsewhere.",
);
const UNIQUE_IDENTIFIER: Field<Text> =
    Field::text("unique-identifier", "The claim that tells people apart: users or dn.")
        .default("users");
const USERNAME: Field<Text> = Field::text("username", "Name in the directory, for ldap.");
const LDAP_PASSWORD: Field<Text> =
    Field::text("ldap-password", "Password in the directory, for ldap.").secret();

/// Under which the gateway's configuration is kept. There is one for each account: it has no name.
pub const LDAP_CONFIG: &str = "ldap";
/// The claim with the name.
const USERS: &str = "users";
/// Longest name, in bytes.
const USERNAME_BYTES_MAX: usize = 256;
/// Longest password, in bytes.
const PASSWORD_BYTES_MAX: usize = 1_024;

static KIND: Kind = Kind {
    name: "ldap",
    access_types: &["ldap"],
    bearers: "people of an LDAP directory",
    create: &[
        Spelling::create("auth-method-create-ldap"),
        Spelling::older(
            "create-auth-method-ldap",
            "CreateAuthMethodLDAPOutput",
            &["access_id", "prv_key"],
        ),
    ],
    update: &[
        Spelling::update("auth-method-update-ldap"),
        Spelling::older("update-auth-method-ldap", "UpdateAuthMethodLDAPOutput", &["prv_key"]),
    ],
    shared: true,
    federated: true,
    delimited: false,
};

static FIELDS: Group = Group {
    title: "LDAP",
    fields: &[UNIQUE_IDENTIFIER.spec(), GEN_KEY.spec(), PUBLIC_KEY_DATA.spec()],
};

static CREDENTIAL: [FieldSpec; 3] = [USERNAME.spec(), LDAP_PASSWORD.spec(), GATEWAY_URL.spec()];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    unique_identifier: String,
    key: MethodKey,
}

/// The member.
pub(super) struct Ldap;

impl Method for Ldap {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn fields(&self) -> &'static Group {
        &FIELDS
    }

    fn settings(&self, given: &Args, wanted: Wanted, _: &dyn Desk) -> Result<Prepared, Fault> {
        let unique_identifier = given.get(&UNIQUE_IDENTIFIER)?.unwrap_or_else(|| USERS.to_owned());
        let (key, private_key) = method_key::read(given, &PUBLIC_KEY_DATA, wanted)?;
        let settings = Settings { unique_identifier, key };
        Ok(Prepared { private_key, ..Prepared::of(&settings)? })
    }

    fn replace(&self, old: &str, new: String) -> Result<String, Fault> {
        let mut settings: Settings = offered(&new)?;
        settings.key = settings.key.replacing(stored::<Settings>(old)?.key);
        Ok(Prepared::of(&settings)?.settings)
    }

    fn check(&self, settings: &str) -> Result<(), Fault> {
        let settings: Settings = offered(settings)?;
        if settings.unique_identifier.is_empty() {
            return Err(Fault::bad_request("unique-identifier is empty; name a claim"));
        }
        method_key::check(&settings.key, PUBLIC_KEY_DATA.name())
    }

    fn show(&self, settings: &str) -> Result<Rules, Fault> {
        let settings: Settings = stored(settings)?;
        let (key, gen_key_pair) = settings.key.shown();
        Ok(Rules {
            field: "ldap_access_rules",
            content: serde_json::json!({
                "alg": "RS256",
                "gen_key_pair": gen_key_pair,
                "key": key,
                "unique_identifier": settings.unique_identifier,
            }),
        })
    }

    fn credential(&self) -> &'static [FieldSpec] {
        &CREDENTIAL
    }

    fn prove<'a>(
        &'a self,
        given: &'a Args,
        desk: &'a dyn Desk,
    ) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(prove(given, desk))
    }

    fn verify<'a>(
        &'a self,
        attempt: Attempt<'a>,
        world: &'a World,
    ) -> BoxFuture<'a, Result<Identity, Fault>> {
        Box::pin(async move {
            let settings: Settings = stored(attempt.settings)?;
            let asserted = assertion::verify(&KIND, settings.key.pem()?, &attempt, world)?;
            check_admitted(&attempt, &asserted.claims)?;
            let named = asserted.claims.values(&settings.unique_identifier).first().cloned();
            let unique_id = named.ok_or_else(|| {
                Fault::unauthorized("authentication failed")
                    .with_private("the claim of unique-identifier is missing")
            })?;
            Ok(Identity { unique_id, ..asserted })
        })
    }
}

async fn prove(given: &Args, desk: &dyn Desk) -> Result<String, Fault> {
    let refuse = |why: &str| Fault::unauthorized("authentication failed").with_private(why);
    let access_id = AccessId::parse(&given.need(&ACCESS_ID)?)
        .map_err(|_| refuse("the access id is malformed"))?;
    let username = given.need(&USERNAME)?;
    let username = username.trim();
    let password = Secret::new(given.need(&LDAP_PASSWORD)?);
    let fits = !username.is_empty()
        && username.len() <= USERNAME_BYTES_MAX
        && !username.chars().any(char::is_control);
    if !fits {
        return Err(refuse("the name cannot be one"));
    }
    let outward = desk.admit(&access_id, Entrant::Person(username)).await?;
    if password.expose().is_empty() || password.expose().len() > PASSWORD_BYTES_MAX {
        return Err(refuse("the password cannot be one"));
    }
    let config = desk.config(LDAP_CONFIG, "", &access_id)?;
    let config = config.as_ref().map(LdapConfig::from_json).transpose()?;
    let config = config.filter(|config| config.enabled).ok_or_else(|| {
        refuse(
            "this gateway has no directory for the access id; see gateway-update-ldap-auth-config",
        )
    })?;
    let claimant = Claimant { access_id: &access_id, name: username, password: &password };
    let turn = outward.turn(desk.account(LDAP_CONFIG, &access_id)).await?;
    let person = directory::login(&config.directory, &claimant, desk, outward).await?;
    drop(turn);
    let key = Secret::new(config.signing_key.clone());
    assertion::sign(&KIND, &access_id, identity(person), &key, u32::MAX, desk)
}

/// Demands that the person who comes in is the one whose wrong logins were looked at.
fn check_admitted(attempt: &Attempt<'_>, claims: &SubClaims) -> Result<(), Fault> {
    let came = claims.values(USERS).first().map(|name| folded(name));
    match attempt.admitted {
        Some(Entrant::Person(name)) if came == Some(folded(name)) => Ok(()),
        _ => Err(Fault::unauthorized("authentication failed")
            .with_private("the gateway asked whether another name may be tried")),
    }
}

fn identity(person: Person) -> Identity {
    let mut claims = SubClaims::default();
    let unique_id = person.name.clone();
    claims.set(USERS, person.name.clone());
    person.claim(&mut claims);
    Identity { unique_id, claims, ends: None }
}
