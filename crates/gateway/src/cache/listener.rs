//! Asks control, several times a second, what has ended.
//!
//! Questions overlap: one is sent at every beat and held for about as long, so there is always one
//! at control that a change can answer, and over slow lines several are under way. None of them
//! needs a token: the connection proves the gateway, and control tells it only of accounts that it
//! keeps something of.

use std::sync::Weak;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keysherd_base::Uid;
use keysherd_plane::cache::ChangesWait;
use keysherd_plane::{Caller, PlaneHandle};

use super::ReadCache;

/// Time between two questions.
const BEAT: Duration = Duration::from_millis(250);
/// How long control may hold one: a little longer, so that they overlap.
const WAIT_MILLIS: u32 = 300;
/// Questions under way, at most.
const UNDER_WAY_MAX: usize = 4;
/// How long an answer may take; later ones would be of no use.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Listens until the cache is gone.
pub(super) async fn listen(cache: Weak<ReadCache>, plane: PlaneHandle) {
    let under_way = std::sync::Arc::new(AtomicUsize::new(0));
    loop {
        let Some(held) = cache.upgrade() else { return };
        if !held.answers() {
            // Nobody's reads are kept: there is nothing to ask until that changes.
            let mut kept = held.caching.watch();
            drop(held);
            if kept.wait_for(|kept| *kept).await.is_err() {
                return;
            }
            continue;
        }
        if under_way.fetch_add(1, Ordering::Relaxed) < UNDER_WAY_MAX {
            let (cache, plane, under_way) = (cache.clone(), plane.clone(), under_way.clone());
            tokio::spawn(async move {
                ask(&cache, &plane).await;
                under_way.fetch_sub(1, Ordering::Relaxed);
            });
        } else {
            under_way.fetch_sub(1, Ordering::Relaxed);
        }
        // A change through this gateway does not wait for the next beat.
        let _beat = tokio::time::timeout(BEAT, held.poke.notified()).await;
        drop(held);
    }
}

/// One question, and further ones at once for as long as there is news.
async fn ask(cache: &Weak<ReadCache>, plane: &PlaneHandle) {
    loop {
        let Some(held) = cache.upgrade() else { return };
        let asked = held.moment();
        let (source, known) = held.coherence().known();
        let wait_millis = if held.coherence().needs_confirmation() { 0 } else { WAIT_MILLIS };
        drop(held);
        let message = ChangesWait { source, known, wait_millis };
        let question = plane.ask(Caller::of_the_server(Uid::default()), message);
        let Ok(answered) = tokio::time::timeout(ANSWER_TIMEOUT, question).await else { return };
        let Some(held) = cache.upgrade() else { return };
        held.listened(&answered);
        let Ok(reply) = answered else { return };
        held.control_is_back();
        let ended = {
            let mut coherence = held.coherence();
            coherence.heard(asked, &reply);
            coherence.take_ended()
        };
        if ended {
            held.forget_copy();
        }
        if reply.ended.is_some_and(|ended| ended.is_empty()) {
            return;
        }
    }
}
