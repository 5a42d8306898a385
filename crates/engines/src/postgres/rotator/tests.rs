//! Passwords on a real server.

use std::time::Duration;

use keysherd_base::FaultKind;

use keysherd_targets::postgres::Session;

use super::super::tests::Site as Database;
use super::super::tests::blocked::{signed_in, taking};
use crate::NOT_LET_IN;
use crate::rotator::{Actor, Rotator};
use crate::rotators::by_name;
use crate::testing::rotation::{Site, credential};
use crate::testing::until;

fn member() -> &'static dyn Rotator {
    by_name("postgresql").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_changes_their_own_password() {
    let database = Database::new("rotate_own");
    database.sql("CREATE ROLE rotated_own LOGIN PASSWORD 'first-1'");
    let site = Site::new(member(), database.target(), Actor::Owner);
    let last = site.rotates("rotated_own", "first-1").await;
    let password = last.password().unwrap();
    assert!(database.may("rotated_own", password.expose(), "SELECT 1").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_target_changes_passwords_and_names_never_become_statements() {
    let database = Database::new("rotate_target");
    let site = Site::new(member(), database.target(), Actor::Target);
    let names = ["rotated", "o'br", "a\"b", "semi;DROP TABLE orders", "d{{password}}", "ü $1 $$"];
    for name in names {
        let quoted = name.replace('"', "\"\"");
        database.sql(&format!("CREATE ROLE \"{quoted}\" LOGIN PASSWORD 'first-1'"));
        site.rotates(name, "first-1").await;
    }
    assert_eq!(database.sql("SELECT count(*) FROM orders"), "1");
    for name in ["back\\slash", "new\nline"] {
        let old = credential(name, "first");
        let refused = site.change(&old, &site.next(&old)).await.unwrap_err();
        assert_eq!(refused.kind(), FaultKind::BadRequest, "{name:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_changes_itself_goes_on_with_the_new_password() {
    let database = Database::new("rotate_self");
    database.sql("CREATE ROLE rotated_self LOGIN PASSWORD 'first-1'");
    let target = database.target_as("rotated_self", "first-1");
    let site = Site::new(member(), target, Actor::Owner);
    let stage = site.stage();
    let own = site.rotator.of_target(&stage.target).unwrap();
    assert_eq!(own.username().unwrap(), "rotated_self");
    let new = site.next(&own);
    site.change(&own, &new).await.unwrap();
    let kind = site.rotator.kind();
    assert!(kind.types.iter().any(|known| known.of_target));
    assert_eq!(kind.target_settings, [("pwd", "password")]);
    assert!(site.signs_in(&new).await);
}

/// Whoever has the password may sign in, and want to keep it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_keeps_a_password_from_being_changed() {
    let database = Database::new("rotate_kept");
    for (actor, user) in [(Actor::Owner, "rotated_kept"), (Actor::Target, "rotated_held")] {
        database.sql(&format!("CREATE ROLE {user} LOGIN PASSWORD 'first-1'"));
        let mut site = Site::new(member(), database.target(), actor);
        site.limit(Duration::from_secs(30));
        let open = async || signed_in(&database, user, "first-1").await;
        let busy = open().await;
        busy.run("BEGIN").await.unwrap();
        busy.run("ALTER ROLE CURRENT_USER PASSWORD 'another'").await.unwrap();
        let taking = taking(user);
        let holder = open().await;
        holder.run(&taking).await.unwrap();
        let mut queue = Vec::new();
        for _ in 0..8 {
            let (session, taking) = (open().await, taking.clone());
            queue.push(tokio::spawn(async move {
                let taken = session.run(&taking).await;
                (taken, session)
            }));
        }
        let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                       AND database = (SELECT oid FROM pg_database \
                       WHERE datname = current_database())";
        until("eight that wait", || database.sql(waiting) == "8").await;
        let old = credential(user, "first-1");
        let new = site.next(&old);
        site.change(&old, &new).await.unwrap();
        assert!(site.signs_in(&new).await && !site.signs_in(&old).await);
        assert!(busy.run("SELECT 1").await.is_err());
    }
}

/// The same with changes of its role one after the other, or one that is prepared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_who_changes_its_role_again_and_again_keeps_its_password() {
    let database = Database::new("rotate_again");
    let again = "DO $$BEGIN LOOP ALTER ROLE CURRENT_USER PASSWORD 'leaked'; \
                 PERFORM pg_sleep(0.02); COMMIT; END LOOP; END$$";
    let prepared = "BEGIN; ALTER ROLE CURRENT_USER PASSWORD 'leaked'; PREPARE TRANSACTION 'kept'";
    for (user, busy) in [("rotated_again", again), ("rotated_prepared", prepared)] {
        database.sql(&format!("CREATE ROLE {user} LOGIN PASSWORD 'first-1'"));
        let mut site = Site::new(member(), database.target(), Actor::Target);
        site.limit(Duration::from_secs(30));
        let mut sessions = Vec::new();
        for _ in 0..if busy == again { 3 } else { 1 } {
            sessions.push(signed_in(&database, user, "first-1").await);
        }
        let doing = |session: Session| async move { session.run_all(busy).await };
        let queue: Vec<_> = sessions.into_iter().map(|one| tokio::spawn(doing(one))).collect();
        let begun = "SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()";
        let looping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO $$BEGIN LOOP%' \
                       AND state = 'active' AND datname = current_database()";
        let at_work = || match busy == again {
            // They are in each other's way, too.
            true => database.sql(looping) != "0",
            false => database.sql(begun) == "1",
        };
        until("somebody who changes the role", at_work).await;
        let old = credential(user, "first-1");
        let new = site.next(&old);
        let warnings = site.change(&old, &new).await.unwrap();
        // Whoever begins again and again may be between two beginnings.
        let is_told = warnings.iter().any(|text| text.contains("sessions of the user"));
        assert!(is_told || busy == again, "{warnings:?}");
        assert!(busy == again || site.signs_in(&new).await, "{user}");
        assert!(!site.signs_in(&old).await, "{user}");
        assert_eq!(database.sql(begun), "0", "{user}");
        database.sql(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{user}'"
        ));
        for busy in queue {
            let _ = busy.await.unwrap();
        }
    }
}

/// One who stood still must not come later with a password that is not the newest any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stands_still_in_the_middle_changes_nothing_afterwards() {
    let database = Database::new("rotate_late");
    database.sql("CREATE ROLE rotated_late LOGIN PASSWORD 'first-1'");
    let mut site = Site::new(member(), database.target(), Actor::Target);
    site.limit(Duration::ZERO);
    let old = credential("rotated_late", "first-1");
    let new = site.next(&old);
    site.change(&old, &new).await.unwrap_err();
    site.limit(Duration::from_secs(20));
    assert!(site.signs_in(&old).await && !site.signs_in(&new).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_or_is_not_there_is_said_so_and_nothing_changes() {
    let database = Database::new("rotate_not");
    database.sql("CREATE ROLE rotated_weak LOGIN PASSWORD 'first-1'");
    database.sql("CREATE ROLE rotated_strong LOGIN PASSWORD 'first-1'");
    let weak = Site::new(member(), database.target_as("rotated_weak", "first-1"), Actor::Target);
    let strong = credential("rotated_strong", "first-1");
    let refused = weak.change(&strong, &weak.next(&strong)).await.unwrap_err();
    assert_eq!(refused.kind(), FaultKind::Forbidden);
    assert!(weak.signs_in(&strong).await);
    // Who may not use the database is who they are all the same.
    database.sql("REVOKE CONNECT ON DATABASE rotate_not FROM PUBLIC");
    assert!(weak.signs_in(&strong).await);
    assert!(!weak.signs_in(&credential("rotated_strong", "wrong")).await);
    let site = Site::new(member(), database.target(), Actor::Target);
    let nobody = credential("rotated_nobody", "first-1");
    site.change(&nobody, &site.next(&nobody)).await.unwrap_err();
    assert!(!database.has("rotated_nobody"));
    // The wrong password of whoever changes it: certainly nothing was done.
    let wrong = Site::new(member(), database.target_as("postgres", "wrong"), Actor::Target);
    let refused = wrong.change(&strong, &wrong.next(&strong)).await.unwrap_err();
    assert_eq!(refused.code(), NOT_LET_IN);
    let own = Site::new(member(), database.target(), Actor::Owner);
    let other = credential("rotated_strong", "changed-by-hand");
    let refused = own.change(&other, &own.next(&other)).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (FaultKind::Forbidden, NOT_LET_IN));
    // A database that is not there says nothing about passwords.
    let away = Site::new(member(), database.away(), Actor::Target);
    let unknown = away.rotator.signs_in(&away.stage(), &strong).await.unwrap_err();
    assert_eq!(unknown.kind(), FaultKind::Unavailable);
}
