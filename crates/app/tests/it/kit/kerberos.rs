//! MIT Kerberos: a KDC in a directory of its own, and curl as the client that makes tokens.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use super::loopback::free_port;
use super::poll::{random, wait_until};
use super::run::finish;

const KDC: &str = "/usr/sbin/krb5kdc";
const KADMIN: &str = "/usr/sbin/kadmin.local";
/// The password of everybody who has one.
const PASSWORD: &str = "a-password-of-the-realm";

/// A running KDC of one realm; ended on drop.
pub(crate) struct Kdc {
    realm: String,
    dir: TempDir,
    child: Child,
}

impl Kdc {
    /// A KDC that knows nobody.
    pub(crate) fn start(realm: &str) -> Self {
        assert!(
            Path::new(KDC).exists(),
            "the KDC is missing; on Debian: apt-get install krb5-kdc krb5-admin-server krb5-user"
        );
        let dir = TempDir::with_prefix("keysherd-kdc-").unwrap();
        let port = free_port();
        write_configuration(dir.path(), realm, port);
        let master = format!("{:x}", random());
        let mut make = Command::new("/usr/sbin/kdb5_util");
        make.args(["create", "-s", "-r", realm, "-P", &master]);
        finish(environment(&mut make, dir.path()), b"").expect(0);
        let mut kdc = Command::new(KDC);
        let pid_file = dir.path().join("kdc.pid");
        kdc.arg("-n").arg("-P").arg(pid_file).stdout(Stdio::null()).stderr(Stdio::null());
        let child = environment(&mut kdc, dir.path()).spawn().unwrap();
        let kdc = Self { realm: realm.to_owned(), dir, child };
        wait_until("the KDC to listen", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        kdc
    }

    fn admin(&self, query: &str) {
        let mut admin = Command::new(KADMIN);
        let ended = finish(environment(admin.args(["-q", query]), self.dir.path()), b"").expect(0);
        // It ends well whatever became of the query.
        assert!(!ended.err.contains("while "), "{query}: {}", ended.err);
    }

    /// Makes somebody, whose name is written as `kadmin` wants it.
    pub(crate) fn add_person(&self, name: &str) {
        self.admin(&format!("addprinc -pw {PASSWORD} \"{name}\""));
    }

    /// Makes a service such as `HTTP/gw.example`; gives its keytab.
    pub(crate) fn add_service(&self, name: &str) -> Vec<u8> {
        self.admin(&format!("addprinc -randkey {name}"));
        self.keytab(name)
    }

    /// A keytab with fresh keys of a service: those it had before end.
    pub(crate) fn keytab(&self, name: &str) -> Vec<u8> {
        let file = self.dir.path().join(format!("{:x}.keytab", random()));
        self.admin(&format!("ktadd -k {} {name}", file.display()));
        fs::read(file).unwrap()
    }

    /// Signs somebody in, for as long as `life` says in Kerberos' words.
    pub(crate) fn sign_in(&self, name: &str, life: &str) -> SignedIn<'_> {
        let cache = format!("FILE:{}", self.dir.path().join(format!("{:x}", random())).display());
        let mut kinit = Command::new("kinit");
        kinit.env("KRB5CCNAME", &cache).args(["-l", life, name]);
        let password = format!("{PASSWORD}\n");
        finish(environment(&mut kinit, self.dir.path()), password.as_bytes()).expect(0);
        SignedIn { kdc: self, cache }
    }

    /// A fresh token of somebody for the service `HTTP/host`.
    pub(crate) fn token(&self, name: &str, host: &str) -> String {
        self.sign_in(name, "1h").token(host)
    }
}

impl Drop for Kdc {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl std::fmt::Debug for Kdc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kdc").field("realm", &self.realm).finish_non_exhaustive()
    }
}

/// Somebody with a ticket.
pub(crate) struct SignedIn<'a> {
    kdc: &'a Kdc,
    cache: String,
}

impl SignedIn<'_> {
    /// The token that curl sends to a server called `host`, which asks for one: in base64.
    pub(crate) fn token(&self, host: &str) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = std::thread::spawn(move || negotiate(&listener));
        let mut curl = Command::new("curl");
        curl.env("KRB5CCNAME", &self.cache).args(["-sS", "--max-time", "60", "--negotiate"]);
        curl.args(["-u", ":", "--resolve", &format!("{host}:{port}:127.0.0.1")]);
        curl.arg(format!("http://{host}:{port}/"));
        let ended = finish(environment(&mut curl, self.kdc.dir.path()), b"").expect(0);
        // Where curl had nothing to send, somebody still waits for it.
        if let Ok(mut waiting) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            let _gone = waiting.write_all(b"GET / HTTP/1.1\r\nAuthorization: Negotiate \r\n\r\n");
        }
        let token = asked.join().unwrap();
        assert!(!token.is_empty(), "curl sent no token: {}", ended.err);
        token
    }
}

/// Asks whoever connects for a token, and gives it back; empty when curl has none.
fn negotiate(listener: &TcpListener) -> String {
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        let mut piece = [0; 4_096];
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            let read = stream.read(&mut piece).unwrap();
            assert!(read > 0, "curl left");
            head.extend_from_slice(&piece[..read]);
        }
        let head = String::from_utf8(head).unwrap();
        let token = head.lines().find_map(|line| line.strip_prefix("Authorization: Negotiate "));
        if let Some(token) = token {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            return token.trim().to_owned();
        }
        let ask = b"HTTP/1.1 401 Who?\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\
                    Connection: close\r\n\r\n";
        stream.write_all(ask).unwrap();
    }
}

/// Nothing of the machine's own Kerberos reaches a program.
fn environment<'a>(command: &'a mut Command, dir: &Path) -> &'a mut Command {
    command.env("KRB5_CONFIG", dir.join("krb5.conf")).env("KRB5_KDC_PROFILE", dir.join("kdc.conf"))
}

fn write_configuration(dir: &Path, realm: &str, port: u16) {
    let at = dir.display();
    let krb5 = format!(
        "[libdefaults]\n default_realm = {realm}\n rdns = false\n\
         \x20dns_canonicalize_hostname = false\n dns_lookup_kdc = false\n\
         \x20dns_lookup_realm = false\n udp_preference_limit = 1\n\
         [realms]\n {realm} = {{\n  kdc = 127.0.0.1:{port}\n }}\n\
         [domain_realm]\n example = {realm}\n .example = {realm}\n\
         [logging]\n default = FILE:{at}/log\n kdc = FILE:{at}/log\n"
    );
    let kdc = format!(
        "[kdcdefaults]\n kdc_ports = \"\"\n kdc_listen = \"\"\n\
         \x20kdc_tcp_listen = 127.0.0.1:{port}\n\
         [realms]\n {realm} = {{\n  database_name = {at}/principal\n\
         \x20 key_stash_file = {at}/stash\n  acl_file = {at}/acl\n }}\n"
    );
    fs::write(dir.join("krb5.conf"), krb5).unwrap();
    fs::write(dir.join("kdc.conf"), kdc).unwrap();
}

/// A file as arguments have it.
pub(crate) fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
