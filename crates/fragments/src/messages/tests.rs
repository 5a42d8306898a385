//! Every decoder is total and strict: what it accepts it writes back byte for byte.

use keysherd_base::{AccountId, Secret, Timestamp};
use keysherd_crypto::sign::{PublicKey, SigningKey};
use proptest::prelude::*;

use super::*;
use crate::bundle::endorsement::Endorsement;
use crate::bundle::{Bundle, Caps, Cluster, ControlEntry, KeyGroup, ManagerEntry, PermitKey};
use crate::derive::{AnswerBody, DeriveRequest, KeyAnswer, Mode};
use crate::dleq::Proof;
use crate::keygen::{Deal, GenerateParams, GenerateRequest, Round1};
use crate::manager_set::{ManagerSet, Threshold};
use crate::manifest::{Manifest, SignedManifest};
use crate::order::{Condition, KeyReport};
use crate::permit::{Op, Permit};

type Recode = fn(&[u8]) -> Option<Vec<u8>>;

fn recode<T: Encoding>(bytes: &[u8]) -> Option<Vec<u8>> {
    T::from_bytes(bytes).ok().map(|value| value.to_bytes())
}

fn recode_permit(bytes: &[u8]) -> Option<Vec<u8>> {
    Permit::from_bytes(bytes).ok().map(|permit| permit.to_bytes())
}

const DECODERS: &[Recode] = &[
    recode::<ManagerRequest>,
    recode::<ManagerAnswer>,
    recode::<PeerRequest>,
    recode::<PeerAnswer>,
    recode::<Signed>,
    recode::<SignedBy>,
    recode::<DeriveRequest>,
    recode::<AnswerBody>,
    recode::<DeriveAnswer>,
    recode::<Bundle>,
    recode::<Endorsement>,
    recode::<Manifest>,
    recode::<SignedManifest>,
    recode::<GenerateParams>,
    recode::<GenerateRequest>,
    recode::<Round1>,
    recode::<Exchange>,
    recode::<Proposal>,
    recode::<Deal>,
    recode_permit,
];

fn index(number: u8) -> ManagerIndex {
    ManagerIndex::new(number).unwrap()
}

fn signed() -> Signed {
    Signed { body: vec![1, 2, 3], signature: Signature([4; 64]) }
}

fn call() -> DeriveCall {
    let request = SignedBy { key: PublicKey([5; 32]), signed: signed() };
    DeriveCall { permit: signed(), request, endorsement: Some(signed()) }
}

fn key() -> KeyVersion {
    KeyVersion { account: AccountId(Uid([1; 16])), id: Uid([2; 16]), version: 70_000 }
}

fn params() -> GenerateParams {
    GenerateParams {
        session: Uid([3; 16]),
        key: key(),
        threshold: Threshold::new(2, 3).unwrap(),
        group: "default".to_owned(),
        fragment: Uid([4; 16]),
        fragment_check: [5; 16],
        managers: vec![PublicKey([5; 32]); 3],
    }
}

fn bundle() -> Bundle {
    let caps = Caps { derivations_per_second: 500, items_per_hour: 70_000, items_per_day: 1 };
    let group = KeyGroup {
        name: "default".to_owned(),
        fragment_required: true,
        caps,
        key_caps: Caps::UNLIMITED,
    };
    Bundle {
        deployment: Uid([1; 16]),
        version: 300,
        issued_at: Timestamp(1_700_000_000_000),
        accounts: vec![AccountId(Uid([2; 16]))],
        managers: vec![ManagerEntry {
            index: index(1),
            key: PublicKey([3; 32]),
            tls_spki_sha256: [4; 32],
            former_keys: vec![PublicKey([5; 32])],
            address: "m.example:8450".to_owned(),
        }],
        permit_keys: vec![PermitKey {
            key: PublicKey([6; 32]),
            not_before: Timestamp(0),
            not_after: Timestamp(i64::MAX),
        }],
        clusters: vec![Cluster {
            id: Uid([7; 16]),
            instances: vec![[8; 32]],
            cluster_key: Some(PublicKey([9; 32])),
            groups: vec!["default".to_owned()],
            fragments: vec![Uid([10; 16])],
            ops: Op::ALL.to_vec(),
            caps,
        }],
        groups: vec![group],
        account_caps: caps,
        cache_ttl_seconds_max: 60,
        destroy_delay_seconds: 604_800,
        witnesses: vec![PublicKey([11; 32])],
        recovery_key: Some(vec![12; 1_216]),
        controls: vec![ControlEntry {
            tls_spki_sha256: [13; 32],
            address: "[fd00::1]:8443".to_owned(),
        }],
    }
}

fn manifest() -> Manifest {
    Manifest {
        key: key(),
        threshold: Threshold::new(2, 3).unwrap(),
        group: "default".to_owned(),
        fragment: Uid::default(),
        fragment_check: [0; 16],
        managers: vec![PublicKey([5; 32]); 3],
        group_key: [6; 32],
        public_shares: vec![[7; 32]; 3],
        checks: vec![[8; 16]; 3],
        epoch: 0,
    }
}

fn manifest_with_fragment() -> Manifest {
    Manifest { fragment: Uid([4; 16]), fragment_check: [5; 16], ..manifest() }
}

#[test]
fn a_check_value_needs_a_fragment_and_an_older_manifest_has_none() {
    let of_nothing = Manifest { fragment_check: [5; 16], ..manifest() };
    assert_eq!(Manifest::from_bytes(&of_nothing.to_bytes()).err(), Some(Refusal::BadManifest));
    let params = GenerateParams { fragment: Uid::default(), ..params() };
    assert_eq!(GenerateParams::from_bytes(&params.to_bytes()).err(), Some(Refusal::Malformed));
    // Bound to a fragment before there were check values: the bytes of then.
    let older = Manifest { fragment_check: [0; 16], ..manifest_with_fragment() };
    assert_eq!(older.to_bytes()[..2], [0x8b, 1]);
    assert_eq!(Manifest::from_bytes(&older.to_bytes()), Ok(older));
    assert_eq!(manifest_with_fragment().to_bytes()[..2], [0x8c, 2]);
}

fn reports() -> Vec<KeyReport> {
    let scheduled =
        Condition::Scheduled { order_id: Uid([4; 16]), destroy_at: Timestamp(1_800_000_000_000) };
    let conditions = [Condition::Unknown, Condition::Pending, Condition::Enabled, scheduled];
    let report = |condition| KeyReport { key: key(), condition, frozen: true, receipt: None };
    let mut reports: Vec<KeyReport> = conditions.map(report).into();
    let receipt = Some(signed());
    reports.push(KeyReport { key: key(), condition: Condition::Destroyed, frozen: false, receipt });
    reports
}

fn answers() -> Vec<ManagerAnswer> {
    let outputs = SecretBytes::new(vec![9; 96]);
    let proposal =
        Proposal { group_key: [1; 32], public_shares: vec![[2; 32]; 3], checks: vec![[3; 16]; 2] };
    let status =
        Status { manager: index(3), bundle_version: 4, key_versions: 5, checkpoint: vec![6; 100] };
    let derived = DeriveAnswer { body: vec![1; 50], signature: Signature([2; 64]), outputs };
    vec![
        ManagerAnswer::Derived(derived),
        ManagerAnswer::Round1(signed()),
        ManagerAnswer::Exchanged,
        ManagerAnswer::Proposal(proposal),
        ManagerAnswer::ManifestSignature(Signature([7; 64])),
        ManagerAnswer::KeyCompleted,
        ManagerAnswer::Status(status),
        ManagerAnswer::BundlePinned { version: 8 },
        ManagerAnswer::OrderTaken { order_id: Uid([1; 16]), destroy_at: None },
        ManagerAnswer::OrderTaken { order_id: Uid([1; 16]), destroy_at: Some(Timestamp(9)) },
        ManagerAnswer::KeyReports(reports()),
        ManagerAnswer::LogProof(vec![1; 64]),
        ManagerAnswer::Refused(Refusal::KeyFrozen),
    ]
}

fn requests() -> Vec<ManagerRequest> {
    let DeriveCall { permit, request, .. } = call();
    let exchange = Exchange { session: Uid([1; 16]), round1: vec![signed(); 3] };
    vec![
        ManagerRequest::Derive(call()),
        ManagerRequest::GenerateBegin(GenerateCall { permit, request, endorsement: None }),
        ManagerRequest::GenerateExchange(exchange),
        ManagerRequest::GenerateCollect { session: Uid([2; 16]) },
        ManagerRequest::GenerateSign { session: Uid([3; 16]), manifest: manifest().to_bytes() },
        ManagerRequest::CompleteKey(signed_manifest()),
        ManagerRequest::Status,
        ManagerRequest::Bundle(bundle().seal(&SigningKey::from_seed(&[1; 32].into()))),
        ManagerRequest::Order(signed()),
        ManagerRequest::KeyReports(vec![key(); 2]),
        ManagerRequest::LogProof { from: 1, to: 3 },
    ]
}

fn signed_manifest() -> SignedManifest {
    SignedManifest { body: manifest().to_bytes(), signatures: vec![Signature([9; 64]); 3] }
}

fn deal() -> Deal {
    let set = |bits| ManagerSet::from_bits(bits).unwrap();
    Deal {
        session: Uid([1; 16]),
        from: index(1),
        to: index(2),
        view_sha256: [2; 32],
        share: Secret::new([3; 32]),
        contributions: vec![(set(3), Secret::new([4; 32]))],
    }
}

/// One good encoding of everything, with the decoder it is for.
fn samples() -> Vec<(Recode, Vec<u8>)> {
    let request = DeriveRequest {
        permit_sha256: [1; 32],
        manager: index(7),
        request_id: Uid([2; 16]),
        quorum: ManagerSet::first(7),
        entries: vec![0, 23, 24, 999],
        epoch_hints: vec![1, 70_000],
        mode: Mode::Verify,
    };
    let proof = Some(Proof([5; 64]));
    let body = AnswerBody {
        request_sha256: [3; 32],
        manager: index(1),
        keys: vec![KeyAnswer { epoch: 9, proof }, KeyAnswer { epoch: 10, proof: None }],
        outputs_sha256: [4; 32],
        checkpoint: vec![6; 200],
    };
    let endorsement = Endorsement {
        cluster: Uid([7; 16]),
        instance_spki_sha256: [8; 32],
        not_before: Timestamp(1),
        not_after: Timestamp(2),
    };
    let round1 = Round1 {
        params_sha256: [1; 32],
        manager: index(2),
        commitments: vec![[3; 32]; 2],
        proof: [4; 64],
    };
    let generate = GenerateRequest { permit_sha256: [1; 32], params: params() };
    let mut samples: Vec<(Recode, Vec<u8>)> = vec![
        (recode::<DeriveRequest>, request.to_bytes()),
        (recode::<AnswerBody>, body.to_bytes()),
        (recode::<Bundle>, bundle().to_bytes()),
        (recode::<Endorsement>, endorsement.to_bytes()),
        (recode::<Manifest>, manifest().to_bytes()),
        (recode::<Manifest>, manifest_with_fragment().to_bytes()),
        (recode::<SignedManifest>, signed_manifest().to_bytes()),
        (recode::<GenerateParams>, params().to_bytes()),
        (recode::<GenerateRequest>, generate.to_bytes()),
        (recode::<Round1>, round1.to_bytes()),
        (recode::<PeerRequest>, PeerRequest::Deal(deal()).to_bytes()),
        (recode::<PeerAnswer>, PeerAnswer::Taken.to_bytes()),
        (recode::<PeerAnswer>, PeerAnswer::Refused(Refusal::BadDeal).to_bytes()),
    ];
    samples.extend(
        requests().iter().map(|message| (recode::<ManagerRequest> as Recode, message.to_bytes())),
    );
    samples.extend(
        answers().iter().map(|message| (recode::<ManagerAnswer> as Recode, message.to_bytes())),
    );
    samples
}

#[test]
fn every_message_comes_back() {
    for (number, (recode, bytes)) in samples().iter().enumerate() {
        assert_eq!(recode(bytes).as_ref(), Some(bytes), "sample {number}");
    }
    for request in requests() {
        assert_eq!(ManagerRequest::from_bytes(&request.to_bytes()), Ok(request));
    }
}

#[test]
fn secret_encodings_are_the_same_bytes() {
    for answer in answers() {
        assert_eq!(*answer.to_secret_bytes().expose(), answer.to_bytes());
    }
    let request = PeerRequest::Deal(deal());
    assert_eq!(*request.to_secret_bytes().expose(), request.to_bytes());
}

#[test]
fn cut_and_lengthened_messages_are_refused() {
    for (number, (recode, bytes)) in samples().iter().enumerate() {
        for cut in 0..bytes.len() {
            assert_eq!(recode(&bytes[..cut]), None, "sample {number} cut at {cut}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(recode(&longer), None, "sample {number} lengthened");
    }
}

#[test]
fn unknown_messages_say_so() {
    for bytes in [[0x81, 0x00], [0x81, 0x09], [0x81, 0x01], [0x82, 0x06]] {
        let refused = ManagerRequest::from_bytes(&bytes);
        assert_eq!(refused, Err(Refusal::UnknownMessage), "{bytes:?}");
    }
    assert_eq!(ManagerRequest::from_bytes(&[]), Err(Refusal::Malformed));
    let huge = vec![0; MESSAGE_BYTES_MAX + 1];
    assert_eq!(ManagerRequest::from_bytes(&huge), Err(Refusal::TooLarge));
    // A number of a refusal that this version does not know.
    assert_eq!(
        ManagerAnswer::from_bytes(&[0x82, 0x00, 0x18, 0xfe]).err(),
        Some(Refusal::UnknownMessage)
    );
}

#[test]
fn numbers_have_one_spelling() {
    // Status, its number spelled in two bytes.
    assert_eq!(ManagerRequest::from_bytes(&[0x81, 0x06]), Ok(ManagerRequest::Status));
    assert_eq!(ManagerRequest::from_bytes(&[0x81, 0x18, 0x06]), Err(Refusal::Malformed));
    // An array of indefinite length.
    assert_eq!(ManagerRequest::from_bytes(&[0x9f, 0x06, 0xff]), Err(Refusal::Malformed));
}

#[test]
fn a_declared_length_reserves_no_memory() {
    // An array of 2^62 entries where there are three bytes.
    let bytes = [0x9b, 0x40, 0, 0, 0, 0, 0, 0, 0];
    for recode in DECODERS {
        assert_eq!(recode(&bytes), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for recode in DECODERS {
            if let Some(again) = recode(&bytes) {
                prop_assert_eq!(&again, &bytes);
            }
        }
    }

    #[test]
    fn changed_messages_never_panic(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let samples = samples();
        let (recode, mut bytes) = samples[which.index(samples.len())].clone();
        let at = at.index(bytes.len());
        bytes[at] = value;
        if let Some(again) = recode(&bytes) {
            prop_assert_eq!(&again, &bytes);
        }
    }
}
