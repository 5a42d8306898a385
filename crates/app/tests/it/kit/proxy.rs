//! A wire between two roles that remembers what went over it, and can be slow, stop, or lead to
//! several.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Passes bytes on between whoever connects and one address. Ended on drop.
pub(crate) struct Proxy {
    /// Where to connect.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

/// Which way something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From whoever connected.
    Questions,
    /// To whoever connected.
    Answers,
}

struct Shared {
    targets: Mutex<Vec<String>>,
    /// Connections so far: they take turns.
    turn: AtomicUsize,
    recorded: Mutex<Vec<u8>>,
    delay_ms: AtomicU64,
    /// What does not get through.
    held: Mutex<Option<Way>>,
    let_go: Condvar,
    ended: AtomicBool,
}

impl Proxy {
    /// A wire to `target` that begins at this address of the network that the caller is in.
    pub(crate) fn from(ip: &str, target: &str) -> Self {
        let wire = Self::loose_at(ip);
        wire.lead_to(target);
        wire
    }

    /// A wire that leads nowhere yet: its own address is known before the other end has one.
    pub(crate) fn loose() -> Self {
        Self::loose_at("127.0.0.1")
    }

    fn loose_at(ip: &str) -> Self {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            targets: Mutex::default(),
            turn: AtomicUsize::new(0),
            recorded: Mutex::default(),
            delay_ms: AtomicU64::new(0),
            held: Mutex::default(),
            let_go: Condvar::new(),
            ended: AtomicBool::new(false),
        });
        let serving = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.ended.load(Ordering::Relaxed) {
                    return;
                }
                if let Ok(stream) = stream {
                    join(&serving, stream);
                }
            }
        });
        Self { address, shared }
    }

    /// Leads new connections to `target`.
    pub(crate) fn lead_to(&self, target: &str) {
        self.balance(&[target]);
    }

    /// Leads new connections to one of these each, in turn; to another one where that is not there,
    /// as a TCP balancer does.
    pub(crate) fn balance(&self, targets: &[&str]) {
        *self.shared.targets.lock().unwrap() =
            targets.iter().map(|target| (*target).to_owned()).collect();
    }

    /// Everything that went over it so far, in both directions.
    pub(crate) fn recorded(&self) -> Vec<u8> {
        self.shared.recorded.lock().unwrap().clone()
    }

    /// Lets all answers come later by this much.
    pub(crate) fn delay(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).unwrap();
        self.shared.delay_ms.store(millis, Ordering::Relaxed);
    }

    /// Lets nothing through that goes this way, until [`Self::let_go`].
    pub(crate) fn hold(&self, way: Way) {
        *self.shared.held() = Some(way);
    }

    /// Lets everything through again. What was held is lost, with its connections.
    pub(crate) fn let_go(&self) {
        *self.shared.held() = None;
        self.shared.let_go.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // Wakes the accept loop; it may be gone already.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, Option<Way>> {
        self.held.lock().unwrap()
    }

    /// Whether something gets through that goes this way; waits where that is held.
    fn passes(&self, way: Way) -> bool {
        let held = self.held();
        if *held != Some(way) {
            return true;
        }
        drop(self.let_go.wait_while(held, |held| *held == Some(way)).unwrap());
        false
    }

    /// The next of the targets that is there.
    fn reach(&self) -> Option<TcpStream> {
        let targets = self.targets.lock().unwrap().clone();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let from = turn % targets.len().max(1);
        let (before, after) = targets.split_at(from);
        after.iter().chain(before).find_map(|target| TcpStream::connect(target).ok())
    }
}

fn join(shared: &Arc<Shared>, near: TcpStream) {
    // Whoever is not there refuses the connection, and so does the wire to it.
    let Some(far) = shared.reach() else { return };
    let halves = |stream: &TcpStream| stream.try_clone().unwrap();
    pump(shared.clone(), halves(&near), halves(&far), Way::Questions);
    pump(shared.clone(), far, near, Way::Answers);
}

/// Copies from `from` to `to` until the end; answers may be held back.
fn pump(shared: Arc<Shared>, mut from: TcpStream, mut to: TcpStream, way: Way) {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    let wire = shared.clone();
    thread::spawn(move || {
        for (due, piece) in receiver {
            // The wire is slow on purpose: this is what is tested, not a way to wait for something.
            while let Some(rest) = due.checked_duration_since(Instant::now()) {
                thread::park_timeout(rest);
            }
            if !wire.passes(way) {
                let _ = to.shutdown(Shutdown::Both);
                break;
            }
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    thread::spawn(move || {
        let mut piece = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut piece) {
            shared.recorded.lock().unwrap().extend_from_slice(&piece[..length]);
            let delay =
                if way == Way::Answers { shared.delay_ms.load(Ordering::Relaxed) } else { 0 };
            let due = Instant::now() + Duration::from_millis(delay);
            if sender.send((due, piece[..length].to_vec())).is_err() {
                let _ = from.shutdown(Shutdown::Both);
                break;
            }
        }
    });
}
