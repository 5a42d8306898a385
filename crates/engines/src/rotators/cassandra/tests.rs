//! Passwords on the stand-in for Cassandra.

use super::*;
use crate::NOT_REACHED;
use crate::engines::cassandra::tests::StandIn;
use crate::rotator::Actor;
use crate::testing::rotation::{Site, credential};

#[tokio::test]
async fn the_target_and_the_role_change_a_password() {
    for (user, actor) in [
        ("app", Actor::Target),
        ("o'br; DROP ROLE 'keeper", Actor::Target),
        ("ü$$//", Actor::Target),
        ("own", Actor::Owner),
    ] {
        let server = StandIn::new().await;
        server.state.lock().unwrap().roles.insert(user.to_owned(), "first-1".to_owned());
        let site = Site::new(&MEMBER, server.target(&[]), actor);
        site.rotates(user, "first-1").await;
        assert!(server.has("keeper"), "{user}");
    }
}

#[tokio::test]
async fn who_is_not_there_is_not_made_and_what_cannot_be_said_is_not_sent() {
    let server = StandIn::new().await;
    let site = Site::new(&MEMBER, server.target(&[]), Actor::Target);
    let nobody = credential("nobody", "first-1");
    let new = site.next(&nobody);
    let refused = site.change(&nobody, &new).await.unwrap_err();
    assert!(refused.public().contains("0x2200"), "{refused}");
    assert!(!format!("{refused:?}").contains(new.password().unwrap().expose().as_str()));
    assert!(!site.signs_in(&new).await && !server.has("nobody"));
    let strange = credential("a\nb", "first-1");
    let refused = site.change(&strange, &site.next(&strange)).await.unwrap_err();
    assert_eq!(refused.code(), NOT_REACHED);
}
