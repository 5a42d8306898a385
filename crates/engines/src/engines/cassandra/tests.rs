//! Roles on a stand-in for Cassandra: the frames of its protocol (version 4), and as much of its
//! language as roles need. A Cassandra itself is too heavy for tests;
//! what is said here was tried on one of version 5.0 by hand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use keysherd_base::FaultKind;
use keysherd_targets::by_name as target_by_name;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::testing::{Caller, settings, target, way};
use crate::{NOT_REACHED, Way};

const ADMIN: &str = "canary-keeper";
const AUTHENTICATOR: &str = "org.apache.cassandra.auth.PasswordAuthenticator";

pub(crate) struct State {
    /// Roles with their passwords.
    pub(crate) roles: BTreeMap<String, String>,
    /// What it says it asks for; none: it lets everybody in.
    authenticator: Option<&'static str>,
    /// Goes away when a statement begins so.
    gone_at: Option<&'static str>,
    /// Statements that begin so are refused with this number.
    refuses: Option<(&'static str, u32)>,
    /// Leaves roles where they are.
    keeps: bool,
    /// Warns of everything.
    warns: bool,
}

pub(crate) struct StandIn {
    place: String,
    pub(crate) state: Arc<Mutex<State>>,
}

impl StandIn {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State {
            roles: BTreeMap::from([("keeper".to_owned(), ADMIN.to_owned())]),
            authenticator: Some(AUTHENTICATOR),
            gone_at: None,
            refuses: None,
            keeps: false,
            warns: false,
        }));
        let kept = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&kept)));
            }
        });
        Self { place, state }
    }

    pub(crate) fn has(&self, role: &str) -> bool {
        self.state.lock().unwrap().roles.contains_key(role)
    }

    pub(crate) fn target(&self, more: &[(&'static str, &str)]) -> Settings {
        let (host, port) = self.place.split_once(':').unwrap();
        let plain = [
            ("db-type", "cassandra"),
            ("host", host),
            ("port", port),
            ("user-name", "keeper"),
            ("pwd", ADMIN),
        ];
        target(&plain.iter().chain(more).copied().collect::<Vec<_>>())
    }

    async fn lets_in(&self, user: &str, password: &str) -> bool {
        let target = self.target(&[("user-name", user), ("pwd", password)]);
        connect(&[database(&target).unwrap()], &way()).await.is_ok()
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) -> Option<()> {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        if head[..4] != [4, 0, 0, 0] {
            return None;
        }
        let length = u32::from_be_bytes(head[5..].try_into().unwrap());
        let mut body = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut body).await.ok()?;
        let (operation, mut answer) = answered(head[4], &body, &mut state.lock().unwrap())?;
        let mut flags = 0;
        if state.lock().unwrap().warns {
            flags = 8;
            answer = [&[0, 1, 0, 4][..], b"warn", &answer].concat();
        }
        let length = u32::try_from(answer.len()).unwrap().to_be_bytes();
        let frame = [&[0x84, flags, 0, 0, operation][..], &length, &answer].concat();
        stream.write_all(&frame).await.ok()?;
    }
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    [&length[..], text.as_bytes()].concat()
}

fn error(code: u32, why: &str) -> (u8, Vec<u8>) {
    (0, [&code.to_be_bytes()[..], &text(why)].concat())
}

fn answered(operation: u8, body: &[u8], state: &mut State) -> Option<(u8, Vec<u8>)> {
    Some(match operation {
        1 => {
            assert_eq!(body, [&[0, 1][..], &text("CQL_VERSION"), &text("3.0.0")].concat());
            state.authenticator.map_or((2, Vec::new()), |name| (3, text(name)))
        }
        15 => {
            let mut parts = body[4..].split(|byte| *byte == 0).map(String::from_utf8_lossy);
            let (_, user, password) = (parts.next(), parts.next()?, parts.next()?);
            match state.roles.get(&*user) {
                Some(known) if *known == password => (16, vec![0xff; 4]),
                _ => {
                    error(0x100, &format!("Provided username {user} and/or password are incorrect"))
                }
            }
        }
        7 => {
            let length =
                usize::try_from(u32::from_be_bytes(body[..4].try_into().unwrap())).unwrap();
            assert_eq!(body[4 + length..], [0, 4, 0], "a quorum");
            let said = String::from_utf8(body[4..4 + length].to_vec()).unwrap();
            ran(said.trim_start(), state)?
        }
        other => panic!("{other}"),
    })
}

fn ran(said: &str, state: &mut State) -> Option<(u8, Vec<u8>)> {
    if state.gone_at.is_some_and(|begin| said.starts_with(begin)) {
        return None;
    }
    if let Some((_, code)) = state.refuses.filter(|(begin, _)| said.starts_with(begin)) {
        return Some(error(code, &format!("refused near '{said}'")));
    }
    let quoted = |number: usize| said.split('\'').nth(2 * number + 1).unwrap().to_owned();
    if said.starts_with("CREATE ROLE") {
        state.roles.insert(quoted(0), quoted(1));
    } else if said.starts_with("ALTER ROLE") {
        // What ends a text is doubled in it.
        let inner = said.strip_prefix("ALTER ROLE '").unwrap().strip_suffix('\'').unwrap();
        let (name, password) = inner.rsplit_once("' WITH PASSWORD = '").unwrap();
        match state.roles.get_mut(&name.replace("''", "'")) {
            Some(known) => *known = password.replace("''", "'"),
            None => return Some(error(0x2200, &format!("there is no such role, near '{said}'"))),
        }
    } else if said.starts_with("DROP ROLE IF EXISTS") && !state.keeps {
        state.roles.remove(&quoted(0));
    } else if said.starts_with("SELECT role") {
        let there = u8::from(state.roles.contains_key(&quoted(0)));
        // Of one table, one column of texts.
        let names = ["system_auth", "roles", "role"].map(text).concat();
        let head = [[0, 0, 0, 2], [0, 0, 0, 1], [0, 0, 0, 1]].concat();
        return Some((8, [&head[..], &names, &[0, 13, 0, 0, 0, there]].concat()));
    }
    Some((8, vec![0, 0, 0, 1]))
}

struct Stage {
    settings: Settings,
    target: Settings,
    way: Way,
}

impl Stage {
    fn new(server: &StandIn, given: &[(&'static str, &str)]) -> Self {
        Self { settings: settings(&Cassandra, given), target: server.target(&[]), way: way() }
    }

    fn scene(&self) -> Scene<'_> {
        let target = TargetUse { type_name: "cassandra", settings: &self.target };
        Scene { settings: &self.settings, target: Some(target), way: &self.way }
    }

    fn plan(&self) -> Plan {
        Cassandra.plan(&self.scene(), &Caller::with(&[]).wish()).unwrap()
    }

    async fn create(&self, plan: &Plan) -> Result<Created, Fault> {
        Cassandra.create(&self.scene(), plan).await
    }

    async fn revoke(&self, handle: &str) -> Result<Vec<String>, Fault> {
        Cassandra.revoke(&self.scene(), handle).await
    }
}

#[tokio::test]
async fn a_role_is_made_signs_in_and_is_removed() {
    let server = StandIn::new().await;
    let stage = Stage::new(&server, &[]);
    let warnings = Cassandra.check(&stage.settings, stage.scene().target.as_ref()).unwrap();
    assert!(warnings[0].contains("every keyspace"), "{warnings:?}");
    let plan = stage.plan();
    stage.create(&plan).await.unwrap();
    let (user, password) = (plan.handle.as_str(), plan.password.expose().as_str());
    assert!(server.lets_in(user, password).await && !server.lets_in(user, "wrong").await);
    server.state.lock().unwrap().warns = true;
    assert_eq!(stage.revoke(user).await.unwrap(), Vec::<String>::new());
    assert!(!server.has(user) && !server.lets_in(user, password).await);
    assert_eq!(stage.revoke(user).await.unwrap(), Vec::<String>::new());
    for handle in ["keeper", "", "x' OR '1'='1", "tmp.x"] {
        assert!(stage.revoke(handle).await.is_err(), "{handle}");
    }
    assert!(server.has("keeper"));
}

#[tokio::test]
async fn a_failed_creation_leaves_nothing_behind_and_says_no_password() {
    let server = StandIn::new().await;
    let statements = "CREATE ROLE '{{name}}' WITH PASSWORD = '{{password}}'; \
                      GRANT NONSENSE '{{password}}'";
    let stage = Stage::new(&server, &[("cassandra-creation-statements", statements)]);
    let plan = stage.plan();
    let create = async |state: &dyn Fn(&mut State)| {
        state(&mut server.state.lock().unwrap());
        let fault = stage.create(&plan).await.err().unwrap();
        for secret in [plan.password.expose().as_str(), ADMIN] {
            assert!(!format!("{fault:?}").contains(secret), "{fault:?}");
        }
        fault
    };
    let fault = create(&|state| state.refuses = Some(("GRANT", 0x2000))).await;
    assert!(fault.public().contains("statement 2 failed with 0x2000"), "{fault}");
    assert!(!server.has(&plan.handle));
    let fault = create(&|state| state.gone_at = Some("CREATE")).await;
    assert_eq!((fault.kind(), fault.code() == NOT_REACHED), (FaultKind::Unavailable, false));
    let fault = create(&|state| state.authenticator = None).await;
    assert!(fault.public().contains("lets everybody in"), "{fault}");
    let fault = create(&|state| state.authenticator = Some("example.TokenAuthenticator")).await;
    assert!(fault.public().contains("something else"), "{fault}");
    assert_eq!(fault.code(), NOT_REACHED);
}

#[tokio::test]
async fn a_role_that_stays_is_not_removed() {
    let server = StandIn::new().await;
    let stage = Stage::new(&server, &[]);
    let plan = stage.plan();
    stage.create(&plan).await.unwrap();
    server.state.lock().unwrap().keeps = true;
    assert!(stage.revoke(&plan.handle).await.is_err());
    server.state.lock().unwrap().refuses = Some(("DROP", 0x2100));
    let fault = stage.revoke(&plan.handle).await.unwrap_err();
    assert!(fault.public().contains("0x2100"), "{fault}");
}

#[tokio::test]
async fn hostile_names_change_no_statement() {
    let server = StandIn::new().await;
    let stage = Stage::new(&server, &[("custom-username-template", "{{ .email }}")]);
    for email in ["x'; DROP ROLE 'keeper", "$$; DROP", "// x", "/* x", "ünï\u{202e}\n\0"] {
        let caller = Caller::with(&[("email", email)]);
        let plan = Cassandra.plan(&stage.scene(), &caller.wish()).unwrap();
        stage.create(&plan).await.unwrap();
        assert!(server.lets_in(&plan.handle, plan.password.expose()).await, "{email}");
        stage.revoke(&plan.handle).await.unwrap();
        assert!(!server.has(&plan.handle) && server.has("keeper"), "{email}");
    }
}

#[tokio::test]
async fn nodes_are_asked_in_turn_and_a_wrong_password_only_once() {
    let server = StandIn::new().await;
    let port = server.place.split_once(':').unwrap().1.to_owned();
    let scene = |hosts: &str, password: &str| {
        settings(
            &Cassandra,
            &[
                ("cassandra-hosts", hosts),
                ("cassandra-port", &port),
                ("cassandra-username", "keeper"),
                ("cassandra-password", password),
            ],
        )
    };
    let way = way();
    // Nobody is at the first address.
    let settings = scene("127.0.0.2, 127.0.0.1", ADMIN);
    let stage = Scene { settings: &settings, target: None, way: &way };
    let plan = Cassandra.plan(&stage, &Caller::with(&[]).wish()).unwrap();
    Cassandra.create(&stage, &plan).await.unwrap();
    assert!(server.has(&plan.handle));
    let settings = scene("127.0.0.1", "wrong");
    let stage = Scene { settings: &settings, ..stage };
    let fault = Cassandra.create(&stage, &plan).await.err().unwrap();
    assert!(fault.public().contains("0x0100"), "{fault}");
    assert!(Cassandra.check(&scene("a,b,c,d,e,f,g,h,i", "x"), None).is_err());
    assert!(Cassandra.check(&scene("a,,b", "x"), None).is_err());
}

#[tokio::test]
async fn a_probe_says_where_it_stopped() {
    let server = StandIn::new().await;
    let db = target_by_name("db").unwrap();
    db.probe(&server.target(&[]), &way()).await.unwrap();
    let fault = db.probe(&server.target(&[("pwd", "canary-wrong")]), &way()).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Forbidden);
    assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    // A server that does not encrypt is not told a password.
    assert!(db.probe(&server.target(&[("ssl", "true")]), &way()).await.is_err());
}
