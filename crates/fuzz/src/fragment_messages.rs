//! Messages of the fragment protocol: between gateway and managers, and between managers.

use keysherd_base::{Secret, Timestamp, Uid};
use keysherd_crypto::sign::{Signature, SigningKey};
use keysherd_fragments::bundle::Bundle;
use keysherd_fragments::bundle::endorsement::Endorsement;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::bundle::succession::{SignedBundle, Succession};
use keysherd_fragments::derive::{AnswerBody, DeriveAnswer, DeriveRequest};
use keysherd_fragments::encoding::{Encoding, Signed, SignedBy};
use keysherd_fragments::enrollment::{EnrolledRole, Enrollment};
use keysherd_fragments::escrow::{Export, ExportedKey, SignedExport};
use keysherd_fragments::keygen::{
    Deal, Exchange, GenerateParams, GenerateRequest, Proposal, Round1,
};
use keysherd_fragments::manifest::{Manifest, SignedManifest};
use keysherd_fragments::messages::{ManagerAnswer, ManagerRequest, PeerAnswer, PeerRequest};
use keysherd_fragments::order::{DestroyReceipt, OwnerOrder};
use keysherd_fragments::refusal::Refusal;

use crate::fragment_samples as samples;

type Recode = fn(&[u8]) -> Option<Vec<u8>>;

fn recode<T: Encoding>(bytes: &[u8]) -> Option<Vec<u8>> {
    T::from_bytes(bytes).ok().map(|value| value.to_bytes())
}

/// Everything that has an encoding.
const DECODERS: &[(&str, Recode)] = &[
    ("ManagerRequest", recode::<ManagerRequest>),
    ("ManagerAnswer", recode::<ManagerAnswer>),
    ("PeerRequest", recode::<PeerRequest>),
    ("PeerAnswer", recode::<PeerAnswer>),
    ("Signed", recode::<Signed>),
    ("SignedBundle", recode::<SignedBundle>),
    ("Succession", recode::<Succession>),
    ("Enrollment", recode::<Enrollment>),
    ("SignedBy", recode::<SignedBy>),
    ("DeriveRequest", recode::<DeriveRequest>),
    ("DeriveAnswer", recode::<DeriveAnswer>),
    ("AnswerBody", recode::<AnswerBody>),
    ("Bundle", recode::<Bundle>),
    ("Endorsement", recode::<Endorsement>),
    ("Manifest", recode::<Manifest>),
    ("SignedManifest", recode::<SignedManifest>),
    ("GenerateParams", recode::<GenerateParams>),
    ("GenerateRequest", recode::<GenerateRequest>),
    ("Round1", recode::<Round1>),
    ("Exchange", recode::<Exchange>),
    ("Proposal", recode::<Proposal>),
    ("Deal", recode::<Deal>),
    ("OwnerOrder", recode::<OwnerOrder>),
    ("Export", recode::<Export>),
    ("SignedExport", recode::<SignedExport>),
    ("DestroyReceipt", recode::<DestroyReceipt>),
];

/// Decodes the bytes as every message: what is accepted is encoded in the same bytes, all of which
/// count, and what the message says about itself holds.
pub fn fragment_messages(data: &[u8]) {
    for (name, recode) in DECODERS {
        let Some(again) = recode(data) else { continue };
        assert_eq!(again, data, "{name}: a second encoding");
        assert!(recode(&data[..data.len() - 1]).is_none(), "{name}: cut");
        assert!(recode(&[data, &[0]].concat()).is_none(), "{name}: lengthened");
    }
    if let Ok(answer) = ManagerAnswer::from_bytes(data) {
        assert_eq!(*answer.to_secret_bytes().expose(), data);
    }
    if let Ok(request) = PeerRequest::from_bytes(data) {
        assert_eq!(*request.to_secret_bytes().expose(), data);
    }
    if let Ok(bundle) = Bundle::from_bytes(data) {
        check_bundle(&bundle);
    }
    if let Ok(manifest) = Manifest::from_bytes(data) {
        assert!(manifest.threshold.sets().all(|set| manifest.check_of(set).is_some()));
        assert_eq!(manifest.fragment().is_none(), manifest.fragment == Uid::default());
    }
    if let Ok(params) = GenerateParams::from_bytes(data) {
        assert_eq!(params.manifest(&[]), Err(Refusal::NotAllParticipants));
        let proposals = vec![samples::proposal(); usize::from(params.threshold.n())];
        // Whether they fit depends on the threshold; it must only be decided.
        let _ = params.manifest(&proposals);
    }
}

/// A bundle that the owner signs is pinned as it is, and everything in it is found.
fn check_bundle(bundle: &Bundle) {
    for group in &bundle.groups {
        assert_eq!(bundle.group(&group.name), Some(group));
    }
    for manager in &bundle.managers {
        assert_eq!(bundle.manager(manager.index), Some(manager));
        assert_eq!(bundle.manager_by_tls(&manager.tls_spki_sha256), Some(manager));
    }
    let owner = SigningKey::from_seed(&Secret::new([77; 32]));
    let pinned =
        PinnedBundle::open(owner.public(), bundle.seal(&owner)).expect("a signed bundle is pinned");
    assert_eq!(pinned.bundle(), bundle);
    assert!(pinned.accept(bundle.seal(&owner)).is_ok(), "the very same");
    let forged = SignedBundle { signature: Signature([0; 64]), ..bundle.seal(&owner) };
    assert_eq!(pinned.accept(forged).err(), Some(Refusal::BadBundleSignature));
    for cluster in &bundle.clusters {
        for instance in &cluster.instances {
            assert_eq!(pinned.cluster_of(instance, None, Timestamp(0)), Ok(cluster));
        }
    }
    assert_eq!(
        pinned.cluster_of(&[99; 32], None, Timestamp(0)).err(),
        (!bundle.clusters.iter().any(|cluster| cluster.instances.contains(&[99; 32])))
            .then_some(Refusal::UnknownGateway)
    );
}

fn export() -> Export {
    Export {
        deployment: Uid([1; 16]),
        manager: samples::index(1),
        identity: samples::manager_key(1).public(),
        recovery_sha256: [2; 32],
        made_at: Timestamp(3),
        keys: vec![ExportedKey { key: samples::manifest().key, epoch: 4, sealed: vec![5; 40] }],
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let endorsement = Endorsement {
        cluster: Uid([7; 16]),
        instance_spki_sha256: [8; 32],
        not_before: Timestamp(1),
        not_after: Timestamp(2),
    };
    let round1 = Round1 {
        params_sha256: [1; 32],
        manager: samples::index(2),
        commitments: vec![[3; 32]; 2],
        proof: [4; 64],
    };
    let signatures = vec![Signature([9; 64]); 3];
    let succession = Succession {
        deployment: Uid([1; 16]),
        former: samples::manager_key(1).public(),
        next: samples::manager_key(2).public(),
        issued_at: Timestamp(3),
    };
    let enrollment = Enrollment {
        role: EnrolledRole::Control { permit_key: samples::manager_key(1).public() },
        key: samples::manager_key(2).public(),
        name: "control-1".to_owned(),
        address: String::new(),
        made_at: Timestamp(4),
    };
    let relayed =
        SignedBundle::from(samples::signed()).with_successions(vec![samples::signed(); 2]);
    let mut seeds = vec![
        samples::signed().to_bytes(),
        relayed.to_bytes(),
        succession.to_bytes(),
        enrollment.to_bytes(),
        samples::signed_by().to_bytes(),
        samples::derive_request().to_bytes(),
        samples::derive_answer().to_bytes(),
        samples::answer_body().to_bytes(),
        samples::bundle().to_bytes(),
        endorsement.to_bytes(),
        samples::manifest().to_bytes(),
        SignedManifest { body: samples::manifest().to_bytes(), signatures }.to_bytes(),
        samples::params().to_bytes(),
        GenerateRequest { permit_sha256: [1; 32], params: samples::params() }.to_bytes(),
        round1.to_bytes(),
        samples::proposal().to_bytes(),
        samples::deal().to_bytes(),
        samples::order().to_bytes(),
        samples::receipt().to_bytes(),
        export().to_bytes(),
        export().seal(&samples::manager_key(1)).to_bytes(),
        PeerAnswer::Taken.to_bytes(),
        PeerAnswer::Refused(Refusal::BadDeal).to_bytes(),
    ];
    seeds.extend(samples::requests().iter().map(Encoding::to_bytes));
    seeds.extend(samples::answers().iter().map(Encoding::to_bytes));
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_seed_is_a_message_and_each_message_has_a_seed() {
        let seeds = seeds();
        for (number, seed) in seeds.iter().enumerate() {
            let read = DECODERS.iter().any(|(_, recode)| recode(seed).is_some());
            assert!(read, "seed {number} is no message");
        }
        // Exchange and deal travel inside a request only.
        for (name, recode) in
            DECODERS.iter().filter(|(name, _)| !["Exchange", "Deal"].contains(name))
        {
            assert!(seeds.iter().any(|seed| recode(seed).is_some()), "{name} has no seed");
        }
    }
}
