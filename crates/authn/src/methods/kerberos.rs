//! Kerberos: people and services of a realm, whose tickets for the gateway's own service the
//! gateway opens with its keytab.
//!
//! The keytab never leaves the gateway. What control gets is an assertion of principal and groups,
//! signed with the key that this gateway has for the method; see [`crate::assertion`]. Several
//! gateways have a key each, so none of them has to hand its key to another.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{AccessId, AccountId, Fault, SecretString};
use keysherd_crypto::kerberos::{self, Accepted, SKEW_SECONDS, TOKEN_BYTES_MAX};
use keysherd_domain::claims::SubClaims;
use keysherd_wire::{Args, Field, FieldSpec, Flag, Group, Text};
use serde::{Deserialize, Serialize};

use crate::assertion::{self, Proof};
use crate::fields::{ACCESS_ID, GATEWAY_URL};
use crate::method_key::{self, MethodKey};
use crate::stored::{offered, stored};
use crate::{
    Attempt, BoxFuture, Desk, Entrant, Identity, Kind, Method, Outward, Prepared, Rules, Spelling,
    Wanted, World, directory,
};

mod config;
mod krb5_conf;
#[cfg(test)]
mod tests;

use config::KerberosConfig;
pub use config::KerberosShown;

const UNIQUE_IDENTIFIER: Field<Text> = Field::text(
    "unique-identifier",
    "The claim that tells bearers apart: principal, username or dn.",
)
.default("principal");
const ONLY_THIS_GATEWAY: Field<Flag> = Field::flag(
    "only-this-gateway",
    "Take back the keys of all other gateways of the method; each then needs this command again.",
);
const KERBEROS_TOKEN: Field<Text> = Field::text(
    "kerberos-token",
    "A token for this gateway's service in base64 (SPNEGO, or Kerberos itself), for kerberos.",
)
.secret();
const GATEWAY_SPN: Field<Text> = Field::text(
    "gateway-spn",
    "The service that the token must be for, such as HTTP/gw.example, for kerberos.",
);
const DISABLE_PAFXFAST: Field<Text> =
    Field::text("disable-pafxfast", "The token was made by the client.").inert();
const KERBEROS_USERNAME: Field<Text> = Field::text("kerberos-username", FETCHING);
const KEYTAB_DATA: Field<Text> = Field::text("keytab-data", FETCHING).secret();
const KRB5_CONF_DATA: Field<Text> = Field::text("krb5-conf-data", FETCHING);
const FETCHING: &str = "Refused: the client gets its own ticket and gives kerberos-token.";

/// Under which the gateway's configurations are kept, by access id.
pub const KERBEROS_CONFIG: &str = "kerberos";
const PRINCIPAL: &str = "principal";
const GROUPS: &str = "groups";
/// Most gateways of one method: each login tries their keys.
const GATEWAYS_MAX: usize = 16;

static KIND: Kind = Kind {
    name: "kerberos",
    access_types: &["kerberos"],
    bearers: "people and services of a Kerberos realm",
    create: &[Spelling::create("auth-method-create-kerberos")],
    // V2 answers an update of this kind with the model of a create.
    update: &[Spelling {
        reply: "AuthMethodCreateOutput",
        ..Spelling::update("auth-method-update-kerberos")
    }],
    shared: true,
    federated: true,
    delimited: true,
};

static FIELDS: Group = Group { title: "Kerberos", fields: &config::FIELDS };

static CREDENTIAL: [FieldSpec; 7] = [
    KERBEROS_TOKEN.spec(),
    GATEWAY_SPN.spec(),
    KERBEROS_USERNAME.spec(),
    KEYTAB_DATA.spec(),
    KRB5_CONF_DATA.spec(),
    DISABLE_PAFXFAST.spec(),
    GATEWAY_URL.spec(),
];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    unique_identifier: String,
    /// The public halves in PEM, of each gateway one, the newest last.
    keys: Vec<String>,
    /// Only on its way to control: no other key stays.
    alone: bool,
}

/// The member.
pub(super) struct Kerberos;

impl Method for Kerberos {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn fields(&self) -> &'static Group {
        &FIELDS
    }

    fn keeps(&self) -> Option<&'static str> {
        Some(KERBEROS_CONFIG)
    }

    fn settings(&self, given: &Args, wanted: Wanted, desk: &dyn Desk) -> Result<Prepared, Fault> {
        let old = match &wanted {
            Wanted::Changed(Some(id)) => desk.config(KERBEROS_CONFIG, id.as_str(), id)?,
            _ => None,
        };
        let old = old.as_ref().map(KerberosConfig::from_json).transpose()?;
        let config = KerberosConfig::read(given, old.as_ref())?;
        let named = given.get(&UNIQUE_IDENTIFIER)?;
        let settings = Settings {
            unique_identifier: named.unwrap_or_else(|| PRINCIPAL.to_owned()),
            keys: vec![config.public_key.clone()],
            alone: given.get_or(&ONLY_THIS_GATEWAY, false)?,
        };
        Ok(Prepared { kept: Some(config.to_json()?), ..Prepared::of(&settings)? })
    }

    fn replace(&self, old: &str, new: String) -> Result<String, Fault> {
        let mut settings: Settings = offered(&new)?;
        if !settings.alone {
            let mut keys = stored::<Settings>(old)?.keys;
            let new = settings.keys.iter().filter(|key| !keys.contains(key)).cloned();
            let new: Vec<_> = new.collect();
            keys.extend(new);
            settings.keys = keys;
        }
        settings.alone = false;
        Ok(Prepared::of(&settings)?.settings)
    }

    fn check(&self, settings: &str) -> Result<(), Fault> {
        let settings: Settings = offered(settings)?;
        if settings.unique_identifier.is_empty() || settings.keys.is_empty() {
            return Err(Fault::bad_request("the settings name no key, or no claim"));
        }
        if settings.keys.len() > GATEWAYS_MAX {
            return Err(Fault::bad_request(format!(
                "the auth method has the keys of {GATEWAYS_MAX} gateways, which is the most; \
                 only-this-gateway takes those of all others back"
            )));
        }
        settings.keys.iter().try_for_each(|key| {
            let key = MethodKey { public: Some(key.clone()), generated: true };
            method_key::check(&key, "sign_public_key")
        })
    }

    fn show(&self, settings: &str) -> Result<Rules, Fault> {
        let settings: Settings = stored(settings)?;
        Ok(Rules {
            field: "kerberos_access_rules",
            content: serde_json::json!({
                "sign_public_key": STANDARD.encode(settings.keys.concat()),
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
            let keys: Vec<_> = settings.keys.iter().map(String::as_str).collect();
            let mut identity = assertion::verify_any(&KIND, &keys, &attempt, world)?;
            let [unique_id] = identity.claims.values(&settings.unique_identifier) else {
                return Err(refused("the claim of unique-identifier is not one text"));
            };
            identity.unique_id = unique_id.clone();
            if let Some(groups) = identity.claims.0.get_mut(GROUPS) {
                *groups = split(groups, attempt.delimiters);
            }
            Ok(identity)
        })
    }
}

/// Groups cut at the method's delimiters. Not at commas, which distinguished names are full of;
/// and names of bearers are never cut, as whoever may choose theirs could hide another in it.
fn split(groups: &[String], delimiters: &[String]) -> Vec<String> {
    let cuts = |c: char| delimiters.iter().any(|text| text.contains(c));
    let parts = groups.iter().flat_map(|group| group.split(cuts)).map(str::trim);
    let mut parts: Vec<_> = parts.filter(|part| !part.is_empty()).map(str::to_owned).collect();
    parts.sort();
    parts.dedup();
    parts
}

async fn prove(given: &Args, desk: &dyn Desk) -> Result<String, Fault> {
    let token = token(given)?;
    let access_id = AccessId::parse(&given.need(&ACCESS_ID)?)
        .map_err(|_| refused("the access id is malformed"))?;
    let outward = desk.admit(&access_id, Entrant::Machine).await?;
    let config =
        desk.config(KERBEROS_CONFIG, access_id.as_str(), &access_id)?.ok_or_else(|| {
            refused(
                "this gateway has no keytab for the access id; auth-method-update-kerberos with \
             keytab-file-data gives it one",
            )
        })?;
    let config = KerberosConfig::from_json(&config)?;
    let accepted = kerberos::accept(&token, &config.keytab()?, desk.clock().now())
        .map_err(|why| refused(&format!("the Kerberos token was refused: {why}")))?;
    check_service(&config, &accepted, given.get(&GATEWAY_SPN)?.as_deref())?;
    let proof = Proof {
        mark: STANDARD.encode(accepted.once),
        made: accepted.made,
        until: accepted.made.plus_seconds(SKEW_SECONDS),
    };
    let account = desk.account(KERBEROS_CONFIG, &access_id);
    let identity = identity(&config, accepted, account, outward).await?;
    let key = config.signing_key();
    assertion::sign_proof(&KIND, &access_id, identity, Some(proof), &key, u32::MAX, desk)
}

/// The token that is presented.
///
/// # Errors
/// [`Fault::bad_request`] when there is none, or something that stands for fetching one: whoever
/// hands a keytab or a password out to have a ticket fetched has given it away.
fn token(given: &Args) -> Result<Vec<u8>, Fault> {
    for field in [KEYTAB_DATA, KRB5_CONF_DATA, KERBEROS_USERNAME] {
        if given.get(&field)?.is_some() {
            return Err(Fault::bad_request(format!(
                "'{}' is not taken: no ticket is fetched here; get a token for this gateway's \
                 service where the ticket is, and give it as kerberos-token",
                field.name()
            )));
        }
    }
    let text: String = given.need(&KERBEROS_TOKEN)?.split_whitespace().collect();
    // In base64 four characters are three bytes.
    let fits = text.len() <= TOKEN_BYTES_MAX.div_ceil(3) * 4;
    let token = fits.then(|| STANDARD.decode(&text).ok()).flatten();
    token.ok_or_else(|| {
        Fault::bad_request(format!(
            "invalid value of 'kerberos-token': it must be the token in base64, of at most \
             {TOKEN_BYTES_MAX} bytes"
        ))
    })
}

fn check_service(
    config: &KerberosConfig,
    accepted: &Accepted,
    wanted: Option<&str>,
) -> Result<(), Fault> {
    if config.realm.as_ref().is_some_and(|realm| *realm != accepted.realm) {
        return Err(refused("the token is of another realm than krb5-conf-data names"));
    }
    let full = format!("{}@{}", accepted.service, accepted.realm);
    if wanted.is_some_and(|spn| spn != accepted.service && spn != full) {
        return Err(refused("the token is for another service than gateway-spn"));
    }
    Ok(())
}

/// The directory that a configuration names.
pub(crate) fn directory_of(body: &SecretString) -> Option<directory::Directory> {
    KerberosConfig::from_json(body).ok()?.directory.clone()
}

async fn identity(
    config: &KerberosConfig,
    accepted: Accepted,
    account: Option<AccountId>,
    outward: &Outward,
) -> Result<Identity, Fault> {
    let principal = format!("{}@{}", accepted.client, accepted.realm);
    let mut claims = SubClaims::default();
    if let Some(known) = &config.directory {
        let _turn = outward.turn(account).await?;
        directory::lookup(known, &accepted.client, outward).await?.claim(&mut claims);
    }
    claims.set(PRINCIPAL, principal.clone());
    claims.set("realm", accepted.realm);
    claims.set("username", accepted.client);
    Ok(Identity { unique_id: principal, claims, ends: Some(accepted.ends) })
}

/// A refusal whose reason is for the log.
fn refused(why: &str) -> Fault {
    Fault::unauthorized("authentication failed").with_private(why)
}
