//! Pebble, an ACME authority for tests, built from its sources by `cargo xtask test --all`. It
//! looks at names on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::installed::cache;
use super::loopback::free_port;
use super::mounts::not_tested;
use super::openssl::{Authority, Order};
use super::poll::wait_until;
use super::run::finish;
use super::server::{Process, Site};

/// The program.
const PROGRAM: &str = "tools/pebble/pebble";
/// What it issues is good for this many days.
pub(crate) const DAYS: i64 = 30;

/// The authority; ended on drop.
pub(crate) struct Pebble {
    /// The URL of its directory.
    pub(crate) directory: String,
    management: String,
    own: Authority,
    _process: Process,
}

impl Pebble {
    /// `None`, after saying so, where it was not built.
    pub(crate) fn find() -> Option<PathBuf> {
        let program = cache().join(PROGRAM);
        if !program.is_file() {
            not_tested("there is no Pebble; cargo xtask pebble builds it");
            return None;
        }
        Some(program)
    }

    /// Starts it; it looks for proofs at this port.
    pub(crate) fn start(program: &Path, site: &Site, port: u16) -> Self {
        let own = Authority::new("/CN=pebble");
        let extensions = "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n";
        let pair = own.issue("own", &Order { extensions, ..Order::client("/CN=pebble") });
        let [listen, management] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
        let profile = json!({"description": "usual", "validityPeriod": DAYS * 86_400});
        let config = json!({"pebble": {
            "listenAddress": listen, "managementListenAddress": management,
            "certificate": pair.cert, "privateKey": pair.key, "httpPort": 1, "tlsPort": port,
            "ocspResponderURL": "", "externalAccountBindingRequired": false,
            "profiles": {"default": profile},
        }});
        let file = site.path(&format!("pebble-{port}.json"));
        std::fs::write(&file, config.to_string()).unwrap();
        let mut command = Command::new(program);
        command.arg("-config").arg(&file).env_clear().env("PEBBLE_VA_NOSLEEP", "1");
        let process = site.launch(command).process;
        let directory = format!("https://{listen}/dir");
        let pebble = Self { directory, management, own, _process: process };
        wait_until("the authority to answer", || pebble.get(&pebble.directory).is_some());
        pebble
    }

    /// Who its own server is believed by.
    pub(crate) fn ca(&self) -> PathBuf {
        self.own.path("ca.pem")
    }

    /// The certificate that all chains of this process end with, in PEM.
    pub(crate) fn root(&self) -> String {
        self.get(&format!("https://{}/roots/0", self.management)).unwrap()
    }

    fn get(&self, url: &str) -> Option<String> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--max-time", "30", "--cacert"]).arg(self.ca()).arg(url);
        let ended = finish(&mut curl, b"");
        (ended.code == 0).then_some(ended.out)
    }
}

/// What `GET /status` says of the certificate.
pub(crate) fn tls_status(status: &Value) -> (String, i64) {
    let tls = &status["tls"];
    (tls["source"].as_str().unwrap().to_owned(), tls["days_left"].as_i64().unwrap())
}
