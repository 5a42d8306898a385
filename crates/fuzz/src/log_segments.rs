//! Files of a fragment manager's log, as somebody with access to the disk may have changed them.

use std::path::Path;

use keysherd_base::{Timestamp, Uid};
use keysherd_manager::log::{Checkpoint, Entry, Event, LogReader, compare, verify};
use tempfile::TempDir;

use crate::input::Input;
use crate::log_entries::entries;

thread_local! {
    static DIRECTORY: TempDir = tempfile::tempdir().expect("a directory for the log");
}

/// With an even first byte, the rest is a log file; with an odd one, it says how to damage a good
/// log.
///
/// Reading is total, and gives the entries that were written, or those at their beginning, or an
/// error, and never others: damage is found, or it was at the very end and looks like a crash.
pub fn log_segments(data: &[u8]) {
    DIRECTORY.with(|directory| {
        let mut input = Input::new(data);
        if input.flag() {
            damaged(directory.path(), &mut input);
        } else {
            write(directory.path(), input.rest());
            let entries: Vec<_> = read(directory.path()).collect();
            check_totals(directory.path(), &entries);
        }
    });
}

fn write(directory: &Path, bytes: &[u8]) {
    std::fs::write(directory.join(format!("{:016}.log", 1)), bytes).expect("the disk has room");
}

/// The entries until the log ends or is damaged.
fn read(directory: &Path) -> impl Iterator<Item = (Checkpoint, Entry)> {
    LogReader::open(directory).into_iter().flatten().map_while(Result::ok)
}

fn check_totals(directory: &Path, entries: &[(Checkpoint, Entry)]) {
    let summary = verify(directory);
    let Ok(summary) = summary else { return };
    assert_eq!(summary.end.size.wrapping_sub(summary.begin.size), entries.len() as u64);
    for (checkpoint, _) in entries {
        let found = compare(directory, checkpoint).expect("a log that verifies");
        assert_eq!(found, keysherd_manager::log::Comparison::Contained);
    }
}

fn damaged(directory: &Path, input: &mut Input<'_>) {
    let (mut bytes, written) = good_log();
    write(directory, &bytes);
    let whole: Vec<_> = read(directory).collect();
    assert_eq!(whole, written);
    for _ in 0..1 + input.below(3) {
        let (what, place, bit) = (input.byte() % 3, input.below(bytes.len().max(1)), input.byte());
        match what {
            0 if !bytes.is_empty() => bytes[place] ^= 1 << (bit % 8),
            1 => bytes.truncate(place),
            _ => bytes.extend_from_slice(input.bytes()),
        }
    }
    write(directory, &bytes);
    let left: Vec<_> = read(directory).collect();
    assert!(written.starts_with(&left), "entries nobody wrote: {left:?}");
    check_totals(directory, &left);
}

/// A log of three frames, and what it says.
fn good_log() -> (Vec<u8>, Vec<(Checkpoint, Entry)>) {
    let begin = Entry {
        at: Timestamp(1),
        event: Event::Segment {
            manager: Uid([1; 16]),
            index: 1,
            segment: 1,
            size_before: 0,
            head_before: [0; 32],
        },
    };
    let mut at = Checkpoint::default();
    let (mut bytes, mut written) = (Vec::new(), Vec::new());
    let entries = entries();
    let (first, second) = entries.split_at(2);
    for frame in [&[begin][..], first, second] {
        append(&mut bytes, &mut at, frame, &mut written);
    }
    (bytes, written)
}

/// A frame as the design describes it: magic, length, position, entries, position.
fn append(
    bytes: &mut Vec<u8>,
    at: &mut Checkpoint,
    entries: &[Entry],
    written: &mut Vec<(Checkpoint, Entry)>,
) {
    let before = *at;
    let mut body = Vec::new();
    for entry in entries {
        let encoded = entry.to_bytes();
        body.extend_from_slice(&length(encoded.len()));
        body.extend_from_slice(&encoded);
        *at = at.after(&encoded);
        written.push((*at, entry.clone()));
    }
    bytes.extend_from_slice(b"KSFg");
    bytes.extend_from_slice(&length(body.len()));
    bytes.extend_from_slice(&before.size.to_be_bytes());
    bytes.extend_from_slice(&before.head);
    bytes.extend_from_slice(&body);
    bytes.extend_from_slice(&at.head);
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("invariant: a short log").to_be_bytes()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let (log, _) = good_log();
    let file = [&[0][..], &log].concat();
    let second_frame = log.windows(4).skip(4).position(|window| window == b"KSFg").unwrap_or(0);
    vec![
        file.clone(),
        file[..second_frame + 40].to_vec(),
        vec![1, 0, 0, 0, 60, 0, 3],
        vec![1, 0, 0, 1, 200, 1, 0],
        vec![1, 0, 0, 2, 0, 0, 0, 4, b'K', b'S', b'F', b'g'],
    ]
}
