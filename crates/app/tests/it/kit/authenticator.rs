//! What a person has on the phone: an app that shows one-time codes.

use keysherd_base::{Clock, SecretBytes, SystemClock};
use keysherd_crypto::totp;
use serde_json::json;

use super::{Api, wait_until};

/// An authenticator app: gives each code once.
pub(crate) struct Authenticator {
    seed: SecretBytes,
    last: i64,
}

impl Authenticator {
    /// Sets it up for a person, with a code.
    #[track_caller]
    pub(crate) fn set_up(api: &Api, email: &str, password: &str) -> (Self, Vec<String>) {
        let person = json!({"admin-email": email, "admin-password": password});
        let made = api.ok("mfa-enroll", person.clone());
        let uri = made["uri"].as_str().unwrap();
        assert!(uri.starts_with("otpauth://totp/"), "{uri}");
        let mut app = Self { seed: from_base32(made["secret"].as_str().unwrap()), last: 0 };
        let mut confirm = person;
        confirm["otp"] = app.code().into();
        let codes = api.ok("mfa-confirm", confirm)["recovery_codes"].take();
        (app, serde_json::from_value(codes).unwrap())
    }

    /// The next code, which the server takes for half a minute at least.
    pub(crate) fn code(&mut self) -> String {
        let now = || SystemClock.now();
        self.last = (self.last + 1).max(totp::step_at(now().plus_seconds(30)) - 1);
        wait_until("a step of the codes", || totp::step_at(now()) + 1 >= self.last);
        self.shown()
    }

    /// The code that it gave last.
    pub(crate) fn shown(&self) -> String {
        totp::code(&self.seed, self.last).expose().clone()
    }
}

fn from_base32(text: &str) -> SecretBytes {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.bytes() {
        let value = letters.iter().position(|known| *known == letter).unwrap();
        bits = (bits << 5 | u32::try_from(value).unwrap()) & 0xfff;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 255).unwrap());
        }
    }
    SecretBytes::new(bytes)
}
