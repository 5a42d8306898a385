//! Certificates whose time is over, by the clocks of those who look at them: links renew theirs,
//! clients' end, and an authority for clients ends when it is taken out of its file.

use std::process::Command;

use rustix::process::Signal;
use serde_json::json;

use crate::kit::openssl::{Authority, Issued, Order};
use crate::kit::{Cluster, FakeClock, Site, announced_url, finish, wait_for, wait_until};

const DAY: i64 = 86_400;

#[test]
fn links_outlive_the_days_of_their_certificates_whoever_is_restarted() {
    let mut cluster = Cluster::start();
    for place in 0..5 {
        let (site, node) = cluster.node(place);
        node.stop();
        node.take_clock();
        node.start(site);
    }
    cluster.wait_until_healthy();
    cluster.admin().store("/team/db", "a value");
    // What the owner of the tests signs is good for a day.
    cluster.change_bundle(|bundle| {
        let key = &mut bundle.permit_keys[0];
        key.not_after = key.not_after.plus_seconds(30 * DAY);
    });
    // Certificates of links live for a day. First the gateway is restarted, so that it meets those
    // that control and the managers have renewed meanwhile; then these.
    for (days, restarted) in [(2, &[4][..]), (20, &[0, 1, 2, 3])] {
        cluster.nodes().for_each(|node| node.set_clock(days * DAY));
        for place in restarted {
            let (site, node) = cluster.node(*place);
            node.kill();
            node.start(site);
        }
        cluster.wait_until_healthy();
        let login = json!({
            "access-id": cluster.bootstrap.access_id, "access-key": cluster.bootstrap.access_key,
        });
        wait_until("control to answer", || {
            cluster.nobody().call("auth", login.clone()).is_success()
        });
        let admin = cluster.admin();
        wait_until("managers to answer", || {
            let reply = admin.call("get-secret-value", json!({"names": ["/team/db"]}));
            reply.status == 200 && reply.json()["/team/db"] == "a value"
        });
        let name = format!("/team/{days}");
        wait_until("all managers to take part", || admin.try_store(&name, "v"));
        assert_eq!(admin.read(&name), "v");
    }
}

#[test]
fn a_clients_certificate_ends_with_its_days_and_an_authority_with_its_file() {
    let site = Site::new();
    let clients = Authority::new("/CN=clients");
    let file = site.path("clients.pem");
    std::fs::copy(clients.path("ca.pem"), &file).unwrap();
    let long = Order { more: &["-days", "90"], ..Order::client("/CN=long") };
    let (long, short) =
        (clients.issue("long", &long), clients.issue("short", &Order::client("/CN=short")));
    std::fs::create_dir(site.data()).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(site.data(), private).unwrap();
    let clock = FakeClock::new(&site.data());
    let mut command = site.server(&site.data());
    command.envs(clock.environment()).arg("--client-ca").arg(&file);
    let process = site.launch(command).process;
    let url = wait_for("a server to listen", || announced_url(&process.out()));
    FakeClock::tidy(process.pid());
    let ca = site.data().join("tls/ca.pem");
    let enters = |with: &Issued| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "30", "--cacert"]).arg(&ca);
        curl.arg("--cert").arg(&with.cert).arg("--key").arg(&with.key);
        finish(curl.arg(format!("{url}/health")), b"").code == 0
    };
    wait_until("the server to serve", || enters(&long));
    assert!(enters(&short));
    // Authority and one of the two were made for thirty days.
    clock.set(40 * DAY);
    assert!(!enters(&short), "its days are over");
    assert!(enters(&long), "who is trusted says the file");
    let other = Authority::new("/CN=others");
    std::fs::copy(other.path("ca.pem"), &file).unwrap();
    process.signal(Signal::HUP);
    wait_until("the authority to be out", || !enters(&long));
}
