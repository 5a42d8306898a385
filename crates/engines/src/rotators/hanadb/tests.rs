//! Passwords on the stand-in for SAP HANA.

use super::*;
use crate::NOT_REACHED;
use crate::engines::hanadb::tests::stand_in::StandIn;
use crate::engines::hanadb::tests::{ADMIN, target_at};
use crate::testing::rotation::{Site, credential};

#[tokio::test]
async fn the_target_and_the_user_change_a_password() {
    for (user, name, actor) in [
        ("app", "APP", Actor::Target),
        ("\"o\"\"br\"\"; DROP USER \"\"KEEPER\"", "o\"br\"; DROP USER \"KEEPER", Actor::Target),
        ("\"tmp.$x\"", "tmp.$x", Actor::Target),
        ("OWN", "OWN", Actor::Owner),
        ("\"o\u{fc}n\"", "o\u{fc}n", Actor::Owner),
    ] {
        let server = StandIn::new().await;
        server.state.lock().unwrap().users.insert(name.to_owned(), "fir'st\"-1".to_owned());
        let site = Site::new(&MEMBER, target_at(&server.port, &[]), actor);
        site.rotates(user, "fir'st\"-1").await;
        // Nobody has to change it once more.
        assert!(server.has("KEEPER") && server.state.lock().unwrap().forced.is_empty(), "{user}");
    }
}

#[tokio::test]
async fn the_targets_own_account_is_known_in_every_spelling() {
    let server = StandIn::new().await;
    let site = Site::new(&MEMBER, target_at(&server.port, &[]), Actor::Target);
    let is_keepers =
        |name: &str| MEMBER.is_keepers(&site.stage().target, &credential(name, "any-1"));
    for name in ["keeper", "KEEPER", "Keeper", "\"KEEPER\""] {
        assert!(is_keepers(name), "{name}");
    }
    for name in ["\"keeper\"", "KEEPER2", "", "app"] {
        assert!(!is_keepers(name), "{name}");
    }
}

#[tokio::test]
async fn the_target_changes_its_own_password() {
    let server = StandIn::new().await;
    let site = Site::new(&MEMBER, target_at(&server.port, &[]), Actor::Target);
    let old = credential("keeper", ADMIN);
    let new = site.next(&old);
    site.change(&old, &new).await.unwrap();
    assert!(site.signs_in(&new).await && !site.signs_in(&old).await);
    assert!(server.state.lock().unwrap().forced.is_empty());
}

#[tokio::test]
async fn who_is_not_there_is_not_made_and_what_cannot_be_said_is_not_sent() {
    let server = StandIn::new().await;
    let site = Site::new(&MEMBER, target_at(&server.port, &[]), Actor::Target);
    let nobody = credential("nobody", "first-1");
    let new = site.next(&nobody);
    let refused = site.change(&nobody, &new).await.unwrap_err();
    assert!(refused.public().contains("332"), "{refused}");
    assert!(!format!("{refused:?}").contains(new.password().unwrap().expose().as_str()));
    assert!(!site.signs_in(&new).await && !server.has("NOBODY"));
    let said = server.state.lock().unwrap().said.len();
    let strange = credential("a\nb", "first-1");
    let refused = site.change(&strange, &site.next(&strange)).await.unwrap_err();
    assert_eq!(refused.code(), NOT_REACHED);
    assert_eq!(server.state.lock().unwrap().said.len(), said);
}

#[tokio::test]
async fn who_has_to_change_the_password_first_has_the_right_one() {
    let server = StandIn::new().await;
    {
        let mut state = server.state.lock().unwrap();
        state.users.insert("APP".to_owned(), "first-1".to_owned());
        state.forced.insert("APP".to_owned());
    }
    let site = Site::new(&MEMBER, target_at(&server.port, &[]), Actor::Owner);
    let old = credential("app", "first-1");
    assert!(site.signs_in(&old).await);
    let new = site.next(&old);
    site.change(&old, &new).await.unwrap();
    assert!(site.signs_in(&new).await && server.state.lock().unwrap().forced.is_empty());
}
