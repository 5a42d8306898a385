//! Gateways: those who configure a cluster are selected people, and clusters have names.

use std::sync::Arc;

use super::{Check, Estate, GatewayEstate, Place, Verdict};
use crate::auth_method::AuthMethod;
use crate::cluster::DEFAULT_NAME;
use crate::gateway_access::{GatewayAccess, GatewayPermission};

pub(super) const CHECKS: &[Check<Estate>] = &[
    Check {
        name: "gateways-are-configured-by-selected-people",
        rows: "G16",
        practice: "An allowed access for a shared auth method asks for sub-claims.",
        severity: Verdict::Fail,
        find: everybody,
    },
    Check {
        name: "few-configure-everything-of-a-gateway",
        rows: "G16",
        practice: "An allowed access names the parts that are needed, not all of them.",
        severity: Verdict::Warn,
        find: everything,
    },
    Check {
        name: "clusters-have-names",
        rows: "G21",
        practice: "A gateway cluster has a meaningful name.",
        severity: Verdict::Warn,
        find: unnamed,
    },
];

fn accesses(estate: &Estate) -> impl Iterator<Item = (&GatewayEstate, &GatewayAccess)> {
    estate.gateways.iter().flat_map(|gateway| gateway.allowed.iter().map(move |it| (gateway, it)))
}

fn method<'e>(estate: &'e Estate, access: &GatewayAccess) -> Option<&'e Arc<AuthMethod>> {
    estate.methods.iter().find(|method| method.access_id == access.access_id)
}

fn at(gateway: &GatewayEstate, access: &GatewayAccess) -> String {
    format!("allowed access {} of gateway cluster {}", access.name, gateway.cluster.name)
}

fn narrowed(access: &GatewayAccess, permissions: &str, claims: &str) -> String {
    format!(
        "keysherd gateway-update-allowed-access --name '{}' --access-id {} --permissions \
         {permissions}{claims}",
        access.name, access.access_id
    )
}

fn names(access: &GatewayAccess) -> String {
    let names: Vec<_> = access.permissions.iter().map(|permission| permission.name()).collect();
    names.join(",")
}

fn everybody(estate: &Estate) -> Vec<Place> {
    let open = accesses(estate).filter(|(_, access)| {
        let shared = method(estate, access).is_some_and(|method| estate.facts(method).shared);
        shared && access.sub_claims.is_empty()
    });
    let place = |(gateway, access): (&GatewayEstate, &GatewayAccess)| {
        let names = names(access);
        Place::new(
            at(gateway, access),
            format!("everybody whom the auth method lets in configures {names}"),
            narrowed(access, &names, " --sub-claims group=NAME"),
        )
    };
    open.map(place).collect()
}

fn everything(estate: &Estate) -> Vec<Place> {
    let all = accesses(estate)
        .filter(|(_, access)| access.permissions.contains(&GatewayPermission::Admin));
    let place = |(gateway, access): (&GatewayEstate, &GatewayAccess)| {
        Place::new(
            at(gateway, access),
            "whoever has it configures everything, and decides who else may",
            narrowed(access, "PART,PART", ""),
        )
    };
    all.map(place).collect()
}

fn unnamed(estate: &Estate) -> Vec<Place> {
    let unnamed = estate.gateways.iter().filter(|it| it.cluster.name == DEFAULT_NAME);
    let place = |gateway: &GatewayEstate| {
        Place::new(
            format!("gateway cluster {}", gateway.cluster.full_name()),
            "it has the name of clusters that nobody named; another name is another cluster",
            "keysherd gateway clone --cluster-name NAME --from defaultCluster",
        )
    };
    unnamed.map(place).collect()
}
