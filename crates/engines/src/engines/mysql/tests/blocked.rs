//! Users, and others who may sign in, that want to keep a user from being removed.

use super::super::sessions::{OWN_NAME, SESSIONS_MAX};
use super::*;

/// What takes the lock by which removing waits for making, until the session ends.
pub(crate) fn taking(handle: &str) -> String {
    let hash = sha256(&[b"keysherd user ", handle.as_bytes()]);
    format!("select get_lock('keysherd {}', 5)", hex::encode(&hash[..16]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_that_takes_the_lock_is_removed_all_the_same() {
    for server in servers() {
        // One who may end sessions of others, and one who may not.
        let plain = "maker_without_much";
        server.sql(&format!(
            "CREATE USER {plain}@'%' IDENTIFIED BY 'maker-password'; \
             GRANT CREATE USER ON *.* TO {plain}@'%'; \
             GRANT SELECT ON mysql.* TO {plain}@'%'; \
             GRANT SELECT ON app.* TO {plain}@'%' WITH GRANT OPTION"
        ));
        let maker = [("user-name", plain), ("pwd", "maker-password")];
        for (target, all_end) in [(server.target(&[]), true), (server.target(&maker), false)] {
            let mut stage = Stage::new(&[("mysql-screation-statements", NARROW)], target);
            stage.way.timeout = Duration::from_secs(36);
            let plan = stage.plan();
            let password = password_of(&stage.create(&plan).await.unwrap());
            let mut session = server.sign_in(&plan.handle, &password).await.unwrap();
            assert_eq!(session.texts(&taking(&plan.handle)).await.unwrap(), ["1"]);
            let warnings = stage.revoke(&plan.handle).await.unwrap();
            assert_eq!(warnings.is_empty(), all_end, "{warnings:?}");
            assert!(!server.has(&plan.handle));
            assert!(!server.may(&plan.handle, &password, "SELECT 1").await);
            assert_eq!(session.run("SELECT 1").await.is_err(), all_end);
        }
        server.sql(&format!("DROP USER {plain}@'%'"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_sessions_a_user_has_none_is_left() {
    for server in servers() {
        server.sql("SET GLOBAL max_connections = 400");
        let stage = Stage::new(&[("mysql-screation-statements", NARROW)], server.target(&[]));
        let plan = stage.plan();
        let password = password_of(&stage.create(&plan).await.unwrap());
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS_MAX + 5 {
            sessions.push(server.sign_in(&plan.handle, &password).await.unwrap());
        }
        assert_eq!(stage.revoke(&plan.handle).await.unwrap(), Vec::<String>::new());
        for session in &mut sessions {
            assert!(session.run("SELECT 1").await.is_err());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_removed_is_kept_out_all_the_same() {
    for server in servers() {
        let fails = "SELECT 1 FROM app.nosuch WHERE '{{name}}' = ''; DROP USER '{{name}}'@'%'";
        let given =
            [("mysql-screation-statements", NARROW), ("mysql-revocation-statements", fails)];
        let stage = Stage::new(&given, server.target(&[]));
        let plan = stage.plan();
        let password = password_of(&stage.create(&plan).await.unwrap());
        server.sql(&format!("CREATE USER '{}'@'10.1.%' IDENTIFIED BY 'other-1'", plan.handle));
        let mut session = server.sign_in(&plan.handle, &password).await.unwrap();
        for _ in 0..2 {
            let fault = stage.revoke(&plan.handle).await.unwrap_err();
            for part in ["revocation statement 1", "1146", "user is locked and its sessions"] {
                assert!(fault.public().contains(part), "{part}: {fault}");
            }
        }
        assert!(session.run("SELECT 1").await.is_err());
        assert!(server.sign_in(&plan.handle, &password).await.is_err());
        let locked = match server.product {
            Product::MariaDb => {
                "SELECT count(*) FROM mysql.global_priv \
                 WHERE json_value(priv, '$.account_locked') IN ('1', 'true')"
            }
            Product::MySql => "SELECT count(*) FROM mysql.user WHERE account_locked = 'Y'",
        };
        assert_eq!(server.sql(&format!("{locked} AND user = '{}'", plan.handle)), "2");
        server.sql(&format!("DROP USER '{0}'@'%', '{0}'@'10.1.%'", plan.handle));
    }
}

/// By it a session that has the lock is known as a gateway's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_a_name_with_an_at_sign_are_known_as_one_s_own() {
    for server in servers() {
        for name in ["owner@work", "owner@at@work", "owner_plain"] {
            server.sql(&format!(
                "CREATE USER '{name}'@'%' IDENTIFIED BY 'own-1'; \
                 GRANT SELECT ON app.* TO '{name}'@'%'"
            ));
            let mut session = server.sign_in(name, "own-1").await.unwrap();
            let found = format!(
                "SELECT {OWN_NAME} UNION ALL SELECT count(*) FROM information_schema.processlist \
                 WHERE id = connection_id() AND user = {OWN_NAME}"
            );
            assert_eq!(session.texts(&found).await.unwrap(), [name, "1"]);
        }
    }
}
