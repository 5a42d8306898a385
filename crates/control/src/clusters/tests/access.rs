//! Who may configure a cluster, command by command, and who decides that.

use std::collections::BTreeMap;

use keysherd_domain::claims::SubClaims;
use keysherd_domain::gateway_access::GatewayPermission;
use keysherd_plane::configs::GatewayConfigure;
use keysherd_plane::gateway_access::{
    Allowed, GatewayAccessCreate, GatewayAccessDelete, GatewayAccessGet, GatewayAccessUpdate,
};

use super::*;

pub(super) fn allowed(access_id: &AccessId, permissions: &[GatewayPermission]) -> Allowed {
    Allowed {
        access_id: access_id.clone(),
        description: String::new(),
        sub_claims: SubClaims::default(),
        case_sensitive: true,
        permissions: permissions.to_vec(),
    }
}

pub(super) fn create(name: &str, allowed: Allowed) -> GatewayAccessCreate {
    GatewayAccessCreate { name: name.to_owned(), allowed }
}

/// Whether the bearer may run this command about the configuration of the gateway.
pub(super) async fn may(world: &World, at: GatewayIdentity, token: &str, command: &str) -> bool {
    let caller = keysherd_plane::Caller { command: command.into(), ..world.caller(token) };
    let asked = world.control.plane_for(at).ask(caller, GatewayConfigure { signs_for: None }).await;
    match asked {
        Ok(_) => true,
        Err(fault) => {
            assert_eq!(fault.kind(), FaultKind::Unauthorized, "{command}: {fault:?}");
            false
        }
    }
}

const COMMANDS: &[(&str, GatewayPermission)] = &[
    ("gateway-create-k8s-auth-config", GatewayPermission::K8sAuth),
    ("gateway-get-k8s-auth-config", GatewayPermission::K8sAuth),
    ("gateway-update-ldap-auth-config", GatewayPermission::LdapAuth),
    ("gateway-update-log-forwarding-splunk", GatewayPermission::LogForwarding),
    ("gateway-update-log-reader", GatewayPermission::LogForwarding),
    ("gateway-update-tls-cert", GatewayPermission::General),
    ("gateway-get-config", GatewayPermission::General),
    ("gateway-update-defaults", GatewayPermission::Defaults),
    ("gateway-update-cache", GatewayPermission::Caching),
    ("gateway-update-something-new", GatewayPermission::Admin),
];

/// A world in which [`FIRST`] is in a cluster, and somebody who is no administrator.
pub(super) async fn setting() -> (World, AccessId, String) {
    let world = World::new().await;
    let (_, gateway) = world.gateway_token("/gateways/prod").await;
    world.at(FIRST, &gateway, hello("prod")).await.unwrap();
    let (id, token) = world.gateway_token("/people/ops").await;
    (world, id, token)
}

#[tokio::test]
async fn each_command_takes_its_permission_and_no_other() {
    let (world, id, token) = setting().await;
    let admin = world.admin.clone();
    for (command, _) in COMMANDS {
        assert!(may(&world, FIRST, &admin, command).await);
        assert!(!may(&world, FIRST, &token, command).await);
    }
    for (name, permission) in GatewayPermission::ALL {
        world.at(FIRST, &admin, create(name, allowed(&id, &[*permission]))).await.unwrap();
        for (command, needed) in COMMANDS {
            let pair = [GatewayPermission::General, GatewayPermission::Defaults];
            let enough = permission == needed
                || *permission == GatewayPermission::Admin
                || pair.contains(needed) && pair.contains(permission);
            let allowed = may(&world, FIRST, &token, command).await;
            assert_eq!(allowed, enough, "{command} with {name}");
            // In another cluster, or none, it is worth nothing.
            assert!(!may(&world, SECOND, &token, command).await);
        }
        let delete = GatewayAccessDelete { name: (*name).to_owned() };
        world.at(FIRST, &admin, delete).await.unwrap();
    }
    for (command, _) in COMMANDS {
        assert!(!may(&world, FIRST, &token, command).await, "{command} after its end");
    }
}

#[tokio::test]
async fn only_who_may_do_everything_lets_others_in() {
    let (world, id, token) = setting().await;
    let admin = world.admin.clone();
    let k8s = allowed(&id, &[GatewayPermission::K8sAuth, GatewayPermission::K8sAuth]);
    let one = create("/ops", k8s.clone());
    assert_eq!(kind(world.at(FIRST, &token, one.clone()).await), FaultKind::Unauthorized);
    let made = world.at(FIRST, &admin, one.clone()).await.unwrap();
    assert_eq!((made.access.name.as_str(), made.access.permissions.len()), ("ops", 1));
    assert_eq!(kind(world.at(FIRST, &admin, one.clone()).await), FaultKind::Conflict);
    // With a part of it, nobody reads or widens what they have.
    let get = GatewayAccessGet { name: "/ops".to_owned() };
    let widened = GatewayAccessUpdate {
        name: "ops".to_owned(),
        new_name: None,
        allowed: allowed(&id, &[GatewayPermission::Admin]),
    };
    let delete = GatewayAccessDelete { name: "ops".to_owned() };
    assert_eq!(kind(world.at(FIRST, &token, get.clone()).await), FaultKind::Unauthorized);
    assert_eq!(kind(world.at(FIRST, &token, widened.clone()).await), FaultKind::Unauthorized);
    assert_eq!(kind(world.at(FIRST, &token, delete.clone()).await), FaultKind::Unauthorized);
    world.at(FIRST, &admin, widened).await.unwrap();
    let two = create("two", k8s);
    world.at(FIRST, &token, two.clone()).await.unwrap();
    // Not through a gateway that is in no cluster, nor by another account.
    assert_eq!(kind(world.at(SECOND, &admin, two.clone()).await), FaultKind::Conflict);
    let foreign = world.another_account("other@example.com").await;
    let login = world.login(&foreign.created.admin_access_id, &foreign.admin_key).await;
    let foreign = login.unwrap().token;
    assert_eq!(kind(world.at(FIRST, &foreign, two.clone()).await), FaultKind::Conflict);
    assert_eq!(kind(world.at(FIRST, &foreign, get.clone()).await), FaultKind::Conflict);
    // What is malformed, unknown or empty.
    let unknown = AccessId::parse("p-aaaaaaaaaaaaaa").unwrap();
    let claims = SubClaims(BTreeMap::from([("team".to_owned(), Vec::new())]));
    for bad in [
        create("", allowed(&id, &[GatewayPermission::Admin])),
        create("a\nb", allowed(&id, &[GatewayPermission::Admin])),
        create("none", allowed(&id, &[])),
        create("unknown", allowed(&unknown, &[GatewayPermission::Admin])),
        create(
            "claims",
            Allowed { sub_claims: claims, ..allowed(&id, &[GatewayPermission::Admin]) },
        ),
    ] {
        assert_eq!(kind(world.at(FIRST, &admin, bad).await), FaultKind::BadRequest);
    }
    world.at(FIRST, &admin, delete.clone()).await.unwrap();
    assert_eq!(kind(world.at(FIRST, &admin, delete).await), FaultKind::NotFound);
    assert_eq!(kind(world.at(FIRST, &admin, get).await), FaultKind::NotFound);
    let actions: Vec<_> = world.records().iter().map(|it| it.draft.action.to_string()).collect();
    for action in ["create_gateway_access", "update_gateway_access", "delete_gateway_access"] {
        assert!(actions.iter().any(|known| known == action), "{actions:?}");
    }
}

#[tokio::test]
async fn claims_decide_who_of_a_method_is_meant() {
    let (world, id, token) = setting().await;
    let admin = world.admin.clone();
    let mut claims = SubClaims::default();
    claims.set("team", "ops");
    let ops = Allowed { sub_claims: claims, ..allowed(&id, &[GatewayPermission::Admin]) };
    world.at(FIRST, &admin, create("ops", ops)).await.unwrap();
    // A bearer of the method who does not have the claim.
    assert!(!may(&world, FIRST, &token, "gateway-get-k8s-auth-config").await);
    let view = world.at(FIRST, &token, ClusterList).await.unwrap().clusters.remove(0);
    assert!(!view.may_configure);
}
