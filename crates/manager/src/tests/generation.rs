//! Key generation across managers, with crashes and unreachable managers in between.

use std::sync::Arc;

use keysherd_base::Uid;
use keysherd_fragments::derive::Mode;
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::manager_set::{ManagerSet, Threshold};
use keysherd_fragments::messages::{ManagerAnswer, ManagerRequest};
use keysherd_fragments::permit::Op;
use keysherd_fragments::refusal::Refusal;

use super::rig::{Rig, key_version};
use super::rounds::{entry, fresh_item, set};
use crate::log::{Event, GenerationStep, LogReader};

fn two_of_three() -> Threshold {
    Threshold::new(2, 3).unwrap()
}

#[tokio::test]
async fn generate_then_derive_with_any_two_and_restarts_in_between() {
    let mut rig = Rig::new().await;
    let manifest = rig.generate(key_version(1)).await;
    let fresh: Vec<_> = (0..3).map(|_| fresh_item(&key_version(1))).collect();
    let items = rig.write(&manifest, &fresh).await.unwrap();
    for quorum in [set(&[1, 2]), set(&[1, 3]), set(&[2, 3]), set(&[1, 2, 3])] {
        rig.read(&manifest, &items, quorum).await.unwrap();
        rig.restart_all();
        rig.read(&manifest, &items, quorum).await.unwrap();
    }
    rig.stop(2);
    rig.read(&manifest, &items, set(&[1, 3])).await.unwrap();
    rig.start(2);
    // A second version has fragments of its own.
    let second = rig.generate(key_version(2)).await;
    assert_ne!(second.manifest().group_key, manifest.manifest().group_key);
    rig.write(&second, &[fresh_item(&key_version(2))]).await.unwrap();
    rig.read(&manifest, &items, set(&[1, 2])).await.unwrap();
    assert_eq!(rig.manager(1).status().key_versions, 2);
}

#[tokio::test]
async fn three_of_five_generates_and_derives() {
    let rig = Rig::with(5, |_| {}).await;
    let threshold = Threshold::new(3, 5).unwrap();
    let manifest = rig.generate_with(key_version(1), threshold).await;
    let items = rig.write(&manifest, &[fresh_item(&key_version(1))]).await.unwrap();
    for quorum in ManagerSet::first(5).subsets(3) {
        rig.read(&manifest, &items, quorum).await.unwrap();
    }
}

#[tokio::test]
async fn generation_needs_a_permit_for_it() {
    let rig = Rig::new().await;
    let mut generation = rig.generation(key_version(1), two_of_three());
    let good = generation.permit.clone();
    // Another operation does not extend to the self-test class, and none but Generate generates.
    for op in [Op::Read, Op::Write, Op::Sign] {
        generation.permit = rig.permit(op, vec![generation.entry], |_| {});
        assert_eq!(generation.begin().await, Err(Refusal::OpNotAllowed), "{op:?}");
    }
    // A permit for another gateway, another key, or a real item.
    generation.permit = rig.permit(Op::Generate, vec![generation.entry], |permit| {
        permit.gateway_spki_sha256 = rig.second_gateway.public().spki_sha256();
    });
    assert_eq!(generation.begin().await, Err(Refusal::WrongGateway));
    let mut other_key = generation.entry;
    other_key.key_version = 2;
    generation.permit = rig.permit(Op::Generate, vec![other_key], |_| {});
    assert_eq!(generation.begin().await, Err(Refusal::WrongPermit));
    let item = fresh_item(&key_version(1));
    generation.permit = rig.permit(Op::Generate, vec![entry(&item)], |_| {});
    assert_eq!(generation.begin().await, Err(Refusal::ClassNotAllowed));
    // A group the cluster may not use.
    generation.permit = good;
    generation.params.group = "other".to_owned();
    assert_eq!(generation.begin().await, Err(Refusal::GroupNotAllowed));
    generation.params.group = "main".to_owned();
    generation.begin().await.unwrap();
}

#[tokio::test]
async fn a_session_belongs_to_its_gateway() {
    let rig = Rig::new().await;
    let generation = rig.generation(key_version(1), two_of_three());
    generation.begin().await.unwrap();
    let session = generation.params.session;
    for line in [&rig.second_gateway, &rig.other_gateway] {
        let spki = line.public().spki_sha256();
        for request in [
            ManagerRequest::GenerateCollect { session },
            ManagerRequest::GenerateSign { session, manifest: vec![0x80] },
        ] {
            assert_eq!(rig.ask(1, spki, &request).await.unwrap_err(), Refusal::UnknownSession);
        }
    }
}

#[tokio::test]
async fn t_crash_every_step() {
    // After each step all managers die. There is no key then, or one that is whole.
    for crash_after in 0..=5 {
        let mut rig = Rig::new().await;
        let key = key_version(1);
        let manifest = {
            let generation = rig.generation(key, two_of_three());
            let round1 = generation.begin().await.unwrap();
            if crash_after >= 1 {
                generation.exchange(&round1).await.unwrap();
            }
            if crash_after >= 2 {
                let proposals = generation.collect().await.unwrap();
                let body = generation.params.manifest(&proposals).unwrap().to_bytes();
                for number in 1..=(crash_after - 2).min(3) {
                    generation.sign_at(number, &body).await.unwrap();
                }
                Some(body)
            } else {
                None
            }
        };
        rig.restart_all();
        let spki = rig.gateway.public().spki_sha256();
        let stored = |number: u8| rig.manager(number).status().key_versions;
        let signed = crash_after.saturating_sub(2);
        for number in 1..=3 {
            assert_eq!(rig.manager(number).status().generations, 0);
            assert_eq!(stored(number), u64::from(number <= signed), "crash {crash_after}");
        }
        if signed < 3 {
            // The session is forgotten: the missing signature can never be had any more.
            let session = Uid([9; 16]);
            let manifest = manifest.unwrap_or_else(|| vec![0x80]);
            let request = ManagerRequest::GenerateSign { session, manifest };
            rig.ask(3, spki, &request).await.unwrap_err();
            // Whoever has no fragments derives nothing, and of t managers one is missing.
            let test = rig.generation(key, two_of_three()).permit;
            let refused = rig.derive_at(3, &test, vec![0], Mode::Verify).await;
            assert_eq!(refused.unwrap_err(), Refusal::UnknownKey);
        }
        // What was stored and never completed is erased when its time is over.
        rig.clock.advance_seconds(rig.limits.pending_seconds + 1);
        for number in 1..=3 {
            rig.manager(number).tidy().unwrap();
            assert_eq!(rig.manager(number).status().key_versions, 0);
        }
        // The name is free again.
        let manifest = rig.generate(key).await;
        rig.write(&manifest, &[fresh_item(&key)]).await.unwrap();
    }
}

#[tokio::test]
async fn a_completed_key_is_never_erased() {
    let mut rig = Rig::new().await;
    let manifest = rig.generate(key_version(1)).await;
    rig.clock.advance_seconds(rig.limits.pending_seconds * 10);
    rig.restart_all();
    for number in 1..=3 {
        rig.manager(number).tidy().unwrap();
        assert_eq!(rig.manager(number).status().key_versions, 1);
    }
    rig.write(&manifest, &[fresh_item(&key_version(1))]).await.unwrap();
}

#[tokio::test]
async fn a_key_whose_self_test_one_manager_missed_serves_once_it_is_in_use() {
    let rig = Rig::new().await;
    let key = key_version(1);
    let generation = rig.generation(key, two_of_three());
    let round1 = generation.begin().await.unwrap();
    generation.exchange(&round1).await.unwrap();
    let proposals = generation.collect().await.unwrap();
    let signed = generation.sign(&proposals).await.unwrap();
    let manifest = Arc::new(signed.verify(&rig.pinned()).unwrap());
    // No self-test at all, but a write: the gateway has seen all signatures.
    let items = rig.write(&manifest, &[fresh_item(&key)]).await.unwrap();
    rig.clock.advance_seconds(rig.limits.pending_seconds + 1);
    for number in 1..=3 {
        rig.manager(number).tidy().unwrap();
    }
    rig.read(&manifest, &items, set(&[2, 3])).await.unwrap();
}

#[tokio::test]
async fn a_pending_key_that_expired_derives_nothing() {
    let rig = Rig::new().await;
    let key = key_version(1);
    let generation = rig.generation(key, two_of_three());
    let round1 = generation.begin().await.unwrap();
    generation.exchange(&round1).await.unwrap();
    let proposals = generation.collect().await.unwrap();
    let signed = generation.sign(&proposals).await.unwrap();
    let manifest = Arc::new(signed.verify(&rig.pinned()).unwrap());
    rig.clock.advance_seconds(rig.limits.pending_seconds + 1);
    let written = rig.write(&manifest, &[fresh_item(&key)]).await;
    assert_eq!(written.err(), Some(Refusal::UnknownKey));
}

#[tokio::test]
async fn an_unreachable_manager_delays_a_generation_and_no_more() {
    let rig = Rig::new().await;
    let generation = rig.generation(key_version(1), two_of_three());
    let round1 = generation.begin().await.unwrap();
    rig.net.cut_off.lock().unwrap().insert(3);
    assert_eq!(generation.exchange_at(1, &round1).await, Err(Refusal::DealMissing));
    rig.net.cut_off.lock().unwrap().clear();
    generation.exchange(&round1).await.unwrap();
    let proposals = generation.collect().await.unwrap();
    let manifest = generation.sign(&proposals).await.unwrap();
    generation.self_test(&Arc::new(manifest.verify(&rig.pinned()).unwrap())).await.unwrap();
}

#[tokio::test]
async fn a_lost_signature_can_be_asked_for_again_even_after_a_restart() {
    let mut rig = Rig::new().await;
    let (body, first, session) = {
        let generation = rig.generation(key_version(1), two_of_three());
        let round1 = generation.begin().await.unwrap();
        generation.exchange(&round1).await.unwrap();
        let proposals = generation.collect().await.unwrap();
        let body = generation.params.manifest(&proposals).unwrap().to_bytes();
        let first = generation.sign_at(1, &body).await.unwrap();
        assert_eq!(generation.sign_at(1, &body).await.unwrap(), first);
        (body, first, generation.params.session)
    };
    rig.stop(1);
    rig.start(1);
    let request = ManagerRequest::GenerateSign { session, manifest: body.clone() };
    let spki = rig.gateway.public().spki_sha256();
    match rig.ask(1, spki, &request).await.unwrap() {
        ManagerAnswer::ManifestSignature(again) => assert_eq!(again, first),
        other => panic!("{other:?}"),
    }
    // Not for another gateway, not for another manifest.
    let other = rig.second_gateway.public().spki_sha256();
    assert_eq!(rig.ask(1, other, &request).await.unwrap_err(), Refusal::UnknownSession);
    let mut changed = body;
    *changed.last_mut().unwrap() ^= 1;
    let request = ManagerRequest::GenerateSign { session, manifest: changed };
    assert_eq!(rig.ask(1, spki, &request).await.unwrap_err(), Refusal::UnknownSession);
}

#[tokio::test]
async fn an_existing_key_version_is_never_generated_again() {
    let rig = Rig::new().await;
    rig.generate(key_version(1)).await;
    let again = rig.generation(key_version(1), two_of_three());
    assert_eq!(again.begin().await, Err(Refusal::KeyExists));
}

#[tokio::test]
async fn every_step_is_in_the_log() {
    let rig = Rig::new().await;
    rig.generate(key_version(1)).await;
    let log = LogReader::open(&rig.home(2).join("log")).unwrap();
    let steps: Vec<_> = log
        .filter_map(|entry| match entry.unwrap().1.event {
            Event::Generation(generation) => {
                assert_eq!(generation.audit_seq, 42);
                assert_eq!(generation.gateway, rig.gateway.public().spki_sha256());
                Some(generation.step)
            }
            _ => None,
        })
        .collect();
    assert_eq!(steps, [GenerationStep::Begun, GenerationStep::Signed]);
}
