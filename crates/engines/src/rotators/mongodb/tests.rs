//! Passwords on FerretDB, where it was built.

use keysherd_base::FaultKind;

use super::*;
use crate::NOT_REACHED;
use crate::engines::mongodb::tests::real::shared;
use crate::testing::rotation::{Site, credential};
use crate::testing::way;

async fn make(server: &crate::engines::mongodb::tests::real::Server, user: &str) {
    let site = mongodb_site(&server.target(&[])).unwrap();
    let mut session = connect(&site, &way()).await.unwrap();
    let user = Doc::new().text("createUser", user).text("pwd", "first-1").docs("roles", vec![]);
    session.ask("admin", user).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_target_and_the_user_change_a_password() {
    let Some(server) = shared() else { return };
    for (user, actor) in [
        ("app", Actor::Target),
        ("o'br\"x\"", Actor::Target),
        ("ü;$where", Actor::Target),
        ("own", Actor::Owner),
    ] {
        make(server, user).await;
        let site = Site::new(&MEMBER, server.target(&[]), actor);
        let last = site.rotates(user, "first-1").await;
        assert!(server.lets_in(user, last.password().unwrap().expose()).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_there_is_not_made() {
    let Some(server) = shared() else { return };
    let site = Site::new(&MEMBER, server.target(&[]), Actor::Target);
    let nobody = credential("nobody", "first-1");
    let new = site.next(&nobody);
    let refused = site.change(&nobody, &new).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (FaultKind::BadRequest, NOT_REACHED));
    assert!(!format!("{refused:?}").contains(new.password().unwrap().expose().as_str()));
    assert!(!site.signs_in(&new).await);
}
