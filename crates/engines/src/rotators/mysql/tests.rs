//! Passwords on a real MariaDB.

use keysherd_base::FaultKind;

use super::*;
use crate::NOT_REACHED;
use crate::engines::mysql::tests::{Server, shared};
use crate::testing::rotation::{Site, credential};

fn site(server: &Server, actor: Actor) -> Site {
    Site::new(&MEMBER, server.target(&[("ssl", "false")]), actor)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_changes_their_own_password() {
    let server = shared();
    server.sql("CREATE USER own@'%' IDENTIFIED BY 'first-1'; GRANT SELECT ON app.* TO own@'%'");
    let site = site(server, Actor::Owner);
    let last = site.rotates("own", "first-1").await;
    let password = last.password().unwrap();
    assert!(server.may("own", password.expose(), "SELECT * FROM app.orders").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_target_changes_a_user_wherever_it_comes_from() {
    let server = shared();
    server.sql(
        "CREATE USER many@'%' IDENTIFIED BY 'first-1'; \
         CREATE USER many@'127.0.0.1' IDENTIFIED BY 'first-1'; \
         CREATE USER many@'10.1.%' IDENTIFIED BY 'first-1'",
    );
    let site = site(server, Actor::Target);
    site.rotates("many", "first-1").await;
    let hashes = "SELECT count(DISTINCT authentication_string), count(*) FROM mysql.user \
                  WHERE user = 'many'";
    assert_eq!(server.sql(hashes), "1\t3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_never_become_statements() {
    let server = shared();
    let site = site(server, Actor::Target);
    for (number, name) in
        ["o'br", "a\"b`c", "semi;drop", "d{{password}}", "ü $x"].iter().enumerate()
    {
        let quoted = name.replace('\'', "''");
        server.sql(&format!("CREATE USER '{quoted}'@'%' IDENTIFIED BY 'first-{number}'"));
        site.rotates(name, &format!("first-{number}")).await;
    }
    for name in ["back\\slash", "new\nline", "nul\0"] {
        let old = credential(name, "first");
        let refused = site.change(&old, &site.next(&old)).await.unwrap_err();
        assert_eq!(refused.kind(), FaultKind::BadRequest, "{name:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_there_or_may_not_is_said_so_and_nothing_changes() {
    let server = shared();
    server.sql("CREATE USER plain@'%' IDENTIFIED BY 'first-1'");
    let site = site(server, Actor::Target);
    let nobody = credential("nobody", "first-1");
    let refused = site.change(&nobody, &site.next(&nobody)).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (FaultKind::BadRequest, NOT_REACHED));
    assert!(!server.has("nobody"));
    let weak = server.target(&[("ssl", "false"), ("user-name", "plain"), ("pwd", "first-1")]);
    let weak = Site::new(&MEMBER, weak, Actor::Target);
    let admin = credential("admin", "admin-password");
    weak.change(&admin, &weak.next(&admin)).await.unwrap_err();
    assert!(weak.signs_in(&admin).await);
    // A server that is not there says nothing about passwords.
    let away = server.target(&[("ssl", "false"), ("port", "1")]);
    let away = Site::new(&MEMBER, away, Actor::Target);
    let unknown = away.rotator.signs_in(&away.stage(), &admin).await.unwrap_err();
    assert_eq!(unknown.kind(), FaultKind::Unavailable);
}
