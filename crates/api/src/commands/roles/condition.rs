//! What the commands about associations share: the condition a bearer's claims must satisfy.

use keysherd_base::Fault;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::policy::sub_claims::parse_sub_claims;
use keysherd_wire::{Args, Field, Flag, Map, Text};

/// The claims.
pub(super) const SUB_CLAIMS: Field<Map> =
    Field::map("sub-claims", "Claims the bearer must have, values separated by commas.").short('s');
/// Whether letter case counts.
pub(super) const CASE_SENSITIVE: Field<Flag> =
    Field::flag("case-sensitive", "Whether letter case of claim values counts.").default("true");
/// The association.
pub(super) const ASSOC_ID: Field<Text> =
    Field::text("assoc-id", "Id of the association.").required();

/// The condition, if one was given.
pub(super) fn sub_claims(args: &Args) -> Result<Option<SubClaims>, Fault> {
    let Some(map) = args.get(&SUB_CLAIMS)? else { return Ok(None) };
    let pairs = map.iter().map(|(name, values)| (name.as_str(), values.as_str()));
    Ok(Some(parse_sub_claims(pairs)?))
}
