//! A fragment manager in memory, with all checks, that can be made to lie.

use std::collections::BTreeMap;

use keysherd_base::{Rng, SecretBytes, Timestamp, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::sign::SigningKey;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::derive::{AnswerBody, DeriveAnswer};
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::keygen::Sessions;
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_fragments::manager_side::{
    Budget, KeyRing, KeyState, KeyStatus, UseCounter, check_derive, check_generation, derive,
};
use keysherd_fragments::manifest::{KeyVersion, Manifest, SignedManifest};
use keysherd_fragments::messages::{ManagerAnswer, ManagerRequest, PeerRequest, Status};
use keysherd_fragments::refusal::Refusal;
use keysherd_fragments::share::KeyShares;

/// How a manager behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conduct {
    Honest,
    /// Answers nothing.
    Down,
    /// Gives another manager's point, or a point of its own making.
    WrongPoint,
    /// Gives something that is no point.
    NoPoint,
    /// Flips a bit of the leg-S partial at this place of its own.
    WrongPartial(usize),
    /// Signs with another key.
    WrongSignature,
    /// Leaves half of the outputs out.
    ShortAnswer,
    /// Answers from another epoch, as after a refresh it missed.
    OtherEpoch(u32),
}

#[derive(Default)]
pub(crate) struct Keys(pub(crate) BTreeMap<KeyVersion, StoredKey>);

/// What a manager would have on disk.
pub(crate) struct StoredKey {
    pub(crate) record: SecretBytes,
    pub(crate) manifest: Manifest,
    pub(crate) state: KeyState,
    pub(crate) frozen: bool,
}

impl KeyRing for Keys {
    fn status(&self, key: &KeyVersion) -> Option<KeyStatus<'_>> {
        self.0.get(key).map(|stored| KeyStatus {
            group: &stored.manifest.group,
            fragment: stored.manifest.fragment,
            state: stored.state,
            frozen: stored.frozen,
        })
    }
}

pub(crate) struct TestManager {
    pub(crate) index: ManagerIndex,
    pub(crate) identity: SigningKey,
    pub(crate) tls_spki: [u8; 32],
    pub(crate) bundle: PinnedBundle,
    pub(crate) sessions: Sessions,
    pub(crate) keys: Keys,
    pub(crate) uses: UseCounter,
    pub(crate) budget: Budget,
    pub(crate) conduct: Conduct,
    /// Its own log: the ids of the requests it answered.
    pub(crate) log: Vec<Uid>,
}

/// What a manager gives back: its answer, and messages for its peers that must arrive first.
pub(crate) type Served = (ManagerAnswer, Vec<(ManagerIndex, SecretBytes)>);

impl TestManager {
    /// Serves one request from the connection of the gateway with `spki`.
    pub(crate) fn serve(
        &mut self,
        spki: &[u8; 32],
        bytes: &[u8],
        now: Timestamp,
        rng: &dyn Rng,
    ) -> Served {
        let served = self.try_serve(spki, bytes, now, rng);
        served.unwrap_or_else(|refusal| (ManagerAnswer::Refused(refusal), Vec::new()))
    }

    /// Takes a message from the connection of another manager.
    pub(crate) fn serve_peer(
        &mut self,
        from: ManagerIndex,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<(), Refusal> {
        match PeerRequest::from_bytes(bytes)? {
            PeerRequest::Deal(deal) => self.sessions.take_deal(from, deal, now),
            // Refresh and repair have their own managers, in `epochs`.
            _ => Err(Refusal::UnknownMessage),
        }
    }

    fn try_serve(
        &mut self,
        spki: &[u8; 32],
        bytes: &[u8],
        now: Timestamp,
        rng: &dyn Rng,
    ) -> Result<Served, Refusal> {
        let answer = match ManagerRequest::from_bytes(bytes)? {
            ManagerRequest::Derive(call) => {
                let checked = check_derive(&self.bundle, spki, self.index, &call, &self.keys, now)?;
                let (uses, ends) = (checked.max_uses, checked.permit_expires_at);
                self.uses.take(checked.permit_id, uses, ends, now)?;
                self.budget.charge(&self.bundle, &checked, now)?;
                self.log.push(checked.request_id);
                let held: Vec<KeyShares> = checked
                    .keys
                    .iter()
                    .map(|key| KeyShares::from_record(&self.keys.0[&key.key].record))
                    .collect::<Result<_, _>>()?;
                let derived = derive(&checked, &held.iter().collect::<Vec<_>>(), rng)?;
                let checkpoint = self.log.len().to_be_bytes().to_vec();
                self.distort(derived.seal(&checked, checkpoint, &self.identity), rng)
            }
            ManagerRequest::GenerateBegin(call) => {
                let ring = &self.keys;
                let checked = check_generation(&self.bundle, spki, self.index, &call, ring, now)?;
                let (uses, ends) = (checked.max_uses, checked.permit_expires_at);
                self.uses.take(checked.permit_id, uses, ends, now)?;
                let begun = self.sessions.begin(checked, self.index, &self.identity, now, rng);
                ManagerAnswer::Round1(begun?)
            }
            ManagerRequest::GenerateExchange(exchange) => {
                let deals = self.sessions.exchange(spki, &exchange, now, rng);
                return Ok((ManagerAnswer::Exchanged, deals.map_err(|blame| blame.refusal)?));
            }
            ManagerRequest::GenerateCollect { session } => {
                let proposal = self.sessions.collect(spki, &session, now);
                ManagerAnswer::Proposal(proposal.map_err(|blame| blame.refusal)?)
            }
            ManagerRequest::GenerateSign { session, manifest } => {
                let pending = self.sessions.pending(spki, &session, &manifest, now)?;
                let stored = StoredKey {
                    record: pending.shares().to_record(),
                    manifest: pending.check_manifest(&manifest)?,
                    state: KeyState::Enabled,
                    frozen: false,
                };
                self.keys.0.insert(stored.manifest.key, stored);
                let identity = &self.identity;
                let signature = self.sessions.sign(spki, &session, &manifest, identity, now)?;
                ManagerAnswer::ManifestSignature(signature)
            }
            ManagerRequest::Status => ManagerAnswer::Status(Status {
                manager: self.index,
                bundle_version: self.bundle.version(),
                key_versions: self.keys.0.len() as u64,
                checkpoint: Vec::new(),
            }),
            ManagerRequest::Bundle(signed) => {
                self.bundle = self.bundle.accept(signed)?;
                ManagerAnswer::BundlePinned { version: self.bundle.version() }
            }
            ManagerRequest::CompleteKey(manifest) => self.complete(&manifest)?,
            // The rest needs what lasts: the manager's own tests have it.
            _ => return Err(Refusal::UnknownMessage),
        };
        Ok((answer, Vec::new()))
    }

    fn complete(&self, manifest: &SignedManifest) -> Result<ManagerAnswer, Refusal> {
        let key = manifest.verify(&self.bundle)?.manifest().key;
        self.keys.0.get(&key).ok_or(Refusal::UnknownKey)?;
        Ok(ManagerAnswer::KeyCompleted)
    }

    fn distort(&self, answer: DeriveAnswer, rng: &dyn Rng) -> ManagerAnswer {
        let mut outputs = answer.outputs.expose().clone();
        match self.conduct {
            Conduct::Honest | Conduct::Down => return ManagerAnswer::Derived(answer),
            Conduct::WrongPoint => outputs[..32].copy_from_slice(&a_point()),
            Conduct::NoPoint => outputs[..32].fill(0xff),
            Conduct::WrongPartial(place) => outputs[32 * (1 + place)] ^= 1,
            Conduct::WrongSignature | Conduct::OtherEpoch(_) => {}
            Conduct::ShortAnswer => outputs.truncate(outputs.len() / 2),
        }
        let mut body = AnswerBody::from_bytes(&answer.body).unwrap();
        body.outputs_sha256 = sha256(&[&outputs]);
        if let Conduct::OtherEpoch(epoch) = self.conduct {
            body.keys.iter_mut().for_each(|key| key.epoch = epoch);
        }
        let other = SigningKey::generate(rng).unwrap();
        let key = if self.conduct == Conduct::WrongSignature { &other } else { &self.identity };
        ManagerAnswer::Derived(DeriveAnswer::seal(key, &body, SecretBytes::new(outputs)))
    }
}

/// The generator of ristretto255 (RFC 9496): a valid point, and nobody's answer.
fn a_point() -> [u8; 32] {
    let generator = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76";
    hex::decode(generator).unwrap().try_into().unwrap()
}
