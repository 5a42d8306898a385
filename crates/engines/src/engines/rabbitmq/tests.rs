//! Users on a real RabbitMQ: made, doing what they may and nothing else, and removed.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use keysherd_base::{FaultKind, SecretString};
use keysherd_targets::by_name as target_by_name;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::testing::{Caller, free_port, kept, settings, target_of, way};

const ADMIN: &str = "admin-password";
const HOSTILE: &str = "a/../b?c#d;%2f\"'$\u{e9} \\";

/// A running server. It ends with the process that started it, however that ends.
struct Running {
    url: String,
    port: u16,
    _keeper: Child,
}

fn shared() -> &'static Running {
    static SHARED: OnceLock<Running> = OnceLock::new();
    SHARED.get_or_init(Running::start)
}

impl Running {
    fn start() -> Self {
        let dir = TempDir::with_prefix("keysherd-rabbitmq-").unwrap().keep();
        let (port, web, names, nodes) = (free_port(), free_port(), free_port(), free_port());
        let config = format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\nmanagement.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {web}\ndefault_user = admin\ndefault_pass = {ADMIN}\n"
        );
        let file = |name: &str| dir.join(name).display().to_string();
        fs::write(file("rabbitmq.conf"), config).unwrap();
        fs::write(file("plugins"), "[rabbitmq_management].").unwrap();
        // What finds nodes by their names outlives them, so it has a port of its own here, and may
        // be ended while it still knows of one.
        let end = format!("epmd -port {names} -kill > /dev/null");
        let mut keeper = kept(&dir, &end, "/usr/lib/rabbitmq/bin/rabbitmq-server");
        keeper.env("HOME", &dir).env("ERL_EPMD_PORT", names.to_string());
        keeper.env("ERL_EPMD_RELAXED_COMMAND_CHECK", "1");
        keeper.env("ERL_EPMD_ADDRESS", "127.0.0.1");
        keeper.env("RABBITMQ_NODENAME", format!("keysherd{port}@localhost"));
        keeper.env("RABBITMQ_DIST_PORT", nodes.to_string());
        keeper.env("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf"));
        keeper.env("RABBITMQ_ENABLED_PLUGINS_FILE", file("plugins"));
        keeper.env("RABBITMQ_MNESIA_BASE", file("data")).env("RABBITMQ_LOG_BASE", file("log"));
        keeper.env("RABBITMQ_LOGS", "-").stderr(Stdio::null());
        keeper.stdout(fs::File::create(file("out")).unwrap());
        let url = format!("http://127.0.0.1:{web}");
        let running = Self { url, port, _keeper: keeper.spawn().unwrap() };
        let until = Instant::now() + Duration::from_secs(300);
        let asks =
            || tokio::runtime::Runtime::new().unwrap().block_on(running.status("GET", &["whoami"]));
        while std::thread::scope(|scope| scope.spawn(asks).join().unwrap()) != Some(200) {
            let said = || fs::read_to_string(file("out")).unwrap_or_default();
            assert!(Instant::now() < until, "the server does not come up: {}", said());
            std::thread::yield_now();
        }
        running
    }

    async fn status(&self, method: &'static str, path: &[&str]) -> Option<u16> {
        self.asked(method, path, "admin", ADMIN, json!({})).await.map(|(status, _)| status)
    }

    async fn asked(
        &self,
        method: &'static str,
        path: &[&str],
        user: &str,
        password: &str,
        body: Value,
    ) -> Option<(u16, Value)> {
        let rabbit = Rabbit::of(&self.target(&[])).unwrap();
        let http = rabbit.server.open(&way()).unwrap();
        let path = [&["api"], path].concat();
        let call = http.call(method, &path).unwrap();
        let call = call.basic(user, &SecretString::new(password.to_owned())).json(body);
        let reply = call.send().await.ok()?;
        Some((reply.status(), reply.json().unwrap_or_default()))
    }

    fn target(&self, more: &[(&'static str, &str)]) -> Settings {
        let plain = [
            ("rabbitmq-server-uri", self.url.as_str()),
            ("rabbitmq-server-user", "admin"),
            ("rabbitmq-server-password", ADMIN),
        ];
        target_of("rabbitmq", &plain.iter().chain(more).copied().collect::<Vec<_>>())
    }

    /// A connection as clients have it (AMQP 0-9-1); what it is answered after signing in.
    fn signed_in(&self, user: &str, password: &str, vhost: &str) -> Option<TcpStream> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(b"AMQP\0\0\x09\x01").unwrap();
        frame(&mut stream)?;
        let short = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        let long =
            |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
        let secret = format!("\0{user}\0{password}");
        let start = [long(b""), short("PLAIN"), long(secret.as_bytes()), short("en_US")].concat();
        send(&mut stream, [0, 10, 0, 11], &start);
        let tune = frame(&mut stream).filter(|body| body.starts_with(&[0, 10, 0, 30]))?;
        send(&mut stream, [0, 10, 0, 31], &tune[4..12]);
        send(&mut stream, [0, 10, 0, 40], &[short(vhost), short(""), vec![0]].concat());
        frame(&mut stream).filter(|body| body.starts_with(&[0, 10, 0, 41]))?;
        Some(stream)
    }
}

fn send(stream: &mut TcpStream, method: [u8; 4], arguments: &[u8]) {
    let length = u32::try_from(4 + arguments.len()).unwrap().to_be_bytes();
    let frame = [&[1, 0, 0], length.as_slice(), &method, arguments, &[0xce]].concat();
    stream.write_all(&frame).unwrap();
}

/// The next frame's body, heartbeats passed over; `None` at the end.
fn frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    loop {
        let mut head = [0; 7];
        stream.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
        let mut body = vec![0; usize::try_from(length).unwrap() + 1];
        stream.read_exact(&mut body).ok()?;
        if head[0] != 8 {
            return Some(body);
        }
    }
}

struct Stage {
    settings: Settings,
    target: Settings,
    way: Way,
}

impl Stage {
    fn new(given: &[(&'static str, &str)]) -> Self {
        let target = shared().target(&[]);
        Self { settings: settings(&RabbitMq, given), target, way: way() }
    }

    fn scene(&self) -> Scene<'_> {
        let target = TargetUse { type_name: "rabbitmq", settings: &self.target };
        Scene { settings: &self.settings, target: Some(target), way: &self.way }
    }

    fn plan(&self) -> Plan {
        RabbitMq.plan(&self.scene(), &Caller::with(&[]).wish()).unwrap()
    }
}

fn password_of(created: &Created) -> String {
    created.value["password"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_may_what_its_permissions_say_until_it_is_removed() {
    let server = shared();
    server.status("PUT", &["vhosts", HOSTILE]).await.unwrap();
    let reader = Stage::new(&[
        ("rabbitmq-user-vhost", HOSTILE),
        ("rabbitmq-user-conf-permission", "^own-"),
        ("rabbitmq-user-read-permission", "^own-"),
        ("rabbitmq-user-tags", "management"),
    ]);
    let other = Stage::new(&[("rabbitmq-user-tags", "management")]);
    let (plan, rest) = (reader.plan(), other.plan());
    let made = RabbitMq.create(&reader.scene(), &plan).await.unwrap();
    let kept = RabbitMq.create(&other.scene(), &rest).await.unwrap();
    let (user, password) = (plan.handle.as_str(), password_of(&made));
    assert_eq!(made.value["user"], user);
    // What it may: make queues that begin with own-, and nothing else.
    let queue = async |user: &str, password: &str, name: &str| {
        let path = ["queues", HOSTILE, name];
        server.asked("PUT", &path, user, password, json!({})).await.unwrap().0
    };
    assert_eq!(queue(user, &password, "own-1").await, 201);
    assert_ne!(queue(user, &password, "others").await, 201);
    assert_eq!(queue(user, "wrong", "own-2").await, 401);
    assert_ne!(queue(&rest.handle, &password_of(&kept), "own-3").await, 201);
    let path = ["users", "admin"];
    assert_eq!(server.asked("GET", &path, user, &password, json!({})).await.unwrap().0, 401);
    // As clients sign in, and only to its virtual host.
    let mut session = server.signed_in(user, &password, HOSTILE).unwrap();
    assert!(server.signed_in(user, &password, "/").is_none());
    assert!(server.signed_in(user, "wrong", HOSTILE).is_none());
    assert!(RabbitMq.revoke(&reader.scene(), user).await.unwrap().is_empty());
    // The server ends the connection: a close (10, 50), then the end.
    assert!(frame(&mut session).is_none_or(|body| body.starts_with(&[0, 10, 0, 50])));
    assert!(server.signed_in(user, &password, HOSTILE).is_none());
    assert_eq!(server.status("GET", &["users", user]).await, Some(404));
    assert_eq!(server.status("GET", &["users", &rest.handle]).await, Some(200));
    assert!(RabbitMq.revoke(&reader.scene(), user).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_creation_leaves_nobody_behind() {
    let server = shared();
    for (field, value) in
        [("rabbitmq-user-read-permission", "("), ("rabbitmq-user-vhost", "no-such/../%2F")]
    {
        let stage = Stage::new(&[(field, value)]);
        let plan = stage.plan();
        let fault = RabbitMq.create(&stage.scene(), &plan).await.err().unwrap();
        assert_eq!(fault.kind(), FaultKind::BadRequest, "{fault}");
        assert!(fault.public().contains("permitting"), "{fault}");
        assert!(!format!("{fault:?}").contains(plan.password.expose().as_str()));
        assert_eq!(server.status("GET", &["users", &plan.handle]).await, Some(404));
    }
    // Somebody who may not make users.
    let able = Stage::new(&[("rabbitmq-user-tags", "management")]);
    let poor = able.plan();
    let made = RabbitMq.create(&able.scene(), &poor).await.unwrap();
    let target = server.target(&[
        ("rabbitmq-server-user", poor.handle.as_str()),
        ("rabbitmq-server-password", &password_of(&made)),
    ]);
    let stage = Stage { target, ..Stage::new(&[]) };
    let fault = RabbitMq.create(&stage.scene(), &stage.plan()).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Forbidden, "{fault}");
    for handle in ["admin", "", "..", "../../vhosts/x", "x/y.aaaaaaaaaaaaaaaa"] {
        assert!(RabbitMq.revoke(&able.scene(), handle).await.is_err(), "{handle}");
    }
    assert_eq!(server.status("GET", &["users", "admin"]).await, Some(200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_says_where_it_stopped() {
    let server = shared();
    let target = target_by_name("rabbitmq").unwrap();
    target.probe(&server.target(&[]), &way()).await.unwrap();
    let wrong = server.target(&[("rabbitmq-server-password", "canary-wrong")]);
    let fault = target.probe(&wrong, &way()).await.unwrap_err();
    assert!(
        fault.public().contains("401") && !format!("{fault:?}").contains("canary"),
        "{fault:?}"
    );
    // Its port of clients is no web server.
    let elsewhere = format!("http://127.0.0.1:{}", server.port);
    let quick = Way { timeout: Duration::from_secs(3), ..way() };
    let elsewhere = server.target(&[("rabbitmq-server-uri", elsewhere.as_str())]);
    assert!(target.probe(&elsewhere, &quick).await.is_err());
}

#[test]
fn settings_that_make_no_sense_are_refused_and_wide_ones_told() {
    let own = [
        ("rabbitmq-server-uri", "http://rabbit.example:15672"),
        ("rabbitmq-admin-user", "admin"),
        ("rabbitmq-admin-pwd", "x"),
    ];
    let check = |more: &[(&'static str, &str)]| {
        let given: Vec<_> = own.iter().chain(more).copied().collect();
        RabbitMq.check(&settings(&RabbitMq, &given), None)
    };
    let warned = check(&[
        ("rabbitmq-user-tags", "monitoring, Administrator"),
        ("rabbitmq-user-write-permission", ".*"),
    ]);
    let warned = warned.unwrap();
    assert_eq!(warned.len(), 3, "{warned:?}");
    for (field, value) in [
        ("rabbitmq-server-uri", "amqp://rabbit.example"),
        ("rabbitmq-user-vhost", "a\nb"),
        ("rabbitmq-user-tags", &"x".repeat(1_025)),
        ("password-length", "3"),
    ] {
        let fault = check(&[(field, value)]).unwrap_err();
        assert!(fault.public().contains(field), "{field}: {fault}");
    }
    let wrong = TargetUse { type_name: "postgres", settings: &Settings::default() };
    assert!(RabbitMq.check(&Settings::default(), Some(&wrong)).is_err());
}
