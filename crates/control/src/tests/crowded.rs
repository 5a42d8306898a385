//! An account with very many rules is slow for itself alone.

use std::time::{Duration, Instant};

use keysherd_base::AssocId;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::role::{Assoc, Role, RuleKind};
use keysherd_plane::Caller;
use keysherd_plane::roles::RuleSet;
use keysherd_store::{Tx, assocs, roles};
use tokio::task::JoinHandle;

use crate::testing::{World, item, rule};

/// More rules for one bearer than an account's rule sets may have together.
const ROLES: usize = 21;
const RULES: usize = 10_000;
const PATIENCE: Duration = Duration::from_secs(120);

/// Somebody whom very many rules bind; a token.
async fn crowded(world: &World) -> String {
    let token = world.user("many", &[rule(RuleKind::Item, "/mine/*", "read,list")]).await;
    let (account, now) = (world.first.id, world.now());
    let directory = world.control.directory.account(account).unwrap().unwrap();
    let method = directory.method(&item("/users/many")).unwrap().id;
    // Past the use cases, which take them one by one.
    let many = move |tx: &Tx| {
        (0..ROLES).try_for_each(|number| {
            let rules = (0..RULES).map(|n| rule(RuleKind::Item, &format!("/{number}/{n}"), "read"));
            let role = Role {
                id: 0,
                account,
                path: item(&format!("/crowd/{number}")),
                comment: String::new(),
                admin: false,
                rules: rules.collect(),
                delete_protection: false,
                created: now,
                modified: now,
            };
            let assoc = Assoc {
                id: AssocId(format!("ass-crowd-{number}").into()),
                role: roles::insert(tx, &role)?,
                method,
                sub_claims: SubClaims::default(),
                case_sensitive: true,
                created: now,
            };
            assocs::insert(tx, account, &assoc)
        })
    };
    world.control.store.commit(Vec::new(), many).await.unwrap();
    world.control.catch_up().await.unwrap();
    token
}

/// Many requests at once, each a task of its own; how many rules bind their bearer.
fn requests(world: &World, count: usize, caller: &Caller) -> Vec<JoinHandle<usize>> {
    let one = |_| {
        let (control, caller) = (world.control.clone(), caller.clone());
        tokio::spawn(async move { control.principal(&caller).await.unwrap().rules.rules().len() })
    };
    (0..count).map(one).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_many_rules_are_compiled_once_and_keep_nobody_else_waiting() {
    let world = World::new().await;
    let second = world.another_account("second@example.com").await;
    let theirs = world.login(&second.created.admin_access_id, &second.admin_key).await;
    let theirs = world.caller(&theirs.unwrap().token);
    let mine = world.caller(&crowded(&world).await);
    let made = || world.control.directory.made();
    let (readings, compiled) = made();

    let waiting = requests(&world, 50, &mine);
    let begun = Instant::now();
    while made().0 == readings {
        assert!(begun.elapsed() < PATIENCE, "nobody reads the account");
        tokio::task::yield_now().await;
    }
    for request in requests(&world, 10, &theirs) {
        request.await.unwrap();
    }
    assert_eq!(made().1, compiled, "the others waited for the rules of somebody else");
    for request in waiting {
        assert_eq!(request.await.unwrap(), ROLES * RULES + 1);
    }
    assert_eq!(made(), (readings + 1, compiled + 1));
    // Too large to be kept with others, and kept all the same.
    for request in requests(&world, 50, &mine) {
        request.await.unwrap();
    }
    assert_eq!(made(), (readings + 1, compiled + 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_wait_for_an_account_are_answered_by_one_reading() {
    let world = World::new().await;
    let mine = world.caller(&crowded(&world).await);
    for request in requests(&world, 1, &mine) {
        request.await.unwrap();
    }
    let (readings, compiled) = world.control.directory.made();
    let set =
        RuleSet { role: item("/roles/many"), rule: rule(RuleKind::Item, "/more/*", "read,list") };
    world.ask(&world.admin, set).await.unwrap();
    world.control.catch_up().await.unwrap();
    for request in requests(&world, 600, &mine) {
        assert_eq!(request.await.unwrap(), ROLES * RULES + 2);
    }
    assert_eq!(world.control.directory.made(), (readings + 1, compiled + 1));
}
