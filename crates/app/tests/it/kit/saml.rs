//! A SAML 2.0 identity provider: pysaml2, from PyPI, which signs with xmlsec1.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command};

use tempfile::TempDir;

use super::poll::wait_for;
use super::python::python;

const PACKAGES: &[&str] = &["pysaml2==7.5.5"];
const PROVIDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/kit/saml/provider.py");

/// The provider, which signs everybody in as Alice; ended on drop.
pub(crate) struct SamlProvider {
    /// Its address.
    pub(crate) url: String,
    child: Child,
    _dir: TempDir,
}

impl SamlProvider {
    /// Starts it on a free port, for the gateway at this URL.
    pub(crate) fn start(gateway: &str) -> Self {
        let python = python("pysaml2-7.5.5", PACKAGES);
        let dir = tempfile::tempdir().unwrap();
        let (out, err) = (dir.path().join("out"), dir.path().join("err"));
        let mut command = Command::new(python);
        command.args(["-u", PROVIDER]).arg(dir.path()).arg(gateway);
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let mut child = command.spawn().unwrap();
        let url = wait_for("the SAML provider to listen", || {
            let said = fs::read_to_string(&err).unwrap();
            assert!(child.try_wait().unwrap().is_none(), "the SAML provider ended: {said}");
            let text = fs::read_to_string(&out).unwrap();
            text.ends_with('\n').then(|| text.trim().to_owned())
        });
        Self { url, child, _dir: dir }
    }
}

impl Drop for SamlProvider {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of a page of plain HTTP on this machine.
pub(crate) fn page(url: &str) -> String {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.split(' ').nth(1) == Some("200"), "{url}: {answer}");
    body.to_owned()
}
