//! Azure AD: workloads and people whose tokens Microsoft Entra ID signed for one tenant.
//!
//! Which resource a managed identity runs on stands in `xms_mirid`, and in `xms_az_rid` for
//! identities that several resources share. Entra signs both; nobody in the tenant can choose them.

use keysherd_base::Fault;
use keysherd_crypto::jwt::{Expected, JwtClaims};
use keysherd_wire::{Args, Field, FieldSpec, Group, List, Text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::cloud::Cloud;
use self::resource::Resource;
use crate::fields::{CLOUD_ID, OPTIONAL_UNIQUE_IDENTIFIER};
use crate::stored::{offered, stored};
use crate::tokens::{SKEW_SECONDS, identity, refused, token_of};
use crate::web::address;
use crate::{
    Attempt, BoxFuture, Desk, Identity, Kind, Method, Prepared, Rules, Spelling, Wanted, World,
};

mod cloud;
mod resource;
#[cfg(test)]
mod tests;

const BOUND_TENANT_ID: Field<Text> =
    Field::text("bound-tenant-id", "The tenant whose identities may sign in.");
const ISSUER: Field<Text> = Field::text("issuer", "The issuer that tokens must name.")
    .default("the tenant's two issuers in Entra ID");
const JWKS_URI: Field<Text> = Field::text("jwks-uri", "Address of the issuer's JSON Web Key Set.")
    .default("that of Entra ID");
const AUDIENCE: Field<Text> = Field::text("audience", "The audience that tokens must name.")
    .default("https://management.azure.com/");
const BOUND_SPID: Field<List> =
    Field::list("bound-spid", "Object ids of service principals; none: any.");
const BOUND_GROUP_ID: Field<List> =
    Field::list("bound-group-id", "Object ids of groups, one of which is needed; none: any.");
const BOUND_SUB_ID: Field<List> = Field::list("bound-sub-id", "Subscription ids; none: any.");
const BOUND_RG_ID: Field<List> = Field::list("bound-rg-id", "Resource groups; none: any.");
const BOUND_PROVIDERS: Field<List> =
    Field::list("bound-providers", "Resource providers, such as Microsoft.Compute; none: any.");
const BOUND_RESOURCE_TYPES: Field<List> =
    Field::list("bound-resource-types", "Resource types, such as virtualMachines; none: any.");
const BOUND_RESOURCE_NAMES: Field<List> =
    Field::list("bound-resource-names", "Names of resources; none: any.");
const BOUND_RESOURCE_ID: Field<List> =
    Field::list("bound-resource-id", "Whole resource ids; none: any.");
const AZURE_CLOUD: Field<Text> =
    Field::text("azure-cloud", "The token says which cloud it is of.").inert();

/// What official clients send for the issuer when nobody named one.
const ISSUER_PLACEHOLDER: &str = "---bound_tenant_id---";

static KIND: Kind = Kind {
    name: "azure_ad",
    access_types: &["azure_ad"],
    bearers: "identities of an Azure tenant",
    create: &[
        Spelling::create("auth-method-create-azure-ad"),
        Spelling::older(
            "create-auth-method-azure-ad",
            "CreateAuthMethodAzureADOutput",
            &["access_id"],
        ),
    ],
    update: &[
        Spelling::update("auth-method-update-azure-ad"),
        Spelling::older("update-auth-method-azure-ad", "object", &[]),
    ],
    shared: true,
    federated: false,
    delimited: false,
};

static FIELDS: Group = Group {
    title: "Azure AD",
    fields: &[
        BOUND_TENANT_ID.required().spec(),
        ISSUER.spec(),
        JWKS_URI.spec(),
        AUDIENCE.spec(),
        OPTIONAL_UNIQUE_IDENTIFIER.spec(),
        BOUND_SPID.spec(),
        BOUND_GROUP_ID.spec(),
        BOUND_SUB_ID.spec(),
        BOUND_RG_ID.spec(),
        BOUND_PROVIDERS.spec(),
        BOUND_RESOURCE_TYPES.spec(),
        BOUND_RESOURCE_NAMES.spec(),
        BOUND_RESOURCE_ID.spec(),
    ],
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    tenant: String,
    issuer: Option<String>,
    jwks_uri: Option<String>,
    audience: String,
    unique_identifier: Option<String>,
    service_principals: Vec<String>,
    groups: Vec<String>,
    resource: Bounds,
}

/// What one of a token's resources must be; empty lists: anything.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounds {
    subscriptions: Vec<String>,
    groups: Vec<String>,
    providers: Vec<String>,
    types: Vec<String>,
    names: Vec<String>,
    ids: Vec<String>,
}

/// The member.
pub(super) struct AzureAd;

impl Method for AzureAd {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn fields(&self) -> &'static Group {
        &FIELDS
    }

    fn settings(&self, given: &Args, _: Wanted, _: &dyn Desk) -> Result<Prepared, Fault> {
        let list = |field: &Field<List>| Ok::<_, Fault>(given.get(field)?.unwrap_or_default());
        let tenant = given.need(&BOUND_TENANT_ID)?;
        let issuer = given.get(&ISSUER)?.filter(|issuer| !issuer.contains(ISSUER_PLACEHOLDER));
        let audience = given.get(&AUDIENCE)?;
        Prepared::of(&Settings {
            issuer,
            jwks_uri: given.get(&JWKS_URI)?.filter(|uri| uri != Cloud::PUBLIC.keys_uri),
            audience: audience.unwrap_or_else(|| Cloud::PUBLIC.audience.to_owned()),
            unique_identifier: given.get(&OPTIONAL_UNIQUE_IDENTIFIER)?,
            service_principals: list(&BOUND_SPID)?,
            groups: list(&BOUND_GROUP_ID)?,
            resource: Bounds {
                subscriptions: list(&BOUND_SUB_ID)?,
                groups: list(&BOUND_RG_ID)?,
                providers: list(&BOUND_PROVIDERS)?,
                types: list(&BOUND_RESOURCE_TYPES)?,
                names: list(&BOUND_RESOURCE_NAMES)?,
                ids: list(&BOUND_RESOURCE_ID)?,
            },
            tenant,
        })
    }

    fn check(&self, settings: &str) -> Result<(), Fault> {
        let settings: Settings = offered(settings)?;
        let is_id = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let tenant = &settings.tenant;
        // It becomes part of the issuer's name.
        if !(1..=64).contains(&tenant.len()) || !tenant.chars().all(is_id) {
            return Err(Fault::bad_request(format!(
                "bound-tenant-id is '{:.80}'; give the tenant's id, such as \
                 72f988bf-86f1-41af-91ab-2d7cd011db47",
                tenant.escape_default()
            )));
        }
        address(JWKS_URI.name(), settings.keys_uri())
    }

    fn show(&self, settings: &str) -> Result<Rules, Fault> {
        let settings: Settings = stored(settings)?;
        let mut content = json!({
            "bound_tenant_id": settings.tenant,
            "ad_endpoint": settings.audience,
            "issuer": settings.issuers().first(),
            "jwks_uri": settings.keys_uri(),
            "bound_service_principal_ids": settings.service_principals,
            "bound_group_ids": settings.groups,
            "bound_subscription_ids": settings.resource.subscriptions,
            "bound_resource_groups": settings.resource.groups,
            "bound_resource_providers": settings.resource.providers,
            "bound_resource_types": settings.resource.types,
            "bound_resource_names": settings.resource.names,
            "bound_resource_ids": settings.resource.ids,
        });
        if let Some(claim) = settings.unique_identifier {
            content["unique_identifier"] = claim.into();
        }
        Ok(Rules { field: "azure_ad_access_rules", content })
    }

    fn credential(&self) -> &'static [FieldSpec] {
        const { &[CLOUD_ID.spec(), AZURE_CLOUD.spec()] }
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

impl Settings {
    fn cloud(&self) -> &'static Cloud {
        Cloud::of_audience(&self.audience)
    }

    fn keys_uri(&self) -> &str {
        self.jwks_uri.as_deref().unwrap_or(self.cloud().keys_uri)
    }

    /// The names of the issuer. Entra's end in a slash, which people leave out.
    fn issuers(&self) -> Vec<String> {
        match &self.issuer {
            None => self.cloud().issuers(&self.tenant),
            Some(issuer) => with_and_without_slash(issuer),
        }
    }
}

fn with_and_without_slash(text: &str) -> Vec<String> {
    let bare = text.trim_end_matches('/');
    vec![text.to_owned(), bare.to_owned(), format!("{bare}/")]
}

async fn verify(attempt: Attempt<'_>, world: &World) -> Result<Identity, Fault> {
    let settings: Settings = stored(attempt.settings)?;
    let (issuers, audiences) = (settings.issuers(), with_and_without_slash(&settings.audience));
    let issuers: Vec<&str> = issuers.iter().map(String::as_str).collect();
    let audiences: Vec<&str> = audiences.iter().map(String::as_str).collect();
    let expected = Expected {
        issuers: &issuers,
        audiences: &audiences,
        now: attempt.now,
        skew_seconds: SKEW_SECONDS,
    };
    let claims = world.verify_jwt(attempt.evidence, settings.keys_uri(), &expected).await?;
    check_bounds(&settings, &claims)?;
    let claim = match &settings.unique_identifier {
        Some(claim) => claim,
        None if claims.contains_key("oid") => "oid",
        None => "sub",
    };
    identity(&claims, claim, attempt.delimiters)
}

/// The keys of Entra ID sign for every tenant there is, so the tenant is checked by its own claim
/// as well, whatever the issuer's name is set to.
fn check_bounds(settings: &Settings, claims: &JwtClaims) -> Result<(), Fault> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if !text("tid").is_some_and(|tenant| tenant.eq_ignore_ascii_case(&settings.tenant)) {
        return Err(refused("the tenant (tid) is not bound-tenant-id"));
    }
    if !admits(&settings.service_principals, text("oid")) {
        return Err(refused("the object id (oid) is not in bound-spid"));
    }
    let groups = claims.get("groups").and_then(Value::as_array);
    let mut groups = groups.into_iter().flatten().filter_map(Value::as_str);
    if !settings.groups.is_empty() && !groups.any(|id| admits(&settings.groups, Some(id))) {
        return Err(refused("none of the groups is in bound-group-id"));
    }
    let resources = ["xms_mirid", "xms_az_rid"].map(|name| text(name).and_then(Resource::parse));
    if settings.resource.bind() && !resources.iter().flatten().any(|it| settings.resource.fit(it)) {
        return Err(refused(
            "no resource of the token (xms_mirid, xms_az_rid) is within the bounds",
        ));
    }
    Ok(())
}

/// Azure's ids and names are the same in any letter case.
fn admits(bound: &[String], given: Option<&str>) -> bool {
    bound.is_empty()
        || given.is_some_and(|given| bound.iter().any(|known| known.eq_ignore_ascii_case(given)))
}

impl Bounds {
    fn bind(&self) -> bool {
        let Self { subscriptions, groups, providers, types, names, ids } = self;
        [subscriptions, groups, providers, types, names, ids].iter().any(|list| !list.is_empty())
    }

    /// Whether all bounds hold for this one resource.
    fn fit(&self, resource: &Resource<'_>) -> bool {
        admits(&self.subscriptions, Some(resource.subscription))
            && admits(&self.groups, Some(resource.group))
            && admits(&self.providers, Some(resource.provider))
            && admits(&self.types, Some(resource.kind))
            && admits(&self.names, Some(resource.name))
            && admits(&self.ids, Some(resource.id))
    }
}
