//! Opened keys open in the one copy that they were sealed for, and with the fragment only.

use keysherd_crypto::envelope::PayloadKey;
use keysherd_fragments::leg_c::CustomerFragment;

use super::super::file::CopiedKeys;
use super::super::keys::{KEYS_MAX, KeySeal, OpenedKey};
use super::*;

const OF: KeyVersion =
    KeyVersion { account: AccountId(Uid([3; 16])), id: Uid([5; 16]), version: 2 };
const AGE: u64 = 5_000;

fn fragment(id: u8, value: u8) -> CustomerFragment {
    CustomerFragment::new(Uid([id; 16]), &[value; 32]).unwrap()
}

fn key(number: u8) -> OpenedKey {
    let key = PayloadKey::from_slice(&[number; 96]).unwrap();
    OpenedKey { identity: [number; 32], key, age_millis: AGE }
}

fn sealed(fragment: &CustomerFragment, bound: &[u8; 32], keys: &[u8]) -> Vec<u8> {
    let keys = keys.iter().copied().map(key);
    KeySeal::new(fragment, &OF, bound).seal(keys, &SystemRng::handle()).unwrap()
}

/// Writes a copy with three reads and one opened key.
fn write_with_key(file: &CopyFile, known: Known) {
    let mut writing = file.begin(known, file.ended()).unwrap();
    for read in three() {
        assert!(writing.add(&read).unwrap());
    }
    let sealed = sealed(&fragment(1, 9), &writing.bound(), &[0xa7]);
    let KeyVersion { account, id, version } = OF;
    let keys = CopiedKeys { account: account.0, key: id, version, sealed };
    assert!(writing.add(&Record::Keys(keys)).unwrap());
    assert!(writing.finish(NOW).unwrap());
}

/// How many keys open in the copy that is there.
fn opened(dir: &Path, fragment: &CustomerFragment) -> usize {
    let Read { records, bound } = open(dir, KEY, WHOSE).read(NOW).unwrap().unwrap();
    let seal = KeySeal::new(fragment, &OF, &bound);
    let keys = records.iter().filter_map(|record| match record {
        Record::Keys(keys) => seal.open(&keys.sealed),
        _ => None,
    });
    keys.flatten().count()
}

#[test]
fn keys_open_as_they_were_sealed() {
    let (fragment, bound) = (fragment(1, 9), [8; 32]);
    let many: Vec<u8> = (0..200).collect();
    for numbers in [&[][..], &[4], &[1, 2, 3], &many] {
        let sealed = sealed(&fragment, &bound, numbers);
        let opened = KeySeal::new(&fragment, &OF, &bound).open(&sealed).unwrap();
        let found: Vec<u8> = opened.iter().map(|one| one.identity[0]).collect();
        assert_eq!(found, numbers);
        for (one, number) in opened.iter().zip(numbers) {
            assert_eq!((one.key.as_bytes().expose(), one.age_millis), (&[*number; 96], AGE));
        }
    }
    let most = (0..KEYS_MAX + 1).map(|_| key(1));
    let sealed = KeySeal::new(&fragment, &OF, &bound).seal(most, &SystemRng::handle()).unwrap();
    assert_eq!(KeySeal::new(&fragment, &OF, &bound).open(&sealed).unwrap().len(), KEYS_MAX);
}

#[test]
fn keys_do_not_open_without_their_fragment_or_anywhere_else() {
    let (own, bound) = (fragment(1, 9), [8; 32]);
    let sealed = sealed(&own, &bound, &[1, 2]);
    let opens = |fragment: &CustomerFragment, of: &KeyVersion, bound: &[u8; 32], sealed: &[u8]| {
        KeySeal::new(fragment, of, bound).open(sealed).is_some()
    };
    assert!(opens(&own, &OF, &bound, &sealed));
    assert!(!opens(&fragment(1, 10), &OF, &bound, &sealed), "another value");
    assert!(!opens(&fragment(2, 9), &OF, &bound, &sealed), "another id");
    assert!(!opens(&own, &OF, &[7; 32], &sealed), "another copy");
    let others = [
        KeyVersion { version: 3, ..OF },
        KeyVersion { id: Uid([6; 16]), ..OF },
        KeyVersion { account: AccountId(Uid([4; 16])), ..OF },
    ];
    assert!(others.iter().all(|other| !opens(&own, other, &bound, &sealed)));
    for place in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[place] ^= 1;
        assert!(!opens(&own, &OF, &bound, &changed), "octet {place}");
        assert!(!opens(&own, &OF, &bound, &sealed[..place]), "{place} octets of it");
    }
}

/// Who has the operator's key, and not the fragment, finds no key in the copy.
#[test]
fn the_operators_key_alone_shows_no_key() {
    let dir = tempfile::tempdir().unwrap();
    write_with_key(&open(dir.path(), KEY, WHOSE), known());
    let shown = postcard::to_allocvec(&records(dir.path())).unwrap();
    assert!(!shown.windows(8).any(|window| window == [0xa7; 8]), "an opened key");
    assert_eq!(opened(dir.path(), &fragment(1, 9)), 1);
    assert_eq!(opened(dir.path(), &fragment(1, 10)), 0);
}

/// ... and makes no copy of another time, other policies or other reads in which one opens.
#[test]
fn the_operators_key_alone_makes_no_key_younger() {
    let dir = tempfile::tempdir().unwrap();
    let file = open(dir.path(), KEY, WHOSE);
    write_with_key(&file, known());
    let genuine = records(dir.path());
    let forge = |change: &dyn Fn(&mut Vec<Record>)| {
        let mut records = genuine.clone();
        change(&mut records);
        let mut records = records.into_iter();
        let Some(Record::Known(known)) = records.next() else { panic!("not the first") };
        let mut writing = file.begin(known, file.ended()).unwrap();
        records.for_each(|record| assert!(writing.add(&record).unwrap()));
        assert!(writing.finish(NOW).unwrap());
        opened(dir.path(), &fragment(1, 9))
    };
    let of_known = |record: &mut Record, change: &dyn Fn(&mut Known)| match record {
        Record::Known(known) => change(known),
        _ => panic!("not the first"),
    };
    let younger = |known: &mut Known| known.written = Timestamp(NOW.0 + 60_000);
    let longer = |known: &mut Known| known.policies[0].2.max_minutes = 1_440;
    let machine = |known: &mut Known| known.boot = None;
    let heard = |known: &mut Known| known.silent_millis = 0;
    for change in [&younger as &dyn Fn(&mut Known), &longer, &machine, &heard] {
        assert_eq!(forge(&|records| of_known(&mut records[0], change)), 0);
    }
    assert_eq!(forge(&|records| records.swap(1, 2)), 0, "other reads");
    assert_eq!(forge(&|records| drop(records.remove(1))), 0, "fewer reads");
    // Nor is the same taken into a later copy.
    assert_eq!(forge(&|_| ()), 0, "another number");
    write_with_key(&file, known());
    assert_eq!(opened(dir.path(), &fragment(1, 9)), 1);
}
