//! What is counted as waiting.

use keysherd_crypto::random::SystemRng;

use super::*;

fn shared(dir: &Path) -> Arc<Shared> {
    Arc::new(Shared {
        dir: dir.to_owned(),
        waiting_bytes: watch::Sender::new(0),
        shares: Mutex::default(),
        share_max: Share { file: 100_000, log: 30_000 },
        active: Mutex::default(),
        written: Notify::new(),
        aside: Mutex::default(),
        refused: AtomicU64::new(0),
        unproven: AtomicU64::new(0),
        ended: AtomicBool::new(false),
        _lock: lock(&dir.join(LOCK)).unwrap(),
    })
}

fn entry(account: u8) -> Entry {
    Entry {
        account: Uid([account; 16]),
        receipt: Receipt { bytes: Arc::from([account; 300]) },
        at: Timestamp(1),
        request: RequestId::default(),
        offline: false,
    }
}

fn waiting() -> Waiting {
    Waiting { entry: entry(7), done: oneshot::channel().0 }
}

/// Space comes and goes: a file is begun, and what belongs into it does not fit.
#[test]
fn what_could_not_be_written_does_not_wait() {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared(dir.path());
    let mut writer = Writer { shared: shared.clone(), rng: SystemRng::handle(), open: None };
    for _ in 0..1_000 {
        let (_, segment) = writer.begin().unwrap();
        let name = dir.path().join(file_name(segment.journal()));
        // One that cannot be written to stands for a full disk.
        writer.open = Some((File::open(&name).unwrap(), segment));
        writer.write(&[waiting(), waiting()]).unwrap_err();
        let length = name.metadata().unwrap().len();
        assert_eq!(*shared.waiting_bytes.borrow(), length, "the head is on disk");
        // As the delivery does with a file that nobody writes to.
        std::fs::remove_file(name).unwrap();
        shared.discount(length);
    }
    assert_eq!(*shared.waiting_bytes.borrow(), 0);
    writer.write(&[waiting()]).unwrap();
    let active = shared.active.lock().unwrap().unwrap();
    assert_eq!(*shared.waiting_bytes.borrow(), active.1);
}

/// Whoever reads without end while control is away, or with receipts that become long records.
#[tokio::test]
async fn one_account_leaves_room_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared(dir.path());
    let (queue, waiting) = sync_channel(WAITING_MAX);
    let writer = Writer { shared: shared.clone(), rng: SystemRng::handle(), open: None };
    let thread = thread::spawn(move || writer.run(&waiting));
    let journal = Journal { queue, shared: shared.clone() };
    for _ in 0..60 {
        assert!(journal.append(entry(1)).await);
    }
    // Sixty records of 500 bytes are what it may have; on disk they are a tenth.
    assert!(!journal.append(entry(1)).await);
    assert!(journal.waiting_bytes() < 10_000);
    assert!(journal.append(entry(2)).await, "another account");
    let (id, _) = shared.active.lock().unwrap().unwrap();
    shared.shares().end(id);
    assert!(journal.append(entry(1)).await, "control has them");
    drop(journal);
    thread.join().unwrap();
}
