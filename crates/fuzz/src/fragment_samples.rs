//! Good values of the fragment protocol's messages, for seeds.

use keysherd_base::{AccountId, Secret, SecretBytes, Timestamp, Uid};
use keysherd_crypto::sign::{PublicKey, Signature, SigningKey};
use keysherd_fragments::bundle::{
    Bundle, Caps, Cluster, ControlEntry, KeyGroup, ManagerEntry, PermitKey,
};
use keysherd_fragments::derive::{AnswerBody, DeriveAnswer, DeriveRequest, KeyAnswer, Mode};
use keysherd_fragments::dleq::Proof;
use keysherd_fragments::encoding::{Encoding, Signed, SignedBy};
use keysherd_fragments::keygen::{Deal, Exchange, GenerateParams, Proposal};
use keysherd_fragments::manager_set::{ManagerIndex, ManagerSet, Threshold};
use keysherd_fragments::manifest::{KeyVersion, Manifest, SignedManifest};
use keysherd_fragments::messages::{
    DeriveCall, GenerateCall, ManagerAnswer, ManagerRequest, PeerRequest, Status,
};
use keysherd_fragments::order::{Condition, DestroyReceipt, KeyReport, OrderAction, OwnerOrder};
use keysherd_fragments::permit::Op;
use keysherd_fragments::refusal::Refusal;

/// Multiples 1 to 4 of the base point (RFC 9496, appendix A.1): the key 1 shared as 1 + x.
const MULTIPLES: [&str; 4] = [
    "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
    "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
    "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259",
    "da80862773358b466ffadfe0b3293ab3d9fd53c5ea6c955358f568322daf6a57",
];

pub(crate) fn index(number: u8) -> ManagerIndex {
    ManagerIndex::new(number).expect("invariant: 1 to 7")
}

pub(crate) fn two_of_three() -> Threshold {
    Threshold::new(2, 3).expect("invariant: a threshold")
}

/// The identity key of a manager of [`bundle`].
pub(crate) fn manager_key(number: u8) -> SigningKey {
    SigningKey::from_seed(&Secret::new([number; 32]))
}

fn manager_keys() -> Vec<PublicKey> {
    (1..=3).map(|number| manager_key(number).public()).collect()
}

pub(crate) fn signed() -> Signed {
    Signed { body: vec![1, 2, 3], signature: Signature([4; 64]) }
}

pub(crate) fn signed_by() -> SignedBy {
    SignedBy { key: PublicKey([5; 32]), signed: signed() }
}

pub(crate) fn key_version() -> KeyVersion {
    KeyVersion { account: AccountId(Uid([1; 16])), id: Uid([2; 16]), version: 70_000 }
}

pub(crate) fn params() -> GenerateParams {
    GenerateParams {
        session: Uid([3; 16]),
        key: key_version(),
        threshold: two_of_three(),
        group: "default".to_owned(),
        fragment: Uid([4; 16]),
        fragment_check: [5; 16],
        managers: manager_keys(),
    }
}

pub(crate) fn caps() -> Caps {
    Caps { derivations_per_second: 500, items_per_hour: 70_000, items_per_day: 1 }
}

pub(crate) fn bundle() -> Bundle {
    let manager = |number: u8| ManagerEntry {
        index: index(number),
        key: manager_key(number).public(),
        tls_spki_sha256: [number; 32],
        former_keys: vec![PublicKey([50 + number; 32])],
        address: "m.example:8450".to_owned(),
    };
    let permit_key = PermitKey {
        key: PublicKey([6; 32]),
        not_before: Timestamp(0),
        not_after: Timestamp(i64::MAX),
    };
    let cluster = Cluster {
        id: Uid([7; 16]),
        instances: vec![[8; 32]],
        cluster_key: Some(PublicKey([9; 32])),
        groups: vec!["default".to_owned()],
        fragments: vec![Uid([10; 16])],
        ops: Op::ALL.to_vec(),
        caps: caps(),
    };
    let group = |name: &str| KeyGroup {
        name: name.to_owned(),
        fragment_required: true,
        caps: caps(),
        key_caps: Caps::UNLIMITED,
    };
    Bundle {
        deployment: Uid([1; 16]),
        version: 300,
        issued_at: Timestamp(1_700_000_000_000),
        accounts: vec![AccountId(Uid([2; 16]))],
        managers: (1..=3).map(manager).collect(),
        permit_keys: vec![permit_key],
        clusters: vec![cluster],
        groups: vec![group("default"), group("other")],
        account_caps: caps(),
        cache_ttl_seconds_max: 60,
        destroy_delay_seconds: 604_800,
        witnesses: vec![PublicKey([11; 32])],
        recovery_key: Some(vec![12; 40]),
        controls: vec![ControlEntry {
            tls_spki_sha256: [13; 32],
            address: "[fd00::1]:8443".to_owned(),
        }],
    }
}

fn point(multiple: usize) -> [u8; 32] {
    let hex = MULTIPLES[multiple - 1];
    std::array::from_fn(|at| {
        u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("invariant: hex digits")
    })
}

/// A manifest whose managers are those of [`bundle`] and whose shares fit its group key.
pub(crate) fn manifest() -> Manifest {
    Manifest {
        key: key_version(),
        threshold: two_of_three(),
        group: "default".to_owned(),
        fragment: Uid::default(),
        fragment_check: [0; 16],
        managers: manager_keys(),
        group_key: point(1),
        public_shares: (2..=4).map(point).collect(),
        checks: vec![[8; 16]; 3],
        epoch: 0,
    }
}

pub(crate) fn derive_request() -> DeriveRequest {
    DeriveRequest {
        permit_sha256: [1; 32],
        manager: index(7),
        request_id: Uid([2; 16]),
        quorum: ManagerSet::first(7),
        entries: vec![0, 23, 24, 999],
        epoch_hints: vec![1, 70_000],
        mode: Mode::Verify,
    }
}

pub(crate) fn answer_body() -> AnswerBody {
    let proof = Some(Proof([5; 64]));
    AnswerBody {
        request_sha256: [3; 32],
        manager: index(1),
        keys: vec![KeyAnswer { epoch: 9, proof }, KeyAnswer { epoch: 10, proof: None }],
        outputs_sha256: [4; 32],
        checkpoint: vec![6; 20],
    }
}

pub(crate) fn derive_answer() -> DeriveAnswer {
    let outputs = SecretBytes::new(vec![9; 96]);
    DeriveAnswer { body: answer_body().to_bytes(), signature: Signature([2; 64]), outputs }
}

pub(crate) fn proposal() -> Proposal {
    Proposal { group_key: [1; 32], public_shares: vec![[2; 32]; 3], checks: vec![[3; 16]; 2] }
}

pub(crate) fn order() -> OwnerOrder {
    OwnerOrder {
        deployment: Uid([1; 16]),
        order_id: Uid([2; 16]),
        issued_at: Timestamp(1),
        expires_at: Timestamp(2),
        action: OrderAction::DestroyVersion { key: key_version() },
    }
}

pub(crate) fn receipt() -> DestroyReceipt {
    DestroyReceipt {
        deployment: Uid([1; 16]),
        manager: index(1),
        key: key_version(),
        manifest_sha256: [3; 32],
        order_id: Uid([2; 16]),
        order_sha256: [4; 32],
        destroyed_at: Timestamp(5),
        checkpoint: vec![6; 20],
    }
}

pub(crate) fn requests() -> Vec<ManagerRequest> {
    let call = |endorsement| DeriveCall { permit: signed(), request: signed_by(), endorsement };
    let DeriveCall { permit, request, endorsement } = call(None);
    let exchange = Exchange { session: Uid([1; 16]), round1: vec![signed(); 3] };
    vec![
        ManagerRequest::Derive(call(Some(signed()))),
        ManagerRequest::GenerateBegin(GenerateCall { permit, request, endorsement }),
        ManagerRequest::GenerateExchange(exchange),
        ManagerRequest::GenerateCollect { session: Uid([2; 16]) },
        ManagerRequest::GenerateSign { session: Uid([3; 16]), manifest: manifest().to_bytes() },
        ManagerRequest::CompleteKey(SignedManifest {
            body: manifest().to_bytes(),
            signatures: vec![Signature([9; 64]); 3],
        }),
        ManagerRequest::Status,
        ManagerRequest::Order(signed()),
        ManagerRequest::KeyReports(vec![key_version()]),
        ManagerRequest::Bundle(signed().into()),
        ManagerRequest::LogProof { from: 1, to: 3 },
    ]
}

pub(crate) fn answers() -> Vec<ManagerAnswer> {
    let status =
        Status { manager: index(3), bundle_version: 4, key_versions: 5, checkpoint: vec![6; 10] };
    vec![
        ManagerAnswer::Derived(derive_answer()),
        ManagerAnswer::Round1(signed()),
        ManagerAnswer::Exchanged,
        ManagerAnswer::Proposal(proposal()),
        ManagerAnswer::ManifestSignature(Signature([7; 64])),
        ManagerAnswer::Status(status),
        ManagerAnswer::BundlePinned { version: 8 },
        ManagerAnswer::OrderTaken { order_id: Uid([1; 16]), destroy_at: Some(Timestamp(9)) },
        ManagerAnswer::KeyReports(vec![KeyReport {
            key: key_version(),
            condition: Condition::Destroyed,
            frozen: true,
            receipt: Some(signed()),
        }]),
        ManagerAnswer::LogProof(vec![1; 64]),
        ManagerAnswer::Refused(Refusal::KeyFrozen),
    ]
}

pub(crate) fn deal() -> PeerRequest {
    PeerRequest::Deal(Deal {
        session: Uid([1; 16]),
        from: index(1),
        to: index(2),
        view_sha256: [2; 32],
        share: Secret::new([3; 32]),
        contributions: vec![(ManagerSet::first(2), Secret::new([4; 32]))],
    })
}
