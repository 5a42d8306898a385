//! A real OpenID provider: panva's `oidc-provider` from npm.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command};

use serde_json::Value;
use tempfile::TempDir;

use super::free_port;
use super::node::node_packages;
use super::poll::wait_for;

const PACKAGES: &[&str] = &["oidc-provider@9.13.3"];
const SCRIPT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/kit/oidc_provider/provider.mjs");

/// A running provider; ended on drop.
pub(crate) struct OidcProvider {
    /// Its address, which is its name as an issuer.
    pub(crate) issuer: String,
    child: Child,
    _dir: TempDir,
}

impl OidcProvider {
    /// Starts one on a free port.
    pub(crate) fn start() -> Self {
        // It may have to be started there again.
        Self::start_on(&free_port().to_string())
    }

    /// Ends it and starts it again under the same name, with other keys.
    pub(crate) fn with_other_keys(self) -> Self {
        let port = self.address().rsplit_once(':').unwrap().1.to_owned();
        drop(self);
        Self::start_on(&port)
    }

    fn start_on(port: &str) -> Self {
        let packages = node_packages("oidc-provider-9.13.3", PACKAGES);
        let dir = tempfile::tempdir().unwrap();
        let (out, err) = (dir.path().join("out"), dir.path().join("err"));
        let mut command = Command::new("node");
        command.arg(SCRIPT).arg(packages).arg(port);
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let child = command.spawn().unwrap();
        let mut provider = Self { issuer: String::new(), child, _dir: dir };
        provider.issuer = wait_for("the OpenID provider to listen", || {
            let ended = provider.child.try_wait().unwrap();
            assert!(ended.is_none(), "{}", std::fs::read_to_string(&err).unwrap());
            let text = std::fs::read_to_string(&out).unwrap();
            text.strip_suffix('\n')?.strip_prefix("issuer ").map(str::to_owned)
        });
        provider
    }

    /// A token for the audience `vault`, signed with `algorithm`, by the credentials of the client
    /// `our-client`.
    pub(crate) fn token(&self, algorithm: &str) -> String {
        let body = format!(
            "grant_type=client_credentials&client_id=our-client&client_secret=a+secret+of+the+\
             test,+of+no+use+elsewhere&resource=https%3A%2F%2Fvault.example%2F{algorithm}"
        );
        // HTTP/1.0, so that the answer ends with the connection.
        let request = format!(
            "POST /token HTTP/1.0\r\nHost: {}\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            self.address(),
            body.len()
        );
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, json) = answer.split_once("\r\n\r\n").unwrap();
        let answer: Value = serde_json::from_str(json).unwrap_or_else(|_| panic!("{answer}"));
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    fn address(&self) -> &str {
        self.issuer.strip_prefix("http://").unwrap()
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
