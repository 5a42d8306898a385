//! Everything that there are several of, and each of them lost in turn: the primary of a database
//! cluster, a control plane, a manager, a gateway; while clients read, write and sign in.
//!
//! Five minutes, so with `cargo xtask test --all` only.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::kit::mounts::not_tested;
use crate::kit::{Api, Patroni, in_full, wait_until};
use crate::many_controls::Two;

/// When a client that was refused tries once more: after this, or as soon as it likes, but never
/// later. Longer than a cluster takes to choose another primary.
const RETRY_AFTER: Duration = Duration::from_secs(45);
/// Longest that nothing may be written, whatever is lost.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// How long all goes well between two losses.
const QUIET: Duration = Duration::from_secs(20);

/// What was acknowledged.
struct Written {
    value: String,
    /// When, since the clients began.
    after: Duration,
}

/// What clients did, at both gateways.
struct Clients<'a> {
    gateways: [&'a Api; 2],
    over: AtomicBool,
    reads: AtomicUsize,
    logins: AtomicUsize,
    repeated: AtomicUsize,
    /// Clients that were refused and have not had their answer since.
    waiting: AtomicUsize,
    lost: Mutex<Vec<String>>,
    begun: Instant,
    /// When writes were acknowledged.
    written: Mutex<Vec<Instant>>,
    figures: Mutex<Vec<String>>,
}

impl<'a> Clients<'a> {
    fn new(gateways: [&'a Api; 2]) -> Self {
        Self {
            gateways,
            begun: Instant::now(),
            over: AtomicBool::new(false),
            reads: AtomicUsize::new(0),
            logins: AtomicUsize::new(0),
            repeated: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            lost: Mutex::default(),
            written: Mutex::default(),
            figures: Mutex::default(),
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Asks one gateway, and once more the other one.
    fn ask(&self, what: &str, number: usize, ask: impl Fn(&Api) -> u16) {
        let (first, second) = (self.gateways[number % 2], self.gateways[(number + 1) % 2]);
        if ask(first) == 200 {
            return;
        }
        self.repeated.fetch_add(1, Ordering::Relaxed);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let failed = Instant::now();
        // What a client does, not a way to wait for something.
        while let Some(rest) = RETRY_AFTER.checked_sub(failed.elapsed()) {
            std::thread::park_timeout(rest);
        }
        let mut status = ask(second);
        // On a machine that does much else the cluster may choose another primary more than once.
        while status != 200 && failed.elapsed() < PAUSE_MAX {
            std::thread::park_timeout(Duration::from_secs(1));
            status = ask(second);
        }
        if status != 200 {
            self.lost.lock().unwrap().push(format!("{what}: {status} after all"));
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    fn read(&self) {
        for number in 0.. {
            if self.is_over() {
                return;
            }
            let args = json!({"names": ["/fixed"]});
            self.ask("a read", number, |api| status(api, "get-secret-value", &args));
            self.reads.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn login(&self, access_id: &str, access_key: &str) {
        let login = json!({"access-id": access_id, "access-key": access_key});
        for number in 0.. {
            if self.is_over() {
                return;
            }
            self.ask("a login", number, |api| status(api, "auth", &login));
            self.logins.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Gives what was acknowledged, and when.
    fn write(&self, place: usize) -> BTreeMap<String, Written> {
        let mut written = BTreeMap::new();
        for number in 0.. {
            if self.is_over() {
                break;
            }
            let (name, value) = (format!("/{place}/{number}"), format!("value {number}"));
            let args = json!({"name": name, "value": value});
            if status(self.gateways[place], "create-secret", &args) == 200 {
                let after = self.begun.elapsed();
                written.insert(name, Written { value, after });
                self.written.lock().unwrap().push(Instant::now());
            } else {
                std::thread::park_timeout(Duration::from_millis(100));
            }
        }
        written
    }

    /// The longest time without an acknowledged write since `from`.
    fn pause_since(&self, from: Instant) -> Duration {
        let mut written = self.written.lock().unwrap().clone();
        written.retain(|at| *at > from);
        written.sort_unstable();
        let mut last = from;
        let mut longest = Duration::ZERO;
        for at in written.into_iter().chain([Instant::now()]) {
            longest = longest.max(at - last);
            last = at;
        }
        longest
    }

    /// Does something to the installation and lets it go on for a while; tells how long nothing was
    /// written.
    fn after(&self, what: &str, do_it: impl FnOnce()) {
        // One loss at a time: nobody's second try meets the next one.
        wait_until("a second try", || self.waiting.load(Ordering::SeqCst) == 0);
        let begin = Instant::now();
        do_it();
        // Until writes have gone on without a pause for a while, however long that takes.
        loop {
            std::thread::park_timeout(Duration::from_millis(200));
            let quiet = Instant::now().checked_sub(QUIET).unwrap_or(begin);
            if quiet > begin && self.pause_since(quiet) < QUIET / 2 {
                break;
            }
            assert!(begin.elapsed() < 3 * PAUSE_MAX, "{what}: writes do not go on");
        }
        let pause = self.pause_since(begin);
        let figure = format!(
            "{what} after {:.1} s: nothing written for {:.1} s",
            (begin - self.begun).as_secs_f64(),
            pause.as_secs_f64()
        );
        self.figures.lock().unwrap().push(figure);
        assert!(pause < PAUSE_MAX, "{what}");
    }
}

/// Ends what the clients do, also where a test fails.
struct Ends<'a>(&'a Clients<'a>);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

/// The status; 0 where nobody answered.
fn status(api: &Api, command: &str, args: &serde_json::Value) -> u16 {
    api.try_call(command, args.clone()).map_or(0, |reply| reply.status)
}

#[test]
fn nothing_is_lost_while_each_part_is_lost_in_turn() {
    if !in_full() {
        not_tested("a database cluster whose primary is lost takes minutes; xtask test --all");
        return;
    }
    let mut patroni = Patroni::start();
    patroni.sql("postgres", "CREATE DATABASE store");
    let url = patroni.url("store");
    let mut two = Two::start(&url);
    let here = two.cluster.admin();
    let there = two.there.with_token(here.token());
    here.store("/fixed", "value");
    let (id, key) =
        (two.cluster.bootstrap.access_id.clone(), two.cluster.bootstrap.access_key.clone());
    let clients = Clients::new([&here, &there]);
    let written: Vec<BTreeMap<String, Written>> = std::thread::scope(|scope| {
        let clients = &clients;
        let _ends = Ends(clients);
        let readers = [(); 2].map(|()| scope.spawn(|| clients.read()));
        scope.spawn(|| clients.login(&id, &key));
        let writers = [0, 1].map(|place| scope.spawn(move || clients.write(place)));
        clients.after("nothing happened", || {});
        let primary = patroni.leader();
        clients.after("the primary killed", || patroni.kill(primary));
        patroni.run(primary);
        patroni.wait_until_whole();
        clients.after("a control plane killed", || two.cluster.control.kill());
        two.cluster.control.start(&two.cluster.site);
        clients.after("a manager killed", || two.cluster.managers[0].kill());
        two.cluster.managers[0].start(&two.cluster.site);
        clients.after("a gateway killed", || two.gateway.kill());
        two.gateway.start(&two.cluster.site);
        let primary = patroni.leader();
        clients.after("the primary cut off", || patroni.freeze(primary, true));
        patroni.freeze(primary, false);
        clients.after("the old primary back", || patroni.wait_until_whole());
        clients.over.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        writers.map(|writer| writer.join().unwrap()).into()
    });
    println!("{}", clients.figures.lock().unwrap().join("\n"));
    println!(
        "{} writes, {} reads, {} logins; {} repeated once",
        written.iter().map(BTreeMap::len).sum::<usize>(),
        clients.reads.load(Ordering::Relaxed),
        clients.logins.load(Ordering::Relaxed),
        clients.repeated.load(Ordering::Relaxed),
    );
    assert_eq!(*clients.lost.lock().unwrap(), Vec::<String>::new());
    let written: Vec<(&String, &Written)> = written.iter().flatten().collect();
    let is_there = |(name, written): &(&String, &Written)| {
        let found = here.try_call("get-secret-value", json!({ "names": [name] })).unwrap();
        found.json()[name.as_str()] == written.value.as_str()
    };
    let mut missing: Vec<&(&String, &Written)> = Vec::new();
    for some in written.chunks(200) {
        let names: Vec<&String> = some.iter().map(|(name, _)| *name).collect();
        let found = here.try_call("get-secret-value", json!({ "names": names })).unwrap().json();
        let all = some.iter().all(|(name, written)| found[name.as_str()] == written.value.as_str());
        missing.extend(some.iter().filter(|one| !all && !is_there(one)));
    }
    let missing = missing.iter().map(|(name, written)| format!("{name} at {:?}", written.after));
    let missing: Vec<String> = missing.collect();
    assert!(missing.is_empty(), "acknowledged, and not there: {missing:?}");
    two.verify(&url);
}
