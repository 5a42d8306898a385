//! Users on a real server, and rules that are none.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keysherd_base::{Clock as _, FaultKind, SystemClock};
use keysherd_crypto::pki::LocalCa;
use keysherd_targets::by_name as target_by_name;
use tempfile::TempDir;

use super::*;
use crate::Way;
use crate::testing::{Caller, free_port, settings, target, way};

const ADMIN: &str = "admin-password";

/// A running server. It ends with this value.
pub(crate) struct Running {
    port: u16,
    pub(crate) dir: TempDir,
    child: Child,
    more: Vec<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(dir: &Path, more: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--dir"]).arg(dir).args(more);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    child.expect("Redis is missing; on Debian: apt-get install redis-server")
}

impl Running {
    /// A server whose users are in its memory.
    pub(crate) fn start() -> Self {
        let port = free_port();
        Self::with(
            port,
            TempDir::new().unwrap(),
            &["--port", &port.to_string(), "--requirepass", ADMIN],
        )
    }

    /// A server whose users are in a file.
    pub(crate) fn with_file() -> Self {
        let (port, dir) = (free_port(), TempDir::new().unwrap());
        let file = dir.path().join("users.acl");
        std::fs::write(&file, format!("user default on >{ADMIN} ~* &* +@all\n")).unwrap();
        Self::with(port, dir, &["--port", &port.to_string(), "--aclfile", file.to_str().unwrap()])
    }

    fn with(port: u16, dir: TempDir, more: &[&str]) -> Self {
        let more: Vec<_> = more.iter().map(|text| (*text).to_owned()).collect();
        let child = spawn(dir.path(), &more);
        let running = Self { port, dir, child, more };
        running.wait();
        running
    }

    fn wait(&self) {
        let until = Instant::now() + Duration::from_secs(300);
        while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(Instant::now() < until, "the server does not come up");
            std::thread::yield_now();
        }
    }

    pub(crate) fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(self.dir.path(), &self.more);
        self.wait();
    }

    pub(crate) fn target(&self, more: &[(&'static str, &str)]) -> Settings {
        let port = self.port.to_string();
        let plain =
            [("db-type", "redis"), ("host", "127.0.0.1"), ("port", port.as_str()), ("pwd", ADMIN)];
        target(&plain.iter().chain(more).copied().collect::<Vec<_>>())
    }

    async fn sign_in(&self, user: &str, password: &str) -> Result<Session, Fault> {
        let settings = self.target(&[("user-name", user), ("pwd", password)]);
        connect(&database(&settings).unwrap(), &way()).await
    }

    pub(crate) async fn may(&self, user: &str, password: &str, command: &[&str]) -> bool {
        let Ok(mut session) = self.sign_in(user, password).await else { return false };
        session.ask(command).await.is_ok()
    }
}

struct Stage {
    settings: Settings,
    target: Settings,
    way: Way,
}

impl Stage {
    fn new(given: &[(&'static str, &str)], target: Settings) -> Self {
        Self { settings: settings(&Redis, given), target, way: way() }
    }

    fn scene(&self) -> Scene<'_> {
        let target = TargetUse { type_name: "redis", settings: &self.target };
        Scene { settings: &self.settings, target: Some(target), way: &self.way }
    }

    fn plan(&self) -> Plan {
        Redis.plan(&self.scene(), &Caller::with(&[]).wish()).unwrap()
    }
}

fn password_of(created: &Created) -> String {
    created.value["password"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_may_what_its_rules_say_until_it_is_removed() {
    let server = Running::start();
    let reader = Stage::new(&[], server.target(&[]));
    let rules = [("acl-rules", "[\"~app:*\", \"+set\", \"+ping\"]")];
    let writer = Stage::new(&rules, server.target(&[]));
    let plans = (reader.plan(), writer.plan());
    let made = (
        Redis.create(&reader.scene(), &plans.0).await.unwrap(),
        Redis.create(&writer.scene(), &plans.1).await.unwrap(),
    );
    assert_eq!(made.0.warnings, Vec::<String>::new());
    for (user, password, read, write) in [
        (&plans.0.handle, password_of(&made.0), true, false),
        (&plans.1.handle, password_of(&made.1), false, true),
    ] {
        assert_eq!(server.may(user, &password, &["GET", "app:1"]).await, read);
        assert_eq!(server.may(user, &password, &["SET", "app:1", "x"]).await, write);
        assert!(!server.may(user, &password, &["SET", "other", "x"]).await);
        assert!(!server.may(user, &password, &["ACL", "LIST"]).await);
        assert!(!server.may(user, &password, &["CONFIG", "GET", "*"]).await);
        assert!(!server.may(user, &password, &["FLUSHALL"]).await);
        assert!(!server.may(user, "wrong", &["PING"]).await);
    }
    // It goes while it is signed in, and the other one stays.
    let (user, password) = (&plans.1.handle, password_of(&made.1));
    let mut session = server.sign_in(user, &password).await.unwrap();
    assert!(Redis.revoke(&writer.scene(), user).await.unwrap().is_empty());
    assert!(session.ask(&["PING"]).await.is_err());
    assert!(!server.may(user, &password, &["PING"]).await);
    assert!(server.may(&plans.0.handle, &password_of(&made.0), &["GET", "a"]).await);
    assert!(Redis.revoke(&writer.scene(), user).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_brings_nobody_back() {
    let mut server = Running::with_file();
    let stage = Stage::new(&[("acl-rules", "[\"~*\",\"+@read\",\"+ping\"]")], server.target(&[]));
    let (gone, stays) = (stage.plan(), stage.plan());
    let made = Redis.create(&stage.scene(), &gone).await.unwrap();
    let kept = Redis.create(&stage.scene(), &stays).await.unwrap();
    assert!(Redis.revoke(&stage.scene(), &gone.handle).await.unwrap().is_empty());
    server.restart();
    assert!(!server.may(&gone.handle, &password_of(&made), &["PING"]).await);
    assert!(server.may(&stays.handle, &password_of(&kept), &["PING"]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_creation_leaves_nobody_behind() {
    let server = Running::start();
    let stage = Stage::new(&[("acl-rules", "[\"~*\", \"+@nonsense\"]")], server.target(&[]));
    let plan = stage.plan();
    let fault = Redis.create(&stage.scene(), &plan).await.err().unwrap();
    assert!(fault.public().contains("ERR") && fault.public().contains("acl-rules"), "{fault}");
    assert!(!format!("{fault:?}").contains(plan.password.expose().as_str()));
    assert!(!server.may(&plan.handle, plan.password.expose(), &["PING"]).await);

    // Somebody who may not make users.
    let able = Stage::new(&[("acl-rules", "[\"~*\",\"+ping\"]")], server.target(&[]));
    let poor = able.plan();
    let made = Redis.create(&able.scene(), &poor).await.unwrap();
    let as_poor = [("user-name", poor.handle.as_str()), ("pwd", &password_of(&made))];
    let stage = Stage::new(&[], server.target(&as_poor));
    let fault = Redis.create(&stage.scene(), &stage.plan()).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Forbidden);
    assert!(fault.public().contains("NOPERM"), "{fault}");
    for handle in ["default", "", "x y"] {
        assert!(Redis.revoke(&able.scene(), handle).await.is_err());
    }
    assert!(server.may("default", ADMIN, &["PING"]).await);
}

#[test]
fn rules_that_are_not_the_author_s_are_refused() {
    let elsewhere = || target(&[("db-type", "redis"), ("host", "r.example"), ("pwd", "x")]);
    let check = |rules: &str| {
        let stage = Stage::new(&[("acl-rules", rules)], elsewhere());
        Redis.check(&stage.settings, stage.scene().target.as_ref())
    };
    assert_eq!(check("[\"~app:*\", \"+@read\"]").unwrap(), Vec::<String>::new());
    for bad in [
        "~* +@read",
        "[]",
        "{}",
        "[1]",
        "[\"\"]",
        "[\"nopass\"]",
        "[\"NoPass\"]",
        "[\">mine\"]",
        "[\"#abc\"]",
        "[\"<x\"]",
        "[\"off\"]",
        "[\"reset\"]",
        "[\"a\\nb\"]",
        "[\"a\\u0000b\"]",
    ] {
        let fault = check(bad).unwrap_err();
        assert!(fault.public().contains("acl-rules"), "{bad}: {fault}");
    }
    let wide = check("[\"~*\", \"+@ALL\", \"+acl\"]").unwrap();
    assert_eq!(wide.len(), 2, "{wide:?}");
    let shown = crate::details(&KIND, &settings(&Redis, &[("acl-rules", "[\"~*\"]")]));
    assert_eq!(shown["acl_rules"], serde_json::json!(["~*"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_says_where_it_stopped() {
    let server = Running::start();
    let db = target_by_name("db").unwrap();
    db.probe(&server.target(&[]), &way()).await.unwrap();
    for (pwd, code) in [("canary-wrong", "WRONGPASS")] {
        let fault = db.probe(&server.target(&[("pwd", pwd)]), &way()).await.unwrap_err();
        assert!(fault.public().contains(code), "{fault}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
    let port = server.port.to_string();
    let open = target(&[("db-type", "redis"), ("host", "127.0.0.1"), ("port", &port)]);
    let fault = db.probe(&open, &way()).await.unwrap_err();
    assert!(fault.public().contains("NOAUTH"), "{fault}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_of_the_server_is_checked() {
    let rng = way().rng;
    let (begin, end) = (SystemClock.now().plus_seconds(-60), SystemClock.now().plus_seconds(3_600));
    let authority = || LocalCa::create("an authority", begin, end, rng.as_ref()).unwrap();
    let (ours, another) = (authority(), authority());
    let issued = ours.issue_server(&["127.0.0.1".to_owned()], begin, end, rng.as_ref()).unwrap();
    let (port, dir) = (free_port(), TempDir::new().unwrap());
    let files = [("cert", issued.cert_pem.as_str()), ("key", issued.key_pem.expose())];
    for (name, text) in files.into_iter().chain([("ca", ours.cert_pem())]) {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let number = port.to_string();
    let more = [
        "--port",
        "0",
        "--tls-port",
        &number,
        "--requirepass",
        ADMIN,
        "--tls-cert-file",
        "cert",
        "--tls-key-file",
        "key",
        "--tls-ca-cert-file",
        "ca",
        "--tls-auth-clients",
        "no",
    ];
    let server = Running::with(port, dir, &more);
    let db = target_by_name("db").unwrap();
    let at = |more: &[(&'static str, &str)]| server.target(more);
    db.probe(&at(&[("ssl-certificate", ours.cert_pem())]), &way()).await.unwrap();
    let fault = db.probe(&at(&[("ssl-certificate", another.cert_pem())]), &way()).await;
    assert!(fault.unwrap_err().public().contains("TLS with"));
    let quick = Way { timeout: Duration::from_secs(2), ..way() };
    assert!(db.probe(&at(&[("ssl", "false")]), &quick).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_the_server_cannot_save_has_failed() {
    let mut server = Running::with_file();
    let stage = Stage::new(&[], server.target(&[]));
    let plan = stage.plan();
    let created = Redis.create(&stage.scene(), &plan).await.unwrap();
    let file = server.dir.path().join("users.acl");
    let saved = std::fs::read(&file).unwrap();
    // Nothing can take the place of a folder that is not empty.
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    std::fs::write(file.join("full"), "").unwrap();
    Redis.revoke(&stage.scene(), &plan.handle).await.unwrap_err();
    std::fs::remove_dir_all(&file).unwrap();
    std::fs::write(&file, saved).unwrap();
    server.restart();
    let password = password_of(&created);
    assert!(server.may(&plan.handle, &password, &["GET", "x"]).await, "it came back");
    Redis.revoke(&stage.scene(), &plan.handle).await.unwrap();
    server.restart();
    assert!(!server.may(&plan.handle, &password, &["GET", "x"]).await);
}
