//! Checkpoints have one spelling, one signer, and lead to one another in one way.

use keysherd_base::Secret;

use super::*;

const MANAGER: Uid = Uid([5; 16]);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&Secret::new([seed; 32]))
}

#[test]
fn a_checkpoint_note_has_one_spelling() {
    let at = Checkpoint { size: 7, head: [3; 32] };
    let note = at.to_note(&MANAGER);
    let text = String::from_utf8(note.clone()).unwrap();
    assert!(text.starts_with("keysherd-fragments/05050505050505050505050505050505\n7\nAwMD"));
    assert_eq!(Checkpoint::from_note(&note), Some((MANAGER, at)));
    for bad in [text.replace("\n7\n", "\n07\n"), text.replace('\n', ""), format!("{text}\n")] {
        assert_eq!(Checkpoint::from_note(bad.as_bytes()), None, "{bad:?}");
    }
}

#[test]
fn a_signed_checkpoint_is_the_managers() {
    let at = Checkpoint { size: 7, head: [3; 32] };
    let note = at.sign(&MANAGER, &key(1));
    assert!(note.len() < crate::derive::CHECKPOINT_BYTES_MAX / 2, "witnesses need room");
    assert_eq!(Checkpoint::open_signed(&note, &key(1).public()), Some((MANAGER, at)));
    assert_eq!(Checkpoint::open_signed(&note, &key(2).public()), None);
    assert_eq!(Checkpoint::read_signed(&note), Some((MANAGER, at)));
    assert_eq!(Checkpoint::open_signed(&at.to_note(&MANAGER), &key(1).public()), None);
    let mut changed = note;
    changed[20] ^= 1;
    assert_eq!(Checkpoint::open_signed(&changed, &key(1).public()), None);
}

#[test]
fn only_the_entries_themselves_lead_on() {
    let entries: [&[u8]; 3] = [b"one", b"two", b"three"];
    let end = entries.iter().fold(Checkpoint::default(), |at, entry| at.after(entry));
    assert_eq!(end.size, 3);
    let hashes: Vec<u8> = entries.iter().flat_map(|entry| sha256(&[entry])).collect();
    let begin = Checkpoint::default();
    assert!(follows(&begin, &hashes, &end));
    assert!(follows(&end, &[], &end));
    let first = begin.after(b"one");
    assert!(follows(&first, &hashes[32..], &end));
    for wrong in [&hashes[..64], &hashes[32..], &hashes[..95], &[]] {
        assert!(!follows(&begin, wrong, &end));
    }
    let mut swapped = hashes.clone();
    swapped.rotate_left(32);
    assert!(!follows(&begin, &swapped, &end));
    let other = Checkpoint { size: 0, head: [1; 32] };
    assert!(!follows(&other, &hashes, &end));
}
