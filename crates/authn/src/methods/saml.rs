//! SAML 2.0: people whom an identity provider vouches for, with a browser in between.
//!
//! Only logins that began here are accepted: a response answers one request, counts once, and
//! comes back in the browser that left.

use keysherd_base::limits::CLAIM_NAME_BYTES_MAX;
use keysherd_base::{AccessId, Fault, Timestamp};
use keysherd_wire::{Args, Field, FieldSpec, Flag, Group, List, PageMethod, PageRequest, Text};
use serde::{Deserialize, Serialize};

use crate::fields::{self, GATEWAY_URL, UNIQUE_IDENTIFIER};
use crate::saml::metadata::{self, Provider};
use crate::saml::request::{self, Asker};
use crate::saml::response::{self, Asked};
use crate::stored::{offered, stored};
use crate::tokens::identity;
use crate::web::outside_url;
use crate::{
    Attempt, BoxFuture, Browser, Callback, Departure, Desk, Identity, Kind, Method, Prepared,
    Rules, Spelling, Trip, Wanted, World,
};

const USE_REMOTE_BROWSER: Field<Flag> = Field::flag(
    "use-remote-browser",
    "Nothing more: a link for a browser, on whatever machine, is always answered.",
)
.inert();
const IDP_METADATA_URL: Field<Text> =
    Field::text("idp-metadata-url", "Where the identity provider publishes its metadata.");
const IDP_METADATA_XML: Field<Text> =
    Field::text("idp-metadata-xml-data", "The identity provider's metadata.");
const USE_DEDICATED_SAML_URLS: Field<Flag> = Field::flag(
    "use-dedicated-saml-urls",
    "The provider knows this method by an entity id of its own.",
);
const ALLOWED_REDIRECT_URI: Field<List> = Field::list(
    "allowed-redirect-uri",
    "Kept and shown; programs collect their token at the gateway, so none is led anywhere.",
);

/// Where responses are posted to, below the gateway's public URL.
const CONSUMER: &str = "saml/acs";
/// The entity id, below the gateway's public URL.
const ENTITY: &str = "saml/sp";

static KIND: Kind = Kind {
    name: "saml2",
    access_types: &["saml"],
    bearers: "people who sign in at a SAML 2.0 identity provider",
    create: &[
        Spelling::create("auth-method-create-saml"),
        Spelling::older("create-auth-method-saml", "CreateAuthMethodSAMLOutput", &["access_id"]),
    ],
    update: &[
        Spelling::update("auth-method-update-saml"),
        Spelling::older("update-auth-method-saml", "object", &[]),
    ],
    shared: true,
    federated: true,
    delimited: true,
};

static FIELDS: Group = Group {
    title: "SAML",
    fields: &[
        UNIQUE_IDENTIFIER.required().spec(),
        IDP_METADATA_URL.spec(),
        IDP_METADATA_XML.spec(),
        USE_DEDICATED_SAML_URLS.spec(),
        ALLOWED_REDIRECT_URI.spec(),
        fields::SCIM_ENABLED.spec(),
        fields::SCIM_ENDPOINT.spec(),
        fields::SCIM_GATEWAY_URL.spec(),
        fields::SCIM_BEARER_ACCESS_ID.spec(),
        GATEWAY_URL.spec(),
    ],
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    unique_identifier: String,
    metadata: Metadata,
    dedicated_urls: bool,
    allowed_redirect_uris: Vec<String>,
}

/// Where the provider is described.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
enum Metadata {
    /// At this address.
    Url(String),
    /// Here.
    Xml(String),
}

/// What a browser brought, and what it left with.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Evidence {
    response: String,
    callback: String,
    nonce: String,
}

/// The member.
pub(super) struct Saml;

impl Method for Saml {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn fields(&self) -> &'static Group {
        &FIELDS
    }

    fn settings(&self, given: &Args, _: Wanted, _: &dyn Desk) -> Result<Prepared, Fault> {
        fields::refuse_scim(given)?;
        let metadata = match (given.get(&IDP_METADATA_XML)?, given.get(&IDP_METADATA_URL)?) {
            (Some(xml), _) => Metadata::Xml(xml),
            (None, Some(url)) => Metadata::Url(url),
            (None, None) => {
                return Err(Fault::bad_request(
                    "missing required field 'idp-metadata-url' or 'idp-metadata-xml-data'",
                ));
            }
        };
        Prepared::of(&Settings {
            unique_identifier: given.need(&UNIQUE_IDENTIFIER)?,
            metadata,
            dedicated_urls: given.get_or(&USE_DEDICATED_SAML_URLS, false)?,
            allowed_redirect_uris: given.get(&ALLOWED_REDIRECT_URI)?.unwrap_or_default(),
        })
    }

    fn check(&self, settings: &str) -> Result<(), Fault> {
        let settings: Settings = offered(settings)?;
        let name = &settings.unique_identifier;
        if name.is_empty() || name.len() > CLAIM_NAME_BYTES_MAX {
            return Err(Fault::bad_request("unique-identifier must name an attribute, or NameID"));
        }
        match &settings.metadata {
            Metadata::Xml(xml) => metadata::read(xml).map(drop),
            Metadata::Url(url) => outside_url(url).map(drop).map_err(|why| {
                Fault::bad_request(format!("invalid value of 'idp-metadata-url': {why}"))
            }),
        }
    }

    fn show(&self, settings: &str) -> Result<Rules, Fault> {
        let settings: Settings = stored(settings)?;
        let (url, xml) = match settings.metadata {
            Metadata::Url(url) => (url, String::new()),
            Metadata::Xml(xml) => (String::new(), xml),
        };
        Ok(Rules {
            field: "saml_access_rules",
            content: serde_json::json!({
                "unique_identifier": settings.unique_identifier,
                "idp_metadata_url": url,
                "idp_metadata_xml": xml,
                "use_dedicated_saml_urls": settings.dedicated_urls,
                "allowed_redirect_URIs": settings.allowed_redirect_uris,
            }),
        })
    }

    fn credential(&self) -> &'static [FieldSpec] {
        const { &[USE_REMOTE_BROWSER.spec()] }
    }

    fn prove<'a>(&'a self, _: &'a Args, _: &'a dyn Desk) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(async {
            Err(Fault::unauthorized("people sign in by SAML with a browser; open the link"))
        })
    }

    fn browser(&self) -> Option<&'static dyn Browser> {
        Some(&SamlBrowser)
    }

    fn verify<'a>(
        &'a self,
        attempt: Attempt<'a>,
        world: &'a World,
    ) -> BoxFuture<'a, Result<Identity, Fault>> {
        Box::pin(verify(attempt, world))
    }
}

struct SamlBrowser;

impl Browser for SamlBrowser {
    fn callback(&self) -> &'static Callback {
        &Callback { path: CONSUMER, method: PageMethod::Post, state: "RelayState" }
    }

    fn wanted(&self, _: &Args) -> Result<bool, Fault> {
        Ok(true)
    }

    fn depart<'a>(
        &'a self,
        departure: Departure<'a>,
        world: &'a World,
    ) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(async move {
            let settings: Settings = stored(departure.settings)?;
            let provider = provider(&settings, world, departure.now).await?;
            let entity_id = entity_id(&settings, departure.callback, departure.access_id);
            let asker = Asker { entity_id: &entity_id, consumer_url: departure.callback };
            let id = request_id(departure.nonce);
            Ok(request::redirect(&provider, asker, &id, departure.state, departure.now))
        })
    }

    fn evidence(&self, brought: &PageRequest, trip: Trip<'_>) -> Result<String, Fault> {
        let response = brought.field("SAMLResponse").ok_or_else(|| {
            Fault::unauthorized("the identity provider sent no response; start again")
        })?;
        let evidence = Evidence {
            response: response.to_owned(),
            callback: trip.callback.to_owned(),
            nonce: trip.nonce.to_owned(),
        };
        serde_json::to_string(&evidence).map_err(Fault::internal)
    }
}

/// XML identifiers do not begin with a digit.
fn request_id(nonce: &str) -> String {
    format!("ks-{nonce}")
}

fn entity_id(settings: &Settings, callback: &str, access_id: &AccessId) -> String {
    let base = callback.strip_suffix(CONSUMER).unwrap_or(callback);
    if settings.dedicated_urls {
        format!("{base}{ENTITY}/{}", access_id.as_str())
    } else {
        format!("{base}{ENTITY}")
    }
}

async fn provider(settings: &Settings, world: &World, now: Timestamp) -> Result<Provider, Fault> {
    let provider = match &settings.metadata {
        Metadata::Xml(xml) => metadata::read(xml)?,
        Metadata::Url(url) => (*world.saml_provider(url).await?).clone(),
    };
    if provider.valid_until.is_some_and(|end| now >= end) {
        return Err(Fault::unavailable(
            "the identity provider's metadata has ended; give the auth method newer metadata",
        ));
    }
    Ok(provider)
}

async fn verify(attempt: Attempt<'_>, world: &World) -> Result<Identity, Fault> {
    let refused = |why: &str| Fault::unauthorized("authentication failed").with_private(why);
    let settings: Settings = stored(attempt.settings)?;
    let evidence: Evidence =
        serde_json::from_str(attempt.evidence).map_err(|_| refused("it is no SAML evidence"))?;
    let provider = provider(&settings, world, attempt.now).await?;
    let asked = Asked {
        provider: &provider,
        request_id: &request_id(&evidence.nonce),
        entity_id: &entity_id(&settings, &evidence.callback, attempt.access_id),
        consumer_url: &evidence.callback,
        now: attempt.now,
    };
    let answered = response::read(&evidence.response, &asked).map_err(|why| refused(&why))?;
    let found = identity(&answered.attributes, &settings.unique_identifier, attempt.delimiters)?;
    // The request and the assertion count once each; both are as old as the request at most.
    let once = [b"saml\0", attempt.access_id.as_str().as_bytes(), evidence.nonce.as_bytes()];
    world.use_up(&once.concat(), attempt.now, answered.until)?;
    let once =
        [b"saml assertion\0", provider.entity_id.as_bytes(), answered.assertion_id.as_bytes()];
    world.use_up(&once.concat(), attempt.now, answered.until)?;
    Ok(Identity { ends: answered.session_ends, ..found })
}
