//! Users on a real MariaDB and a real MySQL: made, doing what they may and nothing else, and
//! removed.

pub(crate) mod blocked;
mod server;

use std::time::Duration;

use keysherd_base::{Clock as _, FaultKind, SystemClock};
use keysherd_crypto::pki::LocalCa;
use keysherd_targets::{WRONG_CREDENTIALS, by_name as target_by_name};

pub(crate) use self::server::{Server, servers};
use super::*;
use crate::testing::mysql::Product;
use crate::testing::{Caller, settings, until, way};

struct Stage {
    settings: Settings,
    target: Settings,
    way: Way,
}

impl Stage {
    fn new(given: &[(&'static str, &str)], target: Settings) -> Self {
        Self { settings: settings(&Mysql, given), target, way: way() }
    }

    fn scene(&self) -> Scene<'_> {
        let target = TargetUse { type_name: "mysql", settings: &self.target };
        Scene { settings: &self.settings, target: Some(target), way: &self.way }
    }

    fn plan(&self) -> Plan {
        Mysql.plan(&self.scene(), &Caller::with(&[]).wish()).unwrap()
    }

    async fn create(&self, plan: &Plan) -> Result<Created, Fault> {
        Mysql.create(&self.scene(), plan).await
    }

    async fn revoke(&self, handle: &str) -> Result<Vec<String>, Fault> {
        Mysql.revoke(&self.scene(), handle).await
    }
}

fn password_of(created: &Created) -> String {
    created.value["password"].as_str().unwrap().to_owned()
}

const NARROW: &str = "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'; \
                      GRANT SELECT ON app.orders TO '{{name}}'@'%'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_made_works_and_is_removed_with_its_sessions() {
    for server in servers() {
        let stage = Stage::new(&[("mysql-screation-statements", NARROW)], server.target(&[]));
        assert_eq!(
            Mysql.check(&stage.settings, stage.scene().target.as_ref()).unwrap(),
            Vec::<String>::new()
        );
        let plan = stage.plan();
        let created = stage.create(&plan).await.unwrap();
        let (user, password) = (plan.handle.as_str(), password_of(&created));
        assert!(user.len() <= 32 && user.starts_with("tmp."), "{user}");
        for (statement, allowed) in [
            ("SELECT * FROM app.orders", true),
            ("SELECT * FROM app.salaries", false),
            ("INSERT INTO app.orders VALUES (2)", false),
            ("CREATE USER other", false),
            ("DROP TABLE app.orders", false),
            ("SELECT * FROM mysql.user", false),
        ] {
            assert_eq!(server.may(user, &password, statement).await, allowed, "{statement}");
        }
        assert!(!server.may(user, "wrong", "SELECT 1").await);
        let mut session = server.sign_in(user, &password).await.unwrap();
        assert!(session.run("SELECT * FROM app.orders").await.is_ok());
        assert_eq!(stage.revoke(user).await.unwrap(), Vec::<String>::new());
        assert!(session.run("SELECT * FROM app.orders").await.is_err());
        assert!(!server.has(user) && !server.may(user, &password, "SELECT 1").await);
        assert_eq!(stage.revoke(user).await.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_default_statements_work_and_are_warned_of() {
    for server in servers() {
        let stage = Stage::new(&[], server.target(&[]));
        let warnings = Mysql.check(&stage.settings, stage.scene().target.as_ref()).unwrap();
        assert!(warnings.iter().any(|text| text.contains("*.*")), "{warnings:?}");
        let plan = stage.plan();
        let created = stage.create(&plan).await.unwrap();
        let password = password_of(&created);
        assert!(server.may(&plan.handle, &password, "SELECT * FROM app.salaries").await);
        assert!(!server.may(&plan.handle, &password, "DELETE FROM app.salaries").await);
        assert!(stage.revoke(&plan.handle).await.unwrap().is_empty());
        assert!(!server.has(&plan.handle));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_creation_leaves_nothing_behind() {
    for server in servers() {
        for (statements, code) in [
            ("CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'; GRANT NONSENSE", "1064"),
            (
                "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'; \
                 GRANT SELECT ON app.nowhere TO '{{name}}'@'%'",
                "1146",
            ),
        ] {
            let given = [("mysql-screation-statements", statements)];
            let stage = Stage::new(&given, server.target(&[]));
            let plan = stage.plan();
            let fault = stage.create(&plan).await.err().unwrap();
            assert!(fault.public().contains(code), "{statements}: {fault}");
            assert!(!format!("{fault:?}").contains(plan.password.expose().as_str()), "{fault:?}");
            assert!(!server.has(&plan.handle), "{statements}");
            assert!(stage.revoke(&plan.handle).await.unwrap().is_empty());
        }
    }
}

/// What MySQL's documentation and that of V2 say, word for word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_documented_statement_works_on_mysql_and_is_explained_on_mariadb() {
    let documented = "CREATE USER '{{name}}'@'%' IDENTIFIED WITH mysql_native_password BY \
                      '{{password}}' PASSWORD EXPIRE INTERVAL 30 DAY;\
                      GRANT SELECT ON app.orders TO '{{name}}'@'%';";
    for server in servers() {
        let given = [("mysql-screation-statements", documented)];
        let stage = Stage::new(&given, server.target(&[]));
        let plan = stage.plan();
        let made = stage.create(&plan).await;
        if server.product == Product::MariaDb {
            let fault = made.err().unwrap();
            for part in ["1064", "MariaDB", "IDENTIFIED BY '{{password}}'", "IDENTIFIED VIA"] {
                assert!(fault.public().contains(part), "{part}: {fault}");
            }
            assert!(!fault.public().contains(plan.password.expose().as_str()));
        } else {
            let password = password_of(&made.unwrap());
            let kept = "SELECT plugin, password_lifetime FROM mysql.user WHERE user = ";
            let kept = server.sql(&format!("{kept}'{}'", plan.handle));
            assert_eq!(kept, "mysql_native_password\t30");
            assert!(server.may(&plan.handle, &password, "SELECT * FROM app.orders").await);
            assert!(!server.may(&plan.handle, &password, "SELECT * FROM app.salaries").await);
            assert!(stage.revoke(&plan.handle).await.unwrap().is_empty());
        }
        assert!(!server.has(&plan.handle));
    }
}

/// MySQL's own way to sign in asks for the password itself when it does not know the user yet:
/// over TLS as it is, otherwise encrypted for a key of the server's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mysql_s_own_way_to_sign_in_works_over_tls_and_without() {
    for server in servers().filter(|server| server.product == Product::MySql) {
        for (more, target, open) in
            [(" REQUIRE SSL", server.by_tls(&[]), false), ("", server.target(&[]), true)]
        {
            let statements = format!(
                "CREATE USER '{{{{name}}}}'@'%' IDENTIFIED WITH caching_sha2_password BY \
                 '{{{{password}}}}'{more}; GRANT SELECT ON app.orders TO '{{{{name}}}}'@'%'"
            );
            let stage = Stage::new(&[("mysql-screation-statements", &statements)], target);
            let plan = stage.plan();
            let password = password_of(&stage.create(&plan).await.unwrap());
            let who = [("user-name", plan.handle.as_str()), ("pwd", &password)];
            // Twice: the second time the server knows the user.
            for _ in 0..2 {
                assert_eq!(server.may(&plan.handle, &password, "SELECT 1").await, open);
                let by_tls = database(&server.by_tls(&who)).unwrap();
                let mut session = connect(&by_tls, &way()).await.unwrap();
                let cipher = "SELECT variable_value FROM performance_schema.session_status \
                              WHERE variable_name = 'Ssl_cipher'";
                let ciphers = session.texts(cipher).await.unwrap();
                assert!(ciphers.iter().all(|cipher| cipher.starts_with("TLS_")), "{ciphers:?}");
                assert_eq!(ciphers.len(), 1);
            }
            let wrong = [("user-name", plan.handle.as_str()), ("pwd", "wrong")];
            let refused = connect(&database(&server.by_tls(&wrong)).unwrap(), &way()).await;
            assert_eq!(refused.err().unwrap().code(), WRONG_CREDENTIALS);
            assert!(stage.revoke(&plan.handle).await.unwrap().is_empty());
            let gone = connect(&database(&server.by_tls(&who)).unwrap(), &way()).await;
            let gone = gone.err().unwrap();
            // MySQL answers whom it does not know in a way that it draws, `sha256_password` or one
            // of those that are spoken.
            let unspoken = gone.public().contains("in a way that gateways do not know");
            assert!(gone.code() == WRONG_CREDENTIALS || unspoken, "{gone:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_names_change_no_statement() {
    for server in servers() {
        let given =
            [("mysql-screation-statements", NARROW), ("custom-username-template", "{{ .email }}")];
        let stage = Stage::new(&given, server.target(&[]));
        for email in [
            "'@'%'; DROP DATABASE app; -- ",
            "` ; DROP DATABASE app; #",
            "a\\'; DROP DATABASE app; -- ",
            "x' IDENTIFIED BY 'y",
            "ünï\u{202e}\n\0code",
        ] {
            let caller = Caller::with(&[("email", email)]);
            let plan = Mysql.plan(&stage.scene(), &caller.wish()).unwrap();
            let created = stage.create(&plan).await.unwrap();
            let password = password_of(&created);
            assert!(
                server.may(&plan.handle, &password, "SELECT * FROM app.orders").await,
                "{email}"
            );
            assert!(!server.may(&plan.handle, &password, "SELECT * FROM app.salaries").await);
            assert!(stage.revoke(&plan.handle).await.unwrap().is_empty());
            assert!(!server.has(&plan.handle));
        }
        for handle in ["admin", "root", "", "x' OR '1'='1"] {
            assert!(stage.revoke(handle).await.is_err(), "{handle}");
        }
        assert!(server.has("admin"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removing_waits_for_a_making_that_is_still_under_way() {
    for server in servers() {
        let slow = "DO sleep(4); CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'";
        let stage = Stage::new(&[("mysql-screation-statements", slow)], server.target(&[]));
        let plan = stage.plan();
        let (made, removed) = tokio::join!(stage.create(&plan), async {
            let waiting = "SELECT count(*) FROM information_schema.processlist \
                           WHERE info LIKE 'DO sleep(4)%'";
            until("it is under way", || server.sql(waiting) != "0").await;
            stage.revoke(&plan.handle).await
        });
        assert!(made.is_ok());
        assert_eq!(removed.unwrap(), Vec::<String>::new());
        assert!(!server.has(&plan.handle), "the user appeared after it was removed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_says_where_it_stopped_and_certificates_are_checked() {
    for server in servers() {
        let db = target_by_name("db").unwrap();
        let probe = async |more: &[(&'static str, &str)]| {
            let settings = server.target(more);
            db.probe(&settings, &way()).await
        };
        probe(&[]).await.unwrap();
        probe(&[("ssl-certificate", &server.authority)]).await.unwrap();
        let fault = probe(&[("pwd", "canary-wrong")]).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Forbidden);
        assert!(fault.public().contains("1045"), "{fault}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
        let fault = probe(&[("db-name", "nowhere")]).await.unwrap_err();
        assert!(fault.public().contains("1049"), "{fault}");
        let (begin, end) =
            (SystemClock.now().plus_seconds(-60), SystemClock.now().plus_seconds(3_600));
        let other = LocalCa::create("another", begin, end, way().rng.as_ref()).unwrap();
        for wrong in [
            &[("ssl-certificate", other.cert_pem())][..],
            &[("ssl-certificate", &server.authority), ("db-server-name", "db.example")],
        ] {
            let fault = probe(wrong).await.unwrap_err();
            assert!(fault.public().contains("TLS with 127.0.0.1"), "{fault}");
        }
        // This machine's authorities do not vouch for it.
        let fault = probe(&[("ssl", "true")]).await.unwrap_err();
        assert!(fault.public().contains("ssl-certificate"), "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_leaves_somebody_who_can_sign_in_has_failed() {
    for server in servers() {
        let stage = |revocation: &str, target| {
            let given = [
                (
                    "mysql-screation-statements",
                    "CREATE USER '{{name}}'@'10.%' IDENTIFIED BY '{{password}}'",
                ),
                ("mysql-revocation-statements", revocation),
            ];
            Stage::new(&given, target)
        };
        let whole = || server.target(&[("ssl", "false")]);
        let misses = stage("DROP USER IF EXISTS '{{name}}'@'%'", whole());
        let plan = misses.plan();
        misses.create(&plan).await.unwrap();
        let refused = misses.revoke(&plan.handle).await.unwrap_err();
        assert_eq!(refused.kind(), FaultKind::Conflict);
        let locks = stage("ALTER USER '{{name}}'@'10.%' ACCOUNT LOCK", whole());
        let warnings = locks.revoke(&plan.handle).await.unwrap();
        assert!(warnings.iter().any(|text| text.contains("locked")), "{warnings:?}");
        stage("DROP USER '{{name}}'@'10.%'", whole()).revoke(&plan.handle).await.unwrap();
        assert!(!server.has(&plan.handle));
        // Who may not look whether it is gone does not take a failure for that.
        server.sql(
            "CREATE USER maker@'%' IDENTIFIED BY 'maker-1'; GRANT CREATE USER ON *.* TO maker@'%'; \
             GRANT SELECT ON app.orders TO maker@'%'",
        );
        let maker = server.target(&[("ssl", "false"), ("user-name", "maker"), ("pwd", "maker-1")]);
        let misses = stage("DROP USER '{{name}}'@'%'", maker);
        let plan = misses.plan();
        misses.create(&plan).await.unwrap();
        misses.revoke(&plan.handle).await.unwrap_err();
        assert!(server.has(&plan.handle));
        server.sql(&format!("DROP USER '{}'@'10.%'", plan.handle));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_makes_users_needs_little_and_what_it_cannot_end_is_said() {
    for server in servers() {
        server.sql(
            "CREATE USER 'little@work'@'%' IDENTIFIED BY 'little-1'; \
             GRANT CREATE USER ON *.* TO 'little@work'@'%'; \
             GRANT SELECT ON app.orders TO 'little@work'@'%' WITH GRANT OPTION",
        );
        let who = [("user-name", "little@work"), ("pwd", "little-1")];
        let stage = Stage::new(&[("mysql-screation-statements", NARROW)], server.target(&who));
        let removed = async || {
            let plan = stage.plan();
            let password = password_of(&stage.create(&plan).await.unwrap());
            let mut session = server.sign_in(&plan.handle, &password).await.unwrap();
            let warned = stage.revoke(&plan.handle).await.unwrap().join("; ");
            assert!(!server.has(&plan.handle));
            assert!(!server.may(&plan.handle, &password, "SELECT 1").await);
            (warned, session.run("SELECT 1").await.is_ok())
        };
        // A server goes on with the sessions of a user that is gone, and shows them to nobody else.
        let (warned, goes_on) = removed().await;
        assert!(warned.contains("PROCESS") && goes_on, "{warned}");
        server.sql("GRANT PROCESS ON *.* TO 'little@work'@'%'");
        let (warned, goes_on) = removed().await;
        assert!(warned.contains("1 sessions") && goes_on, "{warned}");
        let end = match server.product {
            Product::MariaDb => "CONNECTION ADMIN",
            Product::MySql => "CONNECTION_ADMIN",
        };
        server.sql(&format!("GRANT {end} ON *.* TO 'little@work'@'%'"));
        assert_eq!(removed().await, (String::new(), false));
    }
}
