//! Reads that gateways answered by themselves, as they come into the audit log.
//!
//! A gateway cannot invent who read what: each read names a receipt, which control alone can make
//! and made for this caller, these items and one gateway. What a gateway that lies can do is to
//! repeat what was granted through it (it has seen those values anyway), with times of its choice,
//! or to leave reads out. So each record says that it comes from a journal, and of which gateway.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use keysherd_audit::Draft;
use keysherd_base::{AccountId, Fault, FaultKind, Timestamp, Uid};
use keysherd_plane::cache::{
    JournalPut, JournalPutReply, JournaledRead, READS_PER_PUT_MAX, RECEIPT_BYTES_MAX,
};
use keysherd_store::{Tx, gateway_journals as stored};

use super::receipt::Proof;
use crate::control::Control;
use crate::gateways::GatewayIdentity;

/// The part of the system that records name.
const COMPONENT: &str = "gateway/cache";
/// How far beyond its grant a read may seem to be without a remark, in seconds: clocks differ.
const SLACK_SECONDS: i64 = 5;
/// Journals that brought nothing for so long are forgotten: 400 days, in seconds. Gateways say when
/// one is finished, unless they end in that moment.
pub(crate) const FORGOTTEN_AFTER_SECONDS: i64 = 400 * 86_400;
/// Journals of one gateway that are not finished, at most. An honest one has as many as it has
/// files: a hundred hold all that control may lag behind.
pub(crate) const JOURNALS_PER_GATEWAY_MAX: u64 = 10_000;

/// Appends what is new of a journal to the audit log.
///
/// # Errors
/// [`Fault::bad_request`] for more than fits or nothing at all, [`Fault::forbidden`] for another
/// gateway's journal, [`Fault::conflict`] when reads before the first one are missing,
/// [`FaultKind::RateLimited`] for too many journals; those of the store. Nothing is recorded then.
pub(crate) async fn put(
    control: &Control,
    gateway: &GatewayIdentity,
    message: JournalPut,
) -> Result<JournalPutReply, Fault> {
    let JournalPut { journal, first, sent, receipts, reads, finished } = message;
    let bytes: usize = receipts.iter().map(|receipt| receipt.bytes.len()).sum();
    if reads.len() > READS_PER_PUT_MAX
        || receipts.len() > reads.len()
        || bytes > RECEIPT_BYTES_MAX
        || first == 0
        || finished != reads.is_empty()
    {
        return Err(Fault::bad_request(format!(
            "not a part of a journal: 1 to {READS_PER_PUT_MAX} reads, numbered from 1, each with \
             one receipt, or none and its end"
        )));
    }
    let now = control.now();
    let proofs: Vec<_> =
        receipts.iter().map(|receipt| control.open_proof(&receipt.bytes).map(Arc::new)).collect();
    let drafts = reads.iter().zip(first..).map(|(read, number)| {
        let proof = usize::try_from(read.receipt).ok().and_then(|at| proofs.get(at)?.clone());
        let place = format!("{journal}:{number}");
        Some(draft(&*proof?, gateway, read, place, now_at(now, sent, read.at)))
    });
    let drafts: Vec<Option<Draft>> = drafts.collect();
    let unproven = drafts.iter().filter(|draft| draft.is_none()).count();
    if unproven > 0 {
        let gateway = hex::encode(gateway.spki_sha256);
        tracing::error!(gateway, unproven, "a gateway reports reads that were not granted by us");
    }
    let spki = gateway.spki_sha256;
    let job = move |tx: &Tx| match finished {
        true => finish(tx, journal, &spki),
        false => append(tx, journal, (&spki, now), first, &drafts),
    };
    control.store.commit(Vec::new(), job).await
}

/// What is known of a journal, if it is this gateway's.
fn own(tx: &Tx, journal: Uid, gateway: &[u8; 32]) -> Result<Option<stored::Journal>, Fault> {
    let known = stored::get(tx, journal)?;
    if known.is_some_and(|known| known.gateway != *gateway) {
        return Err(Fault::forbidden("this journal is another gateway's"));
    }
    Ok(known)
}

fn finish(tx: &Tx, journal: Uid, gateway: &[u8; 32]) -> Result<JournalPutReply, Fault> {
    // One that is not known was finished before, and the answer was lost.
    let taken = own(tx, journal, gateway)?.map_or(0, |known| known.taken);
    let lost = stored::finish(tx, journal)?;
    if lost > 0 {
        tracing::error!(%journal, lost, "a gateway gives up reads that were set aside");
    }
    Ok(JournalPutReply { taken, aside: Vec::new(), unproven: 0 })
}

fn append(
    tx: &Tx,
    journal: Uid,
    (gateway, now): (&[u8; 32], Timestamp),
    first: u64,
    drafts: &[Option<Draft>],
) -> Result<JournalPutReply, Fault> {
    let known = own(tx, journal, gateway)?;
    if known.is_none() && stored::count_of(tx, gateway)? >= JOURNALS_PER_GATEWAY_MAX {
        let text = format!(
            "this gateway has {JOURNALS_PER_GATEWAY_MAX} journals that it did not finish; they \
             are forgotten after 400 days"
        );
        return Err(Fault::new(FaultKind::RateLimited, text));
    }
    let before = known.map_or(0, |known| known.taken);
    if first > before + 1 {
        return Err(Fault::conflict(format!(
            "the journal is recorded up to number {before}; what follows that is missing"
        )));
    }
    let last = first.saturating_add(drafts.len() as u64 - 1);
    let gaps: BTreeSet<u64> = match first <= before {
        true => stored::gaps(tx, journal, first, last)?.into_iter().collect(),
        false => BTreeSet::new(),
    };
    let (mut aside, mut unproven) = (Vec::new(), 0);
    let mut sound = HashMap::new();
    for (draft, number) in drafts.iter().zip(first..) {
        let is_new = number > before;
        if !is_new && !gaps.contains(&number) {
            continue;
        }
        let Some(draft) = draft else {
            unproven += u32::from(is_new);
            continue;
        };
        // One account's damaged chain must not keep the reads of all others out of their logs.
        if !can_record(tx, &mut sound, draft.account)? {
            aside.push(number);
            if is_new {
                stored::put_gap(tx, journal, number)?;
            }
            continue;
        }
        tx.record_if_done(draft);
        if !is_new {
            stored::fill_gap(tx, journal, number)?;
        }
    }
    if !aside.is_empty() {
        let (gateway, reads) = (hex::encode(gateway), aside.len());
        tracing::error!(gateway, reads, "reads of an account with a damaged log are set aside");
    }
    let taken = before.max(last);
    stored::put(tx, journal, gateway, taken, now)?;
    Ok(JournalPutReply { taken, aside, unproven })
}

fn can_record(
    tx: &Tx,
    known: &mut HashMap<AccountId, bool>,
    account: AccountId,
) -> Result<bool, Fault> {
    if let Some(known) = known.get(&account) {
        return Ok(*known);
    }
    let can = tx.can_record(account)?;
    known.insert(account, can);
    Ok(can)
}

/// When a read was, by control's clock: as long ago as the gateway's clock says, and not later than
/// now.
fn now_at(now: Timestamp, sent: Timestamp, at: Timestamp) -> Timestamp {
    Timestamp(now.0.saturating_sub(sent.millis_since(at).max(0)))
}

fn draft(
    proof: &Proof,
    by: &GatewayIdentity,
    read: &JournaledRead,
    place: String,
    at: Timestamp,
) -> Draft {
    let mut draft = proof.draft.clone();
    draft.request = read.request;
    draft.received = at;
    draft.component = COMPONENT.into();
    draft = draft.with("gateway", hex::encode(proof.gateway)).with("journal", place);
    if proof.gateway != by.spki_sha256 {
        draft = draft.with("brought_by", hex::encode(by.spki_sha256));
    }
    if read.offline {
        draft = draft.with("offline", "true");
    }
    let early = at < proof.from.plus_seconds(-SLACK_SECONDS);
    if early || at > proof.until.plus_seconds(SLACK_SECONDS) {
        draft = draft.with("outside_of_grant", "true");
    }
    draft
}
