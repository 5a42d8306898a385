//! Every message among managers comes back, and nothing that is cut or lengthened does.

use keysherd_base::{AccountId, Secret};
use keysherd_crypto::sign::PublicKey;

use super::*;
use crate::encoding::SignedBy;
use crate::epoch::EpochRecord;
use crate::manager_set::ManagerSet;
use crate::messages::{ManagerAnswer, ManagerRequest};
use crate::refresh::{Collected, CollectedKey, RefreshCall, RefreshKey, RefreshRequest, Statement};
use crate::repair::KeyNotes;

type Recode = fn(&[u8]) -> Option<Vec<u8>>;

fn recode<T: Encoding>(bytes: &[u8]) -> Option<Vec<u8>> {
    T::from_bytes(bytes).ok().map(|value| value.to_bytes())
}

fn index(number: u8) -> ManagerIndex {
    ManagerIndex::new(number).unwrap()
}

fn key(number: u8) -> KeyVersion {
    KeyVersion { account: AccountId(Uid([1; 16])), id: Uid([number; 16]), version: 70_000 }
}

fn signed() -> Signed {
    Signed { body: vec![1, 2, 3], signature: Signature([4; 64]) }
}

fn record() -> SignedRecord {
    let record = EpochRecord {
        key: key(1),
        epoch: 300,
        session: Uid([2; 16]),
        participants: ManagerSet::first(3),
        public_shares: vec![[3; 32]; 3],
    };
    SignedRecord { body: record.to_bytes(), signatures: vec![Signature([4; 64]); 3] }
}

fn refresh() -> RefreshParams {
    RefreshParams {
        session: Uid([1; 16]),
        coordinator: index(1),
        participants: ManagerSet::first(2),
        threshold: Threshold::new(2, 3).unwrap(),
        salt: [2; 32],
        keys: vec![
            RefreshKey { key: key(1), from: 0, to: 1 },
            RefreshKey { key: key(2), from: 7, to: 300 },
        ],
    }
}

fn repair() -> RepairParams {
    RepairParams {
        session: Uid([1; 16]),
        manager: index(3),
        helpers: ManagerSet::first(2),
        threshold: Threshold::new(2, 3).unwrap(),
        keys: vec![(key(1), 0), (key(2), 7)],
    }
}

fn secrets() -> Vec<Secret<[u8; 32]>> {
    vec![Secret::new([5; 32]), Secret::new([6; 32])]
}

fn requests() -> Vec<PeerRequest> {
    let session = Uid([1; 16]);
    let deal = RefreshDeal {
        session,
        from: index(1),
        to: index(2),
        view_sha256: [3; 32],
        shares: secrets(),
    };
    let deltas = RepairDeltas {
        session,
        manager: index(3),
        params_sha256: [4; 32],
        from: index(1),
        to: index(2),
        deltas: secrets(),
    };
    vec![
        PeerRequest::RefreshBegin(refresh()),
        PeerRequest::RefreshExchange { session, statements: vec![signed(); 2] },
        PeerRequest::RefreshDeal(deal),
        PeerRequest::RefreshCollect { session },
        PeerRequest::RefreshPrepare { session, collected: vec![signed(); 2] },
        PeerRequest::RefreshCommit(vec![record()]),
        PeerRequest::RefreshEnd { all: true },
        PeerRequest::Keys { after: None },
        PeerRequest::Keys { after: Some(key(1)) },
        PeerRequest::Epochs(vec![key(1), key(2)]),
        PeerRequest::Records(vec![key(1)]),
        PeerRequest::Shelf(vec![(key(1), 9)]),
        PeerRequest::RepairBegin(repair()),
        PeerRequest::RepairDeltas(deltas),
        PeerRequest::RepairCollect { session, manager: index(3) },
    ]
}

fn answers() -> Vec<PeerAnswer> {
    let epoch = KeyEpoch {
        key: key(1),
        threshold: Threshold::new(2, 3).unwrap(),
        epoch: 1,
        highest: 2,
        held: true,
        in_use: false,
    };
    let help = RepairHelp {
        sigma: Secret::new([1; 32]),
        leg_s: vec![(ManagerSet::first(2), Secret::new([2; 32]))],
        notes: KeyNotes { manifest: vec![3; 40], session: Uid([4; 16]), gateway: [5; 32] },
        record: Some(record()),
    };
    vec![
        PeerAnswer::Taken,
        PeerAnswer::Statement(signed()),
        PeerAnswer::Prepared(vec![
            Prepared { body: vec![1; 30], signature: Signature([2; 64]) },
            Prepared::NOTHING,
        ]),
        PeerAnswer::Keys(vec![epoch]),
        PeerAnswer::Records(vec![None, Some(record())]),
        PeerAnswer::Help(vec![help]),
        PeerAnswer::Refused(Refusal::PeerLeftOut),
    ]
}

/// One good encoding of everything, with the decoder it is for.
fn samples() -> Vec<(Recode, Vec<u8>)> {
    let statement = Statement {
        params_sha256: [1; 32],
        manager: index(2),
        commitments: vec![vec![[3; 32]; 1]; 2],
    };
    let collected = Collected {
        params_sha256: [1; 32],
        manager: index(2),
        keys: vec![CollectedKey { record_sha256: [2; 32], before: [3; 32], after: [4; 32] }],
    };
    let request =
        RefreshRequest { permit_sha256: [1; 32], manager: index(1), request_id: Uid([2; 16]) };
    let by = SignedBy { key: PublicKey([5; 32]), signed: signed() };
    let call = RefreshCall { permit: signed(), request: by, endorsement: None };
    let mut samples: Vec<(Recode, Vec<u8>)> = vec![
        (recode::<Statement>, statement.to_bytes()),
        (recode::<Collected>, collected.to_bytes()),
        (recode::<RefreshRequest>, request.to_bytes()),
        (recode::<RefreshParams>, refresh().to_bytes()),
        (recode::<RepairParams>, repair().to_bytes()),
        (recode::<SignedRecord>, record().to_bytes()),
        (recode::<EpochRecord>, record().body),
        (recode::<ManagerRequest>, ManagerRequest::Epoch(key(1)).to_bytes()),
        (recode::<ManagerRequest>, ManagerRequest::Refresh(call).to_bytes()),
        (recode::<ManagerAnswer>, ManagerAnswer::Epoch(None).to_bytes()),
        (recode::<ManagerAnswer>, ManagerAnswer::Epoch(Some(record())).to_bytes()),
        (recode::<ManagerAnswer>, ManagerAnswer::Refreshed(vec![record()]).to_bytes()),
    ];
    let requests = requests();
    let requests =
        requests.iter().map(|message| (recode::<PeerRequest> as Recode, message.to_bytes()));
    samples.extend(requests);
    let answers = answers();
    samples
        .extend(answers.iter().map(|message| (recode::<PeerAnswer> as Recode, message.to_bytes())));
    samples
}

#[test]
fn every_message_comes_back_and_no_part_of_one_does() {
    for (number, (recode, bytes)) in samples().iter().enumerate() {
        assert_eq!(recode(bytes).as_ref(), Some(bytes), "sample {number}");
        for cut in 0..bytes.len() {
            assert_eq!(recode(&bytes[..cut]), None, "sample {number} cut at {cut}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(recode(&longer), None, "sample {number} lengthened");
    }
}

#[test]
fn secret_encodings_are_the_same_bytes() {
    for request in requests() {
        assert_eq!(*request.to_secret_bytes().expose(), request.to_bytes());
    }
    for answer in answers() {
        assert_eq!(*answer.to_secret_bytes().expose(), answer.to_bytes());
    }
}

#[test]
fn parameters_that_contradict_themselves_are_refused() {
    let change = |change: fn(&mut RefreshParams)| {
        let mut params = refresh();
        change(&mut params);
        RefreshParams::from_bytes(&params.to_bytes()).unwrap_err()
    };
    // Too few, or not of the key, or a coordinator from outside.
    let one = |params: &mut RefreshParams| params.participants = ManagerSet::first(1);
    assert_eq!(change(one), Refusal::NotAllParticipants);
    let four = |params: &mut RefreshParams| params.participants = ManagerSet::first(4);
    assert_eq!(change(four), Refusal::NotAllParticipants);
    let outside = |params: &mut RefreshParams| params.coordinator = index(3);
    assert_eq!(change(outside), Refusal::NotAllParticipants);
    // No key, a key twice, an epoch that goes back.
    assert_eq!(change(|params| params.keys.clear()), Refusal::BadEntries);
    assert_eq!(change(|params| params.keys[1] = params.keys[0]), Refusal::BadEntries);
    assert_eq!(change(|params| params.keys[1].to = 7), Refusal::BadEntries);
    // In 2-of-5, two pairs could refresh at one time without knowing of each other.
    let pair = |params: &mut RefreshParams| params.threshold = Threshold::new(2, 5).unwrap();
    assert_eq!(change(pair), Refusal::NotAllParticipants);
    let mut params = repair();
    params.helpers = ManagerSet::first(3);
    let refused = RepairParams::from_bytes(&params.to_bytes()).unwrap_err();
    assert_eq!(refused, Refusal::NotAllParticipants);
}
