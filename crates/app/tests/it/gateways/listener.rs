//! What clients meet at the gateways of a cluster: one certificate at all of them, and no failed
//! request while one of them goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use rustix::process::Signal;
use serde_json::json;

use super::Pair;
use crate::kit::openssl::{Authority, Order};
use crate::kit::{Api, Connection, Http, wait_until};

const SERVER: &str = "extendedKeyUsage=serverAuth\nsubjectAltName=IP:127.0.0.1,DNS:localhost\n";

#[test]
fn a_certificate_set_at_one_gateway_is_shown_by_the_other_and_after_a_start_without_control() {
    let mut pair = Pair::start();
    let ca = Authority::new("/CN=Company");
    let order = Order { extensions: SERVER, ..Order::client("/CN=gw") };
    let issued = ca.issue("gw", &order);
    let set = json!({"cert-data": issued.text(), "key-data": issued.key_text()});
    pair.here.ok("gateway-update-tls-cert", set);
    let begin = Instant::now();
    let trusting = |url: &str| Http::new(url, &ca.path("ca.pem"));
    let (here, there) = (trusting(&pair.cluster.url), trusting(&pair.second.address));
    assert!(here.get("/health").is_ok_and(|reply| reply.status == 200), "not at once");
    wait_until("the other gateway to show it", || {
        there.get("/health").is_ok_and(|reply| reply.status == 200)
    });
    println!("shown by the other gateway after {:?}", begin.elapsed());
    assert_eq!(there.get("/status").unwrap().json()["tls"]["source"], "cluster");
    // Clients trust no other one, so it is there also when nobody can say what it is.
    pair.cluster.control.kill();
    pair.second.kill();
    pair.second.start(&pair.cluster.site);
    assert!(there.get("/status").is_ok_and(|reply| reply.json()["tls"]["source"] == "cluster"));
    // Taken away, it is not what the next start shows.
    pair.cluster.control.start(&pair.cluster.site);
    let admin = Api::new(Arc::new(here)).with_token(pair.here.token());
    wait_until("the certificate to be taken away", || {
        admin.call("gateway-update-tls-cert", json!({})).is_success()
    });
    let own = Http::new(&pair.second.address, &pair.second.data.join("tls/ca.pem"));
    wait_until("the other gateway to show its own again", || own.get("/health").is_ok());
    pair.cluster.control.kill();
    pair.second.kill();
    pair.second.start(&pair.cluster.site);
    assert!(own.get("/status").is_ok_and(|reply| reply.json()["tls"]["source"] == "own"));
}

/// A balancer of two gateways that asks them for their health, and clients of it.
struct Balanced {
    gateways: [Arc<Http>; 2],
    healthy: [AtomicBool; 2],
    answered: [AtomicU64; 2],
    body: String,
    stop: AtomicBool,
}

impl Balanced {
    /// Probes until the end.
    fn probe(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            for (gateway, healthy) in self.gateways.iter().zip(&self.healthy) {
                let well = gateway.get("/health").is_ok_and(|reply| reply.status == 200);
                healthy.store(well, Ordering::Relaxed);
            }
        }
    }

    /// Reads until the end; no request may fail.
    fn read(&self, turn: usize) {
        let mut kept: [Option<Connection>; 2] = [None, None];
        let mut turn = turn;
        while !self.stop.load(Ordering::Relaxed) {
            turn += 1;
            let first = turn % 2;
            let well = |at: usize| self.healthy[at].load(Ordering::Relaxed);
            let at = if well(first) { first } else { 1 - first };
            let connection = kept[at].take();
            let mut connection = connection.unwrap_or_else(|| self.gateways[at].connect().unwrap());
            let reply = connection.post("/get-secret-value", &[], self.body.as_bytes()).unwrap();
            assert_eq!(reply.status, 200, "{}", reply.text());
            self.answered[at].fetch_add(1, Ordering::Relaxed);
            if reply.header("connection") != Some("close") {
                kept[at] = Some(connection);
            }
        }
    }

    fn count(&self, at: usize) -> u64 {
        self.answered[at].load(Ordering::Relaxed)
    }
}

#[test]
fn no_request_fails_while_a_gateway_goes_whose_balancer_obeys_its_health() {
    let mut pair = Pair::start();
    pair.cluster.gateway.stop();
    pair.cluster.gateway.take_args(&["--drain-delay-seconds", "30"]);
    pair.cluster.gateway.start(&pair.cluster.site);
    pair.cluster.wait_until_healthy();
    pair.there.store("/read/often", "v");
    let body = json!({"names": ["/read/often"], "token": pair.there.token()}).to_string();
    let gateways = [pair.cluster.http.clone(), pair.there.http().clone()];
    let balanced = Balanced {
        gateways,
        healthy: [true, true].map(AtomicBool::new),
        answered: Default::default(),
        body,
        stop: AtomicBool::new(false),
    };
    std::thread::scope(|scope| {
        scope.spawn(|| balanced.probe());
        let clients: Vec<_> = (0..4)
            .map(|turn| {
                scope.spawn({
                    let all = &balanced;
                    move || all.read(turn)
                })
            })
            .collect();
        let well = || clients.iter().all(|client| !client.is_finished());
        let at_work = || balanced.count(0) > 50 && balanced.count(1) > 50;
        wait_until("both to be at work", || !well() || at_work());
        let process = pair.cluster.gateway.process.take().unwrap();
        process.signal(Signal::TERM);
        wait_until("the balancer to notice", || {
            !well() || !balanced.healthy[0].load(Ordering::Relaxed)
        });
        assert_eq!(process.wait(), 0);
        let before = balanced.count(1);
        wait_until("the other one to go on", || !well() || balanced.count(1) > before + 50);
        balanced.stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().expect("a request failed");
        }
    });
}
