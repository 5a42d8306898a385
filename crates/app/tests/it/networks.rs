//! A gateway in a network of its own, whose firewall knows only what `keysherd gateway endpoints`
//! says: nothing else leaves, and nobody but clients comes in.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kit::{Api, Cluster, ClusterWish, Net, wait_until};

/// Reads with packets lost, and how long all of them may take: a lost packet costs at least the
/// 200 ms after which it is sent again.
const LOSSY_READS: usize = 100;
const LOSSY_PATIENCE: Duration = Duration::from_secs(60);

/// A receiver of lines in the network `name`, which reads to the end and hangs up.
fn receiver(net: &Net, name: &str) -> (String, Arc<Mutex<String>>) {
    let listener = net.within(name, || TcpListener::bind((net.ip(name), 0))).unwrap();
    let (address, came) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(String::new())));
    let kept = came.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut text = String::new();
            if stream.and_then(|mut stream| stream.read_to_string(&mut text)).is_ok() {
                kept.lock().unwrap().push_str(&text);
            }
        }
    });
    (address.to_string(), came)
}

fn endpoints(cluster: &Cluster) -> Vec<Value> {
    let args = ["gateway", "endpoints", "--json"];
    let said = cluster.gateway.run_with_args(&cluster.site, &args).expect(0).out;
    let said: Value = serde_json::from_str(&said).unwrap();
    said["endpoints"].as_array().unwrap().clone()
}

/// A firewall that lets clients in, and out what leads to these.
fn firewall(net: &Net, cluster: &Cluster, endpoints: &[Value]) {
    let port = cluster.url.rsplit(':').next().unwrap();
    let mut out = String::new();
    for place in endpoints {
        let (host, port) = (place["host"].as_str().unwrap(), &place["port"]);
        out.push_str(&format!("ip daddr {host} tcp dport {port} accept\n"));
    }
    let rules = format!(
        "table inet test {{
            counter clients {{}}
            counter in_other {{}}
            counter out_other {{}}
            chain in {{
                type filter hook input priority 0;
                iif lo accept
                ct state established,related accept
                meta l4proto ipv6-icmp accept
                ip saddr {client} tcp dport {port} counter name clients accept
                counter name in_other drop
            }}
            chain out {{
                type filter hook output priority 0;
                oif lo accept
                ct state established,related accept
                meta l4proto ipv6-icmp accept
                {out}
                counter name out_other drop
            }}
        }}",
        client = net.ip("client"),
    );
    net.rules("gateway", &rules);
}

/// Signs in, writes, reads, rotates, changes a configuration.
fn a_round_of_everything(cluster: &Cluster, number: usize) -> Api {
    let admin = cluster.admin();
    let name = format!("/team/{number}");
    admin.store(&name, "first");
    assert_eq!(admin.read(&name), "first");
    admin.overwrite(&name, "second");
    assert_eq!(admin.read(&name), "second");
    let key = format!("/keys/{number}");
    admin.ok("create-dfc-key", json!({"name": key, "alg": "AES256GCM"}));
    admin.ok("rotate-key", json!({"name": key}));
    let role = format!("/role/{number}");
    admin.ok("create-role", json!({"name": role}));
    let person = admin.new_person(&format!("/person/{number}"));
    admin.associate(&role, &person);
    cluster.nobody().login(&person.access_id, &person.access_key);
    admin
}

#[test]
fn a_gateway_reaches_what_its_endpoints_say_and_is_reached_by_clients_only() {
    let Some(net) = Net::new(&["control", "gateway", "client", "target"]) else { return };
    let wish = ClusterWish { net: Some(net.clone()), ..ClusterWish::default() };
    // The test itself is a client.
    net.within("client", || {
        let mut cluster = Cluster::start_with(&wish);
        let (target, came) = receiver(&net, "target");
        let admin = cluster.admin();
        let reader = admin.new_person("/log/reader");
        admin.ok("create-role", json!({"name": "/log/reader", "audit-access": "all"}));
        admin.associate("/log/reader", &reader);
        let args = json!({
            "reader-access-id": reader.access_id, "reader-access-key": reader.access_key,
        });
        admin.ok("gateway-update-log-reader", args);
        let syslog = json!({"host": target, "network": "tcp", "pull-interval": 1});
        admin.ok("gateway-update-log-forwarding-syslog", syslog);
        let all = endpoints(&cluster);
        assert_eq!(all.len(), 5, "control, three managers, the log target: {all:?}");

        // From here on everything that leaves or comes is looked at, from the first connection.
        cluster.gateway.stop();
        firewall(&net, &cluster, &all);
        cluster.gateway.start(&cluster.site);
        cluster.wait_until_healthy();
        a_round_of_everything(&cluster, 1);
        wait_until("the round's records to arrive", || {
            came.lock().unwrap().contains("rotate_item")
        });
        let count = |counter| net.counter("gateway", counter);
        assert!(count("clients") > 0);
        assert_eq!((count("in_other"), count("out_other")), (0, 0));
        let doctor = ["gateway", "doctor", "--json"];
        cluster.gateway.run_with_args(&cluster.site, &doctor).expect(0);
        assert_eq!((count("in_other"), count("out_other")), (0, 0));

        // Whatever is taken away, the doctor names it and nothing else.
        for place in &all {
            let name = place["name"].as_str().unwrap();
            let rest: Vec<_> = all.iter().filter(|other| *other != place).cloned().collect();
            firewall(&net, &cluster, &rest);
            let said = cluster.gateway.run_with_args(&cluster.site, &doctor).expect(69).out;
            let said: Value = serde_json::from_str(&said).unwrap();
            let checks = said["checks"].as_array().unwrap().iter();
            let failed = checks.filter(|check| check["verdict"] == "unreachable");
            let failed: BTreeSet<_> = failed.map(|check| check["name"].as_str().unwrap()).collect();
            assert_eq!(failed.len(), 1, "{name}: {said}");
            assert!(failed.iter().all(|found| found.starts_with(name)), "{name}: {failed:?}");
            assert!(count("out_other") > 0, "the firewall sees what it stops");
        }
        firewall(&net, &cluster, &all);
        // Nobody else gets in: the counter would have told.
        let gateway = cluster.http.address();
        let stranger =
            net.within("target", || TcpStream::connect_timeout(&gateway, Duration::from_secs(2)));
        assert!(stranger.is_err() && count("in_other") > 0);

        net.lose_packets();
        let admin = a_round_of_everything(&cluster, 2);
        let begun = Instant::now();
        for _ in 0..LOSSY_READS {
            assert_eq!(admin.read("/team/2"), "second");
        }
        let took = begun.elapsed();
        eprintln!("{LOSSY_READS} reads with 1 % of packets lost: {took:?}");
        assert!(took < LOSSY_PATIENCE, "{took:?}");
    });
}

/// A real proxy, in the network `control`; ended on drop.
struct Tinyproxy(Child);

impl Tinyproxy {
    fn start(net: &Net, cluster: &Cluster) -> (Self, String) {
        let ip = net.ip("control");
        let free = net.within("control", || TcpListener::bind((ip.as_str(), 0))).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let conf = cluster.site.path("tinyproxy.conf");
        let port = address.port();
        let text =
            format!("Port {port}\nListen {ip}\nTimeout 600\nMaxClients 100\nBasicAuth gw sesame\n");
        std::fs::write(&conf, text).unwrap();
        let mut command = Command::new("tinyproxy");
        command.arg("-d").arg("-c").arg(&conf).stdout(Stdio::null()).stderr(Stdio::null());
        let child = net.within("control", || command.spawn()).expect("tinyproxy is missing");
        let proxy = Self(child);
        wait_until("the proxy to listen", || {
            net.within("gateway", || TcpStream::connect(address)).is_ok()
        });
        (proxy, address.to_string())
    }
}

impl Drop for Tinyproxy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_gateway_that_reaches_nothing_but_a_real_proxy_does_everything() {
    let Some(net) = Net::new(&["control", "gateway", "client"]) else { return };
    let wish = ClusterWish { net: Some(net.clone()), ..ClusterWish::default() };
    net.within("client", || {
        let mut cluster = Cluster::start_with(&wish);
        let (_proxy, address) = Tinyproxy::start(&net, &cluster);
        cluster.gateway.stop();
        let (host, port) = address.rsplit_once(':').unwrap();
        let only = json!({"host": host, "port": port.parse::<u16>().unwrap()});
        firewall(&net, &cluster, &[only]);
        let password = cluster.gateway.write_secret("proxy-password", "wrong");
        cluster.gateway.take_args(&["--proxy", &format!("http://{address}"), "--proxy-user", "gw"]);
        cluster.gateway.take_args(&["--proxy-password-file", &password]);
        let doctor = ["gateway", "doctor"];
        // Tinyproxy says 401 where others say 407.
        let said = cluster.gateway.run_with_args(&cluster.site, &doctor).expect(69);
        assert!(said.out.contains("status 401"), "{}", said.out);
        cluster.gateway.write_secret("proxy-password", "sesame");
        cluster.gateway.start(&cluster.site);
        cluster.wait_until_healthy();
        a_round_of_everything(&cluster, 1);
        cluster.gateway.run_with_args(&cluster.site, &doctor).expect(0);
        let all = endpoints(&cluster);
        let through = all.iter().filter(|place| place["proxy"] == address.as_str()).count();
        assert_eq!((all.len(), through), (5, 4), "{all:?}");
        let count = |counter| net.counter("gateway", counter);
        assert_eq!((count("in_other"), count("out_other")), (0, 0));
    });
}
