//! Passwords on a real MariaDB and a real MySQL.

use std::time::Duration;

use keysherd_base::FaultKind;

use super::*;
use crate::NOT_REACHED;
use crate::engines::mysql::tests::blocked::taking;
use crate::engines::mysql::tests::{Server, servers};
use crate::testing::mysql::Product;
use crate::testing::rotation::{Site, credential};
use crate::testing::until;

fn site(server: &Server, actor: Actor) -> Site {
    Site::new(&MEMBER, server.target(&[("ssl", "false")]), actor)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_changes_their_own_password() {
    for server in servers() {
        server.sql("CREATE USER own@'%' IDENTIFIED BY 'first-1'; GRANT SELECT ON app.* TO own@'%'");
        let site = site(server, Actor::Owner);
        let last = site.rotates("own", "first-1").await;
        let password = last.password().unwrap();
        assert!(server.may("own", password.expose(), "SELECT * FROM app.orders").await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_target_changes_a_user_wherever_it_comes_from() {
    for server in servers() {
        server.sql(
            "CREATE USER many@'%' IDENTIFIED BY 'first-1'; \
             CREATE USER many@'127.0.0.1' IDENTIFIED BY 'first-1'; \
             CREATE USER many@'10.1.%' IDENTIFIED BY 'first-1'",
        );
        let hashes =
            || server.sql("SELECT authentication_string FROM mysql.user WHERE user = 'many'");
        let before = hashes();
        let site = site(server, Actor::Target);
        site.rotates("many", "first-1").await;
        let after = hashes();
        assert_eq!(after.lines().count(), 3);
        assert!(after.lines().all(|hash| !before.lines().any(|old| old == hash)), "{after}");
    }
}

/// Whoever has the password may sign in, and want to keep it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_keeps_a_password_from_being_changed() {
    for server in servers() {
        for (actor, user) in [(Actor::Owner, "kept"), (Actor::Target, "held")] {
            server.sql(&format!(
                "CREATE USER {user}@'%' IDENTIFIED BY 'first-1'; \
                 GRANT SELECT ON app.* TO {user}@'%'"
            ));
            let mut site = site(server, actor);
            site.limit(Duration::from_secs(36));
            let taking = taking(user).replace(", 5)", ", 100)");
            let mut queue = Vec::new();
            for _ in 0..9 {
                let mut session = server.sign_in(user, "first-1").await.unwrap();
                let taking = taking.clone();
                queue.push(tokio::spawn(async move { (session.texts(&taking).await, session) }));
            }
            let waiting = "SELECT count(*) FROM information_schema.processlist \
                           WHERE info LIKE '%get_lock(%, 100)%' AND state = 'User lock'";
            until("eight that wait", || server.sql(waiting) == "8").await;
            let old = credential(user, "first-1");
            let new = site.next(&old);
            site.change(&old, &new).await.unwrap();
            assert!(site.signs_in(&new).await && !site.signs_in(&old).await);
            for waiting in queue {
                let (_, mut session) = waiting.await.unwrap();
                assert!(session.run("SELECT 1").await.is_err());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_keep_their_way_to_sign_in() {
    for server in servers().filter(|server| server.product == Product::MySql) {
        for plugin in ["mysql_native_password", "caching_sha2_password"] {
            server.sql(&format!("CREATE USER {plugin}@'%' IDENTIFIED WITH {plugin} BY 'first-1'"));
            for actor in [Actor::Target, Actor::Owner] {
                server.sql(&format!("ALTER USER {plugin}@'%' IDENTIFIED BY 'first-1'"));
                let site = Site::new(&MEMBER, server.by_tls(&[]), actor);
                site.rotates(plugin, "first-1").await;
                let has = format!("SELECT plugin FROM mysql.user WHERE user = '{plugin}'");
                assert_eq!(server.sql(&has), plugin, "{actor:?}");
            }
        }
        // Deprecated, and the driver does not know it.
        server.sql("CREATE USER older@'%' IDENTIFIED WITH sha256_password BY 'first-1'");
        let older = site(server, Actor::Target);
        let older = older.rotator.signs_in(&older.stage(), &credential("older", "first-1")).await;
        let fault = older.unwrap_err();
        assert!(fault.public().contains("caching_sha2_password"), "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_to_say_the_old_password_says_it() {
    for server in servers().filter(|server| server.product == Product::MySql) {
        server.sql("CREATE USER current@'%' IDENTIFIED BY 'fi''rst' PASSWORD REQUIRE CURRENT");
        site(server, Actor::Owner).rotates("current", "fi'rst").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_a_server_quotes_tells_neither_password() {
    for server in servers() {
        server.sql(
            "CREATE USER quoted@'%' IDENTIFIED BY 'Former7Word'; \
             GRANT SELECT ON app.* TO quoted@'%'",
        );
        let mut session = server.sign_in("quoted", "Former7Word").await.unwrap();
        let (old, new) =
            (credential("quoted", "Former7Word"), SecretString::new("Newer8Text".to_owned()));
        for (unreadable, quoted) in [
            ("ALTER USER CURRENT_USER() IDENTIFIED BY 'Newer8Text' NO 'Former7Word'", "Former7"),
            ("ALTER USER CURRENT_USER() NO 'Newer8Text' REPLACE 'Former7Word'", "Newer8"),
        ] {
            let error = session.run(unreadable).await.unwrap_err();
            let plain = format!("{:?}", error.fault("this", None));
            assert!(plain.contains(quoted), "the server does not quote it: {plain}");
            let fault = not_changed(&error, &old, &new);
            assert!(fault.public().contains("1064"), "{fault}");
            let said = format!("{fault:?}");
            assert!(!said.contains("Former7") && !said.contains("Newer8"), "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_password_is_known_of_who_may_not_sign_in() {
    for server in servers() {
        server.sql(
            "CREATE USER locked@'%' IDENTIFIED BY 'first-1' ACCOUNT LOCK; \
             CREATE USER expired@'%' IDENTIFIED BY 'first-1' PASSWORD EXPIRE",
        );
        if server.product == Product::MariaDb {
            server.sql("SET GLOBAL disconnect_on_expired_password = ON");
        }
        let site = site(server, Actor::Target);
        for user in ["locked", "expired"] {
            assert!(site.signs_in(&credential(user, "first-1")).await, "{user}");
            assert!(!site.signs_in(&credential(user, "wrong")).await, "{user}");
        }
        let old = credential("expired", "first-1");
        let new = site.next(&old);
        site.change(&old, &new).await.unwrap();
        assert!(site.signs_in(&new).await && !site.signs_in(&old).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_never_become_statements() {
    for server in servers() {
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
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_there_or_may_not_is_said_so_and_nothing_changes() {
    for server in servers() {
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
}
