//! What is kept, what is read back, what is not.

use keysherd_crypto::random::SystemRng;

use super::*;

fn entry(byte: u8) -> Entry {
    Entry {
        account: AccountId(Uid([byte; 16])),
        uid: Uid([2; 16]),
        version: 3,
        key: KeyRef { key_id: Uid([4; 16]), version: 5, customer_fragment: Some(Uid([6; 16])) },
        salt: [byte; 32],
        missing: ManagerSet::first(2),
        written: Timestamp(8),
        wrap: [9; size_of::<WrapBytes>()],
    }
}

#[test]
fn what_is_kept_is_there_after_a_restart_and_gone_after_removal() {
    let home = tempfile::tempdir().unwrap();
    let spool = Spool::open(home.path(), &SystemRng).unwrap();
    spool.keep(&entry(1)).unwrap();
    spool.keep(&entry(7)).unwrap();
    let kek = |spool: &Spool| spool.kek(entry(1).account, Uid([2; 16]), 3, &[1; 32]);
    let before = kek(&spool);
    drop(spool);
    let spool = Spool::open(home.path(), &SystemRng).unwrap();
    assert_eq!(spool.len(), 2);
    let mut found = spool.entries(10).unwrap();
    found.sort_by_key(|entry| entry.salt);
    assert_eq!(found, [entry(1), entry(7)]);
    assert_eq!(kek(&spool).kek.expose(), before.kek.expose());
    assert_ne!(spool.kek(entry(1).account, Uid([2; 16]), 4, &[1; 32]).com, before.com);
    spool.remove(&entry(1)).unwrap();
    assert_eq!(spool.entries(10).unwrap(), [entry(7)]);
    assert_eq!(spool.len(), 1);
}

#[test]
fn a_damaged_entry_is_not_read() {
    let bytes = entry(1).to_bytes();
    assert_eq!(Entry::parse(&bytes), Some(entry(1)));
    for length in 0..bytes.len() {
        assert_eq!(Entry::parse(&bytes[..length]), None);
    }
    assert_eq!(Entry::parse(&[bytes.clone(), vec![0]].concat()), None);
    let mut other_format = bytes.clone();
    other_format[0] = 2;
    assert_eq!(Entry::parse(&other_format), None);
    // A file under another one's name is not taken for it.
    let home = tempfile::tempdir().unwrap();
    let spool = Spool::open(home.path(), &SystemRng).unwrap();
    spool.keep(&entry(1)).unwrap();
    let mut names = files::list(&home.path().join(DIRECTORY)).unwrap();
    let name = names.pop().unwrap();
    files::write(&home.path().join(DIRECTORY), &name, &entry(7).to_bytes()).unwrap();
    assert!(spool.entries(10).unwrap().is_empty());
}
