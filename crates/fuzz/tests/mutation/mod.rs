//! Deterministic mutations of inputs.

/// Bytes that mean something to one reader or another.
const INTERESTING: &[&[u8]] = &[
    b"\0",
    b"\n",
    b" ",
    b"\"",
    b"\\u0000",
    b"{\"a\":",
    b"[[[[",
    b"]",
    b",",
    b"null",
    b"-1",
    b"18446744073709551616",
    b"1e999",
    b"/",
    b"//",
    b"/../",
    b"+",
    b"*",
    b"{{u}}",
    b"{{",
    b"}}",
    b"`AND`",
    b"`OR`",
    b"=",
    b"--",
    b"-",
    b"\x1b[2J",
    b"\xe2\x80\xae",
    b"\xe2\x84\xaa",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\x7f",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\x80",
    b"\x9f",
    b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x5b\0\0\0\0\xff\xff\xff\xff",
    b"\x18\x01",
    b"KSF1",
    b"KSFg",
];

/// Makes inputs out of others, in an order that depends on its name only.
pub(crate) struct Mutator {
    state: u64,
}

impl Mutator {
    /// A mutator for the target called `name`.
    pub(crate) fn new(name: &str) -> Self {
        // FNV-1a (draft-eastlake-fnv), so that each target has its own sequence.
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self { state: name.bytes().fold(0xcbf2_9ce4_8422_2325, fold) | 1 }
    }

    /// The next number of an xorshift generator (Marsaglia, 2003).
    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let number = usize::try_from(self.next() >> 33).expect("31 bits");
        number.checked_rem(bound).unwrap_or(0)
    }

    /// One of `pool`, changed in one to four places.
    pub(crate) fn mutate(&mut self, pool: &[Vec<u8>]) -> Vec<u8> {
        let mut input = pool[self.below(pool.len())].clone();
        for _ in 0..1 + self.below(4) {
            self.change(&mut input, pool);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, pool: &[Vec<u8>]) {
        let place = self.below(input.len() + 1);
        match self.below(9) {
            0 if place < input.len() => input[place] ^= 1 << self.below(8),
            1 if place < input.len() => input[place] = self.next().to_be_bytes()[0],
            2 if place < input.len() => {
                // Counts and lengths, one off.
                let by = if self.below(2) == 0 { 1 } else { u8::MAX };
                input[place] = input[place].wrapping_add(by);
            }
            3 => input.truncate(place),
            4 => drop(self.range(input)),
            5 => {
                let again = self.range(&mut input.clone());
                insert(input, place, &again);
            }
            6 => {
                let mut other = pool[self.below(pool.len())].clone();
                let other = self.range(&mut other);
                insert(input, place, &other);
            }
            _ => insert(input, place, INTERESTING[self.below(INTERESTING.len())]),
        }
    }

    /// Takes a short range out of `input`.
    fn range(&mut self, input: &mut Vec<u8>) -> Vec<u8> {
        let start = self.below(input.len() + 1);
        let longest = if self.below(4) == 0 { input.len() } else { 16 };
        let end = (start + self.below(longest + 1)).min(input.len());
        input.drain(start..end).collect()
    }
}

fn insert(input: &mut Vec<u8>, place: usize, bytes: &[u8]) {
    let tail = input.split_off(place);
    input.extend_from_slice(bytes);
    input.extend_from_slice(&tail);
}
