//! Passwords of users of Amazon Redshift.

use keysherd_targets::postgres::Family;

use crate::Spelling;
use crate::fields::REMOTE_STAYING_HOSTS;
use crate::postgres::rotator::PostgresRotator;
use crate::rotator::RotatorKind;
use crate::rotator::database::{FIELDS, GIVEN, TARGET_SETTINGS, TYPES};

static KIND: RotatorKind = RotatorKind {
    name: "redshift",
    what: "an Amazon Redshift cluster",
    targets: &["redshift"],
    types: TYPES,
    create: &[Spelling::current(
        "rotated-secret-create-redshift",
        "RotatedSecretCreateRedshift",
        "RotatedSecretCreateOutput",
    )
    .success(200)],
    update: &[Spelling::current(
        "rotated-secret-update-redshift",
        "RotatedSecretUpdateRedshift",
        "RotatedSecretUpdateOutput",
    )],
    fields: &FIELDS,
    given: &GIVEN,
    target_settings: TARGET_SETTINGS,
    remote: &REMOTE_STAYING_HOSTS,
};

/// The member.
pub(super) static MEMBER: PostgresRotator =
    PostgresRotator { kind: &KIND, family: Family::Redshift };
