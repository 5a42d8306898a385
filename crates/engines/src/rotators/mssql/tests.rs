//! Passwords on the stand-in for SQL Server.

use super::*;
use crate::NOT_REACHED;
use crate::engines::mssql::tests::stand_in::StandIn;
use crate::engines::mssql::tests::target_at;
use crate::testing::rotation::{Site, credential};

#[tokio::test]
async fn the_target_and_the_login_change_a_password() {
    for (user, actor) in [
        ("app", Actor::Target),
        ("o'br]; DROP LOGIN [keeper", Actor::Target),
        ("ü\\;$", Actor::Target),
        ("own", Actor::Owner),
        ("o]wn' OLD_PASSWORD = N'", Actor::Owner),
    ] {
        let server = StandIn::new().await;
        server.state.lock().unwrap().logins.insert(user.to_owned(), "fir'st\\-1".to_owned());
        let site = Site::new(&MEMBER, target_at(&server.port, &[]), actor);
        site.rotates(user, "fir'st\\-1").await;
        assert!(server.has("keeper"), "{user}");
    }
}

#[tokio::test]
async fn who_is_not_there_is_not_made_and_what_cannot_be_said_is_not_sent() {
    let server = StandIn::new().await;
    let site = Site::new(&MEMBER, target_at(&server.port, &[]), Actor::Target);
    let nobody = credential("nobody", "first-1");
    let new = site.next(&nobody);
    let refused = site.change(&nobody, &new).await.unwrap_err();
    assert!(refused.public().contains("15151"), "{refused}");
    assert!(!format!("{refused:?}").contains(new.password().unwrap().expose().as_str()));
    assert!(!site.signs_in(&new).await && !server.has("nobody"));
    let said = server.state.lock().unwrap().said.len();
    let strange = credential("a\nb", "first-1");
    let refused = site.change(&strange, &site.next(&strange)).await.unwrap_err();
    assert_eq!(refused.code(), NOT_REACHED);
    assert_eq!(server.state.lock().unwrap().said.len(), said);
}
