//! Audit chains: their records and signed heads. The writer appends to them; nothing changes them.

use keysherd_audit::{
    BadRecord, ChainVerifier, Finding, HashFn, Head, Link, Record, SignedHead, Verified,
};
use keysherd_base::{AccountId, Fault, Timestamp, Uid};

use crate::query::{Arg, Query, Reader, Row, all, first};

pub(crate) const PUT_HEAD: &str = "INSERT INTO audit_heads \
    (account, chain, seq, time, link, signature) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
    ON CONFLICT (account) DO UPDATE SET seq = excluded.seq, time = excluded.time, \
    link = excluded.link, signature = excluded.signature";
const LAST_CHAIN: &str = "SELECT COALESCE(MAX(chain), 0) FROM audit_heads";
const LAST_ROW: &str = "SELECT COALESCE(MAX(id), 0) FROM audit";
const NEXT_ROW: &str = "SELECT id, record FROM audit WHERE id >= ?1 ORDER BY id LIMIT 1";
const ONE_RECORD: &str = "SELECT id, link, record FROM audit WHERE id = ?1";
const RECORDS_DOWN: &str = "SELECT id, link, record FROM audit WHERE id <= ?1 AND id > ?2 \
                            ORDER BY id DESC LIMIT ?3";
const LINK: &str = "SELECT link FROM audit WHERE id = ?1";
const CHAINS: &str = "SELECT account, chain, seq FROM audit_heads ORDER BY chain";
const NEWEST_ROW: &str = "SELECT id, link FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT 1";
const HAS_HEAD: &str = "SELECT 1 FROM audit_heads WHERE chain = ?1";
const HEAD: &str = "SELECT account, seq, time, link, signature, chain FROM audit_heads \
                    WHERE account = ?1";
const HEADS: &str = "SELECT account, seq, time, link, signature, chain FROM audit_heads \
                     ORDER BY account";
const RECORDS: &str = "SELECT id, link, record FROM audit WHERE id > ?1 AND id < ?2 \
                       ORDER BY id LIMIT ?3";

/// Bits of a row's id that number the record within its chain: a million million records each.
pub(crate) const SEQ_BITS: u32 = 40;

/// Records read at a time while a chain is verified.
pub(crate) const VERIFY_PAGE_LEN: usize = 1_000;

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its number in the account's chain.
    pub seq: u64,
    /// Its link.
    pub link: Link,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl StoredRecord {
    /// The record itself.
    ///
    /// # Errors
    /// [`BadRecord`] when the bytes were altered.
    pub fn parse(&self) -> Result<Record, BadRecord> {
        Record::parse(&self.bytes)
    }
}

/// The signed head of an account's chain; `None` when nothing has been recorded yet.
///
/// # Errors
/// Only when the store is broken.
pub fn head(q: &dyn Query, account: AccountId) -> Result<Option<SignedHead>, Fault> {
    Ok(stored_head(q, account)?.map(|(head, _)| head))
}

/// The signed heads of all chains, by account.
///
/// # Errors
/// Only when the store is broken.
pub fn heads(q: &dyn Query) -> Result<Vec<SignedHead>, Fault> {
    all(q, HEADS, &[], |row| head_of(row).map(|(head, _)| head))
}

/// At most `limit` records of an account after the number `after`, in order.
///
/// # Errors
/// Only when the store is broken.
pub fn records(
    q: &dyn Query,
    account: AccountId,
    after: u64,
    limit: usize,
) -> Result<Vec<StoredRecord>, Fault> {
    match stored_head(q, account)? {
        Some((_, chain)) => records_of_chain(q, chain, after, limit),
        None => Ok(Vec::new()),
    }
}

/// Reads the whole chain of an account and compares it with its signed head. `verify` checks a
/// signature over a body under [`keysherd_audit::HEAD_LABEL`].
///
/// # Errors
/// [`Fault`] when the store is broken; what is wrong with the chain is a [`Finding`] inside.
pub fn verify(
    q: &dyn Query,
    account: AccountId,
    hash: HashFn,
    verify: impl FnOnce(&[u8], &[u8; 64]) -> bool,
) -> Result<Result<Verified, Finding>, Fault> {
    let outcome = verify_chain(q, account, hash, verify)?;
    not_headless(q, account, outcome)
}

/// As [`verify`], without looking for a chain that was put aside: that looks at all chains, which
/// whoever verifies all of them does once.
pub(crate) fn verify_chain(
    q: &dyn Query,
    account: AccountId,
    hash: HashFn,
    verify: impl FnOnce(&[u8], &[u8; 64]) -> bool,
) -> Result<Result<Verified, Finding>, Fault> {
    let mut verifier = ChainVerifier::new(account, hash);
    let mut after = 0;
    loop {
        let page = read_page(q, account, after, VERIFY_PAGE_LEN)?;
        after = page.feed(&mut verifier).unwrap_or(after);
        if page.is_last {
            return Ok(verifier.finish(page.head.as_ref(), verify));
        }
    }
}

/// As [`verify`], each page in a snapshot of its own: a long chain does not keep a running server's
/// log from being checkpointed.
pub(crate) fn verify_by_page(
    reader: &Reader,
    account: AccountId,
    hash: HashFn,
    verify: impl FnOnce(&[u8], &[u8; 64]) -> bool,
) -> Result<Result<Verified, Finding>, Fault> {
    let outcome = verify_chain_by_page(reader, account, hash, verify)?;
    not_headless(reader, account, outcome)
}

/// As [`verify_chain`], each page in a snapshot of its own.
pub(crate) fn verify_chain_by_page(
    reader: &Reader,
    account: AccountId,
    hash: HashFn,
    verify: impl FnOnce(&[u8], &[u8; 64]) -> bool,
) -> Result<Result<Verified, Finding>, Fault> {
    let mut verifier = ChainVerifier::new(account, hash);
    let mut after = 0;
    loop {
        reader.begin_snapshot()?;
        let page = read_page(reader, account, after, VERIFY_PAGE_LEN);
        reader.end_snapshot()?;
        let page = page?;
        after = page.feed(&mut verifier).unwrap_or(after);
        if page.is_last {
            return Ok(verifier.finish(page.head.as_ref(), verify));
        }
    }
}

/// What was found of a chain, unless the account has another one that was put aside.
fn not_headless(
    q: &dyn Query,
    account: AccountId,
    outcome: Result<Verified, Finding>,
) -> Result<Result<Verified, Finding>, Fault> {
    if outcome.is_ok() && headless_chain(q, account)?.is_some() {
        return Ok(Err(Finding::HeadAbsent));
    }
    Ok(outcome)
}

/// Some records of a chain, and its head as of the same moment.
pub(crate) struct ChainPage {
    records: Vec<StoredRecord>,
    head: Option<SignedHead>,
    /// Whether the chain had no more records at that moment.
    pub(crate) is_last: bool,
}

impl ChainPage {
    /// Hands the records to `verifier`; gives the number of the last one.
    pub(crate) fn feed(&self, verifier: &mut ChainVerifier) -> Option<u64> {
        for record in &self.records {
            verifier.push(record.seq, &record.bytes, &record.link);
        }
        self.records.last().map(|record| record.seq)
    }
}

/// The records after the number `after`. Chains only grow, so one can be read page by page, each
/// in a snapshot of its own, as long as the head is taken from the last page's.
pub(crate) fn read_page(
    q: &dyn Query,
    account: AccountId,
    after: u64,
    limit: usize,
) -> Result<ChainPage, Fault> {
    let (head, chain) = match stored_head(q, account)? {
        Some((head, chain)) => (Some(head), Some(chain)),
        None => (None, headless_chain(q, account)?),
    };
    let records = match chain {
        Some(chain) => records_of_chain(q, chain, after, limit)?,
        None => Vec::new(),
    };
    let is_last = records.len() < limit;
    Ok(ChainPage { records, head, is_last })
}

/// The signed head of an account with the number of its chain.
pub(crate) fn stored_head(
    q: &dyn Query,
    account: AccountId,
) -> Result<Option<(SignedHead, i64)>, Fault> {
    first(q, HEAD, &[(&account).into()], head_of)
}

/// Whether the newest record of the chain is the one that `head` knows.
pub(crate) fn ends_at(q: &dyn Query, chain: i64, head: &Head) -> Result<bool, Fault> {
    let newest = first(q, NEWEST_ROW, &[row_id(chain + 1, 0).into()], |row| {
        Ok((row.int(0)?, row.array::<32>(1)?))
    })?;
    Ok(newest == Some((row_id(chain, head.seq), head.link)))
}

/// The greatest number of a chain that was ever used, even if its head is gone.
pub(crate) fn last_chain(q: &dyn Query) -> Result<i64, Fault> {
    let by_head = first(q, LAST_CHAIN, &[], |row| row.int(0))?.unwrap_or(0);
    let by_row = first(q, LAST_ROW, &[], |row| row.int(0))?.unwrap_or(0);
    Ok(by_head.max(by_row >> SEQ_BITS))
}

/// A chain without a head: somebody removed the head, so that an account would seem to have no
/// records.
pub(crate) struct HeadlessChain {
    chain: i64,
    /// Whose it is; `None` when its first record cannot be read either: then it may be anybody's.
    pub(crate) account: Option<AccountId>,
}

/// All chains without a head: none in a store that nobody tampered with.
pub(crate) fn headless_chains(q: &dyn Query) -> Result<Vec<HeadlessChain>, Fault> {
    let mut found = Vec::new();
    let mut from = 0;
    loop {
        let row = first(q, NEXT_ROW, &[Arg::Int(from)], |row| {
            Ok((row.int(0)? >> SEQ_BITS, row.blob(1)?.to_vec()))
        })?;
        let Some((chain, bytes)) = row else { return Ok(found) };
        if first(q, HAS_HEAD, &[chain.into()], |_| Ok(()))?.is_none() {
            let account = Record::parse(&bytes).ok().map(|record| record.draft.account);
            found.push(HeadlessChain { chain, account });
        }
        from = row_id(chain + 1, 0);
    }
}

fn headless_chain(q: &dyn Query, account: AccountId) -> Result<Option<i64>, Fault> {
    let may_be_its = |found: &HeadlessChain| found.account.is_none_or(|owner| owner == account);
    Ok(headless_chains(q)?.into_iter().find(may_be_its).map(|found| found.chain))
}

/// The id of a record's row.
pub(crate) fn row_id(chain: i64, seq: u64) -> i64 {
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    (chain << SEQ_BITS).saturating_add(seq)
}

/// As [`records`], of the chain with this number.
pub(crate) fn records_of_chain(
    q: &dyn Query,
    chain: i64,
    after: u64,
    limit: usize,
) -> Result<Vec<StoredRecord>, Fault> {
    let args = [row_id(chain, after).into(), row_id(chain + 1, 0).into(), limit.into()];
    all(q, RECORDS, &args, record_of)
}

/// At most `limit` records from the number `at` down, without `floor` and what is before it.
pub(crate) fn records_down(
    q: &dyn Query,
    chain: i64,
    (floor, at): (u64, u64),
    limit: usize,
) -> Result<Vec<StoredRecord>, Fault> {
    let args = [row_id(chain, at).into(), row_id(chain, floor).into(), limit.into()];
    all(q, RECORDS_DOWN, &args, record_of)
}

/// One record of a chain.
pub(crate) fn record_at(
    q: &dyn Query,
    chain: i64,
    seq: u64,
) -> Result<Option<StoredRecord>, Fault> {
    first(q, ONE_RECORD, &[row_id(chain, seq).into()], record_of)
}

/// The link of the record in a row, if there is one.
pub(crate) fn link_at(q: &dyn Query, row: i64) -> Result<Option<Link>, Fault> {
    first(q, LINK, &[row.into()], |row| Ok(row.array(0).unwrap_or_default()))
}

/// All chains: account, number, newest record.
pub(crate) fn chains(q: &dyn Query) -> Result<Vec<(AccountId, i64, u64)>, Fault> {
    all(q, CHAINS, &[], |row| Ok((AccountId(Uid(row.array(0)?)), row.int(1)?, row.number(2)?)))
}

fn record_of(row: &Row<'_>) -> Result<StoredRecord, Fault> {
    Ok(StoredRecord {
        seq: row.number::<u64>(0)? & ((1 << SEQ_BITS) - 1),
        // A field of another type or length was altered: the verifier names the record.
        link: row.array(1).unwrap_or_default(),
        bytes: row.blob(2).map(<[u8]>::to_vec).unwrap_or_default(),
    })
}

fn head_of(row: &Row<'_>) -> Result<(SignedHead, i64), Fault> {
    let head = Head {
        account: AccountId(Uid(row.array(0)?)),
        seq: row.number(1)?,
        time: Timestamp(row.int(2)?),
        link: row.array(3)?,
    };
    Ok((SignedHead { head, signature: row.array(4)? }, row.int(5)?))
}
