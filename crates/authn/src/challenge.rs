//! Challenges without a memory of them: text that only this process can have made, for one method
//! and one presented thing, good for a minute and one use.
//!
//! ```text
//! 01 | expires 8 (ms since 1970, big-endian) | random 16 | HMAC-SHA-256 32
//! ```
//! The key is drawn at first use and dies with the process, so nothing made before a restart is
//! accepted after it. Asking for challenges costs no memory, whoever asks.

use std::sync::OnceLock;

use keysherd_base::{AccessId, Fault, Rng, Timestamp};
use keysherd_crypto::hash::HmacKey;

const FORMAT: u8 = 1;
const HEAD_BYTES: usize = 1 + 8 + 16;
const CHALLENGE_BYTES: usize = HEAD_BYTES + 32;

/// How long a challenge may be answered, in seconds (V2: 60).
pub const CHALLENGE_SECONDS: i64 = 60;

/// Makes challenges and knows them again.
#[derive(Default)]
pub(crate) struct Challenges(OnceLock<HmacKey>);

impl std::fmt::Debug for Challenges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Challenges")
    }
}

impl Challenges {
    /// A challenge for whoever wants to come in at `access_id` with the thing whose hash is
    /// `subject`. Whether there is such a method makes no difference.
    ///
    /// # Errors
    /// When the random source fails.
    pub(crate) fn make(
        &self,
        access_id: &AccessId,
        subject: &[u8; 32],
        now: Timestamp,
        rng: &dyn Rng,
    ) -> Result<Vec<u8>, Fault> {
        if self.0.get().is_none() {
            let fresh: [u8; 32] = rng.array()?;
            // Whoever was first has set it.
            let _ = self.0.set(HmacKey::new(&fresh));
        }
        let key = self.0.get().ok_or_else(|| Fault::internal("no key of challenges"))?;
        let random: [u8; 16] = rng.array()?;
        let mut made = vec![FORMAT];
        made.extend_from_slice(&now.plus_seconds(CHALLENGE_SECONDS).0.to_be_bytes());
        made.extend_from_slice(&random);
        let tag = key.tag(&[&made, subject, access_id.as_str().as_bytes()]);
        made.extend_from_slice(&tag);
        Ok(made)
    }

    /// Until when `challenge` is good; `None` when it was not made here for this method and
    /// subject, or its time is over.
    pub(crate) fn good_until(
        &self,
        challenge: &[u8],
        access_id: &AccessId,
        subject: &[u8; 32],
        now: Timestamp,
    ) -> Option<Timestamp> {
        let (head, tag) = challenge.split_at_checked(HEAD_BYTES)?;
        let genuine = challenge.len() == CHALLENGE_BYTES
            && self.0.get()?.verify(&[head, subject, access_id.as_str().as_bytes()], tag);
        let until = Timestamp(i64::from_be_bytes(*head.get(1..)?.first_chunk()?));
        (genuine && head.first() == Some(&FORMAT) && now <= until).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use keysherd_crypto::random::SystemRng;

    use super::*;

    #[test]
    fn a_challenge_is_for_one_method_one_subject_and_a_minute() {
        let challenges = Challenges::default();
        let [here, there] =
            ["p-aaaaaaaaaaaaaa", "p-bbbbbbbbbbbbbb"].map(|id| AccessId::parse(id).unwrap());
        let now = Timestamp::from_seconds(1_000);
        let made = challenges.make(&here, &[1; 32], now, &SystemRng).unwrap();
        let end = now.plus_seconds(CHALLENGE_SECONDS);
        let good = |made: &[u8], id, subject, at| {
            challenges.good_until(made, id, &[subject; 32], at).is_some()
        };
        assert_eq!(challenges.good_until(&made, &here, &[1; 32], end), Some(end));
        assert!(!good(&made, &here, 1, Timestamp(end.0 + 1)));
        assert!(!good(&made, &there, 1, now));
        assert!(!good(&made, &here, 2, now));
        for at in 0..made.len() {
            let mut changed = made.clone();
            changed[at] ^= 1;
            assert!(!good(&changed, &here, 1, now), "byte {at}");
            assert!(!good(&made[..at], &here, 1, now), "length {at}");
        }
        let restarted = Challenges::default();
        assert_eq!(restarted.good_until(&made, &here, &[1; 32], now), None);
        restarted.make(&here, &[1; 32], now, &SystemRng).unwrap();
        assert_eq!(restarted.good_until(&made, &here, &[1; 32], now), None);
        assert_ne!(made, challenges.make(&here, &[1; 32], now, &SystemRng).unwrap());
    }
}
