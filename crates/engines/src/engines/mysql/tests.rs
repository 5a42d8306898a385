//! Users on a real MariaDB: made, doing what they may and nothing else, and removed.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use keysherd_base::{Clock as _, FaultKind, SystemClock};
use keysherd_crypto::pki::LocalCa;
use keysherd_targets::by_name as target_by_name;
use tempfile::TempDir;

use super::*;
use crate::testing::{Caller, free_port, kept, settings, target, way};

const ADMIN: &str = "admin-password";

/// A running server. It ends with the process that started it, however that ends.
pub(crate) struct Server {
    port: u16,
    socket: String,
    authority: String,
    // Stops the server when this end of its input is closed.
    _keeper: Child,
}

pub(crate) fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(Server::start)
}

fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// It refuses to run as root without being told.
fn as_root() -> &'static [&'static str] {
    let me = Command::new("id").arg("-u").output().unwrap().stdout;
    if me == b"0\n" { &["--user=root"] } else { &[] }
}

impl Server {
    fn start() -> Self {
        let dir = TempDir::with_prefix("keysherd-mariadb-").unwrap().keep();
        let data = format!("--datadir={}", dir.join("data").display());
        let mut install = Command::new("mariadb-install-db");
        install.args(["--no-defaults", "--auth-root-authentication-method=normal"]);
        install.args(["--skip-test-db", &data]).args(as_root());
        done(&mut install);
        let (authority, files) = certificates(&dir);
        let port = free_port();
        let socket = dir.join("socket").display().to_string();
        let (at, on) = (format!("--port={port}"), format!("--socket={socket}"));
        let mut keeper = kept(&dir, ":", program());
        keeper.args(["--no-defaults", &data]);
        keeper.args(["--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=0"]);
        keeper.args([at, on]).args(files).args(as_root());
        let log = dir.join("log");
        keeper.stdout(Stdio::null());
        keeper.stderr(fs::File::create(&log).unwrap());
        let server = Self { port, socket, authority, _keeper: keeper.spawn().unwrap() };
        let until = Instant::now() + Duration::from_secs(30);
        while !server.client("SELECT 1").output().unwrap().status.success() {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(Instant::now() < until, "the server does not come up: {}", said());
            std::thread::yield_now();
        }
        server.sql(&format!(
            "CREATE USER admin@'%' IDENTIFIED BY '{ADMIN}'; \
             GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION; CREATE DATABASE app; \
             CREATE TABLE app.orders (id int); CREATE TABLE app.salaries (id int); \
             INSERT INTO app.orders VALUES (1)"
        ));
        server
    }

    fn client(&self, statement: &str) -> Command {
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "--user=root", "--batch", "--skip-column-names"]);
        client.arg(format!("--socket={}", self.socket)).args(["-e", statement]);
        client
    }

    pub(crate) fn sql(&self, statement: &str) -> String {
        done(&mut self.client(statement))
    }

    pub(crate) fn has(&self, user: &str) -> bool {
        self.sql(&format!("SELECT count(*) FROM mysql.user WHERE user = '{user}'")) == "1"
    }

    pub(crate) fn target(&self, more: &[(&'static str, &str)]) -> Settings {
        let port = self.port.to_string();
        let plain = [
            ("db-type", "mysql"),
            ("host", "127.0.0.1"),
            ("port", port.as_str()),
            ("user-name", "admin"),
            ("pwd", ADMIN),
            ("db-name", "app"),
        ];
        target(&plain.iter().chain(more).copied().collect::<Vec<_>>())
    }

    async fn sign_in(&self, user: &str, password: &str) -> Result<Session, Fault> {
        let settings = self.target(&[("user-name", user), ("pwd", password)]);
        connect(&database(&settings).unwrap(), &way()).await
    }

    pub(crate) async fn may(&self, user: &str, password: &str, statement: &str) -> bool {
        let Ok(mut session) = self.sign_in(user, password).await else { return false };
        session.run(statement).await.is_ok()
    }
}

fn program() -> &'static str {
    let there = ["/usr/sbin/mariadbd", "/usr/libexec/mariadbd", "/usr/bin/mariadbd"];
    let found = there.into_iter().find(|path| Path::new(path).is_file());
    found.expect("MariaDB is missing; on Debian: apt-get install mariadb-server")
}

/// A certificate for the server; gives its authority's, and what the server is started with.
fn certificates(dir: &Path) -> (String, [String; 3]) {
    let rng = way().rng;
    let (begin, end) =
        (SystemClock.now().plus_seconds(-60), SystemClock.now().plus_seconds(86_400));
    let ours = LocalCa::create("an authority", begin, end, rng.as_ref()).unwrap();
    let issued = ours.issue_server(&["127.0.0.1".to_owned()], begin, end, rng.as_ref()).unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let files = [
        format!("--ssl-cert={}", file("cert.pem", &issued.cert_pem)),
        format!("--ssl-key={}", file("key.pem", issued.key_pem.expose())),
        format!("--ssl-ca={}", file("ca.pem", ours.cert_pem())),
    ];
    (ours.cert_pem().to_owned(), files)
}

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
    let server = shared();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_default_statements_work_and_are_warned_of() {
    let server = shared();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_creation_leaves_nothing_behind() {
    let server = shared();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_of_another_server_is_explained() {
    let server = shared();
    let statements = "CREATE USER '{{name}}'@'%' IDENTIFIED WITH mysql_native_password BY \
                      '{{password}}' PASSWORD EXPIRE INTERVAL 30 DAY; \
                      GRANT SELECT ON app.orders TO '{{name}}'@'%'";
    let stage = Stage::new(&[("mysql-screation-statements", statements)], server.target(&[]));
    let plan = stage.plan();
    let fault = stage.create(&plan).await.err().unwrap();
    for part in ["1064", "MariaDB", "IDENTIFIED BY '{{password}}'", "IDENTIFIED VIA"] {
        assert!(fault.public().contains(part), "{part}: {fault}");
    }
    assert!(!fault.public().contains(plan.password.expose().as_str()));
    assert!(!server.has(&plan.handle));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_names_change_no_statement() {
    let server = shared();
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
        assert!(server.may(&plan.handle, &password, "SELECT * FROM app.orders").await, "{email}");
        assert!(!server.may(&plan.handle, &password, "SELECT * FROM app.salaries").await);
        assert!(stage.revoke(&plan.handle).await.unwrap().is_empty());
        assert!(!server.has(&plan.handle));
    }
    for handle in ["admin", "root", "", "x' OR '1'='1"] {
        assert!(stage.revoke(handle).await.is_err(), "{handle}");
    }
    assert!(server.has("admin"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removing_waits_for_a_making_that_is_still_under_way() {
    let server = shared();
    let slow = "DO sleep(1.5); CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'";
    let stage = Stage::new(&[("mysql-screation-statements", slow)], server.target(&[]));
    let plan = stage.plan();
    let (made, removed) = tokio::join!(stage.create(&plan), async {
        let waiting = "SELECT count(*) FROM information_schema.processlist \
                       WHERE info LIKE 'DO sleep(1.5)%'";
        let until = tokio::time::Instant::now() + Duration::from_secs(15);
        while server.sql(waiting) == "0" {
            assert!(tokio::time::Instant::now() < until, "it never began");
            tokio::task::yield_now().await;
        }
        stage.revoke(&plan.handle).await
    });
    assert!(made.is_ok());
    assert_eq!(removed.unwrap(), Vec::<String>::new());
    assert!(!server.has(&plan.handle), "the user appeared after it was removed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_says_where_it_stopped_and_certificates_are_checked() {
    let server = shared();
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
    let (begin, end) = (SystemClock.now().plus_seconds(-60), SystemClock.now().plus_seconds(3_600));
    let other = LocalCa::create("another", begin, end, way().rng.as_ref()).unwrap();
    for wrong in [
        &[("ssl-certificate", other.cert_pem())][..],
        &[("ssl-certificate", &server.authority), ("db-server-name", "db.example")],
    ] {
        let fault = probe(wrong).await.unwrap_err();
        assert!(fault.public().contains("TLS fails"), "{fault}");
    }
    // The driver does not know this machine's authorities.
    let fault = probe(&[("ssl", "true")]).await.unwrap_err();
    assert!(fault.public().contains("ssl-certificate"), "{fault}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_leaves_somebody_who_can_sign_in_has_failed() {
    let server = shared();
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
