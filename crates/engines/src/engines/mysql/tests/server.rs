//! The servers, one of each product for all tests.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use keysherd_base::{Clock as _, Fault, SystemClock};
use keysherd_crypto::pki::LocalCa;
use keysherd_targets::database;
use keysherd_targets::mysql::{Session, connect};
use keysherd_wire::Settings;
use tempfile::TempDir;

use crate::testing::mysql::Product;
use crate::testing::{free_port, kept, target, way};

const ADMIN: &str = "admin-password";

/// A running server. It ends with the process that started it, however that ends.
pub(crate) struct Server {
    pub(crate) product: Product,
    pub(crate) authority: String,
    port: u16,
    socket: String,
    // Stops the server when this end of its input is closed.
    _keeper: Child,
}

/// One of each product, one after the other; what a failed test has said tells on which it failed.
pub(crate) fn servers() -> impl Iterator<Item = &'static Server> {
    static SERVERS: [OnceLock<Server>; 2] = [OnceLock::new(), OnceLock::new()];
    Product::all().iter().zip(&SERVERS).map(|(product, server)| {
        let server = server.get_or_init(|| Server::start(*product));
        eprintln!("on {product:?}");
        server
    })
}

fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

impl Server {
    fn start(product: Product) -> Self {
        let dir = TempDir::with_prefix("keysherd-mysql-").unwrap().keep();
        let port = free_port();
        let words = product.prepared(&dir, port);
        let (authority, files) = certificates(&dir);
        let mut keeper = kept(&dir, ":", &words[0]);
        keeper.args(&words[1..]).args(files);
        let log = dir.join("log");
        keeper.stdout(Stdio::null());
        keeper.stderr(fs::File::create(&log).unwrap());
        let socket = dir.join("socket").display().to_string();
        let keeper = keeper.spawn().unwrap();
        let server = Self { product, authority, port, socket, _keeper: keeper };
        let until = Instant::now() + Duration::from_secs(300);
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

    /// The target, to be reached with TLS only.
    pub(crate) fn by_tls(&self, more: &[(&'static str, &str)]) -> Settings {
        let tls = [("ssl", "true"), ("ssl-certificate", self.authority.as_str())];
        self.target(&tls.iter().chain(more).copied().collect::<Vec<_>>())
    }

    pub(crate) async fn sign_in(&self, user: &str, password: &str) -> Result<Session, Fault> {
        let settings = self.target(&[("user-name", user), ("pwd", password)]);
        connect(&database(&settings).unwrap(), &way()).await
    }

    pub(crate) async fn may(&self, user: &str, password: &str, statement: &str) -> bool {
        let Ok(mut session) = self.sign_in(user, password).await else { return false };
        session.run(statement).await.is_ok()
    }
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
