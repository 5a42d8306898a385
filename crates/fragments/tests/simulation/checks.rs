//! What a manager refuses by itself, whoever asks.

use keysherd_base::{Timestamp, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::sign::SigningKey;
use keysherd_fragments::bundle::endorsement::Endorsement;
use keysherd_fragments::bundle::succession::SignedBundle;
use keysherd_fragments::bundle::{Bundle, ControlEntry};
use keysherd_fragments::context::Class;
use keysherd_fragments::derive::Mode;
use keysherd_fragments::encoding::{Encoding, Signed};
use keysherd_fragments::keygen::GenerateParams;
use keysherd_fragments::manager_set::Threshold;
use keysherd_fragments::manager_side::{
    Caller, Checked, KeyState, VerifiedPermit, check_derive, check_request,
};
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::messages::{DeriveCall, ManagerAnswer, ManagerRequest};
use keysherd_fragments::permit::{Op, Permit};
use keysherd_fragments::refusal::Refusal;

use crate::cluster::{ACCOUNT, FRAGMENT_ID, TestCluster, index, permit_entries};

/// A change, and what is refused after it.
type Case<T> = (fn(&mut T), Option<Refusal>);

/// A cluster with a key, and a permit to read three items under it.
pub(crate) struct Fixture {
    pub(crate) cluster: TestCluster,
    key: KeyVersion,
    permit: Permit,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let (mut cluster, key) = TestCluster::with_key(2, 3, Uid::default());
        let items: Vec<_> = (0..3).map(|_| cluster.fields(&key, Class::SecretItem)).collect();
        let permit = cluster.permit(Op::Read, permit_entries(&items));
        Self { cluster, key, permit }
    }

    pub(crate) fn call(&self) -> DeriveCall {
        let permit = self.cluster.sign_permit(&self.permit);
        let request = self.cluster.derive_request(&permit, index(1), Mode::Read, vec![0, 2]);
        DeriveCall { permit, request, endorsement: None }
    }

    pub(crate) fn check(&self, call: &DeriveCall) -> Result<Checked, Refusal> {
        let manager = &self.cluster.managers[0];
        let (spki, now) = (self.cluster.spki(), self.cluster.now);
        check_derive(&manager.bundle, &spki, manager.index, call, &manager.keys, now)
    }

    fn refusal(&self) -> Option<Refusal> {
        self.check(&self.call()).err()
    }

    fn stored(&mut self) -> &mut crate::manager::StoredKey {
        self.cluster.managers[0].keys.0.get_mut(&self.key).unwrap()
    }
}

/// What is refused after one change to an otherwise good permit.
fn after_permit(change: impl Fn(&mut Permit)) -> Option<Refusal> {
    let mut fixture = Fixture::new();
    change(&mut fixture.permit);
    fixture.refusal()
}

/// What is refused after one change to the trust bundle.
fn after_bundle(change: impl Fn(&mut Bundle)) -> Option<Refusal> {
    let mut fixture = Fixture::new();
    fixture.cluster.change_bundle(change);
    fixture.refusal()
}

/// What is refused after one change to a call.
fn after_call(change: impl Fn(&Fixture, &mut DeriveCall)) -> Option<Refusal> {
    let fixture = Fixture::new();
    let mut call = fixture.call();
    change(&fixture, &mut call);
    fixture.check(&call).err()
}

#[test]
fn a_good_call_passes_and_carries_the_permits_contexts() {
    let fixture = Fixture::new();
    let checked = fixture.check(&fixture.call()).unwrap();
    assert_eq!(checked.entries.len(), 2);
    assert_eq!(checked.entries[1].index, 2);
    assert_eq!(checked.entries[1].item_id, fixture.permit.entries[2].item_id);
    assert_eq!(checked.keys.len(), 1);
    assert_eq!(checked.keys[0].group, "default");
    assert_eq!(checked.cluster, Uid([2; 16]));
}

#[test]
fn permits_out_of_time_or_place_are_refused() {
    let cases: [Case<Permit>; 11] = [
        (
            |permit| permit.expires_at = permit.issued_at.plus_seconds(61),
            Some(Refusal::PermitTooLong),
        ),
        (|permit| shift(permit, 31), Some(Refusal::PermitNotYetValid)),
        (|permit| shift(permit, 30), None),
        (|permit| shift(permit, -91), Some(Refusal::PermitExpired)),
        (|permit| shift(permit, -90), None),
        (|permit| permit.expires_at = permit.issued_at, Some(Refusal::BadPermit)),
        (|permit| permit.max_uses = 0, Some(Refusal::BadPermit)),
        (|permit| permit.bundle_version += 1, Some(Refusal::BundleStale)),
        (|permit| permit.gateway_spki_sha256[0] ^= 1, Some(Refusal::WrongGateway)),
        (|permit| permit.account.0 = Uid([9; 16]), Some(Refusal::UnknownKey)),
        (|permit| permit.entries[0].key_version = 9, Some(Refusal::UnknownKey)),
    ];
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        assert_eq!(after_permit(change), expected, "case {number}");
    }
}

fn shift(permit: &mut Permit, seconds: i64) {
    permit.issued_at = permit.issued_at.plus_seconds(seconds);
    permit.expires_at = permit.expires_at.plus_seconds(seconds);
}

#[test]
fn only_a_permit_key_that_is_valid_now_signs_permits() {
    let other = SigningKey::from_seed(&[1; 32].into());
    let forged = after_call(|fixture, call| {
        call.permit = Signed::seal(&other, "KSF1-sig/permit", fixture.permit.to_bytes());
    });
    assert_eq!(forged, Some(Refusal::BadPermitSignature));
    let other_label = after_call(|fixture, call| {
        let control = &fixture.cluster.control;
        call.permit = Signed::seal(control, "KSF1-sig/manifest", fixture.permit.to_bytes());
    });
    assert_eq!(other_label, Some(Refusal::BadPermitSignature));
    let expired = after_bundle(|bundle| {
        bundle.permit_keys[0].not_after = bundle.issued_at.plus_seconds(-1);
    });
    assert_eq!(expired, Some(Refusal::BadPermitSignature));
    let not_yet = after_bundle(|bundle| {
        bundle.permit_keys[0].not_before = bundle.issued_at.plus_seconds(1);
    });
    assert_eq!(not_yet, Some(Refusal::BadPermitSignature));
}

#[test]
fn what_the_bundle_does_not_allow_is_refused() {
    let cases: [Case<Bundle>; 7] = [
        (|bundle| bundle.clusters[0].instances.clear(), Some(Refusal::UnknownGateway)),
        (|bundle| bundle.clusters.clear(), Some(Refusal::UnknownGateway)),
        (|bundle| bundle.accounts.push(other_account()), Some(Refusal::WrongAccount)),
        (|bundle| bundle.accounts = vec![other_account(), ACCOUNT], None),
        (|bundle| drop(bundle.clusters[0].groups.remove(0)), Some(Refusal::GroupNotAllowed)),
        (|bundle| drop(bundle.groups.remove(0)), Some(Refusal::GroupNotAllowed)),
        (|bundle| bundle.clusters[0].ops = vec![Op::Write], Some(Refusal::OpNotAllowed)),
    ];
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        assert_eq!(after_bundle(change), expected, "case {number}");
    }
    let required = after_bundle(|bundle| bundle.groups[0].fragment_required = true);
    assert_eq!(required, Some(Refusal::FragmentRequired));
}

fn other_account() -> keysherd_base::AccountId {
    keysherd_base::AccountId(Uid([0x0a; 16]))
}

#[test]
fn a_key_with_a_fragment_serves_only_clusters_that_may_use_it() {
    let mut fixture = Fixture::new();
    fixture.stored().manifest.fragment = FRAGMENT_ID;
    assert_eq!(fixture.refusal(), None);
    fixture.cluster.change_bundle(|bundle| bundle.clusters[0].fragments.clear());
    assert_eq!(fixture.refusal(), Some(Refusal::FragmentNotAllowed));
}

#[test]
fn the_state_of_a_key_is_respected() {
    let states = [
        (KeyState::Enabled, None),
        (KeyState::Pending, Some(Refusal::KeyNotEnabled)),
        (KeyState::Disabled, Some(Refusal::KeyNotEnabled)),
        (KeyState::Destroyed, Some(Refusal::KeyNotEnabled)),
    ];
    for (state, expected) in states {
        let mut fixture = Fixture::new();
        fixture.stored().state = state;
        assert_eq!(fixture.refusal(), expected, "{state:?}");
    }
    let mut fixture = Fixture::new();
    fixture.stored().frozen = true;
    assert_eq!(fixture.refusal(), Some(Refusal::KeyFrozen));
}

#[test]
fn requests_that_do_not_belong_together_are_refused() {
    let stranger = SigningKey::from_seed(&[1; 32].into());
    let by_stranger = after_call(|fixture, call| {
        let original = call.request.signed.body.clone();
        call.request = keysherd_fragments::encoding::SignedBy::seal(
            &stranger,
            "KSF1-sig/derive-req",
            original,
        );
        assert_eq!(fixture.permit.max_uses, 3);
    });
    assert_eq!(by_stranger, Some(Refusal::WrongGateway));
    let unsigned = after_call(|_, call| call.request.signed.signature.0[3] ^= 1);
    assert_eq!(unsigned, Some(Refusal::BadRequestSignature));
    let changed = after_call(|_, call| call.request.signed.body[40] ^= 1);
    assert_eq!(changed, Some(Refusal::BadRequestSignature));
    let elsewhere = after_call(|fixture, call| {
        let permit = &call.permit;
        call.request = fixture.cluster.derive_request(permit, index(2), Mode::Read, vec![0]);
    });
    assert_eq!(elsewhere, Some(Refusal::WrongManager));
    let other_permit = after_call(|fixture, call| {
        let mut permit = fixture.permit.clone();
        permit.audit_seq += 1;
        call.permit = fixture.cluster.sign_permit(&permit);
    });
    assert_eq!(other_permit, Some(Refusal::WrongPermit));
    for entries in [vec![], vec![3], vec![1, 1], vec![2, 0]] {
        let refused = after_call(|fixture, call| {
            let permit = &call.permit;
            call.request =
                fixture.cluster.derive_request(permit, index(1), Mode::Read, entries.clone());
        });
        assert_eq!(refused, Some(Refusal::BadEntries), "{entries:?}");
    }
}

#[test]
fn an_operation_extends_to_its_classes_only() {
    let allowed = |op, class| {
        after_permit(|permit| {
            permit.op = op;
            permit.entries.iter_mut().for_each(|entry| entry.class = class);
        })
    };
    assert_eq!(allowed(Op::Read, Class::SecretItem), None);
    assert_eq!(allowed(Op::Transit, Class::TransitWindow), None);
    assert_eq!(allowed(Op::Sign, Class::SealedKey), None);
    assert_eq!(allowed(Op::Generate, Class::SelfTest), None);
    let refused = Some(Refusal::ClassNotAllowed);
    assert_eq!(allowed(Op::Read, Class::SelfTest), refused);
    assert_eq!(allowed(Op::Write, Class::TransitWindow), refused);
    assert_eq!(allowed(Op::Generate, Class::SecretItem), refused);
    assert_eq!(allowed(Op::Sign, Class::SecretItem), refused);
    assert_eq!(allowed(Op::Transit, Class::SealedKey), refused);
}

#[test]
fn an_unlisted_gateway_needs_its_clusters_endorsement() {
    let mut fixture = Fixture::new();
    let cluster_key = SigningKey::from_seed(&[3; 32].into());
    let public = cluster_key.public();
    fixture.cluster.change_bundle(|bundle| {
        bundle.clusters[0].instances.clear();
        bundle.clusters[0].cluster_key = Some(public);
    });
    let now = fixture.cluster.now;
    let good = Endorsement {
        cluster: Uid([2; 16]),
        instance_spki_sha256: fixture.cluster.spki(),
        not_before: now,
        not_after: now.plus_seconds(3_600),
    };
    let with = |endorsement: Option<Signed>| {
        let call = DeriveCall { endorsement, ..fixture.call() };
        fixture.check(&call).err()
    };
    assert_eq!(with(None), Some(Refusal::UnknownGateway));
    assert_eq!(with(Some(good.seal(&cluster_key))), None);
    let stranger = SigningKey::from_seed(&[4; 32].into());
    assert_eq!(with(Some(good.seal(&stranger))), Some(Refusal::BadEndorsement));
    let bad = [
        Endorsement { instance_spki_sha256: [0; 32], ..good },
        Endorsement { not_after: now.plus_seconds(-1), ..good },
        Endorsement { not_before: now.plus_seconds(1), ..good },
    ];
    for bad in bad {
        assert_eq!(with(Some(bad.seal(&cluster_key))), Some(Refusal::BadEndorsement));
    }
    let unknown = Endorsement { cluster: Uid([9; 16]), ..good };
    assert_eq!(with(Some(unknown.seal(&cluster_key))), Some(Refusal::UnknownGateway));
}

#[test]
fn a_kept_permit_is_looked_at_again() {
    let mut fixture = Fixture::new();
    let call = fixture.call();
    let manager = &fixture.cluster.managers[0];
    let (spki, now) = (fixture.cluster.spki(), fixture.cluster.now);
    let kept = VerifiedPermit::verify(&manager.bundle, &call.permit, now).unwrap();
    assert_eq!(*kept.sha256(), sha256(&[&call.permit.body]));
    let at = |cluster: &TestCluster, now: Timestamp| {
        let manager = &cluster.managers[0];
        let bundle = &manager.bundle;
        let member = bundle.cluster_of(&spki, None, now).unwrap();
        let caller = Caller { bundle, cluster: member, tls_spki_sha256: &spki, me: index(1), now };
        check_request(caller, &kept, &call.request, &manager.keys).err()
    };
    assert_eq!(at(&fixture.cluster, now), None);
    assert_eq!(at(&fixture.cluster, now.plus_seconds(91)), Some(Refusal::PermitExpired));
    fixture.cluster.change_bundle(|bundle| bundle.destroy_delay_seconds += 1);
    assert_eq!(at(&fixture.cluster, now), Some(Refusal::BundleChanged));
}

#[test]
fn generation_obeys_the_bundle_too() {
    let refusal = |change: fn(&mut TestCluster, &mut GenerateParams)| {
        let mut cluster = TestCluster::new(3);
        let mut params = cluster.params(Threshold::new(2, 3).unwrap(), Uid::default());
        change(&mut cluster, &mut params);
        let request = ManagerRequest::GenerateBegin(cluster.generate_call(&params));
        match cluster.ask(index(1), &request) {
            Some(ManagerAnswer::Refused(refusal)) => Some(refusal),
            _ => None,
        }
    };
    assert_eq!(refusal(|_, _| {}), None);
    let unknown = refusal(|_, params| params.group = "nobody's".to_owned());
    assert_eq!(unknown, Some(Refusal::GroupNotAllowed));
    let fragment = refusal(|_, params| params.fragment = Uid([8; 16]));
    assert_eq!(fragment, Some(Refusal::FragmentNotAllowed));
    let required = refusal(|cluster, _| {
        cluster.change_bundle(|bundle| bundle.groups[0].fragment_required = true);
    });
    assert_eq!(required, Some(Refusal::FragmentRequired));
    let ops = refusal(|cluster, _| {
        cluster.change_bundle(|bundle| bundle.clusters[0].ops = vec![Op::Read]);
    });
    assert_eq!(ops, Some(Refusal::OpNotAllowed));
    let account = refusal(|_, params| params.key.account = other_account());
    assert_eq!(account, Some(Refusal::WrongPermit));
}

#[test]
fn a_permit_to_read_does_not_generate() {
    let mut cluster = TestCluster::new(3);
    let params = cluster.params(Threshold::new(2, 3).unwrap(), Uid::default());
    let mut fields = cluster.fields(&params.key, Class::SecretItem);
    fields.item_version = 0;
    let permit = cluster.permit(Op::Read, permit_entries(&[fields]));
    let permit = cluster.sign_permit(&permit);
    let request = keysherd_fragments::keygen::GenerateRequest {
        permit_sha256: sha256(&[&permit.body]),
        params,
    };
    let mut call = keysherd_fragments::messages::GenerateCall {
        permit,
        request: request.seal(&cluster.gateway),
        endorsement: None,
    };
    let answer = cluster.ask(index(1), &ManagerRequest::GenerateBegin(call.clone()));
    assert!(matches!(answer, Some(ManagerAnswer::Refused(Refusal::OpNotAllowed))));
    call.request.signed.signature.0[0] ^= 1;
    let answer = cluster.ask(index(1), &ManagerRequest::GenerateBegin(call));
    assert!(matches!(answer, Some(ManagerAnswer::Refused(Refusal::BadRequestSignature))));
}

#[test]
fn a_manager_pins_newer_bundles_of_its_owner_only() {
    let mut cluster = TestCluster::new(3);
    let pin = |cluster: &mut TestCluster, signed: SignedBundle| match cluster
        .ask(index(1), &ManagerRequest::Bundle(signed))
    {
        Some(ManagerAnswer::BundlePinned { version }) => Ok(version),
        Some(ManagerAnswer::Refused(refusal)) => Err(refusal),
        other => panic!("{other:?}"),
    };
    let first = cluster.bundle.seal(&cluster.owner);
    let mut newer = cluster.bundle.clone();
    newer.version = 5;
    let stranger = SigningKey::from_seed(&[1; 32].into());
    assert_eq!(pin(&mut cluster, newer.seal(&stranger)), Err(Refusal::BadBundleSignature));
    let owner = SigningKey::from_seed(cluster.owner.seed());
    assert_eq!(pin(&mut cluster, newer.seal(&owner)), Ok(5));
    assert_eq!(pin(&mut cluster, newer.seal(&owner)), Ok(5), "the very same again");
    assert_eq!(pin(&mut cluster, first), Err(Refusal::BundleOlder));
    newer.destroy_delay_seconds += 1;
    assert_eq!(pin(&mut cluster, newer.seal(&owner)), Err(Refusal::BundleForked));
    newer.version = 6;
    newer.deployment = Uid([0x0d; 16]);
    assert_eq!(pin(&mut cluster, newer.seal(&owner)), Err(Refusal::WrongDeployment));
}

#[test]
fn a_bundle_that_contradicts_itself_is_refused() {
    let cluster = TestCluster::new(3);
    let bends: [fn(&mut Bundle); 10] = [
        |bundle| drop(bundle.managers.remove(0)),
        |bundle| bundle.managers.swap(0, 1),
        |bundle| bundle.managers[1].key = bundle.managers[0].key,
        |bundle| bundle.managers[1].tls_spki_sha256 = bundle.managers[0].tls_spki_sha256,
        |bundle| bundle.groups.swap(0, 1),
        |bundle| bundle.groups[0].name.clear(),
        |bundle| bundle.clusters.push(bundle.clusters[0].clone()),
        |bundle| bundle.managers[0].address = "manager-1".to_owned(),
        |bundle| bundle.controls = vec![control([1; 32], "control:0")],
        |bundle| bundle.controls = vec![control(bundle.managers[0].tls_spki_sha256, "")],
    ];
    for (number, bend) in bends.iter().enumerate() {
        let mut bent = cluster.bundle.clone();
        bend(&mut bent);
        let refused = Bundle::from_bytes(&bent.to_bytes());
        assert_eq!(refused, Err(Refusal::BadBundle), "change {number}");
    }
}

#[test]
fn a_bundle_has_the_plain_format_exactly_when_it_names_no_control_and_no_address() {
    let cluster = TestCluster::new(3);
    let format = |bundle: &Bundle| {
        let bytes = bundle.to_bytes();
        assert_eq!(Bundle::from_bytes(&bytes).as_ref(), Ok(bundle));
        (bytes[0], bytes[1])
    };
    let array_of = |fields: u8| 0x80 | fields;
    let mut bundle = cluster.bundle.clone();
    assert_eq!(format(&bundle), (array_of(14), 1));
    bundle.managers[2].address = "[fd00::3]:8450".to_owned();
    assert_eq!(format(&bundle), (array_of(15), 2));
    bundle.managers[2].address.clear();
    bundle.controls = vec![control([77; 32], "control.example:8444")];
    assert_eq!(format(&bundle), (array_of(15), 2));
    // A format that says nothing more would be a second spelling.
    let mut wordy = bundle.to_bytes();
    let list = wordy.len() - 1 - (1 + 34 + 1 + "control.example:8444".len());
    assert_eq!(wordy[list], array_of(1));
    wordy.truncate(list);
    wordy.push(0x80);
    assert_eq!(Bundle::from_bytes(&wordy), Err(Refusal::Malformed));
}

fn control(tls_spki_sha256: [u8; 32], address: &str) -> ControlEntry {
    ControlEntry { tls_spki_sha256, address: address.to_owned() }
}

#[test]
fn the_simulated_manager_reports_its_status() {
    let (mut cluster, _) = TestCluster::with_key(2, 3, Uid::default());
    let answer = cluster.ask(index(2), &ManagerRequest::Status);
    let Some(ManagerAnswer::Status(status)) = answer else {
        panic!("no status");
    };
    assert_eq!((status.manager, status.key_versions), (index(2), 1));
    assert_eq!(cluster.managers[1].tls_spki, [2; 32]);
}
