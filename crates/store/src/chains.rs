//! The writer's side of the audit chains: gives each record its number and link, and signs one head
//! per account and batch.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keysherd_audit::{Failure, HashFn, Head, Link, NO_LINK, Prepared, SignedHead, chain};
use keysherd_base::{AccountId, Fault, Timestamp};

use crate::audit::{self, PUT_HEAD, SEQ_BITS, row_id};
use crate::config::HeadSigner;
use crate::query::{Arg, Tx, run};

/// Bytes of records gathered before they are inserted.
const GATHERED_BYTES_MAX: usize = 1 << 20;

/// The chains of all accounts. What a batch adds counts only once it is [`Self::accept`]ed.
pub(crate) struct Chains {
    hash: HashFn,
    signer: HeadSigner,
    committed: HashMap<AccountId, Chain>,
    touched: HashMap<AccountId, Chain>,
    last_chain: i64,
    /// Accounts with a chain whose head is gone, once it is known.
    headless: Option<Vec<AccountId>>,
    rows: Rows,
}

/// The chains as the writer and the jobs that it runs know them. Only its thread takes the lock.
pub(crate) struct SharedChains(Mutex<Chains>);

impl SharedChains {
    pub(crate) const fn new(chains: Chains) -> Self {
        Self(Mutex::new(chains))
    }

    /// What counts is what is on disk, so a poisoned lock is usable.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Chains> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of one chain.
#[derive(Clone, Copy)]
struct Chain {
    number: i64,
    seq: u64,
    link: Link,
}

/// Encoded records that wait to be inserted together.
#[derive(Default)]
struct Rows {
    bytes: Vec<u8>,
    rows: Vec<(i64, Link, Range<usize>)>,
    record: Vec<u8>,
}

impl Chains {
    pub(crate) fn new(hash: HashFn, signer: HeadSigner) -> Self {
        Self {
            hash,
            signer,
            committed: HashMap::new(),
            touched: HashMap::new(),
            last_chain: 0,
            headless: None,
            rows: Rows::default(),
        }
    }

    /// Appends one record; gives its number.
    pub(crate) fn append(
        &mut self,
        tx: &Tx,
        record: &Prepared,
        failure: Option<&Failure>,
        now: Timestamp,
    ) -> Result<u64, Fault> {
        let account = record.account();
        self.check(tx, account)?;
        let chain = match self.touched.entry(account) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let chain = match self.committed.get(&account) {
                    Some(chain) => *chain,
                    None => Chain::new(&mut self.last_chain, tx)?,
                };
                entry.insert(chain)
            }
        };
        let seq = chain.seq + 1;
        if seq >> SEQ_BITS != 0 {
            return Err(Fault::internal("an audit chain has reached its greatest length"));
        }
        record.finish(seq, now, failure, &mut self.rows.record);
        chain.link = chain::link(self.hash, &chain.link, seq, &self.rows.record);
        chain.seq = seq;
        self.rows.gather(row_id(chain.number, seq), chain.link);
        if self.rows.bytes.len() >= GATHERED_BYTES_MAX {
            self.rows.insert(tx)?;
        }
        Ok(seq)
    }

    /// Inserts what was gathered and signs the heads of the chains that grew.
    pub(crate) fn seal(&mut self, tx: &Tx, now: Timestamp) -> Result<(), Fault> {
        self.rows.insert(tx)?;
        for (account, chain) in &self.touched {
            let head = Head { account: *account, seq: chain.seq, link: chain.link, time: now };
            let signed = head.sign(|body| (self.signer)(body));
            let args = [
                account.into(),
                chain.number.into(),
                Arg::Int(i64::try_from(chain.seq).map_err(Fault::internal)?),
                now.0.into(),
                Arg::Blob(&chain.link),
                Arg::Blob(&signed.signature),
            ];
            run(tx, PUT_HEAD, &args)?;
        }
        Ok(())
    }

    /// The batch is durable.
    pub(crate) fn accept(&mut self) {
        self.committed.extend(self.touched.drain());
    }

    /// The batch was taken back.
    pub(crate) fn forget(&mut self) {
        self.touched.clear();
        self.rows.clear();
        self.last_chain = 0;
    }

    /// Others may have written: what is remembered of the store is read again.
    pub(crate) fn distrust(&mut self) {
        self.committed.clear();
        self.headless = None;
    }

    /// Makes sure that the account's chain may be continued. Unless this process wrote it last, it
    /// must end where its head says, and the head's signature must be the one this
    /// process would make (Ed25519 is deterministic, RFC 8032): signing a new head over a chain
    /// that somebody has changed would make the change genuine.
    pub(crate) fn check(&mut self, tx: &Tx, account: AccountId) -> Result<(), Fault> {
        if self.is_sound(tx, account)? { Ok(()) } else { Err(damaged(account)) }
    }

    /// Whether it is in order, as [`Self::check`] says.
    pub(crate) fn is_sound(&mut self, tx: &Tx, account: AccountId) -> Result<bool, Fault> {
        if self.touched.contains_key(&account) || self.committed.contains_key(&account) {
            return Ok(true);
        }
        let Some((SignedHead { head, signature }, number)) = audit::stored_head(tx, account)?
        else {
            return Ok(!self.headless(tx)?.contains(&account));
        };
        let genuine = (self.signer)(&head.signed_body()) == signature;
        if !genuine || !audit::ends_at(tx, number, &head)? {
            return Ok(false);
        }
        self.committed.insert(account, Chain { number, seq: head.seq, link: head.link });
        Ok(true)
    }

    /// Looking once is enough while nobody else writes.
    fn headless(&mut self, tx: &Tx) -> Result<&[AccountId], Fault> {
        if self.headless.is_none() {
            let found = audit::headless_chains(tx)?;
            if !found.is_empty() {
                tracing::error!(chains = found.len(), "audit chains have lost their signed head");
            }
            self.headless = Some(found.into_iter().filter_map(|chain| chain.account).collect());
        }
        Ok(self.headless.as_deref().unwrap_or_default())
    }
}

fn damaged(account: AccountId) -> Fault {
    Fault::unavailable(
        "an audit log does not match its signed head: somebody changed it, or the audit key is \
         another one; whoever runs the store must verify it before it goes on",
    )
    .with_private(format_args!("of account {account}"))
}

impl Chain {
    /// The chain of an account that has none yet.
    fn new(last_chain: &mut i64, tx: &Tx) -> Result<Self, Fault> {
        if *last_chain == 0 {
            *last_chain = audit::last_chain(tx)?;
        }
        *last_chain += 1;
        Ok(Self { number: *last_chain, seq: 0, link: NO_LINK })
    }
}

impl Rows {
    /// Takes over the encoded record.
    fn gather(&mut self, id: i64, link: Link) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&self.record);
        self.rows.push((id, link, start..self.bytes.len()));
    }

    fn insert(&mut self, tx: &Tx) -> Result<(), Fault> {
        // Rows of one chain side by side: fewer pages are touched.
        self.rows.sort_unstable_by_key(|(id, ..)| *id);
        let rows = self.rows.iter().map(|(id, link, range)| {
            let record = self.bytes.get(range.clone()).unwrap_or_default();
            (*id, link, record)
        });
        tx.raw().append_records(rows)?;
        self.clear();
        Ok(())
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
    }
}
