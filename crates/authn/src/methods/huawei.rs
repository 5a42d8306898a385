//! Huawei Cloud: bearers of a token of its identity service, which is asked about the token as in
//! the identity API that Huawei shares with OpenStack (`GET /v3/auth/tokens`).
//!
//! The form is that of signed requests; what proves the identity is the token in its headers. It
//! counts as often as it is shown, until it ends, as it does everywhere else.

use keysherd_base::{Fault, Timestamp};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::policy::sub_claims::fits_pattern;
use keysherd_wire::{Args, Field, FieldSpec, Group, List, Text};
use serde::{Deserialize, Serialize};

use crate::fields::CLOUD_ID;
use crate::signed_request::{SignedRequest, Why, cloud_id_of, refused};
use crate::stored::{offered, stored};
use crate::web::outside_url;
use crate::{
    Attempt, BoxFuture, Desk, Identity, Kind, Method, Prepared, Rules, Spelling, Wanted, World,
};

#[cfg(test)]
mod tests;

const AUTH_URL: Field<Text> = Field::text(
    "auth-url",
    "The identity service that is asked; Huawei's, or one that stands in for it.",
)
.default(DEFAULT_AUTH_URL);
const BOUND_DOMAIN_ID: Field<List> =
    Field::list("bound-domain-id", "One must be the domain's id; * and ? are wildcards.");
const BOUND_DOMAIN_NAME: Field<List> =
    Field::list("bound-domain-name", "One must be the domain's name; with wildcards.");
const BOUND_TENANT_ID: Field<List> =
    Field::list("bound-tenant-id", "One must be the project's id; with wildcards.");
const BOUND_TENANT_NAME: Field<List> =
    Field::list("bound-tenant-name", "One must be the project's name; with wildcards.");
const BOUND_USER_ID: Field<List> =
    Field::list("bound-user-id", "One must be the user's id; with wildcards.");
const BOUND_USER_NAME: Field<List> =
    Field::list("bound-user-name", "One must be the user's name; with wildcards.");

const DEFAULT_AUTH_URL: &str = "https://iam.myhwclouds.com:443/v3";
/// Longest bound value, in bytes.
const BOUND_BYTES_MAX: usize = 256;
/// What the service says of a token.
const CLAIMS: [&str; 6] =
    ["domain_id", "domain_name", "tenant_id", "tenant_name", "user_id", "user_name"];
/// The headers of a question about a token.
const HEADERS: [&str; 2] = ["x-auth-token", "x-subject-token"];

static KIND: Kind = Kind {
    name: "huawei",
    access_types: &["huawei"],
    bearers: "identities of Huawei Cloud",
    create: &[Spelling::older(
        "create-auth-method-huawei",
        "CreateAuthMethodHuaweiOutput",
        &["access_id"],
    )],
    update: &[],
    shared: true,
    federated: false,
    delimited: false,
};

static FIELDS: Group = Group {
    title: "Huawei Cloud",
    fields: &[
        AUTH_URL.spec(),
        BOUND_DOMAIN_ID.spec(),
        BOUND_DOMAIN_NAME.spec(),
        BOUND_TENANT_ID.spec(),
        BOUND_TENANT_NAME.spec(),
        BOUND_USER_ID.spec(),
        BOUND_USER_NAME.spec(),
    ],
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    auth_url: String,
    /// In the order of [`CLAIMS`].
    bounds: [Vec<String>; 6],
}

/// The member.
pub(super) struct Huawei;

impl Method for Huawei {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn fields(&self) -> &'static Group {
        &FIELDS
    }

    fn settings(&self, given: &Args, _: Wanted, _: &dyn Desk) -> Result<Prepared, Fault> {
        let list = |field| Ok::<_, Fault>(given.get(field)?.unwrap_or_default());
        Prepared::of(&Settings {
            auth_url: given.get_or(&AUTH_URL, DEFAULT_AUTH_URL.to_owned())?,
            bounds: [
                list(&BOUND_DOMAIN_ID)?,
                list(&BOUND_DOMAIN_NAME)?,
                list(&BOUND_TENANT_ID)?,
                list(&BOUND_TENANT_NAME)?,
                list(&BOUND_USER_ID)?,
                list(&BOUND_USER_NAME)?,
            ],
        })
    }

    fn check(&self, settings: &str) -> Result<(), Fault> {
        let Settings { auth_url, bounds } = offered(settings)?;
        outside_url(&auth_url)
            .map_err(|why| Fault::bad_request(format!("invalid value of 'auth-url': {why}")))?;
        if bounds.iter().flatten().any(|text| text.is_empty() || text.len() > BOUND_BYTES_MAX) {
            return Err(Fault::bad_request(format!(
                "a bound value is empty or longer than {BOUND_BYTES_MAX} bytes"
            )));
        }
        let says = |text: &String| text.chars().any(|c| !"*?".contains(c));
        let unique = |(claim, bound): (&&str, &Vec<String>)| {
            claim.ends_with("_id") && !bound.is_empty() && bound.iter().all(says)
        };
        if CLAIMS.iter().zip(&bounds).any(unique) {
            return Ok(());
        }
        Err(Fault::bad_request(
            "everybody in the cloud could enter, as names are not unique there; bind ids of \
             domains, tenants or users",
        ))
    }

    fn show(&self, settings: &str) -> Result<Rules, Fault> {
        let Settings { auth_url, bounds } = stored(settings)?;
        let mut content = serde_json::json!({ "auth_endpoint": auth_url });
        for (claim, bound) in CLAIMS.iter().zip(bounds) {
            content[*claim] = bound.into();
        }
        Ok(Rules { field: "huawei_access_rules", content })
    }

    fn credential(&self) -> &'static [FieldSpec] {
        const { &[CLOUD_ID.spec()] }
    }

    fn prove<'a>(
        &'a self,
        given: &'a Args,
        _: &'a dyn Desk,
    ) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(async { cloud_id_of(given) })
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
    let request = SignedRequest::read(attempt.evidence).map_err(refused)?;
    check(&request, &settings.auth_url).map_err(refused)?;
    let answer = request.send(&request.headers_among(&HEADERS), world).await?;
    let (claims, ends) = token(&answer).map_err(refused)?;
    if ends <= attempt.now {
        return Err(refused(format!("the token ended at {ends}")));
    }
    for (claim, bound) in CLAIMS.iter().zip(&settings.bounds) {
        let values = claims.values(claim);
        let fits = |pattern: &String| values.iter().any(|value| fits_pattern(pattern, value));
        if !bound.is_empty() && !bound.iter().any(fits) {
            return Err(refused(format!("{claim} is not among those that may enter")));
        }
    }
    let unique_id = claims.values("user_id").first().cloned();
    let unique_id = unique_id.ok_or_else(|| refused("the token has no user"))?;
    Ok(Identity { unique_id, claims, ends: Some(ends) })
}

/// Whether it asks the method's own service about the very token that it shows.
fn check(request: &SignedRequest, auth_url: &str) -> Result<(), Why> {
    request.goes_to(auth_url, |_| false)?;
    let base = outside_url(auth_url).map_err(str::to_owned)?;
    let path = format!("{}/auth/tokens", base.path().trim_end_matches('/'));
    let bare = request.url.query().is_none() && request.body.is_empty();
    if request.method != "GET" || request.url.path() != path || !bare {
        return Err(format!("it is not a GET of {path}"));
    }
    let [shown, asked] = HEADERS.map(|name| request.header(name).unwrap_or_default());
    if shown.is_empty() || shown != asked {
        return Err("it does not ask about the token that it shows".to_owned());
    }
    Ok(())
}

#[derive(Deserialize)]
struct Answer {
    token: Token,
}

/// What the service says of a token; it has more.
#[derive(Deserialize)]
struct Token {
    expires_at: String,
    user: User,
    project: Option<Named>,
}

#[derive(Deserialize)]
struct User {
    id: String,
    name: String,
    domain: Named,
}

#[derive(Deserialize)]
struct Named {
    id: String,
    name: String,
}

fn token(answer: &[u8]) -> Result<(SubClaims, Timestamp), Why> {
    let Answer { token } =
        serde_json::from_slice(answer).map_err(|error| format!("the service's answer: {error}"))?;
    let ends = Timestamp::parse_rfc3339(&token.expires_at).ok_or("the token's end is no time")?;
    let mut claims = SubClaims::default();
    let User { id, name, domain } = token.user;
    claims.set("user_id", id);
    claims.set("user_name", name);
    claims.set("domain_id", domain.id);
    claims.set("domain_name", domain.name);
    if let Some(project) = token.project {
        claims.set("tenant_id", project.id);
        claims.set("tenant_name", project.name);
    }
    Ok((claims, ends))
}
