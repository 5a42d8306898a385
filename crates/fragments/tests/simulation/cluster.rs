//! A whole deployment in memory: owner, control plane, gateway, managers, and a clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keysherd_base::{AccountId, Rng, RngFailed, Timestamp, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::sign::SigningKey;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::bundle::{Bundle, Caps, Cluster, KeyGroup, ManagerEntry, PermitKey};
use keysherd_fragments::combine::DerivedKey;
use keysherd_fragments::context::{Class, ContextFields};
use keysherd_fragments::derive::{DeriveRequest, Mode};
use keysherd_fragments::encoding::{Encoding, Signed, SignedBy};
use keysherd_fragments::gateway_side::{
    Ask, Batch, BatchKey, ReadCombiner, ReadReport, ReadStep, VerifiedAnswer, WriteCombiner,
    WriteOutcome,
};
use keysherd_fragments::labels;
use keysherd_fragments::leg_c::CustomerFragment;
use keysherd_fragments::manager_set::{ManagerIndex, ManagerSet, Threshold};
use keysherd_fragments::manager_side::{Budget, UseCounter};
use keysherd_fragments::manifest::{KeyVersion, TrustedManifest};
use keysherd_fragments::messages::{DeriveCall, ManagerAnswer, ManagerRequest};
use keysherd_fragments::permit::{Op, Permit, PermitEntry, Subject};
use keysherd_fragments::refusal::Refusal;

use crate::manager::{Conduct, Keys, TestManager};

pub(crate) const FRAGMENT_ID: Uid = Uid([0xcf; 16]);
pub(crate) const ACCOUNT: AccountId = AccountId(Uid([0xac; 16]));

/// Deterministic randomness.
pub(crate) struct Seeded(AtomicU64);

impl Rng for Seeded {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngFailed> {
        for chunk in buffer.chunks_mut(32) {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            chunk.copy_from_slice(&sha256(&[&number.to_be_bytes()])[..chunk.len()]);
        }
        Ok(())
    }
}

pub(crate) struct TestCluster {
    pub(crate) rng: Seeded,
    pub(crate) now: Timestamp,
    pub(crate) owner: SigningKey,
    pub(crate) control: SigningKey,
    pub(crate) gateway: SigningKey,
    pub(crate) bundle: Bundle,
    pub(crate) pinned: PinnedBundle,
    pub(crate) managers: Vec<TestManager>,
    pub(crate) manifests: BTreeMap<KeyVersion, Arc<TrustedManifest>>,
    pub(crate) next: u32,
}

impl TestCluster {
    pub(crate) fn new(n: u8) -> Self {
        let rng = Seeded(AtomicU64::new(0));
        let key = || SigningKey::generate(&rng).unwrap();
        let (owner, control, gateway) = (key(), key(), key());
        let now = Timestamp::from_seconds(1_800_000_000);
        let identities: Vec<SigningKey> = (0..n).map(|_| key()).collect();
        let entries = (1..=n).zip(&identities).map(|(number, identity)| ManagerEntry {
            index: index(number),
            key: identity.public(),
            tls_spki_sha256: [number; 32],
            former_keys: Vec::new(),
            address: String::new(),
        });
        let bundle = a_bundle(entries.collect(), &control, &gateway, now);
        let pinned = PinnedBundle::open(owner.public(), bundle.seal(&owner)).unwrap();
        let managers = (1..=n).zip(identities).map(|(number, identity)| TestManager {
            index: index(number),
            identity,
            tls_spki: [number; 32],
            bundle: pinned.clone(),
            sessions: Default::default(),
            keys: Keys::default(),
            uses: UseCounter::default(),
            budget: Budget::new(10_000),
            conduct: Conduct::Honest,
            log: Vec::new(),
        });
        let managers = managers.collect();
        let manifests = BTreeMap::new();
        Self { rng, now, owner, control, gateway, bundle, pinned, managers, manifests, next: 0 }
    }

    /// A cluster with one key.
    pub(crate) fn with_key(t: u8, n: u8, fragment: Uid) -> (Self, KeyVersion) {
        let mut cluster = Self::new(n);
        let key = cluster.generate(Threshold::new(t, n).unwrap(), fragment).unwrap();
        (cluster, key)
    }

    pub(crate) fn fresh_id(&mut self) -> Uid {
        self.next += 1;
        Uid(sha256(&[b"id", &self.next.to_be_bytes()])[..16].try_into().unwrap())
    }

    /// Pins a changed bundle at the gateway and all managers.
    pub(crate) fn change_bundle(&mut self, change: impl Fn(&mut Bundle)) {
        change(&mut self.bundle);
        self.bundle.version += 1;
        let signed = self.bundle.seal(&self.owner);
        self.pinned = self.pinned.accept(signed.clone()).unwrap();
        for manager in &mut self.managers {
            manager.bundle = manager.bundle.accept(signed.clone()).unwrap();
        }
    }

    pub(crate) fn spki(&self) -> [u8; 32] {
        self.gateway.public().spki_sha256()
    }

    pub(crate) fn conduct(&mut self, manager: u8, conduct: Conduct) {
        self.managers[usize::from(manager) - 1].conduct = conduct;
    }

    /// Asks one manager; `None` when it is down. Deals reach their peers on the way.
    pub(crate) fn ask(
        &mut self,
        to: ManagerIndex,
        request: &ManagerRequest,
    ) -> Option<ManagerAnswer> {
        let (spki, now) = (self.spki(), self.now);
        let manager = &mut self.managers[to.place()];
        if manager.conduct == Conduct::Down {
            return None;
        }
        let (answer, for_peers) = manager.serve(&spki, &request.to_bytes(), now, &self.rng);
        for (peer, message) in for_peers {
            let peer = &mut self.managers[peer.place()];
            if let Err(refusal) = peer.serve_peer(to, message.expose(), now) {
                return Some(ManagerAnswer::Refused(refusal));
            }
        }
        Some(ManagerAnswer::from_bytes(answer.to_secret_bytes().expose()).unwrap())
    }

    pub(crate) fn permit(&mut self, op: Op, entries: Vec<PermitEntry>) -> Permit {
        Permit {
            permit_id: self.fresh_id(),
            issued_at: self.now,
            expires_at: self.now.plus_seconds(60),
            account: ACCOUNT,
            gateway_spki_sha256: self.spki(),
            op,
            entries,
            max_uses: 3,
            cache_ttl_seconds: 0,
            audit_seq: 7,
            bundle_version: self.bundle.version,
        }
    }

    pub(crate) fn sign_permit(&self, permit: &Permit) -> Signed {
        Signed::seal(&self.control, labels::SIGN_PERMIT, permit.to_bytes())
    }

    /// The derivation request of this gateway to one manager.
    pub(crate) fn derive_request(
        &self,
        permit: &Signed,
        to: ManagerIndex,
        mode: Mode,
        entries: Vec<u16>,
    ) -> SignedBy {
        let request = DeriveRequest {
            permit_sha256: sha256(&[&permit.body]),
            manager: to,
            request_id: Uid([9; 16]),
            quorum: ManagerSet::EMPTY.with(to),
            entries,
            epoch_hints: Vec::new(),
            mode,
        };
        request.seal(&self.gateway)
    }

    /// What `ask` brings from one manager: a verified answer.
    fn fetch(
        &mut self,
        permit: &Signed,
        ask: &Ask,
        to: ManagerIndex,
    ) -> Result<VerifiedAnswer, Refusal> {
        let request = ask.request(to, sha256(&[&permit.body]), Uid([9; 16]), |place| place);
        let request = request.seal(&self.gateway);
        let request_sha256 = DeriveRequest::hash(&request.signed.body);
        let call = DeriveCall { permit: permit.clone(), request, endorsement: None };
        match self.ask(to, &ManagerRequest::Derive(call)) {
            Some(ManagerAnswer::Derived(answer)) => {
                let identity = self.pinned.bundle().manager(to).unwrap().key;
                VerifiedAnswer::open(answer, &identity, to, &request_sha256)
            }
            Some(ManagerAnswer::Refused(refusal)) => Err(refusal),
            _ => Err(Refusal::NotEnoughManagers),
        }
    }

    pub(crate) fn fields(&mut self, key: &KeyVersion, class: Class) -> ContextFields {
        ContextFields {
            class,
            account: key.account,
            key_id: key.id,
            key_version: key.version,
            item_id: self.fresh_id(),
            item_version: 1,
            salt: (&self.rng as &dyn Rng).array().unwrap(),
        }
    }

    pub(crate) fn batch(&self, entries: &[ContextFields]) -> Batch {
        self.try_batch(entries, &a_fragment()).unwrap()
    }

    pub(crate) fn try_batch(
        &self,
        entries: &[ContextFields],
        fragment: &Arc<CustomerFragment>,
    ) -> Result<Batch, Refusal> {
        Batch::new(entries, |key| {
            let manifest = self.manifests.get(key).ok_or(Refusal::UnknownKey)?.clone();
            let bound = manifest.manifest().fragment().is_some();
            Ok(BatchKey { manifest, fragment: bound.then(|| fragment.clone()) })
        })
    }

    /// Writes: asks everybody and combines.
    pub(crate) fn write(&mut self, entries: &[ContextFields]) -> WriteOutcome {
        self.write_combiner(Op::Write, entries).finish()
    }

    pub(crate) fn write_combiner(&mut self, op: Op, entries: &[ContextFields]) -> WriteCombiner {
        let permit = self.permit(op, permit_entries(entries));
        let permit = self.sign_permit(&permit);
        let mut combiner = WriteCombiner::new(self.batch(entries));
        let ask = combiner.ask();
        for manager in ask.managers.iter() {
            assert!(!combiner.is_settled(), "settled before {manager} was heard");
            match self.fetch(&permit, &ask, manager) {
                Ok(answer) => drop(combiner.offer(answer)),
                Err(_) => combiner.lost(manager),
            }
        }
        assert!(combiner.is_settled());
        combiner
    }

    /// Reads: begins with the managers `first` and does what the combiner says.
    pub(crate) fn read(
        &mut self,
        entries: &[ContextFields],
        commitments: Vec<[u8; 32]>,
        first: ManagerSet,
    ) -> ReadReport {
        let permit = self.permit(Op::Read, permit_entries(entries));
        let permit = self.sign_permit(&permit);
        let mut combiner = ReadCombiner::new(self.batch(entries), commitments, first).unwrap();
        loop {
            match combiner.step() {
                ReadStep::Done => return combiner.finish(),
                ReadStep::Wait => panic!("everybody asked has answered or is lost"),
                ReadStep::Ask(ask) => {
                    for manager in ask.managers.iter() {
                        match self.fetch(&permit, &ask, manager) {
                            Ok(answer) => combiner.offer(ask.round, answer),
                            Err(_) => combiner.lost(ask.round, manager),
                        }
                    }
                }
            }
        }
    }
}

pub(crate) fn index(number: u8) -> ManagerIndex {
    ManagerIndex::new(number).unwrap()
}

pub(crate) fn set(numbers: &[u8]) -> ManagerSet {
    numbers.iter().map(|number| index(*number)).collect()
}

pub(crate) fn a_fragment() -> Arc<CustomerFragment> {
    Arc::new(CustomerFragment::new(FRAGMENT_ID, &[0x5a; 32]).unwrap())
}

pub(crate) fn permit_entries(entries: &[ContextFields]) -> Vec<PermitEntry> {
    let entry = |fields: &ContextFields| PermitEntry {
        key_id: fields.key_id,
        key_version: fields.key_version,
        class: fields.class,
        item_id: fields.item_id,
        item_version: fields.item_version,
        salt: fields.salt,
        subject: Subject::default(),
    };
    entries.iter().map(entry).collect()
}

/// The keys of a write that must have succeeded.
pub(crate) fn sealed(outcome: WriteOutcome) -> Vec<DerivedKey> {
    match outcome {
        WriteOutcome::Sealed { keys, .. } => keys,
        other => panic!("not sealed: {other:?}"),
    }
}

pub(crate) fn commitments(keys: &[DerivedKey]) -> Vec<[u8; 32]> {
    keys.iter().map(|key| key.commitment).collect()
}

fn a_bundle(
    managers: Vec<ManagerEntry>,
    control: &SigningKey,
    gateway: &SigningKey,
    now: Timestamp,
) -> Bundle {
    let group = |name: &str, fragment_required| KeyGroup {
        name: name.to_owned(),
        fragment_required,
        caps: Caps::UNLIMITED,
        key_caps: Caps::UNLIMITED,
    };
    Bundle {
        deployment: Uid([1; 16]),
        version: 1,
        issued_at: now,
        accounts: Vec::new(),
        managers,
        permit_keys: vec![PermitKey {
            key: control.public(),
            not_before: now.plus_seconds(-3_600),
            not_after: now.plus_seconds(3_600),
        }],
        clusters: vec![Cluster {
            id: Uid([2; 16]),
            instances: vec![gateway.public().spki_sha256()],
            cluster_key: None,
            groups: vec!["default".to_owned(), "other".to_owned()],
            fragments: vec![FRAGMENT_ID],
            ops: Op::ALL.to_vec(),
            caps: Caps::UNLIMITED,
        }],
        groups: vec![group("default", false), group("other", false)],
        account_caps: Caps::UNLIMITED,
        cache_ttl_seconds_max: 60,
        destroy_delay_seconds: 7 * 86_400,
        witnesses: Vec::new(),
        recovery_key: None,
        controls: Vec::new(),
    }
}
