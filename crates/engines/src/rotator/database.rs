//! What rotators of database passwords have in common.

use std::time::Instant;

use keysherd_base::{Fault, SecretString};
use keysherd_targets::{NOT_ADMITTED, Server, WRONG_CREDENTIALS, database};
use keysherd_wire::{Args, Field, Group, Text};

use super::{Actor, Credential, RotatorKind, RotatorType, Stage};
use crate::fields::{
    PASSWORD_LENGTH, USE_CAPITAL_LETTERS, USE_LOWER_LETTERS, USE_NUMBERS, USE_SPECIAL_CHARACTERS,
    need_one_of,
};
use crate::password::Policy;
use crate::{TargetUse, Way};

/// Whose password it is.
pub(crate) const ROTATED_USERNAME: Field<Text> =
    Field::text("rotated-username", "The user whose password is rotated.");
/// What it is now.
pub(crate) const ROTATED_PASSWORD: Field<Text> =
    Field::text("rotated-password", "That user's password as it is now.").secret();

/// Where a database target has its password.
pub(crate) const TARGET_SETTINGS: &[(&str, &str)] = &[("pwd", "password")];

/// What passwords are like.
pub(crate) static FIELDS: Group = Group {
    title: "Passwords",
    fields: &[
        PASSWORD_LENGTH.spec(),
        USE_CAPITAL_LETTERS.spec(),
        USE_LOWER_LETTERS.spec(),
        USE_NUMBERS.spec(),
        USE_SPECIAL_CHARACTERS.spec(),
    ],
};

/// What is given when a rotated secret is made.
pub(crate) static GIVEN: Group =
    Group { title: "Credentials", fields: &[ROTATED_USERNAME.spec(), ROTATED_PASSWORD.spec()] };

/// What such rotators can change.
pub(crate) const TYPES: &[RotatorType] = &[
    RotatorType { name: "password", shown: "user-pass-rotator", of_target: false },
    RotatorType { name: "target", shown: "target-rotator", of_target: true },
];

/// The credentials that somebody gives.
///
/// # Errors
/// [`Fault::bad_request`] names the field that is missing.
pub(crate) fn first(given: &Args) -> Result<Credential, Fault> {
    let username = given.need(&ROTATED_USERNAME)?;
    let password = SecretString::new(given.need(&ROTATED_PASSWORD)?);
    Ok(Credential::of_user(&username, &password))
}

/// The credentials after somebody has said what they are now.
///
/// # Errors
/// [`Fault::bad_request`] names a field that is no text.
pub(crate) fn corrected(given: &Args, old: &Credential) -> Result<Credential, Fault> {
    let username = given.get(&ROTATED_USERNAME)?;
    let password = given.secret(&ROTATED_PASSWORD)?;
    let username = username.as_deref().map_or_else(|| old.username(), Ok)?;
    let password = password.map_or_else(|| old.password(), Ok)?;
    Ok(Credential::of_user(username, &password))
}

/// The credentials of a database target.
///
/// # Errors
/// [`Fault::bad_request`] names the field that is missing.
pub(crate) fn of_target(target: &TargetUse<'_>) -> Result<Credential, Fault> {
    let server = database(target.settings)?;
    let (username, password) = server.credentials()?;
    Ok(Credential::of_user(username, password))
}

/// The same user with another password, by the policy of the settings.
///
/// # Errors
/// [`Fault::bad_request`] names the field of a policy that cannot be.
pub(crate) fn next(stage: &Stage<'_>, old: &Credential) -> Result<Credential, Fault> {
    let password = Policy::of(stage.settings)?.draw(stage.way.rng.as_ref())?;
    Ok(Credential::of_user(old.username()?, &password))
}

/// Whether settings and target fit a rotator of this kind; the target's own settings are not looked
/// at.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(crate) fn fits(
    kind: &RotatorKind,
    settings: &crate::Settings,
    target: &TargetUse<'_>,
) -> Result<(), Fault> {
    need_one_of(kind.targets, target)?;
    Policy::of(settings).map(drop)
}

/// The same, and whether the target is a server; gives what its author should know.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(crate) fn check(
    kind: &RotatorKind,
    settings: &crate::Settings,
    target: &TargetUse<'_>,
) -> Result<Vec<String>, Fault> {
    fits(kind, settings, target)?;
    Ok(database(target.settings)?.warning().into_iter().collect())
}

/// The server, to sign in to as who changes `old`.
///
/// # Errors
/// [`Fault::bad_request`] names the field of the target that is missing.
pub(crate) fn server_for(stage: &Stage<'_>, old: &Credential) -> Result<Server, Fault> {
    let server = database(stage.target.settings)?;
    match stage.actor {
        Actor::Target => Ok(server),
        Actor::Owner => server.signed_in_as(old.username()?, &old.password()?),
    }
}

/// The server, to sign in to with these credentials.
///
/// # Errors
/// [`Fault::bad_request`] for a name that cannot be one.
pub(crate) fn server_of(stage: &Stage<'_>, credential: &Credential) -> Result<Server, Fault> {
    database(stage.target.settings)?.signed_in_as(credential.username()?, &credential.password()?)
}

/// What signing in came to: whether the server took the credentials.
///
/// # Errors
/// The fault, if it does not say so.
pub(crate) fn taken<T>(signed_in: Result<T, Fault>) -> Result<bool, Fault> {
    match signed_in {
        Ok(_) => Ok(true),
        Err(fault) if fault.code() == NOT_ADMITTED => Ok(true),
        Err(fault) if fault.code() == WRONG_CREDENTIALS => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// Ends what came to itself too late: by now somebody else may have set other credentials.
///
/// # Errors
/// [`Fault::unavailable`] when the time of the way is over.
pub(crate) fn in_time(begun: Instant, way: &Way) -> Result<(), Fault> {
    match begun.elapsed() < way.timeout {
        true => Ok(()),
        false => Err(Fault::unavailable("this gateway stood still; nothing was changed")),
    }
}
