//! The account's settings, and making accounts.

use keysherd_base::FaultKind;
use keysherd_domain::account::{AccountSettings, TokenTtl};
use keysherd_domain::auth_method::IpNetwork;
use keysherd_plane::accounts::{AccountGet, AccountUpdate};

use crate::testing::{START, World, kind};

async fn settings(world: &World) -> AccountSettings {
    world.ask(&world.admin, AccountGet).await.unwrap().account.settings
}

#[tokio::test]
async fn settings_change_only_from_what_was_read() {
    let world = World::new().await;
    let expected = settings(&world).await;
    let named = |name: &str| AccountUpdate {
        expected: expected.clone(),
        settings: AccountSettings { company_name: name.to_owned(), ..expected.clone() },
        default_key: None,
    };
    world.ask(&world.admin, named("first")).await.unwrap();
    assert_eq!(kind(world.ask(&world.admin, named("second")).await), FaultKind::Conflict);
    assert_eq!(settings(&world).await.company_name, "first");
    let world = world.restarted();
    assert_eq!(settings(&world).await.company_name, "first");
}

#[tokio::test]
async fn settings_are_in_force_at_the_next_login() {
    let world = World::new().await;
    let expected = settings(&world).await;
    let token_ttl = TokenTtl { minimum: 1, default: 7, maximum: 10 };
    let settings = AccountSettings { token_ttl, ..expected.clone() };
    let message = AccountUpdate { expected, settings, default_key: None };
    world.ask(&world.admin, message).await.unwrap();
    let created = &world.first.created;
    let reply = world.login(&created.admin_access_id, &world.first.admin_key).await.unwrap();
    assert_eq!(reply.expires, START.plus_seconds(7 * 60));
}

#[tokio::test]
async fn settings_out_of_bounds_or_that_lock_out_are_refused() {
    let world = World::new().await;
    let expected = settings(&world).await;
    let ttl = |minimum, default, maximum| AccountSettings {
        token_ttl: TokenTtl { minimum, default, maximum },
        ..expected.clone()
    };
    let mut versions = expected.clone();
    versions.versions.max_versions.insert("static-secret".to_owned(), 0);
    let elsewhere = AccountSettings {
        bound_ips: vec![IpNetwork::parse("10.0.0.0/8").unwrap()],
        ..expected.clone()
    };
    let other_client =
        AccountSettings { allowed_client_types: vec!["ui".to_owned()], ..expected.clone() };
    let long = AccountSettings { city: "c".repeat(20_000), ..expected.clone() };
    let bad = [
        ttl(0, 60, 720),
        ttl(61, 60, 720),
        ttl(5, 721, 720),
        ttl(5, 60, 50_000),
        versions,
        elsewhere,
        other_client,
        long,
    ];
    for settings in bad {
        let expected = expected.clone();
        let message = AccountUpdate { expected, settings: settings.clone(), default_key: None };
        let outcome = world.ask(&world.admin, message).await;
        assert_eq!(kind(outcome), FaultKind::BadRequest, "{settings:?}");
    }
}

#[tokio::test]
async fn the_default_key_is_named_by_path_only() {
    let world = World::new().await;
    let expected = settings(&world).await;
    let mut forged = expected.clone();
    forged.default_key = Some(keysherd_base::ItemId(1));
    let message = |default_key| AccountUpdate {
        expected: expected.clone(),
        settings: forged.clone(),
        default_key,
    };
    let absent = message(Some(Some("/no/key".to_owned())));
    assert_eq!(kind(world.ask(&world.admin, absent).await), FaultKind::NotFound);
    world.ask(&world.admin, message(None)).await.unwrap();
    assert_eq!(settings(&world).await.default_key, None);
}

#[tokio::test]
async fn accounts_are_made_whole_or_not_at_all() {
    let world = World::new().await;
    assert!(world.control.has_accounts().unwrap());
    let other = world.another_account("second@example.com").await;
    assert_ne!(other.id, world.first.id);
    let account = world.ask(&world.admin, AccountGet).await.unwrap().account;
    assert_ne!(account.owner_method, 0);
    let owner = world.login_email("second@example.com", None, &other.owner_key).await.unwrap();
    let view = world.ask(&owner.token, AccountGet).await.unwrap();
    assert_eq!((view.account.id, view.default_key_name), (other.id, None));
}
