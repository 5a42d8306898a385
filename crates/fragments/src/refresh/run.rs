//! The coordinator's side of a refresh: which messages go out next. It learns nothing secret and
//! decides nothing: each participant checks everything by itself.

use std::collections::BTreeMap;

use keysherd_base::SecretBytes;
use keysherd_crypto::sign::Signature;

use super::RefreshParams;
use crate::encoding::Signed;
use crate::epoch::SignedRecord;
use crate::manager_set::{ManagerIndex, ManagerSet};
use crate::messages::{PeerAnswer, PeerRequest, Prepared};
use crate::refusal::{Blame, Refusal};

/// What to do next.
pub enum RunStep {
    /// Send each of these messages, then offer what was answered, then step again.
    Send(Vec<(ManagerIndex, SecretBytes)>),
    /// The records are complete, and everyone who could be reached has them.
    Done(Vec<SignedRecord>),
    /// It came to nothing: everybody is at the epoch before, or will be told by the others.
    Failed(Blame),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    Begin,
    Exchange,
    Collect,
    Prepare,
    Commit,
}

/// A refresh as its coordinator sees it.
pub struct RefreshRun {
    params: RefreshParams,
    round: Round,
    sent: bool,
    signed: BTreeMap<ManagerIndex, Signed>,
    prepared: BTreeMap<ManagerIndex, Vec<Prepared>>,
    heard: ManagerSet,
    failure: Option<Blame>,
    records: Vec<SignedRecord>,
}

impl RefreshRun {
    /// A run that has not begun.
    pub const fn new(params: RefreshParams) -> Self {
        Self {
            params,
            round: Round::Begin,
            sent: false,
            signed: BTreeMap::new(),
            prepared: BTreeMap::new(),
            heard: ManagerSet::EMPTY,
            failure: None,
            records: Vec::new(),
        }
    }

    /// Takes the answer of a participant; `None` when none came.
    pub fn offer(&mut self, from: ManagerIndex, answer: Option<PeerAnswer>) {
        self.heard = self.heard.with(from);
        let failed = match (self.round, answer) {
            (Round::Begin | Round::Collect, Some(PeerAnswer::Statement(signed))) => {
                self.signed.insert(from, signed);
                None
            }
            (Round::Exchange, Some(PeerAnswer::Taken)) | (Round::Commit, _) => None,
            (Round::Prepare, Some(PeerAnswer::Prepared(prepared))) => {
                self.prepared.insert(from, prepared);
                None
            }
            (_, Some(PeerAnswer::Refused(refusal))) => Some(Blame::on(from, refusal)),
            (_, Some(_)) => Some(Blame::on(from, Refusal::AnswerMismatch)),
            (_, None) => Some(Blame::on(from, Refusal::NotEnoughManagers)),
        };
        self.failure = self.failure.or(failed);
    }

    /// What to do next: call it at the beginning, and when every message of a round was answered
    /// or lost.
    pub fn step(&mut self) -> RunStep {
        if let Some(failure) = self.failure {
            return RunStep::Failed(failure);
        }
        if !self.sent {
            return self.send();
        }
        if !self.params.participants.is_within(self.heard) {
            return RunStep::Failed(Refusal::NotAllParticipants.into());
        }
        self.heard = ManagerSet::EMPTY;
        self.round = match self.round {
            Round::Begin => Round::Exchange,
            Round::Exchange => Round::Collect,
            Round::Collect => Round::Prepare,
            Round::Prepare => match self.complete() {
                Ok(records) => {
                    self.records = records;
                    Round::Commit
                }
                Err(blame) => return RunStep::Failed(blame),
            },
            Round::Commit => return RunStep::Done(std::mem::take(&mut self.records)),
        };
        self.send()
    }

    fn send(&mut self) -> RunStep {
        self.sent = true;
        let session = self.params.session;
        let message = match self.round {
            Round::Begin => PeerRequest::RefreshBegin(self.params.clone()),
            Round::Exchange => {
                let statements = std::mem::take(&mut self.signed).into_values().collect();
                PeerRequest::RefreshExchange { session, statements }
            }
            Round::Collect => PeerRequest::RefreshCollect { session },
            Round::Prepare => {
                let collected = std::mem::take(&mut self.signed).into_values().collect();
                PeerRequest::RefreshPrepare { session, collected }
            }
            Round::Commit => PeerRequest::RefreshCommit(self.records.clone()),
        };
        let bytes = message.to_secret_bytes();
        let to = self.params.participants.iter();
        RunStep::Send(to.map(|to| (to, SecretBytes::new(bytes.expose().clone()))).collect())
    }

    /// The records with the signatures of all participants.
    fn complete(&self) -> Result<Vec<SignedRecord>, Blame> {
        let own = self.prepared.get(&self.params.coordinator).ok_or(Refusal::NotAllParticipants)?;
        let mut records = Vec::with_capacity(own.len());
        for (place, prepared) in own.iter().enumerate() {
            let mut signatures: Vec<Signature> = Vec::with_capacity(self.prepared.len());
            for (manager, all) in &self.prepared {
                let same = all.get(place).filter(|other| other.body == prepared.body);
                let same = same.ok_or(Blame::on(*manager, Refusal::ManifestMismatch))?;
                signatures.push(same.signature);
            }
            records.push(SignedRecord { body: prepared.body.clone(), signatures });
        }
        Ok(records)
    }
}
