//! Keeps the driver from messages that are nested deeper than any directory's: it reads what is
//! inside of what by calling itself, and a thread whose stack is used up ends the whole process.
//! And from those with more elements than any directory's: of two bytes it makes some fifty. And
//! from an element that leads out of the one it is in: for the rest the driver waits in vain, and
//! reads everything again with each byte that comes.
//!
//! Elements are a byte that says what follows, a length, and the content (BER, X.690 section 8.1),
//! in which other elements may be. They are divided as the driver divides them: names have one
//! byte, and a length of no bytes is none.

use std::io;

use crate::heard::Listener;

/// Elements inside of each other. A directory's own messages have seven.
const DEPTH_MAX: usize = 32;
/// Elements of one message. A directory's own have some for each value that was asked for.
const ELEMENTS_MAX: u32 = 100_000;
/// That there are elements in an element.
const CONSTRUCTED: u8 = 0x20;
/// That a length has more bytes, and how many.
const LONG: u8 = 0x80;

/// Where in a message somebody is.
#[derive(Default)]
pub(super) struct Nested {
    /// How much was heard.
    heard: u64,
    /// Where the latest element began.
    begun: u64,
    /// Where the elements end that have begun, and have elements in them.
    ends: Vec<u64>,
    /// How many elements of the message have begun.
    count: u32,
    /// What is known of the element that begins.
    head: Head,
}

#[derive(Default)]
enum Head {
    #[default]
    Nothing,
    /// Its first byte.
    Kind(u8),
    /// That, how many bytes of the length follow, and the length so far.
    Length(u8, u8, u64),
    /// So much of its content comes yet.
    Content(u64),
}

impl Listener for Nested {
    fn hear(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some((byte, rest)) = bytes.split_first() {
            if let Head::Content(left) = &mut self.head {
                let skipped = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                let count = u64::try_from(skipped).unwrap_or(u64::MAX);
                self.heard = self.heard.saturating_add(count);
                *left -= count;
                if *left == 0 {
                    self.head = Head::Nothing;
                }
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            self.step(*byte)?;
            bytes = rest;
        }
        Ok(())
    }
}

impl Nested {
    /// Goes on with one byte of a head.
    fn step(&mut self, byte: u8) -> io::Result<()> {
        let before = self.heard;
        self.heard = self.heard.saturating_add(1);
        self.head = match self.head {
            Head::Nothing | Head::Content(_) => {
                self.begun = before;
                Head::Kind(byte)
            }
            Head::Kind(kind) if byte > LONG => Head::Length(kind, byte - LONG, 0),
            Head::Kind(kind) => return self.begin(kind, u64::from(byte % LONG)),
            Head::Length(kind, left, length) => {
                let length = length << 8 | u64::from(byte);
                if left == 1 {
                    return self.begin(kind, length);
                }
                Head::Length(kind, left - 1, length)
            }
        };
        Ok(())
    }

    /// Begins with what is in an element.
    fn begin(&mut self, kind: u8, length: u64) -> io::Result<()> {
        self.head = Head::Nothing;
        // What had ended when this one began.
        while self.ends.last().is_some_and(|end| *end <= self.begun) {
            self.ends.pop();
        }
        let end = self.heard.saturating_add(length);
        match self.ends.last() {
            None => self.count = 0,
            Some(around) if end > *around => {
                return Err(io::Error::other("the directory's answer has a length that lies"));
            }
            Some(_) => {}
        }
        self.count += 1;
        if self.count > ELEMENTS_MAX {
            return Err(io::Error::other("the directory's answer has too many parts"));
        }
        if kind & CONSTRUCTED == 0 {
            if length > 0 {
                self.head = Head::Content(length);
            }
            return Ok(());
        }
        if self.ends.len() >= DEPTH_MAX {
            return Err(io::Error::other("the directory's answer is nested too deep"));
        }
        self.ends.push(end);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An element with this content.
    fn element(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&[kind, 0x84], length.as_slice(), content].concat()
    }

    /// So many elements inside of each other.
    fn deep(count: usize) -> Vec<u8> {
        (0..count).fold(Vec::new(), |inner, _| element(0x30, &inner))
    }

    /// Whether what comes is heard, however it is cut.
    fn passes(bytes: &[u8]) -> bool {
        let outcomes = [1, 2, 3, 7, bytes.len().max(1)].map(|cut| {
            let mut nested = Nested::default();
            bytes.chunks(cut).all(|piece| nested.hear(piece).is_ok())
        });
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
        outcomes[0]
    }

    #[test]
    fn what_is_nested_too_deep_is_not_heard() {
        assert!(passes(&deep(DEPTH_MAX)));
        assert!(!passes(&deep(DEPTH_MAX + 1)));
        assert!(!passes(&deep(1_000)));
        // What is beside each other is not inside of each other, nor is what only looks like it.
        let beside = element(0x30, &deep(DEPTH_MAX - 1).repeat(100));
        assert!(passes(&beside.repeat(20)));
        assert!(passes(&element(0x30, &[[0x30, 0]; 500].concat())));
        assert!(passes(&element(0x04, &deep(1_000))));
        // The same after something else, with lengths that are written otherwise or lie.
        for before in [vec![0x02, 0x01, 0x07], vec![0x30, 0x80], vec![0x04, 0x83, 0, 0, 1, 9]] {
            assert!(passes(&[before.clone(), deep(DEPTH_MAX)].concat()), "{before:?}");
            assert!(!passes(&[before.clone(), deep(DEPTH_MAX + 1)].concat()), "{before:?}");
            let inside = element(0x30, &[before.clone(), deep(DEPTH_MAX)].concat());
            assert!(!passes(&inside), "{before:?}");
        }
        assert!(!passes(&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff].repeat(1_000)));
        assert!(!passes(&[0x3f, 0x88, 0, 0, 0, 0, 0xff, 0, 0, 0].repeat(1_000)));
        assert!(passes(&[0x04, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x30]));
    }
    #[test]
    fn a_message_of_too_many_elements_is_not_heard() {
        let most = usize::try_from(ELEMENTS_MAX).unwrap();
        for one in [[0x05, 0x00], [0x30, 0x00], [0x30, 0x80]] {
            // The one around them counts.
            assert!(passes(&element(0x30, &one.repeat(most - 1))), "{one:?}");
            assert!(!passes(&element(0x30, &one.repeat(most))), "{one:?}");
            let deeper = element(0x30, &element(0x31, &one.repeat(most / 2)).repeat(2));
            assert!(!passes(&deeper), "{one:?}");
        }
        // Each message has its own.
        let half = element(0x30, &[0x05, 0x00].repeat(most / 2));
        assert!(passes(&half.repeat(3)));
        assert!(passes(&[half, vec![0x02, 0x01, 0x07], element(0x30, &[5, 0])].concat().repeat(3)));
        // What is content has no elements.
        assert!(passes(&element(0x04, &[0x05, 0x00].repeat(most))));
    }

    #[test]
    fn an_element_that_leads_out_of_another_is_not_heard() {
        let rest = [0x00; 300];
        for lying in [
            // Without elements in it and with; by one byte, and by as many as can be said.
            vec![0x30, 0x04, 0x04, 0x03, 0x00, 0x00],
            vec![0x30, 0x04, 0x30, 0x03, 0x05, 0x00],
            vec![0x30, 0x04, 0x04, 0x82, 0x01, 0x00],
            vec![0x30, 0x0a, 0x04, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            // Only out of the innermost.
            vec![0x30, 0x20, 0x30, 0x04, 0x04, 0x03, 0x00, 0x00],
            // Whose head does not end in time, or only begins.
            vec![0x30, 0x01, 0x05, 0x00],
            vec![0x30, 0x02, 0x04, 0x84, 0x00, 0x00, 0x00, 0x00],
            vec![0x30, 0x05, 0x05, 0x00, 0x04, 0x84, 0x00, 0x00, 0x00, 0x00],
        ] {
            assert!(!passes(&[lying.as_slice(), &rest].concat()), "{lying:02x?}");
            let within = element(0x30, &[lying.as_slice(), &rest].concat());
            assert!(!passes(&within), "{lying:02x?}");
        }
        for honest in [
            vec![0x30, 0x04, 0x04, 0x02, 0x00, 0x00],
            vec![0x30, 0x06, 0x30, 0x02, 0x05, 0x00, 0x05, 0x00],
            // A message may say that more comes than does.
            vec![0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x05, 0x00],
        ] {
            assert!(passes(&[honest.as_slice(), &rest].concat()), "{honest:02x?}");
        }
    }
}
