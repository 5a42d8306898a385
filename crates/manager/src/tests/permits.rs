//! Attack 13: stolen and forged permits. Attack 2, as far as the manager is concerned.

use keysherd_crypto::sign::SigningKey;
use keysherd_fragments::derive::Mode;
use keysherd_fragments::encoding::Signed;
use keysherd_fragments::labels;
use keysherd_fragments::permit::Op;
use keysherd_fragments::refusal::Refusal;
use tokio::task::JoinSet;

use super::rig::{Rig, index, key_version, signing_key};
use super::rounds::{call, entry, fresh_item};
use crate::bad_permits::BAD_PERMITS_PER_SECOND;
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::messages::{ManagerAnswer, ManagerRequest};

async fn with_key() -> Rig {
    let rig = Rig::new().await;
    rig.generate(key_version(1)).await;
    rig
}

fn read_permit(rig: &Rig) -> Signed {
    rig.permit(Op::Read, vec![entry(&fresh_item(&key_version(1)))], |_| {})
}

/// Tries a permit over the line of `line`, with a request signed by `signer`.
async fn attempt(
    rig: &Rig,
    number: u8,
    permit: &Signed,
    line: &SigningKey,
    signer: &SigningKey,
) -> Result<(), Refusal> {
    let call = call(signer, permit, index(number), vec![0], Mode::Read);
    rig.send(number, &line.public(), call).await.map(|_| ())
}

#[tokio::test]
async fn t_permit_replay_other_cert() {
    let rig = with_key().await;
    let permit = read_permit(&rig);
    let thief = signing_key();
    for number in 1..=3 {
        // A stranger, another gateway of the same cluster, one of another cluster.
        let stranger = attempt(&rig, number, &permit, &thief, &thief).await;
        assert_eq!(stranger, Err(Refusal::UnknownGateway));
        for gateway in [&rig.second_gateway, &rig.other_gateway] {
            let theirs = attempt(&rig, number, &permit, gateway, gateway).await;
            assert_eq!(theirs, Err(Refusal::WrongGateway));
            // With a request that the right gateway signed, seen on the way.
            let replayed = attempt(&rig, number, &permit, gateway, &rig.gateway).await;
            assert_eq!(replayed, Err(Refusal::WrongGateway));
            // On the right line with a request of their own.
            let theirs = attempt(&rig, number, &permit, &rig.gateway, gateway).await;
            assert_eq!(theirs, Err(Refusal::WrongGateway));
        }
        // The gateway itself may, also after all these attempts.
        attempt(&rig, number, &permit, &rig.gateway, &rig.gateway).await.unwrap();
    }
}

#[tokio::test]
async fn t_permit_replay_expired() {
    let rig = with_key().await;
    let permit = read_permit(&rig);
    let again = read_permit(&rig);
    let (gateway, unused) = (&rig.gateway, read_permit(&rig));
    attempt(&rig, 1, &permit, gateway, gateway).await.unwrap();
    // 60 seconds of life and 30 of skew.
    rig.clock.advance_seconds(90);
    attempt(&rig, 1, &again, gateway, gateway).await.unwrap();
    rig.clock.advance_seconds(1);
    for permit in [&permit, &again, &unused] {
        let late = attempt(&rig, 1, permit, gateway, gateway).await;
        assert_eq!(late, Err(Refusal::PermitExpired));
    }
    // Not yet, and too long.
    let early = rig.permit(Op::Read, vec![entry(&fresh_item(&key_version(1)))], |permit| {
        permit.issued_at = permit.issued_at.plus_seconds(31);
        permit.expires_at = permit.issued_at.plus_seconds(60);
    });
    let early = attempt(&rig, 1, &early, gateway, gateway).await;
    assert_eq!(early, Err(Refusal::PermitNotYetValid));
    let long = rig.permit(Op::Read, vec![entry(&fresh_item(&key_version(1)))], |permit| {
        permit.expires_at = permit.issued_at.plus_seconds(61);
    });
    assert_eq!(attempt(&rig, 1, &long, gateway, gateway).await, Err(Refusal::PermitTooLong));
}

#[tokio::test]
async fn t_permit_replay_other_kfm() {
    let rig = with_key().await;
    let permit = read_permit(&rig);
    // A request that was addressed to manager 1, carried to the others.
    let request = call(&rig.gateway, &permit, index(1), vec![0], Mode::Read);
    for number in [2, 3] {
        let carried = rig.send(number, &rig.gateway.public(), request.clone()).await;
        assert_eq!(carried.unwrap_err(), Refusal::WrongManager);
    }
    rig.send(1, &rig.gateway.public(), request).await.unwrap();
}

#[tokio::test]
async fn t_permit_replay_overuse() {
    let mut rig = with_key().await;
    let permit = read_permit(&rig);
    // Many at one time: exactly as many as allowed get through.
    let mut tasks = JoinSet::new();
    for _ in 0..20 {
        let call = call(&rig.gateway, &permit, index(1), vec![0], Mode::Read);
        let (manager, spki) = (rig.manager(1).clone(), rig.gateway.public().spki_sha256());
        tasks.spawn(async move {
            let request = ManagerRequest::Derive(call).to_bytes();
            let answer = manager.serve(spki, &request).await;
            matches!(ManagerAnswer::from_bytes(answer.expose()).unwrap(), ManagerAnswer::Derived(_))
        });
    }
    let passed = tasks.join_all().await.into_iter().filter(|passed| *passed).count();
    assert_eq!(passed, 3);
    let again = attempt(&rig, 1, &permit, &rig.gateway, &rig.gateway).await;
    assert_eq!(again, Err(Refusal::PermitUsedUp));
    // Each manager counts by itself.
    attempt(&rig, 2, &permit, &rig.gateway, &rig.gateway).await.unwrap();
    // A restart forgives nothing: the log remembers.
    rig.restart_all();
    let again = attempt(&rig, 1, &permit, &rig.gateway, &rig.gateway).await;
    assert_eq!(again, Err(Refusal::PermitUsedUp));
    for _ in 0..2 {
        attempt(&rig, 2, &permit, &rig.gateway, &rig.gateway).await.unwrap();
    }
    let again = attempt(&rig, 2, &permit, &rig.gateway, &rig.gateway).await;
    assert_eq!(again, Err(Refusal::PermitUsedUp));
}

#[tokio::test]
async fn t_cp_forges_permit_for_own_key() {
    let rig = with_key().await;
    let own = signing_key();
    let fields = fresh_item(&key_version(1));
    // The control plane has the permit key, and signs whatever it likes, for a key of its own.
    let permit = rig.permit(Op::Read, vec![entry(&fields)], |permit| {
        permit.gateway_spki_sha256 = own.public().spki_sha256();
    });
    // It also has everything a genuine gateway ever sent it: permits, not the gateway's key.
    let genuine = rig.permit(Op::Read, vec![entry(&fields)], |_| {});
    for number in 1..=3 {
        let own_line = attempt(&rig, number, &permit, &own, &own).await;
        assert_eq!(own_line, Err(Refusal::UnknownGateway));
        let on_genuine_line = attempt(&rig, number, &permit, &rig.gateway, &own).await;
        assert_eq!(on_genuine_line, Err(Refusal::WrongGateway));
        let own_request = attempt(&rig, number, &genuine, &own, &own).await;
        assert_eq!(own_request, Err(Refusal::UnknownGateway));
        let genuine_line = attempt(&rig, number, &genuine, &rig.gateway, &own).await;
        assert_eq!(genuine_line, Err(Refusal::WrongGateway));
        // A bundle that adds its key, signed by what it has.
        let mut bundle = rig.bundle.clone();
        bundle.version += 1;
        bundle.clusters[0].instances.push(own.public().spki_sha256());
        for signer in [&rig.permit_key, &own] {
            let request = ManagerRequest::Bundle(bundle.seal(signer));
            let refused = rig.ask(number, own.public().spki_sha256(), &request).await;
            assert_eq!(refused.unwrap_err(), Refusal::BadBundleSignature);
        }
    }
    // The same permit, for the gateway, over its line: the control.
    attempt(&rig, 1, &genuine, &rig.gateway, &rig.gateway).await.unwrap();
}

#[tokio::test]
async fn permits_of_unknown_keys_and_altered_permits_are_refused() {
    let mut rig = with_key().await;
    let good = read_permit(&rig);
    let other_key = signing_key();
    let forged = Signed::seal(&other_key, labels::SIGN_PERMIT, good.body.clone());
    let refused = attempt(&rig, 1, &forged, &rig.gateway, &rig.gateway).await;
    assert_eq!(refused, Err(Refusal::BadPermitSignature));
    attempt(&rig, 1, &good, &rig.gateway, &rig.gateway).await.unwrap();
    // Now the good one is known; an altered one with its signature is not.
    for at in [0, 5, good.body.len() / 2, good.body.len() - 1] {
        let mut altered = good.clone();
        altered.body[at] ^= 1;
        let refused = attempt(&rig, 1, &altered, &rig.gateway, &rig.gateway).await;
        assert_eq!(refused, Err(Refusal::BadPermitSignature));
    }
    let mut other_signature = good.clone();
    other_signature.signature.0[3] ^= 1;
    let refused = attempt(&rig, 1, &other_signature, &rig.gateway, &rig.gateway).await;
    assert_eq!(refused, Err(Refusal::BadPermitSignature));
    // The owner withdraws the permit key: what was verified before counts no more.
    rig.change_bundle(|bundle| bundle.permit_keys[0].key = other_key.public()).await;
    let withdrawn = attempt(&rig, 1, &good, &rig.gateway, &rig.gateway).await;
    assert_eq!(withdrawn, Err(Refusal::BadPermitSignature));
    // A permit made under a bundle this manager has not seen.
    rig.permit_key = other_key;
    let newer = rig.permit(Op::Read, vec![entry(&fresh_item(&key_version(1)))], |permit| {
        permit.bundle_version += 1;
    });
    let refused = attempt(&rig, 1, &newer, &rig.gateway, &rig.gateway).await;
    assert_eq!(refused, Err(Refusal::BundleStale));
}

#[tokio::test]
async fn t_gateway_cannot_use_key_of_other_cluster() {
    let rig = with_key().await;
    let permit = rig.permit(Op::Read, vec![entry(&fresh_item(&key_version(1)))], |permit| {
        permit.gateway_spki_sha256 = rig.other_gateway.public().spki_sha256();
    });
    for number in 1..=3 {
        let refused = attempt(&rig, number, &permit, &rig.other_gateway, &rig.other_gateway).await;
        assert_eq!(refused, Err(Refusal::GroupNotAllowed));
    }
}

#[tokio::test]
async fn entries_and_operations_stay_within_the_permit() {
    let rig = with_key().await;
    let fields = fresh_item(&key_version(1));
    let permit = rig.permit(Op::Read, vec![entry(&fields); 2], |permit| permit.max_uses = 10);
    for entries in [vec![2], vec![1, 0], vec![0, 0], vec![]] {
        let refused = rig.derive_at(1, &permit, entries, Mode::Read).await;
        assert_eq!(refused.unwrap_err(), Refusal::BadEntries);
    }
    // Neither may the self-test class stand in for a real item, nor the other way round.
    let mut test = entry(&fields);
    test.class = keysherd_fragments::context::Class::SelfTest;
    for (op, entries) in [
        (Op::Read, vec![test]),
        (Op::Write, vec![entry(&fields), test]),
        (Op::Generate, vec![entry(&fields)]),
        (Op::Transit, vec![entry(&fields)]),
    ] {
        let permit = rig.permit(op, entries, |_| {});
        let refused = rig.derive_at(1, &permit, vec![0], Mode::Read).await;
        assert_eq!(refused.unwrap_err(), Refusal::ClassNotAllowed, "{op:?}");
    }
    // A key that is not there, also not in this account.
    let permit = rig.permit(Op::Read, vec![entry(&fresh_item(&key_version(9)))], |_| {});
    let refused = rig.derive_at(1, &permit, vec![0], Mode::Read).await;
    assert_eq!(refused.unwrap_err(), Refusal::UnknownKey);
    let permit = rig.permit(Op::Read, vec![entry(&fields)], |permit| {
        permit.account = keysherd_base::AccountId(keysherd_base::Uid([1; 16]));
    });
    let refused = rig.derive_at(1, &permit, vec![0], Mode::Read).await;
    assert_eq!(refused.unwrap_err(), Refusal::WrongAccount);
}

#[tokio::test]
async fn whoever_tries_many_wrong_permits_is_not_looked_at_for_the_rest_of_the_second() {
    let rig = with_key().await;
    let good = read_permit(&rig);
    let forged = Signed::seal(&rig.gateway, labels::SIGN_PERMIT, good.body.clone());
    for _ in 0..BAD_PERMITS_PER_SECOND {
        let refused = attempt(&rig, 1, &forged, &rig.gateway, &rig.gateway).await;
        assert_eq!(refused, Err(Refusal::BadPermitSignature));
    }
    let refused = attempt(&rig, 1, &good, &rig.gateway, &rig.gateway).await;
    assert_eq!(refused, Err(Refusal::RateLimited));
    // Nobody else waits for it, and it does not last.
    let others = rig.permit(Op::Read, vec![entry(&fresh_item(&key_version(1)))], |permit| {
        permit.gateway_spki_sha256 = rig.second_gateway.public().spki_sha256();
    });
    attempt(&rig, 1, &others, &rig.second_gateway, &rig.second_gateway).await.unwrap();
    rig.clock.advance_seconds(1);
    attempt(&rig, 1, &good, &rig.gateway, &rig.gateway).await.unwrap();
}
