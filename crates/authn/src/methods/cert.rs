//! Certificates: clients that show a certificate of an authority that the settings name, and sign
//! a fresh challenge with its key. The private key never comes to control: a client that gives it
//! to its gateway has the gateway sign.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{AccessId, Fault, SecretString};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::pki::{
    ClientAuthorities, ClientCert, ClientCrl, ClientKey, ClientNames, certificates_of_pem,
    serial_of_text,
};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::policy::sub_claims::fits_pattern;
use keysherd_wire::{Args, Field, FieldSpec, Flag, Group, List, Text};
use serde::{Deserialize, Serialize};

use crate::fields::{ACCESS_ID, UNIQUE_IDENTIFIER};
use crate::pem::pem_text;
use crate::stored::{offered, stored};
use crate::{
    Attempt, BoxFuture, Desk, Identity, Kind, Method, Prepared, Rules, Spelling, Wanted, World,
};

const CERTIFICATE_DATA: Field<Text> = Field::text(
    "certificate-data",
    "Certificates of the authorities that issue to clients: PEM in base64.",
);
const BOUND_COMMON_NAMES: Field<List> =
    Field::list("bound-common-names", "One must be the common name; * and ? are wildcards.");
const BOUND_DNS_SANS: Field<List> =
    Field::list("bound-dns-sans", "One must be a DNS name of the certificate; with wildcards.");
const BOUND_EMAIL_SANS: Field<List> =
    Field::list("bound-email-sans", "One must be an e-mail address of it; with wildcards.");
const BOUND_URI_SANS: Field<List> =
    Field::list("bound-uri-sans", "One must be a URI of the certificate; with wildcards.");
const BOUND_UNITS: Field<List> = Field::list(
    "bound-organizational-units",
    "One must be an organizational unit of it; with wildcards.",
);
const BOUND_EXTENSIONS: Field<List> = Field::list(
    "bound-extensions",
    "Extensions that it must all have, as OID:VALUE; VALUE with wildcards.",
);
const REVOKED_CERT_IDS: Field<List> =
    Field::list("revoked-cert-ids", "Serial numbers, in hex, that are not accepted any more.");
const REQUIRE_CRL_DP: Field<Flag> = Field::flag(
    "require-crl-dp",
    "Accept only certificates that say where their revocations are published, and look there.",
);
const ALLOWED_CORS: Field<Text> =
    Field::text("allowed-cors", "Not served: no page of another origin can use answers.");

/// The certificate of a client, with intermediate ones behind it.
pub const CERT_DATA: Field<Text> =
    Field::text("cert-data", "The client's certificate: PEM in base64, intermediate ones behind.");
const KEY_DATA: Field<Text> =
    Field::text("key-data", "Its private key: PEM in base64. It stays at the gateway.").secret();
const CERT_CHALLENGE: Field<Text> =
    Field::text("cert-challenge", "The challenge of get-cert-challenge, instead of the key.");
const SIGNED_CERT_CHALLENGE: Field<Text> =
    Field::text("signed-cert-challenge", "The signature of the challenge, in base64.");

/// Most places of one certificate where revocations are looked for.
const CRL_URLS_MAX: usize = 3;
/// Most characters of one bound value.
const BOUND_CHARS_MAX: usize = 1_024;

static KIND: Kind = Kind {
    name: "cert",
    access_types: &["cert"],
    bearers: "clients with a certificate of an authority",
    create: &[
        Spelling::create("auth-method-create-cert"),
        Spelling::older("create-auth-method-cert", "CreateAuthMethodCertOutput", &["access_id"]),
    ],
    update: &[
        Spelling::update("auth-method-update-cert"),
        Spelling::older("update-auth-method-cert", "UpdateAuthMethodCertOutput", &["access_id"]),
    ],
    shared: true,
    federated: false,
    delimited: false,
};

static FIELDS: Group = Group {
    title: "Certificate",
    fields: &[
        UNIQUE_IDENTIFIER.required().spec(),
        CERTIFICATE_DATA.spec(),
        BOUND_COMMON_NAMES.spec(),
        BOUND_DNS_SANS.spec(),
        BOUND_EMAIL_SANS.spec(),
        BOUND_URI_SANS.spec(),
        BOUND_UNITS.spec(),
        BOUND_EXTENSIONS.spec(),
        REVOKED_CERT_IDS.spec(),
        REQUIRE_CRL_DP.spec(),
        ALLOWED_CORS.spec(),
    ],
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    unique_identifier: String,
    /// PEM; empty in an update that keeps what there is.
    authorities: String,
    common_names: Vec<String>,
    dns: Vec<String>,
    emails: Vec<String>,
    uris: Vec<String>,
    units: Vec<String>,
    extensions: Vec<String>,
    revoked: Vec<String>,
    require_crl: bool,
}

/// What a client shows; all in base64, certificates in DER.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Evidence {
    certificates: Vec<String>,
    challenge: String,
    signature: String,
}

/// The member.
pub(super) struct Cert;

impl Method for Cert {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn fields(&self) -> &'static Group {
        &FIELDS
    }

    fn settings(&self, given: &Args, wanted: Wanted, _: &dyn Desk) -> Result<Prepared, Fault> {
        refuse_cors(given)?;
        let authorities = match given.get(&CERTIFICATE_DATA)? {
            Some(data) => pem_text(CERTIFICATE_DATA.name(), &data)?,
            None if wanted == Wanted::New => given.need(&CERTIFICATE_DATA)?,
            None => String::new(),
        };
        let list = |field| Ok::<_, Fault>(given.get(field)?.unwrap_or_default());
        Prepared::of(&Settings {
            unique_identifier: given.need(&UNIQUE_IDENTIFIER)?,
            authorities,
            common_names: list(&BOUND_COMMON_NAMES)?,
            dns: list(&BOUND_DNS_SANS)?,
            emails: list(&BOUND_EMAIL_SANS)?,
            uris: list(&BOUND_URI_SANS)?,
            units: list(&BOUND_UNITS)?,
            extensions: list(&BOUND_EXTENSIONS)?,
            revoked: list(&REVOKED_CERT_IDS)?,
            require_crl: given.get_or(&REQUIRE_CRL_DP, false)?,
        })
    }

    fn replace(&self, old: &str, new: String) -> Result<String, Fault> {
        let mut settings: Settings = stored(&new)?;
        if !settings.authorities.is_empty() {
            return Ok(new);
        }
        settings.authorities = stored::<Settings>(old)?.authorities;
        serde_json::to_string(&settings).map_err(Fault::internal)
    }

    fn check(&self, settings: &str) -> Result<(), Fault> {
        let settings: Settings = offered(settings)?;
        check(&settings)
    }

    fn show(&self, settings: &str) -> Result<Rules, Fault> {
        let settings: Settings = stored(settings)?;
        Ok(Rules {
            field: "cert_access_rules",
            content: serde_json::json!({
                "unique_identifier": settings.unique_identifier,
                "certificate": STANDARD.encode(settings.authorities),
                "bound_common_names": settings.common_names,
                "bound_dns_sans": settings.dns,
                "bound_email_sans": settings.emails,
                "bound_uri_sans": settings.uris,
                "bound_organizational_units": settings.units,
                "bound_extensions": settings.extensions,
                "revoked_cert_ids": settings.revoked,
                "require_crl_dp": settings.require_crl,
                "allowed_cors": [],
            }),
        })
    }

    fn credential(&self) -> &'static [FieldSpec] {
        const {
            &[
                CERT_DATA.spec(),
                KEY_DATA.spec(),
                CERT_CHALLENGE.spec(),
                SIGNED_CERT_CHALLENGE.spec(),
            ]
        }
    }

    fn prove<'a>(
        &'a self,
        given: &'a Args,
        desk: &'a dyn Desk,
    ) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(async move {
            let certificates = presented(given)?;
            let (challenge, signature) = match given.get(&CERT_CHALLENGE)? {
                Some(challenge) => (challenge, given.need(&SIGNED_CERT_CHALLENGE)?),
                None => sign(given, &certificates, desk).await?,
            };
            let evidence = Evidence {
                certificates: certificates.iter().map(|der| STANDARD.encode(der)).collect(),
                challenge,
                signature,
            };
            serde_json::to_string(&evidence).map_err(Fault::internal)
        })
    }

    fn verify<'a>(
        &'a self,
        attempt: Attempt<'a>,
        world: &'a World,
    ) -> BoxFuture<'a, Result<Identity, Fault>> {
        Box::pin(verify(attempt, world))
    }
}

/// Refuses origins: no answer says to a browser that pages of others may read it, so a list of
/// those who may would do nothing.
fn refuse_cors(given: &Args) -> Result<(), Fault> {
    let origins = given.get(&ALLOWED_CORS)?.unwrap_or_default();
    if origins.trim().is_empty() {
        return Ok(());
    }
    Err(Fault::bad_request(
        "invalid value of 'allowed-cors': pages of other origins cannot use answers of a gateway, \
         so there is nothing to allow; leave it out",
    ))
}

/// The certificates in `cert-data`, in DER, the client's own first.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn presented(given: &Args) -> Result<Vec<Vec<u8>>, Fault> {
    let pem = pem_text(CERT_DATA.name(), &given.need(&CERT_DATA)?)?;
    certificates_of_pem(&pem).ok_or_else(|| {
        Fault::bad_request(
            "invalid value of 'cert-data': it must be 1 to 10 certificates in PEM, in base64, the \
             client's own first",
        )
    })
}

/// What a challenge for this certificate is bound to.
pub fn challenge_subject(certificate: &[u8]) -> [u8; 32] {
    sha256(&[certificate])
}

/// Fetches a challenge and signs it with the key in `key-data`.
async fn sign(
    given: &Args,
    certificates: &[Vec<u8>],
    desk: &dyn Desk,
) -> Result<(String, String), Fault> {
    let Some(key) = given.secret(&KEY_DATA)? else {
        return Err(Fault::bad_request(
            "give 'key-data', or 'cert-challenge' and 'signed-cert-challenge' for a key that stays \
             where it is",
        ));
    };
    let key = SecretString::new(pem_text(KEY_DATA.name(), key.expose())?);
    let key = ClientKey::from_pem(&key).map_err(|_| {
        Fault::bad_request(
            "invalid value of 'key-data': it must be an RSA, P-256, P-384, P-521 or Ed25519 \
             private key in PEM, in base64, without a passphrase",
        )
    })?;
    let subject = challenge_subject(certificates.first().map_or(&[], Vec::as_slice));
    let access_id = AccessId::parse(&given.need(&ACCESS_ID)?)
        .map_err(|_| Fault::unauthorized("authentication failed; check the access id"))?;
    let challenge = desk.challenge(&access_id, subject).await?;
    let signature = key.sign(&challenge).map_err(Fault::internal)?;
    Ok((STANDARD.encode(challenge), STANDARD.encode(signature)))
}

/// The claims that a certificate may give, which are also what may tell bearers apart.
const CLAIMS: [&str; 7] = [
    "common_name",
    "organization",
    "organizational_unit",
    "dns_san",
    "email_san",
    "uri_san",
    "serial_number",
];

fn check(settings: &Settings) -> Result<(), Fault> {
    if !CLAIMS.contains(&settings.unique_identifier.as_str()) {
        return Err(Fault::bad_request(format!(
            "invalid value of 'unique-identifier': certificates give {}",
            CLAIMS.join(", ")
        )));
    }
    ClientAuthorities::from_pem(&settings.authorities).map_err(|refused| {
        Fault::bad_request(format!("invalid value of 'certificate-data': {refused}"))
    })?;
    for serial in &settings.revoked {
        if serial_of_text(serial).is_none() {
            return Err(Fault::bad_request(format!(
                "invalid value of 'revoked-cert-ids': '{}' is no serial number in hex",
                serial.escape_default()
            )));
        }
    }
    for bound in &settings.extensions {
        if extension_bound(bound).is_none() {
            return Err(Fault::bad_request(format!(
                "invalid value of 'bound-extensions': '{}' is not OID:VALUE",
                bound.escape_default()
            )));
        }
    }
    let bounds = bounds(settings);
    let mut bound = bounds.iter().flat_map(|(_, bound)| *bound).chain(&settings.extensions);
    if bound.any(|text| text.is_empty() || text.chars().count() > BOUND_CHARS_MAX) {
        return Err(Fault::bad_request(format!(
            "a bound value is empty or longer than {BOUND_CHARS_MAX} characters"
        )));
    }
    Ok(())
}

fn extension_bound(bound: &str) -> Option<(&str, &str)> {
    let (oid, value) = bound.split_once(':')?;
    let numbers = oid.split('.').all(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()));
    (numbers && oid.contains('.')).then_some((oid, value))
}

/// What each claim is bound to; none: to nothing.
fn bounds(settings: &Settings) -> [(&'static str, &Vec<String>); 5] {
    [
        ("common_name", &settings.common_names),
        ("dns_san", &settings.dns),
        ("email_san", &settings.emails),
        ("uri_san", &settings.uris),
        ("organizational_unit", &settings.units),
    ]
}

fn claims(names: &ClientNames) -> SubClaims {
    let serial = vec![names.serial.clone()];
    let values = [
        &names.common_names,
        &names.organizations,
        &names.organizational_units,
        &names.dns,
        &names.emails,
        &names.uris,
        &serial,
    ];
    let claims = CLAIMS.into_iter().zip(values).filter(|(_, values)| !values.is_empty());
    SubClaims(claims.map(|(name, values)| (name.to_owned(), values.clone())).collect())
}

async fn verify(attempt: Attempt<'_>, world: &World) -> Result<Identity, Fault> {
    let settings: Settings = stored(attempt.settings)?;
    let refuse = |why: String| {
        Fault::unauthorized("authentication failed; check the certificate and its key")
            .with_private(why)
    };
    let malformed = || refuse("the evidence is malformed".to_owned());
    let evidence: Evidence = serde_json::from_str(attempt.evidence).map_err(|_| malformed())?;
    let bytes = |text: &String| STANDARD.decode(text).map_err(|_| malformed());
    let certificates = evidence.certificates.iter().map(bytes).collect::<Result<Vec<_>, _>>()?;
    let (challenge, signature) = (bytes(&evidence.challenge)?, bytes(&evidence.signature)?);
    let authorities =
        ClientAuthorities::from_pem(&settings.authorities).map_err(Fault::internal)?;
    let client = authorities
        .verify(&certificates, None, attempt.now)
        .map_err(|refused| refuse(refused.to_string()))?;
    if !client.signed(&challenge, &signature) {
        return Err(refuse("its key did not sign the challenge".to_owned()));
    }
    admit(&settings, &client).map_err(refuse)?;
    if settings.require_crl {
        let urls = &client.names.crl_urls;
        let list = revocations(urls, world).await?;
        let list =
            list.ok_or_else(|| refuse("it does not say where revocations are".to_owned()))?;
        authorities
            .verify(&certificates, Some(&list), attempt.now)
            .map_err(|refused| refuse(refused.to_string()))?;
    }
    let claims = claims(&client.names);
    let unique_id =
        claims.values(&settings.unique_identifier).first().cloned().ok_or_else(|| {
            refuse("the certificate does not have what unique-identifier names".to_owned())
        })?;
    let subject = challenge_subject(certificates.first().map_or(&[], Vec::as_slice));
    world.answered(&challenge, attempt.access_id, &subject)?;
    Ok(Identity { unique_id, claims, ends: Some(client.not_after) })
}

/// The first list of revocations that is to be had at one of `urls`; `None` when there are none.
async fn revocations(urls: &[String], world: &World) -> Result<Option<Arc<ClientCrl>>, Fault> {
    let mut missing = None;
    for url in urls.iter().take(CRL_URLS_MAX) {
        match world.revocations(url).await {
            Ok(list) => return Ok(Some(list)),
            Err(fault) => missing = Some(fault),
        }
    }
    missing.map_or(Ok(None), Err)
}

/// Whether the settings admit this certificate; else why not.
fn admit(settings: &Settings, client: &ClientCert) -> Result<(), String> {
    let names = &client.names;
    let revoked = |serial: &String| serial_of_text(serial).as_ref() == Some(&names.serial);
    if settings.revoked.iter().any(revoked) {
        return Err(format!("serial number {} is revoked by the method", names.serial));
    }
    let claims = claims(names);
    for (claim, bound) in bounds(settings) {
        // Hosts and mailboxes are the same in any letter case; the names are in lower case.
        let folded = matches!(claim, "dns_san" | "email_san");
        let fits = |pattern: &String, value: &String| match folded {
            true => fits_pattern(&pattern.to_ascii_lowercase(), value),
            false => fits_pattern(pattern, value),
        };
        let values = claims.values(claim);
        let any = bound.iter().any(|pattern| values.iter().any(|value| fits(pattern, value)));
        if !bound.is_empty() && !any {
            return Err(format!("no {claim} of the certificate is among the bound ones"));
        }
    }
    for (oid, pattern) in settings.extensions.iter().filter_map(|text| extension_bound(text)) {
        let mut values = names.extensions.iter().filter(|(known, _)| known == oid);
        if !values.any(|(_, value)| fits_pattern(pattern, value)) {
            return Err(format!("extension {oid} is missing or has another value"));
        }
    }
    Ok(())
}
