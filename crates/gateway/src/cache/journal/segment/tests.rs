//! What was written is read again, and nothing else.

use super::*;

const JOURNAL: Uid = Uid([3; 16]);

fn entry(receipt: u8, request: u8) -> Entry {
    let receipt = Receipt { bytes: vec![receipt; 40].into() };
    let offline = request == 2;
    let at = Timestamp(i64::from(request));
    Entry { account: Uid::default(), receipt, at, request: Uid([request; 16]), offline }
}

/// A file with three reads of two receipts.
fn file() -> Vec<u8> {
    let (mut segment, mut bytes) = Segment::begin(JOURNAL);
    for entry in [entry(1, 1), entry(2, 2), entry(1, 3)] {
        segment.put(&entry, &mut bytes);
        assert_eq!(segment.length(), bytes.len() as u64);
    }
    bytes
}

fn requests(reading: &Reading) -> Vec<(u8, u8)> {
    let shown = |read: &JournaledRead| {
        let receipt = &reading.receipts[usize::try_from(read.receipt).unwrap()];
        (receipt.bytes[0], read.request.0[0])
    };
    reading.reads.iter().map(shown).collect()
}

const ALL: [(u8, u8); 3] = [(1, 1), (2, 2), (1, 3)];

#[test]
fn a_file_is_read_as_it_was_written_in_one_piece_and_in_many() {
    let bytes = file();
    let mut whole = Reading::default();
    assert!(!whole.go_on(JOURNAL, &bytes));
    assert_eq!(requests(&whole), ALL);
    assert_eq!(whole.receipts.len(), 2, "a receipt is written once");
    let offline: Vec<bool> = whole.reads.iter().map(|read| read.offline).collect();
    assert_eq!(offline, [false, true, false]);
    let mut pieces = Reading::default();
    for end in 1..=bytes.len() {
        let from = usize::try_from(pieces.offset).unwrap();
        pieces.go_on(JOURNAL, &bytes[from..end]);
    }
    assert_eq!(requests(&pieces), ALL);
}

#[test]
fn a_torn_end_costs_only_what_nobody_was_told_of() {
    let bytes = file();
    for end in 0..bytes.len() {
        let mut reading = Reading::default();
        reading.go_on(JOURNAL, &bytes[..end]);
        let read = requests(&reading);
        assert_eq!(read, ALL[..read.len()], "{end} bytes");
        assert!(read.len() < ALL.len(), "{end} bytes");
    }
}

#[test]
fn a_damaged_frame_ends_what_is_believed() {
    let bytes = file();
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x40;
        let mut reading = Reading::default();
        reading.go_on(JOURNAL, &damaged);
        let read = requests(&reading);
        assert_eq!(read, ALL[..read.len()], "byte {place}");
        assert!(read.len() < ALL.len(), "byte {place}");
    }
}

/// One octet that is different costs the frame that it is in, and reads whose receipt may be lost.
#[test]
fn behind_damage_whole_frames_are_found_and_nothing_is_taken_for_something_else() {
    let bytes = file();
    let mut found = 0;
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x40;
        let mut reading = Reading::default();
        reading.go_on(JOURNAL, &damaged);
        let from = usize::try_from(reading.offset).unwrap();
        if reading.skip_damage(&damaged[from..]) && from > 0 {
            let from = usize::try_from(reading.offset).unwrap();
            assert!(!reading.go_on(JOURNAL, &damaged[from..]), "byte {place}");
        }
        let read = requests(&reading);
        let mut all = ALL.iter();
        assert!(read.iter().all(|one| all.any(|known| known == one)), "byte {place}: {read:?}");
        assert!(read.len() < ALL.len(), "byte {place}");
        found += usize::from(read.ends_with(&[ALL[2]]));
    }
    assert!(found > 40, "what follows the second receipt and its read is found: {found}");
    // A torn end is none.
    for end in 0..bytes.len() {
        let mut reading = Reading::default();
        reading.go_on(JOURNAL, &bytes[..end]);
        let from = usize::try_from(reading.offset).unwrap();
        assert!(from == 0 || !reading.skip_damage(&bytes[from..end]), "{end} bytes");
    }
}

/// Whoever fills a file with what may be frames has little to be looked at.
#[test]
fn the_search_for_a_whole_frame_ends() {
    let mut bytes = file();
    let cut = bytes.len();
    for _ in 0..40_000 {
        bytes.extend_from_slice(&[0, 1, 0xff, 0xff, 9, 9, 9, 9, 9, 9, 9, 9]);
    }
    let mut reading = Reading::default();
    reading.go_on(JOURNAL, &bytes);
    let begun = std::time::Instant::now();
    assert!(!reading.skip_damage(&bytes[cut..]));
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn a_file_under_another_name_is_not_read() {
    let mut reading = Reading::default();
    assert!(reading.go_on(Uid([4; 16]), &file()));
    assert!(reading.reads.is_empty());
    assert_eq!(journal_of(&file_name(JOURNAL)), Some(JOURNAL));
    assert_eq!(journal_of("lock"), None);
}
