//! What stands in for a shell where there is none: `keysherd health`, and commands that print what
//! they would otherwise leave in a file.

use std::fs;
use std::net::TcpListener;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::kit::openssl::Authority;
use crate::kit::{Cluster, Finished, Site, announced_url, finish, keysherd, wait_for, wait_until};

fn health(site: &Site) -> Finished {
    health_within(site, "60")
}

fn health_within(site: &Site, seconds: &str) -> Finished {
    site.run(&["health", "--timeout", seconds, "--data-dir", site.data().to_str().unwrap()])
}

#[test]
fn health_says_whether_a_server_serves() {
    let site = Site::new();
    let never = health(&site).expect(73);
    assert!(never.err.contains("does a role run with this --data-dir?"), "{}", never.err);
    let server = site.start();
    let serves = health(&site).expect(0);
    assert!(serves.out.contains("serves at 127.0.0.1:"), "{}", serves.out);
    // One that hangs is as good as none.
    server.process.signal(Signal::STOP);
    let hangs = health_within(&site, "2").expect(69);
    assert!(hangs.err.contains("no answer in time"), "{}", hangs.err);
    server.process.signal(Signal::CONT);
    health(&site).expect(0);
    let address = server.url.strip_prefix("https://").unwrap().to_owned();
    server.stop();
    health(&site).expect(69);
    // Somebody else who takes the port does not pass for it.
    let _other = TcpListener::bind(address.replace("localhost", "127.0.0.1")).unwrap();
    health(&site).expect(69);
}

#[test]
fn health_needs_no_certificate_of_a_client() {
    let site = Site::new();
    let clients = Authority::new("/CN=clients");
    let authority = clients.path("ca.pem");
    let mut command = site.server(&site.data());
    command.arg("--client-ca").arg(&authority).args(["--drain-delay-seconds", "600"]);
    let mut process = site.launch(command).process;
    wait_for("a server to listen", || {
        assert!(process.runs(), "{}{}", process.out(), process.err());
        announced_url(&process.out())
    });
    wait_until("it to be healthy", || health(&site).code == 0);
    // Nor does it pass for one that takes requests when it does not any more.
    process.signal(Signal::TERM);
    wait_until("it to be not ready", || health(&site).code == 69);
    let drains = health(&site).expect(69);
    assert!(drains.err.contains("it takes no requests now"), "{}", drains.err);
    assert!(process.runs());
    process.signal(Signal::TERM);
    wait_until("it to end", || !process.runs());
    health(&site).expect(69);
}

#[test]
fn health_speaks_as_a_proxy_where_this_machine_has_to() {
    let site = Site::new();
    for proxies in ["127.0.0.0/8", "192.0.2.0/24"] {
        let mut command = site.server(&site.data());
        command.args(["--proxy-protocol", "--trusted-proxy", proxies]);
        let process = site.launch(command).process;
        wait_until("it to be healthy", || health(&site).code == 0);
        assert!(!process.err().contains("no good PROXY header"), "{}", process.err());
        process.signal(Signal::TERM);
        assert_eq!(process.wait(), 0);
    }
}

#[test]
fn health_knows_each_role_by_its_key() {
    let mut cluster = Cluster::start();
    for node in cluster.nodes() {
        let finished = node.run(&cluster.site, &["health"]).expect(0);
        assert!(finished.out.contains("serves at"), "{}", finished.out);
    }
    // A manager where another one is expected is not the right one.
    let note = |place: usize| cluster.managers[place].data.join("listening");
    let (first, second) = (fs::read(note(0)).unwrap(), fs::read(note(1)).unwrap());
    let (mut forged, real): (Value, Value) =
        (serde_json::from_slice(&first).unwrap(), serde_json::from_slice(&second).unwrap());
    forged["key"] = real["key"].clone();
    cluster.managers[0].write_secret("listening", &forged.to_string());
    let refused = cluster.managers[0].run(&cluster.site, &["health"]).expect(69);
    assert!(refused.err.contains("TLS"), "{}", refused.err);
    for place in 0..5 {
        let (site, node) = cluster.node(place);
        node.kill();
        node.run(site, &["health"]).expect(69);
    }
}

#[test]
fn a_gateway_that_waits_for_the_owner_is_not_healthy() {
    let cluster = Cluster::start();
    let mut stranger = cluster.stranger("gateway", "stranger", &[]);
    stranger.start(&cluster.site);
    let waits = stranger.run(&cluster.site, &["health", "--timeout", "1"]).expect(69);
    assert!(waits.err.contains("no answer in time"), "{}", waits.err);
}

#[test]
fn a_machine_is_set_up_without_reading_its_files() {
    let cluster = Cluster::start();
    let site = &cluster.site;
    let args = ["gateway", "enroll", "--name", "gw-2", "--out", "-"];
    let enrolled = cluster.gateway.run(site, &args).expect(0);
    let file = site.path("gw-2.request");
    assert!(enrolled.err.contains("fingerprint"), "{}", enrolled.err);
    // Logs of containers have both.
    fs::write(&file, enrolled.err + &enrolled.out).unwrap();
    // The owner's desk reads what was printed.
    let desk = site.path("desk");
    let mut init = keysherd(&site.home());
    init.args(["owner", "init", "--dir"])
        .arg(&desk)
        .env("KEYSHERD_OWNER_PASSPHRASE", "five words as a phrase");
    finish(&mut init, b"").expect(0);
    let show = ["owner", "show", "--dir", desk.to_str().unwrap(), file.to_str().unwrap()];
    let shown = site.run(&show).expect(0);
    assert!(shown.out.contains("gw-2"), "{}", shown.out);
    let token = cluster.control.run(site, &["control", "setup-token", "--print"]).expect(0).out;
    assert_eq!(token.trim().len(), 64, "{token}");
    let out = cluster.gateway.data.join("second");
    let more = ["--setup-token-file", "-", "--print"];
    let made = cluster.set_up_fed(&more, &out, token.as_bytes()).expect(0);
    let made: Value = serde_json::from_str(&made.out).unwrap();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "whoever printed them has them alone");
    let login = json!({
        "access-type": "password", "admin-email": text("owner_email"),
        "admin-password": text("owner_password"), "account-id": text("account_id"),
    });
    let admin = cluster.nobody().login(&text("access_id"), &text("access_key"));
    admin.store("/team/db", "value");
    assert!(cluster.nobody().ok("auth", login)["token"].is_string());
}
