//! The server's certificate: a local authority made at the first start, a leaf renewed by itself.

use std::net::{IpAddr, SocketAddr};

use keysherd_base::{Clock, Rng, SecretString, Timestamp};
use keysherd_crypto::pki::{LocalCa, certificate_validity};
use keysherd_http::{TlsReload, TlsVersions};

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
const LEAF_FILE: &str = "server.pem";
const LEAF_KEY_FILE: &str = "server.key";
/// The names the leaf was issued for, one a line.
const NAMES_FILE: &str = "server.names";

/// Opens or makes authority and leaf. A leaf is replaced when it is old or its names changed.
pub(crate) fn open(
    dir: &DataDir,
    names: &[String],
    clock: &dyn Clock,
    rng: &dyn Rng,
) -> Result<TlsReload, Exit> {
    let damaged = |error: keysherd_crypto::pki::PkiFailed| Exit::Damaged(error.to_string());
    let now = clock.now();
    let not_before = now.plus_seconds(-BACKDATE_SECONDS);
    let ca = match (text(dir, CA_FILE)?, text(dir, CA_KEY_FILE)?) {
        (Some(cert), Some(key)) => {
            LocalCa::from_pem(&cert, &SecretString::new(key)).map_err(damaged)?
        }
        // The certificate is written last: a key alone is a first start that was cut off, and
        // nobody can trust it yet.
        (None, _) => {
            let name = "Keysherd local authority";
            let not_after = now.plus_seconds(CA_DAYS * DAY);
            let ca = LocalCa::create(name, not_before, not_after, rng).map_err(damaged)?;
            dir.write(CA_KEY_FILE, ca.key_pem().expose().as_bytes())?;
            dir.write(CA_FILE, ca.cert_pem().as_bytes())?;
            ca
        }
        (Some(_), None) => {
            return Err(Exit::Damaged(format!(
                "{} is missing; restore it, or remove {} and let clients trust a new authority",
                dir.join(CA_KEY_FILE).display(),
                dir.join(CA_FILE).display()
            )));
        }
    };
    let wanted = names.join("\n");
    let fresh = |cert: &str| {
        certificate_validity(cert)
            .is_some_and(|(_, not_after)| not_after > now.plus_seconds(RENEW_DAYS * DAY))
    };
    let usable = text(dir, LEAF_FILE)?.filter(|cert| fresh(cert));
    let same_names = text(dir, NAMES_FILE)?.as_deref() == Some(&wanted);
    let key = text(dir, LEAF_KEY_FILE)?;
    if let (Some(cert), true, Some(key)) = (usable, same_names, key) {
        return Ok(TlsReload::from_pem(cert.as_bytes(), key.as_bytes(), TlsVersions::default())?);
    }
    let not_after = leaf_end(now);
    let leaf = ca.issue_server(names, not_before, not_after, rng).map_err(damaged)?;
    let key = leaf.key_pem.expose().as_bytes();
    dir.write(LEAF_KEY_FILE, key)?;
    dir.write(LEAF_FILE, leaf.cert_pem.as_bytes())?;
    dir.write(NAMES_FILE, wanted.as_bytes())?;
    Ok(TlsReload::from_pem(leaf.cert_pem.as_bytes(), key, TlsVersions::default())?)
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
