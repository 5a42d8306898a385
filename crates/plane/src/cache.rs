//! What lets a gateway answer reads by itself for a moment: how a decision is kept, how the gateway
//! hears that it ended, and how it tells control afterwards what it answered.
//!
//! A kept decision hangs on *ties*: what it was made from, such as the item at a path, a token, or
//! who is who in the account. Gateways compare ties and cannot read them. Before control answers a
//! change, the ties that it ends are listed; each gateway holds one question open that is answered
//! with them. A gateway that has not heard of control a moment ago uses no kept decision.

use std::sync::Arc;

use keysherd_base::{AccessId, RequestId, Timestamp, Uid};
use serde::{Deserialize, Serialize};

/// Ties of one answer to [`ChangesWait`], at most; beyond that everything has ended.
pub const TIES_PER_ANSWER_MAX: usize = 4_096;
/// Reads of one [`JournalPut`], at most.
pub const READS_PER_PUT_MAX: usize = 512;
/// Bytes of the receipts of one [`JournalPut`], at most.
pub const RECEIPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a kept decision hangs on; a hash.
pub type Tie = [u8; 16];

/// How long a granted read may be repeated without asking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// Which process of control decided. Its numbers mean nothing beside those of another one.
    pub source: Uid,
    /// The number of its last change before the decision.
    pub number: u64,
    /// Milliseconds that the decision is good for by time alone: until the token, a rule or the
    /// auth method ends. Counted from when the gateway asked, whatever its clock says.
    pub good_millis: u64,
    /// The caller's auth method.
    pub access_id: AccessId,
    /// What it hangs on.
    pub ties: Vec<Tie>,
    /// What proves, to control alone, that it granted this to this caller through this gateway.
    pub receipt: Receipt,
}

/// A sealed proof of a grant, readable for control only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The sealed bytes.
    #[serde(with = "crate::octets")]
    pub bytes: Arc<[u8]>,
}

/// A gateway asks what has ended since it heard last. Nothing is recorded. Answered at once when
/// something has, otherwise at the end of the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangesWait {
    /// The process of control that it heard last; zero: none.
    pub source: Uid,
    /// The last number that it heard.
    pub known: u64,
    /// How long to wait, at most; control may wait for less.
    pub wait_millis: u32,
}

/// What has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangesReply {
    /// The process of control that answers.
    pub source: Uid,
    /// The number of the last change at the time of the answer.
    pub newest: u64,
    /// How long the question was held, in milliseconds, rounded down: the answer tells how things
    /// were no earlier than so long after the question was sent.
    pub held_millis: u32,
    /// The ties that have ended; `None`: all of them, because that is not known any more.
    pub ended: Option<Vec<Tie>>,
}

/// A read that a gateway answered by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournaledRead {
    /// Place of the grant's receipt in the message.
    pub receipt: u32,
    /// When it was asked, by the gateway's clock.
    pub at: Timestamp,
    /// Identifies the request.
    pub request: RequestId,
    /// Whether control was not reached, and a policy allowed it.
    pub offline: bool,
}

/// A gateway brings reads that it answered by itself, to be appended to the audit log. Each journal
/// has its reads numbered from 1; what was recorded before is not recorded again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalPut {
    /// The journal.
    pub journal: Uid,
    /// The number of the first read.
    pub first: u64,
    /// The time, by the gateway's clock: it shows how long ago the reads were.
    pub sent: Timestamp,
    /// The receipts of the reads, at most [`RECEIPT_BYTES_MAX`] together.
    pub receipts: Vec<Receipt>,
    /// The reads, at most [`READS_PER_PUT_MAX`].
    pub reads: Vec<JournaledRead>,
    /// The journal is never brought again, and may be forgotten. There are no reads then, and
    /// always otherwise.
    pub finished: bool,
}

/// What is in the audit log by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalPutReply {
    /// The number of the journal's last read that was taken, durably: recorded, set aside, or
    /// unproven.
    pub taken: u64,
    /// The numbers of reads in the message that are set aside: the audit chain of their account is
    /// damaged. They have to be kept, and brought again once it is in order.
    pub aside: Vec<u64>,
    /// Of the reads that were new, those that are in no log, because control did not make their
    /// receipts: its keys are other ones than they were, or the gateway lies.
    pub unproven: u32,
}
