//! The owner: one person, for setting up and for emergencies.

use super::{Check, Estate, Place, Verdict};
use crate::auth_method::MethodDetail;

/// A sign-in of the owner is worth a word for so long.
const LATELY_SECONDS: i64 = 7 * 86_400;
const DAY_SECONDS: i64 = 86_400;
/// An owner's password older than this is worth a change, in days.
const PASSWORD_DAYS_MAX: i64 = 365;

pub(super) const CHECKS: &[Check<Estate>] = &[
    Check {
        name: "owner-is-not-used",
        rows: "P2",
        practice: "The owner is for setting up and for emergencies; nobody works as the owner.",
        severity: Verdict::Warn,
        find: used_lately,
    },
    Check {
        name: "owner-is-sealed",
        rows: "P2",
        practice: "After setting up, the owner is sealed until an emergency.",
        severity: Verdict::Warn,
        find: not_sealed,
    },
    Check {
        name: "owner-has-second-factor",
        rows: "P3",
        practice: "The owner signs in with a strong password and a second factor.",
        severity: Verdict::Fail,
        find: one_factor,
    },
    Check {
        name: "owner-password-is-recent",
        rows: "P3",
        practice: "The owner's password is changed once a year.",
        severity: Verdict::Warn,
        find: old_password,
    },
];

fn owner(estate: &Estate) -> String {
    let method = estate.method(estate.account.owner_method);
    format!("auth method {}", method.map_or("/", |method| method.path.as_str()))
}

fn used_lately(estate: &Estate) -> Vec<Place> {
    let lately =
        |at: &keysherd_base::Timestamp| estate.now.millis_since(*at) < LATELY_SECONDS * 1_000;
    let signed_in = estate.owner_signed_in.filter(lately);
    let place = signed_in.map(|at| {
        let wrong = format!("the owner was last at work at {at}");
        Place::new(owner(estate), wrong, "keysherd assoc-role-am --role-name admin --am-name NAME")
    });
    place.into_iter().collect()
}

fn not_sealed(estate: &Estate) -> Vec<Place> {
    // Before there is another administrator the owner has work to do.
    if estate.owner_sealed || estate.administrators().next().is_none() {
        return Vec::new();
    }
    let wrong = "the owner can do everything at any time, and others administer the account";
    vec![Place::new(owner(estate), wrong, "keysherd owner-seal")]
}

fn one_factor(estate: &Estate) -> Vec<Place> {
    if estate.owner_has_second_factor {
        return Vec::new();
    }
    let wrong = "the owner's password alone opens the whole account";
    vec![Place::new(owner(estate), wrong, "keysherd mfa-enroll")]
}

fn old_password(estate: &Estate) -> Vec<Place> {
    let Some(method) = estate.method(estate.account.owner_method) else { return Vec::new() };
    let MethodDetail::Email { password_set, .. } = &method.detail else { return Vec::new() };
    let days = estate.now.millis_since(*password_set) / (DAY_SECONDS * 1_000);
    if days <= PASSWORD_DAYS_MAX {
        return Vec::new();
    }
    let wrong = format!("the password is {days} days old");
    vec![Place::new(owner(estate), wrong, "keysherd change-admin-account-password")]
}
