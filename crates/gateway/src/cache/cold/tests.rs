//! Copies that are not what they were.

use std::path::PathBuf;

use keysherd_api::OfflinePolicy;
use keysherd_base::{AccessId, ManualClock, Timestamp};
use keysherd_crypto::random::SystemRng;
use keysherd_plane::cache::Receipt;

use super::*;
use crate::moment::Clocks;

/// Opened keys in copies.
mod keys;

const KEY: [u8; 32] = [7; 32];
const WHOSE: [u8; 64] = [1; 64];
const NOW: Timestamp = Timestamp(1_767_607_200_000);

fn open(dir: &Path, key: [u8; 32], whose: [u8; 64]) -> CopyFile {
    CopyFile::new(dir, VaultKey::new(&Secret::new(key)), whose, SystemRng::handle())
}

fn known() -> Known {
    let policy = OfflinePolicy { max_minutes: 10, paths: vec!["/a/*".to_owned()] };
    let id = AccessId::parse("p-abcdefghijkl").unwrap();
    let boot = Some(("a start".to_owned(), 99));
    Known { written: NOW, boot, silent_millis: 5, policies: vec![(Uid([3; 16]), id, policy)] }
}

/// A read whose receipt is so long.
fn read(number: u8, bytes: usize) -> Record {
    Record::Read(CopiedRead {
        call: [number; 32],
        account: Uid([3; 16]),
        access_id: AccessId::parse("p-abcdefghijkl").unwrap(),
        items: Vec::new(),
        age_millis: 4,
        good_millis: 60_000,
        receipt: Receipt { bytes: vec![number; bytes].into() },
    })
}

fn write(file: &CopyFile, reads: &[Record]) {
    let mut writing = file.begin(known(), file.ended()).unwrap();
    for read in reads {
        assert!(writing.add(read).unwrap());
    }
    assert!(writing.finish(NOW).unwrap());
}

fn three() -> [Record; 3] {
    [0, 1, 2].map(|number| read(number, 30))
}

/// A copy with three reads, and its path.
fn copied(dir: &Path) -> (CopyFile, PathBuf) {
    let file = open(dir, KEY, WHOSE);
    write(&file, &three());
    (file, dir.join("read-copy/copy"))
}

fn why_not(dir: &Path) -> String {
    open(dir, KEY, WHOSE).read(NOW).err().unwrap().to_string()
}

fn records(dir: &Path) -> Vec<Record> {
    open(dir, KEY, WHOSE).read(NOW).unwrap().unwrap().records
}

#[test]
fn a_copy_is_read_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let (file, path) = copied(dir.path());
    let mut wanted = vec![Record::Known(known())];
    wanted.extend(three());
    assert_eq!(records(dir.path()), wanted);
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(16).any(|window| window == [2; 16]), "what it holds is in the clear");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // Records that are longer than a part, or end with one.
    let long = [read(7, 200_000), read(8, 1), read(9, 64 * 1024), read(10, 300_000)];
    write(&file, &long);
    assert_eq!(records(dir.path())[1..], long);
}

#[test]
fn a_copy_of_somebody_else_or_with_any_change_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_, path) = copied(dir.path());
    let mut another_cluster = WHOSE;
    another_cluster[63] = 2;
    for (key, whose) in [([8; 32], WHOSE), (KEY, [2; 64]), (KEY, another_cluster)] {
        assert!(open(dir.path(), key, whose).read(NOW).is_err());
    }
    let whole = std::fs::read(&path).unwrap();
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        std::fs::write(&path, &changed).unwrap();
        assert!(open(dir.path(), KEY, WHOSE).read(NOW).is_err(), "octet {place}");
        std::fs::write(&path, &whole[..place]).unwrap();
        assert!(open(dir.path(), KEY, WHOSE).read(NOW).is_err(), "{place} octets of it");
    }
    std::fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
    assert!(open(dir.path(), KEY, WHOSE).read(NOW).is_err(), "something behind it");
    std::fs::write(&path, &whole).unwrap();
    assert!(open(dir.path(), KEY, WHOSE).read(NOW).unwrap().is_some());
}

#[test]
fn parts_that_are_left_out_or_change_places_are_missed() {
    let dir = tempfile::tempdir().unwrap();
    let (file, path) = copied(dir.path());
    write(&file, &[read(7, 200_000)]);
    let whole = std::fs::read(&path).unwrap();
    let (head, mut rest) = whole.split_at(29);
    let mut parts = Vec::new();
    while let Some((length, _)) = rest.split_first_chunk::<4>() {
        let (part, more) = rest.split_at(4 + u32::from_be_bytes(*length) as usize);
        parts.push(part);
        rest = more;
    }
    assert_eq!(parts.len(), 4);
    let orders: [&[usize]; 5] = [&[0, 1, 2], &[0, 1, 3], &[1, 0, 2, 3], &[3], &[0, 1, 1, 2, 3]];
    for order in orders {
        let other = order.iter().flat_map(|place| parts[*place]).copied();
        std::fs::write(&path, head.iter().copied().chain(other).collect::<Vec<_>>()).unwrap();
        assert!(open(dir.path(), KEY, WHOSE).read(NOW).is_err(), "{order:?}");
    }
    std::fs::write(&path, &whole).unwrap();
    assert!(open(dir.path(), KEY, WHOSE).read(NOW).unwrap().is_some());
}

#[test]
fn an_older_copy_is_refused_and_a_later_process_goes_on_counting() {
    let dir = tempfile::tempdir().unwrap();
    let (file, path) = copied(dir.path());
    let first = std::fs::read(&path).unwrap();
    write(&file, &three());
    let second = std::fs::read(&path).unwrap();
    std::fs::write(&path, &first).unwrap();
    assert!(why_not(dir.path()).contains("older"), "the first one");
    std::fs::write(&path, &second).unwrap();
    let later = open(dir.path(), KEY, WHOSE);
    assert!(later.read(NOW).unwrap().is_some());
    write(&later, &three());
    std::fs::write(&path, &second).unwrap();
    assert!(why_not(dir.path()).contains("older"), "the second one");
    // Without its number nobody knows how old it is.
    std::fs::remove_file(dir.path().join("read-copy/number")).unwrap();
    assert!(why_not(dir.path()).contains("number"));
}

#[test]
fn no_copy_is_used_while_it_is_earlier_than_when_it_was_made() {
    let dir = tempfile::tempdir().unwrap();
    let (file, _) = copied(dir.path());
    let at = |millis: i64| open(dir.path(), KEY, WHOSE).read(Timestamp(NOW.0 + millis));
    assert!(at(0).unwrap().is_some());
    assert!(at(-1).err().unwrap().to_string().contains("earlier"));
    file.note(Timestamp(NOW.0 + 60_000)).unwrap();
    assert!(at(59_999).is_err(), "time that the gateway saw go by");
    assert!(at(60_000).unwrap().is_some());
}

#[test]
fn what_ended_is_gone_also_while_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (file, path) = copied(dir.path());
    let writing = file.begin(known(), file.ended()).unwrap();
    file.forget();
    assert!(!path.exists(), "gone at once");
    assert!(!writing.finish(NOW).unwrap());
    assert!(!path.exists(), "and it stays gone");
    assert!(open(dir.path(), KEY, WHOSE).read(NOW).unwrap().is_none());
    // What ended between the look at things and the beginning counts, too.
    let looked = file.ended();
    file.forget();
    assert!(!file.begin(known(), looked).unwrap().finish(NOW).unwrap());
    write(&file, &three());
    assert!(path.exists());
    // What a killed process was writing is nothing.
    let mut killed = file.begin(known(), file.ended()).unwrap();
    assert!(killed.add(&read(1, 200_000)).unwrap());
    drop(killed);
    let later = open(dir.path(), KEY, WHOSE);
    assert_eq!(later.read(NOW).unwrap().unwrap().records.len(), 4);
    // What is set at a start does not end what an earlier process made; what ends does.
    later.forget_own();
    assert!(path.exists());
    file.forget_own();
    assert!(!path.exists());
    remove_left(dir.path());
    assert!(!dir.path().join("read-copy").exists());
}

#[test]
fn a_copy_is_as_old_as_the_clock_that_says_more_says() {
    let clocks = Clocks::new(Arc::new(ManualClock::new(NOW)));
    let at = |boot: Option<(String, u64)>, written: i64| {
        age_of(&Known { written: Timestamp(written), boot, ..known() }, clocks.now())
    };
    assert_eq!(at(None, NOW.0 - 5_000), Some(Duration::from_secs(5)));
    assert_eq!(at(None, NOW.0 + 1), None, "from the future");
    let Some((id, up)) = boot::now() else { panic!("no clock of the machine") };
    // By its own clock it was made half a second ago, while the machine ran for five.
    let earlier = up.saturating_sub(5_000);
    let age = at(Some((id, earlier)), NOW.0 - 500).unwrap();
    assert!(age >= Duration::from_millis(up - earlier), "{age:?}");
    let another = Some(("another start".to_owned(), 0));
    assert_eq!(at(another, NOW.0 - 500), Some(Duration::from_millis(500)));
}

/// What cannot be removed is not used either.
#[test]
fn a_copy_that_cannot_be_removed_counts_as_older_than_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let (file, path) = copied(dir.path());
    let bytes = std::fs::read(&path).unwrap();
    // A directory with something in it is not removed as a file is.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("x"), "").unwrap();
    file.forget();
    std::fs::remove_dir_all(&path).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    assert!(why_not(dir.path()).contains("older"));
    write(&file, &three());
    assert!(open(dir.path(), KEY, WHOSE).read(NOW).unwrap().is_some());
}
