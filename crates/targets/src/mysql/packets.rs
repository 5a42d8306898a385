//! What a driver of MySQL's protocol does not hear from a server.
//!
//! A packet is a length of three bytes, a number, and the content; an answer with rows begins with
//! a packet that says how many columns they have, as an integer of one to nine bytes (MySQL
//! Internals, "Text Resultset"). Those of four and nine bytes begin with 0xFD and 0xFE. No other
//! packet of a session that is signed in begins so and is that long, as the server is told that the
//! driver does not know of ends of answers that have more to say (`CLIENT_DEPRECATE_EOF`), and
//! nothing that is asked is answered with a first column longer than 64 KiB.

use std::io;

use keysherd_egress::heard::Listener;

/// Longest content of a packet, in bytes.
const CONTENT_BYTES_MAX: usize = 1 << 20;
/// Bytes before the content.
const HEAD_BYTES: usize = 4;
/// The content of a packet that ends columns or rows has less than this, in bytes.
const END_BYTES: usize = 9;
/// Integers of three and of eight further bytes.
const OF_THREE: u8 = 0xfd;
const OF_EIGHT: u8 = 0xfe;
/// What says that somebody is signed in.
const OK: u8 = 0;

/// The flag by which a server offers other ends of answers: in the fourth byte of its flags.
const DEPRECATE_EOF: u8 = 1;

/// A greeting without what the driver is not to hear of. One that is not understood stays as it
/// is: the driver says what is wrong with it.
pub(super) fn without_flags(mut greeting: Vec<u8>) -> Vec<u8> {
    // A version of the protocol, the server's in a text, the number of the session, eight bytes of
    // salt and a zero, two bytes of flags, a character set, two bytes of status, two of flags.
    let version = greeting.get(HEAD_BYTES + 1..).unwrap_or_default();
    let Some(end) = version.iter().position(|byte| *byte == 0) else { return greeting };
    let high = HEAD_BYTES + 1 + end + 1 + 4 + 8 + 1 + 2 + 1 + 2 + 1;
    if let Some(flags) = greeting.get_mut(high) {
        *flags &= !DEPRECATE_EOF;
    }
    greeting
}

/// Fails before the driver hears of more columns than there are.
#[derive(Default)]
pub(super) struct Packets {
    /// The head of the packet that is being read, and the first byte of its content.
    head: Vec<u8>,
    /// What follows of it.
    skip: usize,
    signed_in: bool,
}

impl Listener for Packets {
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

impl Packets {
    fn judge(&mut self) -> io::Result<()> {
        let [low, middle, high, _, content @ ..] = self.head.as_slice() else { return Ok(()) };
        let length = [high, middle, low].iter().fold(0, |sum, byte| sum << 8 | usize::from(**byte));
        if length > CONTENT_BYTES_MAX {
            return Err(io::Error::other("the server announces a packet that is too long"));
        }
        let first = match content.first() {
            Some(first) => *first,
            None if length > 0 => return Ok(()),
            None => {
                self.head.clear();
                return Ok(());
            }
        };
        let is_many = first == OF_THREE || first == OF_EIGHT && length >= END_BYTES;
        if self.signed_in && is_many {
            return Err(io::Error::other("the server announces more columns than there are"));
        }
        self.signed_in |= first == OK;
        self.skip = length - 1;
        self.head.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_le_bytes();
        [&length[..3], &[1], content].concat()
    }

    /// Whether what comes is heard, however it is cut.
    fn passes(packets: &[&[u8]]) -> bool {
        let bytes: Vec<u8> = packets.iter().flat_map(|content| packet(content)).collect();
        let outcomes = [1, 2, 3, 5, 7, bytes.len()].map(|cut| {
            let mut listener = Packets::default();
            bytes.chunks(cut).all(|piece| listener.hear(piece).is_ok())
        });
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
        outcomes[0]
    }

    #[test]
    fn more_columns_than_there_are_are_not_heard_of() {
        let ok = [0, 0, 0, 2, 0, 0, 0];
        let switch = b"\xfemysql_native_password\0salt-of-20-bytes-...\0";
        let (end, row) = ([0xfe, 0, 0, 2, 0], [&b"\xfc\x00\x80"[..], &[b'x'; 0x8000]].concat());
        let answer: &[&[u8]] = &[&[2], b"\x03def", b"\x03def", &end, &row, &[], b"\xfb\x01a", &end];
        assert!(passes(&[&[&switch[..], &ok], answer, &[&ok], answer].concat()));
        for count in [
            &[0xfe, 0, 0, 0, 0, 0, 1, 0, 0][..],
            &[0xfe, 0, 0, 0, 0, 0, 1, 0, 0, 0],
            &[0xfd, 0xff, 0xff, 0xff],
            &[0xfd],
        ] {
            assert!(!passes(&[&ok, count]), "{count:?}");
            assert!(!passes(&[&[&ok[..]], answer, &[count]].concat()), "{count:?}");
        }
        let mut listener = Packets::default();
        assert!(listener.hear(&[1, 0, 0x10, 1]).is_err(), "longer than a MiB");
    }

    #[test]
    fn a_greeting_loses_one_flag() {
        let before = b"\x0a8.0.28\0\x01\0\0\0saltsalt\0\xff\xff\x21\x02\0\xff\xdf\x15";
        let after = without_flags(packet(before));
        let changed: Vec<_> = packet(before).iter().zip(&after).map(|(a, b)| a ^ b).collect();
        assert_eq!(changed.iter().filter(|bits| **bits != 0).count(), 1);
        let place = before.len() + HEAD_BYTES - 2;
        assert_eq!((changed[place], after[place]), (DEPRECATE_EOF, 0xde));
        for odd in [&b""[..], b"\x0a", b"\x0a8.0\0\x01", b"\xff\x10\x04Too many connections"] {
            assert_eq!(without_flags(packet(odd)), packet(odd));
        }
    }
}
