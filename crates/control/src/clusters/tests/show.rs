//! What those who configure a cluster are shown of it, and the default key that they may choose.

use keysherd_base::ItemId;
use keysherd_domain::gateway_access::GatewayPermission;
use keysherd_domain::item::KeyAlgorithm;
use keysherd_plane::clusters::{ClusterKeyChoose, ClusterKeyChosen, ClusterShow, ClusterShown};
use keysherd_plane::gateway_access::GatewayAccessUpdate;
use keysherd_plane::items::{SecretCreate, SecretCreateReply};

use super::access::{allowed, create, setting};
use super::*;
use crate::items::testing::{rules, secret};

const GCM: KeyAlgorithm = KeyAlgorithm::Aes256Gcm;

async fn asked<A: Ask>(
    world: &World,
    (at, token, command): (GatewayIdentity, &str, &str),
    message: A,
) -> Result<A::Reply, keysherd_base::Fault> {
    let caller = keysherd_plane::Caller { command: command.into(), ..world.caller(token) };
    world.control.plane_for(at).ask(caller, message).await
}

async fn shown(
    world: &World,
    at: GatewayIdentity,
    token: &str,
) -> Result<ClusterShown, keysherd_base::Fault> {
    asked(world, (at, token, "gateway-get-config"), ClusterShow).await
}

async fn chosen(
    world: &World,
    token: &str,
    key: &str,
) -> Result<ClusterKeyChosen, keysherd_base::Fault> {
    let message = ClusterKeyChoose { key: item(key) };
    asked(world, (FIRST, token, "gateway-update-defaults"), message).await
}

/// Creates a secret through a gateway that names a default key of its cluster.
async fn created(
    world: &World,
    (at, token): (GatewayIdentity, &str),
    mut message: SecretCreate,
) -> Result<SecretCreateReply, keysherd_base::Fault> {
    let target = WriteTarget::NewSecret {
        path: message.path.clone(),
        uid: message.uid,
        protection_key: message.protection_key.clone(),
        cluster_key: message.cluster_key,
    };
    let wishes = vec![(world.caller(token), Wish::Write { target, salt: fresh_salt() })];
    let grant = Grant { wishes, with_permit: true, keep: Keeping::No };
    let granted = world.at(at, token, grant).await?.outcomes.remove(0)?.granted;
    message.value = sealed(world, &granted).1;
    world.at(at, token, message).await
}

#[tokio::test]
async fn who_may_configure_a_part_sees_the_cluster_and_what_they_may() {
    let (world, id, token) = setting().await;
    let admin = world.admin.clone();
    let all = shown(&world, FIRST, &admin).await.unwrap();
    assert_eq!(all.permissions.len(), GatewayPermission::ALL.len());
    assert_eq!(all.cluster.map(|cluster| cluster.name).as_deref(), Some("prod"));
    // In no cluster there is none, and it is for administrators.
    assert!(shown(&world, SECOND, &admin).await.unwrap().cluster.is_none());
    assert_eq!(kind(shown(&world, FIRST, &token).await), FaultKind::Unauthorized);
    use GatewayPermission::{Admin, Defaults, General, K8sAuth};
    world.at(FIRST, &admin, create("ops", allowed(&id, &[K8sAuth]))).await.unwrap();
    assert_eq!(kind(shown(&world, FIRST, &token).await), FaultKind::Unauthorized);
    let widened = |permissions: &[GatewayPermission]| GatewayAccessUpdate {
        name: "ops".to_owned(),
        new_name: None,
        allowed: allowed(&id, permissions),
    };
    world.at(FIRST, &admin, widened(&[General, K8sAuth])).await.unwrap();
    let some = shown(&world, FIRST, &token).await.unwrap();
    assert_eq!(some.permissions, [Defaults, General, K8sAuth]);
    assert!(some.allowed.is_empty(), "who else may is for those who may do everything");
    assert_eq!(kind(shown(&world, SECOND, &token).await), FaultKind::Unauthorized);
    world.at(FIRST, &admin, widened(&[Admin])).await.unwrap();
    assert_eq!(shown(&world, FIRST, &token).await.unwrap().allowed.len(), 1);
    // Each refusal is in the log, and no success: the command itself is recorded.
    let records = world.records();
    let of = |status: bool| {
        let shown = records.iter().filter(|it| it.draft.action == "gateway_get_config");
        shown.filter(|it| (it.status == 200) == status).count()
    };
    assert_eq!((of(false), of(true)), (3, 0));
}

#[tokio::test]
async fn a_default_key_of_the_cluster_is_one_its_chooser_may_read_and_that_protects() {
    let (world, id, token) = setting().await;
    let admin = world.admin.clone();
    world.key(&admin, "/keys/gcm", GCM).await.unwrap();
    world.key(&admin, "/keys/cbc", KeyAlgorithm::Aes256Cbc).await.unwrap();
    world.secrets(&["/keys/secret"]).await;
    for (key, expect) in [
        ("/keys/cbc", FaultKind::BadRequest),
        ("/keys/secret", FaultKind::BadRequest),
        ("/keys/none", FaultKind::NotFound),
    ] {
        assert_eq!(kind(chosen(&world, &admin, key).await), expect, "{key}");
    }
    assert_eq!(kind(chosen(&world, &token, "/keys/gcm").await), FaultKind::Unauthorized);
    let defaults = allowed(&id, &[GatewayPermission::Defaults]);
    world.at(FIRST, &admin, create("ops", defaults)).await.unwrap();
    // Whoever may set defaults has no right to a key by that.
    assert_eq!(kind(chosen(&world, &token, "/keys/gcm").await), FaultKind::Unauthorized);
    world.role("/keys", &rules(&["/keys/* read"])).await;
    world.associate("/keys", "/people/ops", Default::default()).await;
    chosen(&world, &token, "/keys/gcm").await.unwrap();
    let elsewhere = ClusterKeyChoose { key: item("/keys/gcm") };
    assert_eq!(kind(world.at(SECOND, &admin, elsewhere).await), FaultKind::Conflict);
}

#[tokio::test]
async fn secrets_are_under_the_default_key_of_the_gateway_s_cluster() {
    let (world, _, _) = setting().await;
    let admin = world.admin.clone();
    world.key(&admin, "/keys/gcm", GCM).await.unwrap();
    world.key(&admin, "/keys/other", GCM).await.unwrap();
    let id = chosen(&world, &admin, "/keys/gcm").await.unwrap().item;
    let of_cluster = |path: &str| SecretCreate { cluster_key: Some(id), ..secret(path) };
    // Nobody needs a right to it, as with the account's.
    let creator = world.user("creator", &rules(&["/a/* create"])).await;
    let made = created(&world, (FIRST, &creator), of_cluster("/a/one")).await.unwrap();
    assert_eq!(made.item.protection_key, Some(id));
    // What is named goes before it.
    let mut named = of_cluster("/a/two");
    named.protection_key = Some(item("/keys/other"));
    let made = created(&world, (FIRST, &admin), named).await.unwrap();
    assert_ne!(made.item.protection_key, Some(id));
    // A gateway in no cluster of the account names none.
    let made = created(&world, (SECOND, &admin), of_cluster("/a/three")).await.unwrap();
    assert_eq!(made.item.protection_key, None);
    let foreign = world.another_account("other@example.com").await;
    let login = world.login(&foreign.created.admin_access_id, &foreign.admin_key).await;
    let foreign = login.unwrap().token;
    let wish = Wish::Write {
        target: WriteTarget::NewSecret {
            path: item("/a/four"),
            uid: Uid([5; 16]),
            protection_key: None,
            cluster_key: Some(id),
        },
        salt: fresh_salt(),
    };
    let Granted::Write { key, .. } = granted(&world, &foreign, wish).await.unwrap() else {
        panic!("not a write")
    };
    assert_eq!(key.key_id, foreign_key(&world, &foreign).await);
    // One that is gone is not silently another one.
    let gone = SecretCreate { cluster_key: Some(ItemId(999_999)), ..secret("/a/five") };
    assert_eq!(kind(created(&world, (FIRST, &admin), gone).await), FaultKind::Conflict);
    // Where the account prescribes its own, the cluster's is refused.
    world.settings(Some(Some("/keys/other")), |settings| settings.lock_default_key = true).await;
    let locked = created(&world, (FIRST, &admin), of_cluster("/a/six")).await;
    assert_eq!(kind(locked), FaultKind::Forbidden);
    world.settings(Some(Some("/keys/gcm")), |settings| settings.lock_default_key = true).await;
    created(&world, (FIRST, &admin), of_cluster("/a/seven")).await.unwrap();
}

/// The key that a new secret of the bearer's account has by default.
async fn foreign_key(world: &World, token: &str) -> Uid {
    let target = WriteTarget::NewSecret {
        path: item("/a/other"),
        uid: Uid([6; 16]),
        protection_key: None,
        cluster_key: None,
    };
    let wish = Wish::Write { target, salt: fresh_salt() };
    match granted(world, token, wish).await.unwrap() {
        Granted::Write { key, .. } => key.key_id,
        other => panic!("{other:?}"),
    }
}
