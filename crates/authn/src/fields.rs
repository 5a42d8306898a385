//! Fields that several members share, each written once.

use keysherd_wire::{Field, List, Text};

/// The claim that distinguishes the bearers of a method.
pub const UNIQUE_IDENTIFIER: Field<Text> =
    Field::text("unique-identifier", "The claim that tells the bearers of the method apart.");
/// The same where a kind has a usual one.
pub const OPTIONAL_UNIQUE_IDENTIFIER: Field<Text> =
    UNIQUE_IDENTIFIER.default("the id that the issuer gave");
/// Delimiters beside the comma.
pub const SUBCLAIMS_DELIMITERS: Field<List> = Field::list(
    "subclaims-delimiters",
    "Characters at which claim values are split, beside the comma.",
);
/// The public name of an auth method.
pub const ACCESS_ID: Field<Text> = Field::text("access-id", "Access id of the auth method.");
/// What a cloud says about a workload.
pub const CLOUD_ID: Field<Text> =
    Field::text("cloud-id", "The cloud identity, as get-cloud-identity prints it.").secret();
/// A token that somebody else issued.
pub const JWT: Field<Text> = Field::text("jwt", "The JSON Web Token, for jwt and oidc.").secret();
/// Inert: the gateway is the one that is called.
pub const GATEWAY_URL: Field<Text> =
    Field::text("gateway-url", "The gateway is the one called.").inert();
