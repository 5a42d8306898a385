//! Google Cloud: service accounts and virtual machines with an ID token of Google's.
//!
//! Google signs for everybody in the world with the same keys, and whoever asks for a token
//! chooses its audience. A method therefore names service accounts or projects.

use keysherd_base::Fault;
use keysherd_crypto::jwt::{Expected, JwtClaims};
use keysherd_wire::{Args, Field, FieldSpec, Group, List, Text};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::fields::{CLOUD_ID, OPTIONAL_UNIQUE_IDENTIFIER};
use crate::stored::{offered, stored};
use crate::tokens::{SKEW_SECONDS, identity, refused, token_of};
use crate::{
    Attempt, BoxFuture, Desk, Identity, Kind, Method, Prepared, Rules, Spelling, Wanted, World,
};

#[cfg(test)]
mod tests;

const IAM: &str = "iam";
const GCE: &str = "gce";
/// Both spellings that Google uses in tokens.
const ISSUERS: &[&str] = &["https://accounts.google.com", "accounts.google.com"];
/// Where tokens say which machine they were made on, one level above the claim's own name.
const MACHINE: [&str; 2] = ["google", "compute_engine"];

const TYPE: Field<Text> =
    Field::text("type", "Whose tokens: iam, of service accounts; gce, of virtual machines.")
        .choices(&[IAM, GCE]);
const AUDIENCE: Field<Text> =
    Field::text("audience", "The audience that tokens must name.").default("akeyless.io");
const BOUND_SERVICE_ACCOUNTS: Field<List> = Field::list(
    "bound-service-accounts",
    "E-mail addresses or ids of service accounts; these or bound-projects are needed.",
);
const BOUND_PROJECTS: Field<List> = Field::list(
    "bound-projects",
    "Projects of the service accounts (iam) or of the machines (gce).",
);
const BOUND_ZONES: Field<List> =
    Field::list("bound-zones", "Zones of the machines, for gce; none: any.");
const BOUND_REGIONS: Field<List> =
    Field::list("bound-regions", "Regions of the machines, for gce; none: any.");
const BOUND_LABELS: Field<List> =
    Field::list("bound-labels", "Refused: Google's tokens do not say labels.");
const SERVICE_ACCOUNT_CREDS_DATA: Field<Text> =
    Field::text("service-account-creds-data", "Nothing is asked of Google but its public keys.")
        .secret()
        .inert();
const GCP_AUDIENCE: Field<Text> =
    Field::text("gcp-audience", "The token says which audience it has.").inert();

static KIND: Kind = Kind {
    name: "gcp",
    access_types: &["gcp"],
    bearers: "service accounts and machines of Google Cloud",
    create: &[
        Spelling::create("auth-method-create-gcp"),
        Spelling::older("create-auth-method-gcp", "CreateAuthMethodGCPOutput", &["access_id"]),
    ],
    update: &[
        Spelling::update("auth-method-update-gcp"),
        Spelling::older("update-auth-method-gcp", "object", &[]),
    ],
    shared: true,
    federated: false,
    delimited: false,
};

static FIELDS: Group = Group {
    title: "Google Cloud",
    fields: &[
        TYPE.required().spec(),
        AUDIENCE.spec(),
        OPTIONAL_UNIQUE_IDENTIFIER.spec(),
        BOUND_SERVICE_ACCOUNTS.spec(),
        BOUND_PROJECTS.spec(),
        BOUND_ZONES.spec(),
        BOUND_REGIONS.spec(),
        BOUND_LABELS.spec(),
        SERVICE_ACCOUNT_CREDS_DATA.spec(),
    ],
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    machines: bool,
    audience: String,
    unique_identifier: Option<String>,
    service_accounts: Vec<String>,
    projects: Vec<String>,
    zones: Vec<String>,
    regions: Vec<String>,
}

/// The member.
pub(super) struct Gcp;

impl Method for Gcp {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn fields(&self) -> &'static Group {
        &FIELDS
    }

    fn settings(&self, given: &Args, _: Wanted, _: &dyn Desk) -> Result<Prepared, Fault> {
        let list = |field: &Field<List>| Ok::<_, Fault>(given.get(field)?.unwrap_or_default());
        if !list(&BOUND_LABELS)?.is_empty() {
            return Err(Fault::bad_request(
                "bound-labels cannot be held: Google's tokens do not say a machine's labels; bind \
                 projects, zones or service accounts instead",
            ));
        }
        let audience = given.get(&AUDIENCE)?;
        Prepared::of(&Settings {
            machines: given.need(&TYPE)?.eq_ignore_ascii_case(GCE),
            audience: audience.unwrap_or_else(|| "akeyless.io".to_owned()),
            unique_identifier: given.get(&OPTIONAL_UNIQUE_IDENTIFIER)?,
            service_accounts: list(&BOUND_SERVICE_ACCOUNTS)?,
            projects: list(&BOUND_PROJECTS)?,
            zones: list(&BOUND_ZONES)?,
            regions: list(&BOUND_REGIONS)?,
        })
    }

    fn check(&self, settings: &str) -> Result<(), Fault> {
        let settings: Settings = offered(settings)?;
        if settings.service_accounts.is_empty() && settings.projects.is_empty() {
            return Err(Fault::bad_request(
                "give bound-service-accounts or bound-projects: without them every service account \
                 of every Google customer could sign in",
            ));
        }
        if !(settings.machines || settings.zones.is_empty() && settings.regions.is_empty()) {
            return Err(Fault::bad_request(
                "bound-zones and bound-regions are for type gce: other tokens name no place",
            ));
        }
        Ok(())
    }

    fn show(&self, settings: &str) -> Result<Rules, Fault> {
        let settings: Settings = stored(settings)?;
        let mut content = json!({
            "type": if settings.machines { GCE } else { IAM },
            "audience": settings.audience,
            "bound_service_accounts": settings.service_accounts,
            "bound_projects": settings.projects,
            "bound_zones": settings.zones,
            "bound_regions": settings.regions,
        });
        if let Some(claim) = settings.unique_identifier {
            content["unique_identifier"] = claim.into();
        }
        Ok(Rules { field: "gcp_access_rules", content })
    }

    fn credential(&self) -> &'static [FieldSpec] {
        const { &[CLOUD_ID.spec(), GCP_AUDIENCE.spec()] }
    }

    fn prove<'a>(
        &'a self,
        given: &'a Args,
        _: &'a dyn Desk,
    ) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(async { token_of(&given.need(&CLOUD_ID)?) })
    }

    fn verify<'a>(
        &'a self,
        attempt: Attempt<'a>,
        world: &'a World,
    ) -> BoxFuture<'a, Result<Identity, Fault>> {
        Box::pin(verify(attempt, world))
    }
}

async fn verify(attempt: Attempt<'_>, world: &World) -> Result<Identity, Fault> {
    let settings: Settings = stored(attempt.settings)?;
    let expected = Expected {
        issuers: ISSUERS,
        audiences: &[&settings.audience],
        now: attempt.now,
        skew_seconds: SKEW_SECONDS,
    };
    let keys_uri = world.web().google_keys_uri();
    let mut claims = world.verify_jwt(attempt.evidence, keys_uri, &expected).await?;
    settings.check_bounds(&claims)?;
    let machine = machine(&claims).cloned().unwrap_or_default();
    // Roles ask for `google.compute_engine.zone` and the like; what lies two objects deep would be
    // left out otherwise.
    for (name, value) in machine {
        claims.insert(format!("{}.{}.{name}", MACHINE[0], MACHINE[1]), value);
    }
    let claim = settings.unique_identifier.as_deref().unwrap_or("sub");
    identity(&claims, claim, attempt.delimiters)
}

fn machine(claims: &JwtClaims) -> Option<&Map<String, Value>> {
    claims.get(MACHINE[0])?.get(MACHINE[1])?.as_object()
}

impl Settings {
    fn check_bounds(&self, claims: &JwtClaims) -> Result<(), Fault> {
        let machine = machine(claims);
        if self.machines && machine.is_none() {
            return Err(refused("the token names no machine; ask for it with format=full"));
        }
        let of_machine = |name: &str| machine?.get(name)?.as_str();
        let verified = claims.get("email_verified") == Some(&Value::Bool(true));
        let email = claims.get("email").and_then(Value::as_str).filter(|_| verified);
        let subject = claims.get("sub").and_then(Value::as_str);
        if !admits(&self.service_accounts, &[email, subject]) {
            return Err(refused("the service account is not in bound-service-accounts"));
        }
        let project = if self.machines {
            of_machine("project_id")
        } else {
            email.and_then(project_of_account)
        };
        if !admits(&self.projects, &[project]) {
            return Err(refused("the project is not in bound-projects"));
        }
        let zone = of_machine("zone");
        // europe-west1-b lies in europe-west1.
        let region = zone.and_then(|zone| Some(zone.rsplit_once('-')?.0));
        if !admits(&self.zones, &[zone]) || !admits(&self.regions, &[region]) {
            return Err(refused("the machine's zone is not within the bounds"));
        }
        Ok(())
    }
}

fn admits(bound: &[String], given: &[Option<&str>]) -> bool {
    bound.is_empty() || given.iter().flatten().any(|given| bound.iter().any(|it| it == given))
}

/// The project in the address of a service account that a project made.
fn project_of_account(email: &str) -> Option<&str> {
    let (_, domain) = email.split_once('@')?;
    domain.strip_suffix(".iam.gserviceaccount.com").filter(|project| !project.contains('@'))
}
