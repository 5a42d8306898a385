//! Auth methods: people come from a provider of identities, shared methods ask for sub-claims.

use std::collections::BTreeMap;

use super::{Check, Estate, Place, Verdict};

/// The client type of a gateway's own method.
const GATEWAY: &str = "gateway-admin";

pub(super) const CHECKS: &[Check<Estate>] = &[
    Check {
        name: "administrators-are-people",
        rows: "P4, P10",
        practice: "Administrators are selected people who come from an identity provider.",
        severity: Verdict::Warn,
        find: no_federated_administrator,
    },
    Check {
        name: "shared-methods-ask-for-sub-claims",
        rows: "P11, P12, G16",
        practice: "Whoever shares an auth method is told apart by sub-claims at every role.",
        severity: Verdict::Fail,
        find: without_sub_claims,
    },
    Check {
        name: "shared-methods-force-sub-claims",
        rows: "P11",
        practice: "Shared auth methods refuse associations without sub-claims.",
        severity: Verdict::Warn,
        find: unforced,
    },
    Check {
        name: "gateways-have-a-method-of-their-own",
        rows: "G4, G17",
        practice: "The auth method of a gateway serves gateways alone.",
        severity: Verdict::Warn,
        find: gateway_method_shared,
    },
    Check {
        name: "methods-are-in-use",
        rows: "P6",
        practice: "An auth method without a role lets nobody do anything and is deleted.",
        severity: Verdict::Warn,
        find: without_role,
    },
];

fn no_federated_administrator(estate: &Estate) -> Vec<Place> {
    let administrators: Vec<_> = estate.administrators().map(|(_, method)| method).collect();
    if administrators.iter().any(|method| estate.facts(method).federated) {
        return Vec::new();
    }
    let (wrong, mend) = if administrators.is_empty() {
        ("nobody but the owner administers the account", "keysherd auth-method-create-oidc")
    } else {
        (
            "every administrator but the owner has a credential of this account",
            "keysherd auth-method-create-oidc",
        )
    };
    vec![Place::new("admin roles", wrong, mend)]
}

fn without_sub_claims(estate: &Estate) -> Vec<Place> {
    let open = estate.assocs.iter().filter(|assoc| assoc.sub_claims.is_empty());
    let places = open.filter_map(|assoc| {
        let method = estate.method(assoc.method)?;
        let role = estate.role(assoc.role)?;
        estate.facts(method).shared.then(|| {
            Place::new(
                format!("role {}, auth method {}", role.path, method.path),
                "everybody whom the method lets in has the role",
                format!("keysherd update-assoc --assoc-id {} --sub-claims group=NAME", assoc.id),
            )
        })
    });
    places.collect()
}

fn unforced(estate: &Estate) -> Vec<Place> {
    let shared = estate.methods.iter().filter(|method| estate.facts(method).shared);
    let unforced = shared.filter(|method| !method.shared.force_sub_claims);
    let place = |method: &std::sync::Arc<crate::auth_method::AuthMethod>| {
        let kind = method.detail.kind_name();
        Place::new(
            format!("auth method {}", method.path),
            format!("a role can be given to everybody who signs in by it ({kind})"),
            "keysherd auth-method-update-KIND --force-sub-claims",
        )
    };
    unforced.map(place).collect()
}

fn gateway_method_shared(estate: &Estate) -> Vec<Place> {
    let is_gateway = |kind: &String| kind.eq_ignore_ascii_case(GATEWAY);
    let mixed = estate.methods.iter().filter(|method| {
        let kinds = &method.shared.allowed_client_types;
        kinds.iter().any(is_gateway) && !kinds.iter().all(is_gateway)
    });
    let place = |method: &std::sync::Arc<crate::auth_method::AuthMethod>| {
        let others = method.shared.allowed_client_types.join(", ");
        Place::new(
            format!("auth method {}", method.path),
            format!("it serves {others}"),
            "keysherd auth-method-update-api-key --allowed-client-type gateway-admin",
        )
    };
    mixed.map(place).collect()
}

fn without_role(estate: &Estate) -> Vec<Place> {
    let mut used: BTreeMap<i64, usize> = BTreeMap::new();
    estate.assocs.iter().for_each(|assoc| *used.entry(assoc.method).or_default() += 1);
    let idle = estate
        .methods
        .iter()
        .filter(|method| !used.contains_key(&method.id) && !estate.is_owner(method));
    let place = |method: &std::sync::Arc<crate::auth_method::AuthMethod>| {
        Place::new(
            format!("auth method {}", method.path),
            "no role is associated with it",
            format!("keysherd auth-method-delete --name {}", method.path),
        )
    };
    idle.map(place).collect()
}
