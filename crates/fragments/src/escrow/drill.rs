//! The whole ceremony with throw-away keys, for people who want to see it work before they need it.

use keysherd_base::{AccountId, Clock, Rng, Secret, Uid};
use keysherd_crypto::hpke;
use keysherd_crypto::sign::SigningKey;

use super::{Export, SignedExport, recover};
use crate::bundle::pinned::PinnedBundle;
use crate::bundle::{Bundle, Caps, ManagerEntry};
use crate::encoding::Encoding;
use crate::keygen::{GenerateParams, PendingKey, Session};
use crate::manager_set::{ManagerIndex, Threshold};
use crate::manifest::KeyVersion;
use crate::messages::PeerRequest;
use crate::recovery_share::{
    RecoveryShare, ShareProblem, combine_recovery_key, split_recovery_key,
};
use crate::refusal::Refusal;
use crate::repair::KeyNotes;

/// Custodians, and how many of them are needed.
const CUSTODIANS: (u8, u8) = (2, 3);

/// What a drill found wrong: the step, and what happened in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrillFailed(pub &'static str);

impl std::fmt::Display for DrillFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the drill failed: {}; do not rely on exports of this program", self.0)
    }
}

impl std::error::Error for DrillFailed {}

/// A deployment of three managers that lives as long as the drill.
struct Stage {
    bundle: PinnedBundle,
    identities: Vec<SigningKey>,
    held: Vec<PendingKey>,
    notes: KeyNotes,
    recovery_key: Vec<u8>,
}

/// Makes keys, exports them, loses them and brings them back. Gives one sentence for each thing
/// that was proved. Nothing is written, and no key of a deployment is touched.
///
/// # Errors
/// [`DrillFailed`] names the first thing that is not as it should be.
pub fn drill(clock: &dyn Clock, rng: &dyn Rng) -> Result<Vec<&'static str>, DrillFailed> {
    let mut proved = Vec::new();
    let mut seed = Secret::new([0; 32]);
    rng.fill(seed.expose_mut()).map_err(|_| DrillFailed("there was no randomness"))?;
    let recovery_key = hpke::public_key(&seed);
    let stage = Stage::new(&recovery_key, clock, rng);
    let stage = stage.map_err(|_| DrillFailed("three managers did not generate a key"))?;
    proved.push("three managers generated a throw-away key without a dealer");

    let shares = written_shares(&seed, rng)?;
    drop(seed);
    let few = usize::from(CUSTODIANS.0) - 1;
    if !matches!(combine_recovery_key(&shares[..few]), Err(ShareProblem::TooFew(..))) {
        return Err(DrillFailed("one custodian got the recovery key"));
    }
    proved.push("one custodian of three opens nothing");
    let seed = combine_recovery_key(&shares[few..])
        .map_err(|_| DrillFailed("two custodians did not get the recovery key"))?;
    proved.push("two custodians of three restore the recovery key from what was written down");

    let exports = [stage.export(0, clock, rng)?, stage.export(2, clock, rng)?];
    proved.push("two managers' exports are signed by them and read back");
    let stranger = SigningKey::generate(rng).map_err(|_| DrillFailed("no randomness"))?;
    if exports[0].seal(&stranger).verify(&stage.bundle).is_ok() {
        return Err(DrillFailed("an export that a stranger signed was taken"));
    }
    if exports[0].open_key(&exports[1].keys[0], &seed).is_ok() {
        return Err(DrillFailed("a key version opened as another manager's"));
    }
    proved.push("an export of a stranger, or under another manager's name, is refused");
    let lone = recover(&stage.bundle, index(1)?, &exports[..1], &seed);
    if lone.is_ok_and(|recovered| !recovered.admitted.is_empty()) {
        return Err(DrillFailed("one manager's export was enough"));
    }
    proved.push("one export of two that are needed gives no fragment");
    for (number, held) in (1..).zip(&stage.held) {
        let recovered = recover(&stage.bundle, index(number)?, &exports, &seed)
            .map_err(|_| DrillFailed("the exports did not open"))?;
        let same = |back: &crate::repair::Admitted| {
            back.shares.to_record().expose() == held.shares().to_record().expose()
        };
        if recovered.admitted.len() != 1 || !recovered.admitted.iter().all(same) {
            return Err(DrillFailed("a manager's fragments did not come back as they were"));
        }
    }
    proved.push("all three managers' fragments came back exactly, each checked against its key");
    Ok(proved)
}

/// The shares as custodians read them from what they were given.
fn written_shares(
    seed: &Secret<[u8; 32]>,
    rng: &dyn Rng,
) -> Result<Vec<RecoveryShare>, DrillFailed> {
    let failed = |_| DrillFailed("the recovery key was not shared");
    let made = split_recovery_key(seed, CUSTODIANS.0, CUSTODIANS.1, rng).map_err(failed)?;
    let read = made.iter().map(|share| RecoveryShare::parse(share.to_key_text().expose()));
    read.collect::<Result<_, _>>().map_err(failed)
}

fn index(number: u8) -> Result<ManagerIndex, DrillFailed> {
    ManagerIndex::new(number).ok_or(DrillFailed("there is no such manager"))
}

impl Stage {
    fn new(recovery_key: &[u8], clock: &dyn Clock, rng: &dyn Rng) -> Result<Self, Refusal> {
        let key = || SigningKey::generate(rng).map_err(Refusal::from);
        let owner = key()?;
        let identities = vec![key()?, key()?, key()?];
        let managers = (1..).zip(&identities).map(|(number, identity)| {
            Ok(ManagerEntry {
                index: ManagerIndex::new(number).ok_or(Refusal::WrongManager)?,
                key: identity.public(),
                tls_spki_sha256: identity.public().spki_sha256(),
                former_keys: Vec::new(),
                address: String::new(),
            })
        });
        let bundle = Bundle {
            deployment: Uid::random(rng)?,
            version: 1,
            issued_at: clock.now(),
            accounts: Vec::new(),
            managers: managers.collect::<Result<_, Refusal>>()?,
            permit_keys: Vec::new(),
            clusters: Vec::new(),
            groups: Vec::new(),
            account_caps: Caps::UNLIMITED,
            cache_ttl_seconds_max: 0,
            destroy_delay_seconds: 0,
            witnesses: Vec::new(),
            recovery_key: Some(recovery_key.to_vec()),
            controls: Vec::new(),
        };
        let bundle = PinnedBundle::open(owner.public(), bundle.seal(&owner))?;
        let params = GenerateParams {
            session: Uid::random(rng)?,
            key: KeyVersion {
                account: AccountId(Uid::random(rng)?),
                id: Uid::random(rng)?,
                version: 1,
            },
            threshold: Threshold::new(2, 3).ok_or(Refusal::BadEntries)?,
            group: "drill".to_owned(),
            fragment: Uid::default(),
            fragment_check: [0; 16],
            managers: identities.iter().map(SigningKey::public).collect(),
        };
        let held = generate(&params, &identities, rng)?;
        let proposals: Vec<_> = held.iter().map(|pending| pending.proposal().clone()).collect();
        let manifest = params.manifest(&proposals)?.to_bytes();
        let notes = KeyNotes { manifest, session: params.session, gateway: [0; 32] };
        Ok(Self { bundle, identities, held, notes, recovery_key: recovery_key.to_vec() })
    }

    /// The export of the manager at a place, as whoever keeps the file reads it.
    fn export(
        &self,
        place: usize,
        clock: &dyn Clock,
        rng: &dyn Rng,
    ) -> Result<Export, DrillFailed> {
        let make = || -> Result<Export, Refusal> {
            let held = self.held.get(place).ok_or(Refusal::WrongManager)?;
            let identity = self.identities.get(place).ok_or(Refusal::WrongManager)?;
            let deployment = self.bundle.bundle().deployment;
            let (manager, key) = (held.shares().g().manager(), identity.public());
            let recovery_key = &self.recovery_key;
            let mut export = Export::begin(deployment, manager, key, recovery_key, clock.now())?;
            export.add(recovery_key, held.shares(), &self.notes, None, rng)?;
            let file = export.seal(identity).to_bytes();
            SignedExport::from_bytes(&file)?.verify(&self.bundle)
        };
        make().map_err(|_| DrillFailed("a manager did not export, or its file was refused"))
    }
}

/// A key generation among managers that are all here.
fn generate(
    params: &GenerateParams,
    identities: &[SigningKey],
    rng: &dyn Rng,
) -> Result<Vec<PendingKey>, Refusal> {
    let managers = params.threshold.managers();
    let sessions = managers
        .iter()
        .zip(identities)
        .map(|(manager, identity)| Session::begin(params.clone(), manager, identity, rng));
    let mut sessions = sessions.collect::<Result<Vec<_>, _>>()?;
    let round1: Vec<_> = sessions.iter().map(|session| session.round1().clone()).collect();
    let mut deals = Vec::new();
    for (from, session) in managers.iter().zip(&mut sessions) {
        session.exchange(&round1, rng).map_err(|blame| blame.refusal)?;
        deals.extend(session.outgoing().into_iter().map(|(to, deal)| (from, to, deal)));
    }
    for (from, to, deal) in deals {
        if let PeerRequest::Deal(deal) = PeerRequest::from_bytes(deal.expose())?
            && let Some(session) = sessions.get_mut(to.place())
        {
            session.take_deal(from, deal)?;
        }
    }
    let finished = sessions.iter_mut().map(|session| session.finish());
    finished.collect::<Result<_, _>>().map_err(|blame| blame.refusal)
}
