//! Attacks 7, 10 and 20, and what lies on the disk.

use keysherd_fragments::combine::{DerivedKey, combine};
use keysherd_fragments::context::{Context, ContextFields};
use keysherd_fragments::derive::Mode;
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::gateway_side::{ReadCombiner, ReadStep};
use keysherd_fragments::interpolation::Interpolation;
use keysherd_fragments::leg_g::decode_point;
use keysherd_fragments::leg_s;
use keysherd_fragments::manager_set::{ManagerIndex, ManagerSet, Threshold};
use keysherd_fragments::manager_side::{self, Checked, CheckedEntry, CheckedKey};
use keysherd_fragments::messages::{ManagerAnswer, ManagerRequest, PeerRequest};
use keysherd_fragments::permit::Op;
use keysherd_fragments::refusal::Refusal;
use keysherd_fragments::share::KeyShares;

use super::rig::{ACCOUNT, Rig, index, key_version, random};
use super::rounds::{Item, call, entry, fresh_item, set};
use crate::store::Store;
use crate::{AtRestKey, KeyFile};

/// The fragments of a stopped manager, from its directory: store and epoch key.
pub(super) fn steal(rig: &Rig, number: u8) -> KeyShares {
    let key = KeyFile::new(rig.home(number).join("epoch.key")).load().unwrap().unwrap();
    let rng = keysherd_crypto::random::SystemRng::handle();
    let store = Store::open(&rig.home(number).join("fragments.redb"), number, &key, rng).unwrap();
    let record = store.shares(&key_version(1)).unwrap().unwrap();
    KeyShares::from_record(&record).unwrap()
}

/// What a thief computes with stolen fragments: all that the manager would answer for this item.
pub(super) fn evaluate(shares: &KeyShares, fields: &ContextFields) -> Vec<u8> {
    let manager = shares.g().manager();
    let checked = Checked {
        cluster: keysherd_base::Uid::default(),
        gateway_spki_sha256: [0; 32],
        account: ACCOUNT,
        op: Op::Read,
        mode: Mode::Read,
        manager,
        quorum: ManagerSet::EMPTY,
        request_sha256: [0; 32],
        request_id: keysherd_base::Uid::default(),
        permit_sha256: [0; 32],
        permit_id: keysherd_base::Uid::default(),
        permit_expires_at: super::rig::START,
        max_uses: 1,
        audit_seq: 0,
        keys: vec![CheckedKey { key: shares.key(), group: String::new(), epoch_hint: None }],
        entries: vec![CheckedEntry {
            slot: 0,
            index: 0,
            item_id: fields.item_id,
            context: Context::new(fields),
        }],
    };
    let rng = keysherd_crypto::random::SystemRng;
    let derived = manager_side::derive(&checked, &[shares], &rng).unwrap();
    let identity = super::rig::signing_key();
    derived.seal(&checked, Vec::new(), &identity).outputs.expose().clone()
}

/// Every key that can be guessed from the outputs of these managers: all known partials of leg S
/// with nothing in place of the missing ones, and every combination of the points, with each point
/// also in the place of a missing one.
pub(super) fn guess(fields: &ContextFields, stolen: &[(ManagerIndex, Vec<u8>)]) -> Vec<DerivedKey> {
    let context = Context::new(fields);
    let leg_s = leg_s_of(stolen);
    points_of(stolen).iter().map(|point| combine(&context, &leg_s, point, None)).collect()
}

/// The sum of all partials of leg S that these managers know.
pub(super) fn leg_s_of(stolen: &[(ManagerIndex, Vec<u8>)]) -> [u8; 32] {
    let threshold = Threshold::new(2, 3).unwrap();
    let mut leg_s = [0; 32];
    for holders in threshold.sets() {
        let known = stolen.iter().find_map(|(manager, output)| {
            let place = threshold.sets_of(*manager).position(|other| other == holders)?;
            output[32 * (1 + place)..].first_chunk::<32>()
        });
        if let Some(partial) = known {
            leg_s::add(&mut leg_s, partial);
        }
    }
    leg_s
}

/// Every combination of the points of these managers.
pub(super) fn points_of(stolen: &[(ManagerIndex, Vec<u8>)]) -> Vec<[u8; 32]> {
    let point = |output: &Vec<u8>| decode_point(output.first_chunk().unwrap()).unwrap();
    let mut combined = Vec::new();
    for quorum in (1..=3).flat_map(|size| ManagerSet::first(3).subsets(size)) {
        for (_, in_place_of_missing) in stolen {
            let points: Vec<_> = quorum
                .iter()
                .map(|manager| {
                    let own = stolen.iter().find(|(thief, _)| *thief == manager);
                    point(own.map_or(in_place_of_missing, |(_, output)| output))
                })
                .collect();
            combined.push(Interpolation::of(quorum).combine(&points)[0].0);
        }
    }
    combined
}

pub(super) fn opens(item: &Item, keys: &[DerivedKey]) -> bool {
    keys.iter().any(|key| *key.kek.expose() == item.kek || key.commitment == item.commitment)
}

#[tokio::test]
async fn t_one_kfm_stolen_cannot_open() {
    let mut rig = Rig::new().await;
    let manifest = rig.generate(key_version(1)).await;
    let items = rig.write(&manifest, &[fresh_item(&key_version(1))]).await.unwrap();
    let item = &items[0];
    for number in 1..=3 {
        rig.stop(number);
    }
    let stolen: Vec<(ManagerIndex, Vec<u8>)> = (1..=3)
        .map(|number| (index(number), evaluate(&steal(&rig, number), &item.fields)))
        .collect();
    for one in stolen.chunks(1) {
        assert!(!opens(item, &guess(&item.fields, one)), "{} alone opens", one[0].0);
    }
    // The control: the very same attempt with two managers opens.
    for two in [&stolen[..2], &stolen[1..]] {
        assert!(opens(item, &guess(&item.fields, two)), "the attempt itself is wrong");
    }
    // The regular way needs t answers as well.
    let batch = rig.batch(&manifest, &[item.fields]);
    assert_eq!(
        ReadCombiner::new(batch.clone(), vec![item.commitment], set(&[1])).err(),
        Some(Refusal::NotEnoughManagers)
    );
    let mut combiner = ReadCombiner::new(batch, vec![item.commitment], set(&[1, 2])).unwrap();
    rig.start(1);
    // It asks one other whether its shares are current; that one derives nothing.
    rig.start(2);
    let permit = rig.permit(Op::Read, vec![entry(&item.fields)], |_| {});
    while let ReadStep::Ask(ask) = combiner.step() {
        for manager in ask.managers.iter() {
            if manager == index(1) {
                let answer =
                    rig.derive_at(1, &permit, ask.entries.clone(), ask.mode).await.unwrap();
                combiner.offer(ask.round, answer);
            } else {
                combiner.lost(ask.round, manager);
            }
        }
    }
    assert_eq!(combiner.finish().keys[0].as_ref().err(), Some(&Refusal::NotEnoughManagers));
}

#[tokio::test]
async fn no_share_is_on_disk_in_clear() {
    let mut rig = Rig::new().await;
    let manifest = rig.generate(key_version(1)).await;
    rig.write(&manifest, &[fresh_item(&key_version(1))]).await.unwrap();
    for number in 1..=3 {
        let manager = rig.manager(number).clone();
        let record = manager.keys.store().shares(&key_version(1)).unwrap().unwrap();
        let seed = *manager.identity.seed().expose();
        let store_id = manager.status().manager_id;
        drop(manager);
        // While it runs and after it was stopped.
        for stopped in [false, true] {
            if stopped {
                rig.stop(number);
            }
            let disk = rig.disk_of(number);
            assert!(disk.len() >= 4, "epoch key, lock, store, log");
            let found = |needle: &[u8]| {
                disk.iter().any(|(_, bytes)| bytes.windows(needle.len()).any(|at| at == needle))
            };
            assert!(found(store_id.as_bytes()), "the search itself does not work");
            assert!(found(key_version(1).id.as_bytes()), "the search itself does not work");
            // Any 24 bytes of the record; ids, which stand in names, are shorter.
            for secret in record.expose().windows(24) {
                assert!(!found(secret), "a part of the fragments is on disk");
            }
            assert!(!found(&seed), "the identity is on disk");
            let epoch_key = KeyFile::new(rig.home(number).join("epoch.key")).load().unwrap();
            let epoch_key = *epoch_key.unwrap().key.expose();
            let holders: Vec<_> = disk
                .iter()
                .filter(|(_, bytes)| bytes.windows(32).any(|at| at == epoch_key))
                .map(|(path, _)| path.file_name().unwrap().to_owned())
                .collect();
            assert_eq!(holders, ["epoch.key"]);
        }
    }
}

#[tokio::test]
async fn deals_are_taken_from_whom_they_come_only() {
    let rig = Rig::new().await;
    let generation = rig.generation(key_version(1), Threshold::new(2, 3).unwrap());
    let round1 = generation.begin().await.unwrap();
    generation.exchange_at(1, &round1).await.unwrap();
    let heard = rig.net.heard.lock().unwrap().clone();
    let (_, to, deal) = heard.iter().find(|(_, to, _)| *to == 2).unwrap();
    let manager = rig.manager(*to).clone();
    // Manager 3 passes manager 1's deal off as its own line's; the receiver is the wrong one.
    let refused = [
        manager.serve_peer(index(3), deal).await,
        rig.manager(3).serve_peer(index(1), deal).await,
        manager.serve_peer(index(1), &deal[1..]).await,
        manager.serve_peer(index(1), &[]).await,
    ];
    for answer in refused {
        assert_ne!(*answer.expose(), [0x81, 0x01], "a deal of somebody else was taken");
    }
    // The very same deal again is the same deal.
    assert_eq!(*manager.serve_peer(index(1), deal).await.expose(), [0x81, 0x01]);
    assert!(PeerRequest::from_bytes(deal).is_ok());
}

/// A small generator, so that a failure can be repeated.
struct Noise(u64);

impl Noise {
    fn next(&mut self, below: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

async fn is_derived(rig: &Rig, request: &[u8]) -> bool {
    let spki = rig.gateway.public().spki_sha256();
    let answer = rig.manager(1).serve(spki, request).await;
    matches!(ManagerAnswer::from_bytes(answer.expose()).unwrap(), ManagerAnswer::Derived(_))
}

#[tokio::test]
async fn t_no_point_oracle() {
    let rig = Rig::new().await;
    let manifest = rig.generate(key_version(1)).await;
    let fields = fresh_item(&key_version(1));
    let items = rig.write(&manifest, &[fields]).await.unwrap();
    let permit = rig.permit(Op::Read, vec![entry(&fields)], |permit| permit.max_uses = 10);
    let good = ManagerRequest::Derive(call(&rig.gateway, &permit, index(1), vec![0], Mode::Read));
    let good = good.to_bytes();
    assert!(is_derived(&rig, &good).await, "the control");

    // No message of any number takes a point, or the bytes of a context, as its argument.
    let point = manifest.manifest().public_shares[0];
    let context = Context::new(&fields);
    for number in 0..=255_u8 {
        for argument in [point.as_slice(), context.as_bytes(), &permit.body] {
            for arguments in 1..=4_u8 {
                let mut bytes = vec![0x81 + arguments];
                bytes.extend(if number < 24 { vec![number] } else { vec![0x18, number] });
                for _ in 0..arguments {
                    let length = u16::try_from(argument.len()).unwrap();
                    match u8::try_from(length) {
                        Ok(length) => bytes.extend([0x58, length]),
                        Err(_) => bytes.extend([&[0x59], length.to_be_bytes().as_slice()].concat()),
                    }
                    bytes.extend(argument);
                }
                assert!(!is_derived(&rig, &bytes).await, "message {number} took raw bytes");
            }
        }
    }

    // Whatever is changed in a request, inserted into it or taken from it: nothing is derived.
    let mut noise = Noise(20);
    for round in 0..3_000 {
        let mut bytes = good.clone();
        let at = noise.next(bytes.len());
        match round % 4 {
            0 => bytes[at] ^= 1 << noise.next(8),
            1 => drop(bytes.splice(at..at, point)),
            2 if at + 32 <= bytes.len() => drop(bytes.splice(at..at + 32, point)),
            _ => bytes.truncate(at),
        }
        if bytes != good {
            assert!(!is_derived(&rig, &bytes).await, "round {round} at byte {at}");
        }
        // Many wrong permits in one second would be refused unseen, and good ones with them.
        if round % 40 == 0 {
            rig.clock.advance_seconds(1);
        }
    }
    rig.clock.advance_seconds(1);

    // A gateway's own request can only choose among the entries of the permit; the context comes
    // from the permit. With another salt it is another permit.
    let mut other = fields;
    other.salt = random();
    let other_permit = rig.permit(Op::Read, vec![entry(&other)], |_| {});
    let answer = rig.derive_at(1, &other_permit, vec![0], Mode::Read).await.unwrap();
    let first = rig.derive_at(1, &permit, vec![0], Mode::Read).await.unwrap();
    assert_ne!(answer.body().outputs_sha256, first.body().outputs_sha256);
    let mut swapped = call(&rig.gateway, &permit, index(1), vec![0], Mode::Read);
    swapped.permit = other_permit;
    let refused = rig.send(1, &rig.gateway.public(), swapped).await;
    assert_eq!(refused.unwrap_err(), Refusal::WrongPermit);
    rig.read(&manifest, &items, set(&[1, 2])).await.unwrap();
}
