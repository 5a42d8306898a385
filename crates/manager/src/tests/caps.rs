//! Attack 3: the control plane signs permits for a genuine gateway. The owner's caps hold.

use keysherd_base::Uid;
use keysherd_crypto::sign::SigningKey;
use keysherd_fragments::bundle::Caps;
use keysherd_fragments::context::ContextFields;
use keysherd_fragments::derive::Mode;
use keysherd_fragments::permit::{Op, PermitEntry};
use keysherd_fragments::refusal::Refusal;

use super::rig::{CLUSTER, Rig, index, key_version};
use super::rounds::{call, entry, fresh_item};
use crate::log::{Event, LogReader};

fn items(caps: (u32, u32)) -> Caps {
    Caps { items_per_hour: caps.0, items_per_day: caps.1, ..Caps::UNLIMITED }
}

fn fresh(count: usize) -> Vec<PermitEntry> {
    (0..count).map(|_| entry(&fresh_item(&key_version(1)))).collect()
}

/// A permit for these entries, and all of them at once, by `gateway`.
async fn take(
    rig: &Rig,
    number: u8,
    gateway: &SigningKey,
    entries: Vec<PermitEntry>,
) -> Result<(), Refusal> {
    let count = u16::try_from(entries.len()).unwrap();
    let permit = rig.permit(Op::Read, entries, |permit| {
        permit.gateway_spki_sha256 = gateway.public().spki_sha256();
    });
    let call = call(gateway, &permit, index(number), (0..count).collect(), Mode::Read);
    rig.send(number, &gateway.public(), call).await.map(|_| ())
}

#[tokio::test]
async fn t_cp_as_client_hits_caps() {
    let mut rig = Rig::with(3, |bundle| bundle.clusters[0].caps = items((10, 25))).await;
    rig.generate(key_version(1)).await;
    // The self-test was one item.
    let mut seen = fresh(6);
    take(&rig, 1, &rig.gateway, seen.clone()).await.unwrap();
    assert_eq!(take(&rig, 1, &rig.gateway, fresh(4)).await, Err(Refusal::TooManyItems));
    // Another instance of the cluster has no budget of its own.
    seen.extend(fresh(2));
    take(&rig, 1, &rig.second_gateway, seen[6..].to_vec()).await.unwrap();
    assert_eq!(take(&rig, 1, &rig.second_gateway, fresh(2)).await, Err(Refusal::TooManyItems));
    // What was had already can be had again.
    take(&rig, 1, &rig.gateway, seen.clone()).await.unwrap();
    // A restart gives nothing back.
    rig.restart_all();
    assert_eq!(take(&rig, 1, &rig.gateway, fresh(2)).await, Err(Refusal::TooManyItems));
    take(&rig, 1, &rig.gateway, seen.clone()).await.unwrap();
    // The next hour, up to the day's budget.
    rig.clock.advance_seconds(3_600);
    take(&rig, 1, &rig.gateway, fresh(10)).await.unwrap();
    assert_eq!(take(&rig, 1, &rig.gateway, fresh(1)).await, Err(Refusal::TooManyItems));
    rig.clock.advance_seconds(3_600);
    take(&rig, 1, &rig.gateway, fresh(6)).await.unwrap();
    assert_eq!(take(&rig, 1, &rig.gateway, fresh(1)).await, Err(Refusal::TooManyItems));
    // The next day.
    rig.clock.advance_seconds(86_400);
    take(&rig, 1, &rig.gateway, fresh(10)).await.unwrap();
    // Nothing but a bundle of the owner raises a cap.
    assert_eq!(take(&rig, 1, &rig.gateway, fresh(1)).await, Err(Refusal::TooManyItems));
    rig.change_bundle(|bundle| bundle.clusters[0].caps = items((11, 25))).await;
    take(&rig, 1, &rig.gateway, fresh(1)).await.unwrap();
    assert_eq!(take(&rig, 1, &rig.gateway, fresh(1)).await, Err(Refusal::TooManyItems));
}

#[tokio::test]
async fn rates_hold_per_cluster_key_group_and_account() {
    let slow = Caps { derivations_per_second: 5, ..Caps::UNLIMITED };
    for place in 0..4 {
        let rig = Rig::with(3, |bundle| match place {
            0 => bundle.clusters[0].caps = slow,
            1 => bundle.groups[0].caps = slow,
            2 => bundle.groups[0].key_caps = slow,
            _ => bundle.account_caps = slow,
        })
        .await;
        rig.generate(key_version(1)).await;
        rig.clock.advance_seconds(60);
        let mut had = 0;
        while take(&rig, 1, &rig.gateway, fresh(5)).await.is_ok() {
            had += 5;
            assert!(had < 1_000, "no rate at place {place}");
        }
        assert!(had >= 5, "nothing passed at place {place}");
        let refused = take(&rig, 1, &rig.second_gateway, fresh(5)).await;
        assert_eq!(refused, Err(Refusal::RateLimited), "place {place}");
        rig.clock.advance_seconds(1);
        take(&rig, 1, &rig.second_gateway, fresh(5)).await.unwrap();
        assert_eq!(take(&rig, 1, &rig.gateway, fresh(5)).await, Err(Refusal::RateLimited));
    }
}

#[tokio::test]
async fn a_cap_of_zero_allows_nothing_and_a_refusal_costs_no_budget() {
    let rig = Rig::with(3, |bundle| bundle.groups[0].key_caps = items((5, 5))).await;
    rig.generate(key_version(1)).await;
    for _ in 0..3 {
        assert_eq!(take(&rig, 1, &rig.gateway, fresh(6)).await, Err(Refusal::TooManyItems));
    }
    take(&rig, 1, &rig.gateway, fresh(4)).await.unwrap();
    let mut rig = rig;
    rig.change_bundle(|bundle| bundle.account_caps.derivations_per_second = 0).await;
    rig.clock.advance_seconds(86_400);
    assert_eq!(take(&rig, 1, &rig.gateway, fresh(1)).await, Err(Refusal::RateLimited));
}

#[tokio::test]
async fn what_cannot_be_counted_is_refused() {
    let mut rig = Rig::with(3, |bundle| bundle.account_caps = items((1_000, 1_000))).await;
    rig.generate(key_version(1)).await;
    rig.limits.items_counted_max = 10;
    rig.restart_all();
    take(&rig, 1, &rig.gateway, fresh(9)).await.unwrap();
    assert_eq!(take(&rig, 1, &rig.gateway, fresh(1)).await, Err(Refusal::CountersFull));
}

#[tokio::test]
async fn t_log_lists_exact_blast_radius() {
    let mut rig = Rig::new().await;
    rig.generate(key_version(1)).await;
    rig.generate(key_version(2)).await;
    let mut fields: Vec<ContextFields> = Vec::new();
    for at in 0..150 {
        let mut item = fresh_item(&key_version(1 + at % 2));
        item.item_version = u64::from(at) * 1_000;
        fields.push(item);
    }
    // Some in one batch on the blocking pool, some one by one, some permitted and not asked for.
    take(&rig, 1, &rig.gateway, fields[..100].iter().map(entry).collect()).await.unwrap();
    for item in &fields[100..120] {
        take(&rig, 1, &rig.gateway, vec![entry(item)]).await.unwrap();
    }
    let permit = rig.permit(Op::Read, fields[120..].iter().map(entry).collect(), |_| {});
    rig.derive_at(1, &permit, vec![3, 7], Mode::Read).await.unwrap();
    let expected: Vec<_> =
        fields[..120].iter().chain([&fields[123], &fields[127]]).map(name).collect();
    rig.stop(1);
    let gateway = rig.gateway.public().spki_sha256();
    let mut listed = Vec::new();
    for entry in LogReader::open(&rig.home(1).join("log")).unwrap() {
        let Event::Derive(derive) = entry.unwrap().1.event else { continue };
        assert_eq!((derive.gateway, derive.cluster, derive.audit_seq), (gateway, CLUSTER, 42));
        if derive.op == Op::Generate {
            continue;
        }
        for (key, item) in derive.derived() {
            listed.push((key.version, item.item_id, item.item_version));
            let exact = fields.iter().find(|fields| fields.item_id == item.item_id).unwrap();
            let context = keysherd_fragments::context::Context::new(exact);
            let hash = keysherd_crypto::hash::sha256(&[context.as_bytes()]);
            assert_eq!(item.context_tag.to_be_bytes(), hash[..8]);
        }
    }
    assert_eq!(listed, expected);
}

fn name(fields: &ContextFields) -> (u32, Uid, u64) {
    (fields.key_version, fields.item_id, fields.item_version)
}

#[tokio::test]
async fn the_largest_batch_passes_and_is_one_log_entry() {
    let rig = Rig::new().await;
    let manifest = rig.generate(key_version(1)).await;
    let before = rig.manager(1).status().checkpoint.size;
    let fields: Vec<_> = (0..1_000).map(|_| fresh_item(&key_version(1))).collect();
    let items = rig.write(&manifest, &fields).await.unwrap();
    assert_eq!(items.len(), 1_000);
    assert_eq!(rig.manager(1).status().checkpoint.size, before + 1);
}
