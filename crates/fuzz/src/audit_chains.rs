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
/// verifies, and no other. (But the empty one without a head, which is that of a new account.)
pub fn audit_chains(data: &[u8]) {
    let mut input = Input::new(data);
    let chain = chain(&mut input);
    let head = head(&chain);
    let genuine = |body: &[u8], signature: &[u8; 64]| {
        *signature == SIGNATURE && *body == head.head.signed_body()
    };
    assert!(verifies(&chain, Some(&head), &genuine), "an untouched chain");
    let mut changed = chain.clone();
    let mut changed_head = Some(head);
    for _ in 0..1 + input.below(3) {
        change(&mut input, &mut changed, &mut changed_head);
    }
    let untouched = changed == chain && changed_head == Some(head);
    let new = changed.is_empty() && changed_head.is_none();
    let verified = verifies(&changed, changed_head.as_ref(), &genuine);
    assert_eq!(verified, untouched || new, "{changed:?} {changed_head:?}");
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

fn verifies(
    chain: &[Stored],
    head: Option<&SignedHead>,
    genuine: &dyn Fn(&[u8], &[u8; 64]) -> bool,
) -> bool {
    let mut verifier = ChainVerifier::new(ACCOUNT, sha256);
    for (seq, bytes, link) in chain {
        verifier.push(*seq, bytes, link);
    }
    let verified = verifier.finish(head, genuine);
    if let Ok(verified) = verified {
        assert_eq!(verified.records, chain.len() as u64);
    }
    verified.is_ok()
}

fn change(input: &mut Input<'_>, chain: &mut Vec<Stored>, head: &mut Option<SignedHead>) {
    let (one, other) = (input.below(chain.len().max(1)), input.below(chain.len().max(1)));
    let (bit, place) = (input.byte() % 8, input.below(usize::from(u16::MAX)));
    match (input.byte() % 10, chain.get_mut(one)) {
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
        (7, _) => *head = None,
        _ => {
            let Some(signed) = head else { return };
            match place % 4 {
                0 => signed.head.seq = signed.head.seq.wrapping_add(1 << bit),
                1 => signed.head.link = chain.get(one).map_or(NO_LINK, |(_, _, link)| *link),
                2 => signed.head.time = Timestamp(input.byte().into()),
                _ => signed.signature[place % 64] ^= 1 << bit,
            }
        }
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
