//! Points at which a gateway can be stopped for good: before and after each message it sends.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// The steps of everything a gateway does toward control and managers.
#[derive(Default)]
pub struct Steps {
    state: Mutex<State>,
    reached: Notify,
}

#[derive(Default)]
struct State {
    passed: usize,
    /// Where the gateway stops, if it does.
    stop_at: Option<usize>,
    stopped: bool,
}

impl Steps {
    /// Counts from zero again. The gateway stops at this step: no later one is passed, by whatever
    /// it does at the same time, until this is called again.
    pub fn stop_at(&self, step: Option<usize>) {
        *self.lock() = State { passed: 0, stop_at: step, stopped: false };
    }

    /// Waits until the gateway has stopped.
    pub async fn stopped(&self) {
        loop {
            let reached = self.reached.notified();
            if self.lock().stopped {
                return;
            }
            reached.await;
        }
    }

    /// Passes a step, or never returns.
    pub(crate) async fn pass(&self) {
        let stops = {
            let mut state = self.lock();
            state.stopped |= state.stop_at == Some(state.passed);
            state.passed += 1;
            state.stopped
        };
        if stops {
            self.reached.notify_waiters();
            std::future::pending::<()>().await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
