//! Messages between gateway and control plane.
//!
//! In JSON here, which shows every field; `link_messages` has the encoding that travels.

use std::net::IpAddr;
use std::sync::Arc;

use keysherd_base::{AccessId, FaultKind, FolderPath, ItemId, ItemPath, KeyId, Timestamp, Uid};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::item::{KeyAlgorithm, SecretKind, ValueFormat};
use keysherd_domain::role::{Capabilities, Capability, Rule, RuleKind};
use keysherd_plane::auth::{Login, LoginProof, LoginSubject, PasswordParamsReply};
use keysherd_plane::cache::{ChangesWait, JournalPut, JournaledRead, Receipt};
use keysherd_plane::credential_leases::{
    LeaseActivate, LeaseChoice, LeaseIntend, LeaseReport, LeaseResult, LeaseRevoke, LeaseRoom,
    LeaseTake,
};
use keysherd_plane::credential_rotations::{
    Reason, RotationBegin, RotationKeep, RotationReport, RotationResult, RotationTake,
};
use keysherd_plane::grants::{
    Grant, ItemRef, Keeping, KeyRef, Purpose, VersionWish, Wish, WriteTarget,
};
use keysherd_plane::items::{
    ItemUpdate, ItemUpdateParts, ItemsDelete, Made, SealedValue, SecretCreate, TargetChoice,
};
use keysherd_plane::roles::{AssocCreate, RoleCreate, RuleSet};
use keysherd_plane::rotation::{RewrapPut, RewrapTake, RewrappedValue};
use keysherd_plane::{
    About, AccessReply, Caller, ItemReply, KeyReply, Note, Reply, Request, SessionReply, Warned,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Decodes the bytes as each kind of message; what was decoded is encoded, decoded and encoded
/// again without a difference.
pub fn plane_messages(data: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<Request>(data) {
        assert!(!request.name().is_empty());
        check_request(&request);
    }
    check::<Reply>(data);
    check::<Caller>(data);
}

/// A request comes back from its encoding.
pub(crate) fn check_request(request: &Request) {
    check::<Request>(&encode(request));
}

fn check<T: Serialize + DeserializeOwned>(data: &[u8]) {
    let Ok(message) = serde_json::from_slice::<T>(data) else { return };
    let encoded = encode(&message);
    let again: T = serde_json::from_slice(&encoded).expect("what was encoded is decoded");
    assert_eq!(encode(&again), encoded, "{}", String::from_utf8_lossy(&encoded));
}

fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    serde_json::to_vec(message).expect("invariant: messages are JSON")
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let caller = Caller::of_the_server(Uid([1; 16]));
    let mut seeds = vec![encode(&caller), encode(&Caller { token: Some("t-0".into()), ..caller })];
    seeds.extend(requests().iter().chain(&of_secrets()).chain(&of_caches()).map(encode));
    seeds.extend(replies().iter().map(encode));
    seeds
}

fn path(text: &str) -> ItemPath {
    ItemPath::parse(text).expect("invariant: a well-formed path")
}

pub(crate) fn requests() -> Vec<Request> {
    let access_id = AccessId::parse("p-abcdefghijkl").expect("invariant: a well-formed id");
    let proof = LoginProof { signed_at: Timestamp(5), nonce: [1; 16], signature: [2; 64] };
    let key = KeyRef { key_id: KeyId::default(), version: 1, customer_fragment: None };
    let rule = Rule {
        kind: RuleKind::Item,
        path: "/a/*".to_owned(),
        capabilities: Capabilities::NONE.with(Capability::Read),
        expires: Some(Timestamp(9)),
    };
    let mut sub_claims = SubClaims::default();
    sub_claims.set("group", "ops");
    let parts = ItemUpdateParts { new_path: Some(path("/c")), ..ItemUpdateParts::default() };
    vec![
        Note {
            failure: Some(FaultKind::TooLarge),
            detail: "too large".to_owned(),
            about: vec![(About::Receiver, "logs.example:514".to_owned())],
        }
        .into(),
        Login { subject: LoginSubject::AccessId(access_id), proof, otp: None }.into(),
        Grant { wishes: wishes(), with_permit: true, keep: Keeping::No }.into(),
        RoleCreate {
            path: path("r"),
            comment: String::new(),
            delete_protection: None,
            rules: vec![rule.clone()],
        }
        .into(),
        RuleSet { role: path("r"), rule }.into(),
        AssocCreate { role: path("r"), method: path("m"), sub_claims, case_sensitive: true }.into(),
        ItemUpdate { path: path("/a/b"), parts }.into(),
        RewrapTake { salts: vec![[9; 32]; 2], after: None, except: vec![Uid([4; 16])] }.into(),
        RewrapPut {
            account: Uid([5; 16]),
            to: key,
            values: vec![RewrappedValue {
                item: ItemId(7),
                version: 3,
                from: key,
                head_sha256: [8; 32],
                wrap: Arc::from([9; 161]),
            }],
            problem: Some("a manager is down".to_owned()),
        }
        .into(),
        ItemsDelete::Items(vec![path("/a"), path("/b")]).into(),
        ItemsDelete::Below(FolderPath::parse("/").expect("invariant: the root")).into(),
    ]
}

/// What is made of secrets, dynamic ones and others, and what becomes of their credentials.
pub(crate) fn of_secrets() -> Vec<Request> {
    let key = KeyRef { key_id: KeyId::default(), version: 1, customer_fragment: None };
    let value =
        SealedValue { ciphertext: Arc::from([1, 2, 3]), key, unconfirmed: true, name_tag: None };
    let lease = Uid([6; 16]);
    vec![
        SecretCreate {
            path: path("/a/b"),
            made: Made::Dynamic {
                engine: "postgresql".to_owned(),
                user_ttl_seconds: 3_600,
                target: TargetChoice::Named(path("/.targets/db")),
            },
            uid: Uid([3; 16]),
            secret_kind: SecretKind::Password,
            format: ValueFormat::Json,
            description: "d".to_owned(),
            tags: vec!["t".to_owned()],
            protection_key: Some(path("/keys/k")),
            cluster_key: Some(ItemId(9)),
            max_versions: Some(2),
            delete_protection: Some(true),
            websites: vec!["https://h".to_owned()],
            custom_fields: [("a".to_owned(), "b".to_owned())].into(),
            change_event: false,
            value: value.clone(),
        }
        .into(),
        LeaseIntend {
            item: ItemId(7),
            target: Some(ItemId(8)),
            lease,
            handle: "tmp.u".to_owned(),
            ttl_seconds: -1,
        }
        .into(),
        LeaseActivate { lease, handle: None, ends: Some(Timestamp(9)) }.into(),
        LeaseRevoke { item: path("/a"), which: LeaseChoice::One(lease), soft: true }.into(),
        LeaseTake { limit: 256, each: 4, room: vec![LeaseRoom { place: ItemId(7), left: 0 }] }
            .into(),
        RotationTake { salts: vec![[9; 32]; 2] }.into(),
        RotationBegin { item: path("/a"), reason: Reason::Rollback(3), salt: [8; 32] }.into(),
        RotationKeep { item: ItemId(7), attempt: 2, path: path("/a"), value: value.clone() }.into(),
        RotationReport {
            item: ItemId(7),
            attempt: 2,
            result: RotationResult::Changed { partly: Some("host b".to_owned()) },
        }
        .into(),
        LeaseReport {
            results: vec![LeaseResult {
                lease,
                attempt: 2,
                failed: Some("28000".to_owned()),
                untried: true,
            }],
        }
        .into(),
    ]
}

fn of_caches() -> Vec<Request> {
    vec![
        ChangesWait { source: Uid([1; 16]), known: 7, wait_millis: 300 }.into(),
        JournalPut {
            journal: Uid([1; 16]),
            first: 1,
            sent: Timestamp(9),
            receipts: vec![Receipt { bytes: Arc::from([7; 40]) }],
            reads: vec![JournaledRead {
                receipt: 0,
                at: Timestamp(8),
                request: Uid([2; 16]),
                offline: true,
            }],
            finished: false,
        }
        .into(),
    ]
}

fn wishes() -> Vec<(Caller, Wish)> {
    let caller = Caller::of_the_server(Uid([2; 16]));
    let target = WriteTarget::NewValue {
        path: path("/a"),
        protection_key: None,
        keep_previous: Some(true),
        expected_version: None,
    };
    [
        Wish::Read { items: vec![ItemRef::Path(path("/a"))], version: VersionWish::Last(20) },
        Wish::Open { item: ItemRef::Path(path("/a")), purpose: Purpose::UseTarget },
        Wish::Write { target, salt: [4; 32] },
        Wish::Transit {
            key: ItemRef::Display("d".to_owned()),
            version: None,
            salt: [5; 32],
            encrypt: true,
        },
    ]
    .map(|wish| (caller.clone(), wish))
    .to_vec()
}

pub(crate) fn replies() -> Vec<Reply> {
    let address = IpAddr::from([10, 0, 0, 1]);
    let mut claims = SubClaims::default();
    claims.set("client_ip", address.to_string());
    vec![
        Reply::Access(AccessReply::RoleCreate(Warned { warnings: vec!["w".to_owned()] })),
        Reply::Session(SessionReply::DescribeClaims(keysherd_plane::auth::DescribeClaimsReply {
            claims,
        })),
        Reply::Session(SessionReply::PasswordParams(PasswordParamsReply {
            salt: [0; 16],
            memory_kib: 19_456,
            iterations: 2,
            parallelism: 1,
        })),
        Reply::Items(ItemReply::Grant(keysherd_plane::grants::GrantReply {
            outcomes: vec![Err(keysherd_base::Fault::forbidden("no").with_private("because"))],
            permits: Vec::new(),
        })),
        Reply::Keys(KeyReply::KeyBegin(keysherd_plane::keys::KeyBeginReply {
            account: Uid([6; 16]),
            key_id: Uid([7; 16]),
            group: KeyAlgorithm::Aes256Gcm.name().to_owned(),
            permit: keysherd_plane::grants::SignedPermit { bytes: Arc::from([8; 4]) },
        })),
    ]
}
