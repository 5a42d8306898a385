//! What servers of others need to be reached on this machine: ports and certificates.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use keysherd_base::{Clock as _, SystemClock};
use keysherd_crypto::pki::LocalCa;
use keysherd_crypto::random::SystemRng;

pub(crate) use super::postgres::ports::free_port;

/// Writes `cert.pem` and `key.pem` of a server at 127.0.0.1, and `ca.pem` of the authority called
/// `authority`, whose certificate it gives.
pub(crate) fn write_certificates(dir: &Path, authority: &str) -> String {
    let (now, rng) = (SystemClock.now(), SystemRng::handle());
    let (begin, end) = (now.plus_seconds(-60), now.plus_seconds(86_400));
    let ca = LocalCa::create(authority, begin, end, &*rng).unwrap();
    let issued = ca.issue_server(&[Ipv4Addr::LOCALHOST.to_string()], begin, end, &*rng).unwrap();
    fs::write(dir.join("cert.pem"), issued.cert_pem).unwrap();
    fs::write(dir.join("key.pem"), issued.key_pem.expose()).unwrap();
    fs::write(dir.join("ca.pem"), ca.cert_pem()).unwrap();
    ca.cert_pem().to_owned()
}
