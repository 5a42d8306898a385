//! Reads that gateways answered by themselves, as they come into the audit log.
//!
//! A gateway cannot invent who read what: each read names a receipt, which control alone can make
//! and made for this caller, these items and one gateway. What a gateway that lies can do is to
//! repeat what was granted through it (it has seen those values anyway), with times of its choice,
//! or to leave reads out. So each record says that it comes from a journal, and of which gateway.

use std::sync::Arc;

use keysherd_audit::Draft;
use keysherd_base::{Fault, Timestamp, Uid};
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
/// Journals that brought nothing for so long are forgotten: 400 days, in seconds.
const FORGOTTEN_AFTER_SECONDS: i64 = 400 * 86_400;

/// Appends what is new of a journal to the audit log.
///
/// # Errors
/// [`Fault::bad_request`] for more than fits, [`Fault::forbidden`] for another gateway's journal,
/// [`Fault::conflict`] when reads before the first one are missing; those of the store. Nothing is
/// recorded then.
pub(crate) async fn put(
    control: &Control,
    gateway: &GatewayIdentity,
    message: JournalPut,
) -> Result<JournalPutReply, Fault> {
    let JournalPut { journal, first, sent, receipts, reads } = message;
    let bytes: usize = receipts.iter().map(|receipt| receipt.bytes.len()).sum();
    if reads.len() > READS_PER_PUT_MAX
        || receipts.len() > reads.len()
        || bytes > RECEIPT_BYTES_MAX
        || first == 0
    {
        return Err(Fault::bad_request(format!(
            "not a part of a journal: at most {READS_PER_PUT_MAX} reads, numbered from 1, each \
             with one receipt"
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
    let job = move |tx: &Tx| append(tx, journal, (&spki, now), first, &drafts);
    control.store.commit(Vec::new(), job).await
}

fn append(
    tx: &Tx,
    journal: Uid,
    (gateway, now): (&[u8; 32], Timestamp),
    first: u64,
    drafts: &[Option<Draft>],
) -> Result<JournalPutReply, Fault> {
    let known = stored::get(tx, journal)?;
    if known.is_some_and(|known| known.gateway != *gateway) {
        return Err(Fault::forbidden("this journal is another gateway's"));
    }
    let before = known.map_or(0, |known| known.taken);
    if first > before + 1 {
        return Err(Fault::conflict(format!(
            "the journal is recorded up to number {before}; what follows that is missing"
        )));
    }
    let (mut taken, mut unproven) = (before, 0);
    for (draft, number) in drafts.iter().zip(first..) {
        if number > before {
            match draft {
                Some(draft) => tx.record_if_done(draft),
                None => unproven += 1,
            }
            taken = number;
        }
    }
    if known.is_none() {
        stored::forget(tx, now.plus_seconds(-FORGOTTEN_AFTER_SECONDS))?;
    }
    if taken > before || known.is_none() {
        stored::put(tx, journal, gateway, taken, now)?;
    }
    Ok(JournalPutReply { taken, unproven })
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
