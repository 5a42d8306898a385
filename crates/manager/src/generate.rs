//! Key generation: this manager's part of the sessions (design 5.4).
//!
//! Sessions live in memory only; a restart forgets them. The fragments become durable before the
//! manifest is signed, as a pending key version; what is never completed is erased when its time is
//! over. So a crash at any step leaves no usable half key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keysherd_base::{Fault, SecretBytes, Timestamp, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::sign::Signature;
use keysherd_fragments::encoding::{Encoding, Signed};
use keysherd_fragments::keygen::{Exchange, Proposal, SESSION_SECONDS_MAX};
use keysherd_fragments::labels;
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_fragments::manager_side::check_generation;
use keysherd_fragments::manifest::{KeyVersion, Manifest, SignedManifest};
use keysherd_fragments::messages::{GenerateCall, PeerAnswer};
use keysherd_fragments::refusal::{Blame, Refusal};
use tokio::task::JoinSet;

use crate::keys::{Ring, store_refusal};
use crate::log::{Entry, Event, GenerationEvent, GenerationStep, KeyRef};
use crate::manager::{Manager, lock};
use crate::serve::log_refusal;
use crate::store::{KeyRecord, KeyState};

/// On whose word each session runs, for the log. Bounded like the sessions themselves.
pub(crate) type Generations = BTreeMap<Uid, Generation>;

/// On whose word a session runs.
#[derive(Clone, Copy)]
pub(crate) struct Generation {
    event: GenerationEvent,
    ends_at: Timestamp,
}

impl Manager {
    pub(crate) fn generate_begin(
        &self,
        peer: &[u8; 32],
        call: &GenerateCall,
    ) -> Result<Signed, Refusal> {
        self.tidy().map_err(|fault| store_refusal(&fault))?;
        let now = self.clock.now();
        let bundle = self.trusted_bundle()?;
        let ring = Ring::of_generation(&self.keys, now);
        let checked = check_generation(&bundle, peer, self.index, call, &ring, now);
        let checked = checked.map_err(|refusal| ring.explain(refusal))?;
        if ring.has_failed() {
            return Err(Refusal::BadRecord);
        }
        lock(&self.uses).take(
            checked.permit_id,
            checked.max_uses,
            checked.permit_expires_at,
            now,
        )?;
        let params = &checked.params;
        let (session, key) = (params.session, params.key);
        let event = GenerationEvent {
            step: GenerationStep::Begun,
            session,
            permit_sha256: sha256(&[&call.permit.body]),
            audit_seq: checked.audit_seq,
            gateway: *peer,
            account: key.account,
            key: KeyRef { key_id: key.id, version: key.version },
            manifest_sha256: [0; 32],
        };
        let round1 =
            lock(&self.sessions).begin(checked, self.index, &self.identity, now, &*self.rng)?;
        {
            let mut generations = lock(&self.generations);
            generations.retain(|_, generation| now <= generation.ends_at);
            let ends_at = now.plus_seconds(SESSION_SECONDS_MAX);
            generations.insert(session, Generation { event, ends_at });
        }
        self.log_generation(event)?;
        Ok(round1)
    }

    pub(crate) async fn generate_exchange(
        self: &Arc<Self>,
        peer: [u8; 32],
        exchange: Exchange,
    ) -> Result<(), Refusal> {
        let messages = self
            .heavy(move |manager| {
                manager.trusted_bundle()?;
                let now = manager.clock.now();
                let mut sessions = lock(&manager.sessions);
                sessions.exchange(&peer, &exchange, now, &*manager.rng).map_err(reported)
            })
            .await?;
        let mut calls = JoinSet::new();
        for (to, message) in messages {
            let manager = self.clone();
            calls.spawn(async move { manager.send_deal(to, message).await });
        }
        let mut result = Ok(());
        while let Some(sent) = calls.join_next().await {
            // All peers get their deal, also when one of them does not answer.
            result = result.and(sent.unwrap_or(Err(Refusal::DealMissing)));
        }
        result
    }

    /// Hands a deal to the manager `to` and waits until it has it.
    pub(crate) async fn send_deal(
        &self,
        to: ManagerIndex,
        message: SecretBytes,
    ) -> Result<(), Refusal> {
        let patience = Duration::from_secs(self.limits.peer_seconds);
        let answer = tokio::time::timeout(patience, self.peers.call(to, message)).await;
        let Ok(Ok(answer)) = answer else {
            tracing::warn!(%to, "a manager does not take its deal");
            return Err(Refusal::DealMissing);
        };
        match PeerAnswer::from_bytes(answer.expose())? {
            PeerAnswer::Taken => Ok(()),
            PeerAnswer::Refused(refusal) => Err(refusal),
            _ => Err(Refusal::AnswerMismatch),
        }
    }

    pub(crate) fn generate_collect(
        &self,
        peer: &[u8; 32],
        session: &Uid,
    ) -> Result<Proposal, Refusal> {
        self.trusted_bundle()?;
        let now = self.clock.now();
        lock(&self.sessions).collect(peer, session, now).map_err(reported)
    }

    /// Stores the fragments, then signs. A repeated request after a lost answer gets the same
    /// signature again.
    pub(crate) fn generate_sign(
        &self,
        peer: &[u8; 32],
        session: &Uid,
        manifest: &[u8],
    ) -> Result<Signature, Refusal> {
        self.trusted_bundle()?;
        let now = self.clock.now();
        let prepared = lock(&self.sessions)
            .pending(peer, session, manifest, now)
            .map(|pending| (pending.params().key, pending.shares().to_record()));
        let (key, shares) = match prepared {
            Ok(prepared) => prepared,
            Err(Refusal::UnknownSession) => return self.sign_again(peer, session, manifest),
            Err(refusal) => return Err(refusal),
        };
        let record = KeyRecord {
            state: KeyState::Pending { expires_at: now.plus_seconds(self.limits.pending_seconds) },
            session: *session,
            gateway: *peer,
            manifest: manifest.to_vec(),
        };
        self.keys.add(&key, &shares, record).map_err(|fault| store_refusal(&fault))?;
        drop(shares);
        self.log_signed(session, manifest)?;
        let now = self.clock.now();
        lock(&self.sessions).sign(peer, session, manifest, &self.identity, now)
    }

    /// Signs a manifest that this manager signed before: the fragments are stored.
    fn sign_again(
        &self,
        peer: &[u8; 32],
        session: &Uid,
        manifest: &[u8],
    ) -> Result<Signature, Refusal> {
        let unknown = Refusal::UnknownSession;
        let key = Manifest::from_bytes(manifest).map_err(|_| unknown)?.key;
        let info = self.keys.info(&key).map_err(|fault| store_refusal(&fault))?;
        let now = self.clock.now();
        let same = info.is_some_and(|info| {
            let record = &info.record;
            let in_time = match record.state {
                KeyState::Pending { expires_at } => now <= expires_at,
                KeyState::Enabled => true,
                KeyState::Destroyed => false,
            };
            in_time
                && record.session == *session
                && record.gateway == *peer
                && record.manifest == manifest
        });
        if !same {
            return Err(unknown);
        }
        Ok(self.identity.sign(labels::SIGN_MANIFEST, manifest))
    }

    /// Keeps a key version for good, shown that all its managers signed this very manifest. The
    /// signatures are the proof, whoever brings them; repeating it changes nothing.
    pub(crate) fn complete_key(&self, signed: &SignedManifest) -> Result<(), Refusal> {
        let bundle = self.trusted_bundle()?;
        let key = signed.verify(&bundle)?.manifest().key;
        let info = self.keys.info(&key).map_err(|fault| store_refusal(&fault))?;
        let info = info.ok_or(Refusal::UnknownKey)?;
        if info.record.manifest != signed.body {
            return Err(Refusal::ManifestMismatch);
        }
        match info.record.state {
            KeyState::Pending { expires_at } if self.clock.now() > expires_at => {
                Err(Refusal::UnknownKey)
            }
            KeyState::Pending { .. } => {
                self.keys.enable(&[key]).map_err(|fault| store_refusal(&fault))
            }
            KeyState::Enabled => Ok(()),
            KeyState::Destroyed => Err(Refusal::KeyNotEnabled),
        }
    }

    fn log_signed(&self, session: &Uid, manifest: &[u8]) -> Result<(), Refusal> {
        let generation = lock(&self.generations).get(session).copied();
        let mut event = generation.ok_or(Refusal::UnknownSession)?.event;
        event.step = GenerationStep::Signed;
        event.manifest_sha256 = sha256(&[manifest]);
        self.log_generation(event)?;
        self.keep_log_floor().map_err(|fault| store_refusal(&fault))
    }

    fn log_generation(&self, event: GenerationEvent) -> Result<(), Refusal> {
        let entry = Entry { at: self.clock.now(), event: Event::Generation(event) };
        self.log.append_blocking(&entry).map(|_| ()).map_err(log_refusal)
    }

    /// Erases what is over its time: generation sessions, key versions whose manifest was never
    /// completed, and key versions that the owner ordered to be destroyed. Done at each start and
    /// before each generation; to be called every minute or so besides. It blocks.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn tidy(&self) -> Result<(), Fault> {
        let now = self.clock.now();
        lock(&self.sessions).expire(now);
        for (key, record) in self.keys.discard_expired(now)? {
            let KeyVersion { account, id, version } = key;
            tracing::info!(%account, key = %id, version, "an unfinished key version was erased");
            let event = GenerationEvent {
                step: GenerationStep::Discarded,
                session: record.session,
                permit_sha256: [0; 32],
                audit_seq: 0,
                gateway: record.gateway,
                account,
                key: KeyRef { key_id: id, version },
                manifest_sha256: sha256(&[&record.manifest]),
            };
            // The entry is for people; that it is missing changes nothing.
            self.log_generation(event).ok();
        }
        self.destroy_due()
    }
}

fn reported(blame: Blame) -> Refusal {
    if let Some(culprit) = blame.culprit {
        let refusal = blame.refusal;
        tracing::warn!(%culprit, ?refusal, "a manager spoiled a key generation");
    }
    blame.refusal
}
