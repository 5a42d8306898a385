//! A wire to a target on which somebody lies in wait: at a named point of what goes over it, it
//! stops until the test has done what it wants to whoever is at its ends.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use super::poll::wait_until;

/// Where it stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// The question is known here; its target has not got it.
    Asked,
    /// The target has done it; nobody was answered.
    Done,
}

/// What becomes of what was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes on, whoever is left to hear of it.
    GoesOn,
    /// The connection is cut at both ends, and what was stopped is lost.
    Cut,
}

#[derive(Debug, Default)]
enum Trap {
    #[default]
    None,
    Laid {
        /// What has to pass before, if anything.
        after: Option<&'static str>,
        words: &'static str,
        point: Point,
    },
    /// Somebody has walked into it, and is not stopped yet.
    Caught,
    Sprung,
    Left(Fate),
}

#[derive(Default)]
struct Shared {
    trap: Mutex<Trap>,
    changed: Condvar,
    /// Connections whose near end is there.
    open: AtomicUsize,
}

/// The wire. It ends with the process.
pub(crate) struct Ambush {
    /// Where to connect.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Ambush {
    /// A wire to this port of this machine.
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let serving = shared.clone();
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                // Who is not there refuses the connection, and so does the wire to it.
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                serving.open.fetch_add(1, Ordering::SeqCst);
                join(&serving, near, far);
            }
        });
        Self { address, shared }
    }

    /// Lies in wait for a question with these words. The first one is stopped, others pass.
    pub(crate) fn lay(&self, words: &'static str, point: Point) {
        *self.shared.trap() = Trap::Laid { after: None, words, point };
    }

    /// The same once a question with the words `after` has passed.
    pub(crate) fn lay_after(&self, after: &'static str, words: &'static str, point: Point) {
        *self.shared.trap() = Trap::Laid { after: Some(after), words, point };
    }

    /// Waits until nobody is connected any more.
    pub(crate) fn wait_for_silence(&self, what: &str) {
        wait_until(what, || self.shared.open.load(Ordering::SeqCst) == 0);
    }

    /// Waits until somebody is caught.
    pub(crate) fn wait(&self, what: &str) {
        wait_until(what, || matches!(*self.shared.trap(), Trap::Sprung));
    }

    /// Lets go of whoever was caught.
    pub(crate) fn let_go(&self, fate: Fate) {
        *self.shared.trap() = Trap::Left(fate);
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn trap(&self) -> MutexGuard<'_, Trap> {
        self.trap.lock().unwrap()
    }

    /// Whether this question is the one that is waited for, and where it is stopped.
    fn springs(&self, question: &[u8]) -> Option<Point> {
        let mut trap = self.trap();
        let Trap::Laid { after, words, point } = *trap else { return None };
        let wanted = after.unwrap_or(words);
        if !question.windows(wanted.len()).any(|part| part == wanted.as_bytes()) {
            return None;
        }
        if after.is_some() {
            *trap = Trap::Laid { after: None, words, point };
            return None;
        }
        *trap = Trap::Caught;
        Some(point)
    }

    /// Says that somebody was caught, and waits until the test lets go.
    fn stop(&self) -> Fate {
        let mut trap = self.trap();
        *trap = Trap::Sprung;
        self.changed.notify_all();
        let left = self.changed.wait_while(trap, |trap| !matches!(trap, Trap::Left(_))).unwrap();
        match *left {
            Trap::Left(fate) => fate,
            _ => Fate::Cut,
        }
    }
}

fn join(shared: &Arc<Shared>, near: TcpStream, far: TcpStream) {
    let halves = |stream: &TcpStream| stream.try_clone().unwrap();
    // Whether the next answer is the one to stop.
    let caught = Arc::new(Mutex::new(false));
    let (mut from, mut to) = (halves(&near), halves(&far));
    let (questions, mark) = (shared.clone(), caught.clone());
    thread::spawn(move || {
        let mut piece = vec![0; 64 * 1_024];
        while let Ok(length @ 1..) = from.read(&mut piece) {
            let fate = match questions.springs(&piece[..length]) {
                Some(Point::Asked) => questions.stop(),
                Some(Point::Done) => {
                    *mark.lock().unwrap() = true;
                    Fate::GoesOn
                }
                None => Fate::GoesOn,
            };
            if fate == Fate::Cut || to.write_all(&piece[..length]).is_err() {
                let _ = from.shutdown(Shutdown::Both);
                break;
            }
        }
        questions.open.fetch_sub(1, Ordering::SeqCst);
        let _ = to.shutdown(Shutdown::Write);
    });
    let answers = shared.clone();
    let (mut from, mut to) = (far, near);
    thread::spawn(move || {
        let mut piece = vec![0; 64 * 1_024];
        while let Ok(length @ 1..) = from.read(&mut piece) {
            let is_caught = std::mem::take(&mut *caught.lock().unwrap());
            let fate = if is_caught { answers.stop() } else { Fate::GoesOn };
            if fate == Fate::Cut || to.write_all(&piece[..length]).is_err() {
                let _ = from.shutdown(Shutdown::Both);
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
