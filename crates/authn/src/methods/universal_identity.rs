//! Universal identity: bearers of tokens that were given out here and live by being rotated.
//!
//! Nobody else vouches for them, so there is no evidence: a `u-` token is presented as such, and
//! control looks it up. This file has the settings.

use keysherd_base::Fault;
use keysherd_domain::uid::UidSettings;
use keysherd_wire::{Args, Field, FieldSpec, Flag, Group, Int, List, Text};

use crate::stored::{offered, stored};
use crate::{
    Attempt, BoxFuture, Desk, Identity, Kind, Method, Prepared, Rules, Spelling, Wanted, World,
};

const TTL: Field<Int> =
    Field::int("ttl", "Life of the root token between two rotations, in minutes.").default("60");
const CHILD_TTL_LIMIT: Field<Int> =
    Field::int("child-ttl-limit", "Longest life of a child token, in minutes.").default("43200");
const TREE_LENGTH: Field<Int> =
    Field::int("tree-length", "Most levels of the tree of tokens, its root included.")
        .default("200");
const DENY_ROTATE: Field<Flag> = Field::flag("deny-rotate", "The root token cannot be rotated.");
const DENY_INHERITANCE: Field<Flag> =
    Field::flag("deny-inheritance", "The root token cannot have children.");
const EXPIRATION_EVENT_AT: Field<List> = Field::list(
    "uid-expiration-event-at",
    "Percentages of a token's life at whose passing an event is raised.",
);
const UID_TOKEN: Field<Text> =
    Field::text("uid-token", "The universal-identity token, for universal_identity.").secret();

static KIND: Kind = Kind {
    name: "universal_identity",
    access_types: &["universal_identity"],
    bearers: "bearers of tokens that live by being rotated",
    create: &[
        Spelling::create("auth-method-create-universal-identity"),
        Spelling::older(
            "create-auth-method-universal-identity",
            "CreateAuthMethodUniversalIdentityOutput",
            &["access_id"],
        ),
    ],
    update: &[
        Spelling::update("auth-method-update-universal-identity"),
        Spelling::older("update-auth-method-universal-identity", "object", &[]),
    ],
    shared: true,
    federated: false,
    delimited: false,
};

static FIELDS: Group = Group {
    title: "Universal identity",
    fields: &[
        TTL.spec(),
        CHILD_TTL_LIMIT.spec(),
        TREE_LENGTH.spec(),
        DENY_ROTATE.spec(),
        DENY_INHERITANCE.spec(),
        EXPIRATION_EVENT_AT.spec(),
    ],
};

/// The member.
pub(super) struct UniversalIdentity;

impl Method for UniversalIdentity {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn fields(&self) -> &'static Group {
        &FIELDS
    }

    fn settings(&self, given: &Args, _: Wanted, _: &dyn Desk) -> Result<Prepared, Fault> {
        let defaults = UidSettings::default();
        let number = |field: &Field<Int>, default: u32| match given.get(field)? {
            None => Ok(default),
            Some(number) => u32::try_from(number).map_err(|_| {
                Fault::bad_request(format!(
                    "invalid value of '{}': {number} is out of range",
                    field.name()
                ))
            }),
        };
        let settings = UidSettings {
            ttl_minutes: number(&TTL, defaults.ttl_minutes)?,
            child_ttl_limit_minutes: number(&CHILD_TTL_LIMIT, defaults.child_ttl_limit_minutes)?,
            tree_length: number(&TREE_LENGTH, defaults.tree_length)?,
            deny_rotate: given.get(&DENY_ROTATE)?.unwrap_or_default(),
            deny_inheritance: given.get(&DENY_INHERITANCE)?.unwrap_or_default(),
            expiration_event_percents: percents(given.get(&EXPIRATION_EVENT_AT)?)?,
        };
        settings.check().map_err(Fault::bad_request)?;
        Prepared::of(&settings)
    }

    fn check(&self, settings: &str) -> Result<(), Fault> {
        let settings: UidSettings = offered(settings)?;
        settings.check().map_err(Fault::bad_request)
    }

    fn show(&self, settings: &str) -> Result<Rules, Fault> {
        let settings = uid_settings(settings)?;
        Ok(Rules {
            field: "universal_identity_access_rules",
            content: serde_json::json!({
                "ttl": settings.ttl_minutes,
                "child_ttl_limit": settings.child_ttl_limit_minutes,
                "tree_length": settings.tree_length,
                "deny_rotate": settings.deny_rotate,
                "deny_inheritance": settings.deny_inheritance,
            }),
        })
    }

    fn credential(&self) -> &'static [FieldSpec] {
        const { &[UID_TOKEN.spec()] }
    }

    fn prove<'a>(&'a self, _: &'a Args, _: &'a dyn Desk) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(async { Err(not_evidence()) })
    }

    fn verify<'a>(
        &'a self,
        _: Attempt<'a>,
        _: &'a World,
    ) -> BoxFuture<'a, Result<Identity, Fault>> {
        Box::pin(async { Err(not_evidence()) })
    }
}

/// What a method says about its tree of tokens.
///
/// # Errors
/// [`Fault::internal`] for settings that were never checked.
pub fn uid_settings(settings: &str) -> Result<UidSettings, Fault> {
    stored(settings)
}

fn not_evidence() -> Fault {
    Fault::unauthorized("a universal-identity token is presented as uid-token")
}

/// Numbers in any order, perhaps twice.
fn percents(given: Option<Vec<String>>) -> Result<Vec<u32>, Fault> {
    let mut percents = Vec::new();
    for text in given.unwrap_or_default() {
        let number = text.trim().trim_end_matches('%').parse::<u32>().map_err(|_| {
            Fault::bad_request("invalid value of 'uid-expiration-event-at': not a number")
        })?;
        percents.push(number);
    }
    percents.sort_unstable();
    percents.dedup();
    Ok(percents)
}
