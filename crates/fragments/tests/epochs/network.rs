//! Managers, the network between them, and what can happen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use keysherd_base::{AccountId, Rng, RngFailed, SecretBytes, Timestamp, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::sign::{Signature, SigningKey};
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::bundle::{Bundle, Caps, ManagerEntry};
use keysherd_fragments::context::{Context, ContextFields};
use keysherd_fragments::derive::Mode;
use keysherd_fragments::encoding::{Encoding, Signed};
use keysherd_fragments::epoch::{EpochRecord, SignedRecord, participants_min};
use keysherd_fragments::interpolation::Interpolation;
use keysherd_fragments::keygen::{GenerateParams, PendingKey, Session};
use keysherd_fragments::leg_g::decode_point;
use keysherd_fragments::manager_set::{ManagerIndex, ManagerSet, Threshold};
use keysherd_fragments::manager_side::{Checked, CheckedEntry, CheckedKey, derive};
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::member::{Env, Member, Vault, commit};
use keysherd_fragments::messages::{PeerAnswer, PeerRequest};
use keysherd_fragments::permit::{Class, Op};
use keysherd_fragments::refresh::{RefreshKey, RefreshParams, RefreshRun, RunStep};
use keysherd_fragments::refusal::Refusal;
use keysherd_fragments::repair::{RepairParams, RepairRun};
use keysherd_fragments::share::KeyShares;

use crate::vault::{Death, Disk};

/// Deterministic randomness.
struct Seeded(u64, AtomicU64);

impl Rng for Seeded {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngFailed> {
        for chunk in buffer.chunks_mut(32) {
            let number = self.1.fetch_add(1, Ordering::Relaxed);
            let block = sha256(&[&self.0.to_be_bytes(), &number.to_be_bytes()]);
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }
}

struct Node {
    identity: SigningKey,
    disk: Disk,
    member: Member,
}

pub(crate) struct World {
    rng: Seeded,
    now: Timestamp,
    threshold: Threshold,
    bundle: PinnedBundle,
    nodes: Vec<Node>,
    key: KeyVersion,
    /// Messages that arrive late, and perhaps a second time.
    late: Vec<(ManagerIndex, ManagerIndex, Vec<u8>)>,
    calm: bool,
    /// How many messages were sent.
    pub(crate) messages: u64,
}

fn index(place: usize) -> ManagerIndex {
    ManagerIndex::new(u8::try_from(place + 1).unwrap()).unwrap()
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let rng = Seeded(seed, AtomicU64::new(0));
        let (t, n) = if seed.is_multiple_of(10) { (3, 5) } else { (2, 3) };
        let owner = SigningKey::generate(&rng).unwrap();
        let nodes: Vec<Node> = (0..n)
            .map(|_| Node {
                identity: SigningKey::generate(&rng).unwrap(),
                disk: Disk::default(),
                member: Member::default(),
            })
            .collect();
        let now = Timestamp::from_seconds(1_800_000_000);
        let managers = nodes.iter().enumerate().map(|(place, node)| ManagerEntry {
            index: index(place),
            key: node.identity.public(),
            tls_spki_sha256: [u8::try_from(place).unwrap(); 32],
            former_keys: Vec::new(),
            address: String::new(),
        });
        let bundle = Bundle {
            deployment: Uid([1; 16]),
            version: 1,
            issued_at: now,
            accounts: Vec::new(),
            managers: managers.collect(),
            permit_keys: Vec::new(),
            clusters: Vec::new(),
            groups: Vec::new(),
            account_caps: Caps::UNLIMITED,
            cache_ttl_seconds_max: 0,
            destroy_delay_seconds: 0,
            witnesses: Vec::new(),
            recovery_key: None,
            controls: Vec::new(),
        };
        let bundle = PinnedBundle::open(owner.public(), bundle.seal(&owner)).unwrap();
        Self {
            rng,
            now,
            threshold: Threshold::new(t, n).unwrap(),
            bundle,
            nodes,
            key: KeyVersion { account: AccountId(Uid([2; 16])), id: Uid([3; 16]), version: 1 },
            late: Vec::new(),
            calm: false,
            messages: 0,
        }
    }

    fn draw(&self, below: u64) -> u64 {
        let rng: &dyn Rng = &self.rng;
        u64::from_be_bytes(rng.array().unwrap()) % below
    }

    fn id(&self) -> Uid {
        Uid::random(&self.rng).unwrap()
    }

    fn chance(&self, per_mille: u64) -> bool {
        !self.calm && self.draw(1_000) < per_mille
    }

    fn all(&self) -> Vec<ManagerIndex> {
        let mut all: Vec<ManagerIndex> = (0..self.nodes.len()).map(index).collect();
        for place in (1..all.len()).rev() {
            let other = usize::try_from(self.draw(place as u64 + 1)).unwrap();
            all.swap(place, other);
        }
        all
    }

    /// Kills a manager and starts it again: what is not on its disk is gone.
    fn restart(&mut self, manager: ManagerIndex) {
        self.nodes[manager.place()].member = Member::default();
        self.nodes[manager.place()].disk.death.set(None);
    }

    /// What manager `to` answers to what arrives from `from`; nothing when it dies of it.
    fn serve(&mut self, from: ManagerIndex, to: ManagerIndex, bytes: &[u8]) -> Option<PeerAnswer> {
        if self.chance(15) {
            let death = if self.chance(500) { Death::Before } else { Death::After };
            self.nodes[to.place()].disk.death.set(Some(death));
        }
        let request = PeerRequest::from_bytes(bytes).unwrap();
        let Node { identity, disk, member } = &mut self.nodes[to.place()];
        let env = Env {
            me: to,
            identity,
            bundle: &self.bundle,
            now: self.now,
            rng: &self.rng,
            vault: disk,
        };
        let served = member.serve(&env, from, request);
        match served {
            Ok(served) => {
                for (peer, message) in served.before {
                    match self.call(to, peer, message.expose()) {
                        Some(PeerAnswer::Taken) => {}
                        _ => return Some(PeerAnswer::Refused(Refusal::DealMissing)),
                    }
                }
                Some(served.answer)
            }
            Err(blame) if blame.refusal == Refusal::BadRecord => {
                self.restart(to);
                None
            }
            Err(blame) => Some(PeerAnswer::Refused(blame.refusal)),
        }
    }

    /// Sends a message over the network, which may lose it or its answer, repeat or keep it.
    fn call(&mut self, from: ManagerIndex, to: ManagerIndex, bytes: &[u8]) -> Option<PeerAnswer> {
        self.messages += 1;
        if self.chance(100) && !self.late.is_empty() {
            let place = usize::try_from(self.draw(self.late.len() as u64)).unwrap();
            let (from, to, bytes) = self.late.swap_remove(place);
            self.serve(from, to, &bytes);
        }
        if self.chance(60) {
            self.late.push((from, to, bytes.to_vec()));
        }
        if self.chance(4) {
            self.restart(to);
        }
        if self.chance(8) {
            return None;
        }
        if self.chance(60) {
            self.serve(from, to, bytes);
        }
        let answer = self.serve(from, to, bytes);
        if self.chance(8) { None } else { answer }
    }

    fn ask(
        &mut self,
        from: ManagerIndex,
        to: ManagerIndex,
        what: &PeerRequest,
    ) -> Option<PeerAnswer> {
        self.call(from, to, what.to_secret_bytes().expose())
    }

    /// Makes the key; whether all signatures are there.
    pub(crate) fn generate(&mut self) -> bool {
        let params = GenerateParams {
            session: self.id(),
            key: self.key,
            threshold: self.threshold,
            group: "main".to_owned(),
            fragment: Uid::default(),
            fragment_check: [0; 16],
            managers: self.nodes.iter().map(|node| node.identity.public()).collect(),
        };
        let mut sessions = Vec::new();
        for (place, node) in self.nodes.iter().enumerate() {
            let session =
                Session::begin(params.clone(), index(place), &node.identity, &self.rng).unwrap();
            sessions.push(session);
        }
        let round1: Vec<Signed> = sessions.iter().map(|session| session.round1().clone()).collect();
        let mut deals = Vec::new();
        for (place, session) in sessions.iter_mut().enumerate() {
            // The gateway repeats what is not answered; a repetition changes nothing.
            for _ in 0..1 + self.draw(2) {
                session.exchange(&round1, &self.rng).unwrap();
            }
            deals.extend(session.outgoing().into_iter().map(|deal| (index(place), deal)));
        }
        while !deals.is_empty() {
            let next = usize::try_from(self.draw(deals.len() as u64)).unwrap();
            let (from, (to, bytes)) = deals.swap_remove(next);
            if self.chance(20) {
                continue;
            }
            for _ in 0..1 + self.draw(2) {
                let PeerRequest::Deal(deal) = PeerRequest::from_bytes(bytes.expose()).unwrap()
                else {
                    panic!("not a deal")
                };
                sessions[to.place()].take_deal(from, deal).unwrap();
            }
        }
        let made: Result<Vec<PendingKey>, _> =
            sessions.iter_mut().map(|session| session.finish()).collect();
        let Ok(made) = made else { return false };
        let proposals: Vec<_> = made.iter().map(|pending| pending.proposal().clone()).collect();
        let manifest = params.manifest(&proposals).unwrap().to_bytes();
        for (node, pending) in self.nodes.iter().zip(&made) {
            if self.chance(20) {
                // It dies before it keeps the fragments: it never signs.
                return false;
            }
            pending.sign(&manifest, &node.identity).unwrap();
            node.disk.add(self.key, &manifest, pending.shares().to_record());
        }
        true
    }

    pub(crate) fn something_happens(&mut self) {
        let manager = index(usize::try_from(self.draw(self.nodes.len() as u64)).unwrap());
        match self.draw(10) {
            0..=4 => self.refresh(manager),
            5 => self.catch_up(manager),
            6 => self.finish_prepared(manager),
            7 => self.repair(manager),
            8 => self.restart(manager),
            _ => self.now = self.now.plus_seconds(61),
        }
    }

    fn refresh(&mut self, me: ManagerIndex) {
        let Some(mine) = self.vault(me).epoch(&self.key).unwrap() else { return };
        if !mine.held {
            return;
        }
        let mut participants = ManagerSet::EMPTY.with(me);
        let mut highest = mine.highest;
        let ask = PeerRequest::Epochs(vec![self.key]);
        for other in self.all().into_iter().filter(|other| *other != me) {
            let Some(PeerAnswer::Keys(known)) = self.ask(me, other, &ask) else { continue };
            let Some(known) = known.first() else { continue };
            highest = highest.max(known.highest);
            if known.held && known.epoch == mine.epoch {
                participants = participants.with(other);
            }
        }
        if participants.len() < participants_min(self.threshold) {
            return;
        }
        let mut run = RefreshRun::new(RefreshParams {
            session: self.id(),
            coordinator: me,
            participants,
            threshold: self.threshold,
            salt: [7; 32],
            keys: vec![RefreshKey { key: self.key, from: mine.epoch, to: highest + 1 }],
        });
        while let RunStep::Send(mut messages) = run.step() {
            if self.draw(2) == 0 {
                messages.reverse();
            }
            for (to, message) in messages {
                let answer = self.call(me, to, message.expose());
                run.offer(to, answer);
            }
        }
    }

    fn catch_up(&mut self, me: ManagerIndex) {
        for other in self.all().into_iter().filter(|other| *other != me) {
            let ask = PeerRequest::Records(vec![self.key]);
            if let Some(PeerAnswer::Records(records)) = self.ask(me, other, &ask) {
                let records: Vec<SignedRecord> = records.into_iter().flatten().collect();
                self.take(me, &records);
            }
        }
    }

    fn take(&mut self, me: ManagerIndex, records: &[SignedRecord]) {
        let Node { identity, disk, .. } = &self.nodes[me.place()];
        let (bundle, now, rng) = (&self.bundle, self.now, &self.rng);
        commit(&Env { me, identity, bundle, now, rng, vault: disk }, records).unwrap();
    }

    fn finish_prepared(&mut self, me: ManagerIndex) {
        let Some(mine) = self.vault(me).epoch(&self.key).unwrap() else { return };
        let Some(own) = self.vault(me).shelved(&self.key, mine.highest).unwrap() else { return };
        let participants = EpochRecord::from_bytes(&own.body).unwrap().participants;
        let ask = PeerRequest::Shelf(vec![(self.key, mine.highest)]);
        let mut signatures: BTreeMap<ManagerIndex, Signature> = BTreeMap::new();
        for to in participants.iter() {
            let Some(PeerAnswer::Prepared(prepared)) = self.ask(me, to, &ask) else { return };
            if prepared[0].body != own.body {
                return;
            }
            signatures.insert(to, prepared[0].signature);
        }
        let signatures = signatures.into_values().collect();
        let record = SignedRecord { body: own.body, signatures };
        let message = PeerRequest::RefreshCommit(vec![record]);
        for to in participants.iter() {
            self.ask(me, to, &message);
        }
    }

    fn repair(&mut self, me: ManagerIndex) {
        self.catch_up(me);
        let Some(mine) = self.vault(me).epoch(&self.key).unwrap() else { return };
        if mine.held {
            return;
        }
        let mut able = ManagerSet::EMPTY;
        let ask = PeerRequest::Epochs(vec![self.key]);
        for other in self.all().into_iter().filter(|other| *other != me) {
            let Some(PeerAnswer::Keys(known)) = self.ask(me, other, &ask) else { continue };
            if known.first().is_some_and(|known| known.held && known.epoch == mine.epoch) {
                able = able.with(other);
            }
        }
        let helpers: ManagerSet = able.iter().take(usize::from(self.threshold.t())).collect();
        let params = RepairParams {
            session: self.id(),
            manager: me,
            helpers,
            threshold: self.threshold,
            keys: vec![(self.key, mine.epoch)],
        };
        let Ok(mut run) = RepairRun::new(params) else { return };
        for helper in helpers.iter() {
            self.call(me, helper, run.begin().expose());
        }
        for helper in helpers.iter() {
            match self.call(me, helper, run.collect().expose()) {
                Some(PeerAnswer::Help(help)) => run.offer(helper, help),
                _ => return,
            }
        }
        let admitted = run.finish(&self.bundle).unwrap();
        for admitted in admitted {
            self.nodes[me.place()].disk.admit(admitted).ok();
        }
    }

    /// The network is well again, and every manager does its chores.
    pub(crate) fn calm_down(&mut self) {
        self.calm = true;
        self.late.clear();
        self.now = self.now.plus_seconds(61);
        for _ in 0..3 {
            for manager in (0..self.nodes.len()).map(index) {
                self.restart(manager);
                self.catch_up(manager);
                self.finish_prepared(manager);
                self.repair(manager);
            }
        }
        self.refresh(index(0));
    }

    /// At which epochs the managers that hold a share are.
    pub(crate) fn epochs(&self) -> BTreeSet<u32> {
        let epochs = (0..self.nodes.len()).filter_map(|place| {
            let known = self.nodes[place].disk.epoch(&self.key).unwrap()?;
            known.held.then_some(known.epoch)
        });
        epochs.collect()
    }

    fn vault(&self, manager: ManagerIndex) -> &Disk {
        &self.nodes[manager.place()].disk
    }

    /// What every quorum of managers that are at one epoch derives: one value, or they differ.
    pub(crate) fn derive_all(&self) -> [u8; 32] {
        let shares: Vec<KeyShares> = (0..self.nodes.len())
            .map(|place| self.nodes[place].disk.all_shares(&self.key).remove(0))
            .collect();
        let points: Vec<[u8; 32]> = shares.iter().map(point).collect();
        let mut values = BTreeSet::new();
        for quorum in self.threshold.managers().subsets(self.threshold.t()) {
            let of_quorum: Vec<_> =
                quorum.iter().map(|m| decode_point(&points[m.place()]).unwrap()).collect();
            values.insert(Interpolation::of(quorum).combine(&of_quorum)[0].0);
        }
        assert_eq!(values.len(), 1, "quorums differ");
        values.pop_first().unwrap()
    }

    /// At some epoch t managers at least have shares on their disks, and derive what they did.
    pub(crate) fn nothing_is_lost(&self, truth: &[u8; 32]) {
        let mut by_epoch: BTreeMap<u32, Vec<(ManagerIndex, [u8; 32])>> = BTreeMap::new();
        for place in 0..self.nodes.len() {
            for shares in self.nodes[place].disk.all_shares(&self.key) {
                by_epoch.entry(shares.epoch()).or_default().push((index(place), point(&shares)));
            }
        }
        let t = usize::from(self.threshold.t());
        let whole = by_epoch.values().filter(|held| held.len() >= t).any(|held| {
            let quorum: ManagerSet = held.iter().take(t).map(|(manager, _)| *manager).collect();
            let points: Vec<_> =
                held.iter().take(t).map(|(_, point)| decode_point(point).unwrap()).collect();
            Interpolation::of(quorum).combine(&points)[0].0 == *truth
        });
        assert!(whole, "neither the old nor the new epoch");
    }
}

/// What these shares derive for one fixed item.
fn point(shares: &KeyShares) -> [u8; 32] {
    let key = shares.key();
    let context = Context::new(&ContextFields {
        class: Class::SecretItem,
        account: key.account,
        key_id: key.id,
        key_version: key.version,
        item_id: Uid([9; 16]),
        item_version: 1,
        salt: [8; 32],
    });
    let checked = Checked {
        cluster: Uid::default(),
        gateway_spki_sha256: [0; 32],
        account: key.account,
        op: Op::Read,
        mode: Mode::Read,
        manager: shares.g().manager(),
        quorum: ManagerSet::EMPTY,
        request_sha256: [0; 32],
        request_id: Uid::default(),
        permit_sha256: [0; 32],
        permit_id: Uid::default(),
        permit_expires_at: Timestamp(0),
        max_uses: 1,
        audit_seq: 0,
        keys: vec![CheckedKey { key, group: String::new(), epoch_hint: None }],
        entries: vec![CheckedEntry { slot: 0, index: 0, item_id: Uid([9; 16]), context }],
    };
    let rng = Seeded(0, AtomicU64::new(0));
    let derived = derive(&checked, &[shares], &rng).unwrap();
    let identity = SigningKey::generate(&rng).unwrap();
    let answer = derived.seal(&checked, Vec::new(), &identity);
    SecretBytes::expose(&answer.outputs).first_chunk().copied().unwrap()
}
