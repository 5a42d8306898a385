//! Settings of methods whose cloud says who called it (`GetCallerIdentity`): where it is asked, and
//! who may enter.

use keysherd_base::Fault;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::policy::sub_claims::fits_pattern;
use keysherd_wire::{Args, Field, List, Text};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Why;
use crate::Identity;
use crate::fields::UNIQUE_IDENTIFIER;
use crate::stored::{offered, stored};
use crate::web::outside_url;

#[cfg(test)]
mod tests;

pub(crate) const BOUND_ARN: Field<List> =
    Field::list("bound-arn", "One must be the ARN; * and ? are wildcards.");
pub(crate) const BOUND_ROLE_NAME: Field<List> =
    Field::list("bound-role-name", "One must be the role's name; with wildcards.");
pub(crate) const BOUND_ROLE_ID: Field<List> =
    Field::list("bound-role-id", "One must be the role's unique id; with wildcards.");
pub(crate) const BOUND_RESOURCE_ID: Field<List> = Field::list(
    "bound-resource-id",
    "One must be the session's name, which for a machine is its id; with wildcards.",
);
pub(crate) const BOUND_USER_NAME: Field<List> =
    Field::list("bound-user-name", "One must be the user's name; with wildcards.");
pub(crate) const BOUND_USER_ID: Field<List> =
    Field::list("bound-user-id", "One must be the user's unique id; with wildcards.");

/// Longest bound value, in bytes: as long as an ARN can be.
const BOUND_BYTES_MAX: usize = 2_048;

/// What a cloud says about a caller, which is also what may tell bearers apart.
const CLAIMS: [&str; 7] =
    ["account_id", "arn", "role_name", "role_id", "resource_id", "user_name", "user_id"];
/// Of these, what nobody else in the cloud can have.
const UNIQUE: [&str; 4] = ["account_id", "arn", "role_id", "user_id"];

/// The settings of such a method.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallerSettings {
    /// Where the cloud is asked.
    pub(crate) sts_url: String,
    unique_identifier: Option<String>,
    /// What each of [`CLAIMS`] is bound to, in their order.
    bounds: [Vec<String>; 7],
}

impl CallerSettings {
    /// Settings from the arguments of a create or update command.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub(crate) fn of(
        given: &Args,
        accounts: &Field<List>,
        sts_url: &Field<Text>,
        default_url: &str,
    ) -> Result<Self, Fault> {
        let list = |field| Ok::<_, Fault>(given.get(field)?.unwrap_or_default());
        Ok(Self {
            sts_url: given.get_or(sts_url, default_url.to_owned())?,
            unique_identifier: given.get(&UNIQUE_IDENTIFIER)?,
            bounds: [
                list(accounts)?,
                list(&BOUND_ARN)?,
                list(&BOUND_ROLE_NAME)?,
                list(&BOUND_ROLE_ID)?,
                list(&BOUND_RESOURCE_ID)?,
                list(&BOUND_USER_NAME)?,
                list(&BOUND_USER_ID)?,
            ],
        })
    }

    /// What was stored.
    ///
    /// # Errors
    /// [`Fault::internal`] when it is something else.
    pub(crate) fn read(settings: &str) -> Result<Self, Fault> {
        stored(settings)
    }

    /// Settings that a gateway sent, when a login can be checked against them.
    ///
    /// # Errors
    /// [`Fault::bad_request`] says what is wrong.
    pub(crate) fn checked(settings: &str) -> Result<Self, Fault> {
        let settings: Self = offered(settings)?;
        let bad = |why: String| Err(Fault::bad_request(why));
        match outside_url(&settings.sts_url) {
            Err(why) => return bad(format!("invalid value of 'sts-url': {why}")),
            Ok(url) if url.path() != "/" || url.query().is_some() => {
                return bad("invalid value of 'sts-url': give a host without a path".to_owned());
            }
            Ok(_) => {}
        }
        if let Some(name) = &settings.unique_identifier
            && !CLAIMS.contains(&name.as_str())
        {
            return bad(format!(
                "invalid value of 'unique-identifier': these identities have {}",
                CLAIMS.join(", ")
            ));
        }
        let bounds = &settings.bounds;
        if bounds.iter().flatten().any(|text| text.is_empty() || text.len() > BOUND_BYTES_MAX) {
            return bad(format!("a bound value is empty or longer than {BOUND_BYTES_MAX} bytes"));
        }
        let unique = |(claim, bound): (&&str, &Vec<String>)| {
            // Of wildcards alone nothing is bound.
            let says = |text: &String| text.chars().any(|c| !"*?:".contains(c));
            UNIQUE.contains(claim) && !bound.is_empty() && bound.iter().all(says)
        };
        if !CLAIMS.iter().zip(bounds).any(unique) {
            return bad(
                "everybody in the cloud could enter, as names are not unique there; bind account \
                 ids, ARNs, role ids or user ids"
                    .to_owned(),
            );
        }
        Ok(settings)
    }

    /// The account ids that it is bound to.
    pub(crate) fn accounts(&self) -> &[String] {
        let [accounts, ..] = &self.bounds;
        accounts
    }

    /// As V2 shows it.
    pub(crate) fn show(self) -> Value {
        let mut content = serde_json::json!({ "sts_endpoint": self.sts_url });
        for (claim, bound) in CLAIMS.iter().zip(self.bounds) {
            content[*claim] = bound.into();
        }
        if let Some(name) = self.unique_identifier {
            content["unique_identifier"] = name.into();
        }
        content
    }

    /// The identity of a caller of whom the cloud says `claims`, if it may enter.
    ///
    /// # Errors
    /// Why it may not.
    pub(crate) fn admit(&self, claims: SubClaims) -> Result<Identity, Why> {
        for (claim, bound) in CLAIMS.iter().zip(&self.bounds) {
            let values = claims.values(claim);
            let fits = |pattern: &String| values.iter().any(|value| fits_pattern(pattern, value));
            if !bound.is_empty() && !bound.iter().any(fits) {
                return Err(format!("{claim} {values:?} is not among those that may enter"));
            }
        }
        let name = self.unique_identifier.as_deref().unwrap_or("arn");
        let unique_id = claims.values(name).first().cloned();
        let unique_id = unique_id.ok_or("the identity lacks the claim of unique-identifier")?;
        Ok(Identity { unique_id, claims, ends: None })
    }
}
