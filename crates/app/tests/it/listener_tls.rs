//! The certificate that clients see: exchanged while thousands of requests run, refused when it is
//! no good, and which TLS clients must speak.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::kit::openssl::{Authority, Issued, Order};
use crate::kit::{Finished, Http, Server, Site, finish, wait_for, wait_until};

/// What a server's certificate has.
const SERVER: &str = "extendedKeyUsage=serverAuth\nsubjectAltName=IP:127.0.0.1,DNS:localhost\n";

/// The files that a server is started with.
struct Files {
    ca: Authority,
    cert: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new(site: &Site) -> Self {
        let ca = Authority::new("/CN=Operator");
        let (cert, key) = (site.path("pair/tls.crt"), site.path("pair/tls.key"));
        fs::create_dir(site.path("pair")).unwrap();
        let files = Self { ca, cert, key };
        files.put(&files.issue("first", "60"));
        files
    }

    fn issue(&self, name: &str, days: &str) -> Issued {
        let more = ["-days", days];
        self.ca.issue(name, &Order { extensions: SERVER, more: &more, ..Order::client("/CN=gw") })
    }

    fn issue_dated(&self, name: &str, from: &str, until: &str) -> Issued {
        let order = Order { extensions: SERVER, ..Order::client("/CN=gw") };
        self.ca.issue_dated(name, &order, (from, until))
    }

    fn put(&self, pair: &Issued) {
        replace(&pair.cert, &self.cert);
        replace(&pair.key, &self.key);
    }

    fn args(&self) -> [&str; 4] {
        ["--tls-cert", self.cert.to_str().unwrap(), "--tls-key", self.key.to_str().unwrap()]
    }

    fn start(&self, site: &Site, more: &[&str]) -> Server {
        let mut command = site.server(&site.data());
        command.args(self.args()).args(more);
        let ca = self.ca.path("ca.pem");
        site.launch(command).trusting(&ca).ready()
    }
}

/// Puts a file in the place of another in one step, as tools do that renew certificates.
fn replace(from: &Path, to: &Path) {
    let new = to.with_extension("new");
    fs::copy(from, &new).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&new, to).unwrap();
}

fn s_client(server: &Server, args: &[&str]) -> Finished {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &server.http.address().to_string()]).args(args);
    finish(&mut command, b"")
}

/// The serial number of what the server shows to a new client.
fn seen(server: &Server) -> String {
    let shown = s_client(server, &["-showcerts"]);
    let mut command = Command::new("openssl");
    command.args(["x509", "-noout", "-serial"]);
    let out = finish(&mut command, shown.out.as_bytes()).expect(0).out;
    out.trim().strip_prefix("serial=").unwrap().to_owned()
}

fn status(server: &Server) -> Value {
    server.http.get("/status").unwrap().json()["tls"].take()
}

/// Clients that read a secret all the time, over kept connections and over new ones.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    fn start(server: &Server) -> Self {
        let admin = server.admin();
        admin.store("/read/often", "v");
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let body = json!({"names": ["/read/often"], "token": admin.token()}).to_string();
        let threads = (0..4).map(|kind| {
            let (http, stop, done) = (server.http.clone(), stop.clone(), done.clone());
            let body = body.clone();
            std::thread::spawn(move || read_on(&http, kind % 2 == 0, &body, &stop, &done))
        });
        Self { threads: threads.collect(), stop, done }
    }

    fn count(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Waits until that many more were answered.
    fn more(&self, wanted: u64) {
        let until = self.count() + wanted;
        wait_until("the load to go on", || {
            assert!(self.threads.iter().all(|thread| !thread.is_finished()), "a request failed");
            self.count() >= until
        });
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a request failed");
        }
        self.done.load(Ordering::Relaxed)
    }
}

fn read_on(http: &Http, keeps: bool, body: &str, stop: &AtomicBool, done: &AtomicU64) {
    let mut kept = http.connect().unwrap();
    while !stop.load(Ordering::Relaxed) {
        if !keeps {
            kept = http.connect().unwrap();
        }
        let reply = kept.post("/get-secret-value", &[], body.as_bytes()).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn certificates_are_exchanged_under_load_and_no_request_fails() {
    let site = Site::new();
    let files = Files::new(&site);
    let server = files.start(&site, &[]);
    assert_eq!(status(&server)["source"], "files");
    let load = Load::start(&server);
    for round in 0..6 {
        load.more(100);
        let next = files.issue(&format!("next-{round}"), "90");
        files.put(&next);
        if round % 2 == 0 {
            server.process.signal(Signal::HUP);
        }
        wait_until("the new certificate", || seen(&server) == next.serial());
        load.more(50);
    }
    let done = load.end();
    assert!(done >= 900, "{done}");
    assert!(!server.process.err().contains("not used"), "{}", server.process.err());
    server.stop();
}

#[test]
fn a_pair_that_is_no_good_is_refused_with_its_reason_and_the_old_one_stays() {
    let site = Site::new();
    let files = Files::new(&site);
    let good = files.issue("good", "60");
    files.put(&good);
    let server = files.start(&site, &[]);
    let other = files.issue("other", "60");
    let expired = files.issue_dated("expired", "20200101000000Z", "20200201000000Z");
    let early = files.issue_dated("early", "20990101000000Z", "20990201000000Z");
    let text = site.path("text");
    fs::write(&text, "no certificate").unwrap();
    let mixed = Issued { cert: good.cert.clone(), key: other.key.clone() };
    let cut = Issued { cert: text.clone(), key: good.key.clone() };
    let keyless = Issued { cert: good.cert.clone(), key: text };
    for (bad, why) in [
        (&mixed, "do not fit"),
        (&cut, "not a chain of certificates"),
        (&keyless, "no private key"),
        (&expired, "it expired at 2020-02-01"),
        (&early, "not valid before 2099-01-01"),
    ] {
        files.put(bad);
        server.process.signal(Signal::HUP);
        wait_until(&format!("the log to say: {why}"), || server.process.err().contains(why));
        assert_eq!(seen(&server), good.serial(), "{why}");
        wait_until("the status to say so", || status(&server)["new_one_refused"] == true);
        files.put(&good);
        server.process.signal(Signal::HUP);
        wait_until("all to be well", || status(&server)["new_one_refused"] == false);
    }
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
    server.process.signal(Signal::HUP);
    wait_until("an open key", || server.process.err().contains("open to others"));
    assert_eq!(seen(&server), good.serial());
    assert!(!server.process.err().contains("PRIVATE KEY"), "a key is in the log");
    server.stop();
}

#[test]
fn a_certificate_about_to_end_is_warned_of_and_an_expired_one_does_not_keep_a_server_down() {
    let site = Site::new();
    let files = Files::new(&site);
    files.put(&files.issue("short", "5"));
    let server = files.start(&site, &[]);
    wait_until("a warning", || server.process.err().contains("expires soon"));
    let left = status(&server)["days_left"].as_i64().unwrap();
    assert!((4..=5).contains(&left), "{left}");
    server.stop();
    files.put(&files.issue_dated("expired", "20200101000000Z", "20200201000000Z"));
    let mut command = site.server(&site.data());
    command.args(files.args());
    let starting = site.launch(command);
    wait_until("the log to say so", || starting.process.err().contains("has expired"));
    let out = wait_for("the address", || crate::kit::announced_url(&starting.process.out()));
    let address = out.strip_prefix("https://").unwrap().to_owned();
    let ca = files.ca.path("ca.pem");
    let verified = ["-CAfile", ca.to_str().unwrap(), "-verify_return_error"];
    let mut strict = Command::new("openssl");
    strict.args(["s_client", "-connect", &address]).args(verified);
    let refused = finish(&mut strict, b"");
    assert!(refused.code != 0 && refused.err.contains("expired"), "{refused:?}");
    // A good one heals it without a restart.
    files.put(&files.issue("renewed", "60"));
    wait_until("clients to be served again", || {
        let mut strict = Command::new("openssl");
        strict.args(["s_client", "-connect", &address]).args(verified);
        finish(&mut strict, b"").code == 0
    });
}

#[test]
fn wrong_files_and_settings_are_named_at_the_start() {
    let site = Site::new();
    let files = Files::new(&site);
    let [cert, key] = [&files.cert, &files.key].map(|file| file.to_str().unwrap());
    let cases: [(&[&str], &str); 6] = [
        (&["--tls-cert", cert], "without tls-key"),
        (&["--tls-key", key], "without tls-cert"),
        (&["--tls-cert", "/nonexistent.pem", "--tls-key", key], "/nonexistent.pem"),
        (&["--min-tls-version", "1.1"], "min-tls-version is '1.1'"),
        (&["--client-certificates", "optional"], "without client-ca"),
        (&["--client-ca", "/nonexistent.pem"], "/nonexistent.pem"),
    ];
    for (args, why) in cases {
        let mut command = site.server(&site.data());
        let ended = finish(command.args(args), b"").expect(64);
        assert!(ended.err.contains(why), "{args:?}: {}", ended.err);
    }
}

#[test]
fn old_tls_is_refused_unless_asked_for_and_very_old_tls_always() {
    let site = Site::new();
    let files = Files::new(&site);
    let quiet = ["-brief"];
    let with =
        |server: &Server, version: &str| s_client(server, &[&quiet[..], &[version]].concat());
    let server = files.start(&site, &[]);
    assert_ne!(with(&server, "-tls1_2").code, 0);
    let best = with(&server, "-tls1_3").expect(0);
    assert!(best.err.contains("TLSv1.3"), "{}", best.err);
    server.stop();
    let server = files.start(&site, &["--min-tls-version", "1.2"]);
    let old = with(&server, "-tls1_2").expect(0);
    assert!(old.err.contains("TLSv1.2"), "{}", old.err);
    with(&server, "-tls1_3").expect(0);
    assert_ne!(with(&server, "-tls1_1").code, 0);
    server.stop();
    // The name of V2 gateways.
    let mut command = site.server(&site.data());
    command.args(files.args()).env("MIN_TLS_VERSION", "TLSv1.2");
    let server = site.launch(command).trusting(&files.ca.path("ca.pem")).ready();
    with(&server, "-tls1_2").expect(0);
}

#[test]
fn clients_without_a_certificate_are_turned_away_where_one_is_required() {
    let site = Site::new();
    let files = Files::new(&site);
    let clients = Authority::new("/CN=Clients");
    let ca = site.path("pair/clients.pem");
    replace(&clients.path("ca.pem"), &ca);
    let mut command = site.server(&site.data());
    command.args(files.args()).args(["--client-ca", ca.to_str().unwrap()]);
    let starting = site.launch(command);
    let out = wait_for("the address", || crate::kit::announced_url(&starting.process.out()));
    let curl = |with: Option<&Issued>| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "30", "--cacert"]);
        curl.arg(files.ca.path("ca.pem"));
        if let Some(pair) = with {
            curl.arg("--cert").arg(&pair.cert).arg("--key").arg(&pair.key);
        }
        finish(curl.arg(format!("{out}/health")), b"")
    };
    let known = clients.issue("known", &Order::client("/CN=balancer"));
    wait_until("the server to serve", || curl(Some(&known)).code == 0);
    assert!(curl(Some(&known)).out.contains("ok"));
    assert_ne!(curl(None).code, 0);
    let foreign = Authority::new("/CN=Others").issue("foreign", &Order::client("/CN=balancer"));
    assert_ne!(curl(Some(&foreign)).code, 0);
    let dates = ("20200101000000Z", "20200201000000Z");
    let old = clients.issue_dated("old", &Order::client("/CN=balancer"), dates);
    assert_ne!(curl(Some(&old)).code, 0);
    // Another authority counts without a restart, and the former one no longer.
    let newer = Authority::new("/CN=Clients 2");
    replace(&newer.path("ca.pem"), &ca);
    let renewed = newer.issue("renewed", &Order::client("/CN=balancer"));
    wait_until("the new authority", || curl(Some(&renewed)).code == 0);
    assert_ne!(curl(Some(&known)).code, 0);
}

#[test]
fn administrators_of_the_cluster_set_the_certificate_and_nobody_else_does() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let ca = Authority::new("/CN=Company");
    let order = Order { extensions: SERVER, more: &["-days", "60"], ..Order::client("/CN=gw") };
    let (first, other) = (ca.issue("first", &order), ca.issue("other", &order));
    let set = json!({"cert-data": first.text(), "key-data": first.key_text()});
    let text = admin.refused(403, "gateway-update-tls-cert", set.clone());
    assert!(text.contains("--tls-cert"), "{text}");
    let made = admin.ok("auth-method-create-api-key", json!({"name": "/gateways/one"}));
    let key_file = site.path("access-key");
    fs::write(&key_file, made["access_key"].as_str().unwrap()).unwrap();
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
    server.stop();
    let identity = [
        "--gateway-access-id",
        made["access_id"].as_str().unwrap(),
        "--gateway-access-key-file",
        key_file.to_str().unwrap(),
        "--cluster-name",
        "one",
    ];
    let server = site.start_with(&identity);
    wait_until("the cluster", || {
        server.http.get("/status").unwrap().json()["cluster"]["connected"] == true
    });
    let admin = server.admin();
    let own = seen(&server);
    for (bad, why) in [
        (json!({"cert-data": first.text()}), "together"),
        (json!({"cert-data": first.text(), "key-data": other.key_text()}), "do not fit"),
        (json!({"cert-data": "bm8=", "key-data": first.key_text()}), "cert-data"),
        (json!({"expiration-event-in": ["soon"]}), "expiration-event-in"),
    ] {
        let text = admin.refused(400, "gateway-update-tls-cert", bad);
        assert!(text.contains(why), "{text}");
    }
    let person = admin.person_who_may("/someone", &[("item-rule", "/*", "read,create,update")]);
    person.api.refused(401, "gateway-update-tls-cert", set.clone());
    assert_eq!(seen(&server), own);
    let answer = admin.ok("gateway-update-tls-cert", set);
    assert_eq!(answer, json!({"updated": true}));
    assert_eq!(seen(&server), first.serial(), "at once at the gateway that made the change");
    let trusting = |ca: &Path| Http::new(&server.url, ca).get("/status").unwrap().json();
    assert_eq!(trusting(&ca.path("ca.pem"))["tls"]["source"], "cluster");
    server.stop();

    let mut command = site.server(&site.data());
    command.args(identity);
    let server = site.launch(command).trusting(&ca.path("ca.pem")).ready();
    assert_eq!(seen(&server), first.serial(), "it outlives a restart");
    let admin = server.admin();
    wait_until("it to be in its cluster", || {
        admin.call("gateway-update-tls-cert", json!({})).is_success()
    });
    assert_eq!(seen(&server), own);
    let trusting = Http::new(&server.url, &site.data().join("tls/ca.pem"));
    assert_eq!(trusting.get("/status").unwrap().json()["tls"]["source"], "own");
    let Finished { out, .. } = site.audit(&["list", "--json"]);
    assert!(out.contains("gateway_update_tls_cert"), "a change without a record");
}
