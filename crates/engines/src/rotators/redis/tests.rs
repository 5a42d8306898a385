//! Passwords on a real server.

use keysherd_base::FaultKind;

use super::*;
use crate::NOT_REACHED;
use crate::engines::redis::tests::Running;
use crate::rotator::{Actor, Brought, Change, bring_about, remove};
use crate::testing::rotation::{Site, credential};

async fn make(server: &Running, user: &str, rules: &[&str]) {
    let begin = ["ACL", "SETUSER", user, "on", ">first-1"];
    let command: Vec<&str> = begin.into_iter().chain(rules.iter().copied()).collect();
    assert!(server.may("default", "admin-password", &command).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_target_changes_a_password_and_leaves_rules_alone() {
    let server = Running::start();
    for user in ["app", "o'br\"x\"", "ü;$"] {
        make(&server, user, &["~app:*", "+get", "+ping"]).await;
        let site = Site::new(&MEMBER, server.target(&[]), Actor::Target);
        let last = site.rotates(user, "first-1").await;
        let password = last.password().unwrap();
        assert!(server.may(user, password.expose(), &["GET", "app:1"]).await);
        assert!(!server.may(user, password.expose(), &["GET", "other"]).await);
        assert!(!server.may(user, password.expose(), &["SET", "app:1", "x"]).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_changes_their_own_password_also_in_the_servers_file() {
    let mut server = Running::with_file();
    make(&server, "own", &["+acl", "+ping"]).await;
    let site = Site::new(&MEMBER, server.target(&[]), Actor::Owner);
    let last = site.rotates("own", "first-1").await;
    server.restart();
    assert!(site.signs_in(&last).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_there_is_not_made() {
    let server = Running::start();
    let site = Site::new(&MEMBER, server.target(&[]), Actor::Target);
    let nobody = credential("nobody", "first-1");
    let new = site.next(&nobody);
    let refused = site.change(&nobody, &new).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (FaultKind::BadRequest, NOT_REACHED));
    assert!(!site.signs_in(&new).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_the_server_cannot_save_is_taken_back() {
    let server = Running::with_file();
    make(&server, "app", &["+ping"]).await;
    let site = Site::new(&MEMBER, server.target(&[]), Actor::Target);
    let file = server.dir.path().join("users.acl");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    std::fs::write(file.join("full"), "").unwrap();
    let old = credential("app", "first-1");
    let new = site.next(&old);
    site.change(&old, &new).await.unwrap_err();
    assert!(site.signs_in(&old).await && !site.signs_in(&new).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_password_stays_beside_the_new_one_until_it_is_removed() {
    for actor in [Actor::Target, Actor::Owner] {
        let mut server = Running::with_file();
        make(&server, "app", &["+ping", "+acl"]).await;
        let site = Site::new(&MEMBER, server.target(&[]), actor);
        let mut old = credential("app", "first-1");
        for _ in 0..3 {
            let new = site.next(&old);
            let change = Change { old: &old, new: &new, resumed: false, beside: true };
            let brought = bring_about(&MEMBER, &site.stage(), &change, || Ok(())).await;
            assert!(matches!(brought, Brought::Changed(_)), "{brought:?}");
            assert!(site.signs_in(&old).await && site.signs_in(&new).await);
            let pair = (&new, &old);
            // Whoever does not know that it was done does it once more.
            for _ in 0..2 {
                remove(&MEMBER, &site.stage(), pair, || Ok(())).await.unwrap();
                assert!(!site.signs_in(&old).await && site.signs_in(&new).await);
            }
            old = new;
        }
        server.restart();
        assert!(site.signs_in(&old).await);
        // Nothing is removed by which somebody gets in while the current ones do not.
        let wrong = credential("app", "never-set");
        remove(&MEMBER, &site.stage(), (&wrong, &old), || Ok(())).await.unwrap_err();
        assert!(site.signs_in(&old).await);
    }
}
