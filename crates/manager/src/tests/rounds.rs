//! What a gateway does with the managers: whole generations and derivations, and their messages.

use std::sync::Arc;

use keysherd_base::Uid;
use keysherd_crypto::hash::sha256;
use keysherd_crypto::sign::{PublicKey, Signature, SigningKey};
use keysherd_fragments::context::{Class, ContextFields};
use keysherd_fragments::derive::{AnswerBody, DeriveAnswer, DeriveRequest, Mode};
use keysherd_fragments::encoding::{Encoding, Signed};
use keysherd_fragments::gateway_side::{
    Ask, Batch, BatchKey, ReadCombiner, ReadStep, VerifiedAnswer, WriteCombiner, WriteOutcome,
    self_test,
};
use keysherd_fragments::keygen::{Exchange, GenerateParams, GenerateRequest, Proposal};
use keysherd_fragments::manager_set::{ManagerIndex, ManagerSet, Threshold};
use keysherd_fragments::manifest::{KeyVersion, SignedManifest, TrustedManifest};
use keysherd_fragments::messages::{DeriveCall, GenerateCall, ManagerAnswer, ManagerRequest};
use keysherd_fragments::permit::{Op, PermitEntry, Subject};
use keysherd_fragments::refusal::Refusal;

use super::rig::{ACCOUNT, Rig, index, random};

/// A manifest as gateways keep it.
pub(super) type Manifests = Arc<TrustedManifest>;

/// Something that was written: its context and what its ciphertext commits to.
#[derive(Clone)]
pub(super) struct Item {
    pub(super) fields: ContextFields,
    pub(super) commitment: [u8; 32],
    pub(super) kek: [u8; 32],
}

pub(super) fn entry(fields: &ContextFields) -> PermitEntry {
    PermitEntry {
        key_id: fields.key_id,
        key_version: fields.key_version,
        class: fields.class,
        item_id: fields.item_id,
        item_version: fields.item_version,
        salt: fields.salt,
        subject: Subject::default(),
    }
}

pub(super) fn fresh_item(key: &KeyVersion) -> ContextFields {
    ContextFields {
        class: Class::SecretItem,
        account: ACCOUNT,
        key_id: key.id,
        key_version: key.version,
        item_id: Uid(random()),
        item_version: 1,
        salt: random(),
    }
}

pub(super) fn set(members: &[u8]) -> ManagerSet {
    members.iter().map(|number| index(*number)).collect()
}

/// The call of a gateway to manager `to` for `entries` of `permit`.
pub(super) fn call(
    gateway: &SigningKey,
    permit: &Signed,
    to: ManagerIndex,
    entries: Vec<u16>,
    mode: Mode,
) -> DeriveCall {
    let request = DeriveRequest {
        permit_sha256: sha256(&[&permit.body]),
        manager: to,
        request_id: Uid(random()),
        quorum: ManagerSet::first(3),
        entries,
        epoch_hints: Vec::new(),
        mode,
    };
    DeriveCall { permit: permit.clone(), request: request.seal(gateway), endorsement: None }
}

impl Rig {
    pub(super) async fn ask(
        &self,
        number: u8,
        spki: [u8; 32],
        request: &ManagerRequest,
    ) -> Result<ManagerAnswer, Refusal> {
        let bytes = self.manager(number).serve(spki, &request.to_bytes()).await;
        match ManagerAnswer::from_bytes(bytes.expose()).unwrap() {
            ManagerAnswer::Refused(refusal) => Err(refusal),
            answer => Ok(answer),
        }
    }

    /// A derivation by the first gateway over its own connection.
    pub(super) async fn derive_at(
        &self,
        number: u8,
        permit: &Signed,
        entries: Vec<u16>,
        mode: Mode,
    ) -> Result<VerifiedAnswer, Refusal> {
        let call = call(&self.gateway, permit, index(number), entries, mode);
        self.send(number, &self.gateway.public(), call).await
    }

    /// Sends a call over the connection of the gateway with key `line`.
    pub(super) async fn send(
        &self,
        number: u8,
        line: &PublicKey,
        call: DeriveCall,
    ) -> Result<VerifiedAnswer, Refusal> {
        let request_sha256 = DeriveRequest::hash(&call.request.signed.body);
        let answer = self.ask(number, line.spki_sha256(), &ManagerRequest::Derive(call)).await?;
        let ManagerAnswer::Derived(answer) = answer else {
            panic!("another answer to a derivation: {answer:?}");
        };
        let identity = self.bundle.managers[usize::from(number) - 1].key;
        Ok(VerifiedAnswer::open(answer, &identity, index(number), &request_sha256).unwrap())
    }

    pub(super) fn batch(&self, manifest: &Arc<TrustedManifest>, items: &[ContextFields]) -> Batch {
        let key = BatchKey { manifest: manifest.clone(), fragment: None };
        Batch::new(items, |_| Ok(key.clone())).unwrap()
    }

    /// Derives for fresh items at all managers, with proofs.
    pub(super) async fn write(
        &self,
        manifest: &Arc<TrustedManifest>,
        items: &[ContextFields],
    ) -> Result<Vec<Item>, Refusal> {
        let permit = self.permit(Op::Write, items.iter().map(entry).collect(), |_| {});
        let mut combiner = WriteCombiner::new(self.batch(manifest, items));
        let Ask { managers, mode, entries, .. } = combiner.ask();
        for manager in managers.iter() {
            let answer = self.derive_at(manager.get(), &permit, entries.clone(), mode).await?;
            combiner.offer(answer).unwrap();
        }
        let WriteOutcome::Sealed { keys, .. } = combiner.finish() else {
            panic!("honest managers contradict each other");
        };
        let sealed = items.iter().zip(keys).map(|(fields, key)| Item {
            fields: *fields,
            commitment: key.commitment,
            kek: *key.kek.expose(),
        });
        Ok(sealed.collect())
    }

    /// As [`Self::write`] of one item, for tests in which managers are at other epochs than the
    /// manifest.
    pub(super) async fn try_write(
        &self,
        manifest: &Arc<TrustedManifest>,
        item: ContextFields,
    ) -> Result<(), Refusal> {
        let permit = self.permit(Op::Write, vec![entry(&item)], |_| {});
        let mut combiner = WriteCombiner::new(self.batch(manifest, &[item]));
        let Ask { managers, mode, entries, .. } = combiner.ask();
        for manager in managers.iter() {
            let answer = self.derive_at(manager.get(), &permit, entries.clone(), mode).await?;
            combiner.offer(answer)?;
        }
        Ok(())
    }

    /// Reads items from whoever answers, all asked first.
    pub(super) async fn read_with_whom_answers(
        &self,
        manifest: &Manifests,
        items: &[Item],
    ) -> Result<(), Refusal> {
        let fields: Vec<ContextFields> = items.iter().map(|item| item.fields).collect();
        let permit = self.permit(Op::Read, fields.iter().map(entry).collect(), |_| {});
        let commitments = items.iter().map(|item| item.commitment).collect();
        let batch = self.batch(manifest, &fields);
        let mut combiner = ReadCombiner::new(batch, commitments, ManagerSet::first(3))?;
        while let ReadStep::Ask(ask) = combiner.step() {
            for manager in ask.managers.iter() {
                let entries = ask.entries.clone();
                match self.derive_at(manager.get(), &permit, entries, ask.mode).await {
                    Ok(answer) => combiner.offer(ask.round, answer),
                    Err(_) => combiner.lost(ask.round, manager),
                }
            }
        }
        combiner.finish().keys.into_iter().try_for_each(|key| key.map(drop))
    }

    /// Reads items from exactly the managers `quorum`.
    pub(super) async fn read(
        &self,
        manifest: &Arc<TrustedManifest>,
        items: &[Item],
        quorum: ManagerSet,
    ) -> Result<(), Refusal> {
        let fields: Vec<ContextFields> = items.iter().map(|item| item.fields).collect();
        let permit = self.permit(Op::Read, fields.iter().map(entry).collect(), |_| {});
        let commitments = items.iter().map(|item| item.commitment).collect();
        let batch = self.batch(manifest, &fields);
        let mut combiner = ReadCombiner::new(batch, commitments, quorum)?;
        while let ReadStep::Ask(ask) = combiner.step() {
            for manager in ask.managers.iter() {
                let entries = ask.entries.clone();
                match self.derive_at(manager.get(), &permit, entries, ask.mode).await {
                    Ok(answer) if quorum.contains(manager) => combiner.offer(ask.round, answer),
                    Ok(_) => combiner.lost(ask.round, manager),
                    Err(refusal) => return Err(refusal),
                }
            }
        }
        let report = combiner.finish();
        assert!(report.liars.is_empty());
        for (key, item) in report.keys.into_iter().zip(items) {
            assert_eq!(*key?.kek.expose(), item.kek, "another key than at the write");
        }
        Ok(())
    }

    /// A generation, up to where the caller stops.
    pub(super) fn generation(&self, key: KeyVersion, threshold: Threshold) -> Generation<'_> {
        let managers = self.bundle.managers.iter().map(|entry| entry.key);
        let params = GenerateParams {
            session: Uid(random()),
            key,
            threshold,
            group: "main".to_owned(),
            fragment: Uid::default(),
            fragment_check: [0; 16],
            managers: managers.take(usize::from(threshold.n())).collect(),
        };
        let entry = self_test::permit_entry(&key, random(), Subject::default());
        let permit = self.permit(Op::Generate, vec![entry], |_| {});
        Generation { rig: self, params, permit, entry }
    }

    /// A whole generation with its self-test.
    pub(super) async fn generate(&self, key: KeyVersion) -> Arc<TrustedManifest> {
        self.generate_with(key, Threshold::new(2, 3).unwrap()).await
    }

    pub(super) async fn generate_with(
        &self,
        key: KeyVersion,
        threshold: Threshold,
    ) -> Arc<TrustedManifest> {
        let generation = self.generation(key, threshold);
        let round1 = generation.begin().await.unwrap();
        generation.exchange(&round1).await.unwrap();
        let proposals = generation.collect().await.unwrap();
        let manifest = generation.sign(&proposals).await.unwrap();
        let manifest = Arc::new(manifest.verify(&self.pinned()).unwrap());
        generation.self_test(&manifest).await.unwrap();
        manifest
    }
}

/// A generation as its gateway drives it.
pub(super) struct Generation<'r> {
    pub(super) rig: &'r Rig,
    pub(super) params: GenerateParams,
    pub(super) permit: Signed,
    pub(super) entry: PermitEntry,
}

impl Generation<'_> {
    pub(super) fn begin_request(&self) -> ManagerRequest {
        let request = GenerateRequest {
            permit_sha256: sha256(&[&self.permit.body]),
            params: self.params.clone(),
        };
        ManagerRequest::GenerateBegin(GenerateCall {
            permit: self.permit.clone(),
            request: request.seal(&self.rig.gateway),
            endorsement: None,
        })
    }

    fn numbers(&self) -> std::ops::RangeInclusive<u8> {
        1..=self.params.threshold.n()
    }

    async fn ask(&self, number: u8, request: &ManagerRequest) -> Result<ManagerAnswer, Refusal> {
        let spki = self.rig.gateway.public().spki_sha256();
        self.rig.ask(number, spki, request).await
    }

    pub(super) async fn begin(&self) -> Result<Vec<Signed>, Refusal> {
        let mut statements = Vec::new();
        for number in self.numbers() {
            match self.ask(number, &self.begin_request()).await? {
                ManagerAnswer::Round1(signed) => statements.push(signed),
                other => panic!("another answer to begin: {other:?}"),
            }
        }
        Ok(statements)
    }

    pub(super) async fn exchange(&self, round1: &[Signed]) -> Result<(), Refusal> {
        for number in self.numbers() {
            self.exchange_at(number, round1).await?;
        }
        Ok(())
    }

    pub(super) async fn exchange_at(&self, number: u8, round1: &[Signed]) -> Result<(), Refusal> {
        let exchange = Exchange { session: self.params.session, round1: round1.to_vec() };
        match self.ask(number, &ManagerRequest::GenerateExchange(exchange)).await? {
            ManagerAnswer::Exchanged => Ok(()),
            other => panic!("another answer to exchange: {other:?}"),
        }
    }

    pub(super) async fn collect(&self) -> Result<Vec<Proposal>, Refusal> {
        let mut proposals = Vec::new();
        for number in self.numbers() {
            let request = ManagerRequest::GenerateCollect { session: self.params.session };
            match self.ask(number, &request).await? {
                ManagerAnswer::Proposal(proposal) => proposals.push(proposal),
                other => panic!("another answer to collect: {other:?}"),
            }
        }
        Ok(proposals)
    }

    pub(super) async fn sign(&self, proposals: &[Proposal]) -> Result<SignedManifest, Refusal> {
        let body = self.params.manifest(proposals)?.to_bytes();
        let mut signatures = Vec::new();
        for number in self.numbers() {
            signatures.push(self.sign_at(number, &body).await?);
        }
        Ok(SignedManifest { body, signatures })
    }

    pub(super) async fn sign_at(&self, number: u8, body: &[u8]) -> Result<Signature, Refusal> {
        let session = self.params.session;
        let request = ManagerRequest::GenerateSign { session, manifest: body.to_vec() };
        match self.ask(number, &request).await? {
            ManagerAnswer::ManifestSignature(signature) => Ok(signature),
            other => panic!("another answer to sign: {other:?}"),
        }
    }

    pub(super) async fn self_test(&self, manifest: &Arc<TrustedManifest>) -> Result<(), Refusal> {
        let fields = self_test::context_fields(&self.params.key, self.entry.salt);
        let mut combiner = WriteCombiner::new(self.rig.batch(manifest, &[fields]));
        for number in self.numbers() {
            let answer = self.rig.derive_at(number, &self.permit, vec![0], Mode::Verify).await?;
            combiner.offer(answer)?;
        }
        self_test::passes(&combiner)
    }
}

/// What a manager signed together with its outputs.
pub(super) fn body_of(answer: &DeriveAnswer) -> AnswerBody {
    AnswerBody::from_bytes(&answer.body).unwrap()
}
