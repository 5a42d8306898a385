//! Tests of `log`: the chain, torn tails, damage, rotation, comparison.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use keysherd_base::{AccountId, Clock, ManualClock, Timestamp, Uid};
use keysherd_fragments::context::Class;
use keysherd_fragments::labels;
use keysherd_fragments::permit::{Op, Subject};
use tempfile::TempDir;

use super::appender::{AppendError, LogOwner};
use super::read::segment_path;
use super::*;
use crate::store::AAD_LABEL;

mod disk;

const OWNER: LogOwner = LogOwner { manager: Uid([7; 16]), index: 2 };
const AT: Timestamp = Timestamp(1_700_000_000_000);

fn small() -> LogLimits {
    LogLimits { segment_bytes: 2_000, reserve_bytes: 4_096, reserve_low_bytes: 1_024 }
}

fn open(dir: &Path, limits: LogLimits, sinks: SinkFactory) -> Result<Appender, Fault> {
    open_at(dir, limits, sinks, Arc::new(ManualClock::new(AT)))
}

fn open_at(
    dir: &Path,
    limits: LogLimits,
    sinks: SinkFactory,
    clock: Arc<ManualClock>,
) -> Result<Appender, Fault> {
    let summary = scan_tail(dir, Timestamp(0), |_, _| {})?;
    let last = segments(dir)?.last().copied();
    Appender::open(dir, last, &summary, OWNER, clock, limits, sinks)
}

fn entry(number: u64) -> Vec<u8> {
    let event = Event::Bundle { version: number, sha256: [9; 32] };
    Entry { at: AT, event }.to_bytes()
}

fn append(appender: &mut Appender, number: u64) -> Checkpoint {
    let positions = appender.append(&[&entry(number)]).unwrap();
    positions[0]
}

fn bundles(dir: &Path) -> Vec<u64> {
    let entries = LogReader::open(dir).unwrap().map(|entry| entry.unwrap().1.event);
    entries
        .filter_map(|event| match event {
            Event::Bundle { version, .. } => Some(version),
            _ => None,
        })
        .collect()
}

fn filled(count: u64) -> (TempDir, Vec<Checkpoint>) {
    let dir = tempfile::tempdir().unwrap();
    let mut appender = open(dir.path(), LogLimits::default(), files()).unwrap();
    let positions = (1..=count).map(|number| append(&mut appender, number)).collect();
    (dir, positions)
}

fn segment_file(dir: &Path, number: u64) -> std::fs::File {
    OpenOptions::new().read(true).write(true).open(segment_path(dir, number)).unwrap()
}

#[test]
fn labels_of_this_crate_fit_the_registry() {
    let signatures = labels::SIGNATURES.iter().map(|label| label.as_bytes());
    let registry = labels::PRF.iter().chain(labels::ELSEWHERE).copied().chain(signatures);
    let mut all: Vec<&[u8]> = registry.collect();
    all.push(AAD_LABEL);
    // The registry may list labels of this crate too.
    all.sort_unstable();
    all.dedup();
    for (at, label) in all.iter().enumerate() {
        for (other_at, other) in all.iter().enumerate() {
            assert!(at == other_at || !other.starts_with(label), "{label:?} begins {other:?}");
        }
    }
}

#[test]
fn entries_come_back_as_they_were() {
    let derive = DeriveEvent {
        permit_sha256: [1; 32],
        permit_id: Uid([2; 16]),
        permit_expires_at: AT,
        audit_seq: u64::MAX,
        request_id: Uid([3; 16]),
        gateway: [4; 32],
        cluster: Uid([5; 16]),
        account: AccountId(Uid([6; 16])),
        op: Op::Write,
        with_proofs: true,
        bundle_version: 12,
        keys: vec![KeyRef { key_id: Uid([7; 16]), version: 3 }],
        subjects: vec![Subject { access_id_sha256: [8; 32], token_sha256: [9; 32] }],
        items: vec![DerivedItem {
            key: 0,
            subject: 0,
            class: Class::SecretItem,
            item_id: Uid([8; 16]),
            item_version: 300,
            context_tag: u64::MAX,
        }],
    };
    let generation = GenerationEvent {
        step: GenerationStep::Signed,
        session: Uid([1; 16]),
        permit_sha256: [2; 32],
        audit_seq: 8,
        gateway: [3; 32],
        account: AccountId(Uid([4; 16])),
        key: KeyRef { key_id: Uid([5; 16]), version: 1 },
        manifest_sha256: [6; 32],
    };
    let events = [
        Event::Derive(derive),
        Event::Generation(generation),
        Event::Opened { bundle_version: 0, identity: [1; 32] },
        Event::Bundle { version: 1, sha256: [2; 32] },
    ];
    for event in events {
        let entry = Entry { at: AT, event };
        let bytes = entry.to_bytes();
        assert_eq!(Entry::from_bytes(&bytes).unwrap(), entry);
        for length in 0..bytes.len() {
            assert_eq!(Entry::from_bytes(&bytes[..length]), None);
        }
    }
}

#[test]
fn the_largest_entry_fits() {
    let keys: Vec<KeyRef> =
        (0..1_000).map(|_| KeyRef { key_id: Uid([7; 16]), version: u32::MAX }).collect();
    let item = DerivedItem {
        key: 999,
        subject: 999,
        class: Class::SelfTest,
        item_id: Uid([8; 16]),
        item_version: u64::MAX,
        context_tag: u64::MAX,
    };
    let derive = DeriveEvent {
        permit_sha256: [1; 32],
        permit_id: Uid([2; 16]),
        permit_expires_at: AT,
        audit_seq: u64::MAX,
        request_id: Uid([3; 16]),
        gateway: [4; 32],
        cluster: Uid([5; 16]),
        account: AccountId(Uid([6; 16])),
        op: Op::Read,
        with_proofs: false,
        bundle_version: u64::MAX,
        keys,
        subjects: vec![Subject { access_id_sha256: [8; 32], token_sha256: [9; 32] }; 1_000],
        items: vec![item; 1_000],
    };
    let bytes = Entry { at: AT, event: Event::Derive(derive) }.to_bytes();
    assert!(bytes.len() <= entry::ENTRY_BYTES_MAX, "{} bytes", bytes.len());
    assert!(Entry::from_bytes(&bytes).is_some());
}

#[test]
fn a_reopened_log_goes_on_where_it_ended() {
    let (dir, positions) = filled(3);
    let mut appender = open(dir.path(), LogLimits::default(), files()).unwrap();
    assert_eq!(appender.at(), positions[2]);
    append(&mut appender, 4);
    assert_eq!(bundles(dir.path()), [1, 2, 3, 4]);
    let summary = verify(dir.path()).unwrap();
    assert_eq!(summary.end, appender.at());
    // The first entry is that of the segment.
    assert_eq!(summary.end.size, 5);
}

#[test]
fn segments_rotate_and_are_chained() {
    let dir = tempfile::tempdir().unwrap();
    let mut appender = open(dir.path(), small(), files()).unwrap();
    let positions: Vec<_> = (1..=60).map(|number| append(&mut appender, number)).collect();
    drop(appender);
    let count = segments(dir.path()).unwrap().len();
    assert!(count >= 3, "{count} segments");
    assert_eq!(bundles(dir.path()), (1..=60).collect::<Vec<_>>());
    assert_eq!(verify(dir.path()).unwrap().end, positions[59]);
    let mut appender = open(dir.path(), small(), files()).unwrap();
    append(&mut appender, 61);

    // An archived segment: the rest still verifies, from a later beginning.
    std::fs::remove_file(segment_path(dir.path(), 1)).unwrap();
    let summary = verify(dir.path()).unwrap();
    assert!(summary.begin.size > 1);
    assert_eq!(compare(dir.path(), &positions[0]).unwrap(), Comparison::Archived);
    assert_eq!(compare(dir.path(), &positions[50]).unwrap(), Comparison::Contained);
    // One missing in between is damage.
    std::fs::remove_file(segment_path(dir.path(), 3)).unwrap();
    assert!(verify(dir.path()).is_err());
    assert!(open(dir.path(), small(), files()).is_err());
}

#[test]
fn a_torn_tail_is_cut_at_every_length() {
    let (dir, positions) = filled(2);
    let path = segment_path(dir.path(), 1);
    let good = std::fs::read(&path).unwrap();
    let mut appender = open(dir.path(), LogLimits::default(), files()).unwrap();
    append(&mut appender, 3);
    drop(appender);
    let longer = std::fs::read(&path).unwrap();
    assert!(longer.len() > good.len());
    for length in good.len()..longer.len() {
        std::fs::write(&path, &longer[..length]).unwrap();
        let summary = verify(dir.path()).unwrap();
        assert_eq!(summary.end, positions[1], "{length} bytes");
        assert_eq!(summary.torn_bytes, (length - good.len()) as u64);
        let appender = open(dir.path(), LogLimits::default(), files()).unwrap();
        assert_eq!(appender.at(), positions[1]);
        assert_eq!(std::fs::read(&path).unwrap(), good, "the tail was not cut");
    }
}

#[test]
fn a_tail_whose_pages_were_not_written_is_cut() {
    let (dir, positions) = filled(2);
    let path = segment_path(dir.path(), 1);
    let good = std::fs::read(&path).unwrap();
    // The length became durable, the bytes did not.
    segment_file(dir.path(), 1).set_len(good.len() as u64 + 300).unwrap();
    let mut appender = open(dir.path(), LogLimits::default(), files()).unwrap();
    assert_eq!(appender.at(), positions[1]);
    append(&mut appender, 3);
    // A bit of the last frame is wrong: it cannot be told from a torn write.
    let file = segment_file(dir.path(), 1);
    let end = file.metadata().unwrap().len();
    file.write_all_at(&[0xff], end - 1).unwrap();
    assert_eq!(verify(dir.path()).unwrap().end, positions[1]);
}

#[test]
fn damage_before_the_tail_refuses_to_start() {
    let (dir, _) = filled(5);
    let path = segment_path(dir.path(), 1);
    let good = std::fs::read(&path).unwrap();
    let frame_bytes = {
        let (longer, _) = frame::encode(Checkpoint::default(), &[&entry(5)]);
        longer.len()
    };
    for at in (0..good.len() - frame_bytes).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        assert!(verify(dir.path()).is_err(), "a change at byte {at} was not seen");
        let Err(fault) = open(dir.path(), LogLimits::default(), files()) else {
            panic!("started although byte {at} was changed");
        };
        assert!(fault.public().contains("log is damaged"), "{fault:?}");
    }
    // A removed entry in the middle.
    let mut without = good.clone();
    let third = good.len() - 3 * frame_bytes;
    without.drain(third..third + frame_bytes);
    std::fs::write(&path, &without).unwrap();
    assert!(verify(dir.path()).is_err());
    // Too much rubbish for a torn write.
    let mut long = good;
    long.extend(std::iter::repeat_n(0_u8, frame::FRAME_BYTES_MAX + 1));
    std::fs::write(&path, &long).unwrap();
    assert!(verify(dir.path()).is_err());
}

#[test]
fn a_cut_log_lacks_what_was_remembered() {
    let (dir, positions) = filled(5);
    assert_eq!(compare(dir.path(), &positions[4]).unwrap(), Comparison::Contained);
    let path = segment_path(dir.path(), 1);
    let whole = std::fs::read(&path).unwrap();
    let (last, _) = frame::encode(Checkpoint::default(), &[&entry(5)]);
    std::fs::write(&path, &whole[..whole.len() - last.len()]).unwrap();
    // The log itself looks whole; only who remembers the checkpoint can tell.
    verify(dir.path()).unwrap();
    let size = positions[3].size;
    assert_eq!(compare(dir.path(), &positions[4]).unwrap(), Comparison::Truncated { size });
    assert_eq!(compare(dir.path(), &positions[3]).unwrap(), Comparison::Contained);
}

#[test]
fn a_log_written_anew_differs_from_what_was_remembered() {
    let (dir, positions) = filled(5);
    // The last two entries are written anew, with others in their place, and more after them.
    let path = segment_path(dir.path(), 1);
    let whole = std::fs::read(&path).unwrap();
    let (last, _) = frame::encode(Checkpoint::default(), &[&entry(5)]);
    std::fs::write(&path, &whole[..whole.len() - 2 * last.len()]).unwrap();
    let mut appender = open(dir.path(), LogLimits::default(), files()).unwrap();
    for number in [40, 50, 60] {
        append(&mut appender, number);
    }
    verify(dir.path()).unwrap();
    assert_eq!(compare(dir.path(), &positions[4]).unwrap(), Comparison::Forked);
    assert_eq!(compare(dir.path(), &positions[3]).unwrap(), Comparison::Forked);
    assert_eq!(compare(dir.path(), &positions[2]).unwrap(), Comparison::Contained);
}

#[test]
fn the_tail_is_what_is_recent() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp(0)));
    let mut appender = open_at(dir.path(), small(), files(), clock.clone()).unwrap();
    for number in 1..=60 {
        clock.advance_seconds(1);
        let at = clock.now();
        let event = Event::Bundle { version: number, sha256: [9; 32] };
        appender.append(&[&Entry { at, event }.to_bytes()]).unwrap();
    }
    let mut seen = Vec::new();
    let since = Timestamp(55_000);
    let summary = scan_tail(dir.path(), since, |_, entry| {
        if let Event::Bundle { version, .. } = entry.event {
            seen.push(version);
        }
    });
    // Everything from then on, and not much before.
    assert!(seen.ends_with(&[55, 56, 57, 58, 59, 60]), "{seen:?}");
    assert!(seen.len() < 40, "{seen:?}");
    assert_eq!(summary.unwrap().end, appender.at());
}
