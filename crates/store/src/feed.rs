//! The newest change: known at once to whoever asks, whichever node made it.
//!
//! With an embedded store this process makes every change, so it knows. On a server others do, so
//! the server is asked: once for everybody who came before the question was put. A thread of its
//! own asks ten times a second for those who wait to be woken.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use keysherd_base::Fault;
use tokio::sync::{Mutex, watch};

use crate::changes::{self, Mark};
use crate::engine::Place;
use crate::lock::cannot_open;
use crate::query::Reader;
use crate::store::Shared;

/// How often the server is asked for those who wait to be woken.
const TICK: Duration = Duration::from_millis(100);

/// What is known of the newest change.
pub(crate) struct Feed {
    shared: Arc<Shared>,
    /// Questions put to the server so far.
    asked: AtomicU64,
    /// The last answer. Held while a question is under way.
    answer: Mutex<Option<Mark>>,
    poller: Option<Poller>,
}

struct Poller {
    /// Hung up on to end it.
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Feed {
    /// Reads what is newest, and follows it when others write to `place`, too.
    pub(crate) fn start(folder: &Path, place: &Place, shared: &Arc<Shared>) -> Result<Self, Fault> {
        let reader = Reader::new(place.open_reader()?);
        shared.newest.send_replace(changes::newest(&reader)?);
        let poller = place.is_shared().then(|| Poller::start(folder, reader, Arc::clone(shared)));
        Ok(Self {
            shared: Arc::clone(shared),
            asked: AtomicU64::new(0),
            answer: Mutex::default(),
            poller: poller.transpose()?,
        })
    }

    /// How often the question was put.
    #[cfg(test)]
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// The newest change that was committed before the call, or a newer one; `ask` puts the
    /// question.
    pub(crate) async fn newest(
        &self,
        ask: impl FnOnce() -> Result<Mark, Fault>,
    ) -> Result<Mark, Fault> {
        if self.poller.is_none() {
            return Ok(*self.shared.newest.borrow());
        }
        let before = self.asked.load(Ordering::SeqCst);
        let mut answer = self.answer.lock().await;
        // Somebody may have put it since this call began.
        if self.asked.load(Ordering::SeqCst) != before
            && let Some(mark) = *answer
        {
            return Ok(mark);
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        *answer = None;
        let known = *self.shared.newest.borrow();
        let mark = ask()?;
        self.shared.saw(known, mark);
        *answer = Some(mark);
        Ok(mark)
    }

    /// Wakes when there is a newer one.
    pub(crate) fn watch(&self) -> watch::Receiver<Mark> {
        self.shared.newest.subscribe()
    }

    /// Ends the thread.
    pub(crate) fn stop(&mut self) {
        let Some(Poller { stop, thread }) = self.poller.take() else { return };
        drop(stop);
        if thread.join().is_err() {
            tracing::error!("the thread that follows the changes of others panicked");
        }
    }
}

impl Poller {
    fn start(folder: &Path, reader: Reader, shared: Arc<Shared>) -> Result<Self, Fault> {
        let (stop, stopped) = mpsc::channel::<()>();
        let run = move || {
            while stopped.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
                let known = *shared.newest.borrow();
                // Without an answer nobody is woken; whoever asks is told why.
                if let Ok(mark) = changes::newest(&reader) {
                    shared.saw(known, mark);
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("store-changes".to_owned())
            .spawn(run)
            .map_err(|error| cannot_open(folder, &error))?;
        Ok(Self { stop, thread })
    }
}

impl Shared {
    /// Takes down the newest change, as somebody saw it who knew of `known` before they looked.
    pub(crate) fn saw(&self, known: Mark, mark: Mark) {
        self.newest.send_if_modified(|newest| {
            // An older one is a late answer, unless it was looked for after the newer one was
            // known: then the store was put back to what it was before.
            let news = mark.number > newest.number || (mark.number < known.number && mark != known);
            if news {
                *newest = mark;
            }
            news
        });
    }
}
