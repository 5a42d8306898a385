//! A PostgreSQL cluster as operators run it: three nodes that Patroni watches over, and three of
//! etcd that it asks who leads.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::loopback::free_port;
use super::mounts::tell;
use super::poll::{wait_for, wait_until};
use super::postgres;
use super::python::python;

/// Nodes of each kind.
const NODES: usize = 3;

/// Before 3.0.3, a primary that stood still takes the lead back with etcd's third interface,
/// whoever has it meanwhile, and what that one acknowledged is gone: the distribution's is older.
/// What it needs is the distribution's.
const VERSION: &str = "4.1.5";

/// The cluster, ended on drop.
pub(crate) struct Patroni {
    dir: TempDir,
    user: Option<(u32, u32)>,
    python: PathBuf,
    etcd: Vec<Child>,
    nodes: Vec<Node>,
}

/// One of the three.
struct Node {
    name: String,
    port: u16,
    rest: u16,
    patroni: Option<Child>,
}

impl Patroni {
    /// Starts it, and waits until it has a leader and a synchronous standby.
    pub(crate) fn start() -> Self {
        let dir = TempDir::with_prefix("keysherd-patroni-").unwrap();
        let user = postgres::unprivileged();
        own(dir.path(), user);
        let python = patroni(dir.path());
        let ports: Vec<(u16, u16)> = (0..NODES).map(|_| (free_port(), free_port())).collect();
        let etcd = (0..NODES).map(|place| etcd(dir.path(), user, place, &ports)).collect();
        let clients = ports.iter().map(|(client, _)| format!("127.0.0.1:{client}"));
        let clients: Vec<String> = clients.collect();
        let nodes = (1..=NODES).map(|number| {
            let (port, rest) = (free_port(), free_port());
            Node { name: format!("node{number}"), port, rest, patroni: None }
        });
        let mut cluster = Self { nodes: nodes.collect(), dir, user, python, etcd };
        for place in 0..NODES {
            cluster.configure(place, &clients);
            cluster.run(place);
        }
        cluster.wait_until_whole();
        cluster
    }

    /// All nodes as a URL of the database `postgres`, without the password.
    pub(crate) fn url(&self, database: &str) -> String {
        let hosts = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port));
        let hosts = hosts.collect::<Vec<_>>().join(",");
        format!("postgres://postgres@{hosts}/{database}?sslmode=disable")
    }

    /// Runs a statement on the leader.
    pub(crate) fn sql(&self, database: &str, statement: &str) -> String {
        postgres::sql_at(self.nodes[self.leader()].port, database, statement)
    }

    /// Which node leads.
    pub(crate) fn leader(&self) -> usize {
        wait_for("a leader", || {
            let members = self.members()?;
            let leads =
                |member: &&Value| member["role"] == "leader" && member["state"] == "running";
            let name = members.iter().find(leads)?["name"].as_str()?.to_owned();
            self.nodes.iter().position(|node| node.name == name)
        })
    }

    /// Waits until all nodes take part, one of them as a synchronous standby.
    pub(crate) fn wait_until_whole(&self) {
        wait_until("a whole cluster", || {
            let Some(members) = self.members() else { return false };
            let up =
                |member: &&Value| matches!(member["state"].as_str(), Some("running" | "streaming"));
            members.len() == NODES
                && members.iter().filter(up).count() == NODES
                && members.iter().any(|member| member["role"] == "leader")
                && members.iter().any(|member| member["role"] == "sync_standby")
        });
    }

    /// Kills a node: what watches over it, and its server.
    pub(crate) fn kill(&mut self, place: usize) {
        let server = self.server(place);
        let node = &mut self.nodes[place];
        if let Some(mut patroni) = node.patroni.take() {
            patroni.kill().unwrap();
            patroni.wait().unwrap();
        }
        server.into_iter().for_each(|pid| signal(pid, Signal::KILL));
    }

    /// Starts a node again.
    pub(crate) fn run(&mut self, place: usize) {
        let log = self.dir.path().join(format!("patroni{place}.log"));
        let log = fs::File::options().create(true).append(true).open(log).unwrap();
        let mut patroni =
            postgres::command(Path::new("/usr/bin/python3"), self.user, self.dir.path());
        patroni.env("PYTHONPATH", &self.python).args(["-m", "patroni"]);
        patroni.arg(self.file(place)).stdout(log.try_clone().unwrap()).stderr(log);
        // It would take the place of its own.
        patroni.env_remove("PGPASSWORD");
        self.nodes[place].patroni = Some(patroni.spawn().unwrap());
    }

    /// Everything of a node stands still, as it looks to the others when its network is cut; or
    /// goes on.
    pub(crate) fn freeze(&self, place: usize, frozen: bool) {
        let how = if frozen { Signal::STOP } else { Signal::CONT };
        let patroni = self.nodes[place].patroni.as_ref().map(Child::id);
        let server = self.server(place);
        let of_server = server.into_iter().flat_map(children_of);
        let all = patroni.into_iter().chain(server).chain(of_server.collect::<Vec<_>>());
        all.for_each(|pid| signal(pid, how));
    }

    fn server(&self, place: usize) -> Option<u32> {
        let file = self.data(place).join("postmaster.pid");
        fs::read_to_string(file).ok()?.lines().next()?.parse().ok()
    }

    fn members(&self) -> Option<Vec<Value>> {
        self.nodes.iter().filter(|node| node.patroni.is_some()).find_map(|node| {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--max-time", "10"]);
            curl.arg(format!("http://127.0.0.1:{}/cluster", node.rest));
            let answer: Value = serde_json::from_slice(&curl.output().ok()?.stdout).ok()?;
            answer["members"].as_array().cloned()
        })
    }

    fn data(&self, place: usize) -> PathBuf {
        self.dir.path().join(format!("data{place}"))
    }

    fn file(&self, place: usize) -> PathBuf {
        self.dir.path().join(format!("patroni{place}.yml"))
    }

    fn configure(&self, place: usize, etcd: &[String]) {
        let Node { name, port, rest, .. } = &self.nodes[place];
        let (data, dir) = (self.data(place), self.dir.path());
        let text = serde_json::json!({
            "scope": "keysherd",
            "name": name,
            "restapi": {
                "listen": format!("127.0.0.1:{rest}"),
                "connect_address": format!("127.0.0.1:{rest}"),
            },
            "etcd3": {"hosts": etcd},
            "bootstrap": {
                "dcs": {
                    "ttl": 20, "loop_wait": 2, "retry_timeout": 5,
                    "synchronous_mode": true,
                    "synchronous_mode_strict": true,
                    "primary_start_timeout": 0,
                    "postgresql": {
                        "use_pg_rewind": true,
                        "parameters": {"max_connections": 100, "wal_log_hints": "on"},
                    },
                },
                "initdb": [{"encoding": "UTF8"}, "no-locale"],
            },
            "postgresql": {
                "listen": format!("127.0.0.1:{port}"),
                "connect_address": format!("127.0.0.1:{port}"),
                "data_dir": data,
                "bin_dir": postgres::programs(),
                "pgpass": dir.join(format!("pgpass{place}")),
                "pg_hba": [
                    "local all all trust",
                    "host all all 127.0.0.1/32 scram-sha-256",
                    "host replication all 127.0.0.1/32 scram-sha-256",
                ],
                "authentication": {
                    "superuser": {"username": "postgres", "password": postgres::PASSWORD},
                    "replication": {"username": "replicator", "password": postgres::PASSWORD},
                    "rewind": {"username": "rewinder", "password": postgres::PASSWORD},
                },
                "parameters": {
                    "unix_socket_directories": dir, "shared_buffers": "32MB",
                    "log_line_prefix": "%m [%p] ",
                    "password_encryption": "scram-sha-256",
                },
            },
        });
        // JSON is YAML, too.
        fs::write(self.file(place), text.to_string()).unwrap();
        fs::set_permissions(self.file(place), fs::Permissions::from_mode(0o644)).unwrap();
    }
}

impl Drop for Patroni {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Its logs tell who led when.
            self.dir.disable_cleanup(true);
            tell(&format!("the database cluster's files are kept: {}", self.dir.path().display()));
        }
        for place in 0..self.nodes.len() {
            self.freeze(place, false);
            self.kill(place);
        }
        for child in &mut self.etcd {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A copy of Patroni where the servers' user may read it.
fn patroni(dir: &Path) -> PathBuf {
    let name = format!("patroni-{VERSION}");
    let mut ask = Command::new(python(&name, &[&format!("patroni=={VERSION}")]));
    let path = ask.args(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]);
    let path = PathBuf::from(String::from_utf8(path.output().unwrap().stdout).unwrap().trim());
    let there = dir.join("python");
    fs::create_dir(&there).unwrap();
    let mut copy = Command::new("cp");
    let copied = copy.arg("-r").arg(path.join("patroni")).arg(&there).status();
    assert!(copied.is_ok_and(|status| status.success()), "{} cannot be copied", path.display());
    there
}

fn etcd(dir: &Path, user: Option<(u32, u32)>, place: usize, ports: &[(u16, u16)]) -> Child {
    let (client, peer) = ports[place];
    let all = ports.iter().enumerate();
    let all = all.map(|(place, (_, peer))| format!("etcd{place}=http://127.0.0.1:{peer}"));
    let log = fs::File::create(dir.join(format!("etcd{place}.log"))).unwrap();
    let mut etcd = postgres::command(Path::new("etcd"), user, dir);
    etcd.args(["--name", &format!("etcd{place}")]);
    etcd.arg("--data-dir").arg(dir.join(format!("etcd{place}")));
    for (name, port) in [
        ("listen-client-urls", client),
        ("advertise-client-urls", client),
        ("listen-peer-urls", peer),
        ("initial-advertise-peer-urls", peer),
    ] {
        etcd.arg(format!("--{name}")).arg(format!("http://127.0.0.1:{port}"));
    }
    etcd.args(["--initial-cluster", &all.collect::<Vec<_>>().join(",")]);
    // A machine that does other work, too.
    etcd.args(["--heartbeat-interval", "500", "--election-timeout", "5000"]);
    etcd.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

fn own(path: &Path, user: Option<(u32, u32)>) {
    if let Some((uid, gid)) = user {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
}

/// It may have ended by itself.
fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

fn children_of(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
