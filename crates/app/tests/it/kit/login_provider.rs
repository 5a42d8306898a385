//! A real OpenID provider for people: panva's `oidc-provider` from npm; and browsers.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};

use tempfile::TempDir;

use super::node::node_packages;
use super::poll::wait_for;
use super::run::finish;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/kit/login_provider");
const BROWSERS: &[&str] = &["/usr/bin/chromium", "/usr/bin/chromium-browser"];

/// A running provider; ended on drop.
pub(crate) struct LoginProvider {
    /// Its address, which is its name as an issuer.
    pub(crate) issuer: String,
    child: Child,
    _dir: TempDir,
}

impl LoginProvider {
    /// Starts one whose client `keysherd` may send browsers to `callback`.
    pub(crate) fn start(callback: &str) -> Self {
        let packages = node_packages("oidc-provider-9.13.3", &["oidc-provider@9.13.3"]);
        let dir = tempfile::tempdir().unwrap();
        let (out, err) = (dir.path().join("out"), dir.path().join("err"));
        let mut command = Command::new("node");
        command.arg(format!("{SCRIPTS}/provider.mjs")).arg(packages).arg(callback);
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let child = command.spawn().unwrap();
        let mut provider = Self { issuer: String::new(), child, _dir: dir };
        provider.issuer = wait_for("the OpenID provider to listen", || {
            let ended = provider.child.try_wait().unwrap();
            assert!(ended.is_none(), "{}", fs::read_to_string(&err).unwrap());
            let text = fs::read_to_string(&out).unwrap();
            text.strip_suffix('\n')?.strip_prefix("issuer ").map(str::to_owned)
        });
        provider
    }

    /// Follows its redirects from `url` as a browser does, until one leads elsewhere.
    pub(crate) fn sign_in(&self, url: &str) -> String {
        let (mut url, mut cookies) = (url.to_owned(), BTreeMap::new());
        for _ in 0..10 {
            let Some(path) = url.strip_prefix(&self.issuer) else { return url };
            let location = self.get(path, &mut cookies);
            let absolute = location.contains("://");
            url = if absolute { location } else { format!("{}{location}", self.issuer) };
        }
        panic!("too many redirects: {url}")
    }

    /// Where `path` leads.
    fn get(&self, path: &str, cookies: &mut BTreeMap<String, String>) -> String {
        let host = self.issuer.strip_prefix("http://").unwrap();
        let jar: Vec<String> =
            cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        // HTTP/1.0, so that the answer ends with the connection.
        let request =
            format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nCookie: {}\r\n\r\n", jar.join("; "));
        let mut stream = TcpStream::connect(host).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let mut location = None;
        for (name, value) in answer.lines().filter_map(|line| line.split_once(": ")) {
            match name.to_ascii_lowercase().as_str() {
                "location" => location = Some(value.to_owned()),
                "set-cookie" => {
                    let pair = value.split(';').next().unwrap();
                    let (name, value) = pair.split_once('=').unwrap();
                    cookies.insert(name.to_owned(), value.to_owned());
                }
                _ => {}
            }
        }
        location.unwrap_or_else(|| panic!("{path} leads nowhere: {answer}"))
    }
}

impl Drop for LoginProvider {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has Chromium open `link`, compare `code` and sign in; gives what it says at the end.
pub(crate) fn chromium(link: &str, code: &str) -> String {
    let packages = node_packages("playwright-core-1.65.1", &["playwright-core@1.65.1"]);
    let browser = BROWSERS.iter().find(|path| Path::new(path).is_file());
    let browser = browser.expect("Chromium is missing; on Debian: apt-get install chromium");
    let mut command = Command::new("node");
    command.arg(format!("{SCRIPTS}/chromium.mjs")).arg(packages).args([browser, link, code]);
    finish(&mut command, b"").expect(0).out
}
