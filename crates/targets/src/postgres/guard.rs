//! What a driver of PostgreSQL's protocol does not hear: a message longer than anything that is
//! read, for which it would reserve memory as soon as it knows the length; and, on a connection
//! that is not encrypted, that the server wants the password as it is, which it would get.
//!
//! Messages of a server are a letter, a length of four bytes that counts itself, and the rest
//! (PostgreSQL's protocol 3.0). Authentication is asked for by `R` with a number, 3 for the
//! password itself; 0 says that it is over.

use std::io;

use keysherd_egress::heard::{Listener, SAID_BYTES_MAX};

/// Letter, length, number.
const HEAD_BYTES: usize = 9;
const WANTS_PASSWORD: u32 = 3;
const SIGNED_IN: u32 = 0;

/// Fails before the driver hears it.
pub(crate) struct Guard {
    /// The beginning of the message that is being read.
    head: Vec<u8>,
    /// What follows of it.
    skip: usize,
    /// Whether the password can be asked for: not when TLS hides it, or authentication is over.
    over: bool,
}

impl Guard {
    /// Who listens to a server, on a connection that is encrypted or not.
    pub(crate) fn new(is_encrypted: bool) -> Self {
        Self { head: Vec::new(), skip: 0, over: is_encrypted }
    }
}

impl Listener for Guard {
    fn hear(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let Some((first, rest)) = bytes.split_first() else { break };
            self.head.push(*first);
            bytes = rest;
            self.judge()?;
        }
        Ok(())
    }
}

impl Guard {
    fn judge(&mut self) -> io::Result<()> {
        let Some(length) = number(&self.head, 1) else { return Ok(()) };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > SAID_BYTES_MAX {
            return Err(io::Error::other("the server announces a message that is too long"));
        }
        let is_question =
            !self.over && self.head.first() == Some(&b'R') && length >= HEAD_BYTES - 1;
        match (is_question, number(&self.head, 5)) {
            (true, None) => return Ok(()),
            (true, Some(WANTS_PASSWORD)) => {
                return Err(io::Error::other(
                    "the server wants the password itself, which it does not get without TLS",
                ));
            }
            (true, Some(SIGNED_IN)) => self.over = true,
            _ => {}
        }
        self.skip = (length + 1).saturating_sub(self.head.len());
        self.head.clear();
        Ok(())
    }
}

fn number(head: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(head.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(letter: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[letter][..], &length.to_be_bytes(), body].concat()
    }

    fn question(number: u32) -> Vec<u8> {
        message(b'R', &number.to_be_bytes())
    }

    /// Whether what comes is heard, however it is cut.
    fn passes(bytes: &[u8]) -> bool {
        passes_if(bytes, false)
    }

    fn passes_if(bytes: &[u8], is_encrypted: bool) -> bool {
        let outcomes: Vec<_> = [1, 2, 3, 7, bytes.len()]
            .map(|cut| {
                let mut guard = Guard::new(is_encrypted);
                bytes.chunks(cut).all(|piece| guard.hear(piece).is_ok())
            })
            .into();
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
        outcomes[0]
    }

    #[test]
    fn a_message_that_is_too_long_is_not_heard() {
        let short = message(b'D', &[7; 70_000]);
        for is_encrypted in [true, false] {
            assert!(passes_if(&[question(0), short.clone(), short.clone()].concat(), is_encrypted));
            for length in [SAID_BYTES_MAX + 1, usize::try_from(u32::MAX).unwrap()] {
                let length = u32::try_from(length).unwrap().to_be_bytes();
                let long = [&b"D"[..], &length].concat();
                assert!(!passes_if(&[question(0), short.clone(), long].concat(), is_encrypted));
            }
        }
    }

    #[test]
    fn a_server_that_wants_the_password_is_not_heard() {
        let sasl = message(b'R', &[&10_u32.to_be_bytes()[..], b"SCRAM-SHA-256\0\0"].concat());
        let notice = message(b'N', b"R\0\0\0\x08\0\0\0\x03");
        let salted = message(b'R', &[0, 0, 0, 5, 1, 2, 3, 4]);
        assert!(passes(&[sasl.clone(), question(0), question(3)].concat()), "it is over by then");
        assert!(passes(&[notice.clone(), salted, question(0)].concat()));
        assert!(passes(&message(b'R', &[])));
        assert!(passes_if(&question(3), true));
        for before in [Vec::new(), sasl, notice, message(b'R', &[])] {
            assert!(!passes(&[before, question(3)].concat()));
        }
    }
}
