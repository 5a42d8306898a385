//! What all auth methods have: the fields, read into one value.

use keysherd_base::{Fault, Timestamp};
use keysherd_domain::auth_method::{IpNetwork, MethodShared};
use keysherd_wire::{Args, Field, Flag, Group, Int, List};

use crate::fields::{DELETE_PROTECTION, DESCRIPTION};
use keysherd_authn::fields::SUBCLAIMS_DELIMITERS;

const ACCESS_EXPIRES: Field<Int> =
    Field::int("access-expires", "When logins end, in seconds since 1970; 0: never.").default("0");
const BOUND_IPS: Field<List> = Field::list("bound-ips", "Client networks logins may come from.");
const GW_BOUND_IPS: Field<List> =
    Field::list("gw-bound-ips", "Gateways trusted to forward a client's address.");
const JWT_TTL: Field<Int> =
    Field::int("jwt-ttl", "Lifetime of tokens in minutes; 0: as the account says.").default("0");
const FORCE_SUB_CLAIMS: Field<Flag> =
    Field::flag("force-sub-claims", "Roles may be associated only with sub-claims.");
const AUDIT_LOGS_CLAIMS: Field<List> =
    Field::list("audit-logs-claims", "Claims that audit records show.");
const ALLOWED_CLIENT_TYPE: Field<List> =
    Field::list("allowed-client-type", "Client types that may use it.");
const PRODUCT_TYPE: Field<List> = Field::list("product-type", "Products it is meant for.");
const EXPIRATION_EVENT_IN: Field<List> =
    Field::list("expiration-event-in", "Days before it expires at which an event is raised.");

/// The fields all auth methods have.
pub(super) const SHARED: Group = Group {
    title: "Auth method",
    fields: &[
        DESCRIPTION.spec(),
        ACCESS_EXPIRES.spec(),
        BOUND_IPS.spec(),
        GW_BOUND_IPS.spec(),
        JWT_TTL.spec(),
        FORCE_SUB_CLAIMS.spec(),
        AUDIT_LOGS_CLAIMS.spec(),
        ALLOWED_CLIENT_TYPE.spec(),
        PRODUCT_TYPE.spec(),
        EXPIRATION_EVENT_IN.spec(),
        DELETE_PROTECTION.spec(),
    ],
};

/// The field of those whose claims are texts with several values.
pub(super) static DELIMITED: Group =
    Group { title: "Claims", fields: &[SUBCLAIMS_DELIMITERS.spec()] };

/// Reads the fields. An update replaces all of them, as the API's update calls do.
pub(super) fn read(args: &Args) -> Result<MethodShared, Fault> {
    let token_ttl_minutes = u32::try_from(args.get_or(&JWT_TTL, 0)?)
        .map_err(|_| Fault::bad_request("invalid value of 'jwt-ttl': it must be 0 or more"))?;
    let days = args.get(&EXPIRATION_EVENT_IN)?.unwrap_or_default();
    let expires = args.get_or(&ACCESS_EXPIRES, 0)?;
    if expires < 0 {
        return Err(Fault::bad_request("invalid value of 'access-expires': it must be 0 or more"));
    }
    Ok(MethodShared {
        description: args.get(&DESCRIPTION)?.unwrap_or_default(),
        access_expires: (expires > 0).then(|| Timestamp::from_seconds(expires)),
        bound_ips: networks("bound-ips", args.get(&BOUND_IPS)?)?,
        gateway_bound_ips: networks("gw-bound-ips", args.get(&GW_BOUND_IPS)?)?,
        token_ttl_minutes,
        force_sub_claims: args.get_or(&FORCE_SUB_CLAIMS, false)?,
        audit_claims: args.get(&AUDIT_LOGS_CLAIMS)?.unwrap_or_default(),
        allowed_client_types: args.get(&ALLOWED_CLIENT_TYPE)?.unwrap_or_default(),
        sub_claim_delimiters: args.get(&SUBCLAIMS_DELIMITERS)?.unwrap_or_default(),
        product_types: args.get(&PRODUCT_TYPE)?.unwrap_or_default(),
        delete_protection: args.get_or(&DELETE_PROTECTION, false)?,
        expiration_event_days: days
            .iter()
            .map(|day| day.trim().parse().map_err(|_| bad_day()))
            .collect::<Result<_, _>>()?,
    })
}

fn bad_day() -> Fault {
    Fault::bad_request("invalid value of 'expiration-event-in': it must be a list of days")
}

/// Networks in CIDR form; elements may hold several with commas.
pub(crate) fn networks(field: &str, given: Option<Vec<String>>) -> Result<Vec<IpNetwork>, Fault> {
    given
        .iter()
        .flatten()
        .flat_map(|element| element.split(','))
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| {
            IpNetwork::parse(text).ok_or_else(|| {
                Fault::bad_request(format!(
                    "invalid value of '{field}': '{}' is not a network such as 10.0.0.0/8",
                    text.escape_default()
                ))
            })
        })
        .collect()
}
