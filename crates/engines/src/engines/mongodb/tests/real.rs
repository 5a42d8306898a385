//! On FerretDB 1.24: signing in both ways, users that are made and removed, TLS.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use keysherd_base::{Clock as _, FaultKind, SystemClock};
use keysherd_crypto::pki::LocalCa;
use keysherd_targets::by_name as target_by_name;
use tempfile::TempDir;

use super::*;
use crate::NOT_REACHED;
use crate::testing::{cache, free_port, kept, not_tested};

const ADMIN: &str = "admin-password";

/// A running server. It ends with the process that started it, however that ends.
pub(crate) struct Server {
    port: u16,
    encrypted: u16,
    authority: String,
    // Stops the server when this end of its input is closed.
    _keeper: Child,
}

/// The server; `None`, after saying so, where it was not built.
pub(crate) fn shared() -> Option<&'static Server> {
    static SHARED: OnceLock<Option<Server>> = OnceLock::new();
    let found = SHARED.get_or_init(|| {
        let program = cache().join("tools/ferretdb/ferretdb");
        if !program.is_file() {
            not_tested("there is no FerretDB; cargo xtask ferretdb builds it");
            return None;
        }
        Some(Server::start(&program))
    });
    found.as_ref()
}

/// A certificate for the server: its authority's, and the files of its own and its key.
fn certificates(dir: &Path) -> (String, PathBuf, PathBuf) {
    let rng = way().rng;
    let now = SystemClock.now();
    let (begin, end) = (now.plus_seconds(-60), now.plus_seconds(86_400));
    let ours = LocalCa::create("an authority", begin, end, rng.as_ref()).unwrap();
    let issued = ours.issue_server(&["127.0.0.1".to_owned()], begin, end, rng.as_ref()).unwrap();
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    fs::write(&cert, &issued.cert_pem).unwrap();
    fs::write(&key, issued.key_pem.expose()).unwrap();
    (ours.cert_pem().to_owned(), cert, key)
}

impl Server {
    fn start(program: &Path) -> Self {
        let dir = TempDir::with_prefix("keysherd-ferretdb-").unwrap().keep();
        let (authority, cert, key) = certificates(&dir);
        let (port, encrypted) = (free_port(), free_port());
        let mut keeper = kept(&dir, ":", program.to_str().unwrap());
        let at = [port, encrypted].map(|port| format!("127.0.0.1:{port}"));
        keeper.arg(&dir).args(at).args([cert, key]).args(["keeper", ADMIN]);
        let log = dir.join("log");
        keeper.stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap());
        let keeper = keeper.spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(300);
        let up = |port: u16| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        while !up(port) || !up(encrypted) {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(Instant::now() < until, "the server does not come up: {}", said());
            std::thread::yield_now();
        }
        Self { port, encrypted, authority, _keeper: keeper }
    }

    pub(crate) fn target(&self, more: &[(&'static str, &str)]) -> Settings {
        let port = self.port.to_string();
        let plain = [("host", "127.0.0.1"), ("port", &port), ("pwd", ADMIN)];
        somewhere(&plain.iter().chain(more).copied().collect::<Vec<_>>())
    }

    pub(crate) async fn lets_in(&self, user: &str, password: &str) -> bool {
        let settings = self.target(&[("user-name", user), ("pwd", password)]);
        connect(&mongodb_site(&settings).unwrap(), &way()).await.is_ok()
    }

    async fn has(&self, user: &str) -> bool {
        let site = mongodb_site(&self.target(&[])).unwrap();
        let mut session = connect(&site, &way()).await.unwrap();
        session.has_user("admin", user).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_made_signs_in_and_is_removed() {
    let Some(server) = shared() else { return };
    let stage = Stage::new(&[], server.target(&[]));
    let plan = stage.plan();
    let created = stage.create(&plan).await.unwrap();
    let (user, password) = (plan.handle.as_str(), plan.password.expose().as_str());
    assert_eq!(created.value["user"], user);
    assert_eq!(created.value["password"], password);
    assert!(user.starts_with("tmp.p-abc123def456."), "{user}");
    assert!(server.lets_in(user, password).await && server.has(user).await);
    assert!(!server.lets_in(user, "wrong").await);
    // Nobody else's is touched, whoever asks.
    for handle in ["keeper", "admin.keeper", "", "tmp.x"] {
        assert!(stage.revoke(handle).await.is_err(), "{handle}");
    }
    assert_eq!(stage.revoke(user).await.unwrap(), Vec::<String>::new());
    assert!(!server.lets_in(user, password).await && !server.has(user).await);
    assert_eq!(stage.revoke(user).await.unwrap(), Vec::<String>::new());
    assert!(server.has("keeper").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_creation_leaves_nothing_behind() {
    let Some(server) = shared() else { return };
    // It has no roles, and says so with MongoDB's number for what is not implemented.
    let stage = Stage::new(&[("mongodb-roles", "[{role: read, db: app}]")], server.target(&[]));
    let plan = stage.plan();
    let fault = stage.create(&plan).await.err().unwrap();
    assert!(fault.public().contains("238"), "{fault}");
    assert_ne!(fault.code(), NOT_REACHED);
    assert!(!format!("{fault:?}").contains(plan.password.expose().as_str()), "{fault:?}");
    assert!(!server.has(&plan.handle).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_names_are_names() {
    let Some(server) = shared() else { return };
    let stage = Stage::new(&[("custom-username-template", "{{ .email }}")], server.target(&[]));
    for email in ["a,r=x=", "$where", "{\"$gt\": \"\"}", "admin.keeper", "ünï\u{202e}\n\0code"] {
        let caller = Caller::with(&[("email", email)]);
        let plan = Mongodb.plan(&stage.scene(), &caller.wish()).unwrap();
        stage.create(&plan).await.unwrap();
        assert!(server.lets_in(&plan.handle, plan.password.expose()).await, "{email}");
        stage.revoke(&plan.handle).await.unwrap();
        assert!(!server.has(&plan.handle).await, "{email}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_says_where_it_stopped_and_certificates_are_checked() {
    let Some(server) = shared() else { return };
    let db = target_by_name("db").unwrap();
    let probe = async |more: &[(&'static str, &str)]| {
        let settings = server.target(more);
        db.probe(&settings, &way()).await
    };
    probe(&[]).await.unwrap();
    let fault = probe(&[("pwd", "canary-wrong")]).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Forbidden);
    assert!(fault.public().contains("failed with 18"), "{fault}");
    assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    let port = server.encrypted.to_string();
    let encrypted = ("port", port.as_str());
    probe(&[encrypted, ("ssl-certificate", &server.authority)]).await.unwrap();
    let named = [encrypted, ("ssl-certificate", &server.authority), ("db-server-name", "x.y")];
    assert!(probe(&named).await.unwrap_err().public().contains("TLS"));
    // This machine's authorities know nothing of it.
    assert!(probe(&[encrypted, ("ssl", "true")]).await.unwrap_err().public().contains("TLS"));
    // Not encrypted where the server wants that, and the other way round.
    assert!(probe(&[encrypted]).await.is_err());
    assert!(probe(&[("ssl-certificate", &server.authority)]).await.is_err());
}
