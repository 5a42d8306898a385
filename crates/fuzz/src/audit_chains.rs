//! The chain of audit records.

use keysherd_audit::chain::link;
use keysherd_audit::{ChainVerifier, Head, Link, NO_LINK, SignedHead};
use keysherd_base::{AccountId, Timestamp, Uid};
use keysherd_crypto::hash::sha256;

use crate::audit_records::record;
use crate::input::Input;

const ACCOUNT: AccountId = AccountId(Uid([9; 16]));
const SIGNATURE: [u8; 64] = [6; 64];

/// A stored record: number, bytes and link.
type Stored = (u64, Vec<u8>, Link);

/// Makes a chain of records and lets somebody who cannot sign change it: the untouched chain
/// verifies, and no other.
pub fn audit_chains(data: &[u8]) {
    let mut input = Input::new(data);
    let chain = chain(&mut input);
    let head = head(&chain);
    assert!(verifies(&chain, Some(&head)), "an untouched chain");
    let mut changed = chain.clone();
    let mut changed_head = Some(head);
    for _ in 0..1 + input.below(3) {
        change(&mut input, &mut changed, &mut changed_head);
    }
    let untouched = changed == chain && changed_head == Some(head);
    assert_eq!(verifies(&changed, changed_head.as_ref()), untouched, "{changed:?}");
}

fn chain(input: &mut Input<'_>) -> Vec<Stored> {
    let mut before = NO_LINK;
    let length = 1 + input.byte() % 5;
    (1..=u64::from(length))
        .map(|seq| {
            let bytes = record(input, seq).encode();
            before = link(sha256, &before, seq, &bytes);
            (seq, bytes, before)
        })
        .collect()
}

fn head(chain: &[Stored]) -> SignedHead {
    let (seq, _, link) = chain.last().expect("invariant: one record at least");
    let head = Head { account: ACCOUNT, seq: *seq, link: *link, time: Timestamp(5) };
    head.sign(|_| SIGNATURE)
}

fn verifies(chain: &[Stored], head: Option<&SignedHead>) -> bool {
    let mut verifier = ChainVerifier::new(ACCOUNT, sha256);
    for (seq, bytes, link) in chain {
        verifier.push(*seq, bytes, link);
    }
    // Only the head itself was signed; its place, link and time are what the signature covers.
    let verified = verifier.finish(head, |_, signature| *signature == SIGNATURE);
    if let Ok(verified) = verified {
        assert_eq!(verified.records, chain.len() as u64);
    }
    verified.is_ok()
}

fn change(input: &mut Input<'_>, chain: &mut Vec<Stored>, head: &mut Option<SignedHead>) {
    let (one, other) = (input.below(chain.len().max(1)), input.below(chain.len().max(1)));
    let (bit, place) = (input.byte() % 8, input.below(usize::from(u16::MAX)));
    match (input.byte() % 8, chain.get_mut(one)) {
        (0, Some(_)) => drop(chain.remove(one)),
        (1, Some(_)) => chain.swap(one, other),
        (2, Some(stored)) => {
            let again = stored.clone();
            chain.insert(other, again);
        }
        (3, Some((_, bytes, _))) => {
            let place = place % bytes.len();
            bytes[place] ^= 1 << bit;
        }
        (4, Some((_, _, link))) => link[place % 32] ^= 1 << bit,
        (5, Some((seq, _, _))) => *seq = seq.wrapping_add(input.number()),
        // Everything is computed anew, but nobody signs it.
        (6, Some((_, bytes, _))) => {
            let place = place % bytes.len();
            bytes[place] ^= 1 << bit;
            relink(chain);
        }
        _ => *head = None,
    }
}

fn relink(chain: &mut [Stored]) {
    let mut before = NO_LINK;
    for (seq, bytes, stored) in chain {
        before = link(sha256, &before, *seq, bytes);
        *stored = before;
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mixed: Vec<u8> = (0..600_u32).map(|at| (at * 37 % 251) as u8).collect();
    vec![vec![], vec![4; 500], mixed.clone(), mixed.into_iter().rev().collect()]
}
