//! Oracle Cloud Infrastructure: users with an API key, who sign a question about their own groups
//! that control sends to the identity service (HTTP signatures, draft-cavage-http-signatures). The
//! answer shows that the key is theirs, and which groups they are in.
//!
//! Instance and resource principals are not served: who they are is told only to a service that
//! is an Oracle Cloud principal itself.

use keysherd_base::Fault;
use keysherd_domain::claims::SubClaims;
use keysherd_wire::{Args, Field, FieldSpec, Group, List, Text};
use serde::{Deserialize, Serialize};

use crate::fields::CLOUD_ID;
use crate::signed_request::{SignedRequest, Why, cloud_id_of, fresh, refused, use_up};
use crate::stored::{offered, stored};
use crate::{
    Attempt, BoxFuture, Desk, Identity, Kind, Method, Prepared, Rules, Spelling, Wanted, World,
};

mod request;

#[cfg(test)]
mod tests;

const TENANT_OCID: Field<Text> = Field::text("tenant-ocid", "The tenancy whose users may enter.");
const GROUP_OCID: Field<List> =
    Field::list("group-ocid", "Groups of the tenancy; one is to be the user's.");
const OCI_AUTH_TYPE: Field<Text> =
    Field::text("oci-auth-type", "How an Oracle Cloud identity signs; apikey is served.")
        .choices(&["instance", "apikey", "resource"])
        .default("apikey");
const OCI_GROUP_OCID: Field<List> =
    Field::list("oci-group-ocid", "The identity service says which groups there are.").inert();

/// Most groups of a method, and of a user.
const GROUPS_MAX: usize = 1_000;

static KIND: Kind = Kind {
    name: "oci",
    access_types: &["oci"],
    bearers: "users of Oracle Cloud Infrastructure",
    create: &[
        Spelling::create("auth-method-create-oci"),
        Spelling::older("create-auth-method-oci", "CreateAuthMethodOCIOutput", &["access_id"]),
    ],
    update: &[
        Spelling::update("auth-method-update-oci"),
        Spelling::older("update-auth-method-oci", "UpdateAuthMethodOCIOutput", &["access_id"]),
    ],
    shared: true,
    federated: false,
    delimited: false,
};

static FIELDS: Group = Group {
    title: "Oracle Cloud Infrastructure",
    fields: &[TENANT_OCID.required().spec(), GROUP_OCID.required().spec()],
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    tenant: String,
    groups: Vec<String>,
}

/// The member.
pub(super) struct Oci;

impl Method for Oci {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn fields(&self) -> &'static Group {
        &FIELDS
    }

    fn settings(&self, given: &Args, _: Wanted, _: &dyn Desk) -> Result<Prepared, Fault> {
        let (tenant, groups) = (given.need(&TENANT_OCID)?, given.need(&GROUP_OCID)?);
        Prepared::of(&Settings { tenant, groups })
    }

    fn check(&self, settings: &str) -> Result<(), Fault> {
        let Settings { tenant, groups } = offered(settings)?;
        if !is_ocid(&tenant, "tenancy") {
            return Err(Fault::bad_request(
                "invalid value of 'tenant-ocid': it begins with ocid1.tenancy.",
            ));
        }
        let one_to_many = (1..=GROUPS_MAX).contains(&groups.len());
        if !one_to_many || !groups.iter().all(|group| is_ocid(group, "group")) {
            return Err(Fault::bad_request(format!(
                "invalid value of 'group-ocid': give 1 to {GROUPS_MAX} ids that begin with \
                 ocid1.group."
            )));
        }
        Ok(())
    }

    fn show(&self, settings: &str) -> Result<Rules, Fault> {
        let Settings { tenant, groups } = stored(settings)?;
        let content = serde_json::json!({ "tenant_ocid": tenant, "group_ocids": groups });
        Ok(Rules { field: "oci_access_rules", content })
    }

    fn credential(&self) -> &'static [FieldSpec] {
        const { &[CLOUD_ID.spec(), OCI_AUTH_TYPE.spec(), OCI_GROUP_OCID.spec()] }
    }

    fn prove<'a>(
        &'a self,
        given: &'a Args,
        _: &'a dyn Desk,
    ) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(async {
            match given.get(&OCI_AUTH_TYPE)?.as_deref() {
                None | Some("apikey") => cloud_id_of(given),
                Some(_) => Err(Fault::bad_request(
                    "only 'apikey' is served as oci-auth-type; sign with a user's API key and give \
                     the request as cloud-id",
                )),
            }
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

/// `ocid1.KIND.REALM.[REGION].UNIQUE`.
fn is_ocid(text: &str, kind: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let rest = text.strip_prefix("ocid1.").and_then(|text| text.strip_prefix(kind));
    rest.is_some_and(|rest| rest.starts_with('.') && rest.len() > 4)
        && text.len() <= 255
        && text.chars().all(plain)
}

async fn verify(attempt: Attempt<'_>, world: &World) -> Result<Identity, Fault> {
    let settings: Settings = stored(attempt.settings)?;
    let asked = SignedRequest::read(attempt.evidence).map_err(refused)?;
    let service = world.web().oci_identity_url();
    let signed = request::check(&asked, &settings.tenant, service, attempt.now).map_err(refused)?;
    let answer = asked.send(&signed.headers, world).await?;
    let groups = groups(&answer, &settings.tenant, &signed.user).map_err(refused)?;
    if !groups.iter().any(|group| settings.groups.contains(group)) {
        return Err(refused("the user is in none of the groups that may enter"));
    }
    use_up(KIND.name, &signed.signature, signed.made, world)?;
    let mut claims = SubClaims::default();
    claims.set("tenant_ocid", settings.tenant);
    claims.set("user_ocid", signed.user.clone());
    claims.0.insert("group_ocid".to_owned(), groups);
    Ok(Identity { unique_id: signed.user, claims, ends: None })
}

/// One membership, as the identity service tells it; it has more.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Membership {
    compartment_id: String,
    user_id: String,
    group_id: String,
    lifecycle_state: String,
}

/// The groups of the user in an answer.
fn groups(answer: &[u8], tenant: &str, user: &str) -> Result<Vec<String>, Why> {
    let told: Vec<Membership> =
        serde_json::from_slice(answer).map_err(|error| format!("the service's answer: {error}"))?;
    if told.len() > GROUPS_MAX {
        return Err(format!("the user is in more than {GROUPS_MAX} groups"));
    }
    if told.iter().any(|one| one.compartment_id != tenant || one.user_id != user) {
        return Err("the service's answer is about somebody else".to_owned());
    }
    let active = told.into_iter().filter(|one| one.lifecycle_state == "ACTIVE");
    Ok(active.map(|one| one.group_id).collect())
}
