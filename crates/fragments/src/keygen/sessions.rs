//! The generations a manager takes part in at one time: bounded, expiring, each tied to the gateway
//! that began it.

use std::collections::BTreeMap;

use keysherd_base::{Rng, SecretBytes, Timestamp, Uid};
use keysherd_crypto::sign::{Signature, SigningKey};

use super::{Deal, Exchange, PendingKey, Proposal, Session};
use crate::encoding::Signed;
use crate::manager_set::ManagerIndex;
use crate::manager_side::CheckedGeneration;
use crate::refusal::{Blame, Refusal};

/// Most generations at one time.
pub const SESSIONS_MAX: usize = 32;
/// How long a generation may take, in seconds.
pub const SESSION_SECONDS_MAX: i64 = 120;

/// A manager's generations. Everything in it is lost when the manager stops: the gateway begins
/// again, with a new key version.
#[derive(Default)]
pub struct Sessions {
    by_id: BTreeMap<Uid, Entry>,
}

struct Entry {
    gateway_spki_sha256: [u8; 32],
    ends_at: Timestamp,
    stage: Stage,
    /// Whether the manifest was signed: the session is only kept to repeat that answer.
    signed: bool,
}

enum Stage {
    Running(Box<Session>),
    Made(Box<PendingKey>),
}

impl Sessions {
    /// Begins a generation and gives the signed round-1 statement.
    ///
    /// # Errors
    /// [`Refusal::TooManySessions`], [`Refusal::SessionExists`], [`Refusal::KeyExists`] when the
    /// same key version is being generated already; as [`Session::begin`].
    pub fn begin(
        &mut self,
        checked: CheckedGeneration,
        me: ManagerIndex,
        identity: &SigningKey,
        now: Timestamp,
        rng: &dyn Rng,
    ) -> Result<Signed, Refusal> {
        self.expire(now);
        let params = checked.params;
        let id = params.session;
        if self.by_id.contains_key(&id) {
            return Err(Refusal::SessionExists);
        }
        if self.by_id.values().any(|entry| entry.stage.params().key == params.key) {
            return Err(Refusal::KeyExists);
        }
        if self.by_id.len() >= SESSIONS_MAX && !self.forget_a_signed_one() {
            return Err(Refusal::TooManySessions);
        }
        let session = Session::begin(params, me, identity, rng)?;
        let round1 = session.round1().clone();
        let entry = Entry {
            gateway_spki_sha256: checked.gateway_spki_sha256,
            ends_at: now.plus_seconds(SESSION_SECONDS_MAX),
            stage: Stage::Running(Box::new(session)),
            signed: false,
        };
        self.by_id.insert(id, entry);
        Ok(round1)
    }

    /// Takes the round-1 statements and gives the messages for the peers. Answer the gateway when
    /// each peer has taken its own; a repeated exchange gives the same messages again.
    ///
    /// # Errors
    /// [`Refusal::UnknownSession`], [`Refusal::SessionExpired`], [`Refusal::WrongStep`]; as
    /// [`Session::exchange`].
    pub fn exchange(
        &mut self,
        gateway_spki_sha256: &[u8; 32],
        exchange: &Exchange,
        now: Timestamp,
        rng: &dyn Rng,
    ) -> Result<Vec<(ManagerIndex, SecretBytes)>, Blame> {
        let entry = self.of_gateway(&exchange.session, gateway_spki_sha256, now)?;
        let session = entry.stage.running()?;
        session.exchange(&exchange.round1, rng)?;
        Ok(session.outgoing())
    }

    /// Takes a deal from the connection of manager `from`.
    ///
    /// # Errors
    /// [`Refusal::UnknownSession`], [`Refusal::SessionExpired`]; as [`Session::take_deal`].
    pub fn take_deal(
        &mut self,
        from: ManagerIndex,
        deal: Deal,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let entry = self.by_id.get_mut(&deal.session).ok_or(Refusal::UnknownSession)?;
        if now > entry.ends_at {
            return Err(Refusal::SessionExpired);
        }
        match &mut entry.stage {
            Stage::Running(session) => session.take_deal(from, deal),
            // The key is made: this is a repetition of a deal that was used.
            Stage::Made(_) => Ok(()),
        }
    }

    /// The proposal for the manifest, once all deals are there.
    ///
    /// # Errors
    /// [`Refusal::UnknownSession`], [`Refusal::SessionExpired`]; as [`Session::finish`].
    pub fn collect(
        &mut self,
        gateway_spki_sha256: &[u8; 32],
        session: &Uid,
        now: Timestamp,
    ) -> Result<Proposal, Blame> {
        let entry = self.of_gateway(session, gateway_spki_sha256, now)?;
        if let Stage::Running(session) = &mut entry.stage {
            entry.stage = Stage::Made(Box::new(session.finish()?));
        }
        Ok(entry.stage.made()?.proposal().clone())
    }

    /// The key to store before [`Self::sign`], after its manifest was compared with this manager's
    /// own view.
    ///
    /// # Errors
    /// [`Refusal::UnknownSession`], [`Refusal::SessionExpired`], [`Refusal::WrongStep`]; as
    /// [`PendingKey::check_manifest`].
    pub fn pending(
        &mut self,
        gateway_spki_sha256: &[u8; 32],
        session: &Uid,
        manifest: &[u8],
        now: Timestamp,
    ) -> Result<&PendingKey, Refusal> {
        let pending = self.of_gateway(session, gateway_spki_sha256, now)?.stage.made()?;
        pending.check_manifest(manifest)?;
        Ok(pending)
    }

    /// Signs the manifest, after the key was stored. The generation stays until it expires or its
    /// place is needed, so that a gateway that lost the answer can ask again.
    ///
    /// # Errors
    /// As [`Self::pending`].
    pub fn sign(
        &mut self,
        gateway_spki_sha256: &[u8; 32],
        session: &Uid,
        manifest: &[u8],
        identity: &SigningKey,
        now: Timestamp,
    ) -> Result<Signature, Refusal> {
        let signature =
            self.pending(gateway_spki_sha256, session, manifest, now)?.sign(manifest, identity)?;
        self.of_gateway(session, gateway_spki_sha256, now)?.signed = true;
        Ok(signature)
    }

    /// Drops, and zeroizes, the generations that ran out of time. To be called now and then.
    pub fn expire(&mut self, now: Timestamp) {
        self.by_id.retain(|_, entry| now <= entry.ends_at);
    }

    /// How many generations are under way.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Makes room: finished generations must not keep others from beginning.
    fn forget_a_signed_one(&mut self) -> bool {
        let signed = self.by_id.iter().filter(|(_, entry)| entry.signed);
        let oldest = signed.min_by_key(|(_, entry)| entry.ends_at).map(|(id, _)| *id);
        oldest.is_some_and(|id| self.by_id.remove(&id).is_some())
    }

    fn of_gateway(
        &mut self,
        session: &Uid,
        gateway_spki_sha256: &[u8; 32],
        now: Timestamp,
    ) -> Result<&mut Entry, Refusal> {
        let entry = self.by_id.get_mut(session).ok_or(Refusal::UnknownSession)?;
        if entry.gateway_spki_sha256 != *gateway_spki_sha256 {
            return Err(Refusal::UnknownSession);
        }
        if now > entry.ends_at {
            return Err(Refusal::SessionExpired);
        }
        Ok(entry)
    }
}

impl Stage {
    fn params(&self) -> &super::GenerateParams {
        match self {
            Self::Running(session) => session.params(),
            Self::Made(pending) => pending.params(),
        }
    }

    fn running(&mut self) -> Result<&mut Session, Refusal> {
        match self {
            Self::Running(session) => Ok(session),
            Self::Made(_) => Err(Refusal::WrongStep),
        }
    }

    fn made(&self) -> Result<&PendingKey, Refusal> {
        match self {
            Self::Made(pending) => Ok(pending),
            Self::Running(_) => Err(Refusal::WrongStep),
        }
    }
}
