//! Generation among managers that trust neither the gateway nor each other.

use std::sync::Arc;

use keysherd_base::{SecretBytes, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_fragments::encoding::{Encoding, Signed};
use keysherd_fragments::gateway_side::self_test;
use keysherd_fragments::keygen::{
    Exchange, GenerateParams, GenerateRequest, Proposal, SESSION_SECONDS_MAX, SESSIONS_MAX,
};
use keysherd_fragments::manager_set::Threshold;
use keysherd_fragments::manifest::{KeyVersion, Manifest, SignedManifest};
use keysherd_fragments::messages::{GenerateCall, ManagerAnswer, ManagerRequest};
use keysherd_fragments::permit::{Op, Subject};
use keysherd_fragments::refusal::Refusal;
use keysherd_fragments::share::KeyShares;

use crate::cluster::{ACCOUNT, FRAGMENT_ID, TestCluster, index};
use crate::manager::Conduct;

type Step<T> = Result<T, Refusal>;

impl TestCluster {
    /// The whole generation, as a gateway drives it.
    pub(crate) fn generate(&mut self, threshold: Threshold, fragment: Uid) -> Step<KeyVersion> {
        let params = self.params(threshold, fragment);
        let (_, round1) = self.begin(&params)?;
        self.exchange(&params, &round1)?;
        let proposals = self.collect(&params)?;
        let manifest = params.manifest(&proposals)?;
        let signed = self.sign(&params, &manifest)?;
        let trusted = SignedManifest::from_bytes(&signed.to_bytes())?.verify(&self.pinned)?;
        self.manifests.insert(params.key, Arc::new(trusted));
        Ok(params.key)
    }

    pub(crate) fn params(&mut self, threshold: Threshold, fragment: Uid) -> GenerateParams {
        GenerateParams {
            session: self.fresh_id(),
            key: KeyVersion { account: ACCOUNT, id: self.fresh_id(), version: 1 },
            threshold,
            group: "default".to_owned(),
            fragment,
            fragment_check: [0; 16],
            managers: self
                .managers
                .iter()
                .take(usize::from(threshold.n()))
                .map(|manager| manager.identity.public())
                .collect(),
        }
    }

    pub(crate) fn generate_call(&mut self, params: &GenerateParams) -> GenerateCall {
        let entry = self_test::permit_entry(&params.key, [7; 32], Subject::default());
        let permit = self.permit(Op::Generate, vec![entry]);
        let permit = self.sign_permit(&permit);
        let permit_sha256 = sha256(&[&permit.body]);
        let request = GenerateRequest { permit_sha256, params: params.clone() };
        GenerateCall { permit, request: request.seal(&self.gateway), endorsement: None }
    }

    fn begin(&mut self, params: &GenerateParams) -> Step<(GenerateCall, Vec<Signed>)> {
        let call = self.generate_call(params);
        let request = ManagerRequest::GenerateBegin(call.clone());
        let round1 = self.ask_all(params, &request, |answer| match answer {
            ManagerAnswer::Round1(signed) => Some(signed),
            _ => None,
        });
        Ok((call, round1?))
    }

    fn exchange(&mut self, params: &GenerateParams, round1: &[Signed]) -> Step<()> {
        let exchange = Exchange { session: params.session, round1: round1.to_vec() };
        let request = ManagerRequest::GenerateExchange(exchange);
        let done = self.ask_all(params, &request, |answer| {
            matches!(answer, ManagerAnswer::Exchanged).then_some(())
        });
        done.map(drop)
    }

    fn collect(&mut self, params: &GenerateParams) -> Step<Vec<Proposal>> {
        let request = ManagerRequest::GenerateCollect { session: params.session };
        self.ask_all(params, &request, |answer| match answer {
            ManagerAnswer::Proposal(proposal) => Some(proposal),
            _ => None,
        })
    }

    fn sign(&mut self, params: &GenerateParams, manifest: &Manifest) -> Step<SignedManifest> {
        let body = manifest.to_bytes();
        let request =
            ManagerRequest::GenerateSign { session: params.session, manifest: body.clone() };
        let signatures = self.ask_all(params, &request, |answer| match answer {
            ManagerAnswer::ManifestSignature(signature) => Some(signature),
            _ => None,
        });
        Ok(SignedManifest { body, signatures: signatures? })
    }

    fn ask_all<T>(
        &mut self,
        params: &GenerateParams,
        request: &ManagerRequest,
        pick: impl Fn(ManagerAnswer) -> Option<T>,
    ) -> Step<Vec<T>> {
        let mut picked = Vec::new();
        for manager in params.threshold.managers().iter() {
            match self.ask(manager, request) {
                None => return Err(Refusal::NotEnoughManagers),
                Some(ManagerAnswer::Refused(refusal)) => return Err(refusal),
                Some(answer) => picked.push(pick(answer).unwrap()),
            }
        }
        Ok(picked)
    }
}

pub(crate) fn two_of_three() -> Threshold {
    Threshold::new(2, 3).unwrap()
}

#[test]
fn every_threshold_generates_and_passes_its_self_test() {
    for (t, n) in [(2, 2), (2, 3), (3, 3), (3, 5), (4, 7)] {
        let (mut cluster, key) = TestCluster::with_key(t, n, FRAGMENT_ID);
        let fields = self_test::context_fields(&key, [7; 32]);
        let combiner = cluster.write_combiner(Op::Generate, &[fields]);
        assert_eq!(self_test::passes(&combiner), Ok(()), "{t}-of-{n}");
    }
}

#[test]
fn a_self_test_without_every_manager_does_not_pass() {
    let (mut cluster, key) = TestCluster::with_key(2, 3, Uid::default());
    let fields = self_test::context_fields(&key, [7; 32]);
    for conduct in [Conduct::Down, Conduct::WrongPoint] {
        cluster.conduct(2, conduct);
        let combiner = cluster.write_combiner(Op::Generate, &[fields]);
        assert_eq!(self_test::passes(&combiner), Err(Refusal::NotAllParticipants));
    }
    cluster.conduct(2, Conduct::WrongPartial(0));
    let combiner = cluster.write_combiner(Op::Generate, &[fields]);
    assert_eq!(self_test::passes(&combiner), Err(Refusal::SelfTestFailed));
}

#[test]
fn generation_needs_every_manager() {
    let mut cluster = TestCluster::new(3);
    cluster.conduct(3, Conduct::Down);
    let made = cluster.generate(two_of_three(), Uid::default());
    assert_eq!(made, Err(Refusal::NotEnoughManagers));
    cluster.conduct(3, Conduct::Honest);
    let params = cluster.params(two_of_three(), Uid::default());
    let (_, mut round1) = cluster.begin(&params).unwrap();
    round1.pop();
    assert_eq!(cluster.exchange(&params, &round1), Err(Refusal::NotAllParticipants));
}

#[test]
fn the_managers_must_be_the_first_of_the_bundle() {
    let mut cluster = TestCluster::new(5);
    let mut params = cluster.params(two_of_three(), Uid::default());
    params.managers.swap(0, 1);
    assert_eq!(cluster.begin(&params).unwrap_err(), Refusal::NotAllParticipants);
    let mut params = cluster.params(two_of_three(), Uid::default());
    params.managers[2] = cluster.managers[3].identity.public();
    assert_eq!(cluster.begin(&params).unwrap_err(), Refusal::NotAllParticipants);
}

#[test]
fn steps_can_be_repeated_but_not_skipped() {
    let mut cluster = TestCluster::new(3);
    let params = cluster.params(two_of_three(), Uid::default());
    let (call, round1) = cluster.begin(&params).unwrap();
    let again = cluster.ask(index(1), &ManagerRequest::GenerateBegin(call));
    assert!(matches!(again, Some(ManagerAnswer::Refused(Refusal::SessionExists))));
    assert_eq!(cluster.collect(&params), Err(Refusal::DealMissing));
    cluster.exchange(&params, &round1).unwrap();
    cluster.exchange(&params, &round1).unwrap();
    let proposals = cluster.collect(&params).unwrap();
    assert_eq!(cluster.collect(&params).unwrap(), proposals);
    let manifest = params.manifest(&proposals).unwrap();
    let signed = cluster.sign(&params, &manifest).unwrap();
    assert_eq!(cluster.sign(&params, &manifest).unwrap(), signed);
    assert!(signed.verify(&cluster.pinned).is_ok());
}

#[test]
fn a_key_version_is_made_once() {
    let mut cluster = TestCluster::new(3);
    let mut params = cluster.params(two_of_three(), Uid::default());
    cluster.begin(&params).unwrap();
    params.session = cluster.fresh_id();
    assert_eq!(cluster.begin(&params).unwrap_err(), Refusal::KeyExists, "while it is being made");
    let (mut cluster, key) = TestCluster::with_key(2, 3, Uid::default());
    let mut params = cluster.params(two_of_three(), Uid::default());
    params.key = key;
    assert_eq!(cluster.begin(&params).unwrap_err(), Refusal::KeyExists, "when it is made");
}

#[test]
fn sessions_expire_and_are_bounded() {
    let mut cluster = TestCluster::new(3);
    let params = cluster.params(two_of_three(), Uid::default());
    let (_, round1) = cluster.begin(&params).unwrap();
    cluster.now = cluster.now.plus_seconds(SESSION_SECONDS_MAX + 1);
    assert_eq!(cluster.exchange(&params, &round1), Err(Refusal::SessionExpired));
    cluster.managers[0].sessions.expire(cluster.now);
    assert!(cluster.managers[0].sessions.is_empty());
    for _ in 0..SESSIONS_MAX {
        let params = cluster.params(two_of_three(), Uid::default());
        cluster.begin(&params).unwrap();
    }
    let params = cluster.params(two_of_three(), Uid::default());
    assert_eq!(cluster.begin(&params).unwrap_err(), Refusal::TooManySessions);
}

#[test]
fn a_session_belongs_to_the_gateway_that_began_it() {
    let mut cluster = TestCluster::new(3);
    let params = cluster.params(two_of_three(), Uid::default());
    let (_, round1) = cluster.begin(&params).unwrap();
    let exchange = Exchange { session: params.session, round1 };
    let request = ManagerRequest::GenerateExchange(exchange).to_bytes();
    let now = cluster.now;
    let (answer, deals) = cluster.managers[0].serve(&[8; 32], &request, now, &cluster.rng);
    assert!(matches!(answer, ManagerAnswer::Refused(Refusal::UnknownSession)));
    assert!(deals.is_empty());
}

#[test]
fn a_manifest_needs_the_signatures_of_all() {
    let (mut cluster, _) = TestCluster::with_key(2, 3, Uid::default());
    let params = cluster.params(two_of_three(), Uid::default());
    let (_, round1) = cluster.begin(&params).unwrap();
    cluster.exchange(&params, &round1).unwrap();
    let proposals = cluster.collect(&params).unwrap();
    let manifest = params.manifest(&proposals).unwrap();
    let good = cluster.sign(&params, &manifest).unwrap();
    assert!(good.verify(&cluster.pinned).is_ok());
    let bends: [fn(&mut SignedManifest); 5] = [
        |signed| signed.signatures.truncate(2),
        |signed| signed.signatures.swap(0, 1),
        |signed| signed.signatures[2].0[5] ^= 1,
        |signed| signed.signatures.push(signed.signatures[0]),
        |signed| signed.body[60] ^= 1,
    ];
    for (number, bend) in bends.iter().enumerate() {
        let mut bent = good.clone();
        bend(&mut bent);
        let refused = bent.verify(&cluster.pinned).map(drop);
        assert_eq!(refused, Err(Refusal::BadManifestSignature), "change {number}");
    }
    // A machine was replaced: what its predecessor signed stays valid.
    let replacement = cluster.control.public();
    cluster.change_bundle(|bundle| {
        let former = std::mem::replace(&mut bundle.managers[1].key, replacement);
        bundle.managers[1].former_keys.push(former);
    });
    assert!(good.verify(&cluster.pinned).is_ok());
    cluster.change_bundle(|bundle| bundle.managers[1].former_keys.clear());
    assert!(good.verify(&cluster.pinned).is_err());
}

#[test]
fn a_damaged_record_is_refused() {
    let (cluster, key) = TestCluster::with_key(2, 3, Uid::default());
    let record = cluster.managers[0].keys.0[&key].record.expose();
    let read = |bytes: Vec<u8>| KeyShares::from_record(&SecretBytes::new(bytes)).map(drop);
    assert_eq!(read(record.clone()), Ok(()));
    assert_eq!(read([record.as_slice(), &[0]].concat()), Err(Refusal::BadRecord));
    for cut in 0..record.len() {
        assert_eq!(read(record[..cut].to_vec()), Err(Refusal::BadRecord), "cut at {cut}");
    }
}
