//! What the commands about groups share: who is in one, as JSON in a text.

use std::collections::BTreeMap;

use keysherd_base::limits::LIST_LEN_MAX;
use keysherd_base::{AccessId, Fault};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::group::GroupMember;
use keysherd_domain::policy::sub_claims::parse_sub_claims;
use keysherd_wire::{Args, Field, Text};
use serde::Deserialize;

/// The short name.
pub(super) const GROUP_ALIAS: Field<Text> =
    Field::text("group-alias", "Short name of the group, unique in the account.").required();
/// Who is in it.
pub(super) const USER_ASSIGNMENT: Field<Text> = Field::text(
    "user-assignment",
    r#"Who is in it, as JSON: [{"access_id":"p-...","sub_claims":{"team":["a","b"]}}]."#,
);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Assignment {
    access_id: String,
    #[serde(default)]
    sub_claims: BTreeMap<String, Values>,
    /// Shown in answers; what it is follows from the access id.
    #[serde(default, rename = "access_type")]
    _access_type: Option<String>,
    #[serde(default, rename = "assignment_name")]
    _assignment_name: Option<String>,
    #[serde(default, rename = "assignment_type")]
    _assignment_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    List(Vec<String>),
    Text(String),
}

/// The members, if they were given.
pub(super) fn members(args: &Args) -> Result<Option<Vec<GroupMember>>, Fault> {
    let Some(text) = args.get(&USER_ASSIGNMENT)? else { return Ok(None) };
    let bad = |why: &str| Fault::bad_request(format!("invalid value of 'user-assignment': {why}"));
    let given: Vec<Assignment> = serde_json::from_str(&text).map_err(|error| {
        bad(&format!("it is no JSON list of assignments (line {})", error.line()))
    })?;
    if given.len() > LIST_LEN_MAX {
        return Err(bad(&format!("{} of them; at most {LIST_LEN_MAX}", given.len())));
    }
    given.into_iter().map(member).collect::<Result<_, Fault>>().map(Some)
}

fn member(given: Assignment) -> Result<GroupMember, Fault> {
    let access_id = AccessId::parse(&given.access_id).map_err(|error| {
        Fault::bad_request(format!("invalid value of 'user-assignment': {error}"))
    })?;
    let claims = given.sub_claims.into_iter().map(|(name, values)| match values {
        Values::List(values) => (name, values.join(",")),
        Values::Text(text) => (name, text),
    });
    let claims: Vec<_> = claims.collect();
    let sub_claims: SubClaims =
        parse_sub_claims(claims.iter().map(|(name, list)| (name.as_str(), list.as_str())))?;
    Ok(GroupMember { access_id, sub_claims })
}
