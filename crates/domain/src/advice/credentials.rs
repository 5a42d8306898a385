//! Long-lived credentials: access keys end, are bound to networks, and administer nothing.

use std::sync::Arc;

use super::{Check, Estate, Place, Verdict};
use crate::auth_method::{AuthMethod, MethodDetail};

const DAY_MILLIS: i64 = 86_400_000;
/// An access key older than this is worth replacing, in days.
const KEY_DAYS_MAX: i64 = 90;
/// Tokens that last longer than a working day are worth a word, in minutes.
const TOKEN_MINUTES_MAX: u32 = 720;

pub(super) const CHECKS: &[Check<Estate>] = &[
    Check {
        name: "access-keys-end",
        rows: "P7",
        practice: "Access keys have an end.",
        severity: Verdict::Warn,
        find: endless,
    },
    Check {
        name: "access-keys-are-bound",
        rows: "P7",
        practice: "Access keys are good from known networks only.",
        severity: Verdict::Warn,
        find: unbound,
    },
    Check {
        name: "access-keys-are-young",
        rows: "P7",
        practice: "Access keys are replaced every three months.",
        severity: Verdict::Warn,
        find: old,
    },
    Check {
        name: "access-keys-do-not-administer",
        rows: "P4, P7",
        practice: "No access key has an admin role.",
        severity: Verdict::Fail,
        find: administering,
    },
    Check {
        name: "tokens-are-short-lived",
        rows: "P8",
        practice: "Tokens last for a working day at most.",
        severity: Verdict::Warn,
        find: long_tokens,
    },
];

fn access_keys(estate: &Estate) -> impl Iterator<Item = &Arc<AuthMethod>> {
    let is_key = |method: &&Arc<AuthMethod>| matches!(method.detail, MethodDetail::ApiKey { .. });
    estate.methods.iter().filter(is_key)
}

fn places(
    methods: impl Iterator<Item = impl AsRef<AuthMethod>>,
    wrong: impl Fn(&AuthMethod) -> String,
    mend: impl Fn(&AuthMethod) -> String,
) -> Vec<Place> {
    let place = |method: &AuthMethod| {
        Place::new(format!("auth method {}", method.path), wrong(method), mend(method))
    };
    methods.map(|method| place(method.as_ref())).collect()
}

fn endless(estate: &Estate) -> Vec<Place> {
    places(
        access_keys(estate).filter(|method| method.shared.access_expires.is_none()),
        |_| "it is good for ever".to_owned(),
        |method| {
            let name = &method.path;
            format!("keysherd auth-method-update-api-key --name {name} --access-expires SECONDS")
        },
    )
}

fn unbound(estate: &Estate) -> Vec<Place> {
    let everywhere = estate.account.settings.bound_ips.is_empty();
    places(
        access_keys(estate).filter(|method| everywhere && method.shared.bound_ips.is_empty()),
        |_| "it is good from every address".to_owned(),
        |method| {
            let name = &method.path;
            format!("keysherd auth-method-update-api-key --name {name} --bound-ips NETWORK")
        },
    )
}

fn age_days(estate: &Estate, method: &AuthMethod) -> i64 {
    match &method.detail {
        MethodDetail::ApiKey { key_created, .. } => {
            estate.now.millis_since(*key_created) / DAY_MILLIS
        }
        _ => 0,
    }
}

fn old(estate: &Estate) -> Vec<Place> {
    places(
        access_keys(estate).filter(|method| age_days(estate, method) > KEY_DAYS_MAX),
        |method| format!("its key is {} days old", age_days(estate, method)),
        |method| format!("keysherd reset-access-key --name {}", method.path),
    )
}

fn administering(estate: &Estate) -> Vec<Place> {
    let keys = estate
        .administrators()
        .filter(|(_, method)| matches!(method.detail, MethodDetail::ApiKey { .. }));
    let place = |(assoc, method): (&crate::role::Assoc, &AuthMethod)| {
        Place::new(
            format!("auth method {}", method.path),
            "whoever has its key may do everything",
            format!("keysherd delete-assoc --assoc-id {}", assoc.id),
        )
    };
    keys.map(place).collect()
}

fn long_tokens(estate: &Estate) -> Vec<Place> {
    let mut found = places(
        estate.methods.iter().filter(|m| m.shared.token_ttl_minutes > TOKEN_MINUTES_MAX),
        |method| format!("its tokens last {} minutes", method.shared.token_ttl_minutes),
        |_| "keysherd auth-method-update-KIND --jwt-ttl 60".to_owned(),
    );
    let default = estate.account.settings.token_ttl.default;
    if default > TOKEN_MINUTES_MAX {
        let wrong = format!("tokens last {default} minutes unless a method says otherwise");
        found.push(Place::new(
            "the account",
            wrong,
            "keysherd update-account-settings --jwt-ttl-default 60",
        ));
    }
    found
}
