//! Every kind of tampering, at every place, is found and named.

use super::*;
use crate::chain::Head;
use crate::record::tests::sample_record;
use keysherd_base::{Timestamp, Uid};

type Stored = (u64, Vec<u8>, Link);

const ACCOUNT: AccountId = AccountId(Uid([1; 16]));

/// Not a cryptographic hash, but one whose output changes with every input byte: four FNV-1a lanes.
pub(crate) fn toy_hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut out = [0; 32];
    for (lane, chunk) in out.chunks_exact_mut(8).enumerate() {
        let mut state = 0xcbf2_9ce4_8422_2325_u64 ^ (lane as u64);
        for byte in parts.concat() {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        chunk.copy_from_slice(&state.to_be_bytes());
    }
    out
}

pub(crate) fn toy_sign(body: &[u8]) -> [u8; 64] {
    let half = toy_hash(&[b"key", body]);
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&half);
    signature[32..].copy_from_slice(&half);
    signature
}

fn chain_of(count: u64) -> (Vec<Stored>, SignedHead) {
    let records: Vec<_> = (1..=count).map(|seq| (seq, sample_record(seq).encode())).collect();
    linked(records)
}

fn linked(records: Vec<(u64, Vec<u8>)>) -> (Vec<Stored>, SignedHead) {
    let mut previous = NO_LINK;
    let mut stored = Vec::new();
    for (seq, bytes) in records {
        previous = link(toy_hash, &previous, seq, &bytes);
        stored.push((seq, bytes, previous));
    }
    let seq = stored.len() as u64;
    let head = Head { account: ACCOUNT, seq, link: previous, time: Timestamp(5) };
    (stored, head.sign(toy_sign))
}

fn check(stored: &[Stored], head: Option<&SignedHead>) -> Result<Verified, Finding> {
    let mut verifier = ChainVerifier::new(ACCOUNT, toy_hash);
    for (seq, bytes, link) in stored {
        verifier.push(*seq, bytes, link);
    }
    verifier.finish(head, |body, signature| toy_sign(body) == *signature)
}

#[test]
fn an_untouched_chain_is_in_order() {
    let (stored, head) = chain_of(9);
    assert_eq!(check(&stored, Some(&head)), Ok(Verified { records: 9, last_seq: 9 }));
    assert_eq!(check(&[], None), Ok(Verified { records: 0, last_seq: 0 }));

    let mut rest = ChainVerifier::after(ACCOUNT, toy_hash, 4, stored[3].2);
    for (seq, bytes, link) in &stored[4..] {
        rest.push(*seq, bytes, link);
    }
    let rest = rest.finish(Some(&head), |body, signature| toy_sign(body) == *signature);
    assert_eq!(rest, Ok(Verified { records: 5, last_seq: 9 }));
}

#[test]
fn any_altered_byte_of_any_record_or_link_is_named() {
    let (stored, head) = chain_of(3);
    for place in 0..stored.len() {
        let seq = stored[place].0;
        for at in 0..stored[place].1.len() {
            let mut changed = stored.clone();
            changed[place].1[at] ^= 1;
            let finding = check(&changed, Some(&head)).unwrap_err();
            let named = matches!(finding,
                Finding::Altered { seq: s } | Finding::Misplaced { seq: s } if s == seq);
            assert!(named, "byte {at} of record {seq}: {finding}");
        }
        for at in 0..32 {
            let mut changed = stored.clone();
            changed[place].2[at] ^= 0x80;
            assert_eq!(check(&changed, Some(&head)), Err(Finding::Altered { seq }));
        }
    }
}

#[test]
fn a_removed_record_is_named() {
    let (stored, head) = chain_of(6);
    for place in 0..5 {
        let mut changed = stored.clone();
        let seq = changed.remove(place).0;
        let expected = Finding::Missing { first: seq, last: seq };
        assert_eq!(check(&changed, Some(&head)), Err(expected));
    }
    let mut changed = stored;
    changed.drain(1..4);
    let finding = check(&changed, Some(&head)).unwrap_err();
    assert_eq!(finding.to_string(), "records 2 to 4 are missing");
}

#[test]
fn swapped_records_are_named() {
    let (stored, head) = chain_of(6);
    for place in 0..5 {
        let seq = stored[place].0;
        let mut rows = stored.clone();
        rows.swap(place, place + 1);
        assert_eq!(check(&rows, Some(&head)), Err(Finding::Reordered { seq }));

        let mut contents = stored.clone();
        let (left, right) = contents.split_at_mut(place + 1);
        std::mem::swap(&mut left[place].1, &mut right[0].1);
        std::mem::swap(&mut left[place].2, &mut right[0].2);
        assert_eq!(check(&contents, Some(&head)), Err(Finding::Misplaced { seq }));
    }
}

#[test]
fn a_cut_tail_is_named() {
    let (stored, head) = chain_of(6);
    for kept in 0..6 {
        let expected = Finding::Truncated { first: kept as u64 + 1, last: 6 };
        assert_eq!(check(&stored[..kept], Some(&head)), Err(expected));
    }
    assert_eq!(check(&stored, None), Err(Finding::HeadAbsent));
}

#[test]
fn an_inserted_or_repeated_record_is_named() {
    let (stored, head) = chain_of(4);
    for place in 0..4 {
        let mut repeated = stored.clone();
        repeated.insert(place + 1, stored[place].clone());
        let seq = stored[place].0;
        assert_eq!(check(&repeated, Some(&head)), Err(Finding::Duplicated { seq }));
    }
    let mut forged = sample_record(5);
    forged.draft.unique_id = "mallory".into();
    let bytes = forged.encode();
    let mut appended = stored.clone();
    let next = link(toy_hash, &stored[3].2, 5, &bytes);
    appended.push((5, bytes.clone(), next));
    assert_eq!(check(&appended, Some(&head)), Err(Finding::BeyondHead { first: 5 }));

    // Inserted in the middle, with everything after it renumbered and its links kept.
    let mut inserted = stored.clone();
    inserted.insert(1, (2, sample_record(2).encode(), stored[1].2));
    for (place, row) in inserted.iter_mut().enumerate() {
        row.0 = place as u64 + 1;
    }
    assert_eq!(check(&inserted, Some(&head)), Err(Finding::Misplaced { seq: 3 }));
}

#[test]
fn a_recomputed_chain_does_not_match_the_signed_head() {
    let (_, head) = chain_of(3);
    let mut records: Vec<_> = (1..=3).map(|seq| (seq, sample_record(seq).encode())).collect();
    let mut lie = sample_record(2);
    lie.status = 403;
    records[1].1 = lie.encode();
    let (forged, _) = linked(records);
    assert_eq!(check(&forged, Some(&head)), Err(Finding::Rewritten { head: 3 }));
}

#[test]
fn a_forged_or_foreign_head_is_refused() {
    let (stored, head) = chain_of(3);
    for at in 0..64 {
        let mut forged = head;
        forged.signature[at] ^= 1;
        assert_eq!(check(&stored, Some(&forged)), Err(Finding::HeadForged));
    }
    let foreign = Head { account: AccountId(Uid([7; 16])), ..head.head }.sign(toy_sign);
    assert_eq!(check(&stored, Some(&foreign)), Err(Finding::HeadForged));
}

#[test]
fn another_accounts_record_is_misplaced_even_with_matching_links() {
    let mut foreign = sample_record(1);
    foreign.draft.account = AccountId(Uid([7; 16]));
    let (stored, head) = linked(vec![(1, foreign.encode())]);
    assert_eq!(check(&stored, Some(&head)), Err(Finding::Misplaced { seq: 1 }));
}
