//! Keeps a password from a server that wants it as it is on a connection that is not encrypted: the
//! driver would send it to whoever asks.
//!
//! Messages of a server are a letter, a length of four bytes that counts itself, and the rest
//! (PostgreSQL's protocol 3.0). Authentication is asked for by `R` with a number, 3 for the
//! password itself; 0 says that it is over.

use std::io;

use keysherd_egress::heard::Listener;

/// Letter, length, number.
const HEAD_BYTES: usize = 9;
const WANTS_PASSWORD: u32 = 3;
const SIGNED_IN: u32 = 0;

/// Fails before a driver hears that the server wants the password.
#[derive(Default)]
pub(crate) struct Guard {
    /// The beginning of the message that is being read.
    head: Vec<u8>,
    /// What follows of it.
    skip: usize,
    /// Whether authentication is over.
    over: bool,
}

impl Listener for Guard {
    fn hear(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !self.over && !bytes.is_empty() {
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
        let is_question = self.head.first() == Some(&b'R') && length >= HEAD_BYTES - 1;
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
        let outcomes: Vec<_> = [1, 2, 3, 7, bytes.len()]
            .map(|cut| {
                let mut guard = Guard::default();
                bytes.chunks(cut).all(|piece| guard.hear(piece).is_ok())
            })
            .into();
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
        outcomes[0]
    }

    #[test]
    fn a_server_that_wants_the_password_is_not_heard() {
        let sasl = message(b'R', &[&10_u32.to_be_bytes()[..], b"SCRAM-SHA-256\0\0"].concat());
        let notice = message(b'N', b"R\0\0\0\x08\0\0\0\x03");
        let salted = message(b'R', &[0, 0, 0, 5, 1, 2, 3, 4]);
        assert!(passes(&[sasl.clone(), question(0), question(3)].concat()), "it is over by then");
        assert!(passes(&[notice.clone(), salted, question(0)].concat()));
        assert!(passes(&message(b'R', &[])));
        for before in [Vec::new(), sasl, notice, message(b'R', &[])] {
            assert!(!passes(&[before, question(3)].concat()));
        }
    }
}
