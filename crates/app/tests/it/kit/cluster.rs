//! An installation whose roles run apart: control, three fragment managers and a gateway as five
//! processes, each under a user of its own where the tests may do that.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::Uid;
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::{PublicKey, SigningKey};
use keysherd_fragments::bundle::Bundle;
use keysherd_fragments::encoding::Encoding as _;
use rustix::process::Signal;
use serde_json::Value;

use super::api::Api;
use super::fake_clock::FakeClock;
use super::http::Http;
use super::loopback::free_port;
use super::net::Net;
use super::poll::{wait_for, wait_until};
use super::proxy::Proxy;
use super::run::{Finished, KEYSHERD, finish, keysherd};
use super::server::{Bootstrap, Process, Site};
use super::stolen::{Share, shares_in};

mod first_bundle;

use first_bundle::first_bundle;

/// Fragment managers.
pub(crate) const MANAGERS: u8 = 3;
/// The user of control; the managers and the gateway have the next ones. Nobody else has them.
const FIRST_USER: u32 = 61_201;

/// Five processes, ended on drop.
pub(crate) struct Cluster {
    pub(crate) site: Site,
    /// The owner's key.
    pub(crate) owner: SigningKey,
    /// What the owner signed last.
    pub(crate) bundle: Bundle,
    pub(crate) control: Node,
    /// By ascending index.
    pub(crate) managers: Vec<Node>,
    pub(crate) gateway: Node,
    /// The first account.
    pub(crate) bootstrap: Bootstrap,
    pub(crate) http: Arc<Http>,
    pub(crate) url: String,
    /// The gateway's customer fragment.
    pub(crate) fragment: Option<CustomerFragment>,
}

/// A customer fragment.
pub(crate) struct CustomerFragment {
    /// Its id as commands show it.
    pub(crate) id: String,
    /// The same as bundles have it.
    pub(crate) uid: Uid,
    /// Its 32 bytes.
    pub(crate) value: Vec<u8>,
}

/// One role: how it is started, and the process while it runs.
pub(crate) struct Node {
    role: &'static str,
    user: Option<u32>,
    /// Its data directory.
    pub(crate) data: PathBuf,
    args: Vec<String>,
    /// Where it listens; in a network, port 0 before the first start.
    pub(crate) address: String,
    pub(crate) process: Option<Process>,
    /// The wire through which the others reach it, where there is one.
    pub(crate) wire: Option<Proxy>,
    /// The network that it is in, where it is not the one of the tests.
    net: Option<(Arc<Net>, &'static str)>,
    /// Its clock, where that is not the machine's.
    clock: Option<FakeClock>,
    /// What else is in its environment.
    env: Vec<(&'static str, String)>,
}

/// What is different from the usual.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    /// The gateway and the managers reach managers through control's relay.
    pub(crate) relay: bool,
    /// Control and the managers are reached through wires that remember, and can be slow.
    pub(crate) wires: bool,
    /// The gateway has a customer fragment.
    pub(crate) customer_fragment: bool,
    /// Further arguments of the gateway.
    pub(crate) gateway: Vec<String>,
    /// The gateway is in the network `gateway` of these, all others are in `control`.
    pub(crate) net: Option<Arc<Net>>,
    /// Control keeps its store at this URL, which has no password.
    pub(crate) database: Option<String>,
}

impl Cluster {
    /// Starts one, with an account.
    pub(crate) fn start() -> Self {
        Self::start_with(&Wish::default())
    }

    /// The same as `wish` says.
    pub(crate) fn start_with(wish: &Wish) -> Self {
        let site = Site::new();
        let owner = SigningKey::generate(&SystemRng).unwrap();
        let apart = may_change_users();
        let mut users = (FIRST_USER..).map(|user| apart.then_some(user));
        let mut node = |role, name: &str, args: &[&str]| {
            let user = users.next().flatten();
            Node::new(&site, role, name, user, &owner, args).in_net(wish.net.as_ref())
        };
        let mut control = node("control", "control", &[]);
        wish.database.iter().for_each(|url| control.take_database(url));
        control.start(&site);
        control.wire = wish.wires.then(|| control.wired());
        let at_control = control.seen_at();
        let mut common: Vec<&str> = vec!["--control", &at_control];
        common.extend(wish.relay.then_some("--relay"));
        let mut managers = Vec::new();
        for index in 1..=MANAGERS {
            let (name, index) = (format!("manager-{index}"), index.to_string());
            let args = [&["--index", &index][..], &common].concat();
            let mut manager = node("fragments", &name, &args);
            manager.start(&site);
            manager.wire = wish.wires.then(|| manager.wired());
            managers.push(manager);
        }
        let more = wish.gateway.iter().map(String::as_str);
        let args: Vec<&str> = common.iter().copied().chain(more).collect();
        let mut gateway = node("gateway", "gateway", &args);
        let fragment = wish.customer_fragment.then(|| gateway.make_customer_fragment(&site));
        gateway.start(&site);
        let mut bundle = first_bundle(&control, &managers, &gateway);
        bundle.clusters[0].fragments.extend(fragment.as_ref().map(|made| made.uid));
        let url = gateway.address.clone();
        let http = Arc::new(Http::new(&url, &gateway.data.join("tls/ca.pem")));
        let bootstrap = Bootstrap::default();
        let mut cluster = Self {
            site,
            owner,
            bundle,
            control,
            managers,
            gateway,
            bootstrap,
            http,
            url,
            fragment,
        };
        cluster.publish();
        cluster.bootstrap = cluster.set_up();
        cluster.wait_until_healthy();
        cluster
    }

    /// Signs the bundle and hands it to control, from where all others get it.
    pub(crate) fn publish(&self) {
        let file = self.site.path("signed-bundle");
        fs::write(&file, self.signed_bundle()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        self.control
            .run(&self.site, &["control", "accept-bundle", file.to_str().unwrap()])
            .expect(0);
    }

    /// The bundle under the owner's signature.
    pub(crate) fn signed_bundle(&self) -> Vec<u8> {
        self.bundle.seal(&self.owner).to_bytes()
    }

    /// Signs a bundle that `change` makes of the last one, with the next version.
    pub(crate) fn change_bundle(&mut self, change: impl FnOnce(&mut Bundle)) {
        change(&mut self.bundle);
        self.bundle.version += 1;
        self.publish();
    }

    fn set_up(&self) -> Bootstrap {
        let out = self.gateway.data.join("account");
        self.set_up_with(&self.copied_setup_token(), &out).expect(0);
        Bootstrap::read(&out.join("bootstrap.json"))
    }

    /// Control's setup token, where the gateway can read it.
    pub(crate) fn copied_setup_token(&self) -> PathBuf {
        let token = self.gateway.data.join("setup-token");
        fs::copy(self.control.data.join("setup-token"), &token).unwrap();
        self.gateway.own(&token);
        token
    }

    /// Makes an account with the token in a file, and its credentials in `out`.
    pub(crate) fn set_up_with(&self, token: &Path, out: &Path) -> Finished {
        self.set_up_fed(&["--setup-token-file", token.to_str().unwrap()], out, b"")
    }

    /// The same with further arguments, and with something on standard input.
    pub(crate) fn set_up_fed(&self, more: &[&str], out: &Path, input: &[u8]) -> Finished {
        let mut args = [&["gateway", "setup"], more].concat();
        args.extend(["--out", out.to_str().unwrap(), "--url", &self.url]);
        args.extend(self.gateway.args.iter().map(String::as_str));
        finish(&mut self.gateway.command(&self.site, &args), input)
    }

    /// Waits until the gateway answers.
    pub(crate) fn wait_until_healthy(&self) {
        wait_until("the gateway to be healthy", || {
            self.http.get("/health").is_ok_and(|reply| reply.status == 200)
        });
    }

    /// What the gateway says of itself.
    pub(crate) fn status(&self) -> Value {
        self.http.get("/status").unwrap().json()
    }

    /// Calls without a token.
    pub(crate) fn nobody(&self) -> Api {
        Api::new(self.http.clone())
    }

    /// Calls with a token of the first administrator.
    pub(crate) fn admin(&self) -> Api {
        let Bootstrap { access_id, access_key, .. } = &self.bootstrap;
        self.nobody().login(access_id, access_key)
    }

    /// A further node that nobody trusts yet; it is not started.
    pub(crate) fn stranger(&self, role: &'static str, name: &str, args: &[&str]) -> Node {
        self.stranger_at(&self.control, role, name, args)
    }

    /// The same, which asks this node of control.
    pub(crate) fn stranger_at(
        &self,
        control: &Node,
        role: &'static str,
        name: &str,
        args: &[&str],
    ) -> Node {
        let user = may_change_users().then_some(FIRST_USER + 10);
        let at_control = ["--control", &control.address];
        let common: &[&str] = if role == "control" { &[] } else { &at_control };
        Node::new(&self.site, role, name, user, &self.owner, &[common, args].concat())
    }

    /// All nodes: control, managers, gateway.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        [&self.control].into_iter().chain(&self.managers).chain([&self.gateway])
    }

    /// Control and the managers: those that must not be able to read.
    pub(crate) fn blind(&self) -> impl Iterator<Item = &Node> {
        self.nodes().filter(|node| node.role != "gateway")
    }

    /// The fragments of all managers, as whoever steals all their disks has them.
    pub(crate) fn stolen_shares(&self) -> Vec<Share> {
        let of_manager = |node: &Node| {
            shares_in(&node.data.join("store/fragments.redb"), &node.data.join("epoch.key"))
        };
        self.managers.iter().flat_map(of_manager).collect()
    }

    /// The node at a place of [`Self::nodes`], to be changed.
    pub(crate) fn node(&mut self, place: usize) -> (&Site, &mut Node) {
        let managers = self.managers.iter_mut();
        let mut nodes = [&mut self.control].into_iter().chain(managers).chain([&mut self.gateway]);
        (&self.site, nodes.nth(place).unwrap())
    }

    /// Runs `keysherd audit` on control's directory.
    pub(crate) fn audit(&self, args: &[&str]) -> Finished {
        let args = [&["audit"], args].concat();
        self.control.run(&self.site, &args)
    }
}

impl Node {
    fn new(
        site: &Site,
        role: &'static str,
        name: &str,
        user: Option<u32>,
        owner: &SigningKey,
        args: &[&str],
    ) -> Self {
        if user.is_some() {
            // Other users have to get through to their own directories.
            for dir in [site.path("."), site.home()] {
                fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        let data = site.path(name);
        fs::DirBuilder::new().mode(0o700).create(&data).unwrap();
        let mut args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        args.extend(["--owner-key".to_owned(), owner.public().to_string()]);
        // It is not the system's to give away while nobody listens.
        let address = format!("127.0.0.1:{}", free_port());
        let (process, wire, net, clock, env) = (None, None, None, None, Vec::new());
        let node = Self { role, user, data, args, address, process, wire, net, clock, env };
        node.own(&node.data);
        node
    }

    /// The same in the network of its role, if there are networks.
    fn in_net(self, net: Option<&Arc<Net>>) -> Self {
        let name = if self.role == "gateway" { "gateway" } else { "control" };
        match net {
            Some(net) => self.in_network(net, name),
            None => self,
        }
    }

    /// The same in a network.
    pub(crate) fn in_network(mut self, net: &Arc<Net>, name: &'static str) -> Self {
        self.address = format!("{}:0", net.ip(name));
        self.net = Some((net.clone(), name));
        self
    }

    /// Does `work` where it is.
    fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.net {
            Some((net, name)) => net.within(name, work),
            None => work(),
        }
    }

    /// A wire to it, which begins where it is.
    fn wired(&self) -> Proxy {
        let (ip, _) = self.address.rsplit_once(':').unwrap();
        self.within(|| Proxy::from(ip, &self.address))
    }

    /// From its next start on it has a clock that tests set.
    pub(crate) fn take_clock(&mut self) {
        self.clock = Some(FakeClock::new(&self.data));
    }

    /// How far its clock is ahead of the machine's from now on, in seconds.
    pub(crate) fn set_clock(&self, ahead: i64) {
        self.clock.as_ref().expect("a clock").set(ahead);
    }

    /// Where the others find it.
    pub(crate) fn seen_at(&self) -> String {
        self.wire.as_ref().map_or_else(|| self.address.clone(), |wire| wire.address.to_string())
    }

    /// Makes a customer fragment and starts with it from now on.
    fn make_customer_fragment(&mut self, site: &Site) -> CustomerFragment {
        let file = self.data.join("customer_fragments.json");
        let shown = file.to_str().unwrap().to_owned();
        let mut command = keysherd(&site.home());
        command.args(["gen-customer-fragment", "--name", "test", "--out", &shown]);
        finish(&mut command, b"").expect(0);
        self.own(&file);
        self.args.extend(["--customer-fragments".to_owned(), shown]);
        let content: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let made = &content["customer_fragments"][0];
        let id = made["id"].as_str().unwrap().to_owned();
        let uid = Uid(hex::decode(&id[3..]).unwrap().try_into().unwrap());
        let value = STANDARD.decode(made["value"].as_str().unwrap()).unwrap();
        CustomerFragment { id, uid, value }
    }

    /// Starts with further arguments from now on.
    pub(crate) fn take_args(&mut self, more: &[&str]) {
        self.args.extend(more.iter().map(|arg| (*arg).to_owned()));
    }

    /// Starts with this in its environment from now on.
    pub(crate) fn take_env(&mut self, name: &'static str, value: &str) {
        self.env.push((name, value.to_owned()));
    }

    /// Writes a file into the node's directory that only its user can read.
    pub(crate) fn write_secret(&self, name: &str, text: &str) -> String {
        let file = self.data.join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        self.own(&file);
        file.to_str().unwrap().to_owned()
    }

    /// Gives a file to the node's user.
    pub(crate) fn own(&self, path: &Path) {
        if let Some(user) = self.user {
            chown(path, Some(user), Some(user)).unwrap();
        }
    }

    /// The binary as the node's user, with its data directory.
    fn command(&self, site: &Site, args: &[&str]) -> Command {
        let mut command = keysherd(&site.home());
        command.args(args).arg("--data-dir").arg(&self.data);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        if let Some(clock) = &self.clock {
            command.envs(clock.environment());
        }
        command.envs(self.env.iter().cloned());
        command
    }

    /// Runs the binary to its end as the node's user, with its data directory.
    pub(crate) fn run(&self, site: &Site, args: &[&str]) -> Finished {
        self.within(|| finish(&mut self.command(site, args), b""))
    }

    /// The same with what it is started with besides.
    pub(crate) fn run_with_args(&self, site: &Site, args: &[&str]) -> Finished {
        let own = self.args.iter().map(String::as_str);
        self.run(site, &args.iter().copied().chain(own).collect::<Vec<_>>())
    }

    /// Starts with another value in the place of `from` from now on.
    pub(crate) fn replace_arg(&mut self, from: &str, to: &str) {
        let found = self.args.iter_mut().filter(|arg| *arg == from);
        found.for_each(|arg| to.clone_into(arg));
    }

    /// Starts with another value of this option from now on.
    pub(crate) fn replace_value(&mut self, option: &str, to: &str) {
        let place = self.args.iter().position(|arg| arg == option).unwrap();
        to.clone_into(&mut self.args[place + 1]);
    }

    /// Starts it where it was before, and waits until it listens.
    pub(crate) fn start(&mut self, site: &Site) {
        let listen = self.address.rsplit('/').next().unwrap().to_owned();
        let mut args = vec![self.role, "--listen", &listen];
        args.extend(self.args.iter().map(String::as_str));
        let mut process = self.within(|| site.launch(self.command(site, &args))).process;
        self.address = wait_for("a role to listen", || {
            if !process.runs() {
                panic!("it ended: {}{}", process.out(), process.err());
            }
            let out = process.out();
            // The bundle's line is one of the last.
            let line = out.lines().find(|line| line.contains(" listens on "))?;
            let complete = out.contains("trust bundle");
            let address = line.rsplit(' ').next().unwrap();
            complete.then(|| address.to_owned())
        });
        if self.clock.is_some() {
            FakeClock::tidy(process.pid());
        }
        self.process = Some(process);
    }

    /// Ends it without warning.
    pub(crate) fn kill(&mut self) {
        self.process.take().unwrap().kill();
    }

    /// Stops it as an operator does; demands that it ends well.
    pub(crate) fn stop(&mut self) {
        let process = self.process.take().unwrap();
        process.signal(Signal::TERM);
        let err = process.err();
        assert_eq!(process.wait(), 0, "{err}");
    }

    /// The running process.
    pub(crate) fn running(&self) -> &Process {
        self.process.as_ref().unwrap()
    }

    /// A public key in what it printed at its start.
    pub(crate) fn printed_key(&self, name: &str) -> PublicKey {
        let out = self.running().out();
        let line = out.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        let digits = line.split_whitespace().last().unwrap();
        PublicKey::from_slice(&hex::decode(digits).unwrap()).unwrap()
    }
}

/// Whether processes can be given to other users: by root, if those users can run the binary.
fn may_change_users() -> bool {
    let open = |path: &Path| fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o001 != 0);
    rustix::process::geteuid().is_root() && Path::new(KEYSHERD).ancestors().all(open)
}
