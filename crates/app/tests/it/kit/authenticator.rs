//! What a person has on the phone: an app that shows one-time codes.

use keysherd_base::{Clock, Secret, SecretBytes, SystemClock};
use keysherd_crypto::totp;

/// The app with one seed in it.
pub(crate) struct Authenticator {
    seed: SecretBytes,
    used: i64,
}

impl Authenticator {
    /// Types a seed in, as a server shows it in base32.
    pub(crate) fn new(shown: &str) -> Self {
        let mut bits = 0_u32;
        let mut held = 0_u32;
        let mut seed = Vec::new();
        for letter in shown.bytes() {
            let digit = match letter {
                b'A'..=b'Z' => letter - b'A',
                b'2'..=b'7' => letter - b'2' + 26,
                _ => panic!("{shown} is no base32"),
            };
            held = (held << 5) | u32::from(digit);
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                seed.push((held >> bits).to_be_bytes()[3]);
            }
        }
        // The first code is that of the step before this one: three are good at any time.
        let used = totp::step_at(SystemClock.now()) - 2;
        Self { seed: Secret::new(seed), used }
    }

    /// A code that was not shown before. The first three are good at once; after that this waits
    /// as a person would.
    pub(crate) fn code(&mut self) -> String {
        let step = (self.used + 1).max(totp::step_at(SystemClock.now()) - 1);
        super::wait_until("the next code to be good", || {
            totp::step_at(SystemClock.now()) + 1 >= step
        });
        self.used = step;
        totp::code(&self.seed, step).expose().clone()
    }
}
