//! Request ids, drawn from the random source in batches.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use keysherd_base::{RequestId, RngFailed, RngHandle, Uid};

const ID_BYTES: usize = 16;
/// Ids of one draw: a call of the random source costs as much as a good part of a request.
const BATCH_BYTES: usize = 128 * ID_BYTES;

/// Hands out random ids. They must not be counted up: ids in answers would tell every client how
/// busy the server is.
pub(crate) struct RequestIds {
    rng: RngHandle,
    batch: Mutex<Batch>,
}

struct Batch {
    bytes: [u8; BATCH_BYTES],
    used: usize,
}

impl RequestIds {
    pub(crate) fn new(rng: RngHandle) -> Self {
        let batch = Batch { bytes: [0; BATCH_BYTES], used: BATCH_BYTES };
        Self { rng, batch: Mutex::new(batch) }
    }

    /// # Errors
    /// [`RngFailed`] when the random source fails.
    pub(crate) fn next(&self) -> Result<RequestId, RngFailed> {
        // A panic of the random source leaves `used` as it was, so the batch is still sound.
        let mut batch = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
        if batch.used == BATCH_BYTES {
            self.rng.fill(&mut batch.bytes)?;
            batch.used = 0;
        }
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&batch.bytes[batch.used..batch.used + ID_BYTES]);
        batch.used += ID_BYTES;
        Ok(Uid(id))
    }
}

impl fmt::Debug for RequestIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestIds")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysherd_base::Rng;
    use std::collections::HashSet;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, Ordering};

    struct Stepping(AtomicU8);

    impl Rng for Stepping {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), RngFailed> {
            let step = self.0.fetch_add(1, Ordering::Relaxed);
            for (chunk, byte) in buffer.chunks_mut(ID_BYTES).zip(0..) {
                chunk.fill(byte);
                chunk[0] = step;
            }
            if step == 3 { Err(RngFailed) } else { Ok(()) }
        }
    }

    #[test]
    fn every_id_is_used_once_and_a_failed_draw_gives_none() {
        let ids = RequestIds::new(Arc::new(Stepping(AtomicU8::new(0))));
        let drawn: HashSet<_> = (0..3 * 128).map(|_| ids.next().unwrap()).collect();
        assert_eq!(drawn.len(), 3 * 128);
        assert_eq!(ids.next(), Err(RngFailed));
        assert!(ids.next().is_ok());
    }
}
