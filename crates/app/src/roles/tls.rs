//! The certificate that a gateway makes itself: a local authority made at the first start, a leaf
//! renewed while it runs.

use std::net::{IpAddr, SocketAddr};

use keysherd_base::{Clock, Rng, SecretString, Timestamp};
use keysherd_crypto::pki::{LocalCa, PkiFailed, certificate_validity};

use super::acme;
use super::files::DataDir;
use crate::exit::Exit;

/// Days the local authority lives.
const CA_DAYS: i64 = 3_650;
/// Days a leaf lives.
const LEAF_DAYS: i64 = 90;
/// A leaf with fewer days left is replaced.
const RENEW_DAYS: i64 = 30;
/// Seconds before now from which certificates count, for clients whose clocks are behind.
const BACKDATE_SECONDS: i64 = 3_600;
const DAY: i64 = 86_400;

/// File of the authority's certificate; clients trust it.
pub(crate) const CA_FILE: &str = "ca.pem";
const CA_KEY_FILE: &str = "ca.key";
pub(super) const LEAF_FILE: &str = "server.pem";
const LEAF_KEY_FILE: &str = "server.key";
/// The names the leaf was issued for, one a line.
const NAMES_FILE: &str = "server.names";

/// A certificate and its private key, in PEM.
pub(crate) struct Pair {
    /// The chain, leaf first.
    pub(crate) chain: String,
    /// The key.
    pub(crate) key: SecretString,
}

/// The local authority and the leaf it issues, in the directory `tls`.
pub(crate) struct LocalAuthority {
    dir: DataDir,
    names: Vec<String>,
    /// Whether an ACME authority issues what clients see.
    acme: bool,
}

impl LocalAuthority {
    /// One in `dir` that issues for `names`; `acme`: until an ACME authority has.
    pub(crate) fn new(dir: DataDir, names: Vec<String>, acme: bool) -> Self {
        Self { dir, names, acme }
    }

    /// What an ACME authority has issued, where one is asked.
    pub(crate) fn obtained(&self) -> Option<Pair> {
        let pair = self.acme.then(|| text(&self.dir, acme::PAIR_FILE)).transpose();
        let pair = match pair {
            Ok(pair) => SecretString::new(pair??),
            Err(exit) => {
                tracing::error!(%exit, "the certificate of the ACME authority cannot be read");
                return None;
            }
        };
        let (chain, key) = (acme::chain_of(pair.expose()), acme::key_of(pair.expose()));
        Some(Pair { chain, key })
    }

    /// Its directory.
    pub(crate) fn dir(&self) -> &DataDir {
        &self.dir
    }

    /// The leaf, which is replaced when it is old or the names changed. Authority and leaf are made
    /// when there are none.
    pub(crate) fn leaf(&self, clock: &dyn Clock, rng: &dyn Rng) -> Result<Pair, Exit> {
        let dir = &self.dir;
        let now = clock.now();
        let ca = self.authority(now, rng)?;
        let wanted = self.names.join("\n");
        let fresh = |cert: &str| {
            certificate_validity(cert).is_some_and(|(_, not_after)| not_after > renewal(now))
        };
        let usable = text(dir, LEAF_FILE)?.filter(|cert| fresh(cert));
        let same_names = text(dir, NAMES_FILE)?.as_deref() == Some(&wanted);
        let key = text(dir, LEAF_KEY_FILE)?.map(SecretString::new);
        if let (Some(chain), true, Some(key)) = (usable, same_names, key) {
            return Ok(Pair { chain, key });
        }
        let (not_before, not_after) = (now.plus_seconds(-BACKDATE_SECONDS), leaf_end(now));
        let leaf = ca.issue_server(&self.names, not_before, not_after, rng).map_err(damaged)?;
        dir.write(LEAF_KEY_FILE, leaf.key_pem.expose().as_bytes())?;
        dir.write(LEAF_FILE, leaf.cert_pem.as_bytes())?;
        dir.write(NAMES_FILE, wanted.as_bytes())?;
        Ok(Pair { chain: leaf.cert_pem, key: leaf.key_pem })
    }

    /// The file that clients trust.
    pub(crate) fn ca_file(&self) -> String {
        self.dir.join(CA_FILE).display().to_string()
    }

    fn authority(&self, now: Timestamp, rng: &dyn Rng) -> Result<LocalCa, Exit> {
        let dir = &self.dir;
        match (text(dir, CA_FILE)?, text(dir, CA_KEY_FILE)?) {
            (Some(cert), Some(key)) => {
                LocalCa::from_pem(&cert, &SecretString::new(key)).map_err(damaged)
            }
            // The certificate is written last: a key alone is a first start that was cut off, and
            // nobody can trust it yet.
            (None, _) => {
                let name = "Keysherd local authority";
                let not_before = now.plus_seconds(-BACKDATE_SECONDS);
                let not_after = now.plus_seconds(CA_DAYS * DAY);
                let ca = LocalCa::create(name, not_before, not_after, rng).map_err(damaged)?;
                dir.write(CA_KEY_FILE, ca.key_pem().expose().as_bytes())?;
                dir.write(CA_FILE, ca.cert_pem().as_bytes())?;
                Ok(ca)
            }
            (Some(_), None) => Err(Exit::Damaged(format!(
                "{} is missing; restore it, or remove {} and let clients trust a new authority",
                dir.join(CA_KEY_FILE).display(),
                dir.join(CA_FILE).display()
            ))),
        }
    }
}

fn damaged(error: PkiFailed) -> Exit {
    Exit::Damaged(error.to_string())
}

/// What ends before this is renewed at `now`.
pub(crate) fn renewal(now: Timestamp) -> Timestamp {
    now.plus_seconds(RENEW_DAYS * DAY)
}

fn leaf_end(now: Timestamp) -> Timestamp {
    now.plus_seconds(LEAF_DAYS * DAY)
}

/// The names a client on this machine or network may use for `listen`, and those asked for.
pub(crate) fn names(listen: SocketAddr, further: &[String]) -> Vec<String> {
    let mut names: Vec<String> =
        ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into_iter().collect();
    let ip = listen.ip();
    if !ip.is_unspecified() && !ip.is_loopback() {
        names.push(ip.to_string());
    }
    if ip.is_unspecified()
        && let Some(host) = hostname()
    {
        names.push(host);
    }
    names.extend(further.iter().cloned());
    names.sort();
    names.dedup();
    names
}

/// The host part of a URL for `listen`: an address clients can connect to.
pub(crate) fn url(listen: SocketAddr) -> String {
    let host = match listen.ip() {
        ip if ip.is_unspecified() => "localhost".to_owned(),
        IpAddr::V6(ip) => format!("[{ip}]"),
        IpAddr::V4(ip) => ip.to_string(),
    };
    format!("https://{host}:{}", listen.port())
}

fn hostname() -> Option<String> {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_str().ok()?;
    (!name.is_empty()).then(|| name.to_owned())
}

fn text(dir: &DataDir, name: &str) -> Result<Option<String>, Exit> {
    let Some(bytes) = dir.read(name)? else { return Ok(None) };
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| Exit::Damaged(format!("{} is not text", dir.join(name).display())))
}
