//! The directory in memory: what it shares, and that it never stays behind the store.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use keysherd_domain::auth_method::MethodShared;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::policy::rule_set::RuleSet;
use keysherd_domain::role::RuleKind;
use keysherd_plane::auth::{Login, LoginSubject, PURPOSE_LOGIN};
use keysherd_plane::roles::RuleSet as SetRule;

use crate::testing::{World, client, item, role, rule};

/// The rules that bind a bearer who signs in from `address`.
async fn rules_from(world: &World, login: &(LoginSubject, Login), address: &str) -> Arc<RuleSet> {
    let mut caller = world.caller("");
    caller.client = client(address, "sdk");
    let token = world.ask_as(caller.clone(), login.1.clone()).await.unwrap().token;
    caller.token = Some(token.as_str().into());
    let first = world.control.authenticate(&caller).await.unwrap().rules;
    let again = world.control.authenticate(&caller).await.unwrap().rules;
    assert!(Arc::ptr_eq(&first, &again));
    first
}

#[tokio::test]
async fn bearers_share_rules_unless_their_claims_matter() {
    let world = World::new().await;
    let (access_id, key) = world.api_key("/shared", MethodShared::default()).await;
    world.role("/plain", &[rule(RuleKind::Item, "/x/*", "read")]).await;
    world.associate("/plain", "/shared", SubClaims::default()).await;
    let subject = LoginSubject::AccessId(access_id);
    let login = || {
        let proof = world.proof(PURPOSE_LOGIN, &subject, &key);
        (subject.clone(), Login { subject: subject.clone(), proof, otp: None })
    };
    let here = rules_from(&world, &login(), "192.0.2.7").await;
    let there = rules_from(&world, &login(), "192.0.2.8").await;
    assert!(Arc::ptr_eq(&here, &there));
    let template = rule(RuleKind::Item, "/home/{{client_ip}}/*", "read");
    let set = SetRule { role: item("/plain"), rule: template };
    world.ask(&world.admin, set).await.unwrap();
    let here = rules_from(&world, &login(), "192.0.2.7").await;
    let there = rules_from(&world, &login(), "192.0.2.8").await;
    assert!(!Arc::ptr_eq(&here, &there));
    let again = rules_from(&world, &login(), "192.0.2.7").await;
    assert!(Arc::ptr_eq(&here, &again));
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_leave_the_directory_behind() {
    let world = World::new().await;
    // The writer is busy, so that nobody is answered at once.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let busy = world.control.store.commit(Vec::new(), move |_| {
        // It ends with an error, when the other end is dropped.
        let _ = held.recv();
        Ok(())
    });
    {
        let mut asked = pin!(world.ask(&world.admin, role("/late")));
        // Once: the change is queued, and the caller leaves before the answer.
        let left = poll_fn(|context| Poll::Ready(asked.as_mut().poll(context).is_pending())).await;
        assert!(left);
    }
    drop(release);
    busy.await.unwrap();
    let committed = world.control.store.commit(Vec::new(), |_| Ok(()));
    committed.await.unwrap();
    world.control.catch_up().await.unwrap();
    let directory = world.control.directory.account(world.first.id).unwrap().unwrap();
    assert!(directory.role(&item("/late")).is_some());
}

#[tokio::test]
async fn an_account_is_forgotten_and_read_again_without_notice() {
    let world = World::new().await;
    let first = world.control.directory.account(world.first.id).unwrap().unwrap();
    for index in 0..3 {
        world.another_account(&format!("owner-{index}@example.com")).await;
    }
    let still = world.control.directory.account(world.first.id).unwrap().unwrap();
    assert!(Arc::ptr_eq(&first, &still));
    world.control.directory.forget(world.first.id);
    let read = world.control.directory.account(world.first.id).unwrap().unwrap();
    assert_ne!(first.version, read.version);
    world.ask(&world.admin, keysherd_plane::accounts::AccountGet).await.unwrap();
}
