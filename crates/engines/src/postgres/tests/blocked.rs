//! Users, and others who may sign in, that want to keep a user from being removed.

use keysherd_crypto::hash::sha256;
use keysherd_targets::postgres::Session;

use super::*;

async fn signed_in(site: &Site, user: &str, password: &str) -> Session {
    let settings = site.target_as(user, password);
    connect(&database(&settings).unwrap(), Family::Postgres, &way()).await.unwrap()
}

/// What takes the lock by which removing waits for making, until the session ends.
fn taking(handle: &str) -> String {
    let hash = sha256(&[b"keysherd user ", handle.as_bytes()]);
    let number = i64::from_be_bytes(hash[..8].try_into().unwrap());
    format!("select pg_advisory_lock({number})")
}

fn stage(site: &Site, target: Settings) -> Stage {
    // Whoever removes it may end its sessions, and owns what it owns.
    let statements = "CREATE USER \"{{name}}\" PASSWORD '{{password}}'; \
                      GRANT CREATE ON SCHEMA public TO \"{{name}}\"; \
                      GRANT \"{{name}}\" TO {{userHost}}";
    site.sql("GRANT CREATE ON SCHEMA public TO PUBLIC");
    let mut stage = Stage::new(&[("creation-statements", statements)], target);
    stage.way.timeout = Duration::from_secs(12);
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_that_takes_locks_is_removed_all_the_same() {
    let site = Site::new("engines_blocked");
    site.sql("CREATE USER blocked_maker PASSWORD 'maker-password' CREATEROLE");
    site.sql("GRANT CREATE ON SCHEMA public TO blocked_maker WITH GRANT OPTION");
    for target in [site.target(), site.target_as("blocked_maker", "maker-password")] {
        let stage = stage(&site, target);
        let plan = stage.plan();
        let password = password_of(&stage.create(&plan).await.unwrap());
        let session = signed_in(&site, &plan.handle, &password).await;
        session.run(&taking(&plan.handle)).await.unwrap();
        // What it made is kept from being dropped.
        let table = signed_in(&site, &plan.handle, &password).await;
        table.run("CREATE TABLE mine ()").await.unwrap();
        table.run("SET idle_in_transaction_session_timeout = 0").await.unwrap();
        table.run("BEGIN").await.unwrap();
        table.run("SELECT * FROM mine").await.unwrap();
        // It may warn of a session that has ended by then.
        stage.revoke(&plan.handle).await.unwrap();
        assert!(!site.has(&plan.handle));
        assert!(session.run("SELECT 1").await.is_err() && table.run("SELECT 1").await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_lock_keeps_nobody() {
    let site = Site::new("engines_bystander");
    site.sql("CREATE USER bystander PASSWORD 'bystander-password'");
    site.sql("CREATE USER other_maker PASSWORD 'maker-password' CREATEROLE");
    site.sql("GRANT CREATE ON SCHEMA public TO other_maker WITH GRANT OPTION");
    let stage = stage(&site, site.target_as("other_maker", "maker-password"));
    let plan = stage.plan();
    stage.create(&plan).await.unwrap();
    let session = signed_in(&site, "bystander", "bystander-password").await;
    session.run(&taking(&plan.handle)).await.unwrap();
    // Everybody's, too: whoever removes the user may not end this session.
    session.run("select pg_advisory_lock(x'6b65797368657264'::bigint)").await.unwrap();
    assert_eq!(stage.revoke(&plan.handle).await.unwrap(), Vec::<String>::new());
    assert!(!site.has(&plan.handle));
    let later = stage.plan();
    stage.create(&later).await.unwrap();
    assert!(site.has(&later.handle));
    assert!(session.run("SELECT 1").await.is_ok());
    stage.revoke(&later.handle).await.unwrap();
}
