//! Passwords of users of PostgreSQL servers.

use keysherd_targets::postgres::Family;

use crate::Spelling;
use crate::fields::REMOTE_STAYING_SCHEMAS;
use crate::postgres::rotator::PostgresRotator;
use crate::rotator::RotatorKind;
use crate::rotator::database::{FIELDS, GIVEN, TARGET_SETTINGS, TYPES};

static KIND: RotatorKind = RotatorKind {
    name: "postgresql",
    what: "a PostgreSQL server",
    targets: &["postgres"],
    types: TYPES,
    create: &[Spelling::current(
        "rotated-secret-create-postgresql",
        "RotatedSecretCreatePostgresql",
        "RotatedSecretCreateOutput",
    )
    .success(200)],
    update: &[Spelling::current(
        "rotated-secret-update-postgresql",
        "RotatedSecretUpdatePostgresql",
        "RotatedSecretUpdateOutput",
    )],
    fields: &FIELDS,
    given: &GIVEN,
    target_settings: TARGET_SETTINGS,
    remote: &REMOTE_STAYING_SCHEMAS,
};

/// The member.
pub(super) static MEMBER: PostgresRotator =
    PostgresRotator { kind: &KIND, family: Family::Postgres };
