//! An installation whose roles run apart: control, three fragment managers and a gateway, each a
//! process with a directory of its own, over mutual TLS on this machine.

use std::fs::OpenOptions;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::{PublicKey, SigningKey};
use keysherd_fragments::encoding::Encoding as _;

use super::bundle::{Parties, Party, bundle};
use crate::connection::Endpoint;
use crate::cores::Cores;
use crate::process::Process;
use crate::served::{Served, end_of, forget_settings, url_in, wait_until_healthy};

/// Fragment managers.
const MANAGERS: u8 = 3;

/// Five directories, and what the owner of the installation has.
pub(crate) struct Five {
    binary: PathBuf,
    directory: PathBuf,
    owner: SigningKey,
    cores: Option<Cores>,
    /// Where each role listened first, in the order of their start; empty before.
    addresses: Vec<String>,
}

/// A role that was started.
pub(crate) struct Started {
    process: Process,
    party: Party,
    permit_key: Option<PublicKey>,
    text: String,
}

/// What gateways ask: control and the managers, running.
pub(crate) struct Behind {
    control: Started,
    managers: Vec<Started>,
}

impl Behind {
    /// Where control listens.
    pub(crate) fn address(&self) -> &str {
        &self.control.party.address
    }

    /// CPU time so far of each process.
    ///
    /// # Errors
    /// When one has ended.
    pub(crate) fn cpu_times(&self) -> Result<Vec<Duration>, String> {
        let roles = std::iter::once(&self.control).chain(&self.managers);
        roles.map(|role| role.process.cpu_time()).collect()
    }

    /// Stops them.
    ///
    /// # Errors
    /// When one does not end well.
    pub(crate) fn stop(self) -> Result<(), String> {
        let roles = std::iter::once(self.control).chain(self.managers);
        roles.map(|role| role.process).try_for_each(Process::stop)
    }
}

impl Five {
    /// An installation in `directory`, which does not exist yet.
    ///
    /// # Errors
    /// When there is no randomness, or the directory cannot be made.
    pub(crate) fn new(
        binary: &Path,
        directory: PathBuf,
        cores: Option<Cores>,
    ) -> Result<Self, String> {
        let owner = SigningKey::generate(&SystemRng).map_err(|error| error.to_string())?;
        make(&directory)?;
        Ok(Self { binary: binary.to_owned(), directory, owner, cores, addresses: Vec::new() })
    }

    /// Where the credentials of the first account are, once it ran.
    pub(crate) fn credentials(&self) -> PathBuf {
        self.directory.join("gateway/account")
    }

    /// Starts all five; at the first time the owner signs their bundle and an account is made.
    /// `key_cache` says whether the gateway keeps opened keys. It re-wraps as fast as it can.
    ///
    /// # Errors
    /// When one does not get ready; its log says why.
    pub(crate) async fn start(&mut self, key_cache: bool) -> Result<Served, String> {
        let begin = Instant::now();
        let first = self.addresses.is_empty();
        let behind = self.behind()?;
        let cache = if key_cache { "60" } else { "0" };
        let control = behind.address().to_owned();
        let words = ["--control", &control, "--key-cache-seconds", cache];
        let gateway =
            self.front("gateway", &[&words[..], &["--rewraps-per-second", "100000"]].concat())?;
        if first {
            self.begin(&behind, &[&gateway])?;
        }
        let mut served = self.ready(gateway, begin).await?;
        let roles = std::iter::once(behind.control).chain(behind.managers);
        served.processes.extend(roles.map(|role| role.process));
        Ok(served)
    }

    /// Starts control and the managers.
    ///
    /// # Errors
    /// When one does not announce itself; its log says why.
    pub(crate) fn behind(&mut self) -> Result<Behind, String> {
        let control = self.role("control", "control", &[])?;
        let at = ["--control", control.party.address.as_str()];
        let mut managers = Vec::new();
        for index in 1..=MANAGERS {
            let (name, index) = (format!("manager-{index}"), index.to_string());
            let words = [&["--index", index.as_str()][..], &at].concat();
            managers.push(self.role(&name, "fragments", &words)?);
        }
        Ok(Behind { control, managers })
    }

    /// Starts the gateway called `name` with `words`, which say where control is.
    ///
    /// # Errors
    /// As [`Self::behind`].
    pub(crate) fn front(&mut self, name: &str, words: &[&str]) -> Result<Started, String> {
        self.role(name, "gateway", words)
    }

    /// Has the owner sign who is who, and the first gateway make an account.
    ///
    /// # Errors
    /// When control or the gateway refuses.
    pub(crate) fn begin(&mut self, behind: &Behind, gateways: &[&Started]) -> Result<(), String> {
        let first = gateways.first().ok_or("no gateway")?;
        self.introduce(behind, gateways)?;
        self.make_account(&["--control", behind.address()], url_in(&first.text)?)
    }

    /// Waits until a gateway that was started at `begin` is healthy.
    ///
    /// # Errors
    /// When it does not get there; its log says why.
    pub(crate) async fn ready(&self, gateway: Started, begin: Instant) -> Result<Served, String> {
        let Started { process, text, .. } = gateway;
        let name = process.name().to_owned();
        let endpoint = Endpoint::new(url_in(&text)?, &self.data(&name).join("tls/ca.pem"))?;
        let healthy = wait_until_healthy(&name, &endpoint).await;
        healthy.map_err(|error| format!("{error}\n{}", end_of(&self.log(&name))))?;
        Ok(Served { processes: vec![process], endpoint, ready_after: begin.elapsed() })
    }

    /// Has the owner sign who is who, and control hand that on.
    fn introduce(&mut self, behind: &Behind, gateways: &[&Started]) -> Result<(), String> {
        let Behind { control, managers } = behind;
        let parties = Parties {
            control: &control.party,
            permit_key: control.permit_key.ok_or("control printed no permit key")?,
            managers: managers.iter().map(|manager| &manager.party).collect(),
            gateways: gateways.iter().map(|gateway| &gateway.party).collect(),
        };
        let file = self.directory.join("signed-bundle");
        let signed = bundle(&parties)?.seal(&self.owner).to_bytes();
        std::fs::write(&file, signed).map_err(|error| format!("{}: {error}", file.display()))?;
        self.finish("control", self.command("control").args(["control", "accept-bundle"]).arg(file))
    }

    fn make_account(&self, at: &[&str], url: &str) -> Result<(), String> {
        let token = self.data("control").join("setup-token");
        let mut command = self.command("gateway");
        command.args(["gateway", "setup", "--url", url]).args(at);
        command.arg("--owner-key").arg(self.owner.public().to_string());
        command.arg("--out").arg(self.credentials());
        command.arg("--setup-token-file").arg(token);
        self.finish("gateway", &mut command)
    }

    fn data(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.log"))
    }

    /// The binary, in the directory of a role.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.binary);
        forget_settings(&mut command);
        command.current_dir(self.data(name)).env("KEYSHERD_DATA_DIR", self.data(name));
        command
    }

    /// Runs a command to its end.
    fn finish(&self, name: &str, command: &mut Command) -> Result<(), String> {
        let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(format!("{name}: {complaint}")) }
    }

    /// Starts a role where it was before, and waits until it has said who it is.
    fn role(&mut self, name: &str, role: &str, words: &[&str]) -> Result<Started, String> {
        make(&self.data(name))?;
        let place = ["control", "manager-1", "manager-2", "manager-3", "gateway", "gateway-2"];
        let place = place.iter().position(|known| *known == name).ok_or("an unknown role")?;
        let listen = self.addresses.get(place).map_or("127.0.0.1:0", String::as_str);
        let log = self.log(name);
        let file = OpenOptions::new().create(true).append(true).open(&log);
        let file = file.map_err(|error| format!("{}: {error}", log.display()))?;
        let mut command = self.command(name);
        command.args([role, "--listen", listen]).args(words).stderr(file);
        command.arg("--owner-key").arg(self.owner.public().to_string());
        let started = Process::start(name, &mut command, self.cores, "trust bundle");
        let (process, text) =
            started.map_err(|error| format!("{error}\n{}", end_of(&self.log(name))))?;
        let address = address_in(&text).ok_or(format!("the {name} names no address: {text}"))?;
        if self.addresses.len() == place {
            self.addresses.push(address.clone());
        }
        let key = key_in(&text, "identity").ok_or(format!("the {name} names no key: {text}"))?;
        let permit_key = key_in(&text, "permit key");
        Ok(Started { process, party: Party { key, address }, permit_key, text })
    }
}

fn make(directory: &Path) -> Result<(), String> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| format!("{}: {error}", directory.display()))
}

/// Host and port in what a role announces.
fn address_in(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.contains(" listens on "))?;
    let address = line.split_whitespace().last()?.rsplit('/').next()?;
    Some(address.to_owned())
}

/// The public key that is called `name` in what a role announces.
fn key_in(text: &str, name: &str) -> Option<PublicKey> {
    let line = text.lines().find(|line| line.trim_start().starts_with(name))?;
    let digits = hex::decode(line.split_whitespace().last()?).ok()?;
    PublicKey::from_slice(&digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_are_understood() {
        let key = SigningKey::generate(&SystemRng).unwrap().public();
        let text =
            format!("X listens on https://127.0.0.1:8\n  identity   {key}\n  permit key  -\n");
        assert_eq!(address_in(&text).as_deref(), Some("127.0.0.1:8"));
        assert_eq!(key_in(&text, "identity"), Some(key));
        assert_eq!(key_in(&text, "permit key"), None);
        assert_eq!(address_in(""), None);
    }
}
