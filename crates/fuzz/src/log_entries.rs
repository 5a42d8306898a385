//! Entries and checkpoints of a fragment manager's log.

use keysherd_base::{AccountId, Secret, Timestamp, Uid};
use keysherd_crypto::sign::{PublicKey, SigningKey};
use keysherd_fragments::context::Class;
use keysherd_fragments::permit::{Op, Subject};
use keysherd_manager::log::{
    Checkpoint, DeriveEvent, DerivedItem, DestroyedEvent, Entry, EpochEvent, EpochStep, Event,
    GenerationEvent, GenerationStep, KeyRef, OrderEvent,
};

/// Reads the bytes as an entry and as a checkpoint: what is accepted is written so that it reads
/// back as itself, and a checkpoint has one spelling.
pub fn log_entries(data: &[u8]) {
    if let Some(entry) = Entry::from_bytes(data) {
        let bytes = entry.to_bytes();
        assert_eq!(Entry::from_bytes(&bytes).as_ref(), Some(&entry));
        assert!(bytes.len() <= data.len(), "the encoding is the shortest");
        assert!(Entry::from_bytes(&[data, &[0]].concat()).is_none(), "lengthened");
        if let Event::Derive(derive) = &entry.event {
            assert!(derive.derived().count() <= derive.items.len());
        }
    }
    if let Some((manager, checkpoint)) = Checkpoint::read_signed(data) {
        let text = checkpoint.to_note(&manager);
        assert!(data.starts_with(&text), "a second spelling");
        assert_eq!(Checkpoint::open_signed(data, &PublicKey([0; 32])), None, "nobody's key");
    }
    if let Some((manager, checkpoint)) = Checkpoint::from_note(data) {
        assert_eq!(checkpoint.to_note(&manager), data, "a second spelling");
    }
    let before = Checkpoint { size: 5, head: [1; 32] };
    assert_eq!(before.after(data).size, 6);
    assert_ne!(before.after(data), before.after(&[data, &[0]].concat()));
}

/// One entry of each kind.
pub(crate) fn entries() -> Vec<Entry> {
    let at = Timestamp(1_767_607_872_000);
    let key = KeyRef { key_id: Uid([1; 16]), version: 2 };
    let item = DerivedItem {
        key: 0,
        subject: 0,
        class: Class::SecretItem,
        item_id: Uid([3; 16]),
        item_version: 4,
        context_tag: u64::MAX,
    };
    let derive = DeriveEvent {
        permit_sha256: [5; 32],
        permit_id: Uid([6; 16]),
        permit_expires_at: at,
        audit_seq: 7,
        request_id: Uid([8; 16]),
        gateway: [9; 32],
        cluster: Uid([10; 16]),
        account: AccountId(Uid([11; 16])),
        op: Op::Read,
        with_proofs: false,
        bundle_version: 12,
        keys: vec![key],
        subjects: vec![Subject::default()],
        items: vec![item, DerivedItem { key: 9, ..item }],
    };
    let generation = GenerationEvent {
        step: GenerationStep::Signed,
        session: Uid([13; 16]),
        permit_sha256: [14; 32],
        audit_seq: 15,
        gateway: [16; 32],
        account: AccountId(Uid([17; 16])),
        key,
        manifest_sha256: [18; 32],
    };
    [
        Event::Opened { bundle_version: 1, identity: [19; 32] },
        Event::Bundle { version: 2, sha256: [20; 32] },
        Event::Derive(derive),
        Event::Generation(generation),
        Event::Epochs(EpochEvent {
            step: EpochStep::Prepared,
            session: Uid([22; 16]),
            manager: 1,
            participants: 7,
            permit_sha256: [23; 32],
            audit_seq: 24,
            gateway: [25; 32],
            keys: vec![(AccountId(Uid([17; 16])), key, 300)],
        }),
        Event::Order(OrderEvent { body: vec![19; 100], signature: [20; 64] }),
        Event::Destroyed(DestroyedEvent {
            account: AccountId(Uid([17; 16])),
            key,
            order_id: Uid([21; 16]),
            manifest_sha256: [18; 32],
        }),
    ]
    .map(|event| Entry { at, event })
    .to_vec()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let note = Checkpoint { size: 12, head: [21; 32] }.to_note(&Uid([22; 16]));
    let key = SigningKey::from_seed(&Secret::new([23; 32]));
    let signed = Checkpoint { size: 12, head: [21; 32] }.sign(&Uid([22; 16]), &key);
    entries().iter().map(Entry::to_bytes).chain([note, signed]).collect()
}
